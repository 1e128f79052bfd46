/* replication/latency against a sorted list of the last samples. */
#include "replication/latency.h"

#include <stdlib.h>

#include "base/prng.h"
#include "tests/lib/run.h"

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The percentile of the last LATENCY_SAMPLES of `count` samples. */
static uint32_t oracle(const uint32_t *samples, unsigned count) {
    uint32_t sorted[LATENCY_SAMPLES];
    unsigned used = count < LATENCY_SAMPLES ? count : LATENCY_SAMPLES;
    for (unsigned i = 0; i < used; i++)
        sorted[i] = samples[count - used + i];
    qsort(sorted, used, sizeof *sorted, compare);
    unsigned rank = (used * 99 + 99) / 100; /* the smallest with 99 of 100 at or below it */
    return sorted[rank - 1];
}

START_TEST(the_percentile_is_that_of_a_sorted_list) {
    static uint32_t samples[400];
    struct latency latency = {0};
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (unsigned i = 0; i < 400; i++) {
        samples[i] = (uint32_t)prng_below(&prng, 1u << prng_below(&prng, 20));
        latency_add(&latency, samples[i]);
        if ((i + 1) % 8 == 0)
            ck_assert_uint_eq(latency_p99_us(&latency, 7), oracle(samples, i + 1));
    }
}
END_TEST

START_TEST(too_few_samples_say_nothing) {
    struct latency latency = {0};
    ck_assert_uint_eq(latency_rank(&latency), 0);
    for (int i = 0; i < 7; i++)
        latency_add(&latency, 100);
    ck_assert_uint_eq(latency_p99_us(&latency, 12345), 12345);
    latency_add(&latency, 100);
    ck_assert_uint_eq(latency_p99_us(&latency, 12345), 100);
}
END_TEST

START_TEST(ranks_are_coarse_and_follow_the_mean) {
    struct latency latency = {0};
    latency_add(&latency, 7900);
    ck_assert_uint_eq(latency_rank(&latency), 0);
    for (int i = 0; i < 100; i++)
        latency_add(&latency, 9000);
    ck_assert_uint_eq(latency_rank(&latency), 1);
    for (int i = 0; i < 100; i++)
        latency_add(&latency, UINT64_MAX);
    ck_assert_uint_gt(latency_rank(&latency), 17);
    for (int i = 0; i < 200; i++)
        latency_add(&latency, 10);
    ck_assert_uint_eq(latency_rank(&latency), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("latency");
    TCase *tcase = tcase_create("latency");
    tcase_add_loop_test(tcase, the_percentile_is_that_of_a_sorted_list, 0, 20);
    tcase_add_test(tcase, too_few_samples_say_nothing);
    tcase_add_test(tcase, ranks_are_coarse_and_follow_the_mean);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
