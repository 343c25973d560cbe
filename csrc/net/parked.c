#include "net/parked.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"

#define ANSWER_BYTES 1024u /* an answer's buffer, to begin with */

static struct mq_holder *session_holder(struct mq_session *session)
{
    struct mq_conn *conn = mq_conn_of(session);
    struct mq_holder *holder = atomic_load_explicit(&conn->holder, memory_order_relaxed);
    if (MQ_UNLIKELY(!holder) && (holder = mq_alloc(sizeof *holder))) {
        mq_holder_init(holder);
        atomic_store(&conn->holder, holder);
    }
    return holder;
}

static struct mq_reply reply_for(struct mq_parked *parked, struct mq_ring *out)
{
    struct mq_reply reply;
    mq_reply_init(&reply, out);
    if (parked->req_id_n)
        reply.req_id = mq_slice_of(parked->req_id, parked->req_id_n);
    return reply;
}

/* Any thread, under the shard's mutex. */
static void deliver(struct mq_waiter *waiter, struct mq_shard *shard, int64_t now_ms)
{
    struct mq_parked *parked = mq_list_entry(waiter, struct mq_parked, waiter);
    struct mq_queue *queue = waiter->queue;
    size_t max_bytes = parked->conn->reactor->engine->config.max_output;
    struct mq_reply reply = reply_for(parked, &parked->answer);
    uint32_t most = waiter->pull.count < queue->ready.n ? waiter->pull.count : (uint32_t)queue->ready.n;
    struct mq_pull pull = waiter->pull;
    pull.count = most;
    parked->given = mq_alloc(most * sizeof *parked->given);
    parked->given_n = mq_give_locked(shard, queue, waiter->holder, &pull, &reply, parked->given, max_bytes, now_ms);
    parked->failed = reply.failed;
}

/* The same for a job's end. */
static void deliver_ending(struct mq_waiter *waiter, struct mq_shard *shard, int64_t now_ms)
{
    struct mq_parked *parked = mq_list_entry(waiter, struct mq_parked, waiter);
    struct mq_reply reply = reply_for(parked, &parked->answer);
    (void)shard, (void)now_ms;
    mq_tell_ending(&reply, waiter->ending, waiter->hash);
    parked->failed = reply.failed;
}

static void send_off(struct mq_waiter *waiter, uint64_t seq)
{
    struct mq_parked *parked = mq_list_entry(waiter, struct mq_parked, waiter);
    parked->seq = seq;
    mq_mailbox_post(&parked->conn->reactor->mailbox, &parked->letter);
}

/* hash 0: what was shown before stays, as long as anything waits. */
static void show_waits(struct mq_conn *conn, uint32_t n, uint64_t hash)
{
    atomic_store_explicit(&conn->shown.waits, n, memory_order_relaxed);
    if (hash || !n)
        mq_shown_set(&conn->shown.waits_hash, hash);
}

static void forget(struct mq_parked *parked)
{
    struct mq_conn *conn = parked->conn;
    if (parked->timer_index != MQ_HEAP_NONE)
        mq_heap_remove(&conn->reactor->timers, parked->timer_index);
    mq_list_remove(&parked->node);
    if (conn->blocking == parked)
        conn->blocking = NULL;
    show_waits(conn, --conn->parked_n, 0);
    mq_ring_close(&parked->answer);
    mq_free(parked->given);
    mq_free(parked->question);
    mq_free(parked->line);
    mq_free(parked);
}

/* The answer reaches nobody: its jobs go back, and the delivery does not count. */
static void take_back(struct mq_parked *parked)
{
    struct mq_reactor *reactor = parked->conn->reactor;
    struct mq_shard *shard = mq_engine_shard(reactor->engine, parked->waiter.hash);
    int64_t now_ms = mq_shard_lock(shard, reactor->now_ms);
    for (uint32_t i = 0; parked->given && i < parked->given_n; i++) {
        struct mq_claim claim = {.id = parked->given[i].id, .has_token = true, .token = parked->given[i].token};
        struct mq_job *job;
        if (mq_decide_find_held_locked(shard, &claim, &job) == MQ_DONE)
            mq_decide_release_locked(shard, job, 0, true, now_ms);
    }
    mq_shard_unlock(shard);
}

/* The answer to a pull that must be told no. */
static void refuse(struct mq_parked *parked, enum mq_error error, mq_slice why)
{
    struct mq_conn *conn = parked->conn;
    struct mq_ring *out = mq_conn_out(conn);
    struct mq_reply reply = {.failed = true};
    if (out) {
        reply = reply_for(parked, out);
        mq_reply_refuse(&reply, error, why);
    }
    forget(parked);
    if (reply.failed)
        mq_conn_close(conn);
    else
        mq_conn_mark_dirty(conn);
}

