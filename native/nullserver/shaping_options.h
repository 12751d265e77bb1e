/* The part of the command line that makes the server behave like an S3 at the other end of a network. */
#ifndef FDS_NS_SHAPING_OPTIONS_H
#define FDS_NS_SHAPING_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: as fast as it goes. MB/s are 10^6 bytes a second, Gbit/s 10^9 bits a second. */
typedef struct {
    double first_byte_ms;
    double jitter_ms;
    double down_mb_per_s; /* of one connection */
    double up_mb_per_s;   /* of one connection */
    double link_gbps;     /* Gbit/s of all connections, in each direction */
    double max_requests_per_s;
    bool per_prefix; /* max_requests_per_s is each prefix's own */
    double idle_close_ms;
    double fail_percent;
    double seed;
} fds_ns_shaping_options;

extern const char fds_ns_shaping_help[];

/* Applies "--name value". False when the value can't be used; `*known` is false when the name isn't one of these. */
bool fds_ns_shaping_option(fds_ns_shaping_options *options, const char *name, const char *value, bool *known);

#endif
