/* The engine as one would write it without caring for speed: an array of jobs that is looked through for everything.
 *
 * It says what each command must answer; test_model.c drives both and compares.
 */
#ifndef MQ_TESTS_MODEL_H
#define MQ_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_QUEUES 4u
#define MODEL_JOBS 400u
#define MODEL_KEYS 6
#define MODEL_NEVER INT64_MAX

enum model_state { M_GONE, M_READY, M_DELAYED, M_ACTIVE, M_DEAD };

struct model_job {
    enum model_state state;
    uint64_t id;
    unsigned queue;
    uint64_t data;
    int32_t priority;
    int64_t run_at, created, started;
    uint64_t attempts, deliveries, losses;
    uint64_t max_attempts, backoff, max_backoff, ttl, timeout;
    int key; /* -1 = none */
    bool ttl_runs;
    int64_t lease_until, timeout_at;
    char token[32], old_token[32]; /* of this delivery, of the one before */
    char error[32];                /* as JSON */
    const char *reason;
    uint64_t dead_turn; /* order in the dead-letter queue */
};

struct model {
    int64_t now;
    struct model_job jobs[MODEL_JOBS];
    unsigned n; /* used entries, ended ones included */
    bool paused[MODEL_QUEUES], known[MODEL_QUEUES];
    uint64_t completed[MODEL_QUEUES], counter[1024];
    uint64_t dead_turns;
};

extern const char *const model_queue_names[MODEL_QUEUES];

struct model_counts {
    uint64_t ready, delayed, active, dead, completed;
};

/* An entry to fill in before model_push; NULL when the array is full. */
struct model_job *model_new_job(struct model *model);
/* Gives it its id and its place; false if its key is taken. */
bool model_push(struct model *model, struct model_job *job, uint64_t delay);
struct model_job *model_find(struct model *model, uint64_t id);
/* What a pull must get, already taken; NULL = nothing. The caller notes the token. */
struct model_job *model_pull(struct model *model, unsigned queue, uint64_t lease);
/* The code of the refusal, or NULL if the job is held by this delivery. token NULL = none given. */
const char *model_claim(struct model *model, uint64_t id, const char *token, struct model_job **job);
void model_ack(struct model *model, struct model_job *job);
/* error "" = none */
void model_fail(struct model *model, struct model_job *job, const char *error, bool unrecoverable, const char *reason);
void model_release(struct model *model, struct model_job *job, uint64_t delay);
void model_end(struct model_job *job);
bool model_retry_dead(struct model *model, struct model_job *job);
/* The n-th of the dead-letter queue, oldest first; NULL past the end. */
struct model_job *model_dead(struct model *model, unsigned queue, unsigned n);
/* Time moves, and all that is due happens now. */
void model_move(struct model *model, int64_t now);
struct model_counts model_count(const struct model *model, int queue); /* -1 = all */
/* Drops ended jobs when room gets scarce. */
void model_tidy(struct model *model);

#endif
