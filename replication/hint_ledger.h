/* The ledger of hints: how many are owed to whom, how many bytes they take, and whether there is
 * room for more (max-hints).
 *
 * Rows are the truth; the ledger follows their changes and is made anew by passes over all of them
 * (hints.h), the first at the start of the process. So it may be wrong for a while after a start
 * or a failed commit, but says "nothing is owed" only of a target of which a whole pass has met
 * no row.
 */
#ifndef RD_REPLICATION_HINT_LEDGER_H
#define RD_REPLICATION_HINT_LEDGER_H

#include "replication/core.h"
#include "replication/hint.h"

struct hint_sum {
    uint64_t count, bytes;
    uint64_t oldest_ms; /* wall clock; 0: none */
};

struct hint_target {
    struct node_id id;
    struct hint_sum sum;  /* of the rows that owe it */
    struct hint_sum pass; /* the same as the pass under way has counted it so far */
    bool owed;            /* it may be owed something */
    bool met;             /* the pass has met a row for it, or one was added meanwhile */
    bool behind;          /* something that it missed was not kept: only an exchange can mend it */
};

struct hint_ledger {
    struct core *core;           /* borrowed */
    struct hint_target *targets; /* owned; each node that was ever owed something */
    size_t target_count, target_cap;
    uint64_t rows, bytes;           /* of all rows */
    uint64_t pass_rows, pass_bytes; /* as the pass under way has counted them so far */
    bool counted;                   /* a pass has been completed since the start */
    bool wrong;                     /* a commit has failed: a pass must count anew */
    bool passing;                   /* a pass is under way */
    uint16_t passed_slot;           /* it has counted the rows up to here */
    struct blob *passed_key;        /* owned; NULL: none yet */
};

/* Starts empty. Borrows core for its life. */
void hint_ledger_init(struct hint_ledger *ledger, struct core *core);

/* Frees all. */
void hint_ledger_free(struct hint_ledger *ledger);

/* The entry of `id`, or NULL. Borrowed until the next hint_ledger_reserve. */
struct hint_target *hint_ledger_find(const struct hint_ledger *ledger, const struct node_id *id);

/* Makes sure that all of `owed` have entries. Error: RD_ENOMEM. */
enum rd_err hint_ledger_reserve(struct hint_ledger *ledger, const struct hint_owed *owed);

/* True if the rows may grow by `bytes`. Hints on which no acknowledgement rests leave an eighth of
 * max-hints to those that must be kept. */
bool hint_ledger_has_room(const struct hint_ledger *ledger, bool must, uint64_t bytes);

/* A row has become another: `before` with its bytes (0: there was none) `after` with its own (0:
 * it is erased). All of `after` are reserved. */
void hint_ledger_change(struct hint_ledger *ledger, uint16_t slot, const struct blob *key,
                        const struct hint_owed *before, uint64_t bytes_before,
                        const struct hint_owed *after, uint64_t bytes_after);

/* Something that `owed` names was not kept: counts it, and marks the targets. */
void hint_ledger_dropped(struct hint_ledger *ledger, const struct hint_owed *owed);

/* The same for all targets, known or not: a row was damaged and nobody knows what it said. */
void hint_ledger_lost_row(struct hint_ledger *ledger);

/* ---- passes -------------------------------------------------------------------------------------- */

/* Begins to count anew. */
void hint_ledger_begin(struct hint_ledger *ledger);

/* Takes up the next row of the pass; 0 bytes: one that is of no use, and not counted. Error:
 * RD_ENOMEM, and it counts as not met. */
enum rd_err hint_ledger_meet(struct hint_ledger *ledger, uint16_t slot, struct resp_slice key,
                             const struct hint_owed *owed, uint64_t bytes);

/* The pass is given up; another has to count anew. */
void hint_ledger_give_up(struct hint_ledger *ledger);

/* All rows have been met: what was counted holds from now on. */
void hint_ledger_end(struct hint_ledger *ledger);

#endif
