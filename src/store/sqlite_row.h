/* A row as the SQLite engine keeps it: the columns, and the proof that they are what was written. */
#ifndef RD_STORE_SQLITE_ROW_H
#define RD_STORE_SQLITE_ROW_H

#include <sqlite3.h>

#include "base/err.h"
#include "store/row.h"

/* The columns that sqlite_row_select names, in this order. */
enum sqlite_row_column {
    ROW_SLOT,
    ROW_KEY,
    ROW_SUB,
    ROW_LIVE,
    ROW_DUE,
    ROW_DIGEST,
    ROW_CHECKSUM,
    ROW_VALUE
};

/* "SELECT slot, key, ... FROM table" for the table of `space`, to be continued with a WHERE (static storage). */
const char *sqlite_row_select(enum store_space space);

/* The table that holds the rows of `space` (static storage). */
const char *sqlite_row_table(enum store_space space);

/* The address in the current row of `stmt`; its bytes are borrowed until the next step. */
void sqlite_row_address(sqlite3_stmt *stmt, enum store_space space, struct store_key *out);

/* The rest of the row: the value is a new reference. RD_ECORRUPT if the checksum differs, with live and due set all the same;
 * RD_ENOMEM. `at` is the row's address. */
enum rd_err sqlite_row_value(sqlite3_stmt *stmt, const struct store_key *at, struct row_value *out);

#endif
