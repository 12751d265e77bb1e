/* What modes sink and store remember: buckets, objects, multipart uploads. One mutex guards all of it; it is held for
 * look-ups and changes, never while bytes move. The budget counts on its own. */
#ifndef FDS_NS_STORE_H
#define FDS_NS_STORE_H

#include "map.h"
#include "object.h"

#include <pthread.h>

typedef struct {
    time_t created;
    fds_ns_map objects; /* key → fds_ns_object, one reference each */
} fds_ns_bucket;

typedef struct fds_ns_store {
    fds_ns_budget budget;
    pthread_mutex_t lock;
    fds_ns_map buckets; /* name → fds_ns_bucket */
    fds_ns_map uploads; /* id → fds_ns_upload */
    uint64_t next_upload;
    uint64_t part_min; /* bytes of every part of an upload but its last */
} fds_ns_store;

fds_ns_store *fds_ns_store_new(uint64_t memory_limit, uint64_t part_min); /* NULL when memory fails */
void fds_ns_store_free(fds_ns_store *store);

void fds_ns_store_lock(fds_ns_store *store);
void fds_ns_store_unlock(fds_ns_store *store);

/* With the lock held: */
fds_ns_bucket *fds_ns_store_bucket(fds_ns_store *store, fds_ns_text name);                    /* or NULL */
fds_ns_object *fds_ns_store_object(fds_ns_store *store, fds_ns_text bucket, fds_ns_text key); /* or NULL; borrowed */
/* Takes the reference over; false, with the reference still the caller's, when memory fails. */
bool fds_ns_store_install(fds_ns_bucket *bucket, fds_ns_text key, fds_ns_object *object);
void fds_ns_bucket_free(fds_ns_bucket *bucket);

#endif
