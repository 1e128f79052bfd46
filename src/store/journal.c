/* A journal; see journal.h.
 *
 * 1. Between two calls no statement is active and no transaction is open, except after a ROLLBACK that failed.
 * 2. The WAL file is never shortened nor removed, so that a commit overwrites bytes that the disk already has a place for: syncing
 *    a file that grows costs twice as much.
 * 3. A file without a table is an empty journal: resetting was interrupted.
 *
 * Pages of 4 KB: a commit alone writes more bytes than with 1 KB, but SQLite finds a page of the WAL in time proportional to its frames, which a
 * restart felt (1.7 s of processor time per million records against 2.9) and large commits too.
 */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define FRAME_BYTES (PAGE_BYTES + 24)
#define ZEROS (64 * 1024)

static const char schema[] = "CREATE TABLE journal(seq INTEGER PRIMARY KEY, batch BLOB NOT NULL);";

static int note_size(void *arg, sqlite3 *db, const char *name, int frames) {
    struct journal *journal = arg;
    (void)db;
    (void)name;
    journal->wal_bytes = (uint64_t)frames * FRAME_BYTES;
    return SQLITE_OK;
}

/* Zeros behind the end of the WAL are no frames. Where there is no room the WAL grows as it is written. */
static void preallocate(const char *path, uint64_t wanted) {
    static const char zeros[ZEROS];
    struct stat st;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) == 0) {
        uint64_t at = (uint64_t)st.st_size;
        while (at < wanted) {
            uint64_t len = wanted - at < ZEROS ? wanted - at : ZEROS;
            ssize_t written = pwrite(fd, zeros, (size_t)len, (off_t)at);
            if (written <= 0) {
                break;
            }
            at += (uint64_t)written;
        }
    }
    close(fd);
}

static enum rd_err out_of_memory(char *reason) {
    snprintf(reason, STORE_REASON_BYTES, "out of memory");
    return RD_ENOMEM;
}

