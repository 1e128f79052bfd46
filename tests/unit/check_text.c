/* base/text: tables of what is accepted and refused, round trips. Globs are in check_text_glob.c. */
#include "base/text.h"

#include "base/digits.h"
#include "base/prng.h"
#include "tests/lib/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- numbers --- */

static const struct {
    const char *text;
    enum rd_err err;
    int64_t value;
} i64_cases[] = {
    {"0", RD_OK, 0},
    {"7", RD_OK, 7},
    {"-1", RD_OK, -1},
    {"1234567890123", RD_OK, 1234567890123},
    {"9223372036854775807", RD_OK, INT64_MAX},
    {"-9223372036854775808", RD_OK, INT64_MIN},
    {"9223372036854775808", RD_ETOOBIG, 0},
    {"-9223372036854775809", RD_ETOOBIG, 0},
    {"18446744073709551616", RD_ETOOBIG, 0},
    {"99999999999999999999999", RD_ETOOBIG, 0},
    {"99999999999999999999999x", RD_EPROTO, 0},
    {"", RD_EPROTO, 0},
    {"-", RD_EPROTO, 0},
    {"-0", RD_EPROTO, 0},
    {"+1", RD_EPROTO, 0},
    {"01", RD_EPROTO, 0},
    {"-01", RD_EPROTO, 0},
    {"00", RD_EPROTO, 0},
    {" 1", RD_EPROTO, 0},
    {"1 ", RD_EPROTO, 0},
    {"1.0", RD_EPROTO, 0},
    {"1e3", RD_EPROTO, 0},
    {"0x10", RD_EPROTO, 0},
    {"--1", RD_EPROTO, 0},
};

START_TEST(i64_table) {
    int64_t value = 4711;
    ck_assert_int_eq(text_i64(i64_cases[_i].text, strlen(i64_cases[_i].text), &value),
                     i64_cases[_i].err);
    ck_assert_int_eq(value, i64_cases[_i].err == RD_OK ? i64_cases[_i].value : 4711);
}
END_TEST

static const struct {
    const char *text;
    enum rd_err err;
    uint64_t value;
} u64_cases[] = {
    {"0", RD_OK, 0},
    {"18446744073709551615", RD_OK, UINT64_MAX},
    {"18446744073709551616", RD_ETOOBIG, 0},
    {"18446744073709551620", RD_ETOOBIG, 0},
    {"184467440737095516150", RD_ETOOBIG, 0},
    {"-1", RD_EPROTO, 0},
    {"", RD_EPROTO, 0},
    {"007", RD_EPROTO, 0},
};

START_TEST(u64_table) {
    uint64_t value = 4711;
    ck_assert_int_eq(text_u64(u64_cases[_i].text, strlen(u64_cases[_i].text), &value),
                     u64_cases[_i].err);
    ck_assert_uint_eq(value, u64_cases[_i].err == RD_OK ? u64_cases[_i].value : 4711);
}
END_TEST

/* Against printf: each number of digits, its ends, and what lies within. */
START_TEST(digits_are_those_of_printf) {
    struct prng prng;
    prng_seed(&prng, 12);
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t top = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        const uint64_t numbers[] = {top, top / 2 + 1, top / 10 * 10, prng_u64(&prng) & top};
        for (size_t i = 0; i < COUNT(numbers); i++) {
            char ours[DIGITS_MAX + 1], theirs[DIGITS_MAX + 1];
            uint8_t *end = digits_put((uint8_t *)ours, numbers[i]);
            *end = '\0';
            snprintf(theirs, sizeof(theirs), "%" PRIu64, numbers[i]);
            ck_assert_str_eq(ours, theirs);
        }
    }
}
END_TEST

START_TEST(printed_numbers_parse) {
    struct prng prng;
    prng_seed(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t number = prng_u64(&prng) >> prng_below(&prng, 64);
        char text[32];
        int64_t read = 0;
        snprintf(text, sizeof text, "%" PRId64, (int64_t)number);
        ck_assert_int_eq(text_i64(text, strlen(text), &read), RD_OK);
        ck_assert_int_eq(read, (int64_t)number);
        uint64_t read_unsigned = 0;
        snprintf(text, sizeof text, "%" PRIu64, number);
        ck_assert_int_eq(text_u64(text, strlen(text), &read_unsigned), RD_OK);
        ck_assert_uint_eq(read_unsigned, number);
    }
}
END_TEST

