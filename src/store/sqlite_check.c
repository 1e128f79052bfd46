/* Verifies a store that nobody has open: structure, addresses, checksums, journals, counts and leaves; see store_sqlite.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/slot.h"
#include "store/sqlite_engine.h"
#include "store/sqlite_row.h"
#include "store/store_sqlite.h"

struct check {
    FILE *report;
    uint64_t problems;
    struct table table;
    struct journal journals[2];
    struct memtable mem;      /* what the journals hold beyond the table */
    struct store *expected;   /* counts and leaves as stored, and changed by the journals */
    struct store *recount;    /* the same from the rows */
    bool damaged[SLOT_COUNT]; /* a row of it cannot be trusted: no use in comparing */
};

#define SHOWN_KEY_BYTES 64 /* of a key in the report */

static void problem(struct check *check, const char *where, const char *what) {
    fprintf(check->report, "%s: %s\n", where, what);
    check->problems++;
}

/* One line about a row, its key with everything escaped that a terminal should not see. */
static void bad_row(struct check *check, const struct store_key *at, const char *what) {
    const unsigned char *key = at->key;
    fprintf(check->report, "%s: slot %u, key \"", sqlite_row_table(at->space), at->slot);
    for (size_t i = 0; i < at->key_len && i < SHOWN_KEY_BYTES; i++) {
        bool plain = key[i] >= 0x20 && key[i] < 0x7f && key[i] != '"' && key[i] != '\\';
        fprintf(check->report, plain ? "%c" : "\\x%02x", key[i]);
    }
    fprintf(check->report, "\"%s: %s\n", at->key_len > SHOWN_KEY_BYTES ? "..." : "", what);
    check->problems++;
    if (at->slot < SLOT_COUNT) {
        check->damaged[at->slot] = true;
    }
}

static void failed(struct check *check, sqlite3 *db, const char *where, int rc) {
    problem(check, where, rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(db));
}

/* SQLite's own check: pages, order, indexes. */
static void check_structure(struct check *check, sqlite3 *db, const char *name) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (text != NULL && strcmp(text, "ok") != 0) {
            fprintf(check->report, "%s: structure: %s\n", name, text);
            check->problems++;
        }
    }
    if (rc != SQLITE_DONE) {
        failed(check, db, name, rc);
    }
    sqlite3_finalize(stmt);
}

static void count_row(struct check *check, const struct store_key *at, bool live, uint64_t digest) {
    if (at->space == STORE_OBJECTS) {
        store_counts_change(check->recount, at, row_hash(at), false, live, 0, digest);
    }
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
    } else if (memtable_find(&check->mem, &at, row_hash(&at)) == NULL) {
        count_row(check, &at, row.live, row.digest);
    }
    blob_unref(row.value);
}

/* Reads all rows of a space, in the table and in the journals; returns their number. */
static uint64_t check_rows(struct check *check, enum store_space space) {
    uint64_t count = 0;
    sqlite3_stmt *stmt;
    sqlite3 *db = check->table.db;
    int rc = sqlite3_prepare_v2(db, sqlite_row_select(space), -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            struct store_key at;
            check_row(check, stmt, space);
            sqlite_row_address(stmt, space, &at);
            count += memtable_find(&check->mem, &at, row_hash(&at)) == NULL;
        }
    }
    if (rc != SQLITE_DONE) {
        failed(check, db, sqlite_row_table(space), rc);
        memset(check->damaged, 1, sizeof check->damaged);
    }
    sqlite3_finalize(stmt);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        const struct mem_row *row = memtable_first(&check->mem, space, (uint16_t)slot);
        for (; row != NULL; row = memtable_next(&check->mem, row)) {
            struct store_key at = mem_row_key(row);
            if (row->value != NULL) {
                count_row(check, &at, row->live, row->digest);
                count++;
            }
        }
    }
    return count;
}

