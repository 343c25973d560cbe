#include "net/deadline.h"

#include "net/guard.h"
#include "net/tls.h"

#define LINE_BYTES_A_MS 16 /* of a long line, which is given so much more time */

/* Without memory the connection gets away with it. */
static void watch_clock(struct mq_conn *conn, int64_t at_ms)
{
    struct mq_heap *deadlines = &conn->reactor->deadlines;
    if (conn->deadline_index != MQ_HEAP_NONE)
        return;
    if (mq_heap_reserve(deadlines, (size_t)deadlines->n + 1) == 0)
        mq_heap_push(deadlines, (uint64_t)at_ms, conn->id, conn);
}

static bool is_partial(const struct mq_conn *conn)
{
    return conn->skipping || (conn->tls && !mq_tls_is_ready(conn->tls)) || (conn->in && !conn->blocking && mq_ring_used(conn->in) && mq_ring_used(conn->in) == conn->scanned);
}

void mq_deadline_of_line(struct mq_conn *conn)
{
    const struct mq_reactor *reactor = conn->reactor;
    uint64_t limit = reactor->engine->config.line_timeout_ms;
    if (!limit || !is_partial(conn)) {
        conn->partial_ms = 0;
        return;
    }
    if (!conn->partial_ms)
        conn->partial_ms = reactor->now_ms ? reactor->now_ms : 1;
    watch_clock(conn, mq_time_add(conn->partial_ms, limit));
}

void mq_deadline_of_token(struct mq_conn *conn)
{
    uint64_t limit = conn->reactor->engine->config.auth_timeout_ms;
    if (limit && mq_session_is_unknown(&conn->session))
        watch_clock(conn, mq_time_add(conn->since_ms, limit));
}

void mq_deadline_look(struct mq_conn *conn)
{
    const struct mq_reactor *reactor = conn->reactor;
    const struct mq_config *config = &reactor->engine->config;
    int64_t next = MQ_NEVER;
    mq_heap_remove(&conn->reactor->deadlines, conn->deadline_index);
    if (conn->eof)
        return;
    if (mq_session_is_unknown(&conn->session) && config->auth_timeout_ms) {
        next = mq_time_add(conn->since_ms, config->auth_timeout_ms);
        if (next <= reactor->now_ms) {
            mq_guard_note(reactor->net, MQ_TROUBLE_TOKEN_LATE, conn->fd);
            mq_conn_end_with(conn, MQ_E_AUTH_REQUIRED, "Authentication required: no token came in time");
            return;
        }
    }
    if (conn->partial_ms) {
        uint64_t more = conn->in ? mq_ring_used(conn->in) / LINE_BYTES_A_MS : 0;
        int64_t line = mq_time_add(conn->partial_ms, config->line_timeout_ms + more);
        if (line <= reactor->now_ms) {
            mq_guard_note(reactor->net, MQ_TROUBLE_LINE_LATE, conn->fd);
            mq_conn_end_with(conn, MQ_E_TIMEOUT, "Timeout: the line was not finished in time; it was not executed");
            return;
        }
        next = line < next ? line : next;
    }
    if (next != MQ_NEVER)
        watch_clock(conn, next);
}
