/* sim/experiment_scale: clusters of 3 to 256 nodes.
 *
 * Balance, and what a join moves, are computed from ring and preference lists with the defaults of
 * the server (4096 partitions, 256 virtual nodes, N=3). What keeps a cluster together is measured
 * in the world, idle: bytes per node, and the time until all know of a death (a machine without
 * power, which tells nobody) and of its return. Then a node comes back with a disk that has lost all keys,
 * and is filled again by anti-entropy. These worlds are born with all their members. */
#include <stdlib.h>
#include <string.h>

#include "sim/experiment.h"
#include "sim/lab_disk.h"
#include "sim/mem.h"

#include "replication/member.h"
#include "replication/preflist.h"
#include "replication/slot.h"

#define N 3
#define PARTITIONS 4096
#define VNODES 256
#define SECOND_US UINT64_C(1000000)
#define IDLE_S 10 /* and less in large worlds */
#define IDLE_LARGE_S 3
#define LARGE 64
#define WORLD_PARTITIONS 1024
#define KEYS 2000 /* of the node whose disk is lost */
#define VALUE_BYTES 100
#define LONGEST_US (120 * SECOND_US)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PEAK, LEAD, MOVED, RING_METRICS };

static const struct results_metric ring_metrics[RING_METRICS] = {
    {"peak_load", "peak load / fair", 3},
    {"peak_first", "peak first homes / fair", 3},
    {"join_moves", "join moves / ideal", 3}};

enum { GOSSIP, PINGS, COMPARING, FRAMES, DEATH, RETURN, REFILLED, WORLD_METRICS };

static const struct results_metric world_metrics[WORLD_METRICS] = {
    {"gossip_bytes_per_node_s", "gossip B/node/s", 0},
    {"ping_bytes_per_node_s", "pings B/node/s", 0},
    {"anti_entropy_bytes_per_node_s", "anti-entropy B/node/s", 0},
    {"frames_per_node_s", "frames/node/s", 1},
    {"death_known_s", "death known s", 2},
    {"return_known_s", "return known s", 2},
    {"refilled_s", "lost disk full again s", 1}};

static const uint32_t sizes[] = {3, 4, 8, 16, 32, 64, 128, 256};
static const uint32_t world_sizes[] = {3, 8, 16, 32, 64, 128, 256};

/* ---- computed -------------------------------------------------------------------------------- */

struct layout {
    struct ring *ring;
    struct preflist *preflist;
};

static struct layout layout_of(const struct ring_member *members, size_t count) {
    struct layout layout;
    mem_must(ring_new(members, count, &layout.ring));
    mem_must(preflist_new(layout.ring, PARTITIONS, N, &layout.preflist));
    return layout;
}

static void layout_free(struct layout *layout) {
    preflist_free(&layout->preflist);
    ring_free(&layout->ring);
}

static const struct node_id *home(const struct layout *layout, uint16_t partition, uint32_t k) {
    size_t count;
    const struct ring_member *members = ring_members(layout->ring, &count);
    return &members[preflist_homes(layout->preflist, partition)[k]].id;
}

/* How many partitions the busiest member is a home of, or the first home. */
static uint32_t most(const struct layout *layout, uint32_t homes, size_t count) {
    uint32_t *loads = mem_zero(count * sizeof *loads), peak = 0;
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        const uint16_t *list = preflist_homes(layout->preflist, (uint16_t)partition);
        for (uint32_t k = 0; k < homes; k++) {
            uint32_t load = ++loads[list[k]];
            peak = load > peak ? load : peak;
        }
    }
    free(loads);
    return peak;
}

/* How many home places went to a member that was no home of the partition before. */
static uint32_t moved(const struct layout *before, const struct layout *after) {
    uint32_t count = 0;
    for (uint32_t partition = 0; partition < PARTITIONS; partition++) {
        for (uint32_t k = 0; k < N; k++) {
            const struct node_id *now = home(after, (uint16_t)partition, k);
            bool was = false;
            for (uint32_t i = 0; i < N; i++) {
                was = was || memcmp(home(before, (uint16_t)partition, i), now, sizeof *now) == 0;
            }
            count += !was;
        }
    }
    return count;
}

static void compute(uint32_t nodes, uint64_t seed, struct results *results, size_t row) {
    struct prng prng;
    struct ring_member *members = mem_zero((nodes + 1) * sizeof *members);
    prng_seed(&prng, seed);
    for (uint32_t i = 0; i <= nodes; i++) {
        prng_fill(&prng, &members[i].id, sizeof members[i].id);
        members[i].placement = members[i].id;
        members[i].vnodes = VNODES;
    }
    struct layout before = layout_of(members, nodes), after = layout_of(members, nodes + 1);
    double fair = (double)PARTITIONS / nodes;
    results_sample(results, row, PEAK, most(&before, N, nodes) / (fair * N));
    results_sample(results, row, LEAD, most(&before, 1, nodes) / fair);
    results_sample(results, row, MOVED,
                   moved(&before, &after) / ((double)PARTITIONS * N / (nodes + 1)));
    layout_free(&before);
    layout_free(&after);
    free(members);
}

