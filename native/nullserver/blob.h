/* Immutable bytes in memory, shared by reference count, and the budget that bounds all of them.
 *
 * A blob is written by the one request that receives it and never again after that; then any thread may hold
 * references. The budget is a lock-free counter.
 */
#ifndef FDS_NS_BLOB_H
#define FDS_NS_BLOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t limit; /* bytes */
    _Atomic uint64_t used;
} fds_ns_budget;

bool fds_ns_budget_take(fds_ns_budget *budget, uint64_t size); /* false: would pass the limit */
void fds_ns_budget_give(fds_ns_budget *budget, uint64_t size);

typedef struct {
    fds_ns_budget *budget;
    atomic_size_t references;
    uint64_t size;
    char *data; /* NULL: the bytes were swallowed, only their size is known (mode sink) */
} fds_ns_blob;

/* A blob with one reference, charged to the budget; NULL when the budget or memory is exhausted.
 * `keep` false: no memory for the bytes. */
fds_ns_blob *fds_ns_blob_new(fds_ns_budget *budget, uint64_t size, bool keep);
fds_ns_blob *fds_ns_blob_share(fds_ns_blob *blob);
void fds_ns_blob_drop(fds_ns_blob *blob); /* NULL is fine */

#endif
