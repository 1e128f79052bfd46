/* replication/replica: keys in flight. The test is the store: it takes the effects and says how
 * they ended. */
#include "replication/replica.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/node_rig.h" /* rig_shape only */
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

static struct core core;
static struct effects effects;
static struct replica replica;
static size_t seen_effects; /* looked at by next_get */

static void setup(void) {
    oom_spare(sizeof(UT_hash_table), HASH_INITIAL_NUM_BUCKETS * sizeof(UT_hash_bucket));
    core = (struct core){.conf = {.partitions = 16}, .effects = &effects};
    core.now = (struct instant){1000, 1700000000000000};
    core.actors.incarnation = 26; /* Z */
    prng_seed(&core.prng, 1);
    effects = (struct effects){.items = calloc(256, sizeof(struct effect)), .cap = 256};
    replica_init(&replica, &core);
    seen_effects = 0;
}

static void teardown(void) {
    replica_check(&replica);
    ck_assert_uint_eq(replica.entry_count, 0); /* entries go when nobody needs them */
    ck_assert_ptr_null(replica.loading);
    ck_assert_ptr_null(replica.committing);
    replica_free(&replica);
    effects_free(&effects);
}

/* ---- words ----------------------------------------------------------------------------------- */

static const struct asker nobody = {.kind = ASKER_NONE};

static struct asker asker(uint64_t id) {
    return (struct asker){.kind = ASKER_REQUEST, .member = MEMBER_SELF, .id = id, .round = 1};
}

static struct blob *key_of(const char *name) {
    struct blob *key;
    ck_assert_int_eq(blob_new(name, strlen(name), &key), RD_OK);
    return key;
}

static void load(const char *name, uint64_t id) {
    struct asker who = asker(id);
    struct blob *key = key_of(name);
    ck_assert_int_eq(replica_load(&replica, key, &who), RD_OK);
    blob_unref(key);
    replica_check(&replica);
}

static void read_key(const char *name, uint64_t id) {
    struct asker who = asker(id);
    struct blob *key = key_of(name);
    ck_assert_int_eq(replica_read(&replica, key, &who), RD_OK);
    blob_unref(key);
    replica_check(&replica);
}

/* id 0: nobody wants to know. */
static void merge(const char *name, const char *text, uint64_t id) {
    struct asker who = id == 0 ? nobody : asker(id);
    struct object sent = object_of(text);
    struct blob *key = key_of(name);
    ck_assert_int_eq(replica_merge(&replica, key, &sent, &who), RD_OK);
    ck_assert(object_is_empty(&sent)); /* taken */
    blob_unref(key);
    replica_check(&replica);
}

/* The token of the next store read that was asked for; 0: none. */
static uint64_t next_get(void) {
    while (seen_effects < effects.count) {
        const struct effect *effect = &effects.items[seen_effects++];
        if (effect->kind == EFF_STORE_GET)
            return effect->store_get.token;
    }
    return 0;
}

/* Ends the oldest store read: with an object, with RD_ENOTFOUND (NULL), or with `err`. */
static void got(const char *text, enum rd_err err) {
    uint64_t token = next_get();
    ck_assert_uint_ne(token, 0);
    struct blob *value = NULL;
    if (err == RD_OK && text == NULL)
        err = RD_ENOTFOUND;
    if (err == RD_OK) {
        struct object object = object_of(text);
        struct buf bytes = {0};
        ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
        ck_assert_int_eq(blob_new(buf_data(&bytes), buf_len(&bytes), &value), RD_OK);
        buf_free(&bytes);
        object_free(&object);
    }
    replica_got(&replica, token, err, value);
    blob_unref(value);
    replica_check(&replica);
}

/* Flushes; returns the number of rows, and checks the last one's shape if `shape` is not NULL. */
static size_t flush(uint64_t batch, const char *shape) {
    size_t first = effects.count;
    size_t rows = replica_flush(&replica, batch), puts = 0;
    replica_check(&replica);
    for (size_t i = first; i < effects.count; i++) {
        const struct effect *effect = &effects.items[i];
        if (effect->kind != EFF_STORE_PUT)
            continue;
        puts++;
        if (shape == NULL)
            continue;
        struct object object;
        char text[RIG_SHAPE_BYTES];
        ck_assert_int_eq(
            object_decode(effect->store_put.value->bytes, effect->store_put.value->len, &object),
            RD_OK);
        ck_assert_str_eq(rig_shape(&object, text), shape);
        ck_assert_uint_eq(effect->store_put.new_digest, object_digest(&object));
        ck_assert_int_eq(effect->store_put.is_live, object.count > 0);
        object_free(&object);
    }
    ck_assert_uint_eq(puts, rows);
    ck_assert(!replica_dirty(&replica));
    return rows;
}

