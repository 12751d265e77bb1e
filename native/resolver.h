/* Host names to addresses, on threads of its own: getaddrinfo blocks, an event loop may not.
 *
 * At most FDS_RESOLVER_THREADS at a time: a name whose servers do not answer (resolv.conf(5): 5 s, twice, for each) holds
 * up one of them, not the other names. Threads start as they are needed, and stay.
 */
#ifndef FDS_RESOLVER_H
#define FDS_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define FDS_ADDRESSES_MAX 32
#define FDS_RESOLVER_THREADS 4

typedef struct {
    struct sockaddr_storage address;
    socklen_t size;
} fds_address;

typedef struct fds_resolution fds_resolution;
struct fds_resolution {
    fds_resolution *next;
    void *asker;    /* as given to fds_resolver_ask */
    fds_address addresses[FDS_ADDRESSES_MAX];
    size_t count;   /* 0: it failed, `why` says how */
    char why[160];
};

typedef struct fds_resolver fds_resolver;

/* Called on a thread of the resolver; takes over the resolution (free() it). */
typedef void fds_resolved(void *context, fds_resolution *resolution);

fds_resolver *fds_resolver_new(void); /* no thread starts before the first question */
/* After this returns no callback is made. Does not wait for a getaddrinfo under way: the last thread tidies up. */
void fds_resolver_free(fds_resolver *resolver);

/* Asks for `host`; the answer comes by `resolved(context, …)`. Returns 0, or -1 when memory or a thread fails. */
int fds_resolver_ask(fds_resolver *resolver, const char *host, uint16_t port, fds_resolved *resolved, void *context,
                     void *asker);

/* An address literal needs no thread: fills *address and returns 1, else 0. */
int fds_resolve_literal(const char *host, uint16_t port, fds_address *address);

/* "10.0.0.1:9000", "[::1]:9000" */
void fds_address_text(const fds_address *address, char *text, size_t size);

#endif
