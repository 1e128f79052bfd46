/* The fuzz: one seed is one cluster, its clients and its faults; then everything heals, and the
 * promises are checked. */
#ifndef RD_SIM_FUZZ_H
#define RD_SIM_FUZZ_H

#include <stdio.h>

#include "replication/planted.h"
#include "sim/plan.h"
#include "sim/trace.h"

/* Rare branches that many seeds together must reach. X(name, text) */
#define FUZZ_SOMETIMES(X)                                                                          \
    X(SECOND_ROUND, "a plain SET wrote a second time")                                             \
    X(STAND_IN, "a fallback's acknowledgement counted")                                            \
    X(HINT_KEPT, "a hint was kept")                                                                \
    X(HINT_DELIVERED, "a hint reached its home")                                                   \
    X(HINT_DROPPED, "a hint was dropped for want of room")                                         \
    X(HINT_REFUSED, "a fallback had no room for a hint that was to count")                         \
    X(READ_REPAIR, "a read repaired a replica")                                                    \
    X(REAPED, "a deleted or expired key was forgotten")                                            \
    X(PRUNED, "a vector lost entries of no use")                                                   \
    X(SIBLING_READ, "a read returned siblings")                                                    \
    X(SCAN, "a scan went through all keys")                                                        \
    X(FLUSH, "all keys were deleted")                                                              \
    X(FORWARDED, "a write was forwarded")                                                          \
    X(LATE_ANSWER, "an answer came too late")                                                      \
    X(UNKNOWN, "a write ended with an unknown outcome")                                            \
    X(NO_QUORUM_READ, "a read found no quorum")                                                    \
    X(NO_QUORUM_WRITE, "a write found no quorum")                                                  \
    X(TOO_MANY_SIBLINGS, "a write met too many siblings")                                          \
    X(CLUSTER_DOWN, "a node was not ready to serve")                                               \
    X(DISK_FULL, "a write met a full disk")                                                        \
    X(FRESH_INCARNATION, "a node took a new name in mid-life")                                     \
    X(CORRUPT_ROW, "a damaged row was met")                                                        \
    X(STORE_ERROR, "the store failed")                                                             \
    X(CLIENT_CUT_OFF, "a node died before it answered")                                            \
    X(DUPLICATE, "a frame came twice")                                                             \
    X(OVERTAKEN, "a frame overtook another")                                                       \
    X(HELD, "a frame waited until its path was healed")                                            \
    X(ORPHAN, "a frame came over a connection that its sender had given up")                       \
    X(OF_THE_DEAD, "a frame of a process came when its machine ran another")                       \
    X(MINUTES_LATE, "a frame came minutes after it was sent")                                      \
    X(SILENT_LINK, "a link was given up because it was silent")                                    \
    X(NIGHT_OFF, "a machine was off for hours")                                                    \
    X(NIGHT_STILL, "a machine stood still for hours")                                              \
    X(NIGHT_CUT, "a machine was cut off for hours")                                                \
    X(DIED_UNREADY, "a process died before it served")                                             \
    X(PATIENCE, "a client went on without an answer")                                              \
    X(UNSURE_ROW, "a row was there after a crash though its commit had failed")                    \
    X(BORN_UNDER_ATTACK, "a cluster was born under attack")                                        \
    X(ROWS_DESTROYED, "a row was destroyed")                                                       \
    X(UNREADABLE, "all that was left of a key was damaged")                                        \
    X(BEYOND, "faults went beyond the promise")

#define FUZZ_ENUM(name, text) SOMETIMES_##name,
enum fuzz_sometimes { FUZZ_SOMETIMES(FUZZ_ENUM) SOMETIMES_COUNT };
#undef FUZZ_ENUM

/* What a run came to. A plain value, so that it can cross a pipe. */
struct fuzz_result {
    uint64_t seed;
    bool passed;
    char violation[400]; /* if not */
    uint64_t trace_hash;
    uint64_t requests, acknowledged, steps, faults;
    uint64_t longest_us; /* that a node took to answer a request */
    uint64_t sometimes[SOMETIMES_COUNT];
    uint64_t fault_counts[FAULT_KINDS];
};

struct fuzz_order {
    uint64_t seed;
    enum plan_mode mode;
    enum planted_bug planted; /* which one is awake, where RD_PLANTED_BUGS is defined */
    FILE *trace;              /* where readable lines go; NULL: nowhere */
};

/* Runs one seed. */
void fuzz_run(const struct fuzz_order *order, struct fuzz_result *out);

/* Adds the counts of `one` to those of `sum`. */
void fuzz_add(struct fuzz_result *sum, const struct fuzz_result *one);

/* The text of a sometimes-point, and of a kind of fault; static storage. */
const char *fuzz_sometimes_text(enum fuzz_sometimes which);
const char *fuzz_fault_text(enum plan_fault which);

#endif
