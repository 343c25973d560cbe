/* A workload is a round of up to three phases that each connection goes through again and again. */
#ifndef LOAD_WORKLOAD_H
#define LOAD_WORKLOAD_H

#include "target.h"

enum { PHASES_MAX = 3 };

struct phase {
    enum step step;
    bool from_answers;     /* the request was written while the last phase's answers were read; no variants then */
    unsigned answers;      /* for the whole request */
    unsigned variants;     /* requests that differ in their random priorities, sent in turn */
    unsigned next_variant;
    struct buf *requests;
};

struct workload {
    const char *name;
    const struct target *target;
    const struct shape *shape;
    unsigned phases_count;
    unsigned ops; /* in one round of one connection */
    struct phase phases[PHASES_MAX];
};

/* push, pushb, cycle, pullb or fill; depth requests (for cycle: of each phase) are in flight on a connection. */
void workload_prepare(struct workload *workload, const char *name, const struct target *target,
                      const struct shape *shape, unsigned depth);
void workload_free(struct workload *workload);

#endif
