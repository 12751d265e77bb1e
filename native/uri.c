#include "uri.h"

/* RFC 3986, section 2.3. By hand: isalnum() follows the locale. */
static bool is_unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

size_t fds_uri_encode(char *out, const char *text, size_t size, bool keep_slash) {
    static const char digits[] = "0123456789ABCDEF"; /* the signature wants capitals */
    char *to = out;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    return (size_t)(to - out);
}
