#include "queue/job.h"

#include "base/heap.h"
#include "base/mem.h"

struct mq_deps *mq_deps_create(uint64_t job_id, mq_slice parents)
{
    uint32_t n = (uint32_t)(parents.n / sizeof(uint64_t));
    struct mq_deps *deps = mq_alloc_zero(sizeof *deps + n * (sizeof *deps->links + sizeof *deps->ids));
    if (!deps)
        return NULL;
    mq_list_init(&deps->node);
    deps->job_id = job_id;
    deps->ids = (uint64_t *)(deps->links + n);
    deps->n = deps->open = n;
    memcpy(deps->ids, parents.p, n * sizeof *deps->ids);
    for (uint32_t i = 0; i < n; i++) {
        mq_list_init(&deps->links[i].node);
        deps->links[i].deps = deps;
    }
    return deps;
}

static struct mq_extra *extra_with_deps(const struct mq_record *record)
{
    struct mq_extra *extra = mq_extra_create();
    if (extra && !(extra->deps = mq_deps_create(record->id, record->parents))) {
        mq_extra_free(extra);
        return NULL;
    }
    return extra;
}

struct mq_job *mq_job_create(struct mq_slab *slab, const struct mq_record *record)
{
    bool options = mq_record_has_options(record);
    size_t fixed = sizeof(struct mq_job) + (options ? sizeof(struct mq_options) : 0);
    struct mq_job *job = mq_slab_get(slab, fixed + record->data.n + record->key.n);
    if (!job)
        return NULL;
    struct mq_extra *extra = NULL;
    if (record->parents.n && !(extra = extra_with_deps(record))) {
        mq_slab_put(slab, job, fixed + record->data.n + record->key.n);
        return NULL;
    }
    *job = (struct mq_job){
        .extra = extra,
        .id = record->id,
        .run_at_ms = record->run_at_ms,
        .created_ms = record->at_ms,
        .priority = record->priority,
        .data_n = (uint32_t)record->data.n,
        .key_n = (uint16_t)record->key.n,
        .state = MQ_JOB_NEW,
        .has_options = options,
        .has_key = record->has_key,
    };
    if (options)
        *mq_job_options(job) = (struct mq_options){
            .max_attempts = record->max_attempts,
            .backoff_ms = record->backoff_ms,
            .max_backoff_ms = record->max_backoff_ms,
            .ttl_ms = record->ttl_ms,
            .timeout_ms = record->timeout_ms,
            .ttl_index = MQ_HEAP_NONE,
        };
    if (extra)
        extra->job = job;
    char *bytes = mq_job_bytes_at(job);
    if (record->data.n)
        memcpy(bytes, record->data.p, record->data.n);
    if (record->key.n)
        memcpy(bytes + record->data.n, record->key.p, record->key.n);
    return job;
}

void mq_job_free(struct mq_slab *slab, struct mq_job *job)
{
    mq_extra_free(job->extra);
    mq_slab_put(slab, job, mq_job_size(job));
}

struct mq_extra *mq_extra_create(void)
{
    struct mq_extra *extra = mq_alloc_zero(sizeof *extra);
    if (extra) {
        mq_list_init(&extra->dead);
        mq_list_init(&extra->dependents);
        mq_list_init(&extra->waiters);
    }
    return extra;
}

void mq_extra_free(struct mq_extra *extra)
{
    if (!extra)
        return;
    mq_free(extra->error);
    mq_free(extra->message);
    mq_free(extra->result);
    mq_free(extra->history);
    mq_free(extra->deps);
    mq_free(extra);
}

char *mq_text_copy(mq_slice text)
{
    char *copy = text.n ? mq_alloc(text.n) : NULL;
    if (copy)
        memcpy(copy, text.p, text.n);
    return copy;
}
