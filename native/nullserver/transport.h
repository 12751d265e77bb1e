/* One accepted socket, plain or TLS, non-blocking. Belongs to one loop.
 *
 * TLS records are gathered into sends of up to 128 KiB and read from receives of as much: one record a system call
 * (16 KiB) would cost more than the encryption. So a TLS write is on its way only after fds_ns_transport_flush.
 */
#ifndef FDS_NS_TRANSPORT_H
#define FDS_NS_TRANSPORT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

typedef struct {
    int fd;
    SSL *ssl; /* NULL: plain */
} fds_ns_transport;

typedef enum {
    FDS_NS_IO_OK,
    FDS_NS_IO_WANT_READ,
    FDS_NS_IO_WANT_WRITE,
    FDS_NS_IO_CLOSED, /* by the peer, or broken */
} fds_ns_io;

/* A server context from PEM files; NULL after one sentence on stderr. The caller frees it. */
SSL_CTX *fds_ns_tls_context(const char *certificate, const char *key);

bool fds_ns_transport_open(fds_ns_transport *transport, int fd, SSL_CTX *context); /* context NULL: plain */
void fds_ns_transport_close(fds_ns_transport *transport);
void fds_ns_transport_finish(fds_ns_transport *transport); /* says that nothing more will be sent */

fds_ns_io fds_ns_transport_handshake(fds_ns_transport *transport);
fds_ns_io fds_ns_transport_read(fds_ns_transport *transport, char *buffer, size_t size,
                                size_t *got); /* got > 0 if OK */
fds_ns_io fds_ns_transport_write(fds_ns_transport *transport, struct iovec *pieces, size_t count, size_t *sent);
fds_ns_io fds_ns_transport_flush(fds_ns_transport *transport);

#endif
