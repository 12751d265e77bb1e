#include "http1.h"

#include <string.h>

/* One line of a head, without its CRLF, and where in the head it starts. */
typedef struct {
    char *text;
    size_t size;
    size_t offset;
} head_line;

/* ---- response heads ---- */

static fds_parse_result refuse(const char **why, const char *what) {
    *why = what;
    return FDS_PARSE_ERROR;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* A `tchar` of RFC 9110, section 5.6.2: what a field name is made of. */
static bool is_token_char(char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* `word` is lower case. */
static bool equals(const char *text, size_t size, const char *word) {
    if (size != strlen(word))
        return false;
    for (size_t i = 0; i < size; i++)
        if (lower(text[i]) != word[i])
            return false;
    return true;
}

static void trim(const char **text, size_t *size) {
    while (*size > 0 && is_blank((*text)[0])) {
        (*text)++;
        (*size)--;
    }
    while (*size > 0 && is_blank((*text)[*size - 1]))
        (*size)--;
}

/* Looks for the empty line, each byte once over all calls. A peer that isn't HTTP or ends lines with LF alone would
 * never send one, so both are refused here, before the head is complete, and no caller waits for the rest of them. */
static fds_parse_result find_end(const char *data, size_t size, size_t *scanned, size_t *end, const char **why) {
    static const char version[] = "HTTP/1.";
    size_t known = size < sizeof version - 1 ? size : sizeof version - 1;
    if (known > 0 && memcmp(data, version, known) != 0)
        return refuse(why, "the reply is not HTTP/1.x");

    size_t limit = size < FDS_HEAD_MAX ? size : FDS_HEAD_MAX;
    while (*scanned < limit) {
        const char *feed = memchr(data + *scanned, '\n', limit - *scanned);
        if (feed == NULL) {
            *scanned = limit;
            break;
        }
        size_t at = (size_t)(feed - data);
        *scanned = at + 1;
        if (at == 0 || data[at - 1] != '\r')
            return refuse(why, "a line of the head ends with LF without CR");
        if (at >= 2 && data[at - 2] == '\n') {
            *end = at + 1;
            return FDS_PARSE_OK;
        }
    }
    return limit == FDS_HEAD_MAX ? refuse(why, "the head is over 64 KiB") : FDS_PARSE_MORE;
}

/* HTTP/1.x SP 3DIGIT [SP reason]: servers do leave out the reason, and its blank. */
static bool parse_status_line(head_line line, fds_response_head *head, int *minor) {
    const char *text = line.text;
    if (line.size < 12 || memcmp(text, "HTTP/1.", 7) != 0 || !is_digit(text[7]) || text[8] != ' ')
        return false;
    if (text[9] < '1' || text[9] > '9' || !is_digit(text[10]) || !is_digit(text[11]))
        return false;
    if (line.size > 12 && text[12] != ' ')
        return false;
    *minor = text[7] - '0';
    head->status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    return true;
}

static fds_parse_result parse_header_line(head_line line, fds_header *header, const char **why) {
    if (is_blank(line.text[0]))
        return refuse(why, "a folded header line");
    char *colon = memchr(line.text, ':', line.size);
    if (colon == NULL)
        return refuse(why, "a header line without a colon");
    size_t name_size = (size_t)(colon - line.text);
    if (name_size == 0)
        return refuse(why, "a header without a name");
    for (size_t i = 0; i < name_size; i++) {
        if (!is_token_char(line.text[i]))
            return refuse(why, "a header name with a character that none may have");
        line.text[i] = lower(line.text[i]);
    }
    const char *value = colon + 1;
    size_t value_size = line.size - name_size - 1;
    trim(&value, &value_size);
    *header = (fds_header){
        .name = (uint32_t)line.offset,
        .name_size = (uint32_t)name_size,
        .value = (uint32_t)(line.offset + (size_t)(value - line.text)),
        .value_size = (uint32_t)value_size,
    };
    return FDS_PARSE_OK;
}

static bool parse_length(const char *text, size_t size, uint64_t *length) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i]))
            return false;
        unsigned digit = (unsigned)(text[i] - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *length = value;
    return size > 0;
}

/* What the headers say about where the body ends and whether the connection lives on. */
struct framing {
    bool chunked;
    bool close;
    bool keep_alive;
};

