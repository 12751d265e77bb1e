/* One attempt of one request: the order that a waiter gives and the report that it gets back.
 *
 * Ownership: the submitter's until fds_plane_submit; then the event loop's, which reads the order and fills the report;
 * again the submitter's when fds_queue_take has handed it back as FINISHED. While PAUSED it is shared: the submitter
 * reads the report's head and may set the target, then `proceed`, and call fds_plane_notice.
 * Every string, span and pair of the order belongs to the submitter and stays valid until FINISHED.
 */
#ifndef FDS_ATTEMPT_H
#define FDS_ATTEMPT_H

#include "buf.h"
#include "crc.h"
#include "endpoint.h"
#include "http1.h"
#include "queue.h"
#include "sigv4.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t size;
} fds_span;

typedef enum {
    FDS_DONE,           /* a whole response, whatever its status */
    FDS_CUT,            /* target, or content, was filled and the body went on; the connection was closed */
    FDS_CANCELLED,
    FDS_RESOLVE_FAILED,
    FDS_CONNECT_FAILED, /* refused, unreachable or timed out, at every address */
    FDS_TLS_FAILED,
    FDS_DISCONNECTED,   /* the connection ended before the response did */
    FDS_STALLED,        /* no byte in either direction for the stall timeout */
    FDS_PROTOCOL_ERROR, /* not valid HTTP, or over a bound */
    FDS_NO_MEMORY,
} fds_outcome;

typedef enum {
    FDS_PAYLOAD_UNSIGNED, /* UNSIGNED-PAYLOAD */
    FDS_PAYLOAD_SIGNED,   /* SHA-256 of the body */
} fds_payload;

enum { FDS_NO_CRC = -1 };

typedef struct fds_attempt fds_attempt;
struct fds_attempt {
    /* The order. */
    fds_endpoint *endpoint;
    fds_credentials *credentials; /* NULL: unsigned */
    fds_queue *queue;             /* where the report goes */
    fds_str method;
    fds_str path;                 /* not percent-encoded, begins with '/' */
    const fds_pair *query;        /* not encoded */
    size_t query_count;
    const fds_pair *headers;      /* beyond host, content-length and what signing and the CRC add */
    size_t header_count;
    const fds_span *body;
    size_t body_count;
    fds_payload payload;
    int upload_crc;               /* an fds_crc_algorithm: taken of the body and sent as x-amz-checksum-*; FDS_NO_CRC */
    int64_t clock_offset;         /* seconds to add to this machine's clock when signing */
    const fds_span *target;       /* where the body of a 2xx lands; none: it is kept in `content` */
    size_t target_count;
    int download_crc;             /* taken of a 2xx body as it lands; FDS_NO_CRC */
    uint64_t pause_above;         /* a 2xx with no target and a longer body pauses after its head; 0: never */
    size_t content_max;           /* most body bytes kept in `content`: over it, PROTOCOL_ERROR; CUT, where only a
                                   * missing length kept the body from pausing */
    int64_t stall_timeout;        /* ns; 0: the endpoint's */

    /* The report. */
    fds_outcome outcome;
    int status;                   /* 0: no response head arrived */
    uint64_t content_length;      /* as the head says */
    bool has_content_length;
    bool reused;                  /* the connection had served a request before */
    char *head;                   /* header names are lower-cased; freed with the attempt */
    fds_header *response_headers;
    size_t response_header_count;
    fds_buf content;              /* the body, when no target took it: small objects, XML, errors (cut at 64 KiB) */
    _Atomic uint64_t sent;        /* body bytes handed to the kernel; this and the next may be read at any time */
    _Atomic uint64_t landed;      /* body bytes received */
    uint64_t crc;                 /* of the body sent or landed, as ordered */
    int64_t submitted, started, first_byte, finished; /* fds_now(); started: on a ready connection */
    char peer[64];                /* address:port */
    char why[200];                /* a sentence when the outcome is not DONE or CUT */

    /* Signals from the waiter to the loop. */
    atomic_bool cancel;
    atomic_bool proceed;

    /* Private to loop and queue. */
    fds_attempt *next;          /* in the list of whoever holds it: inbox, pool, or queue */
    fds_attempt *next_finished; /* in the loop's; its PAUSED may still be in the queue */
    fds_report_kind kind;
    bool reported;              /* is in its queue's list */
    int addresses_tried;
    int64_t starved_since;      /* a connection was asked for, there was none and no descriptor for one; 0: not so */
};

/* Sets the defaults of a zeroed attempt. */
void fds_attempt_init(fds_attempt *attempt);
/* Frees what the report owns; the memory of the attempt itself is the submitter's. */
void fds_attempt_clear(fds_attempt *attempt);
uint64_t fds_attempt_body_size(const fds_attempt *attempt);
/* By the loop: `size` more body bytes were sent or have landed (`counter` is the attempt's own); counted for the queue,
 * too. */
void fds_attempt_count(fds_attempt *attempt, _Atomic uint64_t *counter, size_t size);
/* By anyone: the body bytes moved so far, either way. */
uint64_t fds_attempt_moved(const fds_attempt *attempt);
void fds_attempt_fail(fds_attempt *attempt, fds_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
