/* A hash table from a 64-bit hash (and whatever the caller compares) to an item. Open addressing, linear probing.
 *
 * Entries keep their hash, so growing and removing never touch an item. It grows step by step: while the old block is
 * being emptied, each insert and remove moves a few entries, so no call ever pays for a million. The item is the owner of
 * its key; the map owns only its blocks. No lock of its own.
 */
#ifndef MQ_MAP_H
#define MQ_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mq_map_entry {
    uint64_t hash;
    void *item; /* NULL: free */
};

struct mq_map_block {
    struct mq_map_entry *entries; /* NULL when cap is 0 */
    size_t cap;                   /* a power of two, or 0 */
    size_t n;
};

struct mq_map {
    struct mq_map_block now, old; /* old.n > 0 only while growing */
    size_t next;                  /* the entry of `old` to be moved next */
};

/* True if the item is the one that `key` means. Called only when the hashes are equal. */
typedef bool mq_map_match(const void *item, const void *key);

void mq_map_init(struct mq_map *map);
void mq_map_close(struct mq_map *map);
static inline size_t mq_map_size(const struct mq_map *map) { return map->now.n + map->old.n; }
/* The next insert cannot fail; 0, or -1 when there is no memory. */
int mq_map_reserve(struct mq_map *map);
/* The item, or NULL. */
void *mq_map_find(const struct mq_map *map, uint64_t hash, mq_map_match *match, const void *key);
/* Needs a reserve before it; the item must not be in the map. */
void mq_map_insert(struct mq_map *map, uint64_t hash, void *item);
/* Removes this very item; true if it was there. */
bool mq_map_remove(struct mq_map *map, uint64_t hash, const void *item);
/* Walks all items in no particular order: start with *at = 0; NULL at the end. No change of the map in between. */
void *mq_map_next(const struct mq_map *map, size_t *at);

#endif
