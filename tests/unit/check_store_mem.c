/* store/store_mem: what only the memory engine does: holding, syncing, crashing, faults, images. What both
 * engines do is in check_store.c. */
#include "store/store_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static struct store *store;

/* What was delivered, as text: "g7=abc c8=ok g9!RD_ENOTFOUND". */
static char heard[4096];
static size_t heard_len;

static void hear(const char *text) {
    heard_len += (size_t)snprintf(heard + heard_len, sizeof heard - heard_len, "%s%s",
                                  heard_len == 0 ? "" : " ", text);
    ck_assert_uint_lt(heard_len, sizeof heard);
}

static void on_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    char text[128];
    (void)arg;
    if (err != RD_OK) {
        ck_assert_ptr_null(value);
        snprintf(text, sizeof text, "g%u!%s", (unsigned)token, rd_err_name(err));
    } else {
        snprintf(text, sizeof text, "g%u=%.*s", (unsigned)token, (int)value->len, value->bytes);
    }
    hear(text);
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    char text[64];
    (void)arg;
    snprintf(text, sizeof text, "c%u=%s", (unsigned)token, rd_err_name(err));
    hear(text);
}

static void on_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                    size_t count, bool end) {
    char text[64];
    (void)arg;
    (void)rows;
    snprintf(text, sizeof text, "s%u=%s,%zu%s", (unsigned)token, rd_err_name(err), count,
             end ? ",end" : "");
    hear(text);
}

static const struct store_handler handler = {on_get, on_commit, on_scan};

/* Polls everything and returns what came. */
static const char *listen(void) {
    heard_len = 0;
    heard[0] = 0;
    while (store_poll(store, &handler, NULL, 3) > 0) {
    }
    store_mem_check(store);
    return heard;
}

static struct store_key key(const char *name) {
    return (struct store_key){
        .space = STORE_OBJECTS, .slot = (uint16_t)name[0], .key = name, .key_len = strlen(name)};
}

/* Puts a live row, or erases one. */
static void put(const char *name, const char *value, bool was_live) {
    struct store_put row = {.at = key(name), .was_live = was_live, .is_live = value != NULL};
    if (value != NULL) {
        ck_assert_int_eq(blob_new(value, strlen(value), &row.value), RD_OK);
    }
    ck_assert_int_eq(store_put(store, &row), RD_OK);
    blob_unref(row.value);
}

static void get(const char *name, uint64_t token) {
    struct store_key at = key(name);
    store_get(store, &at, token);
}

static void setup(void) {
    ck_assert_int_eq(store_mem_new(&store), RD_OK);
}

static void teardown(void) {
    store_close(&store);
    ck_assert_ptr_null(store);
}

START_TEST(held_completions_wait_and_come_in_order) {
    store_mem_hold(store, true);
    put("a", "1", false);
    store_commit(store, 1);
    get("a", 2);
    get("b", 3);
    ck_assert_str_eq(listen(), "");
    ck_assert_uint_eq(store_mem_held(store), 3);
    ck_assert_uint_eq(store_pending(store), 3);
    store_mem_release(store, 1);
    ck_assert_str_eq(listen(), "c1=RD_OK");
    store_mem_release(store, 1);
    ck_assert_str_eq(listen(), "g2=1");
    store_mem_release(store, 7);
    ck_assert_str_eq(listen(), "g3!RD_ENOTFOUND");
    get("a", 4);
    ck_assert_str_eq(listen(), "");
    store_mem_hold(store, false);
    ck_assert_str_eq(listen(), "g4=1");
    get("a", 5);
    ck_assert_str_eq(listen(), "g5=1");
}
END_TEST

START_TEST(what_was_delivered_before_holding_is_not_held) {
    get("a", 1);
    store_mem_hold(store, true);
    get("a", 2);
    ck_assert_str_eq(listen(), "g1!RD_ENOTFOUND");
    ck_assert_uint_eq(store_mem_held(store), 1);
}
END_TEST

START_TEST(always_is_durable_at_once) {
    put("a", "1", false);
    store_commit(store, 1);
    ck_assert_uint_eq(store_mem_unsynced(store), 0);
    store_mem_crash(store, 0);
    ck_assert_str_eq(listen(), ""); /* the completion was not delivered: forgotten */
    get("a", 2);
    ck_assert_str_eq(listen(), "g2=1");
    ck_assert_uint_eq(store_live_count(store, 'a', 'a'), 1);
}
END_TEST

