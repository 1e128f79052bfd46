/* The workload: simulated clients that read and write as the plan says, each one request at a
 * time.
 *
 * A value is "w<number>." and some padding, the number being that of the request that wrote it
 * first, so that whoever sees a value knows where it comes from. Clients remember contexts they
 * were given and use them when fresh, when stale, or not at all. A client that is not answered for plan->patience_us goes on without
 * the answer, which may come yet: a node that stands still for an hour does not stop them all. */
#ifndef RD_SIM_WORKLOAD_H
#define RD_SIM_WORKLOAD_H

#include "sim/plan.h"
#include "sim/world.h"

/* TURN: a is the client, b says of which start. PATIENCE: a is the client, b the request. They leave room before FAULTS_NEXT. */
enum { WORKLOAD_CLIENT_TURN = WORLD_USER_KIND, WORKLOAD_PATIENCE };

struct workload;

/* Clients for a world (borrowed, as is the plan); they ask nothing until workload_start. Free with
 * workload_free. */
struct workload *workload_new(struct world *world, const struct plan *plan);

/* Frees and nulls. */
void workload_free(struct workload **workload);

/* From now on they ask, until plan->ops requests have been made or workload_stop, after which they
 * may be started again once no request is open. */
void workload_start(struct workload *workload);
void workload_stop(struct workload *workload);

/* From now on pauses are `factor` times as long as planned. */
void workload_slow_down(struct workload *workload, uint64_t factor);

/* How often a client went on without an answer. */
uint64_t workload_given_up(const struct workload *workload);

/* For the world's hooks: an answer has come; an event of the kinds above has come. */
void workload_answer(struct workload *workload, struct op *op);
void workload_event(struct workload *workload, const struct sim_event *event);

/* The bytes of key number `i`, 0 .. plan->keys - 1: a new blob. */
struct blob *workload_key(uint32_t i);

/* The number of a key made by workload_key; of the same as bytes. */
uint32_t workload_key_number(const struct blob *key);
uint32_t workload_number(const void *key, size_t len);

/* The number in a value; 0 if it has none. */
uint64_t workload_value_id(const struct blob *value);

#endif
