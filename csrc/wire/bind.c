/* The second step of a request: the fields that the command lists, converted by their type in fields.def. */
#include "wire/request.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum type { type_u64, type_i32, type_percent, type_text, type_quote, type_raw, type_flag, type_id, type_ids, type_texts, type_raws, type_items };

struct row {
    const char *snake;
    enum type type;
    uint64_t minimum, maximum;
};

static const struct row rows[MQ_F_N] = {
#define MQ_FIELD(id, snake, camel, type, minimum, maximum, doc) {snake, type_##type, minimum, maximum},
#include "fields.def"
#undef MQ_FIELD
};

#define refuse mq_request_refuse /* the short name, for how often it stands here */

int mq_request_refuse(struct mq_request *request, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(request->why, sizeof request->why, format, args);
    va_end(args);
    request->why_n = n < (int)sizeof request->why ? (uint32_t)n : (uint32_t)sizeof request->why - 1;
    return error;
}

static int too_large(struct mq_request *request, unsigned field, const char *what)
{
    return refuse(request, MQ_E_PAYLOAD_TOO_LARGE, "Payload too large: %s may be at most %" PRIu64 " %s", rows[field].snake,
                  rows[field].maximum, what);
}

static int bind_text(struct mq_request *request, unsigned field, const struct mq_json *value)
{
    const struct row *row = &rows[field];
    if (!mq_json_is_string(value))
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be a string", row->snake);
    mq_slice text = mq_json_inner(value);
    if (value->kind == MQ_JSON_ESCAPED) {
        char *out = request->scratch + request->scratch_n;
        size_t room = sizeof request->scratch - request->scratch_n;
        int64_t n = mq_json_decode(value, out, room < row->maximum ? room : row->maximum);
        if (n == -2)
            return refuse(request, MQ_E_INVALID, "Invalid: %s has a lone surrogate, which has no UTF-8 form", row->snake);
        text = n == -1 ? mq_slice_of(out, row->maximum + 1) : mq_slice_of(out, (size_t)n);
        request->scratch_n += n > 0 ? (uint32_t)n : 0;
    }
    if (text.n > row->maximum)
        return too_large(request, field, "bytes long");
    if (text.n < row->minimum)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must not be empty", row->snake);
    request->text[field] = text;
    return MQ_OK;
}

static int bind_u64(struct mq_request *request, unsigned field, const struct mq_json *value)
{
    const struct row *row = &rows[field];
    bool negative;
    uint64_t n;
    if (mq_json_integer(value, &negative, &n) < 0 || (negative && n) || n < row->minimum || n > row->maximum)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be an integer from %" PRIu64 " to %" PRIu64, row->snake,
                      row->minimum, row->maximum);
    request->number[field] = n;
    return MQ_OK;
}

static int bind_i32(struct mq_request *request, unsigned field, const struct mq_json *value)
{
    bool negative;
    uint64_t n;
    if (mq_json_integer(value, &negative, &n) < 0 || n > (uint64_t)INT32_MAX + negative)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be an integer from -2147483648 to 2147483647",
                      rows[field].snake);
    request->number[field] = negative ? 0 - n : n;
    return MQ_OK;
}

static int bind_percent(struct mq_request *request, unsigned field, const struct mq_json *value)
{
    bool negative;
    uint64_t n;
    int status = mq_json_integer(value, &negative, &n);
    if (status == -1)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be an integer", rows[field].snake);
    request->number[field] = negative ? 0 : status == -2 || n > 100 ? 100 : n;
    return MQ_OK;
}

int mq_request_id(struct mq_request *request, const struct mq_json *value, enum mq_field field, uint64_t *id)
{
    bool negative;
    int status = mq_json_integer(value, &negative, id);
    if (status == -1)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be %s", rows[field].snake,
                      rows[field].type == type_id ? "an integer" : "an array of integers");
    if (status == -2 || negative || *id == 0 || *id > MQ_SHOWN_MAX)
        return refuse(request, MQ_E_BAD_ID, "Invalid: %s: an id is an integer from 1 to 9007199254740991",
                      rows[field].snake);
    return MQ_OK;
}

