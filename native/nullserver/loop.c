#define _GNU_SOURCE
#include "loop.h"

#include "../poller.h"
#include "../wake.h"
#include "clock.h"
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 64
#define ACCEPTS_A_TURN 64
/* Bytes under way in one connection: what fits a core's cache is copied in and out hot. Measured over loopback: 0.10
 * core-s/GB and 75 Gbit/s, against 0.20 and 38 with the 4 MiB that Linux grows to; sendfile was at 0.40. */
#define SEND_BUFFER (256 * 1024)

struct fds_ns_loop {
    fds_poller *poller;
    fds_wake wake;
    int listener;
    int reserve; /* given up for a moment when descriptors run out, to turn a waiting client away */
    SSL_CTX *context;
    char *scratch;
    fds_ns_connection *first;
    fds_ns_connection *again; /* those that stopped with work left */
    size_t connections;
    fds_ns_timers timers;
    fds_ns_worker worker;
};

fds_ns_loop *fds_ns_loop_new(const fds_ns_server *server, int listener, SSL_CTX *context, unsigned index) {
    fds_ns_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        close(listener);
        return NULL;
    }
    loop->listener = listener;
    loop->context = context;
    loop->wake.read_fd = loop->wake.write_fd = -1;
    loop->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop->worker.server = server;
    loop->worker.next_request_id = (uint64_t)index << 48 | ((uint64_t)time(NULL) & 0xffff) << 32;
    loop->worker.chance = (uint64_t)server->options->shaping.seed + ((uint64_t)index << 56);
    loop->poller = fds_poller_new();
    void *scratch;
    if (!loop->poller || posix_memalign(&scratch, 4096, FDS_NS_SCRATCH)) {
        fds_ns_loop_free(loop);
        return NULL;
    }
    loop->scratch = scratch;
    if (fds_wake_open(&loop->wake) || fds_poller_add(loop->poller, loop->wake.read_fd, FDS_READABLE, &loop->wake) ||
        fds_poller_add(loop->poller, listener, FDS_READABLE, &loop->listener)) {
        fds_ns_loop_free(loop);
        return NULL;
    }
    return loop;
}

static void discard(fds_ns_loop *loop, fds_ns_connection *connection) {
    struct fds_ns_links *links = fds_ns_connection_links(connection);
    fds_ns_timers_cancel(&loop->timers, &links->timer);
    if (links->again) { /* on the list: freed when its turn comes */
        links->dead = true;
        return;
    }
    if (links->previous)
        fds_ns_connection_links(links->previous)->next = links->next;
    else
        loop->first = links->next;
    if (links->next)
        fds_ns_connection_links(links->next)->previous = links->previous;
    loop->connections--;
    fds_poller_remove(loop->poller, fds_ns_connection_fd(connection));
    fds_ns_connection_free(connection);
}

static void set_interest(fds_ns_loop *loop, fds_ns_connection *connection, int interest) {
    struct fds_ns_links *links = fds_ns_connection_links(connection);
    if (links->interest == interest)
        return;
    links->interest = interest;
    fds_poller_modify(loop->poller, fds_ns_connection_fd(connection), interest, connection);
}

static void run_connection(fds_ns_loop *loop, fds_ns_connection *connection) {
    struct fds_ns_links *links = fds_ns_connection_links(connection);
    switch (fds_ns_connection_run(connection)) {
    case FDS_NS_WAIT_READ:
        set_interest(loop, connection, FDS_READABLE);
        break;
    case FDS_NS_WAIT_WRITE:
        set_interest(loop, connection, FDS_WRITABLE);
        break;
    case FDS_NS_SLEEP:
        set_interest(loop, connection, 0);
        break;
    case FDS_NS_AGAIN:
        if (!links->again) {
            links->again = true;
            links->next_again = loop->again;
            loop->again = connection;
        }
        break;
    case FDS_NS_DEAD:
        discard(loop, connection);
        return;
    }
    uint64_t due = fds_ns_connection_due(connection);
    if (due)
        fds_ns_timers_set(&loop->timers, &links->timer, due);
    else
        fds_ns_timers_cancel(&loop->timers, &links->timer);
}

