/* x86-64: folding with PCLMULQDQ, and four blocks at a time with VPCLMULQDQ on AVX-512 registers. */
#include "crc_kernels.h"

#ifdef FDS_CRC_X86

#include <immintrin.h>

/* SSE4.1 for the blend; every processor with PCLMULQDQ has it. */
#define FOLD_TARGET __attribute__((target("pclmul,sse4.1")))
#define PRIMITIVE FOLD_TARGET static inline __attribute__((always_inline))

typedef __m128i block;

PRIMITIVE block block_load(const uint8_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

PRIMITIVE block block_of(uint64_t first) {
    return _mm_cvtsi64_si128((long long)first);
}

PRIMITIVE block block_xor(block a, block b) {
    return _mm_xor_si128(a, b);
}

PRIMITIVE block block_swap(block a) {
    return _mm_unpackhi_epi64(a, a);
}

PRIMITIVE uint64_t block_first(block a) {
    return (uint64_t)_mm_cvtsi128_si64(a);
}

PRIMITIVE uint64_t block_last(block a) {
    return (uint64_t)_mm_extract_epi64(a, 1);
}

PRIMITIVE block multiply_first(block a, block b) {
    return _mm_clmulepi64_si128(a, b, 0x00);
}

PRIMITIVE block multiply_last(block a, block b) {
    return _mm_clmulepi64_si128(a, b, 0x11);
}

PRIMITIVE block block_shuffle(block a, block control) {
    return _mm_shuffle_epi8(a, control);
}

PRIMITIVE block block_choose(block control, block a, block b) {
    return _mm_blendv_epi8(a, b, control);
}

#include "crc_fold.h"

#define WIDE_TARGET __attribute__((target("avx512f,avx512vl,vpclmulqdq,pclmul,sse4.1")))
#define WIDE_INLINE WIDE_TARGET static inline __attribute__((always_inline))

WIDE_INLINE __m512i wide_load(const uint8_t *p) {
    return _mm512_loadu_si512((const void *)p);
}

WIDE_INLINE __m512i wide_multiplier(const fds_crc_fold *fold) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)fold));
}

WIDE_INLINE __m512i wide_fold_onto(__m512i a, __m512i multiplier, __m512i onto) {
    __m512i first = _mm512_clmulepi64_epi128(a, multiplier, 0x00);
    __m512i last = _mm512_clmulepi64_epi128(a, multiplier, 0x11);
    return _mm512_ternarylogic_epi64(first, last, onto, 0x96); /* XOR of three */
}

/* As fold_update, with eight registers of four blocks; below its stride, fold_update does it. */
WIDE_TARGET static uint64_t wide_update(const fds_crc_constants *constants, uint64_t state, const uint8_t *data,
                                        size_t size) {
    if (size < 512)
        return fold_update(constants, state, data, size);

    __m512i a0 = _mm512_xor_si512(wide_load(data), _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state)));
    __m512i a1 = wide_load(data + 64), a2 = wide_load(data + 128), a3 = wide_load(data + 192);
    __m512i a4 = wide_load(data + 256), a5 = wide_load(data + 320), a6 = wide_load(data + 384);
    __m512i a7 = wide_load(data + 448);
    const __m512i by_512 = wide_multiplier(&constants->fold[5]);
    for (data += 512, size -= 512; size >= 512; data += 512, size -= 512) {
        a0 = wide_fold_onto(a0, by_512, wide_load(data));
        a1 = wide_fold_onto(a1, by_512, wide_load(data + 64));
        a2 = wide_fold_onto(a2, by_512, wide_load(data + 128));
        a3 = wide_fold_onto(a3, by_512, wide_load(data + 192));
        a4 = wide_fold_onto(a4, by_512, wide_load(data + 256));
        a5 = wide_fold_onto(a5, by_512, wide_load(data + 320));
        a6 = wide_fold_onto(a6, by_512, wide_load(data + 384));
        a7 = wide_fold_onto(a7, by_512, wide_load(data + 448));
    }
    const __m512i by_256 = wide_multiplier(&constants->fold[4]);
    const __m512i by_128 = wide_multiplier(&constants->fold[3]);
    const __m512i by_64 = wide_multiplier(&constants->fold[2]);
    a4 = wide_fold_onto(a0, by_256, a4);
    a5 = wide_fold_onto(a1, by_256, a5);
    a6 = wide_fold_onto(a2, by_256, a6);
    a7 = wide_fold_onto(a3, by_256, a7);
    a6 = wide_fold_onto(a4, by_128, a6);
    a7 = wide_fold_onto(a5, by_128, a7);
    a7 = wide_fold_onto(a6, by_64, a7);
    for (; size >= 64; data += 64, size -= 64)
        a7 = wide_fold_onto(a7, by_64, wide_load(data));

    const __m128i by_32 = multiplier_of(&constants->fold[1]);
    const __m128i by_16 = multiplier_of(&constants->fold[0]);
    __m128i b2 = fold_onto(_mm512_castsi512_si128(a7), by_32, _mm512_extracti32x4_epi32(a7, 2));
    __m128i b3 = fold_onto(_mm512_extracti32x4_epi32(a7, 1), by_32, _mm512_extracti32x4_epi32(a7, 3));
    b3 = fold_onto(b2, by_16, b3);
    /* GCC does not do this before a call that takes a vector, and instructions of the SSE encoding run at half their
     * speed, here and in the caller's later code, while the wide registers' upper parts are in use. */
    _mm256_zeroupper();
    return fold_rest(constants, b3, data, size);
}

/* The compiler's run-time library asks CPUID for the instructions and XGETBV for whether the system saves the wide
 * registers, and says no to AVX-512 if it does not. */
size_t fds_crc_x86_kernels(fds_crc_kernel_entry *entries) {
    size_t count = 0;
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("pclmul") || !__builtin_cpu_supports("sse4.1"))
        return 0;
    if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        entries[count++] = (fds_crc_kernel_entry){"vpclmulqdq", wide_update};
    entries[count++] = (fds_crc_kernel_entry){"pclmulqdq", fold_update};
    return count;
}

#endif
