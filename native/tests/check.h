/* The whole test framework of the C tests: plain programs, one per room of native/.
 *
 *     static void a_split_header_is_parsed(void) { CHECK_EQ(parse(...), 3); }
 *     int main(void) { RUN(a_split_header_is_parsed); return check_report(); }
 *
 * A test is a function named as a behaviour; it fails when any of its checks fails, and goes on after a failed
 * check (each check's value is whether it held, so `if (!CHECK(p != NULL)) return;` stops where going on would
 * crash). The last line of output is "N passed, N failed", counted in tests. Checks may be made from any thread;
 * RUN and check_report belong to the main thread.
 */
#ifndef FDS_TESTS_CHECK_H
#define FDS_TESTS_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CHECK(cond) check_true((cond), #cond, __FILE__, __LINE__)
/* Integers, pointers' differences, enums: anything that converts to long long. */
#define CHECK_EQ(actual, expected)                                                                                     \
    check_equal((long long)(actual), (long long)(expected), #actual, #expected, __FILE__, __LINE__)
/* NUL-terminated strings; NULL equals only NULL. */
#define CHECK_STR_EQ(actual, expected) check_str_equal((actual), (expected), #actual, __FILE__, __LINE__)
/* Byte strings that may hold NULs. */
#define CHECK_MEM_EQ(actual, actual_size, expected, expected_size)                                                     \
    check_mem_equal((actual), (actual_size), (expected), (expected_size), #actual, __FILE__, __LINE__)
#define RUN(test) check_run((test), #test)

/* A broken loop over 100,000 inputs should not scroll away its first, telling failure. */
enum { CHECK_MAX_PRINTED = 20 };

static atomic_int check_failures; /* failed checks so far */
static int check_tests_passed, check_tests_failed;

/* Counts a failure and prints where it was; true if the caller should print what differed. */
static inline bool check_failed_at(const char *file, int line, const char *what) {
    if (atomic_fetch_add(&check_failures, 1) >= CHECK_MAX_PRINTED)
        return false;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    return true;
}

static inline bool check_true(bool held, const char *what, const char *file, int line) {
    if (!held)
        check_failed_at(file, line, what);
    return held;
}

static inline bool check_equal(long long actual, long long expected, const char *what, const char *expected_text,
                               const char *file, int line) {
    if (actual == expected)
        return true;
    if (check_failed_at(file, line, what))
        fprintf(stderr, "    expected %lld (0x%llx): %s\n    got      %lld (0x%llx)\n", expected,
                (unsigned long long)expected, expected_text, actual, (unsigned long long)actual);
    return false;
}

/* Prints at most 200 bytes, the unprintable ones as \xNN. */
static inline void check_print_bytes(const char *label, const char *bytes, size_t size) {
    fprintf(stderr, "    %s (%zu bytes) \"", label, size);
    for (size_t i = 0; i < size && i < 200; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= 0x20 && c < 0x7f)
            fputc(c, stderr);
        else
            fprintf(stderr, "\\x%02x", c);
    }
    fprintf(stderr, size > 200 ? "\"...\n" : "\"\n");
}

static inline bool check_mem_equal(const void *actual, size_t actual_size, const void *expected, size_t expected_size,
                                   const char *what, const char *file, int line) {
    if (actual_size == expected_size && (actual_size == 0 || memcmp(actual, expected, actual_size) == 0))
        return true;
    if (check_failed_at(file, line, what)) {
        check_print_bytes("expected", expected, expected_size);
        check_print_bytes("got     ", actual, actual_size);
    }
    return false;
}

static inline bool check_str_equal(const char *actual, const char *expected, const char *what, const char *file,
                                   int line) {
    if (actual != NULL && expected != NULL)
        return check_mem_equal(actual, strlen(actual), expected, strlen(expected), what, file, line);
    if (actual == expected)
        return true;
    if (check_failed_at(file, line, what))
        fprintf(stderr, "    expected %s\n    got      %s\n", expected ? expected : "NULL", actual ? actual : "NULL");
    return false;
}

static inline void check_run(void (*test)(void), const char *name) {
    int before = atomic_load(&check_failures);
    test();
    int failures = atomic_load(&check_failures) - before;
    if (failures == 0) {
        check_tests_passed++;
        return;
    }
    check_tests_failed++;
    fprintf(stderr, "FAILED %s (%d checks)\n", name, failures);
}

/* Prints the last line; returns what main should. A failed check outside of any test fails the program too. */
static inline int check_report(void) {
    fflush(stderr);
    printf("%d passed, %d failed\n", check_tests_passed, check_tests_failed);
    return atomic_load(&check_failures) == 0 && check_tests_passed > 0 ? 0 : 1;
}

#endif