START_TEST(a_released_commit_is_durable_in_mode_always) {
    store_mem_hold(store, true);
    put("a", "1", false);
    store_commit(store, 1);
    put("a", "2", true);
    put("b", "2", false);
    store_commit(store, 2);
    put("a", NULL, true);
    store_commit(store, 3);
    ck_assert_uint_eq(store_mem_unsynced(store), 3);
    store_mem_release(store, 2);
    ck_assert_uint_eq(store_mem_unsynced(store), 1);
    ck_assert_str_eq(listen(), "c1=RD_OK c2=RD_OK");
    ck_assert_uint_eq(store_live_count(store, 0, 16383), 1);
    store_mem_crash(store, 0);
    store_mem_hold(store, false);
    get("a", 4);
    get("b", 5);
    ck_assert_str_eq(listen(), "g4=2 g5=2");
    ck_assert_uint_eq(store_live_count(store, 0, 16383), 2);
}
END_TEST

START_TEST(always_may_be_durable_before_it_is_acknowledged) {
    store_mem_hold(store, true);
    put("a", "1", false);
    store_commit(store, 1);
    put("a", "2", true);
    store_commit(store, 2);
    store_mem_sync(store, 1);
    ck_assert_str_eq(listen(), "");
    store_mem_crash(store, 0);
    store_mem_hold(store, false);
    get("a", 3);
    ck_assert_str_eq(listen(), "g3=1");
}
END_TEST

START_TEST(everysec_acknowledges_what_a_crash_may_take) {
    store_mem_set_fsync(store, _i == 0 ? STORE_FSYNC_EVERYSEC : STORE_FSYNC_NO);
    put("a", "1", false);
    store_commit(store, 1);
    put("b", "1", false);
    store_commit(store, 2);
    put("a", "2", true);
    store_commit(store, 3);
    ck_assert_str_eq(listen(), "c1=RD_OK c2=RD_OK c3=RD_OK");
    ck_assert_uint_eq(store_mem_unsynced(store), 3);
    store_mem_sync(store, 1);
    ck_assert_uint_eq(store_mem_unsynced(store), 2);
    store_mem_crash(store, 1);
    ck_assert_uint_eq(store_mem_unsynced(store), 0);
    get("a", 4);
    get("b", 5);
    ck_assert_str_eq(listen(), "g4=1 g5=1");
}
END_TEST

START_TEST(a_dying_process_loses_nothing_committed) {
    store_mem_set_fsync(store, STORE_FSYNC_NO);
    put("a", "1", false);
    store_commit(store, 1);
    put("a", "2", true);
    store_mem_crash(store, SIZE_MAX);
    store_commit(store, 2); /* of nothing: the open batch is gone */
    get("a", 3);
    ck_assert_str_eq(listen(), "c2=RD_OK g3=1");
}
END_TEST

START_TEST(switching_the_mode_does_not_sync) {
    store_mem_set_fsync(store, STORE_FSYNC_NO);
    put("a", "1", false);
    store_commit(store, 1);
    store_mem_set_fsync(store, STORE_FSYNC_ALWAYS);
    ck_assert_uint_eq(store_mem_unsynced(store), 1);
    put("b", "1", false);
    store_commit(store, 2); /* durable, and so is what came before it */
    ck_assert_uint_eq(store_mem_unsynced(store), 0);
}
END_TEST

START_TEST(faults_strike_so_many_times) {
    put("a", "1", false);
    store_commit(store, 1);
    store_mem_fail(store, STORE_MEM_GET, RD_EIO, 2);
    get("a", 2);
    get("a", 3);
    get("a", 4);
    ck_assert_str_eq(listen(), "c1=RD_OK g2!RD_EIO g3!RD_EIO g4=1");
    struct blob *value = NULL;
    store_mem_fail(store, STORE_MEM_GET, RD_EIO, UINT64_MAX);
    ck_assert_int_eq(store_meta_get(store, "identity", &value), RD_EIO);
    ck_assert_int_eq(store_meta_get(store, "identity", &value), RD_EIO);
    store_mem_fail(store, STORE_MEM_GET, RD_OK, 0);
    ck_assert_int_eq(store_meta_get(store, "identity", &value), RD_ENOTFOUND);
    ck_assert_ptr_null(value);
    store_mem_fail(store, STORE_MEM_SCAN, RD_EIO, 2);
    struct store_range all = {STORE_OBJECTS, 0, 16383};
    store_scan(store, &all, NULL, 9, 9, 5);
    store_scan_due(store, 9, NULL, 9, 9, 6);
    store_scan(store, &all, NULL, 9, 9, 7);
    ck_assert_str_eq(listen(), "s5=RD_EIO,0 s6=RD_EIO,0 s7=RD_OK,1,end");
}
END_TEST

