/* Snapshots: the state as records in one file, named by the last frame it holds; two are kept, and the log from the older one on.
 *
 * With the thresholds below and segments that end where snapshots begin, the folder takes at most three times what the state does
 * (in memory or as a snapshot, whichever is more) and 128 MiB, for ever. A file is made as `.tmp`, synced, and renamed. Its frames are those of the log, numbered from 1; an empty one ends it, so that
 * a file without its end is no snapshot.
 */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "log/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP_BYTES (1u << 20) /* of records in a frame */
#define LEAST_BYTES (32u << 20) /* logged before a snapshot is worth it, */
#define SPARE_BYTES (48u << 20) /* and on the disk beside what lives and half as much again */
#define LEFT_BYTES (112u << 20) /* with what is older, beside three times what lives */
#define NAME_BYTES 32u

static void snapshot_name(uint64_t number, const char *end, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%020" PRIu64 ".snap%s", number, end);
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

#define SNAPSHOTS_MAX 64

/* False if it is not the name of a snapshot that ends so. */
static bool parse_snapshot(const char *name, const char *end, uint64_t *number)
{
    char again[NAME_BYTES];
    *number = strtoull(name, NULL, 10);
    snapshot_name(*number, end, again);
    return strcmp(name, again) == 0;
}

/* Numbers of the snapshots there are, newest first; how many, or -errno. Half-made ones are removed. */
static int list_snapshots(int folder_fd, uint64_t numbers[SNAPSHOTS_MAX])
{
    DIR *folder = mq_folder_read(folder_fd);
    uint64_t number;
    int n = 0;
    if (!folder)
        return -errno;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (parse_snapshot(entry->d_name, ".tmp", &number))
            unlinkat(folder_fd, entry->d_name, 0);
        if (parse_snapshot(entry->d_name, "", &number) && n < SNAPSHOTS_MAX)
            numbers[n++] = number;
    }
    closedir(folder);
    qsort(numbers, (size_t)n, sizeof *numbers, newest_first);
    return n;
}

/* --- reading --- */

/* Goes through a snapshot; visit NULL: only to see whether it is whole. 0, or negative and the byte where its frame begins. */
static int read_snapshot(mq_slice bytes, mq_log_visit *visit, void *context, uint64_t *where)
{
    struct mq_frame_cursor cursor = {0};
    struct mq_frame_head head = {0};
    mq_slice body;
    const char *what;
    bool ended = false;
    cursor.free = true;
    *where = 0;
    for (uint64_t at = 0; at < bytes.n; at += MQ_FRAME_HEAD + body.n) {
        *where = at;
        if (ended || !mq_frame_read(&cursor, bytes, at, &head, &body, &what))
            return cursor.foreign ? -EPROTONOSUPPORT : -EBADMSG;
        ended = head.shard == MQ_SNAPSHOT_END;
        int status = visit ? mq_frame_visit(body, head.records, visit, context) : 0;
        if (status < 0)
            return status;
    }
    return ended ? 0 : -EBADMSG;
}

/* Opens it and sees whether it is whole. 0, with the bytes in memory to be unmapped; or negative, and where it is not. */
static int open_whole(const struct mq_log_file *file, uint64_t number, mq_slice *bytes, uint64_t *where)
{
    char name[NAME_BYTES];
    snapshot_name(number, "", name);
    *where = 0;
    int fd = openat(file->folder_fd, name, O_RDONLY | O_CLOEXEC), status = fd < 0 ? -errno : mq_file_map(fd, bytes);
    if (fd >= 0)
        close(fd);
    if (status == 0 && (status = read_snapshot(*bytes, NULL, NULL, where)) < 0)
        mq_file_unmap(*bytes);
    return status;
}

