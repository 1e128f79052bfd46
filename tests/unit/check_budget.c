/* The background budget: never more than the rate over time, nothing while the loop is behind for long. */
#include <check.h>

#include "base/prng.h"
#include "replication/budget.h"
#include "tests/lib/run.h"

#define RATE 1000000

START_TEST(spends_no_more_than_the_rate) {
    struct budget budget;
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    budget_init(&budget, RATE, 0);
    uint64_t now_us = 0, largest = 1 + prng_below(&prng, 100000);
    while (now_us < 20000000) {
        now_us += prng_below(&prng, 3000);
        if (budget_open(&budget, now_us))
            budget_spend(&budget, prng_below(&prng, largest) + 1);
        uint64_t most = now_us * RATE / 1000000 + RATE / 1000 * BUDGET_BURST_MS + largest + 1;
        ck_assert_uint_le(budget.spent, most);
    }
    ck_assert_uint_ge(budget.spent, largest < 3000 ? 0 : 20 * RATE * 9 / 10);
}
END_TEST

START_TEST(a_late_loop_gets_a_rest) {
    struct budget budget;
    budget_init(&budget, RATE, 0);
    for (unsigned i = 0; i < 100; i++)
        budget_lag(&budget, BUDGET_LAG_US + 1);
    ck_assert_uint_eq(budget.allowed, RATE / BUDGET_LEAST_SHARE + 1);
    budget_lag(&budget, 0);
    ck_assert_uint_eq(budget.allowed, 2 * (RATE / BUDGET_LEAST_SHARE + 1));
    for (unsigned i = 0; i < 100; i++)
        budget_lag(&budget, 0);
    ck_assert_uint_eq(budget.allowed, RATE);
}
END_TEST

START_TEST(one_large_piece_is_paid_for_later) {
    struct budget budget;
    budget_init(&budget, RATE, 0);
    ck_assert(budget_open(&budget, 0));
    budget_spend(&budget, 5 * RATE);
    ck_assert(!budget_open(&budget, 0));
    for (unsigned second = 1; second < 5; second++)
        ck_assert(!budget_open(&budget, second * 1000000 - 300000));
    ck_assert(budget_open(&budget, 5000000));
}
END_TEST

START_TEST(without_a_rate_there_is_no_limit) {
    struct budget budget;
    budget_init(&budget, 0, 0);
    budget_spend(&budget, UINT64_MAX / 4);
    budget_lag(&budget, 1000000);
    ck_assert(budget_open(&budget, 0));
    budget_set_rate(&budget, RATE);
    ck_assert_uint_eq(budget.allowed, RATE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("budget");
    tcase_add_loop_test(tcase, spends_no_more_than_the_rate, 0, 20);
    tcase_add_test(tcase, a_late_loop_gets_a_rest);
    tcase_add_test(tcase, one_large_piece_is_paid_for_later);
    tcase_add_test(tcase, without_a_rate_there_is_no_limit);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
