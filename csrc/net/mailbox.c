#include "net/mailbox.h"

#include "base/sync.h"

#include <stddef.h>
#include <unistd.h>

int mq_mailbox_init(struct mq_mailbox *mailbox)
{
    atomic_init(&mailbox->top, NULL);
    atomic_init(&mailbox->asleep, false);
    mailbox->event_fd = mq_event_open();
    return mailbox->event_fd < 0 ? mailbox->event_fd : 0;
}

void mq_mailbox_close(struct mq_mailbox *mailbox) { close(mailbox->event_fd); }

void mq_mailbox_wake(struct mq_mailbox *mailbox)
{
    /* The exchange makes one of many senders write, and orders the letter before the look at the flag. */
    if (atomic_exchange(&mailbox->asleep, false))
        mq_event_signal(mailbox->event_fd);
}

void mq_mailbox_post(struct mq_mailbox *mailbox, struct mq_letter *letter)
{
    struct mq_letter *top = atomic_load_explicit(&mailbox->top, memory_order_relaxed);
    do
        letter->next = top;
    while (!atomic_compare_exchange_weak(&mailbox->top, &top, letter));
    if (atomic_load(&mailbox->asleep))
        mq_mailbox_wake(mailbox);
}

bool mq_mailbox_open_all(struct mq_mailbox *mailbox)
{
    if (!atomic_load_explicit(&mailbox->top, memory_order_relaxed))
        return false;
    struct mq_letter *letter = atomic_exchange(&mailbox->top, NULL), *oldest = NULL;
    while (letter) {
        struct mq_letter *next = letter->next;
        letter->next = oldest;
        oldest = letter;
        letter = next;
    }
    while (oldest) {
        struct mq_letter *next = oldest->next; /* opening may free it */
        oldest->open(oldest);
        oldest = next;
    }
    return true;
}

bool mq_mailbox_may_sleep(struct mq_mailbox *mailbox)
{
    atomic_store(&mailbox->asleep, true);
    if (!atomic_load(&mailbox->top))
        return true;
    mq_mailbox_awake(mailbox);
    return false;
}