START_TEST(a_failed_commit_leaves_nothing) {
    put("a", "1", false);
    store_commit(store, 1);
    store_mem_fail(store, STORE_MEM_COMMIT, RD_EFULL, 2);
    put("a", "2", true);
    put("b", "2", false);
    store_commit(store, 2);
    struct store_stats stats;
    store_stats(store, &stats);
    ck_assert(!stats.writable);
    ck_assert_uint_eq(stats.commit_errors, 1);
    get("a", 3);
    get("b", 4);
    store_commit(store, 5); /* empty, but the disk is still full */
    store_commit(store, 6);
    ck_assert_str_eq(listen(), "c1=RD_OK c2=RD_EFULL g3=1 g4!RD_ENOTFOUND c5=RD_EFULL c6=RD_OK");
    store_stats(store, &stats);
    ck_assert(stats.writable);
    ck_assert_uint_eq(stats.commits, 2);
    ck_assert_uint_eq(stats.live_keys, 1);
}
END_TEST

/* The rows are found by a crash that keeps everything, unless something was committed since. */
START_TEST(a_failed_sync_may_leave_all) {
    enum { NOTHING, WORST, COMMITTED };
    put("a", "1", false);
    store_commit(store, 1);
    store_mem_sync(store, SIZE_MAX);
    if (_i == WORST) {
        store_mem_set_fsync(store, STORE_FSYNC_NO);
        put("c", "1", false);
        store_commit(store, 2);
    }
    put("a", "2", true);
    put("b", "2", false);
    store_mem_fail(store, STORE_MEM_SYNC, RD_EIO, 2);
    store_commit(store, 3);
    store_commit(store, 4); /* empty, and fails too */
    get("a", 5);
    get("b", 6);
    ck_assert_ptr_nonnull(strstr(listen(), "c3=RD_EIO c4=RD_EIO g5=1 g6!RD_ENOTFOUND"));
    if (_i == COMMITTED) {
        store_commit(store, 7);
        ck_assert_str_eq(listen(), "c7=RD_OK");
    }
    store_mem_crash(store, _i == WORST ? 0 : SIZE_MAX);
    get("a", 8);
    get("b", 9);
    ck_assert_str_eq(listen(), _i == NOTHING ? "g8=2 g9=2" : "g8=1 g9!RD_ENOTFOUND");
    ck_assert_uint_eq(store_mem_found_unsure(store), _i == NOTHING ? 2 : 0);
    store_mem_check(store);
    struct store_stats stats;
    store_stats(store, &stats);
    ck_assert_uint_eq(stats.live_keys, _i == NOTHING ? 2 : 1);
    store_mem_crash(store, SIZE_MAX);
    ck_assert_uint_eq(store_mem_found_unsure(store), _i == NOTHING ? 2 : 0);
}
END_TEST

START_TEST(rows_are_lost_and_damaged) {
    struct store_key a = key("a");
    struct store_key b = key("b");
    struct store_key none = key("c");
    put("a", "1", false);
    put("b", "1", false);
    store_commit(store, 1);
    ck_assert(store_mem_erase_row(store, &a));
    ck_assert(!store_mem_erase_row(store, &a));
    ck_assert(store_mem_corrupt_row(store, &b));
    ck_assert(!store_mem_corrupt_row(store, &none));
    ck_assert_uint_eq(store_live_count(store, 0, 16383), 1);
    get("a", 2);
    get("b", 3);
    struct store_range all = {STORE_OBJECTS, 0, 16383};
    store_scan(store, &all, NULL, 9, 9, 4);
    ck_assert_str_eq(listen(), "c1=RD_OK g2!RD_ENOTFOUND g3!RD_ECORRUPT s4=RD_OK,1,end");
    struct store_stats stats;
    store_stats(store, &stats);
    ck_assert_uint_eq(stats.corrupt_rows, 2);
    store_mem_crash(store, 0); /* damage stays */
    get("b", 5);
    put("b", "2", true); /* until it is written again */
    store_commit(store, 6);
    get("b", 7);
    ck_assert_str_eq(listen(), "g5!RD_ECORRUPT c6=RD_OK g7=2");
}
END_TEST

START_TEST(faults_and_crashes_meet) {
    struct store_key a = key("a");
    store_mem_set_fsync(store, STORE_FSYNC_EVERYSEC);
    put("a", "1", false);
    store_commit(store, 1);
    put("a", "2", true);
    store_commit(store, 2);
    ck_assert(
        store_mem_erase_row(store, &a)); /* the records of commits 1 and 2 still know the row */
    put("a", "3", false);
    store_commit(store, 3);
    put("a", NULL, true);
    store_commit(store, 4);
    listen();
    store_mem_crash(store, 3);
    get("a", 5);
    ck_assert_str_eq(listen(), "g5=3");
    put("a", "4", true);
    store_commit(store, 6);
    ck_assert(store_mem_erase_row(store, &a));
    store_mem_crash(store, 0);
    get("a", 7);
    ck_assert_str_eq(listen(), "g7!RD_ENOTFOUND");
}
END_TEST

