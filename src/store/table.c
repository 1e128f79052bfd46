/* The main table; see table.h.
 *
 * 1. Between two calls no statement is active but those that table_scan handed out.
 * 2. A row is served only if its checksum fits its address, its columns and its value.
 */
#include "store/table.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "store/sqlite_row.h"

/* Rows are ordered by (slot, key, sub), so a partition is one contiguous range, and in the order of store_scan: doc/storage.md has the
 * figures for other keys. The small columns come before the value: reading them needs no overflow page. Few rows have a due
 * time, so its index covers only those. */
#define ROWS(name)                                                                                 \
    "CREATE TABLE " name "(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"           \
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"                                             \
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;"

static const char schema[] =
    "CREATE TABLE objects(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"
    " live INTEGER NOT NULL, due INTEGER NOT NULL, digest INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;"
    "CREATE INDEX objects_due ON objects(due) WHERE due > 0;" ROWS("hints") ROWS("meta")
        ROWS("leaves") "CREATE TABLE slots(slot INTEGER PRIMARY KEY, live INTEGER NOT NULL,"
                       " leaves BLOB NOT NULL, checksum INTEGER NOT NULL);"
                       "CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL,"
                       " checksum INTEGER NOT NULL) WITHOUT ROWID;";

#define GETS_PER_SNAPSHOT 256
#define LEAVES_BYTES (STORE_LEAVES_PER_SLOT * 8)

