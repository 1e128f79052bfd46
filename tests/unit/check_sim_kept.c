/* sim/check_kept: acknowledgements that rest on enough stores and on too few, hints that are given up
 * too early, and those that are left. */
#include "sim/check_kept.h"

#include <string.h>

#include "sim/cluster.h"
#include "sim/mem.h"
#include "tests/lib/run.h"

static struct cluster *c;
static struct kept *kept;
static struct plan plan;
static struct buf violation;

/* Four nodes, N=3: one of them is no home of the key. */
static unsigned homes[3], fallback;

static void setup(void) {
    c = cluster_start(4);
    plan = (struct plan){.keys = 1};
    plan.world.node.n = 3;
    plan.world.node.w = 2;
    kept = kept_new(&(struct kept_input){.world = cluster_world(c), .plan = &plan});
    ck_assert_uint_eq(cluster_homes(c, "key0", homes, 3), 3);
    fallback = 10 - homes[0] - homes[1] - homes[2];
    cluster_set(c, 1, "first", "v");
    cluster_elapse_ms(c, 100);
}

static void teardown(void) {
    buf_free(&violation);
    kept_free(&kept);
    cluster_stop(&c);
}

/* True if the violation begins with that word, or if there is none and the word is empty. */
static bool says(const char *word) {
    size_t len = strlen(word), said = buf_len(&violation);
    bool same = len == 0 ? said == 0 : said >= len && memcmp(buf_data(&violation), word, len) == 0;
    buf_free(&violation);
    return same;
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct look {
    enum store_space space;
    struct effect put; /* of the row of key0 in that space */
};

static void take_row(void *arg, enum store_space space, const struct store_row *row) {
    struct look *look = arg;
    if (space == look->space && row->key_len == 4 && memcmp(row->key, "key0", 4) == 0) {
        look->put.store_put.at =
            (struct row_key){.space = space, .slot = row->slot, .key = mem_blob("key0", 4)};
        look->put.store_put.value = blob_ref(row->value);
    }
}

/* The row as a put of it. False: there is none. */
static bool row_of(unsigned node, enum store_space space, struct effect *out) {
    struct look look = {.space = space, .put = {.kind = EFF_STORE_PUT}};
    store_mem_each(world_disk(cluster_world(c), node - 1)->store, take_row, &look);
    *out = look.put;
    return look.put.store_put.value != NULL;
}

static void put_free(struct effect *put) {
    blob_unref(put->store_put.at.key);
    blob_unref(put->store_put.value);
}

/* Shows the checker the row that the node has. */
static void see(unsigned node, enum store_space space) {
    struct effect put;
    ck_assert(row_of(node, space, &put));
    kept_see(kept, node - 1, &put, &violation);
    put_free(&put);
}

/* Shows it that the node erases its hint. */
static void see_erased(unsigned node) {
    struct effect put;
    ck_assert(row_of(node, STORE_HINTS, &put));
    blob_unref(put.store_put.value);
    put.store_put.value = NULL;
    kept_see(kept, node - 1, &put, &violation);
    put_free(&put);
}

static void see_acknowledged(uint64_t value_id, uint32_t w) {
    struct op op = {.kind = CLIENT_WRITE,
                    .answered = true,
                    .w = w,
                    .value_id = value_id,
                    .key = mem_blob("key0", 4),
                    .value = mem_blob("w", 1)};
    kept_answer(kept, &op, &violation);
    blob_unref(op.key);
    blob_unref(op.value);
}

static void erase(unsigned node, enum store_space space) {
    struct effect put;
    ck_assert(row_of(node, space, &put));
    const struct store_key at = {
        .space = space, .slot = put.store_put.at.slot, .key = "key0", .key_len = 4};
    ck_assert(store_mem_erase_row(world_disk(cluster_world(c), node - 1)->store, &at));
    put_free(&put);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

/* A client that does not learn what became of its write repeats it again and again: the last dot counts. */
START_TEST(retries_have_dots_of_their_own) {
    for (int again = 0; again < 20; again++) {
        cluster_dynset(c, homes[0], "key0", "w5.", NULL);
        cluster_elapse_ms(c, 100);
        see(homes[0], STORE_OBJECTS);
        see_acknowledged(5, 3);
        ck_assert(says(""));
        for (int i = 0; i < 3; i++) {
            erase(homes[i], STORE_OBJECTS);
        }
        see_acknowledged(5, 1);
        ck_assert(says("hollow"));
    }
}
END_TEST

START_TEST(stores_are_counted) {
    cluster_set(c, homes[0], "key0", "w5.");
    cluster_elapse_ms(c, 100);
    see(homes[0], STORE_OBJECTS);
    see_acknowledged(5, 3);
    ck_assert(says(""));
    erase(homes[1], STORE_OBJECTS);
    see_acknowledged(5, 0);
    ck_assert(says(""));
    see_acknowledged(5, 3);
    ck_assert(says("hollow"));
    erase(homes[2], STORE_OBJECTS);
    see_acknowledged(5, 0);
    ck_assert(says("hollow"));
    see_acknowledged(5, 1);
    ck_assert(says(""));
    see_acknowledged(6, 3); /* a value that was never in a row says nothing */
    ck_assert(says(""));
}
END_TEST

START_TEST(what_has_replaced_the_value_counts) {
    cluster_set(c, homes[0], "key0", "w5.");
    cluster_elapse_ms(c, 100);
    see(homes[0], STORE_OBJECTS);
    cluster_set(c, homes[1], "key0", "w6.");
    cluster_elapse_ms(c, 100);
    see_acknowledged(5, 3);
    ck_assert(says(""));
}
END_TEST

/* Two homes are away: the fourth node stands in for one of them. */
static void write_sloppily(void) {
    cluster_isolate(c, homes[1]);
    cluster_isolate(c, homes[2]);
    cluster_elapse_ms(c, 3000);
    cluster_set(c, homes[0], "key0", "w5.");
    cluster_elapse_ms(c, 10);
    see(homes[0], STORE_OBJECTS);
    see(fallback, STORE_HINTS);
}

START_TEST(hints_count_also_when_they_are_delivered) {
    write_sloppily();
    see_acknowledged(5, 2);
    ck_assert(says(""));
    see_acknowledged(5, 3);
    ck_assert(says("hollow"));
    cluster_heal_all(c);
    struct effect hint;
    ck_assert(row_of(fallback, STORE_HINTS, &hint));
    put_free(&hint);
    for (int i = 0; i < 100 && kept_hints(cluster_world(c)) > 0; i++) {
        cluster_elapse_ms(c, 100);
    }
    ck_assert_uint_eq(kept_hints(cluster_world(c)), 0);
    see_acknowledged(5, 3);
    ck_assert(says(""));
}
END_TEST

/* ---- hints ----------------------------------------------------------------------------------- */

START_TEST(a_hint_may_not_go_too_early) {
    ck_assert_uint_eq(kept_hints(cluster_world(c)), 0);
    write_sloppily();
    ck_assert_uint_gt(kept_hints(cluster_world(c)), 0);
    ck_assert(says(""));
    see_erased(fallback);
    ck_assert(says("given up"));
    plan.beyond = true; /* faults that destroy everything excuse it */
    see_erased(fallback);
    ck_assert(says(""));
}
END_TEST

START_TEST(a_hint_may_go_once_its_home_has_it) {
    write_sloppily();
    for (unsigned i = 0; i < 2; i++) { /* the homes can be reached by each other, not by the hint */
        cluster_heal(c, homes[i], homes[i + 1]);
    }
    cluster_await(c, cluster_get_r_later(c, homes[1], "key0", 2));
    cluster_elapse_ms(c, 3000);
    cluster_await(c, cluster_get_r_later(c, homes[0], "key0", 3));
    cluster_heal(c, homes[0], homes[2]);
    cluster_elapse_ms(c, 3000);
    cluster_await(c, cluster_get_r_later(c, homes[0], "key0", 3));
    cluster_elapse_ms(c, 100);
    see_erased(fallback);
    ck_assert(says(""));
    see_acknowledged(5, 2); /* what it held is remembered */
    ck_assert(says(""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim/check_kept");
    TCase *tcase = tcase_create("kept");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, stores_are_counted);
    tcase_add_test(tcase, retries_have_dots_of_their_own);
    tcase_add_test(tcase, what_has_replaced_the_value_counts);
    tcase_add_test(tcase, hints_count_also_when_they_are_delivered);
    tcase_add_test(tcase, a_hint_may_not_go_too_early);
    tcase_add_test(tcase, a_hint_may_go_once_its_home_has_it);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
