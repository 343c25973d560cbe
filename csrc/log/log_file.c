#include "log/log_file.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_BYTES (64u << 20)
#define AHEAD_BYTES (4u << 20) /* of disk asked for ahead: what was accepted has room when the disk is full */
#define BUFFER_BYTES (1u << 20)
#define GROUP_MS 2 /* EVERYSEC, NONE: frames of so long are written together */
#define RETRY_MS 100 /* until a full disk is looked at again */
#define SYNC_MS 1000 /* EVERYSEC */
#define ZERO_BYTES (256u << 10) /* written ahead of small groups: a sync that changes no size and no extent is done sooner */
#define QUICK_US 1000 /* a sync that another thread than the writing one may wait for */
#define BEHIND_SEGMENTS 4u /* so much may wait to be written before the disk counts as full */
#define QUICK_BYTES (32u << 10) /* to be written; above, writing beside further work is better than between it */

int mq_log_file_why(struct mq_log_file *file, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(file->why, sizeof file->why, format, args);
    va_end(args);
    return status;
}

const char *mq_log_file_error(const struct mq_log *log) { return mq_log_file_of(log)->why; }

uint64_t mq_log_file_cut(const struct mq_log *log) { return mq_log_file_of(log)->cut; }

/* --- appending --- */

static int64_t file_append(struct mq_log *log, unsigned shard, const struct mq_frame *frame)
{
    struct mq_log_file *file = mq_log_file_of(log);
    mq_slice body = mq_ring_peek(&frame->bytes);
    struct mq_frame_head head = {
        .shard = (uint16_t)shard, .records = frame->records, .body_n = (uint32_t)body.n, .body_crc = mq_crc32c(0, body.p, body.n)};
    char *room;
    MQ_ASSERT(file->replayed && body.n <= MQ_FRAME_BODY_MAX);
    mq_mutex_lock(&file->mutex);
    while (!(room = mq_ring_reserve(&file->pending, MQ_FRAME_HEAD + body.n))) { /* no memory: what waits must be written first */
        mq_mutex_unlock(&file->mutex);
        mq_hook_wake(&file->hook);
        sched_yield();
        mq_mutex_lock(&file->mutex);
    }
    int64_t now = mq_clock_read_ms(CLOCK_REALTIME);
    file->time_ms = now > file->time_ms ? now : file->time_ms;
    head.epoch = file->epoch;
    head.number = ++file->number;
    head.time_ms = file->time_ms;
    head.chain = file->chain;
    head.durable = atomic_load_explicit(&file->durable, memory_order_relaxed);
    mq_frame_head_put(&head, room);
    memcpy(room + MQ_FRAME_HEAD, body.p, body.n);
    file->chain = mq_frame_chain(file->chain, room);
    mq_ring_commit(&file->pending, MQ_FRAME_HEAD + body.n);
    atomic_fetch_add_explicit(&file->since_snapshot, MQ_FRAME_HEAD + body.n, memory_order_relaxed);
    atomic_store_explicit(&file->frames, file->frames + 1, memory_order_relaxed);
    atomic_store_explicit(&file->bytes, file->bytes + MQ_FRAME_HEAD + body.n, memory_order_relaxed);
    atomic_store(&file->appended, true);
    /* Where answers do not wait for the disk, nothing else would slow those who push. The next group's `allocate` lifts it. */
    if (MQ_UNLIKELY(file->runs && mq_ring_used(&file->pending) / BEHIND_SEGMENTS > file->config.segment_bytes))
        atomic_store(&file->log.full, true);
    mq_mutex_unlock(&file->mutex);
    if (!atomic_load(&file->busy)) /* `appended` was set before this look; who leaves looks the other way round */
        mq_hook_due(&file->hook, 0);
    return (int64_t)head.number;
}

static uint64_t file_committed(const struct mq_log *log)
{
    const struct mq_log_file *file = mq_log_file_of(log);
    return file->config.fsync == MQ_FSYNC_ALWAYS ? atomic_load(&file->committed) : UINT64_MAX;
}

/* --- writing --- */

