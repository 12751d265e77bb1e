/* Mode fixed: every key is an object of pattern bytes. */
#include "operation.h"
#include "pattern.h"
#include "reply.h"
#include "serve.h"

#include <stdio.h>

#define OBJECT_MAX (5ULL << 40)       /* S3's largest object */
#define MODIFIED ((time_t)1735689600) /* 2025-01-01: constant, so that replies are the same in every run */

/* "k/obj-17.16384": the number after the last '.' of the key. */
static uint64_t size_of(const fds_ns_exchange *exchange) {
    fds_ns_text key = exchange->request.key;
    size_t digits = 0;
    while (digits < key.size && key.data[key.size - 1 - digits] >= '0' && key.data[key.size - 1 - digits] <= '9')
        digits++;
    uint64_t size;
    if (digits == key.size || key.data[key.size - 1 - digits] != '.' ||
        !fds_ns_text_number((fds_ns_text){key.data + key.size - digits, digits}, &size) || size > OBJECT_MAX)
        return exchange->worker->server->options->object_size;
    return size;
}

static uint64_t crc_of(fds_ns_worker *worker, uint64_t size) {
    size_t slot = (size_t)(size * 0x9E3779B97F4A7C15ULL >> 32) % FDS_NS_CACHED_CRCS;
    if (!worker->pattern_crcs[slot].known || worker->pattern_crcs[slot].size != size) {
        worker->pattern_crcs[slot].known = true;
        worker->pattern_crcs[slot].size = size;
        worker->pattern_crcs[slot].crc = fds_ns_pattern_crc64(size);
    }
    return worker->pattern_crcs[slot].crc;
}

static void get_object(fds_ns_exchange *exchange) {
    uint64_t size = size_of(exchange);
    fds_ns_checksum checksum = {0};
    if (fds_ns_wants_checksum(&exchange->request))
        checksum = fds_ns_checksum_of(FDS_CRC64NVME, crc_of(exchange->worker, size), 0);
    /* "-1" keeps a client from taking it for the MD5 of the object. */
    char etag[FDS_NS_ETAG_MAX];
    snprintf(etag, sizeof etag, "%032llx-1", (unsigned long long)size);
    fds_ns_serve(exchange, &(fds_ns_readable){.size = size,
                                              .modified = MODIFIED,
                                              .etag = etag,
                                              .checksum = &checksum,
                                              .metadata = FDS_NS_TEXT("content-type: binary/octet-stream\r\n")});
}

static void head_bucket(fds_ns_exchange *exchange) {
    fds_ns_reply_status(exchange, 200);
}

const fds_ns_operation fds_ns_fixed_operations[FDS_NS_OPERATIONS] = {
    [FDS_NS_GET_OBJECT] = {.finish = get_object},
    [FDS_NS_HEAD_BUCKET] = {.finish = head_bucket},
    [FDS_NS_GET_LOCATION] = {.finish = fds_ns_get_location},
};
