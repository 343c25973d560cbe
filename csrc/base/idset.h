/* A set of 64-bit numbers that only grows, made for ids: numbers that lie together cost a bit each, and long runs nothing.
 *
 * A radix tree: a leaf is a bitmap of 1,024 numbers; what is wholly in the set is a mark in the node above and no memory.
 * No lock of its own.
 */
#ifndef MQ_IDSET_H
#define MQ_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mq_idset_node;

struct mq_idset {
    struct mq_idset_node *root;
    struct mq_idset_node *spare; /* reserved nodes, linked through their first child */
    unsigned levels;             /* of nodes from the root to a leaf; 0 = empty */
    unsigned spare_n;
    size_t bytes; /* that its nodes take, spare ones not counted */
};

void mq_idset_init(struct mq_idset *set);
void mq_idset_close(struct mq_idset *set);
bool mq_idset_has(const struct mq_idset *set, uint64_t n);
/* The next add of this number cannot fail; 0, or -1 when there is no memory. */
int mq_idset_reserve(struct mq_idset *set, uint64_t n);
/* The runs of numbers in the set, in order: `visit` gets the first number of each and how many there are. */
void mq_idset_runs(const struct mq_idset *set, void (*visit)(void *context, uint64_t first, uint64_t n), void *context);
/* Reserved before, unless the number is in the set already. */
void mq_idset_add(struct mq_idset *set, uint64_t n);

#endif
