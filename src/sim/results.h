/* The results of an experiment: a table whose rows are what was varied and whose cells are samples,
 * one per seed; printed as means with 95% confidence intervals.
 *
 * A row is named by its labels, the values of the factors (R, W, drop ...). Two samples or more
 * give an interval (Student's t, two-sided); a metric without a sample in a row is a dash. All
 * output is a function of the samples: the same samples, the same bytes. */
#ifndef RD_SIM_RESULTS_H
#define RD_SIM_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define RESULTS_MAX_FACTORS 6
#define RESULTS_MAX_METRICS 12
#define RESULTS_LABEL_BYTES 32 /* with the terminating zero */

struct results_metric {
    const char *name;  /* of the CSV column; no commas */
    const char *head;  /* of the printed column: name and unit */
    unsigned decimals; /* when printed; CSV has three more */
};

struct results_cell {
    double *samples; /* owned */
    size_t count, cap;
};

struct results_row {
    char labels[RESULTS_MAX_FACTORS][RESULTS_LABEL_BYTES];
    struct results_cell cells[RESULTS_MAX_METRICS];
};

struct results {
    const char *name;  /* of its files; borrowed, as are all texts */
    const char *title; /* one line above the table */
    bool quiet;        /* for plots: a CSV file is made of it, and nobody prints it */
    char factors[RESULTS_MAX_FACTORS][RESULTS_LABEL_BYTES];
    size_t factor_count;
    const struct results_metric *metrics;
    size_t metric_count;
    struct results_row *rows; /* owned; in the order of their first mention */
    size_t row_count, row_cap;
};

/* An empty table. `factors`: names separated by spaces. `name`, `title` and `metrics` are borrowed
 * for its lifetime. Free with results_free. */
struct results *results_new(const char *name, const char *title, const char *factors,
                            const struct results_metric *metrics, size_t metric_count);

/* Frees and nulls; NULL in it is ignored. */
void results_free(struct results **results);

/* The row with these labels, separated by spaces, one per factor (asserts that), without commas and
 * quotes; added if it is new. Returns its index. */
size_t results_row(struct results *results, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a sample to a cell. */
void results_sample(struct results *results, size_t row, size_t metric, double value);

/* The mean of a cell and half the width of its interval (0 with fewer than two samples). False: it
 * has no samples. */
bool results_mean(const struct results *results, size_t row, size_t metric, double *mean,
                  double *half);

/* The mean of `count` > 0 samples and half the width of the 95% confidence interval around it. */
void results_interval(const double *samples, size_t count, double *mean, double *half);

/* The index of a factor or metric by name; asserts that there is one. */
size_t results_factor(const struct results *results, const char *name);
size_t results_metric(const struct results *results, const char *name);

/* Appends the table as text: a title, a head, one line per row, "mean +-half" in each cell. */
void results_text(const struct results *results, struct buf *out);

/* Appends the table as CSV: factors, then two columns per metric, mean and half the interval, then
 * how many samples the row's fullest cell has. */
void results_csv(const struct results *results, struct buf *out);

#endif
