#include "object.h"

#include <stdlib.h>

/* The structure, the key's node in the map (a key has up to 1,024 bytes, most have far fewer), the allocator's share.
 */
#define OVERHEAD 1024

static uint64_t charge(size_t blob_count, size_t metadata_size) {
    return OVERHEAD + blob_count * sizeof(fds_ns_blob *) + metadata_size;
}

fds_ns_object *fds_ns_object_new(fds_ns_budget *budget, size_t blob_count, fds_buf *metadata) {
    uint64_t cost = charge(blob_count, metadata->size);
    if (!fds_ns_budget_take(budget, cost))
        return NULL;
    fds_ns_object *object = calloc(1, sizeof *object + blob_count * sizeof object->blobs[0]);
    if (!object) {
        fds_ns_budget_give(budget, cost);
        return NULL;
    }
    atomic_init(&object->references, 1);
    object->budget = budget;
    object->metadata = *metadata;
    *metadata = (fds_buf){0};
    object->blob_count = blob_count;
    object->modified = time(NULL);
    return object;
}

fds_ns_object *fds_ns_object_share(fds_ns_object *object) {
    atomic_fetch_add(&object->references, 1);
    return object;
}

void fds_ns_object_drop(fds_ns_object *object) {
    if (!object || atomic_fetch_sub(&object->references, 1) != 1)
        return;
    for (size_t i = 0; i < object->blob_count; i++)
        fds_ns_blob_drop(object->blobs[i]);
    fds_ns_budget_give(object->budget, charge(object->blob_count, object->metadata.size));
    fds_buf_free(&object->metadata);
    free(object);
}
