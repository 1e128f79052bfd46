/* store/wal_sync, alone and under the SQLite engine, with an fdatasync that counts and fails on demand. Waiting means looking
 * until a count is reached; nothing depends on how long that takes. */
#include "store/wal_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/store_sqlite.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

static struct rig rig;
static struct wal_sync *sync_under_test;
static atomic_uint calls; /* of fdatasync by our own objects; SQLite's go to libc */
static atomic_bool fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd) {
    atomic_fetch_add(&calls, 1);
    if (atomic_load(&fails)) {
        errno = EIO;
        return -1;
    }
    return __real_fdatasync(fd);
}

static void wait_for_calls(unsigned count) {
    while (atomic_load(&calls) < count) {
        usleep(1000);
    }
    ck_assert_uint_eq(atomic_load(&calls), count);
}

static void setup(void) {
    char path[100];
    rig = (struct rig){.engine = RIG_SQLITE};
    rig_make_dir(&rig);
    snprintf(path, sizeof path, "%s/wal", rig.dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(wal_sync_new(path, &sync_under_test), RD_OK);
    atomic_store(&calls, 0);
    atomic_store(&fails, false);
}

static void teardown(void) {
    wal_sync_free(&sync_under_test);
    ck_assert_ptr_null(sync_under_test);
    rig_close(&rig);
}

START_TEST(the_file_must_exist) {
    struct wal_sync *none = NULL;
    ck_assert_int_eq(wal_sync_new("/nowhere/at/all", &none), RD_EIO);
    ck_assert_ptr_null(none);
    wal_sync_free(&none);
}
END_TEST

START_TEST(what_was_written_is_synced_once) {
    wal_sync_enable(sync_under_test, true);
    for (unsigned round = 1; round <= 2; round++) {
        for (int i = 0; i < 100; i++) {
            wal_sync_written(sync_under_test);
        }
        wait_for_calls(round);
    }
    wal_sync_free(&sync_under_test);
    ck_assert_uint_eq(atomic_load(&calls), 2);
}
END_TEST

START_TEST(switched_off_it_only_remembers) {
    wal_sync_written(sync_under_test);
    wal_sync_enable(sync_under_test, false);
    wal_sync_written(sync_under_test);
    ck_assert_uint_eq(atomic_load(&calls), 0);
    wal_sync_enable(sync_under_test, true);
    wait_for_calls(1);
}
END_TEST

START_TEST(the_end_waits_for_no_second) {
    wal_sync_enable(sync_under_test, true);
    wal_sync_written(sync_under_test);
    wal_sync_free(&sync_under_test);
    ck_assert_uint_le(atomic_load(&calls), 1);
}
END_TEST

START_TEST(a_failure_stays_until_recovered) {
    atomic_store(&fails, true);
    wal_sync_enable(sync_under_test, true);
    wal_sync_written(sync_under_test);
    wait_for_calls(1);
    while (!wal_sync_failed(sync_under_test)) {
        usleep(1000);
    }
    atomic_store(&fails, false);
    ck_assert_int_eq(wal_sync_now(sync_under_test), RD_EIO); /* a later success proves nothing */
    ck_assert_uint_eq(atomic_load(&calls), 2);
    wal_sync_written(sync_under_test);
    ck_assert(wal_sync_failed(sync_under_test));
    wal_sync_recovered(sync_under_test);
    ck_assert(!wal_sync_failed(sync_under_test));
    wait_for_calls(3);
    ck_assert_int_eq(wal_sync_now(sync_under_test), RD_OK);
}
END_TEST

/* ---- under the engine ------------------------------------------------------------------------------ */

static void put(const char *value) {
    struct store_key at = rig_key(STORE_OBJECTS, 1, BYTES("k"), NULL, 0);
    ck_assert_int_eq(rig_put(&rig, at, value, strlen(value)), RD_OK);
}

static void expect(const char *value) {
    rig_expect(&rig, rig_key(STORE_OBJECTS, 1, BYTES("k"), NULL, 0), value, strlen(value));
}

/* A commit waits only a little for the merge that it needs; on a busy machine it takes several. */
static void commit_healing(const char *value) {
    enum rd_err err = RD_EIO;
    for (int tries = 0; tries < 100 && err != RD_OK; tries++) {
        put(value);
        err = rig_commit(&rig);
    }
    ck_assert_int_eq(err, RD_OK);
}

static void start(enum store_fsync mode) {
    char reason[STORE_REASON_BYTES] = "";
    rig.fsync = mode;
    ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
    put("old");
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
}

START_TEST(everysec_syncs_what_was_committed) {
    start(STORE_FSYNC_EVERYSEC);
    wait_for_calls(1);
    put("new");
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    wait_for_calls(2);
    ck_assert_int_eq(rig_commit(&rig), RD_OK); /* of nothing */
    ck_assert_uint_eq(atomic_load(&calls), 2);
    store_close(&rig.store); /* the merge syncs the journal first, unless it knows that it is */
    ck_assert_uint_le(atomic_load(&calls), 3);
}
END_TEST

START_TEST(other_modes_leave_it_alone) {
    start(_i == 0 ? STORE_FSYNC_ALWAYS : STORE_FSYNC_NO);
    unsigned of_space = _i == 0 ? 2 : 0; /* of the journals, at the start */
    put("new");
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(atomic_load(&calls), of_space);
    store_close(&rig.store); /* before a merge the journal is on disk in any case */
    ck_assert_uint_eq(atomic_load(&calls), _i == 0 ? of_space : 1);
}
END_TEST

START_TEST(changing_to_always_syncs_first) {
    start(STORE_FSYNC_NO);
    atomic_store(&fails, true);
    ck_assert_int_eq(store_sqlite_set_fsync(rig.store, STORE_FSYNC_ALWAYS), RD_EIO);
    ck_assert_uint_eq(atomic_load(&calls), 1);
    atomic_store(&fails, false);
    expect("old");
    commit_healing("new"); /* has all before it merged */
    expect("new");
    unsigned so_far = atomic_load(&calls);
    ck_assert_int_eq(store_sqlite_set_fsync(rig.store, STORE_FSYNC_ALWAYS), RD_OK);
    ck_assert_uint_eq(atomic_load(&calls),
                      so_far + 2); /* what was appended, and the journal's space */
    ck_assert_int_eq(store_sqlite_set_fsync(rig.store, STORE_FSYNC_ALWAYS), RD_OK);
    ck_assert_uint_eq(atomic_load(&calls), so_far + 2);
}
END_TEST

START_TEST(without_recovery_no_commit_succeeds) {
    struct store_stats stats;
    struct rlimit limit;
    static char value[9000];
    memset(value, 'x', sizeof value);
    start(STORE_FSYNC_NO);
    ck_assert_int_eq(rig_put(&rig, rig_key(STORE_OBJECTS, 2, BYTES("b"), NULL, 0), value, 9000),
                     RD_OK);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    atomic_store(&fails, true);
    ck_assert_int_eq(store_sqlite_set_fsync(rig.store, STORE_FSYNC_ALWAYS), RD_EIO);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 4096; /* the merge cannot write the table */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int again = 0; again < 2; again++) {
        put("new");
        ck_assert_int_eq(rig_commit(&rig), RD_EFULL);
        expect("old");
    }
    store_stats(rig.store, &stats);
    ck_assert(!stats.writable);
    limit.rlim_cur = before;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    commit_healing("new");
    expect("new");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("wal_sync");
    TCase *tcase = tcase_create("wal_sync");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_file_must_exist);
    tcase_add_test(tcase, what_was_written_is_synced_once);
    tcase_add_test(tcase, switched_off_it_only_remembers);
    tcase_add_test(tcase, the_end_waits_for_no_second);
    tcase_add_test(tcase, a_failure_stays_until_recovered);
    tcase_add_test(tcase, everysec_syncs_what_was_committed);
    tcase_add_loop_test(tcase, other_modes_leave_it_alone, 0, 2);
    tcase_add_test(tcase, changing_to_always_syncs_first);
    tcase_add_test(tcase, without_recovery_no_commit_succeeds);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
