/* An engine that comes back: after a clean end, after a kill at any moment, with and without snapshots. */
#include "queue/persist.h"
#include "tests/daemon.h"
#include "tests/engine.h"
#include "tests/folder.h"
#include "tests/lines.h"
#include "tests/naive_json.h"
#include "tests/test.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned files(void (*each)(const char *path))
{
    DIR *open_folder = opendir(folder);
    unsigned n = 0;
    for (struct dirent *entry; (entry = readdir(open_folder));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        n++;
        if (each)
            each(path);
    }
    closedir(open_folder);
    return n;
}

static struct daemon start(int64_t now_ms, enum mq_fsync_mode mode)
{
    struct mq_config config = engine_config();
    config.fsync = mode;
    return daemon_start(config, now_ms);
}

/* Stops it and starts it again at the same time of day: the state is what it was, but for jobs that connections held (none here). */
static void check_comes_back(struct daemon *daemon, int64_t *now_ms)
{
    mq_engine_tick(daemon->engine);
    *now_ms = mq_engine_now(daemon->engine);
    char *wanted = engine_dump(daemon->engine);
    daemon_stop(daemon);
    *daemon = start(*now_ms, MQ_SYNC_NONE);
    mq_engine_tick(daemon->engine);
    char *got = engine_dump(daemon->engine);
    CHECK_DUMPS(got, wanted);
    free(wanted);
    free(got);
}

TEST(random_commands_come_back_with_and_without_snapshots)
{
    uint64_t first = test_setting("MQ_TEST_SEED", 1);
    for (uint64_t seed = first; seed < first + test_setting("MQ_TEST_SEEDS", 200) / 20; seed++) {
        struct random random = {seed};
        char line[LINE_MAX_N];
        int64_t now = T0;
        test_seed(seed);
        new_folder();
        struct daemon daemon = start(now, MQ_SYNC_NONE);
        for (int i = 0; i < 600; i++) {
            if (random_chance(&random, 15))
                later(daemon.engine, (int64_t)random_below(&random, 60));
            run_bytes(daemon.engine, line, random_line(&random, line));
            if (i % 97 == 96)
                CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
            if (i % 150 == 149)
                check_comes_back(&daemon, &now);
            if (i % 200 == 199) { /* by a clock that was put back */
                now = mq_engine_now(daemon.engine) - (int64_t)random_below(&random, 100000);
                daemon_stop(&daemon);
                daemon = start(now, MQ_SYNC_NONE);
            }
        }
        daemon_stop(&daemon);
        remove_folder();
    }
}

/* What a child process was told is there after its end by SIGKILL, and what it acked is not. Lines are told over a pipe. */
static void talk_until_killed(int out)
{
    struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
    for (unsigned i = 0;; i++) {
        int64_t id = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q%u\",\"data\":%u}", i % 5, i), "id");
        char note[64];
        int n = snprintf(note, sizeof note, "p%" PRId64 "\n", id);
        CHECK(write(out, note, (size_t)n) == n);
        if (i % 3 == 0) {
            int64_t held = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PULL\",\"queue\":\"q%u\"}", i % 5), "job.id");
            run_ok(daemon.engine, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", held);
            n = snprintf(note, sizeof note, "a%" PRId64 "\n", held);
            CHECK(write(out, note, (size_t)n) == n);
        }
        if (i % 40 == 39)
            CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    }
}

static bool is_done(struct mq_engine *engine, int64_t id)
{
    const char *state = answer_text(run(engine, "{\"cmd\":\"GETJOB\",\"id\":%" PRId64 "}", id), "state");
    CHECK(strcmp(state, "unknown") != 0); /* never lost */
    return strcmp(state, "completed") == 0;
}

