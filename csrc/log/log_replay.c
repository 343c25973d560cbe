/* Reading a log back: every frame checked, every record visited; a torn tail is cut, anything else that is wrong stops the start. */
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "log/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One segment in memory, and how far it was read. */
struct reading {
    struct mq_log_file *file;
    struct mq_frame_cursor *cursor;
    uint64_t known;   /* frames up to here are in the snapshot: checked, and passed over */
    char name[MQ_SEGMENT_NAME];
    mq_slice bytes;
    uint64_t at;
    bool last;        /* of all segments */
    const char *what; /* what is wrong at `at` */
};

bool mq_frame_read(struct mq_frame_cursor *cursor, mq_slice bytes, uint64_t at, struct mq_frame_head *head, mq_slice *body,
                   const char **what)
{
    const char *p = bytes.p + at;
    uint64_t left = bytes.n - at;
    *what = "a frame that is cut off";
    if (left < MQ_FRAME_HEAD)
        return false;
    *what = "bytes that are no frame's header";
    if (!mq_frame_head_get(p, head))
        return false;
    *what = "a frame of another format";
    if (head->version != MQ_FRAME_VERSION) {
        cursor->foreign = true;
        return false;
    }
    *what = "a frame that is cut off";
    if (left - MQ_FRAME_HEAD < head->body_n)
        return false;
    *body = mq_slice_of(p + MQ_FRAME_HEAD, head->body_n);
    *what = "a frame whose content has changed";
    if (mq_crc32c(0, body->p, body->n) != head->body_crc)
        return false;
    *what = "a frame that does not follow the one before";
    if (head->number != cursor->number + 1 || (!cursor->free && (head->chain != cursor->chain || head->epoch < cursor->epoch)))
        return false;
    *cursor = (struct mq_frame_cursor){.number = head->number, .epoch = head->epoch, .time_ms = head->time_ms,
                                       .chain = mq_frame_chain(head->chain, p)};
    return true;
}

int mq_frame_visit(mq_slice body, uint32_t records, mq_log_visit *visit, void *context)
{
    struct mq_record record = {0};
    uint32_t n = 0;
    for (; body.n && mq_frame_next(&body, &record); n++) {
        int status = visit(context, &record);
        if (status < 0)
            return status;
    }
    return body.n || n != records ? -EBADMSG : 0;
}

int mq_file_map(int fd, mq_slice *bytes)
{
    struct stat stat;
    *bytes = (mq_slice){NULL, 0};
    if (fstat(fd, &stat) < 0)
        return -errno;
    if (!stat.st_size)
        return 0;
    void *map = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *bytes = mq_slice_of(map, (size_t)stat.st_size);
    madvise(map, bytes->n, MADV_SEQUENTIAL);
    return 0;
}

void mq_file_unmap(mq_slice bytes)
{
    if (bytes.n)
        munmap((void *)bytes.p, bytes.n);
}

/* Is the frame with this header whole, and does it know so many to have been on the disk? */
static bool is_witness(mq_slice bytes, uint64_t at, const struct mq_frame_head *head, uint64_t durable)
{
    return head->durable >= durable && bytes.n - at - MQ_FRAME_HEAD >= head->body_n &&
           mq_crc32c(0, bytes.p + at + MQ_FRAME_HEAD, head->body_n) == head->body_crc;
}

uint64_t mq_frame_find(mq_slice bytes, uint64_t at, uint64_t durable)
{
    struct mq_frame_head head;
    for (; at + MQ_FRAME_HEAD <= bytes.n; at += 8) {
        if (memcmp(bytes.p + at, "MQF1", 4) != 0 || !mq_frame_head_get(bytes.p + at, &head))
            continue;
        if (head.version != MQ_FRAME_VERSION || is_witness(bytes, at, &head, durable))
            return at;
    }
    return bytes.n;
}

uint64_t mq_frame_find_behind(mq_slice bytes, uint64_t at, uint64_t durable)
{
    struct mq_frame_head head;
    while (at + MQ_FRAME_HEAD <= bytes.n && mq_frame_head_get(bytes.p + at, &head) && head.version == MQ_FRAME_VERSION) {
        if (is_witness(bytes, at, &head, durable))
            return at;
        at += MQ_FRAME_HEAD + head.body_n;
    }
    return mq_frame_find(bytes, at, durable);
}

/* Does a good frame behind the bad place know that what stood there was on the disk? Then this is no torn tail. */
static bool was_durable(const struct reading *reading)
{
    return mq_frame_find_behind(reading->bytes, reading->at, reading->cursor->number + 1) < reading->bytes.n;
}

static int damaged(const struct reading *reading)
{
    return mq_log_file_why(reading->file, -EBADMSG,
                           "%s/%s is damaged at byte %" PRIu64 ": %s stands there, and good ones behind it; nothing was changed: restore the file "
                           "from a backup, or see what can be kept with: mqfast repair --dry-run %s",
                           reading->file->config.folder, reading->name, reading->at, reading->what, reading->file->config.folder);
}

int mq_log_file_foreign(struct mq_log_file *file, const char *name)
{
    return mq_log_file_why(file, -EPROTONOSUPPORT, "%s/%s is not in format %u, the only one that this version can read: use the version that wrote it",
                           file->config.folder, name, MQ_FRAME_VERSION);
}

bool mq_frame_is_zeros(mq_slice bytes, uint64_t at)
{
    while (at < bytes.n && !bytes.p[at])
        at++;
    return at == bytes.n;
}

/* The end of the last segment was not written whole when the machine or the daemon went down: nobody was answered about it. Zeros
 * were to be overwritten, and are no end of anything. */
