/* The SQLite engine; see store_sqlite.h and doc/storage.md.
 *
 * A side is a memtable and the journal that holds the same commits (merger.h). One side is active; the other one is empty, or frozen and
 * being merged, or being emptied.
 *
 * 1. A commit is in the active journal before it is in the active memtable; all memory it takes there is reserved before.
 * 2. Reading in the order active memtable, frozen memtable, cache, table finds the newest committed row. The frozen
 *    memtable is let go only after the table has all of it.
 * 3. A value in the cache is the newest committed one.
 * 4. Counts and leaves handed to the merger are those as of the freeze: a freeze comes between two commits.
 * 5. What a commit wrote is on disk when it returns (ALWAYS), or the journal's wal_sync knows of it.
 * 6. After a failed fdatasync no commit succeeds until all that it was to cover has been merged: the other way to the disk.
 * 7. Files are opened in the order table, journals: a folder that is refused stays as it is.
 */
#include "store/store_sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/record.h"
#include "store/sqlite_engine.h"

#define MEMTABLE_BYTES ((uint64_t)128 << 20)
#define JOURNAL_BYTES ((uint64_t)16 << 20)
#define JOURNAL_PER_MEMTABLE 4 /* a small commit takes a page of the journal */
#define KEEP_RECORD_BYTES ((size_t)4 << 20)
#define TROUBLE_WAIT_US 100000
#define SLOW_WAIT_US 30000
#define FAR_BEYOND 2

static const struct store_ops sqlite_ops;

