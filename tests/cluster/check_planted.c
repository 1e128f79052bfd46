/* The checkers are checked: each planted bug is found within a bounded number of seeds, and
 * without one nothing is. */
#include "sim/fuzz.h"

#include "tests/lib/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SEEDS = 100 };

/* Where the first seeds do not find it: one that did when it was last looked for. If it does not any more, all are tried. */
static const uint64_t tried_first[PLANTED_COUNT] = {
    [PLANTED_REUSED_DOT_AFTER_RESTART] = 14,
    [PLANTED_HINT_DROPPED_AT_CAP] = 7,
    [PLANTED_EARLY_REAP] = 54,
};

static const char *const names[] = {
#define PLANTED_NAME(name, text) #name,
    PLANTED_BUGS(PLANTED_NAME)
#undef PLANTED_NAME
};

/* What goes wrong at the cap of hints needs one that is reached, and a hole in the proof of reaping one that is made often. */
static enum plan_mode mode_for(int bug) {
    switch (bug) {
    case PLANTED_HINT_DROPPED_AT_CAP:
        return PLAN_TIGHT;
    case PLANTED_EARLY_REAP:
    case PLANTED_REAP_UNCHECKED:
        return PLAN_REAPING;
    default:
        return PLAN_AS_DRAWN;
    }
}

/* In a process of its own: a bug may also be found by an assertion of the node. */
static bool found_by(uint64_t seed, int bug) {
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct fuzz_result result;
        signal(SIGABRT, SIG_DFL);
        fuzz_run(&(struct fuzz_order){.seed = seed, .mode = mode_for(bug), .planted = bug},
                 &result);
        if (!result.passed) {
            printf("%-26s seed %llu: %.100s\n", names[bug], (unsigned long long)seed,
                   result.violation);
            fflush(stdout);
        }
        _exit(result.passed ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(is_found) {
    const char *only = getenv("PLANTED"); /* for whoever works on one checker */
    if (only != NULL && strcmp(only, names[_i]) != 0) {
        return;
    }
    bool from_one = test_long() || tried_first[_i] == 0;
    for (uint64_t n = from_one ? 1 : 0; n <= MOST_SEEDS; n++) {
        uint64_t seed = n > 0 ? n : tried_first[_i];
        if (found_by(seed, _i)) {
            printf("%-26s found by seed %llu\n", names[_i], (unsigned long long)seed);
            return;
        }
    }
    ck_abort_msg("%s is not found by %d seeds", names[_i], MOST_SEEDS);
}
END_TEST

START_TEST(finds_nothing_where_nothing_is) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        ck_assert(!found_by(seed, PLANTED_NONE));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("planted");
    TCase *tcase = tcase_create("planted");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, is_found, PLANTED_NONE + 1, PLANTED_COUNT);
    tcase_add_test(tcase, finds_nothing_where_nothing_is);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
