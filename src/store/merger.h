/* The merger: a thread that brings a frozen memtable into the main table and then empties its journal.
 *
 * A side is a memtable and the journal that holds the same commits. The engine's thread owns a side until merger_begin, and
 * again when the state is IDLE; while it is RUNNING or DONE both may read its memtable.
 *
 *     IDLE --merger_begin--> RUNNING --merged, durable--> DONE --merger_let_go--> CLEARING --> IDLE
 *
 * What fails is tried again, from the start of the step, until it succeeds.
 */
#ifndef RD_STORE_MERGER_H
#define RD_STORE_MERGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/journal.h"
#include "store/memtable.h"
#include "store/table.h"

struct merge_side {
    struct memtable mem;
    struct journal journal;
    uint64_t last_seq; /* of the newest commit in it */
    /* As of the freeze, for the slots with rows in `mem`; of others anything: */
    uint32_t *live;   /* owned; SLOT_COUNT */
    uint64_t *leaves; /* owned; STORE_LEAVES_PER_SLOT for each slot */
};

enum merge_state { MERGE_IDLE, MERGE_RUNNING, MERGE_DONE, MERGE_CLEARING };

struct merger_stats {
    uint64_t merges, rows, errors, last_ms;
};

struct merger;

/* Starts the thread, idle. `table`, a writer, is borrowed and belongs to the thread until merger_free. `keep_bytes`: memory that a cleared
 * memtable keeps. `rows_per_transaction`: 0: a default. Error: RD_ENOMEM. */
enum rd_err merger_new(struct table *table, uint64_t keep_bytes, size_t rows_per_transaction,
                       struct merger **out);

/* Stops the thread, after the step it is in; what is not merged stays in its journal. Frees and nulls; NULL is fine. */
void merger_free(struct merger **merger);

/* Hands `side` over to be merged. Asserts that the state is IDLE. */
void merger_begin(struct merger *merger, struct merge_side *side);

/* The state now. What the thread did before it became DONE or IDLE is visible. */
enum merge_state merger_state(struct merger *merger);

/* The engine will not look at the side's memtable any more. Asserts that the state is DONE. */
void merger_let_go(struct merger *merger);

/* What the last attempt failed with; RD_OK if it did not. */
enum rd_err merger_trouble(struct merger *merger);

/* Has a failed attempt tried again at once, and waits until the state changes or an attempt has failed, at most
 * `timeout_us`. */
void merger_wait(struct merger *merger, uint64_t timeout_us);

/* How much of the running merge is done, 0 to 1, and since when it runs (timing_now_us). */
double merger_progress(struct merger *merger, uint64_t *since_us);

/* Fills `out`. */
void merger_stats(struct merger *merger, struct merger_stats *out);

#endif
