/* Commands with what must have happened before them: for tests that try each command under some misfortune. */
#ifndef MQ_TESTS_SCENARIOS_H
#define MQ_TESTS_SCENARIOS_H

#include "queue/engine.h"

struct scenario {
    const char *name;
    const char *before[8]; /* lines, "+N" = N ms pass */
    const char *line;
    bool batch; /* parts of it may be refused by themselves */
};

extern const struct scenario scenarios[];
extern const size_t scenario_n;

/* Runs the lines of `before`; each must succeed. */
void scenario_prepare(const struct scenario *scenario, struct mq_engine *engine);

#endif
