/* Percent-encoding as SigV4 and S3 want it (RFC 3986 unreserved characters stay). Pure functions. */
#ifndef FDS_URI_H
#define FDS_URI_H

#include <stdbool.h>
#include <stddef.h>

/* Longest encoding of `size` bytes. */
#define FDS_URI_ENCODED_MAX(size) ((size)*3)

/* Writes the encoding of `text` to `out` (room for FDS_URI_ENCODED_MAX(size) bytes, no terminator) and
 * returns its length. `keep_slash` leaves '/' as it is: object keys in paths. */
size_t fds_uri_encode(char *out, const char *text, size_t size, bool keep_slash);

#endif
