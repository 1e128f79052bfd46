/* replication/shrink and replication/watched: what may be forgotten of objects, against naive rules; keys under watch. */
#include "replication/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "replication/watched.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"
#include "tests/unit/object_text.h"

/* A stamp of 30 is 0 ms: such tests use stamps above 1 << 16. */
#define MS(ms) ((uint64_t)(ms) << 16)

START_TEST(what_is_gone) {
    static const struct {
        const char *text;
        uint64_t wall_ms;
        bool gone;
        uint64_t gone_ms;
    } cases[] = {
        {"", 100, false, 0},
        {"A3 |  | deleted 10", 100, true, 1},
        {"A3 | A3@30=v", 100, false, 0},
        {"A3 | A3@30=v/99", 98, false, 99},
        {"A3 | A3@30=v/99", 100, true, 99},
        {"A3 B1 | A3@30=v/99 B1@20=w/120", 110, false, 120},
        {"A3 B1 | A3@30=v/99 B1@20=w/120", 121, true, 120},
        {"A3 B1 | A3@30=v/99 B1@20=w", 121, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object object = object_of(cases[i].text);
        ck_assert_msg(shrink_is_gone(&object, cases[i].wall_ms) == cases[i].gone, "case %zu", i);
        ck_assert_uint_eq(shrink_gone_ms(&object), cases[i].gone_ms);
        object_free(&object);
    }
}
END_TEST

START_TEST(when_it_is_due) {
    struct object object = object_of("A3 |  | deleted 10");
    object.deleted_stamp = MS(77) + 5;
    ck_assert_uint_eq(shrink_due_ms(&object, 3), 77);
    object_free(&object);
    object = object_of("A3 B1 C1 D1 | A3@30=v");
    object.siblings[0].stamp = MS(55);
    ck_assert_uint_eq(shrink_idle_entries(&object), 3);
    ck_assert_uint_eq(shrink_due_ms(&object, 3), 0); /* one for each home may stay */
    ck_assert_uint_eq(shrink_due_ms(&object, 2), 55);
    object.siblings[0].expires_ms = 50;
    ck_assert_uint_eq(shrink_due_ms(&object, 2), 50);
    object.siblings[0].expires_ms = 60;
    ck_assert_uint_eq(shrink_due_ms(&object, 2), 55);
    object_free(&object);
    object = object_of("A3 B1 C1 D1 E1 F1 G1 H1 I1 J1 | A3@30=v");
    ck_assert_uint_eq(shrink_idle_entries(&object), 9);
    ck_assert_uint_eq(shrink_due_ms(&object, 1), 1); /* a crowd does not wait */
    object_free(&object);
}
END_TEST

/* A vector of its own, from the text of an object. */
static struct version vector_of(const char *text) {
    struct object object = object_of(text);
    struct version version = object.version;
    object.version = (struct version){0};
    object_free(&object);
    return version;
}

static void expect_kept(const char *text, const uint64_t *incarnations, size_t count,
                        const char *kept) {
    struct object object = object_of(text);
    struct version living, idle, got, expected = vector_of(kept);
    MUST(shrink_split(&object, &living, &idle) == RD_OK);
    ck_assert_uint_eq(living.count + idle.count, object.version.count);
    ck_assert_uint_eq(idle.count, shrink_idle_entries(&object));
    MUST(shrink_keep(&living, &idle, incarnations, count, &got) == RD_OK);
    ck_assert_msg(version_equal(&got, &expected), "%s", text);
    MUST(shrink_apply(&object, &got, 0) == RD_OK);
    object_check(&object);
    ck_assert(version_equal(&object.version, &expected));
    version_free(&living);
    version_free(&idle);
    version_free(&got);
    version_free(&expected);
    object_free(&object);
}

START_TEST(what_stays) {
    static const uint64_t homes[] = {1, 2, 3}; /* A, B, C */
    expect_kept("A3 | A3@30=v", homes, 3, "A3");
    expect_kept("A3 D2 E1 | A3@30=v", homes, 3, "A3");
    expect_kept("A3 B2 D2 | A3@30=v", homes, 3, "A3 B2");
    expect_kept("A3 B2 D2 | A3@30=v", homes, 1, "A3");
    expect_kept("A3 A.1:2 A.2:4 B2 | A.1:2@30=v", homes, 3, "A.1:2 A.2:4 B2");
    expect_kept("A3 A.1:2 A.2:4 B2 | A.2:3@30=v", homes, 3, "A.2:4 B2");
    expect_kept("D3 E2 F1 | D3@30=v F1@20=w", homes, 3, "D3 F1");
}
END_TEST

START_TEST(what_is_refused) {
    struct object object = object_of("A3 B2 | A3@30=v/99");
    uint64_t digest = object_digest(&object);
    struct version none = {0}, other = vector_of("A3 C1"), less = vector_of("A2 B2"),
                   uncovered = vector_of("B2");
    ck_assert_int_eq(shrink_apply(&object, &none, 98), RD_EREFUSED);
    ck_assert_int_eq(shrink_apply(&object, &other, 98), RD_EREFUSED);
    ck_assert_int_eq(shrink_apply(&object, &less, 98), RD_EREFUSED);
    ck_assert_int_eq(shrink_apply(&object, &uncovered, 98), RD_EREFUSED);
    ck_assert_uint_eq(object_digest(&object), digest);
    ck_assert_int_eq(shrink_apply(&object, &none, 100), RD_OK);
    ck_assert(object_is_empty(&object));
    ck_assert_int_eq(shrink_apply(&object, &none, 100), RD_EREFUSED); /* nothing to forget */
    version_free(&other);
    version_free(&less);
    version_free(&uncovered);
}
END_TEST

/* Random objects: what stays against the rule said entry by entry; and merging with the longer object changes nothing that is read. */
START_TEST(random_objects) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i + 1);
    for (int round = 0; round < 300; round++) {
        struct object object = {0};
        struct context none = {0};
        struct blob *value;
        uint64_t homes[3] = {1, 2, 1 + prng_below(&prng, 5)};
        MUST(blob_new("v", 1, &value) == RD_OK);
        for (uint64_t i = prng_below(&prng, 9); i > 0; i--) {
            struct dot dot = {{1 + prng_below(&prng, 5), (uint32_t)prng_below(&prng, 3)}, 1};
            dot.counter = version_get(&object.version, &dot.actor) + 1;
            if (prng_chance(&prng, 1, 3))
                MUST(object_write(&object, &none, &dot, 5, value, 0) == RD_OK);
            else
                MUST(version_advance(&object.version, &dot) == RD_OK);
        }
        struct version living, idle, kept;
        MUST(shrink_split(&object, &living, &idle) == RD_OK);
        MUST(shrink_keep(&living, &idle, homes, 3, &kept) == RD_OK);
        for (uint32_t i = 0; i < object.version.count; i++) {
            const struct actor *actor = &object.version.entries[i].actor;
            bool stays = false, newest = true, home = false;
            for (uint32_t k = 0; k < object.count; k++)
                stays |= actor_compare(&object.siblings[k].dot.actor, actor) == 0;
            for (uint32_t k = 0; k < object.version.count; k++)
                newest &= object.version.entries[k].actor.incarnation != actor->incarnation ||
                          object.version.entries[k].actor.epoch <= actor->epoch;
            for (int k = 0; k < 3; k++)
                home |= homes[k] == actor->incarnation;
            MUST((version_get(&kept, actor) > 0) == (stays || (newest && home)));
        }
        struct object small, merged;
        MUST(object_copy(&object, &small) == RD_OK && object_copy(&object, &merged) == RD_OK);
        if (kept.count > 0) {
            MUST(shrink_apply(&small, &kept, 0) == RD_OK);
            MUST(object_merge(&small, &object, NULL) == RD_OK);
            MUST(object_equal(&small, &merged));
        }
        object_free(&small);
        object_free(&merged);
        object_free(&object);
        version_free(&living);
        version_free(&idle);
        version_free(&kept);
        blob_unref(value);
    }
}
END_TEST

