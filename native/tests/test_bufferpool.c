/* Recycled regions: what is kept, what is given back to the system, and what a fork's child has of them. */
#define _GNU_SOURCE
#include "bufferpool.h"
#include "check.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static void check_state(fds_bufferpool *pool, size_t in_use, size_t in_use_bytes, size_t kept, size_t kept_bytes) {
    fds_bufferpool_state state = fds_bufferpool_look(pool);
    CHECK_EQ(state.in_use_regions, in_use);
    CHECK_EQ(state.in_use_bytes, in_use_bytes);
    CHECK_EQ(state.free_regions, kept);
    CHECK_EQ(state.free_bytes, kept_bytes);
}

static void capacities_are_whole_steps_and_large_regions_whole_huge_pages(void) {
    static const size_t cases[][2] = {
        {0, 64 * KIB},          {1, 64 * KIB},          {64 * KIB, 64 * KIB}, {64 * KIB + 1, 128 * KIB},
        {2 * MIB - 1, 2 * MIB}, {2 * MIB + 1, 4 * MIB}, {8 * MIB, 8 * MIB}};
    fds_bufferpool *pool = fds_bufferpool_new(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t capacity = 0;
        char *memory = fds_bufferpool_take(pool, cases[i][0], &capacity);
        CHECK_EQ(capacity, cases[i][1]);
        CHECK_EQ((uintptr_t)memory % (capacity < 2 * MIB ? 4096 : 2 * MIB), 0);
        memset(memory, 1, capacity);
        check_state(pool, 1, capacity, 0, 0);
        fds_bufferpool_give(pool, memory, capacity, 0);
        check_state(pool, 0, 0, 0, 0);
    }
    size_t capacity = 0;
    CHECK(fds_bufferpool_take(pool, SIZE_MAX, &capacity) == NULL);
    CHECK(fds_bufferpool_take(pool, SIZE_MAX / 2, &capacity) == NULL);
    check_state(pool, 0, 0, 0, 0);
    fds_bufferpool_release(pool);
}

static void a_region_is_recycled_when_it_fits_without_much_waste(void) {
    fds_bufferpool *pool = fds_bufferpool_new(64 * MIB);
    size_t capacity;
    void *first = fds_bufferpool_take(pool, 8 * MIB, &capacity);
    fds_bufferpool_give(pool, first, capacity, 0);
    check_state(pool, 0, 0, 1, 8 * MIB);
    void *small = fds_bufferpool_take(pool, 4 * MIB, &capacity); /* twice its size: not this one */
    CHECK(small != first);
    void *again = fds_bufferpool_take(pool, 8 * MIB - 5, &capacity);
    CHECK(again == first);
    memset(again, 2, capacity);
    check_state(pool, 2, 12 * MIB, 0, 0);
    CHECK_EQ(fds_bufferpool_look(pool).recycled, 1);
    CHECK_EQ(fds_bufferpool_look(pool).mapped, 2);
    fds_bufferpool_give(pool, again, 8 * MIB, 0);
    fds_bufferpool_give(pool, small, 4 * MIB, 0);
    CHECK(fds_bufferpool_take(pool, 4 * MIB, &capacity) == small);
    fds_bufferpool_give(pool, small, 4 * MIB, 0);
    fds_bufferpool_release(pool);
}

static void the_oldest_free_regions_make_room_for_a_new_one(void) {
    fds_bufferpool *pool = fds_bufferpool_new(6 * MIB);
    size_t capacity;
    void *regions[5];
    for (int i = 0; i < 5; i++)
        regions[i] = fds_bufferpool_take(pool, 2 * MIB, &capacity);
    for (int i = 0; i < 5; i++)
        fds_bufferpool_give(pool, regions[i], 2 * MIB, 0);
    check_state(pool, 0, 0, 3, 6 * MIB);
    for (int i = 4; i >= 2; i--)
        CHECK(fds_bufferpool_take(pool, 2 * MIB, &capacity) == regions[i]);
    for (int i = 2; i < 5; i++)
        fds_bufferpool_give(pool, regions[i], 2 * MIB, 0);
    fds_bufferpool_trim(pool, 4 * MIB);
    check_state(pool, 0, 0, 2, 4 * MIB);
    fds_bufferpool_trim(pool, 0);
    check_state(pool, 0, 0, 0, 0);
    fds_bufferpool_release(pool);
}

