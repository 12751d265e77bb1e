/* The bytes of every object of mode `fixed`: one block of 1 MiB, repeated.
 *
 * Word i of the block (8 bytes, little-endian) is output i of splitmix64 seeded with 0x6664735F6E756C6C ("fds_null"):
 *     state += 0x9E3779B97F4A7C15; z = state
 *     z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;  z = (z ^ z >> 27) * 0x94D049BB133111EB;  z ^= z >> 31
 * Byte n of an object is byte n mod 1 MiB of the block. One block keeps the sender's cache hot, so that the server's
 * CPU time is the kernel's copy and little else. Made once by fds_ns_pattern_make, read-only afterwards.
 */
#ifndef FDS_NS_PATTERN_H
#define FDS_NS_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#define FDS_NS_PATTERN_SIZE (1u << 20)

bool fds_ns_pattern_make(void); /* once, before any thread; false when memory fails */
void fds_ns_pattern_free(void);
const char *fds_ns_pattern_block(void);

/* CRC-64/NVME of an object of `size` bytes: O(log size), plus one pass over the last partial block. */
uint64_t fds_ns_pattern_crc64(uint64_t size);

#endif
