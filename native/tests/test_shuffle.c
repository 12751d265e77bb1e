/* The byte shuffle against its definition, for all item sizes and all tails of tiles. */
#include "../shuffle.h"
#include "check.h"

#include <stdlib.h>

static void check_size(size_t size, size_t item) {
    /* Exactly as long as the data, for AddressSanitizer to see any step over the ends. */
    uint8_t *source = calloc(size + !size, 1), *expected = calloc(size + !size, 1), *got = calloc(size + !size, 1);
    if (!source || !expected || !got)
        abort();
    for (size_t i = 0; i < size; i++)
        source[i] = (uint8_t)(i * 167 + (i >> 8) * 13);
    size_t items = size / item;
    memcpy(expected, source, size);
    for (size_t i = 0; i < items; i++)
        for (size_t j = 0; j < item; j++)
            expected[j * items + i] = source[i * item + j];
    memset(got, 0xEE, size);
    fds_shuffle(got, source, size, item);
    if (!CHECK_MEM_EQ(got, size, expected, size))
        fprintf(stderr, "    %zu bytes, item %zu\n", size, item);
    memset(expected, 0xEE, size);
    fds_unshuffle(expected, got, size, item);
    if (!CHECK_MEM_EQ(expected, size, source, size))
        fprintf(stderr, "    back: %zu bytes, item %zu\n", size, item);
    free(source);
    free(expected);
    free(got);
}

static void every_item_size_is_shuffled_and_comes_back(void) {
    for (size_t item = 1; item <= 255; item++)
        for (size_t items = 0; items <= 34; items += item % 5 + 1)
            for (size_t tail = 0; tail < item; tail += item / 2 + 1)
                check_size(items * item + tail, item);
}

static void every_size_of_the_usual_items_is_shuffled_and_comes_back(void) {
    const size_t usual[] = {2, 4, 8, 12, 16};
    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++)
        for (size_t size = 0; size < 600; size++)
            check_size(size, usual[k]);
    check_size((1 << 20) + 5, 8);
}

static void data_shorter_than_an_item_stays_as_it_is(void) {
    check_size(0, 255);
    check_size(254, 255);
    check_size(1, 2);
}

int main(void) {
    RUN(every_item_size_is_shuffled_and_comes_back);
    RUN(every_size_of_the_usual_items_is_shuffled_and_comes_back);
    RUN(data_shorter_than_an_item_stays_as_it_is);
    return check_report();
}
