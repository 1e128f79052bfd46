/* sim/fuzz: see fuzz.h.
 *
 *     form --> attack --> heal --> read all replicas --> read them again --> judge
 *
 * Healing, and each of the reads, must come to an end within bounded simulated time. Some clusters
 * form in peace, some under attack. Where faults go beyond the promise, what was acknowledged may
 * be lost, and all else is checked as ever.
 */
#include "sim/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check_dots.h"
#include "sim/check_kept.h"
#include "sim/check_left.h"
#include "sim/faults.h"
#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/sums.h"
#include "sim/workload.h"

#define SECOND_US UINT64_C(1000000)
#define FORM_US (60 * SECOND_US)
#define HEAL_US (120 * SECOND_US)
#define READ_US (30 * SECOND_US)
#define NIGHT_SLOWER 10          /* a tenth as many requests in all of a night as in the attack */
#define QUIET_US (3 * SECOND_US) /* by then all frames that were under way have arrived */
#define CHECKER UINT32_MAX       /* the client that the checkers are */

struct run {
    struct plan plan;
    struct world *world;
    struct workload *workload;
    struct faults *faults;
    struct dots *dots;
    struct kept *kept;
    struct buf violation; /* empty: none so far */
    uint64_t rows;        /* stored so far */
    uint64_t longest_us;  /* a node took to answer */
    uint64_t unreadable;  /* keys of which only damaged copies were left */
    FILE *trace;
};

/* ---- hooks ----------------------------------------------------------------------------------- */

static bool fine(const struct run *run) {
    return buf_len(&run->violation) == 0;
}

static void on_answer(void *arg, struct op *op) {
    struct run *run = arg;
    uint64_t since_us = world_resumed_us(run->world, op->node);
    since_us = since_us > op->asked_us ? since_us : op->asked_us;
    uint64_t took_us = op->answered_us - since_us;
    if (op->err != RD_ECLOSED && took_us > run->longest_us) {
        run->longest_us = took_us;
    }
    if (op->err != RD_ECLOSED && took_us > world_answer_us(run->world, op) && fine(run)) {
        mem_printf(&run->violation, "not alive: request %llu was answered after %llu us",
                   (unsigned long long)op->tag, (unsigned long long)took_us);
    }
    kept_answer(run->kept, op, &run->violation);
    workload_answer(run->workload, op);
}

static void on_event(void *arg, const struct sim_event *event) {
    struct run *run = arg;
    if (event->kind < FAULTS_NEXT) {
        workload_event(run->workload, event);
    } else {
        faults_event(run->faults, event);
    }
}

static void on_row(void *arg, uint32_t node, const struct effect *put) {
    struct run *run = arg;
    run->rows += put->store_put.at.space == STORE_OBJECTS;
    dots_see(run->dots, put, &run->violation);
    kept_see(run->kept, node, put, &run->violation);
}

static void on_line(void *arg, uint64_t at_us, const char *line) {
    struct run *run = arg;
    fprintf(run->trace, "%12.3f ms  %s\n", (double)at_us / 1000, line);
}

/* ---- phases ---------------------------------------------------------------------------------- */

static bool all_up(const struct run *run) {
    for (uint32_t i = 0; i < world_nodes(run->world); i++) {
        struct node_stats stats;
        node_stats(world_node(run->world, i), &stats);
        const struct node *node = world_node(run->world, i);
        bool filled = !stats.born || faults_is_filled(node, world_instant(run->world, i));
        if (!filled || !stats.open || stats.members_up < world_nodes(run->world) ||
            !stats.hints_counted || stats.hints_pending > 0 || stats.requests_in_flight > 0) {
            return false;
        }
    }
    return true;
}

static void violated(struct run *run, const char *text) {
    if (fine(run)) {
        mem_printf(&run->violation, "%s", text);
    }
}

/* Runs until everybody serves and sees everybody, and no request is open. */
static void settle(struct run *run, uint64_t bound_us, const char *what) {
    uint64_t until_us = world_now_us(run->world) + bound_us;
    while (fine(run) && !(all_up(run) && world_history(run->world)->open == 0)) {
        if (world_now_us(run->world) >= until_us) {
            violated(run, what);
            return;
        }
        world_elapse(run->world, 50000);
    }
}

