/* store/store: what both engines must do alike. Every test runs with each of them (_i is the engine). A random
 * life is in check_store_random.c, what only one of them does in check_store_mem.c and check_store_sqlite.c. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

static struct rig rig;

static void setup(void) {
    rig = (struct rig){0};
}

static void teardown(void) {
    rig_close(&rig);
}

static struct store_key obj(const char *key) {
    return rig_key(STORE_OBJECTS, 7, key, strlen(key), NULL, 0);
}

static void put_commit(struct store_key at, const void *value, size_t len) {
    ck_assert_int_eq(rig_put(&rig, at, value, len), RD_OK);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
}

/* ---- rows ------------------------------------------------------------------------------------------ */

START_TEST(puts_gets_replaces_erases) {
    rig_open(&rig, (enum rig_engine)_i);
    rig_expect_error(&rig, obj("a"), RD_ENOTFOUND);
    put_commit(obj("a"), BYTES("one"));
    rig_expect(&rig, obj("a"), BYTES("one"));
    put_commit(obj("a"), BYTES("a longer one"));
    rig_expect(&rig, obj("a"), BYTES("a longer one"));
    rig_reopen(&rig);
    rig_expect(&rig, obj("a"), BYTES("a longer one"));
    put_commit(obj("a"), NULL, 0);
    rig_expect_error(&rig, obj("a"), RD_ENOTFOUND);
    put_commit(obj("a"), NULL, 0); /* of nothing */
    rig_reopen(&rig);
    rig_expect_error(&rig, obj("a"), RD_ENOTFOUND);
}
END_TEST

