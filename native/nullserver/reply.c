#define _GNU_SOURCE
#include "reply.h"

#include "xml.h"

#include <stdio.h>

void fds_ns_http_time(char out[FDS_NS_TIME_MAX], time_t when) {
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(out, FDS_NS_TIME_MAX, "%a, %d %b %Y %H:%M:%S GMT", &parts);
}

void fds_ns_xml_time(char out[FDS_NS_TIME_MAX], time_t when) {
    struct tm parts;
    gmtime_r(&when, &parts);
    strftime(out, FDS_NS_TIME_MAX, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
}

void fds_ns_reply_header(fds_ns_exchange *exchange, const char *name, fds_ns_text value) {
    fds_buf *headers = &exchange->reply.headers;
    fds_buf_add_str(headers, name);
    fds_buf_add(headers, ": ", 2);
    fds_buf_add(headers, value.data, value.size);
    fds_buf_add(headers, "\r\n", 2);
}

void fds_ns_reply_etag(fds_ns_exchange *exchange, const char *etag) {
    fds_buf *headers = &exchange->reply.headers;
    fds_buf_add_str(headers, "etag: \"");
    fds_buf_add_str(headers, etag);
    fds_buf_add_str(headers, "\"\r\n");
}

void fds_ns_reply_checksum(fds_ns_exchange *exchange, const fds_ns_checksum *checksum, bool with_type) {
    if (!checksum->present)
        return;
    fds_ns_reply_header(exchange, fds_ns_checksum_header(checksum->algorithm), fds_ns_text_of(checksum->text));
    if (with_type)
        fds_ns_reply_header(exchange, "x-amz-checksum-type", fds_ns_text_of(fds_ns_checksum_type_name(checksum->type)));
}

void fds_ns_reply_status(fds_ns_exchange *exchange, int status) {
    exchange->reply.status = status;
}

void fds_ns_reply_xml(fds_ns_exchange *exchange) {
    if (exchange->reply.body.failed) {
        fds_ns_reply_error(exchange, &FDS_NS_INTERNAL);
        return;
    }
    fds_ns_reply_header(exchange, "content-type", FDS_NS_TEXT("application/xml"));
    fds_ns_reply_status(exchange, 200);
}

static void request_id(const fds_ns_exchange *exchange, char out[17]) {
    snprintf(out, 17, "%016llX", (unsigned long long)exchange->id);
}

void fds_ns_reply_error(fds_ns_exchange *exchange, const fds_ns_error *error) {
    fds_ns_reply *reply = &exchange->reply;
    const fds_ns_request *request = &exchange->request;
    if (error->status != 416)
        fds_buf_clear(&reply->headers);
    fds_buf_clear(&reply->body);
    fds_ns_object_drop(reply->object);
    reply->object = NULL;
    reply->kind = FDS_NS_BODY_TEXT;
    fds_ns_reply_header(exchange, "content-type", FDS_NS_TEXT("application/xml"));
    fds_ns_reply_status(exchange, error->status);
    if (request->method == FDS_NS_HEAD)
        return;
    char id[17];
    request_id(exchange, id);
    fds_buf *out = &reply->body;
    fds_ns_xml_declare(out);
    fds_buf_add_str(out, "<Error>");
    fds_ns_xml_text(out, "Code", fds_ns_text_of(error->code));
    fds_ns_xml_text(out, "Message", fds_ns_text_of(error->message));
    fds_buf_add_str(out, "<Resource>/");
    fds_ns_xml_escape(out, request->bucket);
    if (request->key.size) {
        fds_buf_add_char(out, '/');
        fds_ns_xml_escape(out, request->key);
    }
    fds_buf_add_str(out, "</Resource>");
    fds_ns_xml_text(out, "RequestId", fds_ns_text_of(id));
    fds_buf_add_str(out, "</Error>");
}

static const char *reason(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 416:
        return "Range Not Satisfiable";
    case 501:
        return "Not Implemented";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

static uint64_t entity_size(const fds_ns_reply *reply) {
    return reply->kind == FDS_NS_BODY_TEXT ? reply->body.size : reply->length;
}

uint64_t fds_ns_reply_body_size(const fds_ns_exchange *exchange) {
    return exchange->request.method == FDS_NS_HEAD ? 0 : entity_size(&exchange->reply);
}

void fds_ns_reply_render(fds_ns_exchange *exchange, fds_buf *out) {
    fds_ns_worker *worker = exchange->worker;
    const fds_ns_reply *reply = &exchange->reply;
    time_t now = time(NULL);
    if (now != worker->date_second) {
        worker->date_second = now;
        fds_ns_http_time(worker->date, now);
    }
    char id[17];
    request_id(exchange, id);
    fds_buf_add_str(out, "HTTP/1.1 ");
    fds_buf_add_u64(out, (unsigned long long)reply->status);
    fds_buf_add_char(out, ' ');
    fds_buf_add_str(out, reason(reply->status));
    fds_buf_add_str(out, "\r\nserver: fds-nullserver\r\ndate: ");
    fds_buf_add_str(out, worker->date);
    fds_buf_add_str(out, "\r\nx-amz-request-id: ");
    fds_buf_add_str(out, id);
    fds_buf_add_str(out, "\r\n");
    fds_buf_add(out, reply->headers.data, reply->headers.size);
    if (reply->status != 204 && reply->status != 304) {
        fds_buf_add_str(out, "content-length: ");
        fds_buf_add_u64(out, entity_size(reply));
        fds_buf_add_str(out, "\r\n");
    }
    if (reply->close)
        fds_buf_add_str(out, "connection: close\r\n");
    fds_buf_add_str(out, "\r\n");
    if (reply->kind == FDS_NS_BODY_TEXT && exchange->request.method != FDS_NS_HEAD)
        fds_buf_add(out, reply->body.data, reply->body.size);
    out->failed = out->failed || reply->headers.failed || reply->body.failed;
}
