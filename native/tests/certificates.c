#define _GNU_SOURCE
#include "certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void need(int held, const char *what) {
    if (held)
        return;
    fprintf(stderr, "%s failed\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

static void add_extension(X509 *certificate, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    need(extension && X509_add_ext(certificate, extension, -1), "X509_add_ext");
    X509_EXTENSION_free(extension);
}

/* Not signed yet. */
static X509 *new_certificate(EVP_PKEY *key, const char *name, long serial, X509_NAME *issuer, long from, long to) {
    X509 *certificate = X509_new();
    need(certificate && X509_set_version(certificate, 2) && X509_set_pubkey(certificate, key) &&
             ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), from) &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), to) &&
             X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                        (const unsigned char *)name, -1, -1, 0) &&
             X509_set_issuer_name(certificate, issuer ? issuer : X509_get_subject_name(certificate)),
         "X509_new");
    return certificate;
}

authority authority_new(const char *name) {
    authority ca = {.path = "/tmp/fds-test-ca-XXXXXX"};
    ca.key = EVP_EC_gen("P-256");
    need(ca.key != NULL, "EVP_EC_gen");
    ca.certificate = new_certificate(ca.key, name, 1, NULL, -86400, 86400);
    add_extension(ca.certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca.certificate, NID_key_usage, "critical,keyCertSign");
    need(X509_sign(ca.certificate, ca.key, EVP_sha256()), "X509_sign");
    int fd = mkstemp(ca.path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    need(file && PEM_write_X509(file, ca.certificate) && fclose(file) == 0, "PEM_write_X509");
    return ca;
}

void authority_free(authority *ca) {
    unlink(ca->path);
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
}

SSL_CTX *server_context(const authority *ca, const char *names, long from, long to) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    need(key != NULL, "EVP_EC_gen");
    X509 *certificate = new_certificate(key, "test server", 2, X509_get_subject_name(ca->certificate), from, to);
    add_extension(certificate, NID_subject_alt_name, names);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    need(X509_sign(certificate, ca->key, EVP_sha256()) && context && SSL_CTX_use_certificate(context, certificate) &&
             SSL_CTX_use_PrivateKey(context, key),
         "server_context");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}
