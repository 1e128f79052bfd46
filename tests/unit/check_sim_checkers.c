/* The checkers that look at rows: dots, what is left, identical replicas. Each is shown what is
 * well and what is not. */
#include "sim/check_dots.h"
#include "sim/check_left.h"
#include "sim/cluster.h"
#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/stored.h"
#include "tests/lib/run.h"

#include <stdlib.h>
#include <string.h>

/* ---- words ----------------------------------------------------------------------------------- */

/* Adds a sibling to an object, beside what it has. */
static void add(struct object *object, uint64_t incarnation, uint64_t stamp, const char *value) {
    struct context nothing = {0};
    struct dot dot = {{incarnation, 1}, 1};
    struct blob *blob = mem_blob(value, strlen(value));
    mem_must(object_write(object, &nothing, &dot, stamp, blob, 0));
    blob_unref(blob);
}

static bool is_empty(struct buf *violation) {
    bool empty = buf_len(violation) == 0;
    buf_free(violation);
    return empty;
}

static bool says(struct buf *violation, const char *word) {
    bool said =
        buf_len(violation) > strlen(word) && memcmp(buf_data(violation), word, strlen(word)) == 0;
    buf_free(violation);
    return said;
}

/* ---- dots ------------------------------------------------------------------------------------ */

/* A row of `key` with one sibling is stored. */
static void see(struct dots *dots, const char *key, uint64_t incarnation, uint64_t stamp,
                const char *value, struct buf *violation) {
    struct object object = {0};
    struct buf bytes = {0};
    struct effect put = {.kind = EFF_STORE_PUT};
    add(&object, incarnation, stamp, value);
    mem_must(object_encode(&object, &bytes));
    put.store_put.at.key = mem_blob(key, strlen(key));
    put.store_put.value = mem_blob(buf_data(&bytes), buf_len(&bytes));
    dots_see(dots, &put, violation);
    blob_unref(put.store_put.at.key);
    blob_unref(put.store_put.value);
    buf_free(&bytes);
    object_free(&object);
}

START_TEST(a_dot_may_come_again_with_the_same_value) {
    struct dots *dots = dots_new();
    struct buf violation = {0};
    see(dots, "k", 1, 5, "v", &violation);
    see(dots, "k", 1, 5, "v", &violation);
    see(dots, "k", 2, 5, "v", &violation);
    see(dots, "j", 1, 5, "other", &violation); /* dots are named under their key */
    ck_assert(is_empty(&violation));
    ck_assert_uint_eq(dots_count(dots), 3);
    dots_free(&dots);
    ck_assert_ptr_null(dots);
    dots_free(&dots);
}
END_TEST

START_TEST(a_dot_with_two_values_clashes) {
    struct dots *dots = dots_new();
    struct buf violation = {0};
    see(dots, "k", 1, 5, "v", &violation);
    see(dots, "k", 1, 5, "w", &violation);
    ck_assert(says(&violation, "clash: "));
    see(dots, "k", 1, 6, "v", &violation); /* two stamps are two writes */
    ck_assert(says(&violation, "clash: "));
    dots_free(&dots);
}
END_TEST

START_TEST(many_dots_are_remembered) {
    struct dots *dots = dots_new();
    struct buf violation = {0};
    for (uint64_t i = 1; i <= 9000; i++) {
        see(dots, "k", i, 5, "v", &violation);
    }
    ck_assert_uint_eq(dots_count(dots), 9000);
    ck_assert(is_empty(&violation));
    see(dots, "k", 1, 5, "w", &violation);
    ck_assert(says(&violation, "clash: "));
    dots_free(&dots);
}
END_TEST

START_TEST(other_rows_are_none_of_its_business) {
    struct dots *dots = dots_new();
    struct buf violation = {0};
    struct effect put = {.kind = EFF_STORE_PUT};
    put.store_put.at.key = mem_blob("k", 1);
    dots_see(dots, &put, &violation); /* erased */
    put.store_put.value = mem_blob("no object", 9);
    put.store_put.at.space = STORE_META;
    dots_see(dots, &put, &violation);
    ck_assert(is_empty(&violation));
    put.store_put.at.space = STORE_OBJECTS;
    dots_see(dots, &put, &violation);
    ck_assert(says(&violation, "undecodable: "));
    blob_unref(put.store_put.at.key);
    blob_unref(put.store_put.value);
    dots_free(&dots);
}
END_TEST

