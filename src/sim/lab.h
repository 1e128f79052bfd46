/* The lab: a formed cluster for experiments, registers that are written and read one request at a
 * time, and the judgement of what a read returned.
 *
 * Two definitions of a stale read:
 *   strict: it does not return the latest value whose write was acknowledged before the read began,
 *           or a later one;
 *   loose:  it does not return the latest value that was written, acknowledged or not. This is how
 *           the papers count; a write that failed, or has not ended yet, makes reads stale.
 * Frames are counted by kind, as they are sent, whether the network loses them or not. */
#ifndef RD_SIM_LAB_H
#define RD_SIM_LAB_H

#include "replication/wire.h"
#include "sim/world.h"

#define PPM_PER_PERCENT 10000 /* what the network drops is counted in millionths */

struct lab {
    struct world *world;
    struct prng prng;            /* of the experiment, apart from the world's */
    uint64_t frames[WIRE_KINDS]; /* sent since the last lab_reset_counts */
    uint64_t bytes[WIRE_KINDS];
};

/* A key that is written by one client at a time. */
struct lab_register {
    struct blob *key;
    struct op **writes; /* owned; of each, in the order of asking; the ops are the world's */
    size_t write_count, write_cap;
};

struct lab_verdict {
    bool answered; /* the read succeeded; else the rest is false */
    bool stale;
    bool stale_loose;
};

/* A configuration for experiments: `nodes` nodes, frames that take 0.5 ms and 0.5 ms more on
 * average, fast disks, no repair of any kind, strict quorums. */
void lab_conf(struct world_conf *conf, uint32_t nodes, uint32_t n, uint32_t r, uint32_t w,
              uint64_t seed);

/* The cluster with all machines off, to fill its disks; lab_form starts it. Free with lab_free. */
struct lab *lab_make(const struct world_conf *conf);
void lab_form(struct lab *lab, const struct world_conf *conf);

/* Makes and forms the cluster: all nodes run, serve and see each other up. Frames are lost (drop,
 * duplicate, reorder of `conf`) only from then on. Free with lab_free. */
struct lab *lab_new(const struct world_conf *conf);

/* Frees and nulls, and frees nothing of registers. */
void lab_free(struct lab **lab);

/* True if every running node serves and sees `up` members up, itself included. */
bool lab_sees(const struct lab *lab, uint32_t up);

/* Any running node, drawn from the lab's generator. Asserts that there is one. */
uint32_t lab_any_node(struct lab *lab);

/* Forgets what was counted. */
void lab_reset_counts(struct lab *lab);

/* All counted. */
uint64_t lab_frames(const struct lab *lab);
uint64_t lab_bytes(const struct lab *lab);

/* ---- registers ------------------------------------------------------------------------------- */

/* The register of key `<prefix><number>`, never written. Free with lab_register_free. */
void lab_register_init(struct lab_register *reg, const char *prefix, uint64_t number);

/* Frees what it holds. */
void lab_register_free(struct lab_register *reg);

/* Asks `node` to write the register's next value; at once, or until it is answered. W 0: the
 * node's own. */
struct op *lab_write_later(struct lab *lab, struct lab_register *reg, uint32_t node, uint32_t w);
struct op *lab_write(struct lab *lab, struct lab_register *reg, uint32_t node, uint32_t w);

/* Asks `node` to read it; at once, or until it is answered. */
struct op *lab_read_later(struct lab *lab, const struct lab_register *reg, uint32_t node,
                          uint32_t r);
struct op *lab_read(struct lab *lab, const struct lab_register *reg, uint32_t node, uint32_t r);

/* Runs until the request is answered, and returns it. Asserts that it is, in bounded time. */
struct op *lab_await(struct lab *lab, struct op *op);

/* The number of the value that a GET of this answer shows, the newest sibling's; 0: nothing. */
uint64_t lab_shown(const struct op *read);

/* Judges a read that is answered. */
struct lab_verdict lab_judge(const struct lab_register *reg, const struct op *read);

/* ---- tallies --------------------------------------------------------------------------------- */

struct lab_tally {
    uint64_t reads, failed_reads, writes, failed_writes, stale, stale_loose;
};

/* Counts one answered write; one answered read, judged. */
void lab_tally_write(struct lab_tally *tally, const struct op *write);
void lab_tally_read(struct lab_tally *tally, const struct lab_register *reg, const struct op *read);

/* In percent: of the reads that succeeded, and of all requests. */
double lab_stale_percent(const struct lab_tally *tally);
double lab_loose_percent(const struct lab_tally *tally);
double lab_failed_percent(const struct lab_tally *tally);

#endif
