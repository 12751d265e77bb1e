/* The CRCs against published values and against a reference that takes one bit at a time, for every kernel that this
 * processor runs. */
#include "../crc.h"
#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__) /* GCC's way to say it, and Clang's */
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#ifdef UNDER_TSAN
enum { FULL_ALIGNMENTS = 2 }; /* ten times slower there, and nothing to find: one thread works on one buffer */
#else
enum { FULL_ALIGNMENTS = 16 };
#endif

enum { MAX_LENGTH = 4096, ALIGNMENTS = 64, LONG_SIZE = (1 << 20) + 77 };

typedef struct {
    uint64_t polynomial; /* as published, not reflected: the reference reflects bit by bit */
    unsigned width;
} definition;

static const definition DEFINITIONS[FDS_CRC_COUNT] = {
    [FDS_CRC32] = {0x04C11DB7, 32},
    [FDS_CRC32C] = {0x1EDC6F41, 32},
    [FDS_CRC64NVME] = {UINT64_C(0xAD93D23594C93659), 64},
};

/* The definition itself: a register shifted up, message bits entering lowest bit of each byte first. */
static uint64_t reference_byte(const definition *d, uint64_t shift_register, uint8_t byte) {
    uint64_t top = UINT64_C(1) << (d->width - 1);
    for (int bit = 0; bit < 8; bit++) {
        bool out = ((shift_register & top) != 0) != ((byte >> bit & 1) != 0);
        shift_register = (shift_register & ~top) << 1 ^ (out ? d->polynomial : 0);
    }
    return shift_register;
}

static uint64_t reference_start(const definition *d) {
    return UINT64_MAX >> (64 - d->width);
}

static uint64_t reference_value(const definition *d, uint64_t shift_register) {
    uint64_t reflected = 0;
    for (unsigned i = 0; i < d->width; i++)
        reflected |= (shift_register >> i & 1) << (d->width - 1 - i);
    return reflected ^ reference_start(d);
}

static uint64_t reference_crc(fds_crc_algorithm algorithm, const uint8_t *data, size_t size) {
    const definition *d = &DEFINITIONS[algorithm];
    uint64_t shift_register = reference_start(d);
    for (size_t i = 0; i < size; i++)
        shift_register = reference_byte(d, shift_register, data[i]);
    return reference_value(d, shift_register);
}

/* Deterministic (splitmix64), so that a failure comes back. */
static uint64_t random_state;

static uint64_t random_u64(void) {
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t random_below(size_t limit) {
    return (size_t)(random_u64() % limit);
}

static void random_fill(uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)random_u64();
}

#define FOR_EACH_ALGORITHM(a) for (fds_crc_algorithm a = FDS_CRC32; a < FDS_CRC_COUNT; a++)
#define FOR_EACH_KERNEL(a, k) for (size_t k = 0; fds_crc_kernel_name((a), k) != NULL; k++)

/* Like CHECK_EQ, but says which case it was. */
static void check_crc(fds_crc_algorithm a, size_t kernel, uint64_t got, uint64_t expected, size_t size,
                      size_t alignment) {
    if (got == expected)
        return;
    char what[160];
    snprintf(what, sizeof what, "algorithm %d, kernel %s, %zu bytes, alignment %zu: expected %llx, got %llx", (int)a,
             fds_crc_kernel_name(a, kernel), size, alignment, (unsigned long long)expected, (unsigned long long)got);
    check_failed_at(__FILE__, __LINE__, what);
}

static void *first_user(void *result) {
    uint64_t *crcs = result;
    FOR_EACH_ALGORITHM(a) {
        crcs[a] = fds_crc_update(a, 0, "123456789", 9);
    }
    return NULL;
}

/* Must run before anything else touches the CRCs: it is about the very first calls. */
static void any_thread_may_be_first(void) {
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    uint64_t crcs[THREADS][FDS_CRC_COUNT];
    int started = 0;
    while (started < THREADS && CHECK(pthread_create(&threads[started], NULL, first_user, crcs[started]) == 0))
        started++;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(crcs[i][FDS_CRC32], 0xCBF43926);
        CHECK_EQ(crcs[i][FDS_CRC32C], 0xE3069283);
        CHECK_EQ(crcs[i][FDS_CRC64NVME], UINT64_C(0xAE8B14860A799888));
    }
}

/* CRC-32 and the check values: the catalogue of parametrised CRC algorithms (reveng). CRC-32C: RFC 3720, B.4.
 * CRC-64/NVME: NVM Express NVM Command Set Specification, 64b CRC test cases. */
