/* A rate that is not exceeded: of bytes or of requests. Any thread; no lock.
 *
 * A token bucket, kept as the one moment at which all that was granted will have passed at the rate (GCRA, ITU-T
 * I.371). Who takes is told when its turn begins, so that many who wait for one link are served in order, each waking
 * once. A turn that comes up to `slack` late is made up for: sleeping and scheduling cost no rate.
 */
#ifndef FDS_NS_METER_H
#define FDS_NS_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised, it has no limit. */
typedef struct {
    double interval;       /* nanoseconds for one unit; 0: no limit */
    uint64_t slack;        /* nanoseconds */
    _Atomic uint64_t free; /* all that was granted has passed then */
} fds_ns_meter;

void fds_ns_meter_init(fds_ns_meter *meter, double units_per_second, uint64_t slack); /* 0 a second: no limit */

/* Grants `amount` in any case; returns when it may begin to pass: `now` or before, or later. */
uint64_t fds_ns_meter_take(fds_ns_meter *meter, uint64_t now, double amount);

/* Grants `amount` only if it may begin to pass now. */
bool fds_ns_meter_try(fds_ns_meter *meter, uint64_t now, double amount);

/* Forgets what was saved up before `now`; what is owed stays. */
void fds_ns_meter_start(fds_ns_meter *meter, uint64_t now);

#endif
