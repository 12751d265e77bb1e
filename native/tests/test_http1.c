#include "../http1.h"
#include "check.h"

#include <stdlib.h>

/* ---- heads ---- */

/* Parses a copy of just the right size, so that a sanitizer sees a read past its end. */
static fds_parse_result parse(const char *text, size_t size, bool to_head, fds_response_head *head, const char **why) {
    char *data = malloc(size + 1);
    size_t scanned = 0;
    *why = NULL;
    memcpy(data, text, size);
    char *exact = realloc(data, size > 0 ? size : 1);
    fds_parse_result result = fds_parse_response(exact, size, &scanned, to_head, head, why);
    CHECK((result == FDS_PARSE_ERROR) == (*why != NULL));
    free(exact);
    return result;
}

static fds_parse_result parse_text(const char *text, fds_response_head *head) {
    const char *why;
    return parse(text, strlen(text), false, head, &why);
}

static void check_refused_bytes(const char *text, size_t size, const char *expected_why) {
    fds_response_head head;
    const char *why;
    CHECK_EQ(parse(text, size, false, &head, &why), FDS_PARSE_ERROR);
    CHECK_STR_EQ(why, expected_why);
}

static void check_refused(const char *text, const char *expected_why) {
    check_refused_bytes(text, strlen(text), expected_why);
}

static void check_header(const char *data, const fds_header *header, const char *name, const char *value) {
    CHECK_MEM_EQ(data + header->name, header->name_size, name, strlen(name));
    CHECK_MEM_EQ(data + header->value, header->value_size, value, strlen(value));
}

static void a_typical_head_is_parsed_and_names_are_lower_cased_in_place(void) {
    char data[] = "HTTP/1.1 206 Partial Content\r\nContent-Length: 42\r\nETag:\"Abc\"\r\nX-Amz-Meta-Empty:\r\n"
                  "X-Amz-Meta-Blank: \t two  Words\t \r\n\r\nBODY";
    size_t scanned = 0, size = sizeof data - 1;
    fds_response_head head;
    const char *why = NULL;
    CHECK_EQ(fds_parse_response(data, size, &scanned, false, &head, &why), FDS_PARSE_OK);
    CHECK_EQ(head.status, 206);
    CHECK(head.keep_alive);
    CHECK_EQ(head.body, FDS_BODY_LENGTH);
    CHECK(head.has_content_length);
    CHECK_EQ(head.content_length, 42);
    CHECK_EQ(head.head_size, size - 4);
    if (!CHECK_EQ(head.header_count, 4))
        return;
    check_header(data, &head.headers[0], "content-length", "42");
    check_header(data, &head.headers[1], "etag", "\"Abc\"");
    check_header(data, &head.headers[2], "x-amz-meta-empty", "");
    check_header(data, &head.headers[3], "x-amz-meta-blank", "two  Words");
}

static void every_prefix_wants_more_and_each_byte_is_scanned_once(void) {
    const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: b\r\n\r\n";
    char data[sizeof text];
    size_t scanned = 0;
    fds_response_head head;
    const char *why = NULL;
    memcpy(data, text, sizeof text);
    for (size_t size = 0; size < sizeof text - 1; size++) {
        CHECK_EQ(fds_parse_response(data, size, &scanned, false, &head, &why), FDS_PARSE_MORE);
        CHECK_EQ(scanned, size);
    }
    CHECK_EQ(fds_parse_response(data, sizeof text - 1, &scanned, false, &head, &why), FDS_PARSE_OK);
    CHECK_EQ(head.header_count, 2);
}

