/* sim/results: see results.h. */
#include "sim/results.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"

#define CELL_BYTES 64

/* Splits text at spaces into `out`; returns how many words there were. */
static size_t split(const char *text, char out[][RESULTS_LABEL_BYTES]) {
    size_t count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        assert(len > 0 && len < RESULTS_LABEL_BYTES && count < RESULTS_MAX_FACTORS);
        assert(strcspn(text, ",\"") >= len); /* CSV needs no quotes */
        memcpy(out[count], text, len);
        out[count++][len] = '\0';
        text += len + strspn(text + len, " ");
    }
    return count;
}

struct results *results_new(const char *name, const char *title, const char *factors,
                            const struct results_metric *metrics, size_t metric_count) {
    assert(metric_count > 0 && metric_count <= RESULTS_MAX_METRICS);
    struct results *results = mem_zero(sizeof *results);
    results->name = name;
    results->title = title;
    results->factor_count = split(factors, results->factors);
    results->metrics = metrics;
    results->metric_count = metric_count;
    assert(results->factor_count > 0);
    return results;
}

void results_free(struct results **handle) {
    struct results *results = *handle;
    if (results == NULL) {
        return;
    }
    for (size_t i = 0; i < results->row_count; i++) {
        for (size_t k = 0; k < results->metric_count; k++) {
            free(results->rows[i].cells[k].samples);
        }
    }
    free(results->rows);
    free(results);
    *handle = NULL;
}

size_t results_row(struct results *results, const char *format, ...) {
    char text[RESULTS_MAX_FACTORS * RESULTS_LABEL_BYTES];
    struct results_row row = {0};
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(len > 0 && len < (int)sizeof text);
    size_t labels = split(text, row.labels);
    assert(labels == results->factor_count);
    (void)labels;
    for (size_t i = 0; i < results->row_count; i++) {
        if (memcmp(results->rows[i].labels, row.labels, sizeof row.labels) == 0) {
            return i;
        }
    }
    results->rows = mem_grow(results->rows, &results->row_cap, results->row_count + 1, sizeof row);
    results->rows[results->row_count] = row;
    return results->row_count++;
}

void results_sample(struct results *results, size_t row, size_t metric, double value) {
    assert(row < results->row_count && metric < results->metric_count);
    struct results_cell *cell = &results->rows[row].cells[metric];
    cell->samples = mem_grow(cell->samples, &cell->cap, cell->count + 1, sizeof value);
    cell->samples[cell->count++] = value;
}

/* ---- statistics ------------------------------------------------------------------------------ */

/* Student's t for 97.5% by degrees of freedom; beyond the table, the value of its end, which is
 * wider than true. */
static double student_t(size_t freedom) {
    static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                   2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                   2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                   2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
    size_t last = sizeof table / sizeof table[0];
    assert(freedom > 0);
    return freedom <= last ? table[freedom - 1] : freedom < 120 ? table[last - 1] : 1.980;
}

void results_interval(const double *samples, size_t count, double *mean, double *half) {
    assert(count > 0);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += samples[i];
    }
    *mean = sum / (double)count;
    *half = 0;
    if (count < 2) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        squares += (samples[i] - *mean) * (samples[i] - *mean);
    }
    double n = (double)count;
    *half = student_t(count - 1) * sqrt(squares / (n - 1) / n);
}

bool results_mean(const struct results *results, size_t row, size_t metric, double *mean,
                  double *half) {
    const struct results_cell *cell = &results->rows[row].cells[metric];
    if (cell->count == 0) {
        return false;
    }
    results_interval(cell->samples, cell->count, mean, half);
    return true;
}

size_t results_factor(const struct results *results, const char *name) {
    size_t i = 0;
    while (i < results->factor_count && strcmp(results->factors[i], name) != 0) {
        i++;
    }
    assert(i < results->factor_count);
    return i;
}

