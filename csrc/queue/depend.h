/* Jobs that wait for other jobs, across queues and shards.
 *
 * A dependent waits in its own shard; each of its parents, in whatever shard, has a link to it in a list. A parent's end moves
 * its links to its shard's `settled`; whoever takes them from there tells each dependent with a record of its own (DEP_DONE). Links
 * are never durable: after a restart every waiting job is in `unlinked`, and linking it finds out again which of its parents have ended:
 * a job that is not there and was not dropped was completed.
 *
 * No code holds two shards' mutexes, so each step (link, tell, unlink) goes from shard to shard. engine->depend_mutex is
 * held over a step, before any shard's: links and what they hang on are therefore never freed under it.
 */
#ifndef MQ_DEPEND_H
#define MQ_DEPEND_H

#include "queue/engine.h"

/* Was this id ever given out? Any thread, no lock. */
bool mq_depend_known(const struct mq_engine *engine, uint64_t id);

/* Links the shard's new dependents, tells those of parents that ended, forgets those that ended: at most about `limit` of
 * them; returns how many. No lock may be held. */
unsigned mq_depend_sweep(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit);
/* The same, unless another thread is at it. */
unsigned mq_depend_try_sweep(struct mq_engine *engine, struct mq_shard *shard, int64_t now_ms, unsigned limit);

#endif
