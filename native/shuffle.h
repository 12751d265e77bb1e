/* Byte shuffle: the first bytes of all items, then their second bytes, and so on, so that numbers compress better.
 * docs/format.md, "Chunks". Pure and thread-safe. */
#ifndef FDS_SHUFFLE_H
#define FDS_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

/* `target` gets `size` bytes and does not overlap `source`; item >= 1. What is left behind the last whole item stays in
 * its place. Fast for items of 2, 4 and multiples of 8 bytes. */
void fds_shuffle(uint8_t *target, const uint8_t *source, size_t size, size_t item);
void fds_unshuffle(uint8_t *target, const uint8_t *source, size_t size, size_t item);

#endif
