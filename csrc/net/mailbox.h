/* A reactor's mailbox: how other threads reach a connection. Any thread posts, the reactor's thread takes.
 *
 * Lock-free: a stack of letters that the taker reverses, so letters of one sender stay in order. The eventfd is written only
 * when the reactor may be asleep. A letter is embedded in what it carries; it must stay valid until it was taken.
 */
#ifndef MQ_MAILBOX_H
#define MQ_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct mq_letter {
    struct mq_letter *next;
    void (*open)(struct mq_letter *letter); /* called by the taker */
};

struct mq_mailbox {
    _Alignas(64) struct mq_letter *_Atomic top;
    _Atomic bool asleep; /* the taker sleeps, or is about to */
    int event_fd;
};

/* 0 or -errno. */
int mq_mailbox_init(struct mq_mailbox *mailbox);
void mq_mailbox_close(struct mq_mailbox *mailbox);
void mq_mailbox_post(struct mq_mailbox *mailbox, struct mq_letter *letter);
/* Wakes the taker without a letter. Async-signal-safe. */
void mq_mailbox_wake(struct mq_mailbox *mailbox);
/* Taker only: opens all letters; true if there was any. */
bool mq_mailbox_open_all(struct mq_mailbox *mailbox);
/* Taker only, around its sleep: false if there is a letter already and it must not sleep. */
bool mq_mailbox_may_sleep(struct mq_mailbox *mailbox);
static inline void mq_mailbox_awake(struct mq_mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->asleep, false, memory_order_relaxed);
}

#endif
