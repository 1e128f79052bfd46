/* sim/plan and sim/faults: what seeds draw, and that each kind of fault comes, does what its name
 * says, and is undone by healing. */
#include "sim/faults.h"

#include "sim/mem.h"
#include "sim/workload.h"
#include "tests/lib/run.h"

#include <string.h>

enum { SECOND_US = 1000000, SOME_SEEDS = 3000 };

/* ---- plans ----------------------------------------------------------------------------------- */

START_TEST(a_seed_is_a_plan) {
    struct plan first, second, other;
    struct buf text = {0}, again = {0};
    unsigned same = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        buf_reset(&text, 0);
        buf_reset(&again, 0);
        plan_draw(&first, seed, PLAN_AS_DRAWN);
        plan_draw(&second, seed, PLAN_AS_DRAWN);
        plan_draw(&other, seed + 1, PLAN_AS_DRAWN);
        plan_text(&first, &text);
        plan_text(&second, &again);
        ck_assert_uint_eq(buf_len(&text), buf_len(&again));
        ck_assert_mem_eq(buf_data(&text), buf_data(&again), buf_len(&text));
        ck_assert_uint_eq(first.world.seed, second.world.seed);
        same += first.world.seed == other.world.seed;
    }
    ck_assert_uint_eq(same, 0);
    buf_free(&text);
    buf_free(&again);
}
END_TEST

static uint32_t sum(const uint32_t *weights, int from, int to) {
    uint32_t total = 0;
    for (int i = from; i < to; i++) {
        total += weights[i];
    }
    return total;
}

START_TEST(plans_are_sound) {
    unsigned beyond = 0, births = 0, destroying = 0, calm = 0, last_write_wins = 0;
    for (uint64_t seed = 1; seed <= SOME_SEEDS; seed++) {
        struct plan plan;
        plan_draw(&plan, seed, PLAN_AS_DRAWN);
        const struct node_conf *node = &plan.world.node;
        ck_assert(plan.world.nodes >= 1 && plan.world.nodes <= 7);
        ck_assert(node->r >= 1 && node->r <= node->n && node->w >= 1 && node->w <= node->n);
        ck_assert_uint_gt(sum(plan.request_weights, 0, REQUEST_KINDS), 0);
        ck_assert(plan.ops >= 1000 && plan.keys >= 1 && plan.clients >= 2);
        ck_assert(plan.beyond || sum(plan.fault_weights, PLAN_BEYOND_FAULTS, FAULT_KINDS) == 0);
        ck_assert(!plan.beyond || sum(plan.fault_weights, PLAN_BEYOND_FAULTS, FAULT_KINDS) > 0);
        ck_assert_uint_lt(plan.birth_us, 5 * SECOND_US);
        beyond += plan.beyond;
        births += plan.birth_us > 0;
        destroying += sum(plan.fault_weights, PLAN_DESTROYING_FAULTS, PLAN_BEYOND_FAULTS) > 0;
        calm += plan.fault_mean_us == 0;
        last_write_wins += node->conflict_resolution == CONFLICT_LAST_WRITE_WINS;
    }
    ck_assert(beyond > SOME_SEEDS / 12 && beyond < SOME_SEEDS / 5);
    ck_assert(births > SOME_SEEDS / 6 && births < SOME_SEEDS / 3);
    ck_assert(destroying > SOME_SEEDS / 5 && destroying < SOME_SEEDS / 2);
    ck_assert(calm > SOME_SEEDS / 30 && calm < SOME_SEEDS / 6);
    ck_assert(last_write_wins > SOME_SEEDS / 20 && last_write_wins < SOME_SEEDS / 5);
}
END_TEST

