/* A cluster with verbs: what stories are told with, in tests and in `redynamo-sim scenario`.
 *
 *     struct cluster *c = cluster_start(3);
 *     cluster_set(c, 1, "k", "v1");
 *     cluster_cut(c, 1, 2);
 *     cluster_expect(c, 3, "k", "v1");
 *     cluster_stop(&c);
 *
 * Nodes are numbered from 1, as in their names n1, n2... Verbs that ask something run the world
 * until the answer is there. The network is quiet: each frame takes 1 ms, each commit 1 ms, and
 * nothing is lost unless the story says so. An expectation that is not met prints what was expected
 * and the story's trace so far, and aborts the process.
 */
#ifndef RD_SIM_CLUSTER_H
#define RD_SIM_CLUSTER_H

#include "replication/wire.h"
#include "sim/world.h"

struct cluster; /* opaque */

/* ---- begin and end --------------------------------------------------------------------------- */

/* A configuration for stories: `nodes` nodes and the quiet network; for cluster_make. */
void cluster_conf(struct world_conf *conf, unsigned nodes);

/* A cluster whose machines are all off. Free with cluster_stop. */
struct cluster *cluster_make(const struct world_conf *conf);

/* A cluster of `nodes` nodes, started, formed and connected. */
struct cluster *cluster_start(unsigned nodes);

/* Starts all nodes that are off and runs until every running node serves requests and sees all
 * others up. */
void cluster_form(struct cluster *c);

/* Ends it, checking that every request was answered. Frees and nulls. */
void cluster_stop(struct cluster **c);

/* The world around it, for what has no verb; borrowed. */
struct world *cluster_world(struct cluster *c);

/* ---- asking: the verbs wait for the answer; those with _later return at once ----------------- */

/* SET key value, DEL key. Expect success. */
struct op *cluster_set(struct cluster *c, unsigned node, const char *key, const char *value);
struct op *cluster_del(struct cluster *c, unsigned node, const char *key);

/* A read-modify-write that appends `text` (sim/sums.h). Expects success. */
struct op *cluster_append(struct cluster *c, unsigned node, const char *key, const char *text);

/* GET or DYNGET: the op has object and token. Expects success. */
struct op *cluster_get(struct cluster *c, unsigned node, const char *key);

/* DYNSET or (value NULL) DYNDEL, with the context that `seen` was answered (NULL: none). Expects
 * success. */
struct op *cluster_dynset(struct cluster *c, unsigned node, const char *key, const char *value,
                          const struct op *seen);

/* Asks anything, without waiting; `request` needs only what is not zero. */
struct op *cluster_ask(struct cluster *c, const struct op *request);
struct op *cluster_set_later(struct cluster *c, unsigned node, const char *key, const char *value);
struct op *cluster_del_later(struct cluster *c, unsigned node, const char *key);
struct op *cluster_append_later(struct cluster *c, unsigned node, const char *key,
                                const char *text);
struct op *cluster_get_later(struct cluster *c, unsigned node, const char *key);
struct op *cluster_get_r_later(struct cluster *c, unsigned node, const char *key, uint32_t r);
struct op *cluster_dynset_later(struct cluster *c, unsigned node, const char *key,
                                const char *value, const struct op *seen);

/* Runs until the op is answered, and returns it. Expects that this takes no longer than the
 * world's answer bound. */
struct op *cluster_await(struct cluster *c, struct op *op);

/* ---- expecting ------------------------------------------------------------------------------- */

/* A read of `key` through `node` gives these values, newest first, separated by spaces ("": none,
 * but no error). */
void cluster_expect(struct cluster *c, unsigned node, const char *key, const char *values);

/* The same through every running node. */
void cluster_expect_everywhere(struct cluster *c, const char *key, const char *values);

/* The op's outcome, waited for. */
void cluster_expect_outcome(struct cluster *c, struct op *op, enum rd_err err);

/* What the store of `node` holds of `key`, read behind everyone's back: "{v1 v2}", "{}",
 * "nothing". */
void cluster_expect_stored(struct cluster *c, unsigned node, const char *key, const char *text);

/* Anything else; `what` is said if `condition` is false. */
void cluster_expect_true(struct cluster *c, bool condition, const char *what);

/* ---- what may happen ------------------------------------------------------------------------- */

/* No frame gets through between two nodes, and their connections break. */
void cluster_cut(struct cluster *c, unsigned a, unsigned b);

/* Frames from `from` to `to` vanish; connections stay. */
void cluster_silence(struct cluster *c, unsigned from, unsigned to);

/* Between two nodes all is well again. */
void cluster_heal(struct cluster *c, unsigned a, unsigned b);

/* Cuts a node off from all others. */
void cluster_isolate(struct cluster *c, unsigned node);

/* Heals all. */
void cluster_heal_all(struct cluster *c);

/* A kill, and a power failure that loses all that was not durable. */
void cluster_crash(struct cluster *c, unsigned node);
void cluster_crash_losing_unsynced(struct cluster *c, unsigned node);

/* Starts it again. Expects that it starts. */
void cluster_restart(struct cluster *c, unsigned node);

/* Empties the disk of a node that is off. */
void cluster_wipe(struct cluster *c, unsigned node);

/* The row of `key` vanishes from the disk of `node`, whose process goes on. */
void cluster_erase(struct cluster *c, unsigned node, const char *key);

/* The node's wall clock is ahead of true time by so much from now on. */
void cluster_skew_ms(struct cluster *c, unsigned node, int64_t ms);

/* Anti-entropy between all replicas, now, until it has nothing more to do. Expects that within two minutes. Returns the number of
 * copies that it changed. */
uint64_t cluster_repair(struct cluster *c);

/* The row of `key` on the disk of `node` is damaged from now on. */
void cluster_damage(struct cluster *c, unsigned node, const char *key);

/* Time passes. */
void cluster_elapse_ms(struct cluster *c, uint64_t ms);

/* Runs until `node` sees all running nodes up. Expects it within a minute. */
void cluster_await_up(struct cluster *c, unsigned node);

/* The next `count` frames of a kind from one node to another are lost, or kept until
 * cluster_release. */
void cluster_lose(struct cluster *c, unsigned from, unsigned to, enum wire_kind kind,
                  unsigned count);
void cluster_keep(struct cluster *c, unsigned from, unsigned to, enum wire_kind kind,
                  unsigned count);

/* Sends all kept frames on their way. Returns how many. */
size_t cluster_release(struct cluster *c);

/* ---- placement ------------------------------------------------------------------------------- */

/* Writes the homes of `key`, most preferred first, and returns how many. */
size_t cluster_homes(struct cluster *c, const char *key, unsigned *nodes, size_t max);

/* A key, "k<number>", whose homes begin with the `count` nodes given, in that order; copied to
 * `key`. In the story it is called "k". */
void cluster_key_at(struct cluster *c, const unsigned *nodes, size_t count, char key[32]);

/* ---- the trace ------------------------------------------------------------------------------- */

/* From now on the story is written down. `all`: also what keeps a cluster alive (gossip, pings,
 * handshakes), and the nodes' own debug lines. */
void cluster_record(struct cluster *c, bool all);

/* Adds a line of one's own. */
void cluster_note(struct cluster *c, const char *text);

/* What was written so far, with times in ms from cluster_record; a string, borrowed until the next
 * verb. */
const char *cluster_story(struct cluster *c);

#endif
