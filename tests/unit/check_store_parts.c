/* The parts that both engines are made of: store/row, store/batch, store/page, store/row_list. */
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "store/batch.h"
#include "store/page.h"
#include "store/row_list.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

/* An address of objects, written "slot" and two strings. */
static struct store_key at(uint16_t slot, const char *key, const char *sub) {
    return (struct store_key){STORE_OBJECTS, slot, key, strlen(key), sub, strlen(sub)};
}

static struct blob *blob_of(const char *text) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_new(text, strlen(text), &blob), RD_OK);
    return blob;
}

/* ---- row ------------------------------------------------------------------------------------------- */

START_TEST(addresses_are_ordered) {
    const struct store_key rising[] = {
        {STORE_OBJECTS, 0, NULL, 0, NULL, 0},    {STORE_OBJECTS, 0, "", 0, "a", 1},
        {STORE_OBJECTS, 0, "\0", 1, NULL, 0},    {STORE_OBJECTS, 0, "\0\0", 2, NULL, 0},
        {STORE_OBJECTS, 0, "a", 1, NULL, 0},     {STORE_OBJECTS, 0, "a", 1, "\0", 1},
        {STORE_OBJECTS, 0, "a", 1, "b", 1},      {STORE_OBJECTS, 0, "ab", 2, NULL, 0},
        {STORE_OBJECTS, 0, "a\xff", 2, NULL, 0}, {STORE_OBJECTS, 0, "\xff", 1, NULL, 0},
        {STORE_OBJECTS, 1, NULL, 0, NULL, 0},    {STORE_OBJECTS, 256, NULL, 0, NULL, 0},
        {STORE_OBJECTS, 16383, "z", 1, "z", 1},  {STORE_HINTS, 0, NULL, 0, NULL, 0},
        {STORE_LEAVES, 0, "a", 1, NULL, 0},
    };
    enum { COUNT = sizeof rising / sizeof rising[0] };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            int order = row_compare(&rising[i], &rising[j]);
            ck_assert_msg((order > 0) - (order < 0) == (i > j) - (i < j), "%d and %d", i, j);
            ck_assert(row_same(&rising[i], &rising[j]) == (i == j));
            ck_assert((row_hash(&rising[i]) == row_hash(&rising[j])) == (i == j));
        }
    }
    /* Leaves rest on it, on disk and between nodes: another number is another format. */
    const struct store_key base = at(7, "ab", "c");
    ck_assert_uint_eq(row_hash(&base), UINT64_C(13529224995940883298));
}
END_TEST

START_TEST(every_part_of_a_row_is_in_its_checksum) {
    struct blob *one = blob_of("one");
    struct blob *two = blob_of("two");
    const struct store_key base = at(7, "ab", "c");
    const struct row_value value = {one, 5, 6, true};
    uint64_t sums[] = {
        row_checksum(&base, &value),
        row_checksum(&(struct store_key){STORE_HINTS, 7, "ab", 2, "c", 1}, &value),
        row_checksum(&(struct store_key){STORE_OBJECTS, 8, "ab", 2, "c", 1}, &value),
        row_checksum(&(struct store_key){STORE_OBJECTS, 7, "a", 1, "bc", 2}, &value),
        row_checksum(&(struct store_key){STORE_OBJECTS, 7, "abc", 3, NULL, 0}, &value),
        row_checksum(&(struct store_key){STORE_OBJECTS, 7, "abcone", 6, NULL, 0}, &value),
        row_checksum(&base, &(struct row_value){two, 5, 6, true}),
        row_checksum(&base, &(struct row_value){one, 6, 5, true}),
        row_checksum(&base, &(struct row_value){one, 5, 7, true}),
        row_checksum(&base, &(struct row_value){one, 5, 6, false}),
    };
    enum { COUNT = sizeof sums / sizeof sums[0] };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_msg(sums[i] != sums[j], "%d and %d", i, j);
        }
    }
    ck_assert_uint_eq(sums[0], row_checksum(&base, &value));
    /* It is on disk: another number is another format. */
    ck_assert_uint_eq(sums[0], UINT64_C(2990446881292946318));
    blob_unref(one);
    blob_unref(two);
}
END_TEST

/* ---- batch ----------------------------------------------------------------------------------------- */

