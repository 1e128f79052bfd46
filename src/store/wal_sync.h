/* A thread that brings a file to disk about a second after it was written: `appendfsync everysec`.
 *
 * It has a descriptor of its own and calls fdatasync on it; it never touches SQLite. The file may be overwritten and reset
 * meanwhile. Any thread may call, but for new and free.
 */
#ifndef RD_STORE_WAL_SYNC_H
#define RD_STORE_WAL_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct wal_sync;

/* Opens `path`, which must exist, and starts the thread, idle. Free with wal_sync_free. Errors: RD_ENOMEM, RD_EIO. */
enum rd_err wal_sync_new(const char *path, struct wal_sync **out);

/* Whether the thread syncs what was written, within a second or so. Off, what was written is remembered. */
void wal_sync_enable(struct wal_sync *sync, bool everysec);

/* The file was written. */
void wal_sync_written(struct wal_sync *sync);

/* Syncs now, on the caller's thread. Error: RD_EIO, also if
 * wal_sync_failed. */
enum rd_err wal_sync_now(struct wal_sync *sync);

/* Has an fdatasync failed? Then the system may have dropped what it held; nothing is synced any more until wal_sync_recovered
 * says that it is on disk by other means. */
bool wal_sync_failed(struct wal_sync *sync);
void wal_sync_recovered(struct wal_sync *sync);

/* How long 99 of 100 of the last syncs took at most, in microseconds; 0 before the first. */
uint64_t wal_sync_p99_us(struct wal_sync *sync);

/* Stops the thread without another sync, closes, frees and nulls. NULL is fine. */
void wal_sync_free(struct wal_sync **sync);

#endif
