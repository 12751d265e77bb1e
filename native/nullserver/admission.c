#define _GNU_SOURCE
#include "admission.h"

#include "chance.h"
#include "clock.h"

static uint64_t hash(uint64_t value, fds_ns_text text) { /* FNV-1a */
    for (size_t i = 0; i < text.size; i++)
        value = (value ^ (unsigned char)text.data[i]) * 0x100000001B3ULL;
    return value;
}

static fds_ns_meter *meter_of(const fds_ns_shaping *shaping, const fds_ns_request *request) {
    if (shaping->request_meters == 1)
        return &shaping->requests[0];
    fds_ns_text prefix = request->key;
    while (prefix.size && prefix.data[prefix.size - 1] != '/')
        prefix.size--;
    uint64_t value = hash(hash(0xCBF29CE484222325ULL, request->bucket), FDS_NS_TEXT("/"));
    value = hash(value, prefix);
    return &shaping->requests[(value ^ value >> 32) % shaping->request_meters];
}

const fds_ns_error *fds_ns_admit(fds_ns_exchange *exchange) {
    fds_ns_worker *worker = exchange->worker;
    const fds_ns_shaping *shaping = worker->server->shaping;
    const fds_ns_shaping_options *options = shaping->options;
    if (options->max_requests_per_s > 0 && !fds_ns_meter_try(meter_of(shaping, &exchange->request), fds_ns_now(), 1))
        return &FDS_NS_SLOW_DOWN;
    if (options->fail_percent > 0 && fds_ns_chance(&worker->chance) * 100 < options->fail_percent)
        return &FDS_NS_RANDOM_FAILURE;
    return NULL;
}

uint64_t fds_ns_reply_time(fds_ns_worker *worker) {
    const fds_ns_shaping_options *options = worker->server->shaping->options;
    if (options->first_byte_ms <= 0 && options->jitter_ms <= 0)
        return 0;
    double wait = options->first_byte_ms + options->jitter_ms * fds_ns_chance(&worker->chance);
    return fds_ns_now() + (uint64_t)(wait * (double)FDS_NS_MILLISECOND);
}