static int cut_tail(struct reading *reading, int fd)
{
    struct mq_log_file *file = reading->file;
    if (!mq_frame_is_zeros(reading->bytes, reading->at))
        file->cut = reading->bytes.n - reading->at;
    if (ftruncate(fd, (off_t)reading->at) < 0 || fsync(fd) < 0)
        return mq_log_file_why(file, -errno, "the torn end of %s/%s cannot be cut: %s", file->config.folder, reading->name, strerror(errno));
    return 0;
}

static int read_frames(struct reading *reading, int fd, mq_log_visit *visit, void *context)
{
    struct mq_frame_head head;
    mq_slice body;
    while (reading->at < reading->bytes.n) {
        if (!mq_frame_read(reading->cursor, reading->bytes, reading->at, &head, &body, &reading->what))
            return reading->cursor->foreign ? mq_log_file_foreign(reading->file, reading->name)
                 : !reading->last || was_durable(reading) ? damaged(reading) : cut_tail(reading, fd);
        bool fresh = head.number > reading->known;
        int status = fresh ? mq_frame_visit(body, head.records, visit, context) : 0;
        if (status == -EBADMSG)
            return mq_log_file_why(reading->file, status, "%s/%s has a frame at byte %" PRIu64 " that this version cannot read: use the version that wrote it",
                                   reading->file->config.folder, reading->name, reading->at);
        if (status < 0)
            return status;
        reading->at += MQ_FRAME_HEAD + body.n;
        if (fresh) /* else a daemon that is started often would gather logs for ever */
            atomic_fetch_add_explicit(&reading->file->since_snapshot, MQ_FRAME_HEAD + body.n, memory_order_relaxed);
    }
    return 0;
}

static int read_segment(struct reading *reading, uint64_t first, mq_log_visit *visit, void *context)
{
    struct mq_log_file *file = reading->file;
    mq_segment_name(first, reading->name);
    reading->at = 0;
    int fd = openat(file->folder_fd, reading->name, O_RDWR | O_CLOEXEC), status = fd < 0 ? -errno : mq_file_map(fd, &reading->bytes);
    if (status < 0) {
        mq_log_file_why(file, status, "%s/%s cannot be read: %s", file->config.folder, reading->name, strerror(-status));
        if (fd >= 0)
            close(fd);
        return status;
    }
    status = read_frames(reading, fd, visit, context);
    mq_file_unmap(reading->bytes);
    if (status == 0 && reading->last && reading->cursor->number >= reading->known) { /* appending goes on here */
        file->segment_fd = fd;
        file->segment_first = first;
        file->segment_n = file->allocated = file->zeroed = reading->at;
        return 0;
    }
    close(fd);
    return status;
}

/* Frames are missing between the cursor and the segment that begins with `first`. Whatever the snapshot holds may be. */
static int check_gap(struct reading *reading, uint64_t first)
{
    struct mq_frame_cursor *cursor = reading->cursor;
    if (first == cursor->number + 1)
        return 0;
    if (first > reading->known + 1 || first <= cursor->number)
        return mq_log_file_why(reading->file, -EBADMSG, "the log in %s goes on with frame %" PRIu64 ", but %" PRIu64 " is missing: restore the file from a backup, or see "
                               "what can be kept with: mqfast repair --dry-run %s", reading->file->config.folder, first, cursor->number + 1,
                               reading->file->config.folder);
    *cursor = (struct mq_frame_cursor){.number = first - 1, .epoch = cursor->epoch, .free = true};
    return 0;
}

int mq_log_file_replay(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context)
{
    struct mq_log_file *file = mq_log_file_of(log);
    struct mq_frame_cursor cursor = {.free = true};
    struct reading reading = {.file = file, .cursor = &cursor};
    uint64_t *firsts;
    MQ_ASSERT(!file->replayed);
    bool spoiled;
    int status = mq_log_file_load_snapshot(file, load, context, &reading.known, &spoiled);
    int n = status < 0 ? 0 : mq_segment_list(file->folder_fd, &firsts);
    if (status < 0)
        return status;
    if (n < 0)
        return mq_log_file_why(file, n, "the folder %s cannot be read: %s", file->config.folder, strerror(-n));
    if (spoiled && (n == 0 || firsts[0] > 1)) { /* the log is no other way to the state; why stands already */
        mq_free(firsts);
        return -EBADMSG;
    }
    for (int i = 0; i < n && status == 0; i++) {
        reading.last = i == n - 1;
        if (!reading.last && firsts[i + 1] <= reading.known + 1)
            continue; /* wholly in the snapshot */
        status = check_gap(&reading, firsts[i]);
        if (status == 0)
            status = read_segment(&reading, firsts[i], visit, context);
    }
    mq_free(firsts);
    if (status < 0)
        return status;
    /* What was read may be in the system's memory only, when the process before was killed, names of files included: from here on
     * it is answered for. */
    if ((file->segment_fd >= 0 && fdatasync(file->segment_fd) < 0) || fsync(file->folder_fd) < 0)
        return mq_log_file_why(file, -errno, "the log in %s cannot be synced: %s", file->config.folder, strerror(errno));
    file->number = cursor.number > reading.known ? cursor.number : reading.known;
    file->chain = cursor.chain;
    file->epoch = cursor.epoch + 1;
    file->time_ms = cursor.time_ms;
    file->written = file->number;
    atomic_store(&file->committed, file->number);
    atomic_store(&file->durable, file->number);
    mq_log_file_count_older(file);
    file->replayed = true;
    return 0;
}
