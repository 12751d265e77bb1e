/* A request's body on its way in: unwrapped from aws-chunked, checksummed while hot, and kept, collected or swallowed.
 *
 * Belongs to one connection. Bytes may be received straight into their final place (fds_ns_payload_room).
 */
#ifndef FDS_NS_PAYLOAD_H
#define FDS_NS_PAYLOAD_H

#include "../buf.h"
#include "../http1.h"
#include "awschunked.h"
#include "checksum.h"
#include "request.h"

#include <openssl/evp.h>

#define FDS_NS_XML_MAX (8u << 20)
#define FDS_NS_PUT_MAX (5ULL << 30) /* S3's bound on one PUT or part */

typedef enum {
    FDS_NS_PAYLOAD_IGNORED, /* read and dropped, unchecked */
    FDS_NS_PAYLOAD_TEXT,    /* XML, collected in `text` */
    FDS_NS_PAYLOAD_DATA,    /* an object's or a part's bytes */
} fds_ns_payload_kind;

typedef struct {
    fds_ns_payload_kind kind;
    uint64_t
        wire_left; /* bytes of the body still to come on the wire; chunked: 0 at its end, else as good as endless */
    bool chunked;  /* Transfer-Encoding, around everything else */
    bool broken;   /* the transfer coding is malformed: where the next request starts is not known */
    fds_chunked transfer;
    uint64_t transferred; /* bytes within the transfer coding */
    uint64_t size;        /* of the decoded body, as announced */
    uint64_t received;    /* decoded bytes so far */
    char *target;         /* DATA: room for `size` bytes, the caller's; NULL: the bytes are swallowed */
    fds_buf text;

    bool aws_chunked;
    fds_ns_awschunked decoder;

    bool has_checksum; /* the request announces one, of `algorithm`, in a header or in the trailer */
    bool in_trailer;
    fds_crc_algorithm algorithm;
    uint64_t announced_crc;
    bool computes[FDS_CRC_COUNT];
    uint64_t crc[FDS_CRC_COUNT];

    EVP_MD_CTX *md5; /* NULL: not computed */
    bool has_md5;
    uint8_t announced_md5[16];
    uint8_t md5_value[16]; /* after fds_ns_payload_end, when computed */

    const fds_ns_error *error; /* the first thing wrong; the rest of the body is only drained */
} fds_ns_payload;

/* Reads what the headers announce. `checked`: x-amz-checksum-* and Content-MD5 speak of this body (at
 * CompleteMultipartUpload they speak of the object). */
const fds_ns_error *fds_ns_payload_begin(fds_ns_payload *payload, const fds_ns_request *request,
                                         fds_ns_payload_kind kind, bool checked);
bool fds_ns_payload_compute_md5(fds_ns_payload *payload); /* before the first byte; false when memory fails */

/* Where the next wire bytes may be received directly, or NULL: anywhere. */
char *fds_ns_payload_room(const fds_ns_payload *payload);
/* At most wire_left bytes; returns how many of them are the body's: fewer when a chunked body ends among them. */
size_t fds_ns_payload_take(fds_ns_payload *payload, const char *data, size_t size);
const fds_ns_error *fds_ns_payload_end(fds_ns_payload *payload); /* verifies */
void fds_ns_payload_free(fds_ns_payload *payload);               /* back to zero */

#endif
