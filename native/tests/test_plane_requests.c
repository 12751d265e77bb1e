/* What goes out: the bytes of requests, uploads, and which connection carries them. */
#include "plane_fixture.h"

#include <stdlib.h>

#define REPLY SEND(OK_HEAD(2) "ok")

static const scripted_step ANSWER_ALL[] = {READ_REQUEST, REPLY, AGAIN};

static void a_put_carries_its_length_and_its_crc(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open(scripted_port(server));
    fds_span body[] = {{"1234", 4}, {NULL, 0}, {"56789", 5}};
    fds_pair query[] = {{STR("uploadId"), STR("a/b c")}, {STR("partNumber"), STR("1")}};
    fds_pair headers[] = {{STR("content-type"), STR("text/plain")}};
    fds_attempt *attempt = new_put(&f, "/bucket/k y", body, 3, FDS_CRC32C);
    attempt->query = query;
    attempt->query_count = 2;
    attempt->headers = headers;
    attempt->header_count = 1;
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_EQ(attempt->crc, 0xe3069283);
    CHECK_EQ(attempt->sent, 9);
    scripted_record record = scripted_look(server);
    CHECK_STR_EQ(record.last_head, "PUT /bucket/k%20y?partNumber=1&uploadId=a%2Fb%20c HTTP/1.1\r\n"
                                   "host: bucket.test\r\n"
                                   "content-type: text/plain\r\n"
                                   "x-amz-checksum-crc32c: 4waSgw==\r\n"
                                   "content-length: 9\r\n\r\n");
    CHECK_EQ(record.body_crc, 0xe3069283);
    free_attempt(attempt);

    attempt = new_put(&f, "/empty", NULL, 0, FDS_NO_CRC);
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_STR_EQ(scripted_look(server).last_head,
                 "PUT /empty HTTP/1.1\r\nhost: bucket.test\r\ncontent-length: 0\r\n\r\n");
    free_attempt(attempt);

    attempt = new_get(&f, "/get");
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_STR_EQ(scripted_look(server).last_head, "GET /get HTTP/1.1\r\nhost: bucket.test\r\n\r\n");
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
}

static void a_signed_request_names_what_it_signs(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open(scripted_port(server));
    fds_credentials *credentials = fds_credentials_new("AKID", "secret", NULL, "us-east-1", "s3");
    fds_span body = {"hello", 5};
    for (int i = 0; i < 3; i++) {
        fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_CRC64NVME);
        attempt->credentials = credentials;
        attempt->payload = i ? FDS_PAYLOAD_SIGNED : FDS_PAYLOAD_UNSIGNED;
        if (i == 2)
            attempt->body_count = 0;
        RUN_TO(&f, attempt, FDS_DONE);
        char head[sizeof(scripted_record)];
        snprintf(head, sizeof head, "%s", scripted_look(server).last_head);
        static const char *const hashes[] = {
            "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n",
            "\r\nx-amz-content-sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n",
            "\r\nx-amz-content-sha256: " FDS_SHA256_OF_NOTHING "\r\n"};
        CHECK(strstr(head, hashes[i]) != NULL);
        CHECK(strstr(head, "\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKID/") != NULL);
        CHECK(strstr(head, "SignedHeaders=host;x-amz-checksum-crc64nvme;x-amz-content-sha256;x-amz-date,") != NULL);
        free_attempt(attempt);
    }
    fds_credentials_release(credentials);
    fixture_close(&f);
    scripted_stop(server);
}

static void a_large_body_of_many_spans_arrives_whole(void) {
    enum { SIZE = 32000000 };
    char *data = pattern(SIZE, 4);
    fds_span spans[100];
    size_t count = 0, size = 0;
    for (; count < 100; count++) { /* about 23 MB */
        static const size_t sizes[] = {1, 0, 65537, 300007, 7, 1000003};
        spans[count] = (fds_span){data + size, sizes[count % 6]};
        size += sizes[count % 6];
    }
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open(scripted_port(server));
    fds_attempt *attempt = new_put(&f, "/key", spans, count, FDS_CRC32C);
    RUN_TO(&f, attempt, FDS_DONE);
    CHECK_EQ(attempt->sent, size);
    CHECK_EQ(attempt->crc, crc32c(data, size));
    CHECK_EQ(scripted_look(server).body_bytes, size);
    CHECK_EQ(scripted_look(server).body_crc, attempt->crc);
    free_attempt(attempt);
    fixture_close(&f);
    scripted_stop(server);
    free(data);
}

