/* sim/clock: right clocks, drift, jumps, and when a timer rings. */
#include "sim/clock.h"

#include "base/prng.h"
#include "tests/lib/run.h"

START_TEST(is_right_at_first) {
    struct clock clock;
    clock_init(&clock, 1000, 77);
    struct instant now = clock_read(&clock, 1500);
    ck_assert_uint_eq(now.mono_us, 577);
    ck_assert_uint_eq(now.wall_us, CLOCK_EPOCH_US + 1500);
}
END_TEST

START_TEST(drifts) {
    struct clock clock;
    clock_init(&clock, 0, 0);
    clock_set_drift(&clock, 0, 100); /* a tenth of a millisecond per second */
    ck_assert_uint_eq(clock_read(&clock, 10000000).mono_us, 10001000);
    ck_assert_uint_eq(clock_read(&clock, 10000000).wall_us, CLOCK_EPOCH_US + 10001000);
    clock_set_drift(&clock, 10000000, -100);
    ck_assert_uint_eq(clock_read(&clock, 10000000).mono_us, 10001000);
    ck_assert_uint_eq(clock_read(&clock, 20000000).mono_us, 20000000);
    ck_assert_uint_eq(clock_read(&clock, 20000000).wall_us, CLOCK_EPOCH_US + 20000000);
}
END_TEST

START_TEST(jumps_on_the_wall_only) {
    struct clock clock;
    clock_init(&clock, 0, 5);
    clock_jump(&clock, -60000000);
    struct instant now = clock_read(&clock, 10);
    ck_assert_uint_eq(now.mono_us, 15);
    ck_assert_uint_eq(now.wall_us, CLOCK_EPOCH_US + 10 - 60000000);
    clock_jump(&clock, INT64_C(-2000000000000000));
    ck_assert_uint_eq(clock_read(&clock, 10).wall_us, 0);
    clock_set_ahead(&clock, 20, 3);
    ck_assert_uint_eq(clock_read(&clock, 20).wall_us, CLOCK_EPOCH_US + 23);
    ck_assert_uint_eq(clock_read(&clock, 20).mono_us, 25);
}
END_TEST

/* Through random drifts and jumps the monotonic clock never goes back, and a timer rings at the
 * first microsecond at which its time is shown. */
START_TEST(rings_when_its_time_has_come) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct clock clock;
    uint64_t now_us = prng_below(&prng, 1000000), shown_us = 0;
    clock_init(&clock, now_us, prng_below(&prng, 1000000));
    for (int round = 0; round < 200; round++) {
        now_us += prng_below(&prng, 3000000);
        int32_t drift =
            (int32_t)prng_below(&prng, 2 * CLOCK_MAX_DRIFT_PPM + 1) - CLOCK_MAX_DRIFT_PPM;
        clock_set_drift(&clock, now_us, drift);
        clock_jump(&clock, (int64_t)prng_below(&prng, 2000) - 1000);
        struct instant now = clock_read(&clock, now_us);
        ck_assert_uint_ge(now.mono_us, shown_us);
        shown_us = now.mono_us;

        uint64_t wanted_us = now.mono_us + prng_below(&prng, 5000000);
        uint64_t at_us = clock_true_us(&clock, now_us, wanted_us);
        ck_assert_uint_ge(clock_read(&clock, at_us).mono_us, wanted_us);
        if (at_us > now_us) {
            ck_assert_uint_le(clock_read(&clock, at_us - 1).mono_us, wanted_us);
        }
    }
    ck_assert_uint_eq(clock_true_us(&clock, now_us, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(clock_true_us(&clock, now_us, 0), now_us);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim/clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, is_right_at_first);
    tcase_add_test(tcase, drifts);
    tcase_add_test(tcase, jumps_on_the_wall_only);
    tcase_add_loop_test(tcase, rings_when_its_time_has_come, 0, 20);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
