/* Content-defined chunking, "fds-1" of docs/format.md: where a chunk ends depends on its own bytes alone.
 *
 * A gear hash runs over the bytes; a chunk ends where the hash's highest bits are all zero. The hash at a position is
 * that of the 64 bytes before it, so that the scan may start anywhere, and several lanes may scan one chunk.
 * All functions are pure and thread-safe.
 */
#ifndef FDS_CHUNKER_H
#define FDS_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that the hash looks back on. */
#define FDS_GEAR_WINDOW 64

typedef struct {
    size_t minimum; /* no chunk but the last is shorter, apart from what `item` takes away */
    size_t maximum; /* no chunk is longer */
    size_t item;    /* chunks are cut at multiples of it */
    unsigned bits;  /* that are zero at a cut: one in 2^bits positions */
} fds_chunking;

/* FDS_GEAR_WINDOW <= minimum <= maximum, 1 <= item <= minimum, 1 <= bits <= 64. */
bool fds_chunking_is_valid(const fds_chunking *chunking);

/* The length of the first chunk of `size` bytes; 0 for none. It looks at no more than chunking->maximum of them. */
size_t fds_chunk_length(const fds_chunking *chunking, const uint8_t *data, size_t size);

#endif
