/* Records as bytes and back, and the two logs that need no disk. */
#include "log/log.h"
#include "tests/test.h"

#include <stdlib.h>

static char pool[600]; /* what random texts are cut from */

static mq_slice random_text(struct random *random)
{
    size_t n = random_chance(random, 40) ? 0 : random_below(random, 300);
    return mq_slice_of(pool + random_below(random, 300), n);
}

static struct mq_record random_record(struct random *random)
{
    static const uint8_t types[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    struct mq_record record = {
        .type = types[random_below(random, sizeof types)],
        .reason = (uint8_t)random_next(random),
        .lost = random_chance(random, 50),
        .has_key = random_chance(random, 50),
        .paused = random_chance(random, 50),
        .unsent = random_chance(random, 50),
        .slot = (uint16_t)random_next(random),
        .priority = (int32_t)random_next(random),
        .at_ms = (int64_t)random_next(random),
        .id = random_next(random),
        .run_at_ms = (int64_t)random_next(random),
        .token = random_next(random),
        .lease_ms = random_next(random),
        .max_attempts = random_next(random),
        .backoff_ms = random_next(random),
        .max_backoff_ms = random_next(random),
        .ttl_ms = random_next(random),
        .timeout_ms = random_next(random),
        .queue = random_text(random),
        .data = random_text(random),
        .key = random_text(random),
        .keep = random_chance(random, 50),
        .progress = (uint8_t)random_next(random),
        .rate_limit = random_next(random),
        .rate_duration_ms = random_next(random),
        .concurrency = random_next(random),
        .length = random_next(random),
        .dropped = random_chance(random, 50),
        .parent = random_next(random),
        .parents = random_text(random),
        .name = random_text(random),
        .schedule = random_text(random),
        .timezone = random_text(random),
        .delay_ms = random_next(random),
        .last_run_ms = (int64_t)random_next(random),
        .cron_job = random_next(random),
        .skip_overlap = random_chance(random, 50),
        .skip_misfire = random_chance(random, 50),
    };
    if (random_chance(random, 50))
        record.text = random_text(random);
    return record;
}

/* What a record's type has is the same; what it has not is nothing. (That each type has what apply needs, replay shows.) */
static void check_record(const struct mq_record *a, const struct mq_record *b)
{
    struct mq_frame x, y;
    CHECK(a->type == b->type && a->slot == b->slot && a->at_ms == b->at_ms);
    CHECK(b->id == a->id || b->id == 0);
    CHECK(b->token == a->token || b->token == 0);
    CHECK(b->run_at_ms == a->run_at_ms || b->run_at_ms == 0);
    CHECK(!b->data.n || mq_slice_eq(a->data, b->data));
    CHECK(!b->key.n || mq_slice_eq(a->key, b->key));
    CHECK(!b->text.p || mq_slice_eq(a->text, b->text));
    CHECK(!b->job_hint && !b->queue_hint && !b->holder_hint && !b->extra_hint && !b->cron_hint);
    mq_frame_init(&x);
    mq_frame_init(&y);
    mq_frame_add(&x, a);
    mq_frame_add(&y, b);
    mq_slice of_a = mq_ring_peek(&x.bytes), of_b = mq_ring_peek(&y.bytes);
    test_note("type %u", a->type);
    CHECK_BYTES(of_b.p, of_b.n, of_a.p, of_a.n);
    mq_frame_close(&x);
    mq_frame_close(&y);
}

static void add(struct mq_frame *frame, const struct mq_record *record)
{
    CHECK_INT(mq_frame_reserve(frame, record->queue.n + record->data.n + record->key.n + record->text.n + record->parents.n +
                                           record->name.n + record->schedule.n + record->timezone.n), 0);
    const char *mem = frame->bytes.mem;
    mq_frame_add(frame, record);
    CHECK(frame->bytes.mem == mem); /* the reserve was enough */
}

/* With a text of this size in one of its fields, at the end of a block that has just no room for it: under the sanitizer, what is
 * written without having been reserved ends the test. */
static void add_at_the_end_of_a_block(const struct mq_record *record, size_t text_n)
{
    static char filler[MQ_RING_BYTES];
    for (size_t left = text_n; left < text_n + 300; left += 50) {
        struct mq_frame frame;
        mq_frame_init(&frame);
        struct mq_record fill = {.type = MQ_REC_PUSHED, .data = mq_slice_of(filler, MQ_RING_BYTES - left - 64)};
        mq_frame_add(&frame, &fill);
        mq_frame_add(&frame, record);
        mq_frame_close(&frame);
    }
}

TEST(every_text_of_every_type_has_room_reserved)
{
    static char text[3000];
    for (unsigned type = 1; type < MQ_REC_TYPES; type++) {
        struct mq_record record = {.type = (uint8_t)type, .has_key = true};
        mq_slice *texts[] = {&record.queue, &record.data, &record.key, &record.parents, &record.name, &record.schedule, &record.timezone,
                             &record.text, &record.error, &record.message, &record.result, &record.outcomes, &record.history};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            test_note("type %u, text %zu", type, i);
            *texts[i] = mq_slice_of(text, sizeof text);
            add_at_the_end_of_a_block(&record, sizeof text);
            *texts[i] = (mq_slice){0};
        }
    }
}

