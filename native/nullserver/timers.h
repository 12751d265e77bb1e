/* Deadlines of one loop's connections: a heap, the nearest first. Belongs to one loop. */
#ifndef FDS_NS_TIMERS_H
#define FDS_NS_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One deadline; zero-initialised, it is not set. Lives in its owner, at one address, until it is cancelled. */
typedef struct {
    uint64_t due;
    size_t place; /* 0: not set, else its index in the heap + 1 */
    void *owner;
} fds_ns_timer;

/* Zero-initialised, it is empty. */
typedef struct {
    fds_ns_timer **heap;
    size_t count, capacity;
} fds_ns_timers;

void fds_ns_timers_free(fds_ns_timers *timers);

/* Makes room for `count` timers, so that setting them cannot fail; false when memory fails. */
bool fds_ns_timers_reserve(fds_ns_timers *timers, size_t count);
void fds_ns_timers_set(fds_ns_timers *timers, fds_ns_timer *timer, uint64_t due); /* or moves it */
void fds_ns_timers_cancel(fds_ns_timers *timers, fds_ns_timer *timer);            /* if it is set */

/* Takes out the nearest that is due; its owner, or NULL. */
void *fds_ns_timers_take(fds_ns_timers *timers, uint64_t now);

/* How long a poller may sleep: milliseconds, rounded up; -1 without timers. */
int fds_ns_timers_sleep_ms(const fds_ns_timers *timers);

#endif
