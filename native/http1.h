/* HTTP/1.1 as a client reads it: a bounded parser of response heads and a decoder of chunked bodies.
 *
 * Nothing a server sends is trusted: every length is checked, a head is at most FDS_HEAD_MAX bytes and
 * FDS_HEADERS_MAX lines. The parser keeps offsets into the caller's buffer and allocates nothing. Pure functions.
 */
#ifndef FDS_HTTP1_H
#define FDS_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDS_HEAD_MAX (64 * 1024)
#define FDS_HEADERS_MAX 128

typedef struct {
    uint32_t name, name_size;   /* offset and length within the head; the name's bytes are lower-cased in place */
    uint32_t value, value_size; /* optional white space around the value is left out */
} fds_header;

typedef enum {
    FDS_BODY_NONE,    /* 1xx, 204, 304, or an answer to HEAD */
    FDS_BODY_LENGTH,  /* exactly content_length bytes */
    FDS_BODY_CHUNKED, /* transfer-encoding: chunked */
    FDS_BODY_CLOSE,   /* until the connection closes */
} fds_body_kind;

typedef struct {
    int status;             /* 100 … 999 */
    bool keep_alive;        /* HTTP/1.1 without "connection: close", HTTP/1.0 with "connection: keep-alive" */
    fds_body_kind body;
    uint64_t content_length; /* for FDS_BODY_LENGTH; for FDS_BODY_NONE what the header said, or 0 */
    bool has_content_length;
    size_t head_size;       /* bytes up to and including the empty line */
    size_t header_count;
    fds_header headers[FDS_HEADERS_MAX];
} fds_response_head;

typedef enum {
    FDS_PARSE_OK,
    FDS_PARSE_MORE,  /* the head is not complete yet */
    FDS_PARSE_ERROR, /* not HTTP/1.x, or over a bound; `*why` names what */
} fds_parse_result;

/* Parses the head at the start of `data`. `scanned` (start at 0 for each response) remembers how far the empty line
 * has been looked for, so that a head that arrives byte by byte costs linear time. `to_head` says that the
 * request was HEAD. Refused: conflicting or non-numeric Content-Length, Content-Length together with
 * Transfer-Encoding, an unknown Transfer-Encoding, folded lines, NUL or bare CR in a line, blanks in a name. */
fds_parse_result fds_parse_response(char *data, size_t size, size_t *scanned, bool to_head, fds_response_head *head,
                                    const char **why);

/* The decoder of a chunked body. Zero-initialise. */
typedef struct {
    uint64_t left;   /* bytes of the present chunk's data still to come */
    int state;
    uint32_t line_size; /* bytes of the present size or trailer line, bounded by 8 KiB (trailers: 16 KiB in all) */
    uint32_t trailer_size;
    bool digits;     /* the size line has had a digit */
} fds_chunked;

/* Takes bytes from `data`; sets `*used` to those consumed and gives at most one run of body bytes as `*body`
 * (a pointer into data) and `*body_size` per call. FDS_PARSE_OK: the body is complete (data after `*used` belongs to the
 * next response); FDS_PARSE_MORE: call again with what follows `*used`. */
fds_parse_result fds_chunked_feed(fds_chunked *chunked, const char *data, size_t size, size_t *used, const char **body,
                                  size_t *body_size, const char **why);

#endif
