#include "awschunked.h"

enum { SIZE_LINE, DATA, DATA_END, TRAILER_LINE, COMPLETE };

static bool parse_size(fds_ns_text line, uint64_t *size) {
    *size = 0;
    size_t i = 0;
    for (; i < line.size && line.data[i] != ';'; i++) {
        char c = line.data[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16 || i == 15)
            return false;
        *size = *size << 4 | digit;
    }
    return i > 0;
}

/* A whole line, without its CRLF, has arrived. */
static bool take_line(fds_ns_awschunked *chunked) {
    fds_ns_text line = {chunked->line, chunked->line_size};
    chunked->line_size = 0;
    switch (chunked->state) {
    case SIZE_LINE:
        if (!parse_size(line, &chunked->left))
            return false;
        chunked->state = chunked->left ? DATA : TRAILER_LINE;
        return true;
    case DATA_END:
        chunked->state = SIZE_LINE;
        return line.size == 0;
    default: /* TRAILER_LINE */
        if (line.size == 0)
            chunked->state = COMPLETE;
        else if (!chunked->trailer_size && fds_ns_text_starts(line, FDS_NS_TEXT("x-amz-checksum-"))) {
            if (line.size > sizeof chunked->trailer)
                return false;
            memcpy(chunked->trailer, line.data, line.size);
            chunked->trailer_size = line.size;
        }
        return true;
    }
}

bool fds_ns_awschunked_feed(fds_ns_awschunked *chunked, const char **data, size_t *size, fds_ns_text *run) {
    *run = (fds_ns_text){NULL, 0};
    while (*size) {
        if (chunked->state == COMPLETE)
            return false; /* bytes behind the end */
        if (chunked->state == DATA) {
            size_t taken = *size < chunked->left ? *size : (size_t)chunked->left;
            *run = (fds_ns_text){*data, taken};
            *data += taken;
            *size -= taken;
            chunked->left -= taken;
            if (!chunked->left)
                chunked->state = DATA_END;
            return true;
        }
        char c = *(*data)++;
        --*size;
        if (c != '\n') {
            if (chunked->line_size == sizeof chunked->line)
                return false;
            chunked->line[chunked->line_size++] = c;
        } else {
            if (!chunked->line_size || chunked->line[--chunked->line_size] != '\r' || !take_line(chunked))
                return false;
        }
    }
    return true;
}

bool fds_ns_awschunked_complete(const fds_ns_awschunked *chunked) {
    return chunked->state == COMPLETE;
}
