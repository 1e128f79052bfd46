/* sim/world and sim/machine: the driver that the nodes do not know from the real one. Starts and ends of processes, turns, clients
 * that are cut off, pauses, and that a run is a function of its seed. */
#include "sim/world.h"

#include <string.h>

#include "sim/mem.h"
#include "tests/lib/run.h"

#define SECOND_US UINT64_C(1000000)

static struct world *world;
static struct world_conf conf;
static unsigned answers, events;
static uint64_t last_event;

static void on_answer(void *arg, struct op *op) {
    ck_assert_ptr_eq(arg, &conf);
    ck_assert(op->answered);
    answers++;
}

static void on_event(void *arg, const struct sim_event *event) {
    ck_assert_ptr_eq(arg, &conf);
    ck_assert_uint_eq(event->at_us, world_now_us(world));
    events++;
    last_event = event->a;
}

static void make(uint32_t nodes, uint64_t seed) {
    answers = events = 0;
    world_conf_default(&conf, nodes, seed);
    conf.answer_us = 600000;
    world = world_new(&conf);
    world_set_hooks(
        world, &(struct world_hooks){.arg = &conf, .on_answer = on_answer, .on_event = on_event});
}

static void start_all(void) {
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        ck_assert_int_eq(world_start(world, i), RD_OK);
    }
    world_elapse(world, 3 * SECOND_US);
}

static void setup(void) {
    make(3, 1);
    start_all();
}

static void teardown(void) {
    world_free(&world);
    ck_assert_ptr_null(world);
    world_free(&world);
}

/* A write through `node`, not waited for. */
static struct op *write_later(uint32_t node, const char *value) {
    struct op request = {.kind = CLIENT_WRITE,
                         .node = node,
                         .key = mem_blob("k", 1),
                         .value = mem_blob(value, strlen(value))};
    struct op *op = world_ask(world, &request);
    blob_unref(request.key);
    blob_unref(request.value);
    return op;
}

static struct op *read_later(uint32_t node, uint32_t r) {
    struct op request = {
        .kind = CLIENT_READ, .node = node, .key = mem_blob("k", 1), .r = r, .wants_token = true};
    struct op *op = world_ask(world, &request);
    blob_unref(request.key);
    return op;
}

static struct op *await(struct op *op, enum rd_err err) {
    uint64_t until_us = world_now_us(world) + 10 * SECOND_US;
    while (!op->answered && world_step(world, until_us)) {
    }
    ck_assert(op->answered);
    ck_assert_int_eq(op->err, err);
    return op;
}

/* ---- time ------------------------------------------------------------------------------------ */

START_TEST(time_passes_where_nothing_happens) {
    make(1, 1);
    ck_assert_uint_eq(world_now_us(world), 0);
    ck_assert(!world_step(world, 500));
    ck_assert_uint_eq(world_now_us(world), 500);
    world_elapse(world, 20);
    ck_assert_uint_eq(world_now_us(world), 520);
    teardown();
}
END_TEST

START_TEST(events_of_the_user_come_in_time) {
    make(1, 1);
    world_at(world, 300, WORLD_USER_KIND, 3, 0);
    world_at(world, 100, WORLD_USER_KIND + 1, 1, 0);
    world_at(world, 300, WORLD_USER_KIND, 4, 0);
    world_elapse(world, 300);
    ck_assert_uint_eq(events, 1); /* "before", not "until" */
    ck_assert_uint_eq(last_event, 1);
    world_elapse(world, 1);
    ck_assert_uint_eq(events, 3);
    ck_assert_uint_eq(last_event, 4);
    teardown();
}
END_TEST

/* ---- lives ----------------------------------------------------------------------------------- */

START_TEST(machines_are_off_until_they_start) {
    make(2, 1);
    ck_assert_int_eq(world_state(world, 0), NODE_OFF);
    ck_assert_ptr_null(world_node(world, 0));
    struct op *refused = write_later(0, "v");
    ck_assert(refused->answered); /* at once: nobody listens */
    ck_assert_int_eq(refused->err, RD_EREFUSED);
    world_crash(world, 0, CRASH_PROCESS); /* nothing to be ended */
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    ck_assert_int_eq(world_state(world, 0), NODE_RUNNING);
    ck_assert_ptr_nonnull(world_node(world, 0));
    ck_assert_uint_eq(world_steps(world), 1);
    teardown();
}
END_TEST

