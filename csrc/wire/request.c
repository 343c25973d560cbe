#include "wire/request.h"

#include "base/check.h"
#include "base/mem.h"

#define KEEP_ITEMS 4096u /* of a batch, kept for the next one */

static inline unsigned name_hash(const char *p, size_t n)
{
    return (unsigned)(n * 5 + (unsigned char)p[0] * 3 + (unsigned char)p[n - 1] * 11 + (unsigned char)p[n / 2]) & 127;
}

static void add_name(struct mq_names *names, const char *name, unsigned field)
{
    size_t n = strlen(name);
    MQ_ASSERT(n > 0 && n <= MQ_NAME_MAX);
    unsigned i = name_hash(name, n);
    while (names->slots[i].n) {
        if (names->slots[i].n == n && memcmp(names->slots[i].name, name, n) == 0)
            return;
        i = (i + 1) & 127;
    }
    memcpy(names->slots[i].name, name, n);
    names->slots[i].n = (uint8_t)n;
    names->slots[i].field = (uint8_t)field;
}

void mq_names_init(struct mq_names *names)
{
    memset(names, 0, sizeof *names);
#define MQ_FIELD(id, snake, camel, type, minimum, maximum, doc)                                                         \
    add_name(names, snake, MQ_F_##id);                                                                                  \
    add_name(names, camel, MQ_F_##id);
#include "fields.def"
#undef MQ_FIELD
}

static inline int find_name(const struct mq_names *names, mq_slice key)
{
    if (key.n == 0 || key.n > MQ_NAME_MAX)
        return -1;
    char padded[MQ_NAME_MAX]; /* two words compare faster than memcmp of a length known only at run time */
    memcpy(padded, key.p, MQ_NAME_MAX); /* the slack behind a line makes this safe */
    for (size_t i = 0; i < MQ_NAME_MAX / 8; i++) {
        uint64_t word, keep = key.n >= 8 * (i + 1) ? UINT64_MAX : key.n <= 8 * i ? 0 : UINT64_MAX >> (64 - 8 * (key.n - 8 * i));
        memcpy(&word, padded + 8 * i, 8);
        word &= keep;
        memcpy(padded + 8 * i, &word, 8);
    }
    for (unsigned i = name_hash(key.p, key.n); names->slots[i].n; i = (i + 1) & 127)
        if (memcmp(names->slots[i].name, padded, MQ_NAME_MAX) == 0)
            return names->slots[i].field;
    return -1;
}

void mq_request_init(struct mq_request *request, const struct mq_names *names)
{
    /* the rest is written before it is read; it is 10 KiB, and a caller in the process makes a request for each command */
    request->names = names;
    request->shape = NULL;
    request->present = request->bound = 0;
    request->items = NULL;
    request->items_n = request->items_cap = request->item_count = 0;
    request->scratch_n = request->why_n = 0;
    request->no_memory = false;
    for (unsigned i = 0; i < MQ_SHAPES; i++)
        request->shapes[i].n = 0;
}

mq_slice mq_request_keep(struct mq_request *request, mq_slice text)
{
    MQ_ASSERT(text.n <= sizeof request->scratch - request->scratch_n);
    char *copy = request->scratch + request->scratch_n;
    memcpy(copy, text.p, text.n);
    request->scratch_n += (uint32_t)text.n;
    return mq_slice_of(copy, text.n);
}

void mq_request_trim(struct mq_request *request)
{
    if (request->items_cap > KEEP_ITEMS)
        mq_request_close(request);
}

void mq_request_close(struct mq_request *request)
{
    mq_free(request->items);
    request->items = NULL;
    request->items_cap = 0;
}

static struct mq_json *add_item(struct mq_request *request)
{
    if (request->items_n == request->items_cap) {
        uint32_t cap = request->items_cap ? request->items_cap * 2 : 256;
        struct mq_json *items = mq_resize(request->items, cap * sizeof *items);
        if (!items) {
            request->no_memory = true;
            return NULL;
        }
        request->items = items;
        request->items_cap = cap;
    }
    return &request->items[request->items_n++];
}

/* Scans `"key" :` at p; the field's number or -1 in *field. NULL if it is none. */
static inline const char *scan_key(struct mq_request *request, const char *p, int *field)
{
    if (*p != '"')
        return NULL;
    const char *end = mq_json_special(p + 1);
    if (MQ_LIKELY(*end == '"')) {
        *field = find_name(request->names, mq_slice_of(p + 1, (size_t)(end - p - 1)));
        p = end + 1;
    } else {
        struct mq_json key;
        if (!(p = mq_json_scan_string(p, &key)))
            return NULL;
        char decoded[64 + MQ_NAME_MAX];
        int64_t n = mq_json_decode(&key, decoded, 64);
        *field = n > 0 ? find_name(request->names, mq_slice_of(decoded, (size_t)n)) : -1;
    }
    p = mq_json_space(p);
    return *p == ':' ? mq_json_space(p + 1) : NULL;
}

/* Where an item's field goes: over an earlier one of the same name (the last counts), else behind the others. */
static struct mq_json *item_slot(struct mq_request *request, uint32_t head, int field)
{
    for (uint32_t i = head + 1; i < request->items_n; i++)
        if (request->items[i].field == field)
            return &request->items[i];
    struct mq_json *slot = add_item(request);
    if (slot)
        request->items[head].n++;
    return slot;
}

/* An item of the batch at its brace: its known fields are appended to `items`. */
static const char *parse_item(struct mq_request *request, const char *p)
{
    uint32_t head = request->items_n - 1; /* an index: the array may move */
    p = mq_json_space(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        int field;
        struct mq_json value;
        if (!(p = scan_key(request, p, &field)) || !(p = mq_json_scan(p, &value)))
            return NULL;
        if (field >= 0) {
            struct mq_json *slot = item_slot(request, head, field);
            if (!slot)
                return NULL;
            *slot = value;
            slot->field = (uint8_t)field;
        }
        p = mq_json_space(p);
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = mq_json_space(p + 1);
    }
}

/* One element of the batch. Those past the limit are only counted: the batch will be refused whole. */
static const char *parse_element(struct mq_request *request, const char *p)
{
    struct mq_json value;
    if (request->item_count++ >= MQ_BATCH_MAX)
        return mq_json_scan(p, &value);
    struct mq_json *head = add_item(request);
    if (!head)
        return NULL;
    *head = (struct mq_json){.p = p, .n = 0, .kind = MQ_JSON_OBJECT, .field = MQ_F_N};
    if (*p == '{')
        return parse_item(request, p);
    p = mq_json_scan(p, &value);
    if (p)
        head->kind = value.kind;
    return p;
}

/* The batch at its bracket. NULL on bad JSON, or with `no_memory` set. */
static const char *parse_items(struct mq_request *request, const char *p)
{
    request->items_n = request->item_count = 0;
    p = mq_json_space(p + 1);
    if (*p == ']')
        return p + 1;
    for (;;) {
        if (!(p = parse_element(request, p)))
            return NULL;
        p = mq_json_space(p);
        if (*p == ']')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = mq_json_space(p + 1);
    }
}

static inline const char *parse_value(struct mq_request *request, const char *p, int field)
{
    struct mq_json value;
    const char *end;
    if (field == MQ_F_JOBS && *p == '[') {
        end = parse_items(request, p);
        value = (struct mq_json){.p = p, .n = end ? (uint32_t)(end - p) : 0, .kind = MQ_JSON_ARRAY};
    } else {
        end = mq_json_scan(p, &value);
    }
    if (end && field >= 0) {
        request->value[field] = value;
        request->present |= MQ_BIT(field);
    }
    return end;
}

static int not_json(struct mq_request *request, bool empty)
{
    request->present = 0;
    if (request->shape)
        request->shape->n = 0; /* a bad line teaches nothing */
    request->shape = NULL;
    if (request->no_memory)
        return mq_request_refuse(request, MQ_E_OUT_OF_MEMORY, "Out of memory");
    return mq_request_refuse(request, MQ_E_INVALID, "Invalid: %s",
                  empty ? "the line is empty; send one JSON object a line" : "the line is not one valid JSON object");
}

#define IS_LEADING(field) ((field) == MQ_F_CMD || (field) == MQ_F_QUEUE)

static inline struct mq_shape *shape_slot(struct mq_request *request, const char *p)
{
    return &request->shapes[(unsigned char)(p[8] + p[10] * 3) % MQ_SHAPES]; /* of {"cmd":"PULL"... the P and the second L */
}

/* The line begins as an earlier one did: takes cmd and queue from there. The value that comes next, or NULL. */
static inline const char *shape_use(struct mq_request *request, mq_slice line, int *field)
{
    struct mq_shape *shape = shape_slot(request, line.p);
    if (!shape->n || line.n <= shape->n || memcmp(line.p, shape->bytes, shape->n) != 0)
        return NULL;
    for (unsigned i = 0; i < shape->value_n; i++) {
        unsigned f = shape->values[i].field;
        request->value[f] = (struct mq_json){line.p + shape->values[i].at, shape->values[i].n, shape->values[i].kind, 0};
        request->present |= MQ_BIT(f);
    }
    request->shape = shape;
    *field = shape->next;
    return mq_json_space(line.p + shape->n); /* the earlier line may have had less space here */
}

/* Remembers how this line begins; p is where the value of `field` starts. */
static void shape_learn(struct mq_request *request, mq_slice line, const char *p, int field)
{
    static const uint8_t leading[] = {MQ_F_CMD, MQ_F_QUEUE};
    struct mq_shape *shape = shape_slot(request, line.p);
    size_t n = (size_t)(p - line.p);
    if (n > MQ_SHAPE_MAX)
        return;
    shape->n = (uint32_t)n;
    shape->next = (uint8_t)field;
    shape->value_n = 0;
    shape->command = NULL;
    shape->queue_hash = 0;
    memcpy(shape->bytes, line.p, n);
    for (unsigned i = 0; i < sizeof leading; i++) {
        const struct mq_json *value = &request->value[leading[i]];
        if (!(request->present >> leading[i] & 1))
            continue;
        unsigned k = shape->value_n++;
        shape->values[k].at = (uint8_t)(value->p - line.p);
        shape->values[k].n = (uint8_t)value->n;
        shape->values[k].kind = value->kind;
        shape->values[k].field = leading[i];
    }
    request->shape = shape;
}

/* From the value of `field` at p, through the rest of the object. The byte after its brace; NULL if it is no JSON. */
static inline const char *parse_rest(struct mq_request *request, mq_slice line, const char *p, int field, bool known)
{
    bool leading = !known; /* so far only cmd and queue */
    for (;;) {
        if (MQ_UNLIKELY(known && IS_LEADING(field)))
            request->shape = NULL; /* given again: the last counts */
        if (leading && !IS_LEADING(field)) {
            leading = false;
            if (field >= 0) {
                shape_learn(request, line, p, field);
                known = request->shape != NULL;
            }
        }
        if (!(p = parse_value(request, p, field)))
            return NULL;
        p = mq_json_space(p);
        if (*p == '}')
            return p + 1;
        if (*p != ',' || !(p = scan_key(request, mq_json_space(p + 1), &field)))
            return NULL;
    }
}

int mq_request_parse(struct mq_request *request, mq_slice line)
{
    const char *end = line.p + line.n, *p;
    int field;
    request->present = request->bound = 0;
    request->scratch_n = 0;
    request->items_n = request->item_count = 0;
    request->no_memory = false;
    request->shape = NULL;
    if ((p = shape_use(request, line, &field))) {
        p = parse_rest(request, line, p, field, true);
    } else {
        p = mq_json_space(line.p);
        if (*p != '{')
            return not_json(request, p >= end);
        p = mq_json_space(p + 1);
        if (*p == '}')
            p++;
        else if ((p = scan_key(request, p, &field)))
            p = parse_rest(request, line, p, field, false);
    }
    if (!p)
        return not_json(request, false);
    p = mq_json_space(p);
    return p == end || *p == '\n' ? MQ_OK : not_json(request, false);
}

bool mq_request_item(const struct mq_request *request, uint32_t *at, struct mq_request *item)
{
    const struct mq_json *head = &request->items[*at];
    item->present = item->bound = 0;
    item->scratch_n = 0;
    for (uint32_t i = 1; i <= head->n; i++) {
        const struct mq_json *value = &head[i];
        item->value[value->field] = *value;
        item->present |= MQ_BIT(value->field);
    }
    *at += head->n + 1;
    return head->kind == MQ_JSON_OBJECT;
}