static void a_status_line_may_lack_its_reason(void) {
    fds_response_head head;
    CHECK_EQ(parse_text("HTTP/1.1 200\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.status, 200);
    CHECK_EQ(parse_text("HTTP/1.1 503 \r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.status, 503);
    CHECK_EQ(parse_text("HTTP/1.1 999 caf\xc3\xa9 \t!\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.status, 999);
}

static void malformed_status_lines_are_refused(void) {
    static const char *const lines[] = {
        "HTTP/1.1 099 Low", "HTTP/1.1 1000 High", "HTTP/1.1 20 Short", "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK", "HTTP/1.1 2x0 OK",    "HTTP/1.x 200 OK",   "HTTP/1.10 200 OK",
        "HTTP/1.1 -20 OK",  "HTTP/1.1 200\tOK",   "HTTP/1.1 200 O\rK", "HTTP/1.1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s\r\n\r\n", lines[i]);
        check_refused(text, "a malformed status line");
    }
    check_refused_bytes("HTTP/1.1 200 \0\r\n\r\n", 18, "a malformed status line");
}

static void a_peer_that_is_not_http_is_refused_at_its_first_wrong_byte(void) {
    check_refused("S", "the reply is not HTTP/1.x");
    check_refused("HTTP/2", "the reply is not HTTP/1.x");
    check_refused("http/1.1 200 OK\r\n\r\n", "the reply is not HTTP/1.x");
    check_refused("\r\nHTTP/1.1 200 OK\r\n\r\n", "the reply is not HTTP/1.x");
    check_refused("\x15\x03\x01", "the reply is not HTTP/1.x");
}

static void line_feeds_alone_are_refused_before_the_head_is_complete(void) {
    check_refused("HTTP/1.1 200 OK\n", "a line of the head ends with LF without CR");
    check_refused("HTTP/1.1 200 OK\r\nA: b\n", "a line of the head ends with LF without CR");
    check_refused("HTTP/1.1 200 OK\r\n\n", "a line of the head ends with LF without CR");
}

static void malformed_header_lines_are_refused(void) {
#define HEAD "HTTP/1.1 200 OK\r\nA: b\r\n"
    check_refused(HEAD " folded\r\n\r\n", "a folded header line");
    check_refused(HEAD "\tfolded: yes\r\n\r\n", "a folded header line");
    check_refused("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "a folded header line");
    check_refused(HEAD "no colon\r\n\r\n", "a header line without a colon");
    check_refused(HEAD ": nameless\r\n\r\n", "a header without a name");
    check_refused(HEAD "Name : b\r\n\r\n", "a header name with a character that none may have");
    check_refused(HEAD "Na me: b\r\n\r\n", "a header name with a character that none may have");
    check_refused(HEAD "Na(me: b\r\n\r\n", "a header name with a character that none may have");
    check_refused(HEAD "Nam\xc3\xa9: b\r\n\r\n", "a header name with a character that none may have");
    check_refused(HEAD "C: a\rb\r\n\r\n", "a NUL or a bare CR in a header line");
    check_refused(HEAD "C: a\r\r\n\r\n", "a NUL or a bare CR in a header line");
    check_refused_bytes(HEAD "C: \0\r\n\r\n", sizeof HEAD "C: \0\r\n\r\n" - 1, "a NUL or a bare CR in a header line");
}

static void a_length_is_a_number_below_2_to_the_63(void) {
    static const char *const lengths[] = {"",
                                          "-1",
                                          "+1",
                                          "1 1",
                                          "0x10",
                                          "1,1",
                                          "1.0",
                                          "9223372036854775808",
                                          "18446744073709551617",
                                          "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char text[96];
        snprintf(text, sizeof text, HEAD "Content-Length: %s\r\n\r\n", lengths[i]);
        check_refused(text, "content-length is not a number below 2^63");
    }
    fds_response_head head;
    CHECK_EQ(parse_text(HEAD "Content-Length: 9223372036854775807\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK(head.content_length == INT64_MAX);
    CHECK_EQ(parse_text(HEAD "Content-Length: 00000000000000000000007\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.content_length, 7);
}

static void a_length_given_twice_must_be_the_same(void) {
    fds_response_head head;
    CHECK_EQ(parse_text(HEAD "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.content_length, 5);
    check_refused(HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "content-length is given twice and differs");
    check_refused(HEAD "Content-Length: 0\r\nContent-Length: 6\r\n\r\n", "content-length is given twice and differs");
}

static void chunked_is_the_only_transfer_encoding(void) {
    fds_response_head head;
    CHECK_EQ(parse_text(HEAD "Transfer-Encoding: CHUNKED\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.body, FDS_BODY_CHUNKED);
    CHECK(head.keep_alive);
    static const char other[] = "a transfer-encoding other than chunked";
    check_refused(HEAD "Transfer-Encoding: gzip\r\n\r\n", other);
    check_refused(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", other);
    check_refused(HEAD "Transfer-Encoding: \r\n\r\n", other);
    check_refused(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", other);
}

static void a_length_together_with_a_transfer_encoding_is_refused(void) {
    static const char both[] = "content-length together with transfer-encoding";
    check_refused(HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", both);
    check_refused(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", both);
}

static void replies_that_have_no_body_say_so_and_keep_the_length_that_they_state(void) {
    fds_response_head head;
    const char *why;
    static const int statuses[] = {100, 103, 199, 204, 304};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char text[96];
        snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n", statuses[i]);
        CHECK_EQ(parse_text(text, &head), FDS_PARSE_OK);
        CHECK_EQ(head.body, FDS_BODY_NONE);
        CHECK_EQ(head.content_length, 9);
    }
    static const char to_head[] = HEAD "Content-Length: 123456789\r\n\r\n";
    CHECK_EQ(parse(to_head, sizeof to_head - 1, true, &head, &why), FDS_PARSE_OK);
    CHECK_EQ(head.body, FDS_BODY_NONE);
    CHECK_EQ(head.content_length, 123456789);
    CHECK(head.keep_alive);
    CHECK_EQ(parse_text("HTTP/1.1 100 Continue\r\n\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.body, FDS_BODY_NONE);
    CHECK(!head.has_content_length);
    CHECK_EQ(head.content_length, 0);
}

static void a_body_without_length_lasts_until_the_connection_closes(void) {
    fds_response_head head;
    CHECK_EQ(parse_text(HEAD "\r\n", &head), FDS_PARSE_OK);
    CHECK_EQ(head.body, FDS_BODY_CLOSE);
    CHECK(!head.keep_alive);
}

static void the_connection_is_kept_as_version_and_header_say(void) {
    static const struct {
        const char *head;
        bool keep_alive;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n", true},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\n", false},
        {"HTTP/1.1 200 OK\r\nConnection: Close\r\n", false},
        {"HTTP/1.1 200 OK\r\nConnection: foo ,\tclose ,bar\r\n", false},
        {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n", false},
        {"HTTP/1.1 200 OK\r\nConnection: closed, , xclose\r\n", true},
        {"HTTP/1.0 200 OK\r\n", false},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        fds_response_head head;
        snprintf(text, sizeof text, "%sContent-Length: 0\r\n\r\n", rows[i].head);
        CHECK_EQ(parse_text(text, &head), FDS_PARSE_OK);
        if (!CHECK_EQ(head.keep_alive, rows[i].keep_alive))
            fprintf(stderr, "%s", text);
    }
}

static void a_chunked_reply_of_http_1_0_ends_its_connection(void) {
    fds_response_head head;
    CHECK_EQ(parse_text("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", &head),
             FDS_PARSE_OK);
    CHECK_EQ(head.body, FDS_BODY_CHUNKED);
    CHECK(!head.keep_alive);
}

static void a_head_has_at_most_128_header_lines(void) {
    static const char status[] = "HTTP/1.1 200 OK\r\n", line[] = "a:b\r\n";
    char text[1024];
    for (int lines = FDS_HEADERS_MAX; lines <= FDS_HEADERS_MAX + 1; lines++) {
        size_t size = sizeof status - 1;
        memcpy(text, status, size);
        for (int i = 0; i < lines; i++, size += sizeof line - 1)
            memcpy(text + size, line, sizeof line - 1);
        memcpy(text + size, "\r\n", 2);
        if (lines == FDS_HEADERS_MAX) {
            fds_response_head head;
            const char *why;
            CHECK_EQ(parse(text, size + 2, false, &head, &why), FDS_PARSE_OK);
            CHECK_EQ(head.header_count, FDS_HEADERS_MAX);
        } else {
            check_refused_bytes(text, size + 2, "over 128 header lines");
        }
    }
}

static void a_head_is_at_most_64_kib(void) {
    static const char begin[] = "HTTP/1.1 200 OK\r\na:";
    char *text = malloc(FDS_HEAD_MAX + 1);
    fds_response_head head;
    const char *why;
    memset(text, 'x', FDS_HEAD_MAX + 1);
    memcpy(text, begin, sizeof begin - 1);
    CHECK_EQ(parse(text, FDS_HEAD_MAX - 1, false, &head, &why), FDS_PARSE_MORE);
    check_refused_bytes(text, FDS_HEAD_MAX, "the head is over 64 KiB");
    memcpy(text + FDS_HEAD_MAX - 4, "\r\n\r\n", 4);
    CHECK_EQ(parse(text, FDS_HEAD_MAX + 1, false, &head, &why), FDS_PARSE_OK);
    CHECK_EQ(head.head_size, FDS_HEAD_MAX);
    memcpy(text + FDS_HEAD_MAX - 4, "x\r\n\r\n", 5);
    check_refused_bytes(text, FDS_HEAD_MAX + 1, "the head is over 64 KiB");
    free(text);
}

/* ---- chunked bodies ---- */

typedef struct {
    fds_parse_result result;
    size_t used; /* of the whole input */
    char body[256];
    size_t body_size;
    const char *why;
} decoded;

/* Feeds at most `step` bytes at a time. */
static decoded decode(const char *text, size_t size, size_t step) {
    decoded all = {.result = FDS_PARSE_MORE};
    fds_chunked chunked = {0};
    while (all.result == FDS_PARSE_MORE && all.used < size) {
        size_t have = size - all.used < step ? size - all.used : step, used, body_size;
        const char *body;
        all.result = fds_chunked_feed(&chunked, text + all.used, have, &used, &body, &body_size, &all.why);
        if (!CHECK(used <= have && (used > 0 || all.result != FDS_PARSE_MORE)) ||
            !CHECK(body_size <= sizeof all.body - all.body_size))
            break;
        if (body_size > 0)
            memcpy(all.body + all.body_size, body, body_size);
        all.body_size += body_size;
        all.used += used;
    }
    return all;
}

static void check_decoded(const char *text, const char *body, size_t left_over) {
    for (size_t step = 1; step <= strlen(text); step++) {
        decoded all = decode(text, strlen(text), step);
        CHECK_EQ(all.result, FDS_PARSE_OK);
        CHECK_MEM_EQ(all.body, all.body_size, body, strlen(body));
        CHECK_EQ(all.used, strlen(text) - left_over);
    }
}

static void check_undecodable(const char *text, size_t size, const char *why) {
    for (size_t step = 1; step <= size; step = step < 32 ? step + 1 : step * 2) {
        decoded all = decode(text, size, step);
        CHECK_EQ(all.result, FDS_PARSE_ERROR);
        CHECK_STR_EQ(all.why, why);
    }
}

static void chunks_are_joined_however_they_arrive(void) {
    check_decoded("0\r\n\r\n", "", 0);
    check_decoded("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
    check_decoded("5\r\nhello\r\n1\r\n \r\n00A\r\n0123456789\r\n000\r\n\r\n", "hello 0123456789", 0);
    check_decoded("b\r\n\r\n0\r\n\r\nabcd\r\n0\r\n\r\n", "\r\n0\r\n\r\nabcd", 0);
}

static void bytes_after_the_body_belong_to_the_next_response(void) {
    check_decoded("1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "x", 19);
}

static void a_complete_body_takes_no_more(void) {
    fds_chunked chunked = {0};
    size_t used, body_size;
    const char *body, *why = NULL;
    CHECK_EQ(fds_chunked_feed(&chunked, "0\r\n\r\n", 5, &used, &body, &body_size, &why), FDS_PARSE_OK);
    CHECK_EQ(fds_chunked_feed(&chunked, "1\r\nx", 4, &used, &body, &body_size, &why), FDS_PARSE_OK);
    CHECK_EQ(used, 0);
    CHECK_EQ(body_size, 0);
}

static void extensions_and_trailers_are_skipped(void) {
    check_decoded("1;name=value;q=\"a;b\"\r\nx\r\n0;last\r\n\r\n", "x", 0);
    check_decoded("1 \t;a\r\nx\r\n1 \r\ny\r\n0\r\n\r\n", "xy", 0);
    check_decoded("1\r\nx\r\n0\r\nx-amz-checksum-crc32c: abc==\r\nB: c\r\n\r\n", "x", 0);
}

static void malformed_size_lines_are_refused(void) {
    static const char number[] = "a chunk's size is not a hexadecimal number";
    static const char *const texts[] = {"\r\n",   "g\r\n",   ";a\r\n", "-1\r\n", "0x5\r\n",
                                        " 5\r\n", "5 5\r\n", "5,\r\n", "\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_undecodable(texts[i], strlen(texts[i]), number);
    check_undecodable("1\rx", 3, "a chunk's size line does not end with CRLF");
    check_undecodable("1;a\rb\r\nx", 8, "a chunk's size line does not end with CRLF");
    check_undecodable("1\nx", 3, "a NUL or a bare LF in a chunk's size line");
    check_undecodable("1;a\nx", 5, "a NUL or a bare LF in a chunk's size line");
    check_undecodable("1;\0\r\n", 5, "a NUL or a bare LF in a chunk's size line");
}

static void a_chunk_of_2_to_the_63_bytes_is_refused_and_one_less_is_not(void) {
    check_undecodable("8000000000000000\r\n", 18, "a chunk's size is over 2^63-1");
    check_undecodable("10000000000000000\r\n", 19, "a chunk's size is over 2^63-1");
    check_undecodable("fffffffffffffffffffff\r\n", 23, "a chunk's size is over 2^63-1");
    decoded all = decode("00007FFFFFFFFFFFFFFF\r\nabc", 25, 25);
    CHECK_EQ(all.result, FDS_PARSE_MORE);
    CHECK_MEM_EQ(all.body, all.body_size, "abc", 3);
}

static void chunk_data_must_be_followed_by_crlf(void) {
    static const char why[] = "a chunk's data is not followed by CRLF";
    check_undecodable("1\r\nxy\r\n", 7, why);
    check_undecodable("1\r\nx\n0\r\n", 8, why);
    check_undecodable("1\r\nx\rz", 6, why);
}

static void malformed_trailers_are_refused(void) {
    check_undecodable("0\r\n\n", 4, "a NUL or a bare LF in a trailer line");
    check_undecodable("0\r\na: b\n\r\n", 10, "a NUL or a bare LF in a trailer line");
    check_undecodable("0\r\na\0\r\n", 7, "a NUL or a bare LF in a trailer line");
    check_undecodable("0\r\na\rb\r\n", 8, "a trailer line does not end with CRLF");
    check_undecodable("0\r\n\rx", 5, "a trailer line does not end with CRLF");
}

static void size_lines_and_trailers_are_bounded(void) {
    enum { KIB = 1024, ROOM = 32 * KIB };
    char *text = malloc(ROOM);
    memset(text, '0', ROOM);
    check_undecodable(text, ROOM, "a chunk's size line is over 8 KiB");
    memset(text, 'e', ROOM);
    memcpy(text, "1;", 2);
    check_undecodable(text, ROOM, "a chunk's size line is over 8 KiB");
    memcpy(text + 8 * KIB - 2, "\r\nx", 3);
    decoded all = decode(text, 8 * KIB + 1, ROOM);
    CHECK_EQ(all.result, FDS_PARSE_MORE);
    CHECK_MEM_EQ(all.body, all.body_size, "x", 1);

    static const char trailer[] = "a trailer is over 8 KiB in a line or 16 KiB in all";
    memset(text, 't', ROOM);
    memcpy(text, "0\r\n", 3);
    check_undecodable(text, 3 + 8 * KIB + 1, trailer);
    for (size_t at = 3 + 1022; at < ROOM; at += 1024)
        memcpy(text + at, "\r\n", 2);
    check_undecodable(text, 3 + 16 * KIB + 1, trailer);
    memcpy(text + 3 + 15 * KIB + 1020, "\r\n\r\n", 4);
    all = decode(text, 3 + 16 * KIB, ROOM);
    CHECK_EQ(all.result, FDS_PARSE_OK);
    free(text);
}

int main(void) {
    RUN(a_typical_head_is_parsed_and_names_are_lower_cased_in_place);
    RUN(every_prefix_wants_more_and_each_byte_is_scanned_once);
    RUN(a_status_line_may_lack_its_reason);
    RUN(malformed_status_lines_are_refused);
    RUN(a_peer_that_is_not_http_is_refused_at_its_first_wrong_byte);
    RUN(line_feeds_alone_are_refused_before_the_head_is_complete);
    RUN(malformed_header_lines_are_refused);
    RUN(a_length_is_a_number_below_2_to_the_63);
    RUN(a_length_given_twice_must_be_the_same);
    RUN(chunked_is_the_only_transfer_encoding);
    RUN(a_length_together_with_a_transfer_encoding_is_refused);
    RUN(replies_that_have_no_body_say_so_and_keep_the_length_that_they_state);
    RUN(a_body_without_length_lasts_until_the_connection_closes);
    RUN(the_connection_is_kept_as_version_and_header_say);
    RUN(a_chunked_reply_of_http_1_0_ends_its_connection);
    RUN(a_head_has_at_most_128_header_lines);
    RUN(a_head_is_at_most_64_kib);
    RUN(chunks_are_joined_however_they_arrive);
    RUN(bytes_after_the_body_belong_to_the_next_response);
    RUN(a_complete_body_takes_no_more);
    RUN(extensions_and_trailers_are_skipped);
    RUN(malformed_size_lines_are_refused);
    RUN(a_chunk_of_2_to_the_63_bytes_is_refused_and_one_less_is_not);
    RUN(chunk_data_must_be_followed_by_crlf);
    RUN(malformed_trailers_are_refused);
    RUN(size_lines_and_trailers_are_bounded);
    return check_report();
}
