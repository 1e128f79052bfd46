/* sim/disk: order and time of completions, faults, and what a crash leaves. */
#include "sim/disk.h"

#include "sim/mem.h"
#include "tests/lib/run.h"

#include <string.h>

struct fixture {
    struct queue queue;
    struct disk_conf conf;
    struct disk disk;
    uint64_t now_us;
};

static void start(struct fixture *f, uint64_t seed) {
    memset(f, 0, sizeof *f);
    f->conf = (struct disk_conf){
        .get_min_us = 10, .get_mean_us = 20, .commit_min_us = 100, .commit_mean_us = 50};
    disk_init(&f->disk, &f->queue, &f->conf, 3, seed);
    disk_attach(&f->disk, 7);
}

static void stop(struct fixture *f) {
    disk_free(&f->disk);
    queue_free(&f->queue);
}

static void put(struct fixture *f, const char *key, const char *value) {
    struct effect effect = {.kind = EFF_STORE_PUT};
    effect.store_put.at.key = mem_blob(key, strlen(key));
    effect.store_put.value = mem_blob(value, strlen(value));
    effect.store_put.new_digest = 1;
    disk_put(&f->disk, &effect);
    blob_unref(effect.store_put.at.key);
    blob_unref(effect.store_put.value);
}

static void get(struct fixture *f, const char *key, uint64_t token) {
    struct effect effect = {.kind = EFF_STORE_GET};
    effect.store_get.token = token;
    effect.store_get.at.key = mem_blob(key, strlen(key));
    disk_get(&f->disk, &effect, f->now_us);
    blob_unref(effect.store_get.at.key);
}

static struct disk_completion next(struct fixture *f) {
    struct sim_event event;
    ck_assert(queue_pop(&f->queue, &event));
    ck_assert_uint_eq(event.kind, DISK_FINISHED);
    ck_assert_uint_eq(event.node, 3);
    ck_assert_uint_eq(event.life, 7);
    ck_assert_uint_ge(event.at_us, f->now_us);
    f->now_us = event.at_us;
    return disk_arrive(&f->disk);
}

/* Crashes and comes back; the events under way are forgotten by whoever pops them, here by
 * emptying the queue. */
static void crash(struct fixture *f, enum disk_crash how) {
    disk_crash(&f->disk, how);
    queue_free(&f->queue);
    disk_attach(&f->disk, 7);
}

static bool has(struct fixture *f, const char *key) {
    get(f, key, 1);
    struct disk_completion completion = next(f);
    ck_assert_int_eq(completion.work, DISK_GET);
    ck_assert(completion.err == RD_OK || completion.err == RD_ENOTFOUND);
    ck_assert((completion.value != NULL) == (completion.err == RD_OK));
    blob_unref(completion.value);
    return completion.err == RD_OK;
}

START_TEST(answers_in_order_and_takes_its_time) {
    struct fixture f;
    start(&f, (uint64_t)_i);
    get(&f, "k", 1);
    put(&f, "k", "v");
    disk_commit(&f.disk, 2, f.now_us);
    get(&f, "k", 3);

    struct disk_completion completion = next(&f);
    ck_assert_uint_eq(completion.token, 1);
    ck_assert_int_eq(completion.err, RD_ENOTFOUND);
    ck_assert_uint_ge(f.now_us, 10);
    completion = next(&f);
    ck_assert_int_eq(completion.work, DISK_COMMIT);
    ck_assert_uint_eq(completion.token, 2);
    ck_assert_int_eq(completion.err, RD_OK);
    ck_assert_uint_ge(f.now_us, 110);
    completion = next(&f);
    ck_assert_uint_eq(completion.token, 3);
    ck_assert_int_eq(completion.err, RD_OK);
    ck_assert_mem_eq(completion.value->bytes, "v", 1);
    blob_unref(completion.value);
    ck_assert_uint_eq(f.queue.count, 0);
    stop(&f);
}
END_TEST

