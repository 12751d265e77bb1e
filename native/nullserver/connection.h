/* One client's connection: reads requests, runs their operations, sends the replies, in order.
 *
 * A connection belongs to one loop. It never blocks and does a bounded amount of work per turn.
 */
#ifndef FDS_NS_CONNECTION_H
#define FDS_NS_CONNECTION_H

#include "exchange.h"
#include "timers.h"
#include "transport.h"

#define FDS_NS_SCRATCH (256 * 1024) /* fits the second-level cache beside the socket's buffers */

typedef enum {
    FDS_NS_WAIT_READ,
    FDS_NS_WAIT_WRITE,
    FDS_NS_SLEEP, /* whatever becomes ready, until it is due */
    FDS_NS_AGAIN, /* its turn's share is used up, there is more to do */
    FDS_NS_DEAD,  /* to be freed */
} fds_ns_turn;

typedef struct fds_ns_connection fds_ns_connection;

/* Takes over the descriptor in any case. NULL when memory fails. `scratch`: FDS_NS_SCRATCH bytes that all connections
 * of the loop share; what is in it is used up before a turn ends. */
fds_ns_connection *fds_ns_connection_new(fds_ns_worker *worker, int fd, SSL_CTX *context, char *scratch);
void fds_ns_connection_free(fds_ns_connection *connection);

fds_ns_turn fds_ns_connection_run(fds_ns_connection *connection);
int fds_ns_connection_fd(const fds_ns_connection *connection);

/* When it wants a turn though nothing became ready (clock.h); 0: never. */
uint64_t fds_ns_connection_due(const fds_ns_connection *connection);
/* What that turn is for: to be freed, for its peer has been silent long enough; or to go on. */
bool fds_ns_connection_overdue(const fds_ns_connection *connection);

/* For the loop that owns it. */
struct fds_ns_links {
    fds_ns_connection *previous, *next;
    fds_ns_connection *next_again;
    fds_ns_timer timer;
    int interest;
    bool again, dead;
};
struct fds_ns_links *fds_ns_connection_links(fds_ns_connection *connection);

#endif
