/* The main table: one SQLite database that holds all rows as of the last merge, and, for each slot, how many keys are live and the
 * leaves of the Merkle trees. One thread per connection.
 */
#ifndef RD_STORE_TABLE_H
#define RD_STORE_TABLE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/memtable.h"
#include "store/page.h"
#include "store/row.h"
#include "store/sqlite_file.h"
#include "store/store.h"
#include "store/types.h"

#define TABLE_FILE "data.db"

struct table_space {
    sqlite3_stmt *get, *scan, *behind; /* readers */
    sqlite3_stmt *put, *erase;         /* writers */
};

struct table {
    sqlite3 *db;
    struct table_space of[STORE_SPACES];
    sqlite3_stmt *due;        /* readers */
    sqlite3_stmt *hold;       /* readers */
    sqlite3_stmt *let_go;     /* readers */
    unsigned held_gets;       /* since the snapshot was taken */
    sqlite3_stmt *put_slot;   /* writers */
    sqlite3_stmt *put_merged; /* writers */
    int wal_pages;            /* as of the last commit of this connection */
};

/* What is kept per slot. */
struct table_slot {
    uint32_t live;
    uint64_t leaves[STORE_LEAVES_PER_SLOT];
};

/* Opens the table of `dir` in file `name` (TABLE_FILE): to SERVE it is to be its writer, to SHARE one of its readers, to INSPECT both, alone. `out` stays where it is
 * and is to be closed with table_close. Errors as store_sqlite_open. */
enum rd_err table_open(const char *dir, const char *name, const char *vfs, enum sqlite_file_use use,
                       struct table *out, char reason[STORE_REASON_BYTES]);

/* A mark in `dir` that says that pages of the table cannot be read. Errors: RD_EIO, RD_ENOMEM. */
bool table_is_damaged(const char *dir);
enum rd_err table_mark_damaged(const char *dir, bool damaged);

/* Writes the table anew from the rows that can be read, with counts and leaves of those that are whole, and puts it in the old one's place; nobody may have it open.
 * What it ends with counts whenever it is interrupted; it may be called again. Errors as store_sqlite_open; RD_ECORRUPT: what every table must have is lost. */
enum rd_err table_salvage(const char *dir, const char *vfs, char reason[STORE_REASON_BYTES]);

/* Closes. A zeroed struct is fine. */
void table_close(struct table *table);

/* One row: a new reference, from a snapshot that is taken by the first get and held for the next ones: locking the table for each costs as
 * much as reading it. RD_ENOTFOUND, RD_ECORRUPT, RD_EIO, RD_ENOMEM. */
enum rd_err table_get(struct table *table, const struct store_key *at, struct blob **out);

/* Gives the snapshot up: the next get sees what was merged meanwhile. */
void table_let_go(struct table *table);

/* Binds and returns the statement of a scan, of the same snapshot if one is held, to be stepped, read by sqlite_row.h and reset by the caller; it borrows `behind`. NULL with `*err` set on
 * error. */
sqlite3_stmt *table_scan(struct table *table, const struct store_range *range,
                         const struct store_key *behind, enum rd_err *err);

/* The same for object rows that are due at `before_ms`, earliest first, behind `behind` (NULL: from the start). */
sqlite3_stmt *table_scan_due(struct table *table, uint64_t before_ms,
                             const struct store_due *behind, enum rd_err *err);

/* The number of the last commit that was merged; 0 at first. RD_ECORRUPT, RD_EIO, RD_ENOMEM. */
enum rd_err table_merged(struct table *table, uint64_t *out);

/* Calls `each` for all slots that were ever written. Errors: RD_ECORRUPT (a checksum, no such slot), RD_EIO, RD_ENOMEM. */
enum rd_err table_slots(struct table *table,
                        void (*each)(void *arg, uint16_t slot, const struct table_slot *data),
                        void *arg);

/* Begins a transaction for table_put and the like. Errors as sqlite_file_error. */
enum rd_err table_begin(struct table *table);
/* Commits; errors as sqlite_file_error, the transaction may then be open still. */
enum rd_err table_commit(struct table *table);

/* Takes back what is open, if anything. */
void table_rollback(struct table *table);

/* Whether a commit is on disk, with all before it, when it returns; not inside a transaction. */
enum rd_err table_set_full(struct table *table, bool full);

/* Puts or erases one row, with its checksum. Errors as sqlite_file_error. */
enum rd_err table_put(struct table *table, const struct mem_row *row);

/* Replaces what is kept of a slot. Errors as sqlite_file_error. */
enum rd_err table_put_slot(struct table *table, uint16_t slot, const struct table_slot *data);

/* Sets what table_merged answers. Errors as sqlite_file_error. */
enum rd_err table_put_merged(struct table *table, uint64_t seq);

/* Copies the WAL back. `*complete`: all of it is in the database and on disk. Readers in the way are no error. */
enum rd_err table_checkpoint(struct table *table, int mode, bool *complete);

#endif
