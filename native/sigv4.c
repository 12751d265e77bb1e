#include "sigv4.h"

#include "sigv4_core.h"
#include "uri.h"

#include <stdlib.h>
#include <string.h>

/* ---- the query string ---- */

static int compare_text(fds_str a, fds_str b) {
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_pairs(const void *left, const void *right) {
    const fds_pair *a = left, *b = right;
    int names = compare_text(a->name, b->name);
    return names != 0 ? names : compare_text(a->value, b->value);
}

/* `encoded` has room reserved, so that what was returned before stays where it is. */
static fds_str add_encoded(fds_buf *encoded, fds_str text) {
    char *to = encoded->data + encoded->size;
    size_t size = fds_uri_encode(to, text.data, text.size, false);
    encoded->size += size;
    return (fds_str){to, size};
}

/* Sorted after encoding, as the signature demands: '%' sorts before every character that stays as it is. */
void fds_sigv4_query(fds_buf *out, const fds_pair *query, size_t count) {
    if (count == 0)
        return;
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room += FDS_URI_ENCODED_MAX(query[i].name.size) + FDS_URI_ENCODED_MAX(query[i].value.size);
    fds_buf encoded = {0};
    fds_pair *sorted = calloc(count, sizeof *sorted);
    if (sorted == NULL || !fds_buf_reserve(&encoded, room)) {
        out->failed = true;
    } else {
        for (size_t i = 0; i < count; i++) {
            sorted[i].name = add_encoded(&encoded, query[i].name);
            sorted[i].value = add_encoded(&encoded, query[i].value);
        }
        qsort(sorted, count, sizeof *sorted, compare_pairs);
        for (size_t i = 0; i < count; i++) {
            if (i > 0)
                fds_buf_add_char(out, '&');
            fds_buf_add(out, sorted[i].name.data, sorted[i].name.size);
            fds_buf_add_char(out, '=');
            fds_buf_add(out, sorted[i].value.data, sorted[i].value.size);
        }
    }
    free(sorted);
    fds_buf_free(&encoded);
}

/* ---- the headers that sign a request ---- */

static const fds_str date_name = {"x-amz-date", 10};
static const fds_str hash_name = {"x-amz-content-sha256", 20};
static const fds_str token_name = {"x-amz-security-token", 20};

static bool is_signed(fds_str name) {
    return fds_sigv4_name_is(name, "host") || fds_sigv4_name_begins(name, "x-amz-") ||
           fds_sigv4_name_is(name, "content-type") || fds_sigv4_name_is(name, "content-md5");
}

static void add_text(fds_buf *out, fds_str text) {
    fds_buf_add(out, text.data, text.size);
}

static void add_line(fds_buf *out, const fds_pair *header) {
    add_text(out, header->name);
    fds_buf_add_str(out, ": ");
    add_text(out, header->value);
    fds_buf_add_str(out, "\r\n");
}

static void add_authorization(fds_buf *out, const fds_signer *signer, const fds_signing_key *key,
                              const char signature[2 * FDS_SHA256_SIZE]) {
    fds_buf_add_str(out, "authorization: AWS4-HMAC-SHA256 Credential=");
    add_text(out, signer->access_key);
    fds_buf_add_char(out, '/');
    fds_buf_add(out, key->scope.data, key->scope.size);
    fds_buf_add_str(out, ", SignedHeaders=");
    add_text(out, key->signed_headers);
    fds_buf_add_str(out, ", Signature=");
    fds_buf_add(out, signature, 2 * FDS_SHA256_SIZE);
    fds_buf_add_str(out, "\r\n");
}

int fds_sigv4_sign(fds_buf *out, const fds_signer *signer, fds_signing_key *key, const fds_signable *request,
                   time_t when) {
    char timestamp[FDS_TIMESTAMP_SIZE], signature[2 * FDS_SHA256_SIZE];
    if (fds_sigv4_timestamp(timestamp, when) != 0)
        return -1;
    const fds_pair added[] = {
        {date_name, {timestamp, sizeof timestamp}},
        {hash_name, request->payload_hash},
        {token_name, signer->session_token},
    };
    size_t added_count = signer->session_token.size > 0 ? 3 : 2;

    fds_pair *headers = malloc((request->header_count + added_count) * sizeof *headers);
    if (headers == NULL)
        return -1;
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (is_signed(request->headers[i].name))
            headers[count++] = request->headers[i];
    memcpy(headers + count, added, added_count * sizeof *added);

    fds_signable complete = *request;
    complete.headers = headers;
    complete.header_count = count + added_count;
    int result = fds_sigv4_signature(signature, key, signer, &complete, timestamp);
    free(headers);
    if (result != 0)
        return -1;

    for (size_t i = 0; i < added_count; i++)
        add_line(out, &added[i]);
    add_authorization(out, signer, key, signature);
    return out->failed ? -1 : 0;
}
