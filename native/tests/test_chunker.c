/* The chunker against the plain definition of docs/format.md: every hash a sum over its 64 bytes, every position looked
 * at in turn. */
#include "../chunker.h"
#include "../gear.h"
#include "../sigv4.h"
#include "check.h"

#include <stdlib.h>

/* A few blocks of the lanes, and some bytes that fill none. */
enum { SIZE = 5 * (32 << 10) + 1234 };

static uint64_t hashes[SIZE + 1]; /* of each position of the data under test */

/* Deterministic (splitmix64), so that a failure comes back. */
static uint64_t random_state;

static uint64_t random_u64(void) {
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t random_between(size_t least, size_t most) {
    return least + (size_t)(random_u64() % (most - least + 1));
}

static uint8_t *random_data(size_t size) {
    uint8_t *data = malloc(size);
    if (!data)
        abort();
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_u64();
    return data;
}

static void hash_by_definition(const uint8_t *data, size_t size) {
    for (size_t p = FDS_GEAR_WINDOW; p <= size; p++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < FDS_GEAR_WINDOW; i++)
            sum += FDS_GEAR[data[p - 1 - i]] << i;
        hashes[p] = sum;
    }
}

/* The chunk that starts at `start`, its hashes being in `hashes`. */
static size_t length_by_definition(const fds_chunking *c, size_t start, size_t size) {
    for (size_t length = c->minimum; length <= c->maximum; length++) {
        if (start + length >= size)
            return size - start;
        bool zero = hashes[start + length] >> (64 - c->bits) == 0;
        if (zero || length == c->maximum)
            return length - length % c->item;
    }
    return 0; /* no such case */
}

/* Cuts data[start..size) to the end, each chunk as the definition says. */
static void check_cuts(const fds_chunking *c, const uint8_t *data, size_t start, size_t size) {
    while (start < size) {
        size_t expected = length_by_definition(c, start, size);
        size_t length = fds_chunk_length(c, data + start, size - start);
        if (length != expected) {
            char what[200];
            snprintf(what, sizeof what,
                     "minimum %zu, maximum %zu, item %zu, bits %u, %zu bytes from %zu: expected %zu, got %zu",
                     c->minimum, c->maximum, c->item, c->bits, size, start, expected, length);
            check_failed_at(__FILE__, __LINE__, what);
            return;
        }
        start += length;
    }
}

static fds_chunking random_chunking(void) {
    fds_chunking c;
    c.minimum = random_between(FDS_GEAR_WINDOW, random_u64() % 2 ? 300 : SIZE / 3);
    c.maximum = random_between(c.minimum, random_u64() % 2 ? c.minimum + 200 : SIZE);
    c.item = random_u64() % 2 ? random_between(1, 16) : random_between(1, c.minimum);
    c.bits = (unsigned)(random_u64() % 4 ? random_between(1, 18) : random_between(1, 64));
    return c;
}

static void the_gear_is_what_sha256_says(void) {
    for (unsigned v = 0; v < 256; v++) {
        char message[21] = "fastdatastore gear 1", hex[64];
        message[20] = (char)v; /* in the place of the NUL */
        if (!CHECK(fds_sha256_hex(hex, message, sizeof message) == 0))
            return;
        char expected[17];
        for (unsigned i = 0; i < 8; i++)
            snprintf(expected + 2 * i, 3, "%02x", (unsigned)(FDS_GEAR[v] >> (8 * i) & 0xff));
        CHECK_MEM_EQ(hex, 16, expected, 16);
    }
}

static void cuts_are_where_the_definition_has_them(void) {
    for (unsigned round = 0; round < 8; round++) {
        uint8_t *data = random_data(SIZE);
        hash_by_definition(data, SIZE);
        for (unsigned i = 0; i < 400; i++) {
            fds_chunking c = random_chunking();
            /* Up to the end of the heap's block, for AddressSanitizer to see any read behind it. */
            check_cuts(&c, data, random_between(0, SIZE), SIZE);
        }
        free(data);
    }
}

/* A run of one value has the same hash everywhere: never a cut, or one at every minimum. */
static void runs_of_one_value_are_cut_by_the_definition(void) {
    uint8_t *data = malloc(SIZE);
    if (!CHECK(data != NULL))
        return;
    for (unsigned value = 0; value < 256; value += 5) {
        memset(data, (int)value, SIZE);
        hash_by_definition(data, SIZE);
        for (unsigned i = 0; i < 10; i++) {
            fds_chunking c = random_chunking();
            check_cuts(&c, data, 0, SIZE);
        }
    }
    free(data);
}

/* The one cut of a scan at each place around the ends of lanes and blocks. */
static void a_cut_is_seen_in_every_lane(void) {
    uint8_t *data = random_data(SIZE);
    hash_by_definition(data, SIZE);
    for (unsigned bits = 8; bits <= 17; bits++) {
        fds_chunking c = {FDS_GEAR_WINDOW, SIZE, 1, bits};
        for (size_t start = 0; start < SIZE; start += random_between(1, 300))
            if (length_by_definition(&c, start, SIZE) != fds_chunk_length(&c, data + start, SIZE - start)) {
                CHECK_EQ(fds_chunk_length(&c, data + start, SIZE - start), length_by_definition(&c, start, SIZE));
                break;
            }
    }
    free(data);
}

static void sizes_around_the_bounds_hold(void) {
    uint8_t *data = random_data(SIZE);
    hash_by_definition(data, SIZE);
    const fds_chunking chunkings[] = {{64, 64, 1, 3},       {64, 65, 64, 64},        {4096, 8192, 16, 64},
                                      {4096, 8192, 7, 64},  {4096, 4096, 4096, 1},   {4096, 70000, 4095, 12},
                                      {100, 40000, 3, 10},  {1000, 33768, 1, 64},    {1000, 33767, 1, 64}};
    for (size_t i = 0; i < sizeof chunkings / sizeof *chunkings; i++) {
        const fds_chunking *c = &chunkings[i];
        const size_t around[] = {0, c->minimum, c->maximum, 2 * c->maximum, c->minimum + c->maximum};
        for (size_t k = 0; k < sizeof around / sizeof *around; k++)
            for (size_t size = around[k] > 2 ? around[k] - 2 : 0; size <= around[k] + 2 && size <= SIZE; size++)
                check_cuts(c, data, 0, size);
    }
    CHECK_EQ(fds_chunk_length(&chunkings[0], data, 0), 0);
    free(data);
}

static void what_makes_no_sense_is_refused(void) {
    CHECK(fds_chunking_is_valid(&(fds_chunking){64, 64, 64, 64}));
    CHECK(fds_chunking_is_valid(&(fds_chunking){6 << 20, 16 << 20, 1, 21}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){63, 64, 1, 21}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){65, 64, 1, 21}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){64, 64, 0, 21}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){64, 128, 65, 21}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){64, 128, 1, 0}));
    CHECK(!fds_chunking_is_valid(&(fds_chunking){64, 128, 1, 65}));
}

int main(void) {
    RUN(the_gear_is_what_sha256_says);
    RUN(cuts_are_where_the_definition_has_them);
    RUN(runs_of_one_value_are_cut_by_the_definition);
    RUN(a_cut_is_seen_in_every_lane);
    RUN(sizes_around_the_bounds_hold);
    RUN(what_makes_no_sense_is_refused);
    return check_report();
}