static void answer_came(struct mq_letter *letter)
{
    struct mq_parked *parked = mq_list_entry(letter, struct mq_parked, letter);
    struct mq_conn *conn = parked->conn;
    mq_slice answer = mq_ring_peek(&parked->answer);
    struct mq_ring *out = conn->closed ? NULL : mq_conn_out(conn);
    if (MQ_UNLIKELY(out && mq_ring_used(out) > conn->reactor->engine->config.max_output)) {
        take_back(parked);
        refuse(parked, MQ_E_UNAVAILABLE, MQ_SLICE("Unavailable: the answers sent before have not been read"));
        return;
    }
    char *room = out && !parked->failed ? mq_ring_reserve(out, answer.n) : NULL;
    if (MQ_UNLIKELY(!room)) {
        take_back(parked);
        forget(parked);
        if (!conn->closed)
            mq_conn_close(conn);
        else if (conn->parked_n == 0)
            mq_conn_finish(conn);
        return;
    }
    memcpy(room, answer.p, answer.n);
    mq_ring_commit(out, answer.n);
    if (parked->seq > conn->seq)
        conn->seq = parked->seq;
    forget(parked);
    mq_conn_mark_dirty(conn);
}

/* A parked command, in no list but its connection's; without a reqId it holds back the lines behind it. NULL: no memory. */
static struct mq_parked *park(struct mq_conn *conn, const struct mq_call *call, void (*open)(struct mq_letter *letter))
{
    struct mq_parked *parked = mq_alloc(sizeof *parked);
    mq_slice req_id = call->reply->req_id;
    if (!parked)
        return NULL;
    memset(parked, 0, offsetof(struct mq_parked, req_id));
    mq_list_init(&parked->waiter.node);
    parked->letter.open = open;
    parked->conn = conn;
    parked->timer_index = MQ_HEAP_NONE;
    mq_ring_init_sized(&parked->answer, ANSWER_BYTES);
    if (req_id.p) {
        MQ_ASSERT(req_id.n <= sizeof parked->req_id);
        parked->req_id_n = (uint32_t)req_id.n;
        memcpy(parked->req_id, req_id.p, req_id.n);
    } else {
        conn->blocking = parked;
    }
    mq_list_append(&conn->parked, &parked->node);
    show_waits(conn, ++conn->parked_n, 0);
    return parked;
}

static struct mq_waiter *session_park(struct mq_session *session, const struct mq_call *call, const struct mq_pull *pull,
                                      int64_t until_ms)
{
    struct mq_conn *conn = mq_conn_of(session);
    struct mq_reactor *reactor = conn->reactor;
    struct mq_parked *parked = NULL;
    if (mq_heap_reserve(&reactor->timers, (size_t)reactor->timers.n + 1) == 0)
        parked = park(conn, call, answer_came);
    if (!parked)
        return NULL;
    parked->for_ending = !pull;
    parked->waiter.holder = atomic_load_explicit(&conn->holder, memory_order_relaxed);
    parked->waiter.deliver = pull ? deliver : deliver_ending;
    parked->waiter.send = send_off;
    if (pull) {
        parked->waiter.pull = *pull;
        show_waits(conn, conn->parked_n, mq_hash_bytes(call->request->text[MQ_F_QUEUE].p, call->request->text[MQ_F_QUEUE].n));
    }
    if (until_ms != MQ_NEVER)
        mq_heap_push(&reactor->timers, (uint64_t)until_ms, (uint64_t)(uintptr_t)parked, parked);
    return &parked->waiter;
}

/* --- questions --- */

/* The time was worked out: the command is run again, on its connection's thread. */
static void verdict_came(struct mq_letter *letter)
{
    struct mq_parked *parked = mq_list_entry(letter, struct mq_parked, letter);
    struct mq_conn *conn = parked->conn;
    struct mq_question *question = parked->question;
    struct mq_verdict verdict = {question->next_run_ms, question->why, question->why_n};
    if (conn->blocking == parked)
        conn->blocking = NULL;
    if (!conn->closed)
        mq_conn_run(conn, mq_slice_of(parked->line, parked->line_n), &verdict);
    forget(parked);
    if (!conn->closed)
        mq_conn_mark_dirty(conn);
    else if (conn->parked_n == 0)
        mq_conn_finish(conn);
}

/* Any thread. */
static void answered(struct mq_question *question)
{
    struct mq_parked *parked = question->owner;
    mq_mailbox_post(&parked->conn->reactor->mailbox, &parked->letter);
}

static int session_ask(struct mq_session *session, const struct mq_call *call)
{
    struct mq_conn *conn = mq_conn_of(session);
    mq_slice line = call->line, schedule = call->ask_schedule, timezone = call->ask_timezone;
    struct mq_question *question = mq_alloc_zero(sizeof *question);
    char *copy = mq_alloc(line.n + MQ_RING_SLACK + schedule.n + timezone.n);
    struct mq_parked *parked = question && copy ? park(conn, call, verdict_came) : NULL;
    if (!parked) {
        mq_free(question);
        mq_free(copy);
        return MQ_E_OUT_OF_MEMORY;
    }
    memcpy(copy, line.p, line.n);
    memset(copy + line.n, 0, MQ_RING_SLACK);
    copy[line.n] = '\n';
    char *texts = copy + line.n + MQ_RING_SLACK;
    memcpy(texts, schedule.p, schedule.n);
    memcpy(texts + schedule.n, timezone.p, timezone.n);
    parked->line = copy;
    parked->line_n = line.n;
    parked->question = question;
    *question = (struct mq_question){
        .owner = parked, .schedule = mq_slice_of(texts, schedule.n), .timezone = mq_slice_of(texts + schedule.n, timezone.n),
        .now_ms = call->now_ms, .answered = answered,
    };
    mq_list_init(&question->node);
    mq_question_ask(conn->reactor->engine, question);
    return MQ_OK;
}

