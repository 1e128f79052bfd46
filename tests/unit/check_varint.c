/* replication/varint: one spelling for each number, nothing else accepted. */
#include "replication/varint.h"

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#include <string.h>

static const struct {
    uint64_t value;
    size_t len;
    uint8_t bytes[VARINT_MAX_BYTES];
} spellings[] = {
    {0, 1, {0x00}},
    {1, 1, {0x01}},
    {127, 1, {0x7f}},
    {128, 2, {0x80, 0x01}},
    {300, 2, {0xac, 0x02}},
    {16384, 3, {0x80, 0x80, 0x01}},
    {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
    {UINT64_MAX >> 1, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
    {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
};

START_TEST(spells_known_numbers) {
    struct buf buf = {0};
    ck_assert_int_eq(varint_put(&buf, spellings[_i].value), RD_OK);
    ck_assert_uint_eq(buf_len(&buf), spellings[_i].len);
    ck_assert_mem_eq(buf_data(&buf), spellings[_i].bytes, spellings[_i].len);

    size_t at = 0;
    uint64_t value;
    ck_assert_int_eq(varint_get(buf_data(&buf), buf_len(&buf), &at, &value), RD_OK);
    ck_assert_uint_eq(value, spellings[_i].value);
    ck_assert_uint_eq(at, spellings[_i].len);
    buf_free(&buf);
}
END_TEST

START_TEST(refuses_what_is_cut_off) {
    for (size_t len = 0; len < spellings[_i].len; len++) {
        size_t at = 0;
        uint64_t value = 77;
        ck_assert_int_eq(varint_get(spellings[_i].bytes, len, &at, &value), RD_EPROTO);
        ck_assert_uint_eq(at, 0);
        ck_assert_uint_eq(value, 77);
    }
}
END_TEST

static const struct {
    size_t len;
    uint8_t bytes[12];
} bad[] = {
    {2, {0x80, 0x00}},
    {2, {0xff, 0x00}},
    {3, {0x80, 0x80, 0x00}},
    {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}},
    {10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00}},
    {11, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
    {11, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00}},
};

START_TEST(refuses_longer_spellings_and_overflow) {
    size_t at = 0;
    uint64_t value;
    ck_assert_int_eq(varint_get(bad[_i].bytes, bad[_i].len, &at, &value), RD_EPROTO);
    ck_assert_uint_eq(at, 0);
}
END_TEST

START_TEST(reads_one_after_the_other) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct buf buf = {0};
    uint64_t values[200];
    for (int i = 0; i < 200; i++) {
        values[i] = prng_u64(&prng) >> prng_below(&prng, 64);
        ck_assert_int_eq(varint_put(&buf, values[i]), RD_OK);
    }
    size_t at = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t value;
        ck_assert_int_eq(varint_get(buf_data(&buf), buf_len(&buf), &at, &value), RD_OK);
        ck_assert_uint_eq(value, values[i]);
    }
    ck_assert_uint_eq(at, buf_len(&buf));
    buf_free(&buf);
}
END_TEST

START_TEST(accepts_only_what_it_would_write) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[12];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)(prng_u64(&prng) & (prng_chance(&prng, 1, 2) ? 0xff : 0x80));
        }
        size_t at = 0;
        uint64_t value;
        if (varint_get(bytes, sizeof bytes, &at, &value) == RD_OK) {
            uint8_t again[VARINT_MAX_BYTES];
            ck_assert_uint_eq(varint_write(again, value), at);
            ck_assert_mem_eq(again, bytes, at);
        }
    }
}
END_TEST

START_TEST(survives_a_failing_allocation) {
    struct buf buf = {0};
    oom_fail_at(1);
    enum rd_err err = varint_put(&buf, 5);
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_uint_eq(buf_len(&buf), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("varint");
    TCase *tcase = tcase_create("varint");
    int spelling_count = (int)(sizeof spellings / sizeof *spellings);
    tcase_add_loop_test(tcase, spells_known_numbers, 0, spelling_count);
    tcase_add_loop_test(tcase, refuses_what_is_cut_off, 0, spelling_count);
    tcase_add_loop_test(tcase, refuses_longer_spellings_and_overflow, 0,
                        (int)(sizeof bad / sizeof *bad));
    tcase_add_loop_test(tcase, reads_one_after_the_other, 0, 5);
    tcase_add_loop_test(tcase, accepts_only_what_it_would_write, 0, 5);
    tcase_add_test(tcase, survives_a_failing_allocation);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
