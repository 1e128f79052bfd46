/* sim/workload and sim/sums: what simulated clients ask, and the lists that read-modify-writes leave. */
#include "sim/workload.h"

#include <stdio.h>
#include <string.h>

#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/sums.h"
#include "tests/lib/run.h"

#define SECOND_US UINT64_C(1000000)

static struct plan plan;
static struct world *world;
static struct workload *workload;

static void on_answer(void *arg, struct op *op) {
    (void)arg;
    workload_answer(workload, op);
}

static void on_event(void *arg, const struct sim_event *event) {
    (void)arg;
    ck_assert_uint_eq(event->kind, WORKLOAD_CLIENT_TURN);
    workload_event(workload, event);
}

/* A quiet cluster of three, and clients that do nothing yet. */
static void setup(void) {
    plan = (struct plan){
        .seed = 3, .clients = 4, .keys = 5, .ops = 300, .think_us = 5000, .sticky_percent = 50};
    world_conf_default(&plan.world, 3, 3);
    world = world_new(&plan.world);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(world_start(world, i), RD_OK);
    }
    world_elapse(world, 3 * SECOND_US);
}

static void teardown(void) {
    world_free(&world);
    workload_free(&workload);
}

static void run(enum plan_request kind) {
    plan.request_weights[kind] = 1;
    workload = workload_new(world, &plan);
    world_set_hooks(world, &(struct world_hooks){.on_answer = on_answer, .on_event = on_event});
    workload_start(workload);
    for (unsigned i = 0;
         i < 200 && (world_history(world)->count < plan.ops || world_history(world)->open > 0);
         i++) {
        world_elapse(world, SECOND_US / 10);
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

START_TEST(keys_and_values_have_numbers) {
    static const uint32_t numbers[] = {0, 7, 40, 4000000000};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct blob *key = workload_key(numbers[i]);
        ck_assert_uint_eq(workload_key_number(key), numbers[i]);
        ck_assert_uint_eq(workload_number(key->bytes, key->len), numbers[i]);
        blob_unref(key);
    }
    static const struct {
        const char *text;
        uint64_t id;
    } values[] = {
        {"w1066.", 1066}, {"w1066.xxx", 1066}, {"w7", 7}, {"", 0},
        {"w", 0},         {"x12.", 0},         {"1,", 0}, {"w18446744073709551615.", UINT64_MAX}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct blob *value = mem_blob(values[i].text, strlen(values[i].text));
        ck_assert_uint_eq(workload_value_id(value), values[i].id);
        blob_unref(value);
    }
}
END_TEST

/* ---- what is asked --------------------------------------------------------------------------- */

/* One request at a time and client, so many in all; a value names the request that wrote it. */
static void expect_sound(void) {
    const struct history *history = world_history(world);
    uint64_t free_us[16] = {0};
    ck_assert_uint_eq(history->count, plan.ops);
    ck_assert_uint_eq(history->open, 0);
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = history->ops[i];
        ck_assert_uint_lt(op->client, plan.clients);
        ck_assert_uint_ge(op->asked_us, free_us[op->client]);
        free_us[op->client] = op->answered_us;
        if (op->kind == CLIENT_WRITE && op->value != NULL && op->value->len > 0) {
            ck_assert_uint_eq(workload_value_id(op->value), op->value_id);
            ck_assert_uint_eq(op->value_id, op->tag);
        }
        if (op->context != NULL) {
            ck_assert(op->with_context && op->seen != NULL && op->seen->token != NULL);
            ck_assert_mem_eq(op->context->bytes, op->seen->token->bytes, op->context->len);
            ck_assert_mem_eq(op->key->bytes, op->seen->key->bytes, op->key->len);
        }
    }
}

static size_t count(bool (*is)(const struct op *op)) {
    const struct history *history = world_history(world);
    size_t found = 0;
    for (size_t i = 0; i < history->count; i++) {
        found += is(history->ops[i]);
    }
    return found;
}

