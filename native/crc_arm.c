/* 64-bit ARM: folding with PMULL; and, for cores that have the CRC instructions but no PMULL (a Raspberry Pi 4),
 * those for the two 32-bit CRCs. */
#include "crc_kernels.h"

#ifdef FDS_CRC_ARM

#include <arm_neon.h>

#ifdef __linux__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* The optional instructions are written as assembly: compilers disagree, by version, on the name of the target
 * attribute and on whether the intrinsics exist without a flag for the whole file. */
#define FOLD_TARGET
#define PRIMITIVE static inline __attribute__((always_inline))

typedef uint64x2_t block;

PRIMITIVE block block_load(const uint8_t *p) {
    return vreinterpretq_u64_u8(vld1q_u8(p));
}

PRIMITIVE block block_of(uint64_t first) {
    return vcombine_u64(vcreate_u64(first), vcreate_u64(0));
}

PRIMITIVE block block_xor(block a, block b) {
    return veorq_u64(a, b);
}

PRIMITIVE block block_swap(block a) {
    return vextq_u64(a, a, 1);
}

PRIMITIVE uint64_t block_first(block a) {
    return vgetq_lane_u64(a, 0);
}

PRIMITIVE uint64_t block_last(block a) {
    return vgetq_lane_u64(a, 1);
}

PRIMITIVE block multiply_first(block a, block b) {
    block product;
    __asm__(".arch_extension aes\n\tpmull %0.1q, %1.1d, %2.1d" : "=w"(product) : "w"(a), "w"(b));
    return product;
}

PRIMITIVE block multiply_last(block a, block b) {
    block product;
    __asm__(".arch_extension aes\n\tpmull2 %0.1q, %1.2d, %2.2d" : "=w"(product) : "w"(a), "w"(b));
    return product;
}

PRIMITIVE block block_shuffle(block a, block control) {
    return vreinterpretq_u64_u8(vqtbl1q_u8(vreinterpretq_u8_u64(a), vreinterpretq_u8_u64(control)));
}

PRIMITIVE block block_choose(block control, block a, block b) {
    uint64x2_t from_b = vreinterpretq_u64_u8(vceqq_u8(vreinterpretq_u8_u64(control), vdupq_n_u8(0xff)));
    return vbslq_u64(from_b, b, a);
}

#include "crc_fold.h"

#define DEFINE_CRC_STEP(name, instruction, operand, type)                                                              \
    PRIMITIVE uint32_t name(uint32_t state, type value) {                                                              \
        uint32_t next;                                                                                                 \
        __asm__(".arch_extension crc\n\t" instruction " %w0, %w1, %" operand "2"                                       \
                : "=r"(next)                                                                                           \
                : "r"(state), "r"(value));                                                                             \
        return next;                                                                                                   \
    }

DEFINE_CRC_STEP(crc32_word, "crc32x", "x", uint64_t)
DEFINE_CRC_STEP(crc32_byte, "crc32b", "w", uint32_t)
DEFINE_CRC_STEP(crc32c_word, "crc32cx", "x", uint64_t)
DEFINE_CRC_STEP(crc32c_byte, "crc32cb", "w", uint32_t)

static uint64_t crc32_update(const fds_crc_constants *constants, uint64_t state, const uint8_t *data, size_t size) {
    (void)constants;
    uint32_t crc = (uint32_t)state;
    for (; size >= 8; data += 8, size -= 8)
        crc = crc32_word(crc, fds_crc_load_le64(data));
    for (; size > 0; data++, size--)
        crc = crc32_byte(crc, *data);
    return crc;
}

static uint64_t crc32c_update(const fds_crc_constants *constants, uint64_t state, const uint8_t *data, size_t size) {
    (void)constants;
    uint32_t crc = (uint32_t)state;
    for (; size >= 8; data += 8, size -= 8)
        crc = crc32c_word(crc, fds_crc_load_le64(data));
    for (; size > 0; data++, size--)
        crc = crc32c_byte(crc, *data);
    return crc;
}

size_t fds_crc_arm_kernels(fds_crc_algorithm algorithm, fds_crc_kernel_entry *entries) {
#if defined(__linux__)
    unsigned long capabilities = getauxval(AT_HWCAP);
    int has_pmull = (capabilities & HWCAP_PMULL) != 0;
    int has_crc = (capabilities & HWCAP_CRC32) != 0;
#elif defined(__APPLE__)
    int has_pmull = 1, has_crc = 1; /* every Apple processor that runs macOS */
#else
    int has_pmull = 0, has_crc = 0;
#endif
    size_t count = 0;
    if (has_pmull)
        entries[count++] = (fds_crc_kernel_entry){"pmull", fold_update};
    if (has_crc && algorithm == FDS_CRC32)
        entries[count++] = (fds_crc_kernel_entry){"armv8-crc", crc32_update};
    if (has_crc && algorithm == FDS_CRC32C)
        entries[count++] = (fds_crc_kernel_entry){"armv8-crc", crc32c_update};
    return count;
}

#endif
