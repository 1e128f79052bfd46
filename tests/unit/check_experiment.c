/* sim/results, sim/plot, sim/lab, sim/load and the experiments at a tiny size: intervals, formats,
 * what counts as stale, same seed same bytes, and that each table says what it must. */
#include "sim/experiment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/load.h"
#include "sim/mem.h"
#include "sim/pbs.h"
#include "tests/lib/run.h"

static const struct results_metric two[] = {{"stale_percent", "stale %", 2}, {"ms", "ms", 1}};

static char *string_of(struct buf *buf) {
    mem_append(buf, "", 1);
    char *text = strdup((const char *)buf_data(buf));
    buf_free(buf);
    return text;
}

/* ---- results --------------------------------------------------------------------------------- */

START_TEST(interval_is_students) {
    double mean, half;
    const double one[] = {3}, same[] = {2, 2, 2}, five[] = {1, 2, 3, 4, 5};
    results_interval(one, 1, &mean, &half);
    ck_assert(mean == 3 && half == 0);
    results_interval(same, 3, &mean, &half);
    ck_assert(mean == 2 && half == 0);
    results_interval(five, 5, &mean, &half);
    ck_assert(mean == 3);
    ck_assert(fabs(half - 2.776 * sqrt(2.5 / 5)) < 1e-9);
}
END_TEST

START_TEST(interval_of_many_samples_is_narrower) {
    double samples[200], mean, half, last = INFINITY;
    for (size_t i = 0; i < 200; i++) {
        samples[i] = (double)(i % 2);
    }
    for (size_t count = 2; count <= 200; count += 2) {
        results_interval(samples, count, &mean, &half);
        ck_assert(fabs(mean - 0.5) < 1e-9 && half < last);
        last = half;
    }
    ck_assert(half > 1.96 * 0.5 / sqrt(200));
}
END_TEST

static struct results *small_table(void) {
    struct results *results = results_new("small", "a small table", "R W drop%", two, 2);
    size_t row = results_row(results, "1 2 %u", 10);
    results_sample(results, row, 0, 1);
    results_sample(results, row, 0, 2);
    row = results_row(results, "%u %s 5", 2, "x");
    results_sample(results, row, 1, 7);
    return results;
}

START_TEST(csv_has_means_and_intervals) {
    struct results *results = small_table();
    struct buf csv = {0};
    results_csv(results, &csv);
    char *text = string_of(&csv);
    ck_assert_str_eq(text, "R,W,drop%,stale_percent,stale_percent_ci95,ms,ms_ci95,samples\n"
                           "1,2,10,1.50000,6.35300,,,2\n"
                           "2,x,5,,,7.0000,,1\n");
    free(text);
    results_free(&results);
    ck_assert_ptr_null(results);
    results_free(&results);
}
END_TEST

START_TEST(text_is_aligned) {
    struct results *results = small_table();
    struct buf out = {0};
    results_text(results, &out);
    char *text = string_of(&out);
    ck_assert_str_eq(text, "a small table\n"
                           "  R  W  drop%      stale %   ms\n"
                           "  1  2     10  1.50 +-6.35    -\n"
                           "  2  x      5            -  7.0\n");
    free(text);
    results_free(&results);
}
END_TEST

START_TEST(a_row_is_found_again) {
    struct results *results = small_table();
    ck_assert_uint_eq(results_row(results, "1 2 10"), 0);
    ck_assert_uint_eq(results_row(results, "2 x 5"), 1);
    ck_assert_uint_eq(results_row(results, "2 x 50"), 2);
    ck_assert_uint_eq(results->row_count, 3);
    ck_assert_uint_eq(results_factor(results, "W"), 1);
    ck_assert_uint_eq(results_metric(results, "ms"), 1);
    double mean, half;
    ck_assert(!results_mean(results, 0, 1, &mean, &half));
    ck_assert(results_mean(results, 0, 0, &mean, &half) && mean == 1.5);
    results_free(&results);
}
END_TEST

