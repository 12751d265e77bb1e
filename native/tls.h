/* TLS by OpenSSL (3.0 API), verification always on. A context is shared by all threads; a session belongs to one
 * connection and so to one event loop. Every call is non-blocking. */
#ifndef FDS_TLS_H
#define FDS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct fds_tls_context fds_tls_context;
typedef struct fds_tls fds_tls;

/* `ca_file` is a PEM file or a directory of hashed certificates; NULL takes the system's usual places.
 * On failure returns NULL and writes a sentence to `why`. */
fds_tls_context *fds_tls_context_new(const char *ca_file, char *why, size_t why_size);
void fds_tls_context_free(fds_tls_context *context);

/* A client session on the connected socket `fd` for `host` (SNI and the name that the certificate must carry). */
fds_tls *fds_tls_new(fds_tls_context *context, int fd, const char *host);
void fds_tls_free(fds_tls *tls); /* sends nothing: close_notify is fds_tls_close's */
void fds_tls_close(fds_tls *tls);

typedef enum { FDS_IO_OK, FDS_IO_WANT_READ, FDS_IO_WANT_WRITE, FDS_IO_CLOSED, FDS_IO_ERROR } fds_io_result;

fds_io_result fds_tls_handshake(fds_tls *tls);
fds_io_result fds_tls_read(fds_tls *tls, void *data, size_t size, size_t *done);
fds_io_result fds_tls_write(fds_tls *tls, const void *data, size_t size, size_t *done);
bool fds_tls_pending(const fds_tls *tls); /* bytes have been received that the socket no longer shows */

/* After a handshake that failed: true when TLS itself did, false when the connection ended under it. */
bool fds_tls_refused(const fds_tls *tls);
/* After FDS_IO_ERROR: a sentence on what failed. */
void fds_tls_error(const fds_tls *tls, char *why, size_t why_size);
const char *fds_tls_library(void); /* "OpenSSL 3.0.19 27 Jan 2026", the one that is loaded */

#endif
