#include "request.h"

size_t fds_ns_request_head_size(const char *data, size_t size, size_t *scanned) {
    size_t from = *scanned > 3 ? *scanned - 3 : 0;
    while (from + 4 <= size) {
        const char *found = memchr(data + from, '\r', size - from - 3);
        if (!found)
            break;
        if (memcmp(found, "\r\n\r\n", 4) == 0)
            return (size_t)(found - data) + 4;
        from = (size_t)(found - data) + 1;
    }
    *scanned = size;
    return 0;
}

static fds_ns_method method_of(fds_ns_text name) {
    static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fds_ns_text_is(name, names[i]))
            return (fds_ns_method)i;
    return FDS_NS_OTHER_METHOD;
}

static bool unescape(char *data, size_t size, bool query, fds_ns_text *out) {
    ptrdiff_t decoded = fds_ns_text_unescape(data, size, query);
    if (decoded < 0)
        return false;
    *out = (fds_ns_text){data, (size_t)decoded};
    return true;
}

static const fds_ns_error *parse_query(char *data, size_t size, fds_ns_request *request) {
    char *end = data + size;
    while (data < end) {
        char *stop = memchr(data, '&', (size_t)(end - data));
        if (!stop)
            stop = end;
        if (stop > data) {
            if (request->query_count == FDS_NS_QUERY_MAX)
                return &FDS_NS_INVALID_URI;
            fds_ns_field *field = &request->query[request->query_count++];
            char *equals = memchr(data, '=', (size_t)(stop - data));
            char *value = equals ? equals + 1 : stop;
            if (!unescape(data, (size_t)((equals ? equals : stop) - data), true, &field->name) ||
                !unescape(value, (size_t)(stop - value), true, &field->value))
                return &FDS_NS_INVALID_URI;
        }
        data = stop + 1;
    }
    return NULL;
}

/* "/bucket/key?query": only the first two slashes and the first question mark mean anything. */
static const fds_ns_error *parse_target(char *target, size_t size, fds_ns_request *request) {
    if (size == 0 || target[0] != '/')
        return &FDS_NS_INVALID_URI;
    char *end = target + size;
    char *question = memchr(target, '?', size);
    char *path_end = question ? question : end;
    char *bucket = target + 1;
    char *slash = memchr(bucket, '/', (size_t)(path_end - bucket));
    char *bucket_end = slash ? slash : path_end;
    if (question) {
        const fds_ns_error *error = parse_query(question + 1, (size_t)(end - question - 1), request);
        if (error)
            return error;
    }
    if (slash && !unescape(slash + 1, (size_t)(path_end - slash - 1), false, &request->key))
        return &FDS_NS_INVALID_URI;
    if (!unescape(bucket, (size_t)(bucket_end - bucket), false, &request->bucket))
        return &FDS_NS_INVALID_URI;
    return NULL;
}

static bool parse_request_line(char *line, size_t size, fds_ns_request *request, const fds_ns_error **error) {
    char *target = memchr(line, ' ', size);
    if (!target || target == line)
        return false;
    request->method = method_of((fds_ns_text){line, (size_t)(target - line)});
    target++;
    char *version = memchr(target, ' ', size - (size_t)(target - line));
    if (!version)
        return false;
    fds_ns_text name = {version + 1, size - (size_t)(version + 1 - line)};
    if (fds_ns_text_is(name, "HTTP/1.1"))
        request->keep_alive = true;
    else if (!fds_ns_text_is(name, "HTTP/1.0"))
        return false;
    for (const char *c = target; c < version; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    *error = parse_target(target, (size_t)(version - target), request);
    return true;
}

/* The characters of a header's name (RFC 9110, token), lower-cased. */
static bool lower_name(char *name, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
        if (c >= 'A' && c <= 'Z')
            name[i] = (char)(c + ('a' - 'A'));
    }
    return size > 0;
}

