/* An assertion for loops that run millions of times: Check writes a message to a pipe for each of
 * its own, passed ones too, which made such tests fifty times slower. */
#ifndef RD_TESTS_MUST_H
#define RD_TESTS_MUST_H

#include <check.h>

/* Fails the test if `condition` is false. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            ck_abort_msg("%s", #condition);                                                        \
        }                                                                                          \
    } while (0)

#endif
