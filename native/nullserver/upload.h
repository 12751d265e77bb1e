/* A multipart upload in progress. Guarded by the store's lock. */
#ifndef FDS_NS_UPLOAD_H
#define FDS_NS_UPLOAD_H

#include "store.h"

#define FDS_NS_PARTS_MAX 10000

typedef struct {
    fds_ns_blob *blob; /* one reference */
    time_t modified;
    char etag[FDS_NS_ETAG_MAX];
    uint8_t md5[16]; /* mode store */
    bool has_crc;    /* of the upload's algorithm */
    uint64_t crc;
} fds_ns_part;

typedef struct {
    fds_ns_budget *budget;
    char id[33];
    fds_buf bucket, key;
    fds_buf metadata;
    bool declared; /* Create named the algorithm; else it is S3's default, CRC64NVME */
    fds_crc_algorithm algorithm;
    fds_ns_checksum_type type;
    time_t initiated;
    fds_ns_map parts; /* number, 2 bytes, big-endian → fds_ns_part */
} fds_ns_upload;

/* A new upload in the store; takes `metadata` over, also when it fails. NULL when the budget or memory is exhausted. */
fds_ns_upload *fds_ns_upload_new(fds_ns_store *store, fds_ns_text bucket, fds_ns_text key, fds_buf *metadata);
fds_ns_upload *fds_ns_upload_find(fds_ns_store *store, fds_ns_text id, fds_ns_text bucket, fds_ns_text key);
void fds_ns_upload_free(fds_ns_upload *upload); /* does not take it out of the store */

fds_ns_part *fds_ns_upload_part(const fds_ns_upload *upload, unsigned number); /* or NULL */
/* Copies `part`, whose blob reference it takes over; false, with the reference still the caller's, if memory fails. */
bool fds_ns_upload_set_part(fds_ns_upload *upload, unsigned number, const fds_ns_part *part);
unsigned fds_ns_part_number(const fds_ns_node *node);

static inline fds_ns_text fds_ns_buf_text(const fds_buf *buf) {
    return (fds_ns_text){buf->data ? buf->data : "", buf->size};
}

#endif
