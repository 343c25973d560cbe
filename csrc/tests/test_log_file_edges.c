/* Where the log meets its bounds: an error that is told once, writes that are cut short, content that looks like frames, a slow disk. */
#include "log/log_file.h"
#include "tests/fail_disk.h"
#include "tests/folder.h"
#include "tests/log_thread.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int visit(void *context, const struct mq_record *record)
{
    (void)record;
    ++*(uint64_t *)context;
    return 0;
}

static struct mq_log *open_log(uint64_t *n)
{
    struct mq_log_file_config config = {.folder = folder, .fsync = MQ_FSYNC_ALWAYS};
    char why[300];
    *n = 0;
    struct mq_log *log = mq_log_file_open(&config, why, sizeof why);
    if (!log)
        test_fail(__FILE__, __LINE__, "%s", why);
    if (log->ops->replay(log, visit, visit, n) < 0)
        test_fail(__FILE__, __LINE__, "%s", mq_log_file_error(log));
    return log;
}

static uint64_t append(struct mq_log *log)
{
    struct mq_frame frame;
    mq_frame_init(&frame);
    struct mq_record record = {.type = MQ_REC_ACKED, .id = 1, .slot = 3};
    CHECK_INT(mq_frame_reserve(&frame, 0), 0);
    mq_frame_add(&frame, &record);
    int64_t number = log->ops->append(log, 3, &frame);
    mq_frame_close(&frame);
    return (uint64_t)number;
}

static void append_committed(struct mq_log *log)
{
    log_wait_committed(log, append(log));
}

/* The system tells of pages that it could not write once: a sync after one that failed proves nothing. Nobody may do it. */
TEST(nothing_is_committed_after_the_disk_has_failed)
{
    bool failed = true;
    for (unsigned nth = 1; failed; nth++) {
        uint64_t n;
        void *status;
        new_folder();
        struct mq_log *log = open_log(&n);
        pthread_t thread = log_start(log);
        append_committed(log);
        uint64_t committed = log->ops->committed(log);
        fail_disk_arm(FAULT_EIO, nth, 1);
        uint64_t number = append(log);
        while (log->ops->committed(log) < number && pthread_tryjoin_np(thread, &status) != 0)
            sched_yield();
        failed = log->ops->committed(log) < number;
        fail_disk_disarm();
        if (failed) {
            CHECK_INT((int)(intptr_t)status, -EIO);
            mq_log_file_of(log)->quick = true; /* as on a disk that syncs within a millisecond */
            log->ops->enter(log); /* a reactor that still runs: the process takes a moment to end */
            append(log);
            log->ops->leave(log, true);
            CHECK_INT(log->ops->committed(log), committed);
        } else {
            log_stop(log, thread);
            CHECK(nth > 1);
        }
        log->ops->close(log);
        remove_folder();
    }
}

/* Zeros ahead that were written in part stand behind a segment's last frame, and are cut like whole ones. */
TEST(a_segment_ends_with_its_last_frame_though_zeros_were_written_in_part)
{
    bool hit = true;
    for (unsigned nth = 1; hit; nth++) {
        uint64_t n;
        new_folder();
        struct mq_log *log = open_log(&n);
        fail_disk_arm(FAULT_SHORT, nth, 1);
        pthread_t thread = log_start(log);
        append_committed(log);
        hit = fail_disk_disarm();
        log->ops->snapshots->freeze(log, 0); /* the next frame begins a segment */
        log->ops->snapshots->thaw(log);
        append_committed(log);
        CHECK_INT(log_stop(log, thread), 0);
        log->ops->close(log);
        test_note("short at call %u", nth);
        log = open_log(&n);
        CHECK_INT(n, 2);
        log->ops->close(log);
        remove_folder();
    }
}

/* A frame's header of nothing but ASCII, as a unique key may have it: it pretends that everything was on the disk. */
static void forge(char out[MQ_FRAME_HEAD])
{
    bool ascii = false;
    for (uint64_t epoch = 1; !ascii; epoch++) {
        struct mq_frame_head head = {.epoch = epoch & 0x7f7f, .number = 0x7f7f7f7f, .durable = 0x7f7f7f7e};
        mq_frame_head_put(&head, out);
        ascii = true;
        for (unsigned i = 0; i < MQ_FRAME_HEAD; i++)
            ascii &= !(out[i] & 0x80);
    }
}

