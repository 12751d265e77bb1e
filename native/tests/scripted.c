#define _GNU_SOURCE
#include "scripted.h"

#include "crc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct visit visit;
struct visit { /* one connection */
    visit *next;
    scripted *server;
    const scripted_step *script;
    pthread_t thread;
    int fd; /* -1: closed; under the server's lock */
    SSL *tls;
    char in[65536];
    size_t in_size;
    uint64_t body_left;
};

struct scripted {
    int fd;
    uint16_t port;
    SSL_CTX *tls;
    const scripted_step *const *scripts;
    size_t script_count;
    const scripted_step *only; /* when there is but one script */
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping, gate_open;
    visit *visits;
    scripted_record record;
};

static void check(bool held, const char *what) {
    if (held)
        return;
    perror(what);
    abort();
}

/* ---- a connection ---- */

/* 0 or less: the peer is gone. */
static ssize_t receive(visit *v, void *data, size_t size) {
    if (v->tls)
        return SSL_read(v->tls, data, (int)size);
    ssize_t got;
    do
        got = recv(v->fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static bool transmit(visit *v, const char *data, size_t size) {
    while (size) {
        ssize_t sent = v->tls ? SSL_write(v->tls, data, (int)size) : send(v->fd, data, size, 0);
        if (sent < 0 && !v->tls && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void note_body(visit *v, const void *data, size_t size) {
    scripted *server = v->server;
    pthread_mutex_lock(&server->lock);
    server->record.body_bytes += size;
    server->record.body_crc = fds_crc_update(FDS_CRC32C, server->record.body_crc, data, size);
    pthread_mutex_unlock(&server->lock);
}

static void note_head(visit *v, size_t size) {
    scripted *server = v->server;
    char *head = server->record.last_head;
    pthread_mutex_lock(&server->lock);
    if (size >= sizeof server->record.last_head)
        size = sizeof server->record.last_head - 1;
    memcpy(head, v->in, size);
    head[size] = '\0';
    const char *length = strcasestr(head, "\r\ncontent-length:");
    v->body_left = length ? strtoull(length + strlen("\r\ncontent-length:"), NULL, 10) : 0;
    server->record.requests++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static bool read_head(visit *v) {
    for (;;) {
        char *end = memmem(v->in, v->in_size, "\r\n\r\n", 4);
        if (end) {
            size_t size = (size_t)(end - v->in) + 4;
            note_head(v, size);
            v->in_size -= size;
            memmove(v->in, v->in + size, v->in_size);
            return true;
        }
        ssize_t got = receive(v, v->in + v->in_size, sizeof v->in - v->in_size);
        if (got <= 0)
            return false;
        v->in_size += (size_t)got;
    }
}

static bool read_body(visit *v, uint64_t most) {
    uint64_t left = most < v->body_left ? most : v->body_left;
    v->body_left -= left;
    while (left) {
        if (!v->in_size) {
            ssize_t got = receive(v, v->in, sizeof v->in);
            if (got <= 0)
                return false;
            v->in_size = (size_t)got;
        }
        size_t n = v->in_size < left ? v->in_size : (size_t)left;
        note_body(v, v->in, n);
        v->in_size -= n;
        memmove(v->in, v->in + n, v->in_size);
        left -= n;
    }
    return true;
}

static bool send_step(visit *v, const scripted_step *step) {
    const char *data = step->data;
    size_t slice = step->n ? step->n : step->size;
    for (size_t at = 0; at < step->size; at += slice) {
        size_t n = step->size - at < slice ? step->size - at : slice;
        if (!transmit(v, data + at, n))
            return false;
        if (step->n && slice < 4096) /* let the peer read before the next one joins it */
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return true;
}

static bool wait_for(visit *v, const bool *flag) {
    scripted *server = v->server;
    pthread_mutex_lock(&server->lock);
    while (!server->stopping && !(flag && *flag))
        pthread_cond_wait(&server->changed, &server->lock);
    bool go_on = !server->stopping;
    pthread_mutex_unlock(&server->lock);
    return go_on;
}

static void close_visit(visit *v, bool reset) {
    pthread_mutex_lock(&v->server->lock);
    if (reset)
        setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    else if (v->tls)
        SSL_shutdown(v->tls);
    close(v->fd);
    v->fd = -1;
    pthread_mutex_unlock(&v->server->lock);
}

static bool play_step(visit *v, const scripted_step *step) {
    switch (step->kind) {
    case SCRIPTED_READ_HEAD:
        return read_head(v);
    case SCRIPTED_READ_BODY:
        return read_body(v, UINT64_MAX);
    case SCRIPTED_READ_SOME:
        return read_body(v, step->n);
    case SCRIPTED_SEND:
        return send_step(v, step);
    case SCRIPTED_PAUSE:
        nanosleep(&(struct timespec){.tv_sec = (time_t)(step->n / 1000), .tv_nsec = (long)(step->n % 1000) * 1000000},
                  NULL);
        return true;
    case SCRIPTED_GATE:
        return wait_for(v, &v->server->gate_open);
    case SCRIPTED_HANG:
        return wait_for(v, NULL);
    case SCRIPTED_WAIT_CLOSE:
        while (receive(v, v->in, sizeof v->in) > 0)
            ;
        pthread_mutex_lock(&v->server->lock);
        v->server->record.peers_gone++;
        pthread_cond_broadcast(&v->server->changed);
        pthread_mutex_unlock(&v->server->lock);
        return false;
    case SCRIPTED_HALF_CLOSE:
        return shutdown(v->fd, SHUT_WR) == 0;
    default:
        return false;
    }
}

static void *visit_run(void *argument) {
    visit *v = argument;
    bool reset = false;
    if (v->server->tls) {
        v->tls = SSL_new(v->server->tls);
        check(v->tls && SSL_set_fd(v->tls, v->fd) == 1, "SSL_new");
    }
    if (!v->tls || SSL_accept(v->tls) == 1) {
        const scripted_step *step = v->script;
        while (play_step(v, step)) {
            step++;
            if (step->kind == SCRIPTED_AGAIN)
                step = v->script;
        }
        reset = step->kind == SCRIPTED_RESET;
    }
    close_visit(v, reset);
    SSL_free(v->tls);
    return NULL;
}

/* ---- the server ---- */

static void *accept_run(void *argument) {
    scripted *server = argument;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        pthread_mutex_lock(&server->lock);
        if (fd < 0 || server->stopping) {
            bool over = server->stopping;
            pthread_mutex_unlock(&server->lock);
            if (fd >= 0)
                close(fd);
            if (over)
                return NULL;
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        visit *v = calloc(1, sizeof *v);
        check(v != NULL, "calloc");
        size_t index = (size_t)server->record.accepted++;
        v->server = server;
        v->fd = fd;
        v->script = server->scripts[index < server->script_count ? index : server->script_count - 1];
        v->next = server->visits;
        server->visits = v;
        check(pthread_create(&v->thread, NULL, visit_run, v) == 0, "pthread_create");
        pthread_mutex_unlock(&server->lock);
    }
}

static scripted *start(const scripted_step *const *scripts, size_t count, const scripted_step *only, SSL_CTX *tls) {
    scripted *server = calloc(1, sizeof *server);
    check(server != NULL, "calloc");
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    server->only = only;
    server->scripts = scripts ? scripts : &server->only;
    server->script_count = count;
    server->tls = tls;
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    check(server->fd >= 0 && bind(server->fd, (struct sockaddr *)&address, size) == 0 && listen(server->fd, 128) == 0 &&
              getsockname(server->fd, (struct sockaddr *)&address, &size) == 0,
          "listen");
    server->port = ntohs(address.sin_port);
    check(pthread_create(&server->acceptor, NULL, accept_run, server) == 0, "pthread_create");
    return server;
}

scripted *scripted_start(const scripted_step *const *scripts, size_t count, SSL_CTX *tls) {
    return start(scripts, count, NULL, tls);
}

scripted *scripted_play(const scripted_step *script) {
    return start(NULL, 1, script, NULL);
}

uint16_t scripted_port(const scripted *server) {
    return server->port;
}

void scripted_open_gate(scripted *server) {
    pthread_mutex_lock(&server->lock);
    server->gate_open = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

scripted_record scripted_look(scripted *server) {
    pthread_mutex_lock(&server->lock);
    scripted_record record = server->record;
    pthread_mutex_unlock(&server->lock);
    return record;
}

static int wait_at_least(scripted *server, const int *value, int least) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    int error = 0;
    pthread_mutex_lock(&server->lock);
    while (*value < least && !error)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    int reached = *value >= least;
    pthread_mutex_unlock(&server->lock);
    return reached;
}

int scripted_wait_requests(scripted *server, int least) {
    return wait_at_least(server, &server->record.requests, least);
}

int scripted_wait_peers_gone(scripted *server, int least) {
    return wait_at_least(server, &server->record.peers_gone, least);
}

void scripted_stop(scripted *server) {
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->changed);
    for (visit *v = server->visits; v; v = v->next)
        if (v->fd >= 0)
            shutdown(v->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    /* A connection of our own ends accept() everywhere, which shutdown() of a listener does not. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(server->port)};
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    pthread_join(server->acceptor, NULL);
    close(fd);
    for (visit *v = server->visits, *next; v; v = next) {
        next = v->next;
        pthread_join(v->thread, NULL);
        free(v);
    }
    close(server->fd);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
