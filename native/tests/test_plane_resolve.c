/* Names and addresses. This program has a getaddrinfo of its own: the addresses are 127.0.0.x, the names end in .test.
 */
#define _GNU_SOURCE
#include "plane_fixture.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

static atomic_int questions;

static struct addrinfo *make_address(const char *text, const char *port, struct addrinfo *next) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *address = (struct sockaddr_in *)(info + 1);
    address->sin_family = AF_INET;
    inet_pton(AF_INET, text, &address->sin_addr);
    address->sin_port = htons((uint16_t)atoi(port));
    *info = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)address, .ai_addrlen = sizeof *address, .ai_next = next};
    return info;
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    (void)hints;
    atomic_fetch_add(&questions, 1);
    if (strcmp(name, "nowhere.test") == 0)
        return EAI_NONAME;
    if (strcmp(name, "slow.test") == 0)
        sleep_ms(200);
    *found = make_address("127.0.0.1", port, NULL);
    if (strcmp(name, "two.test") == 0) /* nobody listens at the first */
        *found = make_address("127.0.0.2", port, *found);
    return 0;
}

void freeaddrinfo(struct addrinfo *info) {
    for (struct addrinfo *next; info; info = next) {
        next = info->ai_next;
        free(info);
    }
}

static const scripted_step ANSWER_ALL[] = {READ_HEAD, SEND(OK_HEAD(2) "ok"), AGAIN};

static void a_name_without_address_fails_everyone_who_waits(void) {
    fixture f = fixture_open_at("nowhere.test", 80, 1, NULL);
    fds_attempt *attempts[] = {new_get(&f, "/a"), new_get(&f, "/b")};
    fds_plane_submit(f.plane, attempts, 2);
    for (int i = 0; i < 2; i++) {
        expect_report(&f, attempts[i], FDS_REPORT_FINISHED);
        CHECK_EQ(attempts[i]->outcome, FDS_RESOLVE_FAILED);
        CHECK(strstr(attempts[i]->why, "cannot resolve nowhere.test: ") != NULL);
        free_attempt(attempts[i]);
    }
    fixture_close(&f);
}

static void a_name_is_asked_for_once(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open_at("one.test", scripted_port(server), 1, NULL);
    f.endpoint->idle_timeout = 50 * FDS_MS;
    int before = atomic_load(&questions);
    for (int i = 0; i < 3; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        free_attempt(attempt);
        sleep_ms(i ? 0 : 500); /* the pool has no connection then, but keeps the addresses */
    }
    CHECK_EQ(atomic_load(&questions) - before, 1);
    fixture_close(&f);
    scripted_stop(server);
}

#ifdef __linux__ /* all of 127/8 is there */
static void an_address_that_refuses_is_passed_over(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open_at("two.test", scripted_port(server), 1, NULL);
    char peer[64];
    snprintf(peer, sizeof peer, "127.0.0.1:%u", scripted_port(server));
    for (int i = 0; i < 4; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_STR_EQ(attempt->peer, peer);
        CHECK_EQ(attempt->addresses_tried, i == 0);
        free_attempt(attempt);
    }
    fixture_close(&f);

    f = fixture_open_at("two.test", 1, 1, NULL); /* nobody listens at either */
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_CONNECT_FAILED);
    CHECK_EQ(attempt->addresses_tried, 2);
    CHECK_STR_EQ(attempt->why, "cannot connect to 127.0.0.1:1: Connection refused");
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}
#endif

static void a_request_ends_while_its_name_is_looked_up(void) {
    for (int close = 0; close < 2; close++) {
        fixture f = fixture_open_at("slow.test", 1, 2, NULL);
        fds_attempt *attempt = new_get(&f, "/key");
        submit(&f, attempt);
        sleep_ms(30);
        if (close) {
            fds_plane_free(f.plane);
            f.plane = fds_plane_new(1);
        } else {
            cancel(&f, attempt);
        }
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_CANCELLED);
        free_attempt(attempt);
        fixture_close(&f);
    }
    sleep_ms(300); /* the resolver's thread leaves by itself */
}

/* A request whose name is not known yet, and a plane that is closed in the same moment. */
static void closing_never_races_with_a_question(void) {
    for (int i = 0; i < 200; i++) {
        fixture f = fixture_open_at("one.test", 1, 2, NULL);
        fds_attempt *attempts[2] = {new_get(&f, "/a"), new_get(&f, "/b")};
        fds_plane_submit(f.plane, attempts, 2);
        fds_plane_free(f.plane);
        for (int k = 0; k < 2; k++) {
            fds_report_kind kind = FDS_REPORT_FINISHED;
            fds_attempt *attempt = take(&f, &kind);
            if (attempt)
                CHECK(attempt->outcome == FDS_CANCELLED || attempt->outcome == FDS_CONNECT_FAILED);
        }
        free_attempt(attempts[0]);
        free_attempt(attempts[1]);
        fds_endpoint_release(f.endpoint);
        fds_queue_release(f.queue);
    }
}

static void holding_for_a_fork_never_deadlocks_with_the_resolver(void) {
    enum { ROUNDS = 300, LOOPS = 4 };
    fixture f = fixture_open_at("nowhere.test", 1, LOOPS, NULL); /* asked for again by every request */
    for (int i = 0; i < ROUNDS; i++) {
        fds_attempt *attempts[LOOPS];
        for (int k = 0; k < LOOPS; k++)
            attempts[k] = new_get(&f, "/key");
        fds_plane_submit(f.plane, attempts, LOOPS);
        for (int k = 0; k < 3; k++) {
            fds_plane_before_fork(f.plane);
            fds_plane_after_fork_in_parent(f.plane);
        }
        for (int k = 0; k < LOOPS; k++) {
            fds_report_kind kind = FDS_REPORT_FINISHED;
            fds_attempt *attempt = take(&f, &kind);
            if (attempt)
                free_attempt(attempt);
        }
    }
    fixture_close(&f);
}

int main(void) {
    RUN(a_name_without_address_fails_everyone_who_waits);
    RUN(a_name_is_asked_for_once);
#ifdef __linux__
    RUN(an_address_that_refuses_is_passed_over);
#endif
    RUN(a_request_ends_while_its_name_is_looked_up);
    RUN(closing_never_races_with_a_question);
    RUN(holding_for_a_fork_never_deadlocks_with_the_resolver);
    return check_report();
}
