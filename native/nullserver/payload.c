#include "payload.h"

/* "x-amz-checksum-crc32c": 1; another algorithm: -1; not a checksum's value at all: 0. */
static int checksum_name(fds_ns_text name, fds_crc_algorithm *algorithm) {
    const fds_ns_text prefix = FDS_NS_TEXT("x-amz-checksum-");
    if (!fds_ns_text_starts(name, prefix))
        return 0;
    fds_ns_text rest = {name.data + prefix.size, name.size - prefix.size};
    if (fds_ns_text_is(rest, "mode") || fds_ns_text_is(rest, "type") || fds_ns_text_is(rest, "algorithm"))
        return 0;
    return fds_ns_checksum_by_name(rest, algorithm) ? 1 : -1;
}

static const fds_ns_error *announce(fds_ns_payload *payload, fds_ns_text name, bool *is_checksum) {
    fds_crc_algorithm algorithm;
    int known = checksum_name(name, &algorithm);
    *is_checksum = known > 0;
    if (known < 0)
        return &FDS_NS_NOT_IMPLEMENTED;
    if (known == 0)
        return NULL;
    if (payload->has_checksum)
        return &FDS_NS_MULTIPLE_CHECKSUMS;
    payload->has_checksum = true;
    payload->algorithm = algorithm;
    payload->computes[algorithm] = true;
    return NULL;
}

static const fds_ns_error *read_checks(fds_ns_payload *payload, const fds_ns_request *request) {
    bool is_checksum;
    for (size_t i = 0; i < request->header_count; i++) {
        const fds_ns_field *field = &request->headers[i];
        const fds_ns_error *error = announce(payload, field->name, &is_checksum);
        if (error)
            return error;
        if (is_checksum && !fds_ns_checksum_parse(payload->algorithm, field->value, &payload->announced_crc))
            return &FDS_NS_INVALID_CHECKSUM;
    }
    const fds_ns_text *trailer = fds_ns_request_header(request, "x-amz-trailer");
    if (trailer && payload->aws_chunked) {
        const fds_ns_error *error = announce(payload, *trailer, &is_checksum);
        if (error)
            return error;
        payload->in_trailer = is_checksum;
    }
    const fds_ns_text *md5 = fds_ns_request_header(request, "content-md5");
    if (md5) {
        if (!fds_ns_text_base64(*md5, payload->announced_md5, 16))
            return &FDS_NS_INVALID_DIGEST;
        payload->has_md5 = true;
        if (!fds_ns_payload_compute_md5(payload))
            return &FDS_NS_INTERNAL;
    }
    return NULL;
}

const fds_ns_error *fds_ns_payload_begin(fds_ns_payload *payload, const fds_ns_request *request,
                                         fds_ns_payload_kind kind, bool checked) {
    payload->kind = kind;
    payload->size = request->content_length;
    payload->chunked = request->chunked;
    payload->wire_left = request->chunked ? UINT64_MAX : request->content_length;
    if (kind == FDS_NS_PAYLOAD_IGNORED)
        return NULL;
    if (!request->has_content_length && !request->chunked)
        return &FDS_NS_MISSING_LENGTH;
    const fds_ns_text *hash = fds_ns_request_header(request, "x-amz-content-sha256");
    if (hash && fds_ns_text_starts(*hash, FDS_NS_TEXT("STREAMING-"))) {
        const fds_ns_text *decoded = fds_ns_request_header(request, "x-amz-decoded-content-length");
        if (!decoded || !fds_ns_text_number(*decoded, &payload->size))
            return &FDS_NS_MISSING_LENGTH;
        payload->aws_chunked = true;
    }
    if (request->chunked && !payload->aws_chunked)
        return &FDS_NS_MISSING_LENGTH; /* as S3: chunked bodies only with an announced decoded length */
    if (kind == FDS_NS_PAYLOAD_TEXT && payload->size > FDS_NS_XML_MAX)
        return &FDS_NS_XML_TOO_LARGE;
    if (payload->size > FDS_NS_PUT_MAX)
        return &FDS_NS_ENTITY_TOO_LARGE;
    return checked ? read_checks(payload, request) : NULL;
}

bool fds_ns_payload_compute_md5(fds_ns_payload *payload) {
    if (!payload->md5) {
        payload->md5 = EVP_MD_CTX_new();
        if (!payload->md5 || !EVP_DigestInit_ex(payload->md5, EVP_md5(), NULL)) {
            EVP_MD_CTX_free(payload->md5);
            payload->md5 = NULL;
        }
    }
    return payload->md5 != NULL;
}

