/* Load on a lab's cluster: many clients at once, and the latencies they saw.
 *
 * Closed loop: each client asks again as soon as it is answered. Open loop: requests come at fixed
 * intervals, whatever becomes of those before them, so that a time without answers counts in full.
 * A request goes to any running node (a client whose node is gone connects to another one); one
 * that is not answered within `patience_us` counts as failed. */
#ifndef RD_SIM_LOAD_H
#define RD_SIM_LOAD_H

#include "sim/lab.h"

struct load_conf {
    uint32_t clients;     /* closed loop; 0: open loop */
    uint64_t interval_us; /* open loop */
    uint32_t keys;
    uint32_t read_percent;
    uint32_t r, w; /* 0: the nodes' own */
    uint64_t patience_us;
};

struct load; /* opaque */

/* What became of the requests asked in some time. */
struct load_figures {
    uint64_t asked, served;
    double mean_ms, p50_ms, p99_ms, max_ms; /* of those served; 0 if there are none */
};

/* Clients for the lab's cluster (borrowed; takes the world's hooks), which begin at once. Free with
 * load_free, after load_stop or the end of the world. */
struct load *load_start(struct lab *lab, const struct load_conf *conf);

/* Nobody asks any more; runs until all is answered or given up. */
void load_stop(struct load *load);

/* Frees and nulls. */
void load_free(struct load **load);

/* The share, in percent, of the reads asked from `from_us` to before `to_us` and answered that are stale: a write whose value they do not show
 * was acknowledged before they began, and the write of the value that they do show had ended before that one began. Many clients write the
 * same keys; of writes that overlap either may be the latest. */
double load_stale_percent(const struct load *load, uint64_t from_us, uint64_t to_us);

enum load_kind { LOAD_READS, LOAD_WRITES, LOAD_ALL };

/* The figures of requests asked from `from_us` to before `to_us`. */
struct load_figures load_figures(const struct load *load, enum load_kind kind, uint64_t from_us,
                                 uint64_t to_us);

#endif