static void stored(uint64_t batch, enum rd_err err) {
    replica_stored(&replica, batch, err);
    replica_check(&replica);
}

/* Takes the next answer, which must be this one. Returns its entry, to be used until the next
 * answer is taken. */
static struct replica_entry *expect(enum replica_step step, uint64_t id, enum rd_err err) {
    struct replica_answer answer;
    ck_assert_msg(replica_next(&replica, &answer), "no answer for %u", (unsigned)id);
    replica_check(&replica);
    ck_assert_uint_eq(answer.asker.id, id);
    ck_assert_int_eq(answer.step, step);
    ck_assert_int_eq(answer.err, err);
    return answer.entry;
}

static void expect_held(enum replica_step step, uint64_t id, const char *shape) {
    char text[RIG_SHAPE_BYTES];
    struct replica_entry *entry = expect(step, id, RD_OK);
    ck_assert_str_eq(rig_shape(replica_held(entry), text), shape);
}

static void expect_uncovered(uint64_t id, uint32_t uncovered) {
    struct replica_answer answer;
    ck_assert(replica_next(&replica, &answer));
    ck_assert_uint_eq(answer.asker.id, id);
    ck_assert_int_eq(answer.step, REPLICA_STORED);
    ck_assert_int_eq(answer.err, RD_OK);
    ck_assert_uint_eq(answer.uncovered, uncovered);
}

static void expect_nothing(void) {
    struct replica_answer answer;
    ck_assert(!replica_next(&replica, &answer));
    replica_check(&replica);
}

/* A coordinator's write on the entry of the answer just taken. */
static void write_value(struct replica_entry *entry, const char *value, uint64_t id) {
    struct object next;
    struct context all;
    struct blob *blob;
    struct asker who = asker(id);
    const struct object *held = replica_held(entry);
    ck_assert_int_eq(object_copy(held, &next), RD_OK);
    ck_assert_int_eq(object_context(&next, &all), RD_OK);
    struct dot dot = actors_next(&core.actors, &core.prng, &next.version);
    uint64_t stamp = hlc_next(&core.hlc, core.now.wall_us);
    ck_assert_int_eq(blob_new(value, strlen(value), &blob), RD_OK);
    ck_assert_int_eq(object_write(&next, &all, &dot, stamp, blob, 0), RD_OK);
    blob_unref(blob);
    context_free(&all);
    ck_assert_int_eq(replica_replace(&replica, entry, &next, NULL, &who), RD_OK);
    ck_assert(object_is_empty(&next));
    replica_check(&replica);
}

/* ---- reading --------------------------------------------------------------------------------- */

START_TEST(one_store_read_serves_all_who_wait) {
    load("k", 1);
    read_key("k", 2);
    load("k", 3);
    expect_nothing();
    got("A1 | A1@5=a", RD_OK);
    ck_assert_uint_eq(next_get(), 0);
    expect_held(REPLICA_LOADED, 1, "A1 | A1=a");
    expect_held(REPLICA_READ, 2, "A1 | A1=a");
    expect_held(REPLICA_LOADED, 3, "A1 | A1=a");
    expect_nothing();
    ck_assert(!replica_dirty(&replica));
}
END_TEST

START_TEST(absent_keys_are_not_found) {
    load("k", 1);
    read_key("k", 2);
    got(NULL, RD_OK);
    expect(REPLICA_LOADED, 1, RD_ENOTFOUND);
    expect(REPLICA_READ, 2, RD_ENOTFOUND);
    expect_nothing();
}
END_TEST