TEST(what_was_answered_survives_a_kill_at_any_moment)
{
    struct random random = {test_setting("MQ_TEST_SEED", 1)};
    for (uint64_t round = 0; round < test_setting("MQ_TEST_KILLS", 12); round++) {
        int ends[2];
        new_folder();
        CHECK(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            talk_until_killed(ends[1]);
        }
        close(ends[1]);
        FILE *notes = fdopen(ends[0], "r");
        static int64_t pushed[4000], acked[4000];
        unsigned pushed_n = 0, acked_n = 0, wanted = 1 + (unsigned)random_below(&random, 300);
        char note[64];
        bool killed = false;
        while (fgets(note, sizeof note, notes)) {
            int64_t id = strtoll(note + 1, NULL, 10);
            if (note[0] == 'p')
                pushed[pushed_n++] = id;
            else
                acked[acked_n++] = id;
            if (pushed_n == wanted && !killed) {
                kill(child, SIGKILL);
                killed = true;
            }
        }
        fclose(notes);
        waitpid(child, NULL, 0);
        struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
        test_note("round %u: %u pushed, %u acked", (unsigned)round, pushed_n, acked_n);
        for (unsigned i = 0; i < pushed_n; i++)
            is_done(daemon.engine, pushed[i]);
        for (unsigned i = 0; i < acked_n; i++)
            CHECK(is_done(daemon.engine, acked[i]));
        int64_t next = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q0\",\"data\":0}"), "id");
        for (unsigned i = 0; i < pushed_n; i++)
            CHECK(next != pushed[i]);
        daemon_stop(&daemon);
        remove_folder();
    }
}

TEST(snapshots_let_the_log_before_the_last_but_one_go)
{
    new_folder();
    /* what a snapshot holds must be written when it begins: a log that is behind begins its next segment too late to let one go */
    struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 50; i++)
            run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":%d}", i);
        CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    }
    CHECK(files(NULL) <= 4); /* two snapshots, a segment, the lock */
    daemon_stop(&daemon);
    daemon = start(T0, MQ_SYNC_ALWAYS);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":300");
    daemon_stop(&daemon);
    remove_folder();
}

enum { DAY = 86400000 };

/* A day earlier by the clock than it ended: what was put off waits until then, as it says; nothing else stands still. */
TEST(a_start_with_a_clock_that_was_put_back_stops_nothing)
{
    static const char *const late = "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0,\"lease\":5000}";
    new_folder();
    struct daemon daemon = start(T0 + DAY, MQ_SYNC_ALWAYS);
    run_ok(daemon.engine, "{\"cmd\":\"RATELIMIT\",\"queue\":\"q\",\"limit\":2,\"duration\":1000}");
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"leased\"}");
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"timed\",\"timeout\":3000,\"maxAttempts\":9,\"backoff\":3600000}");
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"put off\",\"delay\":1000}");
    CHECK_HAS(run_ok(daemon.engine, late), "leased");
    CHECK_HAS(run_ok(daemon.engine, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0,\"lease\":600000}"), "timed");
    daemon_stop(&daemon);
    daemon = start(T0 + 1, MQ_SYNC_ALWAYS);
    CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    daemon_stop(&daemon);
    daemon = start(T0, MQ_SYNC_ALWAYS); /* from the snapshot, and earlier again */
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":0,\"processing\":2,\"delayed\":1");
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"new\",\"delay\":100}");
    later(daemon.engine, 100);
    CHECK_HAS(run_ok(daemon.engine, late), "new");
    later(daemon.engine, 2901); /* the timeout */
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"processing\":2");
    later(daemon.engine, 2000);
    CHECK_HAS(run_ok(daemon.engine, late), "leased");
    later(daemon.engine, DAY - 5001 + 1000);
    mq_engine_check(daemon.engine);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"delayed\":0");
    daemon_stop(&daemon);
    remove_folder();
}

