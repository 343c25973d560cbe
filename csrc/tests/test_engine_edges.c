/* Where the engine meets its bounds: another clock after a restart, a full disk, jobs as large as settings allow, the last cron of many. */
#include "base/mem.h"
#include "queue/decide.h"
#include "queue/persist.h"
#include "tests/daemon.h"
#include "tests/engine.h"
#include "tests/folder.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct daemon start_with(struct mq_config config, int64_t now_ms)
{
    config.fsync = MQ_SYNC_NONE;
    return daemon_start(config, now_ms);
}

static struct daemon start(int64_t now_ms) { return start_with(engine_config(), now_ms); }

/* --- crons --- */

TEST(the_last_cron_of_many_can_be_set_anew)
{
    struct mq_engine *e = engine_new();
    for (int i = 0; i < 60; i++)
        run_ok(e, "{\"cmd\":\"CRON\",\"name\":\"c%d\",\"queue\":\"q\",\"schedule\":\"*/5\",\"data\":1}", i);
    for (int i = 1; i < 60; i++)
        run_ok(e, "{\"cmd\":\"CRONDELETE\",\"name\":\"c%d\"}", i);
    run_ok(e, "{\"cmd\":\"CRONPAUSE\",\"name\":\"c0\"}");
    run_ok(e, "{\"cmd\":\"CRONRESUME\",\"name\":\"c0\"}");
    mq_engine_free(e);
}

/* --- clocks --- */

/* A job that is lost was ready once: it has reserved no place among the delayed ones. */
TEST(jobs_are_lost_after_a_snapshot_and_a_clock_that_was_set_back)
{
    new_folder();
    struct daemon daemon = start(T0);
    for (int i = 0; i < 20; i++)
        run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    daemon_stop(&daemon);
    daemon = start(T0 - 60000);
    run_ok(daemon.engine, "{\"cmd\":\"PULLB\",\"queue\":\"q\",\"count\":20,\"lease\":1000}");
    later(daemon.engine, 1000);
    mq_engine_tick(daemon.engine);
    check_stats(daemon.engine, 20, 0, 0, 0, 0);
    daemon_stop(&daemon);
    remove_folder();
}

/* --- completed jobs that are kept --- */

static int64_t complete(struct mq_engine *e, const char *queue)
{
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"%s\",\"data\":1}", queue);
    int64_t id = answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"%s\"}", queue), "job.id");
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"result\":7}", id);
    return id;
}

TEST(results_are_kept_after_older_ones_have_expired_while_it_was_down)
{
    struct mq_config config = engine_config();
    config.result_max = 40;
    config.result_ttl_ms = 1000;
    new_folder();
    struct daemon daemon = start_with(config, T0);
    for (int i = 0; i < 40; i++)
        complete(daemon.engine, "q");
    daemon_stop(&daemon);
    daemon = start_with(config, T0 + 5000);
    CHECK_INT(atomic_load(&daemon.engine->kept), 0);
    int64_t ids[10];
    for (int i = 0; i < 10; i++)
        ids[i] = complete(daemon.engine, "q");
    for (int i = 0; i < 10; i++)
        CHECK_HAS(run(daemon.engine, "{\"cmd\":\"GETRESULT\",\"id\":%" PRId64 "}", ids[i]), "\"result\":7");
    daemon_stop(&daemon);
    remove_folder();
}

/* --- disk use --- */

/* A daemon that is started again and again must not gather logs for ever. */
TEST(what_was_logged_before_a_start_counts_towards_the_next_snapshot)
{
    enum { BYTES = 256 << 10 };
    static char push[BYTES + 100];
    size_t push_n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0*d\"}", BYTES, 0);
    bool wanted = false;
    new_folder();
    for (int round = 0; round < 4; round++) {
        struct daemon daemon = start(T0);
        for (int i = 0; i < 64; i++) { /* 16 MiB that do not stay */
            int64_t id = answer_number(run_bytes(daemon.engine, push, push_n), "id");
            run_ok(daemon.engine, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", id);
        }
        wanted |= mq_persist_wants_snapshot(daemon.engine);
        daemon_stop(&daemon);
    }
    CHECK(wanted);
    remove_folder();
}

