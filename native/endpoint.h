/* An endpoint (where to connect, and how) and credentials (who signs): immutable snapshots, counted references,
 * shared by all threads. */
#ifndef FDS_ENDPOINT_H
#define FDS_ENDPOINT_H

#include "sigv4.h"
#include "tls.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    atomic_int references;
    char *host;             /* a name or an address literal, without brackets */
    char *host_header;      /* as it goes into "host:", with the port when it is not the scheme's own */
    uint16_t port;
    fds_tls_context *tls;   /* NULL: plain HTTP */
    int connections;        /* most connections on one event loop */
    int64_t connect_timeout; /* ns, for one address, TCP and TLS handshake each; a slow one is soon raced by the next */
    int64_t stall_timeout;  /* ns without a byte in either direction */
    int64_t idle_timeout;   /* ns an unused connection is kept */
} fds_endpoint;

/* NULL when memory fails. Takes over `tls`. */
fds_endpoint *fds_endpoint_new(const char *host, const char *host_header, uint16_t port, fds_tls_context *tls);
fds_endpoint *fds_endpoint_retain(fds_endpoint *endpoint);
void fds_endpoint_release(fds_endpoint *endpoint);

typedef struct {
    atomic_int references;
    fds_signer signer; /* its strings are owned here */
} fds_credentials;

fds_credentials *fds_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
                                     const char *region, const char *service);
void fds_credentials_release(fds_credentials *credentials); /* the last one wipes the secrets */

#endif
