/* Private to the CRC files: what a kernel is and the constants it works with.
 *
 * One representation serves all three algorithms. They are reflected CRCs: the first bit of a message is the lowest
 * bit of its first byte, and stands for the highest power of x. So a little-endian 64-bit load of message bytes is a
 * polynomial of degree < 64 whose bit i is the coefficient of x^(63-i). A state is such a word, too: the remainder of
 *
 *     message * x^64   modulo a generator P of degree 64.
 *
 * For CRC-64/NVME, P is its polynomial. For a 32-bit CRC of polynomial p, P = p * x^32: then the remainder is x^32
 * times the 32-bit CRC, which in this bit order is just the 32-bit CRC, zero-extended. So no kernel knows which of
 * the three it computes; the constants do. (The inversion of the CRC before and after is fds_crc_update's.)
 *
 * Everything here is written once, before any kernel runs, and read-only afterwards: kernels are pure and
 * thread-safe.
 */
#ifndef FDS_CRC_KERNELS_H
#define FDS_CRC_KERNELS_H

#include "crc.h"

#include <stdint.h>

/* What moves 16 bytes of message forward by n bits (multiplies them by x^n modulo P). A product of two reflected
 * 64-bit words is short of one factor x (bit i stands for x^(126-i), where a 128-bit register has x^(127-i)), so the
 * multipliers' exponents are one less than the distance. */
typedef struct {
    uint64_t first; /* x^(n+63) mod P, for the first 8 bytes, which stand 64 powers higher */
    uint64_t last;  /* x^(n-1) mod P, for the last 8 bytes */
} fds_crc_fold;

enum { FDS_CRC_FOLDS = 6 };

typedef struct {
    uint64_t polynomial;              /* P without its x^64 */
    uint64_t quotient;                /* Barrett: floor(x^128 / P) without its x^0, bit i standing for x^(64-i) */
    fds_crc_fold fold[FDS_CRC_FOLDS]; /* by 2^i blocks of 16 bytes: 16, 32, 64, 128, 256, 512 bytes */
    uint64_t over_bytes[64];          /* x^(8 * 2^i) mod P: moves a state over 2^i bytes */
    uint64_t table[8][256];           /* [k][b]: the state after byte b and k zero bytes */
} fds_crc_constants;

/* The state after `size` more bytes. Any alignment; reads nothing outside of [data, data + size). */
typedef uint64_t fds_crc_update_fn(const fds_crc_constants *constants, uint64_t state, const uint8_t *data,
                                   size_t size);

typedef struct {
    const char *name;
    fds_crc_update_fn *update;
} fds_crc_kernel_entry;

enum { FDS_CRC_MAX_KERNELS = 4 };

/* crc_table.c: runs everywhere. */
void fds_crc_table_fill(fds_crc_constants *constants); /* from constants->polynomial */
fds_crc_update_fn fds_crc_table_update;

/* crc_x86.c, crc_arm.c: appends the kernels that this processor and system can run, fastest first, to entries[0..];
 * returns how many: at most FDS_CRC_MAX_KERNELS - 1. */
size_t fds_crc_x86_kernels(fds_crc_kernel_entry *entries);
size_t fds_crc_arm_kernels(fds_crc_algorithm algorithm, fds_crc_kernel_entry *entries);

#if defined(__x86_64__) && defined(__GNUC__)
#define FDS_CRC_X86 1
#elif defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)
#define FDS_CRC_ARM 1
#endif

/* Byte by byte, so that it means the same on a big-endian machine; compilers make one load of it. */
static inline uint64_t fds_crc_load_le64(const uint8_t *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 |
           (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline uint32_t fds_crc_load_le32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#endif
