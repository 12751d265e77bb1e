/* The bytes of a request's head, signed, with the body's checksum in it. */
#ifndef FDS_REQUEST_H
#define FDS_REQUEST_H

#include "attempt.h"

/* Headers of an order; host and the checksum come on top. */
#define FDS_REQUEST_HEADERS_MAX 46

/* Appends the head of `attempt` to `out`; what it says of the body is in attempt->crc and `payload_hash` (see digest.h).
 * Returns 0, or -1 when memory or the crypto library fails. `key` is the calling loop's cache. */
int fds_request_head(fds_buf *out, const fds_attempt *attempt, const char payload_hash[64], fds_signing_key *key);

#endif
