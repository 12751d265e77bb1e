#include "serve.h"

#include "reply.h"

bool fds_ns_wants_checksum(const fds_ns_request *request) {
    const fds_ns_text *mode = fds_ns_request_header(request, "x-amz-checksum-mode");
    return mode && fds_ns_text_is_nocase(*mode, "enabled");
}

bool fds_ns_etag_matches(fds_ns_text condition, const char *etag) {
    fds_ns_text rest = condition, item;
    while (fds_ns_text_next(&rest, ',', &item)) {
        if (fds_ns_text_starts(item, FDS_NS_TEXT("W/")))
            item = (fds_ns_text){item.data + 2, item.size - 2};
        if (item.size >= 2 && item.data[0] == '"' && item.data[item.size - 1] == '"')
            item = (fds_ns_text){item.data + 1, item.size - 2};
        if (fds_ns_text_is(item, "*") || fds_ns_text_is(item, etag))
            return true;
    }
    return false;
}

const fds_ns_error *fds_ns_write_conditions(const fds_ns_request *request, const char *etag) {
    const fds_ns_text *none_match = fds_ns_request_header(request, "if-none-match");
    const fds_ns_text *match = fds_ns_request_header(request, "if-match");
    if (none_match && !fds_ns_text_is(*none_match, "*"))
        return &FDS_NS_NOT_IMPLEMENTED; /* as S3 */
    if (none_match && etag)
        return &FDS_NS_PRECONDITION_FAILED;
    if (match && !etag)
        return &FDS_NS_NO_SUCH_KEY;
    if (match && !fds_ns_etag_matches(*match, etag))
        return &FDS_NS_PRECONDITION_FAILED;
    return NULL;
}

typedef enum { WHOLE, PART, UNSATISFIABLE } range_kind;

/* "bytes=a-b", "bytes=a-", "bytes=-n"; what is malformed or has several ranges is ignored, as S3 does. */
static range_kind parse_range(fds_ns_text value, uint64_t size, uint64_t *offset, uint64_t *length) {
    const fds_ns_text unit = FDS_NS_TEXT("bytes=");
    if (!fds_ns_text_starts(value, unit))
        return WHOLE;
    fds_ns_text rest = {value.data + unit.size, value.size - unit.size};
    const char *dash = rest.size ? memchr(rest.data, '-', rest.size) : NULL;
    if (!dash)
        return WHOLE;
    fds_ns_text from_text = {rest.data, (size_t)(dash - rest.data)};
    fds_ns_text to_text = {dash + 1, rest.size - from_text.size - 1};
    uint64_t from = 0, to = 0;
    if ((from_text.size && !fds_ns_text_number(from_text, &from)) ||
        (to_text.size && !fds_ns_text_number(to_text, &to)) || (!from_text.size && !to_text.size))
        return WHOLE;
    if (!from_text.size) { /* the last `to` bytes */
        if (to == 0 || size == 0)
            return UNSATISFIABLE;
        *length = to < size ? to : size;
        *offset = size - *length;
        return PART;
    }
    if (to_text.size && to < from)
        return WHOLE;
    if (from >= size)
        return UNSATISFIABLE;
    if (!to_text.size || to >= size)
        to = size - 1;
    *offset = from;
    *length = to - from + 1;
    return PART;
}

static void add_content_range(fds_ns_exchange *exchange, range_kind kind, uint64_t size) {
    fds_buf *headers = &exchange->reply.headers;
    fds_buf_add_str(headers, "content-range: bytes ");
    if (kind == PART) {
        fds_buf_add_u64(headers, exchange->reply.offset);
        fds_buf_add_char(headers, '-');
        fds_buf_add_u64(headers, exchange->reply.offset + exchange->reply.length - 1);
    } else {
        fds_buf_add_char(headers, '*');
    }
    fds_buf_add_char(headers, '/');
    fds_buf_add_u64(headers, size);
    fds_buf_add_str(headers, "\r\n");
}

static void add_validators(fds_ns_exchange *exchange, const fds_ns_readable *what) {
    char modified[FDS_NS_TIME_MAX];
    fds_ns_http_time(modified, what->modified);
    fds_ns_reply_header(exchange, "last-modified", fds_ns_text_of(modified));
    fds_ns_reply_etag(exchange, what->etag);
}

void fds_ns_serve(fds_ns_exchange *exchange, const fds_ns_readable *what) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_reply *reply = &exchange->reply;
    const fds_ns_text *match = fds_ns_request_header(request, "if-match");
    const fds_ns_text *none_match = fds_ns_request_header(request, "if-none-match");
    if (match && !fds_ns_etag_matches(*match, what->etag)) {
        fds_ns_reply_error(exchange, &FDS_NS_PRECONDITION_FAILED);
        return;
    }
    if (none_match && fds_ns_etag_matches(*none_match, what->etag)) {
        add_validators(exchange, what);
        fds_ns_reply_status(exchange, 304);
        return;
    }
    reply->offset = 0;
    reply->length = what->size;
    const fds_ns_text *range = fds_ns_request_header(request, "range");
    range_kind kind = range ? parse_range(*range, what->size, &reply->offset, &reply->length) : WHOLE;
    if (kind != WHOLE)
        add_content_range(exchange, kind, what->size);
    if (kind == UNSATISFIABLE) {
        fds_ns_reply_error(exchange, &FDS_NS_INVALID_RANGE);
        return;
    }
    add_validators(exchange, what);
    fds_buf_add_str(&reply->headers, "accept-ranges: bytes\r\n");
    fds_buf_add(&reply->headers, what->metadata.data, what->metadata.size);
    if (kind == WHOLE && what->checksum && fds_ns_wants_checksum(request))
        fds_ns_reply_checksum(exchange, what->checksum, true);
    reply->kind = what->object ? FDS_NS_BODY_OBJECT : FDS_NS_BODY_PATTERN;
    reply->object = what->object ? fds_ns_object_share(what->object) : NULL;
    fds_ns_reply_status(exchange, kind == PART ? 206 : 200);
}
