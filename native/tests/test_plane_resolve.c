/* Names and addresses. This program has a getaddrinfo of its own, for names that end in .test: "23.test" has the addresses
 * 127.0.0.2 and 127.0.0.3.
 */
#define _GNU_SOURCE
#include "plane_fixture.h"
#include "resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int questions;

static struct addrinfo *make_address(const char *text, const char *port, struct addrinfo *next) {
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(fds_address));
    fds_address *address = (fds_address *)(info + 1);
    if (!fds_resolve_literal(text, (uint16_t)atoi(port), address))
        abort();
    *info = (struct addrinfo){.ai_family = address->address.ss_family,
                              .ai_addr = (struct sockaddr *)&address->address,
                              .ai_addrlen = address->size,
                              .ai_next = next};
    return info;
}

int getaddrinfo(const char *name, const char *port, const struct addrinfo *hints, struct addrinfo **found) {
    (void)hints;
    atomic_fetch_add(&questions, 1);
    if (strcmp(name, "nowhere.test") == 0)
        return EAI_NONAME;
    if (strncmp(name, "slow", 4) == 0)
        sleep_ms(200);
    *found = NULL;
    for (const char *last = strchr(name, '.'); last-- > name && isdigit((unsigned char)*last);) {
        char text[] = "127.0.0.x";
        text[8] = *last;
        *found = make_address(text, port, *found);
    }
    if (!*found)
        *found = make_address("127.0.0.1", port, NULL);
    if (strcmp(name, "no-ipv6-11.test") == 0) /* 100::/64 leads nowhere (RFC 6666) */
        *found = make_address("100::1", port, make_address("100::2", port, *found));
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
    fixture f = fixture_open_at("1.test", scripted_port(server), 1, NULL);
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
    fixture f = fixture_open_at("21.test", scripted_port(server), 1, NULL);
    char peer[64];
    snprintf(peer, sizeof peer, "127.0.0.1:%u", scripted_port(server));
    f.endpoint->idle_timeout = 1;
    int tried = 0;
    for (int i = 0; i < 4; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_STR_EQ(attempt->peer, peer);
        tried += attempt->addresses_tried;
        free_attempt(attempt);
        sleep_ms(i ? 0 : 300); /* the next one connects anew */
    }
    CHECK(tried <= 1);
    fixture_close(&f);

    f = fixture_open_at("21.test", 1, 1, NULL); /* nobody listens at either */
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_CONNECT_FAILED);
    CHECK_EQ(attempt->addresses_tried, 2);
    CHECK(strstr(attempt->why, "cannot connect to 127.0.0.") != NULL && strstr(attempt->why, ":1: Connection refused"));
    free_attempt(attempt);
    int before = atomic_load(&questions);
    attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_CONNECT_FAILED);
    for (int i = 0; i < 1000 && atomic_load(&questions) == before; i++)
        sleep_ms(1);
    CHECK_EQ(atomic_load(&questions) - before, 1); /* maybe it has moved */
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static int listen_at(const char *address, uint16_t *port, int backlog) {
    fds_address at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_EQ(fds_resolve_literal(address, *port, &at), 1);
    CHECK(bind(fd, (struct sockaddr *)&at.address, at.size) == 0 && listen(fd, backlog) == 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&at.address, &at.size), 0);
    *port = ntohs(((struct sockaddr_in *)&at.address)->sin_port);
    return fd;
}

