/* replication/actors: no dot is issued twice, whatever is remembered and forgotten. */
#include "replication/actors.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

static struct actors actors;
static struct prng prng;

static void setup(void) {
    prng_seed(&prng, 1);
    actors = (struct actors){.incarnation = 26}; /* Z */
}

/* The next dot for a copy with this vector, such as "A1 Z.2:3". */
static struct dot next(const char *vector) {
    char text[128];
    snprintf(text, sizeof(text), "%s |", vector);
    struct object object = object_of(text);
    struct dot dot = actors_next(&actors, &prng, &object.version);
    ck_assert(!version_covers(&object.version, &dot));
    object_free(&object);
    return dot;
}

static void check_next(const char *vector, const char *expected) {
    struct dot dot = next(vector), other = dot_of(expected);
    ck_assert_msg(dot_compare(&dot, &other) == 0, "%s gives %u:%llu", vector, dot.actor.epoch,
                  (unsigned long long)dot.counter);
}

static bool forgot(const char *held, const char *seen) {
    char text[128];
    snprintf(text, sizeof(text), "%s |", held);
    struct object a = object_of(text);
    snprintf(text, sizeof(text), "%s |", seen);
    struct object b = object_of(text);
    bool answer = actors_forgot(&actors, &a.version, &b.version);
    object_free(&a);
    object_free(&b);
    return answer;
}

START_TEST(a_copy_with_an_entry_goes_on) {
    check_next("Z.3:4", "Z.3:5");
    check_next("A7 Z.3:4", "Z.3:5");
    check_next("Z.1:9 Z.3:4", "Z.3:5"); /* the newest epoch */
}
END_TEST

START_TEST(a_copy_without_one_begins_an_epoch) {
    check_next("", "Z.1:1");
    check_next("A7", "Z.2:1");
    check_next("", "Z.3:1"); /* unused or not, an epoch is never given again */
    check_next("Y.9:9", "Z.4:1");
}
END_TEST

START_TEST(a_fresh_incarnation_continues_nothing) {
    actors_begin(&actors, &prng);
    ck_assert_uint_ne(actors.incarnation, 26);
    struct dot dot = next("Z.3:4");
    ck_assert_uint_eq(dot.actor.incarnation, actors.incarnation);
    ck_assert_uint_eq(dot.actor.epoch, 1);
    ck_assert_uint_eq(dot.counter, 1);
    uint64_t before = actors.incarnation;
    actors_begin(&actors, &prng);
    ck_assert_uint_ne(actors.incarnation, before);
}
END_TEST

START_TEST(used_up_epochs_end_the_incarnation) {
    actors.last_epoch = UINT32_MAX - 1;
    struct dot dot = next("");
    ck_assert_uint_eq(dot.actor.incarnation, 26);
    ck_assert_uint_eq(dot.actor.epoch, UINT32_MAX);
    dot = next("");
    ck_assert_uint_ne(dot.actor.incarnation, 26);
    ck_assert_uint_eq(dot.actor.epoch, 1);
}
END_TEST

START_TEST(counters_stay_where_decoders_accept_them) {
    struct version version = {0};
    struct dot last = {{26, 3}, VERSION_MAX_COUNTER};
    ck_assert_int_eq(version_advance(&version, &last), RD_OK);
    struct dot dot = actors_next(&actors, &prng, &version);
    ck_assert_uint_le(dot.counter, VERSION_MAX_COUNTER);
    ck_assert(!version_covers(&version, &dot));
    version_free(&version);
}
END_TEST

START_TEST(own_dots_not_held_were_forgotten) {
    ck_assert(!forgot("", ""));
    ck_assert(!forgot("Z.1:3", "Z.1:3"));
    ck_assert(!forgot("Z.1:3 A1", "Z.1:2 A9 Y.1:7"));
    ck_assert(forgot("Z.1:3", "Z.1:4"));
    ck_assert(forgot("Z.1:3", "Z.2:1"));
    ck_assert(forgot("A1", "Z.1:1"));
    actors_begin(&actors, &prng); /* what an earlier one issued need not be known */
    ck_assert(!forgot("A1", "Z.1:1"));
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("actors");
    TCase *tcase = tcase_create("actors");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_copy_with_an_entry_goes_on);
    tcase_add_test(tcase, a_copy_without_one_begins_an_epoch);
    tcase_add_test(tcase, a_fresh_incarnation_continues_nothing);
    tcase_add_test(tcase, used_up_epochs_end_the_incarnation);
    tcase_add_test(tcase, counters_stay_where_decoders_accept_them);
    tcase_add_test(tcase, own_dots_not_held_were_forgotten);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
