/* What a request's head says of its body: the CRC, and the SHA-256 that the signature covers.
 *
 * They are needed before the first byte goes out, and a loop that hashes does nothing else: measured, 18 ms for 32 MiB of
 * SHA-256, 1.3 ms of CRC-64. So a large body is taken in slices, and the loop looks after its connections in between.
 */
#ifndef FDS_DIGEST_H
#define FDS_DIGEST_H

#include "attempt.h"

/* 0.6 ms of SHA-256; what one hash has read is in the cache for the other. */
#define FDS_DIGEST_SLICE ((size_t)1 << 20)

/* Zero-initialise; in between, and after an end, nothing is held. */
typedef struct {
    fds_sha256 *hash; /* NULL: no SHA-256 is wanted */
    size_t span, offset;
    char hex[64];     /* of the SHA-256, when all is done */
} fds_digest;

/* 0, or -1 when memory or the crypto library fails. */
int fds_digest_begin(fds_digest *digest, fds_attempt *attempt);
/* Takes at most `size` bytes more of the body; the CRC goes into attempt->crc. 1: there are more, 0: all is done, -1: the
 * crypto library failed. */
int fds_digest_go_on(fds_digest *digest, fds_attempt *attempt, size_t size);
void fds_digest_drop(fds_digest *digest); /* at any time */

#endif