/* ---- plots ----------------------------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *word) {
    size_t count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        count++;
    }
    return count;
}

START_TEST(plot_has_a_series_per_combination) {
    struct results *results = results_new("p", "p", "R mode drop%", two, 2);
    for (unsigned r = 1; r <= 2; r++) {
        for (unsigned drop = 1; drop <= 3; drop++) {
            results_sample(results, results_row(results, "%u on %u", r, drop), 0, drop);
            results_sample(results, results_row(results, "%u off %u", r, drop), 0, drop + 1);
        }
    }
    struct plot plot;
    plot_init(&plot, "p", "title");
    struct plot_panel *panel = plot_panel(&plot, "all", "x", "y", PLOT_LINES);
    plot_series(panel, results, "drop%", "stale_percent", NULL, NULL, "");
    ck_assert_uint_eq(panel->series, 4);
    panel = plot_panel(&plot, "half", "x", "y", PLOT_LINES_LOG);
    plot_series(panel, results, "drop%", "stale_percent", "mode", "on", "ours");
    ck_assert_uint_eq(panel->series, 2);
    plot_series(panel, results, "drop%", "ms", NULL, NULL, "");
    ck_assert_uint_eq(panel->series, 2);
    struct buf script = {0};
    plot_script(&plot, &script);
    char *text = string_of(&script);
    ck_assert_uint_eq(occurrences(text, " << END\n"), 12); /* six series, twice drawn */
    ck_assert_uint_eq(occurrences(text, "title \"ours R=1\""), 2);
    ck_assert_uint_eq(occurrences(text, "title \"R=2 off\""), 2);
    ck_assert_uint_eq(occurrences(text, "set output \"p.svg\""), 1);
    ck_assert_uint_eq(occurrences(text, "set output \"p.png\""), 1);
    ck_assert_uint_eq(occurrences(text, "set logscale y"), 2);
    free(text);
    plot_free(&plot);
    results_free(&results);
}
END_TEST

/* ---- what is stale --------------------------------------------------------------------------- */

static struct op write_of(uint64_t id, uint64_t asked_us, uint64_t answered_us, enum rd_err err) {
    return (struct op){.kind = CLIENT_WRITE,
                       .value_id = id,
                       .asked_us = asked_us,
                       .answered = answered_us > 0,
                       .answered_us = answered_us,
                       .err = err};
}

