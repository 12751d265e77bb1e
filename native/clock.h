/* Monotonic time in nanoseconds, for deadlines and timings. */
#ifndef FDS_CLOCK_H
#define FDS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FDS_MS ((int64_t)1000000)
#define FDS_SECOND ((int64_t)1000000000)

static inline int64_t fds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * FDS_SECOND + t.tv_nsec;
}

#endif
