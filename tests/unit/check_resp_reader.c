/* resp/reader: every type, every cut, every limit. Trees are compared as text
 * (tests/unit/resp_show.h). */
#include "resp/reader.h"

#include "base/buf.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/resp_show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Checks what the header says about `span`, and returns the span counted by hand. */
static uint32_t check_spans(const struct resp_value *value) {
    uint32_t span = 1;
    for (uint32_t i = 0; i < value->count; i++) {
        span += check_spans(value + span);
    }
    ck_assert_uint_eq(value->span, span);
    return span;
}

/* Reads values from the first `end` bytes as far as they go; false when the stream has ended with
 * an error. */
static bool read_up_to(struct buf *trace, struct resp_reader *reader, const uint8_t *input,
                       size_t end, size_t *at) {
    for (;;) {
        uint8_t *copy = exact_copy(input + *at, end - *at);
        const struct resp_value *root = NULL;
        size_t consumed = 0;
        enum rd_err err = resp_reader_read(reader, copy, end - *at, &consumed, &root);
        if (err == RD_OK) {
            check_spans(root);
            show_value(trace, root);
        }
        free(copy);
        if (err == RD_EINCOMPLETE) {
            return true;
        }
        if (err != RD_OK) {
            ck_assert(err == RD_EPROTO || err == RD_ETOOBIG);
            ck_assert_int_eq(buf_printf(trace, "!%s: %s, at %zu", rd_err_name(err),
                                        resp_reader_error(reader),
                                        *at + resp_reader_position(reader)),
                             RD_OK);
            ck_assert_int_eq(resp_reader_read(reader, input, 1, &consumed, &root), err);
            return false;
        }
        ck_assert_uint_gt(consumed, 0);
        *at += consumed;
        ck_assert_uint_le(*at, end);
        ck_assert_int_eq(buf_printf(trace, "; "), RD_OK);
    }
}

static void run(struct buf *trace, const struct resp_reader_limits *limits, const uint8_t *input,
                size_t len, size_t first, size_t step) {
    struct resp_reader reader;
    size_t at = 0;
    size_t end = first < len ? first : len;
    resp_reader_init(&reader, limits);
    while (read_up_to(trace, &reader, input, end, &at) && end < len) {
        end = len - end > step ? end + step : len;
    }
    resp_reader_free(&reader);
}

/* Whole, cut in two at each place, and in pieces of 1, 2 and 3 bytes: always the same. */
static void expect_with(const struct resp_reader_limits *limits, const void *input, size_t len,
                        const char *expected) {
    struct buf trace = {0};
    run(&trace, limits, input, len, len, len);
    ck_assert_str_eq(show_text(&trace), expected);
    buf_free(&trace);
    for (size_t cut = 0; cut <= len; cut++) {
        run(&trace, limits, input, len, cut, len);
        ck_assert_msg(strcmp(show_text(&trace), expected) == 0, "cut at %zu: %s", cut,
                      show_text(&trace));
        buf_free(&trace);
    }
    for (size_t step = 1; step <= 3; step++) {
        run(&trace, limits, input, len, step, step);
        ck_assert_msg(strcmp(show_text(&trace), expected) == 0, "by %zu: %s", step,
                      show_text(&trace));
        buf_free(&trace);
    }
}

static void expect(const char *input, const char *expected) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    expect_with(&limits, input, strlen(input), expected);
}

struct value_case {
    const char *input;
    const char *expected;
};

