/* The SQLite engine: two journals, two memtables, an object cache, and one main table into which a thread merges; see
 * doc/storage.md.
 *
 * Work is done inside the calls, so completions are ready when they return. A commit is one row of a journal. Each row of the
 * table carries a checksum, verified at every read. One process at a time may have a folder open.
 */
#ifndef RD_STORE_STORE_SQLITE_H
#define RD_STORE_STORE_SQLITE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "store/store.h"

struct store_sqlite_conf {
    const char *dir;        /* must exist; borrowed during the call */
    enum store_fsync fsync; /* appendfsync */
    uint64_t cache_bytes;   /* of the object cache, all its memory counted; 0: none */
    /* For tests and benchmarks; 0: a default. */
    uint64_t memtable_bytes;     /* rows of a memtable before it is merged; 128 MB */
    uint64_t journal_bytes;      /* preallocated for each journal; 16 MB */
    size_t rows_per_transaction; /* of a merge; 20000 */
    uint64_t ignored_hash_bits;  /* in memory rows whose hashes differ in these only collide */
    const char
        *vfs; /* SQLite's file system; borrowed as long as the store is open; NULL: the system's */
};

/* Opens the store in `conf->dir`, making it if the folder has none. Starts threads (all signals blocked), so
 * a daemon forks before. `reason` gets one sentence on error. Close with store_close. Errors: RD_ENOMEM, RD_EIO, RD_EFULL,
 * RD_ECORRUPT (damaged), RD_EEXIST (another process has it open), RD_ECONF (no such folder, or what is there was not
 * made by this program or by a newer version of it). */
enum rd_err store_sqlite_open(const struct store_sqlite_conf *conf, struct store **out,
                              char reason[STORE_REASON_BYTES]);

/* Changes the mode at run time; on success all that was committed under ALWAYS or before a change to ALWAYS is on
 * disk. Errors: RD_EIO, RD_ENOMEM; the mode is then as before. `store`: made by store_sqlite_open. */
enum rd_err store_sqlite_set_fsync(struct store *store, enum store_fsync mode);

/* Asserts the numbered invariants of the engine's parts, as far as they show from outside. O(rows in memory). */
void store_sqlite_verify(struct store *store);

/* Brings all that was committed into the main table and waits for it: for tests and benchmarks. Returns what the merge failed
 * with, RD_OK if all is merged. */
enum rd_err store_sqlite_merge(struct store *store);

/* Verifies the store in `dir`, which no process may have open: structure, addresses, checksums, the journals' rows, and counts and leaves
 * against a recount. Changes nothing. Writes a
 * line per problem and a summary to `report`. Returns the number of problems, 0 for a sound store; one that cannot be
 * opened is one problem. */
uint64_t store_sqlite_check(const char *dir, FILE *report);

#endif
