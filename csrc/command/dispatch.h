/* From a line to an answer: finds the command in the table, converts its fields, calls its handler.
 *
 * The only layer that knows both bytes and state. A handler turns arguments into decide calls and their outcome into a
 * reply; it has no logic of its own. Sockets are not known here: who called is a session, and a pull that must wait asks
 * the session for a waiter.
 */
#ifndef MQ_DISPATCH_H
#define MQ_DISPATCH_H

#include "queue/engine.h"
#include "wire/reply.h"

struct mq_call;

/* What a session wants to be told. */
struct mq_subscription {
    bool all;            /* every queue's */
    mq_slice queue;
    uint64_t queue_hash;
    mq_slice queue_json; /* its name, quoted */
    uint32_t events;     /* bit n: enum mq_event n */
};

/* Who sends commands: a connection, or a trusted caller in the process. */
struct mq_session {
    uint32_t planes;            /* bit n: it may do commands of enum mq_plane n; `open` always */
    struct mq_access *access;   /* where its token was found; NULL: it has given none */
    const struct mq_right *right; /* its token, in there */
    /* What its pulls without a lease are held by; made on first use. NULL: no memory. NULL function: pulls are by lease. */
    struct mq_holder *(*holder)(struct mq_session *session);
    /* A waiter for a pull that must wait, filled in but for its queue, or (pull NULL) for a WAITJOB, but for its job; it gives
     * up at until_ms (MQ_NEVER = not). Called with the shard's mutex held. NULL: no memory. NULL function: nothing waits. */
    struct mq_waiter *(*park)(struct mq_session *session, const struct mq_call *call, const struct mq_pull *pull,
                              int64_t until_ms);
    /* Pulls and WAITJOBs of this session that wait. NULL: not counted. */
    uint32_t (*parked_n)(const struct mq_session *session);
    /* Leaves a question about call->ask_schedule and runs the call again when it has been answered. 0, or MQ_E_OUT_OF_MEMORY.
     * NULL function: the caller of mq_command_run sees to that. */
    int (*ask)(struct mq_session *session, const struct mq_call *call);
    /* Adds a subscription in place of one to the same queue, or takes its events out of that. 0, MQ_E_UNAVAILABLE (too many)
     * or MQ_E_OUT_OF_MEMORY. NULL function: no events. */
    int (*subscribe)(struct mq_session *session, const struct mq_subscription *wanted, bool on);
    /* May it try a token? It has tried a wrong one. NULL: it may, nobody counts. */
    bool (*may_try)(struct mq_session *session);
    void (*wrong)(struct mq_session *session);
    bool may_not_wait; /* the peer is leaving: what would wait is answered as if the wait had ended */
};

/* MQ_ASKS: only of sessions that cannot ask: call->ask_schedule and ask_timezone say what must be worked out first. */
enum mq_outcome { MQ_ANSWERED, MQ_PARKED, MQ_ASKS };

struct mq_call {
    struct mq_engine *engine;
    struct mq_session *session;
    struct mq_request *request;
    struct mq_reply *reply;
    int64_t now_ms;
    uint64_t seq; /* out: the log must be committed up to here before the answer leaves */
    mq_slice line; /* without its newline */
    const struct mq_verdict *verdict; /* the answer to what this call asked when it was run before; NULL = the first time */
    mq_slice ask_schedule, ask_timezone;
};

/* Lookup tables, made once by mq_engine_create. */
struct mq_tables {
    struct mq_names fields;
    uint8_t commands[64]; /* row + 1 by hash of the name; 0 = free */
};

/* Not even a token has been given, where one is needed. */
static inline bool mq_session_is_unknown(const struct mq_session *session) { return session->planes == 1u << MQ_PLANE_open; }
/* May do all: inside of the process, or where nobody needs a token. */
static inline void mq_session_trust(struct mq_session *session) { session->planes = MQ_PLANES_ALL; }
/* What a new session may do without a token. */
void mq_session_begin(struct mq_session *session, struct mq_engine *engine);
/* Tries a token: true if it is right, and the session may do from now on what it opens. */
bool mq_session_give_token(struct mq_session *session, struct mq_engine *engine, mq_slice token);
/* The engine has other tokens now. False: the session's is not among them. */
bool mq_session_renew(struct mq_session *session, struct mq_engine *engine);
void mq_session_end(struct mq_session *session);

/* One line (followed by a newline and slack). The reply must have been initialised. PARKED: nothing was written, the waiter
 * answers later. */
enum mq_outcome mq_command_run(struct mq_call *call, mq_slice line);

#endif
