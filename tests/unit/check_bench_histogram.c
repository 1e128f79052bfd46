/* bench/histogram: against sorted values. */
#include "bench/histogram.h"

#include "tests/lib/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

static struct histogram hist; /* 32 KB: too large for some stacks; emptied by each test */

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(empty_says_zero) {
    memset(&hist, 0, sizeof hist);
    ck_assert_uint_eq(hist_quantile(&hist, 0.5), 0);
    ck_assert_double_eq(hist_mean(&hist), 0);
    hist_add_many(&hist, 7, 0);
    ck_assert_uint_eq(hist.max, 0);
}
END_TEST

START_TEST(small_values_are_exact) {
    memset(&hist, 0, sizeof hist);
    for (uint64_t value = 1; value <= 100; value++) {
        hist_add(&hist, value);
    }
    ck_assert_uint_eq(hist_quantile(&hist, 0), 1);
    ck_assert_uint_eq(hist_quantile(&hist, 0.5), 50);
    ck_assert_uint_eq(hist_quantile(&hist, 0.99), 99);
    ck_assert_uint_eq(hist_quantile(&hist, 1), 100);
    ck_assert_double_eq(hist_mean(&hist), 50.5);
}
END_TEST

/* Values of all sizes: never below the truth, never more than a sixty-fourth above it. */
START_TEST(quantiles_are_close_above_the_truth) {
    enum { VALUES = 20000 };
    static uint64_t values[VALUES];
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    memset(&hist, 0, sizeof hist);
    for (int i = 0; i < VALUES; i++) {
        values[i] = prng_u64(&prng) >> prng_below(&prng, 64);
        hist_add(&hist, values[i]);
    }
    qsort(values, VALUES, sizeof *values, compare);
    for (int percent = 1; percent <= 100; percent++) {
        uint64_t truth = values[VALUES * percent / 100 - 1];
        uint64_t said = hist_quantile(&hist, percent / 100.0);
        ck_assert_uint_ge(said, truth);
        ck_assert_uint_le(said - truth, truth / 64);
    }
    ck_assert_uint_eq(hist.max, values[VALUES - 1]);
}
END_TEST

START_TEST(the_ends_of_the_scale) {
    memset(&hist, 0, sizeof hist);
    hist_add(&hist, 0);
    hist_add(&hist, UINT64_MAX);
    ck_assert_uint_eq(hist_quantile(&hist, 0.5), 0);
    ck_assert_uint_eq(hist_quantile(&hist, 1), UINT64_MAX);
}
END_TEST

START_TEST(merging_is_counting_both) {
    static struct histogram one, other, both;
    struct prng prng;
    prng_seed(&prng, 5);
    for (int i = 0; i < 5000; i++) {
        uint64_t value = prng_below(&prng, 1000000);
        uint64_t times = prng_below(&prng, 4);
        hist_add_many(i % 3 == 0 ? &one : &other, value, times);
        for (uint64_t n = 0; n < times; n++) {
            hist_add(&both, value);
        }
    }
    hist_merge(&one, &other);
    ck_assert_uint_eq(one.count, both.count);
    ck_assert_uint_eq(one.max, both.max);
    ck_assert_double_eq_tol(one.sum, both.sum, 1);
    ck_assert_mem_eq(one.buckets, both.buckets, sizeof both.buckets);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("histogram");
    TCase *group = tcase_create("all");
    tcase_add_test(group, empty_says_zero);
    tcase_add_test(group, small_values_are_exact);
    tcase_add_loop_test(group, quantiles_are_close_above_the_truth, 0, 3);
    tcase_add_test(group, the_ends_of_the_scale);
    tcase_add_test(group, merging_is_counting_both);
    suite_add_tcase(suite, group);
    return test_run(suite);
}
