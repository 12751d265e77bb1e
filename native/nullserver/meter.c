#define _GNU_SOURCE
#include "meter.h"

#include "clock.h"

void fds_ns_meter_init(fds_ns_meter *meter, double units_per_second, uint64_t slack) {
    meter->interval = units_per_second > 0 ? (double)FDS_NS_SECOND / units_per_second : 0;
    meter->slack = slack;
    atomic_init(&meter->free, 0);
}

static uint64_t start_of(const fds_ns_meter *meter, uint64_t free, uint64_t now) {
    uint64_t earliest = now > meter->slack ? now - meter->slack : 0;
    return free > earliest ? free : earliest;
}

uint64_t fds_ns_meter_take(fds_ns_meter *meter, uint64_t now, double amount) {
    if (meter->interval <= 0)
        return now;
    uint64_t passes = (uint64_t)(amount * meter->interval), start;
    uint64_t free = atomic_load_explicit(&meter->free, memory_order_relaxed);
    do
        start = start_of(meter, free, now);
    while (!atomic_compare_exchange_weak_explicit(&meter->free, &free, start + passes, memory_order_relaxed,
                                                  memory_order_relaxed));
    return start;
}

bool fds_ns_meter_try(fds_ns_meter *meter, uint64_t now, double amount) {
    if (meter->interval <= 0)
        return true;
    uint64_t passes = (uint64_t)(amount * meter->interval), start;
    uint64_t free = atomic_load_explicit(&meter->free, memory_order_relaxed);
    do {
        start = start_of(meter, free, now);
        if (start > now)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&meter->free, &free, start + passes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void fds_ns_meter_start(fds_ns_meter *meter, uint64_t now) {
    uint64_t free = atomic_load_explicit(&meter->free, memory_order_relaxed);
    while (free < now &&
           !atomic_compare_exchange_weak_explicit(&meter->free, &free, now, memory_order_relaxed, memory_order_relaxed))
        continue;
}