static struct store_sqlite *engine_of(struct store *store) {
    assert(store->ops == &sqlite_ops);
    return (struct store_sqlite *)store;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static enum rd_err sqlite_get(struct store *store, const struct store_key *at, struct blob **out) {
    struct store_sqlite *engine = engine_of(store);
    uint64_t hash = row_hash(at);
    engine_settle(engine);
    const struct mem_row *row = engine_find(engine, at, hash);
    if (row != NULL) {
        return row->value == NULL ? RD_ENOTFOUND
                                  : blob_new(row->value->bytes, row->value->len, out);
    }
    struct blob *cached = cache_get(&engine->cache, at, hash);
    if (cached != NULL) {
        *out = blob_ref(cached);
        return RD_OK;
    }
    struct blob *value;
    enum rd_err err = table_get(&engine->reader, at, &value);
    if (err == RD_OK) {
        cache_add(&engine->cache, at, hash, value);
        *out = value;
    } else if (err == RD_ECORRUPT && at->space == STORE_OBJECTS) {
        engine_note_damage(engine, at->slot);
    }
    return err;
}

/* ---- sides ----------------------------------------------------------------------------------------- */

static bool over_limit(struct store_sqlite *engine) {
    const struct merge_side *side = engine_active(engine);
    return side->mem.used_bytes >= engine->memtable_limit ||
           side->journal.wal_bytes >= engine->journal_limit;
}

/* Invariant 4. All of them are 2 MB, which is felt when memtables are small. */
static void note_counts(const struct store_sqlite *engine, struct merge_side *side) {
    enum store_space space;
    uint16_t slot;
    for (size_t i = 0; memtable_used(&side->mem, i, &space, &slot); i++) {
        size_t first = (size_t)slot * STORE_LEAVES_PER_SLOT;
        side->live[slot] = engine->store.live[slot];
        memcpy(side->leaves + first, engine->store.leaves + first,
               STORE_LEAVES_PER_SLOT * sizeof *side->leaves);
    }
    side->last_seq = engine->seq;
}

/* The side is the merger's from now on. */
static void hand_over(struct store_sqlite *engine) {
    struct merge_side *side = engine_other(engine);
    engine->frozen_journal_bytes = side->journal.wal_bytes;
    engine->frozen_memory = memtable_memory(&side->mem);
    engine->frozen_rows = side->mem.count;
    engine->frozen = true;
    merger_begin(engine->merger, side);
}

/* Switches to the other side, which must be empty, and has the active one merged. */
static enum rd_err rotate(struct store_sqlite *engine) {
    assert(!engine->frozen && merger_state(engine->merger) == MERGE_IDLE);
    enum rd_err err =
        journal_set_full(&engine_other(engine)->journal, engine->fsync == STORE_FSYNC_ALWAYS);
    if (err == RD_OK) {
        note_counts(engine, engine_active(engine));
        engine->active = 1 - engine->active;
        hand_over(engine);
    }
    return err;
}

/* Waits until the other side is empty, at most so long. An attempt of the merger that fails is tried once more, since the first one may have
 * begun before what was in its way went. */
static bool await_idle(struct store_sqlite *engine, uint64_t timeout_us) {
    uint64_t until = timing_now_us() + timeout_us;
    unsigned failures = 0;
    engine_settle(engine);
    while (merger_state(engine->merger) != MERGE_IDLE) {
        uint64_t now = timing_now_us();
        if (now >= until || failures == 2) {
            return false;
        }
        merger_wait(engine->merger, until - now);
        failures += merger_trouble(engine->merger) != RD_OK;
        engine_settle(engine);
    }
    return true;
}

/* Rotates if the other side is empty; else has a failing merge tried again and waits a little for it. `*rotated`: it
 * was, now or in the end. */
static enum rd_err try_rotate(struct store_sqlite *engine, uint64_t timeout_us, bool *rotated) {
    *rotated = false;
    if (!await_idle(engine, timeout_us)) {
        return merger_trouble(engine->merger);
    }
    enum rd_err err = rotate(engine);
    *rotated = err == RD_OK;
    return err;
}

/* Invariant 6. The journal of a frozen side is merged anyway; the active one is now, too. */
static enum rd_err heal_sync(struct store_sqlite *engine) {
    bool rotated;
    if (!wal_sync_failed(engine->sides[0].journal.sync) &&
        !wal_sync_failed(engine->sides[1].journal.sync)) {
        return RD_OK;
    }
    if (wal_sync_failed(engine_active(engine)->journal.sync)) {
        enum rd_err err = try_rotate(engine, TROUBLE_WAIT_US, &rotated);
        if (err != RD_OK || !rotated) {
            return err == RD_OK ? RD_EIO : err;
        }
    }
    if (!await_idle(engine, TROUBLE_WAIT_US)) {
        enum rd_err err = merger_trouble(engine->merger);
        return err == RD_OK ? RD_EIO : err;
    }
    return RD_OK;
}

/* Sees to it that the active side may take another commit. A merge that is merely slow is no reason to refuse: see sqlite_pace.c. */
static enum rd_err make_way(struct store_sqlite *engine) {
    bool rotated;
    table_let_go(&engine->reader);
    engine_settle(engine);
    enum rd_err err = heal_sync(engine);
    if (err != RD_OK || !over_limit(engine)) {
        return err;
    }
    if (merger_state(engine->merger) == MERGE_IDLE) {
        return rotate(engine);
    }
    if (merger_trouble(engine->merger) != RD_OK) {
        engine_note_error(engine, merger_trouble(engine->merger));
        return try_rotate(engine, TROUBLE_WAIT_US, &rotated);
    }
    if (engine_active(engine)->mem.used_bytes > FAR_BEYOND * engine->memtable_limit) {
        (void)try_rotate(engine, SLOW_WAIT_US, &rotated); /* pacing was not enough */
    }
    return RD_OK;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static enum rd_err reserve(struct store_sqlite *engine, const struct batch *batch) {
    size_t bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_row *row = &batch->rows[i];
        bytes += memtable_room(row->at.key_len, row->at.sub_len,
                               row->now.value == NULL ? 0 : row->now.value->len);
    }
    return batch->count == 0 ? RD_OK : memtable_reserve(&engine_active(engine)->mem, bytes);
}

static enum rd_err append(struct store_sqlite *engine, const struct batch *batch) {
    bool full = engine->fsync == STORE_FSYNC_ALWAYS;
    enum rd_err err = record_encode(batch, full ? RECORD_SYNCED : 0, &engine->record);
    if (err == RD_OK) {
        uint64_t began = timing_now_us();
        err = journal_append(&engine_active(engine)->journal, engine->seq + 1,
                             buf_data(&engine->record), buf_len(&engine->record), full);
        if (full) {
            timing_add(&engine->appends, timing_now_us() - began);
        }
    }
    buf_reset(&engine->record, KEEP_RECORD_BYTES);
    return err;
}

/* What was committed, where reads look first. */
static void remember(struct store_sqlite *engine, const struct batch *batch) {
    struct memtable *mem = &engine_active(engine)->mem;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_row *row = &batch->rows[i];
        if (i + MEMTABLE_FETCH_AHEAD < batch->count) {
            const struct batch_row *ahead = row + MEMTABLE_FETCH_AHEAD;
            memtable_fetch_bucket(mem, &ahead->at, ahead->hash);
        }
        if (i + MEMTABLE_FETCH_AHEAD / 2 < batch->count) {
            memtable_fetch_row(mem, row[MEMTABLE_FETCH_AHEAD / 2].hash);
        }
        struct mem_put put = record_put(row);
        memtable_put(mem, &put);
        cache_update(&engine->cache, &row->at, row->hash, row->now.value);
    }
}