char *fds_ns_payload_room(const fds_ns_payload *payload) {
    if (!payload->target || payload->aws_chunked || payload->error)
        return NULL;
    return payload->target + payload->received;
}

static void take_decoded(fds_ns_payload *payload, const char *data, size_t size) {
    if (size > payload->size - payload->received) {
        payload->error = &FDS_NS_INCOMPLETE_BODY;
        return;
    }
    for (int i = 0; i < FDS_CRC_COUNT; i++)
        if (payload->computes[i])
            payload->crc[i] = fds_crc_update((fds_crc_algorithm)i, payload->crc[i], data, size);
    if (payload->md5 && !EVP_DigestUpdate(payload->md5, data, size))
        payload->error = &FDS_NS_INTERNAL;
    if (payload->kind == FDS_NS_PAYLOAD_TEXT)
        fds_buf_add(&payload->text, data, size);
    else if (payload->target && payload->target + payload->received != data)
        memcpy(payload->target + payload->received, data, size);
    payload->received += size;
}

static void take_coded(fds_ns_payload *payload, const char *data, size_t size) {
    if (payload->kind == FDS_NS_PAYLOAD_IGNORED)
        return;
    if (!payload->aws_chunked && !payload->error)
        take_decoded(payload, data, size);
    while (payload->aws_chunked && size && !payload->error) {
        fds_ns_text run;
        if (!fds_ns_awschunked_feed(&payload->decoder, &data, &size, &run))
            payload->error = &FDS_NS_INVALID_CHUNK;
        else if (run.size)
            take_decoded(payload, run.data, run.size);
    }
}

static size_t take_chunked(fds_ns_payload *payload, const char *data, size_t size) {
    size_t taken = 0;
    while (taken < size) {
        size_t used, run_size;
        const char *run, *why;
        fds_parse_result result =
            fds_chunked_feed(&payload->transfer, data + taken, size - taken, &used, &run, &run_size, &why);
        taken += used;
        payload->transferred += run_size;
        if (result == FDS_PARSE_ERROR || payload->transferred > 2 * FDS_NS_PUT_MAX) {
            payload->broken = true;
            payload->error = &FDS_NS_MALFORMED_REQUEST;
        } else if (run_size) {
            take_coded(payload, run, run_size);
        }
        if (payload->broken || result == FDS_PARSE_OK) {
            payload->wire_left = 0;
            break;
        }
    }
    return taken;
}

size_t fds_ns_payload_take(fds_ns_payload *payload, const char *data, size_t size) {
    if (payload->chunked)
        return take_chunked(payload, data, size);
    payload->wire_left -= size;
    take_coded(payload, data, size);
    return size;
}

static const fds_ns_error *read_trailer(fds_ns_payload *payload) {
    fds_ns_text rest = {payload->decoder.trailer, payload->decoder.trailer_size};
    fds_ns_text name, value;
    if (!fds_ns_text_next(&rest, ':', &name) || !fds_ns_text_next(&rest, '\r', &value) ||
        !fds_ns_text_is(name, fds_ns_checksum_header(payload->algorithm)) ||
        !fds_ns_checksum_parse(payload->algorithm, value, &payload->announced_crc))
        return &FDS_NS_INVALID_CHECKSUM;
    return NULL;
}

const fds_ns_error *fds_ns_payload_end(fds_ns_payload *payload) {
    if (payload->error || payload->kind == FDS_NS_PAYLOAD_IGNORED)
        return payload->error;
    if (payload->received != payload->size || (payload->aws_chunked && !fds_ns_awschunked_complete(&payload->decoder)))
        return &FDS_NS_INCOMPLETE_BODY;
    if (payload->text.failed)
        return &FDS_NS_INTERNAL;
    const fds_ns_error *error = payload->in_trailer ? read_trailer(payload) : NULL;
    if (error)
        return error;
    if (payload->has_checksum && payload->crc[payload->algorithm] != payload->announced_crc)
        return &FDS_NS_BAD_DIGEST;
    if (payload->md5 && !EVP_DigestFinal_ex(payload->md5, payload->md5_value, NULL))
        return &FDS_NS_INTERNAL;
    if (payload->has_md5 && memcmp(payload->md5_value, payload->announced_md5, 16) != 0)
        return &FDS_NS_BAD_DIGEST;
    return NULL;
}

void fds_ns_payload_free(fds_ns_payload *payload) {
    fds_buf_free(&payload->text);
    EVP_MD_CTX_free(payload->md5);
    *payload = (fds_ns_payload){0};
}
