/* An ordered map from byte strings to pointers (a skip list), in the order of unsigned bytes: S3's listing order.
 * One owner or an outside lock. The map owns its keys, never its values. */
#ifndef FDS_NS_MAP_H
#define FDS_NS_MAP_H

#include "text.h"

#define FDS_NS_MAP_LEVELS 20

typedef struct fds_ns_node {
    void *value;
    size_t key_size;
    char *key;                  /* behind next[] */
    struct fds_ns_node *next[]; /* next[0] is the following entry */
} fds_ns_node;

typedef struct {
    fds_ns_node *first[FDS_NS_MAP_LEVELS];
    uint64_t random;
    size_t count;
} fds_ns_map; /* zero-initialise */

void fds_ns_map_free(fds_ns_map *map);
void *fds_ns_map_find(const fds_ns_map *map, fds_ns_text key); /* NULL: absent */

/* Puts a value under a key and returns through `old` what was there before, or NULL. False when memory fails. */
bool fds_ns_map_put(fds_ns_map *map, fds_ns_text key, void *value, void **old);
void *fds_ns_map_remove(fds_ns_map *map, fds_ns_text key); /* its value, or NULL */

/* The first entry whose key is not less than `key`, or NULL. */
fds_ns_node *fds_ns_map_seek(const fds_ns_map *map, fds_ns_text key);

static inline fds_ns_text fds_ns_node_key(const fds_ns_node *node) {
    return (fds_ns_text){node->key, node->key_size};
}

#endif
