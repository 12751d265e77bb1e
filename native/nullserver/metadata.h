/* The headers of a PUT that are kept with the object and come back with it. Pure functions. */
#ifndef FDS_NS_METADATA_H
#define FDS_NS_METADATA_H

#include "../buf.h"
#include "request.h"

/* Writes them as header lines. "aws-chunked" is left out of Content-Encoding; Content-Type has S3's default. */
const fds_ns_error *fds_ns_metadata_collect(const fds_ns_request *request, fds_buf *out);

#endif
