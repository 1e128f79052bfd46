/* The scrub: walks the rows of the partitions this node is a home of, slowly, slot after slot, and counts the leaves anew.
 *
 * It finds damaged rows, which nobody may have read for months (they are fetched from another replica), and leaves that are no longer what
 * their rows give (they are set right in the store), so that a tree that has drifted is healed instead of being repaired for ever. A slot
 * whose leaves move while it is being read is read again.
 */
#ifndef RD_REPLICATION_SCRUB_H
#define RD_REPLICATION_SCRUB_H

#include "replication/budget.h"
#include "replication/core.h"
#include "replication/placement.h"

#define SCRUB_LEAVES 16 /* at most, of a slot */
#define SCRUB_WANTED 64

struct scrub {
    struct core *core; /* all borrowed */
    struct placement *placement;
    struct budget *budget;
    bool busy;                     /* a scan is under way */
    uint64_t token;                /* of it */
    uint16_t slot;                 /* being read, or the next one */
    uint8_t tries;                 /* readings of this slot that were overtaken by writes */
    struct blob *after;            /* owned: the last key read; NULL: from the start */
    uint64_t before[SCRUB_LEAVES]; /* the leaves when its reading began */
    uint64_t counted[SCRUB_LEAVES];
    bool damaged[SCRUB_LEAVES];
    uint16_t wanted[SCRUB_WANTED]; /* slots to be counted before the walk goes on */
    uint32_t wanted_count;
    bool is_wanted;     /* the slot being read is one of them */
    uint16_t walk;      /* the slot at which the walk goes on */
    uint64_t next_us;   /* when to go on */
    uint16_t mend_slot; /* of the corrections that wait for the batch of this turn */
    uint32_t mends;     /* a bit for each leaf; 0: none */
    uint64_t changes[SCRUB_LEAVES];
    bool
        mending; /* a batch with corrections is under way: nothing is counted meanwhile, or they might be made twice */
    uint64_t mended;        /* leaves set right so far */
    struct blob *found[16]; /* damaged keys that nobody has taken yet; owned */
    uint32_t found_count;
};

/* Starts at the first slot. The pointers are set by the caller. */
void scrub_init(struct scrub *scrub, struct core *core);

/* Frees all. */
void scrub_free(struct scrub *scrub);

/* Goes on if it is time; to be called about each PEERS_TICK_US. */
void scrub_tick(struct scrub *scrub);

/* The slot's leaves are in doubt: they are counted soon. */
void scrub_want(struct scrub *scrub, uint16_t slot);

/* A page of a scan with SCAN_SCRUB. */
void scrub_scanned(struct scrub *scrub, uint64_t token, enum rd_err err,
                   const struct scanned_row *rows, size_t count, bool end);

/* True if corrections wait for the batch of this turn; emits them and returns how many; and that batch has ended. */
bool scrub_dirty(const struct scrub *scrub);
size_t scrub_flush(struct scrub *scrub);
void scrub_stored(struct scrub *scrub);

/* A key whose row was found damaged, or NULL: a reference, to be released by the caller. */
struct blob *scrub_take_damaged(struct scrub *scrub);

/* The digest of a scanned row; false if the row is damaged. `*digest` is 0 for a row of an empty object. */
bool scrub_digest(const struct scanned_row *row, uint64_t *digest);

#endif
