/* store/memtable and store/mem_tree: rows by hash, by address, by due time, against an array. */
#include "store/memtable.h"

#include <stdlib.h>
#include <string.h>

#include "store/row.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

enum { PLACES = 4000, SLOTS = 3 };

/* What a place of the array holds; places are in the order of addresses. */
struct place {
    bool there, erased, live;
    uint64_t due, digest;
    uint8_t value[24];
    size_t len;
};

static struct place places[PLACES];
static struct memtable mem;

static void setup(void) {
    memset(places, 0, sizeof places);
    ck_assert_int_eq(memtable_init(&mem), RD_OK);
}

static void teardown(void) {
    memtable_free(&mem);
}

/* Place i: slot, big-endian number, and a sub for each third. `bytes` keeps the key. */
static struct store_key address(unsigned i, uint8_t bytes[2]) {
    bytes[0] = (uint8_t)(i / 3 >> 8);
    bytes[1] = (uint8_t)(i / 3);
    return (struct store_key){.space = STORE_OBJECTS,
                              .slot = (uint16_t)(i / (PLACES / SLOTS + 1) * 5000),
                              .key = bytes,
                              .key_len = 2,
                              .sub = i % 3 == 0 ? NULL : &"ab"[i % 3 - 1],
                              .sub_len = i % 3 != 0};
}

static void put(unsigned i, struct prng *prng) {
    uint8_t bytes[2];
    struct place *place = &places[i];
    *place = (struct place){.there = true, .erased = prng_chance(prng, 1, 5)};
    if (!place->erased) {
        place->len = (size_t)prng_below(prng, sizeof place->value + 1);
        prng_fill(prng, place->value, place->len);
        place->due = prng_chance(prng, 1, 2) ? 0 : 1 + prng_below(prng, 50);
        place->live = prng_chance(prng, 1, 2);
        place->digest = prng_u64(prng);
    }
    struct mem_put row = {.at = address(i, bytes),
                          .value = place->value,
                          .value_len = place->len,
                          .erase = place->erased,
                          .live = place->live,
                          .digest = place->digest,
                          .due_ms = place->due};
    row.hash = row_hash(&row.at);
    ck_assert_int_eq(
        memtable_reserve(&mem, memtable_room(row.at.key_len, row.at.sub_len, row.value_len)),
        RD_OK);
    memtable_put(&mem, &row);
}

static bool same(const struct mem_row *row, unsigned i) {
    uint8_t bytes[2];
    const struct place *place = &places[i];
    struct store_key at = address(i, bytes);
    struct store_key own = mem_row_key(row);
    return row_same(&at, &own) && place->erased == (row->value == NULL) &&
           place->live == row->live && place->due == row->due_ms && place->digest == row->digest &&
           (place->erased || (row->value->len == place->len &&
                              memcmp(row->value->bytes, place->value, place->len) == 0));
}

/* The next place that is there, in the slot of place `from` if `in_slot`; PLACES: none. */
static unsigned next_there(unsigned from, bool in_slot) {
    uint8_t bytes[2];
    for (unsigned i = from + 1; i < PLACES; i++) {
        if (in_slot && address(i, bytes).slot != address(from, bytes).slot) {
            return PLACES;
        }
        if (places[i].there) {
            return i;
        }
    }
    return PLACES;
}

static void look_at(unsigned i) {
    uint8_t bytes[2];
    struct store_key at = address(i, bytes);
    const struct mem_row *row = memtable_find(&mem, &at, row_hash(&at));
    unsigned next = next_there(i, true);
    const struct mem_row *behind = memtable_behind(&mem, &at);
    ck_assert((row != NULL) == places[i].there);
    ck_assert(row == NULL || same(row, i));
    ck_assert((behind != NULL) == (next < PLACES));
    ck_assert(behind == NULL || same(behind, next));
    ck_assert(row == NULL || memtable_next(&mem, row) == behind);
}

static void look_at_all(void) {
    const struct mem_row **rows;
    size_t count = 0;
    size_t due = 0;
    unsigned wrong = 0;
    ck_assert_int_eq(memtable_sorted(&mem, &rows), RD_OK);
    for (unsigned i = 0; i < PLACES; i++) {
        if (places[i].there) {
            ck_assert_uint_lt(count, mem.count);
            wrong += !same(rows[count++], i);
            due += places[i].due != 0;
        }
    }
    free(rows);
    ck_assert_uint_eq(count, mem.count);
    ck_assert_uint_eq(wrong, 0);
    const struct mem_row *row = memtable_next_due(&mem, NULL);
    for (uint64_t before = 0; row != NULL; row = memtable_next_due(&mem, row), due--) {
        ck_assert_uint_ge(row->due_ms, before);
        before = row->due_ms;
    }
    ck_assert_uint_eq(due, 0);
    memtable_check(&mem);
}

/* _i: the seed; odd ones let all rows share four hashes. */
START_TEST(rows_agree_with_an_array) {
    struct prng prng;
    unsigned places_used = _i % 2 == 0 ? PLACES : 200;
    prng_seed(&prng, (uint64_t)_i);
    mem.hash_mask = _i % 2 == 0 ? UINT64_MAX : 3;
    for (int life = 0; life < 2; life++) {
        for (unsigned n = 0; n < 2 * places_used; n++) {
            put((unsigned)prng_below(&prng, places_used), &prng);
            look_at((unsigned)prng_below(&prng, PLACES));
        }
        look_at_all();
        memtable_clear(&mem, 1 << 20);
        memset(places, 0, sizeof places);
        look_at(0);
        look_at_all();
        ck_assert_uint_eq(mem.used_bytes, 0);
    }
}
END_TEST

/* A process that is out of memory for more buckets puts rows all the same. */
START_TEST(buckets_need_no_memory) {
    struct prng prng;
    prng_seed(&prng, 1);
    ck_assert_int_eq(memtable_reserve(&mem, 600000), RD_OK);
    oom_fail_from(1);
    for (unsigned i = 0; i < PLACES; i++) {
        uint8_t bytes[2];
        struct mem_put row = {.at = address(i, bytes), .erase = true};
        row.hash = row_hash(&row.at);
        memtable_put(&mem, &row);
        places[i] = (struct place){.there = true, .erased = true};
    }
    enum rd_err err = memtable_reserve(&mem, 2000000);
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_uint_lt(mem.buckets, mem.count);
    look_at_all();
    put(7, &prng);
    look_at_all();
}
END_TEST

START_TEST(memory_runs_out_at_the_start) {
    for (unsigned n = 1; n <= 2; n++) {
        struct memtable other;
        oom_fail_at(n);
        enum rd_err err = memtable_init(&other);
        ck_assert_int_eq(oom_stop(), 1);
        ck_assert_int_eq(err, RD_ENOMEM);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("memtable");
    TCase *tcase = tcase_create("memtable");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, rows_agree_with_an_array, 0, 6);
    tcase_add_test(tcase, buckets_need_no_memory);
    tcase_add_test(tcase, memory_runs_out_at_the_start);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