/* ---- measured -------------------------------------------------------------------------------- */

/* Seconds until every running node sees so many up. */
static double await_up(struct lab *lab, uint32_t up) {
    uint64_t from_us = world_now_us(lab->world);
    while (!lab_sees(lab, up) && world_now_us(lab->world) - from_us < LONGEST_US) {
        world_elapse(lab->world, 10000);
    }
    return (double)(world_now_us(lab->world) - from_us) / SECOND_US;
}

/* What an idle cluster says. */
static void measure_idle(struct lab *lab, uint32_t nodes, double *figures) {
    uint64_t seconds = nodes <= LARGE ? IDLE_S : IDLE_LARGE_S;
    double share = 1.0 / nodes / (double)seconds;
    world_elapse(lab->world, seconds * SECOND_US);
    lab_reset_counts(lab);
    world_elapse(lab->world, seconds * SECOND_US);
    const uint64_t *bytes = lab->bytes;
    double gossip = (double)(bytes[WIRE_GOSSIP] + bytes[WIRE_DIGEST] + bytes[WIRE_ENTRIES]);
    double pings = (double)(bytes[WIRE_PING] + bytes[WIRE_PONG]);
    figures[GOSSIP] = gossip * share;
    figures[PINGS] = pings * share;
    figures[COMPARING] = ((double)lab_bytes(lab) - gossip - pings) * share;
    figures[FRAMES] = (double)lab_frames(lab) * share;
}

static bool is_home(const struct node *node, const struct blob *key) {
    uint16_t list[N],
        partition = slot_partition(node_slot(node, key->bytes, key->len), node_partitions(node));
    size_t homes, count = node_preflist(node, partition, list, N, &homes);
    for (size_t i = 0; i < count && i < homes; i++) {
        if (list[i] == MEMBER_SELF) {
            return true;
        }
    }
    return false;
}

/* Writes keys of which `home` is a home, through it. */
static void write_keys(struct lab *lab, uint32_t home, uint32_t keys) {
    struct op **ops = mem_zero(keys * sizeof *ops);
    uint8_t bytes[VALUE_BYTES] = {0};
    struct blob *value = mem_blob(bytes, sizeof bytes);
    for (uint32_t i = 0, number = 0; i < keys; number++) {
        struct lab_register name;
        lab_register_init(&name, "key", number);
        if (is_home(world_node(lab->world, home), name.key)) {
            ops[i++] = world_ask(
                lab->world,
                &(struct op){
                    .kind = CLIENT_WRITE, .node = home, .key = name.key, .value = value, .w = N});
            world_elapse(lab->world, 1000);
        }
        lab_register_free(&name);
    }
    for (uint32_t i = 0; i < keys; i++) {
        mem_must(lab_await(lab, ops[i])->err);
    }
    blob_unref(value);
    free(ops);
}

/* Seconds from the start of a node without its keys until it has all of them again. */
static double measure_refill(struct lab *lab, uint32_t node, const struct store_mem_image *empty,
                             uint32_t keys) {
    struct store *store = world_disk(lab->world, node)->store;
    world_crash(lab->world, node, CRASH_POWER);
    mem_must(store_mem_restore(store, empty));
    world_elapse(lab->world, SECOND_US);
    uint64_t from_us = world_now_us(lab->world);
    mem_must(world_start(lab->world, node));
    while (lab_disk_rows(store) < keys && world_now_us(lab->world) - from_us < LONGEST_US) {
        world_elapse(lab->world, SECOND_US / 10);
    }
    return (double)(world_now_us(lab->world) - from_us) / SECOND_US;
}

static void measure(uint32_t nodes, uint32_t keys, uint64_t seed, double *figures) {
    struct world_conf conf;
    struct store_mem_image *empty;
    lab_conf(&conf, nodes, N, 2, 2, seed);
    conf.node.partitions = WORLD_PARTITIONS;
    conf.node.anti_entropy = true;
    struct lab *lab = lab_make(&conf);
    for (uint32_t i = 0; i < nodes; i++) {
        world_node_conf(lab->world, i)->seed_count = 3; /* as an operator would name them */
    }
    lab_disk_born(lab, &conf);
    lab_form(lab, &conf);
    measure_idle(lab, nodes, figures);
    uint32_t victim = lab_any_node(lab);
    world_elapse(lab->world, prng_below(&lab->prng, SECOND_US)); /* at any time between two pings */
    world_crash(lab->world, victim, CRASH_POWER);
    figures[DEATH] = await_up(lab, nodes - 1);
    mem_must(store_mem_snapshot(world_disk(lab->world, victim)->store, &empty));
    mem_must(world_start(lab->world, victim));
    figures[RETURN] = await_up(lab, nodes);
    write_keys(lab, victim, keys);
    figures[REFILLED] = measure_refill(lab, victim, empty, keys);
    store_mem_image_free(&empty);
    lab_free(&lab);
}