static int begin_segment(struct mq_log_file *file, uint64_t first)
{
    char name[MQ_SEGMENT_NAME];
    mq_segment_name(first, name);
    file->segment_fd = openat(file->folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->segment_fd < 0)
        return -errno;
    file->segment_first = first;
    file->segment_n = file->allocated = file->zeroed = 0;
    return fsync(file->folder_fd) < 0 ? -errno : 0; /* its name must be on the disk before what it holds is told */
}

/* Asks for disk ahead of what is to be written. Says by log.full whether there is any. */
static void allocate(struct mq_log_file *file, uint64_t n)
{
    uint64_t wanted = file->segment_n + n + AHEAD_BYTES / 2;
    bool full = false;
    if (file->allocated < wanted) {
        uint64_t more = (wanted - file->allocated + AHEAD_BYTES / 2) / (AHEAD_BYTES / 2) * (AHEAD_BYTES / 2);
        if (fallocate(file->segment_fd, FALLOC_FL_KEEP_SIZE, (off_t)file->allocated, (off_t)more) == 0)
            file->allocated += more;
        else
            full = errno == ENOSPC || errno == EDQUOT; /* other errors: this file system cannot; then writes will tell */
    }
    atomic_store(&file->log.full, full);
}

/* Zeros behind the next n bytes, if it is time for some. A failure costs speed only. */
static void zero_ahead(struct mq_log_file *file, uint64_t n)
{
    static const char zeros[16 << 10];
    uint64_t end = file->segment_n + n;
    if (file->config.fsync != MQ_FSYNC_ALWAYS || n > QUICK_BYTES || end <= file->zeroed || end + ZERO_BYTES > file->allocated)
        return;
    ssize_t written = sizeof zeros;
    for (file->zeroed = end; file->zeroed < end + ZERO_BYTES && written == sizeof zeros;) {
        written = pwrite(file->segment_fd, zeros, sizeof zeros, (off_t)file->zeroed);
        file->zeroed += written > 0 ? (uint64_t)written : 0; /* a part too must be cut off in the end */
    }
}

/* Without the zeros, for a file that nothing will be appended to. 0 or -errno. */
static int cut_zeros(struct mq_log_file *file)
{
    if (file->segment_fd < 0 || file->zeroed <= file->segment_n)
        return 0;
    file->zeroed = 0;
    return ftruncate(file->segment_fd, (off_t)file->segment_n) < 0 || fsync(file->segment_fd) < 0 ? -errno : 0;
}

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

static bool no_room(int error) { return error == ENOSPC || error == EDQUOT; }

/* Waits for room; false if the log is to end meanwhile. */
static bool wait_for_room(struct mq_log_file *file)
{
    atomic_store(&file->log.full, true);
    if (atomic_load(&file->stopping))
        return false;
    pause_ms(RETRY_MS);
    return true;
}

static int write_some(struct mq_log_file *file, mq_slice bytes)
{
    while (bytes.n) {
        ssize_t n = pwrite(file->segment_fd, bytes.p, bytes.n, (off_t)file->segment_n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && no_room(errno) && wait_for_room(file))
            continue;
        if (n < 0)
            return -errno;
        file->dirty = true;
        file->segment_n += (uint64_t)n;
        bytes = mq_slice_of(bytes.p + n, bytes.n - (size_t)n);
    }
    return 0;
}

static int sync_segment(struct mq_log_file *file)
{
    if (!file->dirty)
        return 0;
    int64_t begin_us = mq_clock_read_us(CLOCK_MONOTONIC);
    if (fdatasync(file->segment_fd) < 0) /* never tried again: the pages may be gone and look clean */
        return -errno;
    int64_t end_us = mq_clock_read_us(CLOCK_MONOTONIC);
    file->dirty = false;
    atomic_fetch_add_explicit(&file->syncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&file->sync_us, (uint64_t)(end_us - begin_us), memory_order_relaxed);
    file->quick = end_us - begin_us < QUICK_US;
    atomic_store(&file->durable, file->written);
    file->synced_ms = end_us / 1000;
    return 0;
}

