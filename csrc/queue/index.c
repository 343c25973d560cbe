#include "queue/index.h"

#include "base/check.h"

#include <string.h>

#define BITS 5u

static inline unsigned digit(uint64_t counter, unsigned level) { return (unsigned)(counter >> level * BITS) & (MQ_INDEX_WAYS - 1); }

static inline uint64_t counter_of(const struct mq_job *job) { return job->id / MQ_SLOTS; }

/* Levels of nodes that a tree with this counter has. */
static unsigned levels_for(uint64_t counter)
{
    unsigned levels = 1;
    while (counter >>= BITS)
        levels++;
    return levels;
}

void mq_index_init(struct mq_index *index, struct mq_slab *slab) { *index = (struct mq_index){.slab = slab}; }

static void node_free(struct mq_index *index, struct mq_node *node) { mq_slab_put(index->slab, node, sizeof *node); }

static void free_below(struct mq_index *index, struct mq_node *node, unsigned level)
{
    for (uint32_t left = level ? node->in[MQ_JOB_ANY] : 0; left; left &= left - 1)
        free_below(index, node->child.node[__builtin_ctz(left)], level - 1);
    node_free(index, node);
}

void mq_index_close(struct mq_index *index)
{
    if (index->root)
        free_below(index, index->root, index->levels - 1);
    for (struct mq_node *node; (node = index->spare);) {
        index->spare = node->child.node[0];
        node_free(index, node);
    }
    mq_index_init(index, index->slab);
}

static struct mq_node *find_leaf(struct mq_index *index, uint64_t counter)
{
    uint64_t number = counter / MQ_INDEX_WAYS;
    if (index->last && index->last_number == number)
        return index->last;
    if (!index->root || levels_for(counter) > index->levels)
        return NULL;
    struct mq_node *node = index->root;
    for (unsigned level = index->levels - 1; level && node; level--)
        node = node->in[MQ_JOB_ANY] >> digit(counter, level) & 1 ? node->child.node[digit(counter, level)] : NULL;
    if (node) {
        index->last = node;
        index->last_number = number;
    }
    return node;
}

struct mq_job *mq_index_find(struct mq_index *index, uint64_t counter)
{
    const struct mq_node *leaf = find_leaf(index, counter);
    return leaf && leaf->in[MQ_JOB_ANY] >> digit(counter, 0) & 1 ? leaf->child.job[digit(counter, 0)] : NULL;
}

/* Nodes that adding this counter would make. */
static unsigned missing_nodes(const struct mq_index *index, uint64_t counter)
{
    unsigned levels = levels_for(counter);
    if (!index->root)
        return levels;
    if (levels > index->levels) /* new roots above the old one, and a way of its own below the new root */
        return levels - index->levels + levels - 1;
    const struct mq_node *node = index->root;
    for (unsigned level = index->levels - 1; level; level--) {
        if (!(node->in[MQ_JOB_ANY] >> digit(counter, level) & 1))
            return level;
        node = node->child.node[digit(counter, level)];
    }
    return 0;
}

int mq_index_reserve(struct mq_index *index, uint64_t counter)
{
    if (find_leaf(index, counter))
        return 0;
    for (unsigned n = missing_nodes(index, counter); index->spare_n < n; index->spare_n++) {
        struct mq_node *node = mq_slab_get(index->slab, sizeof *node);
        if (!node)
            return -1;
        node->child.node[0] = index->spare;
        index->spare = node;
    }
    return 0;
}

static struct mq_node *take_spare(struct mq_index *index)
{
    struct mq_node *node = index->spare;
    MQ_ASSERT(node); /* reserved */
    index->spare = node->child.node[0];
    index->spare_n--;
    memset(node, 0, sizeof *node);
    return node;
}

/* Puts a root above the root. */
static void grow(struct mq_index *index)
{
    struct mq_node *below = index->root, *root = take_spare(index);
    root->child.node[0] = below;
    for (unsigned i = 0; i < MQ_JOB_STATES; i++)
        root->in[i] = below->in[i] != 0;
    index->root = root;
    index->levels++;
}

