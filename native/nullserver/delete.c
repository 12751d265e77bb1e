/* DeleteObjects: many keys in one request. In mode sink there is nothing to delete, and all of it succeeds. */
#include "operation.h"
#include "reply.h"
#include "store.h"
#include "upload.h"
#include "xml.h"

#include <stdlib.h>

#define KEYS_MAX 1000

typedef struct {
    struct {
        size_t offset, size;
    } keys[KEYS_MAX];
    size_t count;
    fds_buf bytes; /* of all keys */
    bool quiet, has_key;
} delete_list;

static bool take_leaf(void *context, fds_ns_text parent, fds_ns_text name, fds_ns_text text) {
    delete_list *list = context;
    if (fds_ns_text_is(parent, "Delete") && fds_ns_text_is(name, "Quiet"))
        list->quiet = fds_ns_text_is(text, "true");
    if (!fds_ns_text_is(parent, "Object") || !fds_ns_text_is(name, "Key"))
        return parent.size > 0 && !fds_ns_text_is(name, "Object");
    if (list->count == KEYS_MAX || list->has_key || text.size == 0 || text.size > FDS_NS_KEY_MAX)
        return false;
    list->keys[list->count].offset = list->bytes.size;
    list->keys[list->count].size = text.size;
    list->count++;
    list->has_key = true;
    fds_buf_add(&list->bytes, text.data, text.size);
    return !list->bytes.failed;
}

static bool take_group(void *context, fds_ns_text name) {
    delete_list *list = context;
    bool good = !fds_ns_text_is(name, "Object") || list->has_key;
    list->has_key = false;
    return good;
}

static const fds_ns_error *delete_keys(fds_ns_exchange *exchange, const delete_list *list) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_buf *out = &exchange->reply.body;
    fds_ns_store_lock(store);
    fds_ns_bucket *bucket = fds_ns_store_bucket(store, exchange->request.bucket);
    for (size_t i = 0; i < list->count; i++) {
        fds_ns_text key = {list->bytes.data + list->keys[i].offset, list->keys[i].size};
        if (bucket)
            fds_ns_object_drop(fds_ns_map_remove(&bucket->objects, key));
        if (list->quiet)
            continue;
        fds_buf_add_str(out, "<Deleted>");
        fds_ns_xml_text(out, "Key", key);
        fds_buf_add_str(out, "</Deleted>");
    }
    fds_ns_store_unlock(store);
    return bucket || fds_ns_exchange_mode(exchange) == FDS_NS_SINK ? NULL : &FDS_NS_NO_SUCH_BUCKET;
}

void fds_ns_delete_objects(fds_ns_exchange *exchange) {
    delete_list *list = calloc(1, sizeof *list);
    const fds_ns_error *error = list ? NULL : &FDS_NS_INTERNAL;
    if (list && (!fds_ns_xml_walk(fds_ns_buf_text(&exchange->payload.text), "Delete", take_leaf, take_group, list) ||
                 !list->count))
        error = &FDS_NS_MALFORMED_XML;
    if (!error) {
        fds_ns_xml_declare(&exchange->reply.body);
        fds_buf_add_str(&exchange->reply.body, "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        error = delete_keys(exchange, list);
        fds_buf_add_str(&exchange->reply.body, "</DeleteResult>");
    }
    if (list)
        fds_buf_free(&list->bytes);
    free(list);
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        fds_ns_reply_xml(exchange);
}
