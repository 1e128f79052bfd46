/* sim/jobs: seeds in order whatever the number of processes, and what is known of those that die.
 *
 * The runs are made up here: this fuzz_run takes the place of the library's. */
#include "sim/jobs.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/run.h"

enum { ABORTS = 13, EXITS = 15, IS_KILLED = 20, FAILS = 17 };

void fuzz_run(const struct fuzz_order *order, struct fuzz_result *out) {
    const struct rlimit no_core = {0};
    *out = (struct fuzz_result){.seed = order->seed,
                                .passed = order->seed != FAILS,
                                .requests = order->seed * order->seed,
                                .trace_hash = (uint64_t)order->mode};
    snprintf(out->violation, sizeof out->violation, "%s", order->seed == FAILS ? "lost: all" : "");
    setrlimit(RLIMIT_CORE, &no_core);
    switch (order->seed) {
    case ABORTS:
        signal(SIGABRT, SIG_DFL);
        abort();
    case EXITS:
        _exit(7);
    case IS_KILLED:
        kill(getpid(), SIGKILL);
        break;
    default:
        break;
    }
}

struct seen {
    uint64_t next, stop_after; /* 0: never */
    unsigned died;
    enum plan_mode mode;
};

static bool take(void *arg, const struct fuzz_result *result) {
    struct seen *seen = arg;
    ck_assert_uint_eq(result->seed, seen->next);
    seen->next++;
    switch (result->seed) {
    case ABORTS:
    case IS_KILLED:
        ck_assert(!result->passed);
        ck_assert_ptr_nonnull(strstr(result->violation, "died: the process ended by signal "));
        ck_assert_int_eq((int)strtol(strrchr(result->violation, ' '), NULL, 10),
                         result->seed == ABORTS ? SIGABRT : SIGKILL);
        seen->died++;
        break;
    case EXITS:
        ck_assert(!result->passed);
        ck_assert_str_eq(result->violation, "died: the process ended by exit status 7");
        seen->died++;
        break;
    default:
        ck_assert_uint_eq(result->requests, result->seed * result->seed);
        ck_assert_uint_eq(result->trace_hash, (uint64_t)seen->mode);
        ck_assert(result->passed == (result->seed != FAILS));
        ck_assert_str_eq(result->violation, result->passed ? "" : "lost: all");
        break;
    }
    return result->seed != seen->stop_after;
}

static void expect_no_child(void) {
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

/* `_i` jobs; the last seed is one that dies. */
START_TEST(comes_in_order) {
    struct seen seen = {.next = 1, .mode = PLAN_BEYOND};
    jobs_run(&(struct fuzz_order){.seed = 1, .mode = PLAN_BEYOND}, IS_KILLED, (unsigned)_i, take,
             &seen);
    ck_assert_uint_eq(seen.next, IS_KILLED + 1);
    ck_assert_uint_eq(seen.died, 3);
    expect_no_child();
}
END_TEST

START_TEST(stops_when_told) {
    struct seen seen = {.next = 1, .stop_after = 5};
    jobs_run(&(struct fuzz_order){.seed = 1}, 1000000000, (unsigned)_i, take, &seen);
    ck_assert_uint_eq(seen.next, 6);
    expect_no_child();
}
END_TEST

START_TEST(reaches_the_last_seed_there_is) {
    struct seen seen = {.next = UINT64_MAX - 2};
    jobs_run(&(struct fuzz_order){.seed = UINT64_MAX - 2}, UINT64_MAX, (unsigned)_i, take, &seen);
    ck_assert_uint_eq(seen.next, 0);
    expect_no_child();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim jobs");
    TCase *tcase = tcase_create("jobs");
    tcase_add_loop_test(tcase, comes_in_order, 1, 6);
    tcase_add_loop_test(tcase, stops_when_told, 1, 4);
    tcase_add_loop_test(tcase, reaches_the_last_seed_there_is, 1, 6);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
