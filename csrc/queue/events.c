#include "queue/events.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

/* A run: items of a tag and what follows it, unaligned. */
enum tag { TAG_SEQ, TAG_QUEUE, TAG_EVENT };
#define SEQ_BYTES 9u   /* tag, u64 seq */
#define QUEUE_HEAD 11u /* tag, u64 hash, u16 length; the name follows */
#define EVENT_BYTES 10u /* tag, u8 event, u64 id */
#define OUTBOX_KEEP (64u << 10)

static const char *const names[MQ_EVENTS] = {
    [MQ_EVENT_PUSHED] = "pushed",       [MQ_EVENT_ACTIVE] = "active",       [MQ_EVENT_COMPLETED] = "completed",
    [MQ_EVENT_FAILED] = "failed",       [MQ_EVENT_RETRYING] = "retrying",   [MQ_EVENT_TIMEOUT] = "timeout",
    [MQ_EVENT_EXPIRED] = "expired",     [MQ_EVENT_CANCELLED] = "cancelled", [MQ_EVENT_PROGRESS] = "progress",
    [MQ_EVENT_STALLED] = "stalled",
};

const char *mq_event_name(enum mq_event event) { return names[event]; }

int mq_event_find(mq_slice name)
{
    for (unsigned i = 0; i < MQ_EVENTS; i++)
        if (mq_slice_eq(name, mq_slice_of(names[i], strlen(names[i]))))
            return (int)i;
    return -1;
}

void mq_hub_init(struct mq_hub *hub)
{
    mq_mutex_init(&hub->mutex);
    mq_list_init(&hub->feeds);
    atomic_init(&hub->wanted, 0);
}

void mq_hub_close(struct mq_hub *hub) { mq_mutex_close(&hub->mutex); }

/* --- losses --- */

static void lose_locked(struct mq_feed *feed, uint64_t queue_hash, enum mq_event event)
{
    struct mq_losses *losses = &feed->losses;
    unsigned i = losses->n;
    while (i && losses->rows[i - 1].queue_hash != queue_hash) /* the last queue is most often meant again */
        i--;
    if (!i && losses->n < MQ_LOSSES) {
        if (!losses->rows && !(losses->rows = mq_alloc(MQ_LOSSES * sizeof *losses->rows)))
            return;
        losses->rows[losses->n] = (struct mq_loss){.queue_hash = queue_hash};
        i = ++losses->n;
    }
    if (!i) {
        i = losses->n;
        losses->rows[i - 1].others = true;
    }
    losses->rows[i - 1].n[event]++;
    atomic_store_explicit(&feed->filled, true, memory_order_relaxed);
}

static void lose_run_locked(struct mq_feed *feed, mq_slice bytes)
{
    struct mq_event_reader reader = {.bytes = bytes};
    while (mq_event_next(&reader))
        lose_locked(feed, reader.queue_hash, reader.event);
}

/* --- outbox --- */

static char *put64(char *o, uint64_t v)
{
    memcpy(o, &v, sizeof v);
    return o + sizeof v;
}

void mq_outbox_add(struct mq_outbox *outbox, struct mq_hub *hub, enum mq_event event, uint64_t id, uint64_t queue_hash,
                   mq_slice queue_json)
{
    bool first = mq_ring_used(&outbox->bytes) == 0;
    char *start = mq_ring_reserve(&outbox->bytes, SEQ_BYTES + QUEUE_HEAD + queue_json.n + EVENT_BYTES), *o = start;
    if (MQ_UNLIKELY(!o)) {
        mq_mutex_lock(&hub->mutex);
        for (struct mq_list *node = hub->feeds.next; node != &hub->feeds; node = node->next) {
            struct mq_feed *feed = mq_list_entry(node, struct mq_feed, node);
            lose_locked(feed, queue_hash, event);
            feed->wake(feed->context);
        }
        mq_mutex_unlock(&hub->mutex);
        return;
    }
    if (first) { /* the number is filled in when it is sent */
        *o++ = TAG_SEQ;
        o = put64(o, 0);
    }
    if (first || outbox->queue_hash != queue_hash) {
        uint16_t n = (uint16_t)queue_json.n;
        *o++ = TAG_QUEUE;
        o = put64(o, queue_hash);
        memcpy(o, &n, sizeof n);
        memcpy(o + sizeof n, queue_json.p, queue_json.n);
        o += sizeof n + queue_json.n;
        outbox->queue_hash = queue_hash;
    }
    *o++ = TAG_EVENT;
    *o++ = (char)event;
    o = put64(o, id);
    mq_ring_commit(&outbox->bytes, (size_t)(o - start));
}

