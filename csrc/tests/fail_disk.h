/* The disk as it may be on a bad day: linked in place of the system calls of log_file (--wrap), by countdown. */
#ifndef MQ_FAIL_DISK_H
#define MQ_FAIL_DISK_H

#include <stdbool.h>

enum fault { FAULT_NONE, FAULT_ENOSPC, FAULT_EIO, FAULT_EINTR, FAULT_SHORT };

/* The nth call from now on (1 = the next) of any that writes, makes or syncs fails so, and `times` - 1 that follow. */
void fail_disk_arm(enum fault fault, unsigned nth, unsigned times);
/* True if it came to the failure. */
bool fail_disk_disarm(void);
/* Bytes written to segments and not synced since: what a power failure may take. */
unsigned long long fail_disk_unsynced(void);

#endif
