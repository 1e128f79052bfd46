/* sim/experiment_drops: 10 puts, each followed by a get at each of the 5 replicas, while frames are
 * lost. N=5 on 5 nodes; a get asks with R=1, so that it shows what that replica holds.
 *
 * At once behind the acknowledgement, a get shows who is still to be told; 20 ms later, whom nobody
 * will tell. */
#include "sim/experiment.h"
#include "sim/lab.h"

#define NODES 5

enum { STALE, LOOSE, FAILED_WRITES, FAILED_READS, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"stale_percent", "stale %", 2},
    {"stale_loose_percent", "stale, papers' %", 2},
    {"failed_puts_percent", "failed puts %", 2},
    {"failed_gets_percent", "failed gets %", 2}};

static const uint32_t write_quorums[] = {1, 3, 5};
static const uint32_t waits_ms[] = {0, 20};
static const uint32_t drops[] = {1, 5, 10};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void run_puts(uint32_t puts, uint32_t w, uint32_t drop_percent, uint32_t wait_ms,
                     uint64_t seed, struct results *results, size_t row) {
    struct world_conf conf;
    struct lab_register reg;
    struct lab_tally tally = {0};
    lab_conf(&conf, NODES, NODES, 1, w, seed);
    conf.network.drop_ppm = drop_percent * PPM_PER_PERCENT;
    struct lab *lab = lab_new(&conf);
    lab_register_init(&reg, "key", 0);
    for (uint32_t i = 0; i < puts; i++) {
        lab_tally_write(&tally, lab_write(lab, &reg, lab_any_node(lab), 0));
        world_elapse(lab->world, wait_ms * 1000);
        for (uint32_t node = 0; node < NODES; node++) {
            lab_tally_read(&tally, &reg, lab_read(lab, &reg, node, 0));
        }
    }
    results_sample(results, row, STALE, lab_stale_percent(&tally));
    results_sample(results, row, LOOSE, lab_loose_percent(&tally));
    results_sample(results, row, FAILED_WRITES,
                   100.0 * (double)tally.failed_writes / (double)tally.writes);
    results_sample(results, row, FAILED_READS,
                   100.0 * (double)tally.failed_reads / (double)tally.reads);
    lab_register_free(&reg);
    lab_free(&lab);
}

void experiment_drops(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "drops", "drops: N=5 R=1, 10 puts, each followed by a get at each replica",
        "W wait_ms drop%", metrics, METRICS);
    experiment_steps(run, run->seeds *
                              (uint32_t)(COUNT(write_quorums) * COUNT(waits_ms) * COUNT(drops)));
    for (size_t w = 0; w < COUNT(write_quorums); w++) {
        for (size_t k = 0; k < COUNT(waits_ms); k++) {
            for (size_t d = 0; d < COUNT(drops); d++) {
                if (experiment_skips(run, d, COUNT(drops)) ||
                    experiment_skips(run, w, COUNT(write_quorums))) {
                    continue;
                }
                size_t row =
                    results_row(table, "%u %u %u", write_quorums[w], waits_ms[k], drops[d]);
                for (uint32_t s = 0; s < run->seeds; s++) {
                    run_puts(experiment_size(run, 10), write_quorums[w], drops[d], waits_ms[k],
                             run->seed + s, table, row);
                    experiment_step(run);
                }
            }
        }
    }
    struct plot plot;
    plot_init(&plot, "drops", "drops: 10 puts, each followed by a get at each of 5 replicas");
    struct plot_panel *panel = plot_panel(&plot, "stale gets by our definition", "frames lost, %",
                                          "stale gets, %", PLOT_LINES);
    plot_series(panel, table, "drop%", "stale_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "by the papers': latest value written", "frames lost, %",
                       "stale gets, %", PLOT_LINES);
    plot_series(panel, table, "drop%", "stale_loose_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "failed puts", "frames lost, %", "failed puts, %", PLOT_LINES);
    plot_series(panel, table, "drop%", "failed_puts_percent", "wait_ms", "20", "");
    experiment_plot(run, &plot);
}
