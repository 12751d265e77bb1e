/* Many loops, many queues, two endpoints, thousands of requests up and down, cancels at any moment, somebody who watches
 * the progress, and forks in the middle: above all for ThreadSanitizer. */
#define _GNU_SOURCE
#include "plane_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAITERS = 6, BATCHES = 30, BATCH = 25, SIZE = 20000, UPLOAD = 300000 };

static char *body;
static fds_span upload; /* large enough to be hashed in slices */

typedef struct {
    fixture f; /* with a queue of its own */
    fds_endpoint *other; /* half of its requests go there */
    fds_credentials *credentials;
    unsigned seed;
    int done, cancelled;
} waiter;

static void check_finished(waiter *w, fds_attempt *attempt) {
    if (attempt->outcome == FDS_CANCELLED) {
        w->cancelled++;
    } else if (CHECK_EQ(attempt->outcome, FDS_DONE)) {
        w->done++;
        if (attempt->target_count) {
            CHECK(memcmp(attempt->target->data, body, SIZE) == 0);
            CHECK_EQ(attempt->crc, crc32c(body, SIZE));
        } else {
            CHECK(attempt->content.size == SIZE && memcmp(attempt->content.data, body, SIZE) == 0);
        }
    }
    if (attempt->target_count) {
        free(attempt->target->data);
        free((void *)attempt->target);
    }
    free_attempt(attempt);
}

static void give_target(fds_attempt *attempt) {
    fds_span *target = malloc(sizeof *target);
    *target = (fds_span){malloc(SIZE), SIZE};
    set_target(attempt, target, 1, FDS_CRC32C);
}

static void *wait_for_batches(void *argument) {
    waiter *w = argument;
    for (int batch = 0; batch < BATCHES; batch++) {
        fds_attempt *attempts[BATCH];
        for (int i = 0; i < BATCH; i++) {
            attempts[i] = i % 4 == 3 ? new_put(&w->f, "/key", &upload, 1, FDS_CRC64NVME) : new_get(&w->f, "/key");
            attempts[i]->credentials = w->credentials;
            attempts[i]->payload = FDS_PAYLOAD_SIGNED;
            if (i % 2)
                attempts[i]->endpoint = w->other;
            if (i % 4 == 0)
                attempts[i]->pause_above = 1;
            else if (i % 4 == 1)
                give_target(attempts[i]);
        }
        fds_plane_submit(w->f.plane, attempts, BATCH);
        for (int i = rand_r(&w->seed) % 3; i; i--)
            cancel(&w->f, attempts[rand_r(&w->seed) % BATCH]);
        for (int i = 0; i < BATCH; i++)
            fds_attempt_moved(attempts[i]);
        for (int left = BATCH; left;) {
            fds_report_kind kind = FDS_REPORT_FINISHED;
            fds_attempt *attempt = take(&w->f, &kind);
            if (!attempt)
                return NULL;
            if (kind == FDS_REPORT_FINISHED) {
                check_finished(w, attempt);
                left--;
                continue;
            }
            if (rand_r(&w->seed) % 8 == 0) {
                cancel(&w->f, attempt);
                continue;
            }
            give_target(attempt);
            atomic_store(&attempt->proceed, true);
            fds_plane_notice(w->f.plane);
        }
    }
    return NULL;
}

typedef struct {
    fixture f; /* no queue */
    fds_queue **queues;
    atomic_bool over;
} onlooker;

/* Parks the loops, as a fork does, again and again; and asks how far everything is. */
static void *hold_and_look(void *argument) {
    onlooker *o = argument;
    while (!atomic_load(&o->over)) {
        fds_plane_before_fork(o->f.plane);
        fds_plane_after_fork_in_parent(o->f.plane);
        uint64_t moved = 0;
        for (int i = 0; i < WAITERS; i++)
            moved += atomic_load_explicit(&o->queues[i]->moved, memory_order_relaxed);
        CHECK(moved <= (uint64_t)WAITERS * BATCHES * BATCH * (SIZE + UPLOAD));
        CHECK(fds_plane_in_flight(o->f.plane) <= WAITERS * BATCH);
        sleep_ms(1);
    }
    return NULL;
}