START_TEST(a_batch_shows_only_when_committed) {
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert_int_eq(rig_put(&rig, obj("a"), BYTES("1")), RD_OK);
    ck_assert_int_eq(rig_put(&rig, obj("b"), BYTES("1")), RD_OK);
    rig_expect_error(&rig, obj("a"), RD_ENOTFOUND);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_expect(&rig, obj("a"), BYTES("1"));
    rig_expect(&rig, obj("b"), BYTES("1"));
    ck_assert_int_eq(rig_put(&rig, obj("a"), BYTES("2")), RD_OK);
    rig_reopen(&rig); /* never committed, never there */
    rig_expect(&rig, obj("a"), BYTES("1"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK); /* an empty one */
    rig_expect(&rig, obj("a"), BYTES("1"));
}
END_TEST

START_TEST(the_last_put_of_a_row_in_a_batch_counts) {
    rig_open(&rig, (enum rig_engine)_i);
    rig_put(&rig, obj("a"), BYTES("1"));
    rig_put(&rig, obj("b"), BYTES("1"));
    rig_put(&rig, obj("a"), BYTES("2"));
    rig_put(&rig, obj("c"), NULL, 0);
    rig_put(&rig, obj("a"), BYTES("3"));
    rig_put(&rig, obj("b"), NULL, 0);
    rig_put(&rig, obj("c"), BYTES("1"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_expect(&rig, obj("a"), BYTES("3"));
    rig_expect_error(&rig, obj("b"), RD_ENOTFOUND);
    rig_expect(&rig, obj("c"), BYTES("1"));
}
END_TEST

START_TEST(every_part_of_an_address_counts) {
    const struct store_key at[] = {
        rig_key(STORE_OBJECTS, 1, BYTES("ab"), NULL, 0),
        rig_key(STORE_OBJECTS, 2, BYTES("ab"), NULL, 0),
        rig_key(STORE_OBJECTS, 1, BYTES("a"), BYTES("b")),
        rig_key(STORE_OBJECTS, 1, BYTES(""), BYTES("ab")),
        rig_key(STORE_OBJECTS, 1, BYTES(""), NULL, 0),
        rig_key(STORE_OBJECTS, 1, BYTES("ab\0"), NULL, 0),
        rig_key(STORE_OBJECTS, 1, BYTES("ab\0\xff"), NULL, 0),
        rig_key(STORE_OBJECTS, 1, BYTES("\xff"), BYTES("\0")),
        rig_key(STORE_OBJECTS, 1, BYTES("\xff"), BYTES("\0\0")),
        rig_key(STORE_OBJECTS, 16383, BYTES("ab"), NULL, 0),
        rig_key(STORE_HINTS, 1, BYTES("ab"), NULL, 0),
        rig_key(STORE_META, 0, BYTES("ab"), NULL, 0),
        rig_key(STORE_LEAVES, 1, BYTES("\0\0\0\1"), NULL, 0),
    };
    enum { COUNT = sizeof at / sizeof at[0] };
    rig_open(&rig, (enum rig_engine)_i);
    for (unsigned i = 0; i < COUNT; i++) {
        rig_expect_error(&rig, at[i], RD_ENOTFOUND);
        rig_put(&rig, at[i], &i, sizeof i);
    }
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    rig_reopen(&rig);
    for (unsigned i = 0; i < COUNT; i++) {
        rig_expect(&rig, at[i], &i, sizeof i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        put_commit(at[i], NULL, 0);
        rig_expect_error(&rig, at[i], RD_ENOTFOUND);
        if (i + 1 < COUNT) {
            unsigned next = i + 1;
            rig_expect(&rig, at[next], &next, sizeof next);
        }
    }
}
END_TEST

START_TEST(sizes_at_the_edges) {
    enum { BIG = 1 << 20 };
    uint8_t *big = malloc(BIG);
    struct prng prng;
    ck_assert_ptr_nonnull(big);
    prng_seed(&prng, 3);
    prng_fill(&prng, big, BIG);
    rig_open(&rig, (enum rig_engine)_i);
    struct store_key long_key = rig_key(STORE_OBJECTS, 5, big, BIG, big, BIG / 2);
    put_commit(obj("empty"), "", 0);
    put_commit(obj("big"), big, BIG);
    put_commit(long_key, BYTES("found"));
    rig_reopen(&rig);
    rig_expect(&rig, obj("empty"), "", 0);
    rig_expect(&rig, obj("big"), big, BIG);
    rig_expect(&rig, long_key, BYTES("found"));
    struct rig_rows rows = rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 10, SIZE_MAX);
    ck_assert_uint_eq(rows.count, 3);
    ck_assert_uint_eq(rows.rows[0].key_len, BIG);
    ck_assert_mem_eq(rows.rows[0].key, big, BIG);
    ck_assert_mem_eq(rows.rows[0].sub, big, BIG / 2);
    ck_assert_uint_eq(rows.rows[1].value->len, BIG);
    ck_assert_uint_eq(rows.rows[2].value->len, 0);
    rig_rows_free(&rows);
    free(big);
}
END_TEST

START_TEST(a_large_batch) {
    enum { COUNT = 10000 };
    rig_open(&rig, (enum rig_engine)_i);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned mixed = i * 7919u % COUNT; /* in no order */
        struct store_key at = {STORE_OBJECTS, (uint16_t)(mixed % 16384), &mixed, 4, NULL, 0};
        ck_assert_int_eq(rig_put_object(&rig, at, &mixed, 4, 0, false, true), RD_OK);
    }
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), COUNT);
    for (unsigned i = 0; i < COUNT; i += 37) {
        struct store_key at = {STORE_OBJECTS, (uint16_t)(i % 16384), &i, 4, NULL, 0};
        rig_expect(&rig, at, &i, 4);
    }
}
END_TEST

START_TEST(meta_rows_are_read_at_once) {
    struct blob *value = NULL;
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert_int_eq(store_meta_get(rig.store, "identity", &value), RD_ENOTFOUND);
    ck_assert_ptr_null(value);
    put_commit(rig_key(STORE_META, 0, BYTES("identity"), NULL, 0), BYTES("me\0"));
    rig_reopen(&rig);
    ck_assert_int_eq(store_meta_get(rig.store, "identity", &value), RD_OK);
    ck_assert_uint_eq(value->len, 3);
    ck_assert_mem_eq(value->bytes, "me\0", 3);
    ck_assert_uint_eq(store_pending(rig.store), 0);
    blob_unref(value);
}
END_TEST

/* ---- completions ----------------------------------------------------------------------------------- */

struct log {
    char text[256];    /* one letter and the token's digit per completion; "!" for an error */
    unsigned resubmit; /* so many gets are asked for by the handler itself */
};

static void log_add(struct log *log, char what, uint64_t token, enum rd_err err) {
    size_t len = strlen(log->text);
    snprintf(log->text + len, sizeof log->text - len, "%c%u%s", what, (unsigned)token,
             err == RD_OK ? "" : "!");
}

