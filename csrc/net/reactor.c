#include "net/reactor.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/sync.h"
#include "net/clients.h"
#include "net/deadline.h"
#include "net/listener.h"
#include "net/parked.h"
#include "net/subscriber.h"
#include "net/syscalls.h"
#include "net/tls.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 256
#define STOP_GRACE_MS 1000 /* what a stopping server gives its slowest reader */

/* --- rings --- */

struct mq_ring *mq_reactor_ring(struct mq_reactor *reactor)
{
    if (reactor->ring_n)
        return reactor->rings[--reactor->ring_n];
    struct mq_ring *ring = mq_alloc(sizeof *ring);
    if (!ring)
        return NULL;
    mq_ring_init(ring);
    if (!mq_ring_reserve(ring, MQ_RING_BYTES)) {
        mq_free(ring);
        return NULL;
    }
    return ring;
}

void mq_reactor_ring_done(struct mq_reactor *reactor, struct mq_ring *ring)
{
    mq_ring_consume(ring, mq_ring_used(ring));
    if (reactor->ring_n < MQ_SPARE_RINGS && ring->cap == MQ_RING_BYTES) {
        reactor->rings[reactor->ring_n++] = ring;
        return;
    }
    mq_ring_close(ring);
    mq_free(ring);
}

/* --- one turn --- */

static void wake_all(void *context)
{
    struct mq_net *net = context;
    for (unsigned i = 0; i < net->reactor_n; i++)
        mq_mailbox_wake(&net->reactors[i].mailbox);
}

static void wake_for_shard(void *context, unsigned shard)
{
    struct mq_net *net = context;
    mq_mailbox_wake(&net->reactors[shard % net->reactor_n].mailbox);
}

static bool work_is_left(const struct mq_reactor *reactor)
{
    const struct mq_log *log = reactor->engine->log;
    if (!mq_list_empty(&reactor->uncommitted) && log->ops->committed(log) != reactor->committed_seen)
        return true; /* it committed between the last look and going to sleep */
    return !mq_list_empty(&reactor->dirty) || mq_subscribers_behind(reactor) ||
           (reactor->stop_at_ms == MQ_NEVER && atomic_load(&reactor->net->stop)) || atomic_load(&reactor->net->stop) > 1;
}

static int64_t next_time(const struct mq_reactor *reactor)
{
    int64_t next = reactor->stop_at_ms;
    if (reactor->timers.n && (int64_t)reactor->timers.entries[0].high < next)
        next = (int64_t)reactor->timers.entries[0].high;
    for (unsigned i = reactor->index; i < MQ_SHARDS; i += reactor->net->reactor_n) {
        int64_t due = atomic_load_explicit(&reactor->engine->shards[i].due_ms[MQ_DUE_READY], memory_order_acquire);
        next = due < next ? due : next;
    }
    if (reactor->deadlines.n && (int64_t)reactor->deadlines.entries[0].high < next)
        next = (int64_t)reactor->deadlines.entries[0].high;
    if (reactor->pause_accept && reactor->accept_at_ms < next)
        next = reactor->accept_at_ms;
    return next;
}

