/* replication/object: tables of cases. Random histories are in check_object_histories.c, bytes in
 * check_object_codec.c. */
#include "replication/object.h"

#include "replication/hlc.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

#include <stdio.h>
#include <string.h>

static void must_be(const struct object *object, const char *wanted) {
    char text[OBJECT_TEXT_BYTES];
    object_check(object);
    ck_assert_str_eq(object_text(object, text), wanted);
}

/* A write as a coordinator does it, with the value's name as the value. */
static enum rd_err write_value(struct object *object, const struct context *context,
                               const char *dot, uint64_t stamp, const char *value) {
    struct dot named = dot_of(dot);
    struct blob *blob;
    ck_assert_int_eq(blob_new(value, strlen(value), &blob), RD_OK);
    enum rd_err err = object_write(object, context, &named, stamp, blob, 0);
    blob_unref(blob);
    return err;
}

/* A context that covers all that the text's vector does; "A3 B1 + A5" adds a lone dot. */
static struct context context_of(const char *text) {
    char vector[100];
    const char *plus = strstr(text, " + ");
    snprintf(vector, sizeof vector, "%.*s", plus == NULL ? 99 : (int)(plus - text), text);
    struct object object = object_of(vector);
    struct context context;
    ck_assert_int_eq(object_context(&object, &context), RD_OK);
    object_free(&object);
    if (plus != NULL) {
        context.has_dot = true;
        context.dot = dot_of(plus + 3);
    }
    context_check(&context);
    return context;
}

/* ---- merge ----------------------------------------------------------------------------------- */

static const struct {
    const char *why, *into, *from, *merged;
    bool changed, from_behind, dot_clash;
} merges[] = {
    {"nothing and nothing", "", "", " |", 0, 0, 0},
    {"nothing and something", "", "A1 | A1@5=x", "A1 | A1@5=x", 1, 0, 0},
    {"something and nothing", "A1 | A1@5=x", "", "A1 | A1@5=x", 0, 1, 0},
    {"the same", "A1 | A1@5=x", "A1 | A1@5=x", "A1 | A1@5=x", 0, 0, 0},
    {"an heir", "A1 | A1@5=x", "A2 | A2@6=y", "A2 | A2@6=y", 1, 0, 0},
    {"a forerunner", "A2 | A2@6=y", "A1 | A1@5=x", "A2 | A2@6=y", 0, 1, 0},
    {"an heir with a lower stamp wins", "A1 | A1@9=x", "A1 B1 | B1@6=y", "A1 B1 | B1@6=y", 1, 0, 0},
    {"concurrent ones stay", "A1 | A1@5=x", "B1 | B1@6=y", "A1 B1 | B1@6=y A1@5=x", 1, 1, 0},
    {"ties go by dot", "A1 | A1@5=x", "B1 | B1@5=y", "A1 B1 | B1@5=y A1@5=x", 1, 1, 0},
    {"a common sibling stays", "A1 B1 | A1@5=x B1@6=y", "A1 C1 | A1@5=x C1@7=z",
     "A1 B1 C1 | C1@7=z B1@6=y A1@5=x", 1, 1, 0},
    {"both dropped the other's", "A2 B1 | A2@7=x", "A1 B2 | B2@8=y", "A2 B2 | B2@8=y A2@7=x", 1, 1,
     0},
    {"a tombstone beats what it covers", "A1 | A1@5=x", "A1 | | deleted 9", "A1 | | deleted 9", 1,
     0, 0},
    {"a late value is dropped by a tombstone", "A1 | | deleted 9", "A1 | A1@5=x",
     "A1 | | deleted 9", 0, 1, 0},
    {"a write beside a delete survives", "A1 | | deleted 9", "A1 B1 | B1@7=y",
     "A1 B1 | B1@7=y | deleted 9", 1, 1, 0},
    {"the newer deletion counts", "A1 | | deleted 9", "A1 | | deleted 8", "A1 | | deleted 9", 0, 1,
     0},
    {"only the deletion differs", "A1 | | deleted 8", "A1 | | deleted 9", "A1 | | deleted 9", 1, 0,
     0},
    {"only the vector differs", "A1 | A1@5=x", "A1 B3 | A1@5=x", "A1 B3 | A1@5=x", 1, 0, 0},
    {"epochs are actors of their own", "A1 | A1@5=x", "A.1:1 | A.1:1@6=y",
     "A1 A.1:1 | A.1:1@6=y A1@5=x", 1, 1, 0},
    {"a clash keeps the higher stamp", "A1 | A1@5=x", "A1 | A1@6=y", "A1 | A1@6=y", 1, 0, 1},
    {"a clash, from the other side", "A1 | A1@6=y", "A1 | A1@5=x", "A1 | A1@6=y", 0, 1, 1},
    {"a clash of expiries keeps the higher", "A1 | A1@5=x/7", "A1 | A1@5=x/9", "A1 | A1@5=x/9", 1,
     0, 1},
    {"the same the other way round", "A1 | A1@5=x/9", "A1 | A1@5=x", "A1 | A1@5=x/9", 0, 1, 1},
    {"a clash among others keeps the order", "A1 B1 C1 | C1@9=c B1@5=b A1@2=a",
     "A1 B1 C1 | C1@9=c A1@7=A B1@5=b", "A1 B1 C1 | C1@9=c A1@7=A B1@5=b", 1, 0, 1},
    {"two clashes, one for each side", "A1 B1 | A1@9=a B1@2=b", "A1 B1 | B1@8=B A1@3=A",
     "A1 B1 | A1@9=a B1@8=B", 1, 1, 1},
    {"a clash beside real drops", "A1 B2 | A1@5=x B2@4=b", "A1 B1 C1 | C1@9=c A1@6=y B1@3=o",
     "A1 B2 C1 | C1@9=c A1@6=y B2@4=b", 1, 1, 1},
};