static void note_connection(const char *value, size_t size, struct framing *framing) {
    while (size > 0) {
        const char *comma = memchr(value, ',', size);
        size_t item = comma != NULL ? (size_t)(comma - value) : size;
        const char *option = value;
        size_t option_size = item;
        trim(&option, &option_size);
        framing->close |= equals(option, option_size, "close");
        framing->keep_alive |= equals(option, option_size, "keep-alive");
        size_t step = comma != NULL ? item + 1 : item;
        value += step;
        size -= step;
    }
}

static fds_parse_result note_header(const char *data, const fds_header *header, fds_response_head *head,
                                    struct framing *framing, const char **why) {
    const char *name = data + header->name;
    const char *value = data + header->value;
    if (equals(name, header->name_size, "content-length")) {
        uint64_t length;
        if (!parse_length(value, header->value_size, &length))
            return refuse(why, "content-length is not a number below 2^63");
        if (head->has_content_length && head->content_length != length)
            return refuse(why, "content-length is given twice and differs");
        head->has_content_length = true;
        head->content_length = length;
    } else if (equals(name, header->name_size, "transfer-encoding")) {
        if (framing->chunked || !equals(value, header->value_size, "chunked"))
            return refuse(why, "a transfer-encoding other than chunked");
        framing->chunked = true;
    } else if (equals(name, header->name_size, "connection")) {
        note_connection(value, header->value_size, framing);
    }
    if (framing->chunked && head->has_content_length)
        return refuse(why, "content-length together with transfer-encoding");
    return FDS_PARSE_OK;
}

static fds_body_kind body_kind(const fds_response_head *head, const struct framing *framing, bool to_head) {
    if (to_head || head->status < 200 || head->status == 204 || head->status == 304)
        return FDS_BODY_NONE;
    if (framing->chunked)
        return FDS_BODY_CHUNKED;
    return head->has_content_length ? FDS_BODY_LENGTH : FDS_BODY_CLOSE;
}

/* The next line of a complete head, all of whose LFs follow a CR. False if it holds a NUL or another CR. */
static bool next_line(char *data, size_t head_size, size_t *at, head_line *line) {
    char *text = data + *at;
    char *feed = memchr(text, '\n', head_size - *at);
    *line = (head_line){.text = text, .size = (size_t)(feed - text) - 1, .offset = *at};
    *at += line->size + 2;
    return memchr(text, '\0', line->size) == NULL && memchr(text, '\r', line->size) == NULL;
}

fds_parse_result fds_parse_response(char *data, size_t size, size_t *scanned, bool to_head, fds_response_head *head,
                                    const char **why) {
    size_t head_size = 0;
    fds_parse_result found = find_end(data, size, scanned, &head_size, why);
    if (found != FDS_PARSE_OK)
        return found;

    head->head_size = head_size;
    head->header_count = 0;
    head->has_content_length = false;
    head->content_length = 0;
    struct framing framing = {0};
    head_line line;
    size_t at = 0;
    int minor = 0;
    if (!next_line(data, head_size, &at, &line) || !parse_status_line(line, head, &minor))
        return refuse(why, "a malformed status line");
    for (;;) {
        if (!next_line(data, head_size, &at, &line))
            return refuse(why, "a NUL or a bare CR in a header line");
        if (line.size == 0)
            break;
        if (head->header_count == FDS_HEADERS_MAX)
            return refuse(why, "over 128 header lines");
        fds_header *header = &head->headers[head->header_count++];
        fds_parse_result parsed = parse_header_line(line, header, why);
        if (parsed == FDS_PARSE_OK)
            parsed = note_header(data, header, head, &framing, why);
        if (parsed != FDS_PARSE_OK)
            return parsed;
    }
    head->body = body_kind(head, &framing, to_head);
    head->keep_alive = !framing.close && (minor > 0 || framing.keep_alive);
    /* A body that lasts until the connection closes leaves none to keep; and after a chunked HTTP/1.0 reply, whose
     * framing is not to be trusted, RFC 9112, section 6.1, wants the connection closed. */
    if (head->body == FDS_BODY_CLOSE || (framing.chunked && minor == 0))
        head->keep_alive = false;
    return FDS_PARSE_OK;
}

/* ---- chunked bodies ---- */

enum { LINE_MAX_SIZE = 8 * 1024, TRAILER_MAX_SIZE = 16 * 1024 };

enum {
    CHUNK_SIZE, /* 0: what a zero-initialised decoder starts with */
    CHUNK_SIZE_END,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_LINE,
    TRAILER_LF,
    TRAILER_END_LF,
    CHUNKED_DONE,
};

