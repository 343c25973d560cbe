#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

#define MIN_CAP 8u
#define KEEP_CAP 64u
#define MOVE_STEP 32u /* entries of the old block looked at by each change while growing */

void mq_map_init(struct mq_map *map) { *map = (struct mq_map){0}; }

void mq_map_close(struct mq_map *map)
{
    mq_free(map->now.entries);
    mq_free(map->old.entries);
    mq_map_init(map);
}

static void put(struct mq_map_block *block, uint64_t hash, void *item)
{
    size_t mask = block->cap - 1;
    size_t i = hash & mask;
    while (block->entries[i].item)
        i = (i + 1) & mask;
    block->entries[i] = (struct mq_map_entry){hash, item};
    block->n++;
}

/* Empties entry i and closes the gap, so that no probe ends too early. */
static void take_out(struct mq_map_block *block, size_t i)
{
    size_t mask = block->cap - 1;
    size_t gap = i;
    for (;;) {
        i = (i + 1) & mask;
        struct mq_map_entry *entry = &block->entries[i];
        if (!entry->item)
            break;
        size_t home = entry->hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue; /* its home lies after the gap: it stays */
        block->entries[gap] = *entry;
        gap = i;
    }
    block->entries[gap].item = NULL;
    block->n--;
}

static void free_old_if_empty(struct mq_map *map)
{
    if (map->old.n || !map->old.entries)
        return;
    mq_free(map->old.entries);
    map->old = (struct mq_map_block){0};
}

static void move_some(struct mq_map *map, size_t steps)
{
    struct mq_map_block *old = &map->old;
    size_t mask = old->cap - 1;
    while (old->n && steps--) {
        struct mq_map_entry entry = old->entries[map->next];
        if (!entry.item) {
            map->next = (map->next + 1) & mask;
            continue;
        }
        take_out(old, map->next); /* the next entry of its run may now stand here: look again */
        put(&map->now, entry.hash, entry.item);
    }
    free_old_if_empty(map);
}

int mq_map_reserve(struct mq_map *map)
{
    size_t cap = map->now.cap;
    if (cap && (map->now.n + map->old.n + 1) * 4 <= cap * 3)
        return 0;
    if (map->old.n) /* grows again before it finished: cannot lag, since every insert moves more than it adds */
        move_some(map, SIZE_MAX);
    size_t bigger = cap ? cap * 2 : MIN_CAP;
    struct mq_map_entry *entries = mq_alloc_zero(bigger * sizeof *entries);
    if (!entries)
        return -1;
    map->old = map->now;
    map->now = (struct mq_map_block){.entries = entries, .cap = bigger};
    map->next = 0;
    move_some(map, MOVE_STEP);
    return 0;
}

static struct mq_map_entry *find_in(const struct mq_map_block *block, uint64_t hash, mq_map_match *match, const void *key)
{
    if (!block->n)
        return NULL;
    size_t mask = block->cap - 1;
    for (size_t i = hash & mask; block->entries[i].item; i = (i + 1) & mask) {
        struct mq_map_entry *entry = &block->entries[i];
        if (entry->hash == hash && (match ? match(entry->item, key) : entry->item == key))
            return entry;
    }
    return NULL;
}

void *mq_map_find(const struct mq_map *map, uint64_t hash, mq_map_match *match, const void *key)
{
    struct mq_map_entry *entry = find_in(&map->now, hash, match, key);
    if (!entry)
        entry = find_in(&map->old, hash, match, key);
    return entry ? entry->item : NULL;
}

void mq_map_insert(struct mq_map *map, uint64_t hash, void *item)
{
    MQ_ASSERT(item);
    MQ_ASSERT(map->now.n < map->now.cap);
    if (map->old.n)
        move_some(map, MOVE_STEP);
    put(&map->now, hash, item);
}

bool mq_map_remove(struct mq_map *map, uint64_t hash, const void *item)
{
    if (map->old.n)
        move_some(map, MOVE_STEP);
    struct mq_map_block *blocks[] = {&map->now, &map->old};
    for (int b = 0; b < 2; b++) {
        struct mq_map_entry *entry = find_in(blocks[b], hash, NULL, item);
        if (entry) {
            take_out(blocks[b], (size_t)(entry - blocks[b]->entries));
            free_old_if_empty(map);
            if (mq_map_size(map) == 0 && map->now.cap > KEEP_CAP)
                mq_map_close(map); /* a table that was large once does not stay so */
            return true;
        }
    }
    return false;
}

void *mq_map_next(const struct mq_map *map, size_t *at)
{
    for (; *at < map->now.cap + map->old.cap; ++*at) {
        const struct mq_map_block *block = *at < map->now.cap ? &map->now : &map->old;
        void *item = block->entries[*at < map->now.cap ? *at : *at - map->now.cap].item;
        if (item) {
            ++*at;
            return item;
        }
    }
    return NULL;
}
