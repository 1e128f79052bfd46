/* replication/successors: who holds whose place, against a naive walk; the laws of the merge; its packed form. */
#include "replication/successors.h"

#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static struct node_id name(unsigned i) {
    struct node_id id;
    memset(id.bytes, (int)(i * 7 + 1), sizeof(id.bytes));
    return id;
}

static void add(struct successors *all, unsigned gone, unsigned by) {
    struct node_id a = name(gone), b = name(by);
    bool changed;
    ck_assert_int_eq(successors_add(all, &a, &b, &changed), RD_OK);
    ck_assert(changed);
    ck_assert_int_eq(successors_add(all, &a, &b, &changed), RD_OK);
    ck_assert(!changed);
}

static void expect_holder(const struct successors *all, unsigned place, unsigned holder) {
    struct node_id id = name(place), expected = name(holder);
    struct node_id found = successors_holder(all, &id);
    ck_assert_mem_eq(found.bytes, expected.bytes, NODE_ID_BYTES);
}

static struct resp_slice packed(const struct successors *all, struct buf *out) {
    buf_reset(out, 0);
    ck_assert_int_eq(successors_pack(all, out), RD_OK);
    return (struct resp_slice){buf_data(out), buf_len(out)};
}

START_TEST(a_place_is_held_by_the_last_of_a_chain) {
    struct successors all = {0};
    struct node_id one = name(1), two = name(2), nine = name(9);
    expect_holder(&all, 1, 1);
    ck_assert(!successors_is_gone(&all, &one) && !successors_has_come(&all, &nine));
    add(&all, 1, 9);
    expect_holder(&all, 1, 9);
    expect_holder(&all, 2, 2);
    ck_assert(successors_is_gone(&all, &one) && !successors_is_gone(&all, &two));
    ck_assert(successors_has_come(&all, &nine) && !successors_is_gone(&all, &nine));
    add(&all, 9, 4);
    expect_holder(&all, 1, 4);
    expect_holder(&all, 9, 4);
    ck_assert(successors_is_gone(&all, &nine));
    successors_free(&all);
}
END_TEST

START_TEST(of_two_that_claim_a_place_the_lower_has_it) {
    struct successors all = {0};
    struct node_id eight = name(8);
    add(&all, 1, 8);
    add(&all, 8, 9); /* wiped once more */
    expect_holder(&all, 1, 9);
    add(&all, 1, 5); /* the other side of a cut had another */
    expect_holder(&all, 1, 5);
    expect_holder(&all, 8, 9); /* who holds nothing by that */
    ck_assert(successors_has_come(&all, &eight));
    successors_free(&all);
}
END_TEST

START_TEST(a_node_takes_one_place_only) {
    struct successors all = {0};
    struct node_id three = name(3);
    add(&all, 1, 9);
    add(&all, 3, 9);
    expect_holder(&all, 1, 9);
    expect_holder(&all, 3, 3);
    ck_assert(!successors_is_gone(&all, &three));
    successors_free(&all);
}
END_TEST

START_TEST(bad_records_change_nothing) {
    struct successors all = {0}, other = {0};
    struct buf bytes = {0};
    struct node_id one = name(1);
    bool changed, whole;
    ck_assert_int_eq(successors_add(&all, &one, &one, &changed), RD_EREFUSED);
    add(&other, 1, 2);
    add(&other, 3, 4);
    struct resp_slice good = packed(&other, &bytes);
    uint8_t copy[4 * NODE_ID_BYTES];
    ck_assert_uint_eq(good.len, sizeof(copy));
    for (size_t len = 1; len < good.len; len++) {
        struct resp_slice cut = {good.data, len};
        enum rd_err err = successors_merge(&all, cut, &changed, &whole);
        ck_assert_int_eq(err, len == sizeof(copy) / 2 ? RD_OK : RD_EPROTO);
        ck_assert_uint_eq(all.count, err == RD_OK || len > sizeof(copy) / 2);
    }
    memcpy(copy, good.data + sizeof(copy) / 2, sizeof(copy) / 2); /* not in order */
    memcpy(copy + sizeof(copy) / 2, good.data, sizeof(copy) / 2);
    struct resp_slice swapped = {copy, sizeof(copy)};
    ck_assert_int_eq(successors_merge(&all, swapped, &changed, &whole), RD_EPROTO);
    memcpy(copy, copy + NODE_ID_BYTES, NODE_ID_BYTES); /* a node that came for itself */
    struct resp_slice same = {copy, sizeof(copy) / 2};
    ck_assert_int_eq(successors_merge(&all, same, &changed, &whole), RD_EPROTO);
    ck_assert_uint_eq(all.count, 1);
    successors_free(&all);
    successors_free(&other);
    buf_free(&bytes);
}
END_TEST

/* Records that seeds give, merged in any order and any number of times: the same set, told apart from a part of it. */
START_TEST(merging_is_the_same_in_any_order) {
    struct successors a = {0}, b = {0};
    struct buf bytes = {0}, more = {0};
    struct prng prng;
    bool changed, whole;
    prng_seed(&prng, (uint64_t)_i);
    for (unsigned i = 0; i < 12; i++) {
        struct node_id gone = name((unsigned)prng_below(&prng, 8)),
                       by = name(8 + (unsigned)prng_below(&prng, 8));
        struct successors *to = prng_chance(&prng, 1, 2) ? &a : &b;
        ck_assert_int_eq(successors_add(to, &gone, &by, &changed), RD_OK);
    }
    size_t before = a.count;
    ck_assert_int_eq(successors_merge(&a, packed(&b, &bytes), &changed, &whole), RD_OK);
    ck_assert_int_eq(changed, a.count > before);
    ck_assert_int_eq(whole, a.count == b.count);
    ck_assert_int_eq(successors_merge(&b, packed(&a, &bytes), &changed, &whole), RD_OK);
    ck_assert(whole);
    ck_assert_int_eq(successors_merge(&a, packed(&b, &bytes), &changed, &whole), RD_OK);
    ck_assert(whole && !changed);
    struct resp_slice left = packed(&a, &bytes), right = packed(&b, &more);
    ck_assert_uint_eq(left.len, right.len);
    ck_assert(left.len == 0 || memcmp(left.data, right.data, left.len) == 0);
    successors_free(&a);
    successors_free(&b);
    buf_free(&bytes);
    buf_free(&more);
}
END_TEST

START_TEST(without_memory_what_was_there_stays) {
    struct successors from = {0};
    struct buf bytes = {0};
    for (unsigned i = 0; i < 10; i++)
        add(&from, i, 20 + i);
    struct resp_slice all = packed(&from, &bytes);
    for (unsigned n = 1;; n++) {
        struct successors to = {0};
        bool changed, whole;
        oom_fail_at(n);
        enum rd_err err = successors_merge(&to, all, &changed, &whole);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            ck_assert(changed && whole);
            successors_free(&to);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert(!whole);
        ck_assert_int_eq(successors_merge(&to, all, &changed, &whole), RD_OK);
        ck_assert(whole);
        successors_free(&to);
    }
    successors_free(&from);
    buf_free(&bytes);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("successors");
    TCase *tcase = tcase_create("successors");
    tcase_add_test(tcase, a_place_is_held_by_the_last_of_a_chain);
    tcase_add_test(tcase, of_two_that_claim_a_place_the_lower_has_it);
    tcase_add_test(tcase, a_node_takes_one_place_only);
    tcase_add_test(tcase, bad_records_change_nothing);
    tcase_add_loop_test(tcase, merging_is_the_same_in_any_order, 0, test_share(50));
    tcase_add_test(tcase, without_memory_what_was_there_stays);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
