/* Golden traces: what a story should look like, in a file that is reviewed like code. */
#ifndef RD_TESTS_GOLDEN_H
#define RD_TESTS_GOLDEN_H

#include "sim/cluster.h"

/* Compares the story of `c` with tests/cluster/traces/`name`, and fails the test showing the first
 * line that differs. With UPDATE_TRACES set in the environment (make check UPDATE_TRACES=1) writes
 * the file instead. */
void expect_trace(struct cluster *c, const char *name);

#endif