/* The length counts, not a terminating zero. */
START_TEST(numbers_end_where_the_length_says) {
    int64_t value;
    ck_assert_int_eq(text_i64("123456", 3, &value), RD_OK);
    ck_assert_int_eq(value, 123);
    ck_assert_int_eq(text_i64("12\0", 3, &value), RD_EPROTO);
}
END_TEST

static const struct {
    const char *text;
    enum rd_err err;
    uint64_t bytes;
} memory_cases[] = {
    {"0", RD_OK, 0},
    {"1024", RD_OK, 1024},
    {"1b", RD_OK, 1},
    {"1k", RD_OK, 1000},
    {"1kb", RD_OK, 1024},
    {"1KB", RD_OK, 1024},
    {"3m", RD_OK, 3000000},
    {"3Mb", RD_OK, 3 * 1048576},
    {"2g", RD_OK, 2000000000},
    {"2gB", RD_OK, UINT64_C(2147483648)},
    {"17179869183gb", RD_OK, UINT64_C(17179869183) << 30},
    {"17179869184gb", RD_ETOOBIG, 0},
    {"18446744073709551616", RD_ETOOBIG, 0},
    {"", RD_EPROTO, 0},
    {"kb", RD_EPROTO, 0},
    {"1t", RD_EPROTO, 0},
    {"1bb", RD_EPROTO, 0},
    {"1kib", RD_EPROTO, 0},
    {"1 kb", RD_EPROTO, 0},
    {"-1", RD_EPROTO, 0},
    {"1.5g", RD_EPROTO, 0},
    {"01k", RD_EPROTO, 0},
};

START_TEST(memory_table) {
    uint64_t bytes = 4711;
    ck_assert_int_eq(text_memory(memory_cases[_i].text, strlen(memory_cases[_i].text), &bytes),
                     memory_cases[_i].err);
    ck_assert_uint_eq(bytes, memory_cases[_i].err == RD_OK ? memory_cases[_i].bytes : 4711);
}
END_TEST

START_TEST(yes_no) {
    static const char *const neither[] = {"", "y", "n", "true", "1", "yess", "nope", "on"};
    int value = 7;
    for (size_t i = 0; i < COUNT(neither); i++) {
        ck_assert_int_eq(text_yes_no(neither[i], strlen(neither[i]), &value), RD_EPROTO);
        ck_assert_int_eq(value, 7);
    }
    ck_assert_int_eq(text_yes_no("yes", 3, &value), RD_OK);
    ck_assert_int_eq(value, 1);
    ck_assert_int_eq(text_yes_no("No", 2, &value), RD_OK);
    ck_assert_int_eq(value, 0);
    ck_assert_int_eq(text_yes_no("YES", 3, &value), RD_OK);
    ck_assert_int_eq(value, 1);
}
END_TEST

/* --- hex and base64 --- */

START_TEST(hex_there_and_back) {
    uint8_t bytes[256];
    uint8_t read[256];
    char hex[513];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    text_hex(bytes, sizeof bytes, hex);
    ck_assert_uint_eq(strlen(hex), 512);
    ck_assert_mem_eq(hex, "000102030405060708090a0b0c0d0e0f10", 34);
    ck_assert_int_eq(text_unhex(hex, 512, read, sizeof read), RD_OK);
    ck_assert_mem_eq(read, bytes, sizeof bytes);
    text_hex(bytes, 0, hex);
    ck_assert_str_eq(hex, "");
}
END_TEST

START_TEST(hex_is_strict) {
    uint8_t read[2] = {7, 7};
    ck_assert_int_eq(text_unhex("aBcD", 4, read, 2), RD_OK);
    ck_assert_mem_eq(read, "\xab\xcd", 2);
    static const char *const bad[] = {"", "ab", "abc", "abcde", "abcdef", "abcg", "0x12", "ab d"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_int_eq(text_unhex(bad[i], strlen(bad[i]), read, 2), RD_EPROTO);
        ck_assert_mem_eq(read, "\xab\xcd", 2);
    }
}
END_TEST

