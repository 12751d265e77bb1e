/* The plane over TLS: trust, and the places where TLS reads and writes differ from plain ones. */
#define _GNU_SOURCE
#include "certificates.h"
#include "plane_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAMES "IP:127.0.0.1,DNS:localhost"
#define DAY 86400L

static authority trusted, other;
static SSL_CTX *good;

static fixture open_tls(const char *host, uint16_t port) {
    char why[256] = "";
    fds_tls_context *context = fds_tls_context_new(trusted.path, why, sizeof why);
    CHECK_STR_EQ(why, "");
    return fixture_open_at(host, port, 1, context);
}

/* ---- trust ---- */

static void check_handshake(SSL_CTX *context, const char *host, fds_outcome outcome, const char *why) {
    static const scripted_step script[] = {READ_REQUEST, SEND(OK_HEAD(2) "ok"), AGAIN};
    static const scripted_step *const scripts[] = {script};
    scripted *server = scripted_start(scripts, 1, context);
    fixture f = open_tls(host, scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    if (RUN_TO(&f, attempt, outcome) && !CHECK(strstr(attempt->why, why) != NULL))
        fprintf(stderr, "    it said: %s\n", attempt->why);
    CHECK_EQ(scripted_look(server).requests, outcome == FDS_DONE ? 1 : 0);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void only_a_certificate_that_verifies_is_talked_to(void) {
    check_handshake(good, "127.0.0.1", FDS_DONE, "");
    check_handshake(good, "localhost", FDS_DONE, "");
    SSL_CTX *context = server_context(&trusted, "IP:127.0.0.9,DNS:elsewhere.test", -DAY, DAY);
    check_handshake(context, "127.0.0.1", FDS_TLS_FAILED, "IP address mismatch");
    check_handshake(context, "localhost", FDS_TLS_FAILED, "hostname mismatch");
    SSL_CTX_free(context);
    context = server_context(&other, NAMES, -DAY, DAY);
    check_handshake(context, "127.0.0.1", FDS_TLS_FAILED,
                    "the certificate of 127.0.0.1 does not verify: unable to get");
    SSL_CTX_free(context);
    context = server_context(&trusted, NAMES, -2 * DAY, -DAY);
    check_handshake(context, "127.0.0.1", FDS_TLS_FAILED, "expired");
    SSL_CTX_free(context);
}

/* A verdict on TLS is final for those who retry: a peer that hangs up has given none. */
static void a_handshake_that_ends_or_hangs_is_a_failed_connection(void) {
    static const struct {
        scripted_step script[2];
        fds_outcome outcome;
        const char *why;
    } cases[] = {
        {{END}, FDS_CONNECT_FAILED, "cannot connect"},
        {{RESET}, FDS_CONNECT_FAILED, "cannot connect"},
        {{HANG, END}, FDS_CONNECT_FAILED, "handshake made no progress"},
        {{SEND("HTTP/1.1 400 Bad Request\r\n\r\n"), END}, FDS_TLS_FAILED, "wrong version number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scripted *server = scripted_play(cases[i].script);
        fixture f = open_tls("127.0.0.1", scripted_port(server));
        f.endpoint->connect_timeout = 200 * FDS_MS;
        fds_attempt *attempt = new_get(&f, "/key");
        if (RUN_TO(&f, attempt, cases[i].outcome) && !CHECK(strstr(attempt->why, cases[i].why) != NULL))
            fprintf(stderr, "    it said: %s\n", attempt->why);
        free_attempt(attempt);
        fixture_close(&f);
        scripted_stop(server);
    }
}

static void a_missing_ca_file_is_named(void) {
    char why[256] = "";
    CHECK(fds_tls_context_new("/nonexistent/ca.pem", why, sizeof why) == NULL);
    CHECK(strstr(why, "/nonexistent/ca.pem") != NULL);
}

/* ---- transfers ---- */

static void large_bodies_go_both_ways(void) {
    enum { SIZE = 24000000 };
    char *body = pattern(SIZE, 8), *memory = malloc(SIZE);
    const scripted_step script[] = {READ_REQUEST, SEND(OK_HEAD(24000000)), SEND_DATA(body, SIZE), AGAIN};
    const scripted_step *const scripts[] = {script};
    scripted *server = scripted_start(scripts, 1, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    fds_span parts[] = {{body, 1}, {body + 1, 9999999}, {body + 10000000, SIZE - 10000000}};
    fds_span targets[] = {{memory, 12345678}, {memory + 12345678, SIZE - 12345678}};
    for (int i = 0; i < 2; i++) {
        fds_attempt *attempt = new_put(&f, "/key", parts, 3, FDS_CRC32C);
        set_target(attempt, targets, 2, FDS_NO_CRC);
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_EQ(attempt->sent, SIZE);
        CHECK_EQ(attempt->landed, SIZE);
        CHECK_EQ(attempt->crc, crc32c(body, SIZE));
        CHECK(memcmp(memory, body, SIZE) == 0);
        CHECK_EQ(attempt->reused, i);
        free_attempt(attempt);
        scripted_record record = scripted_look(server);
        CHECK_EQ(record.body_bytes, (uint64_t)SIZE * (uint64_t)(i + 1));
        if (i == 0)
            CHECK_EQ(record.body_crc, crc32c(body, SIZE));
        memset(memory, 0, SIZE);
    }
    fixture_close(&f);
    scripted_stop(server);
    free(body);
    free(memory);
}

static void small_bodies_travel_with_the_head(void) {
    static const scripted_step script[] = {READ_REQUEST, SEND(OK_HEAD(2) "ok"), AGAIN};
    static const scripted_step *const scripts[] = {script};
    scripted *server = scripted_start(scripts, 1, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    char *body = pattern(20000, 9);
    uint64_t crc = 0, bytes = 0;
    static const size_t sizes[] = {0, 1, 100, 8191, 8192, 8193, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fds_span parts[] = {{body, sizes[i] / 3}, {body + sizes[i] / 3, sizes[i] - sizes[i] / 3}};
        fds_attempt *attempt = new_put(&f, "/key", parts, 2, FDS_CRC32C);
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_EQ(attempt->sent, sizes[i]);
        CHECK_EQ(attempt->reused, i > 0); /* although session tickets came while it was idle */
        free_attempt(attempt);
        crc = fds_crc_update(FDS_CRC32C, crc, body, sizes[i]);
        bytes += sizes[i];
        CHECK_EQ(scripted_look(server).body_bytes, bytes);
        CHECK_EQ(scripted_look(server).body_crc, crc);
        sleep_ms(5);
    }
    CHECK_EQ(scripted_look(server).accepted, 1);
    fixture_close(&f);
    scripted_stop(server);
    free(body);
}

static void a_paused_body_goes_on_with_what_tls_has_read_already(void) {
    enum { SIZE = 100000 };
    char *body = pattern(SIZE, 10), *memory = malloc(SIZE);
    const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(100000)), SEND_DATA(body, SIZE), AGAIN};
    const scripted_step *const scripts[] = {script};
    scripted *server = scripted_start(scripts, 1, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    attempt->pause_above = 1;
    submit(&f, attempt);
    if (expect_report(&f, attempt, FDS_REPORT_PAUSED)) {
        sleep_ms(30);
        fds_span target = {memory, SIZE};
        set_target(attempt, &target, 1, FDS_CRC32C);
        atomic_store(&attempt->proceed, true);
        fds_plane_notice(f.plane);
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_DONE);
        CHECK_EQ(attempt->crc, crc32c(body, SIZE));
    }
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(body);
    free(memory);
}

static void an_answer_before_the_upload_is_finished_is_the_answer(void) {
    enum { SIZE = 64000000 };
    static const scripted_step script[] = {READ_HEAD, READ_SOME(100000),
                                           SEND("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"), END};
    static const scripted_step *const scripts[] = {script};
    scripted *server = scripted_start(scripts, 1, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    char *data = calloc(1, SIZE);
    fds_span body = {data, SIZE};
    fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_EQ(attempt->status, 403);
    CHECK(attempt->sent < SIZE);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(data);
}

static void a_body_cut_short_is_a_disconnection(void) {
    static const scripted_step closes[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), PAUSE(20), END};
    static const scripted_step resets[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), PAUSE(20), RESET};
    static const scripted_step *const scripts[] = {closes, resets};
    scripted *server = scripted_start(scripts, 2, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    for (int i = 0; i < 2; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DISCONNECTED);
        CHECK_EQ(attempt->landed, 10);
        free_attempt(attempt);
    }
    fixture_close(&f);
    scripted_stop(server);
}

static void a_cancel_is_answered(void) {
    enum { SIZE = 64000000 };
    static const scripted_step waits[] = {READ_HEAD, WAIT_CLOSE, END};
    static const scripted_step body[] = {READ_HEAD, SEND(OK_HEAD(100) "0123456789"), WAIT_CLOSE, END};
    static const scripted_step hangs[] = {READ_HEAD, READ_SOME(100000), HANG, END};
    static const scripted_step *const scripts[] = {waits, body, hangs};
    scripted *server = scripted_start(scripts, 3, good);
    fixture f = open_tls("127.0.0.1", scripted_port(server));
    char *data = calloc(1, SIZE);
    fds_span upload = {data, SIZE};
    for (int i = 0; i < 3; i++) {
        fds_attempt *attempt = i < 2 ? new_get(&f, "/key") : new_put(&f, "/key", &upload, 1, FDS_NO_CRC);
        submit(&f, attempt);
        CHECK(scripted_wait_requests(server, i + 1));
        sleep_ms(30);
        cancel(&f, attempt);
        expect_report(&f, attempt, FDS_REPORT_FINISHED);
        CHECK_EQ(attempt->outcome, FDS_CANCELLED);
        free_attempt(attempt);
    }
    free(data);
    CHECK(scripted_wait_peers_gone(server, 2));
    fixture_close(&f);
    scripted_stop(server);
}

/* ---- half a record ---- */

typedef struct {
    int listener;
    pthread_t thread;
} half_server;

/* Answers one request; the last 10 bytes of the answer's only record come half a second after the others. */
static void *answer_in_halves(void *argument) {
    half_server *server = argument;
    int fd = accept(server->listener, NULL, NULL);
    SSL *ssl = SSL_new(good);
    char request[4096];
    CHECK(SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof request) > 0);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, out);
    static const char answer[] = OK_HEAD(10) "0123456789";
    SSL_write(ssl, answer, sizeof answer - 1);
    char *record;
    size_t size = (size_t)BIO_get_mem_data(out, &record);
    CHECK(size > 10 && send(fd, record, size - 10, 0) == (ssize_t)size - 10);
    sleep_ms(500);
    CHECK_EQ(send(fd, record + size - 10, 10, 0), 10);
    SSL_read(ssl, request, sizeof request); /* until the client closes */
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static int64_t cpu_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * FDS_SECOND + t.tv_nsec;
}

