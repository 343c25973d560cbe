/* A request line as fields: slices into the line, integers and a mask of what is present.
 *
 * Two steps, since a line may name its command last: parse checks the JSON and remembers the text of every known field;
 * bind then converts those that the command lists, and only those: what a command does not list is ignored whatever its
 * value. Nothing is copied but strings with escapes (into `scratch`). A request is as valid as the line it borrows from.
 * It is meant to be reused: one for each thread, never cleared.
 */
#ifndef MQ_REQUEST_H
#define MQ_REQUEST_H

#include "wire/json.h"

enum mq_field {
#define MQ_FIELD(id, snake, camel, type, minimum, maximum, doc) MQ_F_##id,
#include "fields.def"
#undef MQ_FIELD
    MQ_F_N
};

#define MQ_BIT(field) ((uint64_t)1 << (field))

#define MQ_QUEUE_NAME_MAX 255u
#define MQ_BATCH_MAX 100000u
#define MQ_SHOWN_MAX 9007199254740991u /* 2^53 - 1: the largest integer every client keeps exactly */

enum mq_error {
    MQ_OK = 0,
#define MQ_ERROR(id, number, code, text, status, retryable) MQ_E_##id = -(number),
#include "errors.def"
#undef MQ_ERROR
};

/* Field names by hash; made once, read by all threads. */
#define MQ_NAME_MAX 16u

struct mq_names {
    struct {
        char name[MQ_NAME_MAX]; /* padded with zeros */
        uint8_t n, field;       /* n = 0: free */
    } slots[128];
};

void mq_names_init(struct mq_names *names);

/* How lines of one kind begin: everything before the value of the first field that is neither cmd nor queue. Clients write
 * the same beginning again and again, and equal bytes parse alike: a line that begins as an earlier one did goes on from
 * there. What else follows from cmd and queue alone is remembered with it. */
#define MQ_SHAPES 8u
#define MQ_SHAPE_MAX 120u

struct mq_shape {
    uint32_t n;       /* bytes; 0 = empty */
    uint8_t next;     /* the field whose value comes next */
    uint8_t value_n;  /* 0..2: cmd, queue */
    struct {
        uint8_t at, n, kind, field;
    } values[2];
    const void *command;  /* for dispatch; NULL = not known yet */
    uint64_t queue_hash;  /* for dispatch; 0 = not known yet */
    char bytes[MQ_SHAPE_MAX];
};

struct mq_request {
    const struct mq_names *names;
    struct mq_shape *shape; /* of this line, if its cmd and queue are those of the shape; else NULL */
    uint64_t present; /* fields in the line */
    uint64_t bound;   /* fields converted for the command, null ones left out */
    struct mq_json value[MQ_F_N];
    uint64_t number[MQ_F_N]; /* u64, flag; i32 sign-extended; valid if bound */
    mq_slice text[MQ_F_N];   /* text (decoded), quote and raw (as written); valid if bound */
    struct mq_json *items;   /* the batch, flat: for each item a head (n = how many values follow), then its values */
    uint32_t items_n, items_cap, item_count;
    uint32_t scratch_n;
    bool no_memory; /* parsing failed for want of memory */
    uint32_t why_n;
    char why[1280]; /* after a refusal: the text for the client, why_n bytes of UTF-8 (a key may contain NUL) */
    char scratch[4096];
    struct mq_shape shapes[MQ_SHAPES]; /* by a few of their bytes */
};

void mq_request_init(struct mq_request *request, const struct mq_names *names);
void mq_request_close(struct mq_request *request);
/* Gives back what an unusually large batch took. */
void mq_request_trim(struct mq_request *request);

/* Parses a line (followed by a newline and slack). 0, MQ_E_INVALID or MQ_E_OUT_OF_MEMORY; `why` says what is wrong. After
 * a failure no field is present. */
int mq_request_parse(struct mq_request *request, mq_slice line);

/* Converts the listed fields. 0 or a negative error with `why`. */
int mq_request_bind(struct mq_request *request, uint64_t required, uint64_t optional);

/* Loads item number *at of the batch into `item` (only its values; bind comes next) and moves *at on. *at starts at 0 and
 * is an index into `items`. False if the item is no object. */
bool mq_request_item(const struct mq_request *request, uint32_t *at, struct mq_request *item);

/* Walks the elements of a bound array field: start with a zeroed element; false at the end. */
bool mq_request_element(const struct mq_request *request, enum mq_field field, struct mq_json *element);

/* One id: 0, MQ_E_INVALID or MQ_E_BAD_ID with `why`. */
int mq_request_id(struct mq_request *request, const struct mq_json *value, enum mq_field field, uint64_t *id);

static inline mq_slice mq_request_why(const struct mq_request *request)
{
    return mq_slice_of(request->why, request->why_n);
}

/* Notes the text of a refusal. Returns `error`. */
int mq_request_refuse(struct mq_request *request, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A copy of a short text that is valid as long as the request; there is room for those that fields.def lets be. */
mq_slice mq_request_keep(struct mq_request *request, mq_slice text);

static inline bool mq_has(const struct mq_request *request, enum mq_field field)
{
    return request->bound >> field & 1;
}

static inline uint64_t mq_number_or(const struct mq_request *request, enum mq_field field, uint64_t otherwise)
{
    return mq_has(request, field) ? request->number[field] : otherwise;
}

#endif