static void run_again(fds_ns_loop *loop) {
    fds_ns_connection *connection = loop->again;
    loop->again = NULL;
    while (connection) {
        struct fds_ns_links *links = fds_ns_connection_links(connection);
        fds_ns_connection *next = links->next_again;
        links->again = false;
        if (links->dead)
            discard(loop, connection);
        else
            run_connection(loop, connection);
        connection = next;
    }
}

static int accept_one(int listener) {
#ifdef __linux__
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) {
        fcntl(fd, F_SETFL, O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return fd;
#endif
}

/* Without this a waiting client that can't be accepted keeps the listener readable and the loop spinning. */
static void turn_away(fds_ns_loop *loop) {
    close(loop->reserve);
    int fd = accept_one(loop->listener);
    if (fd >= 0)
        close(fd);
    loop->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_clients(fds_ns_loop *loop) {
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept_one(loop->listener);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                turn_away(loop);
            return;
        }
        int on = 1, send_buffer = SEND_BUFFER;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
        fds_ns_connection *connection = fds_ns_connection_new(&loop->worker, fd, loop->context, loop->scratch);
        if (!connection)
            continue;
        struct fds_ns_links *links = fds_ns_connection_links(connection);
        links->interest = FDS_READABLE;
        links->timer.owner = connection;
        if (!fds_ns_timers_reserve(&loop->timers, loop->connections + 1) ||
            fds_poller_add(loop->poller, fd, FDS_READABLE, connection)) {
            fds_ns_connection_free(connection);
            continue;
        }
        links->next = loop->first;
        if (loop->first)
            fds_ns_connection_links(loop->first)->previous = connection;
        loop->first = connection;
        loop->connections++;
    }
}

static void run_due(fds_ns_loop *loop) {
    uint64_t now = loop->timers.count ? fds_ns_now() : 0;
    for (fds_ns_connection *connection; (connection = fds_ns_timers_take(&loop->timers, now));) {
        if (fds_ns_connection_overdue(connection))
            discard(loop, connection);
        else
            run_connection(loop, connection);
    }
}

static void run_event(fds_ns_loop *loop, fds_ns_connection *connection) {
    if (fds_ns_connection_links(connection)->interest)
        run_connection(loop, connection);
    else /* it sleeps, so this is an error or the peer's end: it would come again and again */
        discard(loop, connection);
}

void fds_ns_loop_run(fds_ns_loop *loop) {
    for (;;) {
        fds_event events[EVENTS];
        int timeout = loop->again ? 0 : fds_ns_timers_sleep_ms(&loop->timers);
        int count = fds_poller_wait(loop->poller, events, EVENTS, timeout);
        for (int i = 0; i < count; i++) {
            if (events[i].owner == &loop->wake)
                return;
            if (events[i].owner == &loop->listener)
                accept_clients(loop);
            else
                run_event(loop, events[i].owner);
        }
        run_due(loop);
        run_again(loop);
    }
}

void fds_ns_loop_count(fds_ns_loop *loop, uint64_t *sent, uint64_t *received) {
    *sent += atomic_load_explicit(&loop->worker.traffic.sent, memory_order_relaxed);
    *received += atomic_load_explicit(&loop->worker.traffic.received, memory_order_relaxed);
}

void fds_ns_loop_stop(fds_ns_loop *loop) {
    fds_wake_signal(&loop->wake);
}

void fds_ns_loop_free(fds_ns_loop *loop) {
    if (!loop)
        return;
    while (loop->first) {
        fds_ns_connection_links(loop->first)->again = false;
        discard(loop, loop->first);
    }
    fds_poller_free(loop->poller);
    fds_ns_timers_free(&loop->timers);
    fds_wake_close(&loop->wake);
    if (loop->reserve >= 0)
        close(loop->reserve);
    close(loop->listener);
    free(loop->scratch);
    free(loop);
}
