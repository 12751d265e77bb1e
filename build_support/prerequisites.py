"""What building fastdatastore needs of this machine, checked before anything is built.

Run as a script it is silent when all is there; otherwise it prints one sentence with the command that mends
it and exits with 1. setup.py asks the same questions. Standard library only, and written so that even a
Python far too old to run fastdatastore can read it and be told so.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from typing import List, NamedTuple, Optional, Tuple

MINIMUM_PYTHON = (3, 11)
MINIMUM_OPENSSL = (3, 0)

# What each package manager calls the things that we may find missing.
PACKAGES = {
    "apt-get": {
        "compiler": "gcc libc6-dev",
        "python headers": "python{version}-dev",
        "venv": "python{version}-venv",
        "openssl headers": "libssl-dev",
    },
    "dnf": {
        "compiler": "gcc glibc-devel",
        "python headers": "python3-devel",
        "venv": "python3",
        "openssl headers": "openssl-devel",
    },
    "brew": {
        "python headers": "python@{version}",
        "venv": "python@{version}",
        "openssl headers": "openssl@3",
    },
}


class OpensslFlags(NamedTuple):
    """How to compile against OpenSSL and link with it."""

    compile: List[str]
    link: List[str]


def problem(native: bool = True, venv: bool = False) -> Optional[str]:
    """Says what is missing.

    Args:
        native: whether the C sources are to be compiled.
        venv: whether a virtual environment is to be created.

    Returns:
        One sentence for the user, or None when nothing is missing.
    """
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return _python_too_old()
    missing = []
    if native:
        if not _compiler_works():
            missing.append(("a C compiler ({})".format(shlex.split(_compiler())[0]), "compiler"))
        if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
            missing.append(("the C headers of Python {}".format(_version()), "python headers"))
        openssl = _openssl_headers(compiler_works=not missing or missing[0][1] != "compiler")
        if openssl is None:
            missing.append(("the C headers of OpenSSL", "openssl headers"))
        elif not _is_new_enough(openssl):
            return _openssl_too_old(openssl)
    if venv and not _venv_works():
        missing.append(("Python's venv module with ensurepip", "venv"))
    return _sentence(missing) if missing else None


def openssl_flags() -> OpensslFlags:
    """Where OpenSSL is, by pkg-config, else by Homebrew, else in the compiler's own places."""
    compile_flags = _output(["pkg-config", "--cflags", "openssl"])
    link_flags = _output(["pkg-config", "--libs", "openssl"])
    if compile_flags is not None and link_flags is not None:
        link = shlex.split(link_flags)
        # An OpenSSL outside of the system's places must be found again when the module is loaded.
        link += ["-Wl,-rpath," + flag[2:] for flag in link if flag.startswith("-L")]
        return OpensslFlags(shlex.split(compile_flags), link)
    prefix = _output(["brew", "--prefix", "openssl@3"])
    if prefix:
        root = prefix.strip()
        return OpensslFlags(["-I" + root + "/include"], ["-L" + root + "/lib", "-lssl", "-lcrypto"])
    return OpensslFlags([], ["-lssl", "-lcrypto"])


def _python_too_old() -> str:
    return (
        "fastdatastore needs Python {0}.{1} or newer and this is Python {2} ({3}): "
        "install a newer one and name it, e.g. {4} && make demo PYTHON=python{0}.{1}".format(
            MINIMUM_PYTHON[0],
            MINIMUM_PYTHON[1],
            ".".join(str(part) for part in sys.version_info[:3]),
            sys.executable,
            "brew install python@3.11"
            if sys.platform == "darwin"
            else _as_root("apt-get install -y python3.11 python3.11-venv python3.11-dev"),
        )
    )


def _openssl_too_old(found: str) -> str:
    mend = (
        "run: brew install openssl@3"
        if sys.platform == "darwin"
        else "Debian 12, Ubuntu 22.04 and later have it; for one of your own, "
        "run: export PKG_CONFIG_PATH=<its prefix>/lib/pkgconfig"
    )
    return "fastdatastore needs OpenSSL {}.{} or newer and the C headers here are of {}; {}".format(
        MINIMUM_OPENSSL[0], MINIMUM_OPENSSL[1], found, mend
    )