/* All measurements, one world each, seed by seed. */
struct worlds {
    struct experiment_run *run;
    struct results *results;
};

/* Large worlds take as much time as all the others: fewer seeds for them. */
static uint32_t seeds_of(uint32_t nodes, uint32_t seeds) {
    return nodes <= 64 ? seeds : nodes <= 128 ? (seeds + 1) / 2 : (seeds + 2) / 3;
}

/* The size and the seed of a measurement. */
static uint32_t size_of(const struct worlds *worlds, uint32_t number, uint64_t *seed) {
    const uint32_t *size = world_sizes;
    while (number >= seeds_of(*size, worlds->run->seeds)) {
        number -= seeds_of(*size, worlds->run->seeds);
        size++;
    }
    *seed = worlds->run->seed + number;
    return *size;
}

static void measure_world(void *arg, uint32_t number, double *figures) {
    const struct worlds *worlds = arg;
    uint64_t seed;
    uint32_t size = size_of(worlds, number, &seed);
    measure(size, experiment_size(worlds->run, KEYS), seed, figures);
}

static void take_world(void *arg, uint32_t number, const double *figures) {
    struct worlds *worlds = arg;
    uint64_t seed;
    size_t row = results_row(worlds->results, "%u", size_of(worlds, number, &seed));
    for (uint32_t metric = 0; metric < WORLD_METRICS; metric++) {
        results_sample(worlds->results, row, metric, figures[metric]);
    }
}

void experiment_scale(struct experiment_run *run) {
    struct results *ring = experiment_table(
        run, "scale", "scale: 4096 partitions, 256 virtual nodes each, N=3; computed from the ring",
        "nodes", ring_metrics, RING_METRICS);
    struct results *world = experiment_table(
        run, "scale-gossip", "scale: an idle cluster, a death, a return, a lost disk", "nodes",
        world_metrics, WORLD_METRICS);
    size_t ring_sizes = experiment_few(run, COUNT(sizes));
    size_t gossip_sizes = experiment_few(run, COUNT(world_sizes));
    uint32_t measured = 0;
    for (size_t i = 0; i < gossip_sizes; i++) {
        measured += seeds_of(world_sizes[i], run->seeds);
    }
    experiment_steps(run, run->seeds * (uint32_t)ring_sizes + measured);
    for (size_t i = 0; i < ring_sizes; i++) {
        size_t row = results_row(ring, "%u", sizes[i]);
        for (uint32_t s = 0; s < run->seeds; s++) {
            compute(sizes[i], run->seed + s, ring, row);
            experiment_step(run);
        }
    }
    struct worlds worlds = {run, world};
    experiment_split(run, &(struct experiment_split){.count = measured,
                                                     .figures = WORLD_METRICS,
                                                     .arg = &worlds,
                                                     .measure = measure_world,
                                                     .take = take_world});
    struct plot plot;
    plot_init(&plot, "scale", "scale");
    struct plot_panel *panel =
        plot_panel(&plot, "placement", "nodes", "relative to the ideal", PLOT_LINES_LOG_X);
    plot_series(panel, ring, "nodes", "peak_load", NULL, NULL, "peak load");
    plot_series(panel, ring, "nodes", "join_moves", NULL, NULL, "moved by a join");
    panel = plot_panel(&plot, "an idle cluster", "nodes", "bytes per node and second",
                       PLOT_LINES_LOG_X);
    plot_series(panel, world, "nodes", "gossip_bytes_per_node_s", NULL, NULL, "gossip");
    plot_series(panel, world, "nodes", "ping_bytes_per_node_s", NULL, NULL, "pings");
    panel = plot_panel(&plot, "news", "nodes", "seconds until all know", PLOT_LINES_LOG_X);
    plot_series(panel, world, "nodes", "death_known_s", NULL, NULL, "a death");
    plot_series(panel, world, "nodes", "return_known_s", NULL, NULL, "a return");
    panel = plot_panel(&plot, "a lost disk", "nodes", "seconds until full again", PLOT_LINES_LOG_X);
    plot_series(panel, world, "nodes", "refilled_s", NULL, NULL, "");
    experiment_plot(run, &plot);
}