TEST(a_dependent_runs_at_once_after_a_clock_that_was_put_back)
{
    new_folder();
    struct daemon daemon = start(T0 + DAY, MQ_SYNC_NONE);
    int64_t parent = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"p\",\"data\":1}"), "id");
    int64_t lost = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"lost\",\"data\":1}"), "id");
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"d\",\"data\":2,\"depends_on\":[%" PRId64 "]}", parent);
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"dead\",\"data\":3,\"depends_on\":[%" PRId64 "]}", lost);
    daemon_stop(&daemon);
    daemon = start(T0, MQ_SYNC_NONE);
    mq_engine_tick(daemon.engine);
    run_ok(daemon.engine, "{\"cmd\":\"PULL\",\"queue\":\"p\",\"timeout\":0}");
    run_ok(daemon.engine, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", parent);
    run_ok(daemon.engine, "{\"cmd\":\"CANCEL\",\"id\":%" PRId64 "}", lost);
    mq_engine_tick(daemon.engine);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":1,\"processing\":0,\"delayed\":0,\"dlq\":1");
    run_ok(daemon.engine, "{\"cmd\":\"RETRYDLQ\",\"queue\":\"dead\"}");
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":2,\"processing\":0,\"delayed\":0,\"dlq\":0");
    int64_t now = T0;
    check_comes_back(&daemon, &now);
    daemon_stop(&daemon);
    remove_folder();
}

TEST(completed_jobs_go_in_time_after_a_clock_that_was_put_back)
{
    struct mq_config config = engine_config();
    config.fsync = MQ_SYNC_NONE;
    config.result_ttl_ms = 5000;
    new_folder();
    struct daemon daemon = daemon_start(config, T0 + DAY);
    for (int i = 0; i < 2; i++) {
        int64_t id = answer_number(run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"p\",\"data\":1}"), "id");
        run_ok(daemon.engine, "{\"cmd\":\"PULL\",\"queue\":\"p\",\"timeout\":0}");
        run_ok(daemon.engine, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
        if (i == 0) {
            daemon_stop(&daemon);
            daemon = daemon_start(config, T0);
            later(daemon.engine, 1000);
        }
    }
    CHECK_INT((int64_t)atomic_load(&daemon.engine->kept), 2);
    later(daemon.engine, 4000);
    mq_engine_tick(daemon.engine);
    CHECK_INT((int64_t)atomic_load(&daemon.engine->kept), 1);
    later(daemon.engine, 1000);
    mq_engine_tick(daemon.engine);
    CHECK_INT((int64_t)atomic_load(&daemon.engine->kept), 0);
    daemon_stop(&daemon);
    remove_folder();
}

static uint64_t folder_bytes, snapshot_bytes;

static void measure(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) < 0)
        return;
    folder_bytes += (uint64_t)stat_of.st_blocks * 512;
    if (strstr(path, ".snap") && (uint64_t)stat_of.st_size > snapshot_bytes)
        snapshot_bytes = (uint64_t)stat_of.st_size;
}

/* A queue that works for ever, an old delayed job in the way, `live` jobs that stay, and some completed ones kept. */
static void check_disk_use(int live, uint64_t kept, int rounds)
{
    enum { BYTES = 256 << 10 };
    static char push[BYTES + 100], keep[BYTES + 100];
    struct mq_config config = engine_config();
    config.fsync = MQ_SYNC_NONE;
    config.result_max = kept;
    struct daemon daemon = daemon_start(config, T0);
    size_t push_n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0*d\"}", BYTES, 0);
    size_t keep_n = (size_t)sprintf(keep, "{\"cmd\":\"PUSH\",\"queue\":\"live\",\"data\":\"%0*d\"}", BYTES, 0);
    run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"old\",\"data\":0,\"delay\":31536000000}");
    for (int i = 0; i < live; i++)
        CHECK_HAS(run_bytes(daemon.engine, keep, keep_n), "\"ok\":true");
    unsigned made = 0;
    for (int i = 0; i < rounds; i++) {
        int64_t id = answer_number(run_bytes(daemon.engine, push, push_n), "id");
        run_ok(daemon.engine, "{\"cmd\":\"PULL\",\"queue\":\"q\",\"timeout\":0}");
        run_ok(daemon.engine, "{\"cmd\":\"ACK\",\"id\":%" PRId64 "}", id);
        if (mq_persist_wants_snapshot(daemon.engine)) {
            CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
            made++;
        }
        folder_bytes = snapshot_bytes = 0;
        files(measure);
        uint64_t live_bytes = mq_engine_bytes(daemon.engine); /* what is kept of completed jobs lives, too */
        live_bytes = snapshot_bytes > live_bytes ? snapshot_bytes : live_bytes;
        if (folder_bytes > 3 * live_bytes + (128 << 20))
            test_fail(__FILE__, __LINE__, "round %d: %.1f MiB on the disk, %.1f live", i, (double)folder_bytes / (1 << 20), (double)live_bytes / (1 << 20));
    }
    CHECK(made >= 2);
    daemon_stop(&daemon);
    daemon = daemon_start(config, T0);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"queued\":%d,\"processing\":0,\"delayed\":1", live);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), wanted);
    daemon_stop(&daemon);
}