START_TEST(judges_by_both_definitions) {
    struct op ops[] = {write_of(1, 10, 20, RD_OK), write_of(2, 30, 40, RD_EUNKNOWN),
                       write_of(3, 50, 60, RD_OK), write_of(4, 70, 80, RD_OK)};
    struct op *writes[] = {&ops[0], &ops[1], &ops[2], &ops[3]};
    struct lab_register reg = {.writes = writes, .write_count = 4};
    static const struct {
        uint64_t asked_us;
        const char *shows;
        bool stale, loose;
    } cases[] = {{5, "", false, false},   {15, "", false, true},   {25, "", true, true},
                 {25, "1", false, false}, {45, "1", false, true},  {45, "2", false, false},
                 {55, "2", false, true},  {65, "2", true, true},   {65, "3", false, false},
                 {75, "3", false, true},  {75, "4", false, false}, {85, "3", true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct blob *value = mem_blob(cases[i].shows, strlen(cases[i].shows));
        struct sibling sibling = {.value = value};
        struct op read = {.answered = true,
                          .asked_us = cases[i].asked_us,
                          .object = {.siblings = &sibling, .count = value->len > 0}};
        struct lab_verdict verdict = lab_judge(&reg, &read);
        ck_assert_msg(verdict.answered && verdict.stale == cases[i].stale &&
                          verdict.stale_loose == cases[i].loose,
                      "case %zu", i);
        read.err = RD_ENOQUORUM;
        verdict = lab_judge(&reg, &read);
        ck_assert(!verdict.answered && !verdict.stale && !verdict.stale_loose);
        blob_unref(value);
    }
}
END_TEST

START_TEST(a_lab_counts_frames_and_keeps_registers) {
    struct world_conf conf;
    struct lab_register reg;
    struct lab_tally tally = {0};
    lab_conf(&conf, 3, 3, 2, 2, 7);
    struct lab *lab = lab_new(&conf);
    ck_assert(lab_sees(lab, 3) && !lab_sees(lab, 2));
    ck_assert_uint_eq(lab_frames(lab), 0);
    lab_register_init(&reg, "k", 5);
    ck_assert_uint_eq(reg.key->len, 2);
    for (unsigned i = 0; i < 5; i++) {
        lab_tally_write(&tally, lab_write(lab, &reg, i % 3, 0));
        lab_tally_read(&tally, &reg, lab_read(lab, &reg, (i + 1) % 3, 0));
    }
    ck_assert_uint_eq(lab->frames[WIRE_WRITE], 10);
    ck_assert_uint_ge(lab->frames[WIRE_READ], 5);
    ck_assert_uint_gt(lab_bytes(lab), lab->bytes[WIRE_WRITE]);
    ck_assert_uint_eq(tally.reads, 5);
    ck_assert_uint_eq(tally.writes, 5);
    ck_assert(lab_stale_percent(&tally) == 0 && lab_failed_percent(&tally) == 0);
    lab_register_free(&reg);
    lab_free(&lab);
    ck_assert_ptr_null(lab);
}
END_TEST

START_TEST(load_counts_what_was_served) {
    struct world_conf conf;
    lab_conf(&conf, 3, 3, 2, 2, 7);
    struct lab *lab = lab_new(&conf);
    struct load_conf load_conf = {
        .interval_us = 10000, .keys = 5, .read_percent = 50, .patience_us = 2000000};
    struct load *load = load_start(lab, &load_conf);
    uint64_t from_us = world_now_us(lab->world);
    world_elapse(lab->world, 500000);
    uint64_t failure_us = world_now_us(lab->world);
    world_crash(lab->world, 0, CRASH_PROCESS);
    world_crash(lab->world, 1, CRASH_PROCESS);
    world_elapse(lab->world, 500000);
    load_stop(load);
    struct load_figures well = load_figures(load, LOAD_ALL, from_us, failure_us);
    struct load_figures lost = load_figures(load, LOAD_ALL, failure_us, world_now_us(lab->world));
    struct load_figures reads = load_figures(load, LOAD_READS, from_us, failure_us);
    struct load_figures writes = load_figures(load, LOAD_WRITES, from_us, failure_us);
    ck_assert(well.asked >= 49 && well.asked <= 51 && well.asked - well.served <= 2);
    ck_assert(lost.asked >= 49 && lost.asked <= 51 && lost.served == 0);
    ck_assert_uint_eq(reads.asked + writes.asked, well.asked);
    ck_assert(well.p50_ms <= well.p99_ms && well.p99_ms <= well.max_ms && well.mean_ms > 0);
    load_free(&load);
    lab_free(&lab);
}
END_TEST

/* ---- predictions ----------------------------------------------------------------------------- */

static uint64_t up_to_1000(void *arg, struct prng *prng) {
    (void)arg;
    return prng_below(prng, 1001);
}

static uint64_t none(void *arg, struct prng *prng) {
    (void)arg, (void)prng;
    return 0;
}

START_TEST(pbs_knows_what_is_certain) {
    struct prng prng;
    prng_seed(&prng, 1);
    for (int model = PBS_PAPER; model <= PBS_OURS; model++) {
        struct pbs pbs = {.model = (enum pbs_model)model,
                          .n = 3,
                          .message = up_to_1000,
                          .commit = none,
                          .get = none};
        for (pbs.r = 1; pbs.r <= 3; pbs.r++) {
            for (pbs.w = 1; pbs.w <= 3; pbs.w++) {
                double at_once = pbs_stale(&pbs, 0, 2000, &prng);
                ck_assert(pbs.r + pbs.w > 3 ? at_once == 0 : at_once > 0 && at_once < 0.7);
                ck_assert(pbs_stale(&pbs, 1000, 2000, &prng) == 0);
                ck_assert(pbs_stale(&pbs, 500, 2000, &prng) <= at_once);
            }
        }
    }
}
END_TEST

/* N=2, R=W=1, our model: half of the reads go to the writer's own node; of the others those are
 * stale whose t is shorter than the message: 1/2 * (1 - t/1000). */
START_TEST(pbs_agrees_with_a_sum) {
    struct prng prng;
    struct pbs pbs = {.model = PBS_OURS,
                      .n = 2,
                      .r = 1,
                      .w = 1,
                      .message = up_to_1000,
                      .commit = none,
                      .get = none};
    prng_seed(&prng, 2);
    for (uint64_t t_us = 0; t_us <= 1000; t_us += 100) {
        double expected = 0.5 * (1 - (double)t_us / 1000);
        ck_assert(fabs(pbs_stale(&pbs, t_us, 20000, &prng) - expected) < 0.015);
    }
}
END_TEST

/* ---- the experiments ------------------------------------------------------------------------- */

/* What the experiment prints at a tiny size. */
static char *printed(const struct experiment *experiment, uint64_t seed, uint32_t percent,
                     const char *out) {
    char *text = NULL;
    size_t len = 0;
    struct experiment_run run = {.seed = seed,
                                 .seeds = 1,
                                 .percent = percent,
                                 .out = out,
                                 .tables = open_memstream(&text, &len),
                                 .no_gnuplot = true};
    ck_assert_int_eq(experiment_run(&run, experiment), RD_OK);
    fclose(run.tables);
    return text;
}

static char *contents(const char *folder, const char *file) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *in = fopen(path, "r");
    ck_assert_msg(in != NULL, "%s is there", path);
    struct buf text = {0};
    char part[4096];
    for (size_t got; (got = fread(part, 1, sizeof part, in)) > 0;) {
        mem_append(&text, part, got);
    }
    fclose(in);
    unlink(path);
    return string_of(&text);
}