/* ---- what is left ---------------------------------------------------------------------------- */

/* The reaper may have come between the look and the read; what it forgot does not come into being. */
START_TEST(a_tombstone_may_be_forgotten_meanwhile) {
    struct buf violation = {0};
    struct left left = {0};
    struct context all = {0};
    struct op read = {.tag = 1, .answered = true, .key = mem_blob("k", 1)};
    add(&left.merged, 1, 5, "v");
    mem_must(version_copy(&left.merged.version, &all.version));
    mem_must(object_remove(&left.merged, &all, 6, NULL));
    ck_assert(left.merged.count == 0 && !object_is_empty(&left.merged));
    check_left(&left, &read, &violation);
    ck_assert(is_empty(&violation));
    struct object shown = left.merged;
    left.merged = read.object;
    read.object = shown;
    check_left(&left, &read, &violation);
    ck_assert(says(&violation, "lie: "));
    version_free(&all.version);
    object_free(&read.object);
    blob_unref(read.key);
}
END_TEST

START_TEST(a_read_shows_what_is_left) {
    struct buf violation = {0};
    struct left left = {0};
    struct op read = {.tag = 1, .answered = true, .key = mem_blob("k", 1)};
    check_left(&left, &read, &violation); /* nothing, and nothing is shown */
    ck_assert(is_empty(&violation));
    add(&left.merged, 1, 5, "v");
    check_left(&left, &read, &violation);
    ck_assert(says(&violation, "lie: "));
    add(&read.object, 1, 5, "v");
    check_left(&left, &read, &violation);
    ck_assert(is_empty(&violation));
    add(&read.object, 2, 6, "more than there is");
    check_left(&left, &read, &violation);
    ck_assert(says(&violation, "lie: "));
    read.stand_ins = 1; /* a fallback answered for one of them */
    check_left(&left, &read, &violation);
    ck_assert(is_empty(&violation));
    read.stand_ins = 0;
    read.err = RD_ENOQUORUM; /* no answer is no lie */
    check_left(&left, &read, &violation);
    ck_assert(is_empty(&violation));
    object_free(&left.merged);
    object_free(&read.object);
    blob_unref(read.key);
}
END_TEST

START_TEST(damaged_is_not_absent) {
    struct buf violation = {0};
    struct left left = {.damaged = 1};
    struct op read = {.tag = 1, .answered = true, .key = mem_blob("k", 1)};
    ck_assert(left_is_unreadable(&left));
    check_left(&left, &read, &violation);
    ck_assert(says(&violation, "lie: "));
    read.err = RD_ENOQUORUM;
    check_left(&left, &read, &violation);
    ck_assert(is_empty(&violation));
    add(&left.merged, 1, 5, "v"); /* one copy is enough to repair the others */
    ck_assert(!left_is_unreadable(&left));
    left.damaged = 0;
    object_free(&left.merged);
    ck_assert(!left_is_unreadable(&left));
    blob_unref(read.key);
}
END_TEST

/* ---- replicas of a running cluster ----------------------------------------------------------- */

static struct cluster *c;
static struct blob *key;

static void setup(void) {
    c = cluster_start(4);
    key = mem_blob("key0", 4);
}

static void teardown(void) {
    blob_unref(key);
    cluster_stop(&c);
}

static struct store_key place(void) {
    const struct node *node = world_node(cluster_world(c), 0);
    return (struct store_key){.slot = node_slot(node, "key0", 4), .key = "key0", .key_len = 4};
}

/* The first home's machine. */
static uint32_t first_home(void) {
    unsigned home;
    ck_assert_uint_eq(cluster_homes(c, "key0", &home, 1), 1);
    return home - 1;
}

static struct left look(bool lww) {
    return left_look(cluster_world(c), key, lww);
}

static bool identical(void) {
    struct plan plan = {.keys = 1};
    plan.world.node.n = 3;
    struct history history = {0};
    struct losses losses = {0};
    struct judge judge;
    judge_init(&judge, &(struct judge_input){&plan, 4, &history, &losses});
    struct judged_key judged = {.key = key};
    check_identical(&judge, cluster_world(c), &judged);
    bool fine = buf_len(&judge.violation) == 0;
    judge_free(&judge);
    return fine;
}