static void a_connection_serves_one_request_after_another(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open(scripted_port(server));
    for (int i = 0; i < 20; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_EQ(attempt->reused, i > 0);
        char peer[64];
        snprintf(peer, sizeof peer, "127.0.0.1:%u", scripted_port(server));
        CHECK_STR_EQ(attempt->peer, peer);
        CHECK(attempt->submitted <= attempt->finished && attempt->started <= attempt->first_byte);
        free_attempt(attempt);
    }
    CHECK_EQ(scripted_look(server).accepted, 1);
    fixture_close(&f);
    scripted_stop(server);
}

static void a_pool_keeps_to_its_limit(void) {
    scripted *server = scripted_play(ANSWER_ALL);
    fixture f = fixture_open(scripted_port(server));
    f.endpoint->connections = 2;
    fds_attempt *attempts[50];
    for (int i = 0; i < 50; i++)
        attempts[i] = new_get(&f, "/key");
    fds_plane_submit(f.plane, attempts, 50);
    for (int i = 0; i < 50; i++) {
        fds_report_kind kind = FDS_REPORT_FINISHED;
        fds_attempt *attempt = take(&f, &kind);
        if (!attempt)
            break;
        CHECK_EQ(attempt->outcome, FDS_DONE);
        free_attempt(attempt);
    }
    CHECK_EQ(scripted_look(server).accepted, 2);
    CHECK_EQ(scripted_look(server).requests, 50);
    fixture_close(&f);
    scripted_stop(server);
}

static void a_connection_that_the_server_closed_while_idle_is_not_used_again(void) {
    static const scripted_step script[] = {READ_REQUEST, REPLY, END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    for (int i = 0; i < 3; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK(!attempt->reused);
        free_attempt(attempt);
        sleep_ms(30);
    }
    CHECK_EQ(scripted_look(server).accepted, 3);
    fixture_close(&f);
    scripted_stop(server);
}

static void an_idle_connection_is_closed_after_its_time(void) {
    static const scripted_step script[] = {READ_REQUEST, REPLY, WAIT_CLOSE, END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    f.endpoint->idle_timeout = 100 * FDS_MS;
    fds_attempt *attempt = new_get(&f, "/key");
    RUN_TO(&f, attempt, FDS_DONE);
    free_attempt(attempt);
    CHECK(scripted_wait_peers_gone(server, 1));
    fixture_close(&f);
    scripted_stop(server);
}

static void a_server_that_wants_to_close_gets_no_second_request(void) {
    static const scripted_step script[] = {
        READ_REQUEST, SEND("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"), WAIT_CLOSE, END};
    scripted *server = scripted_play(script);
    fixture f = fixture_open(scripted_port(server));
    for (int i = 0; i < 2; i++) {
        fds_attempt *attempt = new_get(&f, "/key");
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK(!attempt->reused);
        free_attempt(attempt);
    }
    CHECK(scripted_wait_peers_gone(server, 2));
    fixture_close(&f);
    scripted_stop(server);
}

/* An early refusal: the answer counts, not the broken pipe; and the half-sent request ends the connection. */
static void an_answer_before_the_upload_is_finished_is_the_answer(void) {
    enum { SIZE = 64000000 };
#define REFUSAL SEND("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    static const scripted_step closes[] = {READ_HEAD, READ_SOME(100000), REFUSAL, END};
    static const scripted_step stays[] = {READ_HEAD, READ_SOME(100000), REFUSAL, WAIT_CLOSE, END};
    static const scripted_step *const scripts[] = {closes, stays};
    char *data = pattern(SIZE, 5);
    fds_span body = {data, SIZE};
    for (int i = 0; i < 2; i++) {
        scripted *server = scripted_play(scripts[i]);
        fixture f = fixture_open(scripted_port(server));
        fds_attempt *attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK_EQ(attempt->status, 403);
        CHECK_MEM_EQ(attempt->content.data, attempt->content.size, "no", 2);
        CHECK(attempt->sent < SIZE);
        free_attempt(attempt);
        attempt = new_put(&f, "/key", &body, 1, FDS_NO_CRC);
        RUN_TO(&f, attempt, FDS_DONE);
        CHECK(!attempt->reused);
        free_attempt(attempt);
        fixture_close(&f);
        scripted_stop(server);
    }
    free(data);
}

int main(void) {
    RUN(a_put_carries_its_length_and_its_crc);
    RUN(a_signed_request_names_what_it_signs);
    RUN(a_large_body_of_many_spans_arrives_whole);
    RUN(a_connection_serves_one_request_after_another);
    RUN(a_pool_keeps_to_its_limit);
    RUN(a_connection_that_the_server_closed_while_idle_is_not_used_again);
    RUN(an_idle_connection_is_closed_after_its_time);
    RUN(a_server_that_wants_to_close_gets_no_second_request);
    RUN(an_answer_before_the_upload_is_finished_is_the_answer);
    return check_report();
}
