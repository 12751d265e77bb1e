#include "attempt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fds_attempt_init(fds_attempt *attempt) {
    attempt->upload_crc = FDS_NO_CRC;
    attempt->download_crc = FDS_NO_CRC;
    atomic_init(&attempt->cancel, false);
    atomic_init(&attempt->proceed, false);
}

void fds_attempt_clear(fds_attempt *attempt) {
    free(attempt->head);
    free(attempt->response_headers);
    fds_buf_free(&attempt->content);
}

uint64_t fds_attempt_body_size(const fds_attempt *attempt) {
    uint64_t size = 0;
    for (size_t i = 0; i < attempt->body_count; i++)
        size += attempt->body[i].size;
    return size;
}

/* Only its loop writes an attempt's counters; a queue's is shared by the loops. */
void fds_attempt_count(fds_attempt *attempt, _Atomic uint64_t *counter, size_t size) {
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + size, memory_order_relaxed);
    atomic_fetch_add_explicit(&attempt->queue->moved, size, memory_order_relaxed);
}

uint64_t fds_attempt_moved(const fds_attempt *attempt) {
    return atomic_load_explicit(&attempt->sent, memory_order_relaxed) +
           atomic_load_explicit(&attempt->landed, memory_order_relaxed);
}

void fds_attempt_fail(fds_attempt *attempt, fds_outcome outcome, const char *format, ...) {
    attempt->outcome = outcome;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(attempt->why, sizeof attempt->why, format, arguments);
    va_end(arguments);
}
