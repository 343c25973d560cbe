/* What a snapshot may say to an engine that holds what came before it in the file.
 *
 * Checksums tell a damaged file; this tells one that is whole and cannot be true, before it is applied: apply may rely on what it
 * is given, and would end the daemon, or go on with a state that is none. What a daemon has written is always admitted.
 */
#ifndef MQ_ADMIT_H
#define MQ_ADMIT_H

#include "queue/engine.h"

/* NULL, or what is wrong with the record. */
const char *mq_admit_objects(struct mq_engine *engine, const struct mq_record *record);

#endif
