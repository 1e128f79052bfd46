/* The store: what a node keeps on disk, behind one small interface with two engines (SQLite, and memory with
 * crashes for the simulator).
 *
 * Calls never block for long and never call back: results are collected by store_poll. Reads and
 * commits are executed in the order of their submission, so a read sees every batch committed before it was asked, durable or not. Writes are
 * gathered in one open batch; store_commit makes it durable as a whole or not at all, and its completion
 * comes when it is as durable as the engine's mode says (`appendfsync`).
 *
 * Rows are typed by space. Objects are ordered by (slot, key, sub), so that a partition, a run of slots, is one contiguous range; `sub` is empty for a
 * string and leaves room for fields and members as rows of their own. The store never looks inside a value, but guards it with a checksum.
 *
 * Errors of a completion: RD_ENOTFOUND (get), RD_ECORRUPT (a damaged row: never served), RD_EFULL, RD_EIO, RD_ENOMEM,
 * RD_ETOOBIG (a row beyond what the engine can hold, 1 GB in SQLite).
 * After a failed commit nothing of the batch is in the store; the store goes on reading and tries again with the next commit.
 */
#ifndef RD_STORE_STORE_H
#define RD_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "store/types.h"

/* So many submissions can wait for store_poll without the store needing memory for it. With more of them waiting it allocates, and
 * aborts the process if there is none: an answer can be late, but never forgotten. Drivers poll before (store_pending). */
#define STORE_PENDING_RESERVED 1024

/* What store_poll calls. Blobs and rows are borrowed during the call. None may be NULL; they may submit new work, which a later
 * store_poll delivers. */
struct store_handler {
    void (*on_get)(void *arg, uint64_t token, enum rd_err err, struct blob *value);
    void (*on_commit)(void *arg, uint64_t token, enum rd_err err);
    /* `end`: the range is exhausted; else go on behind the last row. On an error of the scan as a whole count is 0. */
    void (*on_scan)(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                    size_t count, bool end);
};

struct store; /* opaque; made by store_sqlite_open or store_mem_new */

/* Asks for one row; on_get answers with `token`. */
void store_get(struct store *store, const struct store_key *at, uint64_t token);

/* Adds one row to the open batch; a later put of the same row in the batch replaces an earlier one. Error: RD_ENOMEM (the
 * batch is poisoned: its commit will fail with RD_ENOMEM). */
enum rd_err store_put(struct store *store, const struct store_put *put);

/* Closes the open batch and commits it (an empty one too); on_commit answers with `token`. After a failed commit an
 * empty one writes a little, so that a driver without other writes can find out that the disk takes them again. */
void store_commit(struct store *store, uint64_t token);

/* Asks for up to `max_rows` rows and about `max_bytes` of values of a range, in order of (slot, key, sub), behind `cursor`
 * (NULL: from the start). At least one row comes if there is one. */
void store_scan(struct store *store, const struct store_range *range,
                const struct store_cursor *cursor, size_t max_rows, size_t max_bytes,
                uint64_t token);

/* Asks for up to `max_rows` object rows and about `max_bytes` of values whose due_ms is in 1..before_ms, in order of (due_ms, slot, key,
 * sub), behind `cursor` (NULL: from the start); answered by on_scan. At least one row comes if there is one. */
void store_scan_due(struct store *store, uint64_t before_ms, const struct store_due_cursor *cursor,
                    size_t max_rows, size_t max_bytes, uint64_t token);

/* Delivers what is finished, at most `max` completions, and returns how many it delivered. Must not be called from a handler. */
size_t store_poll(struct store *store, const struct store_handler *handler, void *arg, size_t max);

/* How many completions wait, those that store_poll may not deliver yet included. */
size_t store_pending(const struct store *store);

/* A file descriptor that becomes readable when store_poll has something to deliver, or -1 if completions
 * are always ready when the submitting call has returned. */
int store_wake_fd(const struct store *store);

/* Reads a meta row now, for the start of a node. `*out`: a new reference. Errors: RD_ENOTFOUND, RD_ECORRUPT, RD_EIO, RD_ENOMEM. */
enum rd_err store_meta_get(struct store *store, const char *name, struct blob **out);

/* How many object rows of slots first..last are live, as of the last commit. O(slots). */
uint64_t store_live_count(const struct store *store, uint16_t first_slot, uint16_t last_slot);

/* The leaves of the Merkle trees, kept with the rows: STORE_LEAVES_PER_SLOT for each slot, so that those of a partition, a run of
 * slots, are contiguous whatever the number of partitions. A leaf is the exclusive or of store_leaf_share over its object rows: order-free,
 * changed by each commit in O(1) from the digests that the puts name, 0 if there are none. After any crash it is what a recount of
 * the rows gives, provided the puts told the truth. */

/* A leaf that no longer is the recount of its rows (they were lost or damaged behind the store's back) is set right by a put
 * without a value at STORE_LEAVES, its slot, and a key of STORE_LEAF_MEND_BYTES: the number of the leaf, and what is to be combined
 * with it, big-endian. Nothing is stored under such a key; twice the same correction in one batch counts once. */

/* Which leaf of its slot an object row belongs to, 0..STORE_LEAVES_PER_SLOT - 1. */
unsigned store_leaf_of(const struct store_key *at);

/* What an object row with this digest adds to its leaf; 0 for digest 0. */
uint64_t store_leaf_share(const struct store_key *at, uint64_t digest);

/* Copies the leaves of slots first..last, as of the last commit, to `out`: STORE_LEAVES_PER_SLOT for each, in order. */
void store_leaves(const struct store *store, uint16_t first_slot, uint16_t last_slot,
                  uint64_t *out);

/* Fills `out`. */
void store_stats(const struct store *store, struct store_stats *out);

/* Commits nothing more, waits for what was submitted, closes cleanly, frees and nulls. */
void store_close(struct store **store);

#endif