START_TEST(copies_are_those_of_the_homes) {
    struct stored_copy copies[8];
    unsigned homes[8];
    ck_assert_uint_eq(cluster_homes(c, "key0", homes, 8), 3);
    ck_assert_uint_eq(stored_copies(cluster_world(c), key, copies, 8), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(copies[i].machine, homes[i] - 1);
        ck_assert_int_eq(copies[i].state, STORED_NOTHING);
    }
    cluster_set(c, 1, "key0", "v");
    cluster_elapse_ms(c, 100);
    ck_assert_uint_eq(stored_copies(cluster_world(c), key, copies, 2), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(copies[i].state, STORED_OBJECT);
        ck_assert_uint_eq(copies[i].object.count, 1);
        object_free(&copies[i].object);
    }
}
END_TEST

START_TEST(equal_stores_are_identical) {
    ck_assert(identical());
    cluster_set(c, 1, "key0", "v");
    cluster_elapse_ms(c, 100);
    ck_assert(identical());
    cluster_del(c, 2, "key0");
    cluster_elapse_ms(c, 100);
    ck_assert(identical());
}
END_TEST

START_TEST(a_missing_copy_differs) {
    cluster_set(c, 1, "key0", "v");
    cluster_elapse_ms(c, 100);
    cluster_erase(c, first_home() + 1, "key0");
    ck_assert(!identical());
    cluster_await(c, cluster_get_r_later(c, 1, "key0", 3));
    cluster_elapse_ms(c, 100);
    ck_assert(identical());
}
END_TEST

START_TEST(a_damaged_copy_differs) {
    cluster_set(c, 1, "key0", "v");
    cluster_elapse_ms(c, 100);
    struct store_key at = place();
    struct store *store = world_disk(cluster_world(c), first_home())->store;
    ck_assert(store_mem_corrupt_row(store, &at));
    ck_assert(!identical());
    struct left left = look(false);
    ck_assert_uint_eq(left.damaged, 1);
    ck_assert(!left_is_unreadable(&left));
    ck_assert_uint_eq(left.merged.count, 1);
    object_free(&left.merged);
}
END_TEST

START_TEST(an_older_copy_differs) {
    unsigned home = first_home() + 1;
    cluster_set(c, home, "key0", "v1");
    cluster_elapse_ms(c, 100);
    cluster_isolate(c, home);
    unsigned other = home == 1 ? 2 : 1;
    cluster_set(c, other, "key0", "v2");
    ck_assert(!identical());
    struct left left = look(false); /* the newer one replaces it */
    ck_assert_uint_eq(left.merged.count, 1);
    ck_assert_mem_eq(left.merged.siblings[0].value->bytes, "v2", 2);
    object_free(&left.merged);
    cluster_heal_all(c);
}
END_TEST

START_TEST(what_is_left_is_the_merge_of_all) {
    unsigned home = first_home() + 1;
    unsigned other = home == 1 ? 2 : 1;
    struct world *world = cluster_world(c);
    cluster_dynset(c, home, "key0", "v1", NULL);
    cluster_dynset(c, other, "key0", "v2", NULL);
    cluster_elapse_ms(c, 100);
    struct left both = look(false), newest = look(true);
    ck_assert_uint_eq(both.merged.count, 2);
    ck_assert_uint_eq(newest.merged.count, 1);
    object_free(&both.merged);
    object_free(&newest.merged);
    struct store_key at = place();
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        store_mem_corrupt_row(world_disk(world, i)->store, &at);
    }
    struct left none = look(false);
    ck_assert_uint_eq(none.damaged, 3);
    ck_assert(left_is_unreadable(&none));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim checkers");
    TCase *tcase = tcase_create("dots");
    tcase_add_test(tcase, a_dot_may_come_again_with_the_same_value);
    tcase_add_test(tcase, a_dot_with_two_values_clashes);
    tcase_add_test(tcase, many_dots_are_remembered);
    tcase_add_test(tcase, other_rows_are_none_of_its_business);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("left");
    tcase_add_test(tcase, a_read_shows_what_is_left);
    tcase_add_test(tcase, a_tombstone_may_be_forgotten_meanwhile);
    tcase_add_test(tcase, damaged_is_not_absent);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("stores");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, copies_are_those_of_the_homes);
    tcase_add_test(tcase, equal_stores_are_identical);
    tcase_add_test(tcase, a_missing_copy_differs);
    tcase_add_test(tcase, a_damaged_copy_differs);
    tcase_add_test(tcase, an_older_copy_differs);
    tcase_add_test(tcase, what_is_left_is_the_merge_of_all);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
