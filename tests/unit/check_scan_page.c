/* Pages of keys, positions and cursors. */
#include <stdio.h>
#include <string.h>

#include "replication/scan_page.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static struct resp_slice text(const char *s) {
    return (struct resp_slice){(const uint8_t *)s, strlen(s)};
}

/* An object with one sibling, encoded. */
static void make_value(struct buf *out, const char *value, uint64_t counter) {
    struct object object = {0};
    struct context none = {0};
    const struct dot dot = {{7, 1}, counter};
    struct blob *blob;
    ck_assert_int_eq(blob_new(value, strlen(value), &blob), RD_OK);
    ck_assert_int_eq(object_write(&object, &none, &dot, counter, blob, 0), RD_OK);
    ck_assert_int_eq(object_encode(&object, out), RD_OK);
    blob_unref(blob);
    object_free(&object);
}

static void add(struct buf *page, const char *key) {
    struct buf value = {0};
    make_value(&value, "some value that does not travel", 1);
    ck_assert_int_eq(
        scan_page_add(page, text(key), (struct resp_slice){buf_data(&value), buf_len(&value)}),
        RD_OK);
    buf_free(&value);
}

static struct resp_slice slice_of(const struct buf *page) {
    return (struct resp_slice){buf_data(page), buf_len(page)};
}

START_TEST(an_entry_keeps_all_but_the_bytes) {
    struct buf page = {0}, value = {0};
    struct scan_entry entry;
    struct object sent, got;
    size_t at = 0;
    make_value(&value, "some value that does not travel", 3);
    struct resp_slice bytes = {buf_data(&value), buf_len(&value)};
    ck_assert_int_eq(scan_page_add(&page, text("k"), bytes), RD_OK);
    ck_assert_int_eq(scan_page_add(&page, text(""), bytes), RD_OK);
    ck_assert_int_eq(scan_page_next(slice_of(&page), &at, &entry), RD_OK);
    ck_assert_uint_eq(entry.key.len, 1);
    ck_assert_int_eq(object_decode(bytes.data, bytes.len, &sent), RD_OK);
    ck_assert_int_eq(object_decode(entry.object.data, entry.object.len, &got), RD_OK);
    ck_assert(object_equal(&sent, &got));
    ck_assert_uint_eq(object_digest(&sent), object_digest(&got));
    ck_assert_uint_eq(got.siblings[0].value->len, 0);
    ck_assert_int_eq(scan_page_next(slice_of(&page), &at, &entry), RD_OK);
    ck_assert_uint_eq(entry.key.len, 0);
    ck_assert_uint_eq(at, buf_len(&page));
    object_free(&sent);
    object_free(&got);
    buf_free(&page);
    buf_free(&value);
}
END_TEST

START_TEST(what_is_no_object_is_not_listed) {
    struct buf page = {0};
    ck_assert_int_eq(scan_page_add(&page, text("k"), text("nonsense")), RD_ECORRUPT);
    ck_assert_uint_eq(buf_len(&page), 0);
}
END_TEST

START_TEST(a_cut_page_is_refused_everywhere) {
    struct buf page = {0};
    struct scan_position from = {0}, to = {.slot = SLOT_COUNT};
    add(&page, "key");
    for (size_t len = 1; len < buf_len(&page); len++) {
        struct resp_slice cut = {buf_data(&page), len};
        ck_assert_int_eq(scan_page_check(cut, PARTITIONER_CRC16, &from, &to), RD_EPROTO);
    }
    ck_assert_int_eq(scan_page_check(slice_of(&page), PARTITIONER_CRC16, &from, &to), RD_OK);
    buf_free(&page);
}
END_TEST

START_TEST(pages_are_ascending_and_within_their_bounds) {
    struct buf page = {0}, wrong = {0};
    struct scan_position from = {0}, to = {.slot = SLOT_COUNT};
    uint16_t slot = slot_of_key(PARTITIONER_CRC16, "{t}b", 4);
    add(&page, "{t}b");
    add(&page, "{t}c");
    ck_assert_int_eq(scan_page_check(slice_of(&page), PARTITIONER_CRC16, &from, &to), RD_OK);
    ck_assert_int_eq(scan_position_key(&from, slot, text("{t}a")), RD_OK);
    ck_assert_int_eq(scan_position_key(&to, slot, text("{t}c")), RD_OK);
    ck_assert_int_eq(scan_page_check(slice_of(&page), PARTITIONER_CRC16, &from, &to), RD_OK);
    ck_assert_int_eq(scan_position_key(&from, slot, text("{t}b")), RD_OK);
    ck_assert_int_eq(scan_page_check(slice_of(&page), PARTITIONER_CRC16, &from, &to), RD_EPROTO);
    scan_position_slot(&from, slot);
    ck_assert_int_eq(scan_position_key(&to, slot, text("{t}b")), RD_OK);
    ck_assert_int_eq(scan_page_check(slice_of(&page), PARTITIONER_CRC16, &from, &to), RD_EPROTO);
    scan_position_slot(&to, (uint16_t)(slot + 1));
    add(&wrong, "{t}c");
    add(&wrong, "{t}c");
    ck_assert_int_eq(scan_page_check(slice_of(&wrong), PARTITIONER_CRC16, &from, &to), RD_EPROTO);
    scan_position_free(&from);
    scan_position_free(&to);
    buf_free(&page);
    buf_free(&wrong);
}
END_TEST

