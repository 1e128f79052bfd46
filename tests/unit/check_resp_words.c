/* resp/words: Redis's quoting rules, against a table and against a generator that quotes at random.
 */
#include "resp/words.h"

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/resp_show.h"

#include <stdlib.h>
#include <string.h>

struct words_case {
    const char *line;
    const char *expected; /* "[word][word]", or "!" for unbalanced quotes */
};

static const struct words_case cases[] = {
    {"", ""},
    {"   \t \r", ""},
    {"PING", "[PING]"},
    {"  SET  key\tvalue\r", "[SET][key][value]"},
    {"SET key \"two words\"", "[SET][key][two words]"},
    {"SET key 'two words'", "[SET][key][two words]"},
    {"\"\" ''", "[][]"},
    {"\"\\x41\\x0a\\xfF\"", "[A\\x0a\\xff]"},
    {"\"\\n\\r\\t\\b\\a\\q\\\\\\\"\"", "[\\x0a\\x0d\\x09\\x08\\x07q\\x5c\"]"},
    {"\"\\x4\" \"\\xg1\" \"\\x\"", "[x4][xg1][x]"},
    {"'\\n\\x41\\''", "[\\x5cn\\x5cx41']"},
    {"'it\"s' \"it's\"", "[it\"s][it's]"},
    {"ab\"c d\" e", "[abc d][e]"},
    {"ab'c d' e", "[abc d][e]"},
    {"\"a\"\v\"b\"", "[a][b]"},
    {"a\vb\fc \v d", "[a\\x0bb\\x0cc][d]"},
    {"back\\slash \\\"", "!"},
    {"back\\slash", "[back\\x5cslash]"},
    {"\"open", "!"},
    {"'open", "!"},
    {"'open\\'", "!"},
    {"\"open\\\"", "!"},
    {"\"open\\", "!"},
    {"\"a\"b", "!"},
    {"'a'b", "!"},
    {"'a'\"b\"", "!"},
    {"fine \"fine\" 'not", "!"},
    {"\"", "!"},
};

/* The list as "[word][word]", or "!" or "#" for the errors; to be freed by the caller with
 * buf_free. */
static void show_split(struct buf *out, struct resp_words *words, const char *line, size_t len,
                       size_t max) {
    uint8_t *copy = exact_copy(line, len);
    enum rd_err err = resp_words_split(words, copy, len, max);
    if (err != RD_OK) {
        ck_assert_uint_eq(words->count, 0);
        ck_assert_int_eq(buf_printf(out, err == RD_EPROTO ? "!" : "#"), RD_OK);
    }
    for (size_t i = 0; i < words->count; i++) {
        ck_assert_int_eq(buf_printf(out, "["), RD_OK);
        show_bytes(out, words->items[i].data, words->items[i].len);
        ck_assert_int_eq(buf_printf(out, "]"), RD_OK);
    }
    free(copy);
}

START_TEST(splits_as_redis_does) {
    const struct words_case *c = &cases[_i];
    struct resp_words words = {0};
    struct buf shown = {0};
    show_split(&shown, &words, c->line, strlen(c->line), 100);
    ck_assert_str_eq(show_text(&shown), c->expected);
    buf_free(&shown);
    resp_words_free(&words);
}
END_TEST

/* One list for all lines: what an earlier line left behind must not show. */
START_TEST(can_be_used_again) {
    struct resp_words words = {0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct buf shown = {0};
            show_split(&shown, &words, cases[i].line, strlen(cases[i].line), 100);
            ck_assert_str_eq(show_text(&shown), cases[i].expected);
            buf_free(&shown);
        }
    }
    resp_words_free(&words);
    ck_assert_ptr_null(words.items);
    ck_assert_uint_eq(words.cap, 0);
}
END_TEST

START_TEST(takes_zero_bytes_as_bytes) {
    static const char line[] = "a\0b \"c\0\\\0d\" '\0'";
    struct resp_words words = {0};
    struct buf shown = {0};
    show_split(&shown, &words, line, sizeof(line) - 1, 100);
    ck_assert_str_eq(show_text(&shown), "[a\\x00b][c\\x00\\x00d][\\x00]");
    buf_free(&shown);
    resp_words_free(&words);
}
END_TEST

START_TEST(counts_words) {
    static const char *const expected[] = {"#", "#", "#", "[a][\"][c]", "[a][\"][c]"};
    for (size_t max = 0; max < 5; max++) {
        struct resp_words words = {0};
        struct buf shown = {0};
        show_split(&shown, &words, "a '\"' c  ", 9, max);
        ck_assert_str_eq(show_text(&shown), expected[max]);
        buf_free(&shown);
        resp_words_free(&words);
    }
}
END_TEST