TEST(frame_gives_back_the_records_put_in)
{
    struct random random = {21};
    struct mq_record records[50], read;
    struct mq_frame frame;
    for (size_t i = 0; i < sizeof pool; i++)
        pool[i] = (char)random_next(&random);
    mq_frame_init(&frame);
    for (int round = 0; round < 100; round++) {
        unsigned n = 1 + (unsigned)random_below(&random, 50);
        for (unsigned i = 0; i < n; i++) {
            records[i] = random_record(&random);
            add(&frame, &records[i]);
        }
        CHECK_INT(frame.records, n);
        mq_slice bytes = mq_ring_peek(&frame.bytes);
        read = (struct mq_record){0};
        for (unsigned i = 0; i < n; i++) {
            CHECK(mq_frame_next(&bytes, &read));
            check_record(&records[i], &read);
        }
        CHECK_INT(bytes.n, 0);
        CHECK(!mq_frame_next(&bytes, &read));
        mq_frame_clear(&frame);
        CHECK_INT(frame.records, 0);
    }
    mq_frame_close(&frame);
}

TEST(frame_cut_short_ends_before_the_cut_record)
{
    struct random random = {22};
    struct mq_frame frame;
    mq_frame_init(&frame);
    for (int i = 0; i < 3; i++) {
        struct mq_record record = random_record(&random);
        add(&frame, &record);
    }
    mq_slice all = mq_ring_peek(&frame.bytes);
    for (size_t n = 0; n < all.n; n++) {
        char *copy = malloc(n ? n : 1); /* nothing behind the cut may be read */
        memcpy(copy, all.p, n);
        mq_slice bytes = mq_slice_of(copy, n);
        struct mq_record record = {0};
        int whole = 0;
        while (mq_frame_next(&bytes, &record))
            whole++;
        CHECK(whole < 3);
        free(copy);
    }
    mq_frame_close(&frame);
}

