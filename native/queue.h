/* A waiter's completion queue: event loops report into it, one thread (or asyncio loop) takes out.
 *
 * Each waiter has its own, so none is woken for another's news. The wake descriptor is readable while the queue holds
 * something. References are counted: every attempt in flight holds one.
 */
#ifndef FDS_QUEUE_H
#define FDS_QUEUE_H

#include "wake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct fds_attempt;

typedef enum {
    FDS_REPORT_FINISHED,
    FDS_REPORT_PAUSED, /* the head is there; the body waits for the attempt's `proceed` */
} fds_report_kind;

typedef struct {
    atomic_int references;
    pid_t owner; /* a fork's child shares the wake descriptor: it must not take its parent's wake-up away */
    pthread_mutex_t lock;
    fds_wake wake;
    struct fds_attempt *first, *last;
    _Atomic uint64_t moved; /* body bytes of all its attempts, ever; may be read at any time */
} fds_queue;

fds_queue *fds_queue_new(void); /* NULL with errno */
fds_queue *fds_queue_retain(fds_queue *queue);
void fds_queue_release(fds_queue *queue);

/* By a loop. An attempt whose PAUSED has not been taken yet turns into FINISHED in its place. */
void fds_queue_report(fds_queue *queue, struct fds_attempt *attempt, fds_report_kind kind);

/* By the waiter: the oldest report and its kind, or NULL. Never blocks. */
struct fds_attempt *fds_queue_take(fds_queue *queue, fds_report_kind *kind);

#endif
