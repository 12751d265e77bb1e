/* The portable kernel: slicing-by-8 (Kounavis and Berry, "A Systematic Approach to Building High Performance,
 * Software-based, CRC Generators", 2005). */
#include "crc_kernels.h"

void fds_crc_table_fill(fds_crc_constants *constants) {
    uint64_t(*table)[256] = constants->table;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t state = byte;
        for (int bit = 0; bit < 8; bit++)
            state = (state >> 1) ^ (state & 1 ? constants->polynomial : 0);
        table[0][byte] = state;
    }
    for (unsigned k = 1; k < 8; k++)
        for (unsigned byte = 0; byte < 256; byte++)
            table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xff];
}

uint64_t fds_crc_table_update(const fds_crc_constants *constants, uint64_t state, const uint8_t *data, size_t size) {
    const uint64_t(*table)[256] = constants->table;
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t v = state ^ fds_crc_load_le64(data);
        state = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^ table[5][(v >> 16) & 0xff] ^
                table[4][(v >> 24) & 0xff] ^ table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^
                table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
    }
    for (; size > 0; data++, size--)
        state = (state >> 8) ^ table[0][(state ^ *data) & 0xff];
    return state;
}
