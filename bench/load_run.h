/* Running a load: one thread, epoll, and as little per request as can be, since it shares the processors with the servers. */
#ifndef RD_BENCH_LOAD_RUN_H
#define RD_BENCH_LOAD_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/histogram.h"
#include "bench/load_conf.h"

#define LOAD_ERRORS_MAX 16
#define LOAD_CODE_BYTES 24

/* Errors with the same first word; of our own making: WAITED (WAIT counted too few), LENGTH (a value of another length than those
 * written), CLOSED (a connection was closed: one for each of its open requests). */
struct load_error {
    char code[LOAD_CODE_BYTES];
    char text[128]; /* the first one */
    uint64_t count;
};

struct load_result {
    uint64_t ops;    /* answered without error while it was measured */
    uint64_t misses; /* those of them that were GETs and found nothing */
    double seconds;  /* that were measured */
    double own_s;    /* this program's processor time meanwhile */
    uint64_t filled; /* writes of the filling, and how long it took */
    double fill_s;
    struct histogram latencies; /* nanoseconds */
    uint64_t error_total;
    size_t error_count;
    struct load_error errors[LOAD_ERRORS_MAX];
};

/* Connects, fills, runs. False with a `reason` if it could not begin, or if every connection was lost; `out` is set in the second case too. */
bool load_run(const struct load_conf *conf, struct load_result *out,
              char reason[LOAD_REASON_BYTES]);

/* Prints the result as one line of name=value; `buckets`: the histogram too. */
void load_print(const struct load_result *result, bool buckets, FILE *out);

#endif
