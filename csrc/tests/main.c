/* Runs a program's tests, each in a process of its own. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_A_TEST (unsigned)test_setting("MQ_TEST_PATIENCE", 120)

static struct test *first, **end = &first;

void test_register(struct test *test)
{
    *end = test;
    end = &test->next;
}

/* True if it passed. */
static bool run_apart(const struct test *test)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS_A_TEST);
        test->run();
        exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s\n", test->name,
                WTERMSIG(status) == SIGALRM ? "does not come to an end" : strsignal(WTERMSIG(status)));
    return status == 0;
}

int main(int argc, char **argv)
{
    const char *only = getenv("TEST_ONLY"), *slash = strrchr(argv[0], '/');
    unsigned passed = 0, failed = 0;
    (void)argc;
    test_aborts = only != NULL;
    for (struct test *test = first; test; test = test->next) {
        if (only && !strstr(test->name, only))
            continue;
        if (only) {
            test->run();
            passed++;
        } else if (run_apart(test)) {
            passed++;
        } else {
            failed++;
            fprintf(stderr, "FAILED %s\n", test->name);
        }
    }
    printf("%s: %u passed, %u failed\n", slash ? slash + 1 : argv[0], passed, failed);
    return failed != 0;
}
