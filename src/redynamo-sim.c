/* redynamo-sim: the nodes of redynamo-server in a simulated world. See man redynamo-sim. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "sim/experiment.h"
#include "sim/jobs.h"
#include "sim/scenario.h"

static const char usage[] =
    "usage: redynamo-sim fuzz --seeds A:B [--jobs J] [--beyond | --tight | --reaping] [--twice]\n"
    "                         [--trace]\n"
    "       redynamo-sim scenario NAME|all|list\n"
    "       redynamo-sim experiment NAME|all|list [--seed S] [--seeds K] [--out DIR]\n"
    "       redynamo-sim --help | --version\n";

static int wrong(const char *what, const char *which) {
    fprintf(stderr, "redynamo-sim: %s%s%s\n%s", what, which != NULL ? ": " : "",
            which != NULL ? which : "", usage);
    return 2;
}

/* ---- fuzz ------------------------------------------------------------------------------------ */

struct options {
    uint64_t first, last, jobs;
    bool twice, trace;
    enum plan_mode mode;
};

struct tally {
    const struct options *options;
    uint64_t passed, failed;
    uint64_t *hashes; /* owned; of the first of two rounds; NULL: not wanted */
    bool second;
    struct fuzz_result sum;
};

static bool seeds(const char *text, uint64_t *first, uint64_t *last) {
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    if (text_u64(text, len, first) != RD_OK) {
        return false;
    }
    *last = *first;
    return colon == NULL ||
           (text_u64(colon + 1, strlen(colon + 1), last) == RD_OK && *first <= *last);
}

/* The option that chooses a mode, with a space before it; empty for PLAN_AS_DRAWN. */
static const char *mode_option(enum plan_mode mode) {
    static const char *const options[] = {"", " --beyond", " --tight", " --reaping"};
    return options[mode];
}

/* The mode that the option chooses; PLAN_AS_DRAWN: none. */
static enum plan_mode mode_of(const char *option) {
    enum plan_mode mode = PLAN_REAPING;
    while (mode != PLAN_AS_DRAWN && strcmp(option, mode_option(mode) + 1) != 0) {
        mode--;
    }
    return mode;
}

static void print_failure(const struct fuzz_result *result, enum plan_mode mode) {
    struct plan plan;
    struct buf text = {0};
    plan_draw(&plan, result->seed, mode);
    plan_text(&plan, &text);
    printf("seed %llu FAILED: %s\n%.*s  replay: redynamo-sim fuzz --seeds %llu%s --trace\n",
           (unsigned long long)result->seed, result->violation, (int)buf_len(&text),
           (const char *)buf_data(&text), (unsigned long long)result->seed, mode_option(mode));
    buf_free(&text);
}

static bool done(void *arg, const struct fuzz_result *result) {
    struct tally *tally = arg;
    struct fuzz_result one = *result;
    uint64_t *hash =
        tally->hashes != NULL ? &tally->hashes[one.seed - tally->options->first] : NULL;
    if (tally->second) {
        if (*hash != one.trace_hash) {
            printf("seed %llu FAILED: two runs differ\n", (unsigned long long)one.seed);
            tally->failed++;
            tally->passed--;
        }
        return true;
    }
    if (hash != NULL) {
        *hash = one.trace_hash;
    }
    if (one.passed) {
        tally->passed++;
    } else {
        tally->failed++;
        print_failure(&one, tally->options->mode);
    }
    fuzz_add(&tally->sum, &one);
    return true;
}

/* One line of a list of counts. What was not reached was not tested: it is easy to see. */
static void print_count(uint64_t count, const char *text) {
    if (count > 0) {
        printf("%12llu  %s\n", (unsigned long long)count, text);
    } else {
        printf("%12s  %s\n", "never", text);
    }
}

static void print_sum(const struct tally *tally) {
    const struct fuzz_result *sum = &tally->sum;
    printf("%llu requests, %llu of them acknowledged, the longest in %llu ms; %llu faults; %llu "
           "steps\nsometimes:\n",
           (unsigned long long)sum->requests, (unsigned long long)sum->acknowledged,
           (unsigned long long)sum->longest_us / 1000, (unsigned long long)sum->faults,
           (unsigned long long)sum->steps);
    for (int i = 0; i < SOMETIMES_COUNT; i++) {
        print_count(sum->sometimes[i], fuzz_sometimes_text((enum fuzz_sometimes)i));
    }
    printf("faults:\n");
    for (int i = 0; i < FAULT_KINDS; i++) {
        print_count(sum->fault_counts[i], fuzz_fault_text((enum plan_fault)i));
    }
}

static int trace_seed(const struct options *options) {
    struct fuzz_result result;
    fuzz_run(&(struct fuzz_order){.seed = options->first, .mode = options->mode, .trace = stdout},
             &result);
    printf("trace hash %016llx\n", (unsigned long long)result.trace_hash);
    if (!result.passed) {
        print_failure(&result, options->mode);
    }
    printf("%d passed, %d failed\n", result.passed, !result.passed);
    return result.passed ? 0 : 1;
}

