/* The log's interface: durability behind four calls. Nothing outside log/ knows files or offsets.
 *
 * A frame is what one command decided in one shard. Frames get increasing numbers over all shards; a reply may leave once
 * the number it depends on is committed. append never blocks.
 */
#ifndef MQ_LOG_H
#define MQ_LOG_H

#include "log/frame.h"

#include <stdatomic.h>
#include <stdbool.h>

struct mq_log;

typedef int mq_log_visit(void *context, const struct mq_record *record);

/* Since the start. */
struct mq_log_stats {
    uint64_t frames, bytes; /* appended */
    uint64_t syncs, sync_us; /* done, and how long they took together */
    uint64_t snapshots;
};

struct mq_log_ops {
    /* Takes over a copy of the frame; its number, or a negative error (nothing was taken). */
    int64_t (*append)(struct mq_log *log, unsigned shard, const struct mq_frame *frame);
    /* All frames up to this number are durable. Any thread. */
    uint64_t (*committed)(const struct mq_log *log);
    /* Visits all durable records in order, those of a snapshot by `load`; stops at the first negative return and returns it.
     * -EBADMSG of a visitor: the record cannot be. */
    int (*replay)(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context);
    void (*close)(struct mq_log *log);
    /* Between these a thread works and will not sleep: what is appended meanwhile, by whomever, need not wake the writing thread.
     * Who leaves alone, with a single answer that waits, writes and syncs what is pending itself, if nobody is at it and it is
     * soon done: that costs no change of threads. Else the writing thread does it, beside further work. NULL = appending has
     * done all. */
    void (*enter)(struct mq_log *log);
    void (*leave)(struct mq_log *log, bool alone);
    /* NULL = there is nothing to tell. Any thread. */
    void (*stats)(const struct mq_log *log, struct mq_log_stats *stats);
    const struct mq_log_snapshots *snapshots; /* NULL = it makes none */
};

/* Writes the whole state as records to `put`. 0 or negative. */
typedef int mq_log_records(void *state, mq_log_visit *put, void *context);

struct mq_log_snapshots {
    /* Is there so much more on the disk than what lives (live_bytes, about) that a snapshot is worth it? */
    bool (*wanted)(const struct mq_log *log, uint64_t live_bytes);
    /* Stops appending, for the moment of a fork; the number of the last frame, with which a segment will end. */
    uint64_t (*freeze)(struct mq_log *log, uint64_t live_bytes);
    void (*thaw)(struct mq_log *log);
    /* What was frozen last is a snapshot now. Without it the next one is as much wanted as this one was. */
    void (*made)(struct mq_log *log);
    /* In the child: gives up what the newest snapshot makes needless, if that is whole, then writes the state as of frame
     * `number`. 0 or -errno. */
    int (*write)(struct mq_log *log, uint64_t number, mq_log_records *records, void *state);
};

struct mq_log {
    const struct mq_log_ops *ops;
    bool wants_records; /* false: frames are not even built */
    _Atomic bool full;  /* no room on the disk: only what cannot be put off may be appended */
    void (*on_commit)(void *context); /* from any thread, after `committed` grew; NULL = nobody waits */
    void *on_commit_context;
};

static inline void mq_log_enter(struct mq_log *log)
{
    if (log->ops->enter)
        log->ops->enter(log);
}

static inline void mq_log_leave(struct mq_log *log, bool alone)
{
    if (log->ops->leave)
        log->ops->leave(log, alone);
}

/* Files in a folder. Frames are written in groups by a thread of the caller's in mq_log_file_run; appending only copies. */
enum mq_fsync {
    MQ_FSYNC_ALWAYS,   /* a frame is committed when it is on the disk */
    MQ_FSYNC_EVERYSEC, /* committed at once, on the disk a second later */
    MQ_FSYNC_NONE,     /* committed at once, on the disk when the system likes */
};

struct mq_log_file_config {
    const char *folder; /* made if it is not there; copied */
    enum mq_fsync fsync;
    uint64_t segment_bytes; /* about how long a file gets; 0 = 64 MiB */
};

/* Locks the folder. NULL: `why` (why_n bytes of room) says what is wrong and what to do. What is there must be replayed once,
 * if only to be passed over, before the first append. */
struct mq_log *mq_log_file_open(const struct mq_log_file_config *config, char *why, size_t why_n);
/* Writes and syncs until mq_log_file_stop. 0, or -errno: the disk failed, nothing more will be committed, and the caller must
 * end the process: what was answered is on the disk, what was not may be lost. */
int mq_log_file_run(struct mq_log *log);
/* Ends the run after all that was appended is on the disk. Any thread. */
void mq_log_file_stop(struct mq_log *log);
/* After a negative replay or run: one line, with file, offset and advice. */
const char *mq_log_file_error(const struct mq_log *log);
/* Bytes of a torn tail that the replay has cut off; 0 = none. */
uint64_t mq_log_file_cut(const struct mq_log *log);

/* Nothing is kept; every frame is committed at once. */
struct mq_log *mq_log_null_open(void);

/* For tests: frames in memory. Commits at once, or (held) when told to. */
struct mq_log *mq_log_mem_open(bool held);
void mq_log_mem_commit(struct mq_log *log, uint64_t up_to);
/* Frames not committed are lost, as in a power failure. */
void mq_log_mem_crash(struct mq_log *log);
#endif