static void add_to_state(struct mq_index *index, uint64_t counter, unsigned state)
{
    struct mq_node *node = index->root;
    for (unsigned level = index->levels - 1;; level--) {
        node->in[state] |= (uint32_t)1 << digit(counter, level);
        if (!level)
            return;
        node = node->child.node[digit(counter, level)];
    }
}

/* Clears the state's bit in the node at `level` on the way to the counter, and above as far as it was the last. */
static bool clear_from_state(struct mq_node *node, unsigned level, uint64_t counter, unsigned state)
{
    if (!level || clear_from_state(node->child.node[digit(counter, level)], level - 1, counter, state))
        node->in[state] &= ~((uint32_t)1 << digit(counter, level));
    return !node->in[state];
}

void mq_index_add(struct mq_index *index, struct mq_job *job)
{
    uint64_t counter = counter_of(job);
    struct mq_node *leaf = find_leaf(index, counter);
    if (!leaf) {
        if (!index->root) {
            index->levels = levels_for(counter);
            index->root = take_spare(index);
        }
        while (levels_for(counter) > index->levels)
            grow(index);
        leaf = index->root;
        for (unsigned level = index->levels - 1; level; level--) {
            uint32_t bit = (uint32_t)1 << digit(counter, level);
            if (!(leaf->in[MQ_JOB_ANY] & bit)) {
                leaf->child.node[digit(counter, level)] = take_spare(index);
                leaf->in[MQ_JOB_ANY] |= bit;
            }
            leaf = leaf->child.node[digit(counter, level)];
        }
        index->last = leaf;
        index->last_number = counter / MQ_INDEX_WAYS;
    }
    uint32_t bit = (uint32_t)1 << digit(counter, 0);
    MQ_ASSERT(!(leaf->in[MQ_JOB_ANY] & bit));
    leaf->in[MQ_JOB_ANY] |= bit;
    leaf->child.job[digit(counter, 0)] = job;
    job->noted = MQ_JOB_NEW;
}

/* Frees the nodes that are empty now, from the leaf up. True if this one was freed. */
static bool prune(struct mq_index *index, struct mq_node *node, unsigned level, uint64_t counter)
{
    uint32_t bit = (uint32_t)1 << digit(counter, level);
    if (!level || prune(index, node->child.node[digit(counter, level)], level - 1, counter))
        node->in[MQ_JOB_ANY] &= ~bit;
    if (node->in[MQ_JOB_ANY])
        return false;
    if (index->spare_n) {
        node_free(index, node);
    } else { /* kept: a queue that runs empty and fills again needs one each time */
        node->child.node[0] = index->spare;
        index->spare = node;
        index->spare_n = 1;
    }
    return true;
}

void mq_index_remove(struct mq_index *index, struct mq_job *job)
{
    uint64_t counter = counter_of(job);
    struct mq_node *leaf = find_leaf(index, counter);
    uint32_t bit = (uint32_t)1 << digit(counter, 0);
    MQ_ASSERT(leaf && leaf->in[MQ_JOB_ANY] & bit && leaf->child.job[digit(counter, 0)] == job);
    job->state = MQ_JOB_NEW;
    mq_index_note(index, job);
    leaf->in[MQ_JOB_ANY] &= ~bit;
    if (leaf->in[MQ_JOB_ANY])
        return;
    index->last = NULL;
    if (prune(index, index->root, index->levels - 1, counter)) {
        index->root = NULL;
        index->levels = 0;
    }
}

