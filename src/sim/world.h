/* The world: a cluster in one process, the unchanged nodes of replication/ with a simulated
 * network, clocks, disks and clients around them, driven by one queue of events from one seed.
 *
 * The world is the driver that replication/node.h describes. A node's turn begins with the first
 * event that reaches it, collects what else comes in within a short time, and ends with
 * EV_TURN_END; then frames go out, the batch is committed, and its completion comes back as an
 * event. A crash may come at any effect in between.
 *
 * Time here is true time in microseconds since the start; machines have clocks of their own. */
#ifndef RD_SIM_WORLD_H
#define RD_SIM_WORLD_H

#include "sim/trace.h"
#include "sim/world_conf.h"

struct world; /* opaque */

/* Fills in a small cluster's configuration: `nodes` nodes, N=3 R=2 W=2 (capped), a quiet network,
 * no faults. */
void world_conf_default(struct world_conf *conf, uint32_t nodes, uint64_t seed);

/* A world in which every machine is off. `conf` is copied. Free with world_free. */
struct world *world_new(const struct world_conf *conf);

/* Frees and nulls; NULL in it is ignored. */
void world_free(struct world **world);

/* Sets the hooks (copied). */
void world_set_hooks(struct world *world, const struct world_hooks *hooks);

/* ---- time ------------------------------------------------------------------------------------ */

/* True time. */
uint64_t world_now_us(const struct world *world);

/* Handles the next event, if it comes before `until_us`; false: there is none, and it is now
 * `until_us`. */
bool world_step(struct world *world, uint64_t until_us);

/* Runs for so long. */
void world_elapse(struct world *world, uint64_t us);

/* Has the user's event come at that time through hooks.on_event. */
void world_at(struct world *world, uint64_t at_us, uint32_t kind, uint64_t a, uint64_t b);

/* ---- machines -------------------------------------------------------------------------------- */

/* Starts the process of machine `node`. Returns what node_new said; on an error the machine stays
 * off and world_start_reason has the sentence. */
enum rd_err world_start(struct world *world, uint32_t node);

/* Why the last start of that node failed; borrowed. */
const char *world_start_reason(const struct world *world, uint32_t node);

/* Ends it. Does nothing if the machine is off. */
void world_crash(struct world *world, uint32_t node, enum world_crash how);

/* Ends it after so many more effects of its own (at least 1), in the middle of whatever it is
 * doing. */
void world_crash_after(struct world *world, uint32_t node, uint64_t effects, enum world_crash how);

/* The process stands still: nothing reaches it, its clocks go on. And goes on. */
void world_pause(struct world *world, uint32_t node);
void world_resume(struct world *world, uint32_t node);

/* How the machine is. */
enum world_node_state world_state(const struct world *world, uint32_t node);

/* The configuration with which the node starts next; changes count from the next start. Borrowed.
 */
struct node_conf *world_node_conf(struct world *world, uint32_t node);

/* The running node; NULL if it is off. Borrowed. */
struct node *world_node(const struct world *world, uint32_t node);

/* The machine's parts, for faults and checkers; borrowed. */
struct disk *world_disk(struct world *world, uint32_t node);
struct clock *world_clock(struct world *world, uint32_t node);
struct network *world_network(struct world *world);
struct network_conf *world_network_conf(struct world *world);
struct disk_conf *world_disk_conf(struct world *world);

/* What the clocks of machine `node` show now. */
struct instant world_instant(const struct world *world, uint32_t node);

/* How many machines there are. */
uint32_t world_nodes(const struct world *world);

/* ---- clients --------------------------------------------------------------------------------- */

/* A client asks `request->node`. What is asked is copied; the answer appears in the returned op
 * (borrowed, lives as long as the world) once it has come. */
struct op *world_ask(struct world *world, const struct op *request);

/* All that was asked. Borrowed. */
const struct history *world_history(const struct world *world);

/* When the machine last began to run: its start, or the end of its last pause. */
uint64_t world_resumed_us(const struct world *world, uint32_t node);

/* How long the op may go without an answer: world_conf.answer_us, and longer for a page of a scan or a flush that looks for its place first. */
uint64_t world_answer_us(const struct world *world, const struct op *op);

/* True if some request has been without an answer for too long. */
bool world_is_stuck(struct world *world);

/* ---- what happened --------------------------------------------------------------------------- */

/* The trace; borrowed. Set its listener for lines. */
struct trace *world_trace(struct world *world);

/* The counters of all nodes together, over all their lives; states are not filled in. */
void world_stats(const struct world *world, struct node_stats *out);

/* How many processes have died before they served clients. */
uint64_t world_died_unready(const struct world *world);

/* Steps of all nodes so far. */
uint64_t world_steps(const struct world *world);

#endif
