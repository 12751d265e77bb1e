/* A cancel is answered in every state, and closing the plane reports all that is in flight. */
#include "plane_fixture.h"

#include <stdlib.h>

enum { SIZE = 64000000 };

typedef enum { BY_CANCEL, BY_CLOSE } ending;

/* Ends `attempt` in either way, and checks that it comes back CANCELLED. Closing frees the plane. */
static void check_end(fixture *f, fds_attempt *attempt, ending how) {
    if (how == BY_CANCEL) {
        cancel(f, attempt);
    } else {
        fds_plane_free(f->plane);
        f->plane = fds_plane_new(1); /* for fixture_close */
    }
    expect_report(f, attempt, FDS_REPORT_FINISHED);
    CHECK_EQ(attempt->outcome, FDS_CANCELLED);
    CHECK_STR_EQ(attempt->why, how == BY_CANCEL ? "cancelled" : "the engine was closed");
}

/* A GET (or, with a body, PUT) whose server plays `script`; it is ended `after` ms behind its arrival there. */
static void check_in_state(const scripted_step *script, const fds_span *body, int after) {
    for (ending how = BY_CANCEL; how <= BY_CLOSE; how++) {
        scripted *server = scripted_play(script);
        fixture f = fixture_open(scripted_port(server));
        char *memory = malloc(100);
        fds_span target = {memory, 100};
        fds_attempt *attempt = body ? new_put(&f, "/key", body, 1, FDS_NO_CRC) : new_get(&f, "/key");
        set_target(attempt, &target, 1, FDS_CRC32C);
        submit(&f, attempt);
        CHECK(scripted_wait_requests(server, 1));
        sleep_ms(after);
        check_end(&f, attempt, how);
        free_attempt(attempt);
        free(memory); /* at once: nothing may write there any more */
        if (!body)
            CHECK(scripted_wait_peers_gone(server, 1));
        fixture_close(&f);
        scripted_stop(server);
    }
}

static void a_request_ends_while_it_waits_for_the_head(void) {
    check_in_state((const scripted_step[]){READ_HEAD, WAIT_CLOSE, END}, NULL, 0);
}

