/* Snapshots whose checksums are right: long ones come back, and what cannot be is refused by the start, with file and offset. */
#include "base/crc32c.h"
#include "base/hash.h"
#include "log/log_file.h"
#include "tests/engine.h"
#include "tests/folder.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SNAPSHOT "00000000000000000001.snap"

static struct mq_engine *open_engine(char *why, size_t why_n)
{
    struct mq_config config = engine_config();
    config.folder = folder;
    config.fsync = MQ_SYNC_NONE;
    return mq_engine_create(&config, why, why_n);
}

static void *run_log(void *engine) { return (void *)(intptr_t)mq_engine_run_log(engine); }

/* Five attempts with the longest errors that are kept: 2.6 KB of history a job. */
static void fail_often(struct mq_engine *engine)
{
    static char fail[1000];
    int64_t id = answer_number(run_ok(engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}"), "id");
    size_t n = (size_t)sprintf(fail, "{\"cmd\":\"FAIL\",\"id\":%lld,\"error\":\"%0*d\"}", (long long)id, 600, 7);
    for (int i = 0; i < 5; i++) {
        CHECK_HAS(run_ok(engine, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0}"), "\"job\":{");
        CHECK_HAS(run_bytes(engine, fail, n), "\"ok\":true");
    }
    run_ok(engine, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"lease\":100000000,\"timeout\":0}");
}

TEST(jobs_with_long_histories_come_back_from_a_snapshot)
{
    char why[512];
    pthread_t log;
    new_folder();
    struct mq_engine *engine = open_engine(why, sizeof why);
    CHECK(engine && pthread_create(&log, NULL, run_log, engine) == 0);
    for (int i = 0; i < 400; i++)
        fail_often(engine);
    CHECK_INT(mq_engine_snapshot(engine), 0);
    char *wanted = engine_dump(engine);
    mq_engine_stop_log(engine);
    pthread_join(log, NULL);
    mq_engine_free(engine);
    engine = open_engine(why, sizeof why);
    CHECK(engine);
    char *got = engine_dump(engine);
    CHECK_DUMPS(got, wanted);
    free(got);
    free(wanted);
    mq_engine_free(engine);
    remove_folder();
}

/* --- what cannot be --- */

#define Q_SLOT ((uint16_t)(mq_hash_bytes("q", 1) % MQ_SLOTS))

static mq_slice text(const char *of) { return mq_slice_of(of, strlen(of)); }

static struct mq_record slot_record(void) { return (struct mq_record){.type = MQ_REC_STATE_SLOT, .slot = Q_SLOT, .id = 9 * MQ_SLOTS + Q_SLOT}; }

static struct mq_record queue_record(void) { return (struct mq_record){.type = MQ_REC_STATE_QUEUE, .slot = Q_SLOT, .queue = text("q")}; }

static struct mq_record job_record(void)
{
    return (struct mq_record){.type = MQ_REC_STATE_JOB, .slot = Q_SLOT, .at_ms = T0, .run_at_ms = T0, .id = 3 * MQ_SLOTS + Q_SLOT, .queue = text("q"),
                              .data = text("1"), .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS, .state = MQ_JOB_READY};
}

static void put_frame(FILE *out, struct mq_frame_head *head, mq_slice body)
{
    char bytes[MQ_FRAME_HEAD];
    head->number++;
    head->body_n = (uint32_t)body.n;
    head->body_crc = mq_crc32c(0, body.p, body.n);
    mq_frame_head_put(head, bytes);
    head->chain = mq_frame_chain(head->chain, bytes);
    CHECK(fwrite(bytes, 1, sizeof bytes, out) == sizeof bytes && fwrite(body.p, 1, body.n, out) == body.n);
}

/* The records in order as a whole and good snapshot. */
static void write_snapshot(const struct mq_record *records, size_t n)
{
    char path[400];
    struct mq_frame frame;
    struct mq_frame_head head = {.epoch = 1};
    new_folder();
    snprintf(path, sizeof path, "%s/" SNAPSHOT, folder);
    FILE *out = fopen(path, "wb");
    CHECK(out);
    mq_frame_init(&frame);
    for (size_t i = 0; i < n; i++)
        mq_frame_add(&frame, &records[i]);
    head.records = frame.records;
    put_frame(out, &head, mq_ring_peek(&frame.bytes));
    head.shard = MQ_SNAPSHOT_END;
    head.records = 0;
    put_frame(out, &head, mq_slice_of("", 0));
    mq_frame_close(&frame);
    fclose(out);
}

static void check_refused(const struct mq_record *records, size_t n)
{
    char why[1024] = "";
    write_snapshot(records, n);
    struct mq_engine *engine = open_engine(why, sizeof why);
    CHECK(!engine);
    CHECK_HAS(why, SNAPSHOT);
    CHECK_HAS(why, "byte ");
    remove_folder();
}

/* Without the log that it stands for, its state is lost: an engine that began empty would hide that. */
TEST(a_damaged_snapshot_without_its_log_is_refused)
{
    char path[400], why[1024] = "";
    struct mq_record records[] = {slot_record(), queue_record(), job_record()};
    write_snapshot(records, 3);
    snprintf(path, sizeof path, "%s/" SNAPSHOT, folder);
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, MQ_FRAME_HEAD + 10, SEEK_SET) == 0 && fputc('x', file) == 'x');
    fclose(file);
    struct mq_engine *engine = open_engine(why, sizeof why);
    CHECK(!engine);
    CHECK_HAS(why, SNAPSHOT);
    CHECK_HAS(why, "byte ");
    remove_folder();
}

