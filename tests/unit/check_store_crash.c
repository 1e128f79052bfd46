/* store/store_sqlite: processes that die at any point: in commits, merges, journal switches and resets, in a clean close. _i is the seed
 * and, modulo 3, the mode. Ten kills; RD_LONG=yes makes them a hundred. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/store_sqlite.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

enum { KEYS = 300, ROWS_PER_COMMIT = 3, VALUE_MAX = 700, KILLS = 10, KILLS_LONG = 100 };

static struct rig rig;
static char reason[STORE_REASON_BYTES];

static void setup(void) {
    rig = (struct rig){.engine = RIG_SQLITE};
}

static void teardown(void) {
    rig_close(&rig);
}

/* Commit `number` puts ROWS_PER_COMMIT rows, of these keys, with this value; every seventh row is erased. */
static unsigned key_of(uint64_t number, unsigned row) {
    return (unsigned)((number * 7919 + row * 100) % KEYS);
}

static bool erases(uint64_t number, unsigned row) {
    return (number + row) % 7 == 0;
}

static size_t value_of(uint64_t number, unsigned row, uint8_t value[VALUE_MAX]) {
    size_t len = 16 + (size_t)(number * 31 + row) % (VALUE_MAX - 16);
    memset(value, (int)(number & 0xff), len);
    memcpy(value, &number, sizeof number);
    memcpy(value + 8, &row, sizeof row);
    return len;
}

static struct store_key address(unsigned *key) {
    return rig_key(STORE_OBJECTS, (uint16_t)(*key * 53), key, sizeof *key, NULL, 0);
}

/* What a reader should find: by key, the last commit that put it; 0: nothing. */
struct model {
    uint64_t number[KEYS];
    unsigned row[KEYS];
};

static void model_apply(struct model *model, uint64_t number) {
    for (unsigned row = 0; row < ROWS_PER_COMMIT; row++) {
        unsigned key = key_of(number, row);
        model->number[key] = erases(number, row) ? 0 : number;
        model->row[key] = row;
    }
}

static uint64_t digest_of(const struct model *model, unsigned key) {
    return model->number[key] == 0 ? 0 : model->number[key] * 8 + model->row[key] + 1;
}

static void put_rows(struct model *model, uint64_t number) {
    for (unsigned row = 0; row < ROWS_PER_COMMIT; row++) {
        uint8_t value[VALUE_MAX];
        unsigned key = key_of(number, row);
        struct store_key at = address(&key);
        bool was = model->number[key] != 0;
        bool is = !erases(number, row);
        size_t len = value_of(number, row, value);
        rig.old_digest = digest_of(model, key);
        model->number[key] = is ? number : 0;
        model->row[key] = row;
        rig.new_digest = digest_of(model, key);
        rig_put_object(&rig, at, is ? value : NULL, len, number % 5 == 0 ? number : 0, was, is);
    }
}

/* The child: goes on after commit `last` and tells each number when it is acknowledged. Now and then it closes and opens again. */
static void commit_until_killed(struct model *model, uint64_t last, uint64_t seed, int to) {
    struct prng prng;
    prng_seed(&prng, seed);
    if (rig_start(&rig, reason) != RD_OK) {
        fprintf(stderr, "child: %s\n", reason);
        _exit(1);
    }
    for (uint64_t number = last + 1;; number++) {
        put_rows(model, number);
        if (rig_commit(&rig) != RD_OK || write(to, &number, sizeof number) != sizeof number) {
            _exit(1);
        }
        if (prng_chance(&prng, 1, 400)) {
            store_close(&rig.store);
            if (rig_start(&rig, reason) != RD_OK) {
                fprintf(stderr, "child: %s\n", reason);
                _exit(1);
            }
        }
        if (prng_chance(&prng, 1, 200)) {
            (void)store_sqlite_set_fsync(rig.store, rig.fsync);
        }
    }
}

/* Runs a child from `last` on and kills it at a random time; returns the last number it acknowledged. */
static uint64_t run_and_kill(struct model *model, uint64_t last, uint64_t seed) {
    struct prng prng;
    int ends[2];
    prng_seed(&prng, seed);
    uint64_t wanted = last + 1 + prng_below(&prng, 600);
    unsigned later_us = (unsigned)prng_below(&prng, 3000);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ends[0]);
        commit_until_killed(model, last, seed, ends[1]);
    }
    close(ends[1]);
    bool killed = false;
    uint64_t number;
    while (read(ends[0], &number, sizeof number) == sizeof number) {
        ck_assert_uint_eq(number, last + 1);
        last = number;
        model_apply(model, number);
        if (last >= wanted && !killed) {
            usleep(later_us);
            kill(child, SIGKILL);
            killed = true;
        }
    }
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void expect_sound(void) {
    char text[2000] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    uint64_t problems = store_sqlite_check(rig.dir, file);
    fclose(file);
    ck_assert_msg(problems == 0, "%s", text);
}

/* Does the store hold what `model` says of `key`? */
static bool holds(const struct model *model, unsigned key) {
    uint8_t value[VALUE_MAX];
    struct blob *blob = NULL;
    enum rd_err err = rig_get(&rig, address(&key), &blob);
    bool same;
    if (model->number[key] == 0) {
        same = err == RD_ENOTFOUND;
    } else {
        size_t len = value_of(model->number[key], model->row[key], value);
        same = err == RD_OK && blob->len == len && memcmp(blob->bytes, value, len) == 0;
    }
    blob_unref(blob);
    return same;
}

/* All that was acknowledged is there, and the commit in flight as a whole or not at all. True if it is. */
static bool expect_model(const struct model *model, uint64_t last) {
    struct model next = *model;
    model_apply(&next, last + 1);
    bool in_flight = false;
    for (unsigned key = 0; key < KEYS; key++) {
        bool changed = next.number[key] != model->number[key] || next.row[key] != model->row[key];
        in_flight |= changed && !holds(model, key);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        ck_assert_msg(holds(in_flight ? &next : model, key), "key %u after commit %llu", key,
                      (unsigned long long)last);
    }
    return in_flight;
}

START_TEST(kill_9_at_any_point_loses_nothing) {
    static struct model model;
    uint64_t last = 0;
    int kills = test_long() ? KILLS_LONG : KILLS;
    memset(&model, 0, sizeof model);
    rig.fsync = (enum store_fsync)_i;
    rig.memtable_bytes = 30000; /* a merge each hundred commits */
    rig_make_dir(&rig);
    for (int i = _i; i < kills; i += 3) {
        last = run_and_kill(&model, last, (uint64_t)i);
        expect_sound();
        ck_assert_int_eq(rig_start(&rig, reason), RD_OK);
        store_sqlite_verify(rig.store);
        if (expect_model(&model, last)) {
            model_apply(&model, ++last);
        }
        if (i % 2 == 0) { /* the rest of the merge, and again */
            ck_assert_int_eq(store_sqlite_merge(rig.store), RD_OK);
            expect_model(&model, last);
        }
        uint64_t live = 0;
        for (unsigned key = 0; key < KEYS; key++) {
            live += model.number[key] != 0;
        }
        ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), live);
        store_close(&rig.store);
        expect_sound();
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store, crashes");
    TCase *tcase = tcase_create("kill -9");
    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, kill_9_at_any_point_loses_nothing, 0, 3);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
