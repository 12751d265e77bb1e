#define _GNU_SOURCE
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One read() then fetches several 16 KiB records: measured, a quarter less CPU on large downloads. */
#define READ_AHEAD_BYTES (256 * 1024)

struct fds_tls_context {
    SSL_CTX *ssl;
};

struct fds_tls {
    SSL *ssl;
    char host[256];
    unsigned long error; /* OpenSSL's code of the failure, 0: see saved_errno */
    int saved_errno;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The interpreter may be gone before other threads are: OpenSSL must not tidy up behind them at exit. */
static void initialise(void) {
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
}

static const char *const SYSTEM_BUNDLES[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL, Amazon Linux */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",                  /* macOS, OpenBSD */
};

/* The library's own place may be empty (it succeeds even so), so the system's usual bundle comes on top. */
static bool load_system_trust(SSL_CTX *ssl) {
    bool loaded = SSL_CTX_set_default_verify_paths(ssl) == 1;
    struct stat st;
    for (size_t i = 0; i < sizeof SYSTEM_BUNDLES / sizeof *SYSTEM_BUNDLES; i++)
        if (stat(SYSTEM_BUNDLES[i], &st) == 0 && SSL_CTX_load_verify_file(ssl, SYSTEM_BUNDLES[i]) == 1)
            return true;
    return loaded;
}

static bool load_given_trust(SSL_CTX *ssl, const char *path) {
    struct stat st;
    if (stat(path, &st) < 0)
        return false;
    return (S_ISDIR(st.st_mode) ? SSL_CTX_load_verify_dir(ssl, path) : SSL_CTX_load_verify_file(ssl, path)) == 1;
}

fds_tls_context *fds_tls_context_new(const char *ca_file, char *why, size_t why_size) {
    pthread_once(&once, initialise);
    fds_tls_context *context = calloc(1, sizeof *context);
    SSL_CTX *ssl = context ? SSL_CTX_new(TLS_client_method()) : NULL;
    if (!ssl) {
        free(context);
        snprintf(why, why_size, "OpenSSL could not make a context (out of memory?)");
        return NULL;
    }
    context->ssl = ssl;
    if (!(ca_file ? load_given_trust(ssl, ca_file) : load_system_trust(ssl))) {
        char text[160] = "no such file or directory";
        unsigned long code = ERR_peek_last_error();
        if (code)
            ERR_error_string_n(code, text, sizeof text);
        snprintf(why, why_size, "cannot load certificates from %s: %s", ca_file ? ca_file : "the system", text);
        ERR_clear_error();
        fds_tls_context_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    /* AES-128-GCM costs the least on processors with AES instructions; the server still has the last word. */
    SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_cipher_list(ssl, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL");
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, READ_AHEAD_BYTES);
    /* A peer that hangs up without close_notify is judged by its Content-Length, like one without TLS. */
    SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    return context;
}

void fds_tls_context_free(fds_tls_context *context) {
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

static bool is_address(const char *host) {
    unsigned char address[16];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

fds_tls *fds_tls_new(fds_tls_context *context, int fd, const char *host) {
    fds_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return NULL;
    snprintf(tls->host, sizeof tls->host, "%s", host);
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1)
        goto failed;
    if (is_address(host)) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host) != 1)
            goto failed;
    } else if (SSL_set1_host(tls->ssl, host) != 1 || SSL_set_tlsext_host_name(tls->ssl, host) != 1) {
        goto failed;
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
failed:
    ERR_clear_error();
    fds_tls_free(tls);
    return NULL;
}

void fds_tls_free(fds_tls *tls) {
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

void fds_tls_close(fds_tls *tls) {
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

static fds_io_result judge(fds_tls *tls, int result) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return FDS_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return FDS_IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return FDS_IO_CLOSED;
    case SSL_ERROR_SYSCALL:
        tls->saved_errno = errno;
        tls->error = ERR_peek_last_error();
        ERR_clear_error();
        return tls->saved_errno || tls->error ? FDS_IO_ERROR : FDS_IO_CLOSED;
    default:
        tls->error = ERR_peek_last_error();
        ERR_clear_error();
        return FDS_IO_ERROR;
    }
}

fds_io_result fds_tls_handshake(fds_tls *tls) {
    errno = 0;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? FDS_IO_OK : judge(tls, result);
}

fds_io_result fds_tls_read(fds_tls *tls, void *data, size_t size, size_t *done) {
    errno = 0;
    ERR_clear_error(); /* SSL_get_error takes what others left in the queue for ours */
    int result = SSL_read_ex(tls->ssl, data, size, done);
    return result == 1 ? FDS_IO_OK : judge(tls, result);
}

fds_io_result fds_tls_write(fds_tls *tls, const void *data, size_t size, size_t *done) {
    errno = 0;
    ERR_clear_error();
    int result = SSL_write_ex(tls->ssl, data, size, done);
    return result == 1 ? FDS_IO_OK : judge(tls, result);
}

bool fds_tls_pending(const fds_tls *tls) {
    return SSL_has_pending(tls->ssl);
}

bool fds_tls_refused(const fds_tls *tls) {
    return tls->error && ERR_GET_LIB(tls->error) != ERR_LIB_SYS &&
           !(ERR_GET_LIB(tls->error) == ERR_LIB_SSL && ERR_GET_REASON(tls->error) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

void fds_tls_error(const fds_tls *tls, char *why, size_t why_size) {
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK)
        snprintf(why, why_size, "the certificate of %s does not verify: %s", tls->host,
                 X509_verify_cert_error_string(verdict));
    else if (tls->error && ERR_GET_LIB(tls->error) == ERR_LIB_SSL && ERR_reason_error_string(tls->error))
        snprintf(why, why_size, "TLS: %s", ERR_reason_error_string(tls->error));
    else if (tls->saved_errno)
        snprintf(why, why_size, "TLS: %s", strerror(tls->saved_errno));
    else
        snprintf(why, why_size, "TLS: the peer hung up");
}

const char *fds_tls_library(void) {
    return OpenSSL_version(OPENSSL_VERSION);
}
