/* The scenarios of src/sim, each as a test; those that record a trace are compared with it. */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/golden.h"
#include "tests/lib/run.h"

static void compare(struct cluster *c, const char *name) {
    char file[64];
    if (cluster_story(c)[0] != 0) {
        snprintf(file, sizeof file, "%s.trace", name);
        expect_trace(c, file);
    }
}

/* Many rounds of, or much load through, what the other stories run too: what they measure sanitizers do not see. */
static const char *const large[] = {"background_beside_clients", "bootstrap_race",
                                    "cost_of_exchange", "million_expiries"};

static bool is_large(const char *name) {
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        if (strcmp(large[i], name) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(holds) {
    size_t count;
    const struct scenario *list = scenario_list(&count);
    ck_assert_int_lt(_i, (int)count);
    if (test_is_slow() && is_large(list[_i].name)) {
        printf("%s: told without sanitizers only, and in the long run\n", list[_i].name);
        return;
    }
    scenario_tell(&list[_i], compare);
}
END_TEST

START_TEST(are_found_by_name) {
    size_t count;
    const struct scenario *list = scenario_list(&count);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        ck_assert_ptr_nonnull(scenario_find(large[i]));
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(scenario_find(list[i].name), &list[i]);
    }
    ck_assert_ptr_null(scenario_find("nothing_of_the_kind"));
}
END_TEST

int main(void) {
    size_t count;
    scenario_list(&count);
    Suite *suite = suite_create("scenarios");
    TCase *tcase = tcase_create("scenarios");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, holds, 0, (int)count);
    tcase_add_test(tcase, are_found_by_name);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
