/* store/store: a random life of each engine, against a sorted list. _i is the seed; modulo the number of engines it is the engine. */
#include <string.h>

#include "base/prng.h"
#include "store/store.h"
#include "tests/lib/run.h"
#include "tests/lib/store_rig.h"

static struct rig rig;

static void setup(void) {
    rig = (struct rig){0};
}

static void teardown(void) {
    rig_close(&rig);
}

enum { ROWS = 600 };

struct oracle_row {
    enum store_space space;
    uint16_t slot;
    uint8_t key[4], sub[2];
    size_t key_len, sub_len;
    uint8_t value[40];
    size_t len;
    uint64_t due;
    bool live;
};

struct oracle {
    struct oracle_row rows[ROWS]; /* sorted */
    size_t count;
};

static struct oracle committed, open_batch; /* open_batch: committed and what was put since */

static struct store_key oracle_key(const struct oracle_row *row) {
    return rig_key(row->space, row->slot, row->key, row->key_len, row->sub, row->sub_len);
}

static int bytes_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    for (size_t i = 0; i < a_len && i < b_len; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return a_len < b_len ? -1 : a_len > b_len;
}

static int oracle_order(const struct oracle_row *a, const struct oracle_row *b) {
    if (a->space != b->space) {
        return a->space < b->space ? -1 : 1;
    }
    if (a->slot != b->slot) {
        return a->slot < b->slot ? -1 : 1;
    }
    int order = bytes_order(a->key, a->key_len, b->key, b->key_len);
    return order != 0 ? order : bytes_order(a->sub, a->sub_len, b->sub, b->sub_len);
}

/* Where `row` is, or would be. */
static size_t oracle_place(const struct oracle *oracle, const struct oracle_row *row) {
    size_t i = 0;
    while (i < oracle->count && oracle_order(&oracle->rows[i], row) < 0) {
        i++;
    }
    return i;
}

static bool oracle_has(const struct oracle *oracle, size_t i, const struct oracle_row *row) {
    return i < oracle->count && oracle_order(&oracle->rows[i], row) == 0;
}

static struct oracle_row random_address(struct prng *prng) {
    static const uint8_t letters[] = {0, 'a', 0xff};
    struct oracle_row row = {.space = (enum store_space)prng_below(prng, STORE_SPACES)};
    row.slot = row.space == STORE_META ? 0 : (uint16_t)(prng_below(prng, 3) * 8191);
    row.key_len = (size_t)prng_below(prng, 4);
    for (size_t i = 0; i < row.key_len; i++) {
        row.key[i] = letters[prng_below(prng, 3)];
    }
    row.sub_len = row.space == STORE_META ? 0 : (size_t)prng_below(prng, 2);
    row.sub[0] = letters[prng_below(prng, 3)];
    return row;
}

static void random_put(struct prng *prng) {
    struct oracle_row row = random_address(prng);
    size_t i = oracle_place(&open_batch, &row);
    bool present = oracle_has(&open_batch, i, &row);
    bool was_live = present && open_batch.rows[i].live;
    bool object = row.space == STORE_OBJECTS;
    if (prng_chance(prng, 1, 3)) {
        ck_assert_int_eq(rig_put_object(&rig, oracle_key(&row), NULL, 0, 0, was_live, false),
                         RD_OK);
        if (present) {
            open_batch.count--;
            memmove(&open_batch.rows[i], &open_batch.rows[i + 1],
                    (open_batch.count - i) * sizeof row);
        }
        return;
    }
    row.len = (size_t)prng_below(prng, sizeof row.value + 1);
    prng_fill(prng, row.value, row.len);
    row.due = object && prng_chance(prng, 1, 3) ? prng_below(prng, 50) : 0;
    row.live = object && prng_chance(prng, 2, 3);
    ck_assert_int_eq(
        rig_put_object(&rig, oracle_key(&row), row.value, row.len, row.due, was_live, row.live),
        RD_OK);
    if (!present) {
        ck_assert_uint_lt(open_batch.count, ROWS);
        memmove(&open_batch.rows[i + 1], &open_batch.rows[i], (open_batch.count - i) * sizeof row);
        open_batch.count++;
    }
    open_batch.rows[i] = row;
}

static void random_get(struct prng *prng) {
    struct oracle_row row = random_address(prng);
    size_t i = oracle_place(&committed, &row);
    if (oracle_has(&committed, i, &row)) {
        rig_expect(&rig, oracle_key(&row), committed.rows[i].value, committed.rows[i].len);
    } else {
        rig_expect_error(&rig, oracle_key(&row), RD_ENOTFOUND);
    }
}

