/* replication/coordinator: the table of requests, against a naive list. */
#include "replication/coordinator.h"

#include <string.h>

#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define SLOTS 8

static struct core core;
static struct effects effects;
static struct coordinator co;

static void setup(void) {
    core =
        (struct core){.conf = {.partitions = 16, .max_requests = SLOTS, .request_timeout_ms = 500},
                      .effects = &effects};
    core.now = (struct instant){1000000, 1700000000000000};
    prng_seed(&core.prng, 1);
    ck_assert_int_eq(coordinator_init(&co, &core), RD_OK);
}

static void teardown(void) {
    coordinator_free(&co);
    effects_free(&effects);
}

static struct request *open_request(uint64_t tag, enum request_kind kind) {
    struct requester from = {.tag = tag};
    struct request *request = NULL;
    enum rd_err err = coordinator_open(&co, kind, &from, "key", 3, &request);
    coordinator_check(&co);
    return err == RD_OK ? request : NULL;
}

/* The last effect is the reply to `tag`. */
static void expect_reply(uint64_t tag, enum rd_err err) {
    ck_assert_uint_gt(effects.count, 0);
    const struct effect *effect = &effects.items[effects.count - 1];
    ck_assert_int_eq(effect->kind, EFF_REPLY);
    ck_assert_uint_eq(effect->reply.tag, tag);
    ck_assert_int_eq(effect->reply.reply == NULL ? RD_ENOMEM : effect->reply.reply->err, err);
    effects_clear(&effects);
}

START_TEST(the_table_is_bounded) {
    struct request *requests[SLOTS];
    for (uint64_t i = 0; i < SLOTS; i++) {
        requests[i] = open_request(i, REQUEST_READ);
        ck_assert_ptr_nonnull(requests[i]);
    }
    struct requester from = {.tag = 99};
    struct request *none = NULL;
    ck_assert_int_eq(coordinator_open(&co, REQUEST_READ, &from, "k", 1, &none), RD_EOVERLOADED);
    ck_assert_ptr_null(none);
    coordinator_turn_away(&co, &from, RD_EOVERLOADED, "full");
    expect_reply(99, RD_EOVERLOADED);
    coordinator_fail(&co, requests[3], RD_EIO, "%s", "for some reason");
    expect_reply(3, RD_EIO);
    ck_assert_ptr_nonnull(open_request(100, REQUEST_READ));
    ck_assert_ptr_null(open_request(101, REQUEST_READ));
}
END_TEST

START_TEST(names_find_their_request_only) {
    uint64_t old = 0;
    for (int i = 0; i < 100; i++) {
        struct request *request = open_request(7, REQUEST_READ);
        uint64_t id = request_id(request);
        ck_assert_uint_ne(id, 0);
        ck_assert_uint_ne(id, old);
        ck_assert_ptr_eq(coordinator_find(&co, id), request);
        ck_assert_ptr_null(coordinator_find(&co, id + 1));
        ck_assert_ptr_null(coordinator_find(&co, id ^ UINT64_C(1) << 63));
        if (old != 0)
            ck_assert_ptr_null(coordinator_find(&co, old));
        coordinator_finish(&co, request, coordinator_reply_new(&co, RD_OK));
        expect_reply(7, RD_OK);
        ck_assert_ptr_null(coordinator_find(&co, id));
        old = id;
    }
    ck_assert_ptr_null(coordinator_find(&co, 0));
    ck_assert_ptr_null(coordinator_find(&co, UINT64_MAX));
    ck_assert_ptr_null(coordinator_find(&co, SLOTS + 1));
}
END_TEST

START_TEST(names_differ_between_lives) {
    uint64_t first = request_id(open_request(1, REQUEST_READ));
    coordinator_free(&co);
    ck_assert_int_eq(coordinator_init(&co, &core), RD_OK); /* the generator has gone on */
    ck_assert_uint_ne(request_id(open_request(1, REQUEST_READ)), first);
}
END_TEST

START_TEST(deadlines_and_hedges_stay_in_order) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    unsigned open = 0;
    for (int round = 0; round < 500; round++) {
        core.conf.request_timeout_ms = 1 + (uint32_t)prng_below(&prng, 50); /* CONFIG SET */
        core.now.mono_us += prng_below(&prng, 2000);
        if (open < SLOTS && prng_chance(&prng, 1, 2)) {
            struct request *request = open_request(1, REQUEST_READ);
            open++;
            if (prng_chance(&prng, 2, 3))
                coordinator_hedge_at(&co, request, core.now.mono_us + prng_below(&prng, 9000));
        } else if (open > 0) {
            struct request *request = co.deadlines;
            for (uint64_t n = prng_below(&prng, open); n > 0; n--)
                request = request->next;
            coordinator_finish(&co, request, NULL);
            effects_clear(&effects);
            open--;
        }
        coordinator_check(&co);
        ck_assert_uint_eq(co.in_flight, open);
        for (const struct request *at = co.hedges; at != NULL && at->hedge_next != NULL;
             at = at->hedge_next)
            ck_assert_uint_le(at->hedge_us, at->hedge_next->hedge_us);
    }
}
END_TEST

