/* XML as S3 speaks it: writing by appending, reading by a small tokenizer without DTDs. Pure functions. */
#ifndef FDS_NS_XML_H
#define FDS_NS_XML_H

#include "../buf.h"
#include "text.h"

void fds_ns_xml_declare(fds_buf *out);
void fds_ns_xml_escape(fds_buf *out, fds_ns_text text);
void fds_ns_xml_text(fds_buf *out, const char *element, fds_ns_text text); /* <element>text</element> */
void fds_ns_xml_number(fds_buf *out, const char *element, uint64_t value);
void fds_ns_xml_etag(fds_buf *out, const char *etag); /* <ETag>"…"</ETag> */

typedef enum {
    FDS_NS_XML_START,
    FDS_NS_XML_END,
    FDS_NS_XML_CHARS, /* entities decoded; one text may come in several pieces */
    FDS_NS_XML_DONE,  /* the document element is closed and only white space follows */
    FDS_NS_XML_ERROR,
} fds_ns_xml_token;

#define FDS_NS_XML_DEPTH_MAX 16

typedef struct {
    fds_ns_text rest;
    fds_ns_text open[FDS_NS_XML_DEPTH_MAX]; /* names of the open elements, as written */
    size_t depth;
    bool seen_root;
    bool empty;     /* the last START was <name/>: its END comes next */
    char entity[4]; /* a decoded entity's bytes */
} fds_ns_xml_reader;

void fds_ns_xml_read(fds_ns_xml_reader *reader, fds_ns_text document);

/* The next token; `value` is an element's name without its prefix, or characters valid until the next call. */
fds_ns_xml_token fds_ns_xml_next(fds_ns_xml_reader *reader, fds_ns_text *value);

/* Called for each leaf element, one without child elements: its own name, its parent's name, its text. False stops. */
typedef bool fds_ns_xml_leaf(void *context, fds_ns_text parent, fds_ns_text name, fds_ns_text text);
/* Called at the end of each element that had children. */
typedef bool fds_ns_xml_group(void *context, fds_ns_text name);

/* Walks a whole document whose document element must be `root`. False: malformed, or a callback stopped. */
bool fds_ns_xml_walk(fds_ns_text document, const char *root, fds_ns_xml_leaf *leaf, fds_ns_xml_group *group,
                     void *context);

#endif