START_TEST(a_seed_can_be_sent_beyond_the_promise) {
    struct buf text = {0};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct plan drawn, forced;
        plan_draw(&drawn, seed, PLAN_AS_DRAWN);
        plan_draw(&forced, seed, PLAN_BEYOND);
        ck_assert(forced.beyond);
        ck_assert_uint_eq(drawn.world.seed, forced.world.seed);
        ck_assert_uint_eq(drawn.ops, forced.ops);
        /* Plans whose nodes stay together, or forget much, have faults of their own, and are never beyond the promise. */
        if (drawn.request_weights[REQUEST_APPEND] == forced.request_weights[REQUEST_APPEND] &&
            drawn.attack_us == forced.attack_us) {
            ck_assert_uint_eq(drawn.birth_us, forced.birth_us);
            ck_assert_mem_eq(drawn.fault_weights, forced.fault_weights,
                             PLAN_BEYOND_FAULTS * sizeof *drawn.fault_weights);
        }
        buf_reset(&text, 0);
        plan_text(&forced, &text);
        mem_append(&text, "", 1);
        ck_assert_ptr_nonnull(strstr((const char *)buf_data(&text), "BEYOND"));
    }
    buf_free(&text);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------- */

static struct plan plan;
static struct world *world;
static struct workload *workload;
static struct faults *faults;

static void on_answer(void *arg, struct op *op) {
    (void)arg;
    workload_answer(workload, op);
}

static void on_event(void *arg, const struct sim_event *event) {
    (void)arg;
    if (event->kind < FAULTS_NEXT) {
        workload_event(workload, event);
    } else {
        faults_event(faults, event);
    }
}

/* A quiet cluster of `nodes` with nothing but this kind of fault, one a second. */
static void setup_with(uint32_t nodes, int kind) {
    plan = (struct plan){.seed = 7,
                         .clients = 3,
                         .keys = 4,
                         .ops = 100000,
                         .think_us = 40000,
                         .fault_mean_us = SECOND_US / 2,
                         .fault_length_us = SECOND_US / 2,
                         .skew_us = 1000000,
                         .beyond = kind >= (int)PLAN_BEYOND_FAULTS};
    world_conf_default(&plan.world, nodes, 7);
    plan.world.check_every = 16;
    plan.request_weights[REQUEST_SET] = plan.request_weights[REQUEST_GET] = 1;
    plan.fault_weights[kind] = 1;
    world = world_new(&plan.world);
    workload = workload_new(world, &plan);
    faults = faults_new(world, &plan);
    world_set_hooks(world, &(struct world_hooks){.on_answer = on_answer, .on_event = on_event});
}

static void start_all(void) {
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        ck_assert_int_eq(world_start(world, i), RD_OK);
    }
    world_elapse(world, 5 * SECOND_US);
    workload_start(workload);
    world_elapse(world, SECOND_US);
}

static void stop(void) {
    world_free(&world);
    workload_free(&workload);
    faults_free(&faults);
}

static bool all_up(void) {
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        struct node_stats stats;
        if (world_state(world, i) != NODE_RUNNING) {
            return false;
        }
        node_stats(world_node(world, i), &stats);
        if (!stats.open || stats.members_up < world_nodes(world)) {
            return false;
        }
    }
    return true;
}

/* Everybody serves, sees everybody and writes to disk. */
static void expect_all_well(void) {
    for (unsigned i = 0; i < 30 && !all_up(); i++) {
        world_elapse(world, SECOND_US / 2);
    }
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        struct node_stats stats;
        ck_assert_int_eq(world_state(world, i), NODE_RUNNING);
        node_check(world_node(world, i));
        node_stats(world_node(world, i), &stats);
        ck_assert(stats.open && stats.born);
        ck_assert_uint_eq(stats.members, world_nodes(world));
        ck_assert_uint_eq(stats.members_up, world_nodes(world));
        for (uint32_t k = 0; k < world_nodes(world); k++) {
            ck_assert(i == k || network_path(world_network(world), i, k) == PATH_OPEN);
        }
    }
    struct op request = {
        .kind = CLIENT_WRITE, .key = workload_key(0), .value = mem_blob("w1.", 3), .w = 3};
    struct op *op = world_ask(world, &request);
    world_elapse(world, SECOND_US);
    ck_assert(op->answered);
    ck_assert_int_eq(op->err, RD_OK);
    blob_unref(request.key);
    blob_unref(request.value);
}

