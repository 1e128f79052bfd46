/* server/pace: the window follows how long answers take, against a model of a node that serves so many requests a second. */
#include "server/pace.h"

#include "tests/lib/run.h"

#define TIMEOUT_US 500000

START_TEST(doubles_while_answers_come_in_time) {
    struct pace pace;
    pace_init(&pace);
    ck_assert_uint_eq(pace.window, PACE_FIRST);
    for (int i = 0; i < PACE_FIRST; i++) {
        pace_note(&pace, 2000, 1000, pace.window, TIMEOUT_US);
    }
    ck_assert_uint_eq(pace.window, 2 * PACE_FIRST);
    for (int i = 0; i < 1000000; i++) {
        pace_note(&pace, 2000, 1000, pace.window, TIMEOUT_US);
    }
    ck_assert_uint_eq(pace.window, PACE_MOST);
}
END_TEST

START_TEST(does_not_grow_unused) {
    struct pace pace;
    pace_init(&pace);
    for (int i = 0; i < 100000; i++) {
        pace_note(&pace, 2000, 1000, 10, TIMEOUT_US);
    }
    ck_assert_uint_eq(pace.window, PACE_FIRST);
}
END_TEST

START_TEST(a_late_window_is_cut_once) {
    struct pace pace;
    pace_init(&pace);
    for (int i = 0; i < 100; i++) {
        pace_note(&pace, 1000000 + (uint64_t)i, 500000 + (uint64_t)i, PACE_FIRST, TIMEOUT_US);
    }
    ck_assert_uint_eq(pace.window, PACE_FIRST / 4 * 3);
    for (uint64_t t = 2; t < 100; t++) {
        pace_note(&pace, t * 1000000, t * 1000000 - 400000, PACE_FIRST, TIMEOUT_US);
    }
    ck_assert_uint_eq(pace.window, PACE_LEAST);
}
END_TEST

/* A node that answers one request after the other, and a crowd that always wants more: once the pace has settled, no answer takes
 * as long as the timeout, and the node is never idle. */
START_TEST(settles_below_the_timeout) {
    static const uint64_t per_second[] = {500, 2000, 5000, 20000, 100000};
    uint64_t gap_us = 1000000 / per_second[_i];
    static uint64_t sent[PACE_MOST * 2];
    struct pace pace;
    pace_init(&pace);
    uint64_t now_us = 1000000, first = 0, last = 0, longest_us = 0;
    for (int answered = 0; answered < 200000; answered++) {
        while (last - first < pace.window) {
            sent[last++ % (PACE_MOST * 2)] = now_us;
        }
        now_us += gap_us;
        uint64_t since = sent[first++ % (PACE_MOST * 2)];
        if (answered > 20000 && now_us - since > longest_us) {
            longest_us = now_us - since;
        }
        pace_note(&pace, now_us, since, last - first + 1, TIMEOUT_US);
    }
    ck_assert_uint_lt(longest_us, TIMEOUT_US / 2);
    ck_assert_uint_ge(pace.window, PACE_LEAST);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");
    tcase_add_test(tcase, doubles_while_answers_come_in_time);
    tcase_add_test(tcase, does_not_grow_unused);
    tcase_add_test(tcase, a_late_window_is_cut_once);
    tcase_add_loop_test(tcase, settles_below_the_timeout, 0, 5);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