static const struct {
    const char *bytes;
    const char *text;
} base64_cases[] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
};

START_TEST(base64_of_rfc_4648) {
    const char *bytes = base64_cases[_i].bytes;
    char text[16];
    char read[16];
    size_t len = 99;
    ck_assert_uint_eq(text_base64_len(strlen(bytes)), strlen(base64_cases[_i].text));
    text_base64(bytes, strlen(bytes), text);
    ck_assert_str_eq(text, base64_cases[_i].text);
    ck_assert_int_eq(text_unbase64(text, strlen(text), read, &len), RD_OK);
    ck_assert_uint_eq(len, strlen(bytes));
    ck_assert_mem_eq(read, bytes, len);
}
END_TEST

START_TEST(base64_there_and_back) {
    struct prng prng;
    prng_seed(&prng, 64);
    for (size_t len = 0; len < 200; len++) {
        uint8_t bytes[200];
        uint8_t read[200];
        char text[300];
        size_t read_len = 0;
        prng_fill(&prng, bytes, len);
        text_base64(bytes, len, text);
        ck_assert_uint_eq(strlen(text), text_base64_len(len));
        ck_assert_int_eq(text_unbase64(text, strlen(text), read, &read_len), RD_OK);
        ck_assert_uint_eq(read_len, len);
        ck_assert_mem_eq(read, bytes, len);
    }
}
END_TEST

/* Every text of up to three bytes either is refused or is the one spelling of what it decodes to; and as many
 * are accepted as there are values: 1, 256, 65536. */
START_TEST(base64_has_one_spelling) {
    size_t accepted[4] = {0};
    size_t wrong = 0;
    for (size_t len = 0; len <= 3; len++) {
        for (unsigned code = 0; code < 1u << 7 * len; code++) {
            char text[3] = {(char)(code & 127), (char)(code >> 7 & 127), (char)(code >> 14)};
            uint8_t bytes[3];
            size_t bytes_len = 99;
            if (text_unbase64(text, len, bytes, &bytes_len) != RD_OK) {
                wrong += bytes_len != 99;
                continue;
            }
            char again[5];
            text_base64(bytes, bytes_len, again);
            wrong += strlen(again) != len || memcmp(again, text, len) != 0;
            accepted[len]++;
        }
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(accepted[0], 1);
    ck_assert_uint_eq(accepted[1], 0);
    ck_assert_uint_eq(accepted[2], 256);
    ck_assert_uint_eq(accepted[3], 65536);
}
END_TEST

START_TEST(base64_is_strict) {
    static const char *const bad[] = {"Z", "Zh", "Zm9", "Zg==", "Zm8=", "+/+/", "Zm9vY", "Zm9v Yg"};
    uint8_t bytes[16];
    size_t len = 99;
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_int_eq(text_unbase64(bad[i], strlen(bad[i]), bytes, &len), RD_EPROTO);
        ck_assert_uint_eq(len, 99);
    }
    ck_assert_int_eq(text_unbase64("\xff\xff\xff\xff", 4, bytes, &len), RD_EPROTO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("text");
    tcase_add_loop_test(tcase, i64_table, 0, COUNT(i64_cases));
    tcase_add_loop_test(tcase, u64_table, 0, COUNT(u64_cases));
    tcase_add_test(tcase, digits_are_those_of_printf);
    tcase_add_test(tcase, printed_numbers_parse);
    tcase_add_test(tcase, numbers_end_where_the_length_says);
    tcase_add_loop_test(tcase, memory_table, 0, COUNT(memory_cases));
    tcase_add_test(tcase, yes_no);
    tcase_add_test(tcase, hex_there_and_back);
    tcase_add_test(tcase, hex_is_strict);
    tcase_add_loop_test(tcase, base64_of_rfc_4648, 0, COUNT(base64_cases));
    tcase_add_test(tcase, base64_there_and_back);
    tcase_add_test(tcase, base64_has_one_spelling);
    tcase_add_test(tcase, base64_is_strict);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
