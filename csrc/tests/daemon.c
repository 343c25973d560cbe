#include "tests/daemon.h"

#include "tests/folder.h"
#include "tests/test.h"

static void *run_log(void *engine) { return (void *)(intptr_t)mq_engine_run_log(engine); }

struct daemon daemon_start(struct mq_config config, int64_t now_ms)
{
    struct daemon daemon;
    char why[512];
    config.folder = folder;
    config.manual_time_ms = now_ms;
    daemon.engine = mq_engine_create(&config, why, sizeof why);
    if (!daemon.engine)
        test_fail(__FILE__, __LINE__, "%s", why);
    CHECK_INT(pthread_create(&daemon.log, NULL, run_log, daemon.engine), 0);
    mq_engine_check(daemon.engine);
    return daemon;
}

void daemon_stop(struct daemon *daemon)
{
    void *status;
    mq_engine_stop_log(daemon->engine);
    CHECK_INT(pthread_join(daemon->log, &status), 0);
    CHECK(!status);
    mq_engine_free(daemon->engine);
}