START_TEST(each_comes_and_is_undone) {
    setup_with(4, _i);
    start_all();
    faults_start(faults);
    world_elapse(world, 10 * SECOND_US);
    workload_stop(workload);
    faults_heal(faults);
    ck_assert_uint_gt(faults_counts(faults)[_i], 5);
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        ck_assert(kind == _i || faults_counts(faults)[kind] == 0);
    }
    /* It destroys rows if and only if it is one of those that do. */
    bool destroys = _i >= (int)PLAN_DESTROYING_FAULTS;
    ck_assert_int_eq(faults_losses(faults)->count > 0, destroys);
    expect_all_well();
    stop();
}
END_TEST

START_TEST(without_a_mean_none_come) {
    setup_with(3, FAULT_KILL);
    plan.fault_mean_us = 0;
    start_all();
    faults_start(faults);
    world_elapse(world, 20 * SECOND_US);
    ck_assert_uint_eq(faults_counts(faults)[FAULT_KILL], 0);
    stop();
}
END_TEST

static uint32_t paths_cut(void) {
    uint32_t cut = 0;
    for (uint32_t a = 0; a < world_nodes(world); a++) {
        for (uint32_t b = 0; b < world_nodes(world); b++) {
            cut += a != b && network_path(world_network(world), a, b) != PATH_OPEN;
        }
    }
    return cut;
}

/* Whoever was cut off has come back by the end, without any healing from outside. */
START_TEST(a_swizzle_ends_where_it_began) {
    uint32_t most = 0;
    setup_with(5, FAULT_SWIZZLE);
    plan.seed = (uint64_t)_i;
    plan.fault_mean_us = 40 * (uint64_t)SECOND_US;
    start_all();
    faults_start(faults);
    while (faults_counts(faults)[FAULT_SWIZZLE] == 0) {
        world_elapse(world, 10000);
    }
    for (unsigned i = 0; i < 500; i++) {
        uint32_t cut = paths_cut();
        most = cut > most ? cut : most;
        world_elapse(world, 10000);
    }
    ck_assert_uint_gt(most, 6);
    ck_assert(faults_counts(faults)[FAULT_SWIZZLE] > 1 || paths_cut() == 0);
    stop();
}
END_TEST

/* One machine is away, the others serve, and in the morning it is back. */
START_TEST(a_night_ends) {
    static const enum world_node_state states[] = {NODE_RUNNING, NODE_OFF,     NODE_OFF,
                                                   NODE_PAUSED,  NODE_RUNNING, NODE_RUNNING};
    setup_with(3, FAULT_KILL);
    plan.night = (enum plan_night)_i;
    plan.patience_us = SECOND_US;
    start_all();
    faults_start(faults);
    world_elapse(world, 3 * SECOND_US);
    faults_night(faults);
    uint64_t kills = faults_counts(faults)[FAULT_KILL], asked = world_history(world)->count;
    world_elapse(world, 20 * (uint64_t)SECOND_US);
    unsigned away = 0;
    for (uint32_t i = 0; i < 3; i++) {
        away += world_state(world, i) != NODE_RUNNING;
        ck_assert(world_state(world, i) == NODE_RUNNING || world_state(world, i) == states[_i]);
    }
    ck_assert_uint_eq(away, states[_i] != NODE_RUNNING);
    ck_assert_uint_eq(paths_cut(), states[_i] != NODE_RUNNING ? 0 : 4);
    ck_assert_uint_eq(faults_counts(faults)[FAULT_KILL], kills);
    ck_assert_uint_gt(world_history(world)->count, asked + 50);
    faults_morning(faults);
    world_elapse(world, 5 * SECOND_US);
    ck_assert_uint_gt(faults_counts(faults)[FAULT_KILL], kills);
    workload_stop(workload);
    faults_heal(faults);
    expect_all_well();
    ck_assert_uint_eq(world_history(world)->open, 0);
    stop();
}
END_TEST