def _sentence(missing: List[Tuple[str, str]]) -> str:
    names = [name for name, _ in missing]
    listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    return "fastdatastore cannot be built here without {}; {}".format(listed, _mend([kind for _, kind in missing]))


def _mend(kinds: List[str]) -> str:
    commands = []
    if sys.platform == "darwin":
        if "compiler" in kinds:
            commands.append("xcode-select --install")
            kinds = [kind for kind in kinds if kind != "compiler"]
        manager = "brew"
    else:
        found = [name for name in ("apt-get", "dnf") if shutil.which(name, path=_system_path())]
        if not found:
            return "install with your system's package manager what Debian calls: {}".format(
                _packages("apt-get", kinds)
            )
        manager = found[0]
    if kinds:
        install = "{} install {}{}".format(manager, "" if manager == "brew" else "-y ", _packages(manager, kinds))
        commands.append(install if manager == "brew" else _as_root(install))
    return "run: " + " && ".join(commands)


def _packages(manager: str, kinds: List[str]) -> str:
    return " ".join(PACKAGES[manager][kind].format(version=_version()) for kind in kinds)


def _as_root(command: str) -> str:
    return command if os.geteuid() == 0 else "sudo " + command


def _system_path() -> str:
    # A package manager is the system's, wherever the user's PATH points.
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/bin"])


def _version() -> str:
    return "{}.{}".format(*sys.version_info[:2])


def _compiler() -> str:
    # The one that setuptools will take.
    return os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"


def _compile(source: str, *flags: str) -> Optional[str]:
    """Feeds `source` to the compiler; its output, or None when it refuses."""
    environment = ["CPPFLAGS", "CFLAGS", "LDFLAGS"]
    given = [flag for name in environment for flag in shlex.split(os.environ.get(name, ""))]
    return _output(shlex.split(_compiler()) + given + ["-x", "c", "-"] + list(flags), source)


def _compiler_works() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        return _compile("#include <stdio.h>\nint main(void) { return 0; }\n", "-o", program) is not None


def _openssl_headers(compiler_works: bool) -> Optional[str]:
    """Whose headers are found, such as "OpenSSL 3.0.19"; None when there are none."""
    flags = openssl_flags().compile
    if compiler_works:
        text = _compile("#include <openssl/opensslv.h>\nfound: OPENSSL_VERSION_TEXT\n", "-E", "-P", *flags)
        match = re.search(r'found:\s*"(\w+ [0-9.]+)', text or "")
        return match.group(1) if match else None
    # Without a compiler to ask, look where it would; so that one command can name all that is missing.
    places = [flag[2:] for flag in flags if flag.startswith("-I")] + ["/usr/include", "/usr/local/include"]
    for place in places:
        if os.path.exists(os.path.join(place, "openssl", "opensslv.h")):
            return "OpenSSL {}.{}".format(*MINIMUM_OPENSSL)
    return None


def _is_new_enough(openssl: str) -> bool:
    name, version = openssl.split()
    return name == "OpenSSL" and tuple(int(part) for part in version.split(".")[:2]) >= MINIMUM_OPENSSL


def _venv_works() -> bool:
    # Debian splits ensurepip off into python3-venv, and python3 -m venv fails half-way without it.
    return _output([sys.executable, "-c", "import venv, ensurepip"]) is not None


def _output(command: List[str], text: str = "") -> Optional[str]:
    """What the command prints, or None when it cannot be run or fails."""
    try:
        # Not capture_output and text=True: Python 3.6 doesn't know them.
        done = subprocess.run(
            command,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Says what this machine lacks to build fastdatastore.")
    parser.add_argument("--venv", action="store_true", help="a virtual environment will be created as well")
    parser.add_argument("--cflags", action="store_true", help="only print how to compile against OpenSSL")
    parser.add_argument("--libs", action="store_true", help="only print how to link with OpenSSL")
    arguments = parser.parse_args()
    if arguments.cflags or arguments.libs:
        flags = openssl_flags()
        print(" ".join(flags.compile if arguments.cflags else flags.link))
        return 0
    sentence = problem(native=os.environ.get("FDS_BUILD_NATIVE", "1") != "0", venv=arguments.venv)
    if sentence is not None:
        print(sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
