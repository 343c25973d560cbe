/* An engine at a manual time for tests, lines for it, and its whole state as text to compare. */
#ifndef MQ_TESTS_ENGINE_H
#define MQ_TESTS_ENGINE_H

#include "queue/engine.h"

#define T0 1700000000000 /* when tests begin, ms */

struct mq_engine *engine_new(void);
/* Changes the defaults that tests begin with: manual time T0, a fixed seed. */
struct mq_engine *engine_new_with(const struct mq_config *config);
struct mq_config engine_config(void);
/* The engine writes to this log from now on and owns it; before its first command only. */
void engine_use_log(struct mq_engine *engine, struct mq_log *log);

/* Executes one line and checks the engine. The answer is valid until some more calls. */
const char *run(struct mq_engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for bytes, without the full check: for loops over many lines. */
const char *run_bytes(struct mq_engine *engine, const char *line, size_t n);
/* Frees this thread's answers: for threads that end before their test. */
void run_forget(void);
/* The answer must be `ok`. */
const char *run_ok(struct mq_engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The answer must be a refusal with this code. */
const char *run_refused(struct mq_engine *engine, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void later(struct mq_engine *engine, int64_t ms);
/* STATS must read so. */
void check_stats(struct mq_engine *engine, uint64_t queued, uint64_t processing, uint64_t delayed, uint64_t dlq, uint64_t completed);

/* Everything durable as text: slots with counters, queues, jobs with all fields, in a fixed order. To be freed. */
char *engine_dump(struct mq_engine *engine);
/* Prints the first line in which they differ and fails. */
void check_dumps(const char *file, int line, const char *got, const char *wanted);
#define CHECK_DUMPS(got, wanted) check_dumps(__FILE__, __LINE__, got, wanted)

/* The queue with this name, or NULL; no lock is held afterwards. */
struct mq_queue *engine_queue(struct mq_engine *engine, const char *name);

#endif
