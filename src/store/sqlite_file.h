/* What the SQLite engine's files have in common: the folder's lock, opening, settings, format; and what SQLite's errors mean
 * to us. */
#ifndef RD_STORE_SQLITE_FILE_H
#define RD_STORE_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "store/types.h"

/* "Rdyn" in the file's header, so that file(1) and we can tell it from other databases. Format 1 had no journal. */
#define SQLITE_FILE_APPLICATION_ID 0x5264796e
#define SQLITE_FILE_FORMAT 3

enum sqlite_file_use {
    SQLITE_FILE_SERVE,  /* make it if it is not there, bring its settings up to date */
    SQLITE_FILE_SHARE,  /* a further connection to a file that is being served; reads only */
    SQLITE_FILE_INSPECT /* change nothing, not even on closing */
};

struct sqlite_file_spec {
    const char *dir;
    const char *name;   /* inside `dir` */
    const char *schema; /* statements that fill a new file */
    const char *vfs;    /* NULL: the system's */
    int page_bytes;     /* of a new file */
    bool exclusive;     /* only this connection will ever be: no -shm file */
};

/* Takes the lock of `dir`, which must be a folder; `*fd` holds it until closed. `reason`: one sentence on error. Errors:
 * RD_ECONF (no such folder), RD_EEXIST (another process has it), RD_EIO, RD_EFULL, RD_ENOMEM. */
enum rd_err sqlite_dir_lock(const char *dir, int *fd, char reason[STORE_REASON_BYTES]);

/* Makes the names of new files in `dir` durable. */
enum rd_err sqlite_dir_sync(const char *dir);

/* Opens one file and verifies that it is ours. `*out` is to be closed with sqlite_file_close. `reason`: one sentence on error. Errors as
 * store_sqlite_open. */
enum rd_err sqlite_file_open(const struct sqlite_file_spec *spec, enum sqlite_file_use use,
                             sqlite3 **out, char reason[STORE_REASON_BYTES]);

/* Closes and nulls; its statements must be finalized. NULL is fine. */
void sqlite_file_close(sqlite3 **db);

/* Puts tables, application id and format into an empty file, in one transaction. Errors as sqlite_file_error. */
enum rd_err sqlite_file_fill(sqlite3 *db, const char *schema);

/* Runs statements that return nothing of interest. Errors as sqlite_file_error. */
enum rd_err sqlite_file_run(sqlite3 *db, const char *sql);

/* Prepares a statement that lives as long as the connection; `%s` in `format` is `word`. Errors as sqlite_file_error. */
enum rd_err sqlite_file_prepare(sqlite3 *db, sqlite3_stmt **out, const char *format,
                                const char *word);

/* Binds bytes without a copy: they must outlive the step. An empty string is not NULL. Returns SQLite's result. */
int sqlite_file_bind(sqlite3_stmt *stmt, int index, const void *bytes, size_t len);

/* Steps a statement that returns no row, and resets it. Returns SQLite's result, SQLITE_DONE if all is well. */
int sqlite_file_step(sqlite3_stmt *stmt);

/* What the result code `rc` of a call on `db` means: RD_OK for SQLITE_OK, SQLITE_ROW and SQLITE_DONE, else RD_EFULL, RD_ECORRUPT,
 * RD_ENOMEM, RD_ETOOBIG, RD_EEXIST (locked by someone else) or RD_EIO. */
enum rd_err sqlite_file_error(sqlite3 *db, int rc);

#endif