static void same_row(const struct store_row *row, const struct oracle_row *expected) {
    ck_assert_int_eq(row->err, RD_OK);
    ck_assert_uint_eq(row->slot, expected->slot);
    ck_assert_int_eq(bytes_order(row->key, row->key_len, expected->key, expected->key_len), 0);
    ck_assert_int_eq(bytes_order(row->sub, row->sub_len, expected->sub, expected->sub_len), 0);
    ck_assert_int_eq(
        bytes_order(row->value->bytes, row->value->len, expected->value, expected->len), 0);
    ck_assert_uint_eq(row->due_ms, expected->due);
    ck_assert(row->is_live == expected->live);
}

/* Scans a random range page by page; the pages joined are the oracle's rows of that range. */
static void random_scan(struct prng *prng) {
    enum store_space space = (enum store_space)prng_below(prng, STORE_SPACES);
    uint16_t first = (uint16_t)(prng_below(prng, 3) * 8191);
    uint16_t last = (uint16_t)(first + prng_below(prng, 16384 - first));
    size_t i = 0;
    bool end = false;
    struct rig_rows before = {0}; /* the cursor borrows from it */
    for (int pages = 0; !end; pages++) {
        ck_assert_int_lt(pages, ROWS + 2);
        struct store_cursor cursor = {0};
        if (before.count > 0) {
            cursor = rig_behind(&before.rows[before.count - 1]);
        }
        size_t max_rows = 1 + prng_below(prng, 40);
        struct rig_rows rows =
            rig_scan(&rig, space, first, last, &cursor, max_rows, prng_below(prng, 2000));
        ck_assert_int_eq(rows.err, RD_OK);
        ck_assert_uint_le(rows.count, max_rows);
        ck_assert(rows.count > 0 || rows.end);
        for (size_t n = 0; n < rows.count; n++, i++) {
            while (i < committed.count &&
                   (committed.rows[i].space != space || committed.rows[i].slot < first)) {
                i++;
            }
            ck_assert_uint_lt(i, committed.count);
            same_row(&rows.rows[n], &committed.rows[i]);
        }
        end = rows.end;
        rig_rows_free(&before);
        before = rows;
    }
    rig_rows_free(&before);
    for (; i < committed.count; i++) { /* nothing of the range was left out */
        const struct oracle_row *row = &committed.rows[i];
        ck_assert(row->space != space || row->slot < first || row->slot > last);
    }
}

static void random_due(struct prng *prng) {
    uint64_t before = prng_below(prng, 60);
    size_t max_rows = 1 + prng_below(prng, 30);
    struct rig_rows rows = rig_scan_due(&rig, before, max_rows);
    size_t n = 0;
    for (uint64_t due = 1; due <= before; due++) {
        for (size_t i = 0; i < committed.count; i++) {
            if (committed.rows[i].due != due) {
                continue;
            }
            if (n == rows.count) {
                ck_assert(n == max_rows && !rows.end);
                struct store_due_cursor cursor = {rows.rows[n - 1].due_ms,
                                                  rig_behind(&rows.rows[n - 1])};
                struct rig_rows next =
                    rig_scan_due_behind(&rig, &cursor, before, max_rows, SIZE_MAX);
                rig_rows_free(&rows);
                rows = next;
                n = 0;
            }
            ck_assert_int_eq(rows.err, RD_OK);
            ck_assert_uint_lt(n, rows.count);
            same_row(&rows.rows[n++], &committed.rows[i]);
        }
    }
    ck_assert_uint_eq(rows.count, n);
    ck_assert(rows.end);
    rig_rows_free(&rows);
}

static void check_live(struct prng *prng) {
    uint16_t first = (uint16_t)prng_below(prng, 16384);
    uint16_t last = (uint16_t)(first + prng_below(prng, 16384 - first));
    uint64_t in_range = 0;
    uint64_t in_all = 0;
    for (size_t i = 0; i < committed.count; i++) {
        const struct oracle_row *row = &committed.rows[i];
        in_all += row->live;
        in_range += row->live && row->slot >= first && row->slot <= last;
    }
    ck_assert_uint_eq(store_live_count(rig.store, 0, 16383), in_all);
    ck_assert_uint_eq(store_live_count(rig.store, first, last), in_range);
}

START_TEST(a_random_life) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    rig_open(&rig, (enum rig_engine)(_i % RIG_ENGINES));
    committed.count = open_batch.count = 0;
    for (int step = 0; step < 1500; step++) {
        uint64_t dice = prng_below(&prng, 100);
        if (dice < 55) {
            random_put(&prng);
        } else if (dice < 65) {
            ck_assert_int_eq(rig_commit(&rig), RD_OK);
            committed = open_batch;
        } else if (dice < 85) {
            random_get(&prng);
        } else if (dice < 91) {
            random_scan(&prng);
        } else if (dice < 95) {
            random_due(&prng);
        } else if (dice < 99) {
            check_live(&prng);
        } else {
            rig_reopen(&rig);
            open_batch = committed;
            check_live(&prng);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store, at random");
    TCase *tcase = tcase_create("random");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_random_life, 0, test_share(20) * RIG_ENGINES);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