void mq_outbox_send(struct mq_outbox *outbox, struct mq_hub *hub, uint64_t seq)
{
    mq_slice run = mq_ring_peek(&outbox->bytes);
    memcpy((char *)run.p + 1, &seq, sizeof seq);
    mq_mutex_lock(&hub->mutex);
    for (struct mq_list *node = hub->feeds.next; node != &hub->feeds; node = node->next) {
        struct mq_feed *feed = mq_list_entry(node, struct mq_feed, node);
        bool full = feed->losses.n || mq_ring_used(&feed->bytes) + run.n > feed->limit;
        char *room = full ? NULL : mq_ring_reserve(&feed->bytes, run.n);
        if (room) {
            memcpy(room, run.p, run.n);
            mq_ring_commit(&feed->bytes, run.n);
        } else {
            lose_run_locked(feed, run);
        }
        if (!atomic_exchange_explicit(&feed->filled, true, memory_order_relaxed) || !room)
            feed->wake(feed->context);
    }
    mq_mutex_unlock(&hub->mutex);
    mq_ring_consume(&outbox->bytes, run.n);
    if (outbox->bytes.cap > OUTBOX_KEEP)
        mq_ring_close(&outbox->bytes);
}

/* --- feeds --- */

void mq_feed_init(struct mq_feed *feed, size_t limit, void (*wake)(void *context), void *context)
{
    *feed = (struct mq_feed){.limit = limit, .wake = wake, .context = context};
    mq_list_init(&feed->node);
    mq_ring_init_sized(&feed->bytes, 4096);
}

void mq_feed_want(struct mq_hub *hub, struct mq_feed *feed, uint32_t wanted)
{
    uint32_t all = 0;
    mq_mutex_lock(&hub->mutex);
    feed->wanted = wanted;
    mq_list_remove(&feed->node);
    if (wanted)
        mq_list_append(&hub->feeds, &feed->node);
    for (struct mq_list *node = hub->feeds.next; node != &hub->feeds; node = node->next)
        all |= mq_list_entry(node, struct mq_feed, node)->wanted;
    atomic_store(&hub->wanted, all);
    mq_mutex_unlock(&hub->mutex);
}

void mq_feed_close(struct mq_hub *hub, struct mq_feed *feed)
{
    mq_feed_want(hub, feed, 0);
    mq_ring_close(&feed->bytes);
    mq_free(feed->losses.rows);
    feed->losses = (struct mq_losses){0};
}

void mq_feed_take(struct mq_hub *hub, struct mq_feed *feed, struct mq_ring *bytes, struct mq_losses *losses)
{
    MQ_ASSERT(mq_ring_used(bytes) == 0);
    mq_mutex_lock(&hub->mutex);
    struct mq_ring full = feed->bytes; /* the blocks change places: nothing is copied */
    feed->bytes = *bytes;
    *bytes = full;
    *losses = feed->losses;
    feed->losses = (struct mq_losses){0};
    atomic_store_explicit(&feed->filled, false, memory_order_relaxed);
    mq_mutex_unlock(&hub->mutex);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

bool mq_event_next(struct mq_event_reader *reader)
{
    while (reader->bytes.n) {
        const char *p = reader->bytes.p;
        size_t size = EVENT_BYTES;
        if (*p == TAG_SEQ) {
            reader->seq = get64(p + 1);
            size = SEQ_BYTES;
        } else if (*p == TAG_QUEUE) {
            uint16_t n;
            reader->queue_hash = get64(p + 1);
            memcpy(&n, p + 9, sizeof n);
            reader->queue_json = mq_slice_of(p + QUEUE_HEAD, n);
            size = QUEUE_HEAD + n;
        } else {
            reader->event = (enum mq_event)(unsigned char)p[1];
            reader->id = get64(p + 2);
        }
        bool event = *p == TAG_EVENT;
        reader->bytes = mq_slice_of(p + size, reader->bytes.n - size);
        if (event)
            return true;
    }
    return false;
}
