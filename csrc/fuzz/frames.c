/* Makes the seeds of fuzz_frame and fuzz_snapshot anew after the format grew: runs files of command lines, and writes the records and
 * the snapshot of each.
 *
 *   frames FRAMES_DIRECTORY SNAPSHOTS_DIRECTORY FILE...
 */
#include "log/log_snapshot.c"

#include "queue/snapshot.h"
#include "tests/engine.h"

#define MOST_BYTES 4096u /* of a line */

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

static int put_frames(struct mq_engine *engine, FILE *out)
{
    return engine->log->ops->replay(engine->log, write_record, write_record, out);
}

static int put_snapshot(struct mq_engine *engine, FILE *out)
{
    static struct mq_log_file file;
    struct writing w = {.file = &file, .fd = fileno(out)};
    int status = write_all(w.fd, "\1", 1); /* fuzz_snapshot.c: make the sums right again */
    mq_frame_init(&w.frame);
    if (status == 0)
        status = mq_snapshot_records(engine, put_record, &w);
    if (status == 0)
        status = write_frame(&w, 0);
    if (status == 0)
        status = write_frame(&w, MQ_SNAPSHOT_END);
    mq_frame_close(&w.frame);
    return status;
}

static int write_seed(struct mq_engine *engine, const char *directory, const char *path, int (*put)(struct mq_engine *, FILE *))
{
    const char *slash = strrchr(path, '/');
    char target[512];
    snprintf(target, sizeof target, "%s/%s", directory, slash ? slash + 1 : path);
    FILE *out = fopen(target, "wb");
    if (!out)
        return perror(target), 1;
    int status = put(engine, out);
    bool empty = fseek(out, 0, SEEK_END) == 0 && ftell(out) == 0;
    fclose(out);
    if (empty)
        remove(target);
    return status < 0;
}

static int make(const char *frames, const char *snapshots, const char *path)
{
    char line[MOST_BYTES];
    struct mq_engine *engine = engine_new();
    FILE *in = fopen(path, "rb");
    if (!in)
        return perror(path), 1;
    engine_use_log(engine, mq_log_mem_open(false));
    while (fgets(line, sizeof line, in)) {
        if (line[0] == '+')
            later(engine, atol(line + 1));
        else
            run_bytes(engine, line, strlen(line));
    }
    fclose(in);
    int failed = write_seed(engine, frames, path, put_frames) | write_seed(engine, snapshots, path, put_snapshot);
    mq_engine_free(engine);
    run_forget();
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 3; i < argc; i++)
        failed |= make(argv[1], argv[2], argv[i]);
    return failed;
}