START_TEST(scans_page_by_page) {
    struct fixture f;
    start(&f, 11);
    put(&f, "a", "1");
    put(&f, "b", "2");
    put(&f, "c", "3");
    disk_commit(&f.disk, 1, f.now_us);
    next(&f);
    struct store_scan_order order = {
        .token = 2, .last_slot = 16383, .max_rows = 2, .max_bytes = 100};
    disk_scan(&f.disk, &order, f.now_us);
    struct disk_completion page = next(&f);
    ck_assert_int_eq(page.work, DISK_SCAN);
    ck_assert_uint_eq(page.token, 2);
    ck_assert_int_eq(page.err, RD_OK);
    ck_assert_uint_eq(page.count, 2);
    ck_assert(!page.end);
    ck_assert_mem_eq(page.rows[1].key.data, "b", 1);
    ck_assert_mem_eq(page.rows[1].value->bytes, "2", 1);
    order.after_slot = page.rows[1].slot;
    order.after_key = mem_blob("b", 1);
    disk_completion_free(&page);

    disk_scan(&f.disk, &order, f.now_us);
    page = next(&f);
    ck_assert_uint_eq(page.count, 1);
    ck_assert(page.end);
    ck_assert_mem_eq(page.rows[0].key.data, "c", 1);
    disk_completion_free(&page);
    blob_unref(order.after_key);

    order = (struct store_scan_order){.token = 3, .due = true, .due_before_ms = 9, .max_rows = 1};
    disk_scan(&f.disk, &order, f.now_us);
    page = next(&f);
    ck_assert_uint_eq(page.count, 0);
    ck_assert(page.end);
    disk_completion_free(&page);
    stop(&f);
}
END_TEST

START_TEST(stalls) {
    struct fixture f;
    start(&f, 5);
    f.conf.stall_ppm = 1000000;
    f.conf.stall_us = 1000000;
    for (uint64_t i = 0; i < 20; i++) {
        get(&f, "k", i);
    }
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_uint_eq(next(&f).token, i);
    }
    ck_assert_uint_gt(f.now_us, 2000000);
    stop(&f);
}
END_TEST

START_TEST(keeps_what_was_committed) {
    static const enum disk_crash hows[] = {DISK_KEEPS_ALL, DISK_KEEPS_SOME, DISK_KEEPS_NONE};
    struct fixture f;
    start(&f, 1);
    put(&f, "k", "v");
    disk_commit(&f.disk, 1, f.now_us);
    ck_assert_int_eq(next(&f).err, RD_OK);
    put(&f, "open", "v"); /* never committed */
    crash(&f, hows[_i]);
    ck_assert(has(&f, "k"));
    ck_assert(!has(&f, "open"));
    stop(&f);
}
END_TEST

/* Ten commits asked for, four have completed: those four are always there, the rest as the crash
 * says, as a prefix. */
START_TEST(forgets_a_suffix_of_the_rest) {
    bool some_lost = false, some_kept = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fixture f;
        start(&f, seed);
        for (int i = 0; i < 10; i++) {
            char key[2] = {(char)('0' + i), 0};
            put(&f, key, "v");
            disk_commit(&f.disk, (uint64_t)i, f.now_us);
        }
        for (int i = 0; i < 4; i++) {
            next(&f);
        }
        crash(&f, DISK_KEEPS_SOME);
        bool before = true;
        for (int i = 0; i < 10; i++) {
            char key[2] = {(char)('0' + i), 0};
            bool there = has(&f, key);
            ck_assert(there || i >= 4);
            ck_assert(before || !there);
            before = there;
            some_lost |= !there;
            some_kept |= there && i >= 4;
        }
        stop(&f);
    }
    ck_assert(some_lost && some_kept);
}
END_TEST

START_TEST(loses_all_or_nothing_of_the_rest) {
    for (int all = 0; all < 2; all++) {
        struct fixture f;
        start(&f, 9);
        put(&f, "k", "v");
        disk_commit(&f.disk, 1, f.now_us);
        crash(&f, all ? DISK_KEEPS_ALL : DISK_KEEPS_NONE);
        ck_assert(has(&f, "k") == (all == 1));
        stop(&f);
    }
}
END_TEST

START_TEST(hands_on_the_faults_of_the_store) {
    struct fixture f;
    start(&f, 1);
    store_mem_fail(f.disk.store, STORE_MEM_COMMIT, RD_EFULL, 1);
    put(&f, "k", "v");
    disk_commit(&f.disk, 1, f.now_us);
    ck_assert_int_eq(next(&f).err, RD_EFULL);
    ck_assert(!has(&f, "k"));
    store_mem_fail(f.disk.store, STORE_MEM_GET, RD_EIO, 1);
    get(&f, "k", 2);
    ck_assert_int_eq(next(&f).err, RD_EIO);
    stop(&f);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim/disk");
    TCase *tcase = tcase_create("disk");
    tcase_add_loop_test(tcase, answers_in_order_and_takes_its_time, 0, 20);
    tcase_add_test(tcase, scans_page_by_page);
    tcase_add_test(tcase, stalls);
    tcase_add_loop_test(tcase, keeps_what_was_committed, 0, 3);
    tcase_add_test(tcase, forgets_a_suffix_of_the_rest);
    tcase_add_test(tcase, loses_all_or_nothing_of_the_rest);
    tcase_add_test(tcase, hands_on_the_faults_of_the_store);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
