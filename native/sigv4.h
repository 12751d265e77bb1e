/* AWS Signature Version 4, header form: signs one HTTP request.
 *
 * Source: "Signature Calculations for the Authorization Header" in the Amazon S3 API reference.
 * An fds_signer is immutable but for the signing-key cache, which belongs to the calling thread's
 * fds_signing_key: so one signer may be shared by all event loops, each with a cache of its own.
 */
#ifndef FDS_SIGV4_H
#define FDS_SIGV4_H

#include "buf.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define FDS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define FDS_SHA256_SIZE 32
#define FDS_SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct {
    const char *data;
    size_t size;
} fds_str;

typedef struct {
    fds_str name;
    fds_str value;
} fds_pair;

/* Who signs, and for what. Strings belong to the caller and outlive the signer's use. */
typedef struct {
    fds_str access_key;
    fds_str secret_key;
    fds_str session_token; /* size 0: none */
    fds_str region;
    fds_str service;       /* "s3" */
} fds_signer;

/* The derived key of one (secret, day, region, service), with its HMAC states ready. Zero-initialise;
 * one per thread and signer. */
typedef struct fds_signing_key fds_signing_key;
fds_signing_key *fds_signing_key_new(void);
void fds_signing_key_free(fds_signing_key *key); /* wipes the key */

typedef struct {
    fds_str method;
    fds_str path;          /* already percent-encoded, begins with '/', as it goes on the wire; not normalised (S3) */
    const fds_pair *query; /* not encoded, any order */
    size_t query_count;
    const fds_pair *headers; /* every header to be sent except Authorization, x-amz-date, x-amz-content-sha256 and
                                x-amz-security-token; any case, any order; host must be among them */
    size_t header_count;
    fds_str payload_hash;  /* 64 hex digits, or FDS_UNSIGNED_PAYLOAD */
} fds_signable;

/* Appends to `out` the header lines that sign the request ("x-amz-date: …\r\n", "x-amz-content-sha256: …\r\n",
 * "x-amz-security-token: …\r\n" if there is a token, "authorization: …\r\n"). Of `headers` it signs host,
 * content-type, content-md5 and every x-amz-*: what else a proxy may rewrite is left out.
 * `when` is the signing time, UTC seconds. Returns 0, or -1 when memory or the crypto library fails. */
int fds_sigv4_sign(fds_buf *out, const fds_signer *signer, fds_signing_key *key, const fds_signable *request, time_t when);

/* Appends the encoded query string, sorted as the signature wants it ("a=1&b="), without the '?'. */
void fds_sigv4_query(fds_buf *out, const fds_pair *query, size_t count);

/* SHA-256 in hex, for a payload that is to be signed. Returns 0 or -1. */
int fds_sha256_hex(char out[64], const void *data, size_t size);

/* The same over pieces: begin, add …, finish (which frees). begin returns NULL when memory fails. */
typedef struct fds_sha256 fds_sha256;
fds_sha256 *fds_sha256_begin(void);
int fds_sha256_add(fds_sha256 *hash, const void *data, size_t size);
int fds_sha256_finish(fds_sha256 *hash, char out[64]);

#endif
