#include "net/subscriber.h"

#include "base/check.h"
#include "base/mem.h"

#define FEED_BYTES (4u << 20)    /* of events that wait for the reactor */
#define LOOKS_A_TURN 16384u      /* events times subscribers, before other connections get their turn */

/* Output beyond which a connection gets no events. */
static size_t unsent_max(const struct mq_conn *conn) { return conn->reactor->engine->config.max_output; }

static bool matches(const struct mq_subscriber *subscriber, enum mq_event event, uint64_t hash, mq_slice queue_json)
{
    for (uint32_t i = 0; i < subscriber->n; i++) {
        const struct mq_subscription *s = &subscriber->wanted[i];
        if (s->events >> event & 1 && (s->all || (s->queue_hash == hash && mq_slice_eq(s->queue_json, queue_json))))
            return true;
    }
    return false;
}

/* --- telling --- */

static void drop(struct mq_subscriber *subscriber, uint64_t n)
{
    if (!subscriber->dropped)
        subscriber->first_dropped = subscriber->seq + 1;
    subscriber->dropped += n;
    struct mq_shown *shown = &subscriber->conn->shown;
    mq_shown_set(&shown->dropped, shown->dropped + n);
    subscriber->seq += n;
}

bool mq_subscriber_catch_up(struct mq_conn *conn)
{
    struct mq_subscriber *subscriber = conn->subscriber;
    if (!subscriber->dropped || (conn->out && mq_ring_used(conn->out) > unsent_max(conn) / 2))
        return false;
    struct mq_ring *out = mq_conn_out(conn);
    if (!out || !mq_reply_dropped(out, subscriber->dropped, subscriber->first_dropped))
        return false;
    subscriber->dropped = 0;
    return true;
}

static void tell(struct mq_subscriber *subscriber, const struct mq_event_reader *event)
{
    struct mq_conn *conn = subscriber->conn;
    if (mq_subscriber_catch_up(conn))
        mq_conn_mark_dirty(conn);
    bool full = subscriber->dropped || (conn->out && mq_ring_used(conn->out) > unsent_max(conn));
    struct mq_ring *out = full ? NULL : mq_conn_out(conn);
    if (!out || !mq_reply_event(out, mq_event_name(event->event), event->queue_json, event->id, subscriber->seq + 1)) {
        drop(subscriber, 1);
        return;
    }
    subscriber->seq++;
    if (event->seq > conn->seq)
        conn->seq = event->seq;
    mq_conn_mark_dirty(conn);
}

static void tell_all(struct mq_reactor *reactor, const struct mq_event_reader *event)
{
    for (struct mq_list *node = reactor->subscribers.next; node != &reactor->subscribers; node = node->next) {
        struct mq_subscriber *subscriber = mq_list_entry(node, struct mq_subscriber, node);
        if (matches(subscriber, event->event, event->queue_hash, event->queue_json))
            tell(subscriber, event);
    }
}

static void lose(struct mq_subscriber *subscriber, const struct mq_loss *loss)
{
    for (unsigned event = 0; event < MQ_EVENTS; event++) {
        bool wanted = false;
        for (uint32_t i = 0; loss->n[event] && i < subscriber->n && !wanted; i++) {
            const struct mq_subscription *s = &subscriber->wanted[i];
            wanted = s->events >> event & 1 && (s->all || loss->others || s->queue_hash == loss->queue_hash);
        }
        if (wanted)
            drop(subscriber, loss->n[event]);
    }
    if (mq_subscriber_catch_up(subscriber->conn))
        mq_conn_mark_dirty(subscriber->conn);
}

static void lose_all(struct mq_reactor *reactor)
{
    for (unsigned i = 0; i < reactor->losses.n; i++)
        for (struct mq_list *node = reactor->subscribers.next; node != &reactor->subscribers; node = node->next)
            lose(mq_list_entry(node, struct mq_subscriber, node), &reactor->losses.rows[i]);
    mq_free(reactor->losses.rows);
    reactor->losses = (struct mq_losses){0};
}

bool mq_subscribers_behind(const struct mq_reactor *reactor)
{
    return reactor->told.bytes.n || atomic_load_explicit(&reactor->feed.filled, memory_order_relaxed);
}

void mq_subscribers_tell(struct mq_reactor *reactor)
{
    unsigned looks = 0;
    reactor->told_ms = reactor->now_ms;
    while (looks < LOOKS_A_TURN) {
        if (mq_event_next(&reactor->told)) {
            looks += 1 + reactor->subscriber_n;
            tell_all(reactor, &reactor->told);
            continue;
        }
        lose_all(reactor); /* they came after what has just been told */
        mq_ring_consume(&reactor->events, mq_ring_used(&reactor->events));
        if (!atomic_load_explicit(&reactor->feed.filled, memory_order_relaxed))
            return;
        mq_feed_take(&reactor->engine->hub, &reactor->feed, &reactor->events, &reactor->losses);
        reactor->told = (struct mq_event_reader){.bytes = mq_ring_peek(&reactor->events)};
    }
}

/* --- subscriptions --- */

/* A subscription is for these events now, and was for those before. Counted: a walk over all subscriptions for each would take ever
 * longer the more there are. */
static void set_events(struct mq_reactor *reactor, struct mq_subscription *row, uint32_t events)
{
    uint32_t all = 0;
    for (unsigned event = 0; event < MQ_EVENTS; event++) {
        reactor->wanted_by[event] += (events >> event & 1) - (row->events >> event & 1);
        all |= (uint32_t)(reactor->wanted_by[event] > 0) << event;
    }
    row->events = events;
    if (all != reactor->feed.wanted)
        mq_feed_want(&reactor->engine->hub, &reactor->feed, all);
}