static struct op *ask(struct run *run, struct op *request) {
    request->client = CHECKER;
    struct op *op = world_ask(run->world, request);
    uint64_t until_us = world_now_us(run->world) + READ_US;
    while (!op->answered && world_step(run->world, until_us)) {
    }
    return op;
}

/* A write of the checkers, beside what there is; false: it fails. A key that has all the siblings that it may have is served, too. */
static bool try_to_write(struct run *run, uint32_t key) {
    char text[32];
    uint64_t id = world_history(run->world)->count + 1;
    int len = snprintf(text, sizeof text, "w%llu.", (unsigned long long)id);
    struct op request = {.kind = CLIENT_WRITE,
                         .key = workload_key(key),
                         .value = mem_blob(text, (size_t)len),
                         .value_id = id,
                         .with_context = true};
    struct op *op = ask(run, &request);
    blob_unref(request.key);
    blob_unref(request.value);
    return op->answered && (op->err == RD_OK || op->err == RD_ETOOMANYSIBLINGS);
}

/* The same, again and again for a while: a node may not have noticed yet that all is well. */
static bool write_beside(struct run *run, uint32_t key) {
    for (unsigned tries = 0; tries < 10; tries++) {
        if (try_to_write(run, key)) {
            return true;
        }
        world_elapse(run->world, SECOND_US / 2);
    }
    return false;
}

/* The first write makes the cluster a cluster, unless it has come already. */
static void first_write(struct run *run) {
    if (!write_beside(run, 0)) {
        violated(run, "not alive: the first write of a calm cluster fails");
    }
    world_elapse(run->world, SECOND_US);
}

static void form_in_peace(struct run *run) {
    struct network_conf *network = world_network_conf(run->world);
    world_disk_conf(run->world)->stall_ppm = 0;
    network->drop_ppm = network->duplicate_ppm = network->reorder_ppm = network->tail_ppm = 0;
    for (uint32_t i = 0; i < world_nodes(run->world); i++) {
        world_start(run->world, i);
    }
}

static void form_under_attack(struct run *run) {
    workload_start(run->workload);
    faults_start_birth(run->faults);
    world_elapse(run->world, run->plan.birth_us);
    workload_stop(run->workload);
    faults_heal(run->faults);
}

static void form(struct run *run) {
    struct network_conf weather = run->plan.world.network;
    if (run->plan.birth_us > 0) {
        form_under_attack(run);
    } else {
        form_in_peace(run);
    }
    settle(run, FORM_US, "not alive: the cluster does not form");
    if (fine(run)) {
        first_write(run);
    }
    *world_network_conf(run->world) = weather;
    world_disk_conf(run->world)->stall_ppm = run->plan.world.disk.stall_ppm;
}

static void elapse(struct run *run, uint64_t us) {
    uint64_t until_us = world_now_us(run->world) + us;
    while (fine(run) && world_now_us(run->world) < until_us) {
        world_elapse(run->world, 500000);
        if (world_is_stuck(run->world)) {
            violated(run, "not alive: a request is without an answer long after its time");
        }
    }
}

/* Hours with hardly a request, and without one machine. Clients wake up in the morning. */
static void pass_night(struct run *run) {
    workload_slow_down(run->workload, 1 + NIGHT_SLOWER * run->plan.night_us / run->plan.attack_us);
    faults_night(run->faults);
    elapse(run, run->plan.night_us);
    faults_morning(run->faults);
    workload_slow_down(run->workload, 1);
    workload_start(run->workload);
}

static void attack(struct run *run) {
    bool night = run->plan.night != NIGHT_NONE;
    workload_start(run->workload);
    faults_start(run->faults);
    elapse(run, run->plan.attack_us / (night ? 2 : 1));
    if (night && fine(run)) {
        pass_night(run);
        elapse(run, run->plan.attack_us / 2);
    }
    workload_stop(run->workload);
    faults_heal(run->faults);
}

/* What connections that stood still have kept back may come long after all has healed. */
static void await_late_frames(struct run *run) {
    uint64_t last_us = network_last_us(world_network(run->world));
    if (last_us > world_now_us(run->world)) {
        elapse(run, last_us - world_now_us(run->world));
    }
}