size_t results_metric(const struct results *results, const char *name) {
    size_t i = 0;
    while (i < results->metric_count && strcmp(results->metrics[i].name, name) != 0) {
        i++;
    }
    assert(i < results->metric_count);
    return i;
}

/* ---- output ---------------------------------------------------------------------------------- */

static size_t most_samples(const struct results_row *row, size_t metrics) {
    size_t most = 0;
    for (size_t k = 0; k < metrics; k++) {
        most = row->cells[k].count > most ? row->cells[k].count : most;
    }
    return most;
}

static void cell_text(const struct results *results, size_t row, size_t metric, char *out) {
    double mean, half;
    int decimals = (int)results->metrics[metric].decimals;
    if (!results_mean(results, row, metric, &mean, &half)) {
        snprintf(out, CELL_BYTES, "-");
    } else if (results->rows[row].cells[metric].count < 2) {
        snprintf(out, CELL_BYTES, "%.*f", decimals, mean);
    } else {
        snprintf(out, CELL_BYTES, "%.*f +-%.*f", decimals, mean, decimals, half);
    }
}

/* How wide column `column` is: factors first, then metrics. */
static size_t width_of(const struct results *results, size_t column) {
    bool factor = column < results->factor_count;
    size_t metric = factor ? 0 : column - results->factor_count;
    size_t width = strlen(factor ? results->factors[column] : results->metrics[metric].head);
    for (size_t i = 0; i < results->row_count; i++) {
        char text[CELL_BYTES];
        if (factor) {
            snprintf(text, sizeof text, "%s", results->rows[i].labels[column]);
        } else {
            cell_text(results, i, metric, text);
        }
        width = strlen(text) > width ? strlen(text) : width;
    }
    return width;
}

void results_text(const struct results *results, struct buf *out) {
    size_t widths[RESULTS_MAX_FACTORS + RESULTS_MAX_METRICS];
    size_t columns = results->factor_count + results->metric_count;
    for (size_t i = 0; i < columns; i++) {
        widths[i] = width_of(results, i);
    }
    mem_printf(out, "%s\n", results->title);
    for (size_t i = 0; i < columns; i++) {
        bool factor = i < results->factor_count;
        mem_printf(out, "  %*s", (int)widths[i],
                   factor ? results->factors[i] : results->metrics[i - results->factor_count].head);
    }
    mem_printf(out, "\n");
    for (size_t row = 0; row < results->row_count; row++) {
        for (size_t i = 0; i < columns; i++) {
            char text[CELL_BYTES];
            if (i < results->factor_count) {
                snprintf(text, sizeof text, "%s", results->rows[row].labels[i]);
            } else {
                cell_text(results, row, i - results->factor_count, text);
            }
            mem_printf(out, "  %*s", (int)widths[i], text);
        }
        mem_printf(out, "\n");
    }
}

void results_csv(const struct results *results, struct buf *out) {
    for (size_t i = 0; i < results->factor_count; i++) {
        mem_printf(out, "%s,", results->factors[i]);
    }
    for (size_t k = 0; k < results->metric_count; k++) {
        mem_printf(out, "%s,%s_ci95,", results->metrics[k].name, results->metrics[k].name);
    }
    mem_printf(out, "samples\n");
    for (size_t row = 0; row < results->row_count; row++) {
        for (size_t i = 0; i < results->factor_count; i++) {
            mem_printf(out, "%s,", results->rows[row].labels[i]);
        }
        for (size_t k = 0; k < results->metric_count; k++) {
            double mean, half;
            int decimals = (int)results->metrics[k].decimals + 3;
            if (!results_mean(results, row, k, &mean, &half)) {
                mem_printf(out, ",,");
            } else if (results->rows[row].cells[k].count < 2) {
                mem_printf(out, "%.*f,,", decimals, mean);
            } else {
                mem_printf(out, "%.*f,%.*f,", decimals, mean, decimals, half);
            }
        }
        mem_printf(out, "%zu\n", most_samples(&results->rows[row], results->metric_count));
    }
}
