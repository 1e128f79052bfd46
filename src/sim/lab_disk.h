/* The lab's disks, filled before or between the lives of their machines: numbered keys, and what a member of a born cluster knows. */
#ifndef RD_SIM_LAB_DISK_H
#define RD_SIM_LAB_DISK_H

#include "sim/lab.h"

/* Puts the rows of the keys key0..key<count - 1>, each written once, long ago, at any machine. Returns how many bytes their keys and
 * digests take. */
size_t lab_disk_fill(struct store *store, uint32_t count);

/* Takes every `keys / count`-th of them away, `count` in all. */
void lab_disk_thin(struct store *store, uint32_t keys, uint32_t count);

/* Object rows on the disk. */
uint64_t lab_disk_rows(struct store *store);

/* Gives every machine of a fresh lab the rows of a member of a cluster that has been born with all of them, so that they need not get to know
 * each other; lab_form starts it. */
void lab_disk_born(struct lab *lab, const struct world_conf *conf);

#endif