/* What the jobs of a batch have in common is written once, and what they have not comes back all the same. */
TEST(frame_of_a_batch_is_short_and_gives_back_each_job)
{
    enum { N = 100, STEP = 1024 };
    static const char *const queues[] = {"mail", "mail", "mails", "fax"};
    struct random random = {24};
    struct mq_record records[N], read;
    struct mq_frame frame;
    mq_frame_init(&frame);
    for (int round = 0; round < 200; round++) {
        unsigned odd = (unsigned)random_below(&random, 20); /* so many in a hundred differ in something */
        struct mq_record one = {.type = MQ_REC_PUSHED, .slot = 589, .at_ms = 1700000000000, .run_at_ms = 1700000000000, .id = 589 + STEP,
                                .max_backoff_ms = MQ_DEFAULT_MAX_BACKOFF_MS, .max_attempts = random_below(&random, 2),
                                .data = MQ_SLICE("{\"n\":1}"), .queue = mq_slice_of("mail", 4)};
        for (unsigned i = 0; i < N; i++) {
            struct mq_record *r = &records[i];
            *r = one;
            r->id = (i ? records[i - 1].id : 589) + STEP * (random_chance(&random, odd) ? 2 : 1);
            r->data.n -= random_below(&random, 3);
            if (random_chance(&random, odd)) {
                switch (random_below(&random, 12)) {
                case 0: r->type = MQ_REC_ACKED; r->data = r->queue = (mq_slice){NULL, 0}; r->max_backoff_ms = r->run_at_ms = 0, r->max_attempts = 0; break;
                case 1: r->slot++; break;
                case 2: r->at_ms++; break;
                case 3: r->run_at_ms++; break;
                case 4: r->priority++; break;
                case 5: r->max_attempts = 7; break;
                case 6: r->backoff_ms = 1; break;
                case 7: r->max_backoff_ms = 5; break;
                case 8: r->ttl_ms = 9; break;
                case 9: r->timeout_ms = 9; break;
                case 10: r->has_key = true; r->key = MQ_SLICE("k"); break;
                default: r->parents = mq_slice_of("12345678", 8); break;
                }
            }
            const char *queue = queues[random_chance(&random, odd) ? random_below(&random, 4) : 0];
            if (r->type == MQ_REC_PUSHED)
                r->queue = mq_slice_of(queue, strlen(queue));
            add(&frame, r);
        }
        mq_slice bytes = mq_ring_peek(&frame.bytes);
        if (odd == 0)
            CHECK(bytes.n <= N * 24 + 120);
        read = (struct mq_record){0};
        for (unsigned i = 0; i < N; i++) {
            CHECK(mq_frame_next(&bytes, &read));
            check_record(&records[i], &read);
        }
        CHECK_INT(bytes.n, 0);
        mq_frame_clear(&frame);
    }
    mq_frame_close(&frame);
}

TEST(frame_that_begins_with_more_of_nothing_is_not_read)
{
    struct mq_frame frame;
    struct mq_record record = {.type = MQ_REC_PUSHED, .data = MQ_SLICE("1"), .queue = MQ_SLICE("q")}, read = {0};
    mq_frame_init(&frame);
    add(&frame, &record);
    size_t first_n = mq_ring_used(&frame.bytes);
    add(&frame, &record);
    mq_slice bytes = mq_ring_peek(&frame.bytes), second = mq_slice_of(bytes.p + first_n, bytes.n - first_n);
    CHECK(!mq_frame_next(&second, &read));
    read = (struct mq_record){.type = MQ_REC_ACKED};
    CHECK(!mq_frame_next(&second, &read));
    mq_frame_close(&frame);
}

/* A flag of the record says whether there is a text at all. Whoever made the bytes, the two must not contradict each other. */
TEST(frame_with_bytes_of_a_text_that_its_flag_denies_gives_no_bytes)
{
    struct mq_frame frame;
    struct mq_record record = {.type = MQ_REC_RETRIED, .text = MQ_SLICE("\"e\"")};
    mq_frame_init(&frame);
    add(&frame, &record);
    mq_slice bytes = mq_ring_peek(&frame.bytes);
    ((char *)bytes.p)[1] = 0; /* its flags */
    if (mq_frame_next(&bytes, &record))
        CHECK(record.text.p || record.text.n == 0);
    mq_frame_close(&frame);
}

