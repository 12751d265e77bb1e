/* Private: a CRC by folding with carry-less multiplication, in 128-bit blocks; crc_x86.c and crc_arm.c include it
 * after they have said what a block is on their processor, so that the algorithm is written, and tested, once.
 *
 * After Gopal, Ozturk, Guilford et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
 * Intel 2009, in the bit-reflected form. 16 bytes of message that stand n bits ahead of other bytes may be multiplied
 * by x^n modulo P and XORed into those: the remainder stays the same, and 16 bytes fewer are left. Eight blocks are
 * folded side by side, because one multiplication takes several cycles but a new one can start in each. What is left in
 * the end is 16 bytes, and these are reduced to the state (Barrett). Constants: crc_kernels.h.
 *
 * The includer defines:
 *     FOLD_TARGET                    the attribute under which its intrinsics compile
 *     block                          16 bytes of message, the first 8 in its lower word
 *     block_load(p)                  from any alignment
 *     block_of(first)                `first` in the lower word; the upper word is zero
 *     block_xor(a, b)
 *     block_first(a), block_last(a)  the lower and the upper word
 *     block_swap(a)                  exchanges the words (or only moves the upper one down)
 *     multiply_first(a, b)           128-bit carry-less product of the lower words
 *     multiply_last(a, b)            ... of the upper words
 *     block_shuffle(a, control)      byte i of the result is a's byte control[i], or 0 where control[i] is 0xff
 *     block_choose(control, a, b)    b's bytes where control is 0xff, else a's
 */
#ifndef FDS_CRC_FOLD_H
#define FDS_CRC_FOLD_H

#include "crc_kernels.h"

#define FOLD_INLINE FOLD_TARGET static inline __attribute__((always_inline))

/* 16 bytes from [16 + n] are the control that moves a block's bytes n places towards its first one; from [16 - n],
 * towards its last one. Zeros come in. */
#define GONE 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
static const uint8_t shift_controls[48] = {GONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, GONE};
#undef GONE

FOLD_INLINE block multiplier_of(const fds_crc_fold *fold) {
    return block_load((const uint8_t *)fold);
}

/* `a`, moved forward over the distance of `multiplier`, in `onto`. */
FOLD_INLINE block fold_onto(block a, block multiplier, block onto) {
    return block_xor(block_xor(multiply_first(a, multiplier), multiply_last(a, multiplier)), onto);
}

/* Barrett's reduction of the lower word w: w * x^64 mod P. The quotient q = floor(w * x^64 / P) is the lower half of
 * w * quotient; the remainder is q * P modulo x^64, bits 63 to 126 of the product in this bit order. */
FOLD_INLINE uint64_t reduce_word(const fds_crc_constants *constants, block w) {
    block q = multiply_first(w, block_of(constants->quotient));
    block r = multiply_first(q, block_of(constants->polynomial));
    return block_last(r) << 1 | block_first(r) >> 63;
}

/* The state after the 16 bytes of `a` from state 0. The first 8 bytes times x^128 make a product of 128 bits; its
 * higher half, like the last 8 bytes, still has to be multiplied by x^64. */
FOLD_INLINE uint64_t reduce_block(const fds_crc_constants *constants, block a) {
    block product = multiply_first(a, block_of(constants->fold[0].last));
    return reduce_word(constants, block_xor(product, block_swap(a))) ^ block_last(product);
}

/* The state from a block that stands for all bytes before `data`, and `size` more. At least 16 bytes before data + size
 * must be readable. */
FOLD_TARGET static uint64_t fold_rest(const fds_crc_constants *constants, block a, const uint8_t *data, size_t size) {
    const block by_16 = multiplier_of(&constants->fold[0]);
    for (; size >= 16; data += 16, size -= 16)
        a = fold_onto(a, by_16, block_load(data));
    if (size > 0) {
        /* Cut (a, the rest) into a zero-padded first block and a full last one. */
        block control = block_load(shift_controls + 16 + size);
        block head = block_shuffle(a, block_load(shift_controls + size));
        block tail = block_choose(control, block_shuffle(a, control), block_load(data + size - 16));
        a = fold_onto(head, by_16, tail);
    }
    return reduce_block(constants, a);
}

/* Fewer than 16 bytes: put behind zeros, which a message may start with when the state is in its first bytes. */
FOLD_TARGET static uint64_t fold_short(const fds_crc_constants *constants, uint64_t state, const uint8_t *data,
                                       size_t size) {
    if (size > 8) {
        uint64_t first = state ^ fds_crc_load_le64(data);
        unsigned rest = 8 * (unsigned)(size - 8);
        uint64_t last = fds_crc_load_le64(data + size - 8) >> (64 - rest) << (64 - rest);
        block words = block_of(first >> rest | last);
        block product = multiply_first(block_of(first << (64 - rest)), block_of(constants->fold[0].last));
        return reduce_word(constants, block_xor(product, words)) ^ block_last(product);
    }
    if (size == 8)
        return reduce_word(constants, block_of(state ^ fds_crc_load_le64(data)));
    if (size == 0)
        return state;
    unsigned bits = 8 * (unsigned)size;
    uint64_t bytes;
    if (size >= 4)
        bytes = fds_crc_load_le32(data) | (uint64_t)fds_crc_load_le32(data + size - 4) << (bits - 32);
    else
        bytes = data[0] | (uint64_t)data[size / 2] << (8 * (size / 2)) | (uint64_t)data[size - 1] << (bits - 8);
    return reduce_word(constants, block_of((state ^ bytes) << (64 - bits))) ^ state >> bits;
}

FOLD_TARGET static uint64_t fold_update(const fds_crc_constants *constants, uint64_t state, const uint8_t *data,
                                        size_t size) {
    if (size < 16)
        return fold_short(constants, state, data, size);
    block a0 = block_xor(block_load(data), block_of(state));
    if (size < 128)
        return fold_rest(constants, a0, data + 16, size - 16);

    block a1 = block_load(data + 16), a2 = block_load(data + 32), a3 = block_load(data + 48);
    block a4 = block_load(data + 64), a5 = block_load(data + 80), a6 = block_load(data + 96);
    block a7 = block_load(data + 112);
    const block by_128 = multiplier_of(&constants->fold[3]);
    for (data += 128, size -= 128; size >= 128; data += 128, size -= 128) {
        a0 = fold_onto(a0, by_128, block_load(data));
        a1 = fold_onto(a1, by_128, block_load(data + 16));
        a2 = fold_onto(a2, by_128, block_load(data + 32));
        a3 = fold_onto(a3, by_128, block_load(data + 48));
        a4 = fold_onto(a4, by_128, block_load(data + 64));
        a5 = fold_onto(a5, by_128, block_load(data + 80));
        a6 = fold_onto(a6, by_128, block_load(data + 96));
        a7 = fold_onto(a7, by_128, block_load(data + 112));
    }
    const block by_64 = multiplier_of(&constants->fold[2]);
    const block by_32 = multiplier_of(&constants->fold[1]);
    const block by_16 = multiplier_of(&constants->fold[0]);
    a4 = fold_onto(a0, by_64, a4);
    a5 = fold_onto(a1, by_64, a5);
    a6 = fold_onto(a2, by_64, a6);
    a7 = fold_onto(a3, by_64, a7);
    a6 = fold_onto(a4, by_32, a6);
    a7 = fold_onto(a5, by_32, a7);
    return fold_rest(constants, fold_onto(a6, by_16, a7), data, size);
}

#endif
