/* What a file of a log folder holds, good or not: for the operator's tools, which decide what to do about it. Changes nothing. */
#include "log/log_file.h"
#include "mqfast.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int count_record(void *context, const struct mq_record *record)
{
    (void)record;
    ++*(uint64_t *)context;
    return 0;
}

/* Reads good frames from `at` on, as long as they follow each other. */
static struct mq_log_stretch read_stretch(mq_slice bytes, uint64_t at, bool *foreign)
{
    struct mq_log_stretch stretch = {.offset = at};
    struct mq_frame_cursor cursor = {.free = true};
    struct mq_frame_head head;
    mq_slice body;
    const char *what;
    if (at + MQ_FRAME_HEAD <= bytes.n && mq_frame_head_get(bytes.p + at, &head) && head.version == MQ_FRAME_VERSION)
        cursor.number = head.number - 1;
    for (; at < bytes.n && mq_frame_read(&cursor, bytes, at, &head, &body, &what); at += MQ_FRAME_HEAD + body.n) {
        if (mq_frame_visit(body, head.records, count_record, &stretch.records) < 0)
            break;
        if (!stretch.first) {
            stretch.first = head.number;
            stretch.chain_before = head.chain;
        }
        stretch.last = head.number;
        stretch.durable = head.durable;
        stretch.chain_after = cursor.chain;
        stretch.bytes = at + MQ_FRAME_HEAD + body.n - stretch.offset;
        stretch.ends_snapshot = head.shard == MQ_SNAPSHOT_END;
    }
    *foreign |= cursor.foreign;
    return stretch;
}

/* *size: without zeros at the end, which were written ahead. */
static int scan(mq_slice bytes, uint64_t *size, mq_log_visit_stretch *visit, void *context)
{
    bool foreign = false;
    uint64_t end = 0;
    for (uint64_t at = mq_frame_find(bytes, 0, 0); at < bytes.n;) {
        struct mq_log_stretch stretch = read_stretch(bytes, at, &foreign);
        if (foreign)
            return -EPROTONOSUPPORT;
        if (stretch.bytes) {
            visit(context, &stretch);
            end = stretch.offset + stretch.bytes;
        }
        at = stretch.bytes ? mq_frame_find_behind(bytes, at + stretch.bytes, 0) : mq_frame_find(bytes, at + 8, 0);
    }
    *size = mq_frame_is_zeros(bytes, end) ? end : bytes.n;
    return 0;
}

int mq_log_scan(const char *path, uint64_t *size, mq_log_visit_stretch *visit, void *context)
{
    mq_slice bytes;
    int fd = open(path, O_RDONLY | O_CLOEXEC), status = fd < 0 ? -errno : mq_file_map(fd, &bytes);
    if (fd >= 0)
        close(fd);
    if (status < 0)
        return status;
    status = scan(bytes, size, visit, context);
    mq_file_unmap(bytes);
    return status;
}