START_TEST(a_store_error_is_never_read_as_absent) {
    const enum rd_err errors[] = {RD_EIO, RD_ENOMEM, RD_EFULL, RD_ECLOSED};
    for (size_t i = 0; i < 4; i++) {
        load("k", 1);
        read_key("k", 2);
        merge("k", "A1 | A1@5=a", 3);
        got(NULL, errors[i]);
        ck_assert(!replica_dirty(&replica)); /* what is there is not known, so nothing is written */
        read_key("k", 4);                    /* a new try, before the answers have been taken */
        got("B1 | B1@6=b", RD_OK);
        expect(REPLICA_LOADED, 1, errors[i]);
        expect(REPLICA_READ, 2, errors[i]);
        expect(REPLICA_STORED, 3, errors[i]);
        expect_held(REPLICA_READ, 4, "B1 | B1=b");
        expect_nothing();
    }
    ck_assert_uint_eq(core.stats.store_errors, 4);
}
END_TEST

START_TEST(a_corrupt_row_is_not_served_and_ends_the_incarnation) {
    load("k", 1);
    read_key("k", 2);
    got(NULL, RD_ECORRUPT);
    ck_assert_uint_ne(core.actors.incarnation, 26);
    expect(REPLICA_LOADED, 1, RD_ENOTFOUND); /* lost: a write may begin anew */
    expect(REPLICA_READ, 2, RD_ECORRUPT);    /* but it is not absent */
    expect_nothing();
    ck_assert_uint_eq(core.stats.corrupt_rows, 1);
}
END_TEST

START_TEST(a_damaged_row_ends_one_incarnation_only) {
    read_key("k", 1);
    got(NULL, RD_ECORRUPT);
    expect(REPLICA_READ, 1, RD_ECORRUPT);
    uint64_t incarnation = core.actors.incarnation;
    for (int i = 0; i < 5; i++) { /* each reader would add an actor to every key that is written */
        expect_nothing();
        read_key("k", 2);
        got(NULL, RD_ECORRUPT);
        expect(REPLICA_READ, 2, RD_ECORRUPT);
    }
    ck_assert_uint_eq(core.actors.incarnation, incarnation);
    ck_assert_uint_eq(core.stats.corrupt_rows, 6);
    expect_nothing();
    read_key("other", 3); /* another row is another loss */
    got(NULL, RD_ECORRUPT);
    expect(REPLICA_READ, 3, RD_ECORRUPT);
    ck_assert_uint_ne(core.actors.incarnation, incarnation);
    incarnation = core.actors.incarnation;
    expect_nothing();
    load("k", 4); /* written anew, and damaged anew */
    got(NULL, RD_ECORRUPT);
    write_value(expect(REPLICA_LOADED, 4, RD_ENOTFOUND), "v", 5);
    flush(1, NULL);
    stored(1, RD_OK);
    expect(REPLICA_STORED, 5, RD_OK);
    ck_assert_uint_eq(core.actors.incarnation, incarnation);
    expect_nothing();
    read_key("k", 6);
    got(NULL, RD_ECORRUPT);
    ck_assert_uint_ne(core.actors.incarnation, incarnation);
    expect(REPLICA_READ, 6, RD_ECORRUPT);
    expect_nothing();
}
END_TEST

START_TEST(a_row_that_does_not_decode_is_corrupt) {
    struct blob *value;
    read_key("k", 1);
    ck_assert_int_eq(blob_new("no object at all", 16, &value), RD_OK);
    replica_got(&replica, next_get(), RD_OK, value);
    blob_unref(value);
    expect(REPLICA_READ, 1, RD_ECORRUPT);
    expect_nothing();
}
END_TEST

START_TEST(a_corrupt_row_is_replaced_by_the_first_repair) {
    merge("k", "A1 | A1@5=a", 1);
    got(NULL, RD_ECORRUPT);
    read_key("k", 2); /* it is whole again, once it is stored */
    ck_assert_uint_eq(flush(1, "A1 | A1=a"), 1);
    expect_nothing();
    stored(1, RD_OK);
    expect_uncovered(1, 0);
    expect_held(REPLICA_READ, 2, "A1 | A1=a");
    expect_nothing();
}
END_TEST

START_TEST(tokens_of_nobody_are_ignored) {
    replica_got(&replica, 77, RD_OK, NULL);
    read_key("k", 1);
    uint64_t token = next_get();
    replica_got(&replica, token, RD_ENOTFOUND, NULL);
    replica_got(&replica, token, RD_EIO, NULL);
    expect(REPLICA_READ, 1, RD_ENOTFOUND);
    expect_nothing();
}
END_TEST

/* ---- writing --------------------------------------------------------------------------------- */

