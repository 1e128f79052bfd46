/* What the engines share: the open batch, the queue of completions, the counts of live keys.
 *
 * Both engines of today do their work inside the call that asks for it: an engine's function returns the result, store.c
 * queues it, store_poll delivers it. `struct store` is the first member of the engine's own struct.
 */
#ifndef RD_STORE_STORE_ENGINE_H
#define RD_STORE_STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replication/slot.h"
#include "store/batch.h"
#include "store/page.h"
#include "store/types.h"

struct store;

/* What an engine does. Outputs are untouched on error. */
struct store_ops {
    /* One row: a new reference. RD_ENOTFOUND, RD_ECORRUPT, RD_EIO, RD_ENOMEM. */
    enum rd_err (*get)(struct store *store, const struct store_key *at, struct blob **out);
    /* All rows of a batch or none; `batch` stays the caller's. `probe`: write something even if the batch is empty. */
    enum rd_err (*commit)(struct store *store, const struct batch *batch, bool probe);
    /* Fills an empty page, behind `behind` (NULL: from the start), at least one row if there is one. On error
     * the page holds whatever it holds. */
    enum rd_err (*scan)(struct store *store, const struct store_range *range,
                        const struct store_key *behind, size_t max_rows, size_t max_bytes,
                        struct page *page);
    enum rd_err (*scan_due)(struct store *store, uint64_t before_ms, const struct store_due *behind,
                            size_t max_rows, size_t max_bytes, struct page *page);
    /* Fills in what the engine alone knows. */
    void (*stats)(const struct store *store, struct store_stats *out);
    void (*close)(struct store *store); /* frees the engine's struct */
};

enum completion_kind { COMPLETION_GET, COMPLETION_COMMIT, COMPLETION_SCAN };

struct completion {
    enum completion_kind kind;
    enum rd_err err;
    uint64_t token;
    union {
        struct blob *value; /* GET: owned; NULL on error */
        uint64_t commit;    /* COMMIT: its number, counted from 1 by stats.commits; 0 on error */
        struct page *page;  /* SCAN: owned; NULL on error */
    };
};

struct store {
    uint32_t magic;
    const struct store_ops *ops;
    struct batch batch;
    struct completion
        *ring; /* owned; `ring_cap` entries, a power of two; the oldest at ring_head */
    size_t ring_cap;
    size_t ring_head;
    size_t ring_count;
    bool hold;   /* new completions wait until the engine lets them go */
    size_t held; /* so many of the newest wait */
    bool polling;
    struct store_stats stats; /* what is counted here; the engine fills in the rest */
    uint32_t live[SLOT_COUNT];
    uint64_t *leaves; /* owned; STORE_LEAVES_PER_SLOT for each slot */
};

/* Prepares the shared part of a zeroed engine struct. Error: RD_ENOMEM. */
enum rd_err store_init(struct store *store, const struct store_ops *ops);

/* Frees the shared part: undelivered completions, the batch. */
void store_fini(struct store *store);

/* Drops what was not delivered and not committed, as a crash does. */
void store_forget(struct store *store);

/* The i-th waiting completion, the oldest first; asserts i < ring_count. */
const struct completion *store_waiting(const struct store *store, size_t i);

/* Sets all counts of live keys and all leaves to 0. */
void store_counts_reset(struct store *store);

/* Adds to the live keys of one slot: for engines that count their rows. */
void store_live_add(struct store *store, uint16_t slot, uint32_t count);

/* If `at` is the address of a leaf's correction (see store.h), carries it out and returns true. */
bool store_leaf_mend(struct store *store, const struct store_key *at);

/* An object row changed: what a commit does to counts and leaves. `hash`: row_hash of `at`. The live keys of a slot never
 * fall below 0. */
void store_counts_change(struct store *store, const struct store_key *at, uint64_t hash,
                         bool was_live, bool is_live, uint64_t old_digest, uint64_t new_digest);

#endif
