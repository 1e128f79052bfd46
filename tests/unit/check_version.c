/* replication/version against the naive oracle: a vector is a set of dots, each marked one by
 * one. */
#include "replication/version.h"

#include "base/prng.h"
#include "replication/varint.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#include <stdlib.h>
#include <string.h>

#define ACTORS 7
#define COUNTERS 9 /* 1..8; 0 stays unmarked */

/* Some differ in the incarnation, some in the epoch, in both halves of the number range. */
static const struct actor actors[ACTORS] = {
    {1, 0}, {1, 1}, {1, UINT32_MAX}, {2, 0}, {UINT64_MAX - 1, 5}, {UINT64_MAX, 0}, {UINT64_MAX, 9},
};

struct dots {
    bool marked[ACTORS][COUNTERS];
};

static void mark(struct dots *dots, int actor, uint64_t counter) {
    for (uint64_t c = 1; c <= counter; c++) {
        dots->marked[actor][c] = true;
    }
}

static bool holds_all(const struct dots *a, const struct dots *b) {
    for (int i = 0; i < ACTORS; i++) {
        for (int c = 0; c < COUNTERS; c++) {
            if (b->marked[i][c] && !a->marked[i][c]) {
                return false;
            }
        }
    }
    return true;
}

static void must_match(const struct version *version, const struct dots *dots) {
    version_check(version);
    uint32_t entries = 0;
    for (int i = 0; i < ACTORS; i++) {
        uint64_t highest = 0;
        for (uint64_t c = 1; c < COUNTERS; c++) {
            struct dot dot = {actors[i], c};
            MUST(version_covers(version, &dot) == dots->marked[i][c]);
            highest = dots->marked[i][c] ? c : highest;
        }
        MUST(version_get(version, &actors[i]) == highest);
        uint32_t index;
        MUST(version_find(version, &actors[i], &index) == (highest > 0));
        if (highest > 0) {
            MUST(actor_compare(&version->entries[index].actor, &actors[i]) == 0);
        }
        entries += highest > 0;
    }
    MUST(version->count == entries);
}

/* A random vector and its set of dots. */
static struct version random_version(struct prng *prng, struct dots *dots) {
    struct version version = {0};
    *dots = (struct dots){0};
    uint64_t steps = prng_below(prng, 10);
    for (uint64_t s = 0; s < steps; s++) {
        int actor = (int)prng_below(prng, ACTORS);
        struct dot dot = {actors[actor], 1 + prng_below(prng, COUNTERS - 1)};
        MUST(version_advance(&version, &dot) == RD_OK);
        mark(dots, actor, dot.counter);
        must_match(&version, dots);
    }
    return version;
}

START_TEST(orders_actors_and_dots) {
    for (int a = 0; a < ACTORS; a++) {
        for (int b = 0; b < ACTORS; b++) {
            int order = actor_compare(&actors[a], &actors[b]);
            MUST(((order > 0) - (order < 0)) == ((a > b) - (a < b)));
            struct dot high = {actors[a], 9};
            struct dot low = {actors[b], 2};
            MUST((dot_compare(&high, &low) > 0) == (a >= b));
        }
    }
    struct dot dot = {actors[3], 4};
    MUST(dot_compare(&dot, &dot) == 0);
}
END_TEST

START_TEST(agrees_with_sets_of_dots) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 400; round++) {
        struct dots da, db;
        struct version a = random_version(&prng, &da);
        struct version b = random_version(&prng, &db);
        bool left = !holds_all(&db, &da);
        bool right = !holds_all(&da, &db);
        MUST(version_compare(&a, &b) == (unsigned)left + 2 * (unsigned)right);
        MUST(version_descends(&a, &b) == !right);
        MUST(version_descends(&b, &a) == !left);
        MUST(version_equal(&a, &b) == (!left && !right));

        struct version joined = {0};
        MUST(version_copy(&a, &joined) == RD_OK);
        must_match(&joined, &da);
        MUST(version_join(&joined, &b) == RD_OK);
        struct dots both = da;
        for (int i = 0; i < ACTORS; i++) {
            for (int c = 0; c < COUNTERS; c++) {
                both.marked[i][c] |= db.marked[i][c];
            }
        }
        must_match(&joined, &both);
        must_match(&b, &db);
        MUST(version_join(&joined, &joined) == RD_OK);
        must_match(&joined, &both);
        version_free(&a);
        version_free(&b);
        version_free(&joined);
        must_match(&joined, &(struct dots){0});
    }
}
END_TEST

