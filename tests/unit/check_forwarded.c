/* replication/forwarded: what came before is known, by member and id, for long enough. */
#include "replication/forwarded.h"

#include "tests/lib/run.h"

#include <stdlib.h>

START_TEST(knows_what_came_before) {
    struct forwarded *forwarded = calloc(1, sizeof *forwarded);
    ck_assert(forwarded_first(forwarded, 1, 77));
    ck_assert(!forwarded_first(forwarded, 1, 77));
    ck_assert(forwarded_first(forwarded, 2, 77)); /* another member's */
    ck_assert(forwarded_first(forwarded, 1, 78));
    ck_assert(!forwarded_first(forwarded, 2, 77));
    ck_assert(!forwarded_first(forwarded, 1, 78));
    free(forwarded);
}
END_TEST

START_TEST(never_calls_a_new_one_old) {
    struct forwarded *forwarded = calloc(1, sizeof *forwarded);
    for (uint64_t id = 1; id <= 200000; id++) {
        ck_assert(forwarded_first(forwarded, (uint16_t)(id % 7), id));
    }
    free(forwarded);
}
END_TEST

START_TEST(remembers_the_newest) {
    struct forwarded *forwarded = calloc(1, sizeof *forwarded);
    unsigned known = 0;
    for (uint64_t id = 1; id <= 10000; id++) {
        forwarded_first(forwarded, 3, id);
    }
    for (uint64_t id = 10000; id > 9500; id--) { /* asking notes nothing that is known already */
        known += !forwarded_first(forwarded, 3, id);
    }
    ck_assert_uint_ge(known, 495);
    free(forwarded);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("forwarded");
    TCase *tcase = tcase_create("forwarded");
    tcase_add_test(tcase, knows_what_came_before);
    tcase_add_test(tcase, never_calls_a_new_one_old);
    tcase_add_test(tcase, remembers_the_newest);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
