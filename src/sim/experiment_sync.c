/* sim/experiment_sync: hot keys while frames are lost, by how often nodes gossip and replicas
 * compare; N=4 (R,W)=(1,3) on 4 nodes, 5% of frames lost, no other repair.
 *
 * One client puts and gets in turn, each through any node. It pauses in between, up to 0.1, 2 or
 * 20 s: what is read sooner behind its write than an exchange takes no comparison can have mended.
 * A write goes to all four replicas at once, so that it is the lost frame of the replica that is
 * asked that makes a read stale: 5% of three reads in four. */
#include "sim/experiment.h"
#include "sim/lab.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STALE, LOOSE, FAILED, EXCHANGES, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"stale_percent", "stale %", 2},
    {"stale_loose_percent", "stale, papers' %", 2},
    {"failed_percent", "failed %", 2},
    {"exchanges_per_s", "exchanges/s", 1}};

#define MOST_KEYS 10

/* Rounds of a put and a get of each key; several keys where a world would run for hours. */
struct pace {
    uint32_t longest_ms, rounds, keys;
};

static const struct pace paces[] = {{100, 400, 1}, {2000, 40, 10}, {20000, 30, MOST_KEYS}};
static const uint32_t intervals_ms[] = {20, 50, 100, 1000, 10000, 100000};

static void run_rounds(uint32_t interval_ms, const struct pace *pace, uint32_t rounds,
                       uint64_t seed, double *figures) {
    struct world_conf conf;
    struct lab_tally tally = {0};
    struct lab_register keys[MOST_KEYS];
    uint64_t pause_us = pace->longest_ms * UINT64_C(1000);
    struct node_stats before, after;
    lab_conf(&conf, 4, 4, 1, 3, seed);
    conf.network.drop_ppm = 50000;
    conf.node.anti_entropy = true;
    conf.node.anti_entropy_interval_ms = interval_ms;
    conf.node.gossip_interval_ms = interval_ms;
    struct lab *lab = lab_new(&conf);
    for (uint32_t k = 0; k < pace->keys; k++) {
        lab_register_init(&keys[k], "hot", k);
    }
    world_stats(lab->world, &before);
    uint64_t from_us = world_now_us(lab->world);
    for (uint32_t i = 0; i < rounds; i++) {
        for (uint32_t k = 0; k < pace->keys; k++) {
            lab_tally_write(&tally, lab_write(lab, &keys[k], lab_any_node(lab), 0));
        }
        world_elapse(lab->world, prng_below(&lab->prng, pause_us));
        for (uint32_t k = 0; k < pace->keys; k++) {
            lab_tally_read(&tally, &keys[k], lab_read(lab, &keys[k], lab_any_node(lab), 0));
        }
        world_elapse(lab->world, prng_below(&lab->prng, pause_us));
    }
    world_stats(lab->world, &after);
    figures[STALE] = lab_stale_percent(&tally);
    figures[LOOSE] = lab_loose_percent(&tally);
    figures[FAILED] = lab_failed_percent(&tally);
    figures[EXCHANGES] = (double)(after.antientropy_exchanges - before.antientropy_exchanges) *
                         1e6 / (double)(world_now_us(lab->world) - from_us);
    for (uint32_t k = 0; k < pace->keys; k++) {
        lab_register_free(&keys[k]);
    }
    lab_free(&lab);
}

static uint32_t intervals(const struct experiment_run *run) {
    return (uint32_t)experiment_few(run, COUNT(intervals_ms));
}

/* All settings, seed by seed. */
struct settings {
    struct experiment_run *run;
    struct results *results;
};

static void measure(void *arg, uint32_t number, double *figures) {
    const struct experiment_run *run = ((const struct settings *)arg)->run;
    uint32_t setting = number / run->seeds;
    size_t k = setting / intervals(run), i = setting % intervals(run);
    run_rounds(intervals_ms[i], &paces[k], experiment_size(run, paces[k].rounds),
               run->seed + number % run->seeds, figures);
}

static void take(void *arg, uint32_t number, const double *figures) {
    struct settings *settings = arg;
    const struct experiment_run *run = settings->run;
    uint32_t setting = number / run->seeds;
    size_t row = results_row(settings->results, "%u %u", paces[setting / intervals(run)].longest_ms,
                             intervals_ms[setting % intervals(run)]);
    for (uint32_t metric = 0; metric < METRICS; metric++) {
        results_sample(settings->results, row, metric, figures[metric]);
    }
}

void experiment_sync(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "sync-interval", "sync-interval: N=4 R=1 W=3, 5% of frames lost, hot keys",
        "pause_ms interval_ms", metrics, METRICS);
    uint32_t count = run->seeds * intervals(run) * (uint32_t)experiment_few(run, COUNT(paces));
    experiment_steps(run, count);
    struct settings settings = {run, table};
    experiment_split(run, &(struct experiment_split){.count = count,
                                                     .figures = METRICS,
                                                     .arg = &settings,
                                                     .measure = measure,
                                                     .take = take});
    struct plot plot;
    plot_init(&plot, "sync-interval", "sync-interval: N=4 R=1 W=3, 5% of frames lost");
    struct plot_panel *panel =
        plot_panel(&plot, "stale reads by our definition", "ms between comparisons",
                   "stale reads, %", PLOT_LINES_LOG_X);
    plot_series(panel, table, "interval_ms", "stale_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "by the papers': latest value written", "ms between comparisons",
                       "stale reads, %", PLOT_LINES_LOG_X);
    plot_series(panel, table, "interval_ms", "stale_loose_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "what that costs", "ms between comparisons", "exchanges per second",
                       PLOT_LINES_LOG_X);
    plot_series(panel, table, "interval_ms", "exchanges_per_s", NULL, NULL, "");
    experiment_plot(run, &plot);
}