/* Reads all replicas of the key through some node; NULL if that does not succeed in time. */
static const struct op *read_all(struct run *run, const struct blob *key, uint32_t node) {
    for (unsigned tries = 0; tries < 20; tries++) {
        struct op request = {.kind = CLIENT_READ,
                             .node = (node + tries) % world_nodes(run->world),
                             .key = (struct blob *)key,
                             .r = run->plan.world.node.n};
        const struct op *op = ask(run, &request);
        if (op->answered && op->err == RD_OK && op->stand_ins == 0) {
            return op;
        }
        world_elapse(run->world, SECOND_US / 2);
    }
    violated(run, "not alive: after everything has healed a key cannot be read from all replicas");
    return NULL;
}

/* A key of which only damaged copies are left: nobody says that it is absent, and a write heals
 * it. */
static void mend(struct run *run, const struct left *left, const struct blob *key, uint32_t k) {
    struct op request = {
        .kind = CLIENT_READ, .key = (struct blob *)key, .r = run->plan.world.node.n};
    run->unreadable++;
    check_left(left, ask(run, &request), &run->violation);
    if (fine(run) && !write_beside(run, k)) {
        violated(run, "not alive: a key whose copies are damaged cannot be written");
    }
}

/* The first reading: it shows what is there, and repairs. */
static void read_and_repair(struct run *run) {
    bool lww = run->plan.world.node.conflict_resolution == CONFLICT_LAST_WRITE_WINS;
    world_elapse(run->world, QUIET_US);
    for (uint32_t k = 0; k < run->plan.keys && fine(run); k++) {
        struct blob *key = workload_key(k);
        struct left left = left_look(run->world, key, lww);
        if (left_is_unreadable(&left)) {
            mend(run, &left, key, k);
        } else {
            const struct op *read = read_all(run, key, k % world_nodes(run->world));
            if (read != NULL) {
                check_left(&left, read, &run->violation);
            }
        }
        object_free(&left.merged);
        blob_unref(key);
    }
    world_elapse(run->world, 2 * SECOND_US);
}

static void check_key(struct run *run, struct judge *judge, const struct judged_key *key,
                      uint32_t k) {
    const struct op *last = read_all(run, key->key, k % world_nodes(run->world));
    if (last == NULL) {
        return;
    }
    check_identical(judge, run->world, key);
    check_siblings(judge, key, last);
    if (!run->plan.beyond) {
        check_acknowledged(judge, key, last);
        check_quorum(judge, key);
    }
}

static void judge_sums(struct run *run) {
    size_t ops = world_history(run->world)->count;
    for (uint32_t i = 0; i < SUMS_KEYS && fine(run) && !run->plan.beyond; i++) {
        struct blob *key = sums_key(i);
        char text[160];
        struct left left = left_look(run->world, key, false);
        const struct op *last = left_is_unreadable(&left) ? NULL : read_all(run, key, i);
        if (last != NULL &&
            !check_sums(&run->plan, world_history(run->world), ops, key, last, text)) {
            violated(run, text);
        }
        object_free(&left.merged);
        blob_unref(key);
    }
}

static void judge_all(struct run *run) {
    struct judge judge;
    if (run->plan.world.node.anti_entropy) {
        check_antientropy(run->world, &run->plan, &run->violation);
    }
    read_and_repair(run); /* finds damaged rows that the scrub has not come to */
    judge_init(&judge, &(struct judge_input){.plan = &run->plan,
                                             .nodes = world_nodes(run->world),
                                             .history = world_history(run->world),
                                             .losses = faults_losses(run->faults)});
    judge_sums(run);
    check_reaped(run->world, &run->plan, &run->violation);
    world_elapse(run->world, SECOND_US);
    uint64_t rows = run->rows;
    for (uint32_t k = 0; k < judge.key_count && fine(run); k++) {
        if (judge.keys[k].key != NULL) {
            check_key(run, &judge, &judge.keys[k], k);
        }
    }
    if (!run->plan.beyond && fine(run)) {
        check_scans(&judge, world_history(run->world));
        check_accepted(&judge, world_history(run->world));
    }
    world_elapse(run->world, SECOND_US);
    if (kept_hints(run->world) > 0 && fine(run)) {
        judge_violated(&judge, "left: all has healed, and hints are still kept");
    }
    if (run->rows != rows) {
        judge_violated(&judge, "restless: a second reading of everything still stores rows");
    }
    if (buf_len(&judge.violation) > 0 && fine(run)) {
        mem_append(&run->violation, buf_data(&judge.violation), buf_len(&judge.violation));
    }
    judge_free(&judge);
}