static enum rd_err sqlite_commit(struct store *store, const struct batch *batch, bool probe) {
    struct store_sqlite *engine = engine_of(store);
    enum rd_err err = make_way(engine);
    if (err != RD_OK || (batch->count == 0 && !probe)) {
        return err;
    }
    err = reserve(engine, batch);
    if (err == RD_OK) {
        err = append(engine, batch);
    }
    if (err != RD_OK) {
        return err;
    }
    engine->seq++;
    uint64_t before = engine_active(engine)->mem.used_bytes;
    remember(engine, batch);
    engine_pace(engine, engine_active(engine)->mem.used_bytes - before);
    return RD_OK;
}

/* ---- durability ------------------------------------------------------------------------------------ */

enum rd_err store_sqlite_set_fsync(struct store *store, enum store_fsync mode) {
    struct store_sqlite *engine = engine_of(store);
    enum rd_err err = RD_OK;
    engine_settle(engine);
    if (mode == STORE_FSYNC_ALWAYS && engine->fsync != STORE_FSYNC_ALWAYS) {
        err = journal_sync(&engine_active(engine)->journal);
        if (err == RD_OK &&
            engine->frozen) { /* its journal is the merger's; the sync is anyone's */
            err = wal_sync_now(engine_other(engine)->journal.sync);
        }
    }
    if (err == RD_OK) {
        err = journal_set_full(&engine_active(engine)->journal, mode == STORE_FSYNC_ALWAYS);
    }
    if (err != RD_OK) {
        return err;
    }
    engine->fsync = mode;
    for (int i = 0; i < 2; i++) {
        wal_sync_enable(engine->sides[i].journal.sync, mode == STORE_FSYNC_EVERYSEC);
    }
    return RD_OK;
}

/* Has all that was committed merged, and waits for it. */
static enum rd_err merge_all(struct store_sqlite *engine) {
    bool rotated = false;
    table_let_go(&engine->reader);
    for (;;) {
        engine_settle(engine);
        if (merger_state(engine->merger) == MERGE_IDLE) {
            if (engine_active(engine)->journal.empty) {
                return RD_OK;
            }
            enum rd_err err = try_rotate(engine, 0, &rotated);
            if (err != RD_OK) {
                return err;
            }
        }
        merger_wait(engine->merger, 10 * 1000000);
        if (merger_trouble(engine->merger) != RD_OK) {
            return merger_trouble(engine->merger);
        }
    }
}

enum rd_err store_sqlite_merge(struct store *store) {
    return merge_all(engine_of(store));
}

/* ---- closing --------------------------------------------------------------------------------------- */

static void sqlite_close(struct store *store) {
    struct store_sqlite *engine = engine_of(store);
    if (engine->merger != NULL) { /* what cannot be merged is safe in the journals */
        engine_note_error(engine, merge_all(engine));
    }
    merger_free(&engine->merger);
    for (int i = 0; i < 2; i++) {
        struct merge_side *side = &engine->sides[i];
        journal_close(&side->journal);
        memtable_free(&side->mem);
        free(side->live);
        free(side->leaves);
    }
    table_close(&engine->reader);
    table_close(&engine->writer); /* the last one copies the WAL back and removes it */
    cache_free(&engine->cache);
    buf_free(&engine->record);
    if (engine->lock_fd >= 0) {
        close(engine->lock_fd);
    }
    free(engine->dir);
    store_fini(store);
    free(engine);
}

/* ---- opening --------------------------------------------------------------------------------------- */

/* Rows in memory are found by hashes; equal ones must be harmless. */
static void hide_hash_bits(struct store_sqlite *engine, uint64_t bits) {
    engine->store.batch.ignored = bits;
    engine->cache.hash_mask = ~bits;
    engine->sides[0].mem.hash_mask = engine->sides[1].mem.hash_mask = ~bits;
}

static enum rd_err make_sides(struct store_sqlite *engine) {
    for (int i = 0; i < 2; i++) {
        struct merge_side *side = &engine->sides[i];
        side->live = calloc(SLOT_COUNT, sizeof *side->live);
        side->leaves = calloc((size_t)SLOT_COUNT * STORE_LEAVES_PER_SLOT, sizeof *side->leaves);
        if (side->live == NULL || side->leaves == NULL || memtable_init(&side->mem) != RD_OK) {
            return RD_ENOMEM;
        }
    }
    return RD_OK;
}

