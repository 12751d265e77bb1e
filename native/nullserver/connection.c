#define _GNU_SOURCE
#include "connection.h"

#include "admission.h"
#include "clock.h"
#include "operation.h"
#include "pace.h"
#include "reply.h"
#include "source.h"

#include <stdlib.h>
#include <sys/socket.h>

#define FIRST_CAPACITY 4096
#define READ_MAX (1u << 20)   /* of one receive straight into an object */
#define TURN_BYTES (8u << 20) /* share of one turn, so that others get theirs */
#define TURN_STEPS 256
#define PIECES 16
#define LINGER_TIME (2 * FDS_NS_SECOND)

typedef enum { HANDSHAKE, HEAD, CONTINUE, BODY, DELAY, REPLY, LINGER } connection_state;

/* What one step came to. */
typedef enum { NEXT, READ, WRITE, SLEEP, DEAD } step;

struct fds_ns_connection {
    fds_ns_transport transport;
    connection_state state;
    char *in; /* the present request's head, and what arrived behind it */
    size_t in_size, in_capacity;
    size_t in_used; /* of the present request, from the front: its head and the part of the body that came along */
    size_t scanned;
    fds_buf behind; /* what was received together with a chunked body's end: the next request's */
    fds_buf out;
    size_t out_sent;
    uint64_t body_sent;
    uint64_t moved; /* bytes in this turn */
    char *scratch;
    uint64_t due; /* of the delay, the pace, the silence or the lingering that the state is about; 0: none */
    fds_ns_pace down, up;
    struct fds_ns_links links;
    fds_ns_exchange exchange;
};

fds_ns_connection *fds_ns_connection_new(fds_ns_worker *worker, int fd, SSL_CTX *context, char *scratch) {
    fds_ns_connection *connection = calloc(1, sizeof *connection);
    char *in = malloc(FIRST_CAPACITY);
    fds_ns_transport transport;
    bool open = fds_ns_transport_open(&transport, fd, context);
    if (!connection || !in || !open) {
        free(connection);
        free(in);
        fds_ns_transport_close(&transport);
        return NULL;
    }
    connection->transport = transport;
    connection->in = in;
    connection->in_capacity = FIRST_CAPACITY;
    connection->scratch = scratch;
    connection->exchange.worker = worker;
    fds_ns_shaping *shaping = worker->server->shaping;
    fds_ns_pace_init(&connection->down, shaping->options->down_mb_per_s * 1e6, &shaping->down);
    fds_ns_pace_init(&connection->up, shaping->options->up_mb_per_s * 1e6, &shaping->up);
    return connection;
}

void fds_ns_connection_free(fds_ns_connection *connection) {
    fds_ns_exchange_reset(&connection->exchange);
    fds_buf_free(&connection->exchange.reply.headers);
    fds_buf_free(&connection->exchange.reply.body);
    fds_ns_transport_close(&connection->transport);
    fds_buf_free(&connection->out);
    fds_buf_free(&connection->behind);
    free(connection->in);
    free(connection);
}

static step blocked(fds_ns_io io) {
    return io == FDS_NS_IO_WANT_READ ? READ : io == FDS_NS_IO_WANT_WRITE ? WRITE : DEAD;
}

static step start_reply(fds_ns_connection *connection) {
    fds_buf_clear(&connection->out);
    connection->out_sent = 0;
    connection->body_sent = 0;
    fds_ns_reply_render(&connection->exchange, &connection->out);
    connection->due = fds_ns_reply_time(connection->exchange.worker);
    connection->state = connection->due ? DELAY : REPLY;
    fds_ns_pace_start(&connection->down);
    return connection->out.failed ? DEAD : NEXT;
}

static void add(_Atomic uint64_t *bytes, size_t size) {
    atomic_fetch_add_explicit(bytes, size, memory_order_relaxed);
}

/* The body is here: the operation can be carried out. */
static step finish_request(fds_ns_connection *connection) {
    fds_ns_exchange *exchange = &connection->exchange;
    exchange->reply.close = exchange->reply.close || exchange->payload.broken;
    if (!exchange->reply.status) {
        const fds_ns_error *error = fds_ns_payload_end(&exchange->payload);
        if (error)
            fds_ns_reply_error(exchange, error);
        else
            exchange->operation->finish(exchange);
    }
    return start_reply(connection);
}

