/* How fast one connection moves bytes in one direction: by a rate of its own and the link's. Belongs to the connection.
 *
 * Bytes move in quanta of some milliseconds of the rate, each at the moment that both meters name. Linux can pace what
 * one connection sends (SO_MAX_PACING_RATE; over loopback no cheaper, and up to 9 % too slow at 90 MB/s), but neither
 * what it receives nor many connections together.
 */
#ifndef FDS_NS_PACE_H
#define FDS_NS_PACE_H

#include "meter.h"

#include <stddef.h>

typedef struct {
    fds_ns_meter own;
    fds_ns_meter *link;
    size_t quantum; /* 0: no limit at all */
    size_t granted; /* bytes that may move once `from` has come */
    uint64_t from;
} fds_ns_pace;

void fds_ns_pace_init(fds_ns_pace *pace, double bytes_per_second, fds_ns_meter *link); /* 0: only the link's limit */
void fds_ns_pace_start(fds_ns_pace *pace);                                             /* a new body */

/* How many of the `wanted` bytes may move now; 0: none before `*due`. */
size_t fds_ns_pace_allow(fds_ns_pace *pace, uint64_t wanted, uint64_t *due);
void fds_ns_pace_moved(fds_ns_pace *pace, size_t size);  /* at most what was allowed */
void fds_ns_pace_charge(fds_ns_pace *pace, size_t size); /* moved already, unasked: the next will wait for it */

#endif
