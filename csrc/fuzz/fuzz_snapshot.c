/* Any bytes as a snapshot: refused, or an engine that is whole, goes on, and whose own snapshot reads back to the same state.
 *
 * The first byte chooses: even, the rest is the file as it is; odd, the headers of its frames are made right again first, so that what
 * the records say is reached. For the sake of the file's reader and writer, both without a folder, this includes their source. */
#include "log/log_snapshot.c"

#include "queue/snapshot.h"
#include "queue/admit.h"
#include "tests/fresh.h"
#include "tests/test.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAY_MS 86400000

static struct fresh first, second;

static uint32_t count_records(mq_slice body)
{
    struct mq_record record = {0};
    uint32_t n = 0;
    while (mq_frame_next(&body, &record))
        n++;
    return n;
}

/* Makes sums, numbers and lengths of the headers right; bytes behind the last whole header are cut off. Returns what is left. */
static size_t seal(char *bytes, size_t size)
{
    struct mq_frame_head head = {.epoch = 1};
    uint32_t chain = 0;
    size_t at = 0;
    while (size - at >= MQ_FRAME_HEAD) {
        char *body = bytes + at + MQ_FRAME_HEAD;
        size_t left = size - at - MQ_FRAME_HEAD;
        memcpy(&head.shard, bytes + at + 8, sizeof head.shard);
        memcpy(&head.time_ms, bytes + at + 32, sizeof head.time_ms);
        memcpy(&head.body_n, bytes + at + 40, sizeof head.body_n);
        if (head.body_n > left)
            head.body_n = (uint32_t)left;
        head.shard = left - head.body_n < MQ_FRAME_HEAD ? MQ_SNAPSHOT_END : head.shard == MQ_SNAPSHOT_END ? 0 : head.shard;
        head.records = count_records(mq_slice_of(body, head.body_n));
        head.body_crc = mq_crc32c(0, body, head.body_n);
        head.number++;
        head.chain = chain;
        mq_frame_head_put(&head, bytes + at);
        chain = mq_frame_chain(chain, bytes + at);
        at += MQ_FRAME_HEAD + head.body_n;
    }
    return at;
}

/* Dropped jobs cost a step each when they are read back: more of them than this take longer than an input may. */
#define DROPPED_MAX (1u << 16)

static bool takes_for_ever(const struct mq_record *record)
{
    uint64_t n = 0;
    for (size_t at = 0; record->type == MQ_REC_STATE_SLOT && at + 16 <= record->parents.n && n <= DROPPED_MAX; at += 16) {
        uint64_t more;
        memcpy(&more, record->parents.p + at + 8, sizeof more);
        n += more > DROPPED_MAX ? DROPPED_MAX + 1 : more;
    }
    return n > DROPPED_MAX;
}

static int apply(void *context, const struct mq_record *record)
{
    struct mq_engine *engine = context;
    if (takes_for_ever(record) || mq_admit_objects(engine, record))
        return -EBADMSG;
    mq_apply_locked(mq_engine_shard(engine, record->slot), record);
    return 0;
}

static bool load(mq_slice bytes, struct mq_engine *engine)
{
    uint64_t where;
    if (read_snapshot(bytes, NULL, NULL, &where) < 0 || read_snapshot(bytes, apply, engine, &where) < 0)
        return false;
    mq_engine_check(engine); /* and tells when each shard needs attention next */
    return true;
}

/* The engine's own snapshot, in memory; to be unmapped. */
static mq_slice save(struct mq_engine *engine)
{
    static struct mq_log_file file;
    static int fd = -1;
    struct writing w = {.file = &file};
    mq_slice bytes;
    if (fd < 0)
        fd = memfd_create("snapshot", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    w.fd = fd;
    mq_frame_init(&w.frame);
    CHECK_INT(mq_snapshot_records(engine, put_record, &w), 0);
    CHECK(!w.frame.records || write_frame(&w, 0) == 0);
    CHECK_INT(write_frame(&w, MQ_SNAPSHOT_END), 0);
    mq_frame_close(&w.frame);
    CHECK_INT(mq_file_map(fd, &bytes), 0);
    return bytes;
}

static void check_reads_back(struct mq_engine *engine)
{
    struct mq_engine *again = fresh_engine(&second);
    mq_slice bytes = save(engine);
    CHECK(load(bytes, again));
    mq_file_unmap(bytes);
    char *got = engine_dump(again), *wanted = engine_dump(engine);
    CHECK_DUMPS(got, wanted);
    free(got);
    free(wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_aborts = true;
    if (!size)
        return 0;
    bool sealed = data[0] & 1;
    size_t n = size - 1;
    char *bytes = malloc(n ? n : 1);
    memcpy(bytes, data + 1, n);
    if (sealed)
        n = seal(bytes, n);
    struct mq_engine *engine = fresh_engine(&first);
    bool accepted = load(mq_slice_of(bytes, n), engine);
    free(bytes); /* nothing of it may be borrowed */
    if (!accepted)
        return 0;
    check_reads_back(engine);
    for (int i = 0; i < 3; i++) { /* at once what is overdue, then what comes in time, then after all leases */
        mq_engine_tick(engine);
        mq_engine_check(engine);
        later(engine, i ? 365 * (int64_t)DAY_MS : DAY_MS);
    }
    check_reads_back(engine);
    return 0;
}
