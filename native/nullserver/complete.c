/* CompleteMultipartUpload: checks the list of parts and makes them one object. */
#include "operation.h"
#include "reply.h"
#include "serve.h"
#include "upload.h"
#include "xml.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    unsigned number;
    char etag[FDS_NS_ETAG_MAX];
    bool has_crc, mismatch; /* mismatch: a value that can be no part's */
    fds_crc_algorithm algorithm;
    uint64_t crc;
} listed_part;

typedef struct {
    listed_part *parts; /* room for FDS_NS_PARTS_MAX */
    size_t count;
    listed_part current;
} part_list;

static bool take_checksum(listed_part *part, fds_ns_text name, fds_ns_text text) {
    for (int i = 0; i < FDS_CRC_COUNT; i++) {
        if (!fds_ns_text_is(name, fds_ns_checksum_element((fds_crc_algorithm)i)))
            continue;
        part->has_crc = true;
        part->algorithm = (fds_crc_algorithm)i;
        part->mismatch = !fds_ns_checksum_parse(part->algorithm, text, &part->crc);
    }
    return true;
}

static bool take_leaf(void *context, fds_ns_text parent, fds_ns_text name, fds_ns_text text) {
    part_list *list = context;
    listed_part *part = &list->current;
    if (!fds_ns_text_is(parent, "Part"))
        return parent.size > 0; /* an empty root has no parts: refused when the list is looked at */
    if (fds_ns_text_is(name, "PartNumber")) {
        uint64_t number;
        if (!fds_ns_text_number(text, &number) || number < 1 || number > FDS_NS_PARTS_MAX)
            return false;
        part->number = (unsigned)number;
        return true;
    }
    if (fds_ns_text_is(name, "ETag")) {
        if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
            text = (fds_ns_text){text.data + 1, text.size - 2};
        part->mismatch = part->mismatch || text.size >= sizeof part->etag;
        snprintf(part->etag, sizeof part->etag, "%.*s", (int)(text.size < 64 ? text.size : 64), text.data);
        return true;
    }
    return take_checksum(part, name, text);
}

static bool take_group(void *context, fds_ns_text name) {
    part_list *list = context;
    if (!fds_ns_text_is(name, "Part"))
        return fds_ns_text_is(name, "CompleteMultipartUpload");
    if (!list->current.number || list->count == FDS_NS_PARTS_MAX)
        return false;
    list->parts[list->count++] = list->current;
    list->current = (listed_part){0};
    return true;
}

static const fds_ns_error *check_parts(const fds_ns_upload *upload, const part_list *list, uint64_t part_min,
                                       uint64_t *size) {
    unsigned last = 0;
    *size = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->parts[i].number <= last)
            return &FDS_NS_INVALID_PART_ORDER;
        last = list->parts[i].number;
    }
    for (size_t i = 0; i < list->count; i++) {
        const listed_part *listed = &list->parts[i];
        const fds_ns_part *part = fds_ns_upload_part(upload, listed->number);
        if (!part || listed->mismatch || strcmp(part->etag, listed->etag) != 0)
            return &FDS_NS_INVALID_PART;
        if (listed->has_crc && upload->declared &&
            (listed->algorithm != upload->algorithm || (part->has_crc && part->crc != listed->crc)))
            return &FDS_NS_INVALID_PART;
        if (!listed->has_crc && upload->declared && upload->type == FDS_NS_COMPOSITE)
            return &FDS_NS_MISSING_PART_CHECKSUM;
        if (i + 1 < list->count && part->blob->size < part_min)
            return &FDS_NS_ENTITY_TOO_SMALL;
        *size += part->blob->size;
    }
    return NULL;
}

/* Absent when a part's CRC is unknown, which mode sink allows. */
static fds_ns_checksum combine(const fds_ns_upload *upload, const part_list *list, uint64_t *full) {
    uint64_t crc = 0;
    *full = 0;
    for (size_t i = 0; i < list->count; i++) {
        const fds_ns_part *part = fds_ns_upload_part(upload, list->parts[i].number);
        if (!part->has_crc)
            return (fds_ns_checksum){0};
        uint8_t bytes[8];
        size_t width = fds_ns_checksum_bytes(upload->algorithm, part->crc, bytes);
        crc = fds_crc_update(upload->algorithm, crc, bytes, width);
        *full = fds_crc_combine(upload->algorithm, *full, part->crc, part->blob->size);
    }
    if (upload->type == FDS_NS_COMPOSITE)
        return fds_ns_checksum_of(upload->algorithm, crc, (unsigned)list->count);
    return fds_ns_checksum_of(upload->algorithm, *full, 0);
}

/* What the request's headers claim of the finished object. */
static const fds_ns_error *check_claims(const fds_ns_request *request, const fds_ns_upload *upload,
                                        const fds_ns_checksum *checksum, uint64_t full, uint64_t size) {
    const fds_ns_text *type = fds_ns_request_header(request, "x-amz-checksum-type");
    if (type && !fds_ns_text_is(*type, fds_ns_checksum_type_name(upload->type)))
        return &FDS_NS_INVALID_ALGORITHM;
    const fds_ns_text *object_size = fds_ns_request_header(request, "x-amz-mp-object-size");
    uint64_t claimed;
    if (object_size && (!fds_ns_text_number(*object_size, &claimed) || claimed != size))
        return &FDS_NS_INVALID_SIZE;
    for (int i = 0; i < FDS_CRC_COUNT; i++) {
        const fds_ns_text *value = fds_ns_request_header(request, fds_ns_checksum_header((fds_crc_algorithm)i));
        if (!value)
            continue;
        if ((fds_crc_algorithm)i != upload->algorithm)
            return &FDS_NS_INVALID_ALGORITHM;
        if (!checksum->present || fds_ns_text_is(*value, checksum->text))
            continue;
        fds_ns_checksum whole = fds_ns_checksum_of(upload->algorithm, full, 0);
        if (upload->type == FDS_NS_COMPOSITE || !fds_ns_text_is(*value, whole.text))
            return &FDS_NS_BAD_DIGEST;
    }
    return NULL;
}

