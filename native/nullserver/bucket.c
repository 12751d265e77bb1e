/* Operations on buckets. */
#include "operation.h"
#include "reply.h"
#include "store.h"
#include "upload.h"
#include "xml.h"

#include <stdlib.h>

void fds_ns_get_location(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    bool exists = true;
    if (fds_ns_exchange_mode(exchange) == FDS_NS_STORE) {
        fds_ns_store_lock(store);
        exists = fds_ns_store_bucket(store, exchange->request.bucket) != NULL;
        fds_ns_store_unlock(store);
    }
    if (!exists) {
        fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_BUCKET);
        return;
    }
    fds_buf *out = &exchange->reply.body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>"); /* us-east-1 */
    fds_ns_reply_xml(exchange);
}

void fds_ns_head_bucket(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_store_lock(store);
    bool exists = fds_ns_store_bucket(store, exchange->request.bucket) != NULL;
    fds_ns_store_unlock(store);
    if (exists)
        fds_ns_reply_status(exchange, 200);
    else
        fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_BUCKET);
}

/* S3's rules as far as they keep odd bytes out: 3 to 63 of a-z, 0-9, '.', '-', a letter or digit at both ends. */
static bool is_good_name(fds_ns_text name) {
    if (name.size < 3 || name.size > 63)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool inner = i > 0 && i + 1 < name.size && (c == '.' || c == '-');
        if (!alphanumeric && !inner)
            return false;
    }
    return true;
}

void fds_ns_create_bucket(fds_ns_exchange *exchange) {
    fds_ns_text name = exchange->request.bucket;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    if (!is_good_name(name)) {
        fds_ns_reply_error(exchange, &FDS_NS_INVALID_BUCKET);
        return;
    }
    fds_ns_bucket *bucket = calloc(1, sizeof *bucket);
    const fds_ns_error *error = bucket ? NULL : &FDS_NS_INTERNAL;
    fds_ns_store_lock(store);
    void *old;
    if (!error && fds_ns_store_bucket(store, name))
        error = &FDS_NS_BUCKET_EXISTS;
    if (!error) {
        bucket->created = time(NULL);
        if (!fds_ns_map_put(&store->buckets, name, bucket, &old))
            error = &FDS_NS_INTERNAL;
    }
    fds_ns_store_unlock(store);
    if (error) {
        free(bucket);
        fds_ns_reply_error(exchange, error);
        return;
    }
    fds_buf *headers = &exchange->reply.headers;
    fds_buf_add_str(headers, "location: /");
    fds_buf_add(headers, name.data, name.size);
    fds_buf_add_str(headers, "\r\n");
    fds_ns_reply_status(exchange, 200);
}

/* Uploads in progress end with their bucket. With the lock held. */
static void drop_uploads(fds_ns_store *store, fds_ns_text bucket) {
    fds_ns_node *node = store->uploads.first[0];
    while (node) {
        fds_ns_upload *upload = node->value;
        node = node->next[0];
        if (fds_ns_text_equal(fds_ns_buf_text(&upload->bucket), bucket)) {
            fds_ns_map_remove(&store->uploads, fds_ns_text_of(upload->id));
            fds_ns_upload_free(upload);
        }
    }
}

void fds_ns_delete_bucket(fds_ns_exchange *exchange) {
    fds_ns_text name = exchange->request.bucket;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    const fds_ns_error *error = NULL;
    fds_ns_store_lock(store);
    fds_ns_bucket *bucket = fds_ns_store_bucket(store, name);
    if (!bucket) {
        error = &FDS_NS_NO_SUCH_BUCKET;
    } else if (bucket->objects.count) {
        error = &FDS_NS_BUCKET_NOT_EMPTY;
    } else {
        fds_ns_map_remove(&store->buckets, name);
        fds_ns_bucket_free(bucket);
        drop_uploads(store, name);
    }
    fds_ns_store_unlock(store);
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        fds_ns_reply_status(exchange, 204);
}

void fds_ns_list_buckets(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_buf *out = &exchange->reply.body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                         "<Owner><ID>null</ID><DisplayName>null</DisplayName></Owner><Buckets>");
    fds_ns_store_lock(store);
    for (fds_ns_node *node = store->buckets.first[0]; node; node = node->next[0]) {
        char created[FDS_NS_TIME_MAX];
        fds_ns_xml_time(created, ((fds_ns_bucket *)node->value)->created);
        fds_buf_add_str(out, "<Bucket>");
        fds_ns_xml_text(out, "Name", fds_ns_node_key(node));
        fds_ns_xml_text(out, "CreationDate", fds_ns_text_of(created));
        fds_buf_add_str(out, "</Bucket>");
    }
    fds_ns_store_unlock(store);
    fds_buf_add_str(out, "</Buckets></ListAllMyBucketsResult>");
    fds_ns_reply_xml(exchange);
}
