#include "checksum.h"

#include <stdio.h>

static const struct {
    const char *header, *element, *name;
} names[FDS_CRC_COUNT] = {
    [FDS_CRC32] = {"x-amz-checksum-crc32", "ChecksumCRC32", "CRC32"},
    [FDS_CRC32C] = {"x-amz-checksum-crc32c", "ChecksumCRC32C", "CRC32C"},
    [FDS_CRC64NVME] = {"x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", "CRC64NVME"},
};

const char *fds_ns_checksum_header(fds_crc_algorithm algorithm) {
    return names[algorithm].header;
}

const char *fds_ns_checksum_element(fds_crc_algorithm algorithm) {
    return names[algorithm].element;
}

const char *fds_ns_checksum_name(fds_crc_algorithm algorithm) {
    return names[algorithm].name;
}

const char *fds_ns_checksum_type_name(fds_ns_checksum_type type) {
    return type == FDS_NS_COMPOSITE ? "COMPOSITE" : "FULL_OBJECT";
}

bool fds_ns_checksum_by_name(fds_ns_text name, fds_crc_algorithm *algorithm) {
    for (int i = 0; i < FDS_CRC_COUNT; i++) {
        if (fds_ns_text_is_nocase(name, names[i].name)) {
            *algorithm = (fds_crc_algorithm)i;
            return true;
        }
    }
    return false;
}

size_t fds_ns_checksum_bytes(fds_crc_algorithm algorithm, uint64_t crc, uint8_t out[8]) {
    size_t width = fds_crc_width(algorithm);
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(crc >> 8 * (width - 1 - i));
    return width;
}

fds_ns_checksum fds_ns_checksum_of(fds_crc_algorithm algorithm, uint64_t crc, unsigned composite_parts) {
    fds_ns_checksum checksum = {.present = true, .algorithm = algorithm};
    uint8_t bytes[8];
    size_t width = fds_ns_checksum_bytes(algorithm, crc, bytes);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = checksum.text;
    for (size_t i = 0; i < width; i += 3) {
        size_t left = width - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[group & 63] : '=';
    }
    if (composite_parts) {
        checksum.type = FDS_NS_COMPOSITE;
        snprintf(out, sizeof checksum.text - (size_t)(out - checksum.text), "-%u", composite_parts);
    }
    return checksum;
}

bool fds_ns_checksum_parse(fds_crc_algorithm algorithm, fds_ns_text text, uint64_t *crc) {
    uint8_t bytes[8];
    size_t width = fds_crc_width(algorithm);
    if (!fds_ns_text_base64(text, bytes, width))
        return false;
    *crc = 0;
    for (size_t i = 0; i < width; i++)
        *crc = *crc << 8 | bytes[i];
    return true;
}
