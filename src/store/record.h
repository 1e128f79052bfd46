/* One commit as the journal keeps it: all rows of a batch as one string of bytes, with a checksum. */
#ifndef RD_STORE_RECORD_H
#define RD_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/batch.h"
#include "store/memtable.h"

/* The commit was acknowledged only when it was on disk. */
#define RECORD_SYNCED 1

/* One row of a record; borrows from it. */
struct record_row {
    struct mem_put put;
    uint64_t old_digest;
    bool was_live;
};

struct record_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t left; /* rows */
    uint8_t flags;
};

/* Appends the record of a sealed batch. Errors: RD_ENOMEM, RD_ETOOBIG (above what a row of SQLite holds). */
enum rd_err record_encode(const struct batch *batch, uint8_t flags, struct buf *out);

/* Verifies all of a record, so that record_next cannot fail. Error: RD_ECORRUPT. */
enum rd_err record_open(const void *bytes, size_t len, struct record_reader *out);

/* The next row; false at the end. */
bool record_next(struct record_reader *reader, struct record_row *out);

/* The row of a batch as memtable_put takes it; borrows from it. */
struct mem_put record_put(const struct batch_row *row);

#endif
