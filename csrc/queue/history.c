#include "queue/history.h"

#include "base/mem.h"
#include "base/quote.h"

#define HEAD 24u

bool mq_history_next(mq_slice *history, struct mq_history_entry *entry)
{
    uint16_t text_n;
    if (history->n < HEAD)
        return false;
    memcpy(&entry->started_ms, history->p, 8);
    memcpy(&entry->ended_ms, history->p + 8, 8);
    memcpy(&entry->delivery, history->p + 16, 4);
    memcpy(&entry->reason, history->p + 20, 1);
    memcpy(&text_n, history->p + 22, 2);
    if (history->n - HEAD < text_n)
        return false;
    entry->error = text_n ? mq_slice_of(history->p + HEAD, text_n) : (mq_slice){NULL, 0};
    *history = mq_slice_of(history->p + HEAD + text_n, history->n - HEAD - text_n);
    return true;
}

/* As much of the history as may stay beside another entry. */
static mq_slice newest(mq_slice history)
{
    struct mq_history_entry entry;
    unsigned entries = 0;
    for (mq_slice rest = history; mq_history_next(&rest, &entry);)
        entries++;
    while (entries-- >= MQ_HISTORY_ENTRIES)
        mq_history_next(&history, &entry);
    return history;
}

char *mq_history_add(mq_slice history, const struct mq_history_entry *entry, uint32_t *n)
{
    mq_slice kept = newest(history);
    size_t text_n = mq_quoted_cut(entry->error, MQ_HISTORY_ERROR);
    bool cut = text_n < entry->error.n;
    uint16_t stored_n = (uint16_t)(text_n + cut);
    char *block = mq_alloc(kept.n + HEAD + stored_n), *o = block;
    if (!block)
        return NULL;
    if (kept.n)
        memcpy(o, kept.p, kept.n);
    o += kept.n;
    memset(o, 0, HEAD);
    memcpy(o, &entry->started_ms, 8);
    memcpy(o + 8, &entry->ended_ms, 8);
    memcpy(o + 16, &entry->delivery, 4);
    memcpy(o + 20, &entry->reason, 1);
    memcpy(o + 22, &stored_n, 2);
    if (text_n)
        memcpy(o + HEAD, entry->error.p, text_n);
    if (cut)
        o[HEAD + text_n] = '"';
    *n = (uint32_t)(kept.n + HEAD + stored_n);
    return block;
}
