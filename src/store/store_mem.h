/* The memory engine: the store of the simulator and of tests. It keeps rows sorted in memory, is exact in what
 * store.h says, and can do what disks do: be slow, fail, forget what was not synced, lose or damage a row.
 *
 * Every commit that succeeds gets a place in one order. The first so many are durable: a crash keeps them. When a commit
 * becomes durable depends on the mode (store_mem_set_fsync) and on holding (store_mem_hold):
 *
 *                        not held                         held
 *   ALWAYS (default)     at once                          at store_mem_sync, or when its completion is released
 *   EVERYSEC, NO         at store_mem_sync                at store_mem_sync
 *
 * It is deterministic: the same calls give the same answers. All functions here take a store made by store_mem_new.
 */
#ifndef RD_STORE_STORE_MEM_H
#define RD_STORE_STORE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

/* Makes an empty store, to be closed with store_close. Error: RD_ENOMEM. */
enum rd_err store_mem_new(struct store **out);

/* Sets when commits become durable; see above. Commits made before stay as they are. */
void store_mem_set_fsync(struct store *store, enum store_fsync mode);

/* Begins or ends holding. While it lasts, completions of new submissions wait, and store_poll does not deliver them;
 * ending it releases them all. */
void store_mem_hold(struct store *store, bool hold);

/* How many completions are held. */
size_t store_mem_held(const struct store *store);

/* Releases the oldest `count` held completions (SIZE_MAX: all) for store_poll. A commit released in mode ALWAYS is
 * durable from then on, and all before it. */
void store_mem_release(struct store *store, size_t count);

/* How many commits are not yet durable. */
size_t store_mem_unsynced(const struct store *store);

/* Makes the oldest `count` commits that are not yet durable so (SIZE_MAX: all). */
void store_mem_sync(struct store *store, size_t count);

/* A crash and a new start: of the commits not yet durable the oldest `keep_commits` stay (0: the worst power failure, SIZE_MAX: only the
 * process died), the others never happened; the open batch and all completions are forgotten. What is left is durable.
 * Holding, the mode and set faults stay. Must not be called from a handler of store_poll. */
void store_mem_crash(struct store *store, size_t keep_commits);

enum store_mem_op {
    STORE_MEM_GET,    /* store_get, store_meta_get */
    STORE_MEM_SCAN,   /* store_scan, store_scan_due */
    STORE_MEM_COMMIT, /* store_commit; nothing of the batch is kept */
    STORE_MEM_SYNC, /* the same, but the rows were written and only their sync has failed: the next crash that keeps everything
                         finds them, unless a commit has succeeded before */
    STORE_MEM_OPS
};

/* Makes the next `count` operations of that kind fail with `err` (UINT64_MAX: until further notice; 0: no
 * more). */
void store_mem_fail(struct store *store, enum store_mem_op op, enum rd_err err, uint64_t count);

/* How many rows crashes have found that a commit had failed to sync. */
uint64_t store_mem_found_unsure(const struct store *store);

/* The row is gone, as if it had never been written, whatever was synced. Returns false if there was none. */
bool store_mem_erase_row(struct store *store, const struct store_key *at);

/* The row is damaged until it is written again: reads of it give RD_ECORRUPT. Returns false if there is none. */
bool store_mem_corrupt_row(struct store *store, const struct store_key *at);

/* All rows at once, apart from any store: a backup. */
struct store_mem_image;

/* Copies the rows as a reader sees them now, durable or not. Free with store_mem_image_free. Error: RD_ENOMEM. */
enum rd_err store_mem_snapshot(const struct store *store, struct store_mem_image **out);

/* Puts a copy of the image in place of all rows, durable at once; the open batch and all completions are forgotten, as in a
 * crash. The image stays the caller's and may be used again. Error: RD_ENOMEM, with nothing changed. */
enum rd_err store_mem_restore(struct store *store, const struct store_mem_image *image);

/* Frees and nulls. */
void store_mem_image_free(struct store_mem_image **image);

/* An empty disk: like store_mem_restore of an empty image, and cannot fail. */
void store_mem_wipe(struct store *store);

/* Calls `each` for every row in order of (space, slot, key, sub), damaged ones with err RD_ECORRUPT, without a completion: for checkers.
 * The row is borrowed during the call; the store must not be changed meanwhile. */
void store_mem_each(const struct store *store,
                    void (*each)(void *arg, enum store_space space, const struct store_row *row),
                    void *arg);

/* Asserts the engine's invariants. */
void store_mem_check(const struct store *store);

#endif