static enum rd_err open_journal(struct store_sqlite *engine, const struct store_sqlite_conf *conf,
                                unsigned i, char *reason) {
    const struct journal_conf journal = {
        .dir = conf->dir,
        .vfs = conf->vfs,
        .index = i,
        .wal_bytes = conf->journal_bytes == 0 ? JOURNAL_BYTES : conf->journal_bytes,
    };
    return journal_open(&journal, SQLITE_FILE_SERVE, &engine->sides[i].journal, reason);
}

static enum rd_err open_files(struct store_sqlite *engine, const struct store_sqlite_conf *conf,
                              char *reason) {
    enum rd_err err = sqlite_dir_lock(conf->dir, &engine->lock_fd, reason);
    if (err == RD_OK && table_is_damaged(conf->dir)) {
        engine->salvaged = true;
        err = table_salvage(conf->dir, conf->vfs, reason);
    }
    if (err == RD_OK) {
        err = table_open(conf->dir, TABLE_FILE, conf->vfs, SQLITE_FILE_SERVE, &engine->writer,
                         reason);
    }
    if (err == RD_OK) {
        err = table_open(conf->dir, TABLE_FILE, conf->vfs, SQLITE_FILE_SHARE, &engine->reader,
                         reason);
    }
    for (unsigned i = 0; i < 2 && err == RD_OK; i++) {
        err = open_journal(engine, conf, i, reason);
    }
    return err;
}

/* Where rows of the table were lost, the changes that the journal tells of do not fit what they changed. */
static void recount_all(struct store_sqlite *engine) {
    enum store_space space;
    uint16_t slot;
    for (size_t i = 0; memtable_used(&engine_active(engine)->mem, i, &space, &slot); i++) {
        if (space == STORE_OBJECTS) {
            engine_note_damage(engine, slot);
        }
    }
    memset(engine->damaged, 0, sizeof engine->damaged);
}

/* Brings memtables, counts and leaves to where the last commit left them. `*pending`: the other side is to be merged. */
static enum rd_err recover(struct store_sqlite *engine, const struct store_sqlite_conf *conf,
                           bool *pending, char *reason) {
    struct journal *journals[2] = {&engine->sides[0].journal, &engine->sides[1].journal};
    struct recovery plan = {0};
    enum rd_err err = table_merged(&engine->reader, &engine->seq);
    if (err == RD_OK) {
        err = recovery_counts(&engine->reader, &engine->store);
    }
    if (err == RD_OK) {
        err = recovery_plan(journals, engine->seq, &plan);
    }
    if (plan.dropped > 0) {
        fprintf(stderr, "store: %llu commits behind a gap in %s are dropped\n",
                (unsigned long long)plan.dropped, engine->dir);
    }
    for (unsigned n = 0; n < 2 && err == RD_OK; n++) {
        unsigned i = n == 0 ? plan.older : 1 - plan.older;
        struct merge_side *side = &engine->sides[i];
        if (plan.reset[i]) {
            err = journal_remove(&side->journal);
            err = err == RD_OK ? open_journal(engine, conf, i, reason) : err;
        }
        if (err != RD_OK || plan.first[i] > plan.last[i]) {
            continue;
        }
        if (n == 1 && !engine_active(engine)->journal.empty) { /* the older one is frozen */
            note_counts(engine, engine_active(engine));
            engine->frozen = *pending = true;
        }
        engine->active = i;
        err = recovery_replay(&plan, i, &side->journal, &side->mem, &engine->store);
        engine->seq = plan.last[i];
        if (engine->salvaged) {
            recount_all(engine);
        }
    }
    return err;
}

static enum rd_err set_up(struct store_sqlite *engine, const struct store_sqlite_conf *conf,
                          char *reason) {
    bool pending = false;
    cache_init(&engine->cache, conf->cache_bytes);
    engine->memtable_limit = conf->memtable_bytes == 0 ? MEMTABLE_BYTES : conf->memtable_bytes;
    engine->journal_limit = engine->memtable_limit * JOURNAL_PER_MEMTABLE;
    engine->dir = strdup(conf->dir);
    enum rd_err err = engine->dir == NULL ? RD_ENOMEM : make_sides(engine);
    if (err == RD_OK) {
        hide_hash_bits(engine, conf->ignored_hash_bits);
        err = recover(engine, conf, &pending, reason);
    }
    if (err == RD_OK) {
        engine->fsync = conf->fsync;
    }
    for (int i = 0; i < 2 && err == RD_OK; i++) { /* both now: it may take a while */
        err = journal_set_full(&engine->sides[i].journal, conf->fsync == STORE_FSYNC_ALWAYS);
    }
    if (err == RD_OK) {
        err = merger_new(&engine->writer, engine->memtable_limit, conf->rows_per_transaction,
                         &engine->merger);
    }
    if (err != RD_OK) {
        return err;
    }
    for (int i = 0; i < 2; i++) {
        wal_sync_enable(engine->sides[i].journal.sync, conf->fsync == STORE_FSYNC_EVERYSEC);
    }
    if (pending) {
        hand_over(engine);
    }
    if (engine->salvaged) { /* until then the next start has to count anew, too */
        err = merge_all(engine);
        err = err == RD_OK ? table_mark_damaged(conf->dir, false) : err;
        fprintf(stderr,
                "store: the table in %s had damaged pages and was written anew; what was on them "
                "is missing\n",
                conf->dir);
    }
    return err;
}

