/* Mode sink: what is sent is received, verified and dropped. Buckets need not be made; nothing is found again. */
#include "operation.h"
#include "reply.h"

static void answer_ok(fds_ns_exchange *exchange) {
    fds_ns_reply_status(exchange, 200);
}

static void answer_no_content(fds_ns_exchange *exchange) {
    fds_ns_reply_status(exchange, 204);
}

static void answer_no_such_key(fds_ns_exchange *exchange) {
    fds_ns_reply_error(exchange, &FDS_NS_NO_SUCH_KEY);
}

const fds_ns_operation fds_ns_sink_operations[FDS_NS_OPERATIONS] = {
    [FDS_NS_CREATE_BUCKET] = {.finish = answer_ok},
    [FDS_NS_HEAD_BUCKET] = {.finish = answer_ok},
    [FDS_NS_GET_LOCATION] = {.finish = fds_ns_get_location},
    [FDS_NS_DELETE_BUCKET] = {.finish = answer_no_content},
    [FDS_NS_LIST_OBJECTS] = {.finish = fds_ns_list_objects},
    [FDS_NS_LIST_UPLOADS] = {.finish = fds_ns_list_uploads},
    [FDS_NS_DELETE_OBJECTS] = {.finish = fds_ns_delete_objects, .payload = FDS_NS_PAYLOAD_TEXT, .checked = true},
    [FDS_NS_GET_OBJECT] = {.finish = answer_no_such_key},
    [FDS_NS_PUT_OBJECT] = {.begin = fds_ns_put_begin,
                           .finish = fds_ns_put_finish,
                           .payload = FDS_NS_PAYLOAD_DATA,
                           .checked = true},
    [FDS_NS_COPY_OBJECT] = {.finish = answer_no_such_key},
    [FDS_NS_DELETE_OBJECT] = {.finish = answer_no_content},
    [FDS_NS_CREATE_UPLOAD] = {.finish = fds_ns_create_upload},
    [FDS_NS_UPLOAD_PART] = {.begin = fds_ns_part_begin,
                            .finish = fds_ns_part_finish,
                            .payload = FDS_NS_PAYLOAD_DATA,
                            .checked = true},
    [FDS_NS_COMPLETE_UPLOAD] = {.finish = fds_ns_complete_upload, .payload = FDS_NS_PAYLOAD_TEXT},
    [FDS_NS_ABORT_UPLOAD] = {.finish = fds_ns_abort_upload},
    [FDS_NS_LIST_PARTS] = {.finish = fds_ns_list_parts},
};
