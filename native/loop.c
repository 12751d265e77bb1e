#define _GNU_SOURCE
#include "loop.h"

#include "clock.h"
#include "connection.h"
#include "hostpool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_A_TURN 64
#define TICK (200 * FDS_MS) /* how finely timeouts are kept */

void fds_loop_finish(fds_loop *loop, fds_attempt *attempt) {
    attempt->finished = loop->now;
    attempt->next_finished = NULL;
    if (loop->finished_last)
        loop->finished_last->next_finished = attempt;
    else
        loop->finished = attempt;
    loop->finished_last = attempt;
    atomic_fetch_sub(&loop->in_flight, 1);
}

static void report_finished(fds_loop *loop) {
    fds_attempt *attempt = loop->finished;
    loop->finished = loop->finished_last = NULL;
    for (fds_attempt *next; attempt; attempt = next) {
        next = attempt->next_finished;
        fds_queue *queue = attempt->queue; /* the attempt is the waiter's as soon as it is reported */
        fds_queue_report(queue, attempt, FDS_REPORT_FINISHED);
        fds_queue_release(queue);
    }
}

static void read_inbox(fds_loop *loop) {
    pthread_mutex_lock(&loop->inbox_lock);
    fds_attempt *attempt = loop->inbox_first;
    fds_resolution *resolution = loop->resolutions;
    loop->inbox_first = loop->inbox_last = NULL;
    loop->resolutions = NULL;
    pthread_mutex_unlock(&loop->inbox_lock);

    for (fds_resolution *next; resolution; resolution = next) {
        next = resolution->next;
        fds_hostpool_resolved(resolution->asker, resolution);
        free(resolution);
    }
    for (fds_attempt *next; attempt; attempt = next) {
        next = attempt->next;
        fds_hostpool *pool = fds_hostpool_of(loop, attempt->endpoint);
        if (pool) {
            fds_hostpool_add(pool, attempt);
        } else {
            fds_attempt_fail(attempt, FDS_NO_MEMORY, "out of memory for a connection pool");
            fds_loop_finish(loop, attempt);
        }
    }
}

static void tick(fds_loop *loop) {
    for (fds_hostpool **at = &loop->pools; *at;) {
        fds_hostpool *pool = *at;
        fds_hostpool_tick(pool);
        if (fds_hostpool_unused(pool)) {
            *at = pool->next;
            fds_hostpool_close(pool);
        } else {
            at = &pool->next;
        }
    }
    loop->next_tick = loop->now + TICK;
}

/* Connections that hold bytes which the poller does not show; one may come again. */
static void serve_again(fds_loop *loop) {
    fds_connection *last_round = NULL;
    while (loop->again) { /* detach all first: a turn may put a connection back */
        fds_connection *connection = loop->again;
        loop->again = connection->next_again;
        connection->on_again = false;
        connection->next_again = last_round;
        last_round = connection;
    }
    while (last_round) {
        fds_connection *connection = last_round;
        last_round = connection->next_again;
        fds_connection_ready(connection, FDS_READABLE);
    }
}

static int poll_timeout(const fds_loop *loop) {
    if (loop->again || loop->hashing)
        return 0;
    if (!loop->pools)
        return -1;
    int64_t left = loop->next_tick - loop->now;
    return left <= 0 ? 0 : (int)(left / FDS_MS) + 1;
}

static void *run(void *argument) {
    fds_loop *loop = argument;
    fds_event events[EVENTS_A_TURN];
#ifdef __linux__
    pthread_setname_np(pthread_self(), "fds-loop"); /* what top and perf show */
#endif
    pthread_mutex_lock(&loop->safe_point);
    while (!atomic_load(&loop->stop)) {
        int timeout = poll_timeout(loop);
        pthread_mutex_unlock(&loop->safe_point);
        while (atomic_load(&loop->hold)) /* a fork waits for us: do not win the lock back */
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        int count = fds_poller_wait(loop->poller, events, EVENTS_A_TURN, timeout);
        pthread_mutex_lock(&loop->safe_point);
        loop->now = fds_now();
        for (int i = 0; i < count; i++) {
            if (events[i].owner)
                fds_connection_ready(events[i].owner, events[i].ready);
            else
                fds_wake_clear(&loop->wake);
        }
        serve_again(loop);
        if (loop->hashing)
            fds_connection_hash(loop->hashing);
        atomic_store(&loop->awake, false); /* before the inbox is read: what comes later wakes us again */
        read_inbox(loop);
        if (atomic_exchange(&loop->look_for_signals, false))
            for (fds_hostpool *pool = loop->pools; pool; pool = pool->next)
                fds_hostpool_scan_signals(pool);
        if (loop->now >= loop->next_tick)
            tick(loop);
        for (fds_hostpool *pool = loop->pools; pool; pool = pool->next)
            fds_hostpool_dispatch(pool);
        report_finished(loop);
    }
    read_inbox(loop);
    while (loop->pools) {
        fds_hostpool *pool = loop->pools;
        loop->pools = pool->next;
        fds_hostpool_close(pool);
    }
    report_finished(loop);
    pthread_mutex_unlock(&loop->safe_point);
    return NULL;
}