/* Milliseconds to sleep, -1 = until woken. Called after the mailbox was told that we sleep, so nothing is missed. */
static int sleep_ms(const struct mq_reactor *reactor)
{
    if (work_is_left(reactor))
        return 0;
    int64_t next = next_time(reactor);
    if (next == MQ_NEVER)
        return -1;
    int64_t now = mq_engine_now(reactor->engine);
    if (next <= now)
        return 0;
    if (reactor->engine->clock.manual)
        return -1;
    return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

static void run_timers(struct mq_reactor *reactor)
{
    const struct mq_heap_entry *top;
    while ((top = mq_heap_top(&reactor->timers)) && (int64_t)top->high <= reactor->now_ms)
        mq_parked_expire(top->item);
    while ((top = mq_heap_top(&reactor->deadlines)) && (int64_t)top->high <= reactor->now_ms)
        mq_deadline_look(top->item);
}

static void run_shards(struct mq_reactor *reactor)
{
    for (unsigned i = reactor->index; i < MQ_SHARDS; i += reactor->net->reactor_n) {
        struct mq_shard *shard = &reactor->engine->shards[i];
        if (MQ_UNLIKELY(mq_shard_is_due(shard, MQ_DUE_READY, reactor->now_ms)))
            mq_shard_sweep(shard, MQ_DUE_READY, reactor->now_ms); /* a slice; the rest in the next turn */
    }
}

static void settle_all(struct mq_reactor *reactor)
{
    if (MQ_UNLIKELY(reactor->engine->log->wants_records)) {
        reactor->committed_seen = reactor->engine->log->ops->committed(reactor->engine->log);
        mq_list_splice(&reactor->dirty, &reactor->uncommitted);
    }
    struct mq_list now;
    mq_list_init(&now);
    mq_list_splice(&now, &reactor->dirty);
    struct mq_list *node;
    while ((node = mq_list_first(&now)))
        mq_conn_settle(mq_list_entry(node, struct mq_conn, dirty));
}

/* Other tokens count now. */
static void renew_sessions(struct mq_reactor *reactor, uint64_t number)
{
    struct mq_list *node = reactor->conns.next;
    reactor->access_seen = number;
    while (node != &reactor->conns) {
        struct mq_conn *conn = mq_list_entry(node, struct mq_conn, node);
        node = node->next;
        if (conn->inside || conn->closed)
            continue;
        if (mq_session_renew(&conn->session, reactor->engine)) {
            mq_subscriber_renew(conn);
            mq_parked_renew(conn);
        } else {
            mq_conn_end_with(conn, MQ_E_AUTH_REQUIRED, "Authentication required: the token is not valid any more");
        }
    }
}

static void free_finished(struct mq_reactor *reactor)
{
    struct mq_list *node;
    while ((node = mq_list_pop(&reactor->finished)))
        mq_free(mq_list_entry(node, struct mq_conn, node));
}

static void begin_stop(struct mq_reactor *reactor)
{
    reactor->stop_at_ms = mq_time_add(reactor->now_ms, STOP_GRACE_MS);
    if (reactor->index == 0 && !reactor->pause_accept)
        mq_listeners_watch(reactor, false);
    reactor->pause_accept = false;
    struct mq_list *node = reactor->conns.next;
    while (node != &reactor->conns) {
        struct mq_conn *conn = mq_list_entry(node, struct mq_conn, node);
        node = node->next;
        mq_conn_stop(conn);
    }
}

static void close_all(struct mq_reactor *reactor)
{
    struct mq_list *node = reactor->conns.next;
    while (node != &reactor->conns) {
        struct mq_conn *conn = mq_list_entry(node, struct mq_conn, node);
        node = node->next;
        mq_conn_close(conn);
    }
    while (mq_mailbox_open_all(&reactor->mailbox)) /* answers on their way to what was closed */
        ;
    free_finished(reactor);
}

/* True when the reactor has nothing left to do. */
static bool stop_step(struct mq_reactor *reactor)
{
    int stop = atomic_load(&reactor->net->stop);
    if (MQ_LIKELY(!stop))
        return false;
    if (reactor->stop_at_ms == MQ_NEVER)
        begin_stop(reactor);
    settle_all(reactor);
    if (stop < 2 && !mq_list_empty(&reactor->conns) && reactor->now_ms < reactor->stop_at_ms)
        return false;
    close_all(reactor);
    return true;
}

static void resume_accepting(struct mq_reactor *reactor)
{
    reactor->pause_accept = false;
    mq_listeners_watch(reactor, true);
}

static int turn(struct mq_reactor *reactor, struct epoll_event *events)
{
    int timeout = mq_mailbox_may_sleep(&reactor->mailbox) ? sleep_ms(reactor) : 0;
    int n = mq_epoll_wait(reactor->epoll_fd, events, EVENTS, timeout);
    int error = n < 0 ? errno : 0;
    mq_mailbox_awake(&reactor->mailbox);
    if (error && error != EINTR)
        return -error;
    mq_log_enter(reactor->engine->log);
    reactor->in_log = true;
    reactor->now_ms = mq_engine_now(reactor->engine);
    for (int i = 0; i < n; i++) {
        struct mq_source *source = events[i].data.ptr;
        source->ready(source, reactor, events[i].events);
    }
    uint64_t access = atomic_load_explicit(&reactor->engine->access_number, memory_order_relaxed);
    if (MQ_UNLIKELY(access != reactor->access_seen))
        renew_sessions(reactor, access);
    run_timers(reactor);
    run_shards(reactor);
    mq_mailbox_open_all(&reactor->mailbox);
    /* once a millisecond, or when there is nothing else to do: under load many events then share one send */
    if (MQ_UNLIKELY(mq_subscribers_behind(reactor)) && (n <= 0 || reactor->now_ms != reactor->told_ms))
        mq_subscribers_tell(reactor);
    settle_all(reactor);
    free_finished(reactor);
    if (MQ_UNLIKELY(reactor->pause_accept) && reactor->now_ms >= reactor->accept_at_ms)
        resume_accepting(reactor);
    bool alone = mq_list_empty(&reactor->dirty) && reactor->uncommitted.next == reactor->uncommitted.prev; /* one, or none */
    mq_log_leave(reactor->engine->log, alone); /* in every turn: there may always be more to do, and others wait for the log */
    reactor->in_log = false;
    return 0;
}

int mq_net_run(struct mq_net *net, unsigned index)
{
    struct epoll_event events[EVENTS];
    MQ_ASSERT(index < net->reactor_n);
    struct mq_reactor *reactor = &net->reactors[index];
    reactor->now_ms = mq_engine_now(net->engine);
    int error = index == 0 ? mq_listeners_watch(reactor, true) : 0;
    while (!error && !stop_step(reactor))
        error = turn(reactor, events);
    return error;
}

/* --- life --- */

static void wake_ready(struct mq_source *source, struct mq_reactor *reactor, unsigned events)
{
    (void)source, (void)events;
    mq_event_clear(reactor->mailbox.event_fd);
}

static const struct mq_source wake_source = {wake_ready};

static int reactor_init(struct mq_reactor *reactor, struct mq_net *net, unsigned index)
{
    const struct mq_names *names = &((const struct mq_tables *)net->engine->tables)->fields;
    reactor->net = net;
    reactor->engine = net->engine;
    reactor->index = index;
    reactor->stop_at_ms = MQ_NEVER;
    mq_mutex_init(&reactor->watch);
    mq_list_init(&reactor->conns);
    mq_list_init(&reactor->dirty);
    mq_list_init(&reactor->uncommitted);
    mq_list_init(&reactor->finished);
    mq_heap_init(&reactor->timers, offsetof(struct mq_parked, timer_index));
    mq_heap_init(&reactor->deadlines, offsetof(struct mq_conn, deadline_index));
    mq_request_init(&reactor->request, names);
    mq_subscribers_init(reactor);
    int error = mq_mailbox_init(&reactor->mailbox);
    if (error)
        return error;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)&wake_source};
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reactor->epoll_fd < 0 || epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->mailbox.event_fd, &event) < 0) {
        error = -errno;
        if (reactor->epoll_fd >= 0)
            close(reactor->epoll_fd);
        mq_mailbox_close(&reactor->mailbox);
    }
    return error;
}

