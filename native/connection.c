#define _GNU_SOURCE
#include "connection.h"

#include "clock.h"
#include "hostpool.h"
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body up to this size is hashed at once: 0.15 ms. */
#define HASHED_AT_ONCE ((size_t)256 << 10)

/* Over TLS a body up to this size is copied behind the head, so that both leave in one record. */
#define WITH_HEAD_MAX ((size_t)8 << 10)

/* A waiter that is awake answers a pause within milliseconds. */
#define PARKED_AFTER FDS_SECOND

void fds_connection_want(fds_connection *connection, int interest) {
    fds_poller *poller = connection->pool->loop->poller;
    if (interest == connection->interest)
        return;
    int failed = 0; /* no kernel memory or watches left: asked for again at the next change, and the timeouts hold */
    if (interest < 0)
        fds_poller_remove(poller, connection->fd);
    else if (connection->interest < 0)
        failed = fds_poller_add(poller, connection->fd, interest, connection);
    else
        failed = fds_poller_modify(poller, connection->fd, interest, connection);
    if (!failed)
        connection->interest = interest;
}

static void unlink_idle(fds_connection *connection) {
    for (fds_connection **at = &connection->pool->idle; *at; at = &(*at)->next_idle)
        if (*at == connection) {
            *at = connection->next_idle;
            return;
        }
}

static void unlink_hashing(fds_connection *connection) {
    fds_connection **at = &connection->pool->loop->hashing;
    while (*at != connection)
        at = &(*at)->next_hashing;
    *at = connection->next_hashing;
}

static void unlink_again(fds_connection *connection) {
    if (!connection->on_again)
        return;
    fds_connection **at = &connection->pool->loop->again;
    while (*at != connection)
        at = &(*at)->next_again;
    *at = connection->next_again;
}

static void park(fds_connection *connection, bool parked) {
    connection->pool->parked_count += parked - connection->parked;
    connection->parked = parked;
}

void fds_connection_destroy(fds_connection *connection) {
    fds_hostpool *pool = connection->pool;
    park(connection, false);
    if (connection->state == FDS_IDLE)
        unlink_idle(connection);
    if (connection->state == FDS_HASHING)
        unlink_hashing(connection);
    unlink_again(connection);
    fds_digest_drop(&connection->digest);
    if (connection->fd >= 0) {
        fds_connection_want(connection, -1);
        fds_tls_free(connection->tls);
        close(connection->fd);
        atomic_fetch_sub(&pool->loop->sockets, 1);
    }
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        pool->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    pool->connection_count--;
    fds_buf_free(&connection->out);
    free(connection->in);
    free(connection);
}

void fds_connection_close(fds_connection *connection) {
    if (connection->tls)
        fds_tls_close(connection->tls);
    fds_connection_destroy(connection);
}

void fds_connection_fail(fds_connection *connection, fds_outcome outcome, const char *why) {
    fds_loop *loop = connection->pool->loop;
    fds_attempt *attempt = connection->attempt;
    fds_connection_destroy(connection);
    if (!attempt)
        return;
    fds_attempt_fail(attempt, outcome, "%s", why);
    fds_loop_finish(loop, attempt);
}

void fds_connection_idle(fds_connection *connection) {
    fds_hostpool *pool = connection->pool;
    connection->state = FDS_IDLE;
    connection->progress = pool->loop->now;
    connection->next_idle = pool->idle;
    pool->idle = connection;
    fds_connection_want(connection, FDS_READABLE);
}

void fds_connection_finish(fds_connection *connection, fds_outcome outcome, bool keep) {
    fds_hostpool *pool = connection->pool;
    fds_attempt *attempt = connection->attempt;
    attempt->outcome = outcome;
    connection->attempt = NULL;
    connection->served = true;
    if (keep)
        fds_connection_idle(connection);
    else
        fds_connection_close(connection);
    fds_loop_finish(pool->loop, attempt);
}

/* ---- a request on a ready connection ---- */

#define CANNOT_SIGN "cannot write or sign the request"

static void begin_to_send(fds_connection *connection) {
    fds_attempt *attempt = connection->attempt;
    fds_hostpool *pool = connection->pool;
    connection->state = FDS_ACTIVE;
    connection->progress = pool->loop->now;
    connection->out_sent = connection->body_span = connection->body_offset = 0;
    connection->out_body = 0;
    connection->in_size = connection->in_start = connection->scanned = 0;
    connection->interim = connection->unacknowledged = 0;
    connection->target_span = connection->target_offset = 0;
    connection->have_head = connection->to_target = false;
    connection->sending = true;
    fds_buf_clear(&connection->out);
    if (fds_request_head(&connection->out, attempt, connection->digest.hex, pool->signing_key) < 0) {
        fds_connection_fail(connection, FDS_NO_MEMORY, CANNOT_SIGN);
        return;
    }
    if (connection->tls && fds_attempt_body_size(attempt) <= WITH_HEAD_MAX) {
        for (; connection->body_span < attempt->body_count; connection->body_span++) {
            const fds_span *span = &attempt->body[connection->body_span];
            fds_buf_add(&connection->out, span->data, span->size);
            connection->out_body += span->size;
        }
        if (connection->out.failed) {
            fds_connection_fail(connection, FDS_NO_MEMORY, "out of memory for the request");
            return;
        }
    }
    fds_connection_send(connection);
}