START_TEST(finds_the_newest_epoch) {
    struct version version = {0};
    ck_assert_ptr_null(version_newest_epoch(&version, 1));
    static const struct dot dots[] = {
        {{5, 0}, 1}, {{5, 3}, 2}, {{5, UINT32_MAX}, 3}, {{7, 8}, 4}, {{UINT64_MAX, 1}, 5},
    };
    for (size_t i = 0; i < sizeof dots / sizeof *dots; i++) {
        MUST(version_advance(&version, &dots[i]) == RD_OK);
    }
    static const struct {
        uint64_t incarnation, counter; /* counter 0: none */
    } cases[] = {{0, 0}, {4, 0}, {5, 3}, {6, 0}, {7, 4}, {8, 0}, {UINT64_MAX, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct version_entry *entry = version_newest_epoch(&version, cases[i].incarnation);
        MUST((entry == NULL ? 0 : entry->counter) == cases[i].counter);
    }
    version_free(&version);
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------------- */

START_TEST(has_one_encoding) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 200; round++) {
        struct dots dots;
        struct version version = random_version(&prng, &dots);
        struct version other = {0}; /* the same, built in another order */
        for (int i = ACTORS - 1; i >= 0; i--) {
            struct dot dot = {actors[i], version_get(&version, &actors[i])};
            if (dot.counter > 0) {
                MUST(version_advance(&other, &dot) == RD_OK);
            }
        }
        struct buf one = {0};
        struct buf two = {0};
        MUST(version_encode(&version, &one) == RD_OK);
        MUST(version_encode(&other, &two) == RD_OK);
        MUST(buf_len(&one) == buf_len(&two));
        MUST(memcmp(buf_data(&one), buf_data(&two), buf_len(&one)) == 0);

        struct version back;
        size_t taken;
        size_t len = buf_len(&one);
        MUST(buf_append(&one, "behind", 6) == RD_OK);
        MUST(version_decode(buf_data(&one), buf_len(&one), &back, &taken) == RD_OK);
        MUST(taken == len);
        must_match(&back, &dots);
        version_free(&back);
        for (size_t cut = 0; cut < len; cut++) {
            MUST(version_decode(buf_data(&one), cut, &back, &taken) == RD_EPROTO);
        }
        version_free(&version);
        version_free(&other);
        buf_free(&one);
        buf_free(&two);
    }
}
END_TEST

#define INCARNATION(last) 0, 0, 0, 0, 0, 0, 0, last