static uint32_t session_parked_n(const struct mq_session *session)
{
    return mq_conn_of((struct mq_session *)session)->parked_n;
}

void mq_parked_session_init(struct mq_session *session)
{
    session->holder = session_holder;
    session->park = session_park;
    session->parked_n = session_parked_n;
    session->ask = session_ask;
}

/* Takes a parked command out of whatever list it waits in; false if its answer is already on its way. */
static bool unpark(struct mq_parked *parked)
{
    struct mq_waiter *waiter = &parked->waiter;
    struct mq_reactor *reactor = parked->conn->reactor;
    if (parked->question)
        return mq_question_withdraw(reactor->engine, parked->question);
    struct mq_shard *shard = mq_engine_shard(reactor->engine, waiter->hash);
    mq_mutex_lock(&shard->mutex);
    bool was_parked = waiter->parked;
    if (was_parked) {
        mq_list_remove(&waiter->node);
        waiter->parked = false;
        if (waiter->queue)
            mq_slot_queue_release(mq_shard_slot(shard, waiter->hash), waiter->queue);
    }
    mq_shard_unlock(shard);
    return was_parked;
}

/* Answers with nothing (no error) or a refusal, unless a job is on its way. */
static void give_up(struct mq_parked *parked, enum mq_error error)
{
    struct mq_conn *conn = parked->conn;
    if (parked->question && !error)
        return; /* the peer sends no more; its command is done all the same */
    if (!unpark(parked)) {
        if (parked->timer_index != MQ_HEAP_NONE)
            mq_heap_remove(&conn->reactor->timers, parked->timer_index);
        return;
    }
    struct mq_ring *out = mq_conn_out(conn);
    struct mq_reply reply = {.failed = true};
    if (out) {
        reply = reply_for(parked, out);
        if (error)
            mq_reply_refuse(&reply, error, (mq_slice){NULL, 0});
        else if (parked->for_ending)
            mq_tell_no_ending(&reply, parked->waiter.hash);
        else
            mq_give_nothing(&reply, parked->waiter.pull.batch);
    }
    forget(parked);
    if (reply.failed)
        mq_conn_close(conn);
    else
        mq_conn_mark_dirty(conn);
}

void mq_parked_expire(struct mq_parked *parked) { give_up(parked, MQ_OK); }

static void give_up_all(struct mq_conn *conn, enum mq_error error)
{
    struct mq_list *node = conn->parked.next;
    while (!conn->closed && node != &conn->parked) {
        struct mq_parked *parked = mq_list_entry(node, struct mq_parked, node);
        node = node->next;
        give_up(parked, error);
    }
}

void mq_parked_expire_all(struct mq_conn *conn) { give_up_all(conn, MQ_OK); }

void mq_parked_refuse_all(struct mq_conn *conn, enum mq_error error) { give_up_all(conn, error); }

/* Is what it waits for still opened by the token? What is run again is asked then. */
static bool may_wait(const struct mq_parked *parked)
{
    const struct mq_waiter *waiter = &parked->waiter;
    const struct mq_right *right = parked->conn->session.right;
    if (!right || parked->question)
        return true;
    struct mq_shard *shard = mq_engine_shard(parked->conn->reactor->engine, waiter->hash);
    mq_mutex_lock(&shard->mutex);
    bool may = true; /* if its answer is on its way */
    if (waiter->parked) {
        const struct mq_queue *queue = waiter->queue;
        if (parked->for_ending)
            queue = mq_slot_job(mq_shard_slot(shard, waiter->hash), waiter->hash)->queue;
        may = mq_right_opens(right, parked->for_ending ? MQ_PLANE_job : MQ_PLANE_work, mq_queue_name(queue));
    }
    mq_mutex_unlock(&shard->mutex);
    return may;
}

void mq_parked_renew(struct mq_conn *conn)
{
    struct mq_list *node = conn->parked.next;
    while (!conn->closed && node != &conn->parked) {
        struct mq_parked *parked = mq_list_entry(node, struct mq_parked, node);
        node = node->next;
        if (!may_wait(parked))
            give_up(parked, MQ_E_FORBIDDEN);
    }
}

void mq_parked_drop_all(struct mq_conn *conn)
{
    struct mq_list *node = conn->parked.next;
    while (node != &conn->parked) {
        struct mq_parked *parked = mq_list_entry(node, struct mq_parked, node);
        node = node->next;
        if (unpark(parked))
            forget(parked);
    }
}
