/* Running the tests of one program. */
#include "redis-tests/lib/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis-tests/lib/proc.h"
#include "tests/lib/run.h"

#define TEST_SECONDS 150 /* far above what any test needs */

static pid_t main_process;
static bool failed;

TCase *run_group(Suite *suite, void (*start)(void), void (*stop)(void)) {
    TCase *group = tcase_create(start != NULL ? "shared" : "own");
    tcase_set_timeout(group, TEST_SECONDS);
    if (start != NULL) {
        tcase_add_unchecked_fixture(group, start, stop);
    }
    suite_add_tcase(suite, group);
    return group;
}

void run_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    failed = true;
    if (run_is_forked()) {
        ck_abort_msg("see above");
    }
}

bool run_is_forked(void) {
    return getpid() != main_process;
}

/* Not through proc.h, which asserts. */
static void shell(const char *line) {
    fflush(NULL);
    if (system(line) == -1) {
        perror("system");
    }
}

int run_tests(Suite *suite) {
    char dir[] = "/tmp/redynamo-test-XXXXXX";
    main_process = getpid();
    if (mkdtemp(dir) == NULL || setenv(PROC_TEMP_VARIABLE, dir, 1) != 0) {
        perror("a temporary folder");
        return EXIT_FAILURE;
    }
    int status = test_run(suite);
    if (failed) {
        status = EXIT_FAILURE;
    }
    if (status != EXIT_SUCCESS) {
        shell("find \"$" PROC_TEMP_VARIABLE
              "\" -name log | while read -r log; do echo \"---- $log\"; tail -n 60 \"$log\"; done");
    }
    shell("rm -rf \"$" PROC_TEMP_VARIABLE "\"");
    return status;
}
