/* store/store_sqlite on a disk that loses what was not synced, and on one that fails: over the steps of a scripted life. The life
 * has merges, journal switches and resets, a change of mode, a close and a new start. RD_LONG=yes: every step with every kind of loss, every
 * operation failing; else a part of them. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_sqlite.h"
#include "tests/lib/run.h"
#include "tests/lib/shim_vfs.h"
#include "tests/lib/store_rig.h"

enum { KEYS = 24, COMMITS = 60, VALUE = 150 };

static struct rig rig;
static char reason[STORE_REASON_BYTES];

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

/* Our own objects' (SQLite's go through the shim). */
int __wrap_fdatasync(int fd) {
    char link[40];
    char path[PATH_MAX];
    if (shim_must_fail(SHIM_SYNC)) {
        errno = EIO;
        return -1;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    int rc = __real_fdatasync(fd);
    if (rc == 0 && len > 0) {
        path[len] = 0;
        shim_note_sync(path);
    }
    return rc;
}

static void setup(void) {
    rig = (struct rig){.engine = RIG_SQLITE, .vfs = SHIM_VFS, .memtable_bytes = 4500};
    shim_register();
    rig_make_dir(&rig);
}

static void teardown(void) {
    rig.vfs = NULL;
    rig_close(&rig);
    shim_clear();
}

/* Commit n puts keys n % KEYS and n * 7 % KEYS with the number n, erased if n is a multiple of 5. */
static void keys_of(unsigned n, unsigned keys[2]) {
    keys[0] = n % KEYS;
    keys[1] = (n * 7 + 3) % KEYS;
    if (keys[0] == keys[1]) {
        keys[1] = (keys[1] + 1) % KEYS;
    }
}

static void model_apply(unsigned model[KEYS], unsigned n) {
    unsigned keys[2];
    keys_of(n, keys);
    for (int i = 0; i < 2; i++) {
        model[keys[i]] = n % 5 == 0 ? 0 : n;
    }
}

static enum rd_err commit(unsigned model[KEYS], unsigned n) {
    unsigned keys[2];
    uint8_t value[VALUE];
    keys_of(n, keys);
    memset(value, (int)n, sizeof value);
    memcpy(value, &n, sizeof n);
    for (int i = 0; i < 2; i++) {
        struct store_key at =
            rig_key(STORE_OBJECTS, (uint16_t)(keys[i] * 600), &keys[i], sizeof keys[i], NULL, 0);
        bool is = n % 5 != 0;
        bool was = model[keys[i]] != 0;
        rig.old_digest = model[keys[i]];
        rig.new_digest = is ? n : 0;
        (void)rig_put_object(&rig, at, is ? value : NULL, sizeof value, 0, was, is);
    }
    return rig_commit(&rig);
}

/* What the store holds, as a model; false if a value is not what was written. */
static bool look(unsigned found[KEYS]) {
    for (unsigned key = 0; key < KEYS; key++) {
        struct store_key at =
            rig_key(STORE_OBJECTS, (uint16_t)(key * 600), &key, sizeof key, NULL, 0);
        struct blob *blob = NULL;
        enum rd_err err = rig_get(&rig, at, &blob);
        found[key] = 0;
        if (err == RD_OK) {
            uint8_t value[VALUE];
            memcpy(&found[key], blob->bytes, sizeof found[key]);
            memset(value, (int)found[key], sizeof value);
            memcpy(value, &found[key], sizeof found[key]);
            bool same = blob->len == VALUE && memcmp(value, blob->bytes, VALUE) == 0;
            blob_unref(blob);
            if (!same) {
                return false;
            }
        } else if (err != RD_ENOTFOUND) {
            return false;
        }
    }
    return true;
}

/* Is it the state after some commit from `first` to `last`? Returns which, or -1. */
static int state_of(const unsigned found[KEYS], unsigned first, unsigned last) {
    unsigned model[KEYS] = {0};
    for (unsigned n = 0; n <= last; n++) {
        if (n > 0) {
            model_apply(model, n);
        }
        if (n >= first && memcmp(model, found, sizeof model) == 0) {
            return (int)n;
        }
    }
    return -1;
}

static void start(void) {
    enum rd_err err = rig_start(&rig, reason);
    ck_assert_msg(err == RD_OK, "%s", reason);
}

/* The scripted life. Marks each commit that was acknowledged; strongly, what must survive a power failure in any mode. */
static void live(enum store_fsync mode) {
    unsigned model[KEYS] = {0};
    rig.fsync = mode;
    start();
    for (unsigned n = 1; n <= COMMITS; n++) {
        ck_assert_int_eq(commit(model, n), RD_OK);
        model_apply(model, n);
        shim_mark(n, false);
        if (mode == STORE_FSYNC_ALWAYS) {
            shim_mark(n, true);
        }
        if (n % 16 == 0 && mode != STORE_FSYNC_ALWAYS) {
            ck_assert_int_eq(store_sqlite_set_fsync(rig.store, STORE_FSYNC_ALWAYS), RD_OK);
            shim_mark(n, true);
            ck_assert_int_eq(store_sqlite_set_fsync(rig.store, mode), RD_OK);
        }
        if (n == COMMITS / 2) {
            store_close(&rig.store);
            start();
        }
        if (n % 9 == 0) {
            ck_assert_int_eq(store_sqlite_merge(rig.store), RD_OK);
        }
    }
    store_close(&rig.store);
}

static void empty_dir(void) {
    DIR *dir = opendir(rig.dir);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", rig.dir, entry->d_name);
        unlink(name);
    }
    closedir(dir);
}

