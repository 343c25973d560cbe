/* CRC-32C (Castagnoli, reflected, as in iSCSI and ext4): by the processor's instruction where there is one, else by table. */
#ifndef MQ_CRC32C_H
#define MQ_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 to begin with): the CRC of two runs is that of the second on that of the first. */
uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n);
/* The same by table only: for tests. */
uint32_t mq_crc32c_by_table(uint32_t crc, const void *bytes, size_t n);

#endif
