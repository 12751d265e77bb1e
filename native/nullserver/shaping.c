#define _GNU_SOURCE
#include "shaping.h"

#include "clock.h"

#include <stdlib.h>

#define REQUESTS_SLACK (100 * FDS_NS_MILLISECOND) /* so many requests may come at once after a pause */
#define LINK_SLACK (20 * FDS_NS_MILLISECOND)      /* a stall up to this long is made up for */
#define PREFIXES 4096                             /* two that share a hash share a rate */
#define BYTES_PER_GBIT 125e6

bool fds_ns_shaping_init(fds_ns_shaping *shaping, const fds_ns_shaping_options *options) {
    *shaping = (fds_ns_shaping){.options = options, .request_meters = options->per_prefix ? PREFIXES : 1};
    fds_ns_meter_init(&shaping->down, options->link_gbps * BYTES_PER_GBIT, LINK_SLACK);
    fds_ns_meter_init(&shaping->up, options->link_gbps * BYTES_PER_GBIT, LINK_SLACK);
    shaping->requests = calloc(shaping->request_meters, sizeof *shaping->requests);
    for (size_t i = 0; shaping->requests && i < shaping->request_meters; i++)
        fds_ns_meter_init(&shaping->requests[i], options->max_requests_per_s, REQUESTS_SLACK);
    return shaping->requests != NULL;
}

void fds_ns_shaping_free(fds_ns_shaping *shaping) {
    free(shaping->requests);
    shaping->requests = NULL;
}