static void expect_sound(const char *when) {
    char text[2000] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    uint64_t problems = store_sqlite_check(rig.dir, file);
    fclose(file);
    ck_assert_msg(problems == 0, "%s: %s", when, text);
}

/* One power failure: what is left is a whole state, not before what was safe, not after what was asked for. */
static void fail_power(const struct shim_image *image, size_t step, enum shim_loss loss) {
    unsigned found[KEYS];
    unsigned acked = (unsigned)shim_image_mark(image, false);
    unsigned safe = (unsigned)shim_image_mark(image, true);
    char when[100];
    empty_dir();
    shim_image_write(image, rig.dir, loss, step);
    rig.vfs = NULL;
    enum rd_err err = rig_start(&rig, reason);
    snprintf(when, sizeof when, "step %zu, loss %d, acknowledged %u, safe %u", step, (int)loss,
             acked, safe);
    ck_assert_msg(err == RD_OK, "%s: %s", when, reason);
    ck_assert_msg(look(found), "%s: a damaged value", when);
    int state = state_of(found, safe, acked + 1);
    ck_assert_msg(state >= 0, "%s: a mix", when);
    store_close(&rig.store);
    if (step % 4 == 0) {
        expect_sound(when);
    }
}

START_TEST(power_failures_leave_a_prefix) {
    enum store_fsync mode = (enum store_fsync)(_i % 3);
    enum shim_loss loss = (enum shim_loss)(_i / 3);
    live(mode);
    struct shim_image *image = shim_image_new();
    size_t steps = shim_steps();
    ck_assert_uint_gt(steps, 200);
    size_t stride = test_long() ? 1 : loss == SHIM_LOSE_SOME ? 7 : 19;
    stride *= test_is_slow() ? 3 : 1;
    for (size_t step = 0; step < steps; step++) {
        shim_image_step(image);
        if (step % stride == 0) {
            fail_power(image, step, loss);
        }
    }
    shim_image_free(image);
}
END_TEST

/* ---- failing disks --------------------------------------------------------------------------------- */

/* Commits while a disk may fail; returns the last commit that was acknowledged. After a failure the same commit is tried
 * again, later. */
static unsigned live_badly(unsigned model[KEYS]) {
    unsigned done = 0;
    for (unsigned tries = 0; tries < 40 && done < 25; tries++) {
        enum rd_err err = commit(model, done + 1);
        if (err == RD_OK) {
            model_apply(model, ++done);
        } else {
            ck_assert_msg(err == RD_EIO || err == RD_EFULL, "%s", rd_err_name(err));
        }
    }
    return done;
}

