/* What receiving or sending bytes costs when nothing else is done: the limit that clients are compared with.
 *
 *     limit get|put PORT BUCKET COUNT SIZE [--crc] [--fresh]
 *
 * One thread, one epoll, 8 connections; COUNT objects of SIZE bytes, one request each, canned but for its key. Received
 * bytes land in their own place of one region, as a client's results would; sent ones come from such a region. It has
 * been touched before, unless --fresh: then it is mapped within the timed section. --crc takes a CRC-64/NVME of each
 * read while it is hot, or of each 256 KiB before they are sent.
 *
 * It speaks the protocol of bench/peers/worker.py: says it is ready, waits for "go", answers with what it took.
 * Linux only. The server is on loopback.
 */
#define _GNU_SOURCE /* mmap, madvise */

#include "crc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 8, HEAD_MAX = 4096 };
#define READ_MAX ((size_t)1 << 20)
#define SEND_WITH_CRC ((size_t)256 << 10)

typedef enum { SENDING, AWAITING_HEAD, RECEIVING } phase;

typedef struct {
    int fd;
    phase phase;
    size_t object;
    char head[HEAD_MAX]; /* of the request, then of the reply */
    size_t head_size;
    size_t head_sent;
    size_t body_done;
    size_t crc_done; /* bytes of the body to be sent whose CRC has been taken */
    uint64_t crc;
} connection;

typedef struct {
    bool put, crc, fresh;
    const char *bucket;
    size_t count, size;
    char *region;
    size_t next, finished;
    uint64_t crcs; /* so that no compiler leaves a CRC out */
    int epoll;
} job;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void refuse(const char *why, const char *head) {
    fprintf(stderr, "limit: the server answered %s%.200s\n", why, head);
    exit(1);
}

static char *map_region(size_t size, bool touch) {
    char *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        fail("mmap");
    madvise(region, size, MADV_HUGEPAGE);
    if (touch)
        memset(region, 0x5a, size);
    return region;
}

static int dial(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void watch(const job *j, connection *c, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(j->epoll, how, c->fd, &event) != 0)
        fail("epoll_ctl");
}

/* Takes the next object and makes its request. False when there is none left. */
static bool begin(job *j, connection *c) {
    if (j->next == j->count)
        return false;
    *c = (connection){.fd = c->fd, .object = j->next++};
    char length[64] = "";
    if (j->put)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", j->size);
    c->head_size = (size_t)snprintf(c->head, sizeof c->head,
                                    "%s /%s/limit-%zu.%zu HTTP/1.1\r\nHost: localhost\r\n"
                                    "Authorization: AWS4-HMAC-SHA256 none\r\n%s\r\n",
                                    j->put ? "PUT" : "GET", j->bucket, c->object, j->size, length);
    return true;
}

