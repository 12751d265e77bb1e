/* Memory for bodies: page-aligned regions, huge pages where the kernel has them, recycled.
 *
 * A first touch of fresh memory costs up to 0.6 core-seconds per GB in page faults, more than receiving the bytes.
 * So a region that is given back is kept for the next one, as long as what is in flight and what is free are within
 * the pool's limit together. What has been handed over is its new owner's and counts no more. Thread-safe; references
 * are counted, because a region may outlive whoever made the pool.
 */
#ifndef FDS_BUFFERPOOL_H
#define FDS_BUFFERPOOL_H

#include <stddef.h>
#include <stdint.h>

typedef struct fds_bufferpool fds_bufferpool;

typedef struct {
    size_t in_use_bytes;  /* taken and not given back */
    size_t in_use_regions;
    size_t handed_bytes;  /* of in_use_bytes: not in flight any more */
    size_t free_bytes;    /* kept for the next one */
    size_t free_regions;
    uint64_t mapped;      /* regions that had to be mapped, ever */
    uint64_t recycled;    /* regions that were served from the free list, ever */
} fds_bufferpool_state;

fds_bufferpool *fds_bufferpool_new(size_t limit); /* most bytes in flight and on the free list; in flight may be more */
fds_bufferpool *fds_bufferpool_retain(fds_bufferpool *pool);
void fds_bufferpool_release(fds_bufferpool *pool);

/* A region of at least `size` bytes, its contents undefined. Writes its true size to `capacity`. NULL when memory
 * fails. */
void *fds_bufferpool_take(fds_bufferpool *pool, size_t size, size_t *capacity);
void fds_bufferpool_hand_over(fds_bufferpool *pool, size_t capacity);
void fds_bufferpool_give(fds_bufferpool *pool, void *region, size_t capacity, int handed_over);
fds_bufferpool_state fds_bufferpool_look(fds_bufferpool *pool);
void fds_bufferpool_trim(fds_bufferpool *pool, size_t keep); /* returns the oldest free regions to the system */

#endif
