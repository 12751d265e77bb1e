/* PutObject: kept in mode store, dropped in mode sink. */
#include "metadata.h"
#include "operation.h"
#include "reply.h"
#include "serve.h"
#include "store.h"

#include <stdio.h>

static const fds_ns_error *check_target(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    const fds_ns_error *error = &FDS_NS_NO_SUCH_BUCKET;
    fds_ns_store_lock(store);
    if (fds_ns_store_bucket(store, request->bucket)) {
        fds_ns_object *present = fds_ns_store_object(store, request->bucket, request->key);
        error = fds_ns_write_conditions(request, present ? present->etag : NULL);
    }
    fds_ns_store_unlock(store);
    return error;
}

void fds_ns_put_begin(fds_ns_exchange *exchange) {
    if (fds_ns_exchange_mode(exchange) == FDS_NS_SINK)
        return;
    fds_ns_payload *payload = &exchange->payload;
    const fds_ns_error *error = check_target(exchange);
    if (!error) {
        exchange->blob = fds_ns_blob_new(&fds_ns_exchange_store(exchange)->budget, payload->size, true);
        if (!exchange->blob)
            error = &FDS_NS_STORE_FULL;
        else if (fds_ns_exchange_makes_md5(exchange) && !fds_ns_payload_compute_md5(payload))
            error = &FDS_NS_INTERNAL;
    }
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    payload->target = exchange->blob->data;
    if (!payload->has_checksum) /* S3 adds one of its own since December 2024 */
        payload->computes[payload->algorithm = FDS_CRC64NVME] = true;
}

static const fds_ns_error *keep(fds_ns_exchange *exchange, const char *etag, const fds_ns_checksum *checksum) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_buf metadata = {0};
    const fds_ns_error *error = fds_ns_metadata_collect(request, &metadata);
    fds_ns_object *object = error ? NULL : fds_ns_object_new(&store->budget, 1, &metadata);
    fds_buf_free(&metadata);
    if (!object)
        return error ? error : &FDS_NS_STORE_FULL;
    object->size = exchange->blob->size;
    object->blobs[0] = exchange->blob;
    exchange->blob = NULL;
    object->checksum = *checksum;
    snprintf(object->etag, sizeof object->etag, "%s", etag);

    fds_ns_store_lock(store);
    fds_ns_bucket *bucket = fds_ns_store_bucket(store, request->bucket);
    fds_ns_object *present = fds_ns_store_object(store, request->bucket, request->key);
    if (!bucket)
        error = &FDS_NS_NO_SUCH_BUCKET;
    else
        error = fds_ns_write_conditions(request, present ? present->etag : NULL);
    if (!error && !fds_ns_store_install(bucket, request->key, object))
        error = &FDS_NS_INTERNAL;
    fds_ns_store_unlock(store);
    if (error)
        fds_ns_object_drop(object);
    return error;
}

static void hex(char out[33], const uint8_t md5[16]) {
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", md5[i]);
}

void fds_ns_put_finish(fds_ns_exchange *exchange) {
    const fds_ns_payload *payload = &exchange->payload;
    bool sink = fds_ns_exchange_mode(exchange) == FDS_NS_SINK;
    char etag[FDS_NS_ETAG_MAX];
    if (payload->md5)
        hex(etag, payload->md5_value);
    else /* an MD5 would cost more than all the rest; "-1" keeps a client from taking this for one */
        snprintf(etag, sizeof etag, "%016llx%016llx-1", (unsigned long long)exchange->id,
                 (unsigned long long)payload->size);
    fds_ns_checksum checksum = {0};
    if (payload->has_checksum || !sink)
        checksum = fds_ns_checksum_of(payload->algorithm, payload->crc[payload->algorithm], 0);
    const fds_ns_error *error = sink ? NULL : keep(exchange, etag, &checksum);
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    fds_ns_reply_etag(exchange, etag);
    fds_ns_reply_checksum(exchange, &checksum, true);
    fds_ns_reply_status(exchange, 200);
}
