/* HMAC-SHA-256 over OpenSSL's EVP interface, for sigv4; SHA-256 itself is declared in sigv4.h.
 *
 * An fds_hmac owns its contexts and belongs to one thread. Every function returns 0, or -1 when memory or the crypto
 * library fails.
 */
#ifndef FDS_HASH_H
#define FDS_HASH_H

#include "sigv4.h"

#include <openssl/evp.h>

typedef struct {
    EVP_MD_CTX *inner; /* the state after the key's inner pad: so a MAC never hashes the key again */
    EVP_MD_CTX *outer;
    EVP_MD_CTX *work;
} fds_hmac;

int fds_hmac_init(fds_hmac *hmac);  /* after a failure, fds_hmac_free is still allowed */
void fds_hmac_free(fds_hmac *hmac); /* wipes the key's states */

int fds_hmac_set_key(fds_hmac *hmac, const void *key, size_t size);
int fds_hmac_compute(fds_hmac *hmac, unsigned char out[FDS_SHA256_SIZE], const void *data, size_t size);

/* Plain SHA-256 in a context that the caller keeps, which spares an allocation. */
int fds_sha256_with(EVP_MD_CTX *context, unsigned char out[FDS_SHA256_SIZE], const void *data, size_t size);

#endif
