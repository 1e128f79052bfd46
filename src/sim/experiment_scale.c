/* sim/experiment_scale: clusters of 3 to 256 nodes, measured up to 64.
 *
 * Balance, and what a join moves, are computed from ring and preference lists with the defaults of
 * the server (4096 partitions, 256 virtual nodes, N=3). What keeps a cluster together is measured
 * in the world, idle: bytes per node, and the time until all know of a death (a machine without
 * power, which tells nobody) and of its return. */
#include <stdlib.h>
#include <string.h>

#include "sim/experiment.h"
#include "sim/lab.h"
#include "sim/mem.h"

#include "replication/preflist.h"

#define N 3
#define PARTITIONS 4096
#define VNODES 256
#define SECOND_US UINT64_C(1000000)
#define IDLE_S 10
#define LONGEST_US (120 * SECOND_US)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PEAK, LEAD, MOVED, RING_METRICS };

static const struct results_metric ring_metrics[RING_METRICS] = {
    {"peak_load", "peak load / fair", 3},
    {"peak_first", "peak first homes / fair", 3},
    {"join_moves", "join moves / ideal", 3}};

enum { GOSSIP, PINGS, FRAMES, DEATH, RETURN, WORLD_METRICS };

static const struct results_metric world_metrics[WORLD_METRICS] = {
    {"gossip_bytes_per_node_s", "gossip B/node/s", 0},
    {"ping_bytes_per_node_s", "pings B/node/s", 0},
    {"frames_per_node_s", "frames/node/s", 1},
    {"death_known_s", "death known s", 2},
    {"return_known_s", "return known s", 2}};

static const uint32_t sizes[] = {3, 4, 8, 16, 32, 64, 128, 256};
static const uint32_t world_sizes[] = {3, 8, 16, 32, 64};

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

static void measure(uint32_t nodes, uint64_t seed, struct results *results, size_t row) {
    struct world_conf conf;
    lab_conf(&conf, nodes, N, 2, 2, seed);
    conf.node.partitions = 128;
    struct lab *lab = lab_new(&conf);
    world_elapse(lab->world, 10 * SECOND_US);
    lab_reset_counts(lab);
    world_elapse(lab->world, IDLE_S * SECOND_US);
    double gossip =
        (double)(lab->bytes[WIRE_GOSSIP] + lab->bytes[WIRE_DIGEST] + lab->bytes[WIRE_ENTRIES]);
    results_sample(results, row, GOSSIP, gossip / nodes / IDLE_S);
    results_sample(results, row, PINGS, ((double)lab_bytes(lab) - gossip) / nodes / IDLE_S);
    results_sample(results, row, FRAMES, (double)lab_frames(lab) / nodes / IDLE_S);
    uint32_t victim = lab_any_node(lab);
    world_elapse(lab->world, prng_below(&lab->prng, SECOND_US)); /* at any time between two pings */
    world_crash(lab->world, victim, CRASH_POWER);
    results_sample(results, row, DEATH, await_up(lab, nodes - 1));
    mem_must(world_start(lab->world, victim));
    results_sample(results, row, RETURN, await_up(lab, nodes));
    lab_free(&lab);
}

void experiment_scale(struct experiment_run *run) {
    struct results *ring = experiment_table(
        run, "scale", "scale: 4096 partitions, 256 virtual nodes each, N=3; computed from the ring",
        "nodes", ring_metrics, RING_METRICS);
    struct results *world = experiment_table(
        run, "scale-gossip", "scale: an idle cluster, and news of a death and a return", "nodes",
        world_metrics, WORLD_METRICS);
    size_t ring_sizes = experiment_few(run, COUNT(sizes));
    size_t gossip_sizes = experiment_few(run, COUNT(world_sizes));
    experiment_steps(run, run->seeds * (uint32_t)(ring_sizes + gossip_sizes));
    for (size_t i = 0; i < ring_sizes; i++) {
        size_t row = results_row(ring, "%u", sizes[i]);
        for (uint32_t s = 0; s < run->seeds; s++) {
            compute(sizes[i], run->seed + s, ring, row);
            experiment_step(run);
        }
    }
    for (size_t i = 0; i < gossip_sizes; i++) {
        size_t row = results_row(world, "%u", world_sizes[i]);
        for (uint32_t s = 0; s < run->seeds; s++) {
            measure(world_sizes[i], run->seed + s, world, row);
            experiment_step(run);
        }
    }
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
    experiment_plot(run, &plot);
}
