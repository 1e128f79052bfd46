/* replication/flow: a queue that grows narrows it, an idle machine widens it to the most. */
#include <check.h>

#include "base/prng.h"
#include "replication/flow.h"
#include "tests/lib/run.h"

#define MOST 256

/* A machine that serves one piece at a time: `rounds` rounds of as many pieces as may be under way, `others_us` of other work before each. Returns how
 * long the last piece of the last round waited for those of its own kind. */
static uint64_t serve(struct flow *flow, uint64_t *now_us, unsigned rounds, uint64_t piece_us,
                      uint64_t way_us, uint64_t others_us) {
    uint64_t waited = 0;
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t width = flow_width(flow);
        uint64_t began_us = *now_us;
        *now_us += others_us;
        for (uint32_t k = 0; k < width; k++) {
            *now_us += piece_us;
            flow_took(flow, *now_us + way_us - began_us, *now_us + way_us);
        }
        waited = width * piece_us;
        *now_us += way_us;
    }
    return waited;
}

START_TEST(an_idle_machine_is_used_fully) {
    struct flow flow;
    uint64_t now_us = 1000000;
    flow_init(&flow, MOST);
    ck_assert_uint_eq(flow_width(&flow), FLOW_FIRST_WIDTH);
    serve(&flow, &now_us, 1000, 1, 500, 0);
    ck_assert_uint_eq(flow_width(&flow), MOST);
}
END_TEST

START_TEST(queues_stay_short) {
    struct flow flow;
    uint64_t now_us = 1000000, piece_us = 20 + (uint64_t)_i * 40;
    flow_init(&flow, MOST);
    uint64_t waited = serve(&flow, &now_us, 3000, piece_us, 500, 0);
    ck_assert_uint_le(waited, FLOW_QUEUE_US + 2 * FLOW_SAMPLES * piece_us);
    ck_assert_uint_ge(flow_width(&flow), FLOW_LEAST_WIDTH);
    if (piece_us * 4 < FLOW_CALM_US) /* and the machine is not left idle for nothing */
        ck_assert_uint_ge(waited, FLOW_CALM_US / 2);
}
END_TEST

START_TEST(clients_that_come_make_it_yield) {
    struct flow flow;
    struct prng prng;
    uint64_t now_us = 1000000;
    prng_seed(&prng, 1);
    flow_init(&flow, MOST);
    serve(&flow, &now_us, 1000, 1, 500, 0);
    for (unsigned i = 0; i < 200; i++) /* others make queues of up to 10 ms */
        serve(&flow, &now_us, 1, 1, 500, prng_below(&prng, 10000));
    ck_assert_uint_le(flow_width(&flow), MOST / 8);
    serve(&flow, &now_us, 1000, 1, 500, 0);
    ck_assert_uint_eq(flow_width(&flow), MOST);
}
END_TEST

/* Pieces that are late by chance, up to 2.5 ms, do not keep it narrow. */
START_TEST(lateness_is_no_queue) {
    struct flow flow;
    struct prng prng;
    uint64_t now_us = 1000000;
    prng_seed(&prng, (uint64_t)_i);
    flow_init(&flow, MOST);
    for (unsigned i = 0; i < 20000; i++)
        flow_took(&flow, 500 + prng_below(&prng, 2500), now_us += 50);
    ck_assert_uint_ge(flow_width(&flow), MOST / 2);
}
END_TEST

/* A way that has become longer for good, as to another data centre, is not taken for a queue for ever. */
START_TEST(what_was_fast_once_is_forgotten) {
    struct flow flow;
    uint64_t now_us = 1000000;
    flow_init(&flow, MOST);
    serve(&flow, &now_us, 100, 1, 100, 0);
    serve(&flow, &now_us, 100, 1, 20000, 0);
    ck_assert_uint_le(flow_width(&flow), MOST / 8);
    serve(&flow, &now_us, 5000, 1, 20000, 0);
    ck_assert_uint_eq(flow_width(&flow), MOST);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("flow");
    TCase *tcase = tcase_create("flow");
    tcase_add_test(tcase, an_idle_machine_is_used_fully);
    tcase_add_loop_test(tcase, queues_stay_short, 0, 12);
    tcase_add_test(tcase, clients_that_come_make_it_yield);
    tcase_add_loop_test(tcase, lateness_is_no_queue, 0, 5);
    tcase_add_test(tcase, what_was_fast_once_is_forgotten);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
