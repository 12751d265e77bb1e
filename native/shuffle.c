/* Both directions are the transposition of a matrix of bytes, items by item size, done in tiles of 8 items by 8, 4 or 2
 * bytes that fit into registers; what fills no tile goes byte by byte. */
#include "shuffle.h"

#include <stdbool.h>
#include <string.h>

#define ITEMS 8 /* of a tile: as many as a word has bytes */

/* Swaps the blocks off the diagonal: byte c of word r becomes byte r of word c (Hacker's Delight, 7-3). */
static inline void transpose(uint64_t w[8]) {
#define SWAP(a, b, shift, mask)                                                                                        \
    do {                                                                                                               \
        uint64_t differ = (w[a] >> (shift) ^ w[b]) & (mask);                                                           \
        w[b] ^= differ;                                                                                                \
        w[a] ^= differ << (shift);                                                                                     \
    } while (0)
    for (int i = 0; i < 4; i++)
        SWAP(i, i + 4, 32, UINT64_C(0x00000000FFFFFFFF));
    for (int i = 0; i < 8; i += 4)
        for (int j = i; j < i + 2; j++)
            SWAP(j, j + 2, 16, UINT64_C(0x0000FFFF0000FFFF));
    for (int i = 0; i < 8; i += 2)
        SWAP(i, i + 1, 8, UINT64_C(0x00FF00FF00FF00FF));
#undef SWAP
}

/* Byte 0 of a word is its lowest in transpose(): where it is not the lowest in memory, no tile is used. */
static inline bool is_little_endian(void) {
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 1;
}

/* `width` bytes of each of 8 items become 8 bytes of each of `width` planes; `width` is a constant where it is called. */
static inline void tile_to_planes(uint8_t *planes, size_t items, const uint8_t *rows, size_t item, size_t width) {
    uint64_t w[8] = {0};
    for (size_t i = 0; i < ITEMS; i++)
        memcpy(&w[i], rows + i * item, width);
    transpose(w);
    for (size_t j = 0; j < width; j++)
        memcpy(planes + j * items, &w[j], ITEMS);
}

static inline void tile_to_rows(uint8_t *rows, size_t item, const uint8_t *planes, size_t items, size_t width) {
    uint64_t w[8] = {0};
    for (size_t j = 0; j < width; j++)
        memcpy(&w[j], planes + j * items, ITEMS);
    transpose(w);
    for (size_t i = 0; i < ITEMS; i++)
        memcpy(rows + i * item, &w[i], width);
}

/* Bytes [from, from + width) of the first items, as many as fill tiles; how many those are. */
static inline size_t shuffle_tiles(uint8_t *target, const uint8_t *source, size_t items, size_t item, size_t from,
                                   size_t width) {
    size_t i = 0;
    for (; i + ITEMS <= items; i += ITEMS)
        tile_to_planes(target + from * items + i, items, source + i * item + from, item, width);
    return i;
}

static inline size_t unshuffle_tiles(uint8_t *target, const uint8_t *source, size_t items, size_t item, size_t from,
                                     size_t width) {
    size_t i = 0;
    for (; i + ITEMS <= items; i += ITEMS)
        tile_to_rows(target + i * item + from, item, source + from * items + i, items, width);
    return i;
}

/* The widest tile that the bytes from `from` on fill; 1 for none. */
static size_t tile_width(size_t item, size_t from) {
    size_t left = is_little_endian() ? item - from : 1;
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

void fds_shuffle(uint8_t *target, const uint8_t *source, size_t size, size_t item) {
    size_t items = size / item;
    for (size_t from = 0, width; from < item; from += width) {
        width = tile_width(item, from);
        size_t done = width == 8   ? shuffle_tiles(target, source, items, item, from, 8)
                      : width == 4 ? shuffle_tiles(target, source, items, item, from, 4)
                      : width == 2 ? shuffle_tiles(target, source, items, item, from, 2)
                                   : 0;
        for (size_t j = from; j < from + width; j++)
            for (size_t i = done; i < items; i++)
                target[j * items + i] = source[i * item + j];
    }
    if (size > items * item)
        memcpy(target + items * item, source + items * item, size - items * item);
}

void fds_unshuffle(uint8_t *target, const uint8_t *source, size_t size, size_t item) {
    size_t items = size / item;
    for (size_t from = 0, width; from < item; from += width) {
        width = tile_width(item, from);
        size_t done = width == 8   ? unshuffle_tiles(target, source, items, item, from, 8)
                      : width == 4 ? unshuffle_tiles(target, source, items, item, from, 4)
                      : width == 2 ? unshuffle_tiles(target, source, items, item, from, 2)
                                   : 0;
        for (size_t j = from; j < from + width; j++)
            for (size_t i = done; i < items; i++)
                target[i * item + j] = source[j * items + i];
    }
    if (size > items * item)
        memcpy(target + items * item, source + items * item, size - items * item);
}
