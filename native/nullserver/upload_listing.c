/* ListParts and ListMultipartUploads. */
#include "listing.h"
#include "operation.h"
#include "reply.h"
#include "upload.h"
#include "xml.h"

#include <stdlib.h>

static void add_part(fds_buf *out, const fds_ns_upload *upload, unsigned number, const fds_ns_part *part) {
    char modified[FDS_NS_TIME_MAX];
    fds_ns_xml_time(modified, part->modified);
    fds_buf_add_str(out, "<Part>");
    fds_ns_xml_number(out, "PartNumber", number);
    fds_ns_xml_text(out, "LastModified", fds_ns_text_of(modified));
    fds_ns_xml_etag(out, part->etag);
    if (part->has_crc) {
        fds_ns_checksum checksum = fds_ns_checksum_of(upload->algorithm, part->crc, 0);
        fds_ns_xml_text(out, fds_ns_checksum_element(upload->algorithm), fds_ns_text_of(checksum.text));
    }
    fds_ns_xml_number(out, "Size", part->blob->size);
    fds_buf_add_str(out, "</Part>");
}

static void render_parts(fds_buf *out, const fds_ns_upload *upload, uint64_t marker, uint64_t max) {
    fds_ns_xml_text(out, "UploadId", fds_ns_text_of(upload->id));
    fds_ns_xml_text(out, "StorageClass", FDS_NS_TEXT("STANDARD"));
    fds_ns_xml_number(out, "PartNumberMarker", marker);
    fds_ns_xml_number(out, "MaxParts", max);
    fds_ns_xml_text(out, "ChecksumAlgorithm", fds_ns_text_of(fds_ns_checksum_name(upload->algorithm)));
    fds_ns_xml_text(out, "ChecksumType", fds_ns_text_of(fds_ns_checksum_type_name(upload->type)));
    uint64_t count = 0;
    unsigned last = 0;
    fds_ns_node *node = upload->parts.first[0];
    for (; node && (fds_ns_part_number(node) <= marker || count < max); node = node->next[0]) {
        if (fds_ns_part_number(node) <= marker)
            continue;
        last = fds_ns_part_number(node);
        add_part(out, upload, last, node->value);
        count++;
    }
    if (node && max) {
        fds_ns_xml_number(out, "NextPartNumberMarker", last);
        fds_ns_xml_text(out, "IsTruncated", FDS_NS_TEXT("true"));
    } else {
        fds_ns_xml_text(out, "IsTruncated", FDS_NS_TEXT("false"));
    }
}

void fds_ns_list_parts(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_buf *out = &exchange->reply.body;
    uint64_t max, marker = 0;
    fds_ns_text marker_text = fds_ns_list_parameter(request, "part-number-marker");
    if (!fds_ns_list_limit(request, "max-parts", &max) ||
        (marker_text.size && !fds_ns_text_number(marker_text, &marker))) {
        fds_ns_reply_error(exchange, &FDS_NS_INVALID_ARGUMENT);
        return;
    }
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_ns_xml_text(out, "Bucket", request->bucket);
    fds_ns_xml_text(out, "Key", request->key);
    fds_ns_store_lock(store);
    fds_ns_upload *upload =
        fds_ns_upload_find(store, *fds_ns_request_query(request, "uploadId"), request->bucket, request->key);
    if (upload)
        render_parts(out, upload, marker, max);
    fds_ns_store_unlock(store);
    fds_buf_add_str(out, "</ListPartsResult>");
    if (upload)
        fds_ns_reply_xml(exchange);
    else
        fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_UPLOAD);
}