START_TEST(names_are_known) {
    size_t count;
    const struct experiment *list = experiment_list(&count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(experiment_find(list[i].name), &list[i]);
        ck_assert_uint_gt(list[i].seeds, 1);
    }
    ck_assert_ptr_null(experiment_find("all"));
    ck_assert_ptr_null(experiment_find(""));
}
END_TEST

START_TEST(same_seed_same_bytes) {
    char folder[] = "/tmp/check_experiment.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    const struct experiment *experiment = experiment_find("drops");
    char *first = printed(experiment, 3, 30, folder);
    char *first_csv = contents(folder, "drops.csv");
    char *first_script = contents(folder, "drops.gp");
    char *second = printed(experiment, 3, 30, folder);
    char *second_csv = contents(folder, "drops.csv");
    char *second_script = contents(folder, "drops.gp");
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(first_csv, second_csv);
    ck_assert_str_eq(first_script, second_script);
    char *other = printed(experiment, 4, 30, NULL);
    ck_assert_str_ne(first, other);
    ck_assert_int_eq(rmdir(folder), 0);
    free(first), free(first_csv), free(first_script);
    free(second), free(second_csv), free(second_script), free(other);
}
END_TEST

START_TEST(a_folder_that_cannot_be_made_is_said) {
    struct experiment_run run = {
        .seed = 1, .seeds = 1, .percent = 1, .out = "/dev/null/x", .tables = stdout};
    ck_assert_int_eq(experiment_run(&run, experiment_find("drops")), RD_EIO);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

#define MOST_COLUMNS 24

/* Splits the line at *at at its commas, in place; moves *at behind it. Returns how many fields there are. */
static size_t fields(char **at, char *out[MOST_COLUMNS]) {
    char *line = *at, *end = strchr(line, '\n');
    size_t count = 0;
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    *at = end + 1;
    for (char *field; (field = strsep(&line, ",")) != NULL;) {
        ck_assert_uint_lt(count, MOST_COLUMNS);
        out[count++] = field;
    }
    return count;
}

static const char *field_of(char *head[], char *row[], size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(head[i], name) == 0) {
            return row[i];
        }
    }
    return NULL;
}