/* ---- results --------------------------------------------------------------------------------- */

static void count_requests(const struct run *run, struct fuzz_result *out) {
    static const int by_error[RD_ERR_COUNT] = {[RD_EUNKNOWN] = SOMETIMES_UNKNOWN + 1,
                                               [RD_ETOOMANYSIBLINGS] =
                                                   SOMETIMES_TOO_MANY_SIBLINGS + 1,
                                               [RD_ECLUSTERDOWN] = SOMETIMES_CLUSTER_DOWN + 1,
                                               [RD_EFULL] = SOMETIMES_DISK_FULL + 1,
                                               [RD_ECLOSED] = SOMETIMES_CLIENT_CUT_OFF + 1};
    const struct history *history = world_history(run->world);
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = history->ops[i];
        out->requests++;
        out->acknowledged += op->answered && op->err == RD_OK;
        if (op->answered && by_error[op->err] > 0) {
            out->sometimes[by_error[op->err] - 1]++;
        }
        if (op->answered && op->err == RD_ENOQUORUM) {
            out->sometimes[op->kind == CLIENT_WRITE ? SOMETIMES_NO_QUORUM_WRITE
                                                    : SOMETIMES_NO_QUORUM_READ]++;
        }
        if (op->answered && op->err == RD_OK && op->next_cursor == 0) {
            out->sometimes[SOMETIMES_SCAN] += op->kind == CLIENT_SCAN;
            out->sometimes[SOMETIMES_FLUSH] += op->kind == CLIENT_FLUSH;
        }
        out->sometimes[SOMETIMES_SIBLING_READ] += op->object.count > 1;
    }
}

static void collect(const struct run *run, struct fuzz_result *out) {
    struct node_stats nodes;
    struct network_stats network;
    enum plan_night night = run->plan.night;
    world_stats(run->world, &nodes);
    network_stats(world_network(run->world), &network);
    count_requests(run, out);
    out->sometimes[SOMETIMES_SECOND_ROUND] = nodes.second_rounds;
    out->sometimes[SOMETIMES_STAND_IN] = nodes.stand_ins;
    out->sometimes[SOMETIMES_HINT_KEPT] = nodes.hints_kept;
    out->sometimes[SOMETIMES_HINT_DELIVERED] = nodes.hints_delivered;
    out->sometimes[SOMETIMES_HINT_DROPPED] = nodes.hints_dropped;
    out->sometimes[SOMETIMES_HINT_REFUSED] = nodes.hints_refused;
    out->sometimes[SOMETIMES_READ_REPAIR] = nodes.read_repairs;
    out->sometimes[SOMETIMES_REAPED] = nodes.tombstones_reaped;
    out->sometimes[SOMETIMES_PRUNED] = nodes.vectors_pruned;
    out->sometimes[SOMETIMES_FORWARDED] = nodes.requests_forwarded;
    out->sometimes[SOMETIMES_LATE_ANSWER] = nodes.late_answers;
    out->sometimes[SOMETIMES_FRESH_INCARNATION] = nodes.fresh_incarnations;
    out->sometimes[SOMETIMES_CORRUPT_ROW] = nodes.corrupt_rows;
    out->sometimes[SOMETIMES_STORE_ERROR] = nodes.store_errors;
    out->sometimes[SOMETIMES_DUPLICATE] = network.duplicated;
    out->sometimes[SOMETIMES_OVERTAKEN] = network.overtaken;
    out->sometimes[SOMETIMES_HELD] = network.held;
    out->sometimes[SOMETIMES_ORPHAN] = network.orphans;
    out->sometimes[SOMETIMES_OF_THE_DEAD] = network.of_the_dead;
    out->sometimes[SOMETIMES_MINUTES_LATE] = network.minutes_late;
    out->sometimes[SOMETIMES_SILENT_LINK] = nodes.links_silent;
    out->sometimes[SOMETIMES_NIGHT_OFF] = night == NIGHT_OFF || night == NIGHT_POWER;
    out->sometimes[SOMETIMES_NIGHT_STILL] = night == NIGHT_STILL;
    out->sometimes[SOMETIMES_NIGHT_CUT] = night == NIGHT_CUT || night == NIGHT_SILENT;
    out->sometimes[SOMETIMES_DIED_UNREADY] = world_died_unready(run->world);
    out->sometimes[SOMETIMES_PATIENCE] = workload_given_up(run->workload);
    for (uint32_t i = 0; i < world_nodes(run->world); i++) {
        out->sometimes[SOMETIMES_UNSURE_ROW] +=
            store_mem_found_unsure(world_disk(run->world, i)->store);
    }
    out->sometimes[SOMETIMES_BORN_UNDER_ATTACK] = run->plan.birth_us > 0;
    out->sometimes[SOMETIMES_ROWS_DESTROYED] = faults_losses(run->faults)->count;
    out->sometimes[SOMETIMES_UNREADABLE] = run->unreadable;
    out->sometimes[SOMETIMES_BEYOND] = run->plan.beyond;
    out->longest_us = run->longest_us;
    out->steps = world_steps(run->world);
    out->trace_hash = world_trace(run->world)->hash;
    memcpy(out->fault_counts, faults_counts(run->faults), sizeof out->fault_counts);
    for (int i = 0; i < FAULT_KINDS; i++) {
        out->faults += out->fault_counts[i];
    }
}

