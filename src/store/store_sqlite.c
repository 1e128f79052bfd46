/* The SQLite engine: one database, one transaction per commit; see store_sqlite.h and doc/storage.md.
 *
 * 1. Between two calls no statement is active and no transaction is open, except after a ROLLBACK that failed:
 *    the next commit tries it again first.
 * 2. A row is served only if its checksum fits its address, its columns and its value.
 * 3. What a commit wrote is on disk when it returns (ALWAYS), or wal_sync knows of it.
 * 4. After a failed fdatasync no commit succeeds until a checkpoint has brought everything to disk another way.
 */
#include "store/store_sqlite.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/sqlite_file.h"
#include "store/sqlite_row.h"
#include "store/store_engine.h"
#include "store/wal_sync.h"

/* The statements of one space. */
struct statements {
    sqlite3_stmt *get;
    sqlite3_stmt *put;
    sqlite3_stmt *erase;
    sqlite3_stmt *scan;   /* from the start of a range */
    sqlite3_stmt *behind; /* behind a row */
};

struct store_sqlite {
    struct store store; /* first */
    struct sqlite_file file;
    struct statements of[STORE_SPACES];
    sqlite3_stmt *due;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *probe;
    struct wal_sync *sync;
    enum store_fsync fsync;
};

static const struct store_ops sqlite_ops;

static struct store_sqlite *engine_of(struct store *store) {
    assert(store->ops == &sqlite_ops);
    return (struct store_sqlite *)store;
}

/* ---- binding --------------------------------------------------------------------------------------- */

/* Bytes are bound without a copy: they outlive the step, and every statement is reset before its call
 * returns. An empty string needs a pointer, or it would be NULL. */
static int bind_bytes(sqlite3_stmt *stmt, int index, const void *bytes, size_t len) {
    return sqlite3_bind_blob64(stmt, index, len == 0 ? "" : bytes, len, SQLITE_STATIC);
}

static int bind_address(sqlite3_stmt *stmt, const struct store_key *at) {
    int rc = sqlite3_bind_int64(stmt, 1, at->slot);
    if (rc == SQLITE_OK) {
        rc = bind_bytes(stmt, 2, at->key, at->key_len);
    }
    return rc == SQLITE_OK ? bind_bytes(stmt, 3, at->sub, at->sub_len) : rc;
}

/* Steps a statement that returns no row, and resets it. */
static int run(sqlite3_stmt *stmt) {
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static enum rd_err sqlite_get(struct store *store, const struct store_key *at, struct blob **out) {
    struct store_sqlite *engine = engine_of(store);
    sqlite3_stmt *stmt = engine->of[at->space].get;
    int rc = bind_address(stmt, at);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    enum rd_err err = rc == SQLITE_DONE ? RD_ENOTFOUND : sqlite_file_error(engine->file.db, rc);
    if (rc == SQLITE_ROW) {
        struct row_value row;
        err = sqlite_row_value(stmt, at, &row);
        if (err == RD_OK) {
            *out = row.value;
        }
    }
    sqlite3_reset(stmt);
    return err;
}

/* Adds the current row of `stmt`. */
static enum rd_err add_to_page(struct page *page, sqlite3_stmt *stmt, enum store_space space) {
    struct store_key at;
    struct row_value value = {0};
    sqlite_row_address(stmt, space, &at);
    if ((at.key == NULL && at.key_len > 0) || (at.sub == NULL && at.sub_len > 0)) {
        return RD_ENOMEM;
    }
    enum rd_err err = sqlite_row_value(stmt, &at, &value);
    if (err != RD_OK && err != RD_ECORRUPT) {
        return err;
    }
    struct store_row row = {
        .slot = at.slot,
        .key = at.key,
        .key_len = at.key_len,
        .sub = at.sub,
        .sub_len = at.sub_len,
        .value = value.value,
        .err = err,
        .is_live = value.live,
        .due_ms = value.due_ms,
    };
    return page_add(page, &row);
}

/* Collects the rows of a bound statement and resets it. A page of the database that cannot be read ends the scan early:
 * the rows before it are delivered, and the next scan, which begins with it, fails. */
static enum rd_err collect(struct store_sqlite *engine, sqlite3_stmt *stmt, enum store_space space,
                           size_t max_rows, size_t max_bytes, struct page *page) {
    enum rd_err err = RD_OK;
    while (err == RD_OK) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_DONE) {
            page->end = true;
            break;
        }
        if (rc != SQLITE_ROW) {
            err = sqlite_file_error(engine->file.db, rc);
            bool unreadable = err == RD_ECORRUPT || err == RD_EIO;
            err = unreadable && page->count > 0 ? RD_OK : err;
            break;
        }
        if (page->count > 0 && (page->count >= max_rows || page->bytes >= max_bytes)) {
            break;
        }
        err = add_to_page(page, stmt, space);
    }
    sqlite3_reset(stmt);
    return err;
}

