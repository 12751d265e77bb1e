/* Sends a request: head and body together where they fit, in one system call per MiB. */
#define _GNU_SOURCE
#include "connection.h"

#include "clock.h"
#include "hostpool.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define SPANS_A_CALL 16
#define BYTES_A_TURN ((size_t)4 << 20) /* then the loop looks after the other connections */
#define BYTES_A_CALL ((size_t)1 << 20)

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: SO_NOSIGPIPE is set on the socket */
#endif

/* Fills `parts` with what is still to be sent, at most BYTES_A_CALL, and returns how many. */
static int gather(const fds_connection *connection, struct iovec *parts) {
    const fds_attempt *attempt = connection->attempt;
    int count = 0;
    size_t bytes = connection->out.size - connection->out_sent;
    if (bytes)
        parts[count++] = (struct iovec){connection->out.data + connection->out_sent, bytes};
    size_t offset = connection->body_offset;
    for (size_t i = connection->body_span; i < attempt->body_count && count < SPANS_A_CALL && bytes < BYTES_A_CALL; i++) {
        size_t size = attempt->body[i].size - offset;
        if (size > BYTES_A_CALL - bytes)
            size = BYTES_A_CALL - bytes;
        if (size)
            parts[count++] = (struct iovec){attempt->body[i].data + offset, size};
        bytes += size;
        offset = 0;
    }
    return count;
}

/* How much of the body at the end of `out` has been sent. */
static size_t body_sent_with_head(const fds_connection *connection) {
    size_t head = connection->out.size - connection->out_body;
    return connection->out_sent > head ? connection->out_sent - head : 0;
}

static void advance(fds_connection *connection, size_t sent) {
    fds_attempt *attempt = connection->attempt;
    size_t head = connection->out.size - connection->out_sent;
    if (head > sent)
        head = sent;
    size_t before = body_sent_with_head(connection);
    connection->out_sent += head;
    sent -= head;
    fds_attempt_count(attempt, &attempt->sent, body_sent_with_head(connection) - before + sent);
    while (connection->body_span < attempt->body_count) {
        size_t left = attempt->body[connection->body_span].size - connection->body_offset;
        if (sent < left) {
            connection->body_offset += sent;
            return;
        }
        sent -= left;
        connection->body_span++;
        connection->body_offset = 0;
    }
}

static fds_io_result send_plain(fds_connection *connection, struct iovec *parts, int count, size_t *sent) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t result = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    if (result >= 0) {
        *sent = (size_t)result;
        return FDS_IO_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)
        return FDS_IO_WANT_WRITE;
    return FDS_IO_ERROR;
}

void fds_connection_send(fds_connection *connection) {
    size_t budget = BYTES_A_TURN;
    while (connection->sending) {
        struct iovec parts[SPANS_A_CALL];
        int count = gather(connection, parts);
        if (count == 0) {
            connection->sending = false;
            break;
        }
        if (budget == 0)
            break; /* the poller is level-triggered: our turn comes again */
        size_t sent = 0;
        fds_io_result result = connection->tls
                                   ? fds_tls_write(connection->tls, parts[0].iov_base, parts[0].iov_len, &sent)
                                   : send_plain(connection, parts, count, &sent);
        if (result == FDS_IO_WANT_WRITE)
            break;
        if (result == FDS_IO_WANT_READ) { /* TLS has something to hear first */
            fds_connection_want(connection, FDS_READABLE);
            return;
        }
        if (result != FDS_IO_OK) {
            /* The peer has hung up on the upload, maybe after an answer that says why: that is still to be read. */
            connection->sending = false;
            break;
        }
        connection->progress = connection->pool->loop->now;
        advance(connection, sent);
        budget -= sent < budget ? sent : budget;
    }
    fds_connection_want(connection, FDS_READABLE | (connection->sending ? FDS_WRITABLE : 0));
}