/* A stranger on the machine is not let in, and serves nobody; the old disk is then as it was. */
START_TEST(an_unmounted_disk_comes_back) {
    setup_with(3, FAULT_UNMOUNT);
    plan.fault_length_us = 60 * (uint64_t)SECOND_US;
    start_all();
    struct node_id ids[3];
    for (uint32_t i = 0; i < 3; i++) {
        ids[i] = node_self(world_node(world, i));
    }
    faults_start(faults);
    world_elapse(world, 15 * SECOND_US);
    unsigned strangers = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct node_id id = node_self(world_node(world, i));
        struct node_stats stats;
        node_stats(world_node(world, i), &stats);
        bool stranger = node_id_compare(&id, &ids[i]) != 0;
        strangers += stranger;
        ck_assert(!stranger || !stats.open);
    }
    ck_assert_uint_eq(strangers, 1); /* within the promise never two */
    workload_stop(workload);
    faults_heal(faults);
    for (uint32_t i = 0; i < 3; i++) {
        struct node_id id = node_self(world_node(world, i));
        ck_assert_int_eq(node_id_compare(&id, &ids[i]), 0);
    }
    ck_assert_uint_eq(faults_losses(faults)->count, 0);
    expect_all_well();
    stop();
}
END_TEST

/* An emptied disk keeps the node's name. */
START_TEST(a_wiped_node_is_the_same) {
    setup_with(3, FAULT_WIPE_ALL);
    start_all();
    struct node_id before = node_self(world_node(world, 0));
    workload_stop(workload);
    world_elapse(world, SECOND_US);
    faults_start(faults);
    while (faults_counts(faults)[FAULT_WIPE_ALL] == 0) {
        world_elapse(world, 1000);
    }
    uint64_t now_us = world_now_us(world);
    for (uint32_t key = 0; key < plan.keys; key++) {
        ck_assert_uint_eq(losses_count(faults_losses(faults), key, now_us - 1000, now_us), 3);
    }
    faults_heal(faults);
    struct node_id after = node_self(world_node(world, 0));
    ck_assert_int_eq(node_id_compare(&before, &after), 0);
    expect_all_well();
    stop();
}
END_TEST

START_TEST(clusters_are_born_under_attack) {
    setup_with(5, FAULT_KILL);
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        plan.fault_weights[kind] = 1;
    }
    workload_start(workload);
    faults_start_birth(faults);
    ck_assert_int_eq(world_state(world, 0), NODE_OFF);
    world_elapse(world, 3 * SECOND_US);
    workload_stop(workload);
    faults_heal(faults);
    uint64_t came = 0;
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        came += faults_counts(faults)[kind];
        ck_assert(kind < (int)FAULT_UNMOUNT || faults_counts(faults)[kind] == 0);
    }
    ck_assert_uint_gt(came, 3);
    world_elapse(world, 10 * SECOND_US);
    expect_all_well();
    stop();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim faults");
    TCase *tcase = tcase_create("plans");
    tcase_add_test(tcase, a_seed_is_a_plan);
    tcase_add_test(tcase, plans_are_sound);
    tcase_add_test(tcase, a_seed_can_be_sent_beyond_the_promise);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("faults");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, each_comes_and_is_undone, 0, FAULT_KINDS);
    tcase_add_test(tcase, without_a_mean_none_come);
    tcase_add_loop_test(tcase, a_swizzle_ends_where_it_began, 1, 3);
    tcase_add_loop_test(tcase, a_night_ends, NIGHT_NONE + 1, NIGHT_KINDS);
    tcase_add_test(tcase, an_unmounted_disk_comes_back);
    tcase_add_test(tcase, a_wiped_node_is_the_same);
    tcase_add_test(tcase, clusters_are_born_under_attack);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