START_TEST(merges_these) {
    struct object into = object_of(merges[_i].into);
    struct object from = object_of(merges[_i].from);
    struct object_merge_result result;
    ck_assert_int_eq(object_merge(&into, &from, &result), RD_OK);
    char text[OBJECT_TEXT_BYTES];
    object_check(&into);
    ck_assert_msg(strcmp(object_text(&into, text), merges[_i].merged) == 0, "%s: %s",
                  merges[_i].why, text);
    ck_assert_msg(result.changed == merges[_i].changed, "%s: changed", merges[_i].why);
    ck_assert_msg(result.from_behind == merges[_i].from_behind, "%s: behind", merges[_i].why);
    ck_assert_msg(result.dot_clash == merges[_i].dot_clash, "%s: clash", merges[_i].why);
    object_free(&into);
    object_free(&from);
}
END_TEST

START_TEST(merges_with_itself) {
    struct object object = object_of("A3 B2 | A3@9=x B2@8=y B1@7=z | deleted 5");
    struct object_merge_result result;
    ck_assert_int_eq(object_merge(&object, &object, &result), RD_OK);
    must_be(&object, "A3 B2 | A3@9=x B2@8=y B1@7=z | deleted 5");
    ck_assert(!result.changed && !result.from_behind && !result.dot_clash);
    object_free(&object);
}
END_TEST

/* ---- writes ---------------------------------------------------------------------------------- */

static const struct {
    const char *why, *before, *context, *dot, *after;
} writes[] = {
    {"a first write", "", "", "A1", "A1 | A1@50=new"},
    {"blind beside another", "A1 | A1@5=x", "", "A2", "A2 | A2@50=new A1@5=x"},
    {"over what it saw", "A1 | A1@5=x", "A1", "A2", "A2 | A2@50=new"},
    {"over one of two", "A2 | A2@6=y A1@5=x", "A1", "A3", "A3 | A3@50=new A2@6=y"},
    {"over what is only elsewhere", "A1 | A1@5=x", "A1 B2", "A2", "A2 B2 | A2@50=new"},
    {"an old stamp is put in its place", "A1 | A1@90=x", "", "B1", "A1 B1 | A1@90=x B1@50=new"},
    {"a lone dot drops its sibling only", "A2 | A2@6=y A1@5=x", " + A2", "A3",
     "A3 | A3@50=new A1@5=x"},
    {"a lone dot that is next joins the vector", "A1 | A1@5=x", " + A2", "B1",
     "A2 B1 | B1@50=new A1@5=x"},
    {"a lone dot behind a gap does not", "A1 | A1@5=x", " + A3", "B1", "A1 B1 | B1@50=new A1@5=x"},
    {"over a tombstone", "A1 | | deleted 9", "A1", "A2", "A2 | A2@50=new | deleted 9"},
};

