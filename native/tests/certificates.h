/* Certificates for tests, made on the spot. */
#ifndef FDS_TESTS_CERTIFICATES_H
#define FDS_TESTS_CERTIFICATES_H

#include <openssl/ssl.h>

typedef struct {
    EVP_PKEY *key;
    X509 *certificate;
    char path[64]; /* PEM */
} authority;

/* A self-signed CA, its certificate in a temporary file. All of these abort the program when OpenSSL fails. */
authority authority_new(const char *name);
void authority_free(authority *ca); /* removes the file, too */

/* A server context with a certificate of `ca` for `names` ("IP:127.0.0.1,DNS:localhost"), valid from `from` to `to`,
 * in seconds from now. */
SSL_CTX *server_context(const authority *ca, const char *names, long from, long to);

#endif
