/* replication/hlc: never back, never behind the wall, never beyond what decoders take. */
#include "replication/hlc.h"

#include "base/prng.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#define MS(ms) ((uint64_t)(ms) << 16)

static const struct {
    const char *why;
    uint64_t last, wall_us, next;
} cases[] = {
    {"a first stamp shows the wall", 0, 5000, MS(5)},
    {"microseconds are cut off", 0, 5999, MS(5)},
    {"at time 0 it still moves", 0, 0, 1},
    {"within one millisecond it counts", MS(5), 5000, MS(5) + 1},
    {"a wall behind is outrun", MS(9) + 7, 5000, MS(9) + 8},
    {"a wall ahead is followed", MS(9) + 7, 10000, MS(10)},
    {"a full counter carries", MS(9) + 0xffff, 5000, MS(10)},
    {"a wall just reached is not repeated", MS(10), 10000, MS(10) + 1},
    {"an absurd wall is cut to the highest stamp", 0, UINT64_MAX, HLC_MAX_STAMP},
    {"the highest stamp stays", HLC_MAX_STAMP, 5000, HLC_MAX_STAMP},
    {"one below it moves", HLC_MAX_STAMP - 1, 5000, HLC_MAX_STAMP},
};

START_TEST(knows_these_steps) {
    struct hlc hlc = {.last = cases[_i].last};
    uint64_t stamp = hlc_next(&hlc, cases[_i].wall_us);
    ck_assert_msg(stamp == cases[_i].next, "%s", cases[_i].why);
    MUST(hlc.last == stamp);
    hlc_check(&hlc);
}
END_TEST

START_TEST(only_grows_whatever_the_wall_does) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct hlc hlc = {0};
    uint64_t highest = 0; /* of all stamps issued or seen */
    uint64_t wall_us = UINT64_C(1700000000000000);
    for (int step = 0; step < 5000; step++) {
        switch (prng_below(&prng, 4)) {
        case 0: /* an hour back or forth */
            wall_us += prng_below(&prng, UINT64_C(7200000000));
            wall_us -= UINT64_C(3600000000);
            break;
        case 1:
            wall_us += prng_below(&prng, 3000);
            break;
        case 2: { /* a peer, perhaps years ahead */
            uint64_t seen = MS(wall_us / 1000 + prng_below(&prng, 1000)) + prng_below(&prng, 65536);
            hlc_seen(&hlc, seen);
            highest = seen > highest ? seen : highest;
            break;
        }
        default:
            break;
        }
        uint64_t stamp = hlc_next(&hlc, wall_us);
        MUST(stamp > highest);
        MUST(hlc_wall_ms(stamp) >= wall_us / 1000);
        MUST(stamp <= HLC_MAX_STAMP);
        highest = stamp;
        hlc_check(&hlc);
    }
}
END_TEST

START_TEST(forgets_nothing_it_has_seen) {
    struct hlc hlc = {.last = MS(10)};
    hlc_seen(&hlc, MS(9));
    MUST(hlc.last == MS(10));
    hlc_seen(&hlc, MS(12) + 3);
    MUST(hlc.last == MS(12) + 3);
    MUST(hlc_wall_ms(hlc.last) == 12);
    hlc_seen(&hlc, HLC_MAX_STAMP);
    MUST(hlc_next(&hlc, 0) == HLC_MAX_STAMP);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hlc");
    TCase *tcase = tcase_create("hlc");
    tcase_add_loop_test(tcase, knows_these_steps, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_loop_test(tcase, only_grows_whatever_the_wall_does, 0, 20);
    tcase_add_test(tcase, forgets_nothing_it_has_seen);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
