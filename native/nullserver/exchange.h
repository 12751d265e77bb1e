/* One request and its reply, as the operations see them.
 *
 * An exchange belongs to one connection and is used by that connection's loop only; the server's parts that several
 * loops share (the store) lock themselves.
 */
#ifndef FDS_NS_EXCHANGE_H
#define FDS_NS_EXCHANGE_H

#include "object.h"
#include "options.h"
#include "payload.h"
#include "request.h"
#include "shaping.h"

#include <stdatomic.h>

struct fds_ns_store;
struct fds_ns_operation;

/* What all loops share; immutable but for the store behind its lock and the meters. */
typedef struct {
    const fds_ns_options *options;
    struct fds_ns_store *store;
    fds_ns_shaping *shaping;
} fds_ns_server;

#define FDS_NS_CACHED_CRCS 256

/* Bytes of bodies so far. One loop adds, any thread may read. */
typedef struct {
    _Atomic uint64_t sent, received;
} fds_ns_traffic;

/* What one loop keeps for all of its connections. */
typedef struct {
    const fds_ns_server *server;
    uint64_t next_request_id;
    uint64_t chance; /* state of what happens at random */
    fds_ns_traffic traffic;
    time_t date_second;
    char date[32]; /* of that second, as the Date header wants it */
    struct {
        bool known;
        uint64_t size, crc;
    } pattern_crcs[FDS_NS_CACHED_CRCS]; /* mode fixed: by size */
} fds_ns_worker;

typedef enum {
    FDS_NS_BODY_TEXT,    /* `body` */
    FDS_NS_BODY_PATTERN, /* `length` bytes of the pattern from `offset` */
    FDS_NS_BODY_OBJECT,  /* the same of `object`, to which the reply holds a reference */
} fds_ns_body_kind;

typedef struct {
    int status;      /* 0: not decided yet */
    bool close;      /* the connection ends after this reply */
    fds_buf headers; /* lines, beside those that every reply has */
    fds_ns_body_kind kind;
    fds_buf body;
    fds_ns_object *object;
    uint64_t offset, length;
} fds_ns_reply;

typedef struct {
    fds_ns_worker *worker;
    fds_ns_request request;
    const struct fds_ns_operation *operation;
    fds_ns_payload payload;
    fds_ns_blob *blob; /* receives the payload of a PUT or a part; one reference */
    uint64_t id;       /* x-amz-request-id */
    fds_ns_reply reply;
} fds_ns_exchange;

void fds_ns_exchange_start(fds_ns_exchange *exchange); /* a new request id */
void fds_ns_exchange_reset(fds_ns_exchange *exchange); /* drops what the exchange holds, ready for the next request */

static inline struct fds_ns_store *fds_ns_exchange_store(const fds_ns_exchange *exchange) {
    return exchange->worker->server->store;
}

static inline fds_ns_mode fds_ns_exchange_mode(const fds_ns_exchange *exchange) {
    return exchange->worker->server->options->mode;
}

/* Whether the ETag of what is uploaded is made from MD5s, as on S3. */
static inline bool fds_ns_exchange_makes_md5(const fds_ns_exchange *exchange) {
    return fds_ns_exchange_mode(exchange) == FDS_NS_STORE && !exchange->worker->server->options->opaque_etags;
}

#endif
