#include "tests/log_thread.h"

#include "tests/test.h"

#include <sched.h>

static void *run(void *log) { return (void *)(intptr_t)mq_log_file_run(log); }

pthread_t log_start(struct mq_log *log)
{
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run, log), 0);
    return thread;
}

int log_stop(struct mq_log *log, pthread_t thread)
{
    void *status;
    mq_log_file_stop(log);
    CHECK_INT(pthread_join(thread, &status), 0);
    return (int)(intptr_t)status;
}

void log_wait_committed(const struct mq_log *log, uint64_t number)
{
    while (log->ops->committed(log) < number)
        sched_yield();
}
