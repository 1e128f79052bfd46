/* The main of a test program. */
#ifndef RD_TESTS_RUN_H
#define RD_TESTS_RUN_H

#include <check.h>
#include <stdbool.h>

/* Runs `suite` (taken), prints what failed and the counts, honours Check's CK_* variables. Returns
 * main's exit status. */
int test_run(Suite *suite);

/* How many of `n` random cases to run: all of them, but under sanitizers, where each costs ten times as much, every fifth, at
 * least one. For loops over seeds, which say no more than another seed would; not for tables of cases. */
int test_share(int n);

/* Under sanitizers, and not in the long run: what is only large may be left out, if something small runs the same code. */
bool test_is_slow(void);

/* RD_LONG=yes: loops over all places where something may fail are to leave none out, as in scripts/test --long. */
bool test_long(void);

#endif