START_TEST(memory_runs_out) {
    static const uint64_t homes[] = {2};
    struct object object = object_of("A3 B2 C1 | A3@30=v");
    uint64_t digest = object_digest(&object);
    bool fired = true;
    for (unsigned n = 1; fired; n++) {
        struct version living = {0}, idle = {0}, kept = {0};
        struct object copy = {0};
        MUST(object_copy(&object, &copy) == RD_OK);
        oom_fail_at(n);
        enum rd_err err = shrink_split(&object, &living, &idle);
        if (err == RD_OK)
            err = shrink_keep(&living, &idle, homes, 1, &kept);
        if (err == RD_OK)
            err = shrink_apply(&copy, &kept, 0);
        fired = oom_stop();
        ck_assert_int_eq(err, fired ? RD_ENOMEM : RD_OK);
        ck_assert((object_digest(&copy) == digest) == fired);
        object_free(&copy);
        version_free(&living);
        version_free(&idle);
        version_free(&kept);
    }
    object_free(&object);
}
END_TEST

/* ---- keys under watch ------------------------------------------------------------------------------- */

#define KEYS 40

START_TEST(keys_are_watched) {
    struct watched watched = {0};
    struct watched_key entries[KEYS] = {0};
    bool in[KEYS] = {false}, touched[KEYS] = {false};
    struct prng prng;
    prng_seed(&prng, 7);
    for (uint64_t i = 0; i < KEYS; i++)
        MUST(blob_new(&i, i % 9, &entries[i].key) == RD_OK); /* some are equal, one is empty */
    for (int step = 0; step < 5000; step++) {
        size_t i = prng_below(&prng, KEYS), twin = KEYS;
        const struct blob *key = entries[i].key;
        for (size_t k = 0; k < KEYS; k++)
            if (in[k] && entries[k].key->len == key->len &&
                memcmp(entries[k].key->bytes, key->bytes, key->len) == 0)
                twin = k;
        struct watched_key *found =
            watched_find(&watched, (struct resp_slice){key->bytes, key->len});
        MUST(found == (twin < KEYS ? &entries[twin] : NULL));
        switch (prng_below(&prng, 3)) {
        case 0:
            if (in[i])
                break;
            MUST(watched_add(&watched, &entries[i]) == (twin == KEYS));
            in[i] = twin == KEYS;
            touched[i] = false;
            break;
        case 1:
            watched_remove(&watched, &entries[i]);
            in[i] = false;
            break;
        default:
            watched_touch(&watched, key);
            if (twin < KEYS)
                touched[twin] = true;
        }
        for (size_t k = 0; k < KEYS; k++)
            MUST(entries[k].in_use == in[k] && (!in[k] || entries[k].touched == touched[k]));
        watched_check(&watched);
    }
    for (size_t i = 0; i < KEYS; i++)
        blob_unref(entries[i].key);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("shrink");
    TCase *tcase = tcase_create("shrink");
    tcase_add_test(tcase, what_is_gone);
    tcase_add_test(tcase, when_it_is_due);
    tcase_add_test(tcase, what_stays);
    tcase_add_test(tcase, what_is_refused);
    tcase_add_loop_test(tcase, random_objects, 0, 5);
    tcase_add_test(tcase, memory_runs_out);
    tcase_add_test(tcase, keys_are_watched);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