static char *place(const job *j, const connection *c) {
    return j->region + c->object * j->size + c->body_done;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* What a call moved; 0 when it has to be tried again later. */
static size_t moved(ssize_t n, const char *call) {
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        fail(call);
    return (size_t)n;
}

/* Sends as far as the socket takes it. True when all of the request is out. */
static bool send_request(job *j, connection *c) {
    size_t body = j->put ? j->size : 0;
    while (c->head_sent < c->head_size) {
        ssize_t n =
            send(c->fd, c->head + c->head_sent, c->head_size - c->head_sent, MSG_NOSIGNAL | (body ? MSG_MORE : 0));
        if (n < 0 && errno == EAGAIN)
            return false;
        c->head_sent += moved(n, "send");
    }
    while (c->body_done < body) {
        if (j->crc && c->crc_done == c->body_done) {
            size_t piece = smaller(SEND_WITH_CRC, body - c->body_done);
            c->crc = fds_crc_update(FDS_CRC64NVME, c->crc, place(j, c), piece);
            c->crc_done += piece;
        }
        size_t most = j->crc ? c->crc_done - c->body_done : smaller(READ_MAX, body - c->body_done);
        ssize_t n = send(c->fd, place(j, c), most, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return false;
        c->body_done += moved(n, "send");
    }
    return true;
}

/* Receives the reply's head, and what came of the body with it. True when it is whole. */
static bool receive_head(job *j, connection *c) {
    c->head_size += moved(recv(c->fd, c->head + c->head_size, sizeof c->head - 1 - c->head_size, 0), "recv");
    c->head[c->head_size] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (!end) {
        if (c->head_size == sizeof c->head - 1)
            refuse("a head too long: ", c->head);
        return false;
    }
    if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0)
        refuse("", c->head);
    end += 4;
    size_t size = c->head_size - (size_t)(end - c->head);
    if (size > (j->put ? 0 : j->size))
        refuse("more than was asked for: ", c->head);
    c->body_done = 0;
    if (size > 0) {
        memcpy(place(j, c), end, size);
        if (j->crc)
            c->crc = fds_crc_update(FDS_CRC64NVME, 0, end, size);
        c->body_done = size;
    }
    return true;
}

/* Receives the body as far as it is there. True when it is whole. */
static bool receive_body(job *j, connection *c) {
    size_t body = j->put ? 0 : j->size;
    while (c->body_done < body) {
        size_t most = smaller(READ_MAX, body - c->body_done);
        size_t n = moved(recv(c->fd, place(j, c), most, 0), "recv");
        if (j->crc)
            c->crc = fds_crc_update(FDS_CRC64NVME, c->crc, place(j, c), n);
        c->body_done += n;
        if (n < most)
            return c->body_done == body; /* another call would only say that there is no more */
    }
    return true;
}

/* Goes on with a connection as far as its socket allows. */
static void turn(job *j, connection *c) {
    if (c->phase == SENDING) {
        if (!send_request(j, c))
            return;
        c->phase = AWAITING_HEAD;
        c->head_size = 0;
        watch(j, c, EPOLL_CTL_MOD, EPOLLIN);
    }
    if (c->phase == AWAITING_HEAD) {
        if (!receive_head(j, c))
            return;
        c->phase = RECEIVING;
    }
    if (!receive_body(j, c))
        return;
    j->crcs += c->crc;
    j->finished++;
    if (begin(j, c))
        watch(j, c, EPOLL_CTL_MOD, EPOLLOUT);
    else
        epoll_ctl(j->epoll, EPOLL_CTL_DEL, c->fd, NULL);
}

static void run(job *j, connection *connections, size_t count) {
    if (j->fresh)
        j->region = map_region(j->count * j->size, false);
    for (size_t i = 0; i < count && begin(j, &connections[i]); i++)
        watch(j, &connections[i], EPOLL_CTL_ADD, EPOLLOUT);
    while (j->finished < j->count) {
        struct epoll_event events[CONNECTIONS];
        int n = epoll_wait(j->epoll, events, CONNECTIONS, -1);
        for (int i = 0; i < n; i++)
            turn(j, events[i].data.ptr);
    }
}

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fputs("usage: limit get|put PORT BUCKET COUNT SIZE [--crc] [--fresh]\n", stderr);
        return 2;
    }
    job j = {.put = strcmp(argv[1], "put") == 0,
             .bucket = argv[3],
             .count = strtoull(argv[4], NULL, 10),
             .size = strtoull(argv[5], NULL, 10)};
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    for (int i = 6; i < argc; i++) {
        j.crc |= strcmp(argv[i], "--crc") == 0;
        j.fresh |= strcmp(argv[i], "--fresh") == 0;
    }
    if (!j.fresh)
        j.region = map_region(j.count * j.size, true);
    connection connections[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++)
        connections[i].fd = dial(port);
    j.epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)fds_crc_update(FDS_CRC64NVME, 0, argv, 1); /* it picks its kernel at the first call */

    printf("{\"ready\": \"%s\"}\n", fds_crc_kernel(FDS_CRC64NVME));
    fflush(stdout);
    char line[8];
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "go\n") != 0)
        return 0;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    double started = now();
    run(&j, connections, CONNECTIONS);
    double took = now() - started;
    getrusage(RUSAGE_SELF, &after);
    fprintf(stderr, "%llx\n", (unsigned long long)j.crcs);
    printf("{\"seconds\": %.9f, \"user_seconds\": %.6f, \"system_seconds\": %.6f, \"peak_rss_bytes\": %lld}\n", took,
           seconds(after.ru_utime) - seconds(before.ru_utime), seconds(after.ru_stime) - seconds(before.ru_stime),
           (long long)after.ru_maxrss << 10);
    return 0;
}
