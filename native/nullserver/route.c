#include "operation.h"

/* Subresources and parameters that change what a request means and that no mode implements: to ignore one would be to
 * answer another question. */
static const char *const unsupported[] = {
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "versionId",
    "versioning",
    "versions",
    "website",
};

static bool has(const fds_ns_request *request, const char *name) {
    return fds_ns_request_query(request, name) != NULL;
}

static bool is_unsupported(const fds_ns_request *request) {
    for (size_t i = 0; request->query_count && i < sizeof unsupported / sizeof *unsupported; i++)
        if (has(request, unsupported[i]))
            return true;
    return has(request, "partNumber") && !has(request, "uploadId");
}

static const fds_ns_error *bucket_operation(const fds_ns_request *request, fds_ns_operation_id *id) {
    switch (request->method) {
    case FDS_NS_GET:
        *id = has(request, "location")  ? FDS_NS_GET_LOCATION
              : has(request, "uploads") ? FDS_NS_LIST_UPLOADS
                                        : FDS_NS_LIST_OBJECTS;
        return *id == FDS_NS_LIST_OBJECTS && !has(request, "list-type") ? &FDS_NS_NOT_IMPLEMENTED : NULL;
    case FDS_NS_HEAD:
        *id = FDS_NS_HEAD_BUCKET;
        return NULL;
    case FDS_NS_PUT:
        *id = FDS_NS_CREATE_BUCKET;
        return NULL;
    case FDS_NS_DELETE:
        *id = FDS_NS_DELETE_BUCKET;
        return NULL;
    case FDS_NS_POST:
        *id = FDS_NS_DELETE_OBJECTS;
        return has(request, "delete") ? NULL : &FDS_NS_NOT_IMPLEMENTED;
    default:
        return &FDS_NS_METHOD_NOT_ALLOWED;
    }
}

static const fds_ns_error *object_operation(const fds_ns_request *request, fds_ns_operation_id *id) {
    bool upload = has(request, "uploadId");
    switch (request->method) {
    case FDS_NS_GET:
    case FDS_NS_HEAD:
        *id = upload ? FDS_NS_LIST_PARTS : FDS_NS_GET_OBJECT;
        return NULL;
    case FDS_NS_PUT: {
        bool copy = fds_ns_request_header(request, "x-amz-copy-source") != NULL;
        *id = upload ? FDS_NS_UPLOAD_PART : copy ? FDS_NS_COPY_OBJECT : FDS_NS_PUT_OBJECT;
        return upload && copy ? &FDS_NS_NOT_IMPLEMENTED : NULL;
    }
    case FDS_NS_DELETE:
        *id = upload ? FDS_NS_ABORT_UPLOAD : FDS_NS_DELETE_OBJECT;
        return NULL;
    case FDS_NS_POST:
        *id = upload ? FDS_NS_COMPLETE_UPLOAD : FDS_NS_CREATE_UPLOAD;
        return upload || has(request, "uploads") ? NULL : &FDS_NS_NOT_IMPLEMENTED;
    default:
        return &FDS_NS_METHOD_NOT_ALLOWED;
    }
}

static const fds_ns_error *find_operation(const fds_ns_request *request, fds_ns_operation_id *id) {
    if (is_unsupported(request))
        return &FDS_NS_NOT_IMPLEMENTED;
    if (request->key.size)
        return object_operation(request, id);
    if (request->bucket.size)
        return bucket_operation(request, id);
    *id = FDS_NS_LIST_BUCKETS;
    return request->method == FDS_NS_GET ? NULL : &FDS_NS_METHOD_NOT_ALLOWED;
}

const fds_ns_error *fds_ns_route(fds_ns_exchange *exchange) {
    static const fds_ns_operation *const modes[] = {fds_ns_fixed_operations, fds_ns_sink_operations,
                                                    fds_ns_store_operations};
    const fds_ns_request *request = &exchange->request;
    if (!request->authorized)
        return &FDS_NS_ACCESS_DENIED;
    if (request->key.size > FDS_NS_KEY_MAX)
        return &FDS_NS_KEY_TOO_LONG;
    fds_ns_operation_id id;
    const fds_ns_error *error = find_operation(request, &id);
    if (error)
        return error;
    const fds_ns_operation *operation = &modes[fds_ns_exchange_mode(exchange)][id];
    if (!operation->finish)
        return &FDS_NS_METHOD_NOT_ALLOWED;
    exchange->operation = operation;
    return fds_ns_payload_begin(&exchange->payload, request, operation->payload, operation->checked);
}
