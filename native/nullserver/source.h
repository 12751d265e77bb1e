/* The bytes of a reply's body, wherever they are, as pieces for one gathering send. Pure functions. */
#ifndef FDS_NS_SOURCE_H
#define FDS_NS_SOURCE_H

#include "exchange.h"

#include <sys/uio.h>

/* Writes up to `max` pieces of the body that follow its first `sent` bytes, together at most `limit` and
 * FDS_NS_SEND_MAX bytes; returns their number. A text body is not here: it goes out with the head. */
#define FDS_NS_SEND_MAX (4u << 20)
size_t fds_ns_source_pieces(const fds_ns_reply *reply, uint64_t sent, size_t limit, struct iovec *pieces, size_t max);

#endif