static void half_a_record_is_waited_for_without_spinning(void) {
    half_server server = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    CHECK(bind(server.listener, (struct sockaddr *)&address, size) == 0 && listen(server.listener, 1) == 0 &&
          getsockname(server.listener, (struct sockaddr *)&address, &size) == 0);
    pthread_create(&server.thread, NULL, answer_in_halves, &server);
    fixture f = open_tls("127.0.0.1", ntohs(address.sin_port));
    fds_attempt *attempt = new_get(&f, "/key");
    int64_t before = cpu_time();
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK(attempt->finished - attempt->started > 400 * FDS_MS);
    CHECK(cpu_time() - before < 60 * FDS_MS); /* 5 ms, with the handshake; 120 and more when it spins */
    CHECK_MEM_EQ(attempt->content.data, attempt->content.size, "0123456789", 10);
    free_attempt(attempt);
    fixture_close(&f);
    pthread_join(server.thread, NULL);
    close(server.listener);
}

int main(void) {
    trusted = authority_new("trusted CA");
    other = authority_new("other CA");
    good = server_context(&trusted, NAMES, -DAY, DAY);
    RUN(only_a_certificate_that_verifies_is_talked_to);
    RUN(a_handshake_that_ends_or_hangs_is_a_failed_connection);
    RUN(a_missing_ca_file_is_named);
    RUN(large_bodies_go_both_ways);
    RUN(small_bodies_travel_with_the_head);
    RUN(a_paused_body_goes_on_with_what_tls_has_read_already);
    RUN(an_answer_before_the_upload_is_finished_is_the_answer);
    RUN(a_body_cut_short_is_a_disconnection);
    RUN(a_cancel_is_answered);
    RUN(half_a_record_is_waited_for_without_spinning);
    SSL_CTX_free(good);
    authority_free(&trusted);
    authority_free(&other);
    return check_report();
}
