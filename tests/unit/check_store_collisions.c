/* store/store_sqlite with rows whose hashes are equal: in one commit, in memtables, in the cache, in the journal of a process that died, in
 * the table. All rows share one of two hashes; what check_store.c and check_store_random.c do is done under the same condition there. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store_sqlite.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

enum { ROWS = 60 };

static struct rig rig;

static void setup(void) {
    rig = (struct rig){.engine = RIG_COLLIDING, .fsync = STORE_FSYNC_ALWAYS};
}

static void teardown(void) {
    rig_close(&rig);
}

/* Ten rows to a slot, a third of them with a sub, two of each key in different spaces. */
static struct store_key address(unsigned i, unsigned *key) {
    *key = i / 2;
    return rig_key(i % 2 == 0 ? STORE_OBJECTS : STORE_HINTS, (uint16_t)(i / 10), key, sizeof *key,
                   "s", i % 3 == 0);
}

/* Generation g of row i; 0: it was never there, or is erased. */
static void put(unsigned i, unsigned before, unsigned now) {
    unsigned key;
    unsigned value[2] = {i, now};
    struct store_key at = address(i, &key);
    rig.old_digest = before == 0 ? 0 : i * 100 + before;
    rig.new_digest = now == 0 ? 0 : i * 100 + now;
    ck_assert_int_eq(rig_put_object(&rig, at, now == 0 ? NULL : value, sizeof value, now * 5,
                                    before != 0, now != 0),
                     RD_OK);
}

static void commit(void) {
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
}

static void look(const unsigned generation[ROWS]) {
    size_t objects = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned key;
        unsigned value[2] = {i, generation[i]};
        if (generation[i] == 0) {
            rig_expect_error(&rig, address(i, &key), RD_ENOTFOUND);
        } else {
            rig_expect(&rig, address(i, &key), value, sizeof value);
            objects += i % 2 == 0;
        }
    }
    struct rig_rows rows = rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 2 * ROWS, SIZE_MAX);
    ck_assert_uint_eq(rows.count, objects);
    rig_rows_free(&rows);
    rows = rig_scan_due(&rig, 1000, 2 * ROWS);
    ck_assert_uint_eq(rows.count, objects);
    rig_rows_free(&rows);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), objects);
    store_sqlite_verify(rig.store);
}

static void sound(void) {
    char text[4096] = "";
    FILE *report = fmemopen(text, sizeof text, "w");
    uint64_t problems = store_sqlite_check(rig.dir, report);
    fclose(report);
    ck_assert_msg(problems == 0, "%s", text);
}

static void change(unsigned generation[ROWS], unsigned step) {
    for (unsigned i = step % 2; i < ROWS; i += step) {
        put(i, generation[i], step);
        generation[i] = step;
        if (i % 5 == step % 5) { /* twice in one commit */
            put(i, generation[i], 0);
            generation[i] = 0;
        }
    }
    commit();
}

/* _i: memtables of the usual size, so that all is in the journal when the process dies; or tiny ones, so that most is merged. */
START_TEST(equal_hashes_harm_nothing) {
    unsigned generation[ROWS] = {0};
    char reason[STORE_REASON_BYTES] = "";
    rig.memtable_bytes = _i == 0 ? 1 << 20 : 0;
    rig_make_dir(&rig);
    pid_t child = fork();
    if (child == 0) {
        if (rig_start(&rig, reason) == RD_OK) {
            for (unsigned step = 1; step <= 4; step++) {
                change(generation, step);
            }
            look(generation);
            kill(getpid(), SIGKILL);
        }
        _exit(1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (unsigned step = 1; step <= 4; step++) { /* what it did, without a store */
        for (unsigned i = step % 2; i < ROWS; i += step) {
            generation[i] = i % 5 == step % 5 ? 0 : step;
        }
    }
    sound();
    ck_assert_msg(rig_start(&rig, reason) == RD_OK, "%s", reason);
    look(generation);
    ck_assert_int_eq(store_sqlite_merge(rig.store), RD_OK);
    look(generation); /* from the table, into the cache */
    look(generation);
    change(generation, 3);
    look(generation);
    rig_reopen(&rig);
    look(generation);
    store_close(&rig.store);
    sound();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store, equal hashes");
    TCase *tcase = tcase_create("collisions");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, equal_hashes_harm_nothing, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