static bool is_read(const struct op *op) {
    return op->kind == CLIENT_READ;
}
static bool is_mixed(const struct op *op) {
    return is_read(op) && op->r >= 1 && op->r <= 3;
}
static bool is_monotonic(const struct op *op) {
    return is_read(op) && op->monotonic;
}
static bool is_write(const struct op *op) {
    return op->kind == CLIENT_WRITE;
}
static bool is_set(const struct op *op) {
    return is_write(op) && op->value != NULL && !op->with_context;
}
static bool is_del(const struct op *op) {
    return is_write(op) && op->value == NULL && !op->with_context;
}
static bool is_put(const struct op *op) {
    return is_write(op) && op->value != NULL && op->context != NULL;
}
static bool is_blind_put(const struct op *op) {
    return is_write(op) && op->value != NULL && op->with_context && op->context == NULL;
}
static bool is_remove(const struct op *op) {
    return is_write(op) && op->value == NULL && op->context != NULL;
}
static bool is_expiring(const struct op *op) {
    return is_set(op) && op->expires_ms > CLOCK_EPOCH_US / 1000;
}
static bool is_empty(const struct op *op) {
    return is_set(op) && op->value->len == 0;
}
static bool is_rmw(const struct op *op) {
    return op->kind == CLIENT_RMW;
}
static bool is_replicas(const struct op *op) {
    return op->kind == CLIENT_REPLICAS;
}
static bool is_count(const struct op *op) {
    return op->kind == CLIENT_COUNT;
}
static bool is_scan(const struct op *op) {
    return op->kind == CLIENT_SCAN;
}
static bool is_flush(const struct op *op) {
    return op->kind == CLIENT_FLUSH;
}

/* So many in a hundred requests, at least, are of the kind that is drawn. */
static const struct {
    enum plan_request kind;
    bool (*is)(const struct op *op);
    unsigned percent;
} kinds[] = {
    {REQUEST_GET, is_read, 100},
    {REQUEST_GET_MIXED, is_mixed, 100},
    {REQUEST_GET_MONOTONIC, is_monotonic, 100},
    {REQUEST_SET, is_set, 100},
    {REQUEST_DEL, is_del, 100},
    {REQUEST_DEL_SET, is_del, 48},
    {REQUEST_DEL_SET, is_set, 48},
    {REQUEST_PUT_FRESH, is_read, 48},
    {REQUEST_PUT_FRESH, is_put, 48},
    {REQUEST_PUT_STALE, is_put, 90},
    {REQUEST_PUT_BLIND, is_blind_put, 100},
    {REQUEST_REMOVE_FRESH, is_remove, 48},
    {REQUEST_REMOVE_STALE, is_remove, 90},
    {REQUEST_SET_EXPIRING, is_expiring, 100},
    {REQUEST_SET_EMPTY, is_empty, 100},
    {REQUEST_APPEND, is_rmw, 100},
    {REQUEST_RETRY, is_set, 100},
    {REQUEST_REPLICAS, is_replicas, 100},
    {REQUEST_COUNT, is_count, 100},
    {REQUEST_SCAN, is_scan, 100},
    {REQUEST_FLUSH, is_flush, 100},
};

START_TEST(each_kind_is_what_it_says) {
    run(kinds[_i].kind);
    expect_sound();
    size_t found = count(kinds[_i].is);
    ck_assert_msg(found * 100 >= plan.ops * kinds[_i].percent, "kind %d: %zu of %u", _i, found,
                  plan.ops);
}
END_TEST

/* The wish of each write that ended without an outcome comes again, with the same bytes. */
START_TEST(what_became_unknown_is_tried_again) {
    plan.request_weights[REQUEST_RETRY] = 1;
    workload = workload_new(world, &plan);
    world_set_hooks(world, &(struct world_hooks){.on_answer = on_answer, .on_event = on_event});
    workload_start(workload);
    while (world_history(world)->count < 50) {
        world_step(world, UINT64_MAX);
    }
    for (uint32_t i = 0; i < 3; i++) {
        world_crash(world, i, CRASH_PROCESS);
    }
    size_t cut_off = 0, repeated = 0;
    for (size_t i = 0; i < world_history(world)->count; i++) {
        cut_off += world_history(world)->ops[i]->err == RD_ECLOSED;
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(world_start(world, i), RD_OK);
    }
    world_elapse(world, 20 * SECOND_US);
    for (size_t i = 0; i < world_history(world)->count; i++) {
        const struct op *op = world_history(world)->ops[i];
        repeated += op->value_id != op->tag && op->err != RD_EREFUSED;
    }
    ck_assert_uint_gt(cut_off, 0);
    ck_assert_uint_ge(repeated, cut_off);
}
END_TEST

START_TEST(hot_keys_are_hot_and_old_turns_do_not_come) {
    plan.hot_percent = 60;
    plan.keys = 40;
    run(REQUEST_GET);
    size_t hot = 0;
    for (size_t i = 0; i < world_history(world)->count; i++) {
        hot += workload_key_number(world_history(world)->ops[i]->key) == 0;
    }
    ck_assert(hot > plan.ops / 2 && hot < plan.ops * 3 / 4);
}
END_TEST