/* A new file before these bytes, if the present one is long enough, or ends with what a snapshot holds. */
static int rotate(struct mq_log_file *file, size_t n, uint64_t first)
{
    int status = 0;
    uint64_t cut = atomic_load(&file->last_in_snapshot);
    bool whole = file->segment_n + n > file->config.segment_bytes || (file->segment_first <= cut && first > cut);
    if (file->segment_fd >= 0 && file->segment_n && whole) {
        if ((status = sync_segment(file)) < 0 || (status = cut_zeros(file)) < 0)
            return status;
        close(file->segment_fd);
        file->segment_fd = -1;
    }
    while (file->segment_fd < 0 && (status = begin_segment(file, first)) < 0) {
        if (file->segment_fd >= 0)
            close(file->segment_fd);
        file->segment_fd = -1;
        if (!no_room(-status) || !wait_for_room(file))
            break;
    }
    return status;
}

/* The frames at the front that belong in one segment: to the end, or to the last one that a snapshot holds. */
static mq_slice one_segment(struct mq_log_file *file, mq_slice bytes, uint64_t *first)
{
    struct mq_frame_head head;
    uint64_t cut = atomic_load(&file->last_in_snapshot);
    MQ_ASSERT(mq_frame_head_get(bytes.p, &head));
    *first = head.number;
    if (MQ_LIKELY(head.number > cut))
        return bytes;
    size_t n = 0;
    for (; n < bytes.n && mq_frame_head_get(bytes.p + n, &head) && head.number <= cut;)
        n += MQ_FRAME_HEAD + head.body_n;
    return mq_slice_of(bytes.p, n);
}

/* The number of the last of these frames. */
static uint64_t last_of(mq_slice frames)
{
    struct mq_frame_head head = {0};
    for (size_t at = 0; at < frames.n; at += MQ_FRAME_HEAD + head.body_n)
        MQ_ASSERT(mq_frame_head_get(frames.p + at, &head));
    return head.number;
}

/* Writes what was appended since the last time, and commits it. */
static int write_group(struct mq_log_file *file, uint64_t last)
{
    int status = 0;
    while (mq_ring_used(&file->writing)) {
        uint64_t first;
        mq_slice bytes = one_segment(file, mq_ring_peek(&file->writing), &first);
        if ((status = rotate(file, bytes.n, first)) < 0)
            return status;
        allocate(file, bytes.n);
        zero_ahead(file, bytes.n);
        if ((status = write_some(file, bytes)) < 0)
            return status;
        mq_ring_consume(&file->writing, bytes.n);
        file->written = mq_ring_used(&file->writing) ? last_of(bytes) : last;
    }
    if (file->config.fsync == MQ_FSYNC_ALWAYS && (status = sync_segment(file)) < 0)
        return status;
    atomic_store(&file->committed, last);
    if (file->log.on_commit)
        file->log.on_commit(file->log.on_commit_context);
    return 0;
}

/* Takes what was appended; the number of its last frame. `turn` and `mutex` held. */
static uint64_t take_pending(struct mq_log_file *file)
{
    struct mq_ring full = file->pending;
    file->pending = file->writing;
    file->writing = full;
    atomic_store(&file->appended, false);
    return file->number;
}

/* --- writing beside the writing thread --- */

static void file_enter(struct mq_log *log)
{
    struct mq_log_file *file = mq_log_file_of(log);
    if (file->config.fsync == MQ_FSYNC_ALWAYS)
        atomic_fetch_add(&file->busy, 1);
}

/* May what is pending be written by whoever holds `turn`, without waiting for room or for long? */
static bool is_soon_done(const struct mq_log_file *file)
{
    size_t n = mq_ring_used(&file->pending);
    uint64_t end = file->segment_n + n;
    return n && n <= QUICK_BYTES && file->quick && !file->failed && file->segment_fd >= 0 && end <= file->allocated &&
           end <= file->config.segment_bytes && file->segment_first > atomic_load(&file->last_in_snapshot) && !atomic_load(&file->log.full);
}