START_TEST(writes_these) {
    struct object object = object_of(writes[_i].before);
    struct context context = context_of(writes[_i].context);
    ck_assert_int_eq(write_value(&object, &context, writes[_i].dot, 50, "new"), RD_OK);
    char text[OBJECT_TEXT_BYTES];
    object_check(&object);
    ck_assert_msg(strcmp(object_text(&object, text), writes[_i].after) == 0, "%s: %s",
                  writes[_i].why, text);
    context_free(&context);
    object_free(&object);
}
END_TEST

/* The short way of a plain SET comes to what the long one does, or fails and leaves nothing. */
START_TEST(overwrites_as_a_write_with_all_of_it) {
    static const char *const objects[] = {"", "A1 | A1@5=x", "A1 B3 | A1@5=x B3@7=y | deleted 9",
                                          "A4 C2 | | deleted 6"};
    static const char *const dots[] = {"A9", "B9", "Z1"};
    for (size_t i = 0; i < 12; i++) {
        struct object object = object_of(objects[i / 3]), other = {0};
        struct object copy = object_of(objects[i / 3]);
        struct context all;
        struct dot dot = dot_of(dots[i % 3]);
        struct blob *value;
        ck_assert_int_eq(blob_new("new", 3, &value), RD_OK);
        ck_assert_int_eq(object_context(&object, &all), RD_OK);
        ck_assert_int_eq(object_write(&object, &all, &dot, 20, value, 77), RD_OK);
        unsigned n = 1;
        for (;; n++) {
            oom_fail_at(n);
            enum rd_err err = object_overwrite(&copy, &dot, 20, value, 77, &other);
            if (!oom_stop()) {
                ck_assert_int_eq(err, RD_OK);
                break;
            }
            ck_assert_int_eq(err, RD_ENOMEM);
            ck_assert_uint_eq(value->refs, 2);
        }
        ck_assert_uint_eq(n, 3);
        object_check(&other);
        ck_assert(object_equal(&object, &other));
        ck_assert_ptr_eq(other.siblings[0].value, value);
        ck_assert_uint_eq(value->refs, 3);
        context_free(&all);
        object_free(&object);
        object_free(&copy);
        object_free(&other);
        blob_unref(value);
    }
}
END_TEST

static const struct {
    const char *why, *before, *context, *after;
    uint32_t removed;
} removals[] = {
    {"nothing of nothing", "", "", " |", 0},
    {"all", "A2 | A2@6=y A1@5=x", "A2", "A2 | | deleted 50", 2},
    {"what was seen", "A2 | A2@6=y A1@5=x", "A1", "A2 | A2@6=y | deleted 50", 1},
    {"a lone dot", "A2 | A2@6=y A1@5=x", " + A2", "A2 | A1@5=x | deleted 50", 1},
    {"what is only elsewhere", "A1 | A1@5=x", "B2", "A1 B2 | A1@5=x", 0},
    {"a lone dot that is elsewhere", "A1 | A1@5=x", " + A2", "A2 | A1@5=x", 0},
    {"again", "A1 | | deleted 9", "A1", "A1 | | deleted 9", 0},
    {"with an older stamp", "A1 B1 | B1@7=y | deleted 90", "A1 B1", "A1 B1 | | deleted 90", 1},
};

START_TEST(removes_these) {
    struct object object = object_of(removals[_i].before);
    struct context context = context_of(removals[_i].context);
    uint32_t removed = 99;
    ck_assert_int_eq(object_remove(&object, &context, 50, &removed), RD_OK);
    char text[OBJECT_TEXT_BYTES];
    object_check(&object);
    ck_assert_msg(strcmp(object_text(&object, text), removals[_i].after) == 0, "%s: %s",
                  removals[_i].why, text);
    ck_assert_uint_eq(removed, removals[_i].removed);
    context_free(&context);
    object_free(&object);
}
END_TEST

/* TRAPS.md a: two clients who both saw nothing write through A, a third with the first one's
 * context. */
START_TEST(one_coordinator_two_clients) {
    struct object object = {0};
    struct context nothing = {0};
    struct context first = {0};
    struct dot dot = dot_of("A1");
    ck_assert_int_eq(write_value(&object, &nothing, "A1", 10, "v1"), RD_OK);
    ck_assert_int_eq(object_context_after(&object, &nothing, &dot, &first), RD_OK);
    ck_assert_int_eq(write_value(&object, &nothing, "A2", 20, "v2"), RD_OK);
    must_be(&object, "A2 | A2@20=v2 A1@10=v1");
    ck_assert_int_eq(write_value(&object, &first, "A3", 30, "v3"), RD_OK);
    must_be(&object, "A3 | A3@30=v3 A2@20=v2");

    struct context all;
    ck_assert_int_eq(object_context(&object, &all), RD_OK);
    ck_assert_uint_eq(version_get(&all.version, &dot.actor), 3);
    ck_assert_int_eq(write_value(&object, &all, "A4", 40, "v4"), RD_OK);
    must_be(&object, "A4 | A4@40=v4");
    context_free(&first);
    context_free(&all);
    object_free(&object);
}
END_TEST

