/* What the plane's tests share: a plane with an endpoint and a queue, and requests of one line.
 *
 * An attempt is allocated on its own and freed as soon as it is FINISHED, so that AddressSanitizer sees a loop that
 * writes into it afterwards. All of it is inline, because each file that includes check.h counts its own failures.
 */
#ifndef FDS_TESTS_PLANE_FIXTURE_H
#define FDS_TESTS_PLANE_FIXTURE_H

#include "check.h"
#include "clock.h"
#include "plane.h"
#include "scripted.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define STR(literal) ((fds_str){(literal), sizeof(literal) - 1})
#define OK_HEAD(length) "HTTP/1.1 200 OK\r\ncontent-length: " #length "\r\n\r\n"

typedef struct {
    fds_plane *plane;
    fds_endpoint *endpoint;
    fds_queue *queue;
} fixture;

/* Timeouts: connect 1 s, stall and idle 5 s. */
static inline fixture fixture_open_at(const char *host, uint16_t port, int loops, fds_tls_context *tls) {
    fixture f = {
        .plane = fds_plane_new(loops),
        .endpoint = fds_endpoint_new(host, "bucket.test", port, tls),
        .queue = fds_queue_new(),
    };
    if (!f.plane || !f.endpoint || !f.queue) {
        perror("fixture");
        abort();
    }
    f.endpoint->connect_timeout = FDS_SECOND;
    f.endpoint->stall_timeout = f.endpoint->idle_timeout = 5 * FDS_SECOND;
    return f;
}

/* One loop, plain HTTP. */
static inline fixture fixture_open(uint16_t port) {
    return fixture_open_at("127.0.0.1", port, 1, NULL);
}

/* Checks that nothing is left in flight, and nobody holds a reference any more. */
static inline void fixture_close(fixture *f) {
    CHECK_EQ(fds_plane_in_flight(f->plane), 0);
    fds_plane_free(f->plane);
    CHECK_EQ(atomic_load(&f->endpoint->references), 1);
    CHECK_EQ(atomic_load(&f->queue->references), 1);
    fds_endpoint_release(f->endpoint);
    fds_queue_release(f->queue);
}

/* `path` outlives the attempt. */
static inline fds_attempt *new_get(fixture *f, const char *path) {
    fds_attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        abort();
    fds_attempt_init(attempt);
    attempt->endpoint = f->endpoint;
    attempt->queue = f->queue;
    attempt->method = STR("GET");
    attempt->path = (fds_str){path, strlen(path)};
    attempt->content_max = 1 << 20;
    return attempt;
}

static inline fds_attempt *new_put(fixture *f, const char *path, const fds_span *body, size_t count, int upload_crc) {
    fds_attempt *attempt = new_get(f, path);
    attempt->method = STR("PUT");
    attempt->body = body;
    attempt->body_count = count;
    attempt->upload_crc = upload_crc;
    return attempt;
}

static inline void set_target(fds_attempt *attempt, const fds_span *target, size_t count, int download_crc) {
    attempt->target = target;
    attempt->target_count = count;
    attempt->download_crc = download_crc;
}

static inline void free_attempt(fds_attempt *attempt) {
    fds_attempt_clear(attempt);
    free(attempt);
}

static inline void submit(fixture *f, fds_attempt *attempt) {
    fds_plane_submit(f->plane, &attempt, 1);
}

static inline void cancel(fixture *f, fds_attempt *attempt) {
    atomic_store(&attempt->cancel, true);
    fds_plane_notice(f->plane);
}

/* The next report within 10 s, else NULL and a failed check. */
static inline fds_attempt *take(fixture *f, fds_report_kind *kind) {
    int64_t deadline = fds_now() + 10 * FDS_SECOND;
    for (;;) {
        fds_attempt *attempt = fds_queue_take(f->queue, kind);
        if (attempt)
            return attempt;
        int64_t left = deadline - fds_now();
        struct pollfd fd = {.fd = f->queue->wake.read_fd, .events = POLLIN};
        if (left <= 0 || poll(&fd, 1, (int)(left / FDS_MS) + 1) == 0)
            break;
    }
    CHECK(!"a report within 10 s");
    return NULL;
}

/* The next report, which must be `attempt`'s and of this kind. */
static inline bool expect_report(fixture *f, fds_attempt *attempt, fds_report_kind kind) {
    fds_report_kind got = FDS_REPORT_FINISHED;
    return CHECK(take(f, &got) == attempt) && CHECK_EQ(got, kind);
}

/* Submits, waits, and checks the outcome. */
#define RUN_TO(f, attempt, expected) run_to((f), (attempt), (expected), #expected, __FILE__, __LINE__)
static inline bool run_to(fixture *f, fds_attempt *attempt, fds_outcome outcome, const char *name, const char *file,
                          int line) {
    submit(f, attempt);
    if (!expect_report(f, attempt, FDS_REPORT_FINISHED))
        return false;
    if (check_equal(attempt->outcome, outcome, "outcome", name, file, line))
        return true;
    fprintf(stderr, "    status %d, why: %s\n", attempt->status, attempt->why);
    return false;
}

/* `size` bytes that no shift of themselves resembles; free() them. */
static inline char *pattern(size_t size, unsigned seed) {
    char *data = malloc(size ? size : 1);
    if (!data)
        abort();
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (char)(x >> 24);
    }
    return data;
}

static inline uint64_t crc32c(const void *data, size_t size) {
    return fds_crc_update(FDS_CRC32C, 0, data, size);
}

static inline void sleep_ms(int milliseconds) {
    nanosleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000},
              NULL);
}

#endif
