/* sim/experiment_anti_entropy: what it costs to make two replicas equal that hold M keys and differ
 * in K of them, against sending the key and the digest of every row.
 *
 * N=2 on 2 nodes, whose disks are filled before they start: one has all keys, the other lacks K.
 * An exchange is begun by hand, again if one was not enough; all frames of exchanges and of the
 * reads and writes that mend are counted. */
#include "sim/experiment.h"
#include "sim/lab.h"
#include "sim/mem.h"

#include "replication/slot.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST_EXCHANGES 20
#define SECOND_US UINT64_C(1000000)

enum { MESSAGES, BYTES, QUESTIONS, EXCHANGES, SECONDS, FULL, MISSING, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"messages", "messages", 0},    {"bytes", "bytes", 0},
    {"rounds", "rounds", 0},        {"exchanges", "exchanges", 1},
    {"seconds", "seconds", 2},      {"full_bytes", "full comparison, bytes", 0},
    {"missing", "still missing", 0}};

static const uint32_t key_counts[] = {10000, 100000};
static const uint32_t differing[] = {0, 1, 10, 100, 1000, 10000};

/* ---- filling --------------------------------------------------------------------------------- */

static void ignore_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    (void)arg, (void)token, (void)err, (void)value;
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    (void)arg, (void)token;
    mem_must(err);
}

static void ignore_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                        size_t count, bool end) {
    (void)arg, (void)token, (void)err, (void)rows, (void)count, (void)end;
}

static void commit(struct store *store) {
    static const struct store_handler handler = {ignore_get, on_commit, ignore_scan};
    store_commit(store, 1);
    store_mem_release(store, SIZE_MAX);
    while (store_poll(store, &handler, NULL, 16) > 0) {
    }
}

/* Key number i, written once, long ago. Returns how many bytes key and digest take. */
static size_t put_row(struct store *store, uint32_t i) {
    struct object object = {0};
    struct context none = {0};
    struct dot dot = {.actor = {.incarnation = 1000, .epoch = 1}, .counter = 1};
    struct lab_register name;
    struct buf bytes = {0};
    lab_register_init(&name, "key", i);
    mem_must(object_write(&object, &none, &dot, 1 + i, name.key, 0));
    mem_must(object_encode(&object, &bytes));
    struct store_put put = {
        .at = {.space = STORE_OBJECTS,
               .slot = slot_of_key(PARTITIONER_CRC16, name.key->bytes, name.key->len),
               .key = name.key->bytes,
               .key_len = name.key->len},
        .value = mem_blob(buf_data(&bytes), buf_len(&bytes)),
        .new_digest = object_digest(&object),
        .is_live = true};
    mem_must(store_put(store, &put));
    size_t listed = name.key->len + sizeof put.new_digest;
    blob_unref(put.value);
    buf_free(&bytes);
    object_free(&object);
    lab_register_free(&name);
    return listed;
}

/* Fills the disk of `node` but for every `lacks`-th key (0: none is left out). */
static size_t fill(struct lab *lab, uint32_t node, uint32_t keys, uint32_t lacks) {
    struct store *store = world_disk(lab->world, node)->store;
    size_t listed = 0;
    for (uint32_t i = 0; i < keys; i++) {
        if (lacks == 0 || i % lacks != 0) {
            listed += put_row(store, i);
        }
        if (i % 1000 == 999) {
            commit(store);
        }
    }
    commit(store);
    return listed;
}

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

static void run_case(uint32_t keys, uint32_t differ, uint64_t seed, struct results *results,
                     size_t row) {
    struct world_conf conf;
    lab_conf(&conf, 2, 2, 1, 1, seed);
    conf.node.anti_entropy = true;
    conf.node.anti_entropy_interval_ms = 1000000000; /* by hand only */
    struct lab *lab = lab_make(&conf);
    size_t listed = fill(lab, 0, keys, 0);
    fill(lab, 1, keys, differ > 0 ? keys / differ : 0);
    lab_form(lab, &conf);
    uint64_t from_us = world_now_us(lab->world), before = repaired(lab);
    uint32_t exchanges = 0;
    do {
        exchange(lab);
        exchanges++;
    } while (repaired(lab) - before < differ && exchanges < MOST_EXCHANGES);
    results_sample(results, row, MESSAGES, sum(lab->frames));
    results_sample(results, row, BYTES, sum(lab->bytes));
    results_sample(
        results, row, QUESTIONS,
        (double)(lab->frames[WIRE_ROOTS] + lab->frames[WIRE_NODES] + lab->frames[WIRE_ROWS]));
    results_sample(results, row, EXCHANGES, exchanges);
    results_sample(results, row, SECONDS, (double)(world_now_us(lab->world) - from_us) / SECOND_US);
    results_sample(results, row, FULL, (double)listed);
    results_sample(results, row, MISSING, (double)differ - (double)(repaired(lab) - before));
    lab_free(&lab);
}

void experiment_anti_entropy(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "anti-entropy", "anti-entropy: two replicas of M keys that differ in K", "M K",
        metrics, METRICS);
    experiment_steps(run, run->seeds * (uint32_t)(COUNT(key_counts) * COUNT(differing)));
    for (size_t m = 0; m < COUNT(key_counts); m++) {
        for (size_t k = 0; k < COUNT(differing); k++) {
            uint32_t keys = experiment_size(run, key_counts[m]);
            uint32_t differ = differing[k] < keys / 2 ? differing[k] : keys / 2;
            size_t row = results_row(table, "%u %u", keys, differ);
            for (uint32_t s = 0; s < run->seeds; s++) {
                run_case(keys, differ, run->seed + s, table, row);
                experiment_step(run);
            }
        }
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
