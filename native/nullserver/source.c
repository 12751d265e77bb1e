#include "source.h"

#include "pattern.h"

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static size_t pattern_pieces(uint64_t at, uint64_t left, struct iovec *pieces, size_t max) {
    size_t count = 0;
    for (; left && count < max; count++) {
        uint64_t offset = at % FDS_NS_PATTERN_SIZE;
        uint64_t size = least(left, FDS_NS_PATTERN_SIZE - offset);
        pieces[count] = (struct iovec){(char *)fds_ns_pattern_block() + offset, (size_t)size};
        at += size;
        left -= size;
    }
    return count;
}

static size_t object_pieces(const fds_ns_object *object, uint64_t at, uint64_t left, struct iovec *pieces, size_t max) {
    size_t count = 0;
    for (size_t i = 0; i < object->blob_count && left && count < max; i++) {
        const fds_ns_blob *blob = object->blobs[i];
        if (at >= blob->size) {
            at -= blob->size;
            continue;
        }
        uint64_t size = least(left, blob->size - at);
        pieces[count++] = (struct iovec){blob->data + at, (size_t)size};
        left -= size;
        at = 0;
    }
    return count;
}

size_t fds_ns_source_pieces(const fds_ns_reply *reply, uint64_t sent, size_t limit, struct iovec *pieces, size_t max) {
    uint64_t left = least(least(reply->length - sent, limit), FDS_NS_SEND_MAX);
    if (reply->kind == FDS_NS_BODY_PATTERN)
        return pattern_pieces(reply->offset + sent, left, pieces, max);
    if (reply->kind == FDS_NS_BODY_OBJECT)
        return object_pieces(reply->object, reply->offset + sent, left, pieces, max);
    return 0;
}
