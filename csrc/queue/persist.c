#include "queue/persist.h"

#include "base/check.h"
#include "queue/admit.h"
#include "queue/cron.h"
#include "queue/decide.h"
#include "queue/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- coming back --- */

static int apply(void *context, const struct mq_record *record)
{
    struct mq_engine *engine = context;
    mq_apply_locked(mq_engine_shard(engine, record->slot), record); /* nobody else is there yet */
    return 0;
}

/* A record of a snapshot. */
static int load(void *context, const struct mq_record *record)
{
    return mq_admit_objects(context, record) ? -EBADMSG : apply(context, record);
}

/* Would it last longer than if it began now? Then the clock was put back since. */
static bool lasts_too_long(const struct mq_hold *hold, int64_t now_ms)
{
    const struct mq_options *options = mq_job_options(hold->job);
    return hold->lease_until_ms > mq_time_add(now_ms, hold->lease_ms) ||
           (options && options->timeout_ms && hold->timeout_at_ms > mq_time_add(now_ms, options->timeout_ms));
}

/* Connections are gone: what they held is pending again, in its old place. What is held by lease is so until the lease ends; by a
 * clock that was put back it would last for too long, so such a lease starts again. */
static void give_back(struct mq_shard *shard, int64_t now_ms)
{
    struct mq_job *job;
    int64_t now = mq_shard_lock(shard, now_ms);
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD; i++)
        for (uint64_t from = 0; (job = mq_index_up(&shard->slots[i].jobs, MQ_JOB_ACTIVE, from));) {
            int status = MQ_DONE;
            from = job->id / MQ_SLOTS + 1;
            if (!job->at.hold->lease_ms)
                status = mq_decide_release_locked(shard, job, 0, false, now);
            else if (lasts_too_long(job->at.hold, now))
                status = mq_decide_extend_locked(shard, job, 0, now);
            MQ_ASSERT(status == MQ_DONE); /* at the start nothing is short */
        }
    mq_shard_unlock(shard);
}

/* A restart fills the buckets of rate limits. */
static void fill_buckets(struct mq_shard *shard, int64_t now_ms)
{
    struct mq_queue *queue;
    for (unsigned i = 0; i < MQ_SLOTS_A_SHARD; i++)
        for (size_t at = 0; (queue = mq_map_next(&shard->slots[i].queues, &at));)
            if (queue->limits.rate)
                mq_limits_set_rate(&queue->limits, queue->limits.rate, queue->limits.duration_ms, now_ms);
}

int mq_persist_recover(struct mq_engine *engine)
{
    uint64_t kept = 0;
    int status = engine->log->ops->replay(engine->log, load, apply, engine);
    if (status < 0)
        return status;
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        kept += atomic_load(&engine->shards[i].done_n);
    atomic_store(&engine->kept, kept); /* before any shard is locked: what is due then goes, and is counted down */
    int64_t now = mq_engine_now(engine);
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        engine->shards[i].began_ms = now;
        fill_buckets(&engine->shards[i], now);
        give_back(&engine->shards[i], now);
    }
    mq_mutex_lock(&engine->crons.mutex);
    mq_crons_publish(engine);
    mq_mutex_unlock(&engine->crons.mutex);
    return 0;
}

/* --- waiting --- */

void mq_persist_wait(struct mq_engine *engine, uint64_t seq)
{
    struct mq_log *log = engine->log;
    if (MQ_LIKELY(!engine->config.folder || seq <= log->ops->committed(log)))
        return;
    pthread_mutex_lock(&engine->commit_mutex);
    atomic_fetch_add(&engine->commit_waiters, 1);
    while (seq > log->ops->committed(log))
        pthread_cond_wait(&engine->committed, &engine->commit_mutex);
    atomic_fetch_sub(&engine->commit_waiters, 1);
    pthread_mutex_unlock(&engine->commit_mutex);
}

/* --- snapshots --- */

