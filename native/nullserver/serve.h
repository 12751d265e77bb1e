/* GET and HEAD of something readable: conditions, ranges, headers, checksum. */
#ifndef FDS_NS_SERVE_H
#define FDS_NS_SERVE_H

#include "exchange.h"

typedef struct {
    uint64_t size;
    time_t modified;
    const char *etag;                /* without its quotes */
    const fds_ns_checksum *checksum; /* sent only with a whole object, and if the request asks for it, as S3 does */
    fds_ns_text metadata;            /* header lines */
    fds_ns_object *object;           /* NULL: the pattern. The reply takes a reference of its own. */
} fds_ns_readable;

void fds_ns_serve(fds_ns_exchange *exchange, const fds_ns_readable *what);

bool fds_ns_wants_checksum(const fds_ns_request *request); /* x-amz-checksum-mode: ENABLED */

/* Whether the value of If-Match or If-None-Match names that ETag; quotes are optional, "*" names any. */
bool fds_ns_etag_matches(fds_ns_text condition, const char *etag);

/* The conditions of a write. `etag`: of the object that is there, NULL when there is none. */
const fds_ns_error *fds_ns_write_conditions(const fds_ns_request *request, const char *etag);

#endif
