/* The replica: this node's own copies, and the keys in flight (DESIGN section 1). A second one holds
 * the hints: copies kept for other nodes, each with what is owed to whom (replica_init_hints).
 *
 * Store reads and writes complete later, so the replica keeps, for each key somebody is busy with,
 * the newest object. Reads and merges go there first; what a turn of the driver changed is flushed
 * as one batch, one row per key, however many operations touched it. Who asked is answered when the
 * batch that holds what the answer rests on is durable.
 *
 *       (none) --load--> LOADING --store read--> HELD --replace/merge--> HELD, dirty --flush--> HELD, committing
 *                                                 ^                                                  |
 *                                                 +------------------ commit ok ---------------------+
 *       commit failed: every operation stacked on the key fails, the entry is read anew, the dots are burnt.
 *
 * Answers are not calls but data: the node takes them from the queue with replica_next and hands
 * them to whoever asked. An entry lives as long as somebody waits for it or an answer that names it
 * has not been taken.
 */
#ifndef RD_REPLICATION_REPLICA_H
#define RD_REPLICATION_REPLICA_H

#include "base/pool.h"
#include "replication/core.h"
#include "replication/hint_ledger.h"
#include "replication/member.h"

/* Who asked, and so where the answer goes. */
enum asker_kind {
    ASKER_NONE,     /* nobody: a repair */
    ASKER_REQUEST,  /* a request of this node: `id` is its id */
    ASKER_PEER,     /* `member` asked by frame; `id` and `round` are its own words */
    ASKER_EXCHANGE, /* an exchange of this node: `id` names the key */
    ASKER_REAP      /* this node's part in a round of reaping: `id` names the key */
};

struct asker {
    enum asker_kind kind;
    uint16_t member;
    uint64_t id;
    uint64_t round;
    uint64_t digest; /* ASKER_PEER that reads: of what it holds already; 0: unknown */
    bool repair;     /* a merge by anti-entropy: counted if it changes the copy */
    uint64_t epoch;  /* ASKER_PEER that writes: birth->epoch when the frame came */
};

enum replica_step {
    REPLICA_LOADED, /* replica_load: the newest object is at hand, durable or not */
    REPLICA_READ,   /* replica_read: the object, durable */
    REPLICA_STORED  /* replica_merge or replica_replace: durable, or failed */
};

struct replica_entry; /* a key in flight; opaque */

struct replica_answer {
    struct asker asker;
    enum replica_step step;
    enum rd_err
        err; /* RD_OK, RD_ENOTFOUND (LOADED, READ), RD_EIO, RD_EFULL, RD_ENOMEM, RD_ECORRUPT (READ) */
    uint32_t uncovered;          /* STORED: siblings kept beside those that were sent */
    struct version met;          /* STORED with something uncovered: the vector of the copy when the
                                  * write was merged into it. Borrowed like entry */
    struct replica_entry *entry; /* borrowed until the next replica_next */
};

/* So many damaged rows are remembered, roughly. */
#define REPLICA_LOST 1024 /* a power of two */

struct replica {
    struct core *core;                /* borrowed */
    struct hint_ledger *ledger;       /* borrowed; NULL: these are the node's own copies */
    uint8_t space;                    /* of its rows, as struct row_key says it */
    struct replica_entry **buckets;   /* by hash of the key; the entries are owned */
    uint32_t bucket_count;            /* a power of two, or 0 */
    struct replica_entry *loading;    /* list, in the order in which the store was asked */
    struct replica_entry *dirty;      /* list */
    struct replica_entry *committing; /* list: rows in batches that are not done */
    struct replica_answer *answers;   /* queue, owned */
    size_t answer_head, answer_count, answer_cap;
    struct version taken_met;    /* and its vector */
    struct replica_entry *taken; /* of the answer last taken */
    uint64_t next_token;         /* of store reads */
    uint64_t lost[REPLICA_LOST]; /* hashes of keys whose row is known to be damaged */
    uint64_t entry_count;
    struct pool spare_entries, spare_waiters;
};

/* Starts empty. Borrows core for its life. */
void replica_init(struct replica *replica, struct core *core);

/* The same for hints, which `ledger` (borrowed) counts. Its store tokens have REPLICA_HINT_TOKEN
 * set. */
