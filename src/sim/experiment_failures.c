/* sim/experiment_failures: latency while 0, 1 or 2 of 10 nodes have failed; N=5, messages take 5 ms
 * on average.
 *
 * A node is killed (the system says goodbye for it), loses its power (nobody is told), or stands
 * still (its connections stay). Each request that waits for a failed node would wait for its
 * timeout: that is how a mean of 14 ms becomes one of 140. */
#include <stdio.h>

#include "sim/experiment.h"
#include "sim/load.h"

#define NODES 10
#define N 5
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_US UINT64_C(1000000)
#define BEFORE_US SECOND_US
#define AFTER_US (6 * SECOND_US)
#define WINDOW_US (SECOND_US / 2)

enum { READ_MS, RATIO, READ_P99, FIRST_MS, WRITE_MS, FAILED, STALE, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"read_ms", "read ms", 1},         {"read_ratio", "x before", 2},
    {"read_p99_ms", "read p99 ms", 1}, {"first_second_read_ms", "first second ms", 1},
    {"write_ms", "write ms", 1},       {"failed_percent", "failed %", 2},
    {"stale_percent", "stale %", 2}};

enum { LINE_MEAN, LINE_P99, LINE_WRITE, LINE_SERVED, LINE_METRICS };

static const struct results_metric line_metrics[LINE_METRICS] = {{"read_ms", "read ms", 1},
                                                                 {"read_p99_ms", "read p99 ms", 1},
                                                                 {"write_ms", "write ms", 1},
                                                                 {"served_percent", "served %", 2}};

static const uint32_t quorums[][2] = {{1, 1}, {2, 2}, {3, 3}};

enum failing { KILLED, POWER, STILL, WAYS };
static const char *const way_names[WAYS] = {"killed", "power", "still"};

struct setting {
    uint32_t r, w, failed;
    enum failing way;
};

static void fail(struct lab *lab, enum failing way) {
    uint32_t node = lab_any_node(lab);
    if (way == STILL) {
        world_pause(lab->world, node);
    } else {
        world_crash(lab->world, node, way == KILLED ? CRASH_PROCESS : CRASH_POWER);
    }
}

static void take_line(const struct load *load, uint64_t failure_us, struct results *line,
                      const struct setting *setting) {
    uint64_t at_us = failure_us - BEFORE_US;
    for (; at_us < failure_us + AFTER_US; at_us += WINDOW_US) {
        struct load_figures reads = load_figures(load, LOAD_READS, at_us, at_us + WINDOW_US);
        struct load_figures writes = load_figures(load, LOAD_WRITES, at_us, at_us + WINDOW_US);
        double middle_s = ((double)at_us + WINDOW_US / 2.0 - (double)failure_us) / SECOND_US;
        size_t row =
            results_row(line, "%s %u %.2f", way_names[setting->way], setting->failed, middle_s);
        uint64_t asked = reads.asked + writes.asked;
        if (reads.served > 0) {
            results_sample(line, row, LINE_MEAN, reads.mean_ms);
            results_sample(line, row, LINE_P99, reads.p99_ms);
        }
        if (writes.served > 0) {
            results_sample(line, row, LINE_WRITE, writes.mean_ms);
        }
        if (asked > 0) {
            results_sample(line, row, LINE_SERVED,
                           100.0 * (double)(reads.served + writes.served) / (double)asked);
        }
    }
}

static void take(const struct load *load, uint64_t failure_us, struct results *results,
                 size_t row) {
    struct load_figures before = load_figures(load, LOAD_READS, failure_us - BEFORE_US, failure_us);
    struct load_figures reads = load_figures(load, LOAD_READS, failure_us, failure_us + AFTER_US);
    struct load_figures first = load_figures(load, LOAD_READS, failure_us, failure_us + SECOND_US);
    struct load_figures writes = load_figures(load, LOAD_WRITES, failure_us, failure_us + AFTER_US);
    uint64_t asked = reads.asked + writes.asked;
    results_sample(results, row, READ_MS, reads.mean_ms);
    if (before.served > 0) {
        results_sample(results, row, RATIO, reads.mean_ms / before.mean_ms);
    }
    results_sample(results, row, READ_P99, reads.p99_ms);
    results_sample(results, row, FIRST_MS, first.mean_ms);
    results_sample(results, row, WRITE_MS, writes.mean_ms);
    results_sample(results, row, STALE,
                   load_stale_percent(load, failure_us - BEFORE_US, failure_us + AFTER_US));
    if (asked > 0) {
        results_sample(results, row, FAILED,
                       100.0 * (double)(asked - reads.served - writes.served) / (double)asked);
    }
}

