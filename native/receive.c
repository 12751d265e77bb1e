/* Receives a response: the head through a small buffer, the body straight into its final place, its CRC taken from
 * each read while the bytes are hot. */
#define _GNU_SOURCE
#include "connection.h"

#include "clock.h"
#include "hostpool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Measured: reads of 1 MiB cost 0.39 core-s/GB with the CRC fused, reads of 64 KiB 0.56. */
#define BYTES_A_READ ((size_t)1 << 20)
#define BYTES_A_TURN ((size_t)4 << 20)
#define ERROR_CONTENT_MAX ((size_t)64 << 10)
#define INTERIM_MAX 100 /* a server that has endless 1xx for us would never let go of the loop */

static fds_io_result read_some(fds_connection *connection, void *data, size_t size, size_t *got) {
    fds_io_result result;
    if (connection->tls) {
        result = fds_tls_read(connection->tls, data, size, got);
    } else {
        ssize_t n = recv(connection->fd, data, size, 0);
        *got = n > 0 ? (size_t)n : 0;
        if (n > 0)
            result = FDS_IO_OK;
        else if (n == 0)
            result = FDS_IO_CLOSED;
        else
            result = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? FDS_IO_WANT_READ : FDS_IO_ERROR;
    }
    connection->drained = result != FDS_IO_OK;
    if (result == FDS_IO_OK)
        connection->progress = connection->pool->loop->now;
    return result;
}

static bool is_success(const fds_attempt *attempt) {
    return attempt->status >= 200 && attempt->status < 300;
}

/* ---- what becomes of body bytes ---- */

typedef enum { LANDED, FULL, FAILED } landing;

static void count_landed(fds_attempt *attempt, const void *data, size_t size) {
    fds_attempt_count(attempt, &attempt->landed, size);
    if (attempt->download_crc != FDS_NO_CRC && is_success(attempt))
        attempt->crc = fds_crc_update((fds_crc_algorithm)attempt->download_crc, attempt->crc, data, size);
}

/* The free room at the target's present place; size 0 when it is full. */
static fds_span target_room(fds_connection *connection) {
    const fds_attempt *attempt = connection->attempt;
    while (connection->target_span < attempt->target_count) {
        const fds_span *span = &attempt->target[connection->target_span];
        if (connection->target_offset < span->size)
            return (fds_span){span->data + connection->target_offset, span->size - connection->target_offset};
        connection->target_span++;
        connection->target_offset = 0;
    }
    return (fds_span){NULL, 0};
}

/* Bytes that came through the small buffer go to their place by a copy. */
static landing land(fds_connection *connection, const char *data, size_t size) {
    fds_attempt *attempt = connection->attempt;
    if (!connection->to_target) {
        size_t limit = is_success(attempt) ? attempt->content_max : ERROR_CONTENT_MAX;
        size_t room = limit > attempt->content.size ? limit - attempt->content.size : 0;
        size_t kept = size < room ? size : room;
        fds_buf_add(&attempt->content, data, kept);
        if (attempt->content.failed)
            return FAILED;
        count_landed(attempt, data, kept);
        return kept == size ? LANDED : FULL;
    }
    while (size) {
        fds_span room = target_room(connection);
        if (!room.size)
            return FULL;
        size_t n = size < room.size ? size : room.size;
        memcpy(room.data, data, n);
        count_landed(attempt, data, n);
        connection->target_offset += n;
        data += n;
        size -= n;
    }
    return LANDED;
}

/* Ends the attempt after anything but LANDED. Always returns false. */
static bool end_unlanded(fds_connection *connection, landing result) {
    fds_attempt *attempt = connection->attempt;
    if (result == FAILED) {
        fds_connection_fail(connection, FDS_NO_MEMORY, "out of memory for the response");
    } else if (connection->to_target) {
        fds_connection_finish(connection, FDS_CUT, false);
    } else if (!is_success(attempt)) {
        fds_connection_finish(connection, FDS_DONE, false); /* the first 64 KiB of an error say enough */
    } else if (attempt->pause_above && connection->head.body != FDS_BODY_LENGTH) {
        fds_connection_finish(connection, FDS_CUT, false); /* the head said no length: only now is it too long */
    } else {
        fds_connection_fail(connection, FDS_PROTOCOL_ERROR, "the response is larger than this request allows");
    }
    return false;
}

/* ---- the head ---- */

