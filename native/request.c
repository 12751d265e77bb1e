#include "request.h"

#include "uri.h"

#include <string.h>
#include <time.h>

#define LITERAL(text) ((fds_str){(text), sizeof(text) - 1})

static const fds_str CHECKSUM_HEADERS[FDS_CRC_COUNT] = {
    [FDS_CRC32] = {"x-amz-checksum-crc32", 20},
    [FDS_CRC32C] = {"x-amz-checksum-crc32c", 21},
    [FDS_CRC64NVME] = {"x-amz-checksum-crc64nvme", 24},
};

static void add_line(fds_buf *out, fds_str name, fds_str value) {
    fds_buf_add(out, name.data, name.size);
    fds_buf_add(out, ": ", 2);
    fds_buf_add(out, value.data, value.size);
    fds_buf_add(out, "\r\n", 2);
}

static void encode_crc(const fds_attempt *attempt, fds_buf *base64) {
    unsigned char bytes[8];
    size_t width = fds_crc_width((fds_crc_algorithm)attempt->upload_crc);
    for (size_t i = 0; i < width; i++)
        bytes[i] = (unsigned char)(attempt->crc >> (8 * (width - 1 - i)));
    fds_buf_add_base64(base64, bytes, width);
}

static int sign(fds_buf *out, const fds_attempt *attempt, fds_signing_key *key, fds_str encoded_path, const fds_pair *headers,
                size_t header_count, uint64_t body_size, const char payload_hash[64]) {
    fds_str payload = LITERAL(FDS_UNSIGNED_PAYLOAD);
    if (body_size == 0)
        payload = LITERAL(FDS_SHA256_OF_NOTHING);
    else if (attempt->payload == FDS_PAYLOAD_SIGNED)
        payload = (fds_str){payload_hash, 64};
    fds_signable signable = {
        .method = attempt->method,
        .path = encoded_path,
        .query = attempt->query,
        .query_count = attempt->query_count,
        .headers = headers,
        .header_count = header_count,
        .payload_hash = payload,
    };
    return fds_sigv4_sign(out, &attempt->credentials->signer, key, &signable, time(NULL) + attempt->clock_offset);
}

int fds_request_head(fds_buf *out, const fds_attempt *attempt, const char payload_hash[64], fds_signing_key *key) {
    if (attempt->header_count > FDS_REQUEST_HEADERS_MAX)
        return -1;
    uint64_t body_size = fds_attempt_body_size(attempt);
    fds_pair headers[FDS_REQUEST_HEADERS_MAX + 2];
    size_t count = 0;
    fds_buf base64 = {0};
    headers[count++] = (fds_pair){LITERAL("host"),
                                  {attempt->endpoint->host_header, strlen(attempt->endpoint->host_header)}};
    for (size_t i = 0; i < attempt->header_count; i++)
        headers[count++] = attempt->headers[i];
    if (attempt->upload_crc != FDS_NO_CRC) {
        encode_crc(attempt, &base64);
        headers[count++] = (fds_pair){CHECKSUM_HEADERS[attempt->upload_crc], {base64.data, base64.size}};
    }

    fds_buf_add(out, attempt->method.data, attempt->method.size);
    fds_buf_add_char(out, ' ');
    fds_str encoded_path = {NULL, 0};
    size_t path_start = out->size;
    if (fds_buf_reserve(out, FDS_URI_ENCODED_MAX(attempt->path.size))) {
        encoded_path.size = fds_uri_encode(out->data + path_start, attempt->path.data, attempt->path.size, true);
        out->size += encoded_path.size;
    }
    if (attempt->query_count) {
        fds_buf_add_char(out, '?');
        fds_sigv4_query(out, attempt->query, attempt->query_count);
    }
    fds_buf_add_str(out, " HTTP/1.1\r\n");
    for (size_t i = 0; i < count; i++)
        add_line(out, headers[i].name, headers[i].value);
    if (body_size || attempt->method.data[0] == 'P') { /* PUT and POST say their length even when it is 0 */
        fds_buf_add_str(out, "content-length: ");
        fds_buf_add_u64(out, body_size);
        fds_buf_add_str(out, "\r\n");
    }
    int failed = out->failed || base64.failed;
    if (!failed && attempt->credentials) {
        fds_buf signature = {0}; /* apart: the encoded path lies in `out`, which may move when it grows */
        encoded_path.data = out->data + path_start;
        failed = sign(&signature, attempt, key, encoded_path, headers, count, body_size, payload_hash) < 0 ||
                 signature.failed;
        fds_buf_add(out, signature.data, signature.size);
        fds_buf_free(&signature);
    }
    fds_buf_add_str(out, "\r\n");
    fds_buf_free(&base64);
    return failed || out->failed ? -1 : 0;
}
