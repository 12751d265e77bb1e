/* Slices of text that belong to someone else, and the few readings of them that requests need. Pure functions. */
#ifndef FDS_NS_TEXT_H
#define FDS_NS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *data; /* not NUL-terminated */
    size_t size;
} fds_ns_text;

#define FDS_NS_TEXT(literal) ((fds_ns_text){(literal), sizeof(literal) - 1})

static inline fds_ns_text fds_ns_text_of(const char *text) {
    return (fds_ns_text){text, strlen(text)};
}

bool fds_ns_text_equal(fds_ns_text a, fds_ns_text b);
bool fds_ns_text_is(fds_ns_text text, const char *literal);
bool fds_ns_text_is_nocase(fds_ns_text text, const char *literal); /* ASCII only */
bool fds_ns_text_starts(fds_ns_text text, fds_ns_text prefix);
fds_ns_text fds_ns_text_trim(fds_ns_text text); /* blanks and tabs */

/* Cuts the text before the first `separator` off the front of `rest`, trimmed; false when `rest` is used up. */
bool fds_ns_text_next(fds_ns_text *rest, char separator, fds_ns_text *item);

/* Decimal digits and nothing else, without overflow. */
bool fds_ns_text_number(fds_ns_text text, uint64_t *value);

/* Exactly `size` bytes in padded base64, as a checksum header carries them. */
bool fds_ns_text_base64(fds_ns_text text, uint8_t *out, size_t size);

/* Undoes percent-encoding in place and returns the new size, or -1 when an escape is broken.
 * `plus_is_blank`: query strings. */
ptrdiff_t fds_ns_text_unescape(char *text, size_t size, bool plus_is_blank);

#endif