/* What a client sends is content, whatever it looks like: it cannot turn a torn end into damage. */
TEST(a_torn_frame_is_cut_though_its_content_looks_like_a_frame)
{
    char key[MQ_FRAME_HEAD + 8] = {0};
    uint64_t n;
    char path[400];
    struct stat stat_of;
    new_folder();
    struct mq_log *log = open_log(&n);
    pthread_t thread = log_start(log);
    append_committed(log);
    struct mq_frame frame;
    mq_frame_init(&frame);
    forge(key); /* 56 bytes of the record stand before it */
    struct mq_record record = {.type = MQ_REC_PUSHED, .id = 1 << 10, .has_key = true, .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS,
                               .key = mq_slice_of(key, sizeof key), .data = MQ_SLICE("1234"), .queue = MQ_SLICE("queu")};
    CHECK_INT(mq_frame_reserve(&frame, 1024), 0);
    mq_frame_add(&frame, &record);
    mq_slice bytes = mq_ring_peek(&frame.bytes);
    bool aligned = false;
    for (size_t at = 0; at + MQ_FRAME_HEAD <= bytes.n; at += 8)
        aligned |= memcmp(bytes.p + at, "MQF1", 4) == 0;
    CHECK(aligned);
    uint64_t number = (uint64_t)log->ops->append(log, 3, &frame);
    mq_frame_close(&frame);
    log_wait_committed(log, number);
    log_stop(log, thread);
    log->ops->close(log);
    snprintf(path, sizeof path, "%s/00000000000000000001.log", folder);
    CHECK(stat(path, &stat_of) == 0);
    CHECK(truncate(path, stat_of.st_size - 1) == 0); /* killed before the write was whole */
    log = open_log(&n);
    CHECK_INT(n, 1);
    CHECK(mq_log_file_cut(log) > 0);
    log->ops->close(log);
    remove_folder();
}

static unsigned commits;

/* As other threads append while this one writes. */
static void append_more(void *log)
{
    if (++commits < 50)
        append(log);
}

TEST(who_leaves_writes_once_however_much_others_append)
{
    uint64_t n;
    new_folder();
    struct mq_log *log = open_log(&n);
    pthread_t thread = log_start(log);
    append_committed(log);
    log_stop(log, thread); /* nobody else writes from here on */
    mq_log_file_of(log)->quick = true;
    log->on_commit = append_more;
    log->on_commit_context = log;
    log->ops->enter(log);
    uint64_t number = append(log);
    log->ops->leave(log, true);
    CHECK_INT(log->ops->committed(log), number);
    CHECK_INT(commits, 1);
    log->on_commit = NULL;
    log->ops->close(log);
    remove_folder();
}

/* What is answered before it is on the disk (EVERYSEC, NONE) must not gather in memory without bound when the disk is slow. */
TEST(a_disk_that_falls_behind_is_full_until_it_has_caught_up)
{
    enum { SEGMENT = 64 << 10 };
    struct mq_log_file_config config = {.folder = folder, .fsync = MQ_FSYNC_NONE, .segment_bytes = SEGMENT};
    char why[300];
    uint64_t n = 0, appended = 0;
    new_folder();
    struct mq_log *log = mq_log_file_open(&config, why, sizeof why);
    CHECK(log);
    CHECK_INT(log->ops->replay(log, visit, visit, &n), 0);
    pthread_t thread = log_start(log);
    append(log);
    while (atomic_load(&mq_log_file_of(log)->appended))
        sched_yield();
    mq_mutex_lock(&mq_log_file_of(log)->turn); /* a write that takes its time */
    while (!atomic_load(&log->full) && appended < 100 * SEGMENT / MQ_FRAME_HEAD) {
        append(log);
        appended++;
    }
    CHECK(atomic_load(&log->full));
    mq_mutex_unlock(&mq_log_file_of(log)->turn);
    while (atomic_load(&log->full))
        sched_yield();
    CHECK_INT(log_stop(log, thread), 0);
    log->ops->close(log);
    remove_folder();
}
