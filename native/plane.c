#define _GNU_SOURCE
#include "plane.h"

#include "clock.h"
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

struct fds_plane {
    fds_resolver *resolver;
    int loop_count;
    fds_loop loops[];
};

static void stop(fds_plane *plane, int count) {
    for (int i = 0; i < count; i++)
        fds_loop_stop(&plane->loops[i]);
    /* In between: the loops' threads ask it, and it writes into the loops' inboxes. */
    fds_resolver_free(plane->resolver);
    for (int i = 0; i < count; i++)
        fds_loop_clear(&plane->loops[i]);
    free(plane);
}

fds_plane *fds_plane_new(int loops) {
    fds_plane *plane = calloc(1, sizeof *plane + (size_t)loops * sizeof *plane->loops);
    if (!plane)
        return NULL;
    plane->loop_count = loops;
    plane->resolver = fds_resolver_new();
    if (!plane->resolver) {
        free(plane);
        return NULL;
    }
    for (int i = 0; i < loops; i++)
        if (fds_loop_start(&plane->loops[i], plane->resolver, plane->loops, loops) < 0) {
            int error = errno;
            stop(plane, i);
            errno = error;
            return NULL;
        }
    return plane;
}

void fds_plane_free(fds_plane *plane) {
    stop(plane, plane->loop_count);
}

static fds_loop *least_busy(fds_plane *plane, int64_t now) {
    fds_loop *best = &plane->loops[0];
    for (int i = 1; i < plane->loop_count; i++) {
        fds_loop *loop = &plane->loops[i];
        bool avoid = atomic_load(&loop->avoid_until) > now, avoid_best = atomic_load(&best->avoid_until) > now;
        if (avoid != avoid_best ? avoid_best : atomic_load(&loop->in_flight) < atomic_load(&best->in_flight))
            best = loop;
    }
    return best;
}

void fds_plane_submit(fds_plane *plane, fds_attempt **attempts, size_t count) {
    fds_attempt *first[64] = {0}, *last[64] = {0};
    int64_t now = fds_now();
    for (size_t i = 0; i < count; i++) {
        fds_attempt *attempt = attempts[i];
        attempt->submitted = now;
        attempt->next = NULL;
        fds_queue_retain(attempt->queue);
        fds_loop *loop = least_busy(plane, now);
        atomic_fetch_add(&loop->in_flight, 1);
        size_t at = (size_t)(loop - plane->loops);
        if (last[at])
            last[at]->next = attempt;
        else
            first[at] = attempt;
        last[at] = attempt;
    }
    for (int i = 0; i < plane->loop_count; i++)
        if (first[i])
            fds_loop_submit(&plane->loops[i], first[i], last[i]);
}

void fds_plane_notice(fds_plane *plane) {
    for (int i = 0; i < plane->loop_count; i++)
        fds_loop_notice(&plane->loops[i]);
}

int fds_plane_loops(const fds_plane *plane) {
    return plane->loop_count;
}

int fds_plane_in_flight(const fds_plane *plane) {
    int sum = 0;
    for (int i = 0; i < plane->loop_count; i++)
        sum += atomic_load(&plane->loops[i].in_flight);
    return sum;
}

void fds_plane_before_fork(fds_plane *plane) {
    for (int i = 0; i < plane->loop_count; i++)
        fds_loop_hold(&plane->loops[i]);
    /* Only when no loop works any more: one that asks the resolver waits for it while it waits for an inbox. */
    for (int i = 0; i < plane->loop_count; i++)
        fds_loop_hold_inbox(&plane->loops[i]);
}

void fds_plane_after_fork_in_parent(fds_plane *plane) {
    for (int i = 0; i < plane->loop_count; i++)
        fds_loop_release(&plane->loops[i]);
}

void fds_plane_after_fork_in_child(fds_plane *plane) {
    for (int i = 0; i < plane->loop_count; i++)
        fds_loop_abandon(&plane->loops[i]);
}
