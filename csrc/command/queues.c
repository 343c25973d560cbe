/* All queues: LISTQUEUES, whole or a sorted page of it; GETDLQCOUNTS; the rows of METRICS.
 *
 * A page costs a look at every queue struct, never at a job: what does not belong on it is passed over at once.
 */
#include "base/check.h"
#include "base/glob.h"
#include "base/mem.h"
#include "command/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_MAX 500u
#define PAGE_DEFAULT 100u

/* How long the next job has been ready; -1 = there is none. */
static int64_t head_age_ms(const struct mq_queue *queue, int64_t now_ms)
{
    const struct mq_job *next = mq_ready_first(&queue->ready);
    return !next ? -1 : now_ms > next->run_at_ms ? now_ms - next->run_at_ms : 0;
}

static struct mq_queue_view view_queue(const struct mq_queue *queue, int64_t now_ms)
{
    return (struct mq_queue_view){
        .name_json = mq_queue_name_json(queue),
        .pending = queue->ready.n,
        .processing = queue->active_n,
        .delayed = queue->delayed.n,
        .parents = queue->parent_n,
        .dlq = queue->dead_n,
        .completed = queue->completed,
        .paused = queue->paused,
        .rate_limit = queue->limits.rate,
        .rate_duration_ms = queue->limits.duration_ms,
        .concurrency = queue->limits.concurrency,
        .length = queue->limits.length,
        .head_age_ms = head_age_ms(queue, now_ms),
        .parked = !mq_list_empty(&queue->waiters),
        .in = mq_recent_sum(&queue->in, now_ms),
        .out = mq_recent_sum(&queue->out, now_ms),
        .recent_s = MQ_RECENT_SECONDS,
    };
}

/* Goes through the known queues, each under its shard's mutex, but at most `limit`. */
typedef void visit_queue(void *context, const struct mq_queue *queue);
static void each_queue(struct mq_call *call, uint64_t limit, visit_queue *visit, void *context)
{
    for (unsigned i = 0; i < MQ_SHARDS && limit; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        for (unsigned j = 0; j < MQ_SLOTS_A_SHARD; j++) {
            const struct mq_queue *queue;
            for (size_t at = 0; limit && (queue = mq_map_next(&shard->slots[j].queues, &at));)
                if (queue->known) { /* else only a waiting pull has named it */
                    visit(context, queue);
                    limit--;
                }
        }
        mq_call_unlock(call, shard);
    }
}

struct rows {
    struct mq_call *call;
    void (*row)(struct mq_reply *, const struct mq_queue_view *);
};

static void write_row(void *context, const struct mq_queue *queue)
{
    const struct rows *rows = context;
    struct mq_queue_view view = view_queue(queue, rows->call->now_ms);
    rows->row(rows->call->reply, &view);
}

void mq_call_list_queues(struct mq_call *call, uint64_t limit, void row(struct mq_reply *, const struct mq_queue_view *))
{
    each_queue(call, limit, write_row, &(struct rows){call, row});
}

/* --- a page --- */

enum sort_key { BY_NAME, BY_PENDING, BY_PROCESSING, BY_DELAYED, BY_WAITING, BY_DLQ, BY_COMPLETED, BY_IN, BY_OUT, BY_HEAD_AGE };
static const char *const sort_names[] = {"name", "pending", "processing", "delayed", "waiting", "dlq", "completed", "in", "out", "head_age"};
enum filter { ALL, PAUSED, FAILED, BUSY, IDLE };
static const char *const filter_names[] = {"all", "paused", "failed", "busy", "idle"};

/* A queue on the page: its numbers as they were, and its name (the text, then its JSON), owned. */
struct entry {
    int64_t value;
    struct mq_queue_view view;
    char *name;
    uint32_t name_n;
};

struct page {
    struct mq_call *call;
    unsigned sort, filter;
    bool down;
    uint64_t limit;
    mq_slice search;
    bool has_cursor;
    int64_t after_value;  /* the last row of the page before */
    mq_slice after_name;
    struct entry *entries; /* while looking: a heap, with the last of them on top; room for `limit` */
    size_t n;
    uint64_t total, left; /* that match; of these, behind the cursor */
    bool no_memory;
};

static bool matches(const struct page *page, const struct mq_queue *queue)
{
    int64_t now_ms = page->call->now_ms;
    if (page->search.n && !mq_glob(mq_queue_name(queue), page->search, true))
        return false;
    switch ((enum filter)page->filter) {
    case PAUSED:
        return queue->paused;
    case FAILED:
        return queue->dead_n > 0;
    case BUSY:
        return queue->active_n || mq_recent_sum(&queue->in, now_ms) || mq_recent_sum(&queue->out, now_ms);
    case IDLE: /* jobs wait, and nobody has pulled for a while */
        return queue->ready.n && !queue->paused && !queue->active_n && mq_list_empty(&queue->waiters) && !mq_recent_sum(&queue->out, now_ms);
    case ALL:
        break;
    }
    return true;
}