static void waiters_get_their_own_reports_and_all_of_them(void) {
    const scripted_step script[] = {READ_REQUEST, SEND(OK_HEAD(20000)), SEND_DATA(body, SIZE), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open_at("127.0.0.1", scripted_port(server), 3, NULL);
    fds_endpoint *other = fds_endpoint_new("localhost", "other.test", scripted_port(server), NULL);
    fds_credentials *credentials = fds_credentials_new("AKID", "secret", NULL, "us-east-1", "s3");
    f.endpoint->connections = other->connections = 5;
    upload = (fds_span){pattern(UPLOAD, 3), UPLOAD};
    waiter waiters[WAITERS];
    fds_queue *queues[WAITERS];
    pthread_t threads[WAITERS], looking;
    for (int i = 0; i < WAITERS; i++)
        queues[i] = fds_queue_new();
    onlooker watcher = {.f = f, .queues = queues};
    pthread_create(&looking, NULL, hold_and_look, &watcher);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.f = f, .other = other, .credentials = credentials, .seed = (unsigned)i};
        waiters[i].f.queue = queues[i];
        pthread_create(&threads[i], NULL, wait_for_batches, &waiters[i]);
    }
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(waiters[i].done + waiters[i].cancelled, BATCHES * BATCH);
        CHECK(waiters[i].done > BATCHES * BATCH / 2);
    }
    atomic_store(&watcher.over, true);
    pthread_join(looking, NULL);
    fixture_close(&f);
    CHECK_EQ(atomic_load(&other->references), 1);
    fds_endpoint_release(other);
    fds_credentials_release(credentials);
    free(upload.data);
    for (int i = 0; i < WAITERS; i++) { /* only now have the loops let go of them */
        CHECK_EQ(atomic_load(&waiters[i].f.queue->references), 1);
        fds_queue_release(waiters[i].f.queue);
    }
    scripted_stop(server);
}

/* ---- forks ---- */

static int connections_to(uint16_t port) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == port)
            count++;
    }
    return count;
}

/* What the child finds: 0 when it is as it should be. */
static int look_in_child(const fixture *f, uint16_t port, int before) {
    if (connections_to(port) != before)
        return 1;
    fds_plane_after_fork_in_child(f->plane);
    return connections_to(port) == 0 ? 0 : 2;
}

static void transfers_go_on_in_the_parent_of_a_fork(void) {
    enum { COUNT = 40 };
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(20000)), SEND_SLICED(body, SIZE, 4096), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open_at("127.0.0.1", scripted_port(server), 3, NULL);
    f.endpoint->connections = 2;
    waiter w = {.f = f};
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++) {
            fds_attempt *attempt = new_get(&f, "/key");
            if (i % 2)
                give_target(attempt);
            submit(&f, attempt);
        }
        fds_plane_before_fork(f.plane);
        int connections = connections_to(scripted_port(server));
        pid_t child = fork();
        if (child == 0)
            _exit(look_in_child(&f, scripted_port(server), connections));
        fds_plane_after_fork_in_parent(f.plane);
        int status = -1;
        waitpid(child, &status, 0);
        CHECK_EQ(status, 0);
        for (int i = 0; i < COUNT; i++) {
            fds_report_kind kind = FDS_REPORT_FINISHED;
            fds_attempt *attempt = take(&f, &kind);
            if (attempt)
                check_finished(&w, attempt);
        }
    }
    CHECK_EQ(w.done, 10 * COUNT);
    CHECK_EQ(scripted_look(server).accepted, 6);
    fixture_close(&f);
    scripted_stop(server);
}

int main(void) {
    body = pattern(SIZE, 7);
    RUN(waiters_get_their_own_reports_and_all_of_them);
    RUN(transfers_go_on_in_the_parent_of_a_fork);
    free(body);
    return check_report();
}