static const struct {
    const char *why, *object, *before, *dot, *lone;
    const char *vector; /* as an object's text */
    uint64_t stamp;
} contexts_after[] = {
    {"alone: all of the object", "A3 B2 | A3@9=x", "A1", "A3", NULL, "A3 B2 |", 9},
    {"beside another: what was seen and the new one", "A2 B1 | B1@9=y A2@8=x", "A1", "A2", NULL,
     "A2 |", 9},
    {"behind unseen ones: a lone dot", "A3 | A3@9=x A2@8=y", "A1", "A3", "A3", "A1 |", 9},
    {"a newer lone dot takes the place", "A4 | A4@9=x A2@8=y", "A1 + A3", "A4", "A4", "A1 |", 9},
    {"a lone dot stays beside an entry", "A3 B1 | B1@9=n A2@8=y", "A1 + A3", "B1", "A3", "A1 B1 |",
     9},
    {"deleted, nothing left", "A3 B2 | | deleted 70", "A3", NULL, NULL, "A3 B2 |", 70},
    {"deleted, one left", "A3 B2 | B2@9=y | deleted 70", "A3", NULL, NULL, "A3 |", 70},
    {"overwritten meanwhile", "A3 B2 | B2@9=y", "A1", "A3", "A3", "A1 |", 9},
};

START_TEST(gives_a_context_after_a_write) {
    struct object object = object_of(contexts_after[_i].object);
    struct context before = context_of(contexts_after[_i].before);
    before.stamp = 3;
    const char *name = contexts_after[_i].dot;
    struct dot dot = dot_of(name == NULL ? "Z1" : name);
    struct context after;
    ck_assert_int_eq(object_context_after(&object, &before, name == NULL ? NULL : &dot, &after),
                     RD_OK);
    context_check(&after);
    struct object vector = {.version = after.version};
    char text[OBJECT_TEXT_BYTES];
    ck_assert_msg(strcmp(object_text(&vector, text), contexts_after[_i].vector) == 0, "%s: %s",
                  contexts_after[_i].why, text);
    ck_assert_msg(after.has_dot == (contexts_after[_i].lone != NULL), "%s", contexts_after[_i].why);
    if (after.has_dot) {
        struct dot lone = dot_of(contexts_after[_i].lone);
        ck_assert_int_eq(dot_compare(&after.dot, &lone), 0);
    }
    ck_assert_uint_eq(after.stamp, contexts_after[_i].stamp);
    context_free(&before);
    context_free(&after);
    object_free(&object);
}
END_TEST

/* ---- plain SET and DEL ----------------------------------------------------------------------- */

static const struct {
    const char *why, *held, *sent; /* what the replica had, what the coordinator sent */
    uint32_t uncovered;
} reports[] = {
    {"a replica that had nothing", "", "A1 | A1@9=new", 0},
    {"one that had what the SET covers", "A1 | A1@5=old", "A2 | A2@9=new", 0},
    {"one that had another", "B1 | B1@5=old", "A1 | A1@9=new", 1},
    {"one that had another with a higher stamp", "B1 | B1@99=old", "A1 | A1@9=new", 1},
    {"one that had two more and a covered one", "A1 B1 C1 | A1@4=x B1@5=y C1@6=z", "A2 | A2@9=new",
     2},
    {"one where a later writer saw the SET", "A1 B1 | B1@12=later", "A1 | A1@9=new", 0},
    {"the same, with a sibling of that writer", "A1 B2 | B1@7=x B2@12=later", "A1 | A1@9=new", 0},
    {"one where a DEL has covered the SET", "A1 | | deleted 12", "A1 | A1@9=new", 0},
    {"siblings that the write left are accounted for", "B1 | B1@5=x", "A1 B1 | A1@9=new B1@5=x", 0},
    {"such a sibling replaced by an unseen one", "B1 C1 | C1@8=z", "A1 B1 | A1@9=new B1@5=x", 1},
    {"a DEL where nothing was", "", "A1 | | deleted 9", 0},
    {"a DEL of what it covers", "A1 | A1@5=x", "A1 | | deleted 9", 0},
    {"a DEL beside another", "A1 B1 | A1@5=x B1@6=y", "A1 | | deleted 9", 1},
    {"a DEL that saw nothing", "B2 | B1@5=x B2@6=y", "", 2},
};