START_TEST(a_reply_may_come_before_the_end) {
    struct request *request = open_request(5, REQUEST_READ);
    uint64_t id = request_id(request);
    coordinator_reply(&co, request, coordinator_reply_new(&co, RD_OK));
    expect_reply(5, RD_OK);
    ck_assert_ptr_eq(coordinator_find(&co, id), request); /* late answers still find it */
    coordinator_close(&co, request);
    ck_assert_ptr_null(coordinator_find(&co, id));
    ck_assert_uint_eq(effects.count, 0); /* and nobody is told again */
    coordinator_check(&co);
}
END_TEST

START_TEST(late_answers_are_no_reason_to_turn_away) {
    struct request *requests[SLOTS];
    uint64_t names[SLOTS];
    for (uint64_t i = 0; i < SLOTS; i++) {
        requests[i] = open_request(i, REQUEST_READ);
        names[i] = request_id(requests[i]);
    }
    for (int i = 5; i >= 2; i -= 3) {
        coordinator_reply(&co, requests[i], NULL);
        effects_clear(&effects);
    }
    ck_assert_ptr_nonnull(open_request(20, REQUEST_READ)); /* in the place of the older one */
    ck_assert_ptr_null(coordinator_find(&co, names[2]));
    ck_assert_ptr_eq(coordinator_find(&co, names[5]), requests[5]);
    ck_assert_ptr_nonnull(open_request(21, REQUEST_READ));
    ck_assert_ptr_null(coordinator_find(&co, names[5]));
    ck_assert_ptr_null(open_request(22, REQUEST_READ));
    ck_assert_uint_eq(effects.count, 0); /* nobody was answered twice */
}
END_TEST

START_TEST(partitions_follow_from_keys) {
    struct requester from = {.tag = 1};
    struct request *request;
    ck_assert_int_eq(coordinator_open(&co, REQUEST_READ, &from, "{a}b", 4, &request), RD_OK);
    ck_assert_uint_eq(request->partition,
                      slot_partition(slot_of_key(PARTITIONER_CRC16, "a", 1), 16));
    ck_assert_uint_eq(request->deadline_us, core.now.mono_us + 500000);
    ck_assert_int_eq(coordinator_open(&co, REQUEST_COUNT, &from, NULL, 0, &request), RD_OK);
    ck_assert_ptr_null(request->key);
    ck_assert_int_eq(coordinator_open(&co, REQUEST_READ, &from, NULL, 0, &request), RD_OK);
    ck_assert_uint_eq(request->key->len, 0);
}
END_TEST

START_TEST(memory_runs_out_cleanly) {
    struct requester from = {.tag = 1};
    struct request *request = NULL;
    for (unsigned n = 1; n <= 2; n++) {
        oom_fail_at(n);
        enum rd_err err = coordinator_open(&co, REQUEST_READ, &from, "key", 3, &request);
        ck_assert(oom_stop());
        ck_assert_int_eq(err, RD_ENOMEM);
        coordinator_check(&co);
    }
    request = open_request(9, REQUEST_READ);
    oom_fail_at(1);
    struct client_reply *reply = coordinator_reply_new(&co, RD_OK);
    oom_stop();
    ck_assert_ptr_null(reply);
    coordinator_finish(&co, request, reply); /* it is answered all the same */
    expect_reply(9, RD_ENOMEM);
    coordinator_free(&co);
    for (unsigned n = 1; n <= 3; n++) {
        oom_fail_at(n);
        enum rd_err err = coordinator_init(&co, &core);
        oom_stop();
        ck_assert_int_eq(err, RD_ENOMEM);
        coordinator_free(&co);
    }
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("coordinator");
    TCase *tcase = tcase_create("coordinator");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_table_is_bounded);
    tcase_add_test(tcase, names_find_their_request_only);
    tcase_add_test(tcase, names_differ_between_lives);
    tcase_add_loop_test(tcase, deadlines_and_hedges_stay_in_order, 0, 5);
    tcase_add_test(tcase, a_reply_may_come_before_the_end);
    tcase_add_test(tcase, late_answers_are_no_reason_to_turn_away);
    tcase_add_test(tcase, partitions_follow_from_keys);
    tcase_add_test(tcase, memory_runs_out_cleanly);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
