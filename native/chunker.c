#include "chunker.h"

#include "gear.h"

/* A scan alternates between LANES stretches of STRETCH bytes: one byte's hash needs the one before it, so a lane alone
 * waits for itself. Each lane warms up on FDS_GEAR_WINDOW bytes first, 0.8 % of a stretch; a block of all the stretches
 * stays in the first-level cache, for it is scanned again when a cut was seen. */
enum { LANES = 4, STRETCH = 8 << 10, BLOCK = LANES * STRETCH };

bool fds_chunking_is_valid(const fds_chunking *c) {
    return c->minimum >= FDS_GEAR_WINDOW && c->minimum <= c->maximum && c->item >= 1 && c->item <= c->minimum &&
           c->bits >= 1 && c->bits <= 64;
}

static inline uint64_t roll(uint64_t hash, uint8_t byte) {
    return (hash << 1) + FDS_GEAR[byte];
}

/* The hash at `end`, of the window before it. */
static uint64_t hash_at(const uint8_t *end) {
    uint64_t hash = 0;
    for (const uint8_t *p = end - FDS_GEAR_WINDOW; p < end; p++)
        hash = roll(hash, *p);
    return hash;
}

/* The first position p of from <= p < to with a hash of at most `ceiling`; `to` if there is none. */
static const uint8_t *scan(const uint8_t *from, const uint8_t *to, uint64_t ceiling) {
    if (from == to)
        return to;
    uint64_t hash = hash_at(from);
    while (hash > ceiling) {
        hash = roll(hash, *from++);
        if (from == to)
            break;
    }
    return from;
}

/* Whether any position p of from <= p < from + BLOCK is a cut; stops at the first that is seen. */
static bool block_has_cut(const uint8_t *from, uint64_t ceiling) {
    const uint8_t *a = from, *b = from + STRETCH, *c = from + 2 * STRETCH, *d = from + 3 * STRETCH;
    uint64_t hash_a = hash_at(a), hash_b = hash_at(b), hash_c = hash_at(c), hash_d = hash_at(d);
    for (size_t i = 0; i < STRETCH; i++) {
        if (hash_a <= ceiling || hash_b <= ceiling || hash_c <= ceiling || hash_d <= ceiling)
            return true;
        hash_a = roll(hash_a, a[i]);
        hash_b = roll(hash_b, b[i]);
        hash_c = roll(hash_c, c[i]);
        hash_d = roll(hash_d, d[i]);
    }
    return false;
}

size_t fds_chunk_length(const fds_chunking *chunking, const uint8_t *data, size_t size) {
    if (size <= chunking->minimum)
        return size;
    size_t most = size < chunking->maximum ? size : chunking->maximum;
    /* The highest `bits` bits of a hash are zero where it is at most this. */
    uint64_t ceiling = UINT64_MAX >> (chunking->bits - 1) >> 1;
    const uint8_t *p = data + chunking->minimum, *end = data + most;
    while (end - p >= BLOCK && !block_has_cut(p, ceiling))
        p += BLOCK;
    size_t length = (size_t)(scan(p, end, ceiling) - data);
    /* What is left is one chunk: there is nothing behind it that its end could align. */
    return length == size ? size : length - length % chunking->item;
}
