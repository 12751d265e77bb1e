/* One event loop's connections to one endpoint, and the requests that wait for one.
 *
 * How many wait is not bounded here: they are the submitters' memory, linked, and the engine admits no more than it wants
 * in flight. A paused connection keeps its place for as long as a waiter usually needs to give it a target; one whose
 * waiter is busy with other things for longer does not count any more, lest it hold up other waiters.
 */
#ifndef FDS_HOSTPOOL_H
#define FDS_HOSTPOOL_H

#include "connection.h"
#include "loop.h"

struct fds_hostpool {
    fds_hostpool *next;
    fds_loop *loop;
    fds_endpoint *endpoint;
    fds_signing_key *signing_key;

    fds_attempt *waiting, *waiting_last;
    fds_connection *connections;
    fds_connection *idle; /* most recently used first: the others age and go */
    int connection_count;
    int parked_count; /* of them, paused for so long that others take their places */

    fds_address addresses[FDS_ADDRESSES_MAX];
    int64_t dead_until[FDS_ADDRESSES_MAX]; /* an address that failed is passed over for a while */
    size_t address_count;
    size_t next_address;
    int64_t resolved_at;
    bool resolving;

    bool starved; /* no descriptor or kernel memory for another connection: until the next tick none is tried */
};

/* The pool of the attempt's endpoint on this loop, made when it is the first. NULL when memory fails. */
fds_hostpool *fds_hostpool_of(fds_loop *loop, fds_endpoint *endpoint);
void fds_hostpool_add(fds_hostpool *pool, fds_attempt *attempt); /* then fds_hostpool_dispatch */
void fds_hostpool_dispatch(fds_hostpool *pool);                  /* gives waiting requests to connections */
bool fds_hostpool_is_full(const fds_hostpool *pool);             /* has as many connections as it may */
void fds_hostpool_resolved(fds_hostpool *pool, const fds_resolution *resolution);
void fds_hostpool_address_failed(fds_hostpool *pool, size_t address);
void fds_hostpool_address_works(fds_hostpool *pool, size_t address);
void fds_hostpool_addresses_failed(fds_hostpool *pool); /* all of them: the name is looked up again */
/* The system has no descriptor or memory for a connection: `attempt` waits for one of the others to get free, or for the
 * system to have some again; where there are no others not for long. Meanwhile the loop does without what idles at other
 * endpoints, or another loop that has connections takes over. */
void fds_hostpool_starve(fds_hostpool *pool, fds_attempt *attempt, int error);
void fds_hostpool_scan_signals(fds_hostpool *pool);
void fds_hostpool_tick(fds_hostpool *pool);
void fds_hostpool_close(fds_hostpool *pool); /* cancels all, frees the pool */
bool fds_hostpool_unused(const fds_hostpool *pool);

#endif
