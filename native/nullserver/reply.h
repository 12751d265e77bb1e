/* Writing replies: headers, S3's XML errors, and the wire form of the head. */
#ifndef FDS_NS_REPLY_H
#define FDS_NS_REPLY_H

#include "exchange.h"

void fds_ns_reply_header(fds_ns_exchange *exchange, const char *name, fds_ns_text value);
void fds_ns_reply_etag(fds_ns_exchange *exchange, const char *etag); /* quotes it */
void fds_ns_reply_checksum(fds_ns_exchange *exchange, const fds_ns_checksum *checksum, bool with_type);

void fds_ns_reply_status(fds_ns_exchange *exchange, int status); /* a reply without a body, or with what `body` holds */
void fds_ns_reply_xml(fds_ns_exchange *exchange);                /* 200 with the XML that was written to `body` */

/* An S3 XML error; to HEAD only its status. Forgets headers and body that were begun, but not Content-Range. */
void fds_ns_reply_error(fds_ns_exchange *exchange, const fds_ns_error *error);

uint64_t fds_ns_reply_body_size(const fds_ns_exchange *exchange); /* of the body that is sent: 0 to HEAD */

/* Writes status line and headers, and a text body with them, so that small replies are one send. */
void fds_ns_reply_render(fds_ns_exchange *exchange, fds_buf *out);

/* "Sun, 22 Nov 2026 07:28:33 GMT" and "2026-11-22T07:28:33.000Z" */
#define FDS_NS_TIME_MAX 32
void fds_ns_http_time(char out[FDS_NS_TIME_MAX], time_t when);
void fds_ns_xml_time(char out[FDS_NS_TIME_MAX], time_t when);

#endif
