/* CreateMultipartUpload, UploadPart, AbortMultipartUpload; in mode sink the parts' bytes are dropped. */
#include "metadata.h"
#include "operation.h"
#include "reply.h"
#include "upload.h"
#include "xml.h"

#include <stdio.h>

static const fds_ns_error *read_algorithm(const fds_ns_request *request, bool *declared, fds_crc_algorithm *algorithm,
                                          fds_ns_checksum_type *type) {
    const fds_ns_text *name = fds_ns_request_header(request, "x-amz-checksum-algorithm");
    const fds_ns_text *type_name = fds_ns_request_header(request, "x-amz-checksum-type");
    *declared = name != NULL;
    *algorithm = FDS_CRC64NVME;
    if (name && !fds_ns_checksum_by_name(*name, algorithm))
        return &FDS_NS_NOT_IMPLEMENTED;
    *type = *algorithm == FDS_CRC64NVME ? FDS_NS_FULL_OBJECT : FDS_NS_COMPOSITE;
    if (!type_name)
        return NULL;
    if (fds_ns_text_is(*type_name, "FULL_OBJECT"))
        *type = FDS_NS_FULL_OBJECT;
    else if (fds_ns_text_is(*type_name, "COMPOSITE") && *algorithm != FDS_CRC64NVME)
        *type = FDS_NS_COMPOSITE;
    else
        return &FDS_NS_INVALID_ALGORITHM;
    return NULL;
}

void fds_ns_create_upload(fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    bool declared;
    fds_crc_algorithm algorithm;
    fds_ns_checksum_type type;
    fds_buf metadata = {0};
    const fds_ns_error *error = read_algorithm(request, &declared, &algorithm, &type);
    if (!error)
        error = fds_ns_metadata_collect(request, &metadata);
    if (error) {
        fds_buf_free(&metadata);
        fds_ns_reply_error(exchange, error);
        return;
    }
    char id[sizeof((fds_ns_upload *)0)->id];
    fds_ns_store_lock(store);
    if (fds_ns_exchange_mode(exchange) == FDS_NS_STORE && !fds_ns_store_bucket(store, request->bucket))
        error = &FDS_NS_NO_SUCH_BUCKET;
    fds_ns_upload *upload = error ? NULL : fds_ns_upload_new(store, request->bucket, request->key, &metadata);
    if (upload) {
        upload->declared = declared;
        upload->algorithm = algorithm;
        upload->type = type;
        memcpy(id, upload->id, sizeof id);
    } else if (!error) {
        error = &FDS_NS_STORE_FULL;
    }
    fds_ns_store_unlock(store);
    fds_buf_free(&metadata);
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    if (declared) {
        fds_ns_reply_header(exchange, "x-amz-checksum-algorithm", fds_ns_text_of(fds_ns_checksum_name(algorithm)));
        fds_ns_reply_header(exchange, "x-amz-checksum-type", fds_ns_text_of(fds_ns_checksum_type_name(type)));
    }
    fds_buf *out = &exchange->reply.body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    fds_ns_xml_text(out, "Bucket", request->bucket);
    fds_ns_xml_text(out, "Key", request->key);
    fds_ns_xml_text(out, "UploadId", fds_ns_text_of(id));
    fds_buf_add_str(out, "</InitiateMultipartUploadResult>");
    fds_ns_reply_xml(exchange);
}

static bool read_number(const fds_ns_request *request, unsigned *number) {
    const fds_ns_text *text = fds_ns_request_query(request, "partNumber");
    uint64_t value;
    *number = 0;
    if (!text || !fds_ns_text_number(*text, &value) || value < 1 || value > FDS_NS_PARTS_MAX)
        return false;
    *number = (unsigned)value;
    return true;
}

static fds_ns_upload *find_upload(const fds_ns_exchange *exchange) {
    const fds_ns_request *request = &exchange->request;
    return fds_ns_upload_find(fds_ns_exchange_store(exchange), *fds_ns_request_query(request, "uploadId"),
                              request->bucket, request->key);
}

void fds_ns_part_begin(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_payload *payload = &exchange->payload;
    bool sink = fds_ns_exchange_mode(exchange) == FDS_NS_SINK;
    unsigned number;
    const fds_ns_error *error = read_number(&exchange->request, &number) ? NULL : &FDS_NS_INVALID_ARGUMENT;
    fds_ns_store_lock(store);
    fds_ns_upload *upload = find_upload(exchange);
    if (!error && !upload)
        error = &FDS_NS_NO_SUCH_UPLOAD;
    else if (!error && upload->declared && payload->has_checksum && payload->algorithm != upload->algorithm)
        error = &FDS_NS_INVALID_ALGORITHM;
    else if (!error && !sink)
        payload->computes[upload->algorithm] = true;
    fds_ns_store_unlock(store);
    if (!error) {
        exchange->blob = fds_ns_blob_new(&store->budget, payload->size, !sink);
        if (!exchange->blob)
            error = &FDS_NS_STORE_FULL;
        else if (fds_ns_exchange_makes_md5(exchange) && !fds_ns_payload_compute_md5(payload))
            error = &FDS_NS_INTERNAL;
    }
    if (error)
        fds_ns_reply_error(exchange, error);
    else
        payload->target = exchange->blob->data;
}

void fds_ns_part_finish(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    const fds_ns_payload *payload = &exchange->payload;
    unsigned number;
    read_number(&exchange->request, &number); /* part_begin saw that it is good */
    fds_ns_part part = {.blob = exchange->blob, .modified = time(NULL)};
    if (payload->md5) {
        memcpy(part.md5, payload->md5_value, 16);
        for (size_t i = 0; i < 16; i++)
            snprintf(part.etag + 2 * i, 3, "%02x", part.md5[i]);
    } else { /* as in put.c: no MD5, and not to be taken for one */
        snprintf(part.etag, sizeof part.etag, "%016llx%016llx-1", (unsigned long long)exchange->id,
                 (unsigned long long)payload->size);
    }
    const fds_ns_error *error = NULL;
    fds_ns_store_lock(store);
    fds_ns_upload *upload = find_upload(exchange);
    if (!upload) {
        error = &FDS_NS_NO_SUCH_UPLOAD; /* aborted or completed meanwhile */
    } else {
        part.has_crc = payload->computes[upload->algorithm];
        part.crc = payload->crc[upload->algorithm];
        if (fds_ns_upload_set_part(upload, number, &part))
            exchange->blob = NULL;
        else
            error = &FDS_NS_INTERNAL;
    }
    fds_ns_store_unlock(store);
    if (error) {
        fds_ns_reply_error(exchange, error);
        return;
    }
    fds_ns_reply_etag(exchange, part.etag);
    if (payload->has_checksum) {
        fds_ns_checksum checksum = fds_ns_checksum_of(payload->algorithm, payload->crc[payload->algorithm], 0);
        fds_ns_reply_checksum(exchange, &checksum, false);
    }
    fds_ns_reply_status(exchange, 200);
}

void fds_ns_abort_upload(fds_ns_exchange *exchange) {
    fds_ns_store *store = fds_ns_exchange_store(exchange);
    fds_ns_store_lock(store);
    fds_ns_upload *upload = find_upload(exchange);
    if (upload)
        fds_ns_map_remove(&store->uploads, fds_ns_text_of(upload->id));
    fds_ns_store_unlock(store);
    if (!upload) {
        fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_UPLOAD);
        return;
    }
    fds_ns_upload_free(upload);
    fds_ns_reply_status(exchange, 204);
}
