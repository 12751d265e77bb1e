/* Pseudo-random numbers that a seed repeats (splitmix64). The state belongs to one loop. */
#ifndef FDS_NS_CHANCE_H
#define FDS_NS_CHANCE_H

#include <stdint.h>

/* At least 0, below 1. */
static inline double fds_ns_chance(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

#endif