/* The job as it stands, after its slot and its queue. */
static void check_job_refused(struct mq_record job)
{
    struct mq_record records[] = {slot_record(), queue_record(), job};
    check_refused(records, 3);
}

TEST(a_snapshot_of_sound_records_is_taken)
{
    char why[512];
    struct mq_record records[] = {slot_record(), queue_record(), job_record()};
    write_snapshot(records, 3);
    struct mq_engine *engine = open_engine(why, sizeof why);
    if (!engine)
        test_fail(__FILE__, __LINE__, "%s", why);
    mq_engine_check(engine);
    check_stats(engine, 1, 0, 0, 0, 0);
    mq_engine_free(engine);
    remove_folder();
}

#define REFUSED_JOB(name, change)                                                                                       \
    TEST(name)                                                                                                          \
    {                                                                                                                   \
        struct mq_record job = job_record();                                                                            \
        change;                                                                                                         \
        check_job_refused(job);                                                                                         \
    }

REFUSED_JOB(a_job_in_no_state_is_refused, job.state = MQ_JOB_NEW)
REFUSED_JOB(a_job_in_an_unknown_state_is_refused, job.state = 77)
REFUSED_JOB(a_dead_letter_of_an_unknown_reason_is_refused, (job.state = MQ_JOB_DEAD, job.reason = 200))
REFUSED_JOB(a_job_of_a_later_id_than_the_last_is_refused, job.id = 10 * MQ_SLOTS + Q_SLOT)
REFUSED_JOB(a_job_of_another_slots_id_is_refused, job.id++)
REFUSED_JOB(a_job_of_no_slot_is_refused, job.slot = 60000)
REFUSED_JOB(a_job_of_a_nameless_queue_is_refused, job.queue.n = 0)
REFUSED_JOB(a_job_that_waits_for_nothing_is_refused, job.state = MQ_JOB_PARENT)
REFUSED_JOB(half_a_parent_is_refused, job.parents = text("half"))
REFUSED_JOB(a_ttl_that_runs_without_being_one_is_refused, job.ttl_runs = true)

TEST(a_queues_name_that_is_too_long_is_refused)
{
    char name[300];
    memset(name, 'n', sizeof name);
    struct mq_record queue = queue_record();
    queue.queue = mq_slice_of(name, sizeof name);
    queue.slot = (uint16_t)(mq_hash_bytes(name, sizeof name) % MQ_SLOTS);
    check_refused(&queue, 1);
}

TEST(a_unique_key_that_is_too_long_is_refused)
{
    static char key[70000];
    memset(key, 'k', sizeof key);
    struct mq_record job = job_record();
    job.has_key = true;
    job.key = mq_slice_of(key, sizeof key);
    check_job_refused(job);
}

TEST(a_unique_key_twice_is_refused)
{
    struct mq_record records[] = {slot_record(), queue_record(), job_record(), job_record()};
    for (int i = 2; i < 4; i++) {
        records[i].id = (uint64_t)i * MQ_SLOTS + Q_SLOT;
        records[i].has_key = true;
        records[i].key = text("k");
    }
    check_refused(records, 4);
}

TEST(a_job_twice_is_refused)
{
    struct mq_record records[] = {slot_record(), queue_record(), job_record(), job_record()};
    check_refused(records, 4);
}

TEST(a_queue_twice_is_refused)
{
    struct mq_record records[] = {slot_record(), queue_record(), queue_record()};
    records[1].completed = records[2].completed = 1;
    check_refused(records, 3);
}

TEST(more_dropped_jobs_than_ids_are_refused)
{
    uint64_t pair[2] = {1, (uint64_t)1 << 60};
    struct mq_record slot = slot_record();
    slot.parents = mq_slice_of((const char *)pair, sizeof pair);
    alarm(20);
    check_refused(&slot, 1);
}

TEST(a_run_of_no_cron_is_refused)
{
    struct mq_record fired = {.type = MQ_REC_CRON_FIRED, .slot = Q_SLOT, .at_ms = T0, .run_at_ms = T0, .name = text("none")};
    check_refused(&fired, 1);
}

TEST(a_record_about_a_job_that_is_not_there_is_refused)
{
    struct mq_record acked = {.type = MQ_REC_ACKED, .slot = Q_SLOT, .at_ms = T0, .id = 3 * MQ_SLOTS + Q_SLOT};
    check_refused(&acked, 1);
}
