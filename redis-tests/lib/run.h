/* Running the tests of one program: its temporary folder, and the servers' logs where a test fails. */
#ifndef RD_REDIS_TESTS_RUN_H
#define RD_REDIS_TESTS_RUN_H

#include <check.h>
#include <stdbool.h>

/* Adds a group of tests to `suite`. Without `start` each test brings its own servers; else `start` runs once before all of them
 * and `stop` once behind, and what they leave behind is shared. */
TCase *run_group(Suite *suite, void (*start)(void), void (*stop)(void));

/* Runs `suite` (taken). If anything fails, prints the end of every file named "log" in the temporary folder. Returns main's exit
 * status. */
int run_tests(Suite *suite);

/* Notes that something is wrong where Check does not look: in a `stop`. The program will fail. */
void run_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* True in a test that runs in a process of its own (not under CK_FORK=no). */
bool run_is_forked(void);

#endif
