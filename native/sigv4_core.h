/* The parts of a Signature Version 4, for sigv4.c and for tests against published vectors.
 *
 * Here the caller says which headers are signed, and all that is given is signed as given; what fds_sigv4_sign adds and
 * leaves out is decided in sigv4.c.
 */
#ifndef FDS_SIGV4_CORE_H
#define FDS_SIGV4_CORE_H

#include "hash.h"
#include "sigv4.h"

#define FDS_TIMESTAMP_SIZE 16 /* 20130524T000000Z */
#define FDS_DAY_SIZE 8        /* of which the day is the first 8 */

/* Belongs to one thread. The first group is the cache; the second is what the last signature was made from, valid until
 * the next one (its memory is used again). */
struct fds_signing_key {
    fds_hmac hmac;      /* holds the derived key of `secret` and `scope` */
    fds_buf secret;     /* whose key it is */
    fds_buf scope;      /* day/region/service/aws4_request; empty while there is no key */
    size_t region_size; /* where in scope the region ends: it might hold a '/' */

    fds_buf canonical_request;
    fds_buf string_to_sign;
    fds_str signed_headers; /* within canonical_request: "host;x-amz-date" */
};

/* The UTC second `when` as SigV4 writes it. Returns -1 before 1970 and after 9999. */
int fds_sigv4_timestamp(char out[FDS_TIMESTAMP_SIZE], time_t when);

/* Signs the request with exactly `request->headers` (names in any case and order; equal ones are joined with commas in
 * the order given). Writes 64 hex digits. Returns 0, or -1 when memory or the crypto library fails. */
int fds_sigv4_signature(char out[2 * FDS_SHA256_SIZE], fds_signing_key *key, const fds_signer *signer,
                        const fds_signable *request, const char timestamp[FDS_TIMESTAMP_SIZE]);

/* ASCII only, whatever the locale. `lower` is lower case. */
bool fds_sigv4_name_is(fds_str name, const char *lower);
bool fds_sigv4_name_begins(fds_str name, const char *lower);

#endif
