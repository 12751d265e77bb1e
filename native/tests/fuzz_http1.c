/* libFuzzer: any bytes as a response head and as a chunked body. How a peer's bytes happen to be split into reads must
 * not change what they mean, so that each input is taken whole and in pieces, and the two are compared.
 *
 * The first byte of an input chooses what it is and seeds the splits. */
#include "../http1.h"

#include <stdlib.h>
#include <string.h>

/* abort() rather than assert(), which NDEBUG would take away. */
#define REQUIRE(cond) ((cond) ? (void)0 : abort())

/* Pieces of 1 to 8 bytes, now and then a long one. */
static size_t next_piece(uint32_t *seed, size_t left) {
    *seed = *seed * 1664525u + 1013904223u;
    size_t piece = (*seed >> 24) % 16 == 0 ? 1 + (*seed >> 8) % 5000 : 1 + (*seed >> 20) % 8;
    return piece < left ? piece : left;
}

/* Just as large as needed, so that AddressSanitizer sees a step outside. */
static char *copy(const char *data, size_t size) {
    char *own = malloc(size > 0 ? size : 1);
    REQUIRE(own != NULL);
    if (size > 0)
        memcpy(own, data, size);
    return own;
}

/* ---- heads ---- */

static bool is_within(const fds_response_head *head, uint32_t at, uint32_t size) {
    return at <= head->head_size && size <= head->head_size - at;
}

static void check_head(const char *data, size_t size, bool to_head, const fds_response_head *head) {
    REQUIRE(head->status >= 100 && head->status <= 999);
    REQUIRE(head->head_size <= size && head->head_size <= FDS_HEAD_MAX);
    REQUIRE(memcmp(data + head->head_size - 4, "\r\n\r\n", 4) == 0);
    REQUIRE(head->header_count <= FDS_HEADERS_MAX);
    REQUIRE(head->content_length <= INT64_MAX);
    REQUIRE(head->has_content_length || head->content_length == 0);
    REQUIRE(head->body != FDS_BODY_LENGTH || head->has_content_length);
    REQUIRE(!to_head || head->body == FDS_BODY_NONE);
    REQUIRE(head->body != FDS_BODY_CLOSE || !head->keep_alive);
    for (size_t i = 0; i < head->header_count; i++) {
        const fds_header *header = &head->headers[i];
        REQUIRE(header->name_size > 0 && is_within(head, header->name, header->name_size));
        REQUIRE(is_within(head, header->value, header->value_size));
        for (uint32_t at = 0; at < header->name_size; at++)
            REQUIRE(data[header->name + at] > ' ' &&
                    !(data[header->name + at] >= 'A' && data[header->name + at] <= 'Z'));
        REQUIRE(header->value_size == 0 || memchr("\r\n", data[header->value], 2) == NULL);
        REQUIRE(memchr(data + header->value, '\0', header->value_size) == NULL);
    }
}

static bool same_heads(const fds_response_head *a, const fds_response_head *b) {
    return a->status == b->status && a->keep_alive == b->keep_alive && a->body == b->body &&
           a->content_length == b->content_length && a->has_content_length == b->has_content_length &&
           a->head_size == b->head_size && a->header_count == b->header_count &&
           memcmp(a->headers, b->headers, a->header_count * sizeof *a->headers) == 0;
}

static void fuzz_head(const char *data, size_t size, uint32_t seed) {
    static fds_response_head whole, split;
    bool to_head = seed & 1;
    size_t scanned = 0;
    const char *why = NULL, *split_why = NULL;
    char *own = copy(data, size);
    fds_parse_result expected = fds_parse_response(own, size, &scanned, to_head, &whole, &why);
    REQUIRE(scanned <= size && scanned <= FDS_HEAD_MAX);
    REQUIRE((expected == FDS_PARSE_ERROR) == (why != NULL));
    if (expected == FDS_PARSE_OK)
        check_head(own, size, to_head, &whole);
    free(own);

    fds_parse_result result = FDS_PARSE_MORE;
    size_t have = 0;
    own = copy(data, size);
    scanned = 0;
    while (result == FDS_PARSE_MORE && have < size) {
        size_t before = scanned;
        have += next_piece(&seed, size - have);
        char *part = copy(own, have);
        result = fds_parse_response(part, have, &scanned, to_head, &split, &split_why);
        REQUIRE(scanned >= before);
        free(part);
    }
    REQUIRE(result == expected);
    REQUIRE(result != FDS_PARSE_OK || same_heads(&whole, &split));
    free(own);
}

/* ---- chunked bodies ---- */

typedef struct {
    fds_parse_result result;
    size_t used, body_size;
    const char *why;
} decoded;

/* `whole`: one piece. */
static decoded decode(const char *data, size_t size, bool whole, uint32_t seed, char *body) {
    decoded all = {.result = FDS_PARSE_MORE};
    fds_chunked chunked = {0};
    while (all.result == FDS_PARSE_MORE && all.used < size) {
        size_t piece = whole ? size - all.used : next_piece(&seed, size - all.used);
        char *own = copy(data + all.used, piece);
        for (size_t at = 0; at < piece && all.result == FDS_PARSE_MORE;) {
            size_t used, run_size;
            const char *run;
            all.result = fds_chunked_feed(&chunked, own + at, piece - at, &used, &run, &run_size, &all.why);
            REQUIRE(used <= piece - at && run_size <= used);
            REQUIRE(used > 0 || all.result != FDS_PARSE_MORE);
            REQUIRE((all.result == FDS_PARSE_ERROR) == (all.why != NULL));
            if (run_size > 0) {
                REQUIRE(run >= own + at && run + run_size <= own + at + used);
                memcpy(body + all.body_size, run, run_size);
            }
            all.body_size += run_size;
            all.used += used;
            at += used;
        }
        free(own);
    }
    return all;
}

static void fuzz_chunked(const char *data, size_t size, uint32_t seed) {
    char *whole_body = copy(data, size), *split_body = copy(data, size);
    decoded whole = decode(data, size, true, seed, whole_body);
    decoded split = decode(data, size, false, seed, split_body);
    REQUIRE(whole.result == split.result && whole.used == split.used && whole.body_size == split.body_size);
    REQUIRE(whole.why == split.why);
    REQUIRE(memcmp(whole_body, split_body, whole.body_size) == 0);
    free(whole_body);
    free(split_body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] & 0x80)
        fuzz_chunked((const char *)data + 1, size - 1, data[0]);
    else
        fuzz_head((const char *)data + 1, size - 1, data[0]);
    return 0;
}
