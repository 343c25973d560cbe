/* The log in files: what was committed comes back, whatever was cut off; damage is told, never passed over; a bad disk loses nothing
 * that was committed. */
#include "base/crc32c.h"
#include "log/log_file.h"
#include "tests/fail_disk.h"
#include "tests/folder.h"
#include "tests/log_thread.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_of(const char *name, char out[400]) { snprintf(out, 400, "%s/%s", folder, name); }

static struct mq_log *open_log(enum mq_fsync mode, uint64_t segment_bytes)
{
    struct mq_log_file_config config = {.folder = folder, .fsync = mode, .segment_bytes = segment_bytes};
    char why[300];
    struct mq_log *log = mq_log_file_open(&config, why, sizeof why);
    if (!log)
        test_fail(__FILE__, __LINE__, "%s", why);
    return log;
}

/* What replay sees: ids in order from 1, each with its text. */
struct seen {
    uint64_t n;
    bool in_order;
};

static void text_of(uint64_t id, char out[64], size_t *n) { *n = (size_t)snprintf(out, 64, "\"error %llu\"", (unsigned long long)id * 7919); }

static int visit(void *context, const struct mq_record *record)
{
    struct seen *seen = context;
    char text[64];
    size_t n;
    text_of(record->id, text, &n);
    seen->in_order &= record->id == seen->n + 1 && mq_slice_eq(record->text, mq_slice_of(text, n));
    seen->n++;
    return 0;
}

static struct seen replay(struct mq_log *log)
{
    struct seen seen = {.in_order = true};
    int status = log->ops->replay(log, visit, visit, &seen);
    if (status < 0)
        test_fail(__FILE__, __LINE__, "%s", mq_log_file_error(log));
    CHECK(seen.in_order);
    return seen;
}

static int64_t append(struct mq_log *log, uint64_t id, unsigned records)
{
    struct mq_frame frame;
    char text[64];
    size_t n;
    mq_frame_init(&frame);
    for (unsigned i = 0; i < records; i++) {
        text_of(id + i, text, &n);
        struct mq_record record = {.type = MQ_REC_RETRIED, .id = id + i, .slot = 3, .text = mq_slice_of(text, n)};
        CHECK_INT(mq_frame_reserve(&frame, n), 0);
        mq_frame_add(&frame, &record);
    }
    int64_t number = log->ops->append(log, 3, &frame);
    mq_frame_close(&frame);
    return number;
}

/* A log of records 1 to n, one or a few a frame, written and closed. */
static void write_log(uint64_t n, uint64_t segment_bytes)
{
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, segment_bytes);
    uint64_t id = replay(log).n + 1;
    pthread_t thread = log_start(log);
    while (id <= n) {
        unsigned records = id + 3 <= n && id % 4 == 0 ? 3 : 1;
        int64_t number = append(log, id, records);
        if (id % 7 == 0)
            log_wait_committed(log, (uint64_t)number);
        id += records;
    }
    CHECK_INT(log_stop(log, thread), 0);
    log->ops->close(log);
}

static uint64_t count_log(void)
{
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
    struct seen seen = replay(log);
    log->ops->close(log);
    return seen.n;
}

static char *only_segment(char path[400])
{
    char name[MQ_SEGMENT_NAME];
    mq_segment_name(1, name);
    path_of(name, path);
    return path;
}

TEST(what_was_appended_comes_back_after_every_start)
{
    new_folder();
    for (uint64_t n = 0; n <= 300; n += 100) {
        write_log(n, 0);
        CHECK_INT(count_log(), n);
    }
    remove_folder();
}

TEST(segments_follow_each_other)
{
    uint64_t *firsts;
    new_folder();
    write_log(2000, 4096);
    write_log(2500, 4096);
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(mq_segment_list(fd, &firsts) > 5);
    free(firsts);
    close(fd);
    CHECK_INT(count_log(), 2500);
    remove_folder();
}

TEST(committed_means_synced_when_fsync_is_always)
{
    new_folder();
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
    replay(log);
    pthread_t thread = log_start(log);
    for (uint64_t id = 1; id <= 50; id++) {
        log_wait_committed(log, (uint64_t)append(log, id, 1));
        CHECK_INT(fail_disk_unsynced(), 0);
    }
    CHECK_INT(log_stop(log, thread), 0);
    log->ops->close(log);
    remove_folder();
}