static enum rd_err serve(const struct journal_conf *conf, struct journal *journal, char *reason) {
    enum rd_err err = sqlite_file_run(journal->db, "PRAGMA cache_size=-2000;");
    if (err == RD_OK) {
        int rc = sqlite3_db_config(journal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        err = rc == SQLITE_OK ? RD_OK : RD_EIO;
    }
    if (err == RD_OK) {
        err = sqlite_file_prepare(journal->db, &journal->insert, "%s",
                                  "INSERT INTO journal(seq, batch) VALUES(?1, ?2)");
    }
    if (err != RD_OK) {
        snprintf(reason, STORE_REASON_BYTES, "cannot prepare %s: %s", journal->db_path,
                 sqlite3_errmsg(journal->db));
        return err;
    }
    preallocate(journal->wal_path, conf->wal_bytes);
    err = wal_sync_new(journal->wal_path, &journal->sync);
    if (err != RD_OK) {
        snprintf(reason, STORE_REASON_BYTES, "cannot use %s: %s", journal->wal_path,
                 rd_err_text(err));
    }
    return err;
}

enum rd_err journal_open(const struct journal_conf *conf, enum sqlite_file_use use,
                         struct journal *journal, char reason[STORE_REASON_BYTES]) {
    char name[16];
    snprintf(name, sizeof name, "journal%u.db", conf->index);
    *journal = (struct journal){.empty = true};
    journal->db_path = sqlite3_mprintf("%s/%s", conf->dir, name);
    journal->wal_path = sqlite3_mprintf("%s/%s-wal", conf->dir, name);
    enum rd_err err = RD_OK;
    if (journal->db_path == NULL || journal->wal_path == NULL) {
        err = RD_ENOMEM;
    } else if (use == SQLITE_FILE_SERVE) {
        err = wal_vfs_new(conf->vfs, &journal->vfs);
    }
    if (err != RD_OK) {
        journal_close(journal);
        return out_of_memory(reason);
    }
    const struct sqlite_file_spec spec = {
        .dir = conf->dir,
        .name = name,
        .schema = schema,
        .vfs = journal->vfs == NULL ? conf->vfs : wal_vfs_name(journal->vfs),
        .page_bytes = PAGE_BYTES,
        .exclusive = true,
    };
    err = sqlite_file_open(&spec, use, &journal->db, reason);
    if (err == RD_OK) {
        sqlite3_wal_hook(journal->db, note_size, journal);
        err = use == SQLITE_FILE_SERVE ? serve(conf, journal, reason) : RD_OK;
    }
    if (err != RD_OK) {
        journal_close(journal);
    }
    return err;
}

void journal_close(struct journal *journal) {
    wal_sync_free(&journal->sync);
    sqlite3_finalize(journal->insert);
    sqlite_file_close(&journal->db);
    wal_vfs_free(&journal->vfs);
    sqlite3_free(journal->db_path);
    sqlite3_free(journal->wal_path);
    *journal = (struct journal){0};
}

enum rd_err journal_remove(struct journal *journal) {
    char *wal_path = journal->wal_path;
    char *db_path = journal->db_path;
    journal->wal_path = journal->db_path = NULL;
    journal_close(journal);
    bool gone = unlink(wal_path) == 0 || errno == ENOENT;
    gone &= unlink(db_path) == 0 || errno == ENOENT;
    sqlite3_free(wal_path);
    sqlite3_free(db_path);
    return gone ? RD_OK : RD_EIO;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* It is when zeros are synced that the system finds them a place, and commits would wait for it. In the other modes nobody waits. */
static void settle(struct journal *journal) {
    int fd = journal->settled ? -1 : open(journal->wal_path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fdatasync(fd); /* commits are synced in any case */
        close(fd);
    }
    journal->settled = true;
}

enum rd_err journal_set_full(struct journal *journal, bool full) {
    if (full) {
        settle(journal);
    }
    enum rd_err err = sqlite_file_run(journal->db, full ? "PRAGMA synchronous=FULL"
                                                        : "PRAGMA synchronous=NORMAL");
    if (err == RD_OK) {
        wal_vfs_set_direct(journal->vfs, full);
    }
    return err;
}

/* A rollback can fail too: then the next call does it. */
static void roll_back(sqlite3 *db) {
    if (!sqlite3_get_autocommit(db)) {
        (void)sqlite_file_run(db, "ROLLBACK");
    }
}

enum rd_err journal_append(struct journal *journal, uint64_t seq, const void *bytes, size_t len,
                           bool full) {
    roll_back(journal->db);
    int rc = sqlite3_bind_int64(journal->insert, 1, (sqlite3_int64)seq);
    if (rc == SQLITE_OK) {
        rc = sqlite_file_bind(journal->insert, 2, bytes, len);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite_file_step(journal->insert);
    }
    enum rd_err err = sqlite_file_error(journal->db, rc);
    if (err != RD_OK) {
        roll_back(journal->db);
        return err;
    }
    journal->empty = false;
    if (!full) {
        journal->unsynced = true;
        wal_sync_written(journal->sync);
    }
    return RD_OK;
}

/* A commit writes the page with the size of the database, the root, and the row's own. */
uint64_t journal_row_bytes(size_t len) {
    return (3 + len / PAGE_BYTES) * FRAME_BYTES;
}

enum rd_err journal_sync(struct journal *journal) {
    if (!journal->unsynced) {
        return RD_OK;
    }
    enum rd_err err = wal_sync_now(journal->sync);
    journal->unsynced = err != RD_OK;
    return err;
}

/* Of all ways this one writes the least: the database is declared empty, so the checkpoint has no page to copy. */
enum rd_err journal_reset(struct journal *journal) {
    sqlite3 *db = journal->db;
    roll_back(db);
    int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL);
    enum rd_err err = rc == SQLITE_OK ? sqlite_file_run(db, "VACUUM") : RD_EIO;
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
    if (err == RD_OK) {
        err = sqlite_file_fill(db, schema);
    }
    if (err == RD_OK) {
        int in_wal = 0;
        int copied = 0;
        rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, &in_wal, &copied);
        err = sqlite_file_error(db, rc);
    }
    if (err != RD_OK) {
        return err;
    }
    journal->wal_bytes = 0;
    journal->empty = true;
    journal->unsynced = false;
    wal_sync_recovered(journal->sync);
    return RD_OK;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static enum rd_err prepare(struct journal *journal, const char *sql, sqlite3_stmt **out) {
    return sqlite_file_error(journal->db, sqlite3_prepare_v2(journal->db, sql, -1, out, NULL));
}

/* Is there a table? Only an inspected journal may have none. */
static enum rd_err has_table(struct journal *journal, bool *out) {
    sqlite3_stmt *stmt = NULL;
    enum rd_err err = prepare(journal, "SELECT 1 FROM sqlite_master WHERE name='journal'", &stmt);
    if (err == RD_OK) {
        int rc = sqlite3_step(stmt);
        *out = rc == SQLITE_ROW;
        err = sqlite_file_error(journal->db, rc);
    }
    sqlite3_finalize(stmt);
    return err;
}

enum rd_err journal_bounds(struct journal *journal, uint64_t *first, uint64_t *last) {
    sqlite3_stmt *stmt = NULL;
    bool table = false;
    *first = *last = 0;
    enum rd_err err = has_table(journal, &table);
    if (err != RD_OK || !table) {
        return err;
    }
    err = prepare(journal, "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)",
                  &stmt);
    if (err == RD_OK) {
        int rc = sqlite3_step(stmt);
        err = sqlite_file_error(journal->db, rc);
        if (rc == SQLITE_ROW) {
            *first = (uint64_t)sqlite3_column_int64(stmt, 0);
            *last = (uint64_t)sqlite3_column_int64(stmt, 1);
        }
    }
    sqlite3_finalize(stmt);
    journal->empty = *last == 0;
    journal->unsynced = *last != 0; /* nobody knows */
    return err;
}

enum rd_err journal_each(struct journal *journal, uint64_t first, uint64_t last,
                         enum rd_err (*each)(void *arg, uint64_t seq, const void *bytes,
                                             size_t len),
                         void *arg) {
    sqlite3_stmt *stmt = NULL;
    if (first > last) {
        return RD_OK;
    }
    enum rd_err err = prepare(
        journal, "SELECT seq, batch FROM journal WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq", &stmt);
    if (err == RD_OK) {
        sqlite3_bind_int64(stmt, 1, (sqlite3_int64)first);
        sqlite3_bind_int64(stmt, 2, (sqlite3_int64)last);
    }
    int rc = SQLITE_DONE;
    while (err == RD_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(stmt, 1);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 1);
        err = bytes == NULL && len > 0
                  ? RD_ENOMEM
                  : each(arg, (uint64_t)sqlite3_column_int64(stmt, 0), bytes, len);
    }
    if (err == RD_OK) {
        err = sqlite_file_error(journal->db, rc);
    }
    sqlite3_finalize(stmt);
    return err;
}
