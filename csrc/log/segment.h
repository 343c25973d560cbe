/* Frames as they stand in files: a header of 64 bytes, then the records. And the files: segments, named by their first frame.
 *
 *   0 magic "MQF1"   4 u16 version   6 u16 flags (0)   8 u16 shard   10 u16 writer (0)   12 u32 records
 *   16 u64 epoch: how often the log was opened   24 u64 number of the frame, from 1   32 i64 time of the log, ms since the epoch
 *   40 u32 bytes of the body   44 u32 CRC-32C of the body   48 u32 chain: CRC-32C of all headers before   52 u64 durable: frames up to here were on the disk
 *   60 u32 CRC-32C of the 60 bytes before
 *
 * All little-endian. The chain goes over the headers, which hold the sums of the bodies, so that a frame that was left out or put
 * elsewhere is noticed. `durable` tells damage from a torn end: what is written between two syncs may reach the disk in any order, so
 * a bad frame before good ones is damage only if one of these knows that it was on the disk once.
 */
#ifndef MQ_SEGMENT_H
#define MQ_SEGMENT_H

#include "base/slice.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#define MQ_FRAME_VERSION 1u
#define MQ_FRAME_HEAD 64u
#define MQ_FRAME_BODY_MAX (3u << 30) /* a snapshot's record has a job's data and its result, each of 1 GiB at most */
#define MQ_SNAPSHOT_END UINT16_MAX /* the shard of the frame that ends a snapshot */
#define MQ_SEGMENT_NAME 25u /* 20 digits, ".log", and the end */

struct mq_frame_head {
    uint16_t version; /* put always writes MQ_FRAME_VERSION; of another version nothing else is known */
    uint16_t shard;
    uint32_t records;
    uint64_t epoch, number;
    int64_t time_ms;
    uint32_t body_n, body_crc, chain;
    uint64_t durable; /* frames up to this number were on the disk when this one was appended */
};

void mq_frame_head_put(const struct mq_frame_head *head, char out[MQ_FRAME_HEAD]);
/* False if these 64 bytes are no header of any version, or one that was damaged. */
bool mq_frame_head_get(const char in[MQ_FRAME_HEAD], struct mq_frame_head *head);
/* The chain after a frame. */
uint32_t mq_frame_chain(uint32_t chain, const char head[MQ_FRAME_HEAD]);

/* What is in the folder, read from its start; to be closed. NULL with errno set. */
DIR *mq_folder_read(int folder_fd);

void mq_segment_name(uint64_t first, char out[MQ_SEGMENT_NAME]);
/* False if it is not the name of a segment. */
bool mq_segment_parse(const char *name, uint64_t *first);
/* The segments of a folder, in order, as their first frames' numbers (to be freed); how many, or -errno. */
int mq_segment_list(int folder_fd, uint64_t **firsts);

#endif