static void connections_spread_over_all_addresses(void) {
    enum { ADDRESSES = 4, COUNT = 8 };
    static const char *const addresses[ADDRESSES] = {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"};
    uint16_t port = 0;
    int listeners[ADDRESSES];
    for (int i = 0; i < ADDRESSES; i++)
        listeners[i] = listen_at(addresses[i], &port, COUNT);
    fixture f = fixture_open_at("2345.test", port, 1, NULL);
    f.endpoint->connections = COUNT;
    fds_attempt *attempts[COUNT];
    for (int i = 0; i < COUNT; i++)
        attempts[i] = new_get(&f, "/key");
    fds_plane_submit(f.plane, attempts, COUNT);
    sleep_ms(200);
    for (int i = 0; i < COUNT; i++) {
        cancel(&f, attempts[i]);
        expect_report(&f, attempts[i], FDS_REPORT_FINISHED);
        free_attempt(attempts[i]);
    }
    for (int i = 0; i < ADDRESSES; i++) {
        int accepted = 0;
        for (int fd; (fd = accept(listeners[i], NULL, NULL)) >= 0; accepted++)
            close(fd);
        CHECK_EQ(accepted, COUNT / ADDRESSES);
        close(listeners[i]);
    }
    fixture_close(&f);
}

/* An address that takes no more connections: they wait for an answer until unblock(). */
enum { FILLERS = 4 };

typedef struct {
    int listener;
    int fillers[FILLERS];
} blocked;

static blocked block(const char *address, uint16_t *port) {
    blocked b = {.listener = listen_at(address, port, 0)};
    fds_address at;
    fds_resolve_literal(address, *port, &at);
    for (int i = 0; i < FILLERS; i++) {
        b.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(b.fillers[i], (struct sockaddr *)&at.address, at.size);
    }
    return b;
}

static void unblock(blocked *b) {
    for (int i = 0; i < FILLERS; i++)
        close(b->fillers[i]);
    close(b->listener);
}

static void a_slow_address_is_not_waited_for(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    uint16_t port = scripted_port(server);
    blocked slow = block("127.0.0.2", &port);
    fixture f = fixture_open_at("21.test", port, 1, NULL);
    f.endpoint->connect_timeout = 60 * FDS_SECOND;
    f.endpoint->idle_timeout = 1;
    int tried = 0;
    for (int i = 0; i < 4; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        tried += attempt->addresses_tried;
        free_attempt(attempt);
        sleep_ms(300); /* the next one connects anew */
    }
    CHECK_EQ(tried, 1); /* whichever came first: from then on the slow one is passed over */
    fixture_close(&f);
    unblock(&slow);
    scripted_stop(server);
}

/* Plays the server at the first of the addresses that gets a connection with a request on it. */
static void *answer_whoever_asks(void *argument) {
    const blocked *addresses = argument;
    int fds[16], count = 0;
    for (int64_t deadline = fds_now() + 10 * FDS_SECOND; fds_now() < deadline; sleep_ms(10)) {
        for (int i = 0; i < 2; i++) {
            int fd = count < 16 ? accept4(addresses[i].listener, NULL, NULL, SOCK_NONBLOCK) : -1;
            if (fd >= 0)
                fds[count++] = fd;
        }
        char request[4096];
        for (int i = 0; i < count; i++)
            if (recv(fds[i], request, sizeof request, 0) > 0) {
                CHECK_EQ(send(fds[i], OK_HEAD(2) "ok", sizeof OK_HEAD(2) "ok" - 1, MSG_NOSIGNAL), sizeof OK_HEAD(2) "ok" - 1);
                deadline = 0;
            }
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
    return NULL;
}

/* Slow the one, slow the other: the first to answer at last gets the request. */
static void a_slow_address_may_still_win(void) {
    uint16_t port = 0;
    blocked addresses[] = {block("127.0.0.2", &port), block("127.0.0.3", &port)};
    fixture f = fixture_open_at("23.test", port, 1, NULL);
    f.endpoint->connect_timeout = 60 * FDS_SECOND;
    fds_attempt *attempt = new_get(&f, "/key");
    submit(&f, attempt);
    sleep_ms(700); /* it has gone on to the second address */
    pthread_t thread;
    pthread_create(&thread, NULL, answer_whoever_asks, addresses);
    expect_report(&f, attempt, FDS_REPORT_FINISHED);
    CHECK_EQ(attempt->outcome, FDS_DONE);
    CHECK_EQ(attempt->addresses_tried, 1);
    free_attempt(attempt);
    pthread_join(thread, NULL);
    fixture_close(&f);
    for (int i = 0; i < 2; i++)
        unblock(&addresses[i]);
}
#endif

static void broken_ipv6_costs_one_try_at_most(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    for (int i = 0; i < 10; i++) { /* which address is the first is left to chance */
        fixture f = fixture_open_at("no-ipv6-11.test", scripted_port(server), 1, NULL);
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK(attempt->addresses_tried <= 1);
        free_attempt(attempt);
        fixture_close(&f);
    }
    scripted_stop(server);
}

static void a_slow_name_does_not_hold_up_the_others(void) {
    enum { SLOW = FDS_RESOLVER_THREADS - 1 };
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open_at("1.test", scripted_port(server), 1, NULL);
    fds_endpoint *slow[SLOW];
    fds_attempt *attempts[SLOW + 1];
    for (int i = 0; i < SLOW; i++) {
        slow[i] = fds_endpoint_new("slow.test", "bucket.test", scripted_port(server), NULL);
        attempts[i] = new_get(&f, "/slow");
        attempts[i]->endpoint = slow[i];
    }
    attempts[SLOW] = new_get(&f, "/fast");
    fds_plane_submit(f.plane, attempts, SLOW + 1);
    expect_report(&f, attempts[SLOW], FDS_REPORT_FINISHED);
    for (int i = 0; i < SLOW; i++) {
        fds_report_kind kind = FDS_REPORT_FINISHED;
        take(&f, &kind);
    }
    for (int i = 0; i <= SLOW; i++) {
        CHECK_EQ(attempts[i]->outcome, FDS_DONE);
        free_attempt(attempts[i]);
    }
    fixture_close(&f);
    for (int i = 0; i < SLOW; i++)
        fds_endpoint_release(slow[i]);
    scripted_stop(server);
}

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
        fixture f = fixture_open_at("1.test", 1, 2, NULL);
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
    RUN(connections_spread_over_all_addresses);
    RUN(a_slow_address_is_not_waited_for);
    RUN(a_slow_address_may_still_win);
#endif
    RUN(broken_ipv6_costs_one_try_at_most);
    RUN(a_slow_name_does_not_hold_up_the_others);
    RUN(a_request_ends_while_its_name_is_looked_up);
    RUN(closing_never_races_with_a_question);
    RUN(holding_for_a_fork_never_deadlocks_with_the_resolver);
    return check_report();
}
