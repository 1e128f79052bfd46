/* The faults of a fuzz run: they come at random as the plan says, most of them end by themselves,
 * and faults_heal ends them all. */
#ifndef RD_SIM_FAULTS_H
#define RD_SIM_FAULTS_H

#include "sim/losses.h"
#include "sim/plan.h"
#include "sim/world.h"

/* b: the phase; END: a is the fault's number; START: the machine */
enum { FAULTS_NEXT = WORLD_USER_KIND + 10, FAULTS_END, FAULTS_START };

struct faults;

/* Faults for a world (borrowed, as is the plan) with machines running. Free with faults_free. */
struct faults *faults_new(struct world *world, const struct plan *plan);

/* Frees and nulls. */
void faults_free(struct faults **faults);

/* From now on they come. */
void faults_start(struct faults *faults);

/* The same for a cluster that is being born: all machines are off, and are started within two
 * seconds, in any order. Faults are short, so that everybody meets everybody before the patience of
 * a fresh node ends, and they destroy nothing. */
void faults_start_birth(struct faults *faults);

/* For the world's hooks: an event of the kinds above. */
void faults_event(struct faults *faults, const struct sim_event *event);

/* No more faults; all is well again: machines run, the network is whole and calm, disks work.
 * Clocks stay as wrong as they are. */
void faults_heal(struct faults *faults);

/* Calm for hours, as the plan says, with one machine away: off, standing still or cut off, which begins here. */
void faults_night(struct faults *faults);

/* The machine that was away is back, and faults come again. */
void faults_morning(struct faults *faults);

/* How many came, by kind. */
const uint64_t *faults_counts(const struct faults *faults);

/* True if the node knows its cluster, and nobody in it is being filled. */
bool faults_is_filled(const struct node *node, struct instant now);

/* True while the machine runs with an empty disk instead of its own, which comes back. */
bool faults_is_unmounted(const struct faults *faults, uint32_t node);

/* What they have destroyed. Borrowed. */
const struct losses *faults_losses(const struct faults *faults);

#endif
