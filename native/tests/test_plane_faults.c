/* What bad servers and bad networks become: each fault has its outcome and a sentence. */
#define _GNU_SOURCE
#include "plane_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One GET without target; `why` is what the report has to say. */
static void check_fault(const scripted_step *script, fds_outcome outcome, const char *why) {
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    attempt->stall_timeout = 200 * FDS_MS;
    if (RUN_TO(&f, attempt, outcome) && !CHECK(strstr(attempt->why, why) != NULL))
        fprintf(stderr, "    it said: %s\n", attempt->why);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void what_is_not_http_is_a_protocol_error(void) {
    check_fault((const scripted_step[]){READ_HEAD, SEND("SSH-2.0-OpenSSH_9.2\r\n"), HANG, END}, FDS_PROTOCOL_ERROR,
                "not HTTP/1.x");
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 OK 200\r\n\r\n"), HANG, END}, FDS_PROTOCOL_ERROR,
                "status line");
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
                                        HANG, END},
                FDS_PROTOCOL_ERROR, "hexadecimal");
}

static void a_head_over_64_kib_is_a_protocol_error(void) {
    char *line = malloc(70000);
    memset(line, 'x', 70000);
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\nx: "), SEND_DATA(line, 70000), HANG, END},
                FDS_PROTOCOL_ERROR, "64 KiB");
    free(line);
}

static void endless_interim_responses_are_a_protocol_error(void) {
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 102 Processing\r\n\r\n"), READ_BODY, END},
                FDS_DISCONNECTED, "before a response");
    enum { COUNT = 200 };
    static const char one[] = "HTTP/1.1 102 Processing\r\n\r\n";
    size_t size = sizeof one - 1;
    char *many = malloc(COUNT * size);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(many + i * size, one, size);
    check_fault((const scripted_step[]){READ_HEAD, SEND_DATA(many, COUNT * size), HANG, END}, FDS_PROTOCOL_ERROR,
                "interim");
    free(many);
}

static void an_early_end_is_a_disconnection_that_says_where(void) {
    check_fault((const scripted_step[]){READ_HEAD, END}, FDS_DISCONNECTED, "before a response");
    check_fault((const scripted_step[]){READ_HEAD, RESET}, FDS_DISCONNECTED, "before a response");
    check_fault((const scripted_step[]){READ_HEAD, HALF_CLOSE, HANG, END}, FDS_DISCONNECTED, "before a response");
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\nconten"), END}, FDS_DISCONNECTED,
                "within the response head");
    check_fault((const scripted_step[]){READ_HEAD, SEND(OK_HEAD(100) "0123456789"), END}, FDS_DISCONNECTED,
                "90 bytes before the end");
    check_fault((const scripted_step[]){READ_HEAD, SEND(OK_HEAD(100) "0123456789"), PAUSE(30), RESET}, FDS_DISCONNECTED,
                "90 bytes before the end");
    check_fault((const scripted_step[]){READ_HEAD,
                                        SEND("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                                        END},
                FDS_DISCONNECTED, "within the body");
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200 OK\r\n\r\nhello"), PAUSE(30), RESET},
                FDS_DISCONNECTED, "within the body");
}

static void silence_is_a_stall_wherever_it_begins(void) {
    check_fault((const scripted_step[]){READ_HEAD, HANG, END}, FDS_STALLED, "0.2 s");
    check_fault((const scripted_step[]){READ_HEAD, SEND("HTTP/1.1 200"), HANG, END}, FDS_STALLED, "0.2 s");
    check_fault((const scripted_step[]){READ_HEAD, SEND(OK_HEAD(5) "he"), HANG, END}, FDS_STALLED, "0.2 s");
}

