/* The papers' experiments: what quorums and repair buy, measured on the real replication code.
 *
 * An experiment runs simulated clusters at several settings, each with several seeds, and hands
 * over tables and plots. Which: experiment_list; how they are defined: doc/experiments.md. */
#ifndef RD_SIM_EXPERIMENT_H
#define RD_SIM_EXPERIMENT_H

#include <stdint.h>
#include <stdio.h>

#include "sim/plot.h"
#include "sim/results.h"

#define EXPERIMENT_MAX_TABLES 8

/* One call of the program; the first fields are set by the caller, the rest starts zeroed. */
struct experiment_run {
    uint64_t seed;    /* the first */
    uint32_t seeds;   /* how many; at least 1 */
    uint32_t percent; /* of the default size; 100 but in tests */
    const char *out;  /* folder for CSV and plots; NULL: none are written */
    FILE *tables;     /* where tables go */
    FILE *progress;   /* NULL: nobody wants to know */

    const char *name; /* of the experiment that is under way */
    uint64_t begun_us, told_us;
    uint32_t steps_done, steps;
    struct results *results[EXPERIMENT_MAX_TABLES]; /* owned */
    size_t result_count;
    bool no_gnuplot; /* said once */
};

struct experiment {
    const char *name;
    const char *what; /* one line */
    uint32_t seeds;   /* if the caller does not say */
    void (*run)(struct experiment_run *run);
};

/* All experiments, in the order in which `all` runs them; static storage. */
const struct experiment *experiment_list(size_t *count);

/* By name; NULL: there is none. */
const struct experiment *experiment_find(const char *name);

/* Runs one: prints its tables, writes its files. RD_EIO: a file could not be written (said on
 * stderr). */
enum rd_err experiment_run(struct experiment_run *run, const struct experiment *experiment);

/* ---- for the experiments --------------------------------------------------------------------- */

/* So much of `whole`, for the run's size, at least 1. */
uint32_t experiment_size(const struct experiment_run *run, uint32_t whole);

/* True if a run of its size does not try setting i of `count`: a small one tries the first and the last. */
bool experiment_skips(const struct experiment_run *run, size_t i, size_t count);

/* How many of `count` settings a run of its size tries: all, or the first two. */
size_t experiment_few(const struct experiment_run *run, size_t count);

/* Says how many steps there will be; one has been done. */
void experiment_steps(struct experiment_run *run, uint32_t steps);
void experiment_step(struct experiment_run *run);

/* Measurements 0..count-1. */
struct experiment_split {
    uint32_t count, figures; /* figures: that each gives, at most RESULTS_MAX_METRICS */
    void *arg;
    void (*measure)(void *arg, uint32_t number, double *figures);    /* in a process of its own */
    void (*take)(void *arg, uint32_t number, const double *figures); /* in this one, in order */
};

/* Carries them out, as many at once as there are processors; each is a step of the run. Ends the program if one dies. */
void experiment_split(struct experiment_run *run, const struct experiment_split *split);

/* results_new for a table of the run, printed and written when the experiment ends. Its name begins
 * with the experiment's. Borrowed. */
struct results *experiment_table(struct experiment_run *run, const char *name, const char *title,
                                 const char *factors, const struct results_metric *metrics,
                                 size_t metric_count);

/* Writes the plot's script and lets gnuplot draw it, if files are wanted. Ends the plot. */
void experiment_plot(struct experiment_run *run, struct plot *plot);

/* The experiments, one file each or per family. */
void experiment_repair(struct experiment_run *run);
void experiment_quorum(struct experiment_run *run);
void experiment_latency(struct experiment_run *run);
void experiment_throughput(struct experiment_run *run);
void experiment_failures(struct experiment_run *run);
void experiment_availability(struct experiment_run *run);
void experiment_scale(struct experiment_run *run);
void experiment_sync(struct experiment_run *run);
void experiment_anti_entropy(struct experiment_run *run);
void experiment_staleness(struct experiment_run *run);
void experiment_drops(struct experiment_run *run);

#endif