static const struct {
    const char *why;
    enum rd_err err;
    size_t len;
    uint8_t bytes[40];
} refused[] = {
    {"nothing at all", RD_EPROTO, 0, {0}},
    {"count without entries", RD_EPROTO, 1, {1}},
    {"counter 0", RD_EPROTO, 11, {1, INCARNATION(1), 0, 0}},
    {"same actor twice", RD_EPROTO, 21, {2, INCARNATION(1), 0, 1, INCARNATION(1), 0, 2}},
    {"wrong order", RD_EPROTO, 21, {2, INCARNATION(2), 0, 1, INCARNATION(1), 0, 1}},
    {"epochs in wrong order", RD_EPROTO, 21, {2, INCARNATION(1), 2, 1, INCARNATION(1), 1, 1}},
    {"epoch of 33 bits", RD_EPROTO, 15, {1, INCARNATION(1), 0x80, 0x80, 0x80, 0x80, 0x10, 1}},
    {"long spelling", RD_EPROTO, 12, {1, INCARNATION(1), 0, 0x81, 0}},
    {"counter of 64 bits",
     RD_EPROTO,
     20,
     {1, INCARNATION(1), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
    {"65537 entries", RD_ETOOBIG, 3, {0x81, 0x80, 0x04}},
    {"65536 entries in no bytes", RD_EPROTO, 3, {0x80, 0x80, 0x04}},
};

START_TEST(refuses_other_bytes) {
    struct version version;
    size_t taken = 99;
    unsigned long before = oom_count();
    enum rd_err err = version_decode(refused[_i].bytes, refused[_i].len, &version, &taken);
    unsigned long allocations = oom_count() - before;
    ck_assert_msg(err == refused[_i].err, "%s: %s", refused[_i].why, rd_err_name(err));
    MUST(taken == 99);
    ck_assert_msg(refused[_i].len > 3 || allocations == 0, "%s: allocated", refused[_i].why);
}
END_TEST

START_TEST(accepts_only_what_it_would_write) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    int accepted = 0;
    for (int round = 0; round < 1000; round++) {
        struct dots dots;
        struct version version = random_version(&prng, &dots);
        struct buf buf = {0};
        MUST(version_encode(&version, &buf) == RD_OK);
        buf.base[buf.head + prng_below(&prng, buf_len(&buf))] ^=
            (uint8_t)(1U << prng_below(&prng, 8));
        struct version back;
        size_t taken;
        if (version_decode(buf_data(&buf), buf_len(&buf), &back, &taken) == RD_OK) {
            accepted++;
            version_check(&back);
            struct buf again = {0};
            MUST(version_encode(&back, &again) == RD_OK);
            MUST(buf_len(&again) == taken);
            MUST(memcmp(buf_data(&again), buf_data(&buf), taken) == 0);
            buf_free(&again);
            version_free(&back);
        }
        version_free(&version);
        buf_free(&buf);
    }
    MUST(accepted > 0); /* without a checksum many flips are other vectors */
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------- */

START_TEST(changes_nothing_when_memory_runs_out) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct dots da, db;
    struct version a = random_version(&prng, &da);
    struct version b = random_version(&prng, &db);
    struct dot dot = {{3, 3}, 3}; /* an actor that neither has */
    struct version copy = {.count = 77};
    struct buf buf = {0};

    oom_fail_from(1);
    enum rd_err joined = version_join(&a, &b);
    enum rd_err advanced = a.count == a.cap ? version_advance(&a, &dot) : RD_ENOMEM;
    enum rd_err copied = b.count > 0 ? version_copy(&b, &copy) : RD_ENOMEM;
    enum rd_err encoded = version_encode(&b, &buf);
    oom_stop();
    MUST(advanced == RD_ENOMEM);
    MUST(copied == RD_ENOMEM);
    MUST(encoded == RD_ENOMEM);
    MUST(copy.count == 77);
    if (joined == RD_ENOMEM) {
        must_match(&a, &da);
    }

    MUST(version_encode(&b, &buf) == RD_OK);
    size_t taken = 99;
    oom_fail_at(1);
    enum rd_err decoded = version_decode(buf_data(&buf), buf_len(&buf), &copy, &taken);
    int failed = oom_stop();
    MUST(decoded == (failed ? RD_ENOMEM : RD_OK));
    MUST((failed ? copy.count : 77) == 77);
    if (!failed) {
        version_free(&copy);
    }
    version_free(&a);
    version_free(&b);
    buf_free(&buf);
}
END_TEST

START_TEST(allocates_nothing_within_its_reserve) {
    struct version version = {0};
    MUST(version_reserve(&version, ACTORS) == RD_OK);
    oom_fail_from(1);
    for (int i = ACTORS - 1; i >= 0; i--) {
        struct dot dot = {actors[i], 1};
        (void)version_advance(&version, &dot);
    }
    int failed = oom_stop();
    MUST(failed == 0);
    MUST(version.count == ACTORS);
    version_free(&version);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("version");
    TCase *tcase = tcase_create("version");
    tcase_add_test(tcase, orders_actors_and_dots);
    tcase_add_loop_test(tcase, agrees_with_sets_of_dots, 0, 20);
    tcase_add_test(tcase, finds_the_newest_epoch);
    tcase_add_loop_test(tcase, has_one_encoding, 0, 10);
    tcase_add_loop_test(tcase, refuses_other_bytes, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_loop_test(tcase, accepts_only_what_it_would_write, 0, 10);
    tcase_add_loop_test(tcase, changes_nothing_when_memory_runs_out, 0, 50);
    tcase_add_test(tcase, allocates_nothing_within_its_reserve);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
