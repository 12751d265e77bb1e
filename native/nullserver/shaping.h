/* What makes the server behave like an S3 at the other end of a network, for all of its loops: the link's rate in each
 * direction, the rate of requests. Immutable but for the meters, which any thread may use.
 */
#ifndef FDS_NS_SHAPING_H
#define FDS_NS_SHAPING_H

#include "meter.h"
#include "shaping_options.h"

#include <stddef.h>

typedef struct {
    const fds_ns_shaping_options *options;
    fds_ns_meter down, up; /* of the link */
    fds_ns_meter *requests;
    size_t request_meters; /* one, or one for each hash of a prefix */
} fds_ns_shaping;

/* False when memory fails. The options must outlive it. */
bool fds_ns_shaping_init(fds_ns_shaping *shaping, const fds_ns_shaping_options *options);
void fds_ns_shaping_free(fds_ns_shaping *shaping);

#endif