static step start_body(fds_ns_connection *connection) {
    bool came_along = connection->in_size > connection->in_used;
    fds_ns_pace_start(&connection->up);
    if (!connection->exchange.request.expect_continue || came_along) {
        connection->state = BODY;
        return NEXT;
    }
    fds_buf_clear(&connection->out);
    connection->out_sent = 0;
    fds_buf_add_str(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n");
    connection->state = CONTINUE;
    return connection->out.failed ? DEAD : NEXT;
}

/* A refused request's body is read and dropped, so that the connection lives on; not one that the client holds back
 * until it is told to go on, nor one beyond all bounds. */
static step refuse(fds_ns_connection *connection, const fds_ns_error *error) {
    fds_ns_exchange *exchange = &connection->exchange;
    const fds_ns_request *request = &exchange->request;
    if (error)
        fds_ns_reply_error(exchange, error);
    fds_ns_payload_free(&exchange->payload);
    fds_ns_payload_begin(&exchange->payload, request, FDS_NS_PAYLOAD_IGNORED, false);
    bool has_body = request->content_length || request->chunked;
    if (has_body && (request->expect_continue || request->content_length > 2 * FDS_NS_PUT_MAX)) {
        exchange->reply.close = true;
        return start_reply(connection);
    }
    connection->state = BODY;
    return NEXT;
}

static step start_request(fds_ns_connection *connection, size_t head_size) {
    fds_ns_exchange *exchange = &connection->exchange;
    fds_ns_exchange_start(exchange);
    connection->in_used = head_size;
    const fds_ns_error *error = fds_ns_request_parse(connection->in, head_size, &exchange->request);
    if (error == &FDS_NS_INVALID_URI && exchange->request.method == FDS_NS_OTHER_METHOD)
        error = &FDS_NS_MALFORMED_REQUEST;
    exchange->reply.close = error || !exchange->request.keep_alive;
    if (error) { /* where this request ends is not known for sure */
        fds_ns_reply_error(exchange, error);
        return start_reply(connection);
    }
    error = fds_ns_admit(exchange);
    if (!error)
        error = fds_ns_route(exchange);
    if (!error && exchange->operation->begin)
        exchange->operation->begin(exchange);
    if (error || exchange->reply.status)
        return refuse(connection, error);
    if (!exchange->payload.wire_left)
        return finish_request(connection);
    return start_body(connection);
}

static step read_head(fds_ns_connection *connection) {
    while (connection->in_size >= 2 && memcmp(connection->in, "\r\n", 2) == 0) { /* allowed between requests */
        connection->in_size -= 2;
        memmove(connection->in, connection->in + 2, connection->in_size);
        connection->scanned = 0;
    }
    size_t head_size = fds_ns_request_head_size(connection->in, connection->in_size, &connection->scanned);
    if (head_size > FDS_NS_HEAD_MAX || (!head_size && connection->in_size >= FDS_NS_HEAD_MAX)) {
        fds_ns_exchange *exchange = &connection->exchange;
        fds_ns_exchange_start(exchange);
        exchange->request.method = FDS_NS_OTHER_METHOD;
        exchange->request.bucket = exchange->request.key = (fds_ns_text){"", 0};
        exchange->reply.close = true;
        connection->in_used = connection->in_size;
        fds_ns_reply_error(exchange, &FDS_NS_HEAD_TOO_LARGE);
        return start_reply(connection);
    }
    if (head_size)
        return start_request(connection, head_size);
    if (connection->in_size == connection->in_capacity) {
        char *in = realloc(connection->in, connection->in_capacity * 2);
        if (!in)
            return DEAD;
        connection->in = in;
        connection->in_capacity *= 2;
    }
    size_t got;
    fds_ns_io io = fds_ns_transport_read(&connection->transport, connection->in + connection->in_size,
                                         connection->in_capacity - connection->in_size, &got);
    connection->in_size += got;
    return io == FDS_NS_IO_OK ? NEXT : blocked(io);
}

static step read_body(fds_ns_connection *connection) {
    fds_ns_payload *payload = &connection->exchange.payload;
    size_t along = connection->in_size - connection->in_used;
    if (along && payload->wire_left) {
        size_t size = along < payload->wire_left ? along : (size_t)payload->wire_left;
        connection->in_used += fds_ns_payload_take(payload, connection->in + connection->in_used, size);
        fds_ns_pace_charge(&connection->up, size);
        add(&connection->exchange.worker->traffic.received, size);
    }
    if (!payload->wire_left)
        return finish_request(connection);
    char *room = fds_ns_payload_room(payload);
    char *place = room ? room : connection->scratch;
    size_t size = room ? READ_MAX : FDS_NS_SCRATCH, got;
    if (size > payload->wire_left)
        size = (size_t)payload->wire_left;
    size_t allowed = fds_ns_pace_allow(&connection->up, payload->wire_left, &connection->due);
    if (!allowed)
        return SLEEP;
    if (size > allowed)
        size = allowed;
    fds_ns_io io = fds_ns_transport_read(&connection->transport, place, size, &got);
    if (io != FDS_NS_IO_OK)
        return blocked(io);
    connection->moved += got;
    fds_ns_pace_moved(&connection->up, got);
    add(&connection->exchange.worker->traffic.received, got);
    size_t used = fds_ns_payload_take(payload, place, got);
    fds_buf_add(&connection->behind, place + used, got - used);
    if (connection->behind.failed)
        return DEAD;
    return payload->wire_left ? NEXT : finish_request(connection);
}

static step send_continue(fds_ns_connection *connection) {
    while (connection->out_sent < connection->out.size) {
        struct iovec piece = {connection->out.data + connection->out_sent, connection->out.size - connection->out_sent};
        size_t sent;
        fds_ns_io io = fds_ns_transport_write(&connection->transport, &piece, 1, &sent);
        if (io != FDS_NS_IO_OK)
            return blocked(io);
        connection->out_sent += sent;
    }
    fds_ns_io io = fds_ns_transport_flush(&connection->transport);
    if (io != FDS_NS_IO_OK)
        return blocked(io);
    connection->state = BODY;
    return NEXT;
}

/* Not earlier: until the reply is out, the request's texts point into the buffer, which may move here. */
static bool take_behind(fds_ns_connection *connection) {
    size_t size = connection->in_size + connection->behind.size;
    if (size > connection->in_capacity) {
        char *in = realloc(connection->in, size);
        if (!in)
            return false;
        connection->in = in;
        connection->in_capacity = size;
    }
    memcpy(connection->in + connection->in_size, connection->behind.data, connection->behind.size);
    connection->in_size = size;
    fds_buf_free(&connection->behind);
    return true;
}

/* The reply is out: forget the request, keep what arrived behind it. */
static step end_exchange(fds_ns_connection *connection) {
    bool close = connection->exchange.reply.close;
    fds_ns_exchange_reset(&connection->exchange);
    if (connection->out.capacity > FDS_NS_HEAD_MAX)
        fds_buf_free(&connection->out);
    connection->in_size -= connection->in_used;
    memmove(connection->in, connection->in + connection->in_used, connection->in_size);
    connection->in_used = connection->scanned = 0;
    if (connection->behind.size && !take_behind(connection))
        return DEAD;
    connection->state = HEAD;
    if (close) { /* closing with unread input would reset the connection and could destroy the reply */
        fds_ns_transport_finish(&connection->transport);
        connection->due = fds_ns_now() + LINGER_TIME;
        connection->state = LINGER;
    }
    return NEXT;
}

static step send_reply(fds_ns_connection *connection) {
    const fds_ns_reply *reply = &connection->exchange.reply;
    uint64_t body_size = reply->kind == FDS_NS_BODY_TEXT ? 0 : fds_ns_reply_body_size(&connection->exchange);
    size_t head_left = connection->out.size - connection->out_sent;
    if (head_left || connection->body_sent < body_size) {
        size_t allowed =
            fds_ns_pace_allow(&connection->down, head_left + body_size - connection->body_sent, &connection->due);
        if (!allowed) {
            fds_ns_io io = fds_ns_transport_flush(&connection->transport);
            return io == FDS_NS_IO_OK ? SLEEP : blocked(io);
        }
        struct iovec pieces[PIECES];
        size_t count = 0, sent, head = head_left < allowed ? head_left : allowed;
        if (head)
            pieces[count++] = (struct iovec){connection->out.data + connection->out_sent, head};
        if (connection->body_sent < body_size && head < allowed)
            count += fds_ns_source_pieces(reply, connection->body_sent, allowed - head, pieces + count, PIECES - count);
        fds_ns_io io = fds_ns_transport_write(&connection->transport, pieces, count, &sent);
        if (io != FDS_NS_IO_OK)
            return blocked(io);
        connection->moved += sent;
        fds_ns_pace_moved(&connection->down, sent);
        size_t of_head = sent < head_left ? sent : head_left;
        connection->out_sent += of_head;
        connection->body_sent += sent - of_head;
        add(&connection->exchange.worker->traffic.sent, sent - of_head);
        if (connection->out_sent < connection->out.size || connection->body_sent < body_size)
            return NEXT;
    }
    fds_ns_io io = fds_ns_transport_flush(&connection->transport);
    return io == FDS_NS_IO_OK ? end_exchange(connection) : blocked(io);
}

static step linger(fds_ns_connection *connection) {
    ssize_t got = recv(connection->transport.fd, connection->scratch, FDS_NS_SCRATCH, 0);
    if (got > 0)
        connection->moved += (uint64_t)got;
    return got > 0 ? NEXT : got == 0 ? DEAD : READ;
}

static step take_step(fds_ns_connection *connection) {
    switch (connection->state) {
    case HANDSHAKE: {
        fds_ns_io io = fds_ns_transport_handshake(&connection->transport);
        /* Part of a handshake may wait in the gathering buffer while the peer is waited for. */
        fds_ns_io flushed = fds_ns_transport_flush(&connection->transport);
        if (io == FDS_NS_IO_CLOSED || flushed != FDS_NS_IO_OK)
            return io == FDS_NS_IO_CLOSED ? DEAD : blocked(flushed);
        if (io != FDS_NS_IO_OK)
            return blocked(io);
        connection->state = HEAD;
        return NEXT;
    }
    case HEAD:
        return read_head(connection);
    case CONTINUE:
        return send_continue(connection);
    case BODY:
        return read_body(connection);
    case DELAY:
        if (fds_ns_now() < connection->due)
            return SLEEP;
        connection->state = REPLY;
        return NEXT;
    case REPLY:
        return send_reply(connection);
    default:
        return linger(connection);
    }
}

static fds_ns_turn end_turn(fds_ns_connection *connection, fds_ns_turn turn) {
    if (connection->state == HEAD && turn == FDS_NS_WAIT_READ) {
        double patience = connection->exchange.worker->server->shaping->options->idle_close_ms;
        connection->due = patience > 0 ? fds_ns_now() + (uint64_t)(patience * (double)FDS_NS_MILLISECOND) : 0;
    } else if (connection->state != DELAY && connection->state != LINGER) {
        connection->due = 0; /* a pace's, past */
    }
    return turn;
}

fds_ns_turn fds_ns_connection_run(fds_ns_connection *connection) {
    connection->moved = 0;
    for (unsigned steps = 0; steps < TURN_STEPS && connection->moved < TURN_BYTES; steps++) {
        switch (take_step(connection)) {
        case NEXT:
            break;
        case READ:
            return end_turn(connection, FDS_NS_WAIT_READ);
        case WRITE:
            return end_turn(connection, FDS_NS_WAIT_WRITE);
        case SLEEP:
            return FDS_NS_SLEEP;
        case DEAD:
            return FDS_NS_DEAD;
        }
        /* After a whole reply the client has to think first: going round saves a receive that finds nothing. */
        if (connection->state == HEAD && !connection->in_size && !connection->transport.ssl && steps)
            return end_turn(connection, FDS_NS_WAIT_READ);
    }
    return end_turn(connection, FDS_NS_AGAIN);
}

int fds_ns_connection_fd(const fds_ns_connection *connection) {
    return connection->transport.fd;
}

uint64_t fds_ns_connection_due(const fds_ns_connection *connection) {
    return connection->due;
}

bool fds_ns_connection_overdue(const fds_ns_connection *connection) {
    return connection->state == HEAD || connection->state == LINGER;
}

struct fds_ns_links *fds_ns_connection_links(fds_ns_connection *connection) {
    return &connection->links;
}
