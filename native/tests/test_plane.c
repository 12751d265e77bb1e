/* What a well-behaved server's answers become: where bodies land, how heads and bodies are framed, pausing. */
#include "plane_fixture.h"

#include <stdlib.h>

/* Plays `script` for one GET without target; returns the finished attempt. */
static fds_attempt *get_content(const scripted_step *script, fds_outcome outcome) {
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, outcome);
    fixture_close(&f);
    scripted_stop(server);
    return attempt;
}

static void check_content(const scripted_step *script, const char *expected) {
    fds_attempt *attempt = get_content(script, FDS_DONE);
    CHECK_EQ(attempt->status, 200);
    CHECK_MEM_EQ(attempt->content.data, attempt->content.size, expected, strlen(expected));
    CHECK_EQ(attempt->landed, strlen(expected));
    free_attempt(attempt);
}

/* ---- targets ---- */

enum { BODY = 3000000 };

/* A body of BODY bytes into `target`; `target_size` is the sum of its spans. */
static void check_target(const fds_span *target, size_t count, char *memory, size_t target_size) {
    char *body = pattern(BODY, 1);
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(3000000)), SEND_DATA(body, BODY), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    set_target(attempt, target, count, FDS_CRC32C);
    size_t expected = target_size < BODY ? target_size : BODY;
    RUN_TO(&f, attempt, target_size < BODY ? FDS_CUT : FDS_DONE);
    CHECK_EQ(attempt->status, 200);
    CHECK(attempt->has_content_length);
    CHECK_EQ(attempt->content_length, BODY);
    CHECK_EQ(attempt->landed, expected);
    CHECK_EQ(attempt->crc, crc32c(body, expected));
    CHECK_EQ(attempt->content.size, 0);
    if (memory)
        CHECK(memcmp(memory, body, expected) == 0);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(body);
}

static void a_body_lands_in_one_span(void) {
    char *memory = malloc(BODY);
    check_target(&(fds_span){memory, BODY}, 1, memory, BODY);
    free(memory);
}

static void a_body_is_scattered_over_spans_of_odd_sizes(void) {
    char *memory = malloc(BODY + 1000);
    fds_span spans[2000];
    size_t count = 0, at = 0;
    for (; at < BODY; count++) {
        static const size_t sizes[] = {0, 1, 7, 0, 4096, 13, 65537, 1, 0, 100003};
        size_t n = sizes[count % 10];
        if (n > BODY - at)
            n = BODY - at;
        spans[count] = (fds_span){memory + at, n};
        at += n;
    }
    spans[count++] = (fds_span){NULL, 0};
    check_target(spans, count, memory, BODY);
    free(memory);
}

static void a_body_longer_than_the_target_is_cut(void) {
    char *memory = malloc(BODY);
    check_target(&(fds_span){memory, BODY - 1}, 1, memory, BODY - 1);
    fds_span two[] = {{memory, 10}, {memory + 10, 100}}; /* all of it in the first read */
    check_target(two, 2, memory, 110);
    check_target(&(fds_span){NULL, 0}, 1, NULL, 0);
    free(memory);
}

static void a_body_shorter_than_the_target_is_done_and_says_how_much_landed(void) {
    char *memory = malloc(2 * BODY);
    check_target(&(fds_span){memory, 2 * BODY}, 1, memory, 2 * BODY);
    free(memory);
}

