/* sim/experiment_sync: a hot key while frames are lost, by how often nodes gossip and replicas
 * compare; N=4 (R,W)=(1,3) on 4 nodes, 5% of frames lost, no other repair.
 *
 * One client puts and gets in turn, each through any node, pausing up to 0.1 or 2 s in between:
 * what is read right behind its write no comparison can have mended. */
#include "sim/experiment.h"
#include "sim/lab.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STALE, LOOSE, FAILED, EXCHANGES, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"stale_percent", "stale %", 2},
    {"stale_loose_percent", "stale, papers' %", 2},
    {"failed_percent", "failed %", 2},
    {"exchanges_per_s", "exchanges/s", 1}};

static const struct { uint32_t longest_ms, pairs; } pauses[] = {{100, 400}, {2000, 250}};
static const uint32_t intervals_ms[] = {20, 50, 100, 1000, 100000};

static void run_pairs(uint32_t interval_ms, uint64_t pause_us, uint32_t pairs, uint64_t seed,
                      double *figures) {
    struct world_conf conf;
    struct lab_tally tally = {0};
    struct lab_register hot;
    struct node_stats before, after;
    lab_conf(&conf, 4, 4, 1, 3, seed);
    conf.network.drop_ppm = 50000;
    conf.node.anti_entropy = true;
    conf.node.anti_entropy_interval_ms = interval_ms;
    conf.node.gossip_interval_ms = interval_ms < 1000 ? interval_ms : 1000;
    struct lab *lab = lab_new(&conf);
    lab_register_init(&hot, "hot", 0);
    world_stats(lab->world, &before);
    uint64_t from_us = world_now_us(lab->world);
    for (uint32_t i = 0; i < pairs; i++) {
        lab_tally_write(&tally, lab_write(lab, &hot, lab_any_node(lab), 0));
        world_elapse(lab->world, prng_below(&lab->prng, pause_us));
        lab_tally_read(&tally, &hot, lab_read(lab, &hot, lab_any_node(lab), 0));
        world_elapse(lab->world, prng_below(&lab->prng, pause_us));
    }
    world_stats(lab->world, &after);
    figures[STALE] = lab_stale_percent(&tally);
    figures[LOOSE] = lab_loose_percent(&tally);
    figures[FAILED] = lab_failed_percent(&tally);
    figures[EXCHANGES] = (double)(after.antientropy_exchanges - before.antientropy_exchanges) *
                         1e6 / (double)(world_now_us(lab->world) - from_us);
    lab_register_free(&hot);
    lab_free(&lab);
}

/* All settings, seed by seed. */
struct settings {
    struct experiment_run *run;
    struct results *results;
};

static void measure(void *arg, uint32_t number, double *figures) {
    const struct experiment_run *run = ((const struct settings *)arg)->run;
    uint32_t setting = number / run->seeds;
    size_t k = setting / COUNT(intervals_ms), i = setting % COUNT(intervals_ms);
    run_pairs(intervals_ms[i], pauses[k].longest_ms * 1000, experiment_size(run, pauses[k].pairs),
              run->seed + number % run->seeds, figures);
}

static void take(void *arg, uint32_t number, const double *figures) {
    struct settings *settings = arg;
    uint32_t setting = number / settings->run->seeds;
    size_t row =
        results_row(settings->results, "%u %u", pauses[setting / COUNT(intervals_ms)].longest_ms,
                    intervals_ms[setting % COUNT(intervals_ms)]);
    for (uint32_t metric = 0; metric < METRICS; metric++) {
        results_sample(settings->results, row, metric, figures[metric]);
    }
}

void experiment_sync(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "sync-interval", "sync-interval: N=4 R=1 W=3, 5% of frames lost, a hot key",
        "pause_ms interval_ms", metrics, METRICS);
    experiment_steps(run, run->seeds * (uint32_t)(COUNT(intervals_ms) * COUNT(pauses)));
    struct settings settings = {run, table};
    experiment_split(run, &(struct experiment_split){
                              .count = run->seeds * (uint32_t)(COUNT(intervals_ms) * COUNT(pauses)),
                              .figures = METRICS,
                              .arg = &settings,
                              .measure = measure,
                              .take = take});
    struct plot plot;
    plot_init(&plot, "sync-interval", "sync-interval: N=4 R=1 W=3, 5% of frames lost");
    struct plot_panel *panel = plot_panel(&plot, "stale reads", "ms between comparisons",
                                          "stale reads, %", PLOT_LINES_LOG_X);
    plot_series(panel, table, "interval_ms", "stale_percent", NULL, NULL, "our definition");
    plot_series(panel, table, "interval_ms", "stale_loose_percent", NULL, NULL, "the papers'");
    experiment_plot(run, &plot);
}