START_TEST(puts_of_a_turn_become_one_row) {
    load("k", 1);
    got(NULL, RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_ENOTFOUND), "a", 2);
    load("k", 3);
    write_value(expect(REPLICA_LOADED, 3, RD_OK), "b", 4);
    merge("k", "A1 | A1@5=c", 5);
    expect_nothing();
    ck_assert_uint_eq(flush(1, "A1 Z.1:2 | Z.1:2=b A1=c"), 1);
    expect_nothing();
    stored(1, RD_OK);
    expect(REPLICA_STORED, 2, RD_OK);
    expect(REPLICA_STORED, 4, RD_OK);
    expect_uncovered(5, 1);
    expect_nothing();
}
END_TEST

START_TEST(two_loads_before_one_read_get_two_dots) {
    load("k", 1);
    load("k", 2);
    got("A1 | A1@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_OK), "b", 3);
    struct replica_entry *entry = expect(REPLICA_LOADED, 2, RD_OK);
    char text[RIG_SHAPE_BYTES];
    ck_assert_str_eq(rig_shape(replica_held(entry), text), "A1 Z.1:1 | Z.1:1=b");
    write_value(entry, "c", 4);
    flush(1, "A1 Z.1:2 | Z.1:2=c");
    stored(1, RD_OK);
    expect(REPLICA_STORED, 3, RD_OK);
    expect(REPLICA_STORED, 4, RD_OK);
    expect_nothing();
}
END_TEST

START_TEST(reads_wait_until_what_they_show_is_durable) {
    load("k", 1);
    got("A1 | A1@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_OK), "b", 2);
    read_key("k", 3); /* dirty */
    expect_nothing();
    flush(1, NULL);
    read_key("k", 4); /* committing */
    expect_nothing();
    stored(1, RD_OK);
    expect(REPLICA_STORED, 2, RD_OK);
    expect_held(REPLICA_READ, 3, "A1 Z.1:1 | Z.1:1=b");
    expect_held(REPLICA_READ, 4, "A1 Z.1:1 | Z.1:1=b");
    expect_nothing();
}
END_TEST

START_TEST(a_read_that_was_ready_waits_again_for_a_newer_write) {
    load("k", 1);
    read_key("k", 2);
    got("A1 | A1@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_OK), "b", 3); /* while the read's answer waits */
    expect_nothing();
    flush(1, NULL);
    stored(1, RD_OK);
    expect(REPLICA_STORED, 3, RD_OK);
    expect_held(REPLICA_READ, 2, "A1 Z.1:1 | Z.1:1=b");
    expect_nothing();
}
END_TEST

START_TEST(batches_answer_those_who_rest_on_them) {
    load("k", 1);
    got(NULL, RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_ENOTFOUND), "a", 2);
    flush(1, "Z.1:1 | Z.1:1=a");
    load("k", 3);
    write_value(expect(REPLICA_LOADED, 3, RD_OK), "b", 4);
    flush(2, "Z.1:2 | Z.1:2=b");
    load("k", 5);
    write_value(expect(REPLICA_LOADED, 5, RD_OK), "c", 6);
    stored(1, RD_OK);
    expect(REPLICA_STORED, 2, RD_OK);
    expect_nothing();
    flush(3, "Z.1:3 | Z.1:3=c");
    stored(2, RD_OK);
    expect(REPLICA_STORED, 4, RD_OK);
    expect_nothing();
    stored(3, RD_OK);
    expect(REPLICA_STORED, 6, RD_OK);
    expect_nothing();
}
END_TEST

START_TEST(a_failed_commit_fails_everything_stacked_on_it) {
    load("k", 1);
    got("A1 | A1@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_OK), "b", 2);
    flush(1, NULL);
    load("k", 3);
    write_value(expect(REPLICA_LOADED, 3, RD_OK), "c", 4);
    flush(2, NULL);
    merge("k", "B1 | B1@5=d", 5); /* not flushed */
    read_key("k", 6);
    merge("other", "B1 | B1@5=d", 7);
    got(NULL, RD_OK);
    uint64_t before = core.actors.incarnation;
    stored(1, RD_EIO);
    ck_assert_uint_ne(core.actors.incarnation, before);
    expect(REPLICA_STORED, 2, RD_EIO);
    expect(REPLICA_STORED, 4, RD_EIO);
    expect(REPLICA_STORED, 5, RD_EIO);
    expect_nothing(); /* readers are asked again, after the row has been */
    stored(2, RD_OK);
    expect_nothing();
    got("A1 | A1@5=a", RD_OK);
    expect_held(REPLICA_READ, 6, "A1 | A1=a");
    expect_nothing();
    ck_assert_uint_eq(flush(3, "B1 | B1=d"), 1); /* the other key was not touched */
    stored(3, RD_OK);
    expect_uncovered(7, 0);
    expect_nothing();
}
END_TEST

START_TEST(burnt_dots_are_not_issued_again) {
    load("k", 1);
    got("A1 Z.1:4 | Z.1:4@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_OK), "b", 2);
    flush(1, "A1 Z.1:5 | Z.1:5=b");
    stored(1, RD_EFULL);
    expect(REPLICA_STORED, 2, RD_EFULL);
    load("k", 3);
    expect_nothing(); /* the row is read again first */
    got("A1 Z.1:4 | Z.1:4@5=a", RD_OK);
    write_value(expect(REPLICA_LOADED, 3, RD_OK), "c", 4);
    ck_assert_uint_eq(flush(2, NULL), 1);
    const struct effect *put = &effects.items[effects.count - 1];
    struct object object;
    ck_assert_int_eq(object_decode(put->store_put.value->bytes, put->store_put.value->len, &object),
                     RD_OK);
    ck_assert_uint_eq(object.siblings[0].dot.actor.incarnation, core.actors.incarnation);
    ck_assert_uint_ne(core.actors.incarnation, 26);
    object_free(&object);
    stored(2, RD_OK);
    expect(REPLICA_STORED, 4, RD_OK);
    expect_nothing();
}
END_TEST

/* A disk that stays full must not make a new name for every row that it refuses. */
START_TEST(a_failed_commit_ends_an_incarnation_only_if_it_had_dots_of_its_own) {
    merge("j", "B1 | B1@5=d", 1);
    got(NULL, RD_ENOTFOUND);
    merge("k", "B2 | B2@5=d", 2);
    got(NULL, RD_ENOTFOUND);
    flush(1, NULL);
    stored(1, RD_EFULL);
    expect(REPLICA_STORED, 2, RD_EFULL);
    expect(REPLICA_STORED, 1, RD_EFULL);
    expect_nothing();
    got(NULL, RD_ENOTFOUND);
    got(NULL, RD_ENOTFOUND);
    ck_assert_uint_eq(core.actors.incarnation, 26);
    ck_assert_uint_eq(core.stats.fresh_incarnations, 0);
    load("j", 3); /* two rows of one batch, each with a dot of its own */
    got(NULL, RD_ENOTFOUND);
    write_value(expect(REPLICA_LOADED, 3, RD_ENOTFOUND), "b", 4);
    load("k", 5);
    got(NULL, RD_ENOTFOUND);
    write_value(expect(REPLICA_LOADED, 5, RD_ENOTFOUND), "c", 6);
    flush(2, NULL);
    stored(2, RD_EFULL);
    ck_assert_uint_ne(core.actors.incarnation, 26);
    ck_assert_uint_eq(core.stats.fresh_incarnations, 1);
    expect(REPLICA_STORED, 6, RD_EFULL);
    expect(REPLICA_STORED, 4, RD_EFULL);
    got(NULL, RD_ENOTFOUND);
    got(NULL, RD_ENOTFOUND);
    expect_nothing();
}
END_TEST

START_TEST(rows_carry_what_the_store_counts) {
    merge("k", "A1 | A1@5=a/777", 1);
    got(NULL, RD_OK);
    flush(1, NULL);
    const struct effect *put = &effects.items[effects.count - 1];
    uint64_t digest = put->store_put.new_digest;
    ck_assert_uint_eq(put->store_put.old_digest, 0);
    ck_assert_uint_eq(put->store_put.due_ms, 777);
    ck_assert(!put->store_put.was_live && put->store_put.is_live);
    stored(1, RD_OK);
    expect_uncovered(1, 0);
    expect_nothing();
    merge("k", "A1 | | deleted 9", 2);
    got("A1 | A1@5=a/777", RD_OK);
    flush(2, "A1 |");
    put = &effects.items[effects.count - 1];
    ck_assert_uint_eq(put->store_put.old_digest, digest);
    ck_assert_uint_eq(put->store_put.due_ms, 1); /* a tombstone: since it was deleted */
    ck_assert(put->store_put.was_live && !put->store_put.is_live);
    stored(2, RD_OK);
    expect_uncovered(2, 0);
    expect_nothing();
}
END_TEST

START_TEST(what_is_known_already_is_acknowledged_without_a_write) {
    merge("k", "A1 | A1@5=a", 1);
    got("A2 | A2@6=b", RD_OK);
    ck_assert(!replica_dirty(&replica));
    expect_uncovered(1, 0); /* a later writer has replaced it */
    expect_nothing();
}
END_TEST

START_TEST(what_is_known_but_not_durable_yet_waits) {
    merge("k", "A1 | A1@5=a", 1);
    got(NULL, RD_OK);
    merge("k", "A1 | A1@5=a", 2);
    expect_nothing();
    flush(1, NULL);
    merge("k", "A1 | A1@5=a", 3);
    expect_nothing();
    ck_assert(!replica_dirty(&replica));
    stored(1, RD_OK);
    expect_uncovered(1, 0);
    expect_uncovered(2, 0);
    expect_uncovered(3, 0);
    expect_nothing();
}
END_TEST

START_TEST(repairs_are_merged_and_not_answered) {
    merge("k", "A1 | A1@5=a", 0);
    got("B1 | B1@6=b", RD_OK);
    flush(1, "A1 B1 | B1=b A1=a");
    stored(1, RD_OK);
    expect_nothing();
    merge("k", "A1 | A1@5=a", 0);
    got(NULL, RD_EIO);
    expect_nothing();
}
END_TEST

START_TEST(uncovered_siblings_are_counted) {
    merge("k", "A1 | A1@9=a", 1);
    got("B1 C1 | C1@6=c B1@5=b", RD_OK);
    merge("k", "A1 C1 | A1@9=a", 2);
    merge("k", "D1 | | deleted 9", 3); /* a deletion covers nothing here */
    flush(1, NULL);
    stored(1, RD_OK);
    expect_uncovered(1, 2);
    expect_uncovered(2, 1);
    expect_uncovered(3, 2);
    expect_nothing();
}
END_TEST

START_TEST(own_dots_that_come_back_end_the_incarnation) {
    merge("k", "Z.1:1 | Z.1:1@5=a", 1);
    got(NULL, RD_OK);
    ck_assert_uint_ne(core.actors.incarnation, 26);
    ck_assert_uint_eq(core.stats.fresh_incarnations, 1);
    flush(1, NULL);
    stored(1, RD_OK);
    expect_uncovered(1, 0);
    expect_nothing();
    core.actors.incarnation = 26;
    merge("k", "Z.1:1 | Z.1:1@5=a", 2); /* known: nothing was forgotten */
    got("Z.1:2 | Z.1:2@6=b", RD_OK);
    ck_assert_uint_eq(core.actors.incarnation, 26);
    expect_uncovered(2, 0);
    expect_nothing();
}
END_TEST

/* ---- last write wins ------------------------------------------------------------------------- */

START_TEST(last_write_wins_keeps_the_newest) {
    core.conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    merge("k", "A1 | A1@9=a", 1);
    got("B1 | B1@5=b", RD_OK);
    flush(1, "A1 B1 | A1=a");
    stored(1, RD_OK);
    expect_uncovered(1, 0); /* what it did not cover is gone by its stamp */
    expect_nothing();
}
END_TEST

/* A SET whose stamp is older than what this replica holds, because clocks are skewed: its
 * coordinator must learn of it, or an acknowledged SET would lose against one acknowledged
 * before it began. */
START_TEST(last_write_wins_reports_what_beat_the_write) {
    core.conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    merge("k", "A1 | A1@5=a", 1);
    got("B1 | B1@9=b", RD_OK);
    flush(1, "A1 B1 | B1=b");
    stored(1, RD_OK);
    expect_uncovered(1, 1);
    expect_nothing();
    merge("k", "A1 | A1@5=a", 2); /* covered in the meantime: whoever did that has seen it */
    got("A1 C1 | C1@9=c", RD_OK);
    expect_uncovered(2, 0);
    expect_nothing();
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

/* One read, one merge and one write of a key with allocations failing: each asker is told at
 * most once, and what was told durable is in a row. */
static void story_without_memory(unsigned n) {
    struct asker who[4] = {asker(0), asker(1), asker(2), asker(3)};
    struct object sent = object_of("A1 | A1@5=a");
    struct blob *key = key_of("k");
    struct replica_answer answer;
    unsigned told[4] = {0};
    bool refused[4] = {false};
    enum rd_err err[4] = {RD_OK};

    oom_fail_at(n);
    refused[1] = replica_read(&replica, key, &who[1]) != RD_OK;
    refused[2] = replica_merge(&replica, key, &sent, &who[2]) != RD_OK;
    uint64_t token = next_get();
    if (token != 0)
        replica_got(&replica, token, RD_ENOTFOUND, NULL);
    refused[3] = replica_read(&replica, key, &who[3]) != RD_OK;
    oom_stop();
    ck_assert(object_is_empty(&sent));
    replica_check(&replica);
    bool rows = false;
    for (uint64_t batch = 1; batch < 4; batch++) {
        while ((token = next_get()) != 0)
            replica_got(&replica, token, RD_ENOTFOUND, NULL);
        size_t flushed = replica_flush(&replica, batch);
        replica_stored(&replica, batch, RD_OK);
        rows = rows || flushed > 0;
        while (replica_next(&replica, &answer)) {
            told[answer.asker.id]++;
            err[answer.asker.id] = answer.err;
        }
        replica_check(&replica);
    }
    for (int i = 1; i < 4; i++)
        ck_assert_uint_le(told[i] + refused[i], 1);
    if (told[2] == 1 && err[2] == RD_OK)
        ck_assert(rows);
    ck_assert_uint_eq(replica.entry_count, 0);
    blob_unref(key);
}

START_TEST(survives_failing_allocations) {
    for (unsigned n = 1; n < 60; n++)
        story_without_memory(n);
}
END_TEST

START_TEST(a_row_that_cannot_be_encoded_fails_the_write) {
    load("k", 1);
    got(NULL, RD_OK);
    write_value(expect(REPLICA_LOADED, 1, RD_ENOTFOUND), "a", 2);
    uint64_t before = core.actors.incarnation;
    oom_fail_at(1);
    size_t rows = replica_flush(&replica, 1);
    ck_assert(oom_stop());
    ck_assert_uint_eq(rows, 0);
    ck_assert_uint_ne(core.actors.incarnation, before);
    expect(REPLICA_STORED, 2, RD_ENOMEM);
    expect_nothing();
    got(NULL, RD_OK);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("replica");
    TCase *tcase = tcase_create("reading");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_store_read_serves_all_who_wait);
    tcase_add_test(tcase, absent_keys_are_not_found);
    tcase_add_test(tcase, a_store_error_is_never_read_as_absent);
    tcase_add_test(tcase, a_corrupt_row_is_not_served_and_ends_the_incarnation);
    tcase_add_test(tcase, a_damaged_row_ends_one_incarnation_only);
    tcase_add_test(tcase, a_row_that_does_not_decode_is_corrupt);
    tcase_add_test(tcase, a_corrupt_row_is_replaced_by_the_first_repair);
    tcase_add_test(tcase, tokens_of_nobody_are_ignored);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("writing");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, puts_of_a_turn_become_one_row);
    tcase_add_test(tcase, two_loads_before_one_read_get_two_dots);
    tcase_add_test(tcase, reads_wait_until_what_they_show_is_durable);
    tcase_add_test(tcase, a_read_that_was_ready_waits_again_for_a_newer_write);
    tcase_add_test(tcase, batches_answer_those_who_rest_on_them);
    tcase_add_test(tcase, a_failed_commit_fails_everything_stacked_on_it);
    tcase_add_test(tcase, burnt_dots_are_not_issued_again);
    tcase_add_test(tcase, a_failed_commit_ends_an_incarnation_only_if_it_had_dots_of_its_own);
    tcase_add_test(tcase, rows_carry_what_the_store_counts);
    tcase_add_test(tcase, what_is_known_already_is_acknowledged_without_a_write);
    tcase_add_test(tcase, what_is_known_but_not_durable_yet_waits);
    tcase_add_test(tcase, repairs_are_merged_and_not_answered);
    tcase_add_test(tcase, uncovered_siblings_are_counted);
    tcase_add_test(tcase, own_dots_that_come_back_end_the_incarnation);
    tcase_add_test(tcase, last_write_wins_keeps_the_newest);
    tcase_add_test(tcase, last_write_wins_reports_what_beat_the_write);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("memory");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, survives_failing_allocations);
    tcase_add_test(tcase, a_row_that_cannot_be_encoded_fails_the_write);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