TEST(everysec_and_none_commit_at_once_and_are_whole_after_a_stop)
{
    for (enum mq_fsync mode = MQ_FSYNC_EVERYSEC; mode <= MQ_FSYNC_NONE; mode++) {
        new_folder();
        struct mq_log *log = open_log(mode, 0);
        replay(log);
        CHECK(log->ops->committed(log) == UINT64_MAX);
        pthread_t thread = log_start(log);
        for (uint64_t id = 1; id <= 500; id++)
            append(log, id, 1);
        CHECK_INT(log_stop(log, thread), 0);
        CHECK_INT(fail_disk_unsynced(), 0);
        log->ops->close(log);
        CHECK_INT(count_log(), 500);
        remove_folder();
    }
}

static void cut_to(const char *path, off_t n) { CHECK_INT(truncate(path, n), 0); }

static off_t size_of(const char *path)
{
    struct stat stat_buffer;
    CHECK_INT(stat(path, &stat_buffer), 0);
    return stat_buffer.st_size;
}

static char *load(const char *path, size_t *n)
{
    FILE *in = fopen(path, "rb");
    *n = (size_t)size_of(path);
    char *bytes = malloc(*n + 1);
    CHECK(in && fread(bytes, 1, *n, in) == *n);
    fclose(in);
    return bytes;
}

static void save(const char *path, const char *bytes, size_t n)
{
    FILE *out = fopen(path, "wb");
    CHECK(out && fwrite(bytes, 1, n, out) == n);
    fclose(out);
}

TEST(every_prefix_of_a_log_opens_and_has_the_records_of_its_whole_frames)
{
    char path[400];
    size_t n;
    new_folder();
    write_log(12, 0);
    char *bytes = load(only_segment(path), &n);
    uint64_t before = 0;
    for (size_t cut = 0; cut <= n; cut++) {
        save(path, bytes, cut);
        uint64_t records = count_log();
        CHECK(records >= before && records <= 12);
        before = records;
        CHECK_INT(count_log(), records); /* what was cut stays cut */
    }
    CHECK_INT(before, 12);
    free(bytes);
    remove_folder();
}

TEST(a_tail_of_zeros_or_rubbish_is_cut_and_the_log_goes_on)
{
    for (int fill = 0; fill < 2; fill++) {
        char path[400];
        size_t n;
        new_folder();
        write_log(20, 0);
        char *bytes = load(only_segment(path), &n), *longer = malloc(n + 5000);
        memcpy(longer, bytes, n);
        memset(longer + n, fill ? 0x5A : 0, 5000);
        save(path, longer, n + 5000);
        struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
        CHECK_INT(replay(log).n, 20);
        CHECK_INT(mq_log_file_cut(log), fill ? 5000 : 0); /* zeros were written ahead: nothing is missing */
        log->ops->close(log);
        write_log(30, 0);
        CHECK_INT(count_log(), 30);
        free(bytes);
        free(longer);
        remove_folder();
    }
}

/* Between two syncs the disk may write in any order: a hole before good frames is a torn end unless one of these knows better. */
TEST(a_group_that_reached_the_disk_in_part_is_cut_from_its_first_hole_on)
{
    char path[400];
    size_t whole, n;
    new_folder();
    write_log(20, 0);
    whole = size_of(only_segment(path));
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
    replay(log);
    for (uint64_t id = 21; id <= 30; id++)
        append(log, id, 1);
    pthread_t thread = log_start(log); /* all ten with one sync */
    CHECK_INT(log_stop(log, thread), 0);
    log->ops->close(log);
    char *bytes = load(path, &n);
    size_t frame = (n - whole) / 10;
    bytes[whole + 4 * frame + 70] ^= 1;
    save(path, bytes, n);
    log = open_log(MQ_FSYNC_ALWAYS, 0);
    CHECK_INT(replay(log).n, 24);
    CHECK_INT(mq_log_file_cut(log), 6 * frame);
    log->ops->close(log);
    bytes[whole + 4 * frame + 70] ^= 1;
    bytes[whole - 10] ^= 1; /* the one before was synced, and the ten know it */
    save(path, bytes, n);
    log = open_log(MQ_FSYNC_ALWAYS, 0);
    CHECK_INT(log->ops->replay(log, visit, visit, &(struct seen){0}), -EBADMSG);
    log->ops->close(log);
    free(bytes);
    remove_folder();
}

TEST(damage_in_the_middle_stops_the_start_and_says_where)
{
    char path[400];
    size_t n;
    new_folder();
    write_log(30, 0);
    char *bytes = load(only_segment(path), &n);
    for (size_t at = 0; at < n - 400; at += 13) {
        bytes[at] ^= 0x10;
        save(path, bytes, n);
        struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
        struct seen seen = {.in_order = true};
        CHECK_INT(log->ops->replay(log, visit, visit, &seen), -EBADMSG);
        CHECK_HAS(mq_log_file_error(log), "is damaged at byte");
        CHECK(seen.in_order); /* nothing wrong was told before */
        log->ops->close(log);
        CHECK_INT(size_of(path), n); /* nothing was changed */
        bytes[at] ^= 0x10;
    }
    free(bytes);
    remove_folder();
}

