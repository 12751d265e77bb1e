/* Which S3 operation a request asks for, and how each is carried out.
 *
 * `begin` runs when the head is parsed, before the body: it may refuse early, and gives a DATA payload its place.
 * `finish` runs when the body has arrived and was verified. Either sets the reply's status to end the exchange.
 */
#ifndef FDS_NS_OPERATION_H
#define FDS_NS_OPERATION_H

#include "exchange.h"

typedef enum {
    FDS_NS_LIST_BUCKETS,
    FDS_NS_CREATE_BUCKET,
    FDS_NS_HEAD_BUCKET,
    FDS_NS_GET_LOCATION,
    FDS_NS_DELETE_BUCKET,
    FDS_NS_LIST_OBJECTS,
    FDS_NS_LIST_UPLOADS,
    FDS_NS_DELETE_OBJECTS,
    FDS_NS_GET_OBJECT, /* and HEAD */
    FDS_NS_PUT_OBJECT,
    FDS_NS_COPY_OBJECT,
    FDS_NS_DELETE_OBJECT,
    FDS_NS_CREATE_UPLOAD,
    FDS_NS_UPLOAD_PART,
    FDS_NS_COMPLETE_UPLOAD,
    FDS_NS_ABORT_UPLOAD,
    FDS_NS_LIST_PARTS,
    FDS_NS_OPERATIONS,
} fds_ns_operation_id;

typedef struct fds_ns_operation {
    void (*begin)(fds_ns_exchange *exchange);  /* NULL: nothing to do before the body */
    void (*finish)(fds_ns_exchange *exchange); /* NULL: this mode doesn't know the operation */
    fds_ns_payload_kind payload;
    bool checked; /* the request's checksum headers speak of its body */
} fds_ns_operation;

/* Finds the exchange's operation and prepares its payload; NULL, or what to answer instead. */
const fds_ns_error *fds_ns_route(fds_ns_exchange *exchange);

/* The operations of each mode. */
extern const fds_ns_operation fds_ns_fixed_operations[FDS_NS_OPERATIONS];
extern const fds_ns_operation fds_ns_sink_operations[FDS_NS_OPERATIONS];
extern const fds_ns_operation fds_ns_store_operations[FDS_NS_OPERATIONS];

/* Shared by sink and store; what is kept depends on the mode. */
void fds_ns_put_begin(fds_ns_exchange *exchange);
void fds_ns_put_finish(fds_ns_exchange *exchange);
void fds_ns_create_upload(fds_ns_exchange *exchange);
void fds_ns_part_begin(fds_ns_exchange *exchange);
void fds_ns_part_finish(fds_ns_exchange *exchange);
void fds_ns_complete_upload(fds_ns_exchange *exchange);
void fds_ns_abort_upload(fds_ns_exchange *exchange);
void fds_ns_list_parts(fds_ns_exchange *exchange);
void fds_ns_list_uploads(fds_ns_exchange *exchange);
void fds_ns_list_objects(fds_ns_exchange *exchange);
void fds_ns_delete_objects(fds_ns_exchange *exchange);
void fds_ns_get_location(fds_ns_exchange *exchange);

/* Mode store alone. */
void fds_ns_list_buckets(fds_ns_exchange *exchange);
void fds_ns_create_bucket(fds_ns_exchange *exchange);
void fds_ns_head_bucket(fds_ns_exchange *exchange);
void fds_ns_delete_bucket(fds_ns_exchange *exchange);
void fds_ns_copy_object(fds_ns_exchange *exchange);

#endif
