/* The inside of log_file, for log/log_file.c (appending) and log/log_replay.c (reading back). */
#ifndef MQ_LOG_FILE_H
#define MQ_LOG_FILE_H

#include "base/sync.h"
#include "log/log.h"
#include "log/segment.h"

struct mq_log_file {
    struct mq_log log; /* first */
    struct mq_log_file_config config;
    int folder_fd, lock_fd;
    struct mq_hook hook; /* where the writing thread sleeps */
    _Atomic bool stopping;
    _Atomic uint64_t committed; /* frames up to here are written, and with ALWAYS synced */
    _Atomic uint64_t durable;   /* frames up to here are synced */

    struct mq_mutex mutex;  /* appending: taken with a shard's mutex held, for as long as a copy takes */
    struct mq_ring pending; /* whole frames, to be written */
    _Atomic bool appended;  /* there are any; readable without the mutex */
    _Atomic int busy;       /* threads between enter and leave */
    uint64_t number;        /* of the last frame appended */
    int64_t time_ms;        /* of the last header: never goes back */
    uint32_t chain;         /* after it */
    uint64_t epoch;
    bool runs;              /* there is a writing thread: what is pending will be less */

    /* Whoever writes has this: the writing thread, or one that leaves. Taken before `mutex`, never with a shard's. */
    struct mq_mutex turn;
    struct mq_ring writing;
    int segment_fd;         /* -1: the next frame begins one */
    uint64_t segment_first; /* number of its first frame */
    uint64_t segment_n;     /* bytes written */
    uint64_t allocated;     /* bytes of disk asked for ahead */
    uint64_t zeroed;        /* bytes that are written, zeros ahead included */
    int64_t synced_ms;
    uint64_t written;       /* number of the last frame written */
    bool dirty;             /* written and not yet synced */
    bool quick;             /* the last sync was soon done */
    int failed;             /* -errno: nothing is written any more */
    uint64_t cut;           /* bytes of a torn tail */
    char why[1024];
    _Atomic uint64_t frames, bytes, syncs, sync_us, snapshots; /* since the start */
    _Atomic uint64_t since_snapshot; /* bytes appended, before the start too */
    _Atomic uint64_t snapshot_bytes; /* how much lived at the last snapshot, about; 0 without any */
    _Atomic uint64_t older_bytes;    /* of the snapshot before, and of the log between the two */
    uint64_t frozen_logged, frozen_live; /* since_snapshot and live bytes at the last freeze */
    _Atomic uint64_t last_in_snapshot; /* a segment ends with this frame, so that it can go when the snapshot is there; 0 = none */
    bool replayed;          /* what is there was read: appending may begin */
};

static inline struct mq_log_file *mq_log_file_of(const struct mq_log *log) { return (struct mq_log_file *)log; }

/* Where a reader stands. */
struct mq_frame_cursor {
    uint64_t number, epoch;
    uint32_t chain;
    int64_t time_ms;
    bool free; /* the next frame may begin anew: its chain and epoch are taken as they are */
    bool foreign; /* it stands before a frame of another version */
};

/* Reads the frame at bytes[at..] and moves the cursor; false: no whole and good frame stands there, *what says why. */
bool mq_frame_read(struct mq_frame_cursor *cursor, mq_slice bytes, uint64_t at, struct mq_frame_head *head, mq_slice *body,
                   const char **what);
/* Where the next good frame stands that knows frames up to `durable` to have been on the disk, from bytes[at..] on; bytes.n if there
 * is none. */
uint64_t mq_frame_find(mq_slice bytes, uint64_t at, uint64_t durable);
/* The same from bytes[at], where a frame begins or should, whole or not: what is within a frame is passed over as long as headers
 * say where the next one begins. A client may write what looks like a frame into a job. */
uint64_t mq_frame_find_behind(mq_slice bytes, uint64_t at, uint64_t durable);
/* Nothing but zeros from bytes[at..] on. */
bool mq_frame_is_zeros(mq_slice bytes, uint64_t at);
/* Visits the records of a frame; -EBADMSG if they are not what its header says. */
int mq_frame_visit(mq_slice body, uint32_t records, mq_log_visit *visit, void *context);
/* The file in memory, to be unmapped; 0 or -errno. */
int mq_file_map(int fd, mq_slice *bytes);
void mq_file_unmap(mq_slice bytes);

extern const struct mq_log_snapshots mq_log_file_snapshots;
/* Visits the newest snapshot that is whole; *number is the last frame that it holds, 0 without any. *spoiled: there are some, and none is
 * whole; then `why` says so. 0 or negative. */
int mq_log_file_load_snapshot(struct mq_log_file *file, mq_log_visit *visit, void *context, uint64_t *number, bool *spoiled);

/* Counts what the folder holds beside the newest snapshot and the log since. */
void mq_log_file_count_older(struct mq_log_file *file);

/* ops->replay */
int mq_log_file_replay(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context);
int mq_log_file_foreign(struct mq_log_file *file, const char *name);
/* Notes why the log cannot be used; returns `status`. */
int mq_log_file_why(struct mq_log_file *file, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