static void log_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    struct log *log = arg;
    struct store_key at = obj("a");
    log_add(log, value == NULL ? 'g' : (char)value->bytes[0], token, err);
    if (log->resubmit > 0) {
        log->resubmit--;
        store_get(rig.store, &at, 9);
    }
}

static void log_commit(void *arg, uint64_t token, enum rd_err err) {
    log_add(arg, 'c', token, err);
}

static void log_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                     size_t count, bool end) {
    ck_assert_uint_eq(count, 1);
    ck_assert(end);
    log_add(arg, (char)rows[0].value->bytes[0], token, err);
}

START_TEST(completions_come_in_order_when_polled) {
    static const struct store_handler handler = {log_get, log_commit, log_scan};
    struct store_key a = obj("a");
    struct store_range all = {STORE_OBJECTS, 0, 16383};
    struct log log = {.resubmit = 0};
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert_int_eq(store_wake_fd(rig.store), -1);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 10), 0);
    store_get(rig.store, &a, 1);
    rig_put(&rig, a, BYTES("X"));
    store_get(rig.store, &a, 2); /* the batch is still open */
    store_commit(rig.store, 3);
    store_get(rig.store, &a, 4);
    rig_put(&rig, a, BYTES("Y"));
    store_scan(rig.store, &all, NULL, 10, 1000, 5);
    store_commit(rig.store, 6);
    store_scan(rig.store, &all, NULL, 10, 1000, 7);
    ck_assert_uint_eq(store_pending(rig.store), 7);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 2), 2);
    ck_assert_str_eq(log.text, "g1!g2!");
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 0), 0);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 100), 5);
    ck_assert_str_eq(log.text, "g1!g2!c3X4X5c6Y7");
}
END_TEST

START_TEST(handlers_may_submit) {
    static const struct store_handler handler = {log_get, log_commit, log_scan};
    struct store_key a = obj("a");
    struct log log = {.resubmit = 2};
    rig_open(&rig, (enum rig_engine)_i);
    store_get(rig.store, &a, 1);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 10), 1);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 10), 1);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 10), 1);
    ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 10), 0);
    ck_assert_str_eq(log.text, "g1!g9!g9!");
}
END_TEST

START_TEST(more_answers_wait_than_were_reserved) {
    static const struct store_handler handler = {log_get, log_commit, log_scan};
    struct store_key a = obj("a");
    enum { COUNT = 3 * STORE_PENDING_RESERVED };
    rig_open(&rig, (enum rig_engine)_i);
    size_t delivered = 0;
    for (size_t i = 0; i < COUNT; i++) {
        struct log log = {.resubmit = 0};
        store_get(rig.store, &a, i);
        if (i % 3 == 0) { /* the ring turns while it grows */
            delivered += store_poll(rig.store, &handler, &log, 1);
        }
    }
    ck_assert_uint_eq(store_pending(rig.store), COUNT - delivered);
    for (size_t i = delivered; i < COUNT; i++) {
        struct log log = {.resubmit = 0};
        char expected[32];
        snprintf(expected, sizeof expected, "g%zu!", i);
        ck_assert_uint_eq(store_poll(rig.store, &handler, &log, 1), 1);
        ck_assert_str_eq(log.text, expected);
    }
}
END_TEST

START_TEST(counters) {
    struct store_stats stats;
    rig_open(&rig, (enum rig_engine)_i);
    store_stats(rig.store, &stats);
    ck_assert(stats.writable);
    ck_assert_uint_eq(stats.gets + stats.puts + stats.commits + stats.commit_errors, 0);
    put_commit(obj("a"), BYTES("1"));
    rig_expect(&rig, obj("a"), BYTES("1"));
    rig_expect_error(&rig, obj("b"), RD_ENOTFOUND);
    store_stats(rig.store, &stats);
    ck_assert(stats.writable);
    ck_assert_uint_eq(stats.gets, 2);
    ck_assert_uint_eq(stats.puts, 1);
    ck_assert_uint_eq(stats.commits, 1);
    ck_assert_uint_eq(stats.commit_errors, 0);
    ck_assert_uint_eq(stats.corrupt_rows, 0);
    ck_assert_uint_gt(stats.bytes_on_disk, 0);
}
END_TEST

