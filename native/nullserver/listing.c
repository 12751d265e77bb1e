/* ListObjectsV2. */
#include "listing.h"

#include "../uri.h"
#include "operation.h"
#include "reply.h"
#include "store.h"
#include "upload.h"
#include "xml.h"

void fds_ns_list_name(fds_buf *out, const char *element, fds_ns_text name, bool url) {
    if (!url) {
        fds_ns_xml_text(out, element, name);
        return;
    }
    fds_buf_add_char(out, '<');
    fds_buf_add_str(out, element);
    fds_buf_add_char(out, '>');
    if (fds_buf_reserve(out, FDS_URI_ENCODED_MAX(name.size)))
        out->size += fds_uri_encode(out->data + out->size, name.data, name.size, true);
    fds_buf_add_str(out, "</");
    fds_buf_add_str(out, element);
    fds_buf_add_char(out, '>');
}

bool fds_ns_list_limit(const fds_ns_request *request, const char *name, uint64_t *limit) {
    const fds_ns_text *text = fds_ns_request_query(request, name);
    *limit = FDS_NS_LIST_MAX;
    if (text && text->size && !fds_ns_text_number(*text, limit))
        return false;
    if (*limit > FDS_NS_LIST_MAX)
        *limit = FDS_NS_LIST_MAX;
    return true;
}

fds_ns_text fds_ns_list_parameter(const fds_ns_request *request, const char *name) {
    const fds_ns_text *text = fds_ns_request_query(request, name);
    return text ? *text : (fds_ns_text){"", 0};
}

bool fds_ns_list_encoding(const fds_ns_request *request, bool *url) {
    fds_ns_text encoding = fds_ns_list_parameter(request, "encoding-type");
    *url = fds_ns_text_is(encoding, "url");
    return *url || encoding.size == 0;
}

typedef struct {
    fds_ns_text prefix, delimiter, start_after, token;
    bool url;
    uint64_t max_keys;
    /* where to go on */
    fds_buf from; /* the first key that may be listed */
    bool no_more; /* nothing can follow: a common prefix of 0xff bytes */
    fds_buf contents, prefixes, last;
    uint64_t count;
    bool truncated;
} listing;

static void set_text(fds_buf *buf, fds_ns_text text) {
    fds_buf_clear(buf);
    fds_buf_add(buf, text.data, text.size);
}

/* The least key that is behind all keys with this prefix. */
static bool past_prefix(fds_buf *out, fds_ns_text prefix) {
    while (prefix.size && (unsigned char)prefix.data[prefix.size - 1] == 0xff)
        prefix.size--;
    set_text(out, prefix);
    if (!prefix.size || out->failed)
        return false;
    out->data[out->size - 1]++;
    return true;
}

static void past_key(fds_buf *out, fds_ns_text key) {
    set_text(out, key);
    fds_buf_add_char(out, 0); /* the least key greater than `key` */
}

/* A token is the hex of 'k' or 'p' and the last key or common prefix that was listed. */
static bool read_token(listing *list) {
    if (list->token.size % 2 || list->token.size < 2)
        return false;
    fds_buf plain = {0};
    for (size_t i = 0; i < list->token.size; i += 2) {
        char escape[3] = {'%', list->token.data[i], list->token.data[i + 1]};
        if (fds_ns_text_unescape(escape, 3, false) != 1) {
            fds_buf_free(&plain);
            return false;
        }
        fds_buf_add_char(&plain, escape[0]);
    }
    bool good = !plain.failed && (plain.data[0] == 'k' || plain.data[0] == 'p');
    if (good) {
        fds_ns_text name = {plain.data + 1, plain.size - 1};
        if (plain.data[0] == 'k')
            past_key(&list->from, name);
        else
            list->no_more = !past_prefix(&list->from, name);
    }
    fds_buf_free(&plain);
    return good;
}

static const fds_ns_error *read_parameters(const fds_ns_request *request, listing *list) {
    list->prefix = fds_ns_list_parameter(request, "prefix");
    list->delimiter = fds_ns_list_parameter(request, "delimiter");
    list->start_after = fds_ns_list_parameter(request, "start-after");
    list->token = fds_ns_list_parameter(request, "continuation-token");
    if (!fds_ns_list_limit(request, "max-keys", &list->max_keys) || !fds_ns_list_encoding(request, &list->url))
        return &FDS_NS_INVALID_ARGUMENT;
    if (fds_ns_request_query(request, "continuation-token")) {
        if (!read_token(list))
            return &FDS_NS_INVALID_ARGUMENT;
    } else if (list->start_after.size) {
        past_key(&list->from, list->start_after);
    }
    fds_ns_text from = fds_ns_buf_text(&list->from);
    size_t common = from.size < list->prefix.size ? from.size : list->prefix.size;
    int order = common ? memcmp(from.data, list->prefix.data, common) : 0;
    if (order < 0 || (order == 0 && from.size < list->prefix.size))
        set_text(&list->from, list->prefix);
    return list->from.failed ? &FDS_NS_INTERNAL : NULL;
}

