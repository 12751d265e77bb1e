#include "digest.h"

int fds_digest_begin(fds_digest *digest, fds_attempt *attempt) {
    *digest = (fds_digest){0};
    attempt->crc = 0;
    if (!attempt->credentials || attempt->payload != FDS_PAYLOAD_SIGNED || !fds_attempt_body_size(attempt))
        return 0;
    digest->hash = fds_sha256_begin();
    return digest->hash ? 0 : -1;
}

int fds_digest_go_on(fds_digest *digest, fds_attempt *attempt, size_t size) {
    bool wants_crc = attempt->upload_crc != FDS_NO_CRC;
    while ((wants_crc || digest->hash) && digest->span < attempt->body_count) {
        const fds_span *span = &attempt->body[digest->span];
        size_t left = span->size - digest->offset, taken = left < size ? left : size;
        const char *data = span->data + digest->offset;
        if (wants_crc)
            attempt->crc = fds_crc_update((fds_crc_algorithm)attempt->upload_crc, attempt->crc, data, taken);
        if (digest->hash && fds_sha256_add(digest->hash, data, taken))
            return -1;
        size -= taken;
        digest->offset += taken;
        if (taken < left)
            return 1;
        digest->span++;
        digest->offset = 0;
    }
    if (!digest->hash)
        return 0;
    int failed = fds_sha256_finish(digest->hash, digest->hex);
    digest->hash = NULL;
    return failed ? -1 : 0;
}

void fds_digest_drop(fds_digest *digest) {
    if (digest->hash)
        fds_sha256_finish(digest->hash, digest->hex);
    digest->hash = NULL;
}
