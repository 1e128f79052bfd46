/* replication/placement: the preference lists of the ring, in the names of one node's member
 * map. */
#include "replication/placement.h"

#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define COUNT 7

static struct node_conf conf;
static const struct successors nobody_gone;

static struct node_id name(unsigned i) {
    struct node_id id;
    memset(id.bytes, (int)(i * 29 + 3), sizeof(id.bytes));
    return id;
}

static void setup(void) {
    conf = (struct node_conf){.n = 3, .partitions = 64};
}

static void add(struct members *members, unsigned i) {
    struct node_id id = name(i);
    uint16_t index;
    ck_assert_int_eq(members_add(members, &id, &index), RD_OK);
    members->items[index].generation = 1;
    members->items[index].vnodes = 32;
}

/* The members 0..count-1 in an order that the seed chooses. */
static struct members shuffled(uint64_t seed, unsigned count) {
    struct members members = {0};
    struct prng prng;
    unsigned order[COUNT];
    prng_seed(&prng, seed);
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; i > 1; i--) {
        unsigned j = (unsigned)prng_below(&prng, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
    for (unsigned i = 0; i < count; i++)
        add(&members, order[i]);
    return members;
}

START_TEST(every_node_means_the_same_members) {
    struct members layout = shuffled(1, COUNT), mine = shuffled(2, COUNT),
                   other = shuffled(3, COUNT);
    struct placement a = {0}, b = {0};
    ck_assert_int_eq(placement_compute(&a, &conf, &layout, &nobody_gone, &mine), RD_OK);
    ck_assert_int_eq(placement_compute(&b, &conf, &mine, &nobody_gone, &other), RD_OK);
    for (uint16_t p = 0; p < conf.partitions; p++) {
        uint16_t left[PREFLIST_MAX_N], right[PREFLIST_MAX_N];
        size_t count = placement_list(&a, p, left, PREFLIST_MAX_N);
        ck_assert_uint_eq(count, COUNT);
        ck_assert_uint_eq(placement_list(&b, p, right, PREFLIST_MAX_N), COUNT);
        for (size_t i = 0; i < count; i++)
            ck_assert_int_eq(node_id_compare(&mine.items[left[i]].id, &other.items[right[i]].id),
                             0);
        uint16_t homes[PREFLIST_MAX_N];
        ck_assert_uint_eq(placement_homes(&a, p, homes), 3);
        ck_assert_mem_eq(homes, left, 3 * sizeof(*homes));
    }
    placement_free(&a);
    placement_free(&b);
    members_free(&layout);
    members_free(&mine);
    members_free(&other);
}
END_TEST

START_TEST(homes_are_counted) {
    struct members members = shuffled(4, COUNT);
    struct placement placement = {0};
    uint32_t expected[COUNT] = {0}, sum = 0;
    ck_assert_int_eq(placement_compute(&placement, &conf, &members, &nobody_gone, &members), RD_OK);
    for (uint16_t p = 0; p < conf.partitions; p++) {
        uint16_t homes[PREFLIST_MAX_N];
        for (size_t i = placement_homes(&placement, p, homes); i > 0; i--)
            expected[homes[i - 1]]++;
    }
    for (uint16_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(placement_homes_of(&placement, i), expected[i]);
        sum += expected[i];
    }
    ck_assert_uint_eq(sum, 3 * conf.partitions);
    ck_assert_uint_eq(placement.owned, expected[MEMBER_SELF]);
    ck_assert_uint_eq(placement_homes_of(&placement, COUNT), 0); /* nobody */
    placement_free(&placement);
    members_free(&members);
}
END_TEST

START_TEST(members_outside_the_layout_have_no_place) {
    struct members layout = shuffled(5, 3), known = shuffled(6, COUNT);
    struct placement placement = {0};
    ck_assert_int_eq(placement_compute(&placement, &conf, &layout, &nobody_gone, &known), RD_OK);
    for (uint16_t i = 0; i < COUNT; i++) {
        bool inside = members_find(&layout, &known.items[i].id) != MEMBER_NONE;
        ck_assert_uint_eq(placement_homes_of(&placement, i), inside ? conf.partitions : 0);
    }
    uint16_t list[PREFLIST_MAX_N];
    ck_assert_uint_eq(placement_list(&placement, 0, list, PREFLIST_MAX_N), 3);
    ck_assert_uint_eq(placement_list(&placement, 0, list, 2), 2);
    placement_free(&placement);
    members_free(&layout);
    members_free(&known);
}
END_TEST

START_TEST(none_is_none) {
    struct placement placement = {0};
    uint16_t list[PREFLIST_MAX_N];
    ck_assert(!placement_is_known(&placement));
    ck_assert_uint_eq(placement_homes(&placement, 0, list), 0);
    ck_assert_uint_eq(placement_list(&placement, 0, list, PREFLIST_MAX_N), 0);
    ck_assert_uint_eq(placement_homes_of(&placement, 0), 0);
    placement_free(&placement);
}
END_TEST

START_TEST(an_error_leaves_the_old_one) {
    struct members layout = shuffled(7, 4), known = shuffled(8, 4), fewer = shuffled(8, 3);
    struct members none = {0};
    struct placement placement = {0};
    uint16_t before[PREFLIST_MAX_N], after[PREFLIST_MAX_N];
    ck_assert_int_eq(placement_compute(&placement, &conf, &layout, &nobody_gone, &known), RD_OK);
    ck_assert(placement_is_known(&placement));
    placement_homes(&placement, 5, before);
    ck_assert_int_eq(placement_compute(&placement, &conf, &layout, &nobody_gone, &fewer),
                     RD_ENOTFOUND);
    ck_assert_int_eq(placement_compute(&placement, &conf, &none, &nobody_gone, &known), RD_ECONF);
    unsigned n = 1;
    for (;; n++) {
        oom_fail_at(n);
        enum rd_err err = placement_compute(&placement, &conf, &layout, &nobody_gone, &known);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_uint_eq(placement_homes(&placement, 5, after), 3);
        ck_assert_mem_eq(before, after, 3 * sizeof(*after));
    }
    ck_assert_uint_gt(n, 5);
    placement_free(&placement);
    members_free(&layout);
    members_free(&known);
    members_free(&fewer);
}
END_TEST

/* A place changes hands: the new holder is at home where the old one was, and no other home moves, nor does any fallback. */
START_TEST(who_takes_a_place_has_all_of_it_and_no_more) {
    struct members layout = shuffled(1, COUNT - 1), known = shuffled(2, COUNT);
    struct successors records = {0};
    struct placement before = {0}, after = {0};
    struct node_id gone = name(3), by = name(COUNT - 1);
    bool changed;
    ck_assert_int_eq(successors_add(&records, &gone, &by, &changed), RD_OK);
    ck_assert_int_eq(placement_compute(&before, &conf, &layout, &nobody_gone, &known), RD_OK);
    ck_assert_int_eq(placement_compute(&after, &conf, &layout, &records, &known), RD_OK);
    uint16_t old = members_find(&known, &gone), new = members_find(&known, &by);
    for (uint16_t p = 0; p < conf.partitions; p++) {
        uint16_t left[PREFLIST_MAX_N], right[PREFLIST_MAX_N];
        size_t count = placement_list(&before, p, left, PREFLIST_MAX_N);
        ck_assert_uint_eq(placement_list(&after, p, right, PREFLIST_MAX_N), count);
        for (size_t i = 0; i < count; i++)
            ck_assert_uint_eq(right[i], left[i] == old ? new : left[i]);
    }
    ck_assert_uint_eq(placement_homes_of(&after, new), placement_homes_of(&before, old));
    ck_assert_uint_eq(placement_homes_of(&after, old), 0);
    placement_free(&before);
    placement_free(&after);
    successors_free(&records);
    members_free(&layout);
    members_free(&known);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("placement");
    TCase *tcase = tcase_create("placement");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, every_node_means_the_same_members);
    tcase_add_test(tcase, homes_are_counted);
    tcase_add_test(tcase, who_takes_a_place_has_all_of_it_and_no_more);
    tcase_add_test(tcase, members_outside_the_layout_have_no_place);
    tcase_add_test(tcase, none_is_none);
    tcase_add_test(tcase, an_error_leaves_the_old_one);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