START_TEST(borrows_plain_words) {
    const uint8_t line[] = "plain 'quoted' \"\\x41\"";
    struct resp_words words = {0};
    ck_assert_int_eq(resp_words_split(&words, line, sizeof(line) - 1, 10), RD_OK);
    ck_assert_uint_eq(words.count, 3);
    ck_assert_ptr_eq(words.items[0].data, line);
    ck_assert_ptr_eq(words.items[1].data, words.unquoted);
    ck_assert_ptr_eq(words.items[2].data, words.unquoted + 6);
    resp_words_free(&words);
}
END_TEST

/* Appends `len` bytes in a spelling drawn at random that stands for them. */
static void quote(struct prng *prng, struct buf *line, const uint8_t *bytes, size_t len) {
    bool plain = len > 0;
    for (size_t i = 0; i < len; i++) {
        plain = plain && bytes[i] > ' ' && bytes[i] != '"' && bytes[i] != '\'';
    }
    if (plain && prng_chance(prng, 1, 2)) {
        ck_assert_int_eq(buf_append(line, bytes, len), RD_OK);
        return;
    }
    /* Single quotes cannot say a backslash before their own mark. */
    bool twice = prng_chance(prng, 1, 2) || memchr(bytes, '\\', len) != NULL;
    char mark = twice ? '"' : '\'';
    ck_assert_int_eq(buf_append(line, &mark, 1), RD_OK);
    for (size_t i = 0; i < len; i++) {
        if (twice && prng_chance(prng, 1, 4)) {
            ck_assert_int_eq(
                buf_printf(line, prng_chance(prng, 1, 2) ? "\\x%02x" : "\\x%02X", bytes[i]), RD_OK);
            continue;
        }
        if (bytes[i] == (uint8_t)mark || (twice && bytes[i] == '\\')) {
            ck_assert_int_eq(buf_append(line, "\\", 1), RD_OK);
        }
        ck_assert_int_eq(buf_append(line, bytes + i, 1), RD_OK);
    }
    ck_assert_int_eq(buf_append(line, &mark, 1), RD_OK);
}

START_TEST(undoes_any_quoting) {
    struct prng prng;
    struct resp_words words = {0};
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 50; round++) {
        struct buf line = {0};
        uint8_t bytes[20][12];
        size_t lens[20];
        size_t count = prng_below(&prng, 20);
        for (size_t i = 0; i < count; i++) {
            lens[i] = prng_below(&prng, sizeof(bytes[i]));
            prng_fill(&prng, bytes[i], lens[i]);
            for (size_t j = 0; j < lens[i]; j++) {
                /* A small alphabet of difficult bytes. */
                bytes[i][j] = (uint8_t) "ab\"' \t\r\v\0\x80n\\"[bytes[i][j] % 12];
            }
            quote(&prng, &line, bytes[i], lens[i]);
            ck_assert_int_eq(buf_append(&line, "  \t ", 1 + prng_below(&prng, 4)), RD_OK);
        }
        uint8_t *copy = exact_copy(buf_data(&line), buf_len(&line));
        ck_assert_int_eq(resp_words_split(&words, copy, buf_len(&line), count), RD_OK);
        ck_assert_uint_eq(words.count, count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_eq(words.items[i].len, lens[i]);
            ck_assert(lens[i] == 0 || memcmp(words.items[i].data, bytes[i], lens[i]) == 0);
        }
        free(copy);
        buf_free(&line);
    }
    resp_words_free(&words);
}
END_TEST

START_TEST(survives_failing_allocations) {
    static const char line[] = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 '18' 19 \"20\"";
    for (unsigned n = 1;; n++) {
        struct resp_words words = {0};
        oom_fail_at(n);
        enum rd_err err = resp_words_split(&words, (const uint8_t *)line, sizeof(line) - 1, 100);
        int failed = oom_stop();
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        ck_assert_uint_eq(words.count, failed ? 0 : 20);
        ck_assert_int_eq(resp_words_split(&words, (const uint8_t *)line, sizeof(line) - 1, 100),
                         RD_OK);
        ck_assert_uint_eq(words.count, 20);
        resp_words_free(&words);
        if (!failed) {
            ck_assert_uint_eq(n, 4); /* items, items again, unquoted */
            break;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resp_words");
    TCase *tcase = tcase_create("resp_words");
    tcase_add_loop_test(tcase, splits_as_redis_does, 0, (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, can_be_used_again);
    tcase_add_test(tcase, takes_zero_bytes_as_bytes);
    tcase_add_test(tcase, counts_words);
    tcase_add_test(tcase, borrows_plain_words);
    tcase_add_loop_test(tcase, undoes_any_quoting, 0, 20);
    tcase_add_test(tcase, survives_failing_allocations);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
