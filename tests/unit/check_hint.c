/* replication/hint: what is owed, and rows that come back as they were or not at all. */
#include "replication/hint.h"

#include <string.h>

#include "tests/lib/run.h"
#include "tests/unit/must.h"

static struct node_id id(uint8_t n) {
    struct node_id made;
    memset(made.bytes, n, sizeof made.bytes);
    return made;
}

static struct hint_owed owing(const char *letters) {
    struct hint_owed owed = {.born_ms = 7};
    for (; *letters != 0; letters++) {
        struct node_id target = id((uint8_t)*letters);
        MUST(hint_owe(&owed, &target) == RD_OK);
        hint_check(&owed);
    }
    return owed;
}

START_TEST(targets_are_owed_once) {
    struct hint_owed owed = owing("cabca");
    struct node_id b = id('b'), d = id('d');
    ck_assert_uint_eq(owed.count, 3);
    ck_assert(hint_owes(&owed, &b) && !hint_owes(&owed, &d));
    ck_assert(!hint_strike(&owed, &d));
    ck_assert(hint_strike(&owed, &b) && !hint_strike(&owed, &b));
    ck_assert_uint_eq(owed.count, 2);
    hint_check(&owed);
}
END_TEST

START_TEST(joins_keep_all_and_the_oldest) {
    struct hint_owed into = owing("ac"), from = owing("bc");
    from.must = true;
    from.born_ms = 3;
    ck_assert_int_eq(hint_join(&into, &from), RD_OK);
    ck_assert(into.count == 3 && into.must && into.born_ms == 3);
    struct hint_owed full = owing("abcdefghijklmnop"), more = owing("z");
    ck_assert_int_eq(hint_join(&full, &more), RD_ETOOBIG);
    ck_assert_uint_eq(full.count, HINT_MAX_TARGETS);
}
END_TEST

START_TEST(rows_come_back) {
    struct hint_owed owed = owing("ab"), read;
    struct object object = {0}, back;
    struct buf bytes = {0};
    struct dot dot = {{9, 1}, 1};
    MUST(version_advance(&object.version, &dot) == RD_OK);
    owed.must = owed.has_own = true;
    owed.own = (struct actor){UINT64_MAX, 77};
    ck_assert_int_eq(hint_encode(&owed, &object, &bytes), RD_OK);
    ck_assert_int_eq(hint_decode(buf_data(&bytes), buf_len(&bytes), &read, &back), RD_OK);
    ck_assert(hint_same(&owed, &read) && read.born_ms == 7 && object_equal(&object, &back));
    object_free(&back);
    for (size_t len = 0; len < buf_len(&bytes); len++)
        MUST(hint_decode(buf_data(&bytes), len, &read, &back) != RD_OK);
    object_free(&object);
    buf_free(&bytes);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("hint");
    TCase *tcase = tcase_create("hint");
    tcase_add_test(tcase, targets_are_owed_once);
    tcase_add_test(tcase, joins_keep_all_and_the_oldest);
    tcase_add_test(tcase, rows_come_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