START_TEST(a_start_that_fails_says_why) {
    make(1, 1);
    world_node_conf(world, 0)->r = 9; /* more than N */
    ck_assert_int_ne(world_start(world, 0), RD_OK);
    ck_assert_int_eq(world_state(world, 0), NODE_OFF);
    ck_assert_uint_gt(strlen(world_start_reason(world, 0)), 5);
    world_node_conf(world, 0)->r = 1;
    store_mem_fail(world_disk(world, 0)->store, STORE_MEM_GET, RD_EIO, 1);
    ck_assert_int_eq(world_start(world, 0), RD_EIO);
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    ck_assert_str_eq(world_start_reason(world, 0), "");
    teardown();
}
END_TEST

START_TEST(a_cluster_answers) {
    await(write_later(0, "v1"), RD_OK);
    struct op *read = await(read_later(2, 3), RD_OK);
    ck_assert_uint_eq(read->object.count, 1);
    ck_assert_mem_eq(read->object.siblings[0].value->bytes, "v1", 2);
    ck_assert_ptr_nonnull(read->token); /* it was wanted */
    ck_assert_uint_eq(answers, 2);
    ck_assert_uint_eq(world_history(world)->open, 0);
    ck_assert(!world_is_stuck(world));
}
END_TEST

START_TEST(a_crash_cuts_its_clients_off) {
    await(write_later(0, "v1"), RD_OK);
    struct op *lost = write_later(0, "v2"), *other = write_later(1, "v3");
    struct node_stats before, after;
    world_stats(world, &before);
    world_crash(world, 0, CRASH_PROCESS);
    ck_assert(lost->answered);
    ck_assert_int_eq(lost->err, RD_ECLOSED);
    ck_assert(!other->answered);
    ck_assert_ptr_null(world_node(world, 0));
    world_stats(world, &after); /* what it counted in its life stays counted */
    ck_assert_uint_eq(before.requests_forwarded, after.requests_forwarded);
    await(other, RD_OK);
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    world_elapse(world, 3 * SECOND_US);
    ck_assert_mem_eq(await(read_later(0, 3), RD_OK)->object.siblings[0].value->bytes, "v3", 2);
}
END_TEST

/* A crash is planned for each effect in turn: wherever it comes, the machine is off, its client is told, and the rest goes on. */
START_TEST(a_crash_may_come_at_any_effect) {
    await(write_later(0, "v1"), RD_OK);
    world_crash_after(world, 0, (uint64_t)_i, CRASH_POWER_WORST);
    struct op *op = write_later(0, "v2");
    for (unsigned i = 0; i < 200 && world_state(world, 0) == NODE_RUNNING; i++) {
        world_elapse(world, SECOND_US / 10);
    }
    ck_assert_int_eq(world_state(world, 0), NODE_OFF);
    ck_assert(op->answered);
    ck_assert(op->err == RD_OK || op->err == RD_ECLOSED);
    if (_i == 1) {
        ck_assert_int_eq(op->err, RD_ECLOSED);
    }
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    world_elapse(world, 3 * SECOND_US);
    struct op *read = await(read_later(1, 3), RD_OK);
    const char *value = (const char *)read->object.siblings[0].value->bytes;
    ck_assert(memcmp(value, "v2", 2) == 0 ||
              (memcmp(value, "v1", 2) == 0 && op->err == RD_ECLOSED));
}
END_TEST

START_TEST(power_takes_what_was_not_synced) {
    make(1, 1);
    start_all();
    await(write_later(0, "v1"), RD_OK);
    world_elapse(world, SECOND_US);
    struct disk *disk = world_disk(world, 0);
    uint64_t commits = disk->commits;
    write_later(0, "v2");
    while (disk->commits == commits && world_step(world, UINT64_MAX)) {
    }
    world_crash(world, 0, CRASH_POWER_WORST);
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    world_elapse(world, 3 * SECOND_US);
    ck_assert_mem_eq(await(read_later(0, 1), RD_OK)->object.siblings[0].value->bytes, "v1", 2);
    commits = disk->commits;
    write_later(0, "v3");
    while (disk->commits == commits && world_step(world, UINT64_MAX)) {
    }
    world_crash(world, 0, CRASH_PROCESS); /* the system has it, though nobody was told */
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    world_elapse(world, 3 * SECOND_US);
    ck_assert_mem_eq(await(read_later(0, 1), RD_OK)->object.siblings[0].value->bytes, "v3", 2);
    teardown();
}
END_TEST

