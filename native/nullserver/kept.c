/* Mode store: objects are kept in memory and served again. */
#include "operation.h"
#include "reply.h"
#include "serve.h"
#include "store.h"
#include "upload.h"

static void get_object(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_store_lock(store);
    bool bucket = fds_ns_store_bucket(store, request->bucket) != NULL;
    fds_ns_object *object = fds_ns_store_object(store, request->bucket, request->key);
    if (object)
        fds_ns_object_share(object);
    fds_ns_store_unlock(store);
    if (!object) {
        fds_ns_reply_error(exchange, bucket ? &FDS_NS_NO_SUCH_KEY : &FDS_NS_NO_SUCH_BUCKET);
        return;
    }
    fds_ns_serve(exchange, &(fds_ns_readable){.size = object->size,
                                              .modified = object->modified,
                                              .etag = object->etag,
                                              .checksum = &object->checksum,
                                              .metadata = fds_ns_buf_text(&object->metadata),
                                              .object = object});
    fds_ns_object_drop(object);
}

static void delete_object(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_object *object = NULL;
    fds_ns_store_lock(store);
    fds_ns_bucket *bucket = fds_ns_store_bucket(store, request->bucket);
    if (bucket)
        object = fds_ns_map_remove(&bucket->objects, request->key);
    fds_ns_store_unlock(store);
    fds_ns_object_drop(object);
    if (bucket)
        fds_ns_reply_status(exchange, 204);
    else
        fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_BUCKET);
}

const fds_ns_operation fds_ns_store_operations[FDS_NS_OPERATIONS] = {
    [FDS_NS_LIST_BUCKETS] = {.finish = fds_ns_list_buckets},
    [FDS_NS_CREATE_BUCKET] = {.finish = fds_ns_create_bucket},
    [FDS_NS_HEAD_BUCKET] = {.finish = fds_ns_head_bucket},
    [FDS_NS_GET_LOCATION] = {.finish = fds_ns_get_location},
    [FDS_NS_DELETE_BUCKET] = {.finish = fds_ns_delete_bucket},
    [FDS_NS_LIST_OBJECTS] = {.finish = fds_ns_list_objects},
    [FDS_NS_LIST_UPLOADS] = {.finish = fds_ns_list_uploads},
    [FDS_NS_DELETE_OBJECTS] = {.finish = fds_ns_delete_objects, .payload = FDS_NS_PAYLOAD_TEXT, .checked = true},
    [FDS_NS_GET_OBJECT] = {.finish = get_object},
    [FDS_NS_PUT_OBJECT] = {.begin = fds_ns_put_begin,
                           .finish = fds_ns_put_finish,
                           .payload = FDS_NS_PAYLOAD_DATA,
                           .checked = true},
    [FDS_NS_COPY_OBJECT] = {.finish = fds_ns_copy_object},
    [FDS_NS_DELETE_OBJECT] = {.finish = delete_object},
    [FDS_NS_CREATE_UPLOAD] = {.finish = fds_ns_create_upload},
    [FDS_NS_UPLOAD_PART] = {.begin = fds_ns_part_begin,
                            .finish = fds_ns_part_finish,
                            .payload = FDS_NS_PAYLOAD_DATA,
                            .checked = true},
    [FDS_NS_COMPLETE_UPLOAD] = {.finish = fds_ns_complete_upload, .payload = FDS_NS_PAYLOAD_TEXT},
    [FDS_NS_ABORT_UPLOAD] = {.finish = fds_ns_abort_upload},
    [FDS_NS_LIST_PARTS] = {.finish = fds_ns_list_parts},
};
