/* All queues: LISTQUEUES, whole or a sorted page of it; GETDLQCOUNTS; the rows of METRICS.
 *
 * A page costs a look at every queue struct, never at a job, and the sort of those that match.
 */
#include "base/check.h"
#include "base/mem.h"
#include "command/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_MAX 500u
#define PAGE_DEFAULT 100u

static struct mq_queue_view view_queue(const struct mq_queue *queue, int64_t now_ms)
{
    const struct mq_job *next = mq_ready_first(&queue->ready);
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
        .head_age_ms = !next ? -1 : now_ms > next->run_at_ms ? now_ms - next->run_at_ms : 0,
        .parked = !mq_list_empty(&queue->waiters),
        .in = mq_recent_sum(&queue->in, now_ms),
        .out = mq_recent_sum(&queue->out, now_ms),
        .recent_s = MQ_RECENT_SECONDS,
    };
}

/* Goes through the known queues, each under its shard's mutex. */
typedef void visit_queue(void *context, const struct mq_queue *queue);
static void each_queue(struct mq_call *call, visit_queue *visit, void *context)
{
    for (unsigned i = 0; i < MQ_SHARDS; i++) {
        struct mq_shard *shard = mq_call_lock(call, i);
        for (unsigned j = 0; j < MQ_SLOTS_A_SHARD; j++) {
            const struct mq_queue *queue;
            for (size_t at = 0; (queue = mq_map_next(&shard->slots[j].queues, &at));)
                if (queue->known) /* else only a waiting pull has named it */
                    visit(context, queue);
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

void mq_call_list_queues(struct mq_call *call, void row(struct mq_reply *, const struct mq_queue_view *))
{
    each_queue(call, write_row, &(struct rows){call, row});
}

/* --- a page --- */

enum sort_key { BY_NAME, BY_PENDING, BY_PROCESSING, BY_DELAYED, BY_WAITING, BY_DLQ, BY_COMPLETED, BY_IN, BY_OUT, BY_HEAD_AGE };
static const char *const sort_names[] = {"name", "pending", "processing", "delayed", "waiting", "dlq", "completed", "in", "out", "head_age"};
enum filter { ALL, PAUSED, FAILED, BUSY, IDLE };
static const char *const filter_names[] = {"all", "paused", "failed", "busy", "idle"};

/* A queue that matches: its numbers as they were, and where its name lies in `names` (the text, then its JSON). */
struct entry {
    int64_t value;
    struct mq_queue_view view;
    size_t name_at;
    uint32_t name_n;
    const char *name; /* once all are found */
};

struct page {
    struct mq_call *call;
    unsigned sort, filter;
    bool down;
    uint64_t limit;
    mq_slice search;
    bool has_cursor;
    int64_t after_value; /* the last row of the page before */
    mq_slice after_name;
    struct entry *entries;
    size_t n, cap;
    struct mq_ring names;
    bool no_memory;
};

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Does the text fit the pattern, `*` for any bytes? Letters of either case. Linear but for the last star's retries. */
static bool fits(mq_slice text, mq_slice pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && lower(pattern.p[p]) == lower(text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool matches(const struct page *page, const struct mq_queue *queue, const struct mq_queue_view *view)
{
    if (page->search.n && !fits(mq_queue_name(queue), page->search))
        return false;
    switch ((enum filter)page->filter) {
    case PAUSED:
        return view->paused;
    case FAILED:
        return view->dlq > 0;
    case BUSY:
        return view->processing || view->in || view->out;
    case IDLE: /* jobs wait, and nobody has pulled for a while */
        return view->pending && !view->paused && !view->processing && !view->out && !view->parked;
    case ALL:
        break;
    }
    return true;
}

static int64_t value_of(const struct mq_queue_view *view, enum sort_key sort)
{
    switch (sort) {
    case BY_NAME:
        return 0;
    case BY_PENDING:
        return (int64_t)view->pending;
    case BY_PROCESSING:
        return (int64_t)view->processing;
    case BY_DELAYED:
        return (int64_t)view->delayed;
    case BY_WAITING:
        return (int64_t)view->parents;
    case BY_DLQ:
        return (int64_t)view->dlq;
    case BY_COMPLETED:
        return (int64_t)view->completed;
    case BY_IN:
        return (int64_t)view->in;
    case BY_OUT:
        return (int64_t)view->out;
    case BY_HEAD_AGE:
        return view->head_age_ms;
    }
    return 0;
}

static void add_entry(void *context, const struct mq_queue *queue)
{
    struct page *page = context;
    struct mq_queue_view view = view_queue(queue, page->call->now_ms);
    if (page->no_memory || !matches(page, queue, &view))
        return;
    if (page->n == page->cap) {
        size_t cap = page->cap ? page->cap * 2 : 64;
        struct entry *entries = mq_resize(page->entries, cap * sizeof *entries);
        if (!entries) {
            page->no_memory = true;
            return;
        }
        page->entries = entries;
        page->cap = cap;
    }
    size_t name_n = queue->name_n + queue->name_json_n;
    char *room = mq_ring_reserve(&page->names, name_n);
    if (!room) {
        page->no_memory = true;
        return;
    }
    memcpy(room, queue->text, name_n);
    page->entries[page->n++] = (struct entry){value_of(&view, page->sort), view, mq_ring_used(&page->names), queue->name_n, NULL};
    mq_ring_commit(&page->names, name_n);
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
    mq_slice names = mq_ring_peek(&page->names);
    for (size_t i = 0; i < page->n; i++)
        page->entries[i].name = names.p + page->entries[i].name_at;
    qsort_r(page->entries, page->n, sizeof *page->entries, compare_entries, page);
    size_t at = 0, end;
    while (page->has_cursor && at < page->n &&
           compare(page, page->entries[at].value, name_of(&page->entries[at]), page->after_value, page->after_name) <= 0)
        at++;
    end = page->n - at > page->limit ? at + page->limit : page->n;
    mq_reply_list(reply, MQ_RESULT_QUEUES);
    for (size_t i = at; i < end; i++) {
        struct entry *entry = &page->entries[i];
        entry->view.name_json = mq_slice_of(entry->name + entry->name_n, entry->view.name_json.n);
        mq_reply_list_queue_page(reply, &entry->view);
    }
    const struct entry *last = end < page->n && end > at ? &page->entries[end - 1] : NULL;
    mq_reply_queue_page_end(reply, page->n, last ? last->value : 0, last ? name_of(last) : (mq_slice){NULL, 0});
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
    mq_ring_init(&page.names);
    each_queue(call, add_entry, &page);
    if (page.no_memory)
        mq_refuse(call, MQ_E_OUT_OF_MEMORY, NULL);
    else
        write_page(&page);
    mq_ring_close(&page.names);
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
    mq_call_list_queues(call, mq_reply_list_queue);
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
    each_queue(call, write_counts, call);
    mq_reply_counts_end(call->reply);
    return MQ_ANSWERED;
}
