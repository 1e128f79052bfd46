/* A row as the SQLite engine keeps it; see sqlite_row.h. */
#include "store/sqlite_row.h"

/* Only objects have all columns; the others answer with constants, so that one function reads every row. */
const char *sqlite_row_select(enum store_space space) {
    static const char *const selects[STORE_SPACES] = {
        "SELECT slot, key, sub, live, due, digest, checksum, value FROM objects",
        "SELECT slot, key, sub, 0, 0, 0, checksum, value FROM hints",
        "SELECT slot, key, sub, 0, 0, 0, checksum, value FROM meta",
        "SELECT slot, key, sub, 0, 0, 0, checksum, value FROM leaves",
    };
    return selects[space];
}

const char *sqlite_row_table(enum store_space space) {
    static const char *const names[STORE_SPACES] = {"objects", "hints", "meta", "leaves"};
    return names[space];
}

void sqlite_row_address(sqlite3_stmt *stmt, enum store_space space, struct store_key *out) {
    out->space = space;
    out->slot = (uint16_t)sqlite3_column_int64(stmt, ROW_SLOT);
    out->key = sqlite3_column_blob(stmt, ROW_KEY);
    out->key_len = (size_t)sqlite3_column_bytes(stmt, ROW_KEY);
    out->sub = sqlite3_column_blob(stmt, ROW_SUB);
    out->sub_len = (size_t)sqlite3_column_bytes(stmt, ROW_SUB);
}

enum rd_err sqlite_row_value(sqlite3_stmt *stmt, const struct store_key *at,
                             struct row_value *out) {
    struct row_value row = {
        .digest = (uint64_t)sqlite3_column_int64(stmt, ROW_DIGEST),
        .due_ms = (uint64_t)sqlite3_column_int64(stmt, ROW_DUE),
        .live = sqlite3_column_int64(stmt, ROW_LIVE) != 0,
    };
    const void *bytes = sqlite3_column_blob(stmt, ROW_VALUE);
    size_t len = (size_t)sqlite3_column_bytes(stmt, ROW_VALUE);
    if (bytes == NULL && len > 0) {
        return RD_ENOMEM;
    }
    enum rd_err err = blob_new(bytes, len, &row.value);
    if (err != RD_OK) {
        return err;
    }
    uint64_t expected = (uint64_t)sqlite3_column_int64(stmt, ROW_CHECKSUM);
    if (row_checksum(at, &row) != expected) {
        blob_unref(row.value);
        row.value = NULL;
        err = RD_ECORRUPT;
    }
    *out = row;
    return err;
}
