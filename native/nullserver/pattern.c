#define _GNU_SOURCE
#include "pattern.h"

#include "../crc.h"

#include <stdlib.h>

#define SEED 0x6664735F6E756C6CULL

static uint8_t *block;

bool fds_ns_pattern_make(void) {
    void *memory;
    if (posix_memalign(&memory, 4096, FDS_NS_PATTERN_SIZE))
        return false;
    block = memory;
    uint64_t state = SEED;
    for (size_t i = 0; i < FDS_NS_PATTERN_SIZE; i += 8) {
        uint64_t z = state += 0x9E3779B97F4A7C15ULL;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
        z ^= z >> 31;
        for (unsigned byte = 0; byte < 8; byte++)
            block[i + byte] = (uint8_t)(z >> 8 * byte);
    }
    return true;
}

void fds_ns_pattern_free(void) {
    free(block);
    block = NULL;
}

const char *fds_ns_pattern_block(void) {
    return (const char *)block;
}

uint64_t fds_ns_pattern_crc64(uint64_t size) {
    uint64_t whole = 0;                                                            /* of the blocks taken so far */
    uint64_t power = fds_crc_update(FDS_CRC64NVME, 0, block, FDS_NS_PATTERN_SIZE); /* of 2^i blocks */
    uint64_t length = FDS_NS_PATTERN_SIZE;
    for (uint64_t blocks = size / FDS_NS_PATTERN_SIZE; blocks; blocks >>= 1) {
        if (blocks & 1)
            whole = fds_crc_combine(FDS_CRC64NVME, whole, power, length);
        if (blocks > 1) {
            power = fds_crc_combine(FDS_CRC64NVME, power, power, length);
            length *= 2;
        }
    }
    return fds_crc_update(FDS_CRC64NVME, whole, block, size % FDS_NS_PATTERN_SIZE);
}