static const struct value_case good[] = {
    {"", ""},
    {"+OK\r\n", "simple(OK); "},
    {"+\r\n-\r\n", "simple(); error(); "},
    {"-ERR no\r\n", "error(ERR no); "},
    {":0\r\n:-1\r\n:+7\r\n", "int 0; int -1; int 7; "},
    {":9223372036854775807\r\n:-9223372036854775808\r\n",
     "int 9223372036854775807; int -9223372036854775808; "},
    {"$0\r\n\r\n$2\r\n\r\n\r\n", "bulk(); bulk(\\x0d\\x0a); "},
    {"$-1\r\n*-1\r\n_\r\n", "null$; null*; null_; "},
    {"*0\r\n%0\r\n~0\r\n>0\r\n", "array[]; map{}; set[]; push[]; "},
    {"*3\r\n:1\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n",
     "array[int 1, array[simple(a), array[]], bulk(b)]; "},
    {",1.5\r\n,-0\r\n,10\r\n,1e3\r\n,-2.5E-1\r\n,+1\r\n",
     "double 1.5; double -0; double 10; double 1000; double -0.25; double 1; "},
    {",inf\r\n,-inf\r\n,1e999\r\n", "double inf; double -inf; double inf; "},
    {"#t\r\n#f\r\n", "bool 1; bool 0; "},
    {"(0\r\n(-12345678901234567890123\r\n(+1\r\n",
     "big(0); big(-12345678901234567890123); big(+1); "},
    {"!5\r\nERR\r\n\r\n", "bulk_error(ERR\\x0d\\x0a); "},
    {"=4\r\ntxt:\r\n=7\r\nmkd:a:b\r\n", "verbatim(txt:); verbatim(mkd:a:b); "},
    {"%2\r\n+a\r\n:1\r\n:2\r\n%1\r\n_\r\n#t\r\n",
     "map{simple(a): int 1, int 2: map{null_: bool 1}}; "},
    {"~2\r\n:1\r\n~1\r\n+x\r\n", "set[int 1, set[simple(x)]]; "},
    {">2\r\n+pubsub\r\n*1\r\n:1\r\n", "push[simple(pubsub), array[int 1]]; "},
    {"|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n", "attribute{simple(ttl): int 3600, bulk(x)}; "},
    {"|0\r\n*1\r\n|1\r\n:1\r\n:2\r\n+a\r\n",
     "attribute{array[attribute{int 1: int 2, simple(a)}]}; "},
    {"|1\r\n+a\r\n+b\r\n|0\r\n:1\r\n", "attribute{simple(a): simple(b), attribute{int 1}}; "},
    {"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n",
     "array[attribute{simple(a): simple(b), int 1}, int 2]; "},
    {"*2\r\n:1\r\n", ""},
    {"|1\r\n+a\r\n+b\r\n", ""},
    {"$3\r\nabc\r", ""},
    {"+OK\r\n$-1\r", "simple(OK); "},
};

START_TEST(reads) {
    expect(good[_i].input, good[_i].expected);
}
END_TEST

