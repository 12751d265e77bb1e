/* CopyObject: the copy shares the bytes of its source. */
#include "metadata.h"
#include "operation.h"
#include "reply.h"
#include "serve.h"
#include "store.h"
#include "upload.h"
#include "xml.h"

/* "/bucket/key" or "bucket/key", percent-encoded. Decodes into `copy`, which the caller frees. */
static const fds_ns_error *parse_source(fds_ns_text header, fds_buf *copy, fds_ns_text *bucket, fds_ns_text *key) {
    if (header.size && header.data[0] == '/')
        header = (fds_ns_text){header.data + 1, header.size - 1};
    if (header.size && memchr(header.data, '?', header.size))
        return &FDS_NS_NOT_IMPLEMENTED; /* ?versionId= */
    fds_buf_add(copy, header.data, header.size);
    ptrdiff_t size = copy->failed || !copy->size ? -1 : fds_ns_text_unescape(copy->data, copy->size, false);
    const char *slash = size > 0 ? memchr(copy->data, '/', (size_t)size) : NULL;
    if (!slash)
        return &FDS_NS_INVALID_ARGUMENT;
    *bucket = (fds_ns_text){copy->data, (size_t)(slash - copy->data)};
    *key = (fds_ns_text){slash + 1, (size_t)size - bucket->size - 1};
    return NULL;
}

static fds_ns_object *copy_of(fds_ns_store *store, const fds_ns_object *source, fds_buf *metadata) {
    fds_ns_object *object = fds_ns_object_new(&store->budget, source->blob_count, metadata);
    if (!object)
        return NULL;
    object->size = source->size;
    memcpy(object->etag, source->etag, sizeof object->etag);
    object->checksum = source->checksum;
    for (size_t i = 0; i < source->blob_count; i++)
        object->blobs[i] = fds_ns_blob_share(source->blobs[i]);
    return object;
}

/* With the lock held. `copy` borrows the installed object for the reply. */
static const fds_ns_error *copy_locked(fds_ns_exchange *exchange, fds_ns_text from_bucket, fds_ns_text from_key,
                                       bool replace, fds_buf *metadata, fds_ns_object **copy) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_bucket *target = fds_ns_store_bucket(store, request->bucket);
    if (!target || !fds_ns_store_bucket(store, from_bucket))
        return &FDS_NS_NO_SUCH_BUCKET;
    fds_ns_object *source = fds_ns_store_object(store, from_bucket, from_key);
    if (!source)
        return &FDS_NS_NO_SUCH_KEY;
    fds_ns_object *present = fds_ns_store_object(store, request->bucket, request->key);
    if (present == source && !replace)
        return &FDS_NS_COPY_TO_ITSELF;
    const fds_ns_error *error = fds_ns_write_conditions(request, present ? present->etag : NULL);
    if (error)
        return error;
    if (!replace)
        fds_buf_add(metadata, source->metadata.data, source->metadata.size);
    fds_ns_object *object = metadata->failed ? NULL : copy_of(store, source, metadata);
    if (!object)
        return &FDS_NS_STORE_FULL;
    if (!fds_ns_store_install(target, request->key, object)) {
        fds_ns_object_drop(object);
        return &FDS_NS_INTERNAL;
    }
    *copy = fds_ns_object_share(object);
    return NULL;
}

static void reply(fds_ns_exchange *exchange, const fds_ns_object *copy) {
    fds_buf *out = &exchange->reply.body;
    char modified[FDS_NS_TIME_MAX];
    fds_ns_xml_time(modified, copy->modified);
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_ns_xml_text(out, "LastModified", fds_ns_text_of(modified));
    fds_ns_xml_etag(out, copy->etag);
    if (copy->checksum.present) {
        fds_ns_xml_text(out, fds_ns_checksum_element(copy->checksum.algorithm), fds_ns_text_of(copy->checksum.text));
        fds_ns_xml_text(out, "ChecksumType", fds_ns_text_of(fds_ns_checksum_type_name(copy->checksum.type)));
    }
    fds_buf_add_str(out, "</CopyObjectResult>");
    fds_ns_reply_xml(exchange);
}

void fds_ns_copy_object(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    const fds_ns_text *directive = fds_ns_request_header(request, "x-amz-metadata-directive");
    bool replace = directive && fds_ns_text_is(*directive, "REPLACE");
    fds_buf source = {0}, metadata = {0};
    fds_ns_text from_bucket, from_key;
    fds_ns_object *copy = NULL;
    const fds_ns_error *error =
        parse_source(*fds_ns_request_header(request, "x-amz-copy-source"), &source, &from_bucket, &from_key);
    if (!error && replace)
        error = fds_ns_metadata_collect(request, &metadata);
    if (!error) {
        fds_ns_store_lock(store);
        error = copy_locked(exchange, from_bucket, from_key, replace, &metadata, &copy);
        fds_ns_store_unlock(store);
    }
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        reply(exchange, copy);
    fds_ns_object_drop(copy);
    fds_buf_free(&source);
    fds_buf_free(&metadata);
}