/* ---- scans, due rows, live keys, one by one -------------------------------------------------------- */

/* The keys of a scan as text: "7:a 7:b|x". */
static void expect_rows(struct rig_rows rows, const char *expected, bool end) {
    char text[512] = "";
    size_t len = 0;
    ck_assert_int_eq(rows.err, RD_OK);
    for (size_t i = 0; i < rows.count; i++) {
        const struct store_row *row = &rows.rows[i];
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%u:%.*s%s%.*s", i == 0 ? "" : " ",
                                row->slot, (int)row->key_len, (const char *)row->key,
                                row->sub_len == 0 ? "" : "|", (int)row->sub_len,
                                (const char *)row->sub);
    }
    ck_assert_str_eq(text, expected);
    ck_assert(rows.end == end);
    rig_rows_free(&rows);
}

static void fill_for_scans(void) {
    static const struct {
        uint16_t slot;
        const char *key;
        const char *sub;
    } rows[] = {{9, "a", ""},  {0, "z", ""}, {7, "b", "x"}, {7, "b", ""},
                {7, "ba", ""}, {7, "", ""},  {7, "a", "y"}, {16383, "m", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_key at = rig_key(STORE_OBJECTS, rows[i].slot, rows[i].key, strlen(rows[i].key),
                                      rows[i].sub, strlen(rows[i].sub));
        ck_assert_int_eq(rig_put_object(&rig, at, "12345", 5, 100 - i, false, i % 2), RD_OK);
    }
    rig_put(&rig, rig_key(STORE_HINTS, 7, BYTES("hint"), NULL, 0), BYTES("h"));
    rig_put(&rig, rig_key(STORE_LEAVES, 0, BYTES("leaf"), NULL, 0), BYTES("l"));
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
}

START_TEST(scans_go_through_slots_in_order) {
    struct store_cursor zero = {0};
    struct store_cursor at_b = {.slot = 7, .key = "b", .key_len = 1};
    struct store_cursor at_bx = {.slot = 7, .key = "b", .key_len = 1, .sub = "x", .sub_len = 1};
    struct store_cursor at_none = {.slot = 8, .key = "", .key_len = 0};
    struct store_cursor at_empty = {.slot = 7, .key = "", .key_len = 0};
    struct store_cursor at_last = {.slot = 16383, .key = "m", .key_len = 1};
    struct store_cursor before = {.slot = 3, .key = "q", .key_len = 1};
    rig_open(&rig, (enum rig_engine)_i);
    expect_rows(rig_scan(&rig, STORE_OBJECTS, 0, 16383, NULL, 100, 100000), "", true);
    fill_for_scans();
#define SCAN(space, first, last, cursor, max_rows, max_bytes)                                      \
    rig_scan(&rig, space, first, last, cursor, max_rows, max_bytes)
    expect_rows(SCAN(STORE_OBJECTS, 0, 16383, NULL, 100, 100000),
                "0:z 7: 7:a|y 7:b 7:b|x 7:ba 9:a 16383:m", true);
    expect_rows(SCAN(STORE_OBJECTS, 0, 16383, &zero, 3, 100000), "0:z 7: 7:a|y", false);
    expect_rows(SCAN(STORE_OBJECTS, 1, 8, NULL, 100, 100000), "7: 7:a|y 7:b 7:b|x 7:ba", true);
    expect_rows(SCAN(STORE_OBJECTS, 7, 7, &at_b, 100, 100000), "7:b|x 7:ba", true);
    expect_rows(SCAN(STORE_OBJECTS, 0, 16383, &at_bx, 1, 100000), "7:ba", false);
    expect_rows(SCAN(STORE_OBJECTS, 0, 16383, &at_none, 100, 100000), "9:a 16383:m", true);
    expect_rows(SCAN(STORE_OBJECTS, 7, 7, &at_empty, 1, 100000), "7:a|y", false);
    expect_rows(SCAN(STORE_OBJECTS, 0, 16383, &at_last, 100, 100000), "", true);
    expect_rows(SCAN(STORE_OBJECTS, 7, 7, &before, 1, 100000), "7:", false);
    expect_rows(SCAN(STORE_OBJECTS, 0, 6, &at_b, 1, 100000), "", true);
    expect_rows(SCAN(STORE_OBJECTS, 10, 16382, NULL, 1, 100000), "", true);
    expect_rows(SCAN(STORE_OBJECTS, 7, 9, NULL, 100, 0), "7:", false);
    expect_rows(SCAN(STORE_OBJECTS, 7, 9, NULL, 100, 6), "7: 7:a|y", false);
    expect_rows(SCAN(STORE_OBJECTS, 9, 9, NULL, 1, 1), "9:a", true);
    expect_rows(SCAN(STORE_HINTS, 0, 16383, NULL, 9, 999), "7:hint", true);
    expect_rows(SCAN(STORE_LEAVES, 0, 16383, NULL, 9, 999), "0:leaf", true);
    expect_rows(SCAN(STORE_META, 0, 0, NULL, 9, 999), "", true);
#undef SCAN
}
END_TEST

/* A slot of many rows, every third of them erased, page by page: all come, in order, once. */
START_TEST(a_long_slot_page_by_page) {
    enum { ROWS = 900, PAGE = 7 };
    char key[16];
    rig_open(&rig, (enum rig_engine)_i);
    for (int round = 0; round < 2; round++) { /* the erased ones were there before */
        for (unsigned i = 0; i < ROWS; i++) {
            snprintf(key, sizeof(key), "%03u", i * 7 % ROWS);
            bool erased = round == 1 && i * 7 % ROWS % 3 == 0;
            ck_assert_int_eq(
                rig_put(&rig, rig_key(STORE_OBJECTS, 5, key, 3, NULL, 0), erased ? NULL : "v", 1),
                RD_OK);
        }
        ck_assert_int_eq(rig_commit(&rig), RD_OK);
    }
    struct rig_rows page = rig_scan(&rig, STORE_OBJECTS, 0, 100, NULL, PAGE, SIZE_MAX);
    unsigned next = 1, pages = 1;
    for (;; pages++) {
        ck_assert_int_eq(page.err, RD_OK);
        for (size_t i = 0; i < page.count; i++, next += next % 3) { /* 1 2 4 5 7 8 ... */
            snprintf(key, sizeof(key), "%03u", next);
            ck_assert_mem_eq(page.rows[i].key, key, 3);
        }
        if (page.end) {
            break;
        }
        ck_assert_uint_eq(page.count, PAGE);
        struct store_cursor behind = rig_behind(&page.rows[page.count - 1]);
        struct rig_rows more = rig_scan(&rig, STORE_OBJECTS, 0, 100, &behind, PAGE, SIZE_MAX);
        rig_rows_free(&page);
        page = more;
    }
    ck_assert_uint_eq(next, ROWS + 1);
    ck_assert_uint_ge(pages, ROWS * 2 / 3 / PAGE);
    rig_rows_free(&page);
    rig_close(&rig);
}
END_TEST

START_TEST(due_rows_come_earliest_first) {
    rig_open(&rig, (enum rig_engine)_i);
    expect_rows(rig_scan_due(&rig, UINT64_MAX, 10), "", true);
    fill_for_scans(); /* due 100 for 9:a, 99 for 0:z ... 93 for 16383:m */
    expect_rows(rig_scan_due(&rig, 92, 10), "", true);
    expect_rows(rig_scan_due(&rig, 95, 10), "16383:m 7:a|y 7:", true);
    expect_rows(rig_scan_due(&rig, 95, 3), "16383:m 7:a|y 7:", true);
    expect_rows(rig_scan_due(&rig, 95, 2), "16383:m 7:a|y", false);
    expect_rows(rig_scan_due_behind(&rig, NULL, 95, 10, 1), "16383:m", false);
    struct store_due_cursor behind = {94, {.slot = 7, .key = "a", .key_len = 1}};
    expect_rows(rig_scan_due_behind(&rig, &behind, 95, 10, SIZE_MAX), "7:a|y 7:", true);
    behind.at.sub = "y";
    behind.at.sub_len = 1;
    expect_rows(rig_scan_due_behind(&rig, &behind, 95, 10, SIZE_MAX), "7:", true);
    behind.due_ms = 93;
    expect_rows(rig_scan_due_behind(&rig, &behind, 95, 10, SIZE_MAX), "16383:m 7:a|y 7:", true);
    struct store_key m = rig_key(STORE_OBJECTS, 16383, BYTES("m"), NULL, 0);
    struct store_key a = rig_key(STORE_OBJECTS, 7, BYTES("a"), BYTES("y"));
    struct store_key b = rig_key(STORE_OBJECTS, 7, BYTES("b"), NULL, 0);
    struct store_key z = rig_key(STORE_OBJECTS, 0, BYTES("z"), NULL, 0);
    rig_put_object(&rig, m, "1", 1, 0, false, false);          /* no longer due */
    rig_put_object(&rig, a, NULL, 0, 50, false, false);        /* gone */
    rig_put_object(&rig, b, "1", 1, 10, false, false);         /* earlier */
    rig_put_object(&rig, z, "1", 1, UINT64_MAX, false, false); /* as good as never */
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    expect_rows(rig_scan_due(&rig, 95, 10), "7:b 7:", true);
    rig_reopen(&rig);
    expect_rows(rig_scan_due(&rig, 95, 10), "7:b 7:", true);
    struct rig_rows rows = rig_scan_due(&rig, UINT64_MAX, 100);
    ck_assert_uint_eq(rows.count, 6);
    ck_assert_uint_eq(rows.rows[0].due_ms, 10);
    ck_assert_uint_eq(rows.rows[5].due_ms, INT64_MAX);
    rig_rows_free(&rows);
}
END_TEST

START_TEST(live_keys_are_counted_by_slot) {
    struct store_key a = rig_key(STORE_OBJECTS, 5, BYTES("a"), NULL, 0);
    struct store_key b = rig_key(STORE_OBJECTS, 6, BYTES("b"), NULL, 0);
    struct store_key h = rig_key(STORE_HINTS, 6, BYTES("b"), NULL, 0);
    rig_open(&rig, (enum rig_engine)_i);
    rig_put_object(&rig, a, "1", 1, 0, false, true);
    rig_put_object(&rig, b, "1", 1, 0, false, false);
    rig_put_object(&rig, h, "1", 1, 0, false, true); /* no object */
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), 0);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), 1);
    ck_assert_uint_eq(store_live_count(rig.store, 5, 5), 1);
    ck_assert_uint_eq(store_live_count(rig.store, 6, 16383), 0);
    rig_put_object(&rig, a, "2", 1, 0, true, false); /* a tombstone, and back within a batch */
    rig_put_object(&rig, a, "3", 1, 0, false, true);
    rig_put_object(&rig, b, "2", 1, 0, false, true);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(store_live_count(rig.store, 5, 6), 2);
    rig_reopen(&rig);
    ck_assert_uint_eq(store_live_count(rig.store, 5, 6), 2);
    rig_put_object(&rig, a, NULL, 0, 0, true, false);
    rig_put_object(&rig, b, "3", 1, 0, true, false);
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), 0);
    rig_put_object(&rig, a, NULL, 0, 0, true, false); /* it was not: the count stays honest */
    ck_assert_int_eq(rig_commit(&rig), RD_OK);
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), 0);
    struct store_stats stats;
    store_stats(rig.store, &stats);
    ck_assert_uint_eq(stats.live_keys, 0);
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------------- */

