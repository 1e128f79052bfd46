/* What faults.c and faults_disk.c share. */
#ifndef RD_SIM_FAULTS_INTERNAL_H
#define RD_SIM_FAULTS_INTERNAL_H

#include "sim/faults.h"

struct lasting {
    enum plan_fault kind;
    uint32_t node, other;
    uint32_t
        side; /* bit i: node i is on this side; SWIZZLE: is to be cut off (those that are: `other`) */
    uint32_t left; /* repetitions */
};

struct faults {
    struct world *world;
    const struct plan *plan;
    struct prng prng;
    uint32_t weights[FAULT_KINDS]; /* of the phase at hand */
    uint32_t weight_sum;
    uint64_t mean_us, length_us; /* likewise */
    bool running;
    uint32_t away;           /* the machine that is away at night */
    uint64_t phase;          /* counts starts: what a phase had coming ends with it */
    struct lasting *lasting; /* owned; by number */
    size_t count, cap;
    uint64_t counts[FAULT_KINDS];
    struct losses losses;
    uint32_t
        emptied; /* bit i: machine i has come back empty, and was not seen to have its places again */
    struct store_mem_image *backups[NETWORK_MAX_NODES]; /* owned; copies to be put back; or NULL */
    struct store_mem_image *unmounted[NETWORK_MAX_NODES]; /* owned; a machine's own disk while it
                                                             runs with another; or NULL */
};

/* A machine at random. */
uint32_t faults_draw_node(struct faults *faults);

/* Has the fault end, or go on, after about `mean_us`. */
void faults_last(struct faults *faults, const struct lasting *lasting, uint64_t mean_us);

/* Cuts machine `node` off from all others (or heals that). */
void faults_isolate(struct faults *faults, uint32_t node, bool heals);

/* Starts the machine if it is off. A start whose disk fails is tried again, as by a supervisor. */
void faults_start_if_off(struct faults *faults, uint32_t node);

/* ---- faults_disk.c --------------------------------------------------------------------------- */

/* Begins a fault of a disk or a clock: kinds from FAULT_DISK_FULL on. */
void faults_begin_disk(struct faults *faults, enum plan_fault kind);

/* Ends one that lasted. */
void faults_end_disk(struct faults *faults, const struct lasting *lasting);

/* Disk and clock of the machine are well again, and the disk is its own; the process may have to
 * end for that. */
void faults_mend(struct faults *faults, uint32_t node);

#endif