static void reactor_close(struct mq_reactor *reactor)
{
    close_all(reactor);
    mq_subscribers_close(reactor);
    while (reactor->ring_n) {
        struct mq_ring *ring = reactor->rings[--reactor->ring_n];
        mq_ring_close(ring);
        mq_free(ring);
    }
    mq_heap_close(&reactor->timers);
    mq_heap_close(&reactor->deadlines);
    mq_request_close(&reactor->request);
    close(reactor->epoll_fd);
    mq_mailbox_close(&reactor->mailbox);
}

struct mq_net *mq_net_create(struct mq_engine *engine, unsigned reactors)
{
    if (reactors < 1 || reactors > MQ_REACTORS_MAX) {
        errno = EINVAL;
        return NULL;
    }
    struct mq_net *net = mq_alloc_lines(sizeof *net + reactors * sizeof *net->reactors);
    if (!net) {
        errno = ENOMEM;
        return NULL;
    }
    net->engine = engine;
    mq_guard_init(&net->guard);
    mq_mutex_init(&net->tls_mutex);
    for (; net->reactor_n < reactors; net->reactor_n++) {
        int error = reactor_init(&net->reactors[net->reactor_n], net, net->reactor_n);
        if (error) {
            mq_net_free(net);
            errno = -error;
            return NULL;
        }
    }
    engine->net_context = net;
    engine->wake = wake_all;
    engine->on_ready = wake_for_shard;
    engine->on_commit = wake_all;
    engine->clients = mq_clients_list;
    return net;
}

void mq_net_free(struct mq_net *net)
{
    if (!net)
        return;
    struct mq_engine *engine = net->engine;
    engine->wake = NULL;
    engine->on_ready = NULL;
    engine->on_commit = NULL;
    engine->clients = NULL;
    for (unsigned i = 0; i < net->reactor_n; i++)
        close_all(&net->reactors[i]);
    for (unsigned i = 0; i < net->reactor_n; i++)
        reactor_close(&net->reactors[i]);
    mq_listeners_close(net);
    mq_guard_close(&net->guard);
    if (net->tls)
        mq_tls_context_free(net->tls);
    mq_mutex_close(&net->tls_mutex);
    mq_free(net);
}

void mq_net_stop(struct mq_net *net, int force)
{
    int wanted = force ? 2 : 1, seen = atomic_load(&net->stop);
    while (seen < wanted && !atomic_compare_exchange_weak(&net->stop, &seen, wanted))
        ;
    wake_all(net);
}

size_t mq_net_connections(const struct mq_net *net)
{
    size_t n = 0;
    for (unsigned i = 0; i < net->reactor_n; i++)
        n += atomic_load_explicit(&net->reactors[i].conn_n, memory_order_relaxed);
    return n;
}