TEST(disk_use_is_bounded_by_what_lives)
{
    new_folder();
    check_disk_use(0, 0, 600); /* 150 MiB pushed, acked and gone */
    remove_folder();
    new_folder();
    check_disk_use(400, 0, 1000); /* 100 MiB stay */
    remove_folder();
    new_folder();
    check_disk_use(0, 200, 1200); /* 50 MiB of completed jobs are looked at */
    remove_folder();
}

TEST(jobs_that_stay_are_no_reason_for_a_snapshot)
{
    enum { BYTES = 256 << 10 };
    static char push[BYTES + 100];
    size_t n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0*d\"}", BYTES, 0);
    new_folder();
    struct daemon daemon = start(T0, MQ_SYNC_NONE);
    for (int i = 0; i < 400; i++) { /* 100 MiB */
        CHECK_HAS(run_bytes(daemon.engine, push, n), "\"ok\":true");
        CHECK(!mq_persist_wants_snapshot(daemon.engine));
    }
    daemon_stop(&daemon);
    daemon = start(T0, MQ_SYNC_NONE);
    CHECK(!mq_persist_wants_snapshot(daemon.engine));
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"DRAIN\",\"queue\":\"q\"}"), "\"ok\":true");
    CHECK(mq_persist_wants_snapshot(daemon.engine)); /* now they are */
    CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    CHECK(!mq_persist_wants_snapshot(daemon.engine));
    daemon_stop(&daemon);
    remove_folder();
}

/* Makes snapshots as long as one is wanted; how many. */
static unsigned snapshots_while_wanted(const struct daemon *daemon)
{
    unsigned made = 0;
    for (; mq_persist_wants_snapshot(daemon->engine); made++) {
        CHECK(made < 5);
        CHECK_INT(mq_engine_snapshot(daemon->engine), 0);
    }
    return made;
}

TEST(disk_use_falls_when_what_lived_goes)
{
    enum { BYTES = 256 << 10 };
    static char push[BYTES + 100];
    size_t n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0*d\"}", BYTES, 0);
    for (int restarts = 0; restarts < 2; restarts++) {
        new_folder();
        struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
        for (int i = 0; i < 800; i++) { /* 200 MiB */
            CHECK_HAS(run_bytes(daemon.engine, push, n), "\"ok\":true");
            CHECK(!mq_persist_wants_snapshot(daemon.engine));
        }
        CHECK_HAS(run(daemon.engine, "{\"cmd\":\"DRAIN\",\"queue\":\"q\"}"), "\"ok\":true");
        if (restarts) { /* after the first of the two */
            CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
            daemon_stop(&daemon);
            daemon = start(T0, MQ_SYNC_ALWAYS);
        }
        CHECK_INT(snapshots_while_wanted(&daemon), restarts ? 1 : 2);
        folder_bytes = 0;
        files(measure);
        CHECK(folder_bytes < 32 << 20);
        daemon_stop(&daemon);
        remove_folder();
    }
}

TEST(a_snapshot_that_failed_is_as_much_wanted_as_before)
{
    enum { BYTES = 256 << 10 };
    static char push[BYTES + 100];
    char in_the_way[100];
    size_t n = (size_t)sprintf(push, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":\"%0*d\"}", BYTES, 0);
    new_folder();
    struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
    for (int i = 0; i < 240; i++)
        CHECK_HAS(run_bytes(daemon.engine, push, n), "\"ok\":true");
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"DRAIN\",\"queue\":\"q\"}"), "\"ok\":true");
    CHECK(mq_persist_wants_snapshot(daemon.engine));
    snprintf(in_the_way, sizeof in_the_way, "%s/%020" PRIu64 ".snap.tmp", folder, daemon.engine->log->ops->committed(daemon.engine->log));
    CHECK_INT(mkdir(in_the_way, 0700), 0);
    CHECK(mq_engine_snapshot(daemon.engine) < 0);
    CHECK(mq_persist_wants_snapshot(daemon.engine));
    CHECK_INT(rmdir(in_the_way), 0);
    CHECK(snapshots_while_wanted(&daemon) > 0);
    daemon_stop(&daemon);
    remove_folder();
}