static int64_t value_of(const struct mq_queue *queue, enum sort_key sort, int64_t now_ms)
{
    switch (sort) {
    case BY_NAME:
        return 0;
    case BY_PENDING:
        return (int64_t)queue->ready.n;
    case BY_PROCESSING:
        return (int64_t)queue->active_n;
    case BY_DELAYED:
        return (int64_t)queue->delayed.n;
    case BY_WAITING:
        return (int64_t)queue->parent_n;
    case BY_DLQ:
        return (int64_t)queue->dead_n;
    case BY_COMPLETED:
        return (int64_t)queue->completed;
    case BY_IN:
        return (int64_t)mq_recent_sum(&queue->in, now_ms);
    case BY_OUT:
        return (int64_t)mq_recent_sum(&queue->out, now_ms);
    case BY_HEAD_AGE:
        return head_age_ms(queue, now_ms);
    }
    return 0;
}

static int compare_names(mq_slice a, mq_slice b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* By value, then by name; names ascend in both directions but when they are what is sorted by. */
static int compare(const struct page *page, int64_t a_value, mq_slice a_name, int64_t b_value, mq_slice b_name)
{
    int by_value = (a_value > b_value) - (a_value < b_value), by_name = compare_names(a_name, b_name);
    if (by_value)
        return page->down ? -by_value : by_value;
    return page->down && page->sort == BY_NAME ? -by_name : by_name;
}

static mq_slice name_of(const struct entry *entry) { return mq_slice_of(entry->name, entry->name_n); }

static int compare_entries(const void *a, const void *b, void *page)
{
    const struct entry *x = a, *y = b;
    return compare(page, x->value, name_of(x), y->value, name_of(y));
}

/* Moves the entry at `at` down to where it belongs in the heap. */
static void sink(struct page *page, size_t at)
{
    struct entry moved = page->entries[at];
    for (size_t child; (child = 2 * at + 1) < page->n; at = child) {
        child += child + 1 < page->n && compare_entries(&page->entries[child + 1], &page->entries[child], page) > 0;
        if (compare_entries(&moved, &page->entries[child], page) >= 0)
            break;
        page->entries[at] = page->entries[child];
    }
    page->entries[at] = moved;
}

/* Takes the queue onto the page, in place of the last one on it if that is full. */
static void add_entry(void *context, const struct mq_queue *queue)
{
    struct page *page = context;
    int64_t now_ms = page->call->now_ms;
    if (page->no_memory || !matches(page, queue))
        return;
    int64_t value = value_of(queue, page->sort, now_ms);
    mq_slice name = mq_queue_name(queue);
    page->total++;
    if (page->has_cursor && compare(page, value, name, page->after_value, page->after_name) <= 0)
        return;
    page->left++;
    bool full = page->n == page->limit;
    if (full && compare(page, value, name, page->entries[0].value, name_of(&page->entries[0])) >= 0)
        return;
    struct entry entry = {value, view_queue(queue, now_ms), mq_text_copy(mq_slice_of(queue->text, queue->name_n + queue->name_json_n)), queue->name_n};
    if (!entry.name) {
        page->no_memory = true;
        return;
    }
    if (full)
        mq_free(page->entries[0].name);
    page->entries[full ? 0 : page->n++] = entry;
    if (full)
        sink(page, 0);
    else if (page->n == page->limit)
        for (size_t at = page->n / 2; at--;)
            sink(page, at); /* full from now on: only then it need be a heap */
}

/* One of the names, or -1. */
static int choose(mq_slice text, const char *const names[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (mq_slice_eq(text, mq_slice_of(names[i], strlen(names[i]))))
            return (int)i;
    return -1;
}

/* A cursor is the value and the name of a page's last row: VALUE~NAME. */
static bool read_cursor(struct page *page, mq_slice text)
{
    char digits[24];
    const char *mark = text.n ? memchr(text.p, '~', text.n) : NULL;
    size_t n = mark ? (size_t)(mark - text.p) : 0;
    char *end;
    if (!mark || !n || n >= sizeof digits)
        return false;
    memcpy(digits, text.p, n);
    digits[n] = 0;
    page->after_value = strtoll(digits, &end, 10);
    page->after_name = mq_slice_of(mark + 1, text.n - n - 1);
    page->has_cursor = true;
    return end == digits + n;
}

/* 0, or an error with its text. */
static int read_page(struct mq_call *call, struct page *page)
{
    struct mq_request *request = call->request;
    mq_slice dir = mq_call_has(call, MQ_F_DIR) ? request->text[MQ_F_DIR] : MQ_SLICE("asc");
    int sort = mq_call_has(call, MQ_F_SORT) ? choose(request->text[MQ_F_SORT], sort_names, sizeof sort_names / sizeof *sort_names) : BY_NAME;
    int filter = mq_call_has(call, MQ_F_FILTER) ? choose(request->text[MQ_F_FILTER], filter_names, sizeof filter_names / sizeof *filter_names) : ALL;
    *page = (struct page){.call = call, .limit = mq_number_or(request, MQ_F_LIMIT, PAGE_DEFAULT)};
    page->limit = page->limit < PAGE_MAX ? page->limit : PAGE_MAX;
    if (sort < 0)
        return mq_request_refuse(request, MQ_E_INVALID,
                                 "Invalid: sort must be name, pending, processing, delayed, waiting, dlq, completed, in, out or head_age");
    if (filter < 0)
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: filter must be all, paused, failed, busy or idle");
    page->sort = (unsigned)sort;
    page->filter = (unsigned)filter;
    page->down = mq_slice_eq(dir, MQ_SLICE("desc"));
    if (!page->down && !mq_slice_eq(dir, MQ_SLICE("asc")))
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: dir must be asc or desc");
    if (mq_call_has(call, MQ_F_CURSOR) && !read_cursor(page, request->text[MQ_F_CURSOR]))
        return mq_request_refuse(request, MQ_E_INVALID, "Invalid: cursor must be one that an answer had");
    return MQ_OK;
}

/* The text searched for, as a pattern: without a star of its own it may stand anywhere in the name. */
static bool read_search(struct page *page, char *pattern, size_t room)
{
    mq_slice text = mq_call_has(page->call, MQ_F_SEARCH) ? page->call->request->text[MQ_F_SEARCH] : mq_slice_of("", 0);
    if (!text.n || text.n + 2 > room)
        return !text.n;
    bool star = memchr(text.p, '*', text.n) != NULL;
    pattern[0] = '*';
    memcpy(pattern + !star, text.p, text.n);
    pattern[text.n + 1] = '*';
    page->search = mq_slice_of(pattern, star ? text.n : text.n + 2);
    return true;
}

static void write_page(struct page *page)
{
    struct mq_reply *reply = page->call->reply;
    qsort_r(page->entries, page->n, sizeof *page->entries, compare_entries, page);
    mq_reply_list(reply, MQ_RESULT_QUEUES);
    for (size_t i = 0; i < page->n; i++) {
        struct entry *entry = &page->entries[i];
        entry->view.name_json = mq_slice_of(entry->name + entry->name_n, entry->view.name_json.n);
        mq_reply_list_queue_page(reply, &entry->view);
    }
    const struct entry *last = page->left > page->n ? &page->entries[page->n - 1] : NULL;
    mq_reply_queue_page_end(reply, page->total, last ? last->value : 0, last ? name_of(last) : (mq_slice){NULL, 0});
}

static enum mq_outcome list_page(struct mq_call *call)
{
    struct page page;
    char pattern[260];
    int error = read_page(call, &page);
    if (error < 0)
        return mq_refuse_request(call, error);
    if (!read_search(&page, pattern, sizeof pattern))
        return mq_refuse(call, MQ_E_INVALID, "Invalid: search is too long");
    page.entries = mq_alloc(page.limit * sizeof *page.entries);
    page.no_memory = !page.entries;
    each_queue(call, UINT64_MAX, add_entry, &page);
    if (page.no_memory)
        mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    else
        write_page(&page);
    for (size_t i = 0; i < page.n; i++)
        mq_free(page.entries[i].name);
    mq_free(page.entries);
    return MQ_ANSWERED;
}

enum mq_outcome mq_do_listqueues(struct mq_call *call)
{
    static const enum mq_field paged[] = {MQ_F_LIMIT, MQ_F_CURSOR, MQ_F_SORT, MQ_F_DIR, MQ_F_SEARCH, MQ_F_FILTER};
    for (size_t i = 0; i < sizeof paged / sizeof *paged; i++)
        if (mq_call_has(call, paged[i]))
            return list_page(call);
    mq_reply_list(call->reply, MQ_RESULT_QUEUES);
    mq_call_list_queues(call, UINT64_MAX, mq_reply_list_queue);
    mq_reply_list_end(call->reply);
    return MQ_ANSWERED;
}

/* --- dead letters by reason --- */

static void write_counts(void *context, const struct mq_queue *queue)
{
    struct mq_call *call = context;
    struct mq_reason_count counts[MQ_REASONS];
    unsigned n = 0;
    if (!queue->dead_n)
        return;
    for (unsigned reason = 0; reason < MQ_REASONS; reason++)
        if (queue->dead_by[reason])
            counts[n++] = (struct mq_reason_count){mq_reason_name(reason), queue->dead_by[reason]};
    mq_reply_list_counts(call->reply, mq_queue_name_json(queue), counts, n);
}

enum mq_outcome mq_do_getdlqcounts(struct mq_call *call)
{
    mq_reply_counts(call->reply);
    each_queue(call, UINT64_MAX, write_counts, call);
    mq_reply_counts_end(call->reply);
    return MQ_ANSWERED;
}
