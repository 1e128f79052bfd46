/* The SQLite engine's own struct, shared by its files. */
#ifndef RD_STORE_SQLITE_ENGINE_H
#define RD_STORE_SQLITE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/cache.h"
#include "store/merger.h"
#include "store/store_engine.h"
#include "store/table.h"
#include "store/timing.h"

struct store_sqlite {
    struct store store; /* first */
    int lock_fd;
    char *dir;           /* owned */
    struct table writer; /* the merger's */
    struct table reader;
    struct merge_side sides[2];
    unsigned active; /* the side that takes commits */
    bool frozen;     /* the other side's memtable is still to be read */
    struct merger *merger;
    struct cache cache;
    enum store_fsync fsync;
    uint64_t seq; /* of the newest commit */
    struct buf record;
    uint64_t memtable_limit;
    uint64_t journal_limit;
    struct timing appends; /* in mode ALWAYS */
    /* Of the other side while it belongs to the merger. */
    uint64_t frozen_journal_bytes;
    uint64_t frozen_memory;
    uint64_t frozen_rows;
    /* Pacing, see sqlite_pace.c. */
    uint64_t last_commit_us;
    double debt_us;
    uint64_t delayed_us;
    bool salvaged;                   /* this start found the table marked as damaged */
    bool marked;                     /* this one has marked it */
    uint8_t damaged[SLOT_COUNT / 8]; /* a bit per slot in which engine_note_damage has counted */
};

/* The side that takes commits. */
static inline struct merge_side *engine_active(struct store_sqlite *engine) {
    return &engine->sides[engine->active];
}

/* The one that is empty, frozen, or being emptied. */
static inline struct merge_side *engine_other(struct store_sqlite *engine) {
    return &engine->sides[1 - engine->active];
}

/* The newest row in memory at `at`, whose row_hash is `hash`; NULL if there is none (the table may have one). */
static inline const struct mem_row *engine_find(struct store_sqlite *engine,
                                                const struct store_key *at, uint64_t hash) {
    const struct mem_row *row = memtable_find(&engine_active(engine)->mem, at, hash);
    if (row == NULL && engine->frozen) {
        row = memtable_find(&engine_other(engine)->mem, at, hash);
    }
    return row;
}

/* As store_ops. */
enum rd_err engine_scan(struct store *store, const struct store_range *range,
                        const struct store_key *behind, size_t max_rows, size_t max_bytes,
                        struct page *page);

/* As store_ops. */
enum rd_err engine_scan_due(struct store *store, uint64_t before_ms, const struct store_due *behind,
                            size_t max_rows, size_t max_bytes, struct page *page);

/* Sleeps a little if commits are so fast that the active memtable would be full before the other one is merged. `bytes`: of the
 * commit that was just made. */
void engine_pace(struct store_sqlite *engine, uint64_t bytes);

/* An object row of a slot turned out to be damaged. What it says of itself is lost, so the slot's live keys and leaves are counted anew without it, once: the
 * leaves then say to other replicas that something is missing, and the row that comes in its place counts as a new one. As long
 * as a page of the slot cannot be read nothing is changed. O(rows of the slot). */
void engine_note_damage(struct store_sqlite *engine, uint16_t slot);

/* If `err`, of reading or merging the table, says that a page of it is damaged: marks it, so that the next start writes it anew. */
void engine_note_error(struct store_sqlite *engine, enum rd_err err);

/* The same as engine_note_damage for the damaged rows of a page of objects. */
void engine_note_damaged_rows(struct store_sqlite *engine, const struct page *page);

/* Takes note of what the merger has finished. */
void engine_settle(struct store_sqlite *engine);

/* Which rows of the journals count, and in what order. */
struct recovery {
    uint64_t merged;            /* the newest commit in the table */
    uint64_t first[2], last[2]; /* of each journal; first > last: none */
    bool reset[2];              /* its rows do not count: it must be emptied before use */
    unsigned older;
    uint64_t dropped; /* commits behind a gap that a power failure left */
};

/* Looks at the journals. Errors: RD_ECORRUPT (commits that were on disk are missing), as journal_bounds. */
enum rd_err recovery_plan(struct journal *journals[2], uint64_t merged, struct recovery *out);

/* Replays one journal into `mem` and into the counts and leaves of `store`. Errors: RD_ECORRUPT, RD_ENOMEM, as journal_each. */
enum rd_err recovery_replay(const struct recovery *plan, unsigned index, struct journal *journal,
                            struct memtable *mem, struct store *store);

/* Loads counts and leaves as of the last merge into a fresh `store`. Errors as table_slots. */
enum rd_err recovery_counts(struct table *table, struct store *store);

#endif
