#include "upload.h"

#include <stdio.h>
#include <stdlib.h>

#define OVERHEAD 1024 /* the structure and its node; parts are charged with their blobs */

static uint64_t charge(const fds_ns_upload *upload) {
    return OVERHEAD + upload->key.size + upload->metadata.size;
}

fds_ns_upload *fds_ns_upload_new(fds_ns_store *store, fds_ns_text bucket, fds_ns_text key, fds_buf *metadata) {
    fds_ns_upload *upload = calloc(1, sizeof *upload);
    if (!upload)
        return NULL;
    fds_buf_add(&upload->bucket, bucket.data, bucket.size);
    fds_buf_add(&upload->key, key.data, key.size);
    upload->metadata = *metadata;
    *metadata = (fds_buf){0};
    upload->initiated = time(NULL);
    upload->algorithm = FDS_CRC64NVME;
    uint64_t serial = ++store->next_upload;
    snprintf(upload->id, sizeof upload->id, "%016llx%016llx", (unsigned long long)serial,
             (unsigned long long)(serial * 0x9E3779B97F4A7C15ULL));
    void *old;
    if (!upload->bucket.failed && !upload->key.failed && fds_ns_budget_take(&store->budget, charge(upload))) {
        upload->budget = &store->budget;
        if (fds_ns_map_put(&store->uploads, fds_ns_text_of(upload->id), upload, &old))
            return upload;
    }
    fds_ns_upload_free(upload);
    return NULL;
}

fds_ns_upload *fds_ns_upload_find(fds_ns_store *store, fds_ns_text id, fds_ns_text bucket, fds_ns_text key) {
    fds_ns_upload *upload = fds_ns_map_find(&store->uploads, id);
    bool same = upload && fds_ns_text_equal(fds_ns_buf_text(&upload->bucket), bucket) &&
                fds_ns_text_equal(fds_ns_buf_text(&upload->key), key);
    return same ? upload : NULL;
}

void fds_ns_upload_free(fds_ns_upload *upload) {
    for (fds_ns_node *node = upload->parts.first[0]; node; node = node->next[0]) {
        fds_ns_part *part = node->value;
        fds_ns_blob_drop(part->blob);
        free(part);
    }
    fds_ns_map_free(&upload->parts);
    if (upload->budget)
        fds_ns_budget_give(upload->budget, charge(upload));
    fds_buf_free(&upload->bucket);
    fds_buf_free(&upload->key);
    fds_buf_free(&upload->metadata);
    free(upload);
}

unsigned fds_ns_part_number(const fds_ns_node *node) {
    return (unsigned)(unsigned char)node->key[0] << 8 | (unsigned char)node->key[1];
}

fds_ns_part *fds_ns_upload_part(const fds_ns_upload *upload, unsigned number) {
    char key[2] = {(char)(number >> 8), (char)number};
    return fds_ns_map_find(&upload->parts, (fds_ns_text){key, 2});
}

bool fds_ns_upload_set_part(fds_ns_upload *upload, unsigned number, const fds_ns_part *part) {
    fds_ns_part *present = fds_ns_upload_part(upload, number);
    if (present) {
        fds_ns_blob_drop(present->blob);
        *present = *part;
        return true;
    }
    char key[2] = {(char)(number >> 8), (char)number};
    fds_ns_part *copy = malloc(sizeof *copy);
    void *old;
    if (!copy || !fds_ns_map_put(&upload->parts, (fds_ns_text){key, 2}, copy, &old)) {
        free(copy);
        return false;
    }
    *copy = *part;
    return true;
}
