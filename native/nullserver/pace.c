#define _GNU_SOURCE
#include "pace.h"

#include "clock.h"

/* Small enough to be smooth, large enough that system calls don't cost more than the bytes: with 70 uploads of 20 MB/s
 * each the server took 0.35, 0.31 and 0.24 core-s/GB with 2, 4 and 8 ms. */
#define QUANTUM_SECONDS 0.008
#define QUANTUM_MIN (16 * 1024)
#define QUANTUM_MAX (256 * 1024)
/* A stall of the machine or of the client up to this long is made up for. Nothing is saved up between two bodies. */
#define OWN_SLACK (50 * FDS_NS_MILLISECOND)

void fds_ns_pace_init(fds_ns_pace *pace, double bytes_per_second, fds_ns_meter *link) {
    *pace = (fds_ns_pace){.link = link};
    fds_ns_meter_init(&pace->own, bytes_per_second, OWN_SLACK);
    if (bytes_per_second <= 0 && link->interval <= 0)
        return;
    double rate = bytes_per_second > 0 ? bytes_per_second : (double)FDS_NS_SECOND / link->interval;
    double quantum = rate * QUANTUM_SECONDS;
    pace->quantum = quantum < QUANTUM_MIN ? QUANTUM_MIN : quantum > QUANTUM_MAX ? QUANTUM_MAX : (size_t)quantum;
}

void fds_ns_pace_start(fds_ns_pace *pace) {
    if (pace->quantum)
        fds_ns_meter_start(&pace->own, fds_ns_now());
}

size_t fds_ns_pace_allow(fds_ns_pace *pace, uint64_t wanted, uint64_t *due) {
    if (!pace->quantum)
        return SIZE_MAX;
    uint64_t now = fds_ns_now();
    if (!pace->granted) {
        pace->granted = wanted < pace->quantum ? (size_t)wanted : pace->quantum;
        uint64_t own = fds_ns_meter_take(&pace->own, now, (double)pace->granted);
        uint64_t link = fds_ns_meter_take(pace->link, now, (double)pace->granted);
        pace->from = own > link ? own : link;
    }
    if (pace->from > now) {
        *due = pace->from;
        return 0;
    }
    return pace->granted;
}

void fds_ns_pace_moved(fds_ns_pace *pace, size_t size) {
    if (pace->quantum)
        pace->granted -= size;
}

void fds_ns_pace_charge(fds_ns_pace *pace, size_t size) {
    if (!pace->quantum)
        return;
    uint64_t now = fds_ns_now();
    fds_ns_meter_take(&pace->own, now, (double)size);
    fds_ns_meter_take(pace->link, now, (double)size);
}