static int note_size(void *arg, sqlite3 *db, const char *name, int pages) {
    struct table *table = arg;
    (void)db;
    (void)name;
    table->wal_pages = pages;
    return SQLITE_OK;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static enum rd_err prepare_reads(struct table *table) {
    enum rd_err err = RD_OK;
    for (int space = 0; space < STORE_SPACES && err == RD_OK; space++) {
        struct table_space *of = &table->of[space];
        const char *select = sqlite_row_select((enum store_space)space);
        err = sqlite_file_prepare(table->db, &of->get, "%s WHERE slot=?1 AND key=?2 AND sub=?3",
                                  select);
        if (err == RD_OK) {
            err = sqlite_file_prepare(table->db, &of->scan,
                                      "%s WHERE slot>=?1 AND slot<=?4 ORDER BY slot, key, sub",
                                      select);
        }
        if (err == RD_OK) {
            err = sqlite_file_prepare(
                table->db, &of->behind,
                "%s WHERE (slot, key, sub)>(?1, ?2, ?3) AND slot<=?4 ORDER BY slot, key, sub",
                select);
        }
    }
    if (err == RD_OK) { /* in the words of the partial index, so that it is used */
        err = sqlite_file_prepare(
            table->db, &table->due,
            "%s WHERE due>0 AND (due, slot, key, sub)>(?5, ?1, ?2, ?3) AND due<=?4"
            " ORDER BY due, slot, key, sub",
            sqlite_row_select(STORE_OBJECTS));
    }
    if (err == RD_OK) {
        err = sqlite_file_prepare(table->db, &table->hold, "%s", "BEGIN");
    }
    if (err == RD_OK) {
        err = sqlite_file_prepare(table->db, &table->let_go, "%s", "COMMIT");
    }
    return err;
}

/* An update writes over the row in its place, where INSERT OR REPLACE would take it out and put it in: half the cost of a merge. */
static enum rd_err prepare_writes(struct table *table) {
    enum rd_err err = RD_OK;
    for (int space = 0; space < STORE_SPACES && err == RD_OK; space++) {
        struct table_space *of = &table->of[space];
        const char *name = sqlite_row_table((enum store_space)space);
        const char *put =
            space == STORE_OBJECTS
                ? "INSERT INTO %s(slot, key, sub, live, due, digest, checksum, value)"
                  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE"
                  " SET live=?4, due=?5, digest=?6, checksum=?7, value=?8"
                : "INSERT INTO %s(slot, key, sub, checksum, value) VALUES(?1, ?2, ?3, ?7, ?8)"
                  " ON CONFLICT DO UPDATE SET checksum=?7, value=?8";
        err = sqlite_file_prepare(table->db, &of->put, put, name);
        if (err == RD_OK) {
            err = sqlite_file_prepare(table->db, &of->erase,
                                      "DELETE FROM %s WHERE slot=?1 AND key=?2 AND sub=?3", name);
        }
    }
    if (err == RD_OK) {
        err = sqlite_file_prepare(
            table->db, &table->put_slot, "%s",
            "INSERT OR REPLACE INTO slots(slot, live, leaves, checksum) VALUES(?1, ?2, ?3, ?4)");
    }
    if (err == RD_OK) {
        err = sqlite_file_prepare(
            table->db, &table->put_merged, "%s",
            "INSERT OR REPLACE INTO state(name, value, checksum) VALUES('merged', ?1, ?2)");
    }
    return err;
}

enum rd_err table_open(const char *dir, const char *name, const char *vfs, enum sqlite_file_use use,
                       struct table *table, char reason[STORE_REASON_BYTES]) {
    const struct sqlite_file_spec spec = {
        .dir = dir, .name = name, .schema = schema, .vfs = vfs, .page_bytes = 4096};
    *table = (struct table){0};
    enum rd_err err = sqlite_file_open(&spec, use, &table->db, reason);
    if (err != RD_OK) {
        return err;
    }
    sqlite3_wal_hook(table->db, note_size, table);
    /* Another connection is in the way for microseconds only: the last steps of a checkpoint, or of a recovery. */
    sqlite3_busy_timeout(table->db, use == SQLITE_FILE_INSPECT ? 0 : 1000);
    err = sqlite_file_run(table->db, "PRAGMA cache_size=-16000;");
    if (err == RD_OK && use == SQLITE_FILE_SERVE) {
        err = table_set_full(table, false);
    }
    if (err == RD_OK) {
        err = use == SQLITE_FILE_SERVE ? prepare_writes(table) : prepare_reads(table);
    }
    if (err != RD_OK) {
        snprintf(reason, STORE_REASON_BYTES, "cannot read the store in %s: %s", dir,
                 err == RD_ENOMEM ? "out of memory" : sqlite3_errmsg(table->db));
        table_close(table);
    }
    return err;
}

void table_close(struct table *table) {
    for (int space = 0; space < STORE_SPACES; space++) {
        struct table_space *of = &table->of[space];
        sqlite3_finalize(of->get);
        sqlite3_finalize(of->scan);
        sqlite3_finalize(of->behind);
        sqlite3_finalize(of->put);
        sqlite3_finalize(of->erase);
    }
    sqlite3_finalize(table->due);
    sqlite3_finalize(table->hold);
    sqlite3_finalize(table->let_go);
    sqlite3_finalize(table->put_slot);
    sqlite3_finalize(table->put_merged);
    sqlite_file_close(&table->db);
    *table = (struct table){0};
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int bind_address(sqlite3_stmt *stmt, const struct store_key *at) {
    int rc = sqlite3_bind_int64(stmt, 1, at->slot);
    if (rc == SQLITE_OK) {
        rc = sqlite_file_bind(stmt, 2, at->key, at->key_len);
    }
    return rc == SQLITE_OK ? sqlite_file_bind(stmt, 3, at->sub, at->sub_len) : rc;
}

void table_let_go(struct table *table) {
    if (table->held_gets > 0) {
        table->held_gets = 0;
        (void)sqlite_file_step(table->let_go);
        table_rollback(table); /* if it failed */
    }
}

/* Not for ever: what a snapshot needs cannot be overwritten in the WAL. */
static int hold(struct table *table) {
    if (table->held_gets == GETS_PER_SNAPSHOT) {
        table_let_go(table);
    }
    int rc = table->held_gets == 0 ? sqlite_file_step(table->hold) : SQLITE_DONE;
    table->held_gets++;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum rd_err table_get(struct table *table, const struct store_key *at, struct blob **out) {
    sqlite3_stmt *stmt = table->of[at->space].get;
    int rc = hold(table);
    if (rc == SQLITE_OK) {
        rc = bind_address(stmt, at);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    enum rd_err err = rc == SQLITE_DONE ? RD_ENOTFOUND : sqlite_file_error(table->db, rc);
    if (rc == SQLITE_ROW) {
        struct row_value row;
        err = sqlite_row_value(stmt, at, &row);
        if (err == RD_OK) {
            *out = row.value;
        }
    }
    sqlite3_reset(stmt);
    if (err != RD_OK && err != RD_ENOTFOUND) {
        table_let_go(table);
    }
    return err;
}

sqlite3_stmt *table_scan(struct table *table, const struct store_range *range,
                         const struct store_key *behind, enum rd_err *err) {
    struct table_space *of = &table->of[range->space];
    sqlite3_stmt *stmt = behind == NULL ? of->scan : of->behind;
    int rc = behind == NULL ? sqlite3_bind_int64(stmt, 1, range->first_slot)
                            : bind_address(stmt, behind);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(stmt, 4, range->last_slot);
    }
    *err = sqlite_file_error(table->db, rc);
    return *err == RD_OK ? stmt : NULL;
}

sqlite3_stmt *table_scan_due(struct table *table, uint64_t before_ms,
                             const struct store_due *behind, enum rd_err *err) {
    const struct store_due start = {.at = {.space = STORE_OBJECTS}};
    behind = behind == NULL ? &start : behind;
    int rc = bind_address(table->due, &behind->at);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(table->due, 4, (sqlite3_int64)before_ms);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(table->due, 5, (sqlite3_int64)behind->due_ms);
    }
    *err = sqlite_file_error(table->db, rc);
    return *err == RD_OK ? table->due : NULL;
}

static uint64_t number_checksum(uint64_t number) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (8 * i));
    }
    return hash_xxh64(bytes, sizeof bytes, 1);
}

