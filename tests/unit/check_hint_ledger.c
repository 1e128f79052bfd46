/* replication/hint_ledger: random changes, with and without a pass under way, beside an oracle that counts all rows anew. */
#include "replication/hint_ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#define TARGETS 5
#define ROWS 12

static struct core core;
static struct effects effects;
static struct hint_ledger ledger;

static struct node_id id(unsigned n) {
    struct node_id made;
    memset(made.bytes, (int)(n + 1), sizeof made.bytes);
    return made;
}

/* What is owed to the targets of the bits. */
static struct hint_owed owing(unsigned targets, uint64_t born_ms) {
    struct hint_owed owed = {.born_ms = born_ms};
    for (unsigned i = 0; i < TARGETS; i++) {
        struct node_id target = id(i);
        if ((targets & 1u << i) != 0)
            MUST(hint_owe(&owed, &target) == RD_OK);
    }
    return owed;
}

static void setup(void) {
    core = (struct core){.effects = &effects};
    core.conf.max_hint_bytes = 800;
    hint_ledger_init(&ledger, &core);
}

static void teardown(void) {
    hint_ledger_free(&ledger);
    effects_free(&effects);
    core = (struct core){0};
}

/* ---- rows ---------------------------------------------------------------------------------------- */

struct row {
    struct blob *key;
    struct hint_owed owed;
    uint64_t bytes; /* 0: there is none */
};

static struct row rows[ROWS]; /* in the order of a pass: all in slot 7 */

static void make_rows(void) {
    for (unsigned i = 0; i < ROWS; i++) {
        uint8_t name = (uint8_t)('a' + i);
        rows[i] = (struct row){0};
        MUST(blob_new(&name, 1, &rows[i].key) == RD_OK);
    }
}

static void free_rows(void) {
    for (unsigned i = 0; i < ROWS; i++)
        blob_unref(rows[i].key);
}

/* Makes a row another one, in both books. */
static void change(struct row *row, const struct hint_owed *owed, uint64_t bytes) {
    MUST(hint_ledger_reserve(&ledger, owed) == RD_OK);
    hint_ledger_change(&ledger, 7, row->key, &row->owed, row->bytes, owed, bytes);
    row->owed = *owed;
    row->bytes = bytes;
}

static void change_at_random(struct prng *prng) {
    struct row *row = &rows[prng_below(prng, ROWS)];
    struct hint_owed nothing = {0};
    struct hint_owed owed = owing(1 + (unsigned)prng_below(prng, (1 << TARGETS) - 1), 1);
    if (prng_chance(prng, 1, 3))
        change(row, &nothing, 0);
    else
        change(row, &owed, 1 + prng_below(prng, 50));
}

/* The first row from there on that exists. */
static unsigned next_row(unsigned from) {
    while (from < ROWS && rows[from].bytes == 0)
        from++;
    return from;
}

static void compare(void) {
    uint64_t count = 0, bytes = 0;
    for (unsigned t = 0; t < TARGETS; t++) {
        struct node_id target = id(t);
        struct hint_sum sum = {0}, found = {0};
        for (unsigned i = 0; i < ROWS; i++) {
            bool owes = rows[i].bytes > 0 && hint_owes(&rows[i].owed, &target);
            sum.count += owes;
            sum.bytes += owes ? rows[i].bytes : 0;
        }
        const struct hint_target *known = hint_ledger_find(&ledger, &target);
        if (known != NULL)
            found = known->sum;
        ck_assert_uint_eq(found.count, sum.count);
        ck_assert_uint_eq(found.bytes, sum.bytes);
        ck_assert_uint_eq(found.oldest_ms, sum.count > 0);
        ck_assert(sum.count == 0 || known->owed);
    }
    for (unsigned i = 0; i < ROWS; i++) {
        count += rows[i].bytes > 0;
        bytes += rows[i].bytes;
    }
    ck_assert_uint_eq(ledger.rows, count);
    ck_assert_uint_eq(ledger.bytes, bytes);
}

/* ---- tests --------------------------------------------------------------------------------------- */

/* A pass goes over the rows while they change; now and then the ledger forgets all, as after a
 * start, and only the pass makes it right again. */
