/* Opens a connection: a socket, an address that answers, the TLS handshake. */
#define _GNU_SOURCE
#include "clock.h"
#include "connection.h"
#include "hostpool.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 8305 recommends 250 ms between two addresses. */
#define HEAD_START (250 * FDS_MS)

static int new_socket(int family) {
#ifdef SOCK_CLOEXEC
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
#endif
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return fd;
}

/* One that still waits for its address, with or without a request. */
static fds_connection *find_connecting(const fds_hostpool *pool, bool with_attempt) {
    for (fds_connection *connection = pool->connections; connection; connection = connection->next)
        if (connection->state == FDS_CONNECTING && (connection->attempt != NULL) == with_attempt)
            return connection;
    return NULL;
}

static void move_attempt(fds_connection *from, fds_connection *to) {
    to->attempt = from->attempt;
    from->attempt = NULL;
    memcpy(to->attempt->peer, to->peer, sizeof to->peer);
}

/* Goes on to the next address for the same attempt, or reports the failure when each has had its turn. */
static void connect_failed(fds_connection *connection, const char *why) {
    fds_hostpool *pool = connection->pool;
    fds_attempt *attempt = connection->attempt;
    fds_hostpool_address_failed(pool, connection->address);
    if (attempt && ++attempt->addresses_tried >= (int)pool->address_count) {
        fds_connection *slow = find_connecting(pool, false);
        if (slow) {
            move_attempt(connection, slow);
            attempt = NULL;
        }
    }
    fds_connection_destroy(connection);
    if (!attempt)
        return;
    if (attempt->addresses_tried < (int)pool->address_count) {
        fds_connection_open(pool, attempt);
        return;
    }
    fds_hostpool_addresses_failed(pool);
    fds_attempt_fail(attempt, FDS_CONNECT_FAILED, "cannot connect to %s: %s", attempt->peer, why);
    fds_loop_finish(pool->loop, attempt);
}

/* An address that is slow to answer is not waited for when there are others (RFC 8305, "Happy Eyeballs"): the request
 * goes on to the next one, and comes back should this one answer first. */
static void try_next_address(fds_connection *connection) {
    fds_hostpool *pool = connection->pool;
    fds_attempt *attempt = connection->attempt;
    if (!attempt || attempt->addresses_tried + 1 >= (int)pool->address_count ||
        fds_hostpool_is_full(pool))
        return;
    fds_hostpool_address_failed(pool, connection->address);
    attempt->addresses_tried++;
    connection->attempt = NULL;
    fds_connection_open(pool, attempt);
}

/* It can take a request: its own, or one that waits for another address. */
static void connection_stands(fds_connection *connection) {
    fds_hostpool *pool = connection->pool;
    if (!connection->attempt) {
        fds_hostpool_address_works(pool, connection->address);
        fds_connection *other = find_connecting(pool, true);
        if (!other) {
            fds_connection_idle(connection);
            return;
        }
        move_attempt(other, connection);
    }
    fds_connection_begin(connection);
}

void fds_connect_shake_hands(fds_connection *connection) {
    switch (fds_tls_handshake(connection->tls)) {
    case FDS_IO_OK:
        connection_stands(connection);
        return;
    case FDS_IO_WANT_READ:
        fds_connection_want(connection, FDS_READABLE);
        return;
    case FDS_IO_WANT_WRITE:
        fds_connection_want(connection, FDS_WRITABLE);
        return;
    default: {
        char why[200];
        fds_tls_error(connection->tls, why, sizeof why);
        if (fds_tls_refused(connection->tls))
            fds_connection_fail(connection, FDS_TLS_FAILED, why);
        else /* a server that is busy or going down hangs up, too: that is no verdict on its certificate */
            connect_failed(connection, why);
    }
    }
}

void fds_connect_answered(fds_connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error) {
        connect_failed(connection, strerror(error));
        return;
    }
    const fds_endpoint *endpoint = connection->pool->endpoint;
    if (!endpoint->tls) {
        connection_stands(connection);
        return;
    }
    connection->state = FDS_HANDSHAKING;
    connection->progress = connection->pool->loop->now;
    connection->tls = fds_tls_new(endpoint->tls, connection->fd, endpoint->host);
    if (!connection->tls)
        fds_connection_fail(connection, FDS_NO_MEMORY, "cannot make a TLS session");
    else
        fds_connect_shake_hands(connection);
}

/* The next address in turn, one in quarantine only when all are. */
static size_t choose_address(fds_hostpool *pool) {
    for (size_t i = 0; i < pool->address_count; i++) {
        size_t at = (pool->next_address + i) % pool->address_count;
        if (pool->dead_until[at] <= pool->loop->now) {
            pool->next_address = at + 1;
            return at;
        }
    }
    return pool->next_address++ % pool->address_count;
}

void fds_connection_open(fds_hostpool *pool, fds_attempt *attempt) {
    fds_connection *connection = calloc(1, sizeof *connection);
    char *in = malloc(FDS_HEAD_MAX);
    if (!connection || !in) {
        free(connection);
        free(in);
        fds_attempt_fail(attempt, FDS_NO_MEMORY, "out of memory for a connection");
        fds_loop_finish(pool->loop, attempt);
        return;
    }
    connection->in = in;
    connection->pool = pool;
    connection->attempt = attempt;
    connection->interest = -1;
    connection->state = FDS_CONNECTING;
    connection->progress = pool->loop->now;
    connection->address = choose_address(pool);
    connection->next = pool->connections;
    if (pool->connections)
        pool->connections->previous = connection;
    pool->connections = connection;
    pool->connection_count++;

    const fds_address *address = &pool->addresses[connection->address];
    fds_address_text(address, connection->peer, sizeof connection->peer);
    memcpy(attempt->peer, connection->peer, sizeof attempt->peer);
    connection->fd = new_socket(address->address.ss_family);
    if (connection->fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
            fds_connection_destroy(connection);
            fds_hostpool_starve(pool, attempt, error);
            return;
        }
        connect_failed(connection, strerror(error)); /* no IPv6 here: the next address may be of another family */
        return;
    }
    atomic_fetch_add(&pool->loop->sockets, 1);
    if (connect(connection->fd, (const struct sockaddr *)&address->address, address->size) == 0)
        fds_connect_answered(connection);
    else if (errno == EINPROGRESS)
        fds_connection_want(connection, FDS_WRITABLE);
    else
        connect_failed(connection, strerror(errno));
}

void fds_connect_tick(fds_connection *connection, int64_t quiet) {
    int64_t limit = connection->pool->endpoint->connect_timeout;
    if (connection->state == FDS_HANDSHAKING) {
        if (quiet > limit)
            connect_failed(connection, "the TLS handshake made no progress");
    } else if (quiet > limit) {
        char why[120];
        snprintf(why, sizeof why, "no answer within %.1f s", (double)limit / FDS_SECOND);
        connect_failed(connection, why);
    } else if (quiet > HEAD_START) {
        try_next_address(connection);
    }
}