static void an_errors_body_is_content_even_with_a_target(void) {
    const scripted_step script[] = {
        READ_HEAD, SEND("HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nx-amz-request-id: 17\r\n\r\n<Error/>\n"), END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    char memory[16] = "untouched";
    fds_attempt *attempt = new_get(&f, "/key");
    set_target(attempt, &(fds_span){memory, sizeof memory}, 1, FDS_CRC32C);
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_EQ(attempt->status, 404);
    CHECK_STR_EQ(memory, "untouched");
    CHECK_MEM_EQ(attempt->content.data, attempt->content.size, "<Error/>\n", 9);
    CHECK_EQ(attempt->crc, 0);
    CHECK_EQ(attempt->response_header_count, 2);
    const fds_header *id = &attempt->response_headers[1];
    CHECK_MEM_EQ(attempt->head + id->name, id->name_size, "x-amz-request-id", 16);
    CHECK_MEM_EQ(attempt->head + id->value, id->value_size, "17", 2);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void an_errors_body_is_kept_up_to_64_kib(void) {
    char *body = pattern(200000, 2);
    const scripted_step sized[] = {READ_HEAD, SEND("HTTP/1.1 500 No\r\ncontent-length: 200000\r\n\r\n"),
                                   SEND_DATA(body, 200000), END};
    const scripted_step unsized[] = {READ_HEAD, SEND("HTTP/1.1 500 No\r\n\r\n"), SEND_DATA(body, 200000), END};
    const scripted_step *const scripts[] = {sized, unsized};
    for (int i = 0; i < 2; i++) {
        fds_attempt *attempt = get_content(scripts[i], FDS_DONE);
        CHECK_EQ(attempt->status, 500);
        CHECK_EQ(attempt->content.size, 65536);
        CHECK(attempt->content.size == 65536 && memcmp(attempt->content.data, body, 65536) == 0);
        free_attempt(attempt);
    }
    free(body);
}

static void content_over_its_maximum_is_a_protocol_error(void) {
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(10)), PAUSE(20), SEND("0123456789"), AGAIN};
    for (size_t most = 0; most < 12; most++) {
        scripted *server = scripted_play(script);
        fixture f = fixture_open(scripted_port(server));
        fds_attempt *attempt = new_get(&f, "/key");
        attempt->content_max = most;
        RUN_TO(&f, attempt, most < 10 ? FDS_PROTOCOL_ERROR : FDS_DONE);
        free_attempt(attempt);
        fixture_close(&f);
        scripted_stop(server);
    }
}

static void what_has_moved_is_seen_while_it_moves(void) {
    static const scripted_step script[] = {READ_HEAD, READ_BODY, SEND(OK_HEAD(11) "hello"), GATE, SEND(" world"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    char memory[11];
    const fds_span body = {"up", 2}, target = {memory, sizeof memory};
    fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
    set_target(attempt, &target, 1, FDS_NO_CRC);
    submit(&f, attempt);
    for (int i = 0; i < 10000 && fds_attempt_moved(attempt) < 7; i++)
        sleep_ms(1);
    CHECK_EQ(fds_attempt_moved(attempt), 7);
    CHECK_EQ(atomic_load(&f.queue->moved), 7);
    scripted_open_gate(server);
    expect_report(&f, attempt, FDS_REPORT_FINISHED);
    CHECK_EQ(fds_attempt_moved(attempt), 13);
    CHECK_EQ(atomic_load(&f.queue->moved), 13);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void a_body_that_stays_paused_holds_up_nobody(void) {
    static const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(5) "hello"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    f.endpoint->connections = 1;
    char memory[5];
    const fds_span target = {memory, sizeof memory};
    fds_attempt *paused = new_get(&f, "/paused");
    paused->pause_above = 1;
    submit(&f, paused);
    expect_report(&f, paused, FDS_REPORT_PAUSED);
    for (int i = 0; i < 2; i++) {
        fds_attempt *other = new_get(&f, "/other");
        RUN_TO(&f, other, FDS_DONE);
        CHECK_EQ(other->reused, i);
        free_attempt(other);
    }
    set_target(paused, &target, 1, FDS_NO_CRC);
    atomic_store(&paused->proceed, true);
    fds_plane_notice(f.plane);
    expect_report(&f, paused, FDS_REPORT_FINISHED);
    CHECK_EQ(paused->outcome, FDS_DONE);
    free_attempt(paused);
    CHECK_EQ(scripted_look(server).accepted, 2);
    fixture_close(&f);
    scripted_stop(server);
}

/* ---- framing ---- */

#define CHUNKED "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

static void content_is_kept_however_it_is_framed(void) {
    static const char whole[] = OK_HEAD(5) "hello";
    static const char interim[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nx: y\r\n\r\n" OK_HEAD(5) "hello";
    static const char chunks[] = CHUNKED "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\ntrailer: 1\r\n\r\n";
    check_content((const scripted_step[]){READ_HEAD, SEND(whole), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND_SLICED(whole, sizeof whole - 1, 1), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND(interim), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND_SLICED(interim, sizeof interim - 1, 1), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND(chunks), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND_SLICED(chunks, sizeof chunks - 1, 1), AGAIN}, "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\n\r\nhel"), PAUSE(20), SEND("lo"), END},
                  "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello"), END},
                  "hello");
    check_content((const scripted_step[]){READ_HEAD, SEND(OK_HEAD(0)), AGAIN}, "");
}

