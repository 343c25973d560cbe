#include "log/segment.h"

#include "base/crc32c.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void put(char *out, size_t at, const void *value, size_t n) { memcpy(out + at, value, n); }
static void get(const char *in, size_t at, void *value, size_t n) { memcpy(value, in + at, n); }

void mq_frame_head_put(const struct mq_frame_head *head, char out[MQ_FRAME_HEAD])
{
    uint16_t version = MQ_FRAME_VERSION;
    memset(out, 0, MQ_FRAME_HEAD);
    memcpy(out, "MQF1", 4);
    put(out, 4, &version, 2);
    put(out, 8, &head->shard, 2);
    put(out, 12, &head->records, 4);
    put(out, 16, &head->epoch, 8);
    put(out, 24, &head->number, 8);
    put(out, 32, &head->time_ms, 8);
    put(out, 40, &head->body_n, 4);
    put(out, 44, &head->body_crc, 4);
    put(out, 48, &head->chain, 4);
    put(out, 52, &head->durable, 8);
    uint32_t crc = mq_crc32c(0, out, 60);
    put(out, 60, &crc, 4);
}

bool mq_frame_head_get(const char in[MQ_FRAME_HEAD], struct mq_frame_head *head)
{
    uint32_t crc;
    get(in, 60, &crc, 4);
    if (memcmp(in, "MQF1", 4) != 0 || crc != mq_crc32c(0, in, 60))
        return false;
    get(in, 4, &head->version, 2);
    if (head->version != MQ_FRAME_VERSION)
        return true;
    get(in, 8, &head->shard, 2);
    get(in, 12, &head->records, 4);
    get(in, 16, &head->epoch, 8);
    get(in, 24, &head->number, 8);
    get(in, 32, &head->time_ms, 8);
    get(in, 40, &head->body_n, 4);
    get(in, 44, &head->body_crc, 4);
    get(in, 48, &head->chain, 4);
    get(in, 52, &head->durable, 8);
    return head->body_n <= MQ_FRAME_BODY_MAX;
}

uint32_t mq_frame_chain(uint32_t chain, const char head[MQ_FRAME_HEAD]) { return mq_crc32c(chain, head, MQ_FRAME_HEAD); }

void mq_segment_name(uint64_t first, char out[MQ_SEGMENT_NAME])
{
    snprintf(out, MQ_SEGMENT_NAME, "%020" PRIu64 ".log", first);
}

bool mq_segment_parse(const char *name, uint64_t *first)
{
    char again[MQ_SEGMENT_NAME];
    *first = strtoull(name, NULL, 10);
    mq_segment_name(*first, again);
    return strcmp(name, again) == 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

DIR *mq_folder_read(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    int error = errno;
    if (fd >= 0 && !folder)
        close(fd);
    errno = error;
    return folder;
}

int mq_segment_list(int folder_fd, uint64_t **firsts)
{
    DIR *folder = mq_folder_read(folder_fd);
    int n = 0, cap = 0;
    *firsts = NULL;
    if (!folder)
        return -errno;
    for (struct dirent *entry; (entry = readdir(folder));) {
        uint64_t first;
        if (!mq_segment_parse(entry->d_name, &first))
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            uint64_t *more = mq_resize(*firsts, (size_t)cap * sizeof **firsts);
            if (!more) {
                n = -ENOMEM;
                break;
            }
            *firsts = more;
        }
        (*firsts)[n++] = first;
    }
    closedir(folder);
    if (n > 0)
        qsort(*firsts, (size_t)n, sizeof **firsts, by_number);
    return n;
}