static const struct value_case bad[] = {
    {"x\r\n", "!RD_EPROTO: an unknown type, at 0"},
    {"\r\n", "!RD_EPROTO: an unknown type, at 0"},
    {"+OK\r\n+a\nb\r\n", "simple(OK); !RD_EPROTO: a malformed line for its type, at 5"},
    {"+a\rb\r\n", "!RD_EPROTO: a carriage return without a line feed, at 0"},
    {":\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {":+\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {":+-1\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {":1.5\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {": 1\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {":9223372036854775808\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"#\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"#true\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"#1\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"_x\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"(\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"(-\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"(12a\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",.5\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",1.\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",1e\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",1e+\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",1e5x\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",0x10\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",infinity\r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {",1 \r\n", "!RD_EPROTO: a malformed line for its type, at 0"},
    {"$\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"$x\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"$-2\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"$+1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"*-2\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"%-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"~-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {">-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"|-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"!-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"=-1\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"$99999999999999999999\r\n", "!RD_EPROTO: an invalid length, at 0"},
    {"$9223372036854775807\r\n", "!RD_ETOOBIG: a string is too long, at 0"},
    {"*9223372036854775807\r\n", "!RD_ETOOBIG: too many values, at 0"},
    {"%9223372036854775807\r\n", "!RD_ETOOBIG: too many values, at 0"},
    {"|9223372036854775807\r\n", "!RD_ETOOBIG: too many values, at 0"},
    {"*1\r\n$3\r\nabcd\r\n", "!RD_EPROTO: a string longer than its length, at 4"},
    {"$3\r\nabc\n\r", "!RD_EPROTO: a string longer than its length, at 0"},
    {"=3\r\ntxt\r\n", "!RD_EPROTO: a verbatim string without a format, at 0"},
    {"=5\r\ntxt;a\r\n", "!RD_EPROTO: a verbatim string without a format, at 0"},
    {"*1\r\n>1\r\n+a\r\n", "!RD_EPROTO: a push within another value, at 4"},
    {"$?\r\n", "!RD_EPROTO: streamed types are not supported, at 0"},
    {"*?\r\n", "!RD_EPROTO: streamed types are not supported, at 0"},
    {"%?\r\n", "!RD_EPROTO: streamed types are not supported, at 0"},
    {"~?\r\n", "!RD_EPROTO: streamed types are not supported, at 0"},
    {";4\r\n", "!RD_EPROTO: streamed types are not supported, at 0"},
    {"*1\r\n.\r\n", "!RD_EPROTO: streamed types are not supported, at 4"},
};

START_TEST(refuses) {
    expect(bad[_i].input, bad[_i].expected);
}
END_TEST

START_TEST(is_binary_safe) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    static const char text[] = "*3\r\n$3\r\n\0\r\n\r\n+\0\x80\r\n=5\r\n\0\0\0:\0\r\n";
    expect_with(&limits, text, sizeof(text) - 1,
                "array[bulk(\\x00\\x0d\\x0a), simple(\\x00\\x80), verbatim(:\\x00)]; ");
    expect_with(&limits, "\0", 1, "!RD_EPROTO: an unknown type, at 0");
    expect_with(&limits, "\xab", 1, "!RD_EPROTO: an unknown type, at 0");
}
END_TEST

START_TEST(reads_not_a_number) {
    struct resp_reader_limits limits;
    struct resp_reader reader;
    const struct resp_value *root = NULL;
    size_t consumed = 0;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    ck_assert_int_eq(resp_reader_read(&reader, (const uint8_t *)",nan\r\n", 6, &consumed, &root),
                     RD_OK);
    ck_assert(isnan(root->number));
    ck_assert(resp_value_is(root, "nan"));
    resp_reader_free(&reader);
}
END_TEST

START_TEST(limits_strings_and_lines) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    limits.max_bulk_bytes = 3;
    limits.max_line_bytes = 5;
    static const struct value_case cases[] = {
        {"$3\r\nabc\r\n", "bulk(abc); "},
        {"$4\r\nabcd\r\n", "!RD_ETOOBIG: a string is too long, at 0"},
        {"+12345\r\n", "simple(12345); "},
        {"+123456\r\n", "!RD_ETOOBIG: a line is too long, at 0"},
        {"*1\r\n:1234567", "!RD_ETOOBIG: a line is too long, at 4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
    struct resp_reader_limits none = {SIZE_MAX, SIZE_MAX, UINT32_MAX, UINT32_MAX};
    expect_with(&none, "*1\r\n$1\r\nx\r\n", 11, "array[bulk(x)]; ");
}
END_TEST

START_TEST(limits_values) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    limits.max_values = 5;
    static const struct value_case cases[] = {
        {"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", "array[int 1, int 2, int 3, int 4]; int 5; "},
        {"%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "map{int 1: int 2, int 3: int 4}; "},
        {"|1\r\n:1\r\n:2\r\n:3\r\n", "attribute{int 1: int 2, int 3}; "},
        {"*5\r\n", "!RD_ETOOBIG: too many values, at 0"},
        {"*6\r\n", "!RD_ETOOBIG: too many values, at 0"},
        {"%3\r\n", "!RD_ETOOBIG: too many values, at 0"},
        {"|2\r\n", "!RD_ETOOBIG: too many values, at 0"},
        {"*3\r\n*0\r\n*1\r\n:1\r\n:2\r\n", "array[array[], array[int 1], int 2]; "},
        {"*3\r\n*1\r\n:1\r\n*1\r\n:2\r\n:3\r\n", "!RD_ETOOBIG: too many values, at 20"},
        {"*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", "array[array[int 1, int 2], int 3]; "},
        {"*3\r\n*2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "!RD_ETOOBIG: too many values, at 20"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
}
END_TEST

START_TEST(limits_depth) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    limits.max_depth = 2;
    expect_with(&limits, "*1\r\n%1\r\n:1\r\n:2\r\n", 16, "array[map{int 1: int 2}]; ");
    expect_with(&limits, "*1\r\n%1\r\n:1\r\n*0\r\n", 16, "!RD_ETOOBIG: nested too deep, at 12");
    limits.max_depth = 0;
    expect_with(&limits, ":1\r\n*0\r\n", 8, "int 1; !RD_ETOOBIG: nested too deep, at 4");

    struct buf input = {0};
    struct buf trace = {0};
    limits.max_depth = UINT32_MAX;
    for (int i = 0; i < RESP_MAX_DEPTH; i++) {
        ck_assert_int_eq(buf_printf(&input, "*1\r\n"), RD_OK);
    }
    run(&trace, &limits, buf_data(&input), buf_len(&input), 1, 1);
    ck_assert_str_eq(show_text(&trace), "");
    ck_assert_int_eq(buf_printf(&input, "*0\r\n"), RD_OK);
    run(&trace, &limits, buf_data(&input), buf_len(&input), 1, 1);
    ck_assert_str_eq(show_text(&trace), "!RD_ETOOBIG: nested too deep, at 128");
    buf_free(&input);
    buf_free(&trace);
}
END_TEST

START_TEST(allocates_for_what_has_arrived) {
    static const char input[] = "*1000000\r\n*1000000\r\n$500000000\r\n";
    struct resp_reader_limits limits;
    struct resp_reader reader;
    const struct resp_value *root = NULL;
    size_t consumed = 0;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    ck_assert_int_eq(
        resp_reader_read(&reader, (const uint8_t *)input, sizeof(input) - 1, &consumed, &root),
        RD_EINCOMPLETE);
    ck_assert_uint_le(reader.values_cap, 8);
    resp_reader_free(&reader);
    ck_assert_ptr_null(reader.values);
}
END_TEST

/* Between calls everything that the reader has understood is overwritten. */
START_TEST(never_looks_twice) {
    struct buf input = {0};
    struct resp_reader_limits limits;
    struct resp_reader reader;
    const struct resp_value *root = NULL;
    size_t consumed = 0;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    ck_assert_int_eq(buf_printf(&input, "*300\r\n"), RD_OK);
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(buf_printf(&input, i % 2 == 0 ? "$9\r\n%09d\r\n" : ":%d\r\n", i), RD_OK);
    }
    size_t total = buf_len(&input);
    for (size_t len = 1; len <= total; len++) {
        uint8_t *copy = exact_copy(buf_data(&input), len);
        memset(copy, '#', reader.pos);
        ck_assert_int_eq(resp_reader_read(&reader, copy, len, &consumed, &root),
                         len < total ? RD_EINCOMPLETE : RD_OK);
        if (len < total) {
            ck_assert_uint_gt(reader.pos + 20, len);
        } else {
            ck_assert_uint_eq(root->count, 300);
            for (uint32_t i = 1; i < 300; i += 2) {
                ck_assert_int_eq(resp_value_child(root, i)->integer, i);
            }
        }
        free(copy);
    }
    ck_assert_uint_eq(consumed, total);
    buf_free(&input);
    resp_reader_free(&reader);
}
END_TEST

START_TEST(finds_its_way_in_trees) {
    static const char input[] =
        "|1\r\n+x\r\n+y\r\n%4\r\n+a\r\n:1\r\n$1\r\nb\r\n*2\r\n:2\r\n:3\r\n:7\r\n+seven\r\n"
        "|0\r\n+c\r\n|0\r\n#t\r\n*4\r\n$1\r\na\r\n_\r\n+ab\r\n:5\r\n:9\r\n";
    struct resp_reader_limits limits;
    struct resp_reader reader;
    const struct resp_value *root = NULL;
    size_t consumed = 0;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    const uint8_t *data = (const uint8_t *)input;
    ck_assert_int_eq(resp_reader_read(&reader, data, sizeof(input) - 1, &consumed, &root), RD_OK);
    const struct resp_value *map = resp_value_plain(root);
    ck_assert_int_eq(map->type, RESP_MAP);
    ck_assert_ptr_eq(resp_value_plain(map), map);
    ck_assert_int_eq(resp_value_lookup(root, "a")->integer, 1);
    ck_assert_uint_eq(resp_value_lookup(map, "b")->count, 2);
    ck_assert_int_eq(resp_value_plain(resp_value_lookup(map, "c"))->integer, 1);
    ck_assert_ptr_null(resp_value_lookup(map, "7"));
    ck_assert_ptr_null(resp_value_lookup(map, "x"));
    ck_assert_ptr_null(resp_value_lookup(map, ""));
    ck_assert_ptr_null(resp_value_lookup(resp_value_child(map, 1), "a"));
    ck_assert(resp_value_is(resp_value_child(map, 5), "seven"));
    ck_assert(!resp_value_is(resp_value_child(map, 5), "seve"));
    ck_assert(!resp_value_is(resp_value_child(map, 5), "sevens"));
    ck_assert(!resp_value_is(resp_value_child(map, 4), ""));

    data += consumed;
    ck_assert_int_eq(
        resp_reader_read(&reader, data, sizeof(input) - 1 - consumed, &consumed, &root), RD_OK);
    ck_assert_int_eq(root->type, RESP_ARRAY);
    ck_assert_int_eq(resp_value_lookup(root, "a")->type, RESP_NULL);
    ck_assert_int_eq(resp_value_lookup(root, "ab")->integer, 5);
    ck_assert_ptr_null(resp_value_lookup(root, "9"));
    resp_reader_free(&reader);
}
END_TEST

/* After any failed allocation the same call gives the tree. */
START_TEST(survives_failing_allocations) {
    struct buf input = {0};
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    ck_assert_int_eq(buf_printf(&input, "*1\r\n*30\r\n"), RD_OK);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(buf_printf(&input, i % 3 == 0 ? "*1\r\n:%d\r\n" : "$4\r\n%04d\r\n", i),
                         RD_OK);
    }
    struct buf expected = {0};
    run(&expected, &limits, buf_data(&input), buf_len(&input), 1000, 1);
    for (unsigned n = 1;; n++) {
        const struct resp_value *root = NULL;
        size_t consumed = 0;
        struct resp_reader reader;
        struct buf shown = {0};
        resp_reader_init(&reader, &limits);
        oom_fail_at(n);
        enum rd_err err =
            resp_reader_read(&reader, buf_data(&input), buf_len(&input), &consumed, &root);
        int failed = oom_stop();
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        if (failed) {
            ck_assert_ptr_null(root);
            err = resp_reader_read(&reader, buf_data(&input), buf_len(&input), &consumed, &root);
            ck_assert_int_eq(err, RD_OK);
        }
        ck_assert_uint_eq(consumed, buf_len(&input));
        show_value(&shown, root);
        ck_assert_int_eq(buf_printf(&shown, "; "), RD_OK);
        ck_assert_str_eq(show_text(&shown), show_text(&expected));
        buf_free(&shown);
        resp_reader_free(&reader);
        if (!failed) {
            ck_assert_uint_gt(n, 3);
            break;
        }
    }
    buf_free(&expected);
    buf_free(&input);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resp_reader");
    TCase *tcase = tcase_create("resp_reader");
    tcase_add_loop_test(tcase, reads, 0, (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_loop_test(tcase, refuses, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, is_binary_safe);
    tcase_add_test(tcase, reads_not_a_number);
    tcase_add_test(tcase, limits_strings_and_lines);
    tcase_add_test(tcase, limits_values);
    tcase_add_test(tcase, limits_depth);
    tcase_add_test(tcase, allocates_for_what_has_arrived);
    tcase_add_test(tcase, never_looks_twice);
    tcase_add_test(tcase, finds_its_way_in_trees);
    tcase_add_test(tcase, survives_failing_allocations);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
