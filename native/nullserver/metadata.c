#include "metadata.h"

#define USER_METADATA_MAX 2048 /* bytes of names and values, as S3 counts them */

static void add_line(fds_buf *out, fds_ns_text name, fds_ns_text value) {
    fds_buf_add(out, name.data, name.size);
    fds_buf_add(out, ": ", 2);
    fds_buf_add(out, value.data, value.size);
    fds_buf_add(out, "\r\n", 2);
}

static void add_encoding(fds_buf *out, fds_ns_text value) {
    fds_ns_text rest = value, item;
    bool any = false;
    while (fds_ns_text_next(&rest, ',', &item)) {
        if (!item.size || fds_ns_text_is_nocase(item, "aws-chunked"))
            continue;
        fds_buf_add_str(out, any ? "," : "content-encoding: ");
        fds_buf_add(out, item.data, item.size);
        any = true;
    }
    if (any)
        fds_buf_add(out, "\r\n", 2);
}

static bool is_kept(fds_ns_text name) {
    static const char *const kept[] = {"cache-control", "content-disposition", "content-language", "content-type",
                                       "expires"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (fds_ns_text_is(name, kept[i]))
            return true;
    return false;
}

const fds_ns_error *fds_ns_metadata_collect(const fds_ns_request *request, fds_buf *out) {
    const fds_ns_text prefix = FDS_NS_TEXT("x-amz-meta-");
    size_t user_size = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const fds_ns_field *field = &request->headers[i];
        if (fds_ns_text_starts(field->name, prefix)) {
            user_size += field->name.size - prefix.size + field->value.size;
            add_line(out, field->name, field->value);
        } else if (fds_ns_text_is(field->name, "content-encoding")) {
            add_encoding(out, field->value);
        } else if (is_kept(field->name)) {
            add_line(out, field->name, field->value);
        }
    }
    if (!fds_ns_request_header(request, "content-type"))
        fds_buf_add_str(out, "content-type: binary/octet-stream\r\n");
    if (user_size > USER_METADATA_MAX)
        return &FDS_NS_METADATA_TOO_LARGE;
    return out->failed ? &FDS_NS_INTERNAL : NULL;
}
