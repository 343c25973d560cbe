/* What happens to jobs, told to those who asked: events, from the shards through a hub to feeds.
 *
 * A shard notes events while its mutex is held and hands them to the hub when it is given back, each time as one run of
 * bytes. The hub copies the run to every feed (a reactor with subscribed connections, a stream) that wants any of them. A feed holds
 * a bounded number of bytes; what does not fit is only counted, by queue and event, until its reader has caught up.
 */
#ifndef MQ_EVENTS_H
#define MQ_EVENTS_H

#include "base/list.h"
#include "base/ring.h"
#include "base/sync.h"

#include <stdatomic.h>
#include <stdbool.h>

struct mq_queue;

enum mq_event {
    MQ_EVENT_PUSHED,
    MQ_EVENT_ACTIVE,
    MQ_EVENT_COMPLETED,
    MQ_EVENT_FAILED, /* entered the dead-letter queue */
    MQ_EVENT_RETRYING,
    MQ_EVENT_TIMEOUT,
    MQ_EVENT_EXPIRED,
    MQ_EVENT_CANCELLED,
    MQ_EVENT_PROGRESS,
    MQ_EVENT_STALLED, /* a held job was lost */
};
#define MQ_EVENTS 10u
#define MQ_EVENTS_ALL ((1u << MQ_EVENTS) - 1)

/* The name, as clients write it. */
const char *mq_event_name(enum mq_event event);
/* The event with this name, or -1. */
int mq_event_find(mq_slice name);

/* Events of one queue that a feed had no room for. */
struct mq_loss {
    uint64_t queue_hash;
    uint64_t n[MQ_EVENTS];
    bool others; /* of queues without a row of their own, too */
};
#define MQ_LOSSES 1024u /* rows: the last is for all queues beyond, too. Who hears of any queue counts that: perhaps too many, never none */

struct mq_losses {
    struct mq_loss *rows; /* NULL before the first */
    unsigned n;
};

struct mq_feed {
    struct mq_list node;  /* in hub->feeds while anything is wanted */
    struct mq_ring bytes;
    struct mq_losses losses;
    uint32_t wanted;      /* bit n: event n */
    size_t limit;         /* bytes held at most */
    _Atomic bool filled;  /* something may be taken */
    void (*wake)(void *context); /* called with the hub's mutex held, from any thread */
    void *context;
};

struct mq_hub {
    struct mq_mutex mutex; /* taken with or without a shard's; nothing is locked under it */
    struct mq_list feeds;
    _Atomic uint32_t wanted; /* by any of them */
};

void mq_hub_init(struct mq_hub *hub);
void mq_hub_close(struct mq_hub *hub);

static inline bool mq_hub_wants(const struct mq_hub *hub, enum mq_event event)
{
    return atomic_load_explicit(&hub->wanted, memory_order_relaxed) >> event & 1;
}

/* Events of one shard on their way to the hub. Guarded by the shard's mutex. */
struct mq_outbox {
    struct mq_ring bytes;
    uint64_t queue_hash; /* of the last event's queue; valid while bytes are there */
};
/* `queue_json`: its name as a JSON string. Without memory the event is counted as lost. */
void mq_outbox_add(struct mq_outbox *outbox, struct mq_hub *hub, enum mq_event event, uint64_t id, uint64_t queue_hash,
                   mq_slice queue_json);
/* Hands all to the hub; they may be told once the log is committed up to `seq`. */
void mq_outbox_send(struct mq_outbox *outbox, struct mq_hub *hub, uint64_t seq);

void mq_feed_init(struct mq_feed *feed, size_t limit, void (*wake)(void *context), void *context);
/* What the feed's reader wants from now on; 0 = nothing. What it holds stays until it is taken. */
void mq_feed_want(struct mq_hub *hub, struct mq_feed *feed, uint32_t wanted);
/* Wants nothing and frees. */
void mq_feed_close(struct mq_hub *hub, struct mq_feed *feed);
/* Moves what has come into `bytes` (which must be empty), and what was lost after it into `losses` (the caller frees rows). */
void mq_feed_take(struct mq_hub *hub, struct mq_feed *feed, struct mq_ring *bytes, struct mq_losses *losses);

/* Reads a run of events, front to back. */
struct mq_event_reader {
    mq_slice bytes;       /* what is left */
    uint64_t seq;         /* the log must be committed up to here */
    uint64_t queue_hash;
    mq_slice queue_json;
    enum mq_event event;
    uint64_t id;
};
/* The next event; false at the end. */
bool mq_event_next(struct mq_event_reader *reader);

#endif