START_TEST(an_old_image_comes_back) {
    struct store_mem_image *image = NULL;
    put("a", "1", false);
    put("b", "1", false);
    store_commit(store, 1);
    ck_assert_int_eq(store_mem_snapshot(store, &image), RD_OK);
    put("a", NULL, true);
    put("c", "1", false);
    store_commit(store, 2);
    listen();
    store_mem_set_fsync(store, STORE_FSYNC_NO);
    put("b", "2", true);
    store_commit(store, 3);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(store_mem_restore(store, image), RD_OK);
        get("a", 4);
        get("b", 5);
        get("c", 6);
        ck_assert_str_eq(listen(), "g4=1 g5=1 g6!RD_ENOTFOUND");
        ck_assert_uint_eq(store_live_count(store, 0, 16383), 2);
        put("c", "3", false);
        store_commit(store, 7);
        listen();
    }
    store_mem_wipe(store);
    get("a", 8);
    ck_assert_str_eq(listen(), "g8!RD_ENOTFOUND");
    ck_assert_uint_eq(store_live_count(store, 0, 16383), 0);
    store_mem_image_free(&image);
    ck_assert_ptr_null(image);
    store_mem_image_free(&image);
}
END_TEST

static void count_row(void *arg, enum store_space space, const struct store_row *row) {
    unsigned *seen = arg;
    ck_assert_int_eq(space, STORE_OBJECTS);
    ck_assert_int_eq(row->err, row->key_len == 1 ? RD_OK : RD_ECORRUPT);
    (*seen)++;
}

START_TEST(every_row_can_be_looked_at) {
    struct store_key damaged = key("aa");
    unsigned seen = 0;
    put("a", "1", false);
    put("aa", "1", false);
    put("b", "1", false);
    store_commit(store, 1);
    store_mem_corrupt_row(store, &damaged);
    store_mem_each(store, count_row, &seen);
    ck_assert_uint_eq(seen, 3);
}
END_TEST

/* ---- random commits, syncs and crashes against a list of all states -------------------------------- */

enum { KEYS = 12, MOST = 64 };

struct state {
    unsigned value[KEYS]; /* 0: absent */
};

static void commit_random(struct prng *prng, struct state *state, uint64_t number) {
    size_t changes = prng_below(prng, 6);
    for (size_t i = 0; i < changes; i++) {
        unsigned k = (unsigned)prng_below(prng, KEYS);
        unsigned value = prng_chance(prng, 1, 3) ? 0 : (unsigned)(number * 10 + i + 1);
        char name[8];
        char text[16];
        snprintf(name, sizeof name, "%c%u", 'a' + (int)k % 3, k);
        snprintf(text, sizeof text, "%u", value);
        put(name, value == 0 ? NULL : text, state->value[k] != 0);
        state->value[k] = value;
    }
    store_commit(store, number);
}

static void must_hold(const struct state *state) {
    char expected[1024];
    size_t len = 0;
    uint64_t live = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        char name[8];
        snprintf(name, sizeof name, "%c%u", 'a' + (int)k % 3, k);
        get(name, k);
        len += state->value[k] == 0
                   ? (size_t)snprintf(expected + len, sizeof expected - len, "%sg%u!RD_ENOTFOUND",
                                      k == 0 ? "" : " ", k)
                   : (size_t)snprintf(expected + len, sizeof expected - len, "%sg%u=%u",
                                      k == 0 ? "" : " ", k, state->value[k]);
        live += state->value[k] != 0;
    }
    ck_assert_str_eq(listen(), expected);
    ck_assert_uint_eq(store_live_count(store, 0, 16383), live);
}

START_TEST(a_crash_leaves_a_prefix) {
    static struct state states[MOST + 1]; /* states[i]: after i commits since the last crash */
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    store_mem_set_fsync(store, STORE_FSYNC_EVERYSEC);
    memset(&states[0], 0, sizeof states[0]);
    size_t done = 0;
    size_t durable = 0;
    for (int step = 0; step < 300; step++) {
        if (done == MOST || prng_chance(&prng, 1, 15)) {
            size_t keep = prng_below(&prng, done - durable + 2);
            store_mem_crash(store, keep);
            done = durable + keep < done ? durable + keep : done;
            must_hold(&states[done]);
            states[0] = states[done];
            done = durable = 0;
        } else if (prng_chance(&prng, 1, 4)) {
            size_t count = prng_below(&prng, 4);
            store_mem_sync(store, count);
            durable = durable + count < done ? durable + count : done;
            ck_assert_uint_eq(store_mem_unsynced(store), done - durable);
        } else {
            states[done + 1] = states[done];
            commit_random(&prng, &states[done + 1], done + 1);
            listen();
            done++;
        }
    }
    must_hold(&states[done]);
}
END_TEST

