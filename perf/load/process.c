/*
 * Why: the time a server spends on an operation says more than a rate on a shared core does. A process's CPU clock
 * counts nanoseconds over all of its threads, the ended ones too, in one call; it needs neither rights nor the
 * scheduler statistics in /proc, which a kernel may be built without.
 */
#include "process.h"

#include "buf.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

uint64_t process_cpu_ns(pid_t pid)
{
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec at;
    if ((pid && clock_getcpuclockid(pid, &clock)) || clock_gettime(clock, &at))
        die("no process %d to read the CPU time of", (int)pid);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* smaps_rollup is counted at once from the page tables; the counters behind status may lag by hundreds of KiB. */
uint64_t process_rss_bytes(pid_t pid)
{
    static const char *const files[] = {"smaps_rollup", "status"};
    for (unsigned i = 0; i < 2; i++) {
        char path[64], line[256];
        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        unsigned long kib = 0;
        while (!kib && fgets(line, sizeof(line), file))
            if (sscanf(line, "Rss: %lu", &kib) != 1)
                sscanf(line, "VmRSS: %lu", &kib);
        fclose(file);
        if (kib)
            return (uint64_t)kib * 1024;
    }
    return 0;
}

long process_files(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    long count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}