static int compare_texts(fds_ns_text a, fds_ns_text b) {
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_uploads(const void *left, const void *right) {
    const fds_ns_upload *a = *(fds_ns_upload *const *)left, *b = *(fds_ns_upload *const *)right;
    int order = compare_texts(fds_ns_buf_text(&a->key), fds_ns_buf_text(&b->key));
    return order ? order : strcmp(a->id, b->id);
}

typedef struct {
    fds_ns_text prefix, key_marker, id_marker;
    uint64_t max;
    bool url;
} upload_query;

static bool is_behind_marker(const fds_ns_upload *upload, const upload_query *query) {
    if (!query->key_marker.size)
        return true;
    int order = compare_texts(fds_ns_buf_text(&upload->key), query->key_marker);
    if (order || !query->id_marker.size)
        return order > 0;
    return compare_texts(fds_ns_text_of(upload->id), query->id_marker) > 0;
}

/* The bucket's uploads that the query asks for, sorted; the caller frees the array. NULL when memory fails. */
static fds_ns_upload **select_uploads(const fds_ns_store *store, fds_ns_text bucket, const upload_query *query,
                                      size_t *count) {
    fds_ns_upload **selected = malloc((store->uploads.count + 1) * sizeof *selected);
    *count = 0;
    for (fds_ns_node *node = selected ? store->uploads.first[0] : NULL; node; node = node->next[0]) {
        fds_ns_upload *upload = node->value;
        if (fds_ns_text_equal(fds_ns_buf_text(&upload->bucket), bucket) &&
            fds_ns_text_starts(fds_ns_buf_text(&upload->key), query->prefix) && is_behind_marker(upload, query))
            selected[(*count)++] = upload;
    }
    if (selected)
        qsort(selected, *count, sizeof *selected, compare_uploads);
    return selected;
}

static void render_uploads(fds_buf *out, fds_ns_upload *const *uploads, size_t count, const upload_query *query) {
    size_t shown = count < query->max ? count : (size_t)query->max;
    fds_ns_xml_number(out, "MaxUploads", query->max);
    bool truncated = shown < count && shown;
    fds_ns_xml_text(out, "IsTruncated", truncated ? FDS_NS_TEXT("true") : FDS_NS_TEXT("false"));
    if (truncated) {
        fds_ns_list_name(out, "NextKeyMarker", fds_ns_buf_text(&uploads[shown - 1]->key), query->url);
        fds_ns_xml_text(out, "NextUploadIdMarker", fds_ns_text_of(uploads[shown - 1]->id));
    }
    for (size_t i = 0; i < shown; i++) {
        char initiated[FDS_NS_TIME_MAX];
        fds_ns_xml_time(initiated, uploads[i]->initiated);
        fds_buf_add_str(out, "<Upload>");
        fds_ns_list_name(out, "Key", fds_ns_buf_text(&uploads[i]->key), query->url);
        fds_ns_xml_text(out, "UploadId", fds_ns_text_of(uploads[i]->id));
        fds_ns_xml_text(out, "StorageClass", FDS_NS_TEXT("STANDARD"));
        fds_ns_xml_text(out, "Initiated", fds_ns_text_of(initiated));
        fds_ns_xml_text(out, "ChecksumAlgorithm", fds_ns_text_of(fds_ns_checksum_name(uploads[i]->algorithm)));
        fds_ns_xml_text(out, "ChecksumType", fds_ns_text_of(fds_ns_checksum_type_name(uploads[i]->type)));
        fds_buf_add_str(out, "</Upload>");
    }
}

void fds_ns_list_uploads(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_buf *out = &exchange->reply.body;
    upload_query query = {.prefix = fds_ns_list_parameter(request, "prefix"),
                          .key_marker = fds_ns_list_parameter(request, "key-marker"),
                          .id_marker = fds_ns_list_parameter(request, "upload-id-marker")};
    const fds_ns_error *error = NULL;
    if (!fds_ns_list_limit(request, "max-uploads", &query.max) || !fds_ns_list_encoding(request, &query.url))
        error = &FDS_NS_INVALID_ARGUMENT;
    else if (fds_ns_list_parameter(request, "delimiter").size)
        error = &FDS_NS_NOT_IMPLEMENTED;
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_ns_xml_text(out, "Bucket", request->bucket);
    fds_ns_list_name(out, "Prefix", query.prefix, query.url);
    fds_ns_list_name(out, "KeyMarker", query.key_marker, query.url);
    fds_ns_xml_text(out, "UploadIdMarker", query.id_marker);
    if (query.url)
        fds_ns_xml_text(out, "EncodingType", FDS_NS_TEXT("url"));
    fds_ns_store_lock(store);
    if (fds_ns_exchange_mode(exchange) == FDS_NS_STORE && !fds_ns_store_bucket(store, request->bucket)) {
        error = &FDS_NS_NO_SUCH_BUCKET;
    } else {
        size_t count;
        fds_ns_upload **uploads = select_uploads(store, request->bucket, &query, &count);
        if (uploads)
            render_uploads(out, uploads, count, &query);
        else
            error = &FDS_NS_INTERNAL;
        free(uploads);
    }
    fds_ns_store_unlock(store);
    fds_buf_add_str(out, "</ListMultipartUploadsResult>");
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        fds_ns_reply_xml(exchange);
}