static void make_etag(char out[FDS_NS_ETAG_MAX], const fds_ns_exchange *exchange, const fds_ns_upload *upload,
                      const part_list *list) {
    uint8_t digest[EVP_MAX_MD_SIZE] = {0};
    if (fds_ns_exchange_makes_md5(exchange)) {
        EVP_MD_CTX *md5 = EVP_MD_CTX_new();
        bool good = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL);
        for (size_t i = 0; good && i < list->count; i++)
            good = EVP_DigestUpdate(md5, fds_ns_upload_part(upload, list->parts[i].number)->md5, 16);
        if (good)
            EVP_DigestFinal_ex(md5, digest, NULL);
        EVP_MD_CTX_free(md5);
    } else {
        memcpy(digest, &exchange->id, sizeof exchange->id);
    }
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    snprintf(out + 32, FDS_NS_ETAG_MAX - 32, "-%zu", list->count);
}

static const fds_ns_error *install(fds_ns_exchange *exchange, fds_ns_upload *upload, const part_list *list,
                                   uint64_t size, const char *etag, const fds_ns_checksum *checksum) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_bucket *bucket = fds_ns_store_bucket(store, request->bucket);
    if (!bucket)
        return &FDS_NS_NO_SUCH_BUCKET;
    fds_ns_object *present = fds_ns_store_object(store, request->bucket, request->key);
    const fds_ns_error *error = fds_ns_write_conditions(request, present ? present->etag : NULL);
    if (error)
        return error;
    fds_buf metadata = {0};
    fds_buf_add(&metadata, upload->metadata.data, upload->metadata.size);
    fds_ns_object *object = metadata.failed ? NULL : fds_ns_object_new(&store->budget, list->count, &metadata);
    fds_buf_free(&metadata);
    if (!object)
        return &FDS_NS_STORE_FULL;
    object->size = size;
    object->checksum = *checksum;
    snprintf(object->etag, sizeof object->etag, "%s", etag);
    for (size_t i = 0; i < list->count; i++)
        object->blobs[i] = fds_ns_blob_share(fds_ns_upload_part(upload, list->parts[i].number)->blob);
    if (!fds_ns_store_install(bucket, request->key, object)) {
        fds_ns_object_drop(object);
        return &FDS_NS_INTERNAL;
    }
    return NULL;
}

/* With the lock held. The upload is taken out of the store when all is well. */
static const fds_ns_error *complete(fds_ns_exchange *exchange, const part_list *list, fds_ns_upload **done,
                                    char etag[FDS_NS_ETAG_MAX], fds_ns_checksum *checksum) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_upload *upload =
        fds_ns_upload_find(store, *fds_ns_request_query(request, "uploadId"), request->bucket, request->key);
    if (!upload)
        return &FDS_NS_NO_SUCH_UPLOAD;
    uint64_t size, full;
    const fds_ns_error *error = check_parts(upload, list, store->part_min, &size);
    if (error)
        return error;
    *checksum = combine(upload, list, &full);
    error = check_claims(request, upload, checksum, full, size);
    if (error)
        return error;
    make_etag(etag, exchange, upload, list);
    if (fds_ns_exchange_mode(exchange) == FDS_NS_STORE)
        error = install(exchange, upload, list, size, etag, checksum);
    if (!error)
        *done = fds_ns_map_remove(&store->uploads, fds_ns_text_of(upload->id));
    return error;
}

static void reply(fds_ns_exchange *exchange, const char *etag, const fds_ns_checksum *checksum) {
    fds_buf *out = &exchange->reply.body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_buf_add_str(out, "<Location>/");
    fds_ns_xml_escape(out, exchange->request.bucket);
    fds_buf_add_char(out, '/');
    fds_ns_xml_escape(out, exchange->request.key);
    fds_buf_add_str(out, "</Location>");
    fds_ns_xml_text(out, "Bucket", exchange->request.bucket);
    fds_ns_xml_text(out, "Key", exchange->request.key);
    fds_ns_xml_etag(out, etag);
    if (checksum->present) {
        fds_ns_xml_text(out, fds_ns_checksum_element(checksum->algorithm), fds_ns_text_of(checksum->text));
        fds_ns_xml_text(out, "ChecksumType", fds_ns_text_of(fds_ns_checksum_type_name(checksum->type)));
    }
    fds_buf_add_str(out, "</CompleteMultipartUploadResult>");
    fds_ns_reply_xml(exchange);
}

void fds_ns_complete_upload(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    part_list list = {.parts = malloc(FDS_NS_PARTS_MAX * sizeof(listed_part))};
    fds_ns_text document = fds_ns_buf_text(&exchange->payload.text);
    const fds_ns_error *error = NULL;
    fds_ns_upload *done = NULL;
    char etag[FDS_NS_ETAG_MAX];
    fds_ns_checksum checksum;
    if (!list.parts)
        error = &FDS_NS_INTERNAL;
    else if (!fds_ns_xml_walk(document, "CompleteMultipartUpload", take_leaf, take_group, &list) || !list.count)
        error = &FDS_NS_MALFORMED_XML;
    if (!error) {
        fds_ns_store_lock(store);
        error = complete(exchange, &list, &done, etag, &checksum);
        fds_ns_store_unlock(store);
    }
    free(list.parts);
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    fds_ns_upload_free(done);
    reply(exchange, etag, &checksum);
}
