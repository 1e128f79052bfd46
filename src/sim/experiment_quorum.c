/* sim/experiment_quorum: reads that begin 0 to 5 ms after a write has been asked for, acknowledged
 * or not. N=4 on 4 nodes, no repair, nothing is lost.
 *
 * All four (R, W) have R+W>N, so a stale read by our definition is a fault of the code. What the
 * papers count is a read that overtakes its write. */
#include "sim/experiment.h"
#include "sim/lab.h"

enum { STALE, LOOSE, WRITE_MS, READ_MS, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"stale_percent", "stale %", 2},
    {"stale_loose_percent", "stale, papers' %", 2},
    {"write_ms", "write ms", 2},
    {"read_ms", "read ms", 2}};

static const uint32_t quorums[][2] = {{1, 4}, {2, 3}, {3, 4}, {4, 1}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GAPS 6 /* 0, 1 ... 5 ms */
#define MIXED GAPS

struct sums {
    struct lab_tally tally;
    double write_us, read_us;
};

static void one_read(struct lab *lab, struct lab_register *reg, uint64_t gap_us,
                     struct sums *sums) {
    struct op *write = lab_write_later(lab, reg, lab_any_node(lab), 0);
    world_elapse(lab->world, gap_us);
    struct op *read = lab_await(lab, lab_read_later(lab, reg, lab_any_node(lab), 0));
    lab_await(lab, write);
    lab_tally_write(&sums->tally, write);
    lab_tally_read(&sums->tally, reg, read);
    sums->write_us += (double)(write->answered_us - write->asked_us);
    sums->read_us += (double)(read->answered_us - read->asked_us);
    world_elapse(lab->world, 20000); /* every replica has it */
}

static void run_gap(struct experiment_run *run, size_t q, uint32_t gap, uint64_t seed,
                    struct results *results, size_t row) {
    struct world_conf conf;
    struct lab_register reg;
    struct sums sums = {0};
    uint32_t reads = experiment_size(run, gap == MIXED ? 200 : 100);
    lab_conf(&conf, 4, 4, quorums[q][0], quorums[q][1], seed);
    struct lab *lab = lab_new(&conf);
    lab_register_init(&reg, "hot", 0);
    for (uint32_t i = 0; i < reads; i++) {
        one_read(lab, &reg, gap == MIXED ? prng_below(&lab->prng, 5001) : gap * 1000, &sums);
    }
    results_sample(results, row, STALE, lab_stale_percent(&sums.tally));
    results_sample(results, row, LOOSE, lab_loose_percent(&sums.tally));
    results_sample(results, row, WRITE_MS, sums.write_us / 1000 / reads);
    results_sample(results, row, READ_MS, sums.read_us / 1000 / reads);
    lab_register_free(&reg);
    lab_free(&lab);
    experiment_step(run);
}

void experiment_quorum(struct experiment_run *run) {
    struct results *mixed = experiment_table(
        run, "quorum", "quorum: N=4, a read 0 to 5 ms behind each write", "R W", metrics, METRICS);
    struct results *gaps =
        experiment_table(run, "quorum-gap", "quorum: N=4, by the time between write and read",
                         "R W gap_ms", metrics, METRICS);
    experiment_steps(run, run->seeds * (uint32_t)COUNT(quorums) * (GAPS + 1));
    for (size_t q = 0; q < COUNT(quorums); q++) {
        size_t all = results_row(mixed, "%u %u", quorums[q][0], quorums[q][1]);
        for (uint32_t s = 0; s < run->seeds; s++) {
            run_gap(run, q, MIXED, run->seed + s, mixed, all);
        }
        for (uint32_t gap = 0; gap < GAPS; gap++) {
            if (experiment_skips(run, gap, GAPS)) {
                continue;
            }
            size_t row = results_row(gaps, "%u %u %u", quorums[q][0], quorums[q][1], gap);
            for (uint32_t s = 0; s < run->seeds; s++) {
                run_gap(run, q, gap, run->seed + s, gaps, row);
            }
        }
    }
    struct plot plot;
    plot_init(&plot, "quorum", "quorum: a read behind each write, N=4, no repair");
    struct plot_panel *panel =
        plot_panel(&plot, "stale reads by our definition", "ms between write and read",
                   "stale reads, %", PLOT_LINES);
    plot_series(panel, gaps, "gap_ms", "stale_percent", NULL, NULL, "");
    panel = plot_panel(&plot, "by the papers': latest value written", "ms between write and read",
                       "stale reads, %", PLOT_LINES);
    plot_series(panel, gaps, "gap_ms", "stale_loose_percent", NULL, NULL, "");
    experiment_plot(run, &plot);
}