/* Only a length in the head lets a long body pause. */
static void a_long_body_of_unknown_length_is_cut_where_a_known_one_would_pause(void) {
    static const char *const replies[] = {CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\n\r\nhello world"};
    for (int i = 0; i < 2; i++)
        for (size_t most = 10; most <= 11; most++) {
            const scripted_step script[] = {READ_HEAD, SEND_DATA(replies[i], strlen(replies[i])), END};
            scripted *server = scripted_play(script);
            fixture f = fixture_open(scripted_port(server));
            fds_attempt *attempt = new_get(&f, "/key");
            attempt->content_max = attempt->pause_above = most;
            RUN_TO(&f, attempt, most < 11 ? FDS_CUT : FDS_DONE);
            CHECK_MEM_EQ(attempt->content.data, attempt->content.size, "hello world", most);
            CHECK_EQ(attempt->landed, most);
            free_attempt(attempt);
            fixture_close(&f);
            scripted_stop(server);
        }
}

static void a_chunked_body_lands_in_the_target_or_is_cut(void) {
    const scripted_step script[] = {READ_HEAD, SEND(CHUNKED "5\r\nhello\r\n6\r\n world\r\n"), PAUSE(20),
                                    SEND("0\r\n\r\n"), AGAIN};
    for (size_t size = 10; size <= 12; size++) {
        scripted *server = scripted_play(script);
        fixture f = fixture_open(scripted_port(server));
        char memory[12];
        fds_span spans[] = {{memory, 3}, {memory + 3, size - 3}};
        fds_attempt *attempt = new_get(&f, "/key");
        set_target(attempt, spans, 2, FDS_CRC32C);
        RUN_TO(&f, attempt, size < 11 ? FDS_CUT : FDS_DONE);
        size_t expected = size < 11 ? size : 11;
        CHECK_MEM_EQ(memory, (size_t)attempt->landed, "hello world", expected);
        CHECK_EQ(attempt->crc, crc32c("hello world", expected));
        CHECK(!attempt->has_content_length);
        free_attempt(attempt);
        fixture_close(&f);
        scripted_stop(server);
    }
}

static void responses_without_a_body_end_with_their_head(void) {
    const scripted_step script[] = {READ_HEAD, SEND("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
                                    READ_HEAD, SEND("HTTP/1.1 204 No Content\r\n\r\n"),
                                    READ_HEAD, SEND("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
                                    READ_HEAD, SEND(OK_HEAD(2) "ok"),
                                    END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    for (int i = 0; i < 4; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        if (i == 0)
            attempt->method = STR("HEAD");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_EQ(attempt->status, ((const int[]){200, 204, 304, 200})[i]);
        CHECK_EQ(attempt->content.size, i == 3 ? 2 : 0);
        if (i == 0)
            CHECK_EQ(attempt->content_length, 5);
        CHECK_EQ(attempt->reused, i > 0);
        free_attempt(attempt);
    }
    CHECK_EQ(scripted_look(server).accepted, 1);
    fixture_close(&f);
    scripted_stop(server);
}

static void bytes_after_the_body_are_a_protocol_error(void) {
    static const scripted_step scripts[][3] = {{READ_HEAD, SEND(OK_HEAD(2) "ok?"), AGAIN},
                                               {READ_HEAD, SEND(CHUNKED "2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK"), AGAIN},
                                               {READ_HEAD, SEND("HTTP/1.1 204 No Content\r\n\r\nhello"), AGAIN}};
    for (int i = 0; i < 3; i++)
        free_attempt(get_content(scripts[i], FDS_PROTOCOL_ERROR));
}

/* ---- pausing ---- */

static void a_long_body_without_target_pauses_until_it_has_one(void) {
    char *body = pattern(BODY, 3), *memory = malloc(BODY);
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(3000000)), SEND_DATA(body, BODY), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    attempt->pause_above = BODY - 1;
    submit(&f, attempt);
    if (expect_report(&f, attempt, FDS_REPORT_PAUSED)) {
        CHECK_EQ(attempt->status, 200);
        CHECK_EQ(attempt->content_length, BODY);
        CHECK(attempt->head != NULL);
        sleep_ms(50);
        CHECK_EQ(attempt->landed, 0);
        fds_span target = {memory, BODY};
        set_target(attempt, &target, 1, FDS_CRC64NVME);
        atomic_store(&attempt->proceed, true);
        fds_plane_notice(f.plane);
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_DONE);
        CHECK(memcmp(memory, body, BODY) == 0);
        CHECK_EQ(attempt->crc, fds_crc_update(FDS_CRC64NVME, 0, body, BODY));
    }
    free_attempt(attempt);

    attempt = new_get(&f, "/key"); /* as long as the limit: content */
    attempt->pause_above = BODY;
    attempt->content_max = BODY;
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK(attempt->content.size == BODY && memcmp(attempt->content.data, body, BODY) == 0);
    CHECK(attempt->reused);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(body);
    free(memory);
}

static void a_paused_body_whose_server_has_gone_is_disconnected(void) {
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    char memory[100];
    fds_span target = {memory, sizeof memory};
    attempt->pause_above = 1;
    submit(&f, attempt);
    if (expect_report(&f, attempt, FDS_REPORT_PAUSED)) {
        sleep_ms(300); /* over a tick: a pause is no stall */
        set_target(attempt, &target, 1, FDS_NO_CRC);
        atomic_store(&attempt->proceed, true);
        fds_plane_notice(f.plane);
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_DISCONNECTED);
        CHECK_EQ(attempt->landed, 10);
    }
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

int main(void) {
    RUN(a_body_lands_in_one_span);
    RUN(a_body_is_scattered_over_spans_of_odd_sizes);
    RUN(a_body_longer_than_the_target_is_cut);
    RUN(a_body_that_stays_paused_holds_up_nobody);
    RUN(what_has_moved_is_seen_while_it_moves);
    RUN(a_body_shorter_than_the_target_is_done_and_says_how_much_landed);
    RUN(an_errors_body_is_content_even_with_a_target);
    RUN(an_errors_body_is_kept_up_to_64_kib);
    RUN(content_over_its_maximum_is_a_protocol_error);
    RUN(content_is_kept_however_it_is_framed);
    RUN(a_long_body_of_unknown_length_is_cut_where_a_known_one_would_pause);
    RUN(a_chunked_body_lands_in_the_target_or_is_cut);
    RUN(responses_without_a_body_end_with_their_head);
    RUN(bytes_after_the_body_are_a_protocol_error);
    RUN(a_long_body_without_target_pauses_until_it_has_one);
    RUN(a_paused_body_whose_server_has_gone_is_disconnected);
    return check_report();
}
