/* The SQLite engine's folder: lock, database file, settings, format; and what SQLite's errors mean to us. */
#ifndef RD_STORE_SQLITE_FILE_H
#define RD_STORE_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "store/types.h"

/* "Rdyn" in the file's header, so that file(1) and we can tell it from other databases. */
#define SQLITE_FILE_APPLICATION_ID 0x5264796e
#define SQLITE_FILE_FORMAT 1

enum sqlite_file_use {
    SQLITE_FILE_SERVE,  /* make it if it is not there, bring its settings up to date */
    SQLITE_FILE_INSPECT /* change nothing, not even on closing */
};

struct sqlite_file {
    sqlite3 *db;
    char *db_path;  /* owned */
    char *wal_path; /* owned */
    int lock_fd;
};

/* Locks `dir`, opens its database and verifies that it is ours. `reason` gets one sentence on error. Errors as
 * store_sqlite_open. `out` is to be closed with sqlite_file_close. */
enum rd_err sqlite_file_open(const char *dir, enum sqlite_file_use use, struct sqlite_file *out,
                             char reason[STORE_REASON_BYTES]);

/* Closes and frees all of `file`; its statements must be finalized. A zeroed struct with lock_fd -1 is fine. */
void sqlite_file_close(struct sqlite_file *file);

/* Runs statements that return nothing of interest. Errors as sqlite_file_error. */
enum rd_err sqlite_file_run(sqlite3 *db, const char *sql);

/* What the result code `rc` of a call on `db` means: RD_OK for SQLITE_OK, SQLITE_ROW and SQLITE_DONE, else RD_EFULL, RD_ECORRUPT,
 * RD_ENOMEM, RD_ETOOBIG, RD_EEXIST (locked by someone else) or RD_EIO. */
enum rd_err sqlite_file_error(sqlite3 *db, int rc);

/* The table that holds the rows of `space` (static storage). */
const char *sqlite_file_table(enum store_space space);

#endif
