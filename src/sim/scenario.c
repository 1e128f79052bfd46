/* sim/scenario: the list; see scenario.h. */
#include "sim/scenario.h"

#include <string.h>

static const struct scenario scenarios[] = {
    {"one_coordinator_two_clients",
     "two clients that write through one node, unaware of each other, both stay", 3,
     scenario_one_coordinator_two_clients},
    {"write_beside_delete", "a write concurrent with a deletion survives it", 3,
     scenario_write_beside_delete},
    {"dup_sibling_values", "a retried write leaves equal siblings, shown once", 3,
     scenario_dup_sibling_values},
    {"blind_set_flood", "a thousand plain SETs through all nodes leave no pile of siblings", 3,
     scenario_blind_set_flood},
    {"in_flight_same_key", "writes of one key that meet in memory get a dot each", 3,
     scenario_in_flight_same_key},
    {"double_coordination", "a forwarded write whose answer is lost is not done twice", 4,
     scenario_double_coordination},
    {"rmw_on_a_stale_home", "a home that was away reads before it computes", 3,
     scenario_rmw_on_a_stale_home},
    {"rmw_two_coordinators", "two homes that both compute take turns", 5,
     scenario_rmw_two_coordinators},
    {"rmw_beside_set", "a plain SET beside a read-modify-write is seen, or replaces it", 3,
     scenario_rmw_beside_set},
    {"rmw_once", "a forwarded read-modify-write takes effect once", 4, scenario_rmw_once},
    {"rmw_batch", "read-modify-writes of one key that come together share turns", 4,
     scenario_rmw_batch},
    {"amnesia_local", "a coordinator that lost its copy does not repeat a dot", 3,
     scenario_amnesia_local},
    {"restored_backup", "a node restored from an old copy does not repeat a dot", 3,
     scenario_restored_backup},
    {"same_actor_twice", "no two starts of nodes share an actor", 3, scenario_same_actor_twice},
    {"restart_storm", "restarts make no siblings, and vectors that shrink again", 3,
     scenario_restart_storm},
    {"lww_skew", "whoever read a value replaces it, whatever the clocks say", 3, scenario_lww_skew},
    {"future_metadata", "a clock years ahead blocks nobody", 3, scenario_future_metadata},
    {"quorum_not_linearizable", "MONOTONIC reads do not go back, plain ones may", 3,
     scenario_quorum_not_linearizable},
    {"killed_node", "a killed node costs clients that retry once no request", 0,
     scenario_killed_node},
    {"powerless_node", "nor does one that vanishes without a word", 0, scenario_powerless_node},
    {"paused_node", "nor does one that stands still for ten seconds", 0, scenario_paused_node},
    {"woken_from_pause", "a node that stood still answers nothing from its old view", 3,
     scenario_woken_from_pause},
    {"lossy_network", "a fifth of the frames lost makes nobody flap", 0, scenario_lossy_network},
    {"slow_replica", "a replica slowed to 1 s costs no more than the p99 + 20 ms", 0,
     scenario_slow_replica},
    {"slow_coordinator", "writes go elsewhere as soon as a home owes an answer", 0,
     scenario_slow_coordinator},
    {"cut_under_load", "a cut network costs clients that retry once nothing that can be had", 0,
     scenario_cut_under_load},
    {"cut_in_silence", "nor where nobody has heard of anybody for a while", 0,
     scenario_cut_in_silence},
    {"overload_latch", "an overloaded node serves again within a second of the load's end", 0,
     scenario_overload_latch},
    {"disk_full_or_readonly", "a full disk refuses writes, loses none and reuses no dot", 3,
     scenario_disk_full_or_readonly},
    {"repair_in_the_background", "whatever a node missed it gets, without a read", 0,
     scenario_repair_in_the_background},
    {"damaged_rows", "damaged and vanished rows come back from the other replicas", 3,
     scenario_damaged_rows},
    {"drifted_tree", "a tree that no longer fits its rows heals, and repairs nothing", 3,
     scenario_drifted_tree},
    {"tree_moves_under_exchange", "writes in flight are no divergence: nothing is repaired", 0,
     scenario_tree_moves_under_exchange},
    {"cost_of_exchange", "messages and bytes grow with what differs, not with what there is", 0,
     scenario_cost_of_exchange},
    {"deleted_leaves_nothing", "a deleted key leaves no row, no leaf and no clock", 0,
     scenario_deleted_leaves_nothing},
    {"tombstone_vs_long_partition", "a deletion is remembered while a replica is away", 0,
     scenario_tombstone_vs_long_partition},
    {"hint_after_reap", "a deletion is remembered while a hint may be somewhere", 0,
     scenario_hint_after_reap},
    {"doomstone", "a tombstone that comes late does not undo a new value", 0, scenario_doomstone},
    {"doomstone_crash", "nor does a home that comes back with the old one", 0,
     scenario_doomstone_crash},
    {"read_repair_vs_delete", "reads spread a deletion, and nobody forgets it before all have it",
     0, scenario_read_repair_vs_delete},
    {"late_frame_vs_reap", "a write that was on its way for long does not return", 0,
     scenario_late_frame_vs_reap},
    {"ttl_divergence", "expiry by clocks that differ causes no repair, and nothing returns", 0,
     scenario_ttl_divergence},
    {"expired_here_alive_there", "a value that lives by some clocks keeps no crowded vector", 0,
     scenario_expired_here_alive_there},
    {"million_expiries", "many keys that expire together cause no storm", 0,
     scenario_million_expiries},
    {"cursor_restart", "an exchange whose link breaks every second comes to its end", 0,
     scenario_cursor_restart},
    {"lease_crash", "a coordinator that dies at any effect repeats no name", 3,
     scenario_lease_crash},
    {"backup_keeps_siblings", "disks put back bring back the same siblings and contexts", 3,
     scenario_backup_keeps_siblings},
    {"merge_replayed_after_crash", "crashes in mid-batch leave trees that fit their rows", 3,
     scenario_merge_replayed_after_crash},
    {"unmounted_disk", "a node without its disk counts for nothing until it is back", 3,
     scenario_unmounted_disk},
    {"background_beside_clients", "hints, exchanges and scrub together cost the p99 less than half",
     0, scenario_background_beside_clients},
    {"amnesia_partial", "a row lost and repaired from what a fallback kept repeats no dot", 6,
     scenario_amnesia_partial},
    {"amnesia_noncoord", "a home that forgot what only fallbacks have repeats no dot", 6,
     scenario_amnesia_noncoord},
    {"fallback_forgets_and_returns", "a fallback that coordinates twice repeats no dot", 6,
     scenario_fallback_forgets_and_returns},
    {"hint_delivers_stale", "a hint that comes late is merged, not put", 6,
     scenario_hint_delivers_stale},
    {"hint_flood", "hints without room cost no acknowledgement", 6, scenario_hint_flood},
    {"hint_is_the_only_copy", "a hint that an acknowledgement rests on is kept", 6,
     scenario_hint_is_the_only_copy},
    {"sloppy_acks_do_not_intersect", "with W homes in reach no fallback counts", 6,
     scenario_sloppy_acks_do_not_intersect},
    {"sloppy_first_round", "a SET that began with a fallback covers what homes say later", 6,
     scenario_sloppy_first_round},
    {"notfound_from_empty_fallback", "fallbacks that have nothing do not make a nil", 6,
     scenario_notfound_from_empty_fallback},
    {"one_reachable_node", "with W=1 any node alone takes a write", 6, scenario_one_reachable_node},
    {"limit_blocks_heal", "max-siblings binds clients, never hints", 0, scenario_limit_blocks_heal},
    {"context_of_a_fallback", "what a context names is looked for where fallbacks keep it", 6,
     scenario_context_of_a_fallback},
    {"bootstrap_race", "five fresh nodes in any order form one cluster and lose nothing", 0,
     scenario_bootstrap_race},
    {"birth_answer_lost", "a promise that is lost on its way holds up no birth", 3,
     scenario_birth_answer_lost},
    {"wrong_neighbour", "nodes of another cluster are refused, by name or by secret", 0,
     scenario_wrong_neighbour},
    {"handoff_to_self", "hints for a node whose address leads astray are kept for it", 0,
     scenario_handoff_to_self},
    {"n_val_change", "a node with other cluster-wide settings is refused", 0,
     scenario_n_val_change},
};

const struct scenario *scenario_list(size_t *count) {
    *count = sizeof scenarios / sizeof *scenarios;
    return scenarios;
}

const struct scenario *scenario_find(const char *name) {
    size_t count;
    const struct scenario *list = scenario_list(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

void scenario_tell(const struct scenario *scenario,
                   void (*then)(struct cluster *c, const char *name)) {
    struct cluster *c = scenario->nodes > 0 ? cluster_start(scenario->nodes) : NULL;
    scenario->tell(c);
    if (c != NULL && then != NULL) {
        then(c, scenario->name);
    }
    cluster_stop(&c);
}