START_TEST(agrees_with_all_rows) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    make_rows();
    for (int round = 0; round < 40; round++) {
        if (prng_chance(&prng, 1, 4)) {
            hint_ledger_free(&ledger);
            hint_ledger_init(&ledger, &core);
            for (unsigned t = 0; t < TARGETS; t++) {
                struct hint_owed all = owing(1u << t, 1);
                MUST(hint_ledger_reserve(&ledger, &all) == RD_OK);
            }
        }
        hint_ledger_begin(&ledger);
        for (unsigned at = next_row(0); at < ROWS; at = next_row(at + 1)) {
            struct resp_slice key = {rows[at].key->bytes, rows[at].key->len};
            MUST(hint_ledger_meet(&ledger, 7, key, &rows[at].owed, rows[at].bytes) == RD_OK);
            for (uint64_t n = prng_below(&prng, 4); n > 0; n--)
                change_at_random(&prng);
        }
        ck_assert(ledger.passing);
        hint_ledger_end(&ledger);
        ck_assert(ledger.counted && !ledger.passing);
        compare();
        for (int n = 0; n < 5; n++)
            change_at_random(&prng);
        compare();
    }
    free_rows();
}
END_TEST

START_TEST(only_a_whole_pass_says_that_nothing_is_owed) {
    make_rows();
    struct hint_owed owed = owing(1, 1), nothing = {0};
    struct node_id target = id(0);
    change(&rows[0], &owed, 10);
    change(&rows[0], &nothing, 0);
    ck_assert(hint_ledger_find(&ledger, &target)->owed);
    hint_ledger_begin(&ledger);
    hint_ledger_give_up(&ledger);
    ck_assert(ledger.wrong && !ledger.counted);
    ck_assert(hint_ledger_find(&ledger, &target)->owed);
    hint_ledger_begin(&ledger);
    hint_ledger_end(&ledger);
    ck_assert(!ledger.wrong && !hint_ledger_find(&ledger, &target)->owed);
    free_rows();
}
END_TEST

START_TEST(keeps_an_eighth_for_those_that_must_be_kept) {
    make_rows();
    struct hint_owed owed = owing(3, 1);
    ck_assert(hint_ledger_has_room(&ledger, false, 700));
    ck_assert(!hint_ledger_has_room(&ledger, false, 701));
    ck_assert(hint_ledger_has_room(&ledger, true, 800));
    ck_assert(!hint_ledger_has_room(&ledger, true, 801));
    change(&rows[0], &owed, 600); /* its bytes count once, not for each target */
    ck_assert(hint_ledger_has_room(&ledger, false, 100));
    ck_assert(!hint_ledger_has_room(&ledger, false, 101));
    ck_assert(hint_ledger_has_room(&ledger, true, 200));
    ck_assert(!hint_ledger_has_room(&ledger, true, UINT64_MAX));
    core.conf.max_hint_bytes = 500; /* CONFIG SET: there is more than may be */
    ck_assert(!hint_ledger_has_room(&ledger, true, 1));
    free_rows();
}
END_TEST

/* Whoever missed something that nobody kept is marked; the log says so once. */
START_TEST(marks_who_is_behind) {
    struct hint_owed owed = owing(2, 1), other = owing(4, 1);
    hint_ledger_dropped(&ledger, &owed);
    hint_ledger_dropped(&ledger, &owed);
    ck_assert_uint_eq(core.stats.hints_dropped, 2);
    ck_assert_uint_eq(effects.count, 1);
    ck_assert(hint_ledger_find(&ledger, &owed.targets[0])->behind);
    MUST(hint_ledger_reserve(&ledger, &other) == RD_OK);
    ck_assert(!hint_ledger_find(&ledger, &other.targets[0])->behind);
    hint_ledger_lost_row(&ledger);
    ck_assert(hint_ledger_find(&ledger, &other.targets[0])->behind);
}
END_TEST

START_TEST(without_memory_nothing_changes) {
    struct hint_owed all = owing((1 << TARGETS) - 1, 1), more = owing(1, 1);
    struct resp_slice key = {(const uint8_t *)"a", 1};
    for (unsigned n = 1;; n++) {
        hint_ledger_free(&ledger);
        hint_ledger_init(&ledger, &core);
        hint_ledger_begin(&ledger);
        oom_fail_at(n);
        enum rd_err err = hint_ledger_meet(&ledger, 7, key, &all, 10);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_uint_eq(ledger.pass_rows, 0);
        ck_assert_ptr_null(ledger.passed_key);
    }
    hint_ledger_free(&ledger);
    hint_ledger_init(&ledger, &core);
    oom_fail_at(1);
    hint_ledger_dropped(&ledger, &more); /* counted all the same */
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_uint_eq(core.stats.hints_dropped, 1);
    ck_assert_uint_eq(ledger.target_count, 0);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("hint_ledger");
    TCase *tcase = tcase_create("ledger");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, agrees_with_all_rows, 0, 10);
    tcase_add_test(tcase, only_a_whole_pass_says_that_nothing_is_owed);
    tcase_add_test(tcase, keeps_an_eighth_for_those_that_must_be_kept);
    tcase_add_test(tcase, marks_who_is_behind);
    tcase_add_test(tcase, without_memory_nothing_changes);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
