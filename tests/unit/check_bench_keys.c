/* bench/keys: seeded draws against the exact distribution. */
#include "bench/keys.h"

#include "tests/lib/run.h"

#include <math.h>
#include <stdlib.h>

enum { DRAWS = 200000 };

/* Probability of a rank, from the definition. */
static double exact(uint64_t rank, uint64_t count, double theta) {
    double zeta = 0;
    for (uint64_t i = 1; i <= count; i++) {
        zeta += 1 / pow((double)i, theta);
    }
    return 1 / pow((double)rank + 1, theta) / zeta;
}

static const struct {
    uint64_t count;
    double theta;
} CASES[] = {{1, 0.99}, {2, 0.99}, {3, 0.5}, {10, 0.99}, {1000, 0.99}, {1000, 0.5}, {100000, 0.99}};

/* The method is exact for the first two ranks and approximate behind them: within a quarter for single ranks of some weight, within a
 * thirtieth for the sums of the first tenth and half. */
START_TEST(ranks_follow_the_zipfian_distribution) {
    uint64_t count = CASES[_i].count;
    double theta = CASES[_i].theta;
    struct keys keys;
    keys_init(&keys, count, true, theta);
    struct prng prng;
    prng_seed(&prng, 11);
    uint64_t *seen = calloc(count, sizeof *seen);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t rank = keys_rank(&keys, &prng);
        ck_assert_uint_lt(rank, count);
        seen[rank]++;
    }
    double sum_seen = 0;
    double sum_exact = 0;
    double zeta_share = exact(0, count, theta);
    for (uint64_t rank = 0; rank < count; rank++) {
        double probability = zeta_share / pow((double)rank + 1, theta);
        double share = (double)seen[rank] / DRAWS;
        sum_seen += share;
        sum_exact += probability;
        if (probability > 0.005) {
            double bound = rank < 2 ? 0.05 : 0.25;
            ck_assert_double_lt(fabs(share / probability - 1), bound);
        }
        if (rank + 1 == count / 10 || rank + 1 == count / 2) {
            ck_assert_double_lt(fabs(sum_seen / sum_exact - 1), 0.034 + (count < 100 ? 0.1 : 0));
        }
    }
    free(seen);
}
END_TEST

START_TEST(scattering_is_a_bijection) {
    static const uint64_t counts[] = {1, 2, 3, 10, 618, 4096, 99991, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct keys keys;
        keys_init(&keys, counts[i], false, 0.5);
        bool *seen = calloc(counts[i], sizeof *seen);
        for (uint64_t rank = 0; rank < counts[i]; rank++) {
            uint64_t key = keys_scatter(&keys, rank);
            ck_assert_uint_lt(key, counts[i]);
            ck_assert(!seen[key]);
            seen[key] = true;
        }
        free(seen);
    }
}
END_TEST

START_TEST(the_hot_keys_are_no_neighbours) {
    struct keys keys;
    keys_init(&keys, 100000, true, KEYS_THETA);
    for (uint64_t rank = 0; rank < 100; rank++) {
        int64_t gap = (int64_t)keys_scatter(&keys, rank) - (int64_t)keys_scatter(&keys, rank + 1);
        ck_assert_int_gt(llabs(gap), 1000);
    }
}
END_TEST

START_TEST(uniform_is_even_and_seeded) {
    struct keys keys;
    keys_init(&keys, 10, false, 0.5);
    struct prng one, other;
    prng_seed(&one, 3);
    prng_seed(&other, 3);
    unsigned seen[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = keys_draw(&keys, &one);
        ck_assert_uint_eq(key, keys_draw(&keys, &other));
        seen[key]++;
    }
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_gt(seen[i], DRAWS / 10 - 1000);
        ck_assert_uint_lt(seen[i], DRAWS / 10 + 1000);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("keys");
    TCase *group = tcase_create("all");
    tcase_add_loop_test(group, ranks_follow_the_zipfian_distribution, 0,
                        sizeof CASES / sizeof *CASES);
    tcase_add_test(group, scattering_is_a_bijection);
    tcase_add_test(group, the_hot_keys_are_no_neighbours);
    tcase_add_test(group, uniform_is_even_and_seeded);
    suite_add_tcase(suite, group);
    return test_run(suite);
}
