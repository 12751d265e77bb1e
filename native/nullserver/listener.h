/* Listening sockets. */
#ifndef FDS_NS_LISTENER_H
#define FDS_NS_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDS_NS_ADDRESS_MAX 80

/* Whether the server may listen there; if not, one sentence on stderr. `allow_any`: not on loopback only. */
bool fds_ns_listen_allowed(const char *host, bool allow_any);

/* Listens on a numeric address and writes "address:port", with the port that was taken, to `name` and `port`.
 * `shared`: further sockets will listen on the same port, one a loop. -1 after one sentence on stderr. */
int fds_ns_listen(const char *host, uint16_t *port, bool shared, char name[FDS_NS_ADDRESS_MAX]);

#endif
