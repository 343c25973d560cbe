#include "tests/folder.h"

#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char folder[64];

void new_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/mqfast-test-XXXXXX");
    CHECK(mkdtemp(folder));
}

void remove_folder(void)
{
    DIR *open_folder = opendir(folder);
    char path[400];
    for (struct dirent *entry; (entry = readdir(open_folder));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(open_folder);
    rmdir(folder);
}
