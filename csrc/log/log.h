/* The log's interface: durability behind four calls. Nothing outside log/ knows files or offsets.
 *
 * A frame is what one command decided in one shard. Frames get increasing numbers over all shards; a reply may leave once
 * the number it depends on is committed. append never blocks.
 */
#ifndef MQ_LOG_H
#define MQ_LOG_H

#include "log/frame.h"

#include <stdbool.h>

struct mq_log;

typedef int mq_log_visit(void *context, const struct mq_record *record);

struct mq_log_ops {
    /* Takes over a copy of the frame; its number, or a negative error (nothing was taken). */
    int64_t (*append)(struct mq_log *log, unsigned shard, const struct mq_frame *frame);
    /* All frames up to this number are durable. Any thread. */
    uint64_t (*committed)(const struct mq_log *log);
    /* Visits all durable records in order; stops at the first negative return and returns it. */
    int (*replay)(struct mq_log *log, mq_log_visit *visit, void *context);
    void (*close)(struct mq_log *log);
};

struct mq_log {
    const struct mq_log_ops *ops;
    bool wants_records; /* false: frames are not even built */
    void (*on_commit)(void *context); /* from any thread, after `committed` grew; NULL = nobody waits */
    void *on_commit_context;
};

/* Nothing is kept; every frame is committed at once. */
struct mq_log *mq_log_null_open(void);

/* For tests: frames in memory. Commits at once, or (held) when told to. */
struct mq_log *mq_log_mem_open(bool held);
void mq_log_mem_commit(struct mq_log *log, uint64_t up_to);
/* Frames not committed are lost, as in a power failure. */
void mq_log_mem_crash(struct mq_log *log);
#endif