enum rd_err store_sqlite_open(const struct store_sqlite_conf *conf, struct store **out,
                              char reason[STORE_REASON_BYTES]) {
    struct store_sqlite *engine = calloc(1, sizeof *engine);
    enum rd_err err = engine == NULL ? RD_ENOMEM : store_init(&engine->store, &sqlite_ops);
    if (err != RD_OK) {
        free(engine);
        snprintf(reason, STORE_REASON_BYTES, "out of memory");
        return err;
    }
    engine->lock_fd = -1;
    reason[0] = 0;
    /* SQLite's statistics of its memory cost a lock per allocation. Only the first caller of the process is heard. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    err = open_files(engine, conf, reason);
    if (err == RD_OK) {
        err = set_up(engine, conf, reason);
        if (err != RD_OK && reason[0] == 0) {
            snprintf(reason, STORE_REASON_BYTES, "cannot read the store in %s: %s", conf->dir,
                     rd_err_text(err));
        }
    }
    if (err != RD_OK) {
        sqlite_close(&engine->store);
        return err;
    }
    *out = &engine->store;
    return RD_OK;
}

/* ---- the rest -------------------------------------------------------------------------------------- */

static void sqlite_stats(const struct store *store, struct store_stats *out) {
    static const char *const names[] = {TABLE_FILE,        TABLE_FILE "-wal", "journal0.db",
                                        "journal0.db-wal", "journal1.db",     "journal1.db-wal"};
    const struct store_sqlite *engine = (const struct store_sqlite *)store;
    const struct merge_side *active = &engine->sides[engine->active];
    struct merger_stats merger;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", engine->dir, names[i]);
        if (stat(path, &st) == 0) {
            out->bytes_on_disk += (uint64_t)st.st_size;
        }
    }
    merger_stats(engine->merger, &merger);
    out->journal_bytes =
        active->journal.wal_bytes + (engine->frozen ? engine->frozen_journal_bytes : 0);
    out->memtable_bytes =
        memtable_memory(&active->mem) + (engine->frozen ? engine->frozen_memory : 0);
    out->memtable_rows = active->mem.count + (engine->frozen ? engine->frozen_rows : 0);
    out->cache_bytes = engine->cache.bytes;
    out->cache_hits = engine->cache.hits;
    out->cache_misses = engine->cache.misses;
    out->merges = merger.merges;
    out->merge_last_ms = merger.last_ms;
    out->merge_rows = merger.rows;
    out->merge_errors = merger.errors;
    out->fsync_p99_us = engine->fsync == STORE_FSYNC_ALWAYS ? timing_p99_us(&engine->appends)
                                                            : wal_sync_p99_us(active->journal.sync);
    out->delayed_us = engine->delayed_us;
}

void store_sqlite_verify(struct store *store) {
    struct store_sqlite *engine = engine_of(store);
    const struct merge_side *active = engine_active(engine);
    memtable_check(&active->mem);
    if (engine->frozen) {
        memtable_check(&engine_other(engine)->mem);
        assert(merger_state(engine->merger) != MERGE_IDLE);
        assert(engine_other(engine)->last_seq <= engine->seq);
    }
    cache_check(&engine->cache);
    assert(active->mem.count == 0 || !active->journal.empty); /* 1 */
    uint64_t live = 0;
    for (size_t slot = 0; slot < SLOT_COUNT; slot++) {
        live += store->live[slot];
    }
    assert(live == store->stats.live_keys);
    uint64_t merged = 0;
    enum rd_err err = table_merged(&engine->reader, &merged); /* 2 */
    assert(err != RD_OK || (merged <= engine->seq &&
                            (engine->frozen || active->journal.empty || merged < engine->seq)));
}

static const struct store_ops sqlite_ops = {
    .get = sqlite_get,
    .commit = sqlite_commit,
    .scan = engine_scan,
    .scan_due = engine_scan_due,
    .stats = sqlite_stats,
    .close = sqlite_close,
};
