/* Writing the table anew without the pages that cannot be read; see table.h.
 *
 * 1. The old file is read only. The new one is made under another name, synced, and takes the name READY in one step: from then on, whatever
 *    happens, it is what counts. The old one's log is removed before the new one takes its name.
 * 2. Rows are copied as they are; counts and leaves are those of the rows that are whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/slot.h"
#include "store/sqlite_row.h"
#include "store/table.h"

#define NEW "data.new.db"
#define READY "data.ready.db"
#define MARK TABLE_FILE ".damaged"
#define ROWS_PER_TRANSACTION 20000
#define CHECKPOINT_PAGES 4000

struct salvage {
    struct table to;
    sqlite3 *from;
    sqlite3_stmt *select, *insert;
    uint64_t rows;
    struct table_slot slot; /* what the rows of the one at hand add up to */
};

/* ---- files ----------------------------------------------------------------------------------------- */

static enum rd_err at_path(const char *dir, const char *name,
                           enum rd_err (*act)(const char *path)) {
    char *path = sqlite3_mprintf("%s/%s", dir, name);
    enum rd_err err = path == NULL ? RD_ENOMEM : act(path);
    sqlite3_free(path);
    return err;
}

static enum rd_err remove_it(const char *path) {
    return unlink(path) == 0 || errno == ENOENT ? RD_OK : RD_EIO;
}

static enum rd_err is_there(const char *path) {
    return access(path, F_OK) == 0 ? RD_OK : RD_ENOTFOUND;
}

static enum rd_err make_it(const char *path) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) {
        return RD_EIO;
    }
    close(fd);
    return RD_OK;
}

static enum rd_err rename_it(const char *dir, const char *from, const char *to) {
    char *old = sqlite3_mprintf("%s/%s", dir, from);
    char *new = sqlite3_mprintf("%s/%s", dir, to);
    enum rd_err err = old == NULL || new == NULL ? RD_ENOMEM
                      : rename(old, new) != 0    ? RD_EIO
                                                 : RD_OK;
    sqlite3_free(old);
    sqlite3_free(new);
    return err == RD_OK ? sqlite_dir_sync(dir) : err;
}

bool table_is_damaged(const char *dir) {
    return at_path(dir, MARK, is_there) == RD_OK;
}

