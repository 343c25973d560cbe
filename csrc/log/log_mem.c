/* A log in memory, for tests: commits at once or when told to and forgets on
 * demand what was not committed. */
#include "base/check.h"
#include "base/mem.h"
#include "base/sync.h"
#include "log/log.h"

#include <stdatomic.h>

struct entry {
    struct entry *next;
    uint64_t number;
    size_t n;
    char bytes[];
};

struct log_mem {
    struct mq_log log;
    struct mq_mutex mutex; /* guards everything below but `committed` */
    struct entry *first, **end;
    uint64_t number; /* of the last frame */
    _Atomic uint64_t committed;
    bool held;
};

static struct log_mem *mem_of(const struct mq_log *log) { return (struct log_mem *)log; }

static int64_t append_locked(struct log_mem *mem, const struct mq_frame *frame)
{
    mq_slice bytes = mq_ring_peek(&frame->bytes);
    struct entry *entry = mq_alloc(sizeof *entry + bytes.n);
    MQ_ASSERT(entry);
    *entry = (struct entry){.number = ++mem->number, .n = bytes.n};
    if (bytes.n)
        memcpy(entry->bytes, bytes.p, bytes.n);
    *mem->end = entry;
    mem->end = &entry->next;
    if (!mem->held)
        atomic_store(&mem->committed, mem->number);
    return (int64_t)entry->number;
}

static int64_t mem_append(struct mq_log *log, unsigned shard, const struct mq_frame *frame)
{
    struct log_mem *mem = mem_of(log);
    (void)shard;
    mq_mutex_lock(&mem->mutex);
    int64_t number = append_locked(mem, frame);
    mq_mutex_unlock(&mem->mutex);
    return number;
}

static uint64_t mem_committed(const struct mq_log *log) { return atomic_load(&mem_of(log)->committed); }

static int mem_replay(struct mq_log *log, mq_log_visit *load, mq_log_visit *visit, void *context)
{
    (void)load;
    struct log_mem *mem = mem_of(log);
    for (struct entry *entry = mem->first; entry && entry->number <= atomic_load(&mem->committed); entry = entry->next) {
        mq_slice bytes = mq_slice_of(entry->bytes, entry->n);
        struct mq_record record = {0};
        while (bytes.n) {
            MQ_ASSERT(mq_frame_next(&bytes, &record));
            int status = visit(context, &record);
            if (status < 0)
                return status;
        }
    }
    return 0;
}

static void mem_close(struct mq_log *log)
{
    struct log_mem *mem = mem_of(log);
    while (mem->first) {
        struct entry *next = mem->first->next;
        mq_free(mem->first);
        mem->first = next;
    }
    mq_mutex_close(&mem->mutex);
    mq_free(mem);
}

static const struct mq_log_ops mem_ops = {mem_append, mem_committed, mem_replay, mem_close, NULL, NULL, NULL, NULL};

struct mq_log *mq_log_mem_open(bool held)
{
    struct log_mem *mem = mq_alloc_zero(sizeof *mem);
    if (!mem)
        return NULL;
    mem->log = (struct mq_log){.ops = &mem_ops, .wants_records = true};
    mq_mutex_init(&mem->mutex);
    mem->end = &mem->first;
    mem->held = held;
    return &mem->log;
}

void mq_log_mem_commit(struct mq_log *log, uint64_t up_to)
{
    struct log_mem *mem = mem_of(log);
    mq_mutex_lock(&mem->mutex);
    atomic_store(&mem->committed, up_to < mem->number ? up_to : mem->number);
    mq_mutex_unlock(&mem->mutex);
    if (log->on_commit)
        log->on_commit(log->on_commit_context);
}

void mq_log_mem_crash(struct mq_log *log)
{
    struct log_mem *mem = mem_of(log);
    mq_mutex_lock(&mem->mutex);
    struct entry **at = &mem->first;
    while (*at && (*at)->number <= atomic_load(&mem->committed))
        at = &(*at)->next;
    struct entry *lost = *at;
    *at = NULL;
    mem->end = at;
    mem->number = atomic_load(&mem->committed);
    mq_mutex_unlock(&mem->mutex);
    while (lost) {
        struct entry *next = lost->next;
        mq_free(lost);
        lost = next;
    }
}
