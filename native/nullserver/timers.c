#define _GNU_SOURCE
#include "timers.h"

#include "clock.h"

#include <stdlib.h>

#define SLEEP_MAX_MS 60000

void fds_ns_timers_free(fds_ns_timers *timers) {
    free(timers->heap);
    *timers = (fds_ns_timers){0};
}

bool fds_ns_timers_reserve(fds_ns_timers *timers, size_t count) {
    if (count <= timers->capacity)
        return true;
    size_t capacity = timers->capacity ? timers->capacity * 2 : 64;
    if (capacity < count)
        capacity = count;
    fds_ns_timer **heap = realloc(timers->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

static void put(fds_ns_timers *timers, size_t at, fds_ns_timer *timer) {
    timers->heap[at] = timer;
    timer->place = at + 1;
}

static void rise(fds_ns_timers *timers, size_t at, fds_ns_timer *timer) {
    for (; at && timers->heap[(at - 1) / 2]->due > timer->due; at = (at - 1) / 2)
        put(timers, at, timers->heap[(at - 1) / 2]);
    put(timers, at, timer);
}

static void sink(fds_ns_timers *timers, size_t at, fds_ns_timer *timer) {
    for (size_t child; (child = 2 * at + 1) < timers->count; at = child) {
        if (child + 1 < timers->count && timers->heap[child + 1]->due < timers->heap[child]->due)
            child++;
        if (timers->heap[child]->due >= timer->due)
            break;
        put(timers, at, timers->heap[child]);
    }
    put(timers, at, timer);
}

static void settle(fds_ns_timers *timers, size_t at, fds_ns_timer *timer) {
    if (at && timers->heap[(at - 1) / 2]->due > timer->due)
        rise(timers, at, timer);
    else
        sink(timers, at, timer);
}

void fds_ns_timers_set(fds_ns_timers *timers, fds_ns_timer *timer, uint64_t due) {
    size_t at = timer->place ? timer->place - 1 : timers->count++;
    timer->due = due;
    settle(timers, at, timer);
}

void fds_ns_timers_cancel(fds_ns_timers *timers, fds_ns_timer *timer) {
    if (!timer->place)
        return;
    size_t at = timer->place - 1;
    timer->place = 0;
    fds_ns_timer *last = timers->heap[--timers->count];
    if (last != timer)
        settle(timers, at, last);
}

void *fds_ns_timers_take(fds_ns_timers *timers, uint64_t now) {
    if (!timers->count || timers->heap[0]->due > now)
        return NULL;
    fds_ns_timer *timer = timers->heap[0];
    fds_ns_timers_cancel(timers, timer);
    return timer->owner;
}

int fds_ns_timers_sleep_ms(const fds_ns_timers *timers) {
    if (!timers->count)
        return -1;
    uint64_t now = fds_ns_now(), due = timers->heap[0]->due;
    uint64_t left = due > now ? (due - now + FDS_NS_MILLISECOND - 1) / FDS_NS_MILLISECOND : 0;
    return left < SLEEP_MAX_MS ? (int)left : SLEEP_MAX_MS;
}
