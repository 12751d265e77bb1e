/* fds-nullserver: start, wait for the end, stop. */
#define _GNU_SOURCE
#include "../wake.h"
#include "clock.h"
#include "listener.h"
#include "loop.h"
#include "pattern.h"
#include "store.h"
#include "transport.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_BAD_OPTIONS 2

typedef struct {
    fds_ns_loop *loop;
    pthread_t thread;
    bool running;
} worker;

static fds_wake stop = {-1, -1};

static void on_signal(int number) {
    (void)number;
    int reason = errno;
    fds_wake_signal(&stop);
    errno = reason;
}

static bool catch_signals(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}, end = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    return fds_wake_open(&stop) == 0 && sigaction(SIGPIPE, &ignore, NULL) == 0 && sigaction(SIGTERM, &end, NULL) == 0 &&
           sigaction(SIGINT, &end, NULL) == 0;
}

/* Unlike what a client or the network interface counts, it is the same for all clients, and nobody else's. */
static void report_traffic(const worker *workers, int count) {
    uint64_t sent = 0, received = 0;
    for (int i = 0; i < count; i++)
        fds_ns_loop_count(workers[i].loop, &sent, &received);
    printf("moved %.6f %" PRIu64 " %" PRIu64 "\n", (double)fds_ns_now() / (double)FDS_NS_SECOND, sent, received);
    fflush(stdout);
}

/* Returns at a signal, or at the end of stdin if that is watched. Reports meanwhile, if that is wanted. */
static void wait_for_end(const fds_ns_options *options, const worker *workers) {
    struct pollfd fds[2] = {{.fd = stop.read_fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    bool watch_stdin = options->exit_with_stdin;
    uint64_t interval = options->report_ms * FDS_NS_MILLISECOND, next = fds_ns_now() + interval;
    for (;;) {
        uint64_t now = fds_ns_now();
        if (interval && now >= next) {
            report_traffic(workers, options->threads);
            next += interval * (1 + (now - next) / interval); /* late ones are left out, not made up for */
        }
        int timeout = interval ? (int)((next - now) / FDS_NS_MILLISECOND) + 1 : -1;
        if (poll(fds, watch_stdin ? 2 : 1, timeout) <= 0)
            continue; /* time for a report, or interrupted: the signal's mark is there */
        if (fds[0].revents)
            return;
        char ignored[4096];
        if (watch_stdin && fds[1].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            return;
    }
}

static void *run_loop(void *argument) {
    fds_ns_loop_run(argument);
    return NULL;
}

static bool open_workers(const fds_ns_server *server, SSL_CTX *context, worker *workers, char *name) {
    const fds_ns_options *options = server->options;
    uint16_t port = options->port;
    for (int i = 0; i < options->threads; i++) {
        int fd = fds_ns_listen(options->host, &port, options->threads > 1, name);
        if (fd < 0)
            return false;
        workers[i].loop = fds_ns_loop_new(server, fd, context, (unsigned)i);
        if (!workers[i].loop) {
            fprintf(stderr, "fds-nullserver: cannot start: %s\n", strerror(errno));
            return false;
        }
    }
    return true;
}

static bool start_workers(worker *workers, int count) {
    sigset_t signals, before;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, &before); /* signals are the main thread's */
    bool good = true;
    for (int i = 0; i < count && good; i++)
        good = workers[i].running = pthread_create(&workers[i].thread, NULL, run_loop, workers[i].loop) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!good)
        fputs("fds-nullserver: cannot start a thread\n", stderr);
    return good;
}

static void end_workers(worker *workers, int count) {
    for (int i = 0; i < count; i++) {
        if (workers[i].running) {
            fds_ns_loop_stop(workers[i].loop);
            pthread_join(workers[i].thread, NULL);
        }
    }
    for (int i = 0; i < count; i++)
        fds_ns_loop_free(workers[i].loop);
}

static int serve(const fds_ns_options *options, fds_ns_store *store, SSL_CTX *context) {
    fds_ns_shaping shaping;
    if (!fds_ns_shaping_init(&shaping, &options->shaping)) {
        fputs("fds-nullserver: cannot start: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    fds_ns_server server = {.options = options, .store = store, .shaping = &shaping};
    worker *workers = calloc((size_t)options->threads, sizeof *workers);
    char name[FDS_NS_ADDRESS_MAX];
    bool good = workers && open_workers(&server, context, workers, name) && start_workers(workers, options->threads);
    if (good) {
        printf("listening %s\n", name);
        fflush(stdout);
        wait_for_end(options, workers);
    }
    if (workers)
        end_workers(workers, options->threads);
    free(workers);
    fds_ns_shaping_free(&shaping);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    fds_ns_options options;
    switch (fds_ns_options_parse(argc, argv, &options)) {
    case FDS_NS_OPTIONS_OK:
        break;
    case FDS_NS_OPTIONS_HELP:
        return EXIT_SUCCESS;
    case FDS_NS_OPTIONS_BAD:
        return EXIT_BAD_OPTIONS;
    }
    if (!fds_ns_listen_allowed(options.host, options.allow_any_address))
        return EXIT_BAD_OPTIONS;
    SSL_CTX *context = NULL;
    if (options.certificate && !(context = fds_ns_tls_context(options.certificate, options.key)))
        return EXIT_BAD_OPTIONS;
    fds_ns_store *store = fds_ns_store_new(options.memory_limit, options.part_min);
    int status = EXIT_FAILURE;
    if (!store || !catch_signals() || (options.mode == FDS_NS_FIXED && !fds_ns_pattern_make()))
        fputs("fds-nullserver: cannot start: out of memory or descriptors\n", stderr);
    else
        status = serve(&options, store, context);
    fds_ns_store_free(store);
    fds_ns_pattern_free();
    SSL_CTX_free(context);
    fds_wake_close(&stop);
    return status;
}
