/* What the handlers share. A handler answers through call->reply, always exactly once, or parks. */
#ifndef MQ_HANDLERS_H
#define MQ_HANDLERS_H

#include "command/dispatch.h"
#include "queue/decide.h"

#define MQ_PULLB_MAX 10000u
#define MQ_PARENTS_MAX 1000u  /* ids in depends_on: as in fields.def */

#define MQ_COMMAND(name, handler, plane, required, optional, result, method, path, doc)                                 \
    enum mq_outcome mq_do_##handler(struct mq_call *call);
#include "commands.def"
#undef MQ_COMMAND

static inline bool mq_call_has(const struct mq_call *call, enum mq_field field) { return mq_has(call->request, field); }

/* `why` NULL: the error's own text. */
enum mq_outcome mq_refuse(struct mq_call *call, enum mq_error error, const char *why);
/* With the request's own text for what was wrong. */
enum mq_outcome mq_refuse_request(struct mq_call *call, int error);
/* A refusal of decide, about job `id`. */
enum mq_outcome mq_refuse_job(struct mq_call *call, int refusal, uint64_t id);
/* Answers ok, or the refusal. */
enum mq_outcome mq_answer_job(struct mq_call *call, int refusal, uint64_t id);

/* Notes that a unique key is in use; returns the error. */
int mq_call_duplicate(struct mq_request *request, mq_slice key);

/* There is no room on the disk: what changes many jobs is refused as a whole. */
bool mq_call_disk_is_full(const struct mq_call *call);

/* Bytes that MAX_MEMORY leaves for jobs; what is only kept to be looked at goes first. No lock may be held. */
uint64_t mq_call_memory_room(struct mq_call *call);

/* Locks the shard of a queue's name or a job's id. */
struct mq_shard *mq_call_lock(struct mq_call *call, uint64_t hash_or_id);
void mq_call_unlock(struct mq_call *call, struct mq_shard *shard);

/* The call's queue, locked. `make`: created if unknown, and NULL only when there is no memory. */
struct mq_queue *mq_call_queue(struct mq_call *call, bool make, struct mq_shard **shard);

/* The delivery named by id and token fields. */
struct mq_claim mq_call_claim(const struct mq_call *call);
/* A claim with this element of a `tokens` array; an empty element: no token. */
void mq_claim_token(struct mq_claim *claim, const struct mq_json *token);

/* Gives what a pull asks for and writes its answer (an empty one if nothing can be given). Mutex held. The ids and tokens
 * of what was given are noted in `given`, unless NULL (room for pull->count); returns how many. */
struct mq_given {
    uint64_t id, token;
};
uint32_t mq_give_locked(struct mq_shard *shard, struct mq_queue *queue, struct mq_holder *holder, const struct mq_pull *pull,
                        struct mq_reply *reply, struct mq_given *given, size_t max_bytes, int64_t now_ms);

/* What a request, or an item of a batch, asks to be pushed; `parents` has room for MQ_PARENTS_MAX ids. 0 or an error with
 * its text in request->why. */
int mq_call_read_push(const struct mq_engine *engine, struct mq_request *request, struct mq_push *push, uint64_t *parents);

/* Writes a row for each known queue, but at most `limit`. */
void mq_call_list_queues(struct mq_call *call, uint64_t limit, void row(struct mq_reply *, const struct mq_queue_view *));

/* May this call wait? 0, or an error with its text. */
int mq_call_may_park(struct mq_call *call);
/* Is the session's token, which is for some queues only, for all that the call is about? */
bool mq_call_is_covered(struct mq_call *call);
/* The plane of the command of this name, in any case; -1: there is none. */
int mq_command_plane(const struct mq_engine *engine, mq_slice name);

/* The answer of a WAITJOB, and that of one whose wait is over. */
void mq_tell_ending(struct mq_reply *reply, const struct mq_ending *ending, uint64_t id);
void mq_tell_no_ending(struct mq_reply *reply, uint64_t id);

/* The answer of a pull whose wait ended without a job. */
void mq_give_nothing(struct mq_reply *reply, bool batch);

/* Why a job is in the dead-letter queue, as clients read it; -1: no such name. */
const char *mq_reason_name(unsigned reason);
int mq_reason_find(mq_slice name);
#define MQ_REASON_WRONG "Invalid: reason must be failed, timeout, worker_lost, expired_lease or dependency_failed"

/* A job as its answer shows it. Mutex held, and the view is valid as long as it is. */
struct mq_job_view mq_view_job(const struct mq_job *job);

#endif
