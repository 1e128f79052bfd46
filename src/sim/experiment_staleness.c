/* sim/experiment_staleness: the share of reads that miss a write acknowledged t before, by R and W;
 * N=3 on 3 nodes, no repair; simulated, predicted by a model of what our coordinators do, and
 * predicted by the model of Bailis et al. (PVLDB 2012).
 *
 * Predictions draw delays from the very distributions of the simulated network and disks: once
 * those of one rack, once wide ones with a heavy tail. */
#include <stdio.h>

#include "sim/experiment.h"
#include "sim/lab.h"
#include "sim/pbs.h"

#define N 3
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SIMULATED, OURS, PAPER, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"simulated_percent", "simulated %", 2},
    {"predicted_percent", "predicted %", 2},
    {"predicted_bailis_percent", "Bailis et al. %", 2}};

static const uint32_t quorums[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}};

static const struct {
    const char *name;
    struct network_conf network;
    uint32_t times_us[6];
} nets[] = {
    {"rack",
     {.delay_min_us = 100, .delay_mean_us = 400, .dial_timeout_us = 1000000},
     {0, 250, 500, 1000, 2000, 4000}},
    {"wide",
     {.delay_min_us = 2000,
      .delay_mean_us = 3000,
      .tail_ppm = 50000,
      .tail_us = 100000,
      .dial_timeout_us = 1000000},
     {0, 2500, 5000, 10000, 20000, 40000}},
};

struct delays {
    struct network_conf network;
    struct disk_conf disk;
};

static uint64_t draw_message(void *arg, struct prng *prng) {
    const struct delays *delays = arg;
    return network_draw_delay(&delays->network, prng);
}

static uint64_t draw_commit(void *arg, struct prng *prng) {
    const struct delays *delays = arg;
    return delays->disk.commit_min_us + prng_below(prng, 2 * delays->disk.commit_mean_us + 1);
}

static uint64_t draw_get(void *arg, struct prng *prng) {
    const struct delays *delays = arg;
    return delays->disk.get_min_us + prng_below(prng, 2 * delays->disk.get_mean_us + 1);
}

/* One write, and `t_us` behind its acknowledgement one read, each through a node of its own. */
static void one_read(struct lab *lab, struct lab_register *reg, uint64_t t_us,
                     struct lab_tally *tally) {
    struct op *write = lab_write(lab, reg, lab_any_node(lab), 0);
    world_elapse(lab->world, t_us);
    lab_tally_read(tally, reg, lab_read(lab, reg, lab_any_node(lab), 0));
    lab_tally_write(tally, write);
    world_elapse(lab->world, 250000); /* every replica has it */
}

static double simulate(size_t net, size_t q, uint32_t t_us, uint32_t reads, uint64_t seed) {
    struct world_conf conf;
    struct lab_register reg;
    struct lab_tally tally = {0};
    lab_conf(&conf, N, N, quorums[q][0], quorums[q][1], seed);
    conf.network = nets[net].network;
    conf.turn_us = 0;
    struct lab *lab = lab_new(&conf);
    lab_register_init(&reg, "key", 0);
    for (uint32_t i = 0; i < reads; i++) {
        one_read(lab, &reg, t_us, &tally);
    }
    lab_register_free(&reg);
    lab_free(&lab);
    return lab_stale_percent(&tally);
}

static double predict(enum pbs_model model, size_t net, size_t q, uint32_t t_us, uint32_t trials,
                      uint64_t seed) {
    struct world_conf conf;
    struct prng prng;
    lab_conf(&conf, N, N, 1, 1, seed);
    struct delays delays = {nets[net].network, conf.disk};
    struct pbs pbs = {.model = model,
                      .n = N,
                      .r = quorums[q][0],
                      .w = quorums[q][1],
                      .message = draw_message,
                      .commit = draw_commit,
                      .get = draw_get,
                      .arg = &delays};
    prng_seed(&prng, seed);
    return 100 * pbs_stale(&pbs, t_us, trials, &prng);
}

static void run_case(struct experiment_run *run, size_t net, size_t q, uint32_t t_us,
                     struct results *table) {
    size_t row = results_row(table, "%s %u %u %.2f", nets[net].name, quorums[q][0], quorums[q][1],
                             t_us / 1000.0);
    uint32_t trials = experiment_size(run, 10000);
    for (uint32_t s = 0; s < run->seeds; s++) {
        uint64_t seed = run->seed + s;
        results_sample(table, row, SIMULATED,
                       simulate(net, q, t_us, experiment_size(run, 200), seed));
        results_sample(table, row, OURS, predict(PBS_OURS, net, q, t_us, trials, seed));
        results_sample(table, row, PAPER, predict(PBS_PAPER, net, q, t_us, trials, seed));
        experiment_step(run);
    }
}

void experiment_staleness(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "staleness", "staleness: N=3, reads t ms after a write was acknowledged",
        "net R W t_ms", metrics, METRICS);
    experiment_steps(run, run->seeds *
                              (uint32_t)(COUNT(nets) * COUNT(quorums) * COUNT(nets[0].times_us)));
    for (size_t net = 0; net < COUNT(nets); net++) {
        for (size_t q = 0; q < COUNT(quorums); q++) {
            for (size_t t = 0; t < COUNT(nets[net].times_us); t++) {
                if (experiment_skips(run, t, COUNT(nets[net].times_us)) ||
                    experiment_skips(run, q, COUNT(quorums))) {
                    continue;
                }
                run_case(run, net, q, nets[net].times_us[t], table);
            }
        }
    }
    struct plot plot;
    plot_init(&plot, "staleness",
              "staleness: N=3, no repair, by the time since the acknowledgement");
    static const char *const titles[] = {"one rack: 0.1 ms and 0.4 ms on average",
                                         "wide: 2 ms and 3 ms on average, heavy tail"};
    for (size_t net = 0; net < COUNT(nets); net++) {
        struct plot_panel *panel = plot_panel(
            &plot, titles[net], "t, ms", "stale reads, % (0 is not drawn)", PLOT_LINES_LOG_SHARE);
        plot_series(panel, table, "t_ms", "simulated_percent", "net", nets[net].name, "simulated");
        plot_series(panel, table, "t_ms", "predicted_percent", "net", nets[net].name, "predicted");
    }
    experiment_plot(run, &plot);
}