/* ---- pauses ---------------------------------------------------------------------------------- */

START_TEST(a_paused_node_finds_what_has_come) {
    await(write_later(0, "v1"), RD_OK);
    world_elapse(world, SECOND_US / 10);
    world_pause(world, 1);
    ck_assert_int_eq(world_state(world, 1), NODE_PAUSED);
    uint64_t steps = world_steps(world);
    struct op *op = read_later(1, 1);
    world_elapse(world, 2 * SECOND_US);
    ck_assert(!op->answered);
    ck_assert(!world_is_stuck(world));            /* it cannot be blamed */
    ck_assert_uint_gt(world_steps(world), steps); /* the others go on */
    world_resume(world, 1);
    ck_assert_uint_eq(world_resumed_us(world, 1), world_now_us(world));
    await(op, RD_OK);
    ck_assert_uint_eq(op->object.count, 1);
    world_resume(world, 1); /* twice is once */
    world_pause(world, 1);
    read_later(1, 1);
    world_crash(world, 1, CRASH_PROCESS);
    world_resume(world, 1);
    ck_assert_int_eq(world_state(world, 1), NODE_OFF);
    ck_assert_uint_eq(world_history(world)->open, 0);
}
END_TEST

START_TEST(clocks_of_machines_survive_their_processes) {
    clock_set_ahead(world_clock(world, 0), world_now_us(world), 5000 * (int64_t)SECOND_US);
    int64_t ahead = (int64_t)(world_instant(world, 0).wall_us - world_instant(world, 1).wall_us);
    ck_assert_int_eq(ahead, 5000 * (int64_t)SECOND_US);
    uint64_t mono_us = world_instant(world, 0).mono_us;
    world_crash(world, 0, CRASH_POWER);
    ck_assert_int_eq(world_start(world, 0), RD_OK);
    ahead = (int64_t)(world_instant(world, 0).wall_us - world_instant(world, 1).wall_us);
    ck_assert_int_eq(ahead, 5000 * (int64_t)SECOND_US);
    ck_assert_uint_ne(world_instant(world, 0).mono_us, mono_us); /* that one begins anew */
}
END_TEST

/* ---- seeds ----------------------------------------------------------------------------------- */

static uint64_t run(uint64_t seed) {
    make(3, seed);
    start_all();
    for (uint32_t i = 0; i < 30; i++) {
        write_later(i % 3, "v");
        world_elapse(world, 1000);
        if (i == 20) {
            world_crash(world, 2, CRASH_POWER);
        }
    }
    uint64_t hash = world_trace(world)->hash;
    teardown();
    return hash;
}

START_TEST(a_run_is_a_function_of_its_seed) {
    uint64_t first = run(5);
    ck_assert_uint_eq(run(5), first);
    ck_assert_uint_ne(run(6), first);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim world");
    TCase *tcase = tcase_create("bare");
    tcase_add_test(tcase, time_passes_where_nothing_happens);
    tcase_add_test(tcase, events_of_the_user_come_in_time);
    tcase_add_test(tcase, machines_are_off_until_they_start);
    tcase_add_test(tcase, a_start_that_fails_says_why);
    tcase_add_test(tcase, power_takes_what_was_not_synced);
    tcase_add_test(tcase, a_run_is_a_function_of_its_seed);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cluster");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_cluster_answers);
    tcase_add_test(tcase, a_crash_cuts_its_clients_off);
    tcase_add_loop_test(tcase, a_crash_may_come_at_any_effect, 1, 12);
    tcase_add_test(tcase, a_paused_node_finds_what_has_come);
    tcase_add_test(tcase, clocks_of_machines_survive_their_processes);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
