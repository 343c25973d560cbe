/* Any bytes as the line of any command: parsed if and only if it is one JSON object, and every field that binds can be read. The
 * first byte chooses the command. */
#include "mqfast.h"
#include "tests/naive_json.h"
#include "tests/padded.h"
#include "tests/test.h"
#include "wire/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mq_names names;
static struct mq_request request, item;

/* Every byte of it is there. */
static void touch(mq_slice text)
{
    volatile char last = 0;
    for (size_t i = 0; i < text.n; i++)
        last = text.p[i];
    (void)last;
}

static void touch_bound(const struct mq_request *bound)
{
    for (unsigned field = 0; field < MQ_F_N; field++) {
        if (!(bound->bound >> field & 1))
            continue;
        const char *type = mq_field_info(field)->type;
        if (!strcmp(type, "text") || !strcmp(type, "quote") || !strcmp(type, "raw"))
            touch(bound->text[field]);
        struct mq_json element = {0};
        if (!strcmp(type, "ids") || !strcmp(type, "texts") || !strcmp(type, "raws"))
            while (mq_request_element(bound, (enum mq_field)field, &element))
                touch(mq_slice_of(element.p, element.n));
    }
}

static void touch_items(void)
{
    const struct mq_command_info *push = mq_command_info(0);
    uint32_t at = 0;
    for (uint32_t i = 0; i < request.item_count; i++)
        if (mq_request_item(&request, &at, &item) && mq_request_bind(&item, MQ_BIT(MQ_F_DATA), push->optional) == MQ_OK)
            touch_bound(&item);
    CHECK(at <= request.items_n);
}

static bool naive_accepts(const char *p, const char *end, unsigned depth)
{
    while (p < end && *p && strchr(" \t\r", *p))
        p++;
    if (p == end || *p != '{' || !(p = naive_json_end(p, end, depth)))
        return false;
    while (p < end && *p && strchr(" \t\r", *p))
        p++;
    return p == end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mq_command_info *command = size ? mq_command_info(data[0] % 32) : NULL;
    test_aborts = true;
    if (!command || memchr(data, '\n', size))
        return 0;
    mq_names_init(&names);
    mq_request_init(&request, &names);
    mq_request_init(&item, &names);
    char *line = padded((const char *)data + 1, size - 1);
    int status = mq_request_parse(&request, mq_slice_of(line, size - 1));
    if (naive_accepts(line, line + size - 1, MQ_JSON_DEPTH))
        CHECK(status == MQ_OK);
    if (status == MQ_OK) {
        CHECK(naive_accepts(line, line + size - 1, MQ_JSON_DEPTH + 3)); /* the line and the batch are depths of their own */
        if (mq_request_bind(&request, command->required, command->optional) == MQ_OK) {
            touch_bound(&request);
            if (mq_has(&request, MQ_F_JOBS))
                touch_items();
        } else {
            CHECK(request.why_n);
        }
    } else {
        CHECK(request.present == 0 && request.why_n);
    }
    touch(mq_request_why(&request));
    mq_request_close(&request);
    free(line);
    return 0;
}