static bool write_beside(struct mq_log_file *file)
{
    uint64_t last = 0;
    if (!mq_mutex_try(&file->turn))
        return false;
    mq_mutex_lock(&file->mutex);
    bool soon = is_soon_done(file);
    if (soon)
        last = take_pending(file);
    mq_mutex_unlock(&file->mutex);
    if (soon)
        file->failed = write_group(file, last);
    bool done = soon && !file->failed;
    if (file->failed)
        atomic_store(&file->appended, true); /* the writing thread must look, and tell */
    mq_mutex_unlock(&file->turn);
    return done;
}

static void file_leave(struct mq_log *log, bool alone)
{
    struct mq_log_file *file = mq_log_file_of(log);
    if (file->config.fsync != MQ_FSYNC_ALWAYS)
        return;
    atomic_fetch_sub(&file->busy, 1);
    /* once: what others append meanwhile is theirs to see to, when they leave or at once */
    if (atomic_load(&file->appended) && (!alone || !write_beside(file)))
        mq_hook_due(&file->hook, 0);
}

/* --- the writing thread --- */

/* Sleeps until something is appended, or there is something else to do. */
static void rest(struct mq_log_file *file)
{
    int timeout = -1;
    if (atomic_load(&file->log.full)) {
        timeout = RETRY_MS;
    } else if (file->config.fsync == MQ_FSYNC_EVERYSEC && file->dirty) {
        int64_t left = file->synced_ms + SYNC_MS - mq_clock_read_ms(CLOCK_MONOTONIC);
        timeout = left > 0 ? (int)left : 0;
    }
    mq_hook_plan(&file->hook, INT64_MAX);
    bool more = (atomic_load(&file->appended) && !atomic_load(&file->busy)) || atomic_load(&file->stopping);
    mq_hook_sleep(&file->hook, more ? 0 : timeout);
    if (atomic_load(&file->log.full)) {
        mq_mutex_lock(&file->turn);
        if (file->segment_fd >= 0)
            allocate(file, 0);
        mq_mutex_unlock(&file->turn);
    }
}

/* Writes what is pending; 1 if there was anything, 0, or negative. `turn` held. */
static int write_pending(struct mq_log_file *file)
{
    mq_mutex_lock(&file->mutex);
    bool any = !file->failed && mq_ring_used(&file->pending) > 0;
    uint64_t last = any ? take_pending(file) : 0;
    mq_mutex_unlock(&file->mutex);
    int status = file->failed;
    if (status == 0 && any)
        status = write_group(file, last);
    return status < 0 ? status : any;
}

static int step(struct mq_log_file *file, bool *over)
{
    bool stopping = atomic_load(&file->stopping); /* before the look: what was appended before the stop is written */
    mq_mutex_lock(&file->turn);
    int status = write_pending(file);
    *over = status == 0 && stopping;
    bool due = *over || (file->config.fsync == MQ_FSYNC_EVERYSEC && mq_clock_read_ms(CLOCK_MONOTONIC) >= file->synced_ms + SYNC_MS);
    int synced = status >= 0 && due ? sync_segment(file) : 0;
    if (synced == 0 && *over)
        synced = cut_zeros(file);
    status = synced < 0 ? synced : status;
    if (status < 0)
        file->failed = status; /* whoever writes beside must not: its sync would tell nothing of what is lost here */
    mq_mutex_unlock(&file->turn);
    if (status < 0 || *over)
        return status;
    if (status == 0)
        rest(file);
    else if (file->config.fsync != MQ_FSYNC_ALWAYS && !stopping)
        pause_ms(GROUP_MS); /* nobody waits for this: many frames then share a wake-up and a write */
    return 0;
}

int mq_log_file_run(struct mq_log *log)
{
    struct mq_log_file *file = mq_log_file_of(log);
    bool over = false;
    int status = 0;
    MQ_ASSERT(file->replayed);
    mq_mutex_lock(&file->mutex);
    file->runs = true;
    mq_mutex_unlock(&file->mutex);
    while (!over && status == 0)
        status = step(file, &over);
    if (status < 0)
        mq_log_file_why(file, status, "the log in %s cannot be written: %s; what was answered is safe", file->config.folder, strerror(-status));
    return status;
}

