/* store/journal and the file system under it, store/wal_vfs: what the shell reads is what was appended, in both ways of writing; one write per
 * commit; a disk that fills up. _i: whether each append is synced at once, past the cache. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/journal.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/shim_vfs.h"

enum { MOST = 400000 };

static char dir[64];
static uint8_t bytes[MOST];
static struct journal journal;
static char reason[STORE_REASON_BYTES];

static void open_it(const char *vfs) {
    const struct journal_conf conf = {.dir = dir, .vfs = vfs, .wal_bytes = 300000};
    ck_assert_int_eq(journal_open(&conf, SQLITE_FILE_SERVE, &journal, reason), RD_OK);
}

static void set_up(void) {
    snprintf(dir, sizeof dir, "/tmp/rd-journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void tear_down(void) {
    if (journal.db != NULL) {
        ck_assert_int_eq(journal_remove(&journal), RD_OK);
    } else {
        open_it(NULL);
        ck_assert_int_eq(journal_remove(&journal), RD_OK);
    }
    ck_assert_int_eq(rmdir(dir), 0);
}

/* Row `seq` as the test knows it. */
static size_t row(uint64_t seed, uint64_t seq) {
    struct prng prng;
    prng_seed(&prng, seed * 1000 + seq);
    size_t most = seq % 17 == 16 ? MOST : seq % 3 == 0 ? 9000 : 400;
    size_t len = (size_t)prng_below(&prng, most);
    prng_fill(&prng, bytes, len);
    return len;
}

static enum rd_err append(uint64_t seed, uint64_t seq, bool full) {
    size_t len = row(seed, seq);
    return journal_append(&journal, seq, bytes, len, full);
}

struct seen {
    uint64_t seed, next;
};

static enum rd_err is_row(void *arg, uint64_t seq, const void *found, size_t len) {
    struct seen *seen = arg;
    ck_assert_uint_eq(seq, seen->next++);
    ck_assert_uint_eq(len, row(seen->seed, seq));
    ck_assert(len == 0 || memcmp(found, bytes, len) == 0);
    return RD_OK;
}

/* By a connection of its own, which uses the system's file system, as the shell does. */
static void expect_rows(uint64_t seed, uint64_t last) {
    struct journal other;
    const struct journal_conf conf = {.dir = dir};
    struct seen seen = {.seed = seed, .next = 1};
    uint64_t first;
    uint64_t found;
    ck_assert_int_eq(journal_open(&conf, SQLITE_FILE_INSPECT, &other, reason), RD_OK);
    ck_assert_int_eq(journal_bounds(&other, &first, &found), RD_OK);
    ck_assert_uint_eq(found, last);
    ck_assert_int_eq(journal_each(&other, 1, last, is_row, &seen), RD_OK);
    ck_assert_uint_eq(seen.next, last + 1);
    journal_close(&other);
}

START_TEST(the_shell_reads_what_was_appended) {
    for (uint64_t seed = 0; seed < 3;
         seed++) { /* rounds of the WAL: each overwrites the one before */
        open_it(NULL);
        ck_assert_int_eq(journal_set_full(&journal, _i == 1), RD_OK);
        for (uint64_t seq = 1; seq <= 60; seq++) {
            ck_assert_int_eq(append(seed, seq, _i == 1), RD_OK);
            if (seq == 30) { /* another way in the middle of a block */
                ck_assert_int_eq(journal_set_full(&journal, _i == 0), RD_OK);
            }
        }
        journal_close(&journal);
        expect_rows(seed, 60);
        open_it(NULL); /* goes on behind them */
        ck_assert_int_eq(journal_set_full(&journal, _i == 1), RD_OK);
        ck_assert_int_eq(append(seed, 61, _i == 1), RD_OK);
        ck_assert_int_eq(append(seed, 62, _i == 1), RD_OK);
        journal_close(&journal);
        expect_rows(seed, 62);
        open_it(NULL);
        ck_assert_int_eq(journal_reset(&journal), RD_OK);
        journal_close(&journal);
        expect_rows(seed, 0);
    }
}
END_TEST