/* What a later version has written is neither damage nor a torn tail. */
TEST(a_frame_of_another_format_stops_the_start_and_stays)
{
    char path[400];
    size_t n;
    new_folder();
    write_log(1, 0);
    char *bytes = load(only_segment(path), &n);
    bytes[4] = 2;
    uint32_t crc = mq_crc32c(0, bytes, 60);
    memcpy(bytes + 60, &crc, 4);
    save(path, bytes, n);
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
    CHECK_INT(log->ops->replay(log, visit, visit, &(struct seen){0}), -EPROTONOSUPPORT);
    CHECK_HAS(mq_log_file_error(log), "use the version that wrote it");
    log->ops->close(log);
    CHECK_INT(size_of(path), n);
    free(bytes);
    remove_folder();
}

TEST(a_missing_or_shortened_segment_in_the_middle_stops_the_start)
{
    uint64_t *firsts;
    char path[400], name[MQ_SEGMENT_NAME];
    new_folder();
    write_log(2000, 4096);
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(mq_segment_list(fd, &firsts) > 3);
    mq_segment_name(firsts[1], name);
    path_of(name, path);
    cut_to(path, size_of(path) - 8);
    struct seen seen = {.in_order = true};
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 4096);
    CHECK_INT(log->ops->replay(log, visit, visit, &seen), -EBADMSG);
    CHECK_HAS(mq_log_file_error(log), "is damaged at byte");
    log->ops->close(log);
    unlink(path);
    log = open_log(MQ_FSYNC_ALWAYS, 4096);
    CHECK_INT(log->ops->replay(log, visit, visit, &seen), -EBADMSG);
    CHECK_HAS(mq_log_file_error(log), "is missing");
    log->ops->close(log);
    free(firsts);
    close(fd);
    remove_folder();
}

TEST(a_second_daemon_on_the_folder_is_refused)
{
    struct mq_log_file_config config = {.folder = folder};
    char why[300];
    new_folder();
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 0);
    CHECK(!mq_log_file_open(&config, why, sizeof why));
    CHECK_HAS(why, "another daemon uses the folder");
    log->ops->close(log);
    remove_folder();
}

/* --- a bad disk --- */

/* Records 1 to 40, each waited for, with the nth call failing; how many were committed. */
static uint64_t write_with_fault(enum fault fault, unsigned nth, unsigned times, int *status, bool *hit)
{
    struct mq_log *log = open_log(MQ_FSYNC_ALWAYS, 2048);
    CHECK_INT(replay(log).n, 0);
    fail_disk_arm(fault, nth, times);
    pthread_t thread = log_start(log);
    uint64_t committed = 0;
    void *result = NULL;
    bool ended = false;
    for (uint64_t id = 1; id <= 40 && !ended; id++) {
        uint64_t number = (uint64_t)append(log, id, 1);
        while (log->ops->committed(log) < number && !(ended = pthread_tryjoin_np(thread, &result) == 0))
            sched_yield();
        committed = ended ? committed : id;
    }
    *hit = fail_disk_disarm();
    *status = ended ? (int)(intptr_t)result : log_stop(log, thread);
    log->ops->close(log);
    return committed;
}

static void try_fault(enum fault fault, unsigned times, int wanted)
{
    bool hit = true;
    for (unsigned nth = 1; hit; nth++) {
        int status;
        new_folder();
        test_note("fault %d at call %u", (int)fault, nth);
        uint64_t committed = write_with_fault(fault, nth, times, &status, &hit);
        if (hit)
            CHECK(status == wanted || status == 0); /* 0: the disk could do without that call */
        if (status == 0)
            CHECK_INT(committed, 40);
        uint64_t found = count_log();
        CHECK(found >= committed);
        remove_folder();
    }
}

TEST(a_write_cut_short_or_interrupted_is_gone_on_with)
{
    try_fault(FAULT_SHORT, 1, 0);
    try_fault(FAULT_EINTR, 1, 0);
}

TEST(a_disk_error_ends_the_log_and_loses_nothing_that_was_committed) { try_fault(FAULT_EIO, 1, -EIO); }

TEST(a_full_disk_is_waited_for_and_loses_nothing)
{
    for (unsigned nth = 1; nth < 40; nth += 5) {
        bool hit;
        int status;
        new_folder();
        test_note("full at call %u", nth);
        /* a full disk at a sync is an error like any other */
        uint64_t committed = write_with_fault(FAULT_ENOSPC, nth, 1, &status, &hit);
        CHECK(count_log() >= committed);
        CHECK(status == 0 || status == -ENOSPC);
        remove_folder();
    }
}
