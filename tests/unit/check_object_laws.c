/* replication/object: merge of arbitrary objects, also damaged ones in which a dot has two stamps,
 * against a quadratic oracle, and the laws of a join. */
#include "replication/object.h"

#include "base/prng.h"
#include "tests/lib/run.h"

#include <stdlib.h>
#include <string.h>

#define ACTORS 5
#define COUNTERS 8
#define ROUNDS 300

/* How wild the objects of a test are. */
struct wildness {
    uint64_t siblings; /* of 100 covered dots, so many are alive */
    bool clashes;      /* a dot may come with different stamps and expiries */
};

static const struct wildness kinds[] = {
    {5, false}, {30, false}, {90, false}, {5, true}, {30, true}, {90, true},
};

/* Normally one stamp per dot; some dots share one, so that ties happen. */
static uint64_t stamp_of(struct prng *prng, const struct dot *dot, bool clashes) {
    uint64_t stamp = 100 + dot->actor.incarnation / 2 * 3 + dot->counter;
    return clashes && prng_chance(prng, 1, 3) ? stamp + prng_below(prng, 9) : stamp;
}

static int newest_first(const void *left, const void *right) {
    const struct sibling *a = left;
    const struct sibling *b = right;
    if (a->stamp != b->stamp) {
        return a->stamp > b->stamp ? -1 : 1;
    }
    return dot_compare(&b->dot, &a->dot);
}

static void add(struct object *object, const struct sibling *sibling) {
    if (object->count == object->cap) {
        object->cap = object->cap * 2 + 1;
        object->siblings = realloc(object->siblings, object->cap * sizeof *object->siblings);
        ck_assert_ptr_nonnull(object->siblings);
    }
    object->siblings[object->count++] = *sibling;
    blob_ref(sibling->value);
}

static void sort(struct object *object) {
    if (object->count > 0) {
        qsort(object->siblings, object->count, sizeof *object->siblings, newest_first);
    }
    object_check(object);
}

static struct object random_object(struct prng *prng, const struct wildness *kind) {
    struct object object = {0};
    struct blob *value;
    ck_assert_int_eq(blob_new("v", 1, &value), RD_OK);
    for (uint64_t a = 1; a <= ACTORS; a++) {
        struct dot dot = {{a, 0}, prng_below(prng, COUNTERS + 1)};
        if (dot.counter > 0 && version_advance(&object.version, &dot) != RD_OK) {
            ck_abort();
        }
        for (; dot.counter > 0; dot.counter--) {
            if (prng_chance(prng, kind->siblings, 100)) {
                struct sibling sibling = {
                    .dot = dot, .stamp = stamp_of(prng, &dot, kind->clashes), .value = value};
                sibling.expires_ms = kind->clashes ? prng_below(prng, 2) : dot.counter % 3;
                add(&object, &sibling);
            }
        }
    }
    if (object.version.count > 0) {
        object.deleted_stamp = prng_below(prng, 4);
    }
    sort(&object);
    blob_unref(value);
    return object;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

static const struct sibling *find(const struct object *object, const struct dot *dot) {
    for (uint32_t i = 0; i < object->count; i++) {
        if (dot_compare(&object->siblings[i].dot, dot) == 0) {
            return &object->siblings[i];
        }
    }
    return NULL;
}

static bool same(const struct sibling *a, const struct sibling *b) {
    return a->stamp == b->stamp && a->expires_ms == b->expires_ms;
}

static bool greater(const struct sibling *a, const struct sibling *b) {
    return a->stamp != b->stamp ? a->stamp > b->stamp : a->expires_ms > b->expires_ms;
}

/* The definition, sibling by sibling. */
static struct object slow_merge(const struct object *a, const struct object *b, bool *clash) {
    struct object merged = {0};
    ck_assert_int_eq(version_copy(&a->version, &merged.version), RD_OK);
    ck_assert_int_eq(version_join(&merged.version, &b->version), RD_OK);
    merged.deleted_stamp =
        a->deleted_stamp > b->deleted_stamp ? a->deleted_stamp : b->deleted_stamp;
    *clash = false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct sibling *ours = &a->siblings[i];
        const struct sibling *theirs = find(b, &ours->dot);
        if (theirs != NULL) {
            add(&merged, greater(theirs, ours) ? theirs : ours);
            *clash = *clash || !same(ours, theirs);
        } else if (!version_covers(&b->version, &ours->dot)) {
            add(&merged, ours);
        }
    }
    for (uint32_t i = 0; i < b->count; i++) {
        if (!version_covers(&a->version, &b->siblings[i].dot)) {
            add(&merged, &b->siblings[i]);
        }
    }
    sort(&merged);
    return merged;
}