enum rd_err table_merged(struct table *table, uint64_t *out) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(table->db, "SELECT value, checksum FROM state WHERE name='merged'",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    enum rd_err err = sqlite_file_error(table->db, rc);
    if (rc == SQLITE_ROW) {
        uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 0);
        if ((uint64_t)sqlite3_column_int64(stmt, 1) == number_checksum(seq)) {
            *out = seq;
        } else {
            err = RD_ECORRUPT;
        }
    } else if (rc == SQLITE_DONE) {
        *out = 0;
    }
    sqlite3_finalize(stmt);
    return err;
}

static uint64_t slot_checksum(uint16_t slot, uint32_t live, const uint8_t bytes[LEAVES_BYTES]) {
    return hash_xxh64(bytes, LEAVES_BYTES, number_checksum((uint64_t)slot << 32 | live));
}

static void leaves_pack(const struct table_slot *data, uint8_t bytes[LEAVES_BYTES]) {
    for (int i = 0; i < LEAVES_BYTES; i++) {
        bytes[i] = (uint8_t)(data->leaves[i / 8] >> (8 * (i % 8)));
    }
}

static enum rd_err read_slot(sqlite3_stmt *stmt, uint16_t *slot, struct table_slot *out) {
    sqlite3_int64 number = sqlite3_column_int64(stmt, 0);
    uint32_t live = (uint32_t)sqlite3_column_int64(stmt, 1);
    const uint8_t *bytes = sqlite3_column_blob(stmt, 2);
    if (number < 0 || number >= SLOT_COUNT || bytes == NULL ||
        sqlite3_column_bytes(stmt, 2) != LEAVES_BYTES ||
        slot_checksum((uint16_t)number, live, bytes) != (uint64_t)sqlite3_column_int64(stmt, 3)) {
        return RD_ECORRUPT;
    }
    *slot = (uint16_t)number;
    *out = (struct table_slot){.live = live};
    for (int i = 0; i < LEAVES_BYTES; i++) {
        out->leaves[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
    }
    return RD_OK;
}

enum rd_err table_slots(struct table *table,
                        void (*each)(void *arg, uint16_t slot, const struct table_slot *data),
                        void *arg) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(table->db, "SELECT slot, live, leaves, checksum FROM slots", -1,
                                &stmt, NULL);
    enum rd_err err = sqlite_file_error(table->db, rc);
    while (err == RD_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint16_t slot;
        struct table_slot data;
        err = read_slot(stmt, &slot, &data);
        if (err == RD_OK) {
            each(arg, slot, &data);
        }
    }
    if (err == RD_OK) {
        err = sqlite_file_error(table->db, rc);
    }
    sqlite3_finalize(stmt);
    return err;
}

