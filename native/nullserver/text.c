#include "text.h"

#include <strings.h>

bool fds_ns_text_equal(fds_ns_text a, fds_ns_text b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool fds_ns_text_is(fds_ns_text text, const char *literal) {
    return fds_ns_text_equal(text, fds_ns_text_of(literal));
}

bool fds_ns_text_is_nocase(fds_ns_text text, const char *literal) {
    size_t size = strlen(literal);
    return text.size == size && (size == 0 || strncasecmp(text.data, literal, size) == 0);
}

bool fds_ns_text_starts(fds_ns_text text, fds_ns_text prefix) {
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

fds_ns_text fds_ns_text_trim(fds_ns_text text) {
    while (text.size && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

bool fds_ns_text_next(fds_ns_text *rest, char separator, fds_ns_text *item) {
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, separator, rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    *item = fds_ns_text_trim((fds_ns_text){rest->data, size});
    size_t used = end ? size + 1 : size;
    rest->data += used;
    rest->size -= used;
    return true;
}

bool fds_ns_text_number(fds_ns_text text, uint64_t *value) {
    if (text.size == 0)
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool fds_ns_text_base64(fds_ns_text text, uint8_t *out, size_t size) {
    size_t digits = (size * 8 + 5) / 6;
    if (text.size != (size + 2) / 3 * 4)
        return false;
    for (size_t i = digits; i < text.size; i++)
        if (text.data[i] != '=')
            return false;
    uint32_t bits = 0;
    int held = 0;
    size_t written = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
        held += 6;
        if (held >= 8 && written < size) {
            held -= 8;
            out[written++] = (uint8_t)(bits >> held);
        }
    }
    return written == size;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

ptrdiff_t fds_ns_text_unescape(char *text, size_t size, bool plus_is_blank) {
    size_t written = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 1 < size ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < size ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        }
        text[written++] = c;
    }
    return (ptrdiff_t)written;
}