static int hex_value(char c) {
    if (is_digit(c))
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void next_state(fds_chunked *chunked, int state) {
    chunked->state = state;
    chunked->line_size = 0;
}

/* A byte of a size line: 1*HEXDIG, blanks, extensions (skipped), CRLF. NULL, or what is wrong. */
static const char *take_size_byte(fds_chunked *chunked, char c) {
    if (++chunked->line_size > LINE_MAX_SIZE)
        return "a chunk's size line is over 8 KiB";
    if (chunked->state == CHUNK_SIZE_LF) {
        if (c != '\n')
            return "a chunk's size line does not end with CRLF";
        next_state(chunked, chunked->left > 0 ? CHUNK_DATA : TRAILER_START);
        chunked->digits = false;
        return NULL;
    }
    int digit = chunked->state == CHUNK_SIZE ? hex_value(c) : -1;
    if (digit >= 0) {
        if (chunked->left > (uint64_t)INT64_MAX >> 4)
            return "a chunk's size is over 2^63-1";
        chunked->left = chunked->left << 4 | (uint64_t)digit;
        chunked->digits = true;
        return NULL;
    }
    if (!chunked->digits)
        return "a chunk's size is not a hexadecimal number";
    if (c == '\r')
        chunked->state = CHUNK_SIZE_LF;
    else if (c == '\n' || c == '\0')
        return "a NUL or a bare LF in a chunk's size line";
    else if (chunked->state == CHUNK_EXTENSION || c == ';')
        chunked->state = CHUNK_EXTENSION;
    else if (is_blank(c))
        chunked->state = CHUNK_SIZE_END;
    else
        return "a chunk's size is not a hexadecimal number";
    return NULL;
}

/* A byte after the last chunk: trailer lines (skipped), then an empty line. NULL, or what is wrong. */
static const char *take_trailer_byte(fds_chunked *chunked, char c) {
    if (++chunked->line_size > LINE_MAX_SIZE || ++chunked->trailer_size > TRAILER_MAX_SIZE)
        return "a trailer is over 8 KiB in a line or 16 KiB in all";
    if (chunked->state == TRAILER_LF || chunked->state == TRAILER_END_LF) {
        if (c != '\n')
            return "a trailer line does not end with CRLF";
        next_state(chunked, chunked->state == TRAILER_LF ? TRAILER_START : CHUNKED_DONE);
    } else if (c == '\r') {
        chunked->state = chunked->state == TRAILER_START ? TRAILER_END_LF : TRAILER_LF;
    } else if (c == '\n' || c == '\0') {
        return "a NUL or a bare LF in a trailer line";
    } else {
        chunked->state = TRAILER_LINE;
    }
    return NULL;
}

static const char *take_byte(fds_chunked *chunked, char c) {
    switch (chunked->state) {
    case CHUNK_DATA_CR:
        chunked->state = CHUNK_DATA_LF;
        return c == '\r' ? NULL : "a chunk's data is not followed by CRLF";
    case CHUNK_DATA_LF:
        next_state(chunked, CHUNK_SIZE);
        return c == '\n' ? NULL : "a chunk's data is not followed by CRLF";
    case TRAILER_START:
    case TRAILER_LINE:
    case TRAILER_LF:
    case TRAILER_END_LF:
        return take_trailer_byte(chunked, c);
    default:
        return take_size_byte(chunked, c);
    }
}

fds_parse_result fds_chunked_feed(fds_chunked *chunked, const char *data, size_t size, size_t *used, const char **body,
                                  size_t *body_size, const char **why) {
    *used = 0;
    *body = NULL;
    *body_size = 0;
    while (chunked->state != CHUNKED_DONE) {
        if (*used == size)
            return FDS_PARSE_MORE;
        if (chunked->state == CHUNK_DATA) {
            size_t have = size - *used;
            *body = data + *used;
            *body_size = chunked->left < have ? (size_t)chunked->left : have;
            *used += *body_size;
            chunked->left -= *body_size;
            if (chunked->left == 0)
                chunked->state = CHUNK_DATA_CR;
            return FDS_PARSE_MORE;
        }
        const char *wrong = take_byte(chunked, data[(*used)++]);
        if (wrong != NULL)
            return refuse(why, wrong);
    }
    return FDS_PARSE_OK;
}