static void run_failure(struct experiment_run *run, const struct setting *setting, uint64_t seed,
                        struct results *results, size_t row, struct results *line) {
    struct world_conf conf;
    lab_conf(&conf, NODES, N, setting->r, setting->w, seed);
    conf.network.delay_min_us = 3750;
    conf.network.delay_mean_us = 1250;
    struct lab *lab = lab_new(&conf);
    struct load_conf load_conf = {.clients = experiment_size(run, 4),
                                  .keys = 1000,
                                  .read_percent = 50,
                                  .patience_us = 2 * SECOND_US};
    struct load *load = load_start(lab, &load_conf);
    world_elapse(lab->world, SECOND_US / 2 + BEFORE_US);
    uint64_t failure_us = world_now_us(lab->world);
    for (uint32_t i = 0; i < setting->failed; i++) {
        fail(lab, setting->way);
    }
    world_elapse(lab->world, AFTER_US);
    load_stop(load);
    take(load, failure_us, results, row);
    if (setting->r == 3) {
        take_line(load, failure_us, line, setting);
    }
    load_free(&load);
    lab_free(&lab);
    experiment_step(run);
}

static void run_way(struct experiment_run *run, enum failing way, uint32_t failed,
                    struct results *table, struct results *line) {
    for (size_t i = 0; i < COUNT(quorums); i++) {
        if (experiment_skips(run, i, COUNT(quorums))) {
            continue;
        }
        size_t q = COUNT(quorums) - 1 - i; /* R=3 first: it is plotted */
        struct setting setting = {quorums[q][0], quorums[q][1], failed, way};
        size_t row = results_row(table, "%s %u %u %u", failed > 0 ? way_names[way] : "none",
                                 setting.r, setting.w, failed);
        for (uint32_t s = 0; s < run->seeds; s++) {
            run_failure(run, &setting, run->seed + s, table, row, line);
        }
    }
}

void experiment_failures(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "failures",
        "failures: N=5 on 10 nodes, messages take 5 ms, the 6 s after 0, 1, 2 nodes fail",
        "way R W failed", metrics, METRICS);
    struct results *line =
        experiment_table(run, "failures-time", "failures: R=3 W=3, over time, in windows of 0.5 s",
                         "way failed second", line_metrics, LINE_METRICS);
    line->quiet = true;
    experiment_steps(run, run->seeds * (uint32_t)COUNT(quorums) * (1 + 2 * WAYS));
    run_way(run, KILLED, 0, table, line);
    for (int way = 0; way < WAYS; way++) {
        for (uint32_t failed = 1; failed <= 2 && !experiment_skips(run, (size_t)way + 1, WAYS + 1);
             failed += run->percent < 100 ? 2 : 1) {
            run_way(run, (enum failing)way, failed, table, line);
        }
    }
    struct plot plot;
    plot_init(&plot, "failures", "failures at second 0: N=5 R=3 W=3 on 10 nodes");
    for (int way = 0; way < WAYS; way++) {
        static const char *const titles[WAYS] = {"killed: the peers are told",
                                                 "power lost: nobody is told",
                                                 "stands still: connections stay"};
        struct plot_panel *panel =
            plot_panel(&plot, titles[way], "seconds", "mean read latency, ms", PLOT_LINES);
        plot_series(panel, line, "second", "read_ms", "way", way_names[way], "");
    }
    experiment_plot(run, &plot);
}