/* A batch longer than a frame may be is several frames, and all of it comes back. */
TEST(a_long_batch_is_several_frames)
{
    enum { ITEMS = 3000, BYTES = 1000 };
    static char line[ITEMS * (BYTES + 20) + 100];
    char *o = line + sprintf(line, "{\"cmd\":\"PUSHB\",\"queue\":\"q\",\"jobs\":[");
    for (int i = 0; i < ITEMS; i++)
        o += sprintf(o, "%s{\"data\":\"%0*d\"}", i ? "," : "", BYTES, i);
    strcpy(o, "]}");
    new_folder();
    struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
    uint64_t before = daemon.engine->log->ops->committed(daemon.engine->log);
    CHECK_HAS(run_bytes(daemon.engine, line, strlen(line)), "\"ok\":true");
    uint64_t frames = daemon.engine->log->ops->committed(daemon.engine->log) - before;
    CHECK(frames >= 3 && frames <= 5);
    daemon_stop(&daemon);
    daemon = start(T0, MQ_SYNC_ALWAYS);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":3000,");
    daemon_stop(&daemon);
    remove_folder();
}

static void spoil(const char *path)
{
    const char *newest = strstr(path, "snap");
    FILE *file = newest ? fopen(path, "r+b") : NULL;
    if (!file)
        return;
    fseek(file, 200, SEEK_SET);
    fputc('x', file);
    fclose(file);
}

TEST(a_spoiled_snapshot_is_passed_over)
{
    new_folder();
    struct daemon daemon = start(T0, MQ_SYNC_ALWAYS);
    for (int i = 0; i < 50; i++)
        run_ok(daemon.engine, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":%d}", i);
    CHECK_INT(mq_engine_snapshot(daemon.engine), 0);
    daemon_stop(&daemon);
    files(spoil); /* the only one: all of the log is still there */
    daemon = start(T0, MQ_SYNC_ALWAYS);
    CHECK_HAS(run(daemon.engine, "{\"cmd\":\"STATS\"}"), "\"queued\":50");
    daemon_stop(&daemon);
    remove_folder();
}

TEST(a_full_disk_refuses_what_must_be_kept_and_goes_on_with_the_rest)
{
    static const char *const refused[] = {
        "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}", "{\"cmd\":\"ACK\",\"id\":1613}", "{\"cmd\":\"FAIL\",\"id\":1613}",
        "{\"cmd\":\"PAUSE\",\"queue\":\"q\"}", "{\"cmd\":\"CANCEL\",\"id\":1613}", "{\"cmd\":\"ACKB\",\"ids\":[1613]}",
        "{\"cmd\":\"DRAIN\",\"queue\":\"q\"}", "{\"cmd\":\"RETRYDLQ\",\"queue\":\"q\"}", "{\"cmd\":\"PROGRESS\",\"id\":1613,\"progress\":1}",
    };
    struct mq_engine *e = engine_new();
    engine_use_log(e, mq_log_mem_open(false));
    for (int i = 0; i < 3; i++)
        run_ok(e, "{\"cmd\":\"PUSH\",\"queue\":\"q\",\"data\":1}");
    run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}");
    atomic_store(&e->log->full, true);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        run_refused(e, "storage_full", "%s", refused[i]);
    CHECK(answer_number(run_ok(e, "{\"cmd\":\"PULL\",\"queue\":\"q\"}"), "job.id"));
    run_ok(e, "{\"cmd\":\"STATS\"}");
    atomic_store(&e->log->full, false);
    run_ok(e, "{\"cmd\":\"ACK\",\"id\":1613}");
    mq_engine_free(e);
}