/* A row larger than SQLite's cache goes to the WAL in parts, of which some are changed again. */
START_TEST(large_rows) {
    size_t len = 9000000;
    uint8_t *large = malloc(len);
    ck_assert_ptr_nonnull(large);
    memset(large, 'x', len);
    open_it(NULL);
    ck_assert_int_eq(journal_set_full(&journal, _i == 1), RD_OK);
    ck_assert_int_eq(journal_append(&journal, 1, large, len, _i == 1), RD_OK);
    ck_assert_int_eq(append(7, 2, _i == 1), RD_OK);
    journal_close(&journal);
    free(large);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    char path[100];
    snprintf(path, sizeof path, "%s/journal0.db", dir);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db,
                                        "SELECT group_concat(seq || ' ' || length(batch)),"
                                        " (SELECT integrity_check FROM pragma_integrity_check)"
                                        " FROM journal",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    char expected[60];
    snprintf(expected, sizeof expected, "1 9000000,2 %zu", row(7, 2));
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), expected);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 1), "ok");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}
END_TEST

START_TEST(a_commit_is_one_write) {
    shim_register();
    open_it(SHIM_VFS);
    ck_assert_int_eq(journal_set_full(&journal, false), RD_OK);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        size_t before = shim_steps();
        memset(bytes, (int)seq, 8000);
        ck_assert_int_eq(journal_append(&journal, seq, bytes, 8000, false), RD_OK);
        ck_assert(shim_steps() - before == 1 || seq == 1); /* which has to see first where it is */
    }
    journal_close(&journal);
    shim_clear();
}
END_TEST

/* A commit that finds no room leaves nothing, and those before and behind it are all there. */
START_TEST(a_full_disk) {
    const struct rlimit tight = {.rlim_cur = 500000, .rlim_max = RLIM_INFINITY};
    const struct rlimit wide = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    open_it(NULL);
    ck_assert_int_eq(journal_set_full(&journal, _i == 1), RD_OK);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    uint64_t seq = 1;
    enum rd_err err;
    while ((err = append(5, seq, _i == 1)) == RD_OK) {
        seq++;
    }
    ck_assert_int_eq(err, RD_EFULL);
    ck_assert_int_eq(append(5, seq, _i == 1), RD_EFULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &wide), 0);
    ck_assert_int_eq(append(5, seq, _i == 1), RD_OK);
    ck_assert_int_eq(append(5, seq + 1, _i == 1), RD_OK);
    journal_close(&journal);
    expect_rows(5, seq + 1);
}
END_TEST

START_TEST(memory_runs_out_while_it_opens) {
    const struct journal_conf conf = {.dir = dir, .wal_bytes = 5000};
    enum rd_err err = RD_ENOMEM;
    int failed = 1;
    for (unsigned n = 1; failed > 0; n++) {
        oom_fail_at(n);
        err = journal_open(&conf, SQLITE_FILE_SERVE, &journal, reason);
        failed = oom_stop();
        if (failed > 0 && err != RD_OK) {
            ck_assert_int_eq(err, RD_ENOMEM);
            ck_assert_ptr_null(journal.vfs);
        } else {
            ck_assert_int_eq(err, RD_OK);
            ck_assert_int_eq(append(5, n, false), RD_OK);
            journal_close(&journal);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("journal");
    TCase *tcase = tcase_create("journal");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, the_shell_reads_what_was_appended, 0, 2);
    tcase_add_loop_test(tcase, large_rows, 0, 2);
    tcase_add_test(tcase, a_commit_is_one_write);
    tcase_add_loop_test(tcase, a_full_disk, 0, 2);
    tcase_add_test(tcase, memory_runs_out_while_it_opens);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
