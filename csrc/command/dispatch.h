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

/* Who sends commands: a connection, or a trusted caller in the process. */
struct mq_session {
    bool authenticated;
    /* What its pulls without a lease are held by; made on first use. NULL: no memory. NULL function: pulls are by lease. */
    struct mq_holder *(*holder)(struct mq_session *session);
    /* A waiter for a pull that must wait, filled in but for its queue; called with the shard's mutex held. NULL: no memory.
     * NULL function: pulls never wait. */
    struct mq_waiter *(*park)(struct mq_session *session, const struct mq_call *call, const struct mq_pull *pull);
    /* Pulls of this session that wait. NULL: not counted. */
    uint32_t (*parked_n)(const struct mq_session *session);
    bool may_not_wait; /* the peer is leaving: pulls that would wait are answered as if their wait had ended */
};

enum mq_outcome { MQ_ANSWERED, MQ_PARKED };

struct mq_call {
    struct mq_engine *engine;
    struct mq_session *session;
    struct mq_request *request;
    struct mq_reply *reply;
    int64_t now_ms;
    uint64_t seq; /* out: the log must be committed up to here before the answer leaves */
};

/* Lookup tables, made once by mq_engine_create. */
struct mq_tables {
    struct mq_names fields;
    uint8_t commands[64]; /* row + 1 by hash of the name; 0 = free */
};

/* One line (followed by a newline and slack). The reply must have been initialised. PARKED: nothing was written, the waiter
 * answers later. */
enum mq_outcome mq_command_run(struct mq_call *call, mq_slice line);

#endif