/* ---- writing --------------------------------------------------------------------------------------- */

enum rd_err table_set_full(struct table *table, bool full) {
    return sqlite_file_run(table->db,
                           full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

enum rd_err table_begin(struct table *table) {
    return sqlite_file_run(table->db, "BEGIN IMMEDIATE");
}

enum rd_err table_commit(struct table *table) {
    return sqlite_file_run(table->db, "COMMIT");
}

void table_rollback(struct table *table) {
    if (!sqlite3_get_autocommit(table->db)) {
        (void)sqlite_file_run(table->db, "ROLLBACK");
    }
}

enum rd_err table_put(struct table *table, const struct mem_row *row) {
    const struct table_space *of = &table->of[row->space];
    const struct store_key at = mem_row_key(row);
    const struct row_value now = {
        .value = row->value, .digest = row->digest, .due_ms = row->due_ms, .live = row->live};
    sqlite3_stmt *stmt = now.value == NULL ? of->erase : of->put;
    int rc = bind_address(stmt, &at);
    if (now.value != NULL) {
        const sqlite3_int64 numbers[] = {now.live, (sqlite3_int64)now.due_ms,
                                         (sqlite3_int64)now.digest,
                                         (sqlite3_int64)row_checksum(&at, &now)};
        int first = row->space == STORE_OBJECTS ? 0 : 3;
        for (int i = first; i < 4 && rc == SQLITE_OK; i++) {
            rc = sqlite3_bind_int64(stmt, 4 + i, numbers[i]);
        }
        if (rc == SQLITE_OK) {
            rc = sqlite_file_bind(stmt, 8, now.value->bytes, now.value->len);
        }
    }
    return sqlite_file_error(table->db, rc == SQLITE_OK ? sqlite_file_step(stmt) : rc);
}

enum rd_err table_put_slot(struct table *table, uint16_t slot, const struct table_slot *data) {
    uint8_t bytes[LEAVES_BYTES];
    leaves_pack(data, bytes);
    sqlite3_bind_int64(table->put_slot, 1, slot);
    sqlite3_bind_int64(table->put_slot, 2, data->live);
    sqlite3_bind_int64(table->put_slot, 4, (sqlite3_int64)slot_checksum(slot, data->live, bytes));
    int rc = sqlite_file_bind(table->put_slot, 3, bytes, sizeof bytes);
    return sqlite_file_error(table->db, rc == SQLITE_OK ? sqlite_file_step(table->put_slot) : rc);
}

enum rd_err table_put_merged(struct table *table, uint64_t seq) {
    sqlite3_bind_int64(table->put_merged, 1, (sqlite3_int64)seq);
    sqlite3_bind_int64(table->put_merged, 2, (sqlite3_int64)number_checksum(seq));
    return sqlite_file_error(table->db, sqlite_file_step(table->put_merged));
}

enum rd_err table_checkpoint(struct table *table, int mode, bool *complete) {
    int in_wal = 0;
    int copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(table->db, NULL, mode, &in_wal, &copied);
    *complete = rc == SQLITE_OK && in_wal == copied;
    return (rc & 0xff) == SQLITE_BUSY ? RD_OK : sqlite_file_error(table->db, rc);
}