/* --- large jobs --- */

TEST(a_job_as_large_as_settings_allow_is_logged_and_comes_back)
{
    enum { BYTES = 70 << 20 };
    struct mq_config config = engine_config();
    config.max_line = (size_t)BYTES + (1 << 20);
    config.max_job_bytes = (size_t)BYTES + (1 << 10);
    char *push = malloc(BYTES + 200);
    size_t n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"");
    memset(push + n, 'x', BYTES);
    n += BYTES;
    n += (size_t)sprintf(push + n, "\"}");
    new_folder();
    struct daemon daemon = start_with(config, T0);
    CHECK_HAS(run_bytes(daemon.engine, push, n), "\"ok\":true");
    CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    daemon_stop(&daemon);
    daemon = start_with(config, T0);
    check_stats(daemon.engine, 1, 0, 0, 0, 0);
    daemon_stop(&daemon);
    remove_folder();
    free(push);
}

/* Data and result each as large as allowed: one record of a snapshot. */
TEST(a_job_and_its_result_as_large_as_settings_allow_make_a_whole_snapshot)
{
    enum { BYTES = 40 << 20 };
    struct mq_config config = engine_config();
    config.max_line = (size_t)BYTES + (1 << 20);
    config.max_job_bytes = (size_t)BYTES + (1 << 10);
    char *line = malloc(BYTES + 200), *text = malloc(BYTES + 3);
    memset(text, 'x', BYTES);
    text[0] = text[BYTES - 1] = '"';
    text[BYTES] = 0;
    new_folder();
    struct daemon daemon = start_with(config, T0);
    size_t n = (size_t)sprintf(line, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":%s}", text);
    int64_t id = answer_number(run_bytes(daemon.engine, line, n), "id");
    n = (size_t)sprintf(line, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    run_bytes(daemon.engine, line, n);
    n = (size_t)sprintf(line, "{\"cmd\":\"ACK\",\"id\":%" PRId64 ",\"result\":%s}", id, text);
    CHECK_HAS(run_bytes(daemon.engine, line, n), "\"ok\":true");
    for (int i = 0; i < 4; i++) {
        run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
        CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    }
    daemon_stop(&daemon);
    unsigned snapshots = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; (entry = readdir(open_folder));)
        snapshots += strstr(entry->d_name, ".snap") != NULL;
    closedir(open_folder);
    CHECK(snapshots <= 2);
    daemon = start_with(config, T0);
    check_stats(daemon.engine, 4, 0, 0, 0, 1);
    daemon_stop(&daemon);
    remove_folder();
    free(line);
    free(text);
}

/* --- a full disk --- */

/* A delivery that reached nobody goes back whether or not the disk has room, as a lost one does. */
TEST(a_delivery_that_was_not_sent_is_taken_back_though_the_disk_is_full)
{
    struct mq_engine *e = engine_new();
    engine_use_log(e, mq_log_mem_open(false));
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    int64_t id = answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.id");
    atomic_store(&e->log->full, true);
    struct mq_shard *shard = mq_engine_shard(e, (uint64_t)id);
    int64_t now = mq_shard_lock(shard, T0);
    struct mq_job *job = mq_slot_job(mq_shard_slot(shard, (uint64_t)id), (uint64_t)id);
    CHECK_INT(mq_decide_release_locked(shard, job, 0, true, now), MQ_DONE);
    mq_shard_unlock(shard);
    mq_engine_free(e);
}

TEST(a_unique_key_may_have_any_character)
{
    struct mq_engine *e = engine_new();
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"unique_key\":\"MQF1\\u0001\\u0000\\u0000\"}");
    mq_engine_free(e);
}

/* One whose TTL has ended must not stand in the way of those that can be given: a restart ends it again. */
TEST(expired_jobs_give_way_though_the_disk_is_full)
{
    struct mq_engine *e = engine_new();
    engine_use_log(e, mq_log_mem_open(false));
    run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1,\"ttl\":10}");
    int64_t id = answer_number(run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":2}"), "id");
    atomic_store(&e->log->full, true);
    later(e, 20);
    CHECK_INT(answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0}"), "job.id"), id);
    mq_engine_free(e);
}
