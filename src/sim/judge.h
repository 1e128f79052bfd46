/* The judge: what the promises of INTERFACE section 7 say about a history, worked out once for all
 * checkers.
 *
 * It knows only what clients know: when each request was made and answered, which context it
 * carried and what that context's reader had seen. From this follows for each write: which other
 * writes may have removed its value, from when on it must be there, and from when on it must be
 * gone. Times are true times.
 *
 * What is demanded is what the code claims today, and this is the one place that says so:
 *
 * - Replicas need be identical after anti-entropy; where it is off, after a read of all of them.
 * - A machine that a fault has robbed of its row of a key (sim/losses) does not count among the
 *   replicas of what was asked for before: promise 1 holds while fewer than W are gone, promise 2
 *   with W reduced by them.
 * - Last-write-wins: which of two writes that do not know of each other the clocks prefer is not
 *   predicted, unless all clocks are exact.
 * - A plain SET that is seen and replaced before it is acknowledged may come back once: its second
 *   round writes it anew, unless its coordinator knows by then.
 * - Who goes on from the answer of a write, without reading, replaces its value only where that is
 *   known: surely if W+W>N.
 * - An expired value may be gone, and may be seen (replies carry it, readers hide it). One that
 *   expires must be there until then where all clocks are exact.
 * - A write with W=1 (check_accepted.c) may find no quorum where disks are slow, full or fail, where hints have little room, and where it has
 *   a context, which may name a dot that only a node that is away knows.
 * - Sums (check_sums.c): an acknowledged read-modify-write must be in the value where no fault parts nodes
 *   that run; under sloppy quorums only if every one of the key that may have happened rests on homes.
 * - What acknowledgements rest on (sim/check_kept): rows that a fault destroyed, or whose disk is away,
 *   are forgiven.
 * - Tombstones and idle vector entries (sim/check_reaped) need be gone only after a calm time at the end.
 * - Where faults went beyond the promise nothing need be there and nothing need be gone. */
#ifndef RD_SIM_JUDGE_H
#define RD_SIM_JUDGE_H

#include "sim/losses.h"
#include "sim/plan.h"
#include "sim/world.h"

#define JUDGE_MAX_N 16
#define JUDGE_NEVER UINT64_MAX
#define JUDGE_PLENTY (1 << 20) /* bytes of hints that no run fills */

struct judged_write {
    const struct op *op;
    uint32_t w;            /* nodes its acknowledgement stands for */
    uint32_t homes;        /* those of them that are homes of the key */
    bool happened_maybe;   /* it may have been carried out */
    bool same_id;          /* another request wrote the same bytes */
    uint64_t removable_us; /* when the first that may have removed its value was asked; NEVER */
    uint64_t there_us[JUDGE_MAX_N +
                      1]; /* by w: since when w replicas surely have it or what replaced it */
    uint64_t gone_us[JUDGE_MAX_N + 1]; /* by w: since when w replicas surely know it is replaced */
};

struct judged_key {
    const struct blob *key;      /* borrowed */
    struct judged_write *writes; /* owned; in the order of asking */
    size_t write_count, write_cap;
    const struct op **reads; /* owned; those that succeeded */
    size_t read_count, read_cap;
};

struct judge_input { /* all borrowed */
    const struct plan *plan;
    uint32_t nodes;                /* of the cluster */
    const struct history *history; /* all that was asked before the final reading */
    const struct losses *losses;
};

struct judge {
    const struct plan *plan;
    const struct losses *losses;
    uint32_t nodes;          /* of the cluster */
    uint32_t n;              /* homes of a key */
    struct judged_key *keys; /* owned; plan->keys of them */
    uint32_t key_count;
    const struct op **flushes; /* owned: pages of FLUSH that may have deleted something */
    size_t flush_count, flush_cap;
    struct buf violation; /* empty: none; else the first, as text */
};

/* Works the history out. What is asked later does not count. Free with judge_free. */
void judge_init(struct judge *judge, const struct judge_input *input);

/* Frees all. */
void judge_free(struct judge *judge);

/* False if the request was answered that nothing was written. */
bool judge_maybe_happened(const struct op *op);

/* Replicas that a read's answer stands for. */
uint32_t judge_r(const struct judge *judge, const struct op *read);

/* How many replicas, at least, knew before `before_us` what `times` (there_us or gone_us of
 * `write`) dates, if a read of `r` replicas until `until_us` must meet one of them; 0: no such read
 * need meet any. */
uint32_t judge_known(const struct judge *judge, const struct judged_write *write,
                     const uint64_t *times, uint32_t r, uint64_t before_us, uint64_t until_us);

/* True if no clock of the run is ever wrong. */
bool judge_clocks_exact(const struct judge *judge);

/* Where the value of the write is in what a read returned; also true for a value without a number
 * if there is another such one. */
bool judge_shows(const struct object *object, const struct judged_write *write);

/* The first write that wrote, or may have written, the value with that number under the key; else one that was told it did not; NULL: nobody tried. */
const struct judged_write *judge_writer(const struct judged_key *key, uint64_t value_id);

/* Notes a violation, if it is the first. */
void judge_violated(struct judge *judge, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- the checkers, one file per promise ------------------------------------------------------ */

/* check_acknowledged.c, promise 1: `last`, a read of all replicas after the faults, shows every
 * acknowledged value that nothing can have removed. */
void check_acknowledged(struct judge *judge, const struct judged_key *key, const struct op *last);

/* check_quorum.c, promise 2: each read of R replicas shows what was acknowledged by W before it
 * began, if R+W>N, or something that replaced it. */
void check_quorum(struct judge *judge, const struct judged_key *key);

/* check_siblings.c, promises 4 and 5: no read shows a value that had surely been replaced or
 * deleted before, nor one that nobody wrote; vectors hold no more entries than there were writes.
 */
void check_siblings(struct judge *judge, const struct judged_key *key, const struct op *last);

/* check_sums.c: judges the sum under `key`, of which `last` is a read of all replicas after all has healed, by the first `ops` requests of the history: nothing
 * is in it twice or was never asked for; and if the plan keeps the network whole, all that was acknowledged is in it. Where a fallback may
 * have stood in for a home in one of them, what that home alone has may be lost. Returns false and fills `text` if not. */
bool check_sums(const struct plan *plan, const struct history *history, size_t ops,
                const struct blob *key, const struct op *last, char text[160]);

/* check_scan.c: each scan that went through returned every key that was there all the time, and none
 * that was surely gone. */
void check_scans(struct judge *judge, const struct history *history);

/* check_accepted.c, promise 6: no write with W=1 was told that there is no quorum, where sloppy quorums and working disks promise one. */
void check_accepted(struct judge *judge, const struct history *history);

/* check_identical.c, promise 3: the stores of all homes hold the same object under the key. */
void check_identical(struct judge *judge, struct world *world, const struct judged_key *key);

/* check_antientropy.c, promise 3 without a read: runs the world until anti-entropy has nothing more to do. Appends to `violation` (empty) if the
 * replicas differ then, or if another round is not idle. */
void check_antientropy(struct world *world, const struct plan *plan, struct buf *violation);

/* check_reaped.c, promises 4 and 5 in the stores: runs the world until the reaper has forgotten what is gone by all clocks. Appends to `violation` if
 * a tombstone, an expired value or a vector with entries of no use is left. Nothing is reaped any more afterwards. */
void check_reaped(struct world *world, const struct plan *plan, struct buf *violation);

#endif