static unsigned number_of(const char *text, unsigned otherwise) {
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* What each experiment writes at a tiny size: `rows`, and those with a strict quorum, R+W > N, are never stale by our definition. */
static const struct {
    const char *name, *file; /* in the order of the experiments; .csv */
    uint32_t percent;        /* of the default size */
    size_t rows, strict_rows;
    unsigned n; /* 0: nothing is read */
    const char *stale;
    const char *plot; /* NULL: none of its own */
} tables[] = {
    {"repair", "repair", 10, 8, 8, 4, "stale_percent", "repair"},
    {"repair", "repair-headline", 10, 4, 2, 4, "stale_percent", NULL},
    {"quorum", "quorum", 20, 4, 4, 4, "stale_percent", "quorum"},
    {"quorum", "quorum-gap", 20, 8, 8, 4, "stale_percent", NULL},
    {"sync-interval", "sync-interval", 2, 4, 0, 4, "stale_percent", "sync-interval"},
    {"latency", "latency", 5, 2, 1, 5, "stale_percent", "latency"},
    {"throughput", "throughput", 5, 2, 1, 5, "stale_percent", "throughput"},
    {"throughput", "throughput-clients", 5, 2, 2, 5, "stale_percent", NULL},
    {"failures", "failures", 1, 4, 2, 5, "stale_percent", "failures"},
    {"failures", "failures-time", 1, 28, 0, 0, NULL, NULL},
    {"drops", "drops", 30, 8, 4, 5, "stale_percent", "drops"},
    {"scale", "scale", 1, 2, 0, 0, NULL, "scale"},
    {"scale", "scale-gossip", 1, 2, 0, 0, NULL, NULL},
    {"anti-entropy", "anti-entropy", 1, 4, 0, 0, NULL, "anti-entropy"},
    {"staleness", "staleness", 5, 8, 4, 3, "simulated_percent", "staleness"},
    {"availability", "availability", 10, 20, 5, 3, "stale_percent", "availability"},
    {"availability", "availability-time", 10, 160, 0, 0, NULL, NULL},
};

#define TABLES (sizeof tables / sizeof *tables)

/* Some experiments hold one of R and W fixed for all rows. */
static unsigned fixed(const char *file, bool read) {
    return strcmp(file, "throughput-clients") == 0 ? 3 : read ? 1 : 0;
}

static void look_at_table(size_t i, const char *folder) {
    char name[64], *head[MOST_COLUMNS], *row[MOST_COLUMNS];
    snprintf(name, sizeof name, "%s.csv", tables[i].file);
    char *text = contents(folder, name), *at = text;
    size_t columns = fields(&at, head), rows = 0, strict = 0;
    while (*at != '\0') {
        ck_assert_uint_eq(fields(&at, row), columns);
        rows++;
        const char *quorum = field_of(head, row, columns, "quorum");
        unsigned r = number_of(field_of(head, row, columns, "R"), fixed(tables[i].file, true));
        unsigned w = number_of(field_of(head, row, columns, "W"), fixed(tables[i].file, false));
        if (tables[i].n > 0 && r + w > tables[i].n &&
            (quorum == NULL || strcmp(quorum, "strict") == 0)) {
            const char *stale = field_of(head, row, columns, tables[i].stale);
            ck_assert_msg(stale != NULL && strtod(stale, NULL) == 0 && stale[0] == '0',
                          "%s row %zu: %s", name, rows, stale);
            strict++;
        }
    }
    ck_assert_msg(rows == tables[i].rows && strict == tables[i].strict_rows, "%s: %zu %zu", name,
                  rows, strict);
    free(text);
    if (tables[i].plot != NULL) {
        snprintf(name, sizeof name, "%s.gp", tables[i].plot);
        text = contents(folder, name);
        ck_assert_uint_eq(occurrences(text, "set output \""), 2);
        ck_assert_uint_gt(occurrences(text, "plot $d0"), 0);
        free(text);
    }
}

START_TEST(each_has_its_tables_and_strict_quorums_are_never_stale) {
    char folder[] = "/tmp/check_experiment.XXXXXX";
    size_t first = (size_t)_i;
    if (first > 0 && strcmp(tables[first - 1].name, tables[first].name) == 0) {
        return; /* the one before has looked */
    }
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *text = printed(experiment_find(tables[first].name), 1, tables[first].percent, folder);
    ck_assert_ptr_nonnull(strstr(text, tables[first].name));
    for (size_t i = first; i < TABLES && strcmp(tables[i].name, tables[first].name) == 0; i++) {
        look_at_table(i, folder);
    }
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was written */
    free(text);
}
END_TEST

static Suite *suite(void) {
    Suite *suite = suite_create("experiment");
    TCase *results = tcase_create("results");
    tcase_add_test(results, interval_is_students);
    tcase_add_test(results, interval_of_many_samples_is_narrower);
    tcase_add_test(results, csv_has_means_and_intervals);
    tcase_add_test(results, text_is_aligned);
    tcase_add_test(results, a_row_is_found_again);
    tcase_add_test(results, plot_has_a_series_per_combination);
    suite_add_tcase(suite, results);
    TCase *lab = tcase_create("lab");
    tcase_add_test(lab, judges_by_both_definitions);
    tcase_add_test(lab, a_lab_counts_frames_and_keeps_registers);
    tcase_add_test(lab, load_counts_what_was_served);
    suite_add_tcase(suite, lab);
    TCase *predictions = tcase_create("predictions");
    tcase_add_test(predictions, pbs_knows_what_is_certain);
    tcase_add_test(predictions, pbs_agrees_with_a_sum);
    suite_add_tcase(suite, predictions);
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 60);
    tcase_add_test(runs, names_are_known);
    tcase_add_test(runs, same_seed_same_bytes);
    tcase_add_test(runs, a_folder_that_cannot_be_made_is_said);
    tcase_add_loop_test(runs, each_has_its_tables_and_strict_quorums_are_never_stale, 0, TABLES);
    suite_add_tcase(suite, runs);
    return suite;
}

int main(void) {
    return test_run(suite());
}
