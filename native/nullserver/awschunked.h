/* The decoder of aws-chunked bodies: "size[;chunk-signature=…]" CRLF data CRLF … "0" CRLF [trailers] CRLF.
 *
 * Source: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" in the Amazon
 * S3 API reference. Chunk signatures are skipped, not verified. Pure functions; lines are bounded.
 */
#ifndef FDS_NS_AWSCHUNKED_H
#define FDS_NS_AWSCHUNKED_H

#include "text.h"

typedef struct {
    int state;
    uint64_t left; /* bytes of the present chunk's data still to come */
    size_t line_size;
    char line[512];
    size_t trailer_size;
    char trailer[128]; /* the first "x-amz-checksum-…:value" line among the trailers */
} fds_ns_awschunked;   /* zero-initialise */

/* Takes bytes from `*data` and gives at most one run of body bytes per call (a pointer into the data); false when the
 * body is malformed. Call until `*size` is 0. */
bool fds_ns_awschunked_feed(fds_ns_awschunked *chunked, const char **data, size_t *size, fds_ns_text *run);
bool fds_ns_awschunked_complete(const fds_ns_awschunked *chunked);

#endif
