#include "base/idset.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

#define BITS 5u
#define WAYS 32u
#define LEAF_BITS 10u /* a leaf: 32 words of 32 bits */

struct mq_idset_node {
    uint32_t full; /* bit n: all below child n is in the set; the child itself is gone. Leaf: bit n: word n is all ones */
    uint32_t used; /* bit n: child n is there. Leaf: unused */
    union {
        struct mq_idset_node *child[WAYS];
        uint32_t word[WAYS];
    } u;
};

/* Which child of a node `level` above the leaves. */
static inline unsigned digit(uint64_t n, unsigned level)
{
    return (unsigned)(n >> (LEAF_BITS + (level - 1) * BITS)) & (WAYS - 1);
}

static unsigned levels_for(uint64_t n)
{
    unsigned levels = 1;
    for (n >>= LEAF_BITS; n; n >>= BITS)
        levels++;
    return levels;
}

void mq_idset_init(struct mq_idset *set) { *set = (struct mq_idset){0}; }

static void free_below(struct mq_idset_node *node, unsigned level)
{
    for (uint32_t left = level ? node->used : 0; left; left &= left - 1)
        free_below(node->u.child[__builtin_ctz(left)], level - 1);
    mq_free(node);
}

void mq_idset_close(struct mq_idset *set)
{
    if (set->root)
        free_below(set->root, set->levels - 1);
    for (struct mq_idset_node *node; (node = set->spare);) {
        set->spare = node->u.child[0];
        mq_free(node);
    }
    mq_idset_init(set);
}

bool mq_idset_has(const struct mq_idset *set, uint64_t n)
{
    if (!set->root || levels_for(n) > set->levels)
        return false;
    const struct mq_idset_node *node = set->root;
    for (unsigned level = set->levels - 1; level; level--) {
        unsigned i = digit(n, level);
        if (node->full >> i & 1)
            return true;
        if (!(node->used >> i & 1))
            return false;
        node = node->u.child[i];
    }
    return node->u.word[n >> BITS & (WAYS - 1)] >> (n & (WAYS - 1)) & 1;
}

/* Nodes that adding this number would make. */
static unsigned missing_nodes(const struct mq_idset *set, uint64_t n)
{
    unsigned levels = levels_for(n);
    if (!set->root)
        return levels;
    if (levels > set->levels)
        return levels - set->levels + levels - 1;
    const struct mq_idset_node *node = set->root;
    for (unsigned level = set->levels - 1; level; level--) {
        unsigned i = digit(n, level);
        if (node->full >> i & 1)
            return 0;
        if (!(node->used >> i & 1))
            return level;
        node = node->u.child[i];
    }
    return 0;
}

int mq_idset_reserve(struct mq_idset *set, uint64_t n)
{
    for (unsigned missing = missing_nodes(set, n); set->spare_n < missing; set->spare_n++) {
        struct mq_idset_node *node = mq_alloc(sizeof *node);
        if (!node)
            return -1;
        node->u.child[0] = set->spare;
        set->spare = node;
    }
    return 0;
}

static struct mq_idset_node *take_spare(struct mq_idset *set)
{
    struct mq_idset_node *node = set->spare;
    MQ_ASSERT(node); /* reserved */
    set->spare = node->u.child[0];
    set->spare_n--;
    set->bytes += sizeof *node;
    memset(node, 0, sizeof *node);
    return node;
}

/* Puts a root above the root. A full old root is a mark in the new one. */
static void grow(struct mq_idset *set)
{
    struct mq_idset_node *below = set->root, *root = take_spare(set);
    root->u.child[0] = below;
    root->used = 1;
    set->root = root;
    set->levels++;
    if (below->full == UINT32_MAX) {
        root->full = 1;
        root->used = 0;
        set->bytes -= sizeof *below;
        mq_free(below);
    }
}

/* True if the node is full now. */
static bool add_below(struct mq_idset *set, struct mq_idset_node *node, unsigned level, uint64_t n)
{
    if (!level) {
        unsigned i = n >> BITS & (WAYS - 1);
        node->u.word[i] |= (uint32_t)1 << (n & (WAYS - 1));
        if (node->u.word[i] == UINT32_MAX)
            node->full |= (uint32_t)1 << i;
        return node->full == UINT32_MAX;
    }
    unsigned i = digit(n, level);
    uint32_t bit = (uint32_t)1 << i;
    if (node->full & bit)
        return node->full == UINT32_MAX;
    if (!(node->used & bit)) {
        node->u.child[i] = take_spare(set);
        node->used |= bit;
    }
    if (add_below(set, node->u.child[i], level - 1, n)) {
        set->bytes -= sizeof *node;
        mq_free(node->u.child[i]);
        node->used &= ~bit;
        node->full |= bit;
    }
    return node->full == UINT32_MAX;
}

void mq_idset_add(struct mq_idset *set, uint64_t n)
{
    if (!set->root) {
        set->levels = levels_for(n);
        set->root = take_spare(set);
    }
    while (levels_for(n) > set->levels)
        grow(set);
    add_below(set, set->root, set->levels - 1, n);
}

struct runs {
    void (*visit)(void *context, uint64_t first, uint64_t n);
    void *context;
    uint64_t first, n; /* of the run being put together */
};

static void add_run(struct runs *runs, uint64_t first, uint64_t n)
{
    if (runs->n && runs->first + runs->n == first) {
        runs->n += n;
        return;
    }
    if (runs->n)
        runs->visit(runs->context, runs->first, runs->n);
    runs->first = first;
    runs->n = n;
}

static void walk(struct runs *runs, const struct mq_idset_node *node, unsigned level, uint64_t first)
{
    uint64_t below = level ? (uint64_t)1 << (LEAF_BITS + (level - 1) * BITS) : WAYS; /* numbers under a child */
    for (unsigned i = 0; i < WAYS; i++) {
        if (level && node->full >> i & 1)
            add_run(runs, first + i * below, below);
        else if (level && node->used >> i & 1)
            walk(runs, node->u.child[i], level - 1, first + i * below);
        for (uint32_t left = level ? 0 : node->u.word[i]; left; left &= left - 1)
            add_run(runs, first + i * below + (unsigned)__builtin_ctz(left), 1);
    }
}

void mq_idset_runs(const struct mq_idset *set, void (*visit)(void *context, uint64_t first, uint64_t n), void *context)
{
    struct runs runs = {.visit = visit, .context = context};
    if (set->root)
        walk(&runs, set->root, set->levels - 1, 0);
    if (runs.n)
        visit(context, runs.first, runs.n);
}
