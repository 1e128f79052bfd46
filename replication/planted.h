/* Planted bugs: mistakes that a Dynamo could have made, to prove that the simulator's checkers would find them.
 *
 * They exist only where RD_PLANTED_BUGS is defined, which is in one test program (src/sim/local.mk names the files with one); everywhere
 * else RD_PLANTED is false at compile time. One at most is awake in a node, chosen by node_conf.planted_bug.
 */
#ifndef RD_REPLICATION_PLANTED_H
#define RD_REPLICATION_PLANTED_H

/* X(name, what the node does wrong) */
#define PLANTED_BUGS(X)                                                                            \
    X(NONE, "nothing")                                                                             \
    X(WRONG_QUORUM_COUNT, "a write is acknowledged by one replica fewer than W")                   \
    X(REUSED_DOT_AFTER_RESTART, "a restarted process continues the incarnation of the last one")   \
    X(DOT_TWICE_IN_FLIGHT, "a write does not see the one before it that is not durable yet")       \
    X(ACK_BEFORE_DURABLE, "a replica acknowledges before its commit")                              \
    X(SIBLING_DROPPED_IN_MERGE, "a replica keeps one sibling too few")                             \
    X(CONTEXT_IGNORED, "a write with a context replaces all that is there")                        \
    X(NO_SECOND_ROUND, "a plain SET leaves what its first round did not cover")                    \
    X(LWW_BY_WALL_CLOCK, "replicas keep the sibling with the newest wall clock")                   \
    X(LONE_SIBLING_SENT, "a write sends its new sibling without the object's vector")              \
    X(SUSPECT_NEVER_CLEARED, "a suspect peer that answers its probes stays suspect")               \
    X(HINT_BLIND_PUT, "a delivered hint takes the place of what is there")                         \
    X(HINT_DROPPED_AT_CAP, "a fallback without room acknowledges and keeps nothing")               \
    X(FALLBACK_COUNTED_TWICE, "a fallback's acknowledgement counts twice")                         \
    X(EMPTY_FALLBACK_NIL, "fallbacks that have nothing say that there is nothing")                 \
    X(EARLY_REAP, "a home forgets what was deleted when its time has come, and asks nobody")       \
    X(REAP_UNCHECKED,                                                                              \
      "what all homes have agreed to once is forgotten, and they are not asked again")

#define PLANTED_ENUM(name, text) PLANTED_##name,
enum planted_bug { PLANTED_BUGS(PLANTED_ENUM) PLANTED_COUNT };
#undef PLANTED_ENUM

#ifdef RD_PLANTED_BUGS
#define RD_PLANTED(core, bug) ((core)->conf.planted_bug == PLANTED_##bug)
#else
#define RD_PLANTED(core, bug) ((void)(core), 0)
#endif

#endif
