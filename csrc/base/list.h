/* Intrusive doubly linked list, circular with a head node.
 *
 * A node is linked into one list at a time. An unlinked node points to itself, so removing twice is harmless.
 * No memory, no lock: whoever owns the head guards it.
 */
#ifndef MQ_LIST_H
#define MQ_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mq_list {
    struct mq_list *prev, *next;
};

/* The object that holds `node` as its member. */
#define mq_list_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline void mq_list_init(struct mq_list *node) { node->prev = node->next = node; }

static inline bool mq_list_empty(const struct mq_list *head) { return head->next == head; }

static inline void mq_list_append(struct mq_list *head, struct mq_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void mq_list_prepend(struct mq_list *head, struct mq_list *node) { mq_list_append(head->next, node); }

static inline void mq_list_remove(struct mq_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    mq_list_init(node);
}

static inline struct mq_list *mq_list_first(const struct mq_list *head)
{
    return mq_list_empty(head) ? NULL : head->next;
}

static inline struct mq_list *mq_list_pop(struct mq_list *head)
{
    struct mq_list *node = mq_list_first(head);
    if (node)
        mq_list_remove(node);
    return node;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void mq_list_splice(struct mq_list *to, struct mq_list *from)
{
    if (mq_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    mq_list_init(from);
}

#endif