START_TEST(reports_what_a_write_did_not_cover) {
    struct object merged = object_of(reports[_i].held);
    struct object sent = object_of(reports[_i].sent);
    ck_assert_int_eq(object_merge(&merged, &sent, NULL), RD_OK);
    uint32_t uncovered = object_uncovered(&merged, &sent);
    ck_assert_msg(uncovered == reports[_i].uncovered, "%s: %u", reports[_i].why, uncovered);
    object_free(&merged);
    object_free(&sent);
}
END_TEST

START_TEST(knows_which_contexts_it_can_carry_out) {
    static const struct {
        const char *object, *context;
        bool reaches;
    } cases[] = {
        {"", "", true},           {"", "A3", true},        {"", "A1 + A3", false},
        {"A1 |", " + A3", false}, {"A2 |", " + A3", true}, {"A3 |", "A1 + A3", true},
        {"", "B7 + A2", false},   {"A9 |", " + A2", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object object = object_of(cases[i].object);
        struct context context = context_of(cases[i].context);
        ck_assert_int_eq(object_reaches(&object, &context), cases[i].reaches);
        context_free(&context);
        object_free(&object);
    }
}
END_TEST

/* ---- questions ------------------------------------------------------------------------------- */

START_TEST(answers_questions) {
    struct object object = object_of("A3 B2 | A3@90=abc/1000 B2@80=de A1@70=/500 | deleted 85");
    ck_assert_ptr_eq(object_winner(&object, 0), &object.siblings[0]);
    ck_assert_ptr_eq(object_winner(&object, 999), &object.siblings[0]);
    ck_assert_ptr_eq(object_winner(&object, 1000), &object.siblings[1]);
    ck_assert(!sibling_expired(&object.siblings[1], UINT64_MAX));
    ck_assert_uint_eq(object_next_expiry_ms(&object), 500);
    ck_assert_uint_eq(object_newest_stamp(&object), 90);
    uint64_t bytes = object_bytes(&object);
    ck_assert_uint_ge(bytes, 5 + 3 * sizeof(struct sibling));
    ck_assert_uint_eq(object_keep_newest(&object), 2);
    must_be(&object, "A3 B2 | A3@90=abc/1000 | deleted 85");
    ck_assert_uint_lt(object_bytes(&object), bytes);
    ck_assert_ptr_null(object_winner(&object, 1000));
    object_free(&object);

    object = object_of("A3 | | deleted 85");
    ck_assert_ptr_null(object_winner(&object, 0));
    ck_assert_uint_eq(object_next_expiry_ms(&object), 0);
    ck_assert_uint_eq(object_newest_stamp(&object), 85);
    ck_assert_uint_eq(object_keep_newest(&object), 0);
    ck_assert(!object_is_empty(&object));
    object_free(&object);
    ck_assert(object_is_empty(&object));
    ck_assert_uint_eq(object_newest_stamp(&object), 0);
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------- */

/* As many siblings as make a merge leave the stack. */
static const char many[] =
    "A9 B9 C3 | A1@1 A2@2 A3@3 A4@4 A5@5 A6@6 A7@7 A8@8 A9@9 B1@11 B2@12 B3@13 B4@14 B5@15 B6@16";

static const struct {
    const char *before, *other;
} pairs[] = {
    {"", "A1 | A1@5=x"},
    {"A1 | A1@5=x", "B1 C1 | B1@6=y C1@7=z | deleted 9"},
    {"A3 | A3@5=x A1@3=o", "A3 D1 | A3@5=x D1@9=n"},
    {many, "A9 B9 D2 | D1@20 D2@21 | deleted 4"},
    {"A9 D1 | D1@30=q", many},
};

static bool intact(const struct object *object, const struct object *was, const char *text) {
    char now[OBJECT_TEXT_BYTES];
    char then[OBJECT_TEXT_BYTES];
    object_check(object);
    if (!object_equal(object, was) ||
        strcmp(object_text(object, now), object_text(was, then)) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < object->count; i++) {
        if (object->siblings[i].value->refs != 2) { /* this object's and the copy's */
            return false;
        }
    }
    return text == NULL || strcmp(now, text) == 0;
}

/* Runs one operation with every allocation failing in turn; false once it ran through. */
static bool fails_cleanly(int operation, int pair, unsigned nth) {
    struct object object = object_of(pairs[pair].before);
    struct object other = object_of(pairs[pair].other);
    struct object was = {0};
    ck_assert_int_eq(object_copy(&object, &was), RD_OK);
    struct context context = {0};
    ck_assert_int_eq(object_context(&other, &context), RD_OK);
    struct object copy = {.deleted_stamp = 77};
    struct context made = {.stamp = 77};
    struct dot dot = dot_of("E1");
    struct blob *blob;
    ck_assert_int_eq(blob_new("v", 1, &blob), RD_OK);
    struct buf buf = {0};
    uint32_t removed = 77;

    oom_fail_at(nth);
    enum rd_err err = RD_OK;
    switch (operation) {
    case 0:
        err = object_merge(&object, &other, NULL);
        break;
    case 1:
        err = object_write(&object, &context, &dot, 50, blob, 0);
        break;
    case 2:
        err = object_remove(&object, &context, 50, &removed);
        break;
    case 3:
        err = object_copy(&other, &copy);
        break;
    case 4:
        err = object_context(&other, &made);
        break;
    case 5:
        err = object_context_after(&other, &context, &dot, &made);
        break;
    default:
        err = object_encode(&other, &buf);
        break;
    }
    bool failed = oom_stop();
    ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
    if (failed) {
        ck_assert(intact(&object, &was, NULL));
        ck_assert_uint_eq(removed, 77);
        ck_assert_uint_eq(copy.deleted_stamp, 77);
        ck_assert_uint_eq(made.stamp, 77);
        ck_assert_uint_eq(buf_len(&buf), 0);
        ck_assert_uint_eq(blob->refs, 1);
        copy.deleted_stamp = 0;
    }
    object_free(&copy);
    context_free(&made);
    context_free(&context);
    object_free(&object);
    object_free(&other);
    object_free(&was);
    blob_unref(blob);
    buf_free(&buf);
    return failed;
}

START_TEST(changes_nothing_when_memory_runs_out) {
    unsigned failures = 0;
    for (int pair = 0; pair < (int)(sizeof pairs / sizeof *pairs); pair++) {
        unsigned nth = 1;
        while (fails_cleanly(_i, pair, nth)) {
            nth++;
        }
        failures += nth - 1;
    }
    ck_assert_uint_gt(failures, 0);
}
END_TEST

/* The common cases of a write's way stay off the allocator. */
START_TEST(merges_without_allocating) {
    static const struct {
        const char *into, *from;
    } cases[] = {
        {"A2 B1 | A2@9=x", "A2 B1 | A2@9=x"}, /* the same again */
        {"A1 B1 | A1@5=x", "A2 B1 | A2@9=x"}, /* an heir by a known actor */
        {"A2 B1 | A2@9=x", "A1 | A1@5=x"},    /* an old one */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct object into = object_of(cases[i].into);
        struct object from = object_of(cases[i].from);
        unsigned long before = oom_count();
        enum rd_err err = object_merge(&into, &from, NULL);
        unsigned long allocations = oom_count() - before;
        ck_assert_int_eq(err, RD_OK);
        ck_assert_uint_eq(allocations, 0);
        object_free(&into);
        object_free(&from);
    }
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void) {
    Suite *suite = suite_create("object");
    TCase *tcase = tcase_create("object");
    tcase_add_loop_test(tcase, merges_these, 0, COUNT(merges));
    tcase_add_test(tcase, merges_with_itself);
    tcase_add_loop_test(tcase, writes_these, 0, COUNT(writes));
    tcase_add_test(tcase, overwrites_as_a_write_with_all_of_it);
    tcase_add_loop_test(tcase, removes_these, 0, COUNT(removals));
    tcase_add_test(tcase, one_coordinator_two_clients);
    tcase_add_loop_test(tcase, gives_a_context_after_a_write, 0, COUNT(contexts_after));
    tcase_add_loop_test(tcase, reports_what_a_write_did_not_cover, 0, COUNT(reports));
    tcase_add_test(tcase, knows_which_contexts_it_can_carry_out);
    tcase_add_test(tcase, answers_questions);
    tcase_add_loop_test(tcase, changes_nothing_when_memory_runs_out, 0, 7);
    tcase_add_test(tcase, merges_without_allocating);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
