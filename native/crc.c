/* The public CRC functions: constants from the polynomials, choice of the kernel, combination. */
#include "crc.h"

#include "crc_kernels.h"

#include <pthread.h>

/* All that an algorithm is; filled in by prepare_all, read-only afterwards. */
typedef struct {
    fds_crc_constants constants;
    uint64_t mask; /* of the CRC's width; also its initial value and what it is XORed with at the end */
    fds_crc_kernel_entry kernels[FDS_CRC_MAX_KERNELS]; /* fastest first; the table is always the last */
    size_t kernel_count;
} crc_engine;

static crc_engine engines[FDS_CRC_COUNT];
static pthread_once_t engines_once = PTHREAD_ONCE_INIT;

/* x^0 and x^1 as reflected words. */
static const uint64_t X_TO_0 = UINT64_C(1) << 63;
static const uint64_t X_TO_1 = UINT64_C(1) << 62;

/* a * b mod P, one coefficient of `a` at a time, from x^0 up, while `b` is multiplied by x. */
static uint64_t multiply(uint64_t polynomial, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (; a != 0; a <<= 1) {
        product ^= a & X_TO_0 ? b : 0;
        b = (b >> 1) ^ (b & 1 ? polynomial : 0);
    }
    return product;
}

/* x^n mod P, by squaring. */
static uint64_t x_to_the(uint64_t polynomial, uint64_t n) {
    uint64_t power = X_TO_0;
    for (uint64_t square = X_TO_1; n != 0; n >>= 1) {
        if (n & 1)
            power = multiply(polynomial, power, square);
        square = multiply(polynomial, square, square);
    }
    return power;
}

/* floor(x^128 / P) by long division: the quotient's bits from x^64 down to x^1, bit i of the result being x^(64-i).
 * Its x^0 is not wanted: it can't reach the half of the product that Barrett's reduction uses. */
static uint64_t barrett_quotient(uint64_t polynomial) {
    uint64_t quotient = 1;
    uint64_t remainder = polynomial; /* x^128 - x^64 * P, its highest coefficient in bit 0 */
    for (int i = 1; i < 64; i++) {
        uint64_t bit = remainder & 1;
        remainder = (remainder >> 1) ^ (bit ? polynomial : 0);
        quotient |= bit << i;
    }
    return quotient;
}

static void prepare(crc_engine *engine, fds_crc_algorithm algorithm, uint64_t polynomial, uint64_t mask) {
    fds_crc_constants *constants = &engine->constants;
    engine->mask = mask;
    constants->polynomial = polynomial;
    constants->quotient = barrett_quotient(polynomial);
    for (unsigned i = 0; i < FDS_CRC_FOLDS; i++) {
        uint64_t bits = UINT64_C(128) << i;
        constants->fold[i].first = x_to_the(polynomial, bits + 63);
        constants->fold[i].last = x_to_the(polynomial, bits - 1);
    }
    uint64_t power = x_to_the(polynomial, 8);
    for (unsigned i = 0; i < 64; i++) {
        constants->over_bytes[i] = power;
        power = multiply(polynomial, power, power);
    }
    fds_crc_table_fill(constants);

    size_t count = 0;
#if defined(FDS_CRC_X86)
    (void)algorithm;
    count = fds_crc_x86_kernels(engine->kernels);
#elif defined(FDS_CRC_ARM)
    count = fds_crc_arm_kernels(algorithm, engine->kernels);
#else
    (void)algorithm;
#endif
    engine->kernels[count++] = (fds_crc_kernel_entry){"table", fds_crc_table_update};
    engine->kernel_count = count;
}

/* The polynomials of crc.h, reflected. */
static void prepare_all(void) {
    prepare(&engines[FDS_CRC32], FDS_CRC32, UINT64_C(0xEDB88320), UINT32_MAX);
    prepare(&engines[FDS_CRC32C], FDS_CRC32C, UINT64_C(0x82F63B78), UINT32_MAX);
    prepare(&engines[FDS_CRC64NVME], FDS_CRC64NVME, UINT64_C(0x9A6C9329AC4BC9B5), UINT64_MAX);
}

static const crc_engine *engine_of(fds_crc_algorithm algorithm) {
    pthread_once(&engines_once, prepare_all);
    return &engines[algorithm];
}

static uint64_t update_by(const crc_engine *engine, size_t index, uint64_t crc, const void *data, size_t size) {
    uint64_t state = engine->kernels[index].update(&engine->constants, ~crc & engine->mask, data, size);
    return ~state & engine->mask;
}

uint64_t fds_crc_update(fds_crc_algorithm algorithm, uint64_t crc, const void *data, size_t size) {
    return update_by(engine_of(algorithm), 0, crc, data, size);
}

uint64_t fds_crc_update_with(fds_crc_algorithm algorithm, size_t index, uint64_t crc, const void *data, size_t size) {
    const crc_engine *engine = engine_of(algorithm);
    size_t last = engine->kernel_count - 1;
    return update_by(engine, index < last ? index : last, crc, data, size);
}

/* CRCs are linear: what `a` leaves in the CRC of a followed by b is crc_a * x^(8 * length_b) mod P; the inversions at
 * the start and the end cancel out, because here they are the same for both. */
uint64_t fds_crc_combine(fds_crc_algorithm algorithm, uint64_t crc_a, uint64_t crc_b, uint64_t length_b) {
    const crc_engine *engine = engine_of(algorithm);
    const fds_crc_constants *constants = &engine->constants;
    uint64_t moved = crc_a & engine->mask;
    for (unsigned i = 0; length_b != 0; i++, length_b >>= 1)
        if (length_b & 1)
            moved = multiply(constants->polynomial, constants->over_bytes[i], moved);
    return (moved ^ crc_b) & engine->mask;
}

size_t fds_crc_width(fds_crc_algorithm algorithm) {
    return algorithm == FDS_CRC64NVME ? 8 : 4;
}

const char *fds_crc_kernel(fds_crc_algorithm algorithm) {
    return fds_crc_kernel_name(algorithm, 0);
}

const char *fds_crc_kernel_name(fds_crc_algorithm algorithm, size_t index) {
    const crc_engine *engine = engine_of(algorithm);
    return index < engine->kernel_count ? engine->kernels[index].name : NULL;
}
