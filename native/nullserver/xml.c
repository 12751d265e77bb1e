#include "xml.h"

void fds_ns_xml_declare(fds_buf *out) {
    fds_buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

static const char *escape_of(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void fds_ns_xml_escape(fds_buf *out, fds_ns_text text) {
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        const char *escape = escape_of(c);
        if (!escape && c >= ' ')
            continue;
        fds_buf_add(out, text.data + plain, i - plain);
        plain = i + 1;
        if (escape) {
            fds_buf_add_str(out, escape);
        } else { /* control characters as S3 writes them, which strict readers refuse: hence encoding-type=url */
            fds_buf_add_str(out, "&#");
            fds_buf_add_u64(out, c);
            fds_buf_add_char(out, ';');
        }
    }
    fds_buf_add(out, text.data + plain, text.size - plain);
}

static void tag(fds_buf *out, const char *open, const char *element) {
    fds_buf_add_str(out, open);
    fds_buf_add_str(out, element);
    fds_buf_add_char(out, '>');
}

void fds_ns_xml_text(fds_buf *out, const char *element, fds_ns_text text) {
    tag(out, "<", element);
    fds_ns_xml_escape(out, text);
    tag(out, "</", element);
}

void fds_ns_xml_number(fds_buf *out, const char *element, uint64_t value) {
    tag(out, "<", element);
    fds_buf_add_u64(out, value);
    tag(out, "</", element);
}

void fds_ns_xml_etag(fds_buf *out, const char *etag) {
    fds_buf_add_str(out, "<ETag>&quot;");
    fds_ns_xml_escape(out, fds_ns_text_of(etag));
    fds_buf_add_str(out, "&quot;</ETag>");
}

void fds_ns_xml_read(fds_ns_xml_reader *reader, fds_ns_text document) {
    *reader = (fds_ns_xml_reader){.rest = document};
    if (fds_ns_text_starts(document, FDS_NS_TEXT("\xEF\xBB\xBF")))
        reader->rest = (fds_ns_text){document.data + 3, document.size - 3};
}

static void advance(fds_ns_xml_reader *reader, size_t size) {
    reader->rest.data += size;
    reader->rest.size -= size;
}

/* Skips up to and including `end`; gives what was before it. */
static bool skip_past(fds_ns_xml_reader *reader, const char *end, fds_ns_text *before) {
    size_t size = strlen(end);
    for (size_t i = 0; i + size <= reader->rest.size; i++) {
        if (memcmp(reader->rest.data + i, end, size) == 0) {
            *before = (fds_ns_text){reader->rest.data, i};
            advance(reader, i + size);
            return true;
        }
    }
    return false;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static fds_ns_text local_name(fds_ns_text name) {
    const char *colon = memchr(name.data, ':', name.size);
    if (!colon)
        return name;
    return (fds_ns_text){colon + 1, name.size - (size_t)(colon + 1 - name.data)};
}

static fds_ns_xml_token read_end_tag(fds_ns_xml_reader *reader, fds_ns_text *value) {
    fds_ns_text name;
    advance(reader, 2);
    if (!skip_past(reader, ">", &name) || reader->depth == 0)
        return FDS_NS_XML_ERROR;
    while (name.size && is_space(name.data[name.size - 1]))
        name.size--;
    if (!fds_ns_text_equal(name, reader->open[--reader->depth]))
        return FDS_NS_XML_ERROR;
    *value = local_name(name);
    return FDS_NS_XML_END;
}

/* Attributes are skipped; a '>' within their quotes is not the end. */
static fds_ns_xml_token read_start_tag(fds_ns_xml_reader *reader, fds_ns_text *value) {
    fds_ns_text text = reader->rest;
    size_t end = 1;
    char quote = 0;
    while (end < text.size && (quote || text.data[end] != '>')) {
        char c = text.data[end++];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '<')
            return FDS_NS_XML_ERROR;
    }
    if (end >= text.size || reader->depth == FDS_NS_XML_DEPTH_MAX || (reader->depth == 0 && reader->seen_root))
        return FDS_NS_XML_ERROR;
    reader->empty = text.data[end - 1] == '/';
    size_t name_end = 1, limit = end - (reader->empty ? 1 : 0);
    while (name_end < limit && !is_space(text.data[name_end]))
        name_end++;
    fds_ns_text name = {text.data + 1, name_end - 1};
    if (name.size == 0)
        return FDS_NS_XML_ERROR;
    reader->seen_root = true;
    reader->open[reader->depth++] = name;
    advance(reader, end + 1);
    *value = local_name(name);
    return FDS_NS_XML_START;
}

static size_t encode_utf8(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

static bool character_reference(fds_ns_text digits, uint32_t *code) {
    uint32_t base = 10;
    if (digits.size && digits.data[0] == 'x') {
        base = 16;
        digits.data++;
        digits.size--;
    }
    *code = 0;
    for (size_t i = 0; i < digits.size; i++) {
        char c = digits.data[i];
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit >= base || (*code = *code * base + digit) > 0x10ffff)
            return false;
    }
    return digits.size > 0;
}

static fds_ns_xml_token read_entity(fds_ns_xml_reader *reader, fds_ns_text *value) {
    static const struct {
        const char *name;
        char c;
    } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    fds_ns_text name;
    uint32_t code = 0;
    advance(reader, 1);
    if (!skip_past(reader, ";", &name) || name.size == 0)
        return FDS_NS_XML_ERROR;
    if (name.data[0] == '#') {
        if (!character_reference((fds_ns_text){name.data + 1, name.size - 1}, &code))
            return FDS_NS_XML_ERROR;
    } else {
        for (size_t i = 0; i < sizeof named / sizeof *named; i++)
            if (fds_ns_text_is(name, named[i].name))
                code = (unsigned char)named[i].c;
        if (!code)
            return FDS_NS_XML_ERROR;
    }
    *value = (fds_ns_text){reader->entity, encode_utf8(code, reader->entity)};
    return FDS_NS_XML_CHARS;
}

fds_ns_xml_token fds_ns_xml_next(fds_ns_xml_reader *reader, fds_ns_text *value) {
    if (reader->empty) {
        reader->empty = false;
        *value = local_name(reader->open[--reader->depth]);
        return FDS_NS_XML_END;
    }
    while (reader->rest.size) {
        fds_ns_text rest = reader->rest;
        if (fds_ns_text_starts(rest, FDS_NS_TEXT("<?"))) {
            if (!skip_past(reader, "?>", value))
                return FDS_NS_XML_ERROR;
        } else if (fds_ns_text_starts(rest, FDS_NS_TEXT("<!--"))) {
            if (!skip_past(reader, "-->", value))
                return FDS_NS_XML_ERROR;
        } else if (fds_ns_text_starts(rest, FDS_NS_TEXT("<![CDATA[")) && reader->depth) {
            advance(reader, 9);
            return skip_past(reader, "]]>", value) ? FDS_NS_XML_CHARS : FDS_NS_XML_ERROR;
        } else if (fds_ns_text_starts(rest, FDS_NS_TEXT("<!"))) {
            return FDS_NS_XML_ERROR; /* no DTDs */
        } else if (fds_ns_text_starts(rest, FDS_NS_TEXT("</"))) {
            return read_end_tag(reader, value);
        } else if (rest.data[0] == '<') {
            return read_start_tag(reader, value);
        } else if (reader->depth == 0) {
            if (!is_space(rest.data[0]))
                return FDS_NS_XML_ERROR;
            advance(reader, 1);
        } else if (rest.data[0] == '&') {
            return read_entity(reader, value);
        } else {
            size_t size = 0;
            while (size < rest.size && rest.data[size] != '<' && rest.data[size] != '&')
                size++;
            *value = (fds_ns_text){rest.data, size};
            advance(reader, size);
            return FDS_NS_XML_CHARS;
        }
    }
    return reader->seen_root && reader->depth == 0 ? FDS_NS_XML_DONE : FDS_NS_XML_ERROR;
}

bool fds_ns_xml_walk(fds_ns_text document, const char *root, fds_ns_xml_leaf *leaf, fds_ns_xml_group *group,
                     void *context) {
    fds_ns_xml_reader reader;
    fds_ns_xml_read(&reader, document);
    fds_buf text = {0};
    bool is_leaf = false, good = true, done = false;
    while (good && !done) {
        fds_ns_text value;
        switch (fds_ns_xml_next(&reader, &value)) {
        case FDS_NS_XML_START:
            good = reader.depth > 1 || fds_ns_text_is(value, root);
            is_leaf = true;
            fds_buf_clear(&text);
            break;
        case FDS_NS_XML_CHARS:
            fds_buf_add(&text, value.data, value.size);
            break;
        case FDS_NS_XML_END: {
            fds_ns_text parent = reader.depth ? local_name(reader.open[reader.depth - 1]) : (fds_ns_text){"", 0};
            if (is_leaf)
                good = leaf(context, parent, value, (fds_ns_text){text.data ? text.data : "", text.size});
            else
                good = group(context, value);
            is_leaf = false;
            break;
        }
        case FDS_NS_XML_DONE:
            done = true;
            break;
        case FDS_NS_XML_ERROR:
            good = false;
            break;
        }
        good = good && !text.failed;
    }
    fds_buf_free(&text);
    return good && done;
}
