/* base/prng: published vectors, and rough distributions with fixed seeds. */
#include "base/prng.h"

#include "tests/lib/run.h"

#include <string.h>

START_TEST(follows_the_published_vectors) {
    /* The reference implementation's first outputs from the state 1, 2, 3, 4. */
    const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct prng prng;
    prng_seed_wide(&prng, (const uint64_t[4]){1, 2, 3, 4});
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        ck_assert_uint_eq(prng_u64(&prng), expected[i]);
    }
}
END_TEST

START_TEST(is_seeded_by_splitmix64) {
    struct prng prng;
    prng_seed(&prng, 1234567);
    ck_assert_uint_eq(prng.s[0], UINT64_C(6457827717110365317));
    ck_assert_uint_eq(prng.s[1], UINT64_C(3203168211198807973));
    ck_assert_uint_eq(prng.s[2], UINT64_C(9817491932198370423));
    ck_assert_uint_eq(prng.s[3], UINT64_C(4593380528125082431));
}
END_TEST

START_TEST(takes_a_seed_of_zeros) {
    struct prng narrow;
    struct prng wide;
    prng_seed(&narrow, 0);
    ck_assert_uint_eq(narrow.s[0], UINT64_C(0xe220a8397b1dcdaf));
    prng_seed_wide(&wide, (const uint64_t[4]){0, 0, 0, 0});
    ck_assert_mem_eq(&narrow, &wide, sizeof narrow);
}
END_TEST

START_TEST(below_stays_below_and_is_even) {
    struct prng prng;
    prng_seed(&prng, 42);
    unsigned counts[7] = {0};
    unsigned wrong = 0;
    for (int i = 0; i < 70000; i++) {
        uint64_t x = prng_below(&prng, 7);
        wrong += x >= 7;
        counts[x % 7]++;
    }
    ck_assert_uint_eq(wrong, 0);
    for (int i = 0; i < 7; i++) {
        ck_assert_uint_gt(counts[i], 9600);
        ck_assert_uint_lt(counts[i], 10400);
    }
    ck_assert_uint_eq(prng_below(&prng, 1), 0);
}
END_TEST

/* Three quarters of 2^64: plain modulo would make the lowest third twice as likely as the others. */
START_TEST(below_has_no_modulo_bias) {
    struct prng prng;
    prng_seed(&prng, 1);
    const uint64_t bound = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
    unsigned low = 0;
    unsigned wrong = 0;
    for (int i = 0; i < 30000; i++) {
        uint64_t x = prng_below(&prng, bound);
        wrong += x >= bound;
        low += x < bound / 3;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(low, 9600);
    ck_assert_uint_lt(low, 10400);
}
END_TEST

START_TEST(chance_is_as_asked) {
    struct prng prng;
    prng_seed(&prng, 5);
    unsigned hits = 0;
    unsigned wrong = 0;
    for (int i = 0; i < 30000; i++) {
        wrong += prng_chance(&prng, 0, 3) != 0;
        wrong += prng_chance(&prng, 3, 3) != 1;
        hits += (unsigned)prng_chance(&prng, 1, 3);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(hits, 9600);
    ck_assert_uint_lt(hits, 10400);
}
END_TEST

START_TEST(fills_exactly_the_bytes) {
    struct prng prng;
    struct prng twin;
    for (size_t len = 0; len < 40; len++) {
        prng_seed(&prng, 9);
        uint8_t bytes[48];
        memset(bytes, 0xcc, sizeof bytes);
        prng_fill(&prng, bytes, len);
        for (size_t i = 0; i < len; i++) {
            uint64_t word = 0;
            prng_seed(&twin, 9);
            for (size_t k = 0; k <= i / 8; k++) {
                word = prng_u64(&twin);
            }
            ck_assert_uint_eq(bytes[i], word >> i % 8 * 8 & 0xff);
        }
        for (size_t i = len; i < sizeof bytes; i++) {
            ck_assert_uint_eq(bytes[i], 0xcc);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prng");
    TCase *tcase = tcase_create("prng");
    tcase_add_test(tcase, follows_the_published_vectors);
    tcase_add_test(tcase, is_seeded_by_splitmix64);
    tcase_add_test(tcase, takes_a_seed_of_zeros);
    tcase_add_test(tcase, below_stays_below_and_is_even);
    tcase_add_test(tcase, below_has_no_modulo_bias);
    tcase_add_test(tcase, chance_is_as_asked);
    tcase_add_test(tcase, fills_exactly_the_bytes);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
