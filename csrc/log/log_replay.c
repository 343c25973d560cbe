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
    char name[MQ_SEGMENT_NAME];
    mq_slice bytes;
    uint64_t at;
    bool first, last;      /* of all segments */
    const char *what;      /* what is wrong at `at` */
};

/* Reads the frame at reading->at; false: there is none that is whole and good. */
static bool next_frame(struct reading *reading, struct mq_frame_head *head, mq_slice *body)
{
    struct mq_log_file *file = reading->file;
    const char *p = reading->bytes.p + reading->at;
    uint64_t left = reading->bytes.n - reading->at;
    reading->what = "a frame that is cut off";
    if (left < MQ_FRAME_HEAD)
        return false;
    reading->what = "bytes that are no frame's header";
    if (!mq_frame_head_get(p, head))
        return false;
    reading->what = "a frame that is cut off";
    if (left - MQ_FRAME_HEAD < head->body_n)
        return false;
    *body = mq_slice_of(p + MQ_FRAME_HEAD, head->body_n);
    reading->what = "a frame whose content has changed";
    if (mq_crc32c(0, body->p, body->n) != head->body_crc)
        return false;
    bool oldest = reading->first && reading->at == 0;
    reading->what = "a frame that does not follow the one before";
    if (head->number != file->number + 1 || (!oldest && (head->chain != file->chain || head->epoch < file->epoch)))
        return false;
    file->chain = mq_frame_chain(head->chain, p, *body);
    file->number = head->number;
    file->epoch = head->epoch;
    file->time_ms = head->time_ms;
    return true;
}

/* Is there a good frame, of a later number, anywhere behind the bad place? Then this is no torn tail. */
static bool good_frame_behind(const struct reading *reading)
{
    struct mq_frame_head head;
    for (uint64_t at = reading->at + 8; at + MQ_FRAME_HEAD <= reading->bytes.n; at += 8) {
        const char *p = reading->bytes.p + at;
        if (memcmp(p, "MQF1", 4) == 0 && mq_frame_head_get(p, &head) && head.number > reading->file->number &&
            reading->bytes.n - at - MQ_FRAME_HEAD >= head.body_n &&
            mq_crc32c(0, p + MQ_FRAME_HEAD, head.body_n) == head.body_crc)
            return true;
    }
    return false;
}

static int damaged(const struct reading *reading)
{
    return mq_log_file_why(reading->file, -EBADMSG,
                           "%s/%s is damaged at byte %" PRIu64 ": %s stands there, and good ones behind it; nothing was changed: restore the file "
                           "from a backup, or keep a copy of the folder and cut the log there",
                           reading->file->config.folder, reading->name, reading->at, reading->what);
}

/* The end of the last segment was not written whole when the machine or the daemon went down: nobody was answered about it. */
static int cut_tail(struct reading *reading, int fd)
{
    struct mq_log_file *file = reading->file;
    file->cut = reading->bytes.n - reading->at;
    if (ftruncate(fd, (off_t)reading->at) < 0 || fsync(fd) < 0)
        return mq_log_file_why(file, -errno, "the torn end of %s/%s cannot be cut: %s", file->config.folder, reading->name, strerror(errno));
    return 0;
}

static int visit_body(struct reading *reading, mq_slice body, uint32_t records, mq_log_visit *visit, void *context)
{
    struct mq_record record;
    uint32_t n = 0;
    for (; body.n && mq_frame_next(&body, &record); n++) {
        int status = visit(context, &record);
        if (status < 0)
            return status;
    }
    if (body.n || n != records)
        return mq_log_file_why(reading->file, -EBADMSG, "%s/%s has a frame at byte %" PRIu64 " that this version cannot read: use the version that wrote it",
                               reading->file->config.folder, reading->name, reading->at);
    return 0;
}

static int read_frames(struct reading *reading, int fd, mq_log_visit *visit, void *context)
{
    struct mq_frame_head head;
    mq_slice body;
    while (reading->at < reading->bytes.n) {
        if (!next_frame(reading, &head, &body))
            return !reading->last || good_frame_behind(reading) ? damaged(reading) : cut_tail(reading, fd);
        int status = visit_body(reading, body, head.records, visit, context);
        if (status < 0)
            return status;
        reading->at += MQ_FRAME_HEAD + body.n;
    }
    return 0;
}

static int read_segment(struct mq_log_file *file, uint64_t number, bool first, bool last, mq_log_visit *visit, void *context)
{
    struct reading reading = {.file = file, .first = first, .last = last};
    struct stat stat;
    int status = 0;
    mq_segment_name(number, reading.name);
    int fd = openat(file->folder_fd, reading.name, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0) {
        status = mq_log_file_why(file, -errno, "%s/%s cannot be opened: %s", file->config.folder, reading.name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (!first && number != file->number + 1) {
        close(fd);
        return mq_log_file_why(file, -EBADMSG, "a file of the log in %s is missing before %s: restore it from a backup", file->config.folder, reading.name);
    }
    void *map = stat.st_size ? mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0) : NULL;
    if (map == MAP_FAILED) {
        status = mq_log_file_why(file, -errno, "%s/%s cannot be read: %s", file->config.folder, reading.name, strerror(errno));
        close(fd);
        return status;
    }
    reading.bytes = mq_slice_of(map, (size_t)stat.st_size);
    status = read_frames(&reading, fd, visit, context);
    if (map)
        munmap(map, (size_t)stat.st_size);
    if (status == 0 && last) { /* appending goes on here */
        file->segment_fd = fd;
        file->segment_first = number;
        file->segment_n = file->allocated = reading.at;
        return 0;
    }
    close(fd);
    return status;
}

int mq_log_file_replay(struct mq_log *log, mq_log_visit *visit, void *context)
{
    struct mq_log_file *file = mq_log_file_of(log);
    uint64_t *firsts;
    MQ_ASSERT(!file->replayed);
    int n = mq_segment_list(file->folder_fd, &firsts), status = n < 0 ? n : 0;
    if (n < 0)
        mq_log_file_why(file, n, "the folder %s cannot be read: %s", file->config.folder, strerror(-n));
    for (int i = 0; i < n && status == 0; i++) {
        if (i == 0)
            file->number = firsts[i] - 1;
        status = read_segment(file, firsts[i], i == 0, i == n - 1, visit, context);
    }
    mq_free(firsts);
    if (status < 0)
        return status;
    file->epoch++;
    atomic_store(&file->committed, file->number);
    file->replayed = true;
    return 0;
}
