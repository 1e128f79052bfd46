/* Scenarios: the schedules by which systems of this kind have lost data, one story each
 * (`redynamo-sim scenario NAME`).
 *
 * A story is told on a cluster (sim/cluster.h); what does not hold aborts the process with the
 * story so far. The same stories run in `make check`, where those that record a trace are compared
 * with tests/cluster/traces/. */
#ifndef RD_SIM_SCENARIO_H
#define RD_SIM_SCENARIO_H

#include "sim/cluster.h"

struct scenario {
    const char *name;
    const char *what; /* one line: what must hold */
    unsigned
        nodes; /* of the cluster it is told on, formed and running; 0: the story makes its own */
    void (*tell)(struct cluster *c);
};

/* All of them, in the order in which they are best read. Static storage. */
const struct scenario *scenario_list(size_t *count);

/* The one of that name, or NULL. */
const struct scenario *scenario_find(const char *name);

/* Tells one: makes the cluster, tells, calls `then` (may be NULL) with it, and stops it. */
void scenario_tell(const struct scenario *scenario,
                   void (*then)(struct cluster *c, const char *name));

/* ---- the stories, by file -------------------------------------------------------------------- */

/* scenario_siblings.c: what concurrent writers leave. */
void scenario_one_coordinator_two_clients(struct cluster *c);
void scenario_write_beside_delete(struct cluster *c);
void scenario_dup_sibling_values(struct cluster *c);
void scenario_blind_set_flood(struct cluster *c);
void scenario_in_flight_same_key(struct cluster *c);
void scenario_double_coordination(struct cluster *c);

/* scenario_rmw.c: read-modify-writes. */
void scenario_rmw_on_a_stale_home(struct cluster *c);
void scenario_rmw_two_coordinators(struct cluster *c);
void scenario_rmw_beside_set(struct cluster *c);
void scenario_rmw_once(struct cluster *c);
void scenario_rmw_batch(struct cluster *c);

/* scenario_amnesia.c: nodes that forget, and names that must not come twice. */
void scenario_amnesia_local(struct cluster *c);
void scenario_restored_backup(struct cluster *c);
void scenario_same_actor_twice(struct cluster *c);
void scenario_restart_storm(struct cluster *c);

/* scenario_time.c: clocks, and reads in the midst of writes. */
void scenario_lww_skew(struct cluster *c);
void scenario_future_metadata(struct cluster *c);
void scenario_quorum_not_linearizable(struct cluster *c);

/* scenario_failure.c: nodes that are silent, slow, late or full. */
void scenario_killed_node(struct cluster *c);
void scenario_powerless_node(struct cluster *c);
void scenario_paused_node(struct cluster *c);
void scenario_woken_from_pause(struct cluster *c);
void scenario_lossy_network(struct cluster *c);
void scenario_slow_replica(struct cluster *c);
void scenario_slow_coordinator(struct cluster *c);
void scenario_overload_latch(struct cluster *c);
void scenario_disk_full_or_readonly(struct cluster *c);

/* scenario_cuts.c: networks that are cut without a word. */
void scenario_cut_under_load(struct cluster *c);
void scenario_cut_in_silence(struct cluster *c);

/* scenario_hints.c: homes that are away, nodes that stand in for them, and hints. */
void scenario_amnesia_partial(struct cluster *c);
void scenario_amnesia_noncoord(struct cluster *c);
void scenario_fallback_forgets_and_returns(struct cluster *c);
void scenario_hint_delivers_stale(struct cluster *c);
void scenario_hint_flood(struct cluster *c);
void scenario_hint_is_the_only_copy(struct cluster *c);
void scenario_sloppy_acks_do_not_intersect(struct cluster *c);
void scenario_sloppy_first_round(struct cluster *c);
void scenario_notfound_from_empty_fallback(struct cluster *c);
void scenario_one_reachable_node(struct cluster *c);
void scenario_limit_blocks_heal(struct cluster *c);
void scenario_context_of_a_fallback(struct cluster *c);

/* scenario_repair.c: replicas that agree in the end, without being read. */
void scenario_repair_in_the_background(struct cluster *c);
void scenario_damaged_rows(struct cluster *c);
void scenario_drifted_tree(struct cluster *c);
void scenario_tree_moves_under_exchange(struct cluster *c);
void scenario_cost_of_exchange(struct cluster *c);
void scenario_cursor_restart(struct cluster *c);

/* scenario_disks.c: disks that are cut short, put back, or not there for a while. */
void scenario_lease_crash(struct cluster *c);
void scenario_backup_keeps_siblings(struct cluster *c);
void scenario_merge_replayed_after_crash(struct cluster *c);
void scenario_unmounted_disk(struct cluster *c);

/* scenario_wiped.c: disks that come back empty. */
void scenario_wiped_takes_its_places(struct cluster *c);
void scenario_wiped_beside_a_cut(struct cluster *c);
void scenario_two_wiped_one_at_a_time(struct cluster *c);
void scenario_wiped_twice(struct cluster *c);
void scenario_old_disk_turns_up(struct cluster *c);
void scenario_counts_for_nothing_until_filled(struct cluster *c);
void scenario_join_from_stale_source(struct cluster *c);
void scenario_late_acknowledgement(struct cluster *c);
void scenario_prune_false_concurrency(struct cluster *c);

/* scenario_background.c: what is done for nobody in particular, beside clients. */
void scenario_background_beside_clients(struct cluster *c);

/* scenario_reap.c: what was deleted or has expired is forgotten, and does not return. */
void scenario_deleted_leaves_nothing(struct cluster *c);
void scenario_tombstone_vs_long_partition(struct cluster *c);
void scenario_hint_after_reap(struct cluster *c);
void scenario_doomstone(struct cluster *c);
void scenario_doomstone_crash(struct cluster *c);
void scenario_read_repair_vs_delete(struct cluster *c);
void scenario_late_frame_vs_reap(struct cluster *c);
void scenario_ttl_divergence(struct cluster *c);
void scenario_expired_here_alive_there(struct cluster *c);
void scenario_million_expiries(struct cluster *c);

/* scenario_birth.c: how clusters form, and who does not belong. */
void scenario_bootstrap_race(struct cluster *c);
void scenario_birth_answer_lost(struct cluster *c);
void scenario_wrong_neighbour(struct cluster *c);
void scenario_handoff_to_self(struct cluster *c);
void scenario_n_val_change(struct cluster *c);

#endif
