/* store/store_sqlite: what only the SQLite engine does: files, locks, damage, full disks, processes that die. What both
 * engines do is in check_store.c. */
#include "store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

static struct rig rig;
static char reason[STORE_REASON_BYTES];

static void setup(void) {
    rig = (struct rig){.engine = RIG_SQLITE};
    reason[0] = 0;
}

static void teardown(void) {
    rig_close(&rig);
}

static struct store_key obj(const char *key) {
    return rig_key(STORE_OBJECTS, 7, key, strlen(key), NULL, 0);
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    return path;
}

/* Runs statements as the sqlite3 shell would, on the closed store. */
static void shell(const char *sql) {
    sqlite3 *db;
    char *error = NULL;
    ck_assert_int_eq(sqlite3_open(path_of("data.db"), &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &error);
    ck_assert_msg(rc == SQLITE_OK, "%s", error);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* The report of store_sqlite_check; the count must be as given. */
static const char *check_report(uint64_t problems) {
    static char text[4096];
    FILE *file = fmemopen(text, sizeof text, "w");
    ck_assert_ptr_nonnull(file);
    uint64_t found = store_sqlite_check(rig.dir, file);
    fclose(file);
    ck_assert_msg(found == problems, "%llu problems: %s", (unsigned long long)found, text);
    return text;
}

static void reopen_damaged(const char *sql) {
    store_close(&rig.store);
    shell(sql);
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
}

/* ---- what is on disk ------------------------------------------------------------------------------- */

START_TEST(a_person_can_read_the_file) {
    rig_open(&rig, RIG_SQLITE);
    rig.new_digest = 3;
    rig_put_object(&rig, obj("user:1"), BYTES("Ada"), 99, false, true);
    rig_put(&rig, rig_key(STORE_META, 0, BYTES("identity"), NULL, 0), BYTES("me"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    store_close(&rig.store);
    ck_assert_int_eq(access(path_of("data.db-shm"), F_OK), -1);
    ck_assert_int_eq(access(path_of("data.db-wal"), F_OK), -1); /* all is in one file */
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(path_of("data.db"), &db), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(db,
                           "SELECT o.slot || ' ' || o.key || ' ' || o.value || ' ' || o.live ||"
                           " ' ' || o.due || ' ' || o.digest || ' ' || m.key || ' ' || m.value"
                           " FROM objects o, meta m WHERE o.checksum<>0",
                           -1, &stmt, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "7 user:1 Ada 1 99 3 identity me");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}
END_TEST

START_TEST(one_process_at_a_time) {
    struct rig second = {.engine = RIG_SQLITE};
    rig_open(&rig, RIG_SQLITE);
    snprintf(second.dir, sizeof second.dir, "%s", rig.dir);
    ck_assert_int_eq(rig_start(&second, reason), RD_EEXIST);
    ck_assert_ptr_nonnull(strstr(reason, "in use by another process"));
    char pid[32];
    snprintf(pid, sizeof pid, "(pid %ld)", (long)getpid());
    ck_assert_ptr_nonnull(strstr(reason, pid));
    ck_assert_ptr_null(second.store);
    ck_assert_ptr_nonnull(strstr(check_report(1), "in use"));
    rig_put(&rig, obj("a"), BYTES("1")); /* and nothing happened to the first */
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    store_close(&rig.store);
    ck_assert_int_eq(rig_start(&second, reason), RD_OK);
    rig_expect(&second, obj("a"), BYTES("1"));
    store_close(&second.store);
}
END_TEST

START_TEST(the_shell_has_it_open) {
    sqlite3 *db;
    rig_open(&rig, RIG_SQLITE);
    store_close(&rig.store);
    ck_assert_int_eq(sqlite3_open(path_of("data.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(rig_start(&rig, reason), RD_EEXIST);
    ck_assert_ptr_nonnull(strstr(reason, "open in another program"));
    sqlite3_close(db);
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
}
END_TEST

START_TEST(what_is_not_ours_is_refused) {
    static const struct {
        const char *sql;
        enum rd_err err;
        const char *reason;
    } cases[] = {
        {"PRAGMA application_id=5", RD_ECONF, "another program"},
        {"PRAGMA application_id=0; PRAGMA user_version=0", RD_ECONF, "another program"},
        {"PRAGMA user_version=2", RD_ECONF, "format 2"},
        {"PRAGMA user_version=4", RD_ECONF, "format 4"},
        {"PRAGMA user_version=0", RD_ECONF, "format 0"},
        {"DROP TABLE hints", RD_EIO, "cannot read the store"},
    };
    rig_open(&rig, RIG_SQLITE);
    store_close(&rig.store);
    shell(cases[_i].sql);
    ck_assert_int_eq(rig_start(&rig, reason), cases[_i].err);
    ck_assert_msg(strstr(reason, cases[_i].reason) != NULL, "%s", reason);
    ck_assert_ptr_null(rig.store);
}
END_TEST

START_TEST(folders_that_are_none) {
    rig_make_dir(&rig);
    struct store_sqlite_conf conf = {.dir = path_of("nowhere")};
    ck_assert_int_eq(store_sqlite_open(&conf, &rig.store, reason), RD_ECONF);
    ck_assert_ptr_nonnull(strstr(reason, "No such file"));
    int fd = open(path_of("data.db"), O_CREAT | O_WRONLY, 0600);
    char text[5000] = "plain text, certainly no database";
    ck_assert_int_eq(write(fd, text, sizeof text), sizeof text);
    close(fd);
    conf.dir = path_of("data.db");
    ck_assert_int_eq(store_sqlite_open(&conf, &rig.store, reason), RD_ECONF);
    ck_assert_ptr_nonnull(strstr(reason, "no folder"));
    ck_assert_int_eq(rig_start(&rig, reason), RD_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(reason, "not a database"));
    ck_assert_ptr_nonnull(strstr(check_report(1), "not a database"));
}
END_TEST

/* With RD_LONG=yes each allocation fails, else every third; each other one with all behind it. */
START_TEST(memory_runs_out_at_the_start) {
    bool fired = true;
    rig_make_dir(&rig);
    for (unsigned n = 1; fired; n += test_long() ? 1 : 3) {
        struct store_sqlite_conf conf = {
            .dir = rig.dir, .fsync = STORE_FSYNC_NO, .cache_bytes = 1, .journal_bytes = 16 << 10};
        reason[0] = 0;
        n % 2 == 0 ? oom_fail_from(n) : oom_fail_at(n);
        enum rd_err err = store_sqlite_open(&conf, &rig.store, reason);
        fired = oom_stop();
        ck_assert_msg(err == RD_OK || (fired && err == RD_ENOMEM), "allocation %u: %s: %s", n,
                      rd_err_name(err), reason);
        ck_assert((err == RD_OK) == (rig.store != NULL));
        ck_assert((err == RD_OK) == (reason[0] == 0));
        if (err == RD_OK && n % 2 == 0) { /* it opens what is there as often as it makes it */
            rig_close(&rig);
            rig_make_dir(&rig);
        }
        store_close(&rig.store);
    }
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------------- */

START_TEST(damaged_rows_are_not_served) {
    static const char *const damages[] = {
        "UPDATE objects SET value=CAST('Adb' AS BLOB) WHERE key=CAST('user:1' AS BLOB)",
        "UPDATE objects SET value=x'' WHERE key=CAST('user:1' AS BLOB)",
        "UPDATE objects SET value=zeroblob(5000) WHERE key=CAST('user:1' AS BLOB)",
        "UPDATE objects SET due=due+1 WHERE key=CAST('user:1' AS BLOB)",
        "UPDATE objects SET digest=5 WHERE key=CAST('user:1' AS BLOB)",
        "UPDATE objects SET checksum=checksum+1 WHERE key=CAST('user:1' AS BLOB)",
        /* a row under another's address */
        ("DELETE FROM objects WHERE key=CAST('user:1' AS BLOB);"
         "UPDATE objects SET key=CAST('user:1' AS BLOB) WHERE key=CAST('user:2' AS BLOB)"),
    };
    rig_open(&rig, RIG_SQLITE);
    rig.new_digest = 3;
    rig_put_object(&rig, obj("user:1"), BYTES("Ada"), 99, false, true);
    rig_put_object(&rig, obj("user:2"), BYTES("Bob"), 98, false, true);
    rig_put_object(&rig, obj("user:3"), BYTES("Cleo"), 97, false, true);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    reopen_damaged(damages[_i]);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), 3);
    rig_expect_error(&rig, obj("user:1"), RD_ECORRUPT); /* it counts no more */
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), _i == 6 ? 1 : 2);
    rig_expect(&rig, obj("user:3"), BYTES("Cleo"));
    struct rig_rows rows = rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 10, 1000);
    ck_assert_int_eq(rows.err, RD_OK);
    ck_assert(rows.end);
    ck_assert_int_eq(rows.rows[0].err, RD_ECORRUPT);
    ck_assert_mem_eq(rows.rows[0].key, "user:1", 6);
    ck_assert_int_eq(rows.rows[rows.count - 1].err, RD_OK);
    rig_rows_free(&rows);
    rows = rig_scan_due(&rig, 1000, 10);
    ck_assert_int_eq(rows.rows[0].err, RD_OK);
    ck_assert_int_eq(rows.rows[rows.count - 1].err, RD_ECORRUPT);
    rig_rows_free(&rows);
    struct store_stats stats;
    store_stats(rig.store, &stats);
    ck_assert_uint_eq(stats.corrupt_rows, 3);
    store_close(&rig.store);
    ck_assert_ptr_nonnull(strstr(check_report(1), "slot 7, key \"user:1\": the checksum is wrong"));
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
    rig_put_object(&rig, obj("user:4"), BYTES("Dan"), 0, false, true); /* only in memory */
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_expect_error(&rig, obj("user:1"), RD_ECORRUPT);
    rig_put_object(&rig, obj("user:1"), BYTES("Ada"), 99, false, true); /* as a repair does */
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_expect(&rig, obj("user:1"), BYTES("Ada"));
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), _i == 6 ? 3 : 4);
    store_close(&rig.store);
    check_report(0);
}
END_TEST

START_TEST(other_spaces_are_guarded_too) {
    struct blob *value = NULL;
    rig_open(&rig, RIG_SQLITE);
    rig_put(&rig, rig_key(STORE_META, 0, BYTES("identity"), NULL, 0), BYTES("me"));
    rig_put(&rig, rig_key(STORE_HINTS, 3, BYTES("h\"\n\xff"), NULL, 0), BYTES("hint"));
    rig_put(&rig, rig_key(STORE_LEAVES, 3, BYTES("\0\0\0\1"), NULL, 0), BYTES("leaf"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    reopen_damaged("UPDATE meta SET value=x'00'; UPDATE hints SET value=x'00';"
                   "UPDATE leaves SET value=x'00'; INSERT INTO leaves VALUES(20000,x'',x'',1,x'')");
    ck_assert_int_eq(store_meta_get(rig.store, "identity", &value), RD_ECORRUPT);
    ck_assert_ptr_null(value);
    rig_expect_error(&rig, rig_key(STORE_HINTS, 3, BYTES("h\"\n\xff"), NULL, 0), RD_ECORRUPT);
    rig_expect_error(&rig, rig_key(STORE_LEAVES, 3, BYTES("\0\0\0\1"), NULL, 0), RD_ECORRUPT);
    store_close(&rig.store);
    const char *report = check_report(4);
    ck_assert_ptr_nonnull(strstr(report, "hints: slot 3, key \"h\\x22\\x0a\\xff\""));
    ck_assert_ptr_nonnull(strstr(report, "no such slot"));
    ck_assert_ptr_nonnull(strstr(report, "0 objects, 1 hints, 1 meta rows, 2 leaves: 4 problems"));
}
END_TEST

enum { FLIP_ROWS = 400 };

static void flip_value(unsigned i, char value[200]) {
    memset(value, 'a' + (int)(i % 26), 200);
    memcpy(value, &i, sizeof i);
}

/* Bits of the file turn over, anywhere. A row is served as it was written, or not at all. */
START_TEST(damage_anywhere_is_never_served) {
    char value[200];
    struct prng prng;
    struct stat st;
    prng_seed(&prng, (uint64_t)_i);
    rig_open(&rig, RIG_SQLITE);
    for (unsigned i = 0; i < FLIP_ROWS; i++) {
        struct store_key at = rig_key(STORE_OBJECTS, (uint16_t)i, &i, sizeof i, NULL, 0);
        flip_value(i, value);
        rig_put_object(&rig, at, value, 100 + i % 100, i % 3, false, true);
    }
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    store_close(&rig.store);
    ck_assert_int_eq(stat(path_of("data.db"), &st), 0);
    int fd = open(path_of("data.db"), O_RDWR);
    for (int flips = 0; flips < 6; flips++) {
        off_t at = (off_t)prng_below(&prng, (uint64_t)st.st_size);
        uint8_t byte;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << prng_below(&prng, 8));
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    if (rig_start(&rig, reason) != RD_OK) {
        ck_assert_uint_gt(strlen(reason), 0);
        return;
    }
    for (unsigned i = 0; i < FLIP_ROWS; i++) {
        struct store_key at = rig_key(STORE_OBJECTS, (uint16_t)i, &i, sizeof i, NULL, 0);
        struct blob *blob = NULL;
        if (rig_get(&rig, at, &blob) == RD_OK) {
            flip_value(i, value);
            ck_assert_uint_eq(blob->len, 100 + i % 100);
            ck_assert_mem_eq(blob->bytes, value, blob->len);
            blob_unref(blob);
        }
    }
    struct rig_rows rows = rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 10000, SIZE_MAX);
    for (size_t n = 0; n < rows.count; n++) {
        unsigned i = rows.rows[n].slot;
        if (rows.rows[n].err == RD_OK) {
            flip_value(i, value);
            ck_assert_mem_eq(rows.rows[n].value->bytes, value, rows.rows[n].value->len);
        }
    }
    rig_rows_free(&rows);
}
END_TEST

/* Overwrites a page in the middle of those that hold rows. */
static void damage_a_page(void) {
    enum { PAGE = 4096, LEAF = 10 };
    uint8_t page[PAGE];
    off_t leaves[100];
    size_t count = 0;
    int fd = open(path_of("data.db"), O_RDWR);
    for (off_t at = PAGE; count < 100 && pread(fd, page, PAGE, at) == PAGE; at += PAGE) {
        if (page[0] == LEAF && memmem(page, PAGE, "mmmmmmmmmm", 10) != NULL) {
            leaves[count++] = at;
        }
    }
    ck_assert_uint_gt(count, 0);
    memset(page, 0xa5, PAGE);
    ck_assert_int_eq(pwrite(fd, page, PAGE, leaves[count / 2]), PAGE);
    close(fd);
}

static struct store_key flip_key(const unsigned *i) {
    return rig_key(STORE_OBJECTS, (uint16_t)(*i / 100), i, sizeof *i, NULL, 0);
}

static void flip_put(unsigned i, bool there) {
    char value[200];
    flip_value(i, value);
    rig.old_digest = there ? i + 1 : 0;
    rig.new_digest = i + 1;
    rig_put_object(&rig, flip_key(&i), value, 200, 0, there, true);
}

/* How many rows are damaged, or missing; the others are as they were put. */
static unsigned flip_look(enum rd_err lost, bool is_lost[FLIP_ROWS]) {
    unsigned count = 0;
    for (unsigned i = 0; i < FLIP_ROWS; i++) {
        char value[200];
        struct blob *blob = NULL;
        enum rd_err err = rig_get(&rig, flip_key(&i), &blob);
        is_lost[i] = err == lost;
        ck_assert(err == lost || err == RD_OK);
        if (err == RD_OK) {
            flip_value(i, value);
            ck_assert_mem_eq(blob->bytes, value, 200);
        }
        blob_unref(blob);
        count += is_lost[i];
    }
    return count;
}

/* The rows of a page that cannot be read are not served; all others are, and writes go on. The next start writes the table without it: then they
 * are missing, which counts and leaves show. */
START_TEST(a_damaged_page) {
    bool lost[FLIP_ROWS];
    bool missing[FLIP_ROWS];
    rig_open(&rig, RIG_SQLITE);
    for (unsigned i = 0; i < FLIP_ROWS; i++) {
        flip_put(i, false);
    }
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    store_close(&rig.store);
    damage_a_page();
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
    unsigned count = flip_look(RD_ECORRUPT, lost);
    ck_assert(count > 2 && count < 40);
    unsigned first = 0;
    while (!lost[first]) {
        first++;
    }
    flip_put(first, false); /* repaired from another replica */
    flip_put(first - 1, true);
    flip_put(FLIP_ROWS - 1, true);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(flip_look(RD_ECORRUPT, lost), count - 1);
    ck_assert_int_eq(store_sqlite_merge(rig.store), RD_ECORRUPT);
    store_close(&rig.store);
    for (int start = 0; start < 2; start++) {
        ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
        unsigned gone = flip_look(RD_ENOTFOUND, missing);
        ck_assert(gone > 0 && gone < count); /* a neighbour may be found that a get did not reach */
        for (unsigned i = 0; i < FLIP_ROWS; i++) {
            ck_assert(lost[i] || !missing[i]);
        }
        ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), FLIP_ROWS - gone);
        store_close(&rig.store);
        check_report(0);
    }
    ck_assert_int_eq(access(path_of("data.db.damaged"), F_OK), -1);
}
END_TEST

