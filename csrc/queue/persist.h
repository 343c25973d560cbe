/* Between the engine and its log: coming back from it, snapshots, and waiting for a commit. */
#ifndef MQ_PERSIST_H
#define MQ_PERSIST_H

#include "queue/engine.h"

/* Applies all that the log has, then gives back what connections held when it ended. 0, or negative: the log says why. */
int mq_persist_recover(struct mq_engine *engine);
/* Enough has been logged since the last snapshot that another is worth it. */
bool mq_persist_wants_snapshot(const struct mq_engine *engine);
/* Ends the child that writes a snapshot, if there is one: the log alone has everything. */
void mq_persist_end_writer(struct mq_engine *engine);
/* Returns when the log of a folder is committed up to `seq`. No lock may be held. */
void mq_persist_wait(struct mq_engine *engine, uint64_t seq);

#endif
