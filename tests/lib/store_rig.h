/* A store under test, of either engine, with calls that wait for their answers.
 *
 * Linked only into the tests of stores (it is not in libtest). Everything asserts through Check unless it says otherwise.
 */
#ifndef RD_TESTS_STORE_RIG_H
#define RD_TESTS_STORE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define RIG_TOKEN 77

/* SMALL: the SQLite engine with memtables so small that it merges all the time. COLLIDING: the same, and all rows in memory have one of two
 * hashes. */
enum rig_engine { RIG_MEM = 0, RIG_SQLITE = 1, RIG_SMALL = 2, RIG_COLLIDING = 3, RIG_ENGINES };

struct rig {
    enum rig_engine engine;
    enum store_fsync fsync;
    char dir[64];                    /* SQLITE: its own, removed by rig_close */
    uint64_t memtable_bytes;         /* SQLITE: 0: the default, or a small one */
    const char *vfs;                 /* SQLITE */
    uint64_t old_digest, new_digest; /* of the objects put; 0, as nothing */
    struct store *store;
};

/* A literal as bytes and length, zero bytes inside it included. */
#define BYTES(literal) (literal), sizeof(literal) - 1

/* Sends SQLite's allocations through this program's malloc, so that tests/lib/oom.h reaches them. First thing in main. */
void rig_sqlite_malloc(void);

/* Opens an empty store. */
void rig_open(struct rig *rig, enum rig_engine engine);

/* Makes the folder of a store of the SQLite engine, without opening it. */
void rig_make_dir(struct rig *rig);

/* Opens what is in the folder; returns the error, `reason` as store_sqlite_open. */
enum rd_err rig_start(struct rig *rig, char reason[STORE_REASON_BYTES]);

/* Closes and opens again: SQLite from its files, memory as after a crash of the process. */
void rig_reopen(struct rig *rig);

/* Closes, if open, and removes the folder. */
void rig_close(struct rig *rig);

/* An address. */
struct store_key rig_key(enum store_space space, uint16_t slot, const void *key, size_t key_len,
                         const void *sub, size_t sub_len);

/* Puts a row that is no live object; value NULL erases. Returns store_put's error. */
enum rd_err rig_put(struct rig *rig, struct store_key at, const void *value, size_t len);

/* Puts an object that reader and reaper care about. */
enum rd_err rig_put_object(struct rig *rig, struct store_key at, const void *value, size_t len,
                           uint64_t due_ms, bool was_live, bool is_live);

/* Commits and waits; returns the completion's error. */
enum rd_err rig_commit(struct rig *rig);

/* The answers to calls that a test made itself, with token RIG_TOKEN: while allocations fail nothing else may be
 * called. Otherwise like rig_commit, rig_get and rig_scan. */
enum rd_err rig_commit_answer(struct rig *rig);
enum rd_err rig_get_answer(struct rig *rig, struct blob **out);
struct rig_rows rig_scan_answer(struct rig *rig);

/* Reads and waits; on RD_OK `*out` is a new reference. */
enum rd_err rig_get(struct rig *rig, struct store_key at, struct blob **out);

/* Reads a row that must hold these bytes. */
void rig_expect(struct rig *rig, struct store_key at, const void *value, size_t len);

/* Reads a row that must not be served for this reason. */
void rig_expect_error(struct rig *rig, struct store_key at, enum rd_err err);

/* Rows of a scan, with references and bytes of their own. */
struct rig_rows {
    enum rd_err err;
    bool end;
    size_t count;
    struct store_row *rows;
};

/* Scans and waits. Free the rows with rig_rows_free. */
struct rig_rows rig_scan(struct rig *rig, enum store_space space, uint16_t first, uint16_t last,
                         const struct store_cursor *cursor, size_t max_rows, size_t max_bytes);

/* The same for due rows: from the start, or behind a cursor. */
struct rig_rows rig_scan_due(struct rig *rig, uint64_t before_ms, size_t max_rows);
struct rig_rows rig_scan_due_behind(struct rig *rig, const struct store_due_cursor *cursor,
                                    uint64_t before_ms, size_t max_rows, size_t max_bytes);

void rig_rows_free(struct rig_rows *rows);

/* The cursor behind a row, which it borrows from. */
struct store_cursor rig_behind(const struct store_row *row);

#endif