void replica_init_hints(struct replica *replica, struct core *core, struct hint_ledger *ledger);
#define REPLICA_HINT_TOKEN (UINT64_C(1) << 63)

/* Frees all; nobody is answered any more. */
void replica_free(struct replica *replica);

/* Asks for the newest object of `key`, to be changed with replica_replace in the very step in
 * which the answer is taken. Errors: RD_ENOMEM: no answer will come. */
enum rd_err replica_load(struct replica *replica, struct blob *key, const struct asker *asker);

/* Asks for the durable object of `key`. Error: as replica_load. */
enum rd_err replica_read(struct replica *replica, struct blob *key, const struct asker *asker);

/* Merges `sent` (taken over, zeroed, also on error) into the copy of `key`. Error: as
 * replica_load. */
enum rd_err replica_merge(struct replica *replica, struct blob *key, struct object *sent,
                          const struct asker *asker);

/* Makes `next` (taken over, zeroed, also on error), a descendant of the object held, the newest
 * object of a loaded entry. An object equal to what is held is answered without a write once
 * that is durable. `row`: its encoding, if it is at hand (a reference is taken); else NULL. Error:
 * as replica_load, and nothing changed. */
enum rd_err replica_replace(struct replica *replica, struct replica_entry *entry,
                            struct object *next, struct blob *row, const struct asker *asker);

/* Hints: merges `sent` (as replica_merge) and owes it to those in `owed`. Also fails with RD_EOVERLOADED,
 * as the answer, if max-hints leaves no room. Error: as replica_load. */
enum rd_err replica_keep(struct replica *replica, struct blob *key, struct object *sent,
                         const struct hint_owed *owed, const struct asker *asker);

/* Hints: as replica_replace, with what is owed. Errors: RD_EOVERLOADED (no room), RD_ETOOBIG, RD_ENOMEM:
 * nothing changed. */
enum rd_err replica_replace_owing(struct replica *replica, struct replica_entry *entry,
                                  struct object *next, const struct hint_owed *owed,
                                  const struct asker *asker);

/* Hints: `target` has the object with that digest, durably: it is owed no longer, if the hint has
 * not changed since. A damaged row is erased. The row of a hint that is owed to nobody goes.
 * Error: as replica_load. */
enum rd_err replica_strike(struct replica *replica, struct blob *key, const struct node_id *target,
                           uint64_t digest);

/* Hints: what is owed with the object of a loaded entry. Borrowed until the next change. */
const struct hint_owed *replica_owed(const struct replica_entry *entry);

/* Makes `kept` (taken over, zeroed, also on error) the vector of the copy of `key`, or forgets the copy if `kept` is empty, if the copy
 * still has that digest (shrink_apply says what else must hold). The answer fails with RD_EREFUSED if it has not. This is no write: the key is
 * not touched (watched.h). Error: as replica_load. */
enum rd_err replica_shrink(struct replica *replica, struct blob *key, uint64_t digest,
                           struct version *kept, const struct asker *asker);

/* The newest object of a loaded entry; the empty object if the key was never written. Borrowed
 * until the next change. */
const struct object *replica_held(const struct replica_entry *entry);

/* Its digest. */
uint64_t replica_digest(const struct replica_entry *entry);

#ifdef RD_PLANTED_BUGS
/* The object as it was before the writes that are not durable yet. Borrowed until the next
 * change. */
const struct object *replica_durable(const struct replica_entry *entry);
#endif

/* A store read has finished; a token that nobody waits for any more is ignored. */
void replica_got(struct replica *replica, uint64_t token, enum rd_err err, struct blob *value);

/* True if there is something to flush. */
bool replica_dirty(const struct replica *replica);

/* Emits the rows of all dirty keys as part of the batch `batch` (numbers grow). Returns how
 * many. */
size_t replica_flush(struct replica *replica, uint64_t batch);

/* The batch has been committed, or has failed as a whole. */
void replica_stored(struct replica *replica, uint64_t batch, enum rd_err err);

/* Takes the next answer. Returns false if there is none. */
bool replica_next(struct replica *replica, struct replica_answer *out);

/* Asserts the invariants. */
void replica_check(const struct replica *replica);

#endif