static struct mq_subscription *find(struct mq_subscriber *subscriber, const struct mq_subscription *wanted)
{
    for (uint32_t i = 0; i < subscriber->n; i++)
        if (subscriber->wanted[i].queue_hash == wanted->queue_hash &&
            mq_slice_eq(subscriber->wanted[i].queue_json, wanted->queue_json))
            return &subscriber->wanted[i];
    return NULL;
}

static int add(struct mq_subscriber *subscriber, const struct mq_subscription *wanted)
{
    if (subscriber->n == MQ_SUBSCRIPTIONS_MAX)
        return MQ_E_UNAVAILABLE;
    if (subscriber->n == subscriber->cap) {
        uint32_t cap = subscriber->cap ? subscriber->cap * 2 : 4;
        struct mq_subscription *rows = mq_resize(subscriber->wanted, cap * sizeof *rows);
        if (!rows)
            return MQ_E_OUT_OF_MEMORY;
        subscriber->wanted = rows;
        subscriber->cap = cap;
    }
    char *names = mq_alloc(wanted->queue_json.n + wanted->queue.n);
    if (!names)
        return MQ_E_OUT_OF_MEMORY;
    memcpy(names, wanted->queue_json.p, wanted->queue_json.n);
    memcpy(names + wanted->queue_json.n, wanted->queue.p, wanted->queue.n);
    struct mq_subscription *row = &subscriber->wanted[subscriber->n++];
    *row = *wanted;
    row->queue_json.p = names;
    row->queue.p = names + wanted->queue_json.n;
    row->events = 0;
    set_events(subscriber->conn->reactor, row, wanted->events);
    return MQ_OK;
}

static void take_out(struct mq_subscriber *subscriber, struct mq_subscription *row, uint32_t events)
{
    set_events(subscriber->conn->reactor, row, row->events & ~events);
    if (row->events)
        return;
    mq_free((char *)row->queue_json.p);
    *row = subscriber->wanted[--subscriber->n];
}

/* Made on first use. 0, or an error. */
static int make_subscriber(struct mq_conn *conn)
{
    struct mq_reactor *reactor = conn->reactor;
    if (conn->subscriber)
        return MQ_OK;
    if (atomic_fetch_add(&reactor->net->subscriber_n, 1) >= reactor->engine->config.max_subscribers) {
        atomic_fetch_sub(&reactor->net->subscriber_n, 1);
        return MQ_E_UNAVAILABLE;
    }
    struct mq_subscriber *subscriber = mq_alloc_zero(sizeof *subscriber);
    if (!subscriber) {
        atomic_fetch_sub(&reactor->net->subscriber_n, 1);
        return MQ_E_OUT_OF_MEMORY;
    }
    subscriber->conn = conn;
    conn->subscriber = subscriber;
    atomic_store_explicit(&conn->shown.subscribes, true, memory_order_relaxed);
    mq_list_append(&reactor->subscribers, &subscriber->node);
    reactor->subscriber_n++;
    return MQ_OK;
}

static int session_subscribe(struct mq_session *session, const struct mq_subscription *wanted, bool on)
{
    struct mq_conn *conn = mq_conn_of(session);
    if (!on && !conn->subscriber)
        return MQ_OK;
    int status = make_subscriber(conn);
    if (status < 0)
        return status;
    struct mq_subscriber *subscriber = conn->subscriber;
    struct mq_subscription *row = find(subscriber, wanted);
    if (!on && row)
        take_out(subscriber, row, wanted->events);
    else if (on && row)
        set_events(conn->reactor, row, wanted->events);
    else if (on)
        status = add(subscriber, wanted);
    return status;
}

void mq_subscriber_session_init(struct mq_session *session) { session->subscribe = session_subscribe; }

void mq_subscriber_renew(struct mq_conn *conn)
{
    struct mq_subscriber *subscriber = conn->subscriber;
    const struct mq_right *right = conn->session.right;
    if (!subscriber || !right)
        return;
    for (uint32_t i = subscriber->n; i--;)
        if (!mq_right_opens(right, MQ_PLANE_job, subscriber->wanted[i].queue))
            take_out(subscriber, &subscriber->wanted[i], MQ_EVENTS_ALL);
}

void mq_subscriber_free(struct mq_conn *conn)
{
    struct mq_subscriber *subscriber = conn->subscriber;
    if (!subscriber)
        return;
    while (subscriber->n)
        take_out(subscriber, &subscriber->wanted[0], MQ_EVENTS_ALL);
    mq_list_remove(&subscriber->node);
    conn->reactor->subscriber_n--;
    atomic_fetch_sub(&conn->reactor->net->subscriber_n, 1);
    mq_free(subscriber->wanted);
    mq_free(subscriber);
    conn->subscriber = NULL;
}

/* --- the reactor's part --- */

static void wake(void *context) { mq_mailbox_wake(&((struct mq_reactor *)context)->mailbox); }

void mq_subscribers_init(struct mq_reactor *reactor)
{
    mq_list_init(&reactor->subscribers);
    mq_feed_init(&reactor->feed, FEED_BYTES, wake, reactor);
    mq_ring_init_sized(&reactor->events, 4096);
}

void mq_subscribers_close(struct mq_reactor *reactor)
{
    mq_feed_close(&reactor->engine->hub, &reactor->feed);
    mq_ring_close(&reactor->events);
    mq_free(reactor->losses.rows);
}