START_TEST(a_check_changes_nothing) {
    struct stat before;
    struct stat after;
    rig_open(&rig, RIG_SQLITE);
    rig_put(&rig, obj("a"), BYTES("1"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    pid_t child = fork();
    if (child == 0) { /* leave a WAL behind, as a process that died */
        struct rig copy = {.engine = RIG_SQLITE};
        char command[300];
        rig_make_dir(&copy);
        snprintf(command, sizeof command, "cp %s/*.db* %s/", rig.dir, copy.dir);
        snprintf(reason, sizeof reason, "%s", copy.dir);
        int failed = system(command) != 0;
        snprintf(rig.dir, sizeof rig.dir, "%s", copy.dir);
        failed |= stat(path_of("journal0.db-wal"), &before) != 0 || before.st_size == 0;
        FILE *null = fopen("/dev/null", "w");
        failed |= store_sqlite_check(copy.dir, null) != 0;
        failed |= stat(path_of("journal0.db-wal"), &after) != 0;
        failed |= after.st_size != before.st_size;
        snprintf(command, sizeof command, "rm -r %s", copy.dir);
        failed |= system(command) != 0;
        _exit(failed);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- full disks ------------------------------------------------------------------------------------ */

/* Commits rows of 20 KB until the disk is full; returns how many went in. */
static unsigned fill_disk(void) {
    static char value[20000];
    memset(value, 'x', sizeof value);
    for (unsigned i = 0; i < 10000; i++) {
        char name[16];
        snprintf(name, sizeof name, "fill%u", i);
        ck_assert_int_eq(rig_put_object(&rig, obj(name), value, sizeof value, 0, false, true),
                         RD_OK);
        enum rd_err err = rig_commit(&rig);
        if (err != RD_OK) {
            ck_assert_int_eq(err, RD_EFULL);
            rig_expect_error(&rig, obj(name), RD_ENOTFOUND);
            return i;
        }
    }
    ck_abort_msg("the disk does not get full");
    return 0;
}

/* What must hold of a store whose disk is full, and then has room again. */
static void full_and_back(void (*make_room)(void)) {
    struct store_stats stats;
    static char value[20000];
    memset(value, 'x', sizeof value);
    unsigned filled = fill_disk();
    ck_assert_uint_gt(filled, 3);
    for (int again = 0; again < 3; again++) {
        ck_assert_int_eq(rig_put(&rig, obj("more"), value, sizeof value), RD_OK);
        ck_assert_int_eq(rig_commit(&rig), RD_EFULL);
    }
    store_stats(rig.store, &stats);
    ck_assert(!stats.writable);
    ck_assert_uint_eq(stats.commit_errors, 4);
    ck_assert_uint_eq(stats.live_keys, filled);
    rig_expect(&rig, obj("fill0"), value, sizeof value);
    rig_expect(&rig, obj("fill3"), value, sizeof value);
    struct rig_rows rows = rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 10000, SIZE_MAX);
    ck_assert_uint_eq(rows.count, filled);
    rig_rows_free(&rows);
    make_room();
    enum rd_err err = RD_EFULL;
    for (int tries = 0; tries < 100 && err != RD_OK; tries++) {
        err = rig_commit(&rig); /* an empty one finds out */
    }
    ck_assert_int_eq(err, RD_OK);
    store_stats(rig.store, &stats);
    ck_assert(stats.writable);
    ck_assert_int_eq(rig_put(&rig, obj("more"), value, sizeof value), RD_OK);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_reopen(&rig);
    rig_expect(&rig, obj("more"), value, sizeof value);
    rig_expect(&rig, obj("fill0"), value, sizeof value);
    store_close(&rig.store);
    check_report(0);
}

static void lift_limit(void) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(files_may_not_grow) {
    struct rlimit limit;
    rig_open(&rig, RIG_SQLITE);
    rig.fsync = (enum store_fsync)_i;
    ck_assert_int_eq(store_sqlite_set_fsync(rig.store, rig.fsync), RD_OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 1 << 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    full_and_back(lift_limit);
}
END_TEST

static char ballast[128];

static void drop_ballast(void) {
    ck_assert_int_eq(unlink(ballast), 0);
}

/* A tmpfs of 2 MB in a mount namespace of its own; false if the system does not allow it. */
static bool small_disk(const char *dir) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, "size=2m") == 0;
}

START_TEST(a_full_disk) {
    rig_make_dir(&rig);
    pid_t child = fork(); /* the namespace is gone with it */
    if (child == 0) {
        if (!small_disk(rig.dir)) {
            fprintf(stderr, "a_full_disk: skipped, no permission to mount a small one\n");
            _exit(0);
        }
        snprintf(ballast, sizeof ballast, "%s/ballast", rig.dir);
        int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
        int failed = fd < 0 || posix_fallocate(fd, 0, 1 << 20) != 0;
        close(fd);
        failed |= rig_start(&rig, reason) != RD_OK;
        if (!failed) {
            full_and_back(drop_ballast);
        }
        _exit(failed);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* ---- dying processes ------------------------------------------------------------------------------- */

/* Fills a store and dies: all is in the journals. */
static void leave_journals(unsigned keys) {
    pid_t child = fork();
    if (child == 0) {
        if (rig_start(&rig, reason) != RD_OK) {
            _exit(1);
        }
        for (unsigned i = 0; i < keys; i++) {
            struct store_key at = rig_key(STORE_OBJECTS, (uint16_t)i, &i, sizeof i, NULL, 0);
            rig_put_object(&rig, at, reason, sizeof reason, 0, false, true);
            if (rig_commit(&rig) != RD_OK) {
                _exit(1);
            }
        }
        _exit(0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

/* Each allocation of a start that replays journals fails, and each of the close behind it: the start fails cleanly, the close keeps all. */
START_TEST(memory_runs_out_over_full_journals) {
    enum { ROWS = 30 };
    struct store_stats stats;
    rig_make_dir(&rig);
    leave_journals(ROWS);
    bool starting = true;
    bool closing = true;
    for (unsigned n = 1; starting || closing; n += test_long() ? 1 : 1 + n / 3) {
        oom_fail_at(n);
        enum rd_err err = rig_start(&rig, reason);
        starting = oom_stop();
        ck_assert_msg(err == RD_OK || (starting && err == RD_ENOMEM), "allocation %u: %s", n,
                      rd_err_name(err));
        if (err != RD_OK) {
            ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
        }
        store_stats(rig.store, &stats);
        ck_assert_uint_eq(stats.live_keys, ROWS);
        ck_assert(stats.journal_bytes > 0 || stats.merges > 0);
        store_sqlite_verify(rig.store);
        oom_fail_at(n);
        store_close(&rig.store);
        closing = oom_stop();
        check_report(0);
        ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
        for (unsigned i = 0; i < ROWS; i++) {
            struct blob *blob = NULL;
            struct store_key at = rig_key(STORE_OBJECTS, (uint16_t)i, &i, sizeof i, NULL, 0);
            ck_assert_int_eq(rig_get(&rig, at, &blob), RD_OK);
            blob_unref(blob);
        }
        rig_close(&rig);
        rig_make_dir(&rig);
        leave_journals(ROWS);
    }
}
END_TEST

enum { PAIR = 2, KILL_VALUE = 3000 };

static void kill_value(uint64_t number, char value[KILL_VALUE]) {
    memset(value, 'a' + (int)(number % 26), KILL_VALUE);
    memcpy(value, &number, sizeof number);
}

/* Commits two rows with one number, again and again over a few hundred keys, and tells each number
 * when it is acknowledged. */
static void commit_until_killed(int to) {
    char value[KILL_VALUE];
    struct store_sqlite_conf conf = {
        .dir = rig.dir, .fsync = rig.fsync, .journal_bytes = 256 << 10};
    if (store_sqlite_open(&conf, &rig.store, reason) != RD_OK) {
        _exit(1);
    }
    for (uint64_t number = 1;; number++) {
        uint32_t k = (uint32_t)(number * 31 % 500);
        kill_value(number, value);
        for (unsigned pair = 0; pair < PAIR; pair++) {
            struct store_key at =
                rig_key(STORE_OBJECTS, (uint16_t)(k + 1000 * pair), &k, sizeof k, NULL, 0);
            rig_put_object(&rig, at, value, KILL_VALUE, 0, number > 500, true);
        }
        if (rig_commit(&rig) != RD_OK || write(to, &number, sizeof number) != sizeof number) {
            _exit(1);
        }
    }
}

/* Reads what the child acknowledged up to `wanted` commits, kills it, reads the rest; returns the last. */
static uint64_t kill_after(uint64_t wanted) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ends[0]);
        commit_until_killed(ends[1]);
    }
    close(ends[1]);
    uint64_t last = 0;
    uint64_t number;
    bool killed = false;
    while (read(ends[0], &number, sizeof number) == sizeof number) {
        ck_assert_uint_eq(number, last + 1);
        last = number;
        if (last >= wanted && !killed) {
            kill(child, SIGKILL);
            killed = true;
        }
    }
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_uint_ge(last, wanted);
    return last;
}

START_TEST(kill_9_loses_nothing_acknowledged) {
    struct prng prng;
    char value[KILL_VALUE];
    prng_seed(&prng, (uint64_t)_i);
    rig.fsync = (enum store_fsync)(_i % 3);
    rig_make_dir(&rig);
    /* 256 KB of the WAL are preallocated: a hundred commits here. */
    uint64_t last = kill_after(1 + prng_below(&prng, _i < 3 ? 20 : 1000));
    check_report(0);
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
    uint64_t newest[500] = {0}; /* by key, of what was acknowledged; one more may be there */
    for (uint64_t number = 1; number <= last; number++) {
        newest[number * 31 % 500] = number;
    }
    for (uint32_t k = 0; k < 500; k++) {
        uint64_t found[PAIR] = {0};
        for (unsigned pair = 0; pair < PAIR; pair++) {
            struct blob *blob = NULL;
            struct store_key at =
                rig_key(STORE_OBJECTS, (uint16_t)(k + 1000 * pair), &k, sizeof k, NULL, 0);
            if (rig_get(&rig, at, &blob) == RD_OK) {
                memcpy(&found[pair], blob->bytes, sizeof found[pair]);
                kill_value(found[pair], value);
                ck_assert_mem_eq(blob->bytes, value, KILL_VALUE);
                blob_unref(blob);
            }
        }
        ck_assert_uint_eq(found[0], found[1]); /* a batch is whole */
        if (found[0] != newest[k]) {
            ck_assert_uint_eq(found[0], last + 1);
            ck_assert_uint_eq(k, (last + 1) * 31 % 500);
        }
    }
}
END_TEST

/* ---- modes ----------------------------------------------------------------------------------------- */

START_TEST(the_mode_changes_at_run_time) {
    rig_open(&rig, RIG_SQLITE);
    for (unsigned i = 0; i < 12; i++) {
        enum store_fsync mode = (enum store_fsync)(i % 4 % 3);
        ck_assert_int_eq(store_sqlite_set_fsync(rig.store, mode), RD_OK);
        ck_assert_int_eq(rig_put(&rig, obj("i"), &i, sizeof i), RD_OK);
        ck_assert_int_eq(rig_commit(&rig), RD_OK);
        rig_expect(&rig, obj("i"), &i, sizeof i);
    }
}
END_TEST

int main(void) {
    rig_sqlite_malloc();
    Suite *suite = suite_create("store_sqlite");
    TCase *tcase = tcase_create("store_sqlite");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_person_can_read_the_file);
    tcase_add_test(tcase, one_process_at_a_time);
    tcase_add_test(tcase, the_shell_has_it_open);
    tcase_add_loop_test(tcase, what_is_not_ours_is_refused, 0, 6);
    tcase_add_test(tcase, folders_that_are_none);
    tcase_add_test(tcase, memory_runs_out_at_the_start);
    tcase_add_loop_test(tcase, damaged_rows_are_not_served, 0, 7);
    tcase_add_test(tcase, other_spaces_are_guarded_too);
    tcase_add_loop_test(tcase, damage_anywhere_is_never_served, 0, test_share(60));
    tcase_add_test(tcase, a_damaged_page);
    tcase_add_test(tcase, a_check_changes_nothing);
    tcase_add_loop_test(tcase, files_may_not_grow, 0, 3);
    tcase_add_test(tcase, a_full_disk);
    tcase_add_test(tcase, memory_runs_out_over_full_journals);
    tcase_add_loop_test(tcase, kill_9_loses_nothing_acknowledged, 0, 9);
    tcase_add_test(tcase, the_mode_changes_at_run_time);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