static enum rd_err sqlite_scan(struct store *store, const struct store_range *range,
                               const struct store_key *behind, size_t max_rows, size_t max_bytes,
                               struct page *page) {
    struct store_sqlite *engine = engine_of(store);
    struct statements *of = &engine->of[range->space];
    sqlite3_stmt *stmt = behind == NULL ? of->scan : of->behind;
    int rc = behind == NULL ? sqlite3_bind_int64(stmt, 1, range->first_slot)
                            : bind_address(stmt, behind);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(stmt, 4, range->last_slot);
    }
    if (rc != SQLITE_OK) {
        return sqlite_file_error(engine->file.db, rc);
    }
    return collect(engine, stmt, range->space, max_rows, max_bytes, page);
}

static enum rd_err sqlite_scan_due(struct store *store, uint64_t before_ms, size_t max_rows,
                                   struct page *page) {
    struct store_sqlite *engine = engine_of(store);
    int rc = sqlite3_bind_int64(engine->due, 1, (sqlite3_int64)before_ms);
    if (rc != SQLITE_OK) {
        return sqlite_file_error(engine->file.db, rc);
    }
    return collect(engine, engine->due, STORE_OBJECTS, max_rows, SIZE_MAX, page);
}

/* ---- writing --------------------------------------------------------------------------------------- */

static int put_row(struct store_sqlite *engine, const struct batch_row *row) {
    const struct statements *of = &engine->of[row->at.space];
    const struct row_value *now = &row->now;
    sqlite3_stmt *stmt = now->value == NULL ? of->erase : of->put;
    int rc = bind_address(stmt, &row->at);
    if (now->value != NULL) {
        const sqlite3_int64 numbers[] = {now->live, (sqlite3_int64)now->due_ms,
                                         (sqlite3_int64)now->digest,
                                         (sqlite3_int64)row_checksum(&row->at, now)};
        for (int i = 0; i < 4 && rc == SQLITE_OK; i++) {
            rc = sqlite3_bind_int64(stmt, 4 + i, numbers[i]);
        }
        if (rc == SQLITE_OK) {
            rc = bind_bytes(stmt, 8, now->value->bytes, now->value->len);
        }
    }
    return rc == SQLITE_OK ? run(stmt) : rc;
}

static int put_rows(struct store_sqlite *engine, const struct batch *batch) {
    if (batch->count == 0) {
        return run(engine->probe);
    }
    int rc = SQLITE_DONE;
    for (size_t i = 0; i < batch->count && rc == SQLITE_DONE; i++) {
        rc = put_row(engine, &batch->rows[i]);
    }
    return rc;
}

/* Everything that was handed to the system since the last sync may be lost, though it can still be read. A checkpoint
 * writes it to the database and syncs that. */
static enum rd_err recover_sync(struct store_sqlite *engine) {
    int in_wal = 0;
    int copied = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(engine->file.db, NULL, SQLITE_CHECKPOINT_FULL, &in_wal, &copied);
    if (rc != SQLITE_OK || in_wal != copied) {
        enum rd_err err = sqlite_file_error(engine->file.db, rc);
        return err == RD_OK ? RD_EIO : err;
    }
    wal_sync_recovered(engine->sync);
    return RD_OK;
}

static enum rd_err sqlite_commit(struct store *store, const struct batch *batch, bool probe) {
    struct store_sqlite *engine = engine_of(store);
    sqlite3 *db = engine->file.db;
    if (!sqlite3_get_autocommit(db)) {
        run(engine->rollback);
    }
    enum rd_err err = wal_sync_failed(engine->sync) ? recover_sync(engine) : RD_OK;
    if (err != RD_OK || (batch->count == 0 && !probe)) {
        return err;
    }
    int rc = run(engine->begin);
    if (rc == SQLITE_DONE) {
        rc = put_rows(engine, batch);
    }
    if (rc == SQLITE_DONE) {
        rc = run(engine->commit);
    }
    err = sqlite_file_error(db, rc);
    if (err != RD_OK) {
        if (!sqlite3_get_autocommit(db)) {
            run(engine->rollback);
        }
        return err;
    }
    if (engine->fsync != STORE_FSYNC_ALWAYS) {
        wal_sync_written(engine->sync);
    }
    return RD_OK;
}

