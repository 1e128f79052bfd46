/* What goes in and out of a store: addresses, rows, ranges, modes, counters; see store.h. */
#ifndef RD_STORE_TYPES_H
#define RD_STORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"

enum store_space {
    STORE_OBJECTS = 0, /* (slot, key, sub) -> object */
    STORE_HINTS = 1,   /* (slot, key, sub) -> merged object and targets owed */
    STORE_META = 2,    /* key -> node id, birth certificate, members ... ; slot 0, no sub */
    STORE_LEAVES = 3,  /* nothing: only corrections of leaves are put there, see store.h */
    STORE_SPACES
};

/* The limits of a row; above them is a programmer's error, since clients' sizes were checked before. */
#define STORE_MAX_KEY_BYTES (512u * 1024 * 1024)

/* How many leaves of Merkle trees each slot has. */
#define STORE_LEAVES_PER_SLOT 16

/* The key of a leaf's correction: see store.h. */
#define STORE_LEAF_MEND_BYTES 9

/* Room for a sentence that says why something failed. */
#define STORE_REASON_BYTES 256

/* When a commit counts as done: Redis's `appendfsync`. */
enum store_fsync {
    STORE_FSYNC_ALWAYS = 0, /* on disk before its completion comes */
    STORE_FSYNC_EVERYSEC,   /* handed to the system; on disk about a second later */
    STORE_FSYNC_NO          /* handed to the system */
};

struct store_key {
    enum store_space space;
    uint16_t slot;
    const void *key; /* borrowed */
    size_t key_len;
    const void *sub; /* borrowed; NULL if sub_len is 0 */
    size_t sub_len;
};

/* One row of a batch: put, or erase if value is NULL. */
struct store_put {
    struct store_key at; /* copied */
    struct blob *value;  /* one reference is taken by the store itself; NULL erases the row */
    uint64_t old_digest; /* objects: of what the row held before; 0: nothing */
    uint64_t new_digest; /* objects: of what it holds now; 0: nothing */
    uint64_t
        due_ms; /* objects: wall ms at which store_scan_due finds it; 0: never; above INT64_MAX counts as that */
    bool was_live,
        is_live; /* objects: a key a reader would see, before and now: what store_live_count counts */
};

/* One row of a scan; valid during the store_on_scan call. */
struct store_row {
    uint16_t slot;
    const void *key;
    size_t key_len;
    const void *sub;
    size_t sub_len;
    struct blob *value; /* borrowed; NULL if damaged (err says so) */
    enum rd_err err;    /* RD_OK or RD_ECORRUPT */
    bool is_live;
    uint64_t due_ms;
};

/* Where a scan goes on: behind this row. Zeroed (and key NULL): from the start of the range. */
struct store_cursor {
    uint16_t slot;
    const void *key; /* borrowed during store_scan */
    size_t key_len;
    const void *sub;
    size_t sub_len;
};

/* Where a scan of due rows goes on: behind the row of that due time and address. */
struct store_due_cursor {
    uint64_t due_ms;
    struct store_cursor at; /* with a key */
};

struct store_range {
    enum store_space space;
    uint16_t first_slot, last_slot; /* both included */
};

struct store_stats {
    uint64_t gets, puts, commits, commit_errors, corrupt_rows;
    uint64_t live_keys; /* all slots together */
    uint64_t bytes_on_disk;
    bool writable; /* false after a failed commit, until one succeeds */

    /* Of the engine; 0 where it has no such thing. */
    uint64_t journal_bytes;  /* written since they were empty, both together */
    uint64_t memtable_bytes; /* all memory of both */
    uint64_t memtable_rows;
    uint64_t cache_bytes; /* all memory of the object cache */
    uint64_t cache_hits, cache_misses;
    uint64_t merges;        /* finished */
    uint64_t merge_last_ms; /* how long the last one took */
    uint64_t merge_rows;    /* merged since the start */
    uint64_t merge_errors;  /* attempts that failed */
    uint64_t
        fsync_p99_us; /* of the last some thousand commits in mode ALWAYS, else of the syncs each second */
    uint64_t delayed_us; /* slept by commits, because the merge was behind */
};

#endif
