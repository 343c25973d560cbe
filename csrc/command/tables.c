/* The .def files as data, for callers that render documentation, routes or types from them. */
#include "mqfast.h"
#include "wire/request.h"

static const struct mq_field_info fields[] = {
#define MQ_FIELD(id, snake, camel, type, minimum, maximum, doc) {#id, snake, camel, #type, doc, minimum, maximum},
#include "fields.def"
#undef MQ_FIELD
};

static const struct mq_command_info commands[] = {
#define MQ_COMMAND(name, handler, plane, required, optional, result, method, path, doc)                                 \
    {name, #plane, #result, method, path, doc, required, optional},
#include "commands.def"
#undef MQ_COMMAND
};

static const struct mq_error_info errors[] = {
#define MQ_ERROR(id, number, code, text, status, retryable) {code, text, number, status, retryable},
#include "errors.def"
#undef MQ_ERROR
};

const struct mq_field_info *mq_field_info(size_t row)
{
    return row < sizeof fields / sizeof *fields ? &fields[row] : NULL;
}

const struct mq_command_info *mq_command_info(size_t row)
{
    return row < sizeof commands / sizeof *commands ? &commands[row] : NULL;
}

const struct mq_error_info *mq_error_info(size_t row)
{
    return row < sizeof errors / sizeof *errors ? &errors[row] : NULL;
}
