#include "map.h"

#include <stdlib.h>

static int compare(const fds_ns_node *node, fds_ns_text key) {
    size_t common = node->key_size < key.size ? node->key_size : key.size;
    int order = common ? memcmp(node->key, key.data, common) : 0;
    if (order)
        return order;
    return node->key_size < key.size ? -1 : node->key_size > key.size;
}

/* Fills `links` with, per level, the link that points at the first entry not less than `key`. */
static void descend(fds_ns_map *map, fds_ns_text key, fds_ns_node **links[FDS_NS_MAP_LEVELS]) {
    fds_ns_node **row = map->first; /* the links of the last entry passed */
    for (int level = FDS_NS_MAP_LEVELS - 1; level >= 0; level--) {
        while (row[level] && compare(row[level], key) < 0)
            row = row[level]->next;
        links[level] = &row[level];
    }
}

fds_ns_node *fds_ns_map_seek(const fds_ns_map *map, fds_ns_text key) {
    fds_ns_node *const *row = map->first;
    for (int level = FDS_NS_MAP_LEVELS - 1; level >= 0; level--)
        while (row[level] && compare(row[level], key) < 0)
            row = row[level]->next;
    return row[0];
}

void *fds_ns_map_find(const fds_ns_map *map, fds_ns_text key) {
    fds_ns_node *node = fds_ns_map_seek(map, key);
    return node && compare(node, key) == 0 ? node->value : NULL;
}

/* Each level holds a quarter of the entries of the one below. */
static int random_height(fds_ns_map *map) {
    map->random = map->random * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t bits = map->random >> 24;
    int height = 1;
    while (height < FDS_NS_MAP_LEVELS && (bits & 3) == 0) {
        height++;
        bits >>= 2;
    }
    return height;
}

bool fds_ns_map_put(fds_ns_map *map, fds_ns_text key, void *value, void **old) {
    fds_ns_node **links[FDS_NS_MAP_LEVELS];
    descend(map, key, links);
    fds_ns_node *node = *links[0];
    *old = NULL;
    if (node && compare(node, key) == 0) {
        *old = node->value;
        node->value = value;
        return true;
    }
    size_t height = (size_t)random_height(map);
    node = malloc(sizeof *node + height * sizeof node->next[0] + key.size + 1);
    if (!node)
        return false;
    node->value = value;
    node->key = (char *)&node->next[height];
    node->key_size = key.size;
    if (key.size)
        memcpy(node->key, key.data, key.size);
    for (size_t level = 0; level < height; level++) {
        node->next[level] = *links[level];
        *links[level] = node;
    }
    map->count++;
    return true;
}

void *fds_ns_map_remove(fds_ns_map *map, fds_ns_text key) {
    fds_ns_node **links[FDS_NS_MAP_LEVELS];
    descend(map, key, links);
    fds_ns_node *node = *links[0];
    if (!node || compare(node, key) != 0)
        return NULL;
    for (int level = 0; level < FDS_NS_MAP_LEVELS && *links[level] == node; level++)
        *links[level] = node->next[level];
    void *value = node->value;
    free(node);
    map->count--;
    return value;
}

void fds_ns_map_free(fds_ns_map *map) {
    fds_ns_node *node = map->first[0];
    while (node) {
        fds_ns_node *next = node->next[0];
        free(node);
        node = next;
    }
    *map = (fds_ns_map){0};
}
