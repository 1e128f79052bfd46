/* sim/experiment_latency: latency and throughput by message delay and by R and W; N=5 on 10 nodes,
 * nothing fails.
 *
 * Both experiments make the same runs: 20 clients, each asking again as soon as it is answered, so
 * throughput is the clients' number divided by the mean latency, until disks are busy. A message
 * takes three quarters of its mean delay at least. */
#include "sim/experiment.h"
#include "sim/load.h"

#define NODES 10
#define N 5
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { READ_MS, READ_P99, WRITE_MS, WRITE_P99, RATE, FRAMES, STALE, METRICS };

static const struct results_metric metrics[METRICS] = {
    {"read_ms", "read ms", 1},           {"read_p99_ms", "read p99 ms", 1},
    {"write_ms", "write ms", 1},         {"write_p99_ms", "write p99 ms", 1},
    {"requests_per_s", "requests/s", 0}, {"frames_per_request", "frames/request", 1},
    {"stale_percent", "stale %", 2}};

static const uint32_t quorums[][2] = {{1, 1}, {2, 2}, {3, 3}, {1, 5}, {5, 1}, {5, 5}};
static const uint32_t delays_ms[] = {5, 10, 20, 40, 80};
static const uint32_t client_counts[] = {1, 4, 16, 64, 256};

struct setting {
    uint32_t r, w, delay_ms, clients;
};

static void run_load(const struct setting *setting, uint64_t measured_us, uint64_t seed,
                     struct results *results, size_t row) {
    struct world_conf conf;
    lab_conf(&conf, NODES, N, setting->r, setting->w, seed);
    conf.network.delay_min_us = setting->delay_ms * 750;
    conf.network.delay_mean_us = setting->delay_ms * 250;
    conf.node.request_timeout_ms = 5000; /* no request fails for its delay alone */
    struct lab *lab = lab_new(&conf);
    struct load_conf load_conf = {
        .clients = setting->clients, .keys = 1000, .read_percent = 50, .patience_us = 10000000};
    struct load *load = load_start(lab, &load_conf);
    world_elapse(lab->world, measured_us < 1000000 ? measured_us : 1000000);
    uint64_t from_us = world_now_us(lab->world);
    lab_reset_counts(lab);
    world_elapse(lab->world, measured_us);
    uint64_t to_us = world_now_us(lab->world);
    double frames = (double)(lab->frames[WIRE_READ] + lab->frames[WIRE_READ_ANSWER] +
                             lab->frames[WIRE_WRITE] + lab->frames[WIRE_WRITE_ANSWER] +
                             lab->frames[WIRE_FORWARD] + lab->frames[WIRE_FORWARD_ANSWER]);
    load_stop(load);
    struct load_figures reads = load_figures(load, LOAD_READS, from_us, to_us);
    struct load_figures writes = load_figures(load, LOAD_WRITES, from_us, to_us);
    double served = (double)(reads.served + writes.served);
    results_sample(results, row, READ_MS, reads.mean_ms);
    results_sample(results, row, READ_P99, reads.p99_ms);
    results_sample(results, row, WRITE_MS, writes.mean_ms);
    results_sample(results, row, WRITE_P99, writes.p99_ms);
    results_sample(results, row, RATE, served * 1e6 / (double)measured_us);
    results_sample(results, row, FRAMES, served > 0 ? frames / served : 0);
    results_sample(results, row, STALE, load_stale_percent(load, from_us, to_us));
    load_free(&load);
    lab_free(&lab);
}

/* Longer where requests take longer, so that each setting has about as many. */
static uint64_t measured_us(const struct experiment_run *run, uint32_t delay_ms) {
    return (uint64_t)experiment_size(run, 60) * delay_ms * 1000;
}

static void by_delay(struct experiment_run *run, struct results *table) {
    size_t delays = run->percent < 100 ? 1 : COUNT(delays_ms);
    for (size_t q = 0; q < COUNT(quorums); q++) {
        for (size_t d = 0; d < delays; d++) {
            if (experiment_skips(run, q, COUNT(quorums))) {
                continue;
            }
            struct setting setting = {quorums[q][0], quorums[q][1], delays_ms[d], 20};
            size_t row = results_row(table, "%u %u %u", setting.r, setting.w, setting.delay_ms);
            for (uint32_t s = 0; s < run->seeds; s++) {
                run_load(&setting, measured_us(run, delays_ms[d]), run->seed + s, table, row);
                experiment_step(run);
            }
        }
    }
}

void experiment_latency(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "latency", "latency: N=5 on 10 nodes, 20 clients, half reads, by mean message delay",
        "R W delay_ms", metrics, METRICS);
    experiment_steps(run, run->seeds * (uint32_t)(COUNT(quorums) * COUNT(delays_ms)));
    by_delay(run, table);
    struct plot plot;
    plot_init(&plot, "latency", "latency: N=5 on 10 nodes");
    struct plot_panel *panel =
        plot_panel(&plot, "reads", "mean message delay, ms", "mean latency, ms", PLOT_LINES);
    plot_series(panel, table, "delay_ms", "read_ms", NULL, NULL, "");
    panel = plot_panel(&plot, "writes", "mean message delay, ms", "mean latency, ms", PLOT_LINES);
    plot_series(panel, table, "delay_ms", "write_ms", NULL, NULL, "");
    experiment_plot(run, &plot);
}

static void by_clients(struct experiment_run *run, struct results *table) {
    for (size_t c = 0; c < experiment_few(run, COUNT(client_counts)); c++) {
        struct setting setting = {3, 3, 5, client_counts[c]};
        size_t row = results_row(table, "%u", setting.clients);
        for (uint32_t s = 0; s < run->seeds; s++) {
            run_load(&setting, measured_us(run, 5) / 2, run->seed + s, table, row);
            experiment_step(run);
        }
    }
}

void experiment_throughput(struct experiment_run *run) {
    struct results *table = experiment_table(
        run, "throughput", "throughput: N=5 on 10 nodes, 20 clients, by mean message delay",
        "R W delay_ms", metrics, METRICS);
    struct results *crowds = experiment_table(run, "throughput-clients",
                                              "throughput: R=3 W=3, messages take 5 ms, by clients",
                                              "clients", metrics, METRICS);
    experiment_steps(run, run->seeds *
                              (uint32_t)(COUNT(quorums) * COUNT(delays_ms) + COUNT(client_counts)));
    by_delay(run, table);
    by_clients(run, crowds);
    struct plot plot;
    plot_init(&plot, "throughput", "throughput: N=5 on 10 nodes");
    struct plot_panel *panel =
        plot_panel(&plot, "20 clients", "mean message delay, ms", "requests/s", PLOT_LINES);
    plot_series(panel, table, "delay_ms", "requests_per_s", NULL, NULL, "");
    panel = plot_panel(&plot, "R=3 W=3, messages of 5 ms", "clients", "requests/s", PLOT_LINES_LOG);
    plot_series(panel, crowds, "clients", "requests_per_s", NULL, NULL, "");
    experiment_plot(run, &plot);
}