int fds_loop_start(fds_loop *loop, fds_resolver *resolver, fds_loop *loops, int count) {
    loop->resolver = resolver;
    loop->siblings = loops;
    loop->sibling_count = count;
    loop->now = fds_now();
    loop->poller = fds_poller_new();
    if (!loop->poller)
        return -1;
    if (fds_wake_open(&loop->wake) < 0) {
        fds_poller_free(loop->poller);
        return -1;
    }
    pthread_mutex_init(&loop->safe_point, NULL);
    pthread_mutex_init(&loop->inbox_lock, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the interpreter's; a broken pipe is an error code */
    int error = fds_poller_add(loop->poller, loop->wake.read_fd, FDS_READABLE, NULL) < 0
                    ? errno
                    : pthread_create(&loop->thread, NULL, run, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return 0;
    fds_loop_abandon(loop);
    errno = error;
    return -1;
}

void fds_loop_stop(fds_loop *loop) {
    atomic_store(&loop->stop, true);
    fds_wake_signal(&loop->wake);
    pthread_join(loop->thread, NULL);
}

void fds_loop_clear(fds_loop *loop) {
    for (fds_resolution *next; loop->resolutions; loop->resolutions = next) {
        next = loop->resolutions->next;
        free(loop->resolutions);
    }
    for (fds_attempt *next; loop->inbox_first; loop->inbox_first = next) { /* passed on by one that stopped later */
        next = loop->inbox_first->next;
        fds_attempt_fail(loop->inbox_first, FDS_CANCELLED, FDS_WHY_CLOSED);
        fds_loop_finish(loop, loop->inbox_first);
    }
    report_finished(loop);
    fds_loop_abandon(loop);
    pthread_mutex_destroy(&loop->inbox_lock);
    pthread_mutex_destroy(&loop->safe_point);
}

void fds_loop_hold(fds_loop *loop) {
    atomic_store(&loop->hold, true);
    pthread_mutex_lock(&loop->safe_point);
}

void fds_loop_hold_inbox(fds_loop *loop) {
    pthread_mutex_lock(&loop->inbox_lock);
}

void fds_loop_release(fds_loop *loop) {
    pthread_mutex_unlock(&loop->inbox_lock);
    pthread_mutex_unlock(&loop->safe_point);
    atomic_store(&loop->hold, false);
}

void fds_loop_abandon(fds_loop *loop) {
    for (fds_hostpool *pool = loop->pools; pool; pool = pool->next)
        for (fds_connection *connection = pool->connections; connection; connection = connection->next)
            if (connection->fd >= 0)
                close(connection->fd); /* no TLS shutdown: the session is the parent's */
    fds_poller_free(loop->poller);
    fds_wake_close(&loop->wake);
}

static void wake(fds_loop *loop) {
    if (!atomic_exchange(&loop->awake, true))
        fds_wake_signal(&loop->wake);
}

void fds_loop_submit(fds_loop *loop, fds_attempt *first, fds_attempt *last) {
    pthread_mutex_lock(&loop->inbox_lock);
    if (loop->inbox_last)
        loop->inbox_last->next = first;
    else
        loop->inbox_first = first;
    loop->inbox_last = last;
    pthread_mutex_unlock(&loop->inbox_lock);
    wake(loop);
}

void fds_loop_notice(fds_loop *loop) {
    atomic_store(&loop->look_for_signals, true);
    wake(loop);
}

bool fds_loop_pass_on(fds_loop *loop, fds_attempt *first, fds_attempt *last) {
    /* In turn, from the next one on: what comes back goes on to yet another. */
    int self = (int)(loop - loop->siblings);
    for (int i = 1; i < loop->sibling_count; i++) {
        fds_loop *other = &loop->siblings[(self + i) % loop->sibling_count];
        if (!atomic_load(&other->sockets))
            continue;
        int count = 0;
        for (fds_attempt *attempt = first; attempt; attempt = attempt->next)
            count++;
        atomic_fetch_add(&other->in_flight, count);
        atomic_fetch_sub(&loop->in_flight, count);
        fds_loop_submit(other, first, last);
        fds_loop_notice(other); /* it may have looked for cancels before they came */
        return true;
    }
    return false;
}
