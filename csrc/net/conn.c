#include "net/conn.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/deadline.h"
#include "net/parked.h"
#include "net/subscriber.h"
#include "net/syscalls.h"
#include "net/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (64u << 10) /* room for one read, at least */

#define UNKNOWN_LINE_MAX (64u << 10) /* of a line before the token */
#define WRONG_TOKENS_MAX 10u         /* of one connection */

/* A host that vanished without a word is noticed after about two minutes, and its jobs go back. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 6

static void watch(struct mq_conn *conn)
{
    uint32_t wanted = 0;
    if (!conn->eof && conn->reactor->stop_at_ms == MQ_NEVER)
        wanted = (conn->leaving ? 0 : EPOLLRDHUP) | (conn->stuck ? 0 : EPOLLIN);
    if (conn->socket_full)
        wanted |= EPOLLOUT;
    if (wanted == conn->watched)
        return;
    struct epoll_event event = {.events = wanted, .data.ptr = &conn->source};
    MQ_ASSERT(epoll_ctl(conn->reactor->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) == 0);
    conn->watched = wanted;
}

void mq_conn_mark_dirty(struct mq_conn *conn)
{
    if (mq_list_empty(&conn->dirty))
        mq_list_append(&conn->reactor->dirty, &conn->dirty);
}

struct mq_ring *mq_conn_out(struct mq_conn *conn)
{
    if (!conn->out)
        conn->out = mq_reactor_ring(conn->reactor);
    return conn->out;
}

static void drop_ring(struct mq_conn *conn, struct mq_ring **ring)
{
    if (*ring)
        mq_reactor_ring_done(conn->reactor, *ring);
    *ring = NULL;
}

/* The peer sends no more. What it sent is answered; what it waits for is answered with nothing: nobody may be there. */
static void reach_eof(struct mq_conn *conn)
{
    conn->session.may_not_wait = true;
    mq_parked_expire_all(conn);
    if (!conn->closed)
        mq_conn_mark_dirty(conn);
}

/* --- lines --- */

static void refuse_line(struct mq_conn *conn, enum mq_error error, mq_slice why)
{
    struct mq_ring *out = mq_conn_out(conn);
    struct mq_reply reply = {.failed = true};
    if (out) {
        mq_reply_init(&reply, out);
        mq_reply_refuse(&reply, error, why);
    }
    if (reply.failed)
        mq_conn_close(conn);
    else
        mq_conn_mark_dirty(conn);
}

void mq_conn_run(struct mq_conn *conn, mq_slice line, const struct mq_verdict *verdict)
{
    struct mq_reactor *reactor = conn->reactor;
    struct mq_ring *out = mq_conn_out(conn);
    if (MQ_UNLIKELY(!out)) {
        mq_conn_close(conn);
        return;
    }
    struct mq_reply reply;
    mq_reply_init(&reply, out);
    struct mq_call call = {.engine = reactor->engine, .session = &conn->session, .request = &reactor->request,
                           .reply = &reply, .now_ms = reactor->now_ms, .verdict = verdict};
    mq_command_run(&call, line);
    mq_shown_set(&conn->shown.commands, conn->shown.commands + 1);
    if (call.seq > conn->seq)
        conn->seq = call.seq;
    if (MQ_UNLIKELY(reply.failed))
        mq_conn_close(conn);
}

/* What it sent and is not done yet is dropped; it is to end when what it is told was sent. */
static void drop_input(struct mq_conn *conn)
{
    conn->eof = true;
    drop_ring(conn, &conn->in);
    conn->scanned = 0;
    conn->skipping = false;
    mq_subscriber_free(conn); /* it may be long until what it has not read yet is sent: nothing is added to that */
}

/* The first line of a request of HTTP. Any page that a browser shows may send one to any port of its user's machine, with commands
 * for its body: nothing of such a connection is executed. */
static bool is_http(mq_slice line) { return line.n && *line.p != '{' && memmem(line.p, line.n, " HTTP/", 6); }

static void refuse_http(struct mq_conn *conn)
{
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "This port of mqfast speaks one JSON object a line. REST and the dashboard are on HTTP_PORT (6790 unless set), if HTTP=1.\n";
    drop_input(conn);
    struct mq_ring *out = mq_conn_out(conn);
    char *room = out ? mq_ring_reserve(out, sizeof text - 1) : NULL;
    if (!room) {
        mq_conn_close(conn);
        return;
    }
    memcpy(room, text, sizeof text - 1);
    mq_ring_commit(out, sizeof text - 1);
    reach_eof(conn);
}

