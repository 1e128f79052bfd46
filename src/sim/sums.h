/* Sums: keys that are changed by read-modify-writes only, each of which adds its own number to a list.
 *
 * So one sees of the value which requests took effect, how often, and in which order. */
#ifndef RD_SIM_SUMS_H
#define RD_SIM_SUMS_H

#include "replication/rmw_port.h"
#include "sim/plan.h"
#include "sim/world.h"

#define SUMS_KEYS 2

/* The computation that every simulated node has: appends the order to the value and replies the result. */
rmw_fn sums_compute;

/* The key of sum `i` < SUMS_KEYS: a new blob. */
struct blob *sums_key(uint32_t i);

/* True if no fault of the plan can part nodes that both run, or take an answer's time. */
bool sums_is_calm(const struct plan *plan);

#endif