/* The n-th operation of a kind fails, for each n until none is left to fail; once, or for good. */
START_TEST(a_failing_disk_loses_nothing) {
    enum shim_op op = (enum shim_op)(_i % SHIM_OPS);
    bool for_good = _i / SHIM_OPS % 2 == 1;
    bool full = _i / SHIM_OPS / 2 == 1;
    bool failed = true;
    for (unsigned n = 1; failed && n < 400; n += test_long() ? 1 : 1 + n / 3) {
        unsigned model[KEYS] = {0};
        unsigned found[KEYS];
        rig.fsync = (enum store_fsync)(n % 3);
        start();
        shim_fail(op, n, for_good, full);
        unsigned done = live_badly(model);
        bool readable = look(found);
        failed = shim_stop();
        readable |= op == SHIM_READ && look(found);
        ck_assert(failed || done == 25);
        ck_assert(readable);
        ck_assert_int_eq(state_of(found, done, done), (int)done);
        enum rd_err err = RD_EIO;
        for (int tries = 0; tries < 100 && err != RD_OK; tries++) { /* it heals by itself */
            err = rig_commit(&rig);
        }
        ck_assert_int_eq(err, RD_OK);
        err = RD_EIO;
        for (int tries = 0; tries < 100 && err != RD_OK; tries++) {
            err = commit(model, done + 1);
        }
        ck_assert_int_eq(err, RD_OK);
        store_sqlite_verify(rig.store);
        store_close(&rig.store);
        expect_sound("after a failure");
        start();
        ck_assert(look(found));
        ck_assert_int_eq(state_of(found, done + 1, done + 1), (int)done + 1);
        store_close(&rig.store);
        empty_dir();
        shim_clear();
    }
}
END_TEST

/* Fills a store and closes it when nothing can be merged: its rows are in the journals. */
static void leave_journals(unsigned model[KEYS]) {
    rig.memtable_bytes = 9000;
    rig.fsync = STORE_FSYNC_EVERYSEC;
    start();
    for (unsigned n = 1; n <= COMMITS; n++) {
        ck_assert_int_eq(commit(model, n), RD_OK);
        model_apply(model, n);
    }
    shim_fail(SHIM_WRITE, 1, true, false);
    store_close(&rig.store);
    (void)shim_stop();
}

/* Recovery and a clean close meet the failing operation: the start succeeds or says why not, and what was there stays. */
START_TEST(a_disk_that_fails_at_the_start) {
    enum shim_op op = (enum shim_op)(_i % SHIM_OPS);
    bool for_good = _i / SHIM_OPS == 1;
    bool failed = true;
    for (unsigned n = 1; failed && n < 400; n += test_long() ? 1 : 2 + n / 2) {
        unsigned model[KEYS] = {0};
        unsigned found[KEYS];
        leave_journals(model);
        shim_fail(op, n, for_good, false);
        enum rd_err err = rig_start(&rig, reason);
        ck_assert((err == RD_OK) == (rig.store != NULL));
        ck_assert_msg(err == RD_OK || (err == RD_EIO && reason[0] != 0), "%s: %s", rd_err_name(err),
                      reason);
        store_close(&rig.store);
        failed = shim_stop();
        ck_assert(failed || err == RD_OK);
        start();
        ck_assert(look(found));
        ck_assert_int_eq(state_of(found, COMMITS, COMMITS), COMMITS);
        store_close(&rig.store);
        expect_sound("after a failed start");
        empty_dir();
        shim_clear();
    }
}
END_TEST

/* Reads that fail are errors of that read, and no more. */
START_TEST(failing_reads_pass) {
    unsigned model[KEYS] = {0};
    rig.memtable_bytes = 1000;
    start();
    for (unsigned n = 1; n <= COMMITS; n++) {
        ck_assert_int_eq(commit(model, n), RD_OK);
        model_apply(model, n);
    }
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        unsigned found[KEYS];
        store_close(&rig.store);
        start();
        ck_assert_int_eq(store_sqlite_merge(rig.store), RD_OK);
        shim_fail(SHIM_READ, n, _i == 1, false);
        bool readable = look(found);
        failed = shim_stop();
        ck_assert(readable || failed);
        ck_assert(look(found));
        ck_assert_int_eq(state_of(found, COMMITS, COMMITS), COMMITS);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store, power and disks");
    TCase *tcase = tcase_create("power");
    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, power_failures_leave_a_prefix, 0, 9);
    tcase_add_loop_test(tcase, a_failing_disk_loses_nothing, 0, 4 * SHIM_OPS);
    tcase_add_loop_test(tcase, a_disk_that_fails_at_the_start, 0, 2 * SHIM_OPS);
    tcase_add_loop_test(tcase, failing_reads_pass, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