static int fuzz(const struct options *options) {
    struct tally tally = {.options = options};
    struct fuzz_order order = {.seed = options->first, .mode = options->mode};
    if (options->trace) {
        return options->first == options->last ? trace_seed(options)
                                               : wrong("--trace wants one seed", NULL);
    }
    if (options->twice) {
        tally.hashes = calloc(options->last - options->first + 1, sizeof *tally.hashes);
        if (tally.hashes == NULL) {
            return wrong("too many seeds for --twice", NULL);
        }
    }
    jobs_run(&order, options->last, (unsigned)options->jobs, done, &tally);
    if (options->twice) {
        tally.second = true;
        jobs_run(&order, options->last, (unsigned)options->jobs, done, &tally);
    }
    print_sum(&tally);
    printf("%llu passed, %llu failed\n", (unsigned long long)tally.passed,
           (unsigned long long)tally.failed);
    free(tally.hashes);
    return tally.failed == 0 ? 0 : 1;
}

static int fuzz_command(int argc, char **argv) {
    struct options options = {.jobs = 1};
    bool given = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--twice") == 0) {
            options.twice = true;
        } else if (mode_of(argv[i]) != PLAN_AS_DRAWN) {
            options.mode = mode_of(argv[i]);
        } else if (strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            given = true;
            if (!seeds(argv[++i], &options.first, &options.last)) {
                return wrong("--seeds wants A or A:B with A <= B", argv[i]);
            }
        } else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
            i++;
            if (text_u64(argv[i], strlen(argv[i]), &options.jobs) != RD_OK || options.jobs < 1 ||
                options.jobs > 256) {
                return wrong("--jobs wants 1..256", argv[i]);
            }
        } else {
            return wrong("unknown or incomplete option", argv[i]);
        }
    }
    return given ? fuzz(&options) : wrong("fuzz wants --seeds A:B", NULL);
}

/* ---- scenarios ------------------------------------------------------------------------------- */

/* In a process of its own, since a story that does not hold aborts. */
static bool tell(const struct scenario *scenario) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        scenario_tell(scenario, NULL);
        _exit(0);
    }
    int status = 1;
    bool held = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                WEXITSTATUS(status) == 0;
    printf("%s  %-28s  %s\n", held ? "ok    " : "FAILED", scenario->name, scenario->what);
    return held;
}

static int scenario_command(const char *name) {
    size_t count;
    const struct scenario *list = scenario_list(&count);
    const struct scenario *only = scenario_find(name);
    unsigned passed = 0, failed = 0;
    if (strcmp(name, "list") == 0) {
        for (size_t i = 0; i < count; i++) {
            printf("%-28s  %s\n", list[i].name, list[i].what);
        }
        return 0;
    }
    if (only == NULL && strcmp(name, "all") != 0) {
        return wrong("unknown scenario", name);
    }
    for (size_t i = 0; i < count; i++) {
        if (only == NULL || only == &list[i]) {
            *(tell(&list[i]) ? &passed : &failed) += 1;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}

/* ---- experiments ----------------------------------------------------------------------------- */

static int run_experiments(const char *name, struct experiment_run *run) {
    size_t count;
    const struct experiment *list = experiment_list(&count);
    const struct experiment *only = experiment_find(name);
    uint32_t seeds = run->seeds;
    int status = 0;
    if (only == NULL && strcmp(name, "all") != 0) {
        return wrong("unknown experiment", name);
    }
    for (size_t i = 0; i < count; i++) {
        if (only == NULL || only == &list[i]) {
            run->seeds = seeds > 0 ? seeds : list[i].seeds;
            status = experiment_run(run, &list[i]) != RD_OK ? 1 : status;
        }
    }
    return status;
}

static int experiment_command(int argc, char **argv) {
    struct experiment_run run = {
        .seed = 1, .percent = 100, .out = "experiments", .tables = stdout, .progress = stderr};
    uint64_t seeds = 0;
    if (argc == 1 && strcmp(argv[0], "list") == 0) {
        size_t count;
        const struct experiment *list = experiment_list(&count);
        for (size_t i = 0; i < count; i++) {
            printf("%-14s  %s\n", list[i].name, list[i].what);
        }
        return 0;
    }
    if (argc < 1) {
        return wrong("experiment wants a name", NULL);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            i++;
            if (text_u64(argv[i], strlen(argv[i]), &run.seed) != RD_OK) {
                return wrong("--seed wants a number", argv[i]);
            }
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            i++;
            if (text_u64(argv[i], strlen(argv[i]), &seeds) != RD_OK || seeds < 1 || seeds > 10000) {
                return wrong("--seeds wants 1..10000", argv[i]);
            }
        } else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc) {
            run.out = argv[++i];
        } else {
            return wrong("unknown or incomplete option", argv[i]);
        }
    }
    run.seeds = (uint32_t)seeds;
    return run_experiments(argv[0], &run);
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "fuzz") == 0) {
        return fuzz_command(argc - 2, argv + 2);
    }
    if (argc == 3 && strcmp(argv[1], "scenario") == 0) {
        return scenario_command(argv[2]);
    }
    if (argc >= 2 && strcmp(argv[1], "experiment") == 0) {
        return experiment_command(argc - 2, argv + 2);
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("redynamo-sim %s\n", PACKAGE_VERSION);
        return 0;
    }
    return wrong("what shall be done?", argc >= 2 ? argv[1] : NULL);
}
