#include "../uri.h"
#include "check.h"

static void check_encoding(const char *text, size_t size, bool keep_slash, const char *expected) {
    char out[FDS_URI_ENCODED_MAX(256)];
    size_t written = fds_uri_encode(out, text, size, keep_slash);
    CHECK_MEM_EQ(out, written, expected, strlen(expected));
}

static void unreserved_characters_stay(void) {
    const char *unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    check_encoding(unreserved, strlen(unreserved), false, unreserved);
    check_encoding(unreserved, strlen(unreserved), true, unreserved);
}

static void every_other_byte_becomes_percent_and_two_capital_digits(void) {
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        if (byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", byte) != NULL)
            continue;
        char expected[4];
        snprintf(expected, sizeof expected, "%%%02X", (unsigned)byte);
        check_encoding(&c, 1, false, expected);
    }
}

static void a_slash_stays_only_where_keys_go_into_paths(void) {
    check_encoding("a//b/./c/", 9, true, "a//b/./c/");
    check_encoding("a//b/./c/", 9, false, "a%2F%2Fb%2F.%2Fc%2F");
}

static void a_space_is_percent_20_and_plus_and_percent_are_encoded(void) {
    check_encoding("a b+c%20", 8, true, "a%20b%2Bc%2520");
}

static void utf8_is_encoded_byte_by_byte(void) {
    check_encoding("\xf0\x9f\x98\x80/\xe1\x88\xb4", 8, true, "%F0%9F%98%80/%E1%88%B4");
}

static void nothing_encodes_to_nothing(void) {
    char untouched = 'x';
    CHECK_EQ(fds_uri_encode(&untouched, "", 0, false), 0);
    CHECK_EQ(untouched, 'x');
}

int main(void) {
    RUN(unreserved_characters_stay);
    RUN(every_other_byte_becomes_percent_and_two_capital_digits);
    RUN(a_slash_stays_only_where_keys_go_into_paths);
    RUN(a_space_is_percent_20_and_plus_and_percent_are_encoded);
    RUN(utf8_is_encoded_byte_by_byte);
    RUN(nothing_encodes_to_nothing);
    return check_report();
}
