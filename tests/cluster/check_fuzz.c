/* The fuzz as a test: some seeds hold, and a seed is the same run every time (every fifth is run twice, in the long run each). `redynamo-sim fuzz`
 * does the same with thousands. */
#include "sim/fuzz.h"

#include "tests/lib/run.h"

enum { SEEDS = 50 };

START_TEST(holds_and_repeats) {
    struct fuzz_result first, second;
    fuzz_run(&(struct fuzz_order){.seed = (uint64_t)_i}, &first);
    ck_assert_msg(first.passed, "seed %d: %s", _i, first.violation);
    ck_assert_uint_gt(first.acknowledged, 100);
    if (_i % 5 != 0 && !test_long()) {
        return;
    }
    fuzz_run(&(struct fuzz_order){.seed = (uint64_t)_i}, &second);
    ck_assert_uint_eq(first.trace_hash, second.trace_hash);
    ck_assert_uint_eq(first.steps, second.steps);
    ck_assert_uint_eq(first.requests, second.requests);
}
END_TEST

START_TEST(differs_from_seed_to_seed) {
    struct fuzz_result first, second;
    fuzz_run(&(struct fuzz_order){.seed = 1}, &first);
    fuzz_run(&(struct fuzz_order){.seed = 2}, &second);
    ck_assert_uint_ne(first.trace_hash, second.trace_hash);
}
END_TEST

/* Looking at a run does not change it. */
START_TEST(is_not_changed_by_a_trace) {
    struct fuzz_result seen, unseen;
    FILE *nowhere = fopen("/dev/null", "w");
    ck_assert_ptr_nonnull(nowhere);
    fuzz_run(&(struct fuzz_order){.seed = 17, .trace = nowhere}, &seen);
    fuzz_run(&(struct fuzz_order){.seed = 17}, &unseen);
    fclose(nowhere);
    ck_assert_uint_eq(seen.trace_hash, unseen.trace_hash);
    ck_assert_uint_eq(seen.steps, unseen.steps);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fuzz");
    TCase *tcase = tcase_create("fuzz");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, holds_and_repeats, 1, 1 + test_share(SEEDS));
    tcase_add_test(tcase, differs_from_seed_to_seed);
    tcase_add_test(tcase, is_not_changed_by_a_trace);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
