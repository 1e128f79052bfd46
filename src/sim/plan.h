/* The plan of a fuzz run: everything that is derived from its seed before it begins.
 *
 * Swarm style: per seed some kinds of faults and of requests are off and others wild, so that a
 * thousand seeds differ more than a thousand runs of one average. A plan can be printed; the seed
 * alone gives it back. */
#ifndef RD_SIM_PLAN_H
#define RD_SIM_PLAN_H

#include "sim/world_conf.h"

/* What clients do; weights, relative to each other. X(name, text) */
#define PLAN_REQUESTS(X)                                                                           \
    X(GET, "plain read")                                                                           \
    X(GET_MIXED, "read with an R of its own")                                                      \
    X(GET_MONOTONIC, "monotonic read")                                                             \
    X(SET, "plain write")                                                                          \
    X(DEL, "plain deletion")                                                                       \
    X(DEL_SET, "deletion, and at once a write")                                                    \
    X(PUT_FRESH, "write with the context of a read just made")                                     \
    X(PUT_STALE, "write with an old context")                                                      \
    X(PUT_BLIND, "write with no context, beside what is there")                                    \
    X(REMOVE_FRESH, "deletion with the context of a read just made")                               \
    X(REMOVE_STALE, "deletion with an old context")                                                \
    X(SET_EXPIRING, "write that expires soon")                                                     \
    X(SET_EMPTY, "write of an empty value")                                                        \
    X(APPEND, "read-modify-write")                                                                 \
    X(RETRY, "the last write of unknown outcome, again")                                           \
    X(REPLICAS, "question what the replicas hold")                                                 \
    X(COUNT, "question how many keys there are")                                                   \
    X(SCAN, "list of all keys, page by page")                                                      \
    X(FLUSH, "deletion of all keys, page by page")

/* What goes wrong. X(name, text) */
#define PLAN_FAULTS(X)                                                                             \
    X(KILL, "process killed, restarted soon")                                                      \
    X(POWER, "power lost, restarted later")                                                        \
    X(KILL_INSIDE, "process killed between two effects")                                           \
    X(POWER_INSIDE, "power lost between two effects")                                              \
    X(CRASH_LOOP, "a few starts that end at once")                                                 \
    X(PAUSE, "process stands still")                                                               \
    X(SLOW, "slow network of a machine")                                                           \
    X(SLOW_DISK, "slow disk of a machine")                                                         \
    X(CUT, "two nodes cut off from each other, connections broken")                                \
    X(ONE_WAY, "one direction silent, connections kept")                                           \
    X(HELD, "one direction held, its frames arrive late")                                          \
    X(STALL, "connections stand still, for up to minutes, while others are made")                  \
    X(ISOLATE, "one node cut off from all")                                                        \
    X(HALVES, "two sides")                                                                         \
    X(BRIDGE, "two sides, and one node that sees both")                                            \
    X(FLAP, "connections broken, again and again")                                                 \
    X(SWIZZLE, "nodes cut off one by one, back in another order")                                  \
    X(DISK_FULL, "commits refused for a while")                                                    \
    X(DISK_ERROR, "reads and commits fail a few times")                                            \
    X(CLOCK_JUMP, "wall clock jumps ahead")                                                        \
    X(CLOCK_BACK, "wall clock jumps back")                                                         \
    X(CLOCK_DRIFT, "clocks run fast or slow")                                                      \
    X(UNMOUNT, "machine runs elsewhere with an empty disk, until its own comes back")              \
    X(ROW_LOST, "a row vanishes")                                                                  \
    X(ROW_DAMAGED, "a row is damaged")                                                             \
    X(WIPE, "disk emptied of all but the node's name")                                             \
    X(WIPE_BESIDE_CUT, "the same, while another node is cut off")                                  \
    X(RESTORE, "an old copy of a disk comes back")                                                 \
    X(EMPTIED, "disk emptied, the node comes back under another name")                             \
    X(WIPE_ALL, "beyond the promise: all disks emptied")                                           \
    X(RESTORE_ALL, "beyond the promise: old copies of all disks come back")                        \
    X(DAMAGE_ALL, "beyond the promise: all copies of some keys damaged")

#define PLAN_ENUM(name, text) REQUEST_##name,
enum plan_request { PLAN_REQUESTS(PLAN_ENUM) REQUEST_KINDS };
#undef PLAN_ENUM
#define PLAN_ENUM(name, text) FAULT_##name,
enum plan_fault { PLAN_FAULTS(PLAN_ENUM) FAULT_KINDS };
#undef PLAN_ENUM

/* Kinds from here on destroy data; from PLAN_BEYOND_FAULTS on, more than any promise allows. */
#define PLAN_DESTROYING_FAULTS FAULT_ROW_LOST
#define PLAN_BEYOND_FAULTS FAULT_WIPE_ALL

enum plan_mode {
    PLAN_AS_DRAWN, /* the seed says which */
    PLAN_BEYOND,   /* faults beyond the promise, whatever the seed says */
    PLAN_TIGHT,    /* sloppy quorums, and hardly any room for hints, whatever the seed says */
    PLAN_REAPING /* much is deleted, and forgotten at once, while frames are late, whatever the seed says */
};

/* What is away for hours in the middle of the attack, while hardly anybody asks. X(name, text) */
#define PLAN_NIGHTS(X)                                                                             \
    X(NONE, "nothing")                                                                             \
    X(OFF, "a machine that was killed")                                                            \
    X(POWER, "a machine without power")                                                            \
    X(STILL, "a machine that stands still")                                                        \
    X(CUT, "a machine cut off from all")                                                           \
    X(SILENT, "a machine cut off from all, whose connections nobody ends")

#define PLAN_ENUM(name, text) NIGHT_##name,
enum plan_night { PLAN_NIGHTS(PLAN_ENUM) NIGHT_KINDS };
#undef PLAN_ENUM

struct plan {
    uint64_t seed;
    bool beyond; /* faults beyond the promise come too: what is acknowledged may be lost, but no
                    node dies or hangs, nothing is invented, and replicas converge */
    uint64_t birth_us; /* so long the cluster is attacked while it forms; 0: it forms in peace */
    struct world_conf world;
    uint32_t clients, keys;
    uint32_t hot_percent; /* so many requests go to the first key */
    uint32_t ops;         /* requests of all clients together */
    uint64_t attack_us;   /* how long faults come */
    uint64_t think_us;    /* a client's mean pause */
    uint64_t patience_us; /* so long it waits for an answer; 0: for ever */
    uint32_t request_weights[REQUEST_KINDS];
    uint32_t fault_weights[FAULT_KINDS]; /* 0: off */
    uint64_t fault_mean_us;              /* between two faults; 0: none at all */
    uint64_t fault_length_us;            /* mean, of those that last */
    enum plan_night night;
    uint64_t night_us;       /* so long; 0: there is none */
    int64_t skew_us;         /* wall clocks are wrong by up to this */
    uint32_t sticky_percent; /* so many clients stay with one node while it answers */
};

/* Draws the plan of `seed`. */
void plan_draw(struct plan *plan, uint64_t seed, enum plan_mode mode);

/* Appends the plan as readable lines. */
void plan_text(const struct plan *plan, struct buf *out);

#endif
