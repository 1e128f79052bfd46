/* Plots of results: a gnuplot script that carries its data and draws one SVG and one PNG.
 *
 * A plot is a row of panels, a panel a set of series. A series is one metric of one table along one
 * factor; plot_series makes one of each combination of the other factors that the filter lets
 * through. Running gnuplot is not done here. */
#ifndef RD_SIM_PLOT_H
#define RD_SIM_PLOT_H

#include "sim/results.h"

#define PLOT_MAX_PANELS 4

enum plot_style {
    PLOT_LINES,           /* points with error bars, joined; x is a number */
    PLOT_LINES_LOG_X,     /* the same with a logarithmic x */
    PLOT_LINES_LOG,       /* both logarithmic */
    PLOT_LINES_LOG_SHARE, /* a logarithmic y of 0.05 to 100%: 0 is not drawn */
    PLOT_BARS             /* one cluster of bars per x, which is any text */
};

struct plot_panel {
    const char *title, *x, *y;
    enum plot_style style;
    struct buf data;   /* data blocks */
    struct buf clause; /* of the plot command */
    size_t series;
};

struct plot {
    const char *name; /* of its files */
    const char *title;
    struct plot_panel panels[PLOT_MAX_PANELS];
    size_t panel_count;
};

/* A plot without panels; texts are borrowed for its lifetime. End with plot_free. */
void plot_init(struct plot *plot, const char *name, const char *title);

/* Frees what it holds. */
void plot_free(struct plot *plot);

/* Adds a panel, at most PLOT_MAX_PANELS; texts are borrowed. */
struct plot_panel *plot_panel(struct plot *plot, const char *title, const char *x, const char *y,
                              enum plot_style style);

/* Adds series to the panel: `metric` along factor `x`, one for each combination of the other
 * factors among the rows with `filter_factor` = `filter_value` (NULL: all rows). `prefix` begins
 * their names; may be empty. Rows without samples of the metric are left out. */
void plot_series(struct plot_panel *panel, const struct results *results, const char *x,
                 const char *metric, const char *filter_factor, const char *filter_value,
                 const char *prefix);

/* Appends the script; it writes `<name>.svg` and `<name>.png` to the folder it is run in. */
void plot_script(const struct plot *plot, struct buf *out);

#endif
