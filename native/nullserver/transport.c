#include "transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GATHER (128 * 1024)

SSL_CTX *fds_ns_tls_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* AES-128-GCM first: the cheapest on processors with AES instructions. */
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, GATHER);
    const char *bad = NULL;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        bad = certificate;
    else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(context) != 1)
        bad = key;
    if (bad) {
        const char *why = ERR_reason_error_string(ERR_get_error());
        fprintf(stderr, "fds-nullserver: cannot use %s for TLS: %s\n", bad, why ? why : strerror(errno));
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

bool fds_ns_transport_open(fds_ns_transport *transport, int fd, SSL_CTX *context) {
    *transport = (fds_ns_transport){.fd = fd};
    if (!context)
        return true;
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new_socket(fd, BIO_NOCLOSE);
    BIO *socket_out = BIO_new_socket(fd, BIO_NOCLOSE);
    BIO *gather = BIO_new(BIO_f_buffer());
    if (!ssl || !in || !socket_out || !gather || BIO_set_write_buffer_size(gather, GATHER) != 1) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(socket_out);
        BIO_free(gather);
        return false;
    }
    SSL_set_bio(ssl, in, BIO_push(gather, socket_out));
    SSL_set_accept_state(ssl);
    transport->ssl = ssl;
    return true;
}

void fds_ns_transport_close(fds_ns_transport *transport) {
    SSL_free(transport->ssl);
    transport->ssl = NULL;
    if (transport->fd >= 0)
        close(transport->fd);
    transport->fd = -1;
}

void fds_ns_transport_finish(fds_ns_transport *transport) {
    if (transport->ssl) {
        ERR_clear_error();
        SSL_shutdown(transport->ssl);
        fds_ns_transport_flush(transport);
    }
    shutdown(transport->fd, SHUT_WR);
}

static fds_ns_io tls_result(const SSL *ssl, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        return FDS_NS_IO_OK;
    case SSL_ERROR_WANT_READ:
        return FDS_NS_IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return FDS_NS_IO_WANT_WRITE;
    default:
        return FDS_NS_IO_CLOSED;
    }
}

static fds_ns_io plain_result(fds_ns_io when_blocked) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? when_blocked : FDS_NS_IO_CLOSED;
}

fds_ns_io fds_ns_transport_handshake(fds_ns_transport *transport) {
    if (!transport->ssl)
        return FDS_NS_IO_OK;
    ERR_clear_error();
    fds_ns_io result = tls_result(transport->ssl, SSL_do_handshake(transport->ssl));
    if (result == FDS_NS_IO_CLOSED) /* let the peer read the alert that says why */
        fds_ns_transport_flush(transport);
    return result;
}

fds_ns_io fds_ns_transport_read(fds_ns_transport *transport, char *buffer, size_t size, size_t *got) {
    *got = 0;
    if (!transport->ssl) {
        ssize_t received;
        do
            received = recv(transport->fd, buffer, size, 0);
        while (received < 0 && errno == EINTR);
        if (received <= 0)
            return received ? plain_result(FDS_NS_IO_WANT_READ) : FDS_NS_IO_CLOSED;
        *got = (size_t)received;
        return FDS_NS_IO_OK;
    }
    fds_ns_io result = FDS_NS_IO_OK;
    while (*got < size && result == FDS_NS_IO_OK) { /* one record a turn */
        size_t part = 0;
        ERR_clear_error();
        result = tls_result(transport->ssl, SSL_read_ex(transport->ssl, buffer + *got, size - *got, &part));
        *got += part;
    }
    return *got ? FDS_NS_IO_OK : result;
}

fds_ns_io fds_ns_transport_write(fds_ns_transport *transport, struct iovec *pieces, size_t count, size_t *sent) {
    *sent = 0;
    if (!transport->ssl) {
        struct msghdr message = {.msg_iov = pieces};
        message.msg_iovlen = (__typeof__(message.msg_iovlen))count; /* size_t here, int there */
        ssize_t result;
        do
            result = sendmsg(transport->fd, &message, 0); /* SIGPIPE is ignored, see main.c */
        while (result < 0 && errno == EINTR);
        if (result < 0)
            return plain_result(FDS_NS_IO_WANT_WRITE);
        *sent = (size_t)result;
        return FDS_NS_IO_OK;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t done = 0; done < pieces[i].iov_len;) { /* one record a turn */
            size_t part = 0;
            ERR_clear_error();
            int result =
                SSL_write_ex(transport->ssl, (char *)pieces[i].iov_base + done, pieces[i].iov_len - done, &part);
            if (result != 1)
                return *sent ? FDS_NS_IO_OK : tls_result(transport->ssl, result);
            done += part;
            *sent += part;
        }
    }
    return FDS_NS_IO_OK;
}

fds_ns_io fds_ns_transport_flush(fds_ns_transport *transport) {
    if (!transport->ssl)
        return FDS_NS_IO_OK;
    BIO *out = SSL_get_wbio(transport->ssl);
    if (BIO_flush(out) == 1)
        return FDS_NS_IO_OK;
    return BIO_should_retry(out) ? FDS_NS_IO_WANT_WRITE : FDS_NS_IO_CLOSED;
}
