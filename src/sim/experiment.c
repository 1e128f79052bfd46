/* sim/experiment: what is the same for all: files, gnuplot, progress; see
 * experiment.h. */
#include "sim/experiment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/mem.h"

#define TELL_AFTER_US 2000000 /* who is done before says nothing of progress */
#define TELL_EVERY_US 5000000

uint32_t experiment_size(const struct experiment_run *run, uint32_t whole) {
    uint32_t size = (uint32_t)((uint64_t)whole * run->percent / 100);
    return size > 0 ? size : 1;
}

bool experiment_skips(const struct experiment_run *run, size_t i, size_t count) {
    return run->percent < 100 && i > 0 && i + 1 < count;
}

size_t experiment_few(const struct experiment_run *run, size_t count) {
    return run->percent < 100 && count > 2 ? 2 : count;
}

/* ---- progress -------------------------------------------------------------------------------- */

static uint64_t real_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void experiment_steps(struct experiment_run *run, uint32_t steps) {
    run->steps = steps;
    run->steps_done = 0;
}

void experiment_step(struct experiment_run *run) {
    run->steps_done++;
    uint64_t now_us = real_us();
    if (run->progress == NULL || now_us - run->begun_us < TELL_AFTER_US ||
        now_us - run->told_us < TELL_EVERY_US) {
        return;
    }
    run->told_us = now_us;
    fprintf(run->progress, "%s: %u of %u runs\n", run->name, run->steps_done, run->steps);
    fflush(run->progress);
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum rd_err write_file(const struct experiment_run *run, const char *name,
                              const char *ending, const struct buf *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%s", run->out, name, ending);
    FILE *file = fopen(path, "w");
    bool ok = file != NULL && fwrite(buf_data(text), 1, buf_len(text), file) == buf_len(text);
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok) {
        fprintf(stderr, "redynamo-sim: %s: %s\n", path, strerror(errno));
    }
    return ok ? RD_OK : RD_EIO;
}

/* Runs gnuplot in the folder. Returns its exit status, 127: there is none. */
static int gnuplot(const char *folder, const char *script) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (chdir(folder) == 0) {
            execlp("gnuplot", "gnuplot", script, (char *)NULL);
        }
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

void experiment_plot(struct experiment_run *run, struct plot *plot) {
    struct buf script = {0};
    char name[256];
    plot_script(plot, &script);
    snprintf(name, sizeof name, "%s.gp", plot->name);
    if (run->out != NULL && write_file(run, plot->name, "gp", &script) == RD_OK &&
        !run->no_gnuplot) {
        int status = gnuplot(run->out, name);
        if (status == 127) {
            run->no_gnuplot = true;
            fprintf(stderr, "redynamo-sim: no gnuplot here: its scripts are written, no plots\n");
        } else if (status != 0) {
            fprintf(stderr, "redynamo-sim: gnuplot has failed on %s/%s\n", run->out, name);
        }
    }
    buf_free(&script);
    plot_free(plot);
}

/* ---- running --------------------------------------------------------------------------------- */

struct results *experiment_table(struct experiment_run *run, const char *name, const char *title,
                                 const char *factors, const struct results_metric *metrics,
                                 size_t metric_count) {
    assert(run->result_count < EXPERIMENT_MAX_TABLES);
    assert(strncmp(name, run->name, strlen(run->name)) == 0);
    struct results *results = results_new(name, title, factors, metrics, metric_count);
    run->results[run->result_count++] = results;
    return results;
}

static enum rd_err hand_over(struct experiment_run *run, const struct results *results) {
    struct buf text = {0}, csv = {0};
    enum rd_err err = RD_OK;
    if (!results->quiet) {
        results_text(results, &text);
        fprintf(run->tables, "%.*s\n", (int)buf_len(&text), (const char *)buf_data(&text));
        fflush(run->tables);
    }
    if (run->out != NULL) {
        results_csv(results, &csv);
        err = write_file(run, results->name, "csv", &csv);
    }
    buf_free(&text);
    buf_free(&csv);
    return err;
}

enum rd_err experiment_run(struct experiment_run *run, const struct experiment *experiment) {
    assert(run->seeds > 0 && run->percent > 0);
    if (run->out != NULL && mkdir(run->out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "redynamo-sim: %s: %s\n", run->out, strerror(errno));
        return RD_EIO;
    }
    run->name = experiment->name;
    run->begun_us = run->told_us = real_us();
    run->result_count = 0;
    experiment->run(run);
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < run->result_count; i++) {
        enum rd_err one = hand_over(run, run->results[i]);
        err = err != RD_OK ? err : one;
        results_free(&run->results[i]);
    }
    run->result_count = 0;
    return err;
}
