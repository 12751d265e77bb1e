/* Time for deadlines: nanoseconds that only grow. */
#ifndef FDS_NS_CLOCK_H
#define FDS_NS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FDS_NS_MILLISECOND 1000000ULL
#define FDS_NS_SECOND 1000000000ULL

static inline uint64_t fds_ns_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * FDS_NS_SECOND + (uint64_t)now.tv_nsec;
}

#endif
