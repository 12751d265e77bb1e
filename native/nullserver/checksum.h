/* An object's checksum as S3 knows it: algorithm, type and base64 text. Pure functions. */
#ifndef FDS_NS_CHECKSUM_H
#define FDS_NS_CHECKSUM_H

#include "../crc.h"
#include "text.h"

typedef enum {
    FDS_NS_FULL_OBJECT, /* the CRC of the object's bytes */
    FDS_NS_COMPOSITE,   /* the CRC of the parts' CRCs, with "-N" after it */
} fds_ns_checksum_type;

typedef struct {
    bool present;
    fds_crc_algorithm algorithm;
    fds_ns_checksum_type type;
    char text[24]; /* base64, NUL-terminated: at most 12 characters, "-10000" */
} fds_ns_checksum;

const char *fds_ns_checksum_header(fds_crc_algorithm algorithm);  /* "x-amz-checksum-crc32c" */
const char *fds_ns_checksum_element(fds_crc_algorithm algorithm); /* "ChecksumCRC32C", as XML names it */
const char *fds_ns_checksum_name(fds_crc_algorithm algorithm);    /* "CRC32C" */
const char *fds_ns_checksum_type_name(fds_ns_checksum_type type); /* "FULL_OBJECT" */
bool fds_ns_checksum_by_name(fds_ns_text name, fds_crc_algorithm *algorithm);

/* `composite_parts` > 0 appends "-N" and makes it COMPOSITE. */
fds_ns_checksum fds_ns_checksum_of(fds_crc_algorithm algorithm, uint64_t crc, unsigned composite_parts);

/* A CRC's bytes in network order, as the base64 text means them; returns their number. */
size_t fds_ns_checksum_bytes(fds_crc_algorithm algorithm, uint64_t crc, uint8_t out[8]);

/* Reads a header's value; false when it isn't the base64 of a value of that algorithm. */
bool fds_ns_checksum_parse(fds_crc_algorithm algorithm, fds_ns_text text, uint64_t *crc);

#endif
