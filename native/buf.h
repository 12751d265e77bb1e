/* A growable byte string. One owner, no locking. A failed allocation sets `failed` and later writes are
 * ignored, so that a writer checks once, at the end. */
#ifndef FDS_BUF_H
#define FDS_BUF_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *data; /* not NUL-terminated */
    size_t size;
    size_t capacity;
    bool failed;
} fds_buf;

void fds_buf_free(fds_buf *buf);
void fds_buf_clear(fds_buf *buf); /* empties, keeps the memory */
bool fds_buf_reserve(fds_buf *buf, size_t extra);
void fds_buf_add(fds_buf *buf, const void *data, size_t size);
void fds_buf_add_str(fds_buf *buf, const char *text);
void fds_buf_add_char(fds_buf *buf, char c);
void fds_buf_add_u64(fds_buf *buf, unsigned long long value);            /* decimal */
void fds_buf_add_hex(fds_buf *buf, const void *data, size_t size);       /* lower case */
void fds_buf_add_base64(fds_buf *buf, const void *data, size_t size);    /* RFC 4648, padded */

#endif
