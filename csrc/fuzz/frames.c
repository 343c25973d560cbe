/* Makes the seeds of fuzz_frame anew after the log's format grew: runs files of command lines and writes each one's records.
 *
 *   frames DIRECTORY FILE...
 */
#include "tests/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_INPUT 4096u

static int write_record(void *context, const struct mq_record *record)
{
    struct mq_frame frame;
    mq_frame_init(&frame);
    mq_frame_add(&frame, record);
    mq_slice bytes = mq_ring_peek(&frame.bytes);
    int status = fwrite(bytes.p, 1, bytes.n, context) == bytes.n ? 0 : -1;
    mq_frame_close(&frame);
    return status;
}

static int make(const char *directory, const char *path)
{
    char line[MAX_INPUT], target[512];
    const char *slash = strrchr(path, '/');
    struct mq_engine *engine = engine_new();
    FILE *in = fopen(path, "rb");
    snprintf(target, sizeof target, "%s/%s", directory, slash ? slash + 1 : path);
    FILE *out = fopen(target, "wb");
    if (!in || !out)
        return perror(path), 1;
    engine_use_log(engine, mq_log_mem_open(false));
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '+')
            later(engine, atol(line + 1));
        else
            run_bytes(engine, line, strlen(line));
    }
    engine->log->ops->replay(engine->log, write_record, out);
    bool empty = ftell(out) == 0;
    fclose(in);
    fclose(out);
    if (empty)
        remove(target);
    mq_engine_free(engine);
    run_forget();
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 2; i < argc; i++)
        failed |= make(argv[1], argv[i]);
    return failed;
}
