/* The main of a test program. */
#ifndef RD_TESTS_RUN_H
#define RD_TESTS_RUN_H

#include <check.h>

/* Runs `suite` (taken), prints what failed and the counts, honours Check's CK_* variables. Returns
 * main's exit status. */
int test_run(Suite *suite);

#endif