enum rd_err table_mark_damaged(const char *dir, bool damaged) {
    enum rd_err err = at_path(dir, MARK, damaged ? make_it : remove_it);
    return err == RD_OK ? sqlite_dir_sync(dir) : err;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static enum rd_err copy_row(struct salvage *salvage, enum store_space space) {
    static const int columns[] = {ROW_SLOT, ROW_KEY,    ROW_SUB,      ROW_LIVE,
                                  ROW_DUE,  ROW_DIGEST, ROW_CHECKSUM, ROW_VALUE};
    struct store_key at;
    struct row_value row = {0};
    int place = 1;
    for (int i = 0; i < 8; i++) {
        if (space == STORE_OBJECTS || i < 3 || i > 5) {
            sqlite3_bind_value(salvage->insert, place++,
                               sqlite3_column_value(salvage->select, columns[i]));
        }
    }
    enum rd_err err = sqlite_file_error(salvage->to.db, sqlite_file_step(salvage->insert));
    if (err != RD_OK || space != STORE_OBJECTS || sqlite3_changes(salvage->to.db) == 0) {
        return err;
    }
    sqlite_row_address(salvage->select, space, &at);
    err = sqlite_row_value(salvage->select, &at, &row);
    if (err == RD_OK) {
        salvage->slot.live += row.live;
        salvage->slot.leaves[store_leaf_of(&at)] ^= store_leaf_share(&at, row.digest);
    }
    blob_unref(row.value);
    return err == RD_ECORRUPT ? RD_OK : err;
}

/* Rows of one slot up to the first page that cannot be read. `*whole`: there was none. */
static enum rd_err copy_some(struct salvage *salvage, enum store_space space, uint16_t slot,
                             bool backwards, bool *whole) {
    char sql[200];
    snprintf(sql, sizeof sql, "%s WHERE slot=?1 ORDER BY key %s, sub %s", sqlite_row_select(space),
             backwards ? "DESC" : "ASC", backwards ? "DESC" : "ASC");
    int rc = SQLITE_OK;
    if (salvage->select == NULL) {
        rc = sqlite3_prepare_v2(salvage->from, sql, -1, &salvage->select, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_int64(salvage->select, 1, slot);
    }
    enum rd_err err = RD_OK;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(salvage->select);
        err = rc == SQLITE_ROW ? copy_row(salvage, space) : RD_OK;
        if (err != RD_OK) {
            return err;
        }
        salvage->rows++;
    }
    err = sqlite_file_error(salvage->from, rc);
    sqlite3_reset(salvage->select);
    *whole = err == RD_OK;
    return err == RD_ECORRUPT || err == RD_EIO ? RD_OK : err;
}

static enum rd_err next_transaction(struct salvage *salvage) {
    bool complete;
    enum rd_err err = table_commit(&salvage->to);
    if (err == RD_OK && salvage->to.wal_pages >= CHECKPOINT_PAGES) {
        err = table_checkpoint(&salvage->to, SQLITE_CHECKPOINT_PASSIVE, &complete);
    }
    salvage->rows = 0;
    return err == RD_OK ? table_begin(&salvage->to) : err;
}

static enum rd_err copy_slot(struct salvage *salvage, enum store_space space, uint16_t slot) {
    bool whole = false;
    salvage->slot = (struct table_slot){0};
    enum rd_err err = copy_some(salvage, space, slot, false, &whole);
    if (err == RD_OK && !whole) { /* what lies behind the page */
        sqlite3_stmt *forward = salvage->select;
        salvage->select = NULL;
        err = copy_some(salvage, space, slot, true, &whole);
        sqlite3_finalize(salvage->select);
        salvage->select = forward;
    }
    bool any = salvage->slot.live > 0;
    for (unsigned i = 0; i < STORE_LEAVES_PER_SLOT; i++) {
        any |= salvage->slot.leaves[i] != 0;
    }
    if (err == RD_OK && any) {
        err = table_put_slot(&salvage->to, slot, &salvage->slot);
    }
    return err == RD_OK && salvage->rows >= ROWS_PER_TRANSACTION ? next_transaction(salvage) : err;
}

static enum rd_err copy_space(struct salvage *salvage, enum store_space space) {
    char sql[100];
    snprintf(sql, sizeof sql, "INSERT OR IGNORE INTO %s VALUES(%s)", sqlite_row_table(space),
             space == STORE_OBJECTS ? "?1,?2,?3,?4,?5,?6,?7,?8" : "?1,?2,?3,?4,?5");
    int rc = sqlite3_prepare_v2(salvage->to.db, sql, -1, &salvage->insert, NULL);
    enum rd_err err = sqlite_file_error(salvage->to.db, rc);
    for (unsigned slot = 0; slot < SLOT_COUNT && err == RD_OK; slot++) {
        err = copy_slot(salvage, space, (uint16_t)slot);
    }
    sqlite3_finalize(salvage->insert);
    sqlite3_finalize(salvage->select);
    salvage->insert = salvage->select = NULL;
    return err;
}

static enum rd_err copy_all(struct salvage *salvage) {
    struct table old = {.db = salvage->from};
    bool complete = false;
    uint64_t merged;
    enum rd_err err = table_merged(&old, &merged);
    if (err == RD_OK) {
        err = table_begin(&salvage->to);
    }
    for (int space = 0; space < STORE_SPACES && err == RD_OK; space++) {
        err = copy_space(salvage, (enum store_space)space);
    }
    if (err == RD_OK && merged > 0) {
        err = table_put_merged(&salvage->to, merged);
    }
    if (err == RD_OK) {
        err = table_commit(&salvage->to);
    }
    if (err == RD_OK) {
        err = table_checkpoint(&salvage->to, SQLITE_CHECKPOINT_TRUNCATE, &complete);
    }
    return err == RD_OK && !complete ? RD_EIO : err;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static enum rd_err write_anew(const char *dir, const char *vfs, char *reason) {
    struct salvage salvage = {0};
    const struct sqlite_file_spec spec = {.dir = dir, .name = TABLE_FILE, .vfs = vfs};
    (void)at_path(dir, NEW, remove_it);
    (void)at_path(dir, NEW "-wal", remove_it);
    (void)at_path(dir, NEW "-shm", remove_it);
    enum rd_err err = sqlite_file_open(&spec, SQLITE_FILE_INSPECT, &salvage.from, reason);
    if (err == RD_OK) {
        err = table_open(dir, NEW, vfs, SQLITE_FILE_SERVE, &salvage.to, reason);
    }
    if (err == RD_OK) {
        err = copy_all(&salvage);
    }
    table_close(&salvage.to);
    sqlite_file_close(&salvage.from);
    return err == RD_OK ? rename_it(dir, NEW, READY) : err;
}

enum rd_err table_salvage(const char *dir, const char *vfs, char reason[STORE_REASON_BYTES]) {
    enum rd_err err = RD_OK;
    if (at_path(dir, READY, is_there) != RD_OK) {
        err = write_anew(dir, vfs, reason);
    }
    if (err == RD_OK) {
        err = at_path(dir, TABLE_FILE "-wal", remove_it);
    }
    if (err == RD_OK) {
        err = at_path(dir, TABLE_FILE "-shm", remove_it);
    }
    if (err == RD_OK) {
        err = rename_it(dir, READY, TABLE_FILE);
    }
    if (err != RD_OK && reason[0] == 0) {
        snprintf(reason, STORE_REASON_BYTES,
                 "%s/" TABLE_FILE " is damaged and cannot be written anew: %s", dir,
                 rd_err_text(err));
    }
    return err;
}
