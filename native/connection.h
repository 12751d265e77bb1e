/* One connection: connects, shakes hands, then serves one request after another. Belongs to one hostpool. */
#ifndef FDS_CONNECTION_H
#define FDS_CONNECTION_H

#include "digest.h"
#include "loop.h"
#include "tls.h"

typedef enum {
    FDS_CONNECTING,
    FDS_HANDSHAKING,
    FDS_HASHING, /* takes the digests of its attempt's large body, when it is its turn */
    FDS_ACTIVE, /* serves `attempt` */
    FDS_PAUSED, /* its head is reported, its body waits in the socket */
    FDS_IDLE,
} fds_connection_state;

typedef struct fds_connection fds_connection;
struct fds_connection {
    fds_connection *next, *previous; /* all of the pool's */
    fds_connection *next_idle;
    fds_connection *next_again;
    fds_connection *next_hashing;
    fds_hostpool *pool;
    fds_attempt *attempt; /* NULL when idle, or when its request has gone on to another address */
    fds_connection_state state;
    int fd;
    int interest; /* as the poller knows it; -1: it does not know the descriptor */
    size_t address;
    char peer[64];
    fds_tls *tls;
    bool served; /* at least one request */
    bool parked; /* counted as such by the pool */
    bool on_again;
    bool drained; /* the last read found nothing more to be had */
    int64_t progress; /* when a byte last moved, or the state began */
    int unacknowledged; /* bytes that the kernel has taken and the peer has not; as of the last tick */

    fds_digest digest;

    /* Sending: the head (and what is small enough to travel with it), then the body's spans. */
    fds_buf out;
    size_t out_sent;
    size_t out_body; /* of `out`, this much at its end is the body's */
    size_t body_span, body_offset;
    bool sending;

    /* Receiving. */
    char *in; /* FDS_HEAD_MAX bytes: the head and what came with it; chunked and unsized bodies */
    size_t in_size, in_start, scanned;
    int interim; /* 1xx heads before the answer */
    bool have_head;
    fds_response_head head;
    uint64_t body_left;
    fds_chunked chunked;
    bool to_target;
    size_t target_span, target_offset;
};

/* Begins to connect for `attempt`. On failure the attempt has been reported. */
void fds_connection_open(fds_hostpool *pool, fds_attempt *attempt);
void fds_connection_serve(fds_connection *connection, fds_attempt *attempt); /* an idle one takes a request */
void fds_connection_ready(fds_connection *connection, int ready);
void fds_connection_hash(fds_connection *connection);    /* a slice of its body; then, when all is done, it sends */
void fds_connection_proceed(fds_connection *connection); /* the paused attempt has got its target */
void fds_connection_tick(fds_connection *connection);    /* looks at the timeouts */
/* Closes and frees; its attempt, if any, is reported with `outcome`. */
void fds_connection_fail(fds_connection *connection, fds_outcome outcome, const char *why);
void fds_connection_close(fds_connection *connection); /* one without an attempt */

/* Between connection.c, send.c and receive.c. */
void fds_connection_send(fds_connection *connection);
bool fds_connection_receive(fds_connection *connection); /* false: the attempt has ended, the connection may be gone */
void fds_connection_want(fds_connection *connection, int interest);
/* The response is complete: reports the attempt; the connection idles or closes. */
void fds_connection_finish(fds_connection *connection, fds_outcome outcome, bool keep);

#endif
