#include "queue.h"

#include "attempt.h"

#include <stdlib.h>
#include <unistd.h>

fds_queue *fds_queue_new(void) {
    fds_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    if (fds_wake_open(&queue->wake) < 0) {
        free(queue);
        return NULL;
    }
    atomic_init(&queue->references, 1);
    queue->owner = getpid();
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

fds_queue *fds_queue_retain(fds_queue *queue) {
    atomic_fetch_add(&queue->references, 1);
    return queue;
}

void fds_queue_release(fds_queue *queue) {
    if (!queue || atomic_fetch_sub(&queue->references, 1) != 1)
        return;
    fds_wake_close(&queue->wake);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

void fds_queue_report(fds_queue *queue, fds_attempt *attempt, fds_report_kind kind) {
    pthread_mutex_lock(&queue->lock);
    attempt->kind = kind;
    if (!attempt->reported) {
        attempt->reported = true;
        attempt->next = NULL;
        if (queue->last)
            queue->last->next = attempt;
        else
            queue->first = attempt;
        queue->last = attempt;
        if (queue->first == attempt)
            fds_wake_signal(&queue->wake);
    }
    pthread_mutex_unlock(&queue->lock);
}

fds_attempt *fds_queue_take(fds_queue *queue, fds_report_kind *kind) {
    pthread_mutex_lock(&queue->lock);
    fds_attempt *attempt = queue->first;
    if (attempt) {
        queue->first = attempt->next;
        if (!queue->first) {
            queue->last = NULL;
            if (queue->owner == getpid())
                fds_wake_clear(&queue->wake);
        }
        attempt->next = NULL;
        attempt->reported = false;
        *kind = attempt->kind;
    }
    pthread_mutex_unlock(&queue->lock);
    return attempt;
}