static void what_is_in_flight_and_what_is_free_are_within_the_limit_together(void) {
    fds_bufferpool *pool = fds_bufferpool_new(8 * MIB);
    size_t capacity;
    void *first = fds_bufferpool_take(pool, 2 * MIB, &capacity), *second = fds_bufferpool_take(pool, 2 * MIB, &capacity);
    fds_bufferpool_give(pool, first, 2 * MIB, 0);
    fds_bufferpool_give(pool, second, 2 * MIB, 0);
    void *large = fds_bufferpool_take(pool, 6 * MIB, &capacity); /* none of the free ones will do */
    check_state(pool, 1, 6 * MIB, 1, 2 * MIB);
    void *huge = fds_bufferpool_take(pool, 10 * MIB, &capacity);
    check_state(pool, 2, 16 * MIB, 0, 0);
    fds_bufferpool_give(pool, large, 6 * MIB, 0);
    check_state(pool, 1, 10 * MIB, 0, 0);
    fds_bufferpool_hand_over(pool, 10 * MIB); /* not in flight any more */
    CHECK_EQ(fds_bufferpool_look(pool).handed_bytes, 10 * MIB);
    void *other = fds_bufferpool_take(pool, 6 * MIB, &capacity);
    fds_bufferpool_give(pool, other, 6 * MIB, 0);
    check_state(pool, 1, 10 * MIB, 1, 6 * MIB);
    fds_bufferpool_give(pool, huge, 10 * MIB, 1); /* over the limit by itself: not kept, and nothing goes for it */
    check_state(pool, 0, 0, 1, 6 * MIB);
    CHECK_EQ(fds_bufferpool_look(pool).handed_bytes, 0);
    fds_bufferpool_release(pool);
}

static void a_region_may_outlive_its_pools_maker(void) {
    fds_bufferpool *pool = fds_bufferpool_new(8 * MIB);
    size_t capacity;
    char *memory = fds_bufferpool_take(fds_bufferpool_retain(pool), MIB, &capacity);
    fds_bufferpool_release(pool);
    memory[0] = 1;
    fds_bufferpool_give(pool, memory, capacity, 0);
    fds_bufferpool_release(pool);
}

static void *take_and_give(void *argument) {
    fds_bufferpool *pool = argument;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = (1 + i % 5) * 100 * KIB, capacity;
        char *memory = fds_bufferpool_take(pool, size, &capacity);
        memory[0] = memory[size - 1] = (char)i; /* TSan sees a region that two threads have */
        fds_bufferpool_give(pool, memory, capacity, 0);
    }
    return NULL;
}

static void threads_never_share_a_region(void) {
    fds_bufferpool *pool = fds_bufferpool_new(MIB);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, take_and_give, pool);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    fds_bufferpool_state state = fds_bufferpool_look(pool);
    CHECK_EQ(state.in_use_regions, 0);
    CHECK(state.free_bytes <= MIB);
    CHECK_EQ(state.mapped + state.recycled, 6000);
    fds_bufferpool_release(pool);
}

/* The free list was not inherited: other memory may be in its place by now, which must be left alone. */
static int use_in_child(fds_bufferpool *pool, char *kept, char *in_use) {
    char *other = mmap(kept, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (other != kept)
        return 2;
    memset(other, 7, 4 * MIB);
    size_t capacity;
    char *memory = fds_bufferpool_take(pool, 4 * MIB, &capacity);
    if (memory == other)
        return 3;
    memset(memory, 8, capacity);
    fds_bufferpool_give(pool, memory, capacity, 0);
    if (in_use[0] != 5)
        return 4;
    fds_bufferpool_give(pool, in_use, 2 * MIB, 0);
    fds_bufferpool_state state = fds_bufferpool_look(pool);
    fds_bufferpool_release(pool);
    return other[0] == 7 && other[4 * MIB - 1] == 7 && state.free_bytes == 6 * MIB ? 0 : 5;
}

static void a_forks_child_has_the_regions_in_use_and_no_free_ones(void) {
    fds_bufferpool *pool = fds_bufferpool_new(16 * MIB);
    size_t capacity;
    char *in_use = fds_bufferpool_take(pool, 2 * MIB, &capacity), *kept = fds_bufferpool_take(pool, 4 * MIB, &capacity);
    in_use[0] = 5;
    memset(kept, 6, 4 * MIB);
    fds_bufferpool_give(pool, kept, 4 * MIB, 0);
#ifdef __linux__ /* elsewhere the free list is inherited, and left where it is */
    pid_t child = fork();
    if (child == 0)
        _exit(use_in_child(pool, kept, in_use));
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
#else
    (void)use_in_child;
#endif
    CHECK(fds_bufferpool_take(pool, 4 * MIB, &capacity) == kept);
    fds_bufferpool_give(pool, kept, 4 * MIB, 0);
    fds_bufferpool_give(pool, in_use, 2 * MIB, 0);
    fds_bufferpool_release(pool);
}

int main(void) {
    RUN(capacities_are_whole_steps_and_large_regions_whole_huge_pages);
    RUN(a_region_is_recycled_when_it_fits_without_much_waste);
    RUN(the_oldest_free_regions_make_room_for_a_new_one);
    RUN(what_is_in_flight_and_what_is_free_are_within_the_limit_together);
    RUN(a_region_may_outlive_its_pools_maker);
    RUN(threads_never_share_a_region);
    RUN(a_forks_child_has_the_regions_in_use_and_no_free_ones);
    return check_report();
}
