/* A log file's writing thread, for tests of the log alone; tests/daemon.h has it with an engine. */
#ifndef MQ_TESTS_LOG_THREAD_H
#define MQ_TESTS_LOG_THREAD_H

#include "log/log.h"

#include <pthread.h>

pthread_t log_start(struct mq_log *log);
/* Stops it, and tells how it ended: 0 or -errno. */
int log_stop(struct mq_log *log, pthread_t thread);
void log_wait_committed(const struct mq_log *log, uint64_t number);

#endif