void mq_index_note(struct mq_index *index, struct mq_job *job)
{
    uint64_t counter = counter_of(job);
    unsigned before = job->noted, after = job->state;
    if (before == after)
        return;
    struct mq_node *leaf = find_leaf(index, counter);
    uint32_t bit = (uint32_t)1 << digit(counter, 0);
    job->noted = job->state;
    if (after != MQ_JOB_NEW) {
        bool first = !leaf->in[after];
        leaf->in[after] |= bit;
        if (first)
            add_to_state(index, counter, after);
    }
    if (before != MQ_JOB_NEW) {
        if (leaf->in[before] != bit)
            leaf->in[before] &= ~bit;
        else
            clear_from_state(index->root, index->levels - 1, counter, before);
    }
}

/* `from` binds only as long as the way is its own; left of it or right of it all children are beyond it anyway. */
static struct mq_job *find_up(const struct mq_node *node, unsigned level, unsigned state, uint64_t from, bool bound)
{
    unsigned start = bound ? digit(from, level) : 0;
    for (uint32_t left = node->in[state] & (UINT32_MAX << start); left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        if (!level)
            return node->child.job[i];
        struct mq_job *job = find_up(node->child.node[i], level - 1, state, from, bound && i == start);
        if (job)
            return job;
    }
    return NULL;
}

static struct mq_job *find_down(const struct mq_node *node, unsigned level, unsigned state, uint64_t from, bool bound)
{
    unsigned start = bound ? digit(from, level) : MQ_INDEX_WAYS - 1;
    uint32_t left = node->in[state] & (UINT32_MAX >> (MQ_INDEX_WAYS - 1 - start));
    while (left) {
        unsigned i = MQ_INDEX_WAYS - 1 - (unsigned)__builtin_clz(left);
        if (!level)
            return node->child.job[i];
        struct mq_job *job = find_down(node->child.node[i], level - 1, state, from, bound && i == start);
        if (job)
            return job;
        left &= ~((uint32_t)1 << i);
    }
    return NULL;
}

struct mq_job *mq_index_up(const struct mq_index *index, enum mq_job_state state, uint64_t from)
{
    if (!index->root || levels_for(from) > index->levels)
        return NULL;
    return find_up(index->root, index->levels - 1, state, from, true);
}

struct mq_job *mq_index_down(const struct mq_index *index, enum mq_job_state state, uint64_t from)
{
    if (!index->root)
        return NULL;
    return find_down(index->root, index->levels - 1, state, from, levels_for(from) <= index->levels);
}

static size_t count_nodes(const struct mq_node *node, unsigned level)
{
    size_t n = 1;
    for (uint32_t left = level ? node->in[MQ_JOB_ANY] : 0; left; left &= left - 1)
        n += count_nodes(node->child.node[__builtin_ctz(left)], level - 1);
    return n;
}

size_t mq_index_bytes(const struct mq_index *index)
{
    return ((index->root ? count_nodes(index->root, index->levels - 1) : 0) + index->spare_n) * sizeof(struct mq_node);
}

static uint64_t check_below(const struct mq_node *node, unsigned level, uint64_t first)
{
    uint64_t n = 0;
    uint32_t seen[MQ_JOB_STATES] = {0};
    MQ_ASSERT(node->in[MQ_JOB_ANY]);
    for (uint32_t left = node->in[MQ_JOB_ANY]; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        uint64_t counter = first | (uint64_t)i << level * BITS;
        if (level) {
            const struct mq_node *below = node->child.node[i];
            n += check_below(below, level - 1, counter);
            for (unsigned s = 0; s < MQ_JOB_STATES; s++)
                seen[s] |= (uint32_t)(below->in[s] != 0) << i;
        } else {
            const struct mq_job *job = node->child.job[i];
            MQ_ASSERT(counter_of(job) == counter && job->noted == job->state && job->state != MQ_JOB_NEW);
            seen[MQ_JOB_ANY] |= (uint32_t)1 << i;
            seen[job->state] |= (uint32_t)1 << i;
            n++;
        }
    }
    MQ_ASSERT(memcmp(seen, node->in, sizeof seen) == 0);
    return n;
}

uint64_t mq_index_check(const struct mq_index *index)
{
    return index->root ? check_below(index->root, index->levels - 1, 0) : 0;
}
