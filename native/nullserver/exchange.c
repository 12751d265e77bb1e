#include "exchange.h"

void fds_ns_exchange_start(fds_ns_exchange *exchange) {
    /* Odd multiplier: distinct for distinct counters, and not looking like a counter. */
    exchange->id = ++exchange->worker->next_request_id * 0x9E3779B97F4A7C15ULL;
}

void fds_ns_exchange_reset(fds_ns_exchange *exchange) {
    fds_ns_payload_free(&exchange->payload);
    fds_ns_blob_drop(exchange->blob);
    exchange->blob = NULL;
    exchange->operation = NULL;
    fds_ns_reply *reply = &exchange->reply;
    fds_ns_object_drop(reply->object);
    /* The buffers keep their memory for the next reply, unless a large listing blew them up. */
    if (reply->body.capacity > 64 * 1024)
        fds_buf_free(&reply->body);
    fds_buf_clear(&reply->body);
    fds_buf_clear(&reply->headers);
    *reply = (fds_ns_reply){.headers = reply->headers, .body = reply->body};
}