static enum rd_err add(struct batch *batch, struct store_key where, const char *value,
                       uint64_t old_digest, bool was_live, bool is_live) {
    struct store_put put = {.at = where,
                            .value = value == NULL ? NULL : blob_of(value),
                            .old_digest = old_digest,
                            .new_digest = old_digest + 1,
                            .due_ms = UINT64_MAX,
                            .was_live = was_live,
                            .is_live = is_live};
    enum rd_err err = batch_put(batch, &put);
    blob_unref(put.value);
    return err;
}

START_TEST(a_batch_joins_puts_of_one_row) {
    struct batch batch = {0};
    ck_assert_int_eq(add(&batch, at(2, "b", ""), "1", 10, false, true), RD_OK);
    ck_assert_int_eq(add(&batch, at(2, "a", ""), "2", 20, true, true), RD_OK);
    ck_assert_int_eq(add(&batch, at(2, "b", ""), "3", 11, true, false), RD_OK);
    ck_assert_int_eq(add(&batch, at(1, "z", "s"), NULL, 30, true, true), RD_OK);
    ck_assert_int_eq(add(&batch, at(2, "b", ""), "4", 12, false, true), RD_OK);
    ck_assert_uint_eq(batch.count, 3);
    const struct batch_row *b = &batch.rows[0];
    const struct batch_row *z = &batch.rows[2];
    ck_assert_mem_eq(z->at.key, "z", 1);
    ck_assert_mem_eq(z->at.sub, "s", 1);
    ck_assert_ptr_null(z->now.value);
    ck_assert(!z->now.live && z->now.digest == 0 && z->now.due_ms == 0); /* nothing is left */
    ck_assert_mem_eq(batch.rows[1].at.key, "a", 1);
    ck_assert_mem_eq(b->now.value->bytes, "4", 1); /* the last value, over what was first */
    ck_assert_uint_eq(b->old_digest, 10);
    ck_assert_uint_eq(b->now.digest, 13);
    ck_assert_uint_eq(b->now.due_ms, INT64_MAX);
    ck_assert(!b->was_live && b->now.live);
    batch_clear(&batch);
    ck_assert_uint_eq(batch.count, 0);
    batch_free(&batch);
}
END_TEST

/* _i: hashes count wholly, or in two bits. Each row has the digests of its first and last put. */
START_TEST(a_batch_agrees_with_an_array) {
    enum { ROWS = 300, PUTS = 2000 };
    struct batch batch = {.ignored = _i == 0 ? 0 : ~(uint64_t)3};
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int life = 0; life < 3; life++) {
        uint64_t first[ROWS] = {0};
        uint64_t last[ROWS] = {0};
        size_t count = 0;
        for (unsigned n = 1; n <= PUTS; n++) {
            uint16_t i = (uint16_t)prng_below(&prng, ROWS);
            ck_assert_int_eq(add(&batch, at(i, "k", i % 2 == 0 ? "" : "s"), "v", n, true, true),
                             RD_OK);
            count += first[i] == 0;
            first[i] = first[i] == 0 ? n : first[i];
            last[i] = n + 1;
        }
        ck_assert_uint_eq(batch.count, count);
        for (size_t i = 0; i < count; i++) {
            const struct batch_row *row = &batch.rows[i];
            ck_assert_uint_eq(row->hash, row_hash(&row->at));
            ck_assert_uint_eq(row->old_digest, first[row->at.slot]);
            ck_assert_uint_eq(row->now.digest, last[row->at.slot]);
            first[row->at.slot] = 0; /* comes once */
        }
        batch_clear(&batch);
    }
    batch_free(&batch);
}
END_TEST

START_TEST(a_batch_without_memory_is_poisoned) {
    struct blob *value = blob_of("v");
    struct store_put put = {.at = at(1, "k", ""), .value = value};
    for (unsigned n = 1; n <= 3; n++) {
        struct batch batch = {0};
        oom_fail_at(n);
        enum rd_err err = batch_put(&batch, &put);
        ck_assert_int_eq(oom_stop(), 1);
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert(batch.poisoned);
        ck_assert_int_eq(batch_put(&batch, &put), RD_ENOMEM); /* and stays it */
        ck_assert_uint_eq(value->refs, 1);
        batch_clear(&batch);
        ck_assert_int_eq(batch_put(&batch, &put), RD_OK);
        batch_free(&batch);
    }
    blob_unref(value);
}
END_TEST

/* ---- page ------------------------------------------------------------------------------------------ */

