#include "store.h"

#include "upload.h"

#include <stdlib.h>

fds_ns_store *fds_ns_store_new(uint64_t memory_limit, uint64_t part_min) {
    fds_ns_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->budget.limit = memory_limit;
    store->part_min = part_min;
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

void fds_ns_bucket_free(fds_ns_bucket *bucket) {
    for (fds_ns_node *node = bucket->objects.first[0]; node; node = node->next[0])
        fds_ns_object_drop(node->value);
    fds_ns_map_free(&bucket->objects);
    free(bucket);
}

void fds_ns_store_free(fds_ns_store *store) {
    if (!store)
        return;
    for (fds_ns_node *node = store->buckets.first[0]; node; node = node->next[0])
        fds_ns_bucket_free(node->value);
    for (fds_ns_node *node = store->uploads.first[0]; node; node = node->next[0])
        fds_ns_upload_free(node->value);
    fds_ns_map_free(&store->buckets);
    fds_ns_map_free(&store->uploads);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

void fds_ns_store_lock(fds_ns_store *store) {
    pthread_mutex_lock(&store->lock);
}

void fds_ns_store_unlock(fds_ns_store *store) {
    pthread_mutex_unlock(&store->lock);
}

fds_ns_bucket *fds_ns_store_bucket(fds_ns_store *store, fds_ns_text name) {
    return fds_ns_map_find(&store->buckets, name);
}

fds_ns_object *fds_ns_store_object(fds_ns_store *store, fds_ns_text bucket, fds_ns_text key) {
    fds_ns_bucket *found = fds_ns_store_bucket(store, bucket);
    return found ? fds_ns_map_find(&found->objects, key) : NULL;
}

bool fds_ns_store_install(fds_ns_bucket *bucket, fds_ns_text key, fds_ns_object *object) {
    void *old;
    if (!fds_ns_map_put(&bucket->objects, key, object, &old))
        return false;
    fds_ns_object_drop(old);
    return true;
}