START_TEST(the_same_calls_give_the_same_answers) {
    char first[sizeof heard];
    for (int round = 0; round < 2; round++) {
        struct state state = {0};
        struct prng prng;
        prng_seed(&prng, 42);
        store_mem_wipe(store);
        for (uint64_t i = 1; i <= 30; i++) {
            commit_random(&prng, &state, i);
        }
        struct store_range all = {STORE_OBJECTS, 0, 16383};
        for (uint64_t i = 1; i < 12; i++) {
            store_scan(store, &all, NULL, i, 1000, i);
        }
        listen();
        if (round == 0) {
            memcpy(first, heard, sizeof heard);
        }
    }
    ck_assert_str_eq(first, heard);
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------------- */

START_TEST(memory_runs_out_at_the_start) {
    struct store *other = NULL;
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = store_mem_new(&other);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_ptr_null(other);
    }
    store_close(&other);
}
END_TEST

START_TEST(memory_runs_out_in_images) {
    struct store_mem_image *image = NULL;
    bool fired = true;
    put("a", "1", false);
    put("b", "1", false);
    store_commit(store, 1);
    for (unsigned n = 1; fired; n++) {
        oom_fail_at(n);
        enum rd_err err = store_mem_snapshot(store, &image);
        fired = oom_stop();
        ck_assert_int_eq(err, fired ? RD_ENOMEM : RD_OK);
        ck_assert(fired == (image == NULL));
    }
    put("b", NULL, true);
    store_commit(store, 2);
    listen();
    fired = true;
    for (unsigned n = 1; fired; n++) {
        oom_fail_at(n);
        enum rd_err err = store_mem_restore(store, image);
        fired = oom_stop();
        ck_assert_int_eq(err, fired ? RD_ENOMEM : RD_OK);
        get("b", 3);
        ck_assert_str_eq(listen(), fired ? "g3!RD_ENOTFOUND" : "g3=1");
    }
    store_mem_image_free(&image);
}
END_TEST

START_TEST(the_reserve_lasts_without_memory) {
    oom_fail_from(1);
    for (uint64_t i = 0; i < STORE_PENDING_RESERVED; i++) {
        get("a", i);
    }
    int fired = oom_stop();
    ck_assert_int_eq(fired, 0); /* a get of nothing takes no memory at all */
    for (uint64_t i = 0; i < 5; i++) {
        get("a", i);
    }
    ck_assert_uint_eq(store_pending(store), STORE_PENDING_RESERVED + 5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store_mem");
    TCase *tcase = tcase_create("store_mem");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, held_completions_wait_and_come_in_order);
    tcase_add_test(tcase, what_was_delivered_before_holding_is_not_held);
    tcase_add_test(tcase, always_is_durable_at_once);
    tcase_add_test(tcase, a_released_commit_is_durable_in_mode_always);
    tcase_add_test(tcase, always_may_be_durable_before_it_is_acknowledged);
    tcase_add_loop_test(tcase, everysec_acknowledges_what_a_crash_may_take, 0, 2);
    tcase_add_test(tcase, a_dying_process_loses_nothing_committed);
    tcase_add_test(tcase, switching_the_mode_does_not_sync);
    tcase_add_test(tcase, faults_strike_so_many_times);
    tcase_add_test(tcase, a_failed_commit_leaves_nothing);
    tcase_add_loop_test(tcase, a_failed_sync_may_leave_all, 0, 3);
    tcase_add_test(tcase, rows_are_lost_and_damaged);
    tcase_add_test(tcase, faults_and_crashes_meet);
    tcase_add_test(tcase, an_old_image_comes_back);
    tcase_add_test(tcase, every_row_can_be_looked_at);
    tcase_add_loop_test(tcase, a_crash_leaves_a_prefix, 0, 40);
    tcase_add_test(tcase, the_same_calls_give_the_same_answers);
    tcase_add_test(tcase, memory_runs_out_at_the_start);
    tcase_add_test(tcase, memory_runs_out_in_images);
    tcase_add_test(tcase, the_reserve_lasts_without_memory);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
