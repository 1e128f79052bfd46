/* sim/experiment: measurements in processes of their own, so that all processors are used. What comes back does not depend on how many
 * there are. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/experiment.h"
#include "sim/mem.h"

#define MOST_WORKERS 8

struct worker {
    pid_t pid;
    int from; /* its figures come here */
};

/* Measures every `workers`-th of the numbers from `first` on and writes the figures. Does not return. */
static void work(const struct experiment_split *split, uint32_t first, uint32_t workers, int to) {
    double figures[RESULTS_MAX_METRICS];
    for (uint32_t number = first; number < split->count; number += workers) {
        split->measure(split->arg, number, figures);
        size_t size = split->figures * sizeof *figures;
        if (write(to, figures, size) != (ssize_t)size) { /* less than a pipe takes at once */
            _exit(1);
        }
    }
    _exit(0);
}

static void start(const struct experiment_split *split, struct worker *all, uint32_t i,
                  uint32_t workers) {
    int ends[2];
    fflush(NULL);
    if (pipe(ends) != 0 || (all[i].pid = fork()) < 0) {
        perror("redynamo-sim");
        exit(2);
    }
    if (all[i].pid == 0) {
        close(ends[0]);
        work(split, i, workers, ends[1]);
    }
    close(ends[1]);
    all[i].from = ends[0];
}

static void read_figures(int from, double *figures, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(from, (char *)figures + have, size - have);
        if (got <= 0) {
            fprintf(stderr, "redynamo-sim: a measurement has died\n");
            exit(2);
        }
        have += (size_t)got;
    }
}

void experiment_split(struct experiment_run *run, const struct experiment_split *split) {
    struct worker all[MOST_WORKERS];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t workers = processors < 1              ? 1
                       : processors < MOST_WORKERS ? (uint32_t)processors
                                                   : MOST_WORKERS;
    for (uint32_t i = 0; i < workers; i++) {
        start(split, all, i, workers);
    }
    for (uint32_t number = 0; number < split->count; number++) {
        double figures[RESULTS_MAX_METRICS];
        read_figures(all[number % workers].from, figures, split->figures * sizeof *figures);
        split->take(split->arg, number, figures);
        experiment_step(run);
    }
    for (uint32_t i = 0; i < workers; i++) {
        close(all[i].from);
        waitpid(all[i].pid, NULL, 0);
    }
}
