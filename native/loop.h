/* An event loop: one thread, its own poller, its own connections. Nothing is shared but the inbox.
 *
 * A request lives on one loop from submission to report. The loop never calls Python and never blocks but in its
 * poller. It holds `safe_point` while it works and lets go while it polls: whoever holds all loops' locks (a fork in
 * the making) sees every structure whole.
 */
#ifndef FDS_LOOP_H
#define FDS_LOOP_H

#include "attempt.h"
#include "poller.h"
#include "resolver.h"

#include <pthread.h>

typedef struct fds_hostpool fds_hostpool;
struct fds_connection;

#define FDS_WHY_CLOSED "the engine was closed"

typedef struct fds_loop fds_loop;
struct fds_loop {
    pthread_t thread;
    pthread_mutex_t safe_point;
    fds_poller *poller;
    fds_resolver *resolver;
    fds_hostpool *pools;
    fds_attempt *finished;      /* reported at the end of the turn, so that a waiter is woken once for many */
    fds_attempt *finished_last;
    struct fds_connection *again; /* have bytes that the poller does not show */
    struct fds_connection *hashing; /* one after the other, a slice a turn: so the first is soon on its way */
    int64_t now;                /* time at the start of the turn */
    int64_t next_tick;

    fds_wake wake;
    atomic_bool awake;          /* a wake-up is on its way */
    atomic_bool stop;
    atomic_bool hold;           /* somebody waits for the safe point */
    atomic_bool look_for_signals; /* some attempt has its cancel or proceed flag set */
    atomic_int in_flight;
    atomic_int sockets;           /* open ones */
    _Atomic int64_t avoid_until;  /* it had no descriptor for a connection; another loop may have one already */

    pthread_mutex_t inbox_lock;
    fds_attempt *inbox_first, *inbox_last;
    fds_resolution *resolutions;

    fds_loop *siblings; /* all loops of the plane, itself among them */
    int sibling_count;
};

/* 0, or -1 with errno. `loops`: of the plane, `count` of them, of which it is one. */
int fds_loop_start(fds_loop *loop, fds_resolver *resolver, fds_loop *loops, int count);
void fds_loop_stop(fds_loop *loop);                         /* cancels and reports what is in flight, joins */
void fds_loop_clear(fds_loop *loop);                        /* then, when all are stopped: frees what is in it */
void fds_loop_hold(fds_loop *loop);                         /* before a fork: waits for the safe point, keeps it */
void fds_loop_hold_inbox(fds_loop *loop);                   /* then, when all loops are held */
void fds_loop_release(fds_loop *loop);                      /* after it, in the parent */
void fds_loop_abandon(fds_loop *loop);                      /* after it, in the child: only closes descriptors */

/* Any thread. The attempts are linked by `next`. */
void fds_loop_submit(fds_loop *loop, fds_attempt *first, fds_attempt *last);
void fds_loop_notice(fds_loop *loop); /* after setting an attempt's cancel or proceed */

/* For the loop's own thread. */
void fds_loop_finish(fds_loop *loop, fds_attempt *attempt);
/* Gives attempts that it has, linked by `next`, to another loop that has sockets. False: there is none. */
bool fds_loop_pass_on(fds_loop *loop, fds_attempt *first, fds_attempt *last);

#endif
