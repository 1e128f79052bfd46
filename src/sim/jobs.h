/* Many runs in processes of their own: a run that dies of an assertion is a result like others,
 * and two processors are used. */
#ifndef RD_SIM_JOBS_H
#define RD_SIM_JOBS_H

#include <stdint.h>

#include "sim/fuzz.h"

/* Called in the parent for each seed, in order of seeds. A run whose process died has passed =
 * false and a violation that says how. Return false to stop. */
typedef bool jobs_done(void *arg, const struct fuzz_result *result);

/* Runs seeds order->seed..last, `jobs` at a time, with fuzz_run. */
void jobs_run(const struct fuzz_order *order, uint64_t last, unsigned jobs, jobs_done *done,
              void *arg);

#endif
