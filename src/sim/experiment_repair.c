/* sim/experiment_repair: a hot key while frames are lost, with and without read repair.
 *
 * N=4 on 4 nodes; one client puts and gets in turn, each through any node, and waits for each
 * answer. Second table, the headline of the paper: few keys, failures with repair against no
 * failures without it. */
#include "sim/experiment.h"
#include "sim/lab.h"

enum { STALE, LOOSE, FAILED, REPAIRS, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"stale_percent", "stale %", 2},
    {"stale_loose_percent", "stale, papers' %", 2},
    {"failed_percent", "failed %", 2},
    {"read_repairs", "repairs/1000 reads", 1}};

struct setting {
    uint32_t r, w;
    uint32_t drop_percent;
    uint32_t keys;
    bool repair;
};

/* One client, `pairs` times: a put to one of the keys, then a get of it. */
static void run_pairs(const struct setting *setting, uint32_t pairs, uint64_t seed,
                      struct results *results, size_t row) {
    struct world_conf conf;
    struct lab_tally tally = {0};
    struct lab_register keys[16];
    lab_conf(&conf, 4, 4, setting->r, setting->w, seed);
    conf.network.drop_ppm = setting->drop_percent * PPM_PER_PERCENT;
    conf.node.read_repair = setting->repair;
    struct lab *lab = lab_new(&conf);
    for (uint32_t i = 0; i < setting->keys; i++) {
        lab_register_init(&keys[i], "hot", i);
    }
    for (uint32_t i = 0; i < pairs; i++) {
        struct lab_register *key = &keys[prng_below(&lab->prng, setting->keys)];
        lab_tally_write(&tally, lab_write(lab, key, lab_any_node(lab), 0));
        lab_tally_read(&tally, key, lab_read(lab, key, lab_any_node(lab), 0));
    }
    struct node_stats stats;
    world_stats(lab->world, &stats);
    results_sample(results, row, STALE, lab_stale_percent(&tally));
    results_sample(results, row, LOOSE, lab_loose_percent(&tally));
    results_sample(results, row, FAILED, lab_failed_percent(&tally));
    results_sample(results, row, REPAIRS, 1000.0 * (double)stats.read_repairs / (double)pairs);
    for (uint32_t i = 0; i < setting->keys; i++) {
        lab_register_free(&keys[i]);
    }
    lab_free(&lab);
}

static const uint32_t quorums[][2] = {{2, 3}, {1, 4}};
static const uint32_t drops[] = {1, 5, 10};
static const uint32_t few_quorums[][2] = {{1, 2}, {2, 2}, {2, 3}};
static const struct {
    const char *name;
    uint32_t drop_percent;
    bool repair;
} modes[] = {{"calm", 0, false}, {"5%-lost", 5, false}, {"5%-lost+repair", 5, true}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void hot_key(struct experiment_run *run, struct results *table) {
    for (size_t q = 0; q < COUNT(quorums); q++) {
        for (int repair = 0; repair < 2; repair++) {
            for (size_t d = 0; d < COUNT(drops); d++) {
                if (experiment_skips(run, d, COUNT(drops))) {
                    continue;
                }
                struct setting setting = {quorums[q][0], quorums[q][1], drops[d], 1, repair != 0};
                size_t row = results_row(table, "%u %u %s %u", setting.r, setting.w,
                                         repair ? "repair" : "no-repair", drops[d]);
                for (uint32_t s = 0; s < run->seeds; s++) {
                    run_pairs(&setting, experiment_size(run, 100), run->seed + s, table, row);
                    experiment_step(run);
                }
            }
        }
    }
}

static void few_keys(struct experiment_run *run, struct results *table) {
    for (size_t q = 0; q < COUNT(few_quorums); q++) {
        for (size_t m = 0; m < COUNT(modes); m++) {
            if (experiment_skips(run, m, COUNT(modes)) ||
                experiment_skips(run, q, COUNT(few_quorums))) {
                continue;
            }
            struct setting setting = {few_quorums[q][0], few_quorums[q][1], modes[m].drop_percent,
                                      10, modes[m].repair};
            size_t row = results_row(table, "%u %u %s", setting.r, setting.w, modes[m].name);
            for (uint32_t s = 0; s < run->seeds; s++) {
                run_pairs(&setting, experiment_size(run, 200), run->seed + s, table, row);
                experiment_step(run);
            }
        }
    }
}

void experiment_repair(struct experiment_run *run) {
    struct results *hot = experiment_table(
        run, "repair", "repair: N=4, a hot key, 100 puts and gets in turn, frames lost",
        "R W mode drop%", metrics, METRICS);
    struct results *few = experiment_table(
        run, "repair-headline",
        "repair: N=4, 10 keys, 200 puts and gets: failures with repair, no failures without",
        "R W mode", metrics, METRICS);
    experiment_steps(run, run->seeds * (uint32_t)(COUNT(quorums) * 2 * COUNT(drops) +
                                                  COUNT(few_quorums) * COUNT(modes)));
    hot_key(run, hot);
    few_keys(run, few);
    struct plot plot;
    plot_init(&plot, "repair", "repair: a hot key, N=4");
    struct plot_panel *panel = plot_panel(&plot, "stale reads by our definition", "frames lost, %",
                                          "stale reads, %", PLOT_LINES);
    plot_series(panel, hot, "drop%", "stale_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "by the papers': latest value written", "frames lost, %",
                       "stale reads, %", PLOT_LINES);
    plot_series(panel, hot, "drop%", "stale_loose_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "failed requests", "frames lost, %", "failed, %", PLOT_LINES);
    plot_series(panel, hot, "drop%", "failed_percent", NULL, NULL, "");
    experiment_plot(run, &plot);
}