static void published_values_hold(void) {
    static uint8_t data[4096];
    FOR_EACH_ALGORITHM(a) {
        static const uint64_t CHECKS[FDS_CRC_COUNT] = {0xCBF43926, 0xE3069283, UINT64_C(0xAE8B14860A799888)};
        CHECK_EQ(reference_crc(a, (const uint8_t *)"123456789", 9), CHECKS[a]);
        FOR_EACH_KERNEL(a, k) {
            CHECK_EQ(fds_crc_update_with(a, k, 0, "123456789", 9), CHECKS[a]);
        }
    }
    const char *fox = "The quick brown fox jumps over the lazy dog";
    FOR_EACH_KERNEL(FDS_CRC32, k) {
        CHECK_EQ(fds_crc_update_with(FDS_CRC32, k, 0, fox, strlen(fox)), 0x414FA339);
    }
    for (int pattern = 0; pattern < 4; pattern++) {
        static const uint32_t OF_32_BYTES[4] = {0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C};
        static const uint64_t OF_4096_BYTES[4] = {UINT64_C(0x6482D367EB22B64E), UINT64_C(0xC0DDBA7302ECA3AC),
                                                  UINT64_C(0x3E729F5F6750449C), UINT64_C(0x9A2DF64B8E9E517E)};
        for (unsigned i = 0; i < 4096; i++)
            data[i] = (uint8_t)(pattern == 0 ? 0 : pattern == 1 ? 0xff : pattern == 2 ? i : 255 - i);
        FOR_EACH_KERNEL(FDS_CRC64NVME, k) {
            CHECK_EQ(fds_crc_update_with(FDS_CRC64NVME, k, 0, data, 4096), OF_4096_BYTES[pattern]);
        }
        for (unsigned i = 0; pattern == 3 && i < 32; i++)
            data[i] = (uint8_t)(31 - i);
        FOR_EACH_KERNEL(FDS_CRC32C, k) {
            CHECK_EQ(fds_crc_update_with(FDS_CRC32C, k, 0, data, 32), OF_32_BYTES[pattern]);
        }
    }
}

/* Every length at the first alignments (all those within a 16-byte block); at the others, up to a cache line, the
 * lengths around each kernel's strides. */
static bool is_worth_every_alignment(size_t length) {
    return length <= 160 || (length % 64 <= 1 && length <= 1200) || length % 64 == 63 || length >= MAX_LENGTH - 4;
}

static void every_length_and_alignment_matches_the_reference(void) {
    static uint8_t message[MAX_LENGTH];
    static _Alignas(64) uint8_t room[ALIGNMENTS + MAX_LENGTH + 64];
    static uint64_t expected[MAX_LENGTH + 1];
    random_fill(message, sizeof message);
    FOR_EACH_ALGORITHM(a) {
        const definition *d = &DEFINITIONS[a];
        uint64_t shift_register = reference_start(d);
        for (size_t length = 0; length <= MAX_LENGTH; length++) {
            expected[length] = reference_value(d, shift_register);
            if (length < MAX_LENGTH)
                shift_register = reference_byte(d, shift_register, message[length]);
        }
        for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
            random_fill(room, sizeof room);
            memcpy(room + alignment, message, MAX_LENGTH);
            FOR_EACH_KERNEL(a, k) {
                for (size_t length = 0; length <= MAX_LENGTH; length++)
                    if (alignment < FULL_ALIGNMENTS || is_worth_every_alignment(length)) {
                        uint64_t got = fds_crc_update_with(a, k, 0, room + alignment, length);
                        check_crc(a, k, got, expected[length], length, alignment);
                    }
            }
        }
    }
}

/* What matters here is the address sanitizer, with its guards on both sides of each allocation. */
static void nothing_is_read_outside_of_the_data(void) {
    for (size_t length = 0; length <= 1200; length++) {
        uint8_t *data = malloc(length);
        if (!CHECK(data != NULL || length == 0))
            return;
        random_fill(data, length);
        FOR_EACH_ALGORITHM(a) {
            uint64_t expected = reference_crc(a, data, length);
            FOR_EACH_KERNEL(a, k) {
                check_crc(a, k, fds_crc_update_with(a, k, 0, data, length), expected, length, 0);
            }
        }
        free(data);
    }
}

static void no_bytes_change_nothing(void) {
    FOR_EACH_ALGORITHM(a) {
        FOR_EACH_KERNEL(a, k) {
            CHECK_EQ(fds_crc_update_with(a, k, 0, NULL, 0), 0);
            CHECK_EQ(fds_crc_update_with(a, k, 0x12345678, NULL, 0), 0x12345678);
        }
    }
}

static uint8_t *long_data(void) {
    static uint8_t data[LONG_SIZE];
    random_fill(data, sizeof data);
    return data;
}