static bool keep_head(fds_connection *connection) {
    fds_attempt *attempt = connection->attempt;
    const fds_response_head *head = &connection->head;
    attempt->status = head->status;
    attempt->content_length = head->content_length;
    attempt->has_content_length = head->has_content_length;
    attempt->first_byte = connection->pool->loop->now;
    attempt->head = malloc(head->head_size);
    attempt->response_headers = malloc((head->header_count + 1) * sizeof *attempt->response_headers);
    if (!attempt->head || !attempt->response_headers)
        return false;
    memcpy(attempt->head, connection->in, head->head_size);
    memcpy(attempt->response_headers, head->headers, head->header_count * sizeof *attempt->response_headers);
    attempt->response_header_count = head->header_count;
    return true;
}

static void pause_for_target(fds_connection *connection) {
    connection->state = FDS_PAUSED;
    connection->progress = connection->pool->loop->now;
    fds_connection_want(connection, -1);
    fds_queue_report(connection->attempt->queue, connection->attempt, FDS_REPORT_PAUSED);
}

/* Reads until the head is complete. Sets *wait when the socket is empty. */
static bool receive_head(fds_connection *connection, bool *wait) {
    fds_attempt *attempt = connection->attempt;
    for (;;) {
        const char *why = "";
        bool to_head = attempt->method.size == 4 && memcmp(attempt->method.data, "HEAD", 4) == 0;
        char *start = connection->in + connection->in_start;
        size_t size = connection->in_size - connection->in_start;
        fds_parse_result parsed =
            fds_parse_response(start, size, &connection->scanned, to_head, &connection->head, &why);
        if (parsed == FDS_PARSE_ERROR) {
            fds_connection_fail(connection, FDS_PROTOCOL_ERROR, why);
            return false;
        }
        if (parsed == FDS_PARSE_OK) {
            if (connection->head.status >= 200)
                break;
            if (++connection->interim > INTERIM_MAX) {
                fds_connection_fail(connection, FDS_PROTOCOL_ERROR, "the server sent over 100 interim responses");
                return false;
            }
            connection->in_start += connection->head.head_size; /* 1xx: the real answer follows */
            connection->scanned = 0;
            continue;
        }
        if (connection->in_start) {
            memmove(connection->in, start, size);
            connection->in_start = 0;
            connection->in_size = size;
        }
        if (size == FDS_HEAD_MAX) {
            fds_connection_fail(connection, FDS_PROTOCOL_ERROR, "the response head is over 64 KiB");
            return false;
        }
        size_t got = 0;
        fds_io_result result = read_some(connection, connection->in + size, FDS_HEAD_MAX - size, &got);
        if (result == FDS_IO_WANT_READ || result == FDS_IO_WANT_WRITE) {
            *wait = true;
            return true;
        }
        if (result != FDS_IO_OK) {
            fds_connection_fail(connection, FDS_DISCONNECTED, size ? "the connection ended within the response head"
                                                                   : "the connection ended before a response");
            return false;
        }
        connection->in_size += got;
    }
    if (connection->in_start) { /* behind a 1xx */
        memmove(connection->in, connection->in + connection->in_start, connection->in_size - connection->in_start);
        connection->in_size -= connection->in_start;
    }
    connection->in_start = connection->head.head_size;
    connection->have_head = true;
    connection->body_left = connection->head.body == FDS_BODY_LENGTH ? connection->head.content_length : 0;
    connection->chunked = (fds_chunked){0};
    if (!keep_head(connection)) {
        fds_connection_fail(connection, FDS_NO_MEMORY, "out of memory for the response head");
        return false;
    }
    connection->to_target = attempt->target_count && is_success(attempt);
    if (!attempt->target_count && attempt->pause_above && is_success(attempt) &&
        connection->head.body == FDS_BODY_LENGTH && connection->head.content_length > attempt->pause_above)
        pause_for_target(connection);
    return true;
}

/* ---- the body ---- */

static bool finish_whole(fds_connection *connection) {
    if (connection->in_start != connection->in_size) {
        fds_connection_fail(connection, FDS_PROTOCOL_ERROR, "the server sent more bytes than the response has");
        return false;
    }
    fds_connection_finish(connection, FDS_DONE, connection->head.keep_alive && !connection->sending);
    return false;
}