START_TEST(positions_are_in_order) {
    struct scan_position at[7] = {{0}};
    static const struct {
        uint16_t slot;
        const char *key;
    } places[7] = {{0, NULL}, {0, ""},   {0, "a"},          {0, "ab"},
                   {0, "b"},  {1, NULL}, {SLOT_COUNT, NULL}};
    for (int i = 0; i < 7; i++) {
        scan_position_slot(&at[i], places[i].slot);
        if (places[i].key != NULL) {
            ck_assert_int_eq(scan_position_key(&at[i], places[i].slot, text(places[i].key)), RD_OK);
        }
    }
    for (int i = 0; i < 7; i++) {
        for (int j = 0; j < 7; j++) {
            int order = (i > j) - (i < j);
            ck_assert_int_eq(scan_position_compare(&at[i], &at[j]), order);
            if (places[j].key != NULL) {
                ck_assert_int_eq(scan_position_passed(&at[i], places[j].slot, text(places[j].key)),
                                 i >= j);
            }
        }
    }
    struct scan_position copy = {0};
    scan_position_copy(&copy, &at[3]);
    ck_assert_int_eq(scan_position_compare(&copy, &at[3]), 0);
    scan_position_free(&copy);
    for (int i = 0; i < 7; i++) {
        scan_position_free(&at[i]);
    }
}
END_TEST

START_TEST(cursors_fit_a_double) {
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        uint64_t place = scan_place(text(key));
        ck_assert_uint_gt(place, 0);
        uint64_t cursor = (uint64_t)(SLOT_COUNT - 1) << SCAN_PLACE_BITS | place;
        ck_assert_uint_lt(cursor, UINT64_C(1) << 53);
        ck_assert_uint_eq(cursor >> SCAN_PLACE_BITS, SLOT_COUNT - 1);
    }
}
END_TEST

START_TEST(a_list_of_keys) {
    struct buf keys = {0};
    struct resp_slice key;
    size_t at = 0;
    char longest[300];
    memset(longest, 'x', sizeof(longest));
    ck_assert(!client_reply_next_key(&keys, &at, &key));
    ck_assert_int_eq(client_reply_add_key(&keys, text("")), RD_OK);
    ck_assert_int_eq(
        client_reply_add_key(&keys, (struct resp_slice){(uint8_t *)longest, sizeof(longest)}),
        RD_OK);
    ck_assert(client_reply_next_key(&keys, &at, &key));
    ck_assert_uint_eq(key.len, 0);
    ck_assert(client_reply_next_key(&keys, &at, &key));
    ck_assert_uint_eq(key.len, sizeof(longest));
    ck_assert_mem_eq(key.data, longest, sizeof(longest));
    ck_assert(!client_reply_next_key(&keys, &at, &key));
    buf_free(&keys);
}
END_TEST

START_TEST(without_memory_nothing_is_added) {
    struct buf page = {0}, value = {0};
    make_value(&value, "v", 1);
    add(&page, "before");
    size_t len = buf_len(&page);
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = scan_page_add(&page, text("key"),
                                        (struct resp_slice){buf_data(&value), buf_len(&value)});
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_uint_eq(buf_len(&page), len);
    }
    buf_free(&page);
    buf_free(&value);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scan_page");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, an_entry_keeps_all_but_the_bytes);
    tcase_add_test(tcase, what_is_no_object_is_not_listed);
    tcase_add_test(tcase, a_cut_page_is_refused_everywhere);
    tcase_add_test(tcase, pages_are_ascending_and_within_their_bounds);
    tcase_add_test(tcase, positions_are_in_order);
    tcase_add_test(tcase, cursors_fit_a_double);
    tcase_add_test(tcase, a_list_of_keys);
    tcase_add_test(tcase, without_memory_nothing_is_added);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
