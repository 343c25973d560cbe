/* Cron jobs: definitions by name, each with the time of its next run, which others work out (the library knows no calendar).
 *
 * A cron belongs to the slot of its queue: that it fired and the job that it pushed are records of one frame, so each of its times
 * fires once, across a crash too. Everything here is guarded by crons->mutex, which is taken before any shard's.
 *
 * Who works out times is asked through questions: a command that needs a time leaves one and waits; a thread of the caller's
 * (MQ_WORK_CRON) takes them and answers.
 */
#ifndef MQ_CRON_H
#define MQ_CRON_H

#include "base/heap.h"
#include "base/map.h"
#include "queue/decide.h"
#include "queue/engine.h"

/* What a client defines. Slices borrow, but for those of a struct mq_cron. */
struct mq_cron_def {
    mq_slice name, queue, schedule, timezone;
    struct mq_push push; /* each job; slot_ms unused */
    bool skip_overlap, skip_misfire, paused;
};

struct mq_cron {
    struct mq_cron_def def; /* its bytes stand behind */
    int64_t next_run_ms;    /* MQ_NEVER = paused, or never again */
    int64_t last_run_ms;    /* 0 = not yet */
    int64_t set_ms;         /* when it was defined */
    uint64_t last_job;      /* that it pushed; 0 = none */
    uint64_t hash;          /* of the name */
    uint32_t due_index;     /* in crons->due; MQ_HEAP_NONE without a next run */
    char bytes[];
};

/* A command waits for a time to be worked out. */
struct mq_question {
    struct mq_list node; /* in crons->questions until answered or withdrawn */
    void *owner;         /* whoever asks */
    uint64_t token;
    bool taken;
    mq_slice schedule, timezone; /* owned by whoever asks */
    int64_t now_ms;              /* after this */
    int64_t next_run_ms;         /* the answer; below 0: `why` says what is wrong */
    char why[512];
    size_t why_n;
    void (*answered)(struct mq_question *question); /* with the mutex held, from any thread */
};

void mq_crons_init(struct mq_crons *crons);
void mq_crons_close(struct mq_crons *crons);

/* All below: mutex held. */
struct mq_cron *mq_cron_find(const struct mq_crons *crons, mq_slice name);
bool mq_cron_same(const struct mq_cron_def *a, const struct mq_cron_def *b);
/* Sets or replaces a cron; 0 or MQ_NO_MEMORY. */
int mq_cron_set(struct mq_engine *engine, const struct mq_cron_def *def, int64_t next_run_ms, int64_t now_ms);
int mq_cron_delete(struct mq_engine *engine, struct mq_cron *cron, int64_t now_ms);
/* Pushes its job (push true) and moves on to next_run_ms; `slot_ms` is the time that fired. 0, MQ_NO_MEMORY or MQ_KEY_TAKEN;
 * an overlapping or duplicate job is left out if `may_skip`. */
int mq_cron_fire(struct mq_engine *engine, struct mq_cron *cron, bool push, bool may_skip, int64_t slot_ms, int64_t next_run_ms,
                 int64_t now_ms);
/* Publishes when the cron work is due next. */
void mq_crons_publish(struct mq_engine *engine);

/* The record that sets this cron as it is. */
struct mq_record mq_cron_record(const struct mq_cron *cron);

/* apply's part. */
void mq_cron_apply(struct mq_crons *crons, const struct mq_record *record);

/* Asks; the question waits until it is answered or withdrawn. The mutex is taken inside. */
void mq_question_ask(struct mq_engine *engine, struct mq_question *question);
/* False if it has been answered already. */
bool mq_question_withdraw(struct mq_engine *engine, struct mq_question *question);

#endif