START_TEST(a_page_keeps_copies) {
    enum { COUNT = 100 };
    struct page page = {0};
    for (int i = 0; i < COUNT; i++) {
        char key[2] = {(char)i, 'k'};
        struct store_row row = {.slot = (uint16_t)i,
                                .key = key,
                                .key_len = (size_t)(i % 3),
                                .sub = i % 2 == 0 ? NULL : key,
                                .sub_len = (size_t)(i % 2),
                                .value = blob_of("12345")};
        ck_assert_int_eq(page_add(&page, &row), RD_OK);
    }
    page_seal(&page);
    ck_assert_uint_eq(page.count, COUNT);
    ck_assert_uint_eq(page.bytes, 99 + 50 + 5 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        const struct store_row *row = &page.rows[i];
        ck_assert_ptr_nonnull(row->key);
        ck_assert(row->key_len == 0 || *(const char *)row->key == i);
        ck_assert(row->sub_len == 0 ? row->sub == NULL : *(const char *)row->sub == i);
    }
    page_free(&page);
    ck_assert_ptr_null(page.rows);
}
END_TEST

START_TEST(a_page_takes_the_value_on_error_too) {
    struct blob *value = blob_of("v");
    for (unsigned n = 1; n <= 2; n++) {
        struct page page = {0};
        struct store_row row = {.key = "k", .key_len = 1, .value = blob_ref(value)};
        oom_fail_at(n);
        enum rd_err err = page_add(&page, &row);
        ck_assert_int_eq(oom_stop(), 1);
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_uint_eq(value->refs, 1);
        page_free(&page);
    }
    blob_unref(value);
}
END_TEST

/* ---- row_list -------------------------------------------------------------------------------------- */

enum { PLACES = 200 };

/* Which of the addresses 0..PLACES-1 are there, told by an array. */
START_TEST(a_list_agrees_with_an_array) {
    struct row_list list;
    struct row *linked[PLACES] = {0};
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    row_list_init(&list, (uint64_t)_i);
    for (int step = 0; step < 3000; step++) {
        uint8_t place = (uint8_t)prng_below(&prng, PLACES);
        struct store_key where = {STORE_OBJECTS, 9, &place, 1, NULL, 0};
        if (linked[place] == NULL && prng_chance(&prng, 1, 2)) {
            struct row *row;
            ck_assert_int_eq(row_new(&list, &where, &row), RD_OK);
            row->now.value = blob_of("v");
            row_list_link(&list, row);
            linked[place] = row;
        } else if (linked[place] != NULL && prng_chance(&prng, 1, 3)) {
            row_list_unlink(&list, linked[place]);
            row_unref(linked[place]);
            linked[place] = NULL;
        }
        ck_assert_ptr_eq(row_list_find(&list, &where), linked[place]);
        unsigned behind = place + 1u;
        while (behind < PLACES && linked[behind] == NULL) {
            behind++;
        }
        struct row *next = behind < PLACES ? linked[behind] : NULL;
        ck_assert_ptr_eq(row_list_from(&list, &where, false), next);
        ck_assert_ptr_eq(row_list_from(&list, &where, true),
                         linked[place] != NULL ? linked[place] : next);
    }
    row_list_check(&list);
    struct row_list twin;
    ck_assert_int_eq(row_list_copy(&list, &twin), RD_OK);
    row_list_check(&twin);
    ck_assert_uint_eq(twin.count, list.count);
    row_list_clear(&list);
    row_list_check(&list);
    ck_assert_uint_eq(list.count, 0);
    for (unsigned i = 0; i < PLACES; i++) {
        uint8_t place = (uint8_t)i;
        struct store_key where = {STORE_OBJECTS, 9, &place, 1, NULL, 0};
        ck_assert((row_list_find(&twin, &where) != NULL) == (linked[i] != NULL));
    }
    row_list_clear(&twin);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store parts");
    TCase *tcase = tcase_create("parts");
    tcase_add_test(tcase, addresses_are_ordered);
    tcase_add_test(tcase, every_part_of_a_row_is_in_its_checksum);
    tcase_add_test(tcase, a_batch_joins_puts_of_one_row);
    tcase_add_loop_test(tcase, a_batch_agrees_with_an_array, 0, 2);
    tcase_add_test(tcase, a_batch_without_memory_is_poisoned);
    tcase_add_test(tcase, a_page_keeps_copies);
    tcase_add_test(tcase, a_page_takes_the_value_on_error_too);
    tcase_add_loop_test(tcase, a_list_agrees_with_an_array, 0, 10);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
