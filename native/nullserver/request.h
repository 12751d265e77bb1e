/* One request's head, as a server reads it: bounded, and nothing in it is trusted.
 *
 * The parsed request points into the connection's buffer, where the path and the query have been decoded in place;
 * it is valid as long as those bytes stay. Pure functions.
 */
#ifndef FDS_NS_REQUEST_H
#define FDS_NS_REQUEST_H

#include "error.h"
#include "text.h"

#define FDS_NS_HEAD_MAX (64 * 1024)
#define FDS_NS_HEADERS_MAX 256
#define FDS_NS_QUERY_MAX 64
#define FDS_NS_KEY_MAX 1024

typedef enum {
    FDS_NS_GET,
    FDS_NS_HEAD,
    FDS_NS_PUT,
    FDS_NS_POST,
    FDS_NS_DELETE,
    FDS_NS_OTHER_METHOD,
} fds_ns_method;

typedef struct {
    fds_ns_text name; /* headers: lower-cased */
    fds_ns_text value;
} fds_ns_field;

typedef struct {
    fds_ns_method method;
    bool keep_alive;
    bool expect_continue;
    bool authorized; /* carries an Authorization header or a presigned query; signatures are not verified */
    bool has_content_length;
    uint64_t content_length;
    bool chunked;       /* Transfer-Encoding; never together with a Content-Length */
    fds_ns_text bucket; /* path-style; both decoded, empty when absent */
    fds_ns_text key;
    size_t head_size; /* bytes up to and including the empty line */
    size_t header_count;
    size_t query_count;
    fds_ns_field headers[FDS_NS_HEADERS_MAX];
    fds_ns_field query[FDS_NS_QUERY_MAX];
} fds_ns_request;

/* The size of the head at the start of `data`, or 0 when its end has not arrived. `scanned` (0 at the start of each
 * request) remembers how far was looked, so that a head that arrives byte by byte costs linear time. */
size_t fds_ns_request_head_size(const char *data, size_t size, size_t *scanned);

/* Parses a complete head. NULL, or the error to answer before the connection is closed; then `request` still says
 * the method, where it could be read. */
const fds_ns_error *fds_ns_request_parse(char *head, size_t head_size, fds_ns_request *request);

/* The first header or query parameter of that name (headers: in lower case), or NULL. */
const fds_ns_text *fds_ns_request_header(const fds_ns_request *request, const char *name);
const fds_ns_text *fds_ns_request_query(const fds_ns_request *request, const char *name);

#endif