TEST(frame_of_random_bytes_is_never_read_too_far)
{
    struct random random = {23};
    for (int i = 0; i < 20000; i++) {
        size_t n = random_below(&random, 400);
        char *copy = malloc(n ? n : 1);
        for (size_t j = 0; j < n; j++)
            copy[j] = (char)(random_chance(&random, 60) ? 0 : random_next(&random));
        if (n >= 8) { /* a type that there is, a length that may fit */
            copy[0] = (char)(1 + random_below(&random, MQ_REC_TYPES - 1));
            copy[4] = (char)(n - 8), copy[5] = (char)((n - 8) >> 8), copy[6] = copy[7] = 0;
        }
        mq_slice bytes = mq_slice_of(copy, n);
        struct mq_record record = {0};
        while (mq_frame_next(&bytes, &record))
            CHECK(record.text.n <= n && record.data.n <= n);
        free(copy);
    }
}

/* --- logs --- */

static int count_visit(void *context, const struct mq_record *record)
{
    uint64_t *ids = context;
    ids[0]++;
    ids[1] = ids[1] * 31 + record->id;
    return record->id == 99 ? -7 : 0;
}

static int64_t append(struct mq_log *log, uint64_t first_id, unsigned n)
{
    struct mq_frame frame;
    mq_frame_init(&frame);
    for (unsigned i = 0; i < n; i++)
        add(&frame, &(struct mq_record){.type = MQ_REC_ACKED, .id = first_id + i});
    int64_t number = log->ops->append(log, 0, &frame);
    mq_frame_close(&frame);
    return number;
}

TEST(log_in_memory_replays_what_was_committed_in_order)
{
    struct mq_log *log = mq_log_mem_open(false);
    uint64_t seen[2] = {0, 0}, wanted = 0;
    CHECK(log->wants_records);
    CHECK_INT(append(log, 1, 3), 1);
    CHECK_INT(append(log, 4, 2), 2);
    CHECK_INT(log->ops->committed(log), 2);
    CHECK_INT(log->ops->replay(log, count_visit, count_visit, seen), 0);
    for (uint64_t id = 1; id <= 5; id++)
        wanted = wanted * 31 + id;
    CHECK(seen[0] == 5 && seen[1] == wanted);
    CHECK_INT(append(log, 98, 3), 3);
    seen[0] = 0;
    CHECK_INT(log->ops->replay(log, count_visit, count_visit, seen), -7); /* stops where the visitor says so */
    CHECK_INT(seen[0], 7);
    log->ops->close(log);
}

static void count_commit(void *context) { ++*(int *)context; }

TEST(log_in_memory_forgets_at_a_crash_what_was_not_committed)
{
    struct mq_log *log = mq_log_mem_open(true);
    uint64_t seen[2] = {0, 0};
    int told = 0;
    log->on_commit = count_commit;
    log->on_commit_context = &told;
    for (uint64_t i = 1; i <= 5; i++)
        append(log, i, 1);
    CHECK_INT(log->ops->committed(log), 0);
    mq_log_mem_commit(log, 3);
    CHECK_INT(told, 1);
    CHECK_INT(log->ops->committed(log), 3);
    CHECK_INT(log->ops->replay(log, count_visit, count_visit, seen), 0);
    CHECK_INT(seen[0], 3);
    mq_log_mem_crash(log);
    mq_log_mem_commit(log, 100); /* there is no more */
    CHECK_INT(log->ops->committed(log), 3);
    CHECK_INT(append(log, 6, 1), 4); /* and goes on with the next number */
    mq_log_mem_commit(log, 4);
    seen[0] = 0;
    CHECK_INT(log->ops->replay(log, count_visit, count_visit, seen), 0);
    CHECK_INT(seen[0], 4);
    log->ops->close(log);
}

TEST(log_that_keeps_nothing_has_committed_everything)
{
    struct mq_log *log = mq_log_null_open();
    uint64_t seen[2] = {0, 0};
    CHECK(!log->wants_records);
    CHECK_INT(append(log, 1, 1), 0);
    CHECK(log->ops->committed(log) == UINT64_MAX);
    CHECK_INT(log->ops->replay(log, count_visit, count_visit, seen), 0);
    CHECK_INT(seen[0], 0);
    log->ops->close(log);
}
