/* Verifies a store that nobody has open: the structure, every address, every checksum; see store_sqlite.h. */
#include <stdio.h>
#include <string.h>

#include "replication/slot.h"
#include "store/sqlite_file.h"
#include "store/sqlite_row.h"
#include "store/store_sqlite.h"

struct check {
    sqlite3 *db;
    FILE *report;
    uint64_t problems;
};

#define SHOWN_KEY_BYTES 64 /* of a key in the report */

/* One line about a row, its key with everything escaped that a terminal should not see. */
static void bad_row(struct check *check, const struct store_key *at, const char *what) {
    const unsigned char *key = at->key;
    fprintf(check->report, "%s: slot %u, key \"", sqlite_file_table(at->space), at->slot);
    for (size_t i = 0; i < at->key_len && i < SHOWN_KEY_BYTES; i++) {
        bool plain = key[i] >= 0x20 && key[i] < 0x7f && key[i] != '"' && key[i] != '\\';
        fprintf(check->report, plain ? "%c" : "\\x%02x", key[i]);
    }
    fprintf(check->report, "\"%s: %s\n", at->key_len > SHOWN_KEY_BYTES ? "..." : "", what);
    check->problems++;
}

static void failed(struct check *check, const char *where, int rc) {
    fprintf(check->report, "%s: %s\n", where,
            rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(check->db));
    check->problems++;
}

/* SQLite's own check: pages, order, indexes. */
static void check_structure(struct check *check) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(check->db, "PRAGMA integrity_check", -1, &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (text != NULL && strcmp(text, "ok") != 0) {
            fprintf(check->report, "structure: %s\n", text);
            check->problems++;
        }
    }
    if (rc != SQLITE_DONE) {
        failed(check, "structure", rc);
    }
    sqlite3_finalize(stmt);
}

static void check_row(struct check *check, sqlite3_stmt *stmt, enum store_space space) {
    struct store_key at;
    struct row_value row = {0};
    sqlite_row_address(stmt, space, &at);
    sqlite3_int64 slot = sqlite3_column_int64(stmt, ROW_SLOT);
    enum rd_err err = sqlite_row_value(stmt, &at, &row);
    if (slot < 0 || slot >= SLOT_COUNT) {
        bad_row(check, &at, "no such slot");
    } else if (err != RD_OK) {
        bad_row(check, &at, err == RD_ECORRUPT ? "the checksum is wrong" : rd_err_text(err));
    }
    blob_unref(row.value);
}

/* Reads all rows of a table; returns their number. */
static uint64_t check_rows(struct check *check, enum store_space space) {
    uint64_t count = 0;
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(check->db, sqlite_row_select(space), -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            check_row(check, stmt, space);
            count++;
        }
    }
    if (rc != SQLITE_DONE) {
        failed(check, sqlite_file_table(space), rc);
    }
    sqlite3_finalize(stmt);
    return count;
}

uint64_t store_sqlite_check(const char *dir, FILE *report) {
    struct sqlite_file file;
    char reason[STORE_REASON_BYTES];
    if (sqlite_file_open(dir, SQLITE_FILE_INSPECT, &file, reason) != RD_OK) {
        fprintf(report, "%s\n", reason);
        return 1;
    }
    struct check check = {.db = file.db, .report = report};
    uint64_t rows[STORE_SPACES];
    check_structure(&check);
    for (int space = 0; space < STORE_SPACES; space++) {
        rows[space] = check_rows(&check, (enum store_space)space);
    }
    sqlite_file_close(&file);
    fprintf(report, "%llu objects, %llu hints, %llu meta rows, %llu leaves: %llu problems\n",
            (unsigned long long)rows[STORE_OBJECTS], (unsigned long long)rows[STORE_HINTS],
            (unsigned long long)rows[STORE_META], (unsigned long long)rows[STORE_LEAVES],
            (unsigned long long)check.problems);
    return check.problems;
}
