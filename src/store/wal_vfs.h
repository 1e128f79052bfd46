/* The file system of one journal: any of SQLite's, but what SQLite writes to the WAL is gathered and written by one call per commit.
 *
 * SQLite writes a frame in two calls and a commit has four frames or more: that is a quarter of the time of a small commit that is synced.
 * And where it is to be synced at once, it goes past the cache of the system (O_DIRECT), in whole blocks with zeros behind the end: the cache
 * would only be filled and written back. What is in the file afterwards is what SQLite wrote. Whatever the direct way refuses goes the usual one.
 *
 * A commit is in the file when SQLite's call returns, or that call has failed. One thread at a time.
 */
#ifndef RD_STORE_WAL_VFS_H
#define RD_STORE_WAL_VFS_H

#include <stdbool.h>

#include "base/err.h"

struct wal_vfs;

/* Registers a file system above the one named `below` (NULL: the system's, and only that one is ever passed by). Free with wal_vfs_free. Errors: RD_ENOMEM, RD_ECONF (no such file
 * system). */
enum rd_err wal_vfs_new(const char *below, struct wal_vfs **out);

/* Its name, for sqlite3_open_v2; borrowed. */
const char *wal_vfs_name(const struct wal_vfs *vfs);

/* Whether what is written from now on may pass the cache by. */
void wal_vfs_set_direct(struct wal_vfs *vfs, bool direct);

/* Frees and nulls; the files that were opened by it must be closed. NULL is fine. */
void wal_vfs_free(struct wal_vfs **vfs);

#endif
