/* sim/plot: see plot.h. */
#include "sim/plot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"

#define PANEL_WIDTH 440
#define PLOT_HEIGHT 460

void plot_init(struct plot *plot, const char *name, const char *title) {
    *plot = (struct plot){.name = name, .title = title};
}

void plot_free(struct plot *plot) {
    for (size_t i = 0; i < plot->panel_count; i++) {
        buf_free(&plot->panels[i].data);
        buf_free(&plot->panels[i].clause);
    }
    *plot = (struct plot){0};
}

struct plot_panel *plot_panel(struct plot *plot, const char *title, const char *x, const char *y,
                              enum plot_style style) {
    assert(plot->panel_count < PLOT_MAX_PANELS);
    struct plot_panel *panel = &plot->panels[plot->panel_count++];
    *panel = (struct plot_panel){.title = title, .x = x, .y = y, .style = style};
    return panel;
}

/* ---- series ---------------------------------------------------------------------------------- */

struct selection {
    const struct results *results;
    size_t x, metric;
    size_t filter; /* SIZE_MAX: none */
    const char *filter_value;
};

static bool selected(const struct selection *selection, size_t row) {
    const struct results *results = selection->results;
    return results->rows[row].cells[selection->metric].count > 0 &&
           (selection->filter == SIZE_MAX ||
            strcmp(results->rows[row].labels[selection->filter], selection->filter_value) == 0);
}

/* Two rows are of one series if they differ in x alone. */
static bool same_series(const struct selection *selection, size_t a, size_t b) {
    const struct results *results = selection->results;
    for (size_t i = 0; i < results->factor_count; i++) {
        if (i != selection->x &&
            strcmp(results->rows[a].labels[i], results->rows[b].labels[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool begins_series(const struct selection *selection, size_t row) {
    for (size_t before = 0; before < row; before++) {
        if (selected(selection, before) && same_series(selection, before, row)) {
            return false;
        }
    }
    return true;
}

static void series_name(const struct selection *selection, size_t row, const char *prefix,
                        struct buf *out) {
    const struct results *results = selection->results;
    mem_printf(out, "%s", prefix);
    const char *between = prefix[0] != '\0' ? " " : "";
    for (size_t i = 0; i < results->factor_count; i++) {
        const char *label = results->rows[row].labels[i];
        if (i == selection->x || i == selection->filter || strcmp(label, "-") == 0) {
            continue;
        }
        bool number = label[0] >= '0' && label[0] <= '9';
        mem_printf(out, "%s%s%s%s", between, number ? results->factors[i] : "", number ? "=" : "",
                   label);
        between = " ";
    }
}

static void add_series(struct plot_panel *panel, const struct selection *selection, size_t first,
                       size_t block, const char *prefix) {
    const struct results *results = selection->results;
    mem_printf(&panel->data, "$d%zu << END\n", block);
    for (size_t row = first; row < results->row_count; row++) {
        double mean, half;
        if (!selected(selection, row) || !same_series(selection, first, row)) {
            continue;
        }
        results_mean(results, row, selection->metric, &mean, &half);
        mem_printf(&panel->data, "\"%s\" %.6g %.6g\n", results->rows[row].labels[selection->x],
                   mean, half);
    }
    mem_printf(&panel->data, "END\n");
    mem_printf(&panel->clause, "%s$d%zu using ", panel->series > 0 ? ", \\\n     " : "plot ",
               block);
    mem_printf(&panel->clause, "%s title \"",
               panel->style == PLOT_BARS ? "2:3:xtic(1)"
                                         : "(real(strcol(1))):2:3 with yerrorlines lw 1.5");
    series_name(selection, first, prefix, &panel->clause);
    mem_printf(&panel->clause, "\"");
    panel->series++;
}

void plot_series(struct plot_panel *panel, const struct results *results, const char *x,
                 const char *metric, const char *filter_factor, const char *filter_value,
                 const char *prefix) {
    struct selection selection = {
        .results = results,
        .x = results_factor(results, x),
        .metric = results_metric(results, metric),
        .filter = filter_factor != NULL ? results_factor(results, filter_factor) : SIZE_MAX,
        .filter_value = filter_value};
    for (size_t row = 0; row < results->row_count; row++) {
        if (selected(&selection, row) && begins_series(&selection, row)) {
            add_series(panel, &selection, row, panel->series, prefix);
        }
    }
}

/* ---- the script ------------------------------------------------------------------------------ */

/* Data blocks are numbered per panel; a panel is drawn before the next defines them anew. */
static void panel_script(const struct plot_panel *panel, struct buf *out) {
    bool log_x = panel->style == PLOT_LINES_LOG_X || panel->style == PLOT_LINES_LOG;
    const char *linear =
        strchr(panel->y, '%') != NULL ? "set yrange [0:1<*<105]\n" : "set yrange [0:1<*]\n";
    mem_append(out, buf_data(&panel->data), buf_len(&panel->data));
    mem_printf(out, "set title \"%s\"\nset xlabel \"%s\" offset 0,0.6\nset ylabel \"%s\"\n",
               panel->title, panel->x, panel->y);
    mem_printf(out, "unset logscale\n%s%s", log_x ? "set logscale x\n" : "",
               panel->style == PLOT_LINES_LOG         ? "set logscale y\nset yrange [*:*]\n"
               : panel->style == PLOT_LINES_LOG_SHARE ? "set logscale y\nset yrange [0.05:100]\n"
                                                      : linear);
    mem_printf(out, "%s",
               panel->style == PLOT_BARS
                   ? "set style data histograms\nset style histogram errorbars gap 2 lw 1\n"
                     "set style fill solid 0.6 border -1\nset xrange [*:*]\nset auto x\n"
                   : "set style data lines\nset xrange [*:*]\nset xtics auto\n");
    mem_append(out, buf_data(&panel->clause), buf_len(&panel->clause));
    mem_printf(out, "\n");
}

static void page(const struct plot *plot, const char *terminal, const char *ending,
                 struct buf *out) {
    mem_printf(out,
               "set terminal %s size %zu,%d\nset output \"%s.%s\"\n"
               "set multiplot layout 1,%zu title \"%s\"\n",
               terminal, plot->panel_count * PANEL_WIDTH, PLOT_HEIGHT, plot->name, ending,
               plot->panel_count, plot->title);
    for (size_t i = 0; i < plot->panel_count; i++) {
        panel_script(&plot->panels[i], out);
    }
    mem_printf(out, "unset multiplot\nunset output\n");
}

void plot_script(const struct plot *plot, struct buf *out) {
    mem_printf(out, "# gnuplot %s.gp draws %s.svg and %s.png\n", plot->name, plot->name,
               plot->name);
    mem_printf(out, "set key bmargin center horizontal samplen 2 width 2 maxrows 4\nset grid ytics "
                    "lc rgb \"#dddddd\"\n"
                    "set bars small\nset rmargin 4\nset encoding utf8\n");
    page(plot, "svg noenhanced background \"#ffffff\"", "svg", out);
    page(plot, "pngcairo noenhanced", "png", out);
}
