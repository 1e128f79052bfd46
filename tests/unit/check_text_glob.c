/* base/text's glob: a table of Redis's corners, and a matcher that is too simple to be wrong.
 *
 * The oracle reads the pattern into elements (any run, or a set of bytes) and then tries everything.
 */
#include "base/prng.h"
#include "base/text.h"
#include "tests/lib/run.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct element {
    bool is_star;
    bool accepts[256];
};

static size_t read_set(const char *pattern, size_t at, size_t len, struct element *out) {
    bool negated = at < len && pattern[at] == '^';
    at += negated;
    while (at < len && pattern[at] != ']') {
        if (pattern[at] == '\\' && at + 1 < len) {
            out->accepts[(unsigned char)pattern[at + 1]] = true;
            at += 2;
        } else if (at + 2 < len && pattern[at + 1] == '-') {
            int a = (unsigned char)pattern[at];
            int b = (unsigned char)pattern[at + 2];
            for (int c = a < b ? a : b; c <= (a < b ? b : a); c++) {
                out->accepts[c] = true;
            }
            at += 3;
        } else {
            out->accepts[(unsigned char)pattern[at++]] = true;
        }
    }
    for (int c = 0; negated && c < 256; c++) {
        out->accepts[c] = !out->accepts[c];
    }
    return at < len ? at + 1 : at;
}

static size_t read_pattern(const char *pattern, size_t len, struct element *out) {
    size_t count = 0;
    for (size_t at = 0; at < len; count++) {
        struct element *element = &out[count];
        memset(element, 0, sizeof *element);
        char c = pattern[at++];
        if (c == '*') {
            element->is_star = true;
        } else if (c == '?') {
            memset(element->accepts, true, sizeof element->accepts);
        } else if (c == '[') {
            at = read_set(pattern, at, len, element);
        } else {
            c = c == '\\' && at < len ? pattern[at++] : c;
            element->accepts[(unsigned char)c] = true;
        }
    }
    return count;
}

static bool naive_match(const struct element *elements, size_t count, const char *text,
                        size_t len) {
    if (count == 0) {
        return len == 0;
    }
    if (elements->is_star) {
        for (size_t skip = 0; skip <= len; skip++) {
            if (naive_match(elements + 1, count - 1, text + skip, len - skip)) {
                return true;
            }
        }
        return false;
    }
    return len > 0 && elements->accepts[(unsigned char)text[0]] &&
           naive_match(elements + 1, count - 1, text + 1, len - 1);
}

/* The number's digits to base strlen(alphabet), as a text. */
static void spell(unsigned number, const char *alphabet, size_t len, char *out) {
    for (size_t i = 0; i < len; i++) {
        out[i] = alphabet[number % strlen(alphabet)];
        number /= (unsigned)strlen(alphabet);
    }
}

static void compare(const char *pattern, size_t pattern_len, const char *text, size_t len) {
    struct element elements[16];
    size_t count = read_pattern(pattern, pattern_len, elements);
    bool expected = naive_match(elements, count, text, len);
    if (text_glob(pattern, pattern_len, text, len, 0) != expected) {
        ck_abort_msg("%.*s on %.*s: not %d", (int)pattern_len, pattern, (int)len, text, expected);
    }
}

/* All patterns of up to four characters of nine, on all texts of up to three of three. */
START_TEST(all_short_patterns) {
    static const char pattern_alphabet[] = "ab*?[]^-\\";
    static const char text_alphabet[] = "ab]";
    unsigned patterns = 1;
    for (size_t pattern_len = 0; pattern_len <= 4; pattern_len++, patterns *= 9) {
        for (unsigned p = 0; p < patterns; p++) {
            char pattern[4];
            spell(p, pattern_alphabet, pattern_len, pattern);
            unsigned texts = 1;
            for (size_t len = 0; len <= 3; len++, texts *= 3) {
                for (unsigned t = 0; t < texts; t++) {
                    char text[3];
                    spell(t, text_alphabet, len, text);
                    compare(pattern, pattern_len, text, len);
                }
            }
        }
    }
}
END_TEST

START_TEST(random_longer_patterns) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int i = 0; i < 20000; i++) {
        char pattern[14];
        char text[10];
        size_t pattern_len = (size_t)prng_below(&prng, sizeof pattern + 1);
        size_t len = (size_t)prng_below(&prng, sizeof text + 1);
        for (size_t k = 0; k < pattern_len; k++) {
            pattern[k] = "abc**?[[]]^-\\"[prng_below(&prng, 13)];
        }
        for (size_t k = 0; k < len; k++) {
            text[k] = "aabbc]-^"[prng_below(&prng, 8)];
        }
        compare(pattern, pattern_len, text, len);
    }
}
END_TEST

static const struct {
    const char *pattern;
    const char *text;
    int nocase;
    int matches;
} cases[] = {
    {"*", "", 0, 1},
    {"", "", 0, 1},
    {"", "a", 0, 0},
    {"h?llo", "hello", 0, 1},
    {"h?llo", "hllo", 0, 0},
    {"h*llo", "heeeello", 0, 1},
    {"h[ae]llo", "hillo", 0, 0},
    {"h[^e]llo", "hallo", 0, 1},
    {"h[a-b]llo", "hbllo", 0, 1},
    {"h[b-a]llo", "hallo", 0, 1},
    {"user:*:name", "user:17:name", 0, 1},
    {"user:*:name", "user:17:names", 0, 0},
    {"a\\*b", "a*b", 0, 1},
    {"a\\*b", "axb", 0, 0},
    {"a\\", "a\\", 0, 1},
    {"[a", "a", 0, 1},
    {"[^a", "b", 0, 1},
    {"[]", "]", 0, 0},
    {"[a\\]b]", "]", 0, 1},
    {"HeLLo*", "hello world", 1, 1},
    {"HeLLo*", "hello world", 0, 0},
    {"[A-C]x", "bX", 1, 1},
    {"max*", "MAXMEMORY", 1, 1},
    {"\xc3?", "\xc3\xa9", 0, 1},
    {"[\x80-\xff]", "\xa9", 0, 1},
};

START_TEST(table) {
    ck_assert_int_eq(text_glob(cases[_i].pattern, strlen(cases[_i].pattern), cases[_i].text,
                               strlen(cases[_i].text), cases[_i].nocase),
                     cases[_i].matches);
}
END_TEST

/* Backtracking at every star would take longer than the universe. */
START_TEST(work_is_bounded) {
    size_t len = 20000;
    char *text = malloc(len);
    memset(text, 'a', len);
    static const char pattern[] = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
    ck_assert_int_eq(text_glob(pattern, strlen(pattern), text, len, 0), 0);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("text_glob");
    TCase *tcase = tcase_create("text_glob");
    tcase_add_test(tcase, all_short_patterns);
    tcase_add_loop_test(tcase, random_longer_patterns, 0, 3);
    tcase_add_loop_test(tcase, table, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, work_is_bounded);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