bool mq_persist_wants_snapshot(const struct mq_engine *engine)
{
    const struct mq_log_snapshots *snapshots = engine->log->ops->snapshots;
    return snapshots && snapshots->wanted(engine->log, mq_engine_bytes(engine));
}

static int write_records(void *state, mq_log_visit *put, void *context) { return mq_snapshot_records(state, put, context); }

/* A fork's child has all that is open: were its sockets left to it, nobody would see the parent close a connection before the
 * child ends, and a port would not be free for the daemon that comes after a kill. */
static void close_sockets(void)
{
    DIR *open_now = opendir("/proc/self/fd");
    struct stat stat_of;
    for (struct dirent *entry; open_now && (entry = readdir(open_now));) {
        int fd = atoi(entry->d_name); /* "." and ".." make 0, which is no socket of ours */
        if (fd > STDERR_FILENO && fstat(fd, &stat_of) == 0 && S_ISSOCK(stat_of.st_mode))
            close(fd);
    }
    if (open_now)
        closedir(open_now);
}

/* Never returns. */
static void be_writer(struct mq_engine *engine, uint64_t number, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) /* it has the folder's lock, and must not outlive the parent */
        _exit(1);
    close_sockets();
    _exit(engine->log->ops->snapshots->write(engine->log, number, write_records, engine) == 0 ? 0 : 1);
}

/* The one place where several shards are held: for the moment of a fork. The child sees the state stand still and writes it
 * down; it has no other thread, and ends without returning. */
static pid_t fork_writer(struct mq_engine *engine)
{
    const struct mq_log_snapshots *snapshots = engine->log->ops->snapshots;
    mq_mutex_lock(&engine->crons.mutex);
    for (unsigned i = 0; i < MQ_SHARDS; i++)
        mq_mutex_lock(&engine->shards[i].mutex);
    uint64_t number = snapshots->freeze(engine->log, mq_engine_bytes(engine));
    pid_t parent = getpid(), child = fork();
    if (child == 0)
        be_writer(engine, number, parent);
    int error = errno;
    snapshots->thaw(engine->log);
    for (unsigned i = MQ_SHARDS; i--;)
        mq_mutex_unlock(&engine->shards[i].mutex);
    mq_mutex_unlock(&engine->crons.mutex);
    errno = error;
    return child;
}

int mq_engine_snapshot(struct mq_engine *engine)
{
    const struct mq_log_snapshots *snapshots = engine->log->ops->snapshots;
    int status = 0;
    if (!snapshots)
        return 0;
    pthread_mutex_lock(&engine->writer_mutex);
    pid_t child = fork_writer(engine);
    int error = child < 0 ? errno : 0;
    engine->writer = child < 0 ? 0 : child;
    pthread_mutex_unlock(&engine->writer_mutex);
    if (error)
        return -error;
    if (atomic_load(&engine->waiting_over))
        mq_persist_end_writer(engine); /* who has set that may have seen no child yet */
    siginfo_t ended;
    while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&engine->writer_mutex);
    engine->writer = 0; /* only then its number may become another's */
    pthread_mutex_unlock(&engine->writer_mutex);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (atomic_load(&engine->waiting_over))
        return 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return -EIO;
    snapshots->made(engine->log);
    return 0;
}

void mq_persist_end_writer(struct mq_engine *engine)
{
    pthread_mutex_lock(&engine->writer_mutex);
    if (engine->writer)
        kill(engine->writer, SIGKILL);
    pthread_mutex_unlock(&engine->writer_mutex);
}

/* --- the writing thread --- */

int mq_engine_run_log(struct mq_engine *engine) { return engine->config.folder ? mq_log_file_run(engine->log) : 0; }

void mq_engine_stop_log(struct mq_engine *engine)
{
    if (engine->config.folder)
        mq_log_file_stop(engine->log);
}

const char *mq_engine_log_error(const struct mq_engine *engine)
{
    return engine->config.folder ? mq_log_file_error(engine->log) : "";
}

uint64_t mq_engine_log_cut(const struct mq_engine *engine)
{
    return engine->config.folder ? mq_log_file_cut(engine->log) : 0;
}