START_TEST(stops_and_starts_again) {
    plan.ops = 100000;
    plan.request_weights[REQUEST_SET] = 1;
    workload = workload_new(world, &plan);
    world_set_hooks(world, &(struct world_hooks){.on_answer = on_answer, .on_event = on_event});
    world_elapse(world, SECOND_US);
    ck_assert_uint_eq(world_history(world)->count, 0);
    workload_start(workload);
    world_elapse(world, SECOND_US);
    workload_stop(workload);
    size_t asked = world_history(world)->count;
    ck_assert_uint_gt(asked, 50);
    workload_start(workload); /* turns of before are still due: they must not come twice */
    workload_stop(workload);
    world_elapse(world, SECOND_US);
    ck_assert_uint_eq(world_history(world)->count, asked);
    workload_start(workload);
    world_elapse(world, SECOND_US);
    size_t again = world_history(world)->count - asked;
    ck_assert(again > asked / 2 && again < asked * 2);
}
END_TEST

/* ---- sums ------------------------------------------------------------------------------------ */

static struct history asked;

/* An append that was asked for, and what became of it. */
static void append(enum rd_err err) {
    struct op request = {.kind = CLIENT_RMW, .key = sums_key(0)};
    char order[16];
    int len = snprintf(order, sizeof order, "%zu,", asked.count + 1);
    request.value = mem_blob(order, (size_t)len);
    struct op *op = history_add(&asked, &request, 10);
    blob_unref(request.key);
    blob_unref(request.value);
    op->answered = true;
    op->err = err;
    asked.open--;
}

/* What sums_check says of the list `sum` in the end; `lossy`: the network may part nodes; `sloppy`: fallbacks may stand in. */
static bool holds_if(const char *sum, bool lossy, bool sloppy) {
    char text[160];
    struct plan calm = {.keys = 1, .clients = 1};
    struct blob *key = sums_key(0), *value = mem_blob(sum, strlen(sum));
    struct op last = {.kind = CLIENT_READ, .answered = true, .key = key};
    struct dot dot = {{1, 1}, 1};
    world_conf_default(&calm.world, 3, 1);
    calm.world.network.drop_ppm = lossy;
    calm.world.node.sloppy_quorum = sloppy;
    mem_must(object_write(&last.object, &(struct context){0}, &dot, 5, value, 0));
    bool fine = check_sums(&calm, &asked, asked.count, key, &last, text);
    object_free(&last.object);
    blob_unref(key);
    blob_unref(value);
    return fine;
}

static bool holds(const char *sum, bool lossy) {
    return holds_if(sum, lossy, false);
}

START_TEST(lists_add_up) {
    append(RD_OK);
    append(RD_EUNKNOWN);
    append(RD_OK);
    append(RD_ENOQUORUM);
    ck_assert(holds("1,3,", false));
    ck_assert(holds("1,2,3,", false));
    ck_assert(holds("3,2,1,", false));
    ck_assert(!holds("1,1,3,", false)); /* twice */
    ck_assert(!holds("1,3,9,", false)); /* nobody asked */
    ck_assert(!holds("1,", false));     /* 3 was acknowledged */
    ck_assert(holds("1,", true));       /* sides that do not see each other may both compute */
    ck_assert(!holds("1,1,", true));
    ck_assert(holds_if("1,", false, true)); /* 2 may have gone to fallbacks */
    history_free(&asked);
}
END_TEST

START_TEST(homes_alone_lose_nothing) {
    append(RD_OK);
    append(RD_ENOQUORUM);
    append(RD_OK);
    ck_assert(!holds_if("3,", false, true));
    asked.ops[2]->stand_ins = 1;
    ck_assert(holds_if("3,", false, true));
    ck_assert(!holds_if("3,3,", false, true));
    history_free(&asked);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim workload");
    TCase *tcase = tcase_create("names and sums");
    tcase_add_test(tcase, keys_and_values_have_numbers);
    tcase_add_test(tcase, lists_add_up);
    tcase_add_test(tcase, homes_alone_lose_nothing);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("requests");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_kind_is_what_it_says, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_test(tcase, what_became_unknown_is_tried_again);
    tcase_add_test(tcase, hot_keys_are_hot_and_old_turns_do_not_come);
    tcase_add_test(tcase, stops_and_starts_again);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