int mq_log_file_load_snapshot(struct mq_log_file *file, mq_log_visit *visit, void *context, uint64_t *number, bool *spoiled)
{
    uint64_t numbers[SNAPSHOTS_MAX], where;
    int n = list_snapshots(file->folder_fd, numbers), status = 0;
    *number = 0;
    *spoiled = false;
    if (n < 0)
        return mq_log_file_why(file, n, "the folder %s cannot be read: %s", file->config.folder, strerror(-n));
    for (int i = 0; i < n && !*number; i++) { /* an older one and more of the log give the same state */
        mq_slice bytes;
        char name[NAME_BYTES];
        snapshot_name(numbers[i], "", name);
        status = open_whole(file, numbers[i], &bytes, &where);
        if (status == -EPROTONOSUPPORT)
            return mq_log_file_foreign(file, name);
        if (status < 0) { /* perhaps what it stands for is there in another way: mq_log_file_replay sees, and tells if not */
            mq_log_file_why(file, 0, "%s/%s is damaged at byte %" PRIu64 ", and not all of the log that it stands for is there: restore the file from a "
                            "backup, or see what can be kept with: mqfast repair --dry-run %s", file->config.folder, name, where, file->config.folder);
            *spoiled = true;
            status = 0;
            continue;
        }
        *number = numbers[i];
        *spoiled = false;
        atomic_store(&file->snapshot_bytes, bytes.n);
        status = read_snapshot(bytes, visit, context, &where);
        if (status < 0)
            mq_log_file_why(file, status, "%s/%s has a frame at byte %" PRIu64 " that this version cannot read: use the version that wrote it",
                            file->config.folder, name, where);
        mq_file_unmap(bytes);
    }
    return status;
}

/* --- writing, in the child --- */

struct writing {
    struct mq_log_file *file;
    int fd;
    struct mq_frame frame;
    uint64_t number;
    uint32_t chain;
};

static int write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno != EINTR)
            return -errno;
        if (written > 0) {
            p += written;
            n -= (size_t)written;
        }
    }
    return 0;
}

static int write_frame(struct writing *w, uint16_t shard)
{
    mq_slice body = mq_ring_peek(&w->frame.bytes);
    char head[MQ_FRAME_HEAD];
    mq_frame_head_put(&(struct mq_frame_head){.shard = shard, .records = w->frame.records, .epoch = w->file->epoch, .number = ++w->number,
                                              .time_ms = w->file->time_ms, .body_n = (uint32_t)body.n,
                                              .body_crc = mq_crc32c(0, body.p, body.n), .chain = w->chain}, head);
    w->chain = mq_frame_chain(w->chain, head);
    int status = write_all(w->fd, head, sizeof head);
    if (status == 0)
        status = write_all(w->fd, body.p, body.n);
    mq_frame_clear(&w->frame);
    return status;
}

static int put_record(void *context, const struct mq_record *record)
{
    struct writing *w = context;
    mq_frame_add(&w->frame, record);
    return mq_ring_used(&w->frame.bytes) >= GROUP_BYTES ? write_frame(w, 0) : 0;
}

/* Before another snapshot is made, what the newest makes needless goes: there are never three, and no more log than two of them
 * need. The newest is read through first: if it were spoiled, the older one and its log would still be the state. */
static int give_up_older(struct mq_log_file *file)
{
    uint64_t numbers[SNAPSHOTS_MAX], where, *firsts;
    char name[NAME_BYTES];
    mq_slice bytes;
    int n = list_snapshots(file->folder_fd, numbers);
    if (n <= 0)
        return n;
    int whole = 0;
    while (whole < n && open_whole(file, numbers[whole], &bytes, &where) < 0)
        whole++;
    if (whole == n)
        return 0; /* all of the log is needed */
    mq_file_unmap(bytes);
    if (fsync(file->folder_fd) < 0) /* the child that made it may have died before: its name must be there when the others go */
        return -errno;
    for (int i = 0; i < n; i++) {
        snapshot_name(numbers[i], "", name);
        if (i != whole)
            unlinkat(file->folder_fd, name, 0);
    }
    int segments = mq_segment_list(file->folder_fd, &firsts);
    for (int i = 0; i + 1 < segments && firsts[i + 1] <= numbers[whole] + 1; i++) {
        mq_segment_name(firsts[i], name);
        unlinkat(file->folder_fd, name, 0);
    }
    mq_free(firsts);
    return segments < 0 ? segments : 0;
}