/* Everything that a run needs, all machines off. */
static void prepare(struct run *run, const struct fuzz_order *order) {
    *run = (struct run){.trace = order->trace};
    plan_draw(&run->plan, order->seed, order->mode);
    run->plan.world.node.planted_bug = order->planted;
    run->plan.world.node.trace = order->trace != NULL;
    run->world = world_new(&run->plan.world);
    run->workload = workload_new(run->world, &run->plan);
    run->faults = faults_new(run->world, &run->plan);
    run->dots = dots_new();
    run->kept = kept_new(
        &(struct kept_input){.world = run->world, .plan = &run->plan, .faults = run->faults});
    world_set_hooks(run->world, &(struct world_hooks){.arg = run,
                                                      .on_answer = on_answer,
                                                      .on_event = on_event,
                                                      .on_row = on_row});
    if (order->trace != NULL) {
        world_trace(run->world)->listener = on_line;
        world_trace(run->world)->arg = run;
    }
}

void fuzz_run(const struct fuzz_order *order, struct fuzz_result *out) {
    struct run run;
    prepare(&run, order);
    form(&run);
    if (fine(&run)) {
        attack(&run);
    }
    if (fine(&run)) {
        settle(&run, HEAL_US,
               "not alive: after the faults the cluster does not come together again");
    }
    if (fine(&run)) {
        await_late_frames(&run);
        judge_all(&run);
    }
    *out = (struct fuzz_result){.seed = order->seed, .passed = fine(&run)};
    size_t len = buf_len(&run.violation) < sizeof out->violation ? buf_len(&run.violation)
                                                                 : sizeof out->violation - 1;
    memcpy(out->violation, len > 0 ? (const char *)buf_data(&run.violation) : "", len);
    collect(&run, out);
    world_free(&run.world);
    workload_free(&run.workload);
    faults_free(&run.faults);
    dots_free(&run.dots);
    kept_free(&run.kept);
    buf_free(&run.violation);
}

void fuzz_add(struct fuzz_result *sum, const struct fuzz_result *one) {
    sum->requests += one->requests;
    sum->acknowledged += one->acknowledged;
    sum->steps += one->steps;
    sum->faults += one->faults;
    sum->longest_us = one->longest_us > sum->longest_us ? one->longest_us : sum->longest_us;
    for (int i = 0; i < SOMETIMES_COUNT; i++) {
        sum->sometimes[i] += one->sometimes[i];
    }
    for (int i = 0; i < FAULT_KINDS; i++) {
        sum->fault_counts[i] += one->fault_counts[i];
    }
}

const char *fuzz_sometimes_text(enum fuzz_sometimes which) {
    static const char *const texts[] = {
#define FUZZ_TEXT(name, text) text,
        FUZZ_SOMETIMES(FUZZ_TEXT)};
    return texts[which];
}

const char *fuzz_fault_text(enum plan_fault which) {
    static const char *const texts[] = {PLAN_FAULTS(FUZZ_TEXT)};
#undef FUZZ_TEXT
    return texts[which];
}