/* a merged with b by the code under test. */
static struct object fast_merge(const struct object *a, const struct object *b,
                                struct object_merge_result *result) {
    struct object merged = {0};
    if (object_copy(a, &merged) != RD_OK || object_merge(&merged, b, result) != RD_OK) {
        ck_abort();
    }
    object_check(&merged);
    return merged;
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(agrees_with_the_definition) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    int clashes = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct object a = random_object(&prng, &kinds[_i]);
        struct object b = random_object(&prng, &kinds[_i]);
        bool clash;
        struct object wanted = slow_merge(&a, &b, &clash);
        struct object_merge_result result;
        struct object merged = fast_merge(&a, &b, &result);
        ck_assert(object_equal(&merged, &wanted));
        ck_assert_int_eq(result.dot_clash, clash);
        ck_assert_int_eq(result.changed, !object_equal(&merged, &a));
        ck_assert_int_eq(result.from_behind, !object_equal(&merged, &b));
        clashes += clash;
        object_free(&a);
        object_free(&b);
        object_free(&wanted);
        object_free(&merged);
    }
    ck_assert_int_eq(clashes > 0, kinds[_i].clashes);
}
END_TEST

START_TEST(obeys_the_laws_of_a_join) {
    struct prng prng;
    prng_seed(&prng, 100 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct object a = random_object(&prng, &kinds[_i]);
        struct object b = random_object(&prng, &kinds[_i]);
        struct object c = random_object(&prng, &kinds[_i]);
        struct object ab = fast_merge(&a, &b, NULL);
        struct object ba = fast_merge(&b, &a, NULL);
        struct object bc = fast_merge(&b, &c, NULL);
        struct object ab_c = fast_merge(&ab, &c, NULL);
        struct object a_bc = fast_merge(&a, &bc, NULL);
        struct object_merge_result again;
        struct object aa = fast_merge(&a, &a, &again);
        ck_assert(object_equal(&ab, &ba));
        ck_assert(object_equal(&ab_c, &a_bc));
        ck_assert_uint_eq(object_digest(&ab_c), object_digest(&a_bc));
        ck_assert(object_equal(&aa, &a) && !again.changed && !again.from_behind);
        struct object absorbed = fast_merge(&ab_c, &b, &again);
        ck_assert(object_equal(&absorbed, &ab_c) && !again.changed);
        struct object *all[] = {&a, &b, &c, &ab, &ba, &bc, &ab_c, &a_bc, &aa, &absorbed};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            object_free(all[i]);
        }
    }
}
END_TEST

START_TEST(counts_references_right) {
    struct prng prng;
    prng_seed(&prng, 200 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct object a = random_object(&prng, &kinds[_i]);
        struct object b = random_object(&prng, &kinds[_i]);
        struct object merged = fast_merge(&a, &b, NULL);
        uint32_t of_merged = merged.count;
        struct blob *kept = of_merged > 0 ? blob_ref(merged.siblings[0].value) : NULL;
        object_free(&a);
        object_free(&b);
        if (kept != NULL) { /* the objects of a test share one value each */
            ck_assert_uint_le(kept->refs, 1 + of_merged);
            ck_assert_uint_ge(kept->refs, 2);
        }
        object_free(&merged);
        if (kept != NULL) {
            ck_assert_uint_eq(kept->refs, 1);
        }
        blob_unref(kept);
    }
}
END_TEST

/* Hundreds of siblings on each side: past the stack, and with every one of them replaced. */
START_TEST(merges_large_objects) {
    struct object a = {0};
    struct object b = {0};
    struct blob *value;
    ck_assert_int_eq(blob_new("v", 1, &value), RD_OK);
    for (uint64_t i = 1; i <= 500; i++) {
        struct dot left = {{1, 0}, i};
        struct dot right = {{2, 0}, i};
        struct context nothing = {0};
        ck_assert_int_eq(object_write(&a, &nothing, &left, 2 * i, value, 0), RD_OK);
        ck_assert_int_eq(object_write(&b, &nothing, &right, 2 * i + 1, value, 0), RD_OK);
    }
    struct object ab = fast_merge(&a, &b, NULL);
    ck_assert_uint_eq(ab.count, 1000);
    for (uint32_t i = 0; i < ab.count; i++) {
        ck_assert_uint_eq(ab.siblings[i].stamp, 1001 - i);
    }
    struct context all;
    struct dot heir = {{3, 0}, 1};
    ck_assert_int_eq(object_context(&ab, &all), RD_OK);
    struct object one = {0};
    ck_assert_int_eq(object_write(&one, &all, &heir, 2000, value, 0), RD_OK);
    ck_assert_int_eq(object_merge(&ab, &one, NULL), RD_OK);
    ck_assert(object_equal(&ab, &one));
    ck_assert_uint_eq(value->refs, 1 + 1000 + 2);
    context_free(&all);
    object_free(&a);
    object_free(&b);
    object_free(&ab);
    object_free(&one);
    ck_assert_uint_eq(value->refs, 1);
    blob_unref(value);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("object_laws");
    TCase *tcase = tcase_create("object_laws");
    int count = (int)(sizeof kinds / sizeof *kinds);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, agrees_with_the_definition, 0, count);
    tcase_add_loop_test(tcase, obeys_the_laws_of_a_join, 0, count);
    tcase_add_loop_test(tcase, counts_references_right, 0, count);
    tcase_add_test(tcase, merges_large_objects);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