bool mq_request_element(const struct mq_request *request, enum mq_field field, struct mq_json *element)
{
    const char *p = element->p ? element->p + element->n : request->value[field].p;
    p = mq_json_space(p);
    if (*p == ']')
        return false;
    p = mq_json_space(p + 1); /* the opening bracket, or the comma */
    if (*p == ']')
        return false;
    mq_json_scan(p, element);
    return true;
}

static int bind_array(struct mq_request *request, unsigned field, const struct mq_json *value)
{
    static const char *const of[] = {[type_ids] = "integers", [type_texts] = "strings", [type_raws] = "values",
                                     [type_items] = "objects"};
    const struct row *row = &rows[field];
    if (value->kind != MQ_JSON_ARRAY)
        return refuse(request, MQ_E_INVALID, "Invalid: %s must be an array of %s", row->snake, of[row->type]);
    uint64_t n = 0;
    if (row->type == type_items) {
        n = request->item_count;
    } else {
        struct mq_json element = {0};
        uint64_t id;
        int status;
        while (mq_request_element(request, field, &element)) {
            n++;
            if (row->type == type_ids && (status = mq_request_id(request, &element, field, &id)) < 0)
                return status;
            if (row->type == type_texts && !mq_json_is_string(&element) && element.kind != MQ_JSON_NULL)
                return refuse(request, MQ_E_INVALID, "Invalid: %s must be an array of strings", row->snake);
        }
    }
    if (n > row->maximum)
        return too_large(request, field, "items long");
    return MQ_OK;
}

static int bind_field(struct mq_request *request, unsigned field)
{
    const struct row *row = &rows[field];
    const struct mq_json *value = &request->value[field];
    switch (row->type) {
    case type_u64:
        return bind_u64(request, field, value);
    case type_i32:
        return bind_i32(request, field, value);
    case type_percent:
        return bind_percent(request, field, value);
    case type_text:
        return bind_text(request, field, value);
    case type_quote:
        if (!mq_json_is_string(value))
            return refuse(request, MQ_E_INVALID, "Invalid: %s must be a string", row->snake);
        if (value->n - 2 > row->maximum)
            return too_large(request, field, "bytes long");
        request->text[field] = mq_slice_of(value->p, value->n);
        return MQ_OK;
    case type_raw:
        request->text[field] = mq_slice_of(value->p, value->n);
        return MQ_OK;
    case type_flag:
        if (value->kind != MQ_JSON_TRUE && value->kind != MQ_JSON_FALSE)
            return refuse(request, MQ_E_INVALID, "Invalid: %s must be true or false", row->snake);
        request->number[field] = value->kind == MQ_JSON_TRUE;
        return MQ_OK;
    case type_id:
        return mq_request_id(request, value, field, &request->number[field]);
    case type_ids: case type_texts: case type_raws: case type_items:
        return bind_array(request, field, value);
    }
    return MQ_E_INVALID;
}

int mq_request_bind(struct mq_request *request, uint64_t required, uint64_t optional)
{
    uint64_t missing = required & ~request->present;
    if (MQ_UNLIKELY(missing))
        return refuse(request, MQ_E_INVALID, "Invalid: %s is required", rows[__builtin_ctzll(missing)].snake);
    for (uint64_t left = request->present & (required | optional); left; left &= left - 1) {
        unsigned field = (unsigned)__builtin_ctzll(left);
        bool is_null = request->value[field].kind == MQ_JSON_NULL;
        if (is_null && optional >> field & 1)
            continue;
        int status = bind_field(request, field);
        if (MQ_UNLIKELY(status < 0))
            return status;
        request->bound |= MQ_BIT(field);
    }
    return MQ_OK;
}
