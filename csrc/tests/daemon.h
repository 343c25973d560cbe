/* An engine on the folder of tests/folder.h with its writing thread: as a daemon has it, without the net. */
#ifndef MQ_TESTS_DAEMON_H
#define MQ_TESTS_DAEMON_H

#include "mqfast.h"

#include <pthread.h>

struct daemon {
    struct mq_engine *engine;
    pthread_t log;
};

/* The folder and the manual time are set in the config; the engine must come up, and be whole. */
struct daemon daemon_start(struct mq_config config, int64_t now_ms);
void daemon_stop(struct daemon *daemon);

#endif