static void long_data_matches_the_reference(void) {
    const uint8_t *data = long_data();
    FOR_EACH_ALGORITHM(a) {
        uint64_t expected = reference_crc(a, data, LONG_SIZE);
        FOR_EACH_KERNEL(a, k) {
            check_crc(a, k, fds_crc_update_with(a, k, 0, data, LONG_SIZE), expected, LONG_SIZE, 0);
        }
    }
}

static void pieces_give_the_crc_of_the_whole(void) {
    static const size_t LARGEST[] = {3, 20, 200, 3000, 200000};
    const uint8_t *data = long_data();
    FOR_EACH_ALGORITHM(a) {
        uint64_t expected = fds_crc_update(a, 0, data, LONG_SIZE);
        FOR_EACH_KERNEL(a, k) {
            for (size_t i = 0; i < sizeof LARGEST / sizeof *LARGEST; i++) {
                /* small pieces over a shorter stretch: this is about boundaries, not about time */
                size_t total = LARGEST[i] < 3000 ? 20000 : LONG_SIZE;
                uint64_t crc = 0;
                for (size_t at = 0; at < total;) {
                    size_t piece = random_below(LARGEST[i] + 1);
                    piece = piece < total - at ? piece : total - at;
                    crc = fds_crc_update_with(a, k, crc, data + at, piece);
                    at += piece;
                }
                check_crc(a, k, crc, total == LONG_SIZE ? expected : fds_crc_update(a, 0, data, total), total, 0);
            }
        }
    }
}

static void combine_gives_the_crc_of_the_whole(void) {
    const uint8_t *data = long_data();
    FOR_EACH_ALGORITHM(a) {
        for (int i = 0; i < 300; i++) {
            size_t total = i < 100 ? random_below(100) : random_below(LONG_SIZE);
            size_t split = random_below(total + 1);
            uint64_t crc_a = fds_crc_update(a, 0, data, split);
            uint64_t crc_b = fds_crc_update(a, 0, data + split, total - split);
            if (!CHECK_EQ(fds_crc_combine(a, crc_a, crc_b, total - split), fds_crc_update(a, 0, data, total)))
                return;
        }
    }
}

static void combine_with_nothing_changes_nothing(void) {
    FOR_EACH_ALGORITHM(a) {
        CHECK_EQ(fds_crc_combine(a, 0x89ABCDEF, 0, 0), 0x89ABCDEF);
        CHECK_EQ(fds_crc_combine(a, 0, 0x89ABCDEF, 9), 0x89ABCDEF);
    }
}

/* No such data fits here, but combining must be associative at any length. */
static void combine_is_right_for_huge_lengths(void) {
    FOR_EACH_ALGORITHM(a) {
        for (int i = 0; i < 200; i++) {
            uint64_t mask = UINT64_MAX >> (64 - DEFINITIONS[a].width);
            uint64_t x = random_u64() & mask, y = random_u64() & mask, z = random_u64() & mask;
            uint64_t length_y = random_u64() >> (1 + random_below(62));
            uint64_t length_z = random_u64() >> (1 + random_below(62));
            uint64_t left = fds_crc_combine(a, fds_crc_combine(a, x, y, length_y), z, length_z);
            uint64_t right = fds_crc_combine(a, x, fds_crc_combine(a, y, z, length_z), length_y + length_z);
            if (!CHECK_EQ(left, right))
                return;
        }
    }
}

static void kernels_are_listed_fastest_first_and_the_table_last(void) {
    FOR_EACH_ALGORITHM(a) {
        size_t count = 0;
        FOR_EACH_KERNEL(a, k) {
            count++;
        }
        if (!CHECK(count >= 1))
            return;
        CHECK_STR_EQ(fds_crc_kernel_name(a, count - 1), "table");
        CHECK_STR_EQ(fds_crc_kernel(a), fds_crc_kernel_name(a, 0));
        CHECK(fds_crc_kernel_name(a, count + 5) == NULL);
        printf("algorithm %d runs %s (of %zu kernels)\n", (int)a, fds_crc_kernel(a), count);
    }
}

static void widths_are_those_of_the_values(void) {
    FOR_EACH_ALGORITHM(a) {
        CHECK_EQ(fds_crc_width(a) * 8, DEFINITIONS[a].width);
    }
}

int main(void) {
    RUN(any_thread_may_be_first);
    RUN(published_values_hold);
    RUN(every_length_and_alignment_matches_the_reference);
    RUN(nothing_is_read_outside_of_the_data);
    RUN(no_bytes_change_nothing);
    RUN(long_data_matches_the_reference);
    RUN(pieces_give_the_crc_of_the_whole);
    RUN(combine_gives_the_crc_of_the_whole);
    RUN(combine_with_nothing_changes_nothing);
    RUN(combine_is_right_for_huge_lengths);
    RUN(kernels_are_listed_fastest_first_and_the_table_last);
    RUN(widths_are_those_of_the_values);
    return check_report();
}
