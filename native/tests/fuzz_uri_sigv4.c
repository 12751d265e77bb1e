/* libFuzzer: any bytes as the parts of a request that is to be signed.
 *
 * What must hold: an encoding decodes to what was encoded; a query does not depend on the order of its pairs; a
 * signature depends neither on the order or case of (distinct) header names nor on what an earlier signature left
 * behind in the key; and what is appended is whole lines. */
#include "../sigv4.h"
#include "../uri.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* abort() rather than assert(), which NDEBUG would take away. */
#define REQUIRE(cond) ((cond) ? (void)0 : abort())

enum { MAX_PAIRS = 6 };

/* The fuzzer's bytes, cut into parts: one byte of length, then so many bytes. */
typedef struct {
    const char *data;
    size_t size;
} input;

static fds_str take(input *from) {
    if (from->size == 0)
        return (fds_str){"", 0};
    size_t size = (unsigned char)from->data[0];
    if (size > from->size - 1)
        size = from->size - 1;
    fds_str part = {from->data + 1, size};
    from->data += 1 + size;
    from->size -= 1 + size;
    return part;
}

static size_t take_pairs(input *from, fds_pair *pairs) {
    size_t count = 0;
    for (; count < MAX_PAIRS && from->size > 0; count++) {
        pairs[count].name = take(from);
        pairs[count].value = take(from);
    }
    return count;
}

static void reverse(fds_pair *to, const fds_pair *from, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[count - 1 - i];
}

static int hex_value(char c) {
    REQUIRE((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static void check_encoding(fds_str text, bool keep_slash) {
    char *encoded = malloc(FDS_URI_ENCODED_MAX(text.size) + 1);
    REQUIRE(encoded != NULL);
    size_t size = fds_uri_encode(encoded, text.data, text.size, keep_slash), at = 0;
    REQUIRE(size <= FDS_URI_ENCODED_MAX(text.size));
    for (size_t i = 0; i < text.size; i++) {
        REQUIRE(at < size && (keep_slash || encoded[at] != '/'));
        if (encoded[at] == '%') {
            REQUIRE(size - at >= 3);
            REQUIRE((char)(hex_value(encoded[at + 1]) << 4 | hex_value(encoded[at + 2])) == text.data[i]);
            at += 3;
        } else {
            REQUIRE(encoded[at++] == text.data[i]);
        }
    }
    REQUIRE(at == size);
    free(encoded);
}

static bool same(const fds_buf *a, const fds_buf *b) {
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void check_query(const fds_pair *query, size_t count) {
    fds_pair reversed[MAX_PAIRS];
    fds_buf forth = {0}, back = {0};
    reverse(reversed, query, count);
    fds_sigv4_query(&forth, query, count);
    fds_sigv4_query(&back, reversed, count);
    REQUIRE(!forth.failed && !back.failed && same(&forth, &back));
    fds_buf_free(&forth);
    fds_buf_free(&back);
}

static char swap_case(char c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter ? (char)(c ^ 0x20) : c;
}

static bool same_name(fds_str a, fds_str b) {
    for (size_t i = 0; i < a.size && i < b.size; i++)
        if (a.data[i] != b.data[i] && a.data[i] != swap_case(b.data[i]))
            return false;
    return a.size == b.size;
}

static bool are_distinct(const fds_pair *headers, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (same_name(headers[i].name, headers[j].name))
                return false;
    return true;
}

/* The same headers the other way round, their names in the other case; the text of the names goes to `names`. */
static void disguise(fds_pair *to, const fds_pair *from, size_t count, fds_buf *names) {
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room += from[i].name.size;
    REQUIRE(fds_buf_reserve(names, room));
    reverse(to, from, count);
    for (size_t i = 0; i < count; i++) {
        char *name = names->data + names->size;
        for (size_t at = 0; at < to[i].name.size; at++)
            fds_buf_add_char(names, swap_case(to[i].name.data[at]));
        to[i].name.data = name;
    }
}

static void check_lines(const fds_buf *out) {
    static const char begin[] = "x-amz-date: ", authorization[] = "\r\nauthorization: AWS4-HMAC-SHA256 Credential=";
    REQUIRE(out->size > sizeof begin + sizeof authorization);
    REQUIRE(memcmp(out->data, begin, sizeof begin - 1) == 0);
    REQUIRE(memcmp(out->data + out->size - 2, "\r\n", 2) == 0);
    for (size_t i = out->size - 66; i < out->size - 2; i++)
        REQUIRE(strchr("0123456789abcdef", out->data[i]) != NULL && out->data[i] != '\0');
    bool found = false;
    for (size_t i = 0; i + sizeof authorization <= out->size && !found; i++)
        found = memcmp(out->data + i, authorization, sizeof authorization - 1) == 0;
    REQUIRE(found);
}

static void check_signature(const fds_signer *signer, const fds_signable *request, time_t when) {
    static fds_signing_key *used_key; /* with what earlier inputs left in it */
    fds_buf first = {0}, second = {0}, names = {0};
    fds_pair disguised[MAX_PAIRS];
    if (used_key == NULL)
        used_key = fds_signing_key_new();
    fds_signing_key *fresh_key = fds_signing_key_new();
    REQUIRE(used_key != NULL && fresh_key != NULL);

    fds_signable other = *request;
    if (are_distinct(request->headers, request->header_count)) {
        disguise(disguised, request->headers, request->header_count, &names);
        other.headers = disguised;
    }
    int result = fds_sigv4_sign(&first, signer, used_key, request, when);
    REQUIRE(fds_sigv4_sign(&second, signer, fresh_key, &other, when) == result);
    REQUIRE((result == 0) == (when >= 0 && when < 253402300800));
    REQUIRE(same(&first, &second));
    if (result == 0)
        check_lines(&first);

    fds_signing_key_free(fresh_key);
    fds_buf_free(&first);
    fds_buf_free(&second);
    fds_buf_free(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input from = {(const char *)data, size};
    fds_pair query[MAX_PAIRS], headers[MAX_PAIRS];
    int64_t when = 0;
    fds_str time_bytes = take(&from);
    memcpy(&when, time_bytes.data, time_bytes.size < sizeof when ? time_bytes.size : sizeof when);
    fds_signer signer = {take(&from), take(&from), take(&from), take(&from), take(&from)};
    fds_signable request = {.method = take(&from), .path = take(&from), .payload_hash = take(&from)};
    request.query_count = take_pairs(&from, query);
    request.query = query;
    request.header_count = take_pairs(&from, headers);
    request.headers = headers;

    check_encoding(request.path, true);
    check_encoding(request.path, false);
    check_query(query, request.query_count);
    check_signature(&signer, &request, (time_t)when);
    return 0;
}
