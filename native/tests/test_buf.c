#include "../buf.h"
#include "check.h"

#include <limits.h>
#include <stdint.h>

static void check_content(const fds_buf *buf, const char *expected) {
    CHECK(!buf->failed);
    CHECK_MEM_EQ(buf->data, buf->size, expected, strlen(expected));
}

static void pieces_are_joined_in_order(void) {
    fds_buf buf = {0};
    fds_buf_add(&buf, "ab", 2);
    fds_buf_add_str(&buf, "cd");
    fds_buf_add_char(&buf, 'e');
    fds_buf_add(&buf, NULL, 0);
    check_content(&buf, "abcde");
    fds_buf_free(&buf);
}

static void it_grows_past_any_first_size(void) {
    fds_buf buf = {0};
    for (int i = 0; i < 100000; i++)
        fds_buf_add_char(&buf, (char)('a' + i % 26));
    CHECK_EQ(buf.size, 100000);
    CHECK(buf.capacity >= buf.size && buf.capacity <= 4 * buf.size);
    for (size_t i = 0; i < buf.size; i++)
        if (!CHECK_EQ(buf.data[i], 'a' + (int)(i % 26)))
            break;
    fds_buf_free(&buf);
}

static void clear_empties_but_keeps_the_memory(void) {
    fds_buf buf = {0};
    fds_buf_add_str(&buf, "something");
    char *data = buf.data;
    size_t capacity = buf.capacity;
    fds_buf_clear(&buf);
    CHECK_EQ(buf.size, 0);
    fds_buf_add_str(&buf, "else");
    CHECK(buf.data == data);
    CHECK_EQ(buf.capacity, capacity);
    check_content(&buf, "else");
    fds_buf_free(&buf);
}

static void a_freed_buffer_may_be_used_again(void) {
    fds_buf buf = {0};
    fds_buf_add_str(&buf, "x");
    fds_buf_free(&buf);
    CHECK(buf.data == NULL);
    CHECK_EQ(buf.capacity, 0);
    fds_buf_add_str(&buf, "y");
    check_content(&buf, "y");
    fds_buf_free(&buf);
    fds_buf_free(&buf);
}

static void reserved_room_is_not_moved_by_writes_that_fit(void) {
    fds_buf buf = {0};
    CHECK(fds_buf_reserve(&buf, 1000));
    char *data = buf.data;
    for (int i = 0; i < 1000; i++)
        fds_buf_add_char(&buf, 'x');
    CHECK(buf.data == data);
    fds_buf_free(&buf);
}

static void a_size_that_cannot_be_fails_and_later_writes_are_ignored(void) {
    fds_buf buf = {0};
    fds_buf_add_str(&buf, "kept");
    CHECK(!fds_buf_reserve(&buf, SIZE_MAX - 2));
    CHECK(buf.failed);
    fds_buf_add_str(&buf, "lost");
    fds_buf_add_u64(&buf, 1);
    fds_buf_add_hex(&buf, "x", 1);
    fds_buf_add_base64(&buf, "x", 1);
    CHECK(!fds_buf_reserve(&buf, 1));
    CHECK_MEM_EQ(buf.data, buf.size, "kept", 4);
    fds_buf_clear(&buf);
    fds_buf_add_str(&buf, "again");
    check_content(&buf, "again");
    fds_buf_free(&buf);
}

static void encodings_whose_length_would_wrap_fail(void) {
    fds_buf hex = {0}, base64 = {0};
    fds_buf_add_hex(&hex, "x", SIZE_MAX / 2 + 1);
    CHECK(hex.failed);
    fds_buf_add_base64(&base64, "x", SIZE_MAX / 4 * 3);
    CHECK(base64.failed);
    fds_buf_free(&hex);
    fds_buf_free(&base64);
}

static void numbers_are_written_in_decimal(void) {
    static const unsigned long long values[] = {0, 9, 10, 1234567890, INT64_MAX, ULLONG_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "%llu", values[i]);
        fds_buf buf = {0};
        fds_buf_add_u64(&buf, values[i]);
        check_content(&buf, expected);
        fds_buf_free(&buf);
    }
}

static void hex_is_lower_case(void) {
    fds_buf buf = {0};
    fds_buf_add_hex(&buf, "\x00\x09\xaf\xff", 4);
    fds_buf_add_hex(&buf, "", 0);
    check_content(&buf, "0009afff");
    fds_buf_free(&buf);
}

/* The vectors of RFC 4648, section 10, and the two digits beyond letters and numbers. */
static void base64_is_that_of_rfc_4648(void) {
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        fds_buf buf = {0};
        fds_buf_add_base64(&buf, pairs[i][0], strlen(pairs[i][0]));
        check_content(&buf, pairs[i][1]);
        fds_buf_free(&buf);
    }
}

int main(void) {
    RUN(pieces_are_joined_in_order);
    RUN(it_grows_past_any_first_size);
    RUN(clear_empties_but_keeps_the_memory);
    RUN(a_freed_buffer_may_be_used_again);
    RUN(reserved_room_is_not_moved_by_writes_that_fit);
    RUN(a_size_that_cannot_be_fails_and_later_writes_are_ignored);
    RUN(encodings_whose_length_would_wrap_fail);
    RUN(numbers_are_written_in_decimal);
    RUN(hex_is_lower_case);
    RUN(base64_is_that_of_rfc_4648);
    return check_report();
}