/* The common prefix that the key is rolled up into, or an empty text. */
static fds_ns_text rolled_up(const listing *list, fds_ns_text key) {
    fds_ns_text delimiter = list->delimiter;
    for (size_t i = list->prefix.size; delimiter.size && i + delimiter.size <= key.size; i++)
        if (memcmp(key.data + i, delimiter.data, delimiter.size) == 0)
            return (fds_ns_text){key.data, i + delimiter.size};
    return (fds_ns_text){"", 0};
}

static void add_object(listing *list, fds_ns_text key, const fds_ns_object *object) {
    fds_buf *out = &list->contents;
    char modified[FDS_NS_TIME_MAX];
    fds_ns_xml_time(modified, object->modified);
    fds_buf_add_str(out, "<Contents>");
    fds_ns_list_name(out, "Key", key, list->url);
    fds_ns_xml_text(out, "LastModified", fds_ns_text_of(modified));
    fds_ns_xml_etag(out, object->etag);
    if (object->checksum.present) {
        fds_ns_xml_text(out, "ChecksumAlgorithm", fds_ns_text_of(fds_ns_checksum_name(object->checksum.algorithm)));
        fds_ns_xml_text(out, "ChecksumType", fds_ns_text_of(fds_ns_checksum_type_name(object->checksum.type)));
    }
    fds_ns_xml_number(out, "Size", object->size);
    fds_buf_add_str(out, "<StorageClass>STANDARD</StorageClass></Contents>");
}

static void walk(listing *list, const fds_ns_map *objects) {
    fds_ns_node *node =
        list->no_more || !list->max_keys ? NULL : fds_ns_map_seek(objects, fds_ns_buf_text(&list->from));
    while (node && fds_ns_text_starts(fds_ns_node_key(node), list->prefix)) {
        if (list->count == list->max_keys) {
            list->truncated = true;
            return;
        }
        fds_ns_text key = fds_ns_node_key(node), common = rolled_up(list, key);
        list->count++;
        fds_buf_clear(&list->last);
        fds_buf_add_char(&list->last, common.size ? 'p' : 'k');
        if (common.size) {
            fds_buf_add(&list->last, common.data, common.size);
            fds_buf_add_str(&list->prefixes, "<CommonPrefixes>");
            fds_ns_list_name(&list->prefixes, "Prefix", common, list->url);
            fds_buf_add_str(&list->prefixes, "</CommonPrefixes>");
            node = past_prefix(&list->from, common) ? fds_ns_map_seek(objects, fds_ns_buf_text(&list->from)) : NULL;
        } else {
            fds_buf_add(&list->last, key.data, key.size);
            add_object(list, key, node->value);
            node = node->next[0];
        }
    }
}

static void render(fds_ns_exchange *exchange, listing *list) {
    fds_buf *out = &exchange->reply.body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_ns_xml_text(out, "Name", exchange->request.bucket);
    fds_ns_list_name(out, "Prefix", list->prefix, list->url);
    if (list->delimiter.size)
        fds_ns_list_name(out, "Delimiter", list->delimiter, list->url);
    if (list->start_after.size)
        fds_ns_list_name(out, "StartAfter", list->start_after, list->url);
    if (list->token.size)
        fds_ns_xml_text(out, "ContinuationToken", list->token);
    if (list->url)
        fds_ns_xml_text(out, "EncodingType", FDS_NS_TEXT("url"));
    fds_ns_xml_number(out, "MaxKeys", list->max_keys);
    fds_ns_xml_number(out, "KeyCount", list->count);
    fds_ns_xml_text(out, "IsTruncated", list->truncated ? FDS_NS_TEXT("true") : FDS_NS_TEXT("false"));
    if (list->truncated) {
        fds_buf_add_str(out, "<NextContinuationToken>");
        fds_buf_add_hex(out, list->last.data, list->last.size);
        fds_buf_add_str(out, "</NextContinuationToken>");
    }
    fds_buf_add(out, list->contents.data, list->contents.size);
    fds_buf_add(out, list->prefixes.data, list->prefixes.size);
    fds_buf_add_str(out, "</ListBucketResult>");
    out->failed = out->failed || list->contents.failed || list->prefixes.failed || list->last.failed;
    fds_ns_reply_xml(exchange);
}

void fds_ns_list_objects(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    listing list = {0};
    const fds_ns_error *error = read_parameters(&exchange->request, &list);
    if (!error && fds_ns_exchange_mode(exchange) == FDS_NS_STORE) {
        fds_ns_store_lock(store);
        fds_ns_bucket *bucket = fds_ns_store_bucket(store, exchange->request.bucket);
        if (bucket)
            walk(&list, &bucket->objects);
        else
            error = &FDS_NS_NO_SUCH_BUCKET;
        fds_ns_store_unlock(store);
    }
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        render(exchange, &list);
    fds_buf_free(&list.from);
    fds_buf_free(&list.contents);
    fds_buf_free(&list.prefixes);
    fds_buf_free(&list.last);
}
