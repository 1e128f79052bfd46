/* Makes memory run out where a test wants it.
 *
 * A program linked with $(OOM_LDFLAGS) sends every malloc, calloc, realloc and strdup of its own
 * objects (not those of shared libraries) through here. The loop over all failures of an operation:
 *
 *     for (unsigned n = 1;; n++) {
 *         oom_fail_at(n);
 *         enum rd_err err = operation();
 *         if (!oom_stop()) {
 *             ck_assert_int_eq(err, RD_OK); // ran through: each allocation has failed once
 *             break;
 *         }
 *         ck_assert_int_eq(err, RD_ENOMEM); // and here: nothing has changed
 *     }
 *
 * Stop before asserting: Check allocates too. The state is per process, for one thread.
 */
#ifndef RD_TESTS_OOM_H
#define RD_TESTS_OOM_H

#include <stddef.h>

/* From now on the n-th allocation (1: the next one) fails, once; those behind it succeed. */
void oom_fail_at(unsigned n);

/* From now on the n-th allocation and all behind it fail, until oom_stop. */
void oom_fail_from(unsigned n);

/* Ends the failing. Returns 1 if an allocation was made to fail since the last oom_fail_*, else
 * 0. */
int oom_stop(void);

/* Allocations of exactly these two sizes never fail, and are not counted: those of a library
 * that ends the process when it gets no memory. Others of the same size are spared too; 0, 0
 * spares none. */
void oom_spare(size_t size, size_t other);

/* Allocations (of all four kinds, failed ones too) since the program started; take the
 * difference. */
unsigned long oom_count(void);

#endif