/* ---- durability ------------------------------------------------------------------------------------ */

/* FULL syncs the WAL at every commit, NORMAL only around checkpoints. */
static enum rd_err set_synchronous(struct store_sqlite *engine, enum store_fsync mode) {
    return sqlite_file_run(engine->file.db, mode == STORE_FSYNC_ALWAYS
                                                ? "PRAGMA synchronous=FULL"
                                                : "PRAGMA synchronous=NORMAL");
}

enum rd_err store_sqlite_set_fsync(struct store *store, enum store_fsync mode) {
    struct store_sqlite *engine = engine_of(store);
    enum rd_err err = RD_OK;
    if (mode == STORE_FSYNC_ALWAYS && engine->fsync != STORE_FSYNC_ALWAYS) {
        err = wal_sync_now(engine->sync);
    }
    if (err == RD_OK) {
        err = set_synchronous(engine, mode);
    }
    if (err != RD_OK) {
        return err;
    }
    engine->fsync = mode;
    wal_sync_enable(engine->sync, mode == STORE_FSYNC_EVERYSEC);
    return RD_OK;
}

/* ---- opening and closing --------------------------------------------------------------------------- */

static enum rd_err prepare(struct store_sqlite *engine, sqlite3_stmt **out, const char *format,
                           const char *word) {
    char *sql = sqlite3_mprintf(format, word);
    if (sql == NULL) {
        return RD_ENOMEM;
    }
    int rc = sqlite3_prepare_v3(engine->file.db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    sqlite3_free(sql);
    return sqlite_file_error(engine->file.db, rc);
}

static enum rd_err prepare_space(struct store_sqlite *engine, enum store_space space) {
    struct statements *of = &engine->of[space];
    const char *table = sqlite_file_table(space);
    const char *select = sqlite_row_select(space);
    const char *put =
        space == STORE_OBJECTS
            ? "INSERT INTO %s(slot, key, sub, live, due, digest, checksum, value)"
              " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(slot, key, sub) DO UPDATE SET"
              " live=excluded.live, due=excluded.due, digest=excluded.digest,"
              " checksum=excluded.checksum, value=excluded.value"
            : "INSERT INTO %s(slot, key, sub, checksum, value)"
              " VALUES(?1, ?2, ?3, ?7, ?8) ON CONFLICT(slot, key, sub) DO UPDATE SET"
              " checksum=excluded.checksum, value=excluded.value";
    const struct {
        sqlite3_stmt **out;
        const char *format;
        const char *word;
    } wanted[] = {
        {&of->get, "%s WHERE slot=?1 AND key=?2 AND sub=?3", select},
        {&of->put, put, table},
        {&of->erase, "DELETE FROM %s WHERE slot=?1 AND key=?2 AND sub=?3", table},
        {&of->scan, "%s WHERE slot>=?1 AND slot<=?4 ORDER BY slot, key, sub", select},
        {&of->behind, "%s WHERE (slot, key, sub)>(?1, ?2, ?3) AND slot<=?4 ORDER BY slot, key, sub",
         select},
    };
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0] && err == RD_OK; i++) {
        err = prepare(engine, wanted[i].out, wanted[i].format, wanted[i].word);
    }
    return err;
}

static enum rd_err prepare_all(struct store_sqlite *engine) {
    enum rd_err err = RD_OK;
    for (int space = 0; space < STORE_SPACES && err == RD_OK; space++) {
        err = prepare_space(engine, (enum store_space)space);
    }
    if (err == RD_OK) { /* in the words of the partial index, so that it is used */
        err =
            prepare(engine, &engine->due, "%s WHERE due>0 AND due<=?1 ORDER BY due, slot, key, sub",
                    sqlite_row_select(STORE_OBJECTS));
    }
    if (err == RD_OK) {
        err = prepare(engine, &engine->begin, "%s", "BEGIN IMMEDIATE");
    }
    if (err == RD_OK) {
        err = prepare(engine, &engine->commit, "%s", "COMMIT");
    }
    if (err == RD_OK) {
        err = prepare(engine, &engine->rollback, "%s", "ROLLBACK");
    }
    if (err == RD_OK) { /* the same number again: writes the first page */
        char format[16];
        sqlite3_snprintf(sizeof format, format, "%d", SQLITE_FILE_FORMAT);
        err = prepare(engine, &engine->probe, "PRAGMA user_version=%s", format);
    }
    return err;
}

