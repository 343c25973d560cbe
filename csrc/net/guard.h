/* What a net takes from strangers: bounds on connections, in all and of one address, and on wrong tokens of one address.
 *
 * Connections that come too many are told why and closed. Everything refused is counted, and the count is a report for whoever
 * keeps the daemon's log (MQ_WORK_REPORT): at once for the first, then one a second at most.
 */
#ifndef MQ_GUARD_H
#define MQ_GUARD_H

#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"
#include "mqfast.h"
#include "net/peer.h"

struct mq_net;

#define MQ_GUARD_WRONG_MAX 20u          /* wrong tokens of one address, within the window */
#define MQ_GUARD_WINDOW_MS 60000        /* from the first of them */
#define MQ_GUARD_REMEMBERED_MAX 65536u  /* addresses with wrong tokens; the oldest is forgotten first */

struct mq_guard {
    struct mq_mutex mutex;     /* guards what follows but for open_n; the last of the order */
    struct mq_map addresses;   /* struct place, by address */
    struct mq_list wrong;      /* those with wrong tokens, by the begin of their windows */
    uint32_t wrong_n;
    struct mq_report report;   /* since the last one taken */
    int64_t reported_ms;
    _Atomic size_t open_n;     /* connections from outside */
};

void mq_guard_init(struct mq_guard *guard);
void mq_guard_close(struct mq_guard *guard);

/* A connection came: MQ_TROUBLES = it is counted in, by its address (out). Else why not, and it is not counted. */
enum mq_trouble mq_guard_admit(struct mq_net *net, int fd, uint64_t *address);
/* One that was counted in has gone. */
void mq_guard_leave(struct mq_net *net, uint64_t address);

/* Something to report. fd: of the connection in question, -1 = none. */
void mq_guard_note(struct mq_net *net, enum mq_trouble trouble, int fd);

/* For so many ms, because this address has tried too many wrong tokens; 0 = it need not. */
int64_t mq_guard_must_wait(struct mq_net *net, uint64_t address, int64_t now_ms);
/* It has tried one more. */
void mq_guard_wrong_token(struct mq_net *net, uint64_t address, int fd, int64_t now_ms);

#endif
