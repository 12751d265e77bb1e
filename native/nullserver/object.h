/* A stored object: immutable once made, shared by reference count between the store and the replies that send it. */
#ifndef FDS_NS_OBJECT_H
#define FDS_NS_OBJECT_H

#include "../buf.h"
#include "blob.h"
#include "checksum.h"

#include <time.h>

#define FDS_NS_ETAG_MAX 48

typedef struct {
    fds_ns_budget *budget;
    atomic_size_t references;
    uint64_t size;
    time_t modified;
    char etag[FDS_NS_ETAG_MAX]; /* without its quotes */
    fds_ns_checksum checksum;
    fds_buf metadata; /* header lines, ready to be sent: content-type, x-amz-meta-*, … */
    size_t blob_count;
    fds_ns_blob *blobs[]; /* the object's bytes, in order; each one reference */
} fds_ns_object;

/* An object with one reference and room for `blob_count` blobs, all NULL; it takes `metadata` over and empties it.
 * NULL, with `metadata` untouched, when the budget or memory is exhausted. */
fds_ns_object *fds_ns_object_new(fds_ns_budget *budget, size_t blob_count, fds_buf *metadata);
fds_ns_object *fds_ns_object_share(fds_ns_object *object);
void fds_ns_object_drop(fds_ns_object *object); /* NULL is fine */

#endif
