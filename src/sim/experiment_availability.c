/* sim/experiment_availability: the fraction of requests that are served while a node dies and comes
 * back, and while the cluster is cut in halves; N=3 on 6 nodes.
 *
 * Requests come at a steady rate to any running node, on both sides of the cut; one that is not
 * answered well within 2 s is not served. */
#include "sim/experiment.h"
#include "sim/load.h"

#define NODES 6
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US UINT64_C(1000000)

enum { READS, WRITES, STALE, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"reads_served_percent", "reads served %", 2},
    {"writes_served_percent", "writes served %", 2},
    {"stale_percent", "stale %", 2}};

static const uint32_t quorums[][2] = {{1, 1}, {2, 2}, {1, 3}, {3, 1}};

/* What happens, in seconds from the start of the load. */
static const struct {
    const char *name;
    uint32_t from_s, to_s;
} phases[] = {
    {"well", 0, 5}, {"killed", 5, 13}, {"back", 13, 20}, {"halves", 20, 30}, {"healed", 30, 40}};

#define END_S 40

static void set_halves(struct lab *lab, bool cut) {
    struct network *network = world_network(lab->world);
    uint64_t now_us = world_now_us(lab->world);
    for (uint32_t a = 0; a < NODES / 2; a++) {
        for (uint32_t b = NODES / 2; b < NODES; b++) {
            network_set_path(network, a, b, cut ? PATH_SILENT : PATH_OPEN, now_us);
            network_set_path(network, b, a, cut ? PATH_SILENT : PATH_OPEN, now_us);
        }
    }
}

static void elapse_to(struct lab *lab, uint64_t start_us, uint32_t second) {
    uint64_t at_us = start_us + second * SECOND_US;
    world_elapse(lab->world, at_us - world_now_us(lab->world));
}

static void sample(const struct load *load, struct results *results, size_t row, uint64_t from_us,
                   uint64_t to_us) {
    struct load_figures reads = load_figures(load, LOAD_READS, from_us, to_us);
    struct load_figures writes = load_figures(load, LOAD_WRITES, from_us, to_us);
    if (reads.asked > 0) {
        results_sample(results, row, READS, 100.0 * (double)reads.served / (double)reads.asked);
    }
    if (writes.asked > 0) {
        results_sample(results, row, WRITES, 100.0 * (double)writes.served / (double)writes.asked);
    }
}

static void run_story(struct experiment_run *run, size_t q, bool sloppy, uint64_t seed,
                      struct results *table, struct results *line) {
    const char *name = sloppy ? "sloppy" : "strict";
    struct world_conf conf;
    uint32_t r = quorums[q][0], w = quorums[q][1];
    lab_conf(&conf, NODES, 3, r, w, seed);
    conf.node.sloppy_quorum = conf.node.hinted_handoff = sloppy;
    struct lab *lab = lab_new(&conf);
    struct load_conf load_conf = {.interval_us = SECOND_US / experiment_size(run, 200),
                                  .keys = 1000,
                                  .read_percent = 50,
                                  .patience_us = 2 * SECOND_US};
    struct load *load = load_start(lab, &load_conf);
    uint64_t start_us = world_now_us(lab->world);
    elapse_to(lab, start_us, phases[1].from_s);
    world_crash(lab->world, 0, CRASH_PROCESS);
    elapse_to(lab, start_us, phases[2].from_s);
    world_start(lab->world, 0);
    elapse_to(lab, start_us, phases[3].from_s);
    set_halves(lab, true);
    elapse_to(lab, start_us, phases[4].from_s);
    set_halves(lab, false);
    elapse_to(lab, start_us, END_S);
    load_stop(load);
    for (size_t p = 0; p < COUNT(phases); p++) {
        size_t row = results_row(table, "%s %u %u %s", name, r, w, phases[p].name);
        uint64_t from_us = start_us + phases[p].from_s * SECOND_US;
        uint64_t to_us = start_us + phases[p].to_s * SECOND_US;
        sample(load, table, row, from_us, to_us);
        results_sample(table, row, STALE, load_stale_percent(load, from_us, to_us));
    }
    for (uint32_t second = 0; second < END_S; second++) {
        sample(load, line, results_row(line, "%s %u %u %u", name, r, w, second),
               start_us + second * SECOND_US, start_us + (second + 1) * SECOND_US);
    }
    load_free(&load);
    lab_free(&lab);
    experiment_step(run);
}

void experiment_availability(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "availability",
        "availability: N=3 on 6 nodes; one is killed at 5 s, back at 13 s; halves from 20 to 30 s",
        "quorum R W phase", metrics, METRICS);
    struct results *line = experiment_table(run, "availability-time", "availability: by second",
                                            "quorum R W second", metrics, METRICS);
    line->quiet = true;
    experiment_steps(run, run->seeds * 2 * (uint32_t)COUNT(quorums));
    for (size_t q = 0; q < 2 * COUNT(quorums); q++) {
        if (experiment_skips(run, q % COUNT(quorums), COUNT(quorums))) {
            continue;
        }
        for (uint32_t s = 0; s < run->seeds; s++) {
            run_story(run, q % COUNT(quorums), q >= COUNT(quorums), run->seed + s, table, line);
        }
    }
    struct plot plot;
    plot_init(&plot, "availability",
              "one of 6 nodes killed at 5 s, back at 13 s; cut in halves from 20 to 30 s");
    static const char *const titles[][2] = {{"strict: reads", "strict: writes"},
                                            {"sloppy: reads", "sloppy: writes"}};
    for (int sloppy = 0; sloppy < 2; sloppy++) {
        for (int write = 0; write < 2; write++) {
            struct plot_panel *panel = plot_panel(&plot, titles[sloppy][write], "seconds",
                                                  "requests served, %", PLOT_LINES);
            plot_series(panel, line, "second", metrics[write].name, "quorum",
                        sloppy ? "sloppy" : "strict", "");
        }
    }
    experiment_plot(run, &plot);
}
