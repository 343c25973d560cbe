/* What the kernel knows of the server's process: CPU time, memory, open files. */
#ifndef LOAD_PROCESS_H
#define LOAD_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* CPU nanoseconds of all threads of a process; pid 0 is this one. Ends the program if there is no such process. */
uint64_t process_cpu_ns(pid_t pid);

/* Resident bytes; 0 when they cannot be read. */
uint64_t process_rss_bytes(pid_t pid);

/* Open files, or -1 when they cannot be counted. */
long process_files(pid_t pid);

#endif
