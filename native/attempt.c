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

void fds_attempt_fail(fds_attempt *attempt, fds_outcome outcome, const char *format, ...) {
    attempt->outcome = outcome;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(attempt->why, sizeof attempt->why, format, arguments);
    va_end(arguments);
}
