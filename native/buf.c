#include "buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void fds_buf_free(fds_buf *buf) {
    free(buf->data);
    *buf = (fds_buf){0};
}

void fds_buf_clear(fds_buf *buf) {
    buf->size = 0;
    buf->failed = false;
}

bool fds_buf_reserve(fds_buf *buf, size_t extra) {
    if (buf->failed)
        return false;
    if (extra <= buf->capacity - buf->size)
        return true;
    if (extra > SIZE_MAX - buf->size) {
        buf->failed = true;
        return false;
    }
    /* Doubling keeps a long run of small writes linear. */
    size_t need = buf->size + extra;
    size_t capacity = buf->capacity > SIZE_MAX / 2 ? need : buf->capacity * 2;
    if (capacity < FIRST_CAPACITY)
        capacity = FIRST_CAPACITY;
    if (capacity < need)
        capacity = need;
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void fds_buf_add(fds_buf *buf, const void *data, size_t size) {
    /* memcpy from or to NULL is undefined even for no bytes. */
    if (size == 0 || !fds_buf_reserve(buf, size))
        return;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

void fds_buf_add_str(fds_buf *buf, const char *text) {
    fds_buf_add(buf, text, strlen(text));
}

void fds_buf_add_char(fds_buf *buf, char c) {
    fds_buf_add(buf, &c, 1);
}

void fds_buf_add_u64(fds_buf *buf, unsigned long long value) {
    char digits[3 * sizeof value];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    fds_buf_add(buf, digits + at, sizeof digits - at);
}

void fds_buf_add_hex(fds_buf *buf, const void *data, size_t size) {
    static const char digits[] = "0123456789abcdef";
    if (size > SIZE_MAX / 2) {
        buf->failed = true;
        return;
    }
    if (size == 0 || !fds_buf_reserve(buf, size * 2))
        return;
    const unsigned char *from = data;
    char *to = buf->data + buf->size;
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    buf->size += size * 2;
}

void fds_buf_add_base64(fds_buf *buf, const void *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (size > SIZE_MAX / 4 * 3 - 2) {
        buf->failed = true;
        return;
    }
    size_t encoded = (size + 2) / 3 * 4;
    if (size == 0 || !fds_buf_reserve(buf, encoded))
        return;
    const unsigned char *from = data;
    char *to = buf->data + buf->size;
    for (size_t i = 0; i < size; i += 3) {
        size_t have = size - i; /* the last group may have one or two bytes */
        unsigned group = (unsigned)from[i] << 16;
        if (have > 1)
            group |= (unsigned)from[i + 1] << 8;
        if (have > 2)
            group |= from[i + 2];
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = have > 1 ? digits[group >> 6 & 63] : '=';
        *to++ = have > 2 ? digits[group & 63] : '=';
    }
    buf->size += encoded;
}