static int snapshot_write(struct mq_log *log, uint64_t number, mq_log_records *records, void *state)
{
    struct mq_log_file *file = mq_log_file_of(log);
    struct writing w = {.file = file};
    char made[NAME_BYTES], name[NAME_BYTES];
    int status = give_up_older(file);
    if (status < 0)
        return status;
    snapshot_name(number, ".tmp", made);
    snapshot_name(number, "", name);
    w.fd = openat(file->folder_fd, made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (w.fd < 0)
        return -errno;
    mq_frame_init(&w.frame);
    status = records(state, put_record, &w);
    if (status == 0 && w.frame.records)
        status = write_frame(&w, 0);
    if (status == 0)
        status = write_frame(&w, MQ_SNAPSHOT_END);
    if (status == 0 && fsync(w.fd) < 0)
        status = -errno;
    mq_frame_close(&w.frame);
    close(w.fd);
    if (status == 0 && renameat(file->folder_fd, made, file->folder_fd, name) < 0)
        status = -errno;
    if (status == 0 && fsync(file->folder_fd) < 0)
        status = -errno;
    if (status < 0)
        unlinkat(file->folder_fd, made, 0);
    return status;
}

/* --- in the parent --- */

/* Jobs that are pushed and stay take as much of the log as they would of a snapshot: only what is over is worth one. So there are, before
 * the next begins, at most 1.5 times of what lived at the last one and 48 MiB in the older snapshot and its log, and as much again. When
 * much less lives than then, another one makes the older needless, however little is logged. */
static bool snapshot_wanted(const struct mq_log *log, uint64_t live_bytes)
{
    const struct mq_log_file *file = mq_log_file_of(log);
    uint64_t logged = atomic_load_explicit(&file->since_snapshot, memory_order_relaxed);
    uint64_t held = atomic_load_explicit(&file->snapshot_bytes, memory_order_relaxed) + logged;
    uint64_t older = atomic_load_explicit(&file->older_bytes, memory_order_relaxed);
    if (logged > LEAST_BYTES && held > live_bytes + live_bytes / 2 + SPARE_BYTES)
        return true;
    return older > held + LEAST_BYTES && older + held > 3 * live_bytes + LEFT_BYTES;
}

static uint64_t snapshot_freeze(struct mq_log *log, uint64_t live_bytes)
{
    struct mq_log_file *file = mq_log_file_of(log);
    mq_mutex_lock(&file->mutex);
    file->frozen_logged = atomic_load(&file->since_snapshot);
    file->frozen_live = live_bytes;
    atomic_store(&file->last_in_snapshot, file->number);
    return file->number;
}

static void snapshot_thaw(struct mq_log *log) { mq_mutex_unlock(&mq_log_file_of(log)->mutex); }

static void snapshot_made(struct mq_log *log)
{
    struct mq_log_file *file = mq_log_file_of(log);
    mq_mutex_lock(&file->mutex);
    atomic_store(&file->older_bytes, atomic_load(&file->snapshot_bytes) + file->frozen_logged);
    atomic_store(&file->snapshot_bytes, file->frozen_live);
    atomic_fetch_sub(&file->since_snapshot, file->frozen_logged);
    atomic_fetch_add(&file->snapshots, 1);
    mq_mutex_unlock(&file->mutex);
}

void mq_log_file_count_older(struct mq_log_file *file)
{
    uint64_t number, all = 0, newest = atomic_load(&file->snapshot_bytes) + atomic_load(&file->since_snapshot);
    DIR *folder = mq_folder_read(file->folder_fd);
    struct stat stat_of;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if ((parse_snapshot(entry->d_name, "", &number) || mq_segment_parse(entry->d_name, &number)) &&
            fstatat(file->folder_fd, entry->d_name, &stat_of, 0) == 0)
            all += (uint64_t)stat_of.st_size;
    if (folder)
        closedir(folder);
    atomic_store(&file->older_bytes, all > newest ? all - newest : 0);
}

const struct mq_log_snapshots mq_log_file_snapshots = {snapshot_wanted, snapshot_freeze, snapshot_thaw, snapshot_made, snapshot_write};
