/* Who may do what: tokens, each with the planes of commands it opens and the queues it is for.
 *
 * A table of them is made whole and never changed; the engine has the one that counts, and a session keeps the one its token
 * was found in as long as it lasts. Without any token nobody needs one.
 */
#ifndef MQ_ACCESS_H
#define MQ_ACCESS_H

#include "base/slice.h"
#include "mqfast.h"

#include <stdatomic.h>
#include <stdbool.h>

/* What commands.def says of each command. */
enum mq_plane {
    MQ_PLANE_open,    /* no token is needed */
    MQ_PLANE_produce, /* adds jobs, cancels them */
    MQ_PLANE_work,    /* takes jobs and ends them */
    MQ_PLANE_job,     /* looks at jobs by id, or is told of them */
    MQ_PLANE_read,    /* looks at queues and the server */
    MQ_PLANE_admin,
    MQ_PLANES,
};
#define MQ_PLANES_ALL ((1u << MQ_PLANES) - 1)

struct mq_right {
    mq_slice token;
    uint32_t planes;     /* bit n: enum mq_plane n */
    mq_slice *queues;    /* patterns, queue_n of them; none = all queues */
    size_t queue_n;
};

struct mq_access {
    _Atomic unsigned users;
    size_t n;
    struct mq_right rights[];
};

/* A copy, with one user. NULL: no memory. */
struct mq_access *mq_access_make(const struct mq_grant *grants, size_t n);
static inline struct mq_access *mq_access_keep(struct mq_access *access)
{
    atomic_fetch_add_explicit(&access->users, 1, memory_order_relaxed);
    return access;
}
/* One user less; the last one frees it. NULL is ignored. */
void mq_access_drop(struct mq_access *access);

/* NULL: a wrong token. Its time tells nothing of the tokens but how many there are and how long. */
const struct mq_right *mq_access_find(const struct mq_access *access, mq_slice token);
/* Is the right for this queue? */
bool mq_right_covers(const struct mq_right *right, mq_slice queue);
/* And for commands of this plane? */
static inline bool mq_right_opens(const struct mq_right *right, enum mq_plane plane, mq_slice queue)
{
    return right->planes >> plane & 1 && mq_right_covers(right, queue);
}

#endif