static size_t longest_line(const struct mq_conn *conn)
{
    size_t most = conn->reactor->engine->config.max_line;
    return !mq_session_is_unknown(&conn->session) || most < UNKNOWN_LINE_MAX ? most : UNKNOWN_LINE_MAX;
}

/* No newline in the ring: is the line too long already, or will it never end? */
static void look_at_partial(struct mq_conn *conn)
{
    size_t used = mq_ring_used(conn->in);
    if (conn->skipping) {
        mq_ring_consume(conn->in, used);
        conn->scanned = 0;
    } else if (used > longest_line(conn)) {
        mq_ring_consume(conn->in, used);
        conn->scanned = 0;
        conn->skipping = true;
        refuse_line(conn, MQ_E_LINE_TOO_LONG, (mq_slice){NULL, 0});
    } else if (conn->eof && used) {
        mq_ring_consume(conn->in, used);
        conn->scanned = 0;
        refuse_line(conn, MQ_E_INVALID, MQ_SLICE("Invalid: the last line has no newline; it was not executed"));
    }
}

static void process(struct mq_conn *conn)
{
    const struct mq_config *config = &conn->reactor->engine->config;
    while (conn->in && !conn->blocking && !conn->closed && conn->reactor->stop_at_ms == MQ_NEVER) {
        if (MQ_UNLIKELY(conn->out && mq_ring_used(conn->out) > config->max_output))
            break;
        mq_slice bytes = mq_ring_peek(conn->in);
        const char *end = memchr(bytes.p + conn->scanned, '\n', bytes.n - conn->scanned);
        if (!end) {
            conn->scanned = bytes.n;
            look_at_partial(conn);
            break;
        }
        size_t n = (size_t)(end - bytes.p);
        conn->scanned = 0;
        conn->partial_ms = 0;
        if (MQ_UNLIKELY(conn->skipping))
            conn->skipping = false; /* its refusal was given when it became too long */
        else if (MQ_UNLIKELY(n > longest_line(conn)))
            refuse_line(conn, MQ_E_LINE_TOO_LONG, (mq_slice){NULL, 0});
        else if (MQ_UNLIKELY(is_http(mq_slice_of(bytes.p, n))))
            refuse_http(conn);
        else
            mq_conn_run(conn, mq_slice_of(bytes.p, n), NULL);
        if (MQ_UNLIKELY(conn->closed || !conn->in))
            return;
        mq_ring_consume(conn->in, n + 1);
        if (MQ_UNLIKELY(conn->wrong_n >= WRONG_TOKENS_MAX)) { /* what it has been answered is sent, then it ends */
            mq_ring_consume(conn->in, mq_ring_used(conn->in));
            conn->eof = true;
            reach_eof(conn);
        }
    }
    if (conn->closed)
        return;
    if (conn->in && mq_ring_used(conn->in) == 0)
        drop_ring(conn, &conn->in);
    mq_conn_mark_dirty(conn);
}

void mq_conn_end_with(struct mq_conn *conn, enum mq_error error, const char *why)
{
    if (conn->tls && !mq_tls_is_ready(conn->tls)) { /* nothing can be told it */
        mq_conn_close(conn);
        return;
    }
    drop_input(conn);
    refuse_line(conn, error, mq_slice_of(why, strlen(why)));
    if (!conn->closed)
        reach_eof(conn);
}

/* --- tokens --- */

static bool session_may_try(struct mq_session *session)
{
    const struct mq_conn *conn = mq_conn_of(session);
    return !mq_guard_must_wait(conn->reactor->net, conn->address, conn->reactor->now_ms);
}

static void session_wrong(struct mq_session *session)
{
    struct mq_conn *conn = mq_conn_of(session);
    mq_guard_wrong_token(conn->reactor->net, conn->address, conn->fd, conn->reactor->now_ms);
    conn->wrong_n++; /* `process` looks at it */
}

/* --- input --- */

static void read_some(struct mq_conn *conn)
{
    if (!conn->in && !(conn->in = mq_reactor_ring(conn->reactor))) {
        mq_conn_close(conn);
        return;
    }
    char *room = mq_ring_reserve(conn->in, READ_BYTES);
    if (MQ_UNLIKELY(!room)) {
        mq_conn_close(conn);
        return;
    }
    size_t most = conn->in->cap - conn->in->tail;
    ssize_t n = MQ_UNLIKELY(conn->tls != NULL) ? mq_tls_recv(conn->tls, room, most) : mq_recv(conn->fd, room, most);
    if (MQ_LIKELY(n > 0)) {
        mq_ring_commit(conn->in, (size_t)n);
    } else if (n == 0) {
        conn->eof = true;
        reach_eof(conn);
    } else if (errno != EAGAIN && errno != EINTR) {
        mq_conn_close(conn);
    } else { /* a part of a record, or of a handshake */
        if (mq_ring_used(conn->in) == 0)
            drop_ring(conn, &conn->in);
        conn->socket_full |= conn->tls && mq_tls_wants_to_send(conn->tls);
    }
}

