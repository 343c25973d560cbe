/* How a job's last attempts failed: a few entries in one block, oldest first, which is also how a snapshot has them.
 *
 * An entry: i64 started, i64 ended (ms since the epoch), u32 number of the delivery, u8 enum mq_reason, u8 0, u16 bytes of the
 * error, the error: a JSON string, cut to MQ_HISTORY_ERROR bytes; none = null.
 */
#ifndef MQ_HISTORY_H
#define MQ_HISTORY_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define MQ_HISTORY_ENTRIES 5u
#define MQ_HISTORY_ERROR 512u

struct mq_history_entry {
    int64_t started_ms, ended_ms;
    uint32_t delivery;
    uint8_t reason;
    mq_slice error; /* p NULL = none */
};

/* The history with one more entry, and without the oldest if there are too many: a block to be freed, *n bytes of it. NULL: no
 * memory. */
char *mq_history_add(mq_slice history, const struct mq_history_entry *entry, uint32_t *n);
/* The entry at the front, and moves on. False at the end. */
bool mq_history_next(mq_slice *history, struct mq_history_entry *entry);

#endif