void fds_connection_hash(fds_connection *connection) {
    int more = fds_digest_go_on(&connection->digest, connection->attempt, FDS_DIGEST_SLICE);
    if (more > 0)
        return;
    unlink_hashing(connection);
    connection->state = FDS_ACTIVE;
    if (more < 0)
        fds_connection_fail(connection, FDS_NO_MEMORY, CANNOT_SIGN);
    else
        begin_to_send(connection);
}

void fds_connection_begin(fds_connection *connection) {
    fds_attempt *attempt = connection->attempt;
    attempt->started = connection->pool->loop->now;
    attempt->reused = connection->served;
    int more = fds_digest_begin(&connection->digest, attempt);
    if (!more)
        more = fds_digest_go_on(&connection->digest, attempt, HASHED_AT_ONCE);
    if (more < 0) {
        fds_connection_fail(connection, FDS_NO_MEMORY, CANNOT_SIGN);
    } else if (more) {
        connection->state = FDS_HASHING;
        fds_connection_want(connection, -1);
        fds_connection **at = &connection->pool->loop->hashing;
        while (*at)
            at = &(*at)->next_hashing;
        *at = connection;
        connection->next_hashing = NULL;
    } else {
        begin_to_send(connection);
    }
}

void fds_connection_serve(fds_connection *connection, fds_attempt *attempt) {
    connection->attempt = attempt;
    memcpy(attempt->peer, connection->peer, sizeof attempt->peer);
    fds_connection_begin(connection);
}

void fds_connection_proceed(fds_connection *connection) {
    park(connection, false);
    connection->state = FDS_ACTIVE;
    connection->to_target = connection->attempt->target_count > 0;
    connection->progress = connection->pool->loop->now;
    fds_connection_want(connection, FDS_READABLE | (connection->sending ? FDS_WRITABLE : 0));
    fds_connection_ready(connection, FDS_READABLE);
}

/* ---- events ---- */

/* TLS may hold received bytes back when a turn ends with its budget spent; the poller will not tell of them. (After a
 * read that found nothing, what is pending is the beginning of a record, and its rest comes by the socket.) */
static void come_again(fds_connection *connection) {
    fds_loop *loop = connection->pool->loop;
    if (connection->state != FDS_ACTIVE || !connection->tls || connection->on_again || connection->drained ||
        !fds_tls_pending(connection->tls))
        return;
    connection->on_again = true;
    connection->next_again = loop->again;
    loop->again = connection;
}

void fds_connection_ready(fds_connection *connection, int ready) {
    switch (connection->state) {
    case FDS_CONNECTING:
        fds_connect_answered(connection);
        return;
    case FDS_HANDSHAKING:
        fds_connect_shake_hands(connection);
        return;
    case FDS_ACTIVE:
        /* Sending may have asked for FDS_READABLE alone. */
        if (connection->sending && ((ready & FDS_WRITABLE) || !(connection->interest & FDS_WRITABLE)))
            fds_connection_send(connection);
        if ((ready & FDS_READABLE) && !fds_connection_receive(connection))
            return;
        come_again(connection);
        return;
    case FDS_IDLE: {
        /* A TLS 1.3 server sends session tickets when it likes; all else on an idle connection is its end. */
        char byte;
        size_t got;
        if (!connection->tls || fds_tls_read(connection->tls, &byte, 1, &got) != FDS_IO_WANT_READ)
            fds_connection_close(connection);
        return;
    }
    case FDS_PAUSED:
    case FDS_HASHING:
        return;
    }
}

/* On a slow line what the kernel has taken may need longer than the stall timeout to arrive: that is progress, too. */
static void look_at_send_queue(fds_connection *connection) {
    int left;
    if (ioctl(connection->fd, TIOCOUTQ, &left) < 0 || left == connection->unacknowledged)
        return;
    connection->unacknowledged = left;
    connection->progress = connection->pool->loop->now;
}

void fds_connection_tick(fds_connection *connection) {
    const fds_endpoint *endpoint = connection->pool->endpoint;
    if (connection->state == FDS_ACTIVE && connection->attempt->body_count)
        look_at_send_queue(connection);
    int64_t quiet = connection->pool->loop->now - connection->progress;
    char why[120];
    switch (connection->state) {
    case FDS_CONNECTING:
    case FDS_HANDSHAKING:
        fds_connect_tick(connection, quiet);
        return;
    case FDS_ACTIVE: {
        int64_t limit = connection->attempt->stall_timeout;
        if (!limit)
            limit = endpoint->stall_timeout;
        if (quiet > limit) {
            snprintf(why, sizeof why, "no byte moved for %.1f s", (double)limit / FDS_SECOND);
            fds_connection_fail(connection, FDS_STALLED, why);
        }
        return;
    }
    case FDS_IDLE:
        if (quiet > endpoint->idle_timeout)
            fds_connection_close(connection);
        return;
    case FDS_PAUSED:
        if (quiet > PARKED_AFTER)
            park(connection, true);
        return;
    case FDS_HASHING:
        return;
    }
}
