#include "blob.h"

#include <stdlib.h>

/* What a blob costs beside its bytes: its header, the object or part around it, a node in a map. */
#define OVERHEAD 512

bool fds_ns_budget_take(fds_ns_budget *budget, uint64_t size) {
    uint64_t used = atomic_load(&budget->used);
    do {
        if (size > budget->limit || used > budget->limit - size)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->used, &used, used + size));
    return true;
}

void fds_ns_budget_give(fds_ns_budget *budget, uint64_t size) {
    atomic_fetch_sub(&budget->used, size);
}

static uint64_t charge(uint64_t size, bool keep) {
    return OVERHEAD + (keep ? size : 0);
}

fds_ns_blob *fds_ns_blob_new(fds_ns_budget *budget, uint64_t size, bool keep) {
    if (size > SIZE_MAX - OVERHEAD || !fds_ns_budget_take(budget, charge(size, keep)))
        return NULL;
    fds_ns_blob *blob = malloc(sizeof *blob);
    char *data = keep ? malloc(size ? (size_t)size : 1) : NULL;
    if (!blob || (keep && !data)) {
        free(blob);
        free(data);
        fds_ns_budget_give(budget, charge(size, keep));
        return NULL;
    }
    *blob = (fds_ns_blob){.budget = budget, .size = size, .data = data};
    atomic_init(&blob->references, 1);
    return blob;
}

fds_ns_blob *fds_ns_blob_share(fds_ns_blob *blob) {
    atomic_fetch_add(&blob->references, 1);
    return blob;
}

void fds_ns_blob_drop(fds_ns_blob *blob) {
    if (!blob || atomic_fetch_sub(&blob->references, 1) != 1)
        return;
    fds_ns_budget_give(blob->budget, charge(blob->size, blob->data != NULL));
    free(blob->data);
    free(blob);
}