static void a_request_ends_within_the_head(void) {
    check_in_state((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\nx: "), WAIT_CLOSE, END}, NULL, 30);
}

static void a_request_ends_within_the_body(void) {
    check_in_state((const scripted_step[]){READ_HEAD, SEND(OK_HEAD(100) "0123456789"), WAIT_CLOSE, END}, NULL, 30);
    check_in_state((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\n\r\n01234"), WAIT_CLOSE, END}, NULL, 30);
}

static void an_upload_that_nobody_reads_ends(void) {
    char *data = calloc(1, SIZE);
    check_in_state((const scripted_step[]){READ_HEAD, HANG, END}, &(fds_span){data, SIZE}, 50);
    free(data);
}

/* Seconds of hashing: others are served meanwhile, and it can be called off. */
static void an_upload_ends_while_its_body_is_hashed(void) {
    enum { SPANS = 8192 };
    static const size_t SPAN = 1 << 20;
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(2) "ok"), AGAIN};
    scripted *server = scripted_play(script);
    fds_credentials *credentials = fds_credentials_new("AKID", "secret", NULL, "us-east-1", "s3");
    char *data = calloc(1, SPAN);
    fds_span *body = malloc(SPANS * sizeof *body);
    for (int i = 0; i < SPANS; i++)
        body[i] = (fds_span){data, SPAN};
    for (int close = 0; close < 2; close++) {
        fixture f = fixture_open(scripted_port(server));
        fds_attempt *attempt = new_put(&f, "/key", body, SPANS, FDS_CRC64NVME), *other = new_get(&f, "/other");
        attempt->credentials = credentials;
        attempt->payload = FDS_PAYLOAD_SIGNED;
        submit(&f, attempt);
        sleep_ms(20);
        RUN_TO(&f, other, FDS_DONE);
        free_attempt(other);
        if (close) {
            fds_plane_free(f.plane);
            f.plane = fds_plane_new(1);
        } else {
            cancel(&f, attempt);
        }
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_CANCELLED);
        CHECK_EQ(attempt->sent, 0);
        free_attempt(attempt);
        fixture_close(&f);
    }
    scripted_stop(server);
    fds_credentials_release(credentials);
    free(data);
    free(body);
}

static void a_request_ends_while_it_waits_for_a_connection(void) {
    static const scripted_step script[] = {READ_HEAD, GATE, SEND(OK_HEAD(2) "ok"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    f.endpoint->connections = 1;
    fds_attempt *attempts[5];
    for (int i = 0; i < 5; i++)
        attempts[i] = new_get(&f, "/key");
    fds_plane_submit(f.plane, attempts, 5);
    CHECK(scripted_wait_requests(server, 1));
    static const int order[] = {2, 4, 1}; /* in the middle, at the end, at the beginning of the list */
    for (int i = 0; i < 3; i++) {
        check_end(&f, attempts[order[i]], BY_CANCEL);
        free_attempt(attempts[order[i]]);
    }
    scripted_open_gate(server);
    for (int i = 0; i < 4; i += 3) {
        expect_report(&f, attempts[i], FDS_REPORT_FINISHED);
        CHECK_EQ(attempts[i]->outcome, FDS_DONE);
        free_attempt(attempts[i]);
    }
    CHECK_EQ(scripted_look(server).requests, 2);
    fixture_close(&f);
    scripted_stop(server);
}

static const scripted_step PAUSES[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), WAIT_CLOSE, END};

static fds_attempt *pause_one(fixture *f, scripted *server) {
    fds_attempt *attempt = new_get(f, "/key");
    attempt->pause_above = 1;
    submit(f, attempt);
    CHECK(scripted_wait_requests(server, 1));
    return attempt;
}

static void a_paused_request_ends_after_its_report_was_taken(void) {
    for (ending how = BY_CANCEL; how <= BY_CLOSE; how++) {
        scripted *server = scripted_play(PAUSES);
        fixture f = fixture_open(scripted_port(server));
        fds_attempt *attempt = pause_one(&f, server);
        expect_report(&f, attempt, FDS_REPORT_PAUSED);
        check_end(&f, attempt, how);
        free_attempt(attempt);
        CHECK(scripted_wait_peers_gone(server, 1));
        fixture_close(&f);
        scripted_stop(server);
    }
}

/* Its two reports become one: FINISHED in the place of PAUSED. */
static void a_paused_request_ends_before_its_report_was_taken(void) {
    for (ending how = BY_CANCEL; how <= BY_CLOSE; how++) {
        scripted *server = scripted_play(PAUSES);
        fixture f = fixture_open(scripted_port(server));
        fds_attempt *attempt = pause_one(&f, server);
        sleep_ms(50);
        atomic_store(&attempt->cancel, true);
        if (how == BY_CANCEL) {
            fds_plane_notice(f.plane);
            CHECK(scripted_wait_peers_gone(server, 1));
            sleep_ms(20);
        }
        check_end(&f, attempt, how);
        fds_report_kind kind = FDS_REPORT_FINISHED;
        CHECK(fds_queue_take(f.queue, &kind) == NULL);
        free_attempt(attempt);
        fixture_close(&f);
        scripted_stop(server);
    }
}

static void closing_reports_everything_in_flight(void) {
    static const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), HANG, END};
    enum { COUNT = 200 };
    scripted *server = scripted_play(script);
    fixture f = fixture_open_at("127.0.0.1", scripted_port(server), 3, NULL);
    f.endpoint->connections = 4;
    fds_attempt *attempts[COUNT];
    for (int i = 0; i < COUNT; i++) {
        attempts[i] = new_get(&f, "/key");
        attempts[i]->pause_above = i % 2 ? 1 : 0;
    }
    for (int i = 0; i < COUNT; i += 10)
        fds_plane_submit(f.plane, attempts + i, 10);
    sleep_ms(20);
    fds_plane_free(f.plane);
    for (int i = 0; i < COUNT; i++) {
        fds_report_kind kind = FDS_REPORT_PAUSED;
        fds_attempt *attempt = take(&f, &kind);
        if (!attempt)
            break;
        CHECK_EQ(kind, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_CANCELLED);
        free_attempt(attempt);
    }
    f.plane = fds_plane_new(1);
    fixture_close(&f);
    scripted_stop(server);
}

int main(void) {
    RUN(a_request_ends_while_it_waits_for_the_head);
    RUN(a_request_ends_within_the_head);
    RUN(a_request_ends_within_the_body);
    RUN(an_upload_that_nobody_reads_ends);
    RUN(an_upload_ends_while_its_body_is_hashed);
    RUN(a_request_ends_while_it_waits_for_a_connection);
    RUN(a_paused_request_ends_after_its_report_was_taken);
    RUN(a_paused_request_ends_before_its_report_was_taken);
    RUN(closing_reports_everything_in_flight);
    return check_report();
}