void mq_log_file_stop(struct mq_log *log)
{
    struct mq_log_file *file = mq_log_file_of(log);
    atomic_store(&file->stopping, true);
    mq_hook_wake(&file->hook);
}

/* --- life --- */

static void file_close(struct mq_log *log)
{
    struct mq_log_file *file = mq_log_file_of(log);
    if (file->segment_fd >= 0)
        close(file->segment_fd);
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    if (file->folder_fd >= 0)
        close(file->folder_fd);
    mq_ring_close(&file->pending);
    mq_ring_close(&file->writing);
    mq_hook_close(&file->hook);
    mq_mutex_close(&file->mutex);
    mq_mutex_close(&file->turn);
    mq_free((char *)file->config.folder);
    mq_free(file);
}

static void file_stats(const struct mq_log *log, struct mq_log_stats *stats)
{
    const struct mq_log_file *file = mq_log_file_of(log);
    *stats = (struct mq_log_stats){
        .frames = atomic_load_explicit(&file->frames, memory_order_relaxed),
        .bytes = atomic_load_explicit(&file->bytes, memory_order_relaxed),
        .syncs = atomic_load_explicit(&file->syncs, memory_order_relaxed),
        .sync_us = atomic_load_explicit(&file->sync_us, memory_order_relaxed),
        .snapshots = atomic_load_explicit(&file->snapshots, memory_order_relaxed),
    };
}

static const struct mq_log_ops file_ops = {file_append, file_committed, mq_log_file_replay, file_close, file_enter, file_leave,
                                           file_stats,  &mq_log_file_snapshots};

/* A folder that was just made must be found again after a power failure, and all that will be in it. */
static int sync_parent(const struct mq_log_file *file)
{
    int parent = openat(file->folder_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
    if (parent < 0 || fsync(parent) < 0)
        status = -errno;
    if (parent >= 0)
        close(parent);
    return status;
}

static int open_folder(struct mq_log_file *file)
{
    const char *folder = file->config.folder;
    bool made = mkdir(folder, 0700) == 0;
    if (!made && errno != EEXIST)
        return mq_log_file_why(file, -errno, "the folder %s cannot be made: %s", folder, strerror(errno));
    file->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder_fd < 0)
        return mq_log_file_why(file, -errno, "the folder %s cannot be opened: %s", folder, strerror(errno));
    int status = made ? sync_parent(file) : 0;
    if (status < 0)
        return mq_log_file_why(file, status, "the folder of %s cannot be synced: %s", folder, strerror(-status));
    file->lock_fd = openat(file->folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->lock_fd < 0)
        return mq_log_file_why(file, -errno, "%s/lock cannot be opened: %s", folder, strerror(errno));
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return mq_log_file_why(file, -errno, "another daemon uses the folder %s: stop it first, or name another folder", folder);
    return 0;
}

struct mq_log *mq_log_file_open(const struct mq_log_file_config *config, char *why, size_t why_n)
{
    struct mq_log_file *file = mq_alloc_lines(sizeof *file);
    char *folder = mq_alloc(strlen(config->folder) + 1);
    snprintf(why, why_n, "out of memory");
    if (!file || !folder || mq_hook_init(&file->hook) < 0) {
        mq_free(file);
        mq_free(folder);
        return NULL;
    }
    strcpy(folder, config->folder);
    file->log = (struct mq_log){.ops = &file_ops, .wants_records = true};
    file->config = *config;
    file->config.folder = folder;
    if (!file->config.segment_bytes)
        file->config.segment_bytes = SEGMENT_BYTES;
    file->folder_fd = file->lock_fd = file->segment_fd = -1;
    mq_mutex_init(&file->mutex);
    mq_mutex_init(&file->turn);
    file->quick = true;
    mq_ring_init_sized(&file->pending, BUFFER_BYTES);
    mq_ring_init_sized(&file->writing, BUFFER_BYTES);
    if (open_folder(file) < 0) {
        snprintf(why, why_n, "%s", file->why);
        file_close(&file->log);
        return NULL;
    }
    return &file->log;
}