/* Puts several rows and commits, without waiting and without an assertion: allocations may fail. True if row
 * "round" will hold `round`, provided that the commit succeeds. */
static bool script_commit(unsigned round) {
    char value[3000];
    memset(value, 'a' + (int)(round % 26), sizeof value);
    for (unsigned i = 0; i < 6; i++) {
        char name[2] = {(char)('k' + (round + i) % 9), 0};
        rig_put_object(&rig, obj(name), value, 500 * i, i, false, true);
    }
    bool put = rig_put(&rig, obj("round"), &round, sizeof round) == RD_OK;
    store_commit(rig.store, RIG_TOKEN);
    return put;
}

static void expect_round(unsigned round) {
    rig_expect(&rig, obj("round"), &round, sizeof round);
}

START_TEST(memory_runs_out_in_commits) {
    unsigned done = 0; /* the last round that took place */
    unsigned refused = 0;
    bool fired = true;
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert(script_commit(0));
    ck_assert_int_eq(rig_commit_answer(&rig), RD_OK);
    for (unsigned n = 1; fired; n++) {
        oom_fail_at(n);
        bool put = script_commit(n);
        fired = oom_stop();
        enum rd_err err = rig_commit_answer(&rig);
        ck_assert(err == RD_OK || (fired && err == RD_ENOMEM));
        done = err == RD_OK && put ? n : done;
        refused += err != RD_OK;
        expect_round(done);
        if (n <= 8 || n % 16 == 0) { /* a new store has no memory left from batches before */
            rig_reopen(&rig);
            expect_round(done);
        }
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert(script_commit(99999));
    ck_assert_int_eq(rig_commit_answer(&rig), RD_OK);
    expect_round(99999);
}
END_TEST

START_TEST(memory_stays_away_for_a_while) {
    bool fired = true;
    unsigned done = 0;
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert(script_commit(0));
    ck_assert_int_eq(rig_commit_answer(&rig), RD_OK);
    for (unsigned n = 1; fired; n++) {
        oom_fail_from(n);
        bool put = script_commit(n);
        fired = oom_stop();
        done = rig_commit_answer(&rig) == RD_OK && put ? n : done;
        ck_assert(fired || done == n);
        expect_round(done);
    }
}
END_TEST

START_TEST(memory_runs_out_in_reads) {
    struct store_key at = obj("round");
    bool fired = true;
    rig_open(&rig, (enum rig_engine)_i);
    ck_assert(script_commit(7));
    ck_assert_int_eq(rig_commit_answer(&rig), RD_OK);
    for (unsigned n = 1; fired; n++) {
        unsigned round = 7;
        struct blob *blob = NULL;
        rig_reopen(&rig); /* with a cold cache */
        oom_fail_at(n);
        store_get(rig.store, &at, RIG_TOKEN);
        fired = oom_stop();
        enum rd_err err = rig_get_answer(&rig, &blob);
        if (err == RD_OK) {
            ck_assert_mem_eq(blob->bytes, &round, sizeof round);
            blob_unref(blob);
        } else {
            ck_assert(fired && err == RD_ENOMEM);
        }
        expect_round(7);
    }
}
END_TEST

START_TEST(memory_runs_out_in_scans) {
    bool fired = true;
    rig_open(&rig, (enum rig_engine)_i);
    fill_for_scans();
    static const char all[] = "0:z 7: 7:a|y 7:b 7:b|x 7:ba 9:a 16383:m";
    static const char due[] = "16383:m 7:a|y 7: 7:ba 7:b 7:b|x 0:z 9:a";
    for (unsigned n = 1; fired; n++) {
        struct store_range range = {STORE_OBJECTS, 0, 16383};
        oom_fail_at(n);
        store_scan(rig.store, &range, NULL, 100, 10000, RIG_TOKEN);
        fired = oom_stop();
        struct rig_rows rows = rig_scan_answer(&rig);
        if (rows.err != RD_OK) {
            ck_assert(fired && rows.err == RD_ENOMEM);
            rig_rows_free(&rows);
        } else {
            expect_rows(rows, all, true);
        }
        oom_fail_at(n);
        store_scan_due(rig.store, 1000, NULL, 100, SIZE_MAX, RIG_TOKEN);
        fired |= oom_stop();
        rows = rig_scan_answer(&rig);
        if (rows.err != RD_OK) {
            ck_assert_int_eq(rows.err, RD_ENOMEM);
            rig_rows_free(&rows);
        } else {
            expect_rows(rows, due, true);
        }
    }
}
END_TEST

int main(void) {
    rig_sqlite_malloc();
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("both engines");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, puts_gets_replaces_erases, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, a_batch_shows_only_when_committed, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, the_last_put_of_a_row_in_a_batch_counts, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, every_part_of_an_address_counts, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, sizes_at_the_edges, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, a_large_batch, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, meta_rows_are_read_at_once, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, completions_come_in_order_when_polled, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, handlers_may_submit, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, more_answers_wait_than_were_reserved, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, counters, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, scans_go_through_slots_in_order, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, a_long_slot_page_by_page, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, due_rows_come_earliest_first, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, live_keys_are_counted_by_slot, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, memory_runs_out_in_commits, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, memory_stays_away_for_a_while, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, memory_runs_out_in_reads, 0, RIG_ENGINES);
    tcase_add_loop_test(tcase, memory_runs_out_in_scans, 0, RIG_ENGINES);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
