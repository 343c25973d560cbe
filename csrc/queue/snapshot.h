/* The whole state as records: what a snapshot holds. Applied to an empty engine they give the same state, whatever came before. */
#ifndef MQ_SNAPSHOT_H
#define MQ_SNAPSHOT_H

#include "queue/engine.h"

typedef int mq_snapshot_write(void *context, const struct mq_record *record);

/* Writes everything durable; all locks must be held, or nobody else may be there (after a fork). Stops at the first negative
 * return and returns it. */
int mq_snapshot_records(struct mq_engine *engine, mq_snapshot_write *write, void *context);

/* apply's part, for the STATE_ records. */
void mq_snapshot_apply(struct mq_shard *shard, const struct mq_record *record);

#endif
