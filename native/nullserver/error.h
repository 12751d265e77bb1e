/* The errors that the server can answer, as S3 names them (Amazon S3 API reference, "Error responses"). */
#ifndef FDS_NS_ERROR_H
#define FDS_NS_ERROR_H

typedef struct {
    int status;
    const char *code;
    const char *message;
} fds_ns_error;

/* name, HTTP status, S3 code, message */
#define FDS_NS_ERRORS(X)                                                                                               \
    X(ACCESS_DENIED, 403, "AccessDenied", "The request carries no signature.")                                         \
    X(BAD_DIGEST, 400, "BadDigest", "The checksum you specified did not match what we received.")                      \
    X(BUCKET_EXISTS, 409, "BucketAlreadyOwnedByYou", "You already own this bucket.")                                   \
    X(BUCKET_NOT_EMPTY, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty.")                         \
    X(COPY_TO_ITSELF, 400, "InvalidRequest",                                                                           \
      "This copy request is illegal because it copies an object to itself without replacing its metadata.")            \
    X(ENTITY_TOO_LARGE, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size.")        \
    X(ENTITY_TOO_SMALL, 400, "EntityTooSmall", "A part other than the last one is smaller than 5 MiB.")                \
    X(HEAD_TOO_LARGE, 400, "RequestHeaderSectionTooLarge", "The request head is larger than 64 KiB.")                  \
    X(INCOMPLETE_BODY, 400, "IncompleteBody", "The body's length is not the announced one.")                           \
    X(INTERNAL, 500, "InternalError", "The server ran out of memory for this request.")                                \
    X(INVALID_ALGORITHM, 400, "InvalidRequest", "The checksum algorithm or type is unknown or does not fit.")          \
    X(INVALID_ARGUMENT, 400, "InvalidArgument", "A query parameter has a value that cannot be used.")                  \
    X(INVALID_BUCKET, 400, "InvalidBucketName", "The specified bucket name is not valid.")                             \
    X(INVALID_CHECKSUM, 400, "InvalidRequest", "The value of the checksum header is not valid.")                       \
    X(INVALID_CHUNK, 400, "InvalidRequest", "The aws-chunked body is malformed.")                                      \
    X(INVALID_DIGEST, 400, "InvalidDigest", "The Content-MD5 you specified is not valid.")                             \
    X(INVALID_PART, 400, "InvalidPart", "A part listed was not uploaded, or its ETag or checksum is another.")         \
    X(INVALID_PART_ORDER, 400, "InvalidPartOrder", "The list of parts was not in ascending order.")                    \
    X(INVALID_RANGE, 416, "InvalidRange", "The requested range is not satisfiable.")                                   \
    X(INVALID_SIZE, 400, "InvalidRequest", "x-amz-mp-object-size is not the sum of the parts.")                        \
    X(INVALID_URI, 400, "InvalidURI", "The request's path or query could not be parsed.")                              \
    X(KEY_TOO_LONG, 400, "KeyTooLongError", "Your key is too long: more than 1,024 bytes.")                            \
    X(MALFORMED_XML, 400, "MalformedXML", "The XML you provided was not well formed or not of the expected shape.")    \
    X(MALFORMED_REQUEST, 400, "BadRequest", "The request is not valid HTTP/1.1.")                                      \
    X(METADATA_TOO_LARGE, 400, "MetadataTooLarge", "Your metadata headers exceed 2 KB.")                               \
    X(METHOD_NOT_ALLOWED, 405, "MethodNotAllowed", "The method is not allowed against this resource.")                 \
    X(MISSING_LENGTH, 411, "MissingContentLength", "You must provide the Content-Length HTTP header.")                 \
    X(MISSING_PART_CHECKSUM, 400, "InvalidRequest",                                                                    \
      "The upload was created with a composite checksum: each part listed must carry its checksum.")                   \
    X(MULTIPLE_CHECKSUMS, 400, "InvalidRequest", "Multiple x-amz-checksum headers are not allowed.")                   \
    X(NOT_IMPLEMENTED, 501, "NotImplemented", "This server does not implement what the request asks for.")             \
    X(NO_SUCH_BUCKET, 404, "NoSuchBucket", "The specified bucket does not exist.")                                     \
    X(NO_SUCH_KEY, 404, "NoSuchKey", "The specified key does not exist.")                                              \
    X(NO_SUCH_UPLOAD, 404, "NoSuchUpload", "The specified multipart upload does not exist.")                           \
    X(PRECONDITION_FAILED, 412, "PreconditionFailed", "A precondition that you specified did not hold.")               \
    X(RANDOM_FAILURE, 500, "InternalError", "We encountered an internal error. Please try again.")                     \
    X(SLOW_DOWN, 503, "SlowDown", "Please reduce your request rate.")                                                  \
    X(STORE_FULL, 507, "InsufficientStorage", "The server's --memory-limit is reached.")                               \
    X(XML_TOO_LARGE, 400, "MaxMessageLengthExceeded", "The XML body is larger than 8 MiB.")

#define FDS_NS_DECLARE_ERROR(name, status, code, message) extern const fds_ns_error FDS_NS_##name;
FDS_NS_ERRORS(FDS_NS_DECLARE_ERROR)
#undef FDS_NS_DECLARE_ERROR

#endif