static bool end_early(fds_connection *connection) {
    char why[120];
    snprintf(why, sizeof why, "the connection ended %llu bytes before the end of the body",
             (unsigned long long)connection->body_left);
    fds_connection_fail(connection, FDS_DISCONNECTED,
                        connection->head.body == FDS_BODY_LENGTH ? why : "the connection ended within the body");
    return false;
}

/* A body of known length goes from the socket to its place. */
static bool receive_sized(fds_connection *connection, size_t *budget) {
    fds_attempt *attempt = connection->attempt;
    size_t buffered = connection->in_size - connection->in_start;
    if (buffered && connection->body_left) {
        size_t n = buffered < connection->body_left ? buffered : (size_t)connection->body_left;
        landing result = land(connection, connection->in + connection->in_start, n);
        if (result != LANDED)
            return end_unlanded(connection, result);
        connection->in_start += n;
        connection->body_left -= n;
    }
    while (connection->body_left) {
        fds_span room;
        if (connection->to_target) {
            room = target_room(connection);
        } else {
            size_t limit = is_success(attempt) ? attempt->content_max : ERROR_CONTENT_MAX;
            size_t want = connection->body_left < BYTES_A_READ ? (size_t)connection->body_left : BYTES_A_READ;
            if (want > limit - attempt->content.size)
                want = limit - attempt->content.size;
            if (!want)
                return end_unlanded(connection, FULL);
            if (!fds_buf_reserve(&attempt->content, want))
                return end_unlanded(connection, FAILED);
            room = (fds_span){attempt->content.data + attempt->content.size, want};
        }
        if (!room.size)
            return end_unlanded(connection, FULL);
        if (!*budget)
            return true;
        size_t want = room.size < BYTES_A_READ ? room.size : BYTES_A_READ;
        if (want > connection->body_left)
            want = (size_t)connection->body_left;
        size_t got = 0;
        fds_io_result result = read_some(connection, room.data, want, &got);
        if (result == FDS_IO_WANT_READ || result == FDS_IO_WANT_WRITE)
            return true;
        if (result != FDS_IO_OK)
            return end_early(connection);
        count_landed(attempt, room.data, got);
        if (connection->to_target)
            connection->target_offset += got;
        else
            attempt->content.size += got;
        connection->body_left -= got;
        *budget -= got < *budget ? got : *budget;
    }
    return finish_whole(connection);
}

/* A body without a length passes through the small buffer. */
static bool receive_unsized(fds_connection *connection, size_t *budget) {
    bool chunked = connection->head.body == FDS_BODY_CHUNKED;
    for (;;) {
        while (connection->in_start < connection->in_size) {
            const char *data = connection->in + connection->in_start, *body = data, *why = "";
            size_t size = connection->in_size - connection->in_start, used = size, body_size = size;
            fds_parse_result parsed = FDS_PARSE_MORE;
            if (chunked)
                parsed = fds_chunked_feed(&connection->chunked, data, size, &used, &body, &body_size, &why);
            if (parsed == FDS_PARSE_ERROR) {
                fds_connection_fail(connection, FDS_PROTOCOL_ERROR, why);
                return false;
            }
            connection->in_start += used;
            landing result = body_size ? land(connection, body, body_size) : LANDED;
            if (result != LANDED)
                return end_unlanded(connection, result);
            if (parsed == FDS_PARSE_OK)
                return finish_whole(connection);
        }
        if (!*budget)
            return true;
        size_t got = 0;
        connection->in_start = connection->in_size = 0;
        fds_io_result result = read_some(connection, connection->in, FDS_HEAD_MAX, &got);
        if (result == FDS_IO_WANT_READ || result == FDS_IO_WANT_WRITE)
            return true;
        if (result == FDS_IO_CLOSED && !chunked) {
            fds_connection_finish(connection, FDS_DONE, false);
            return false;
        }
        if (result != FDS_IO_OK)
            return end_early(connection);
        connection->in_size = got;
        *budget -= got < *budget ? got : *budget;
    }
}

bool fds_connection_receive(fds_connection *connection) {
    size_t budget = BYTES_A_TURN;
    if (!connection->have_head) {
        bool wait = false;
        if (!receive_head(connection, &wait))
            return false;
        if (wait || connection->state == FDS_PAUSED)
            return true;
    }
    switch (connection->head.body) {
    case FDS_BODY_NONE:
        return finish_whole(connection);
    case FDS_BODY_LENGTH:
        return receive_sized(connection, &budget);
    default:
        return receive_unsized(connection, &budget);
    }
}