static void check_journals(struct check *check) {
    struct journal *journals[2] = {&check->journals[0], &check->journals[1]};
    struct recovery plan = {0};
    uint64_t merged = 0;
    check_structure(check, journals[0]->db, "journal0.db");
    check_structure(check, journals[1]->db, "journal1.db");
    enum rd_err err = table_merged(&check->table, &merged);
    if (err == RD_OK) {
        err = recovery_counts(&check->table, check->expected);
    }
    if (err != RD_OK) {
        problem(check, "slots", rd_err_text(err));
        memset(check->damaged, 1, sizeof check->damaged);
    }
    err = recovery_plan(journals, merged, &plan);
    for (unsigned n = 0; n < 2 && err == RD_OK; n++) {
        unsigned i = n == 0 ? plan.older : 1 - plan.older;
        err = recovery_replay(&plan, i, journals[i], &check->mem, check->expected);
    }
    if (err != RD_OK) {
        problem(check, "journals", rd_err_text(err));
        memset(check->damaged, 1, sizeof check->damaged);
    }
    if (plan.dropped > 0) {
        fprintf(check->report, "journals: %llu commits behind a gap will be dropped\n",
                (unsigned long long)plan.dropped);
    }
}

static void compare_counts(struct check *check) {
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        size_t first = (size_t)slot * STORE_LEAVES_PER_SLOT;
        if (check->damaged[slot]) {
            continue;
        }
        if (check->expected->live[slot] != check->recount->live[slot]) {
            fprintf(check->report, "slots: slot %u: %u live keys are counted, %u are there\n", slot,
                    check->expected->live[slot], check->recount->live[slot]);
            check->problems++;
        }
        if (memcmp(check->expected->leaves + first, check->recount->leaves + first,
                   STORE_LEAVES_PER_SLOT * sizeof(uint64_t)) != 0) {
            fprintf(check->report, "slots: slot %u: the leaves do not fit the rows\n", slot);
            check->problems++;
        }
    }
}

static struct store *counts_new(void) {
    struct store *store = calloc(1, sizeof *store);
    if (store != NULL && store_init(store, NULL) != RD_OK) {
        free(store);
        store = NULL;
    }
    return store;
}

static void counts_free(struct store *store) {
    if (store != NULL) {
        store_fini(store);
        free(store);
    }
}

static bool open_all(struct check *check, const char *dir, int *lock_fd,
                     char reason[STORE_REASON_BYTES]) {
    enum rd_err err = sqlite_dir_lock(dir, lock_fd, reason);
    if (err == RD_OK) {
        err = table_open(dir, TABLE_FILE, NULL, SQLITE_FILE_INSPECT, &check->table, reason);
    }
    for (unsigned i = 0; i < 2 && err == RD_OK; i++) {
        const struct journal_conf conf = {.dir = dir, .index = i};
        err = journal_open(&conf, SQLITE_FILE_INSPECT, &check->journals[i], reason);
    }
    check->expected = counts_new();
    check->recount = counts_new();
    if (err == RD_OK && (check->expected == NULL || check->recount == NULL ||
                         memtable_init(&check->mem) != RD_OK)) {
        snprintf(reason, STORE_REASON_BYTES, "out of memory");
        err = RD_ENOMEM;
    }
    return err == RD_OK;
}

static void check_all(struct check *check) {
    uint64_t rows[STORE_SPACES];
    check_structure(check, check->table.db, TABLE_FILE);
    check_journals(check);
    for (int space = 0; space < STORE_SPACES; space++) {
        rows[space] = check_rows(check, (enum store_space)space);
    }
    compare_counts(check);
    fprintf(check->report, "%llu objects, %llu hints, %llu meta rows, %llu leaves: %llu problems\n",
            (unsigned long long)rows[STORE_OBJECTS], (unsigned long long)rows[STORE_HINTS],
            (unsigned long long)rows[STORE_META], (unsigned long long)rows[STORE_LEAVES],
            (unsigned long long)check->problems);
}

uint64_t store_sqlite_check(const char *dir, FILE *report) {
    char reason[STORE_REASON_BYTES] = "";
    int lock_fd = -1;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        fprintf(report, "out of memory\n");
        return 1;
    }
    check->report = report;
    if (open_all(check, dir, &lock_fd, reason)) {
        check_all(check);
    } else {
        fprintf(report, "%s\n", reason);
        check->problems++;
    }
    uint64_t problems = check->problems;
    journal_close(&check->journals[0]);
    journal_close(&check->journals[1]);
    table_close(&check->table);
    memtable_free(&check->mem);
    counts_free(check->expected);
    counts_free(check->recount);
    if (lock_fd >= 0) {
        close(lock_fd);
    }
    free(check);
    return problems;
}
