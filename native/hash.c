#include "hash.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

struct fds_sha256 {
    EVP_MD_CTX *context;
};

/* Fetched once per process, as a fetch costs more than a signature. An atomic rather than pthread_once: a fetch that
 * failed is tried again, and a child forked during the first one is not left waiting for it. */
static const EVP_MD *sha256(void) {
    static _Atomic(EVP_MD *) fetched;
    EVP_MD *md = atomic_load_explicit(&fetched, memory_order_acquire);
    if (md != NULL)
        return md;
    EVP_MD *mine = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (mine != NULL && !atomic_compare_exchange_strong(&fetched, &md, mine)) {
        EVP_MD_free(mine); /* another thread was first; md is now its */
        return md;
    }
    return mine;
}

static int start(EVP_MD_CTX *context) {
    const EVP_MD *md = sha256();
    return md != NULL && EVP_DigestInit_ex2(context, md, NULL) == 1 ? 0 : -1;
}

static int add(EVP_MD_CTX *context, const void *data, size_t size) {
    return EVP_DigestUpdate(context, data, size) == 1 ? 0 : -1;
}

static int finish(EVP_MD_CTX *context, unsigned char out[FDS_SHA256_SIZE]) {
    return EVP_DigestFinal_ex(context, out, NULL) == 1 ? 0 : -1;
}

int fds_sha256_with(EVP_MD_CTX *context, unsigned char out[FDS_SHA256_SIZE], const void *data, size_t size) {
    return start(context) == 0 && add(context, data, size) == 0 ? finish(context, out) : -1;
}

/* ---- HMAC (RFC 2104) ---- */

int fds_hmac_init(fds_hmac *hmac) {
    hmac->inner = EVP_MD_CTX_new();
    hmac->outer = EVP_MD_CTX_new();
    hmac->work = EVP_MD_CTX_new();
    return hmac->inner != NULL && hmac->outer != NULL && hmac->work != NULL ? 0 : -1;
}

void fds_hmac_free(fds_hmac *hmac) {
    EVP_MD_CTX_free(hmac->inner); /* the provider cleanses a context's state when it frees it */
    EVP_MD_CTX_free(hmac->outer);
    EVP_MD_CTX_free(hmac->work);
    *hmac = (fds_hmac){0};
}

int fds_hmac_set_key(fds_hmac *hmac, const void *key, size_t size) {
    unsigned char block[BLOCK] = {0};
    int result = 0;
    if (size > BLOCK)
        result = fds_sha256_with(hmac->work, block, key, size);
    else if (size > 0)
        memcpy(block, key, size);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] ^= 0x36;
    if (result == 0)
        result = start(hmac->inner) == 0 ? add(hmac->inner, block, BLOCK) : -1;
    for (size_t i = 0; i < BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5c;
    if (result == 0)
        result = start(hmac->outer) == 0 ? add(hmac->outer, block, BLOCK) : -1;
    OPENSSL_cleanse(block, sizeof block);
    return result;
}

int fds_hmac_compute(fds_hmac *hmac, unsigned char out[FDS_SHA256_SIZE], const void *data, size_t size) {
    unsigned char inner[FDS_SHA256_SIZE];
    if (EVP_MD_CTX_copy_ex(hmac->work, hmac->inner) != 1 || add(hmac->work, data, size) != 0 ||
        finish(hmac->work, inner) != 0)
        return -1;
    if (EVP_MD_CTX_copy_ex(hmac->work, hmac->outer) != 1 || add(hmac->work, inner, sizeof inner) != 0)
        return -1;
    return finish(hmac->work, out);
}

/* ---- SHA-256 of payloads ---- */

static void to_hex(char out[2 * FDS_SHA256_SIZE], const unsigned char digest[FDS_SHA256_SIZE]) {
    fds_buf hex = {.data = out, .capacity = 2 * FDS_SHA256_SIZE}; /* just large enough: nothing is allocated */
    fds_buf_add_hex(&hex, digest, FDS_SHA256_SIZE);
}

fds_sha256 *fds_sha256_begin(void) {
    fds_sha256 *hash = calloc(1, sizeof *hash);
    if (hash == NULL)
        return NULL;
    hash->context = EVP_MD_CTX_new();
    if (hash->context != NULL && start(hash->context) == 0)
        return hash;
    EVP_MD_CTX_free(hash->context);
    free(hash);
    return NULL;
}

int fds_sha256_add(fds_sha256 *hash, const void *data, size_t size) {
    return add(hash->context, data, size);
}

int fds_sha256_finish(fds_sha256 *hash, char out[64]) {
    unsigned char digest[FDS_SHA256_SIZE];
    int result = finish(hash->context, digest);
    if (result == 0)
        to_hex(out, digest);
    EVP_MD_CTX_free(hash->context);
    free(hash);
    return result;
}

int fds_sha256_hex(char out[64], const void *data, size_t size) {
    fds_sha256 *hash = fds_sha256_begin();
    if (hash == NULL)
        return -1;
    int added = fds_sha256_add(hash, data, size);
    int finished = fds_sha256_finish(hash, out);
    return added == 0 ? finished : -1;
}
