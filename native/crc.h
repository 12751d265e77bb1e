/* Cyclic redundancy checks: CRC-32 (ISO-HDLC), CRC-32C (Castagnoli) and CRC-64/NVME.
 *
 * All functions are pure and thread-safe. The fastest kernel that this processor runs is picked once,
 * at the first call (target attributes and run-time dispatch, no build flags).
 */
#ifndef FDS_CRC_H
#define FDS_CRC_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    FDS_CRC32,     /* polynomial 0x04C11DB7, reflected; what zlib and x-amz-checksum-crc32 mean */
    FDS_CRC32C,    /* polynomial 0x1EDC6F41, reflected */
    FDS_CRC64NVME, /* polynomial 0xAD93D23594C93659, reflected, init and xorout all ones */
    FDS_CRC_COUNT,
} fds_crc_algorithm;

/* The CRC of `data` after bytes whose CRC is `crc`; the CRC of no bytes is 0.
 * So update(update(0, a), b) is the CRC of a followed by b. */
uint64_t fds_crc_update(fds_crc_algorithm algorithm, uint64_t crc, const void *data, size_t size);

/* The CRC of a followed by b, from the CRC of each and the length of b in bytes; O(log length). */
uint64_t fds_crc_combine(fds_crc_algorithm algorithm, uint64_t crc_a, uint64_t crc_b, uint64_t length_b);

/* Bytes of the CRC's value: 4 or 8. */
size_t fds_crc_width(fds_crc_algorithm algorithm);

/* Name of the kernel in use, e.g. "vpclmulqdq", "pclmulqdq", "pmull", "table". */
const char *fds_crc_kernel(fds_crc_algorithm algorithm);

/* For tests and benches: the kernels that this processor can run, and a direct call of one of them.
 * `index` counts from 0; the name is NULL past the last one. */
const char *fds_crc_kernel_name(fds_crc_algorithm algorithm, size_t index);
uint64_t fds_crc_update_with(fds_crc_algorithm algorithm, size_t index, uint64_t crc, const void *data, size_t size);

#endif