static void a_slow_server_that_keeps_sending_is_not_stalled(void) {
    const scripted_step script[] = {READ_HEAD,  SEND(OK_HEAD(6)), PAUSE(150), SEND("ab"), PAUSE(150),
                                    SEND("cd"), PAUSE(150),       SEND("ef"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_get(&f, "/key");
    attempt->stall_timeout = 350 * FDS_MS;
    RUN_TO(&f, attempt, FDS_DONE);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void an_upload_that_nobody_reads_stalls_and_says_how_much_left(void) {
    enum { SIZE = 64000000 };
    const scripted_step script[] = {READ_HEAD, READ_SOME(1000000), HANG, END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    char *data = calloc(1, SIZE);
    fds_span body = {data, SIZE};
    fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
    attempt->stall_timeout = 200 * FDS_MS;
    RUN_TO(&f, attempt, FDS_STALLED);
    CHECK(attempt->sent >= 1000000 && attempt->sent < SIZE);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(data);
}

/* The sockets' buffers hold megabytes: the next byte leaves ours when a third of them has drained. */
static void an_upload_that_is_read_slowly_is_not_stalled(void) {
    enum { SIZE = 24000000 };
#define SIP READ_SOME(200000), PAUSE(100)
#define SIPS SIP, SIP, SIP, SIP, SIP
    const scripted_step script[] = {READ_HEAD, SIPS, SIPS, SIPS, SIPS, READ_BODY, SEND(OK_HEAD(0)), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    char *data = calloc(1, SIZE);
    fds_span body = {data, SIZE};
    fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
    attempt->stall_timeout = 500 * FDS_MS;
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_EQ(attempt->sent, SIZE);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(data);
}

static void waiting_for_a_connection_is_no_stall(void) {
    const scripted_step script[] = {READ_HEAD, PAUSE(500), SEND(OK_HEAD(2) "ok"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    f.endpoint->connections = 1;
    fds_attempt *attempts[] = {new_get(&f, "/first"), new_get(&f, "/second")};
    for (int i = 0; i < 2; i++)
        attempts[i]->stall_timeout = 800 * FDS_MS; /* the second waits 500 ms, then 500 ms for its answer */
    fds_plane_submit(f.plane, attempts, 2);
    for (int i = 0; i < 2; i++) {
        expect_report(&f, attempts[i], FDS_REPORT_FINISHED);
        CHECK_EQ(attempts[i]->outcome, FDS_DONE);
        free_attempt(attempts[i]);
    }
    fixture_close(&f);
    scripted_stop(server);
}

/* ---- connecting ---- */

static uint16_t listen_on(int *fd, int backlog) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(*fd, (struct sockaddr *)&address, size) == 0 &&
          getsockname(*fd, (struct sockaddr *)&address, &size) == 0);
    if (backlog >= 0)
        CHECK_EQ(listen(*fd, backlog), 0);
    return ntohs(address.sin_port);
}

static void a_refused_connection_says_who_refused(void) {
    int fd;
    uint16_t port = listen_on(&fd, -1); /* bound, not listening: nobody else gets the port */
    fixture f = fixture_open(port);
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_CONNECT_FAILED);
    char expected[120];
    snprintf(expected, sizeof expected, "cannot connect to 127.0.0.1:%u: Connection refused", port);
    CHECK_STR_EQ(attempt->why, expected);
    free_attempt(attempt);
    fixture_close(&f);
    close(fd);
}

#ifdef __linux__ /* others refuse at a full backlog */
static void a_connection_that_is_not_answered_times_out(void) {
    int listener, fillers[4];
    uint16_t port = listen_on(&listener, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    fixture f = fixture_open(port);
    f.endpoint->connect_timeout = 200 * FDS_MS;
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_CONNECT_FAILED);
    CHECK(strstr(attempt->why, "no answer within 0.2 s") != NULL);
    free_attempt(attempt);

    f.endpoint->connect_timeout = 60 * FDS_SECOND;
    attempt = new_get(&f, "/key");
    submit(&f, attempt);
    sleep_ms(50);
    cancel(&f, attempt);
    expect_report(&f, attempt, FDS_REPORT_FINISHED);
    CHECK_EQ(attempt->outcome, FDS_CANCELLED);
    free_attempt(attempt);
    fixture_close(&f);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listener);
}
#endif

/* What the rlimit leaves: descriptors below `limit`. */
static struct rlimit limit_descriptors(rlim_t limit) {
    struct rlimit before, less;
    getrlimit(RLIMIT_NOFILE, &before);
    less = before;
    less.rlim_cur = limit;
    setrlimit(RLIMIT_NOFILE, &less);
    return before;
}

/* A server with descriptors of its own; kill and reap it. */
static pid_t serve_in_child(const scripted_step *script, uint16_t *port) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        *port = scripted_port(scripted_play(script));
        if (write(ends[1], port, sizeof *port) != sizeof *port)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(ends[0], port, sizeof *port), sizeof *port);
    close(ends[0]);
    close(ends[1]);
    return child;
}

/* Leaves `more` descriptors. */
static struct rlimit limit_descriptors_to(int more) {
    int next = dup(0);
    close(next);
    return limit_descriptors((rlim_t)(next + more));
}

/* Submits, takes all, and returns how many connections were opened for them. */
static int run_all(fixture *f, fds_attempt **attempts, int count) {
    int opened = 0;
    fds_plane_submit(f->plane, attempts, (size_t)count);
    for (int i = 0; i < count; i++) {
        fds_report_kind kind = FDS_REPORT_FINISHED;
        fds_attempt *attempt = take(f, &kind);
        if (attempt) {
            CHECK_EQ(attempt->outcome, FDS_DONE);
            opened += !attempt->reused;
            free_attempt(attempt);
        }
    }
    return opened;
}

static void requests_wait_for_the_connections_that_descriptors_last_for(void) {
    enum { COUNT = 40 };
    static const struct {
        int loops, descriptors;
    } rows[] = {{1, 3}, {2, 1}, {3, 2}};
    static const scripted_step script[] = {READ_HEAD, PAUSE(5), SEND(OK_HEAD(2) "ok"), AGAIN};
    uint16_t port = 0;
    pid_t server = serve_in_child(script, &port);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        fixture f = fixture_open_at("127.0.0.1", port, rows[row].loops, NULL);
        fds_attempt *attempts[COUNT];
        for (int i = 0; i < COUNT; i++)
            attempts[i] = new_get(&f, "/key");
        struct rlimit before = limit_descriptors_to(rows[row].descriptors);
        CHECK_EQ(run_all(&f, attempts, COUNT), rows[row].descriptors);
        setrlimit(RLIMIT_NOFILE, &before);
        fixture_close(&f);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

static void what_idles_at_one_endpoint_gives_way_to_another(void) {
    enum { COUNT = 8 };
    static const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(2) "ok"), AGAIN};
    uint16_t port = 0;
    pid_t server = serve_in_child(script, &port);
    for (int loops = 1; loops <= 2; loops++) {
        fixture f = fixture_open_at("127.0.0.1", port, loops, NULL);
        fds_endpoint *other = fds_endpoint_new("127.0.0.1", "other.test", port, NULL);
        other->connect_timeout = other->stall_timeout = other->idle_timeout = 5 * FDS_SECOND;
        struct rlimit before = limit_descriptors_to(1);
        for (int turn = 0; turn < 3; turn++) {
            fds_attempt *attempts[COUNT];
            for (int i = 0; i < COUNT; i++) {
                attempts[i] = new_get(&f, "/key");
                if (turn == 1)
                    attempts[i]->endpoint = other;
            }
            CHECK_EQ(run_all(&f, attempts, COUNT), 1);
        }
        setrlimit(RLIMIT_NOFILE, &before);
        fixture_close(&f);
        CHECK_EQ(atomic_load(&other->references), 1);
        fds_endpoint_release(other);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

static void a_request_is_cancelled_on_whichever_loop_it_waits(void) {
    enum { COUNT = 60 };
    static const scripted_step script[] = {READ_HEAD, HANG, END};
    uint16_t port = 0;
    pid_t server = serve_in_child(script, &port);
    fixture f = fixture_open_at("127.0.0.1", port, 3, NULL);
    struct rlimit before = limit_descriptors_to(1);
    for (int i = 0; i < COUNT; i++) {
        fds_attempt *attempts[3];
        for (int each = 0; each < 3; each++)
            attempts[each] = new_get(&f, "/key");
        fds_plane_submit(f.plane, attempts, 3);
        if (i % 2)
            sched_yield();
        for (int each = 0; each < 3; each++)
            cancel(&f, attempts[each]);
        for (int each = 0; each < 3; each++) {
            fds_report_kind kind = FDS_REPORT_FINISHED;
            fds_attempt *attempt = take(&f, &kind);
            if (attempt) {
                CHECK_EQ(attempt->outcome, FDS_CANCELLED);
                free_attempt(attempt);
            }
        }
    }
    setrlimit(RLIMIT_NOFILE, &before);
    fixture_close(&f);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
}

static void requests_wait_a_moment_for_descriptors(void) {
    static const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(2) "ok"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    struct rlimit before = limit_descriptors(3);
    fds_attempt *attempt = new_get(&f, "/key"), *called_off = new_get(&f, "/other");
    submit(&f, attempt);
    submit(&f, called_off);
    sleep_ms(300);
    CHECK_EQ(fds_plane_in_flight(f.plane), 2);
    cancel(&f, called_off);
    sleep_ms(100);
    CHECK_EQ(fds_plane_in_flight(f.plane), 1);
    setrlimit(RLIMIT_NOFILE, &before);
    expect_report(&f, called_off, FDS_REPORT_FINISHED);
    expect_report(&f, attempt, FDS_REPORT_FINISHED);
    CHECK_EQ(called_off->outcome, FDS_CANCELLED);
    CHECK_EQ(attempt->outcome, FDS_DONE);
    free_attempt(attempt);
    free_attempt(called_off);
    fixture_close(&f);
    scripted_stop(server);
}

static void no_descriptors_left_is_a_failed_connection_and_not_for_ever(void) {
    static const scripted_step script[] = {READ_HEAD, SEND(OK_HEAD(2) "ok"), AGAIN};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    struct rlimit before = limit_descriptors(3);
    fds_attempt *attempt = new_get(&f, "/key");
    submit(&f, attempt);
    fds_report_kind kind = FDS_REPORT_FINISHED;
    while (fds_queue_take(f.queue, &kind) == NULL) /* poll() itself fails under this limit */
        sleep_ms(1);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_EQ(attempt->outcome, FDS_CONNECT_FAILED);
    CHECK(strstr(attempt->why, "cannot open a socket: Too many open files; raise the limit") != NULL);
    free_attempt(attempt);
    attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_DONE);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

int main(void) {
    RUN(what_is_not_http_is_a_protocol_error);
    RUN(a_head_over_64_kib_is_a_protocol_error);
    RUN(endless_interim_responses_are_a_protocol_error);
    RUN(an_early_end_is_a_disconnection_that_says_where);
    RUN(silence_is_a_stall_wherever_it_begins);
    RUN(a_slow_server_that_keeps_sending_is_not_stalled);
    RUN(an_upload_that_nobody_reads_stalls_and_says_how_much_left);
    RUN(an_upload_that_is_read_slowly_is_not_stalled);
    RUN(waiting_for_a_connection_is_no_stall);
    RUN(a_refused_connection_says_who_refused);
#ifdef __linux__
    RUN(a_connection_that_is_not_answered_times_out);
#endif
    RUN(requests_wait_for_the_connections_that_descriptors_last_for);
    RUN(what_idles_at_one_endpoint_gives_way_to_another);
    RUN(a_request_is_cancelled_on_whichever_loop_it_waits);
    RUN(requests_wait_a_moment_for_descriptors);
    RUN(no_descriptors_left_is_a_failed_connection_and_not_for_ever);
    return check_report();
}
