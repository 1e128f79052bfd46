/* The SQLite engine: a folder with one database that the sqlite3 shell can read; see doc/storage.md.
 *
 * Work is done inside the calls, so completions are ready when they return. One transaction per commit. Each row carries
 * a checksum, verified at every read. One process at a time may have a folder open.
 */
#ifndef RD_STORE_STORE_SQLITE_H
#define RD_STORE_STORE_SQLITE_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "store/store.h"

struct store_sqlite_conf {
    const char *dir;        /* must exist; borrowed during the call */
    enum store_fsync fsync; /* appendfsync */
    uint64_t cache_bytes;   /* for SQLite's page cache; 0: SQLite's own default */
};

/* Opens the store in `conf->dir`, making it if the folder has none. Starts one thread (all signals blocked), so
 * a daemon forks before. `reason` gets one sentence on error. Close with store_close. Errors: RD_ENOMEM, RD_EIO, RD_EFULL,
 * RD_ECORRUPT (damaged), RD_EEXIST (another process has it open), RD_ECONF (no such folder, or what is there was not
 * made by this program or by a newer version of it). */
enum rd_err store_sqlite_open(const struct store_sqlite_conf *conf, struct store **out,
                              char reason[STORE_REASON_BYTES]);

/* Changes the mode at run time; on success all that was committed under ALWAYS or before a change to ALWAYS is on
 * disk. Errors: RD_EIO, RD_ENOMEM; the mode is then as before. `store`: made by store_sqlite_open. */
enum rd_err store_sqlite_set_fsync(struct store *store, enum store_fsync mode);

/* Verifies the store in `dir`, which no process may have open: structure, addresses, checksums. Changes nothing. Writes a
 * line per problem and a summary to `report`. Returns the number of problems, 0 for a sound store; one that cannot be
 * opened is one problem. */
uint64_t store_sqlite_check(const char *dir, FILE *report);

#endif
