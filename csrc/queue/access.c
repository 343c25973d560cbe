#include "queue/access.h"

#include "base/glob.h"
#include "base/mem.h"

static uint32_t planes_of(unsigned roles)
{
    static const struct {
        unsigned role;
        uint32_t planes;
    } table[] = {
        {MQ_ROLE_PRODUCER, 1u << MQ_PLANE_produce | 1u << MQ_PLANE_job},
        {MQ_ROLE_WORKER, 1u << MQ_PLANE_work | 1u << MQ_PLANE_job},
        {MQ_ROLE_READER, 1u << MQ_PLANE_read | 1u << MQ_PLANE_job},
        {MQ_ROLE_ADMIN, MQ_PLANES_ALL},
    };
    uint32_t planes = 1u << MQ_PLANE_open;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        planes |= roles & table[i].role ? table[i].planes : 0;
    return planes;
}

static bool copy_text(mq_slice *to, const char *text)
{
    size_t n = strlen(text);
    char *copy = mq_alloc(n + 1);
    if (copy)
        memcpy(copy, text, n + 1);
    *to = mq_slice_of(copy, n);
    return copy;
}

static bool copy_right(struct mq_right *right, const struct mq_grant *grant)
{
    right->planes = planes_of(grant->roles);
    right->queues = mq_alloc_zero((grant->queue_n + 1) * sizeof *right->queues);
    if (!right->queues || !copy_text(&right->token, grant->token))
        return false;
    for (; right->queue_n < grant->queue_n; right->queue_n++)
        if (!copy_text(&right->queues[right->queue_n], grant->queues[right->queue_n]))
            return false;
    return true;
}

struct mq_access *mq_access_make(const struct mq_grant *grants, size_t n)
{
    struct mq_access *access = mq_alloc_zero(sizeof *access + n * sizeof *access->rights);
    if (!access)
        return NULL;
    atomic_init(&access->users, 1);
    for (; access->n < n; access->n++)
        if (!copy_right(&access->rights[access->n], &grants[access->n])) {
            access->n++;
            mq_access_drop(access);
            return NULL;
        }
    return access;
}

void mq_access_drop(struct mq_access *access)
{
    if (!access || atomic_fetch_sub(&access->users, 1) > 1)
        return;
    for (size_t i = 0; i < access->n; i++) {
        struct mq_right *right = &access->rights[i];
        for (size_t j = 0; j < right->queue_n; j++)
            mq_free((char *)right->queues[j].p);
        mq_free(right->queues);
        mq_free((char *)right->token.p);
    }
    mq_free(access);
}

/* Takes as long whatever the guess: over the whole of it, without a branch on its bytes. */
static bool same_secret(mq_slice guess, mq_slice secret)
{
    unsigned char different = (unsigned char)(guess.n != secret.n);
    for (size_t i = 0; i < guess.n; i++)
        different |= (unsigned char)((unsigned char)guess.p[i] ^ (unsigned char)(secret.n ? secret.p[i % secret.n] : 0));
    return !different;
}

const struct mq_right *mq_access_find(const struct mq_access *access, mq_slice token)
{
    const struct mq_right *found = NULL;
    for (size_t i = 0; i < access->n; i++)
        found = same_secret(token, access->rights[i].token) ? &access->rights[i] : found;
    return found;
}

bool mq_right_covers(const struct mq_right *right, mq_slice queue)
{
    bool covers = right->queue_n == 0;
    for (size_t i = 0; i < right->queue_n && !covers; i++)
        covers = mq_glob(queue, right->queues[i], false);
    return covers;
}