/* Bytes that epoll does not tell of, and they may be taken. */
static bool has_unread(const struct mq_conn *conn)
{
    return MQ_UNLIKELY(conn->tls != NULL) && mq_tls_has_more(conn->tls) && !conn->stuck && !conn->eof && !conn->closed &&
           conn->reactor->stop_at_ms == MQ_NEVER;
}

static void conn_ready(struct mq_source *source, struct mq_reactor *reactor, unsigned events)
{
    struct mq_conn *conn = (struct mq_conn *)source;
    (void)reactor;
    if (MQ_UNLIKELY(conn->closed))
        return;
    bool unread = conn->stuck && !conn->blocking; /* answers, too many of them */
    if (MQ_UNLIKELY(events & EPOLLERR || (events & EPOLLHUP && (conn->eof || unread)))) { /* nobody reads them either */
        mq_conn_close(conn);
        return;
    }
    if (MQ_UNLIKELY(events & (EPOLLRDHUP | EPOLLHUP) && conn->stuck)) {
        conn->leaving = true; /* and has left more behind than we hold: go on with that first */
        reach_eof(conn);
    } else if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) || (conn->tls && !mq_tls_is_ready(conn->tls))) && !conn->eof) {
        if (conn->tls)
            conn->socket_full = false; /* it is found out anew */
        read_some(conn);
    }
    if (!conn->closed)
        mq_conn_settle(conn); /* at once: the next connection then works in the same ring, still in the cache */
}

/* --- output --- */

/* False if the connection ended. */
static bool flush(struct mq_conn *conn)
{
    if (MQ_UNLIKELY(conn->tls && !mq_tls_is_ready(conn->tls)))
        return true; /* there is nothing to send yet */
    conn->socket_full = false;
    while (conn->out && mq_ring_used(conn->out)) {
        mq_slice bytes = mq_ring_peek(conn->out);
        ssize_t n = MQ_UNLIKELY(conn->tls != NULL) ? mq_tls_send(conn->tls, bytes.p, bytes.n) : mq_send(conn->fd, bytes.p, bytes.n);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            conn->socket_full = errno == EAGAIN;
            if (!conn->socket_full)
                mq_conn_close(conn);
            return conn->socket_full;
        }
        mq_ring_consume(conn->out, (size_t)n);
        if ((size_t)n < bytes.n) {
            conn->socket_full = true;
            return true;
        }
    }
    drop_ring(conn, &conn->out);
    return true;
}

static bool has_work(const struct mq_conn *conn)
{
    const struct mq_config *config = &conn->reactor->engine->config;
    if (!conn->in || conn->blocking || conn->reactor->stop_at_ms != MQ_NEVER)
        return false;
    if (conn->out && mq_ring_used(conn->out) > config->max_output)
        return false;
    return mq_ring_used(conn->in) > conn->scanned || conn->eof;
}

static bool is_done(const struct mq_conn *conn)
{
    bool no_more = conn->reactor->stop_at_ms != MQ_NEVER || (conn->eof && !conn->in);
    return no_more && !conn->out && !conn->parked_n;
}

void mq_conn_settle(struct mq_conn *conn)
{
    struct mq_reactor *reactor = conn->reactor;
    if (MQ_UNLIKELY(has_unread(conn)))
        read_some(conn);
    for (;;) {
        mq_list_remove(&conn->dirty);
        if (conn->closed)
            return;
        if (has_work(conn))
            process(conn);
        if (conn->closed)
            return;
        mq_list_remove(&conn->dirty); /* processing has marked it again */
        if (MQ_UNLIKELY(conn->seq > reactor->engine->log->ops->committed(reactor->engine->log))) {
            mq_list_append(&reactor->uncommitted, &conn->dirty);
            break;
        }
        if (!flush(conn))
            return;
        if (MQ_UNLIKELY(conn->subscriber != NULL) && mq_subscriber_catch_up(conn))
            continue;
        if (!has_work(conn))
            break;
    }
    if (MQ_UNLIKELY(is_done(conn))) {
        mq_conn_close(conn);
        return;
    }
    bool full = conn->in && conn->blocking && mq_ring_used(conn->in) >= MQ_RING_BYTES;
    size_t unsent = conn->out ? mq_ring_used(conn->out) : 0;
    conn->stuck = full || unsent > reactor->engine->config.max_output;
    mq_shown_set(&conn->shown.unsent, unsent);
    if (conn->in || MQ_UNLIKELY(conn->partial_ms || conn->skipping || conn->tls))
        mq_deadline_of_line(conn);
    if (MQ_UNLIKELY(has_unread(conn)))
        mq_conn_mark_dirty(conn); /* in the next turn: others come first */
    watch(conn);
}

