/* The measured part: connections going through a workload's rounds until there are enough operations or time is up. */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include "histogram.h"
#include "net.h"
#include "workload.h"

struct run;

/* Opens the connections. `workload` is borrowed and must outlive the run. */
struct run *run_create(struct workload *workload, const struct address *address, unsigned connections);

/*
 * Starts rounds until max_ops operations are under way or max_ns nanoseconds have passed (0: no such end), then waits
 * for their answers. Returns how many operations ended; a round in flight is always finished.
 */
uint64_t run_for(struct run *run, uint64_t max_ops, uint64_t max_ns);

/* From the sending of a round's first request to each answer of its last phase. */
struct histogram *run_latencies(struct run *run);

void run_free(struct run *run);

#endif
