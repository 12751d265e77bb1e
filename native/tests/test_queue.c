/* A completion queue: order, kinds, and its wake descriptor. */
#define _GNU_SOURCE
#include "attempt.h"
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool readable(const fds_queue *queue) {
    struct pollfd fd = {.fd = queue->wake.read_fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void reports_come_out_in_order_and_the_descriptor_says_so(void) {
    fds_queue *queue = fds_queue_new();
    fds_attempt a[3] = {0};
    fds_report_kind kind;
    CHECK(!readable(queue));
    CHECK(fds_queue_take(queue, &kind) == NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            fds_queue_report(queue, &a[i], i == 1 ? FDS_REPORT_PAUSED : FDS_REPORT_FINISHED);
        for (int i = 0; i < 3; i++) {
            CHECK(readable(queue));
            CHECK(fds_queue_take(queue, &kind) == &a[i]);
            CHECK_EQ(kind, i == 1 ? FDS_REPORT_PAUSED : FDS_REPORT_FINISHED);
        }
        CHECK(!readable(queue));
        CHECK(fds_queue_take(queue, &kind) == NULL);
    }
    fds_queue_release(queue);
}

static void an_end_takes_the_place_of_a_pause_that_nobody_took(void) {
    fds_queue *queue = fds_queue_new();
    fds_attempt a = {0}, b = {0};
    fds_report_kind kind;
    fds_queue_report(queue, &a, FDS_REPORT_PAUSED);
    fds_queue_report(queue, &b, FDS_REPORT_FINISHED);
    fds_queue_report(queue, &a, FDS_REPORT_FINISHED);
    CHECK(fds_queue_take(queue, &kind) == &a);
    CHECK_EQ(kind, FDS_REPORT_FINISHED);
    CHECK(fds_queue_take(queue, &kind) == &b);
    CHECK(fds_queue_take(queue, &kind) == NULL);
    CHECK(!readable(queue));
    fds_queue_release(queue);
}

enum { REPORTERS = 3, REPORTS = 3000 };

static void *report_many(void *argument) {
    fds_queue *queue = argument;
    for (int i = 0; i < REPORTS; i++) {
        fds_attempt *attempt = calloc(1, sizeof *attempt);
        fds_queue_report(queue, attempt, FDS_REPORT_FINISHED);
        if (i % 16 == 0)
            sched_yield();
    }
    fds_queue_release(queue);
    return NULL;
}

static void no_wake_up_is_lost_between_threads(void) {
    fds_queue *queue = fds_queue_new();
    pthread_t threads[REPORTERS];
    for (int i = 0; i < REPORTERS; i++)
        pthread_create(&threads[i], NULL, report_many, fds_queue_retain(queue));
    for (int taken = 0; taken < REPORTERS * REPORTS;) {
        struct pollfd fd = {.fd = queue->wake.read_fd, .events = POLLIN};
        if (!CHECK_EQ(poll(&fd, 1, 10000), 1))
            break;
        fds_report_kind kind;
        for (fds_attempt *attempt; (attempt = fds_queue_take(queue, &kind)); taken++)
            free(attempt);
    }
    for (int i = 0; i < REPORTERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&queue->references), 1);
    fds_queue_release(queue);
}

/* The descriptor is shared with the child, the list is not. */
static void a_forks_child_does_not_take_its_parents_wake_up_away(void) {
    fds_queue *queue = fds_queue_new();
    fds_attempt attempt = {0};
    fds_report_kind kind;
    fds_queue_report(queue, &attempt, FDS_REPORT_FINISHED);
    pid_t child = fork();
    if (child == 0) {
        bool good = fds_queue_take(queue, &kind) == &attempt && fds_queue_take(queue, &kind) == NULL;
        fds_queue_release(queue);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    CHECK(readable(queue));
    CHECK(fds_queue_take(queue, &kind) == &attempt);
    CHECK(!readable(queue));
    fds_queue_release(queue);
}

int main(void) {
    RUN(reports_come_out_in_order_and_the_descriptor_says_so);
    RUN(an_end_takes_the_place_of_a_pause_that_nobody_took);
    RUN(no_wake_up_is_lost_between_threads);
    RUN(a_forks_child_does_not_take_its_parents_wake_up_away);
    return check_report();
}