/* --- life --- */

static void set_options(int fd)
{
    int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return; /* a Unix socket */
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void arrive(struct mq_letter *letter)
{
    struct mq_conn *conn = mq_list_entry(letter, struct mq_conn, arrival);
    struct mq_reactor *reactor = conn->reactor;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = &conn->source};
    conn->watched = event.events;
    conn->since_ms = reactor->now_ms;
    if (conn->inside)
        mq_session_trust(&conn->session);
    else
        mq_session_begin(&conn->session, reactor->engine); /* here: other tokens may have come while it was on its way */
    if (conn->with_tls)
        conn->tls = mq_net_tls_accept(reactor->net, conn->fd);
    mq_mutex_lock(&reactor->watch);
    mq_list_append(&reactor->conns, &conn->node);
    mq_mutex_unlock(&reactor->watch);
    atomic_fetch_add_explicit(&reactor->conn_n, 1, memory_order_relaxed);
    if ((conn->with_tls && !conn->tls) || reactor->stop_at_ms != MQ_NEVER || epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        mq_conn_close(conn);
    else
        mq_deadline_of_token(conn);
    if (conn->tls)
        mq_deadline_of_line(conn); /* its handshake */
}

int mq_conn_hand_over(struct mq_reactor *to, struct mq_reactor *from, struct mq_arrival arrival)
{
    struct mq_conn *conn = mq_alloc_zero(sizeof *conn);
    if (!conn)
        return -1;
    set_options(arrival.fd);
    conn->source.ready = conn_ready;
    conn->fd = arrival.fd;
    conn->with_tls = arrival.tls;
    conn->reactor = to;
    conn->id = atomic_fetch_add(&to->net->conn_id, 1) + 1;
    conn->inside = arrival.inside;
    conn->address = arrival.address;
    conn->deadline_index = MQ_HEAP_NONE;
    conn->session.may_try = session_may_try;
    conn->session.wrong = session_wrong;
    mq_parked_session_init(&conn->session);
    mq_subscriber_session_init(&conn->session);
    mq_list_init(&conn->node);
    mq_list_init(&conn->dirty);
    mq_list_init(&conn->parked);
    conn->arrival.open = arrive;
    if (to == from)
        arrive(&conn->arrival);
    else
        mq_mailbox_post(&to->mailbox, &conn->arrival);
    return 0;
}

void mq_conn_finish(struct mq_conn *conn)
{
    struct mq_reactor *reactor = conn->reactor;
    MQ_ASSERT(conn->closed && conn->parked_n == 0);
    struct mq_holder *holder = conn->holder;
    if (holder)
        mq_engine_lose_holder(reactor->engine, holder, reactor->now_ms);
    atomic_fetch_sub_explicit(&reactor->conn_n, 1, memory_order_relaxed);
    mq_mutex_lock(&reactor->watch);
    mq_list_remove(&conn->node);
    mq_mutex_unlock(&reactor->watch);
    mq_free(holder);
    mq_session_end(&conn->session);
    if (!conn->inside)
        mq_guard_leave(reactor->net, conn->address);
    mq_list_remove(&conn->dirty);
    mq_list_append(&reactor->finished, &conn->node); /* events of this turn may still point to it */
}

void mq_conn_close(struct mq_conn *conn)
{
    if (conn->closed)
        return;
    mq_mutex_lock(&conn->reactor->watch);
    conn->closed = true;
    if (conn->tls)
        mq_tls_free(conn->tls);
    conn->tls = NULL;
    epoll_ctl(conn->reactor->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL); /* close alone does not: a snapshot's child may have it open */
    close(conn->fd);
    mq_mutex_unlock(&conn->reactor->watch);
    if (conn->deadline_index != MQ_HEAP_NONE)
        mq_heap_remove(&conn->reactor->deadlines, conn->deadline_index);
    drop_ring(conn, &conn->in);
    drop_ring(conn, &conn->out);
    mq_subscriber_free(conn);
    mq_parked_drop_all(conn);
    mq_list_remove(&conn->dirty);
    if (conn->parked_n == 0)
        mq_conn_finish(conn);
}

void mq_conn_stop(struct mq_conn *conn)
{
    if (conn->closed)
        return;
    mq_parked_refuse_all(conn, MQ_E_SHUTTING_DOWN);
    if (!conn->closed)
        mq_conn_mark_dirty(conn);
}