static void finalize_all(struct store_sqlite *engine) {
    for (int space = 0; space < STORE_SPACES; space++) {
        struct statements *of = &engine->of[space];
        sqlite3_finalize(of->get);
        sqlite3_finalize(of->put);
        sqlite3_finalize(of->erase);
        sqlite3_finalize(of->scan);
        sqlite3_finalize(of->behind);
    }
    sqlite3_finalize(engine->due);
    sqlite3_finalize(engine->begin);
    sqlite3_finalize(engine->commit);
    sqlite3_finalize(engine->rollback);
    sqlite3_finalize(engine->probe);
}

/* One pass over the table at the start instead of an index on live rows: that would cost every insert a second random page,
 * the dearest thing here, to save one sequential read per restart. */
static enum rd_err count_live(struct store_sqlite *engine) {
    sqlite3_stmt *stmt = NULL;
    enum rd_err err =
        prepare(engine, &stmt, "SELECT slot, count(*) FROM %s WHERE live GROUP BY slot",
                sqlite_file_table(STORE_OBJECTS));
    int rc = SQLITE_ROW;
    while (err == RD_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        sqlite3_int64 slot = sqlite3_column_int64(stmt, 0);
        if (slot >= 0 && slot < SLOT_COUNT) {
            store_live_add(&engine->store, (uint16_t)slot, (uint32_t)sqlite3_column_int64(stmt, 1));
        }
        err = sqlite_file_error(engine->file.db, rc);
    }
    if (err == RD_OK) {
        err = sqlite_file_error(engine->file.db, rc);
    }
    sqlite3_finalize(stmt);
    return err;
}

static void sqlite_close(struct store *store) {
    struct store_sqlite *engine = engine_of(store);
    finalize_all(engine);
    wal_sync_free(&engine->sync);
    sqlite_file_close(
        &engine->file); /* copies the WAL back, syncs the database and removes the WAL */
    store_fini(store);
    free(engine);
}

static enum rd_err set_up(struct store_sqlite *engine, const struct store_sqlite_conf *conf) {
    char *cache = sqlite3_mprintf("PRAGMA cache_size=-%llu", conf->cache_bytes / 1024 + 1);
    if (cache == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = conf->cache_bytes == 0 ? RD_OK : sqlite_file_run(engine->file.db, cache);
    sqlite3_free(cache);
    if (err == RD_OK) {
        err = prepare_all(engine);
    }
    if (err == RD_OK) {
        err = count_live(engine);
    }
    if (err == RD_OK) { /* the WAL is there: counting has read through it */
        err = wal_sync_new(engine->file.wal_path, &engine->sync);
    }
    if (err == RD_OK) {
        engine->fsync = conf->fsync;
        err = set_synchronous(engine, conf->fsync);
        wal_sync_enable(engine->sync, conf->fsync == STORE_FSYNC_EVERYSEC);
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
    engine->file.lock_fd = -1;
    err = sqlite_file_open(conf->dir, SQLITE_FILE_SERVE, &engine->file, reason);
    if (err == RD_OK) {
        err = set_up(engine, conf);
        if (err != RD_OK) {
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

static uint64_t sqlite_bytes(const struct store *store) {
    const struct sqlite_file *file = &((const struct store_sqlite *)store)->file;
    uint64_t bytes = 0;
    struct stat st;
    if (stat(file->db_path, &st) == 0) {
        bytes += (uint64_t)st.st_size;
    }
    if (stat(file->wal_path, &st) == 0) {
        bytes += (uint64_t)st.st_size;
    }
    return bytes;
}

static const struct store_ops sqlite_ops = {
    .get = sqlite_get,
    .commit = sqlite_commit,
    .scan = sqlite_scan,
    .scan_due = sqlite_scan_due,
    .bytes_on_disk = sqlite_bytes,
    .close = sqlite_close,
};