static bool parse_header(char *line, size_t size, fds_ns_request *request) {
    char *colon = memchr(line, ':', size);
    if (!colon || !lower_name(line, (size_t)(colon - line)) || request->header_count == FDS_NS_HEADERS_MAX)
        return false;
    if (memchr(colon, 0, size - (size_t)(colon - line)) || memchr(line, '\n', size))
        return false;
    fds_ns_field *field = &request->headers[request->header_count++];
    field->name = (fds_ns_text){line, (size_t)(colon - line)};
    field->value = fds_ns_text_trim((fds_ns_text){colon + 1, size - (size_t)(colon + 1 - line)});
    return true;
}

/* What the server itself must know of the headers. */
static const fds_ns_error *read_framing(fds_ns_request *request) {
    for (size_t i = 0; i < request->header_count; i++) {
        const fds_ns_field *field = &request->headers[i];
        if (fds_ns_text_is(field->name, "content-length")) {
            uint64_t length;
            if (!fds_ns_text_number(field->value, &length) ||
                (request->has_content_length && length != request->content_length))
                return &FDS_NS_MALFORMED_REQUEST;
            request->has_content_length = true;
            request->content_length = length;
        } else if (fds_ns_text_is(field->name, "transfer-encoding")) {
            if (!fds_ns_text_is_nocase(field->value, "chunked"))
                return &FDS_NS_NOT_IMPLEMENTED;
            if (request->chunked)
                return &FDS_NS_MALFORMED_REQUEST;
            request->chunked = true;
        } else if (fds_ns_text_is(field->name, "connection")) {
            fds_ns_text rest = field->value, item;
            while (fds_ns_text_next(&rest, ',', &item)) {
                if (fds_ns_text_is_nocase(item, "close"))
                    request->keep_alive = false;
                else if (fds_ns_text_is_nocase(item, "keep-alive"))
                    request->keep_alive = true;
            }
        } else if (fds_ns_text_is(field->name, "expect")) {
            request->expect_continue = fds_ns_text_is_nocase(field->value, "100-continue");
        }
    }
    return request->chunked && request->has_content_length ? &FDS_NS_MALFORMED_REQUEST : NULL;
}

const fds_ns_error *fds_ns_request_parse(char *head, size_t head_size, fds_ns_request *request) {
    request->method = FDS_NS_OTHER_METHOD;
    request->keep_alive = request->expect_continue = request->authorized = request->has_content_length = false;
    request->chunked = false;
    request->content_length = 0;
    request->bucket = request->key = (fds_ns_text){"", 0};
    request->header_count = request->query_count = 0;
    request->head_size = head_size;

    const fds_ns_error *bad_target = NULL;
    char *end = head + head_size - 2; /* the empty line's own CRLF */
    for (char *line = head; line < end;) {
        char *stop = memchr(line, '\r', (size_t)(end - line));
        if (!stop || stop[1] != '\n')
            return &FDS_NS_MALFORMED_REQUEST;
        size_t size = (size_t)(stop - line);
        bool good =
            line == head ? parse_request_line(line, size, request, &bad_target) : parse_header(line, size, request);
        if (!good)
            return &FDS_NS_MALFORMED_REQUEST;
        line = stop + 2;
    }
    const fds_ns_error *error = read_framing(request);
    request->authorized = fds_ns_request_header(request, "authorization") ||
                          fds_ns_request_query(request, "X-Amz-Signature") ||
                          fds_ns_request_query(request, "Signature");
    return bad_target ? bad_target : error;
}

static const fds_ns_text *find(const fds_ns_field *fields, size_t count, const char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (fields[i].name.size == size && memcmp(fields[i].name.data, name, size) == 0)
            return &fields[i].value;
    return NULL;
}

const fds_ns_text *fds_ns_request_header(const fds_ns_request *request, const char *name) {
    return find(request->headers, request->header_count, name);
}

const fds_ns_text *fds_ns_request_query(const fds_ns_request *request, const char *name) {
    return find(request->query, request->query_count, name);
}
