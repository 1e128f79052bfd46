/* A journal: an SQLite file with one row per commit, whose WAL is preallocated and overwritten from its start in each
 * round. One thread at a time.
 *
 * Its rows are written once, to the WAL: emptying it (journal_reset) forgets them before any checkpoint could copy them.
 */
#ifndef RD_STORE_JOURNAL_H
#define RD_STORE_JOURNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/sqlite_file.h"
#include "store/wal_sync.h"
#include "store/wal_vfs.h"

struct journal {
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct wal_vfs *vfs;   /* NULL when inspecting */
    struct wal_sync *sync; /* of the WAL; NULL when inspecting */
    char *db_path;         /* owned by SQLite */
    char *wal_path;        /* owned by SQLite */
    uint64_t wal_bytes;    /* written since it was empty */
    bool empty;            /* nothing was appended since it was emptied */
    bool settled;          /* the space of the WAL has its place on the disk */
    bool unsynced; /* something was appended without synchronous=FULL since the last journal_sync */
};

struct journal_conf {
    const char *dir;
    const char *vfs;    /* NULL: the system's */
    unsigned index;     /* 0 or 1 */
    uint64_t wal_bytes; /* preallocate so much */
};

/* Opens journal `index`, making it if it is not there. `*out` (which must stay where it is) is to be closed with journal_close. Errors
 * as store_sqlite_open. */
enum rd_err journal_open(const struct journal_conf *conf, enum sqlite_file_use use,
                         struct journal *out, char reason[STORE_REASON_BYTES]);

/* Closes; what is in it stays. A zeroed struct is fine. */
void journal_close(struct journal *journal);

/* Closes and removes the files: the way to empty a journal that needs no space. Error: RD_EIO. */
enum rd_err journal_remove(struct journal *journal);

/* Whether each append is on disk when it returns. */
enum rd_err journal_set_full(struct journal *journal, bool full);

/* About as much of the WAL as such a row takes: for whoever reads the rows back and sets wal_bytes. */
uint64_t journal_row_bytes(size_t len);

/* Appends one row, whole or not at all. `full`: as set by journal_set_full. Errors as sqlite_file_error. */
enum rd_err journal_append(struct journal *journal, uint64_t seq, const void *bytes, size_t len,
                           bool full);

/* Brings to disk what was appended. Error: RD_EIO, and from then on (wal_sync_failed). */
enum rd_err journal_sync(struct journal *journal);

/* Empties it. On error it holds its rows or none, and resetting must be tried again before it is used. */
enum rd_err journal_reset(struct journal *journal);

/* The lowest and highest number of its rows; both 0 if there are none. Errors as sqlite_file_error. */
enum rd_err journal_bounds(struct journal *journal, uint64_t *first, uint64_t *last);

/* Calls `each` for the rows first..last in order until it returns an error, which is returned. Other errors as sqlite_file_error. */
enum rd_err journal_each(struct journal *journal, uint64_t first, uint64_t last,
                         enum rd_err (*each)(void *arg, uint64_t seq, const void *bytes,
                                             size_t len),
                         void *arg);

/* The same, read by a thread of its own while `each`, called on this one, works on earlier rows; a megabyte or two of rows, or two large ones,
 * are copied on their way. For many rows. */
enum rd_err journal_each_ahead(struct journal *journal, uint64_t first, uint64_t last,
                               enum rd_err (*each)(void *arg, uint64_t seq, const void *bytes,
                                                   size_t len),
                               void *arg);

#endif
