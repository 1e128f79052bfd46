/* sim/experiment_anti_entropy: what it costs to make two replicas equal that hold M keys and differ
 * in K of them, against sending the key and the digest of every row.
 *
 * N=2 on 2 nodes, whose disks are filled before they start: one has all keys, the other lacks K.
 * An exchange is begun by hand, again if one was not enough; all frames of exchanges and of the
 * reads and writes that mend are counted. */
#include "sim/experiment.h"
#include "sim/lab_disk.h"
#include "sim/mem.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST_EXCHANGES 20
#define SECOND_US UINT64_C(1000000)

enum { MESSAGES, BYTES, QUESTIONS, EXCHANGES, SECONDS, FULL, MISSING, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"messages", "messages", 0},    {"bytes", "bytes", 0},
    {"rounds", "rounds", 0},        {"exchanges", "exchanges", 1},
    {"seconds", "seconds", 2},      {"full_bytes", "full comparison, bytes", 0},
    {"missing", "still missing", 0}};

static const uint32_t key_counts[] = {10000, 100000, 1000000};
static const uint32_t differing[] = {0, 1, 10, 100, 1000, 10000};

/* ---- comparing ------------------------------------------------------------------------------- */

static uint64_t repaired(const struct lab *lab) {
    struct node_stats stats;
    world_stats(lab->world, &stats);
    return stats.antientropy_keys_repaired;
}

/* One exchange, waited for. */
static void exchange(struct lab *lab) {
    uint64_t until_us = world_now_us(lab->world) + 300 * SECOND_US;
    node_repair(world_node(lab->world, 0), UINT32_MAX);
    node_repair(world_node(lab->world, 1), UINT32_MAX);
    do {
        world_elapse(lab->world, SECOND_US / 10);
    } while ((!node_background_idle(world_node(lab->world, 0)) ||
              !node_background_idle(world_node(lab->world, 1))) &&
             world_now_us(lab->world) < until_us);
}

static double sum(const uint64_t counts[WIRE_KINDS]) {
    static const enum wire_kind kinds[] = {
        WIRE_ROOTS,       WIRE_NODES, WIRE_NODES_ANSWER, WIRE_ROWS,         WIRE_ROWS_ANSWER,
        WIRE_READ_ANSWER, WIRE_READ,  WIRE_WRITE,        WIRE_WRITE_ANSWER, WIRE_RECOUNT};
    double all = 0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        all += (double)counts[kinds[i]];
    }
    return all;
}

/* A disk with M keys. */
struct full {
    uint32_t keys;
    size_t listed; /* bytes of keys and digests */
    struct store_mem_image *image;
};

static struct full full_disk(uint32_t keys) {
    struct full full = {.keys = keys};
    struct store *store;
    mem_must(store_mem_new(&store));
    full.listed = lab_disk_fill(store, keys);
    mem_must(store_mem_snapshot(store, &full.image));
    store_close(&store);
    return full;
}

static void run_case(const struct full *full, uint32_t differ, uint64_t seed, double *figures) {
    struct world_conf conf;
    lab_conf(&conf, 2, 2, 1, 1, seed);
    conf.node.anti_entropy = true;
    conf.node.anti_entropy_interval_ms = 1000000000; /* by hand only */
    struct lab *lab = lab_make(&conf);
    for (uint32_t node = 0; node < 2; node++) {
        mem_must(store_mem_restore(world_disk(lab->world, node)->store, full->image));
    }
    lab_disk_thin(world_disk(lab->world, 1)->store, full->keys, differ);
    lab_form(lab, &conf);
    uint64_t from_us = world_now_us(lab->world), before = repaired(lab);
    uint32_t exchanges = 0;
    do {
        exchange(lab);
        exchanges++;
    } while (repaired(lab) - before < differ && exchanges < MOST_EXCHANGES);
    figures[MESSAGES] = sum(lab->frames);
    figures[BYTES] = sum(lab->bytes);
    figures[QUESTIONS] =
        (double)(lab->frames[WIRE_ROOTS] + lab->frames[WIRE_NODES] + lab->frames[WIRE_ROWS]);
    figures[EXCHANGES] = exchanges;
    figures[SECONDS] = (double)(world_now_us(lab->world) - from_us) / SECOND_US;
    figures[FULL] = (double)full->listed;
    figures[MISSING] = (double)differ - (double)(repaired(lab) - before);
    lab_free(&lab);
}

/* All cases of one M, seed by seed. */
struct cases {
    struct experiment_run *run;
    struct results *results;
    struct full full;
};

static uint32_t differ_of(const struct cases *cases, uint32_t number) {
    uint32_t differ = differing[number / cases->run->seeds], most = cases->full.keys / 2;
    return differ < most ? differ : most;
}

static void measure(void *arg, uint32_t number, double *figures) {
    const struct cases *cases = arg;
    run_case(&cases->full, differ_of(cases, number), cases->run->seed + number % cases->run->seeds,
             figures);
}

static void take(void *arg, uint32_t number, const double *figures) {
    struct cases *cases = arg;
    size_t row = results_row(cases->results, "%u %u", cases->full.keys, differ_of(cases, number));
    for (uint32_t metric = 0; metric < METRICS; metric++) {
        results_sample(cases->results, row, metric, figures[metric]);
    }
}

void experiment_anti_entropy(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "anti-entropy", "anti-entropy: two replicas of M keys that differ in K", "M K",
        metrics, METRICS);
    size_t sizes = experiment_few(run, COUNT(key_counts)),
           few = experiment_few(run, COUNT(differing));
    experiment_steps(run, run->seeds * (uint32_t)(sizes * few));
    for (size_t m = 0; m < sizes; m++) {
        struct cases cases = {run, table, full_disk(experiment_size(run, key_counts[m]))};
        experiment_split(run, &(struct experiment_split){.count = run->seeds * (uint32_t)few,
                                                         .figures = METRICS,
                                                         .arg = &cases,
                                                         .measure = measure,
                                                         .take = take});
        store_mem_image_free(&cases.full.image);
    }
    struct plot plot;
    plot_init(&plot, "anti-entropy", "anti-entropy: two replicas of M keys that differ in K");
    struct plot_panel *panel = plot_panel(&plot, "bytes", "K", "bytes", PLOT_LINES_LOG);
    plot_series(panel, table, "K", "bytes", NULL, NULL, "");
    plot_series(panel, table, "K", "full_bytes", NULL, NULL, "full comparison");
    panel = plot_panel(&plot, "messages", "K", "messages", PLOT_LINES_LOG);
    plot_series(panel, table, "K", "messages", NULL, NULL, "");
    experiment_plot(run, &plot);
}
