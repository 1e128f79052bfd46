/* resp/writer: the exact bytes of both protocols, units that fail, and trees drawn at random
 * through writer and reader. */
#include "resp/writer.h"

#include "base/prng.h"
#include "resp/reader.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/resp_show.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_bytes(const struct buf *out, const char *expected) {
    struct buf shown = {0};
    struct buf wanted = {0};
    show_bytes(&shown, buf_data(out), buf_len(out));
    show_bytes(&wanted, expected, strlen(expected));
    ck_assert_str_eq(show_text(&shown), show_text(&wanted));
    buf_free(&shown);
    buf_free(&wanted);
}

static void write_scalars(struct resp_writer *w) {
    resp_write_simple(w, "a\r\nb");
    resp_write_ok(w);
    resp_write_error(w, "ERR a\nb\r");
    resp_write_errorf(w, "ERR '%s' %d\r\n", "x\ny", 7);
    resp_write_bulk(w, "\r\n\0", 3);
    resp_write_bulk(w, NULL, 0);
    resp_write_text(w, "0123456789");
    resp_write_textf(w, "%s=%d\n", "a", 1);
    resp_write_bulk_int(w, -12);
    resp_write_null(w);
    resp_write_null_array(w);
    resp_write_bool(w, true);
    resp_write_bool(w, false);
    resp_write_big_number(w, "-123456789012345678901");
    resp_write_bulk_error(w, "ERR a\r\nb", 8);
    resp_write_verbatim(w, "txt", "some\n", 5);
    resp_write_raw(w, ":42\r\n", 5);
}

START_TEST(writes_scalars) {
    static const char *const expected[] = {
        "+a  b|+OK|-ERR a b |-ERR 'x y' 7  "
        "|$3|\r\nZ|$0||$10|0123456789|$4|a=1\n|$3|-12|$-1|*-1|:1|:0|"
        "$22|-123456789012345678901|-ERR a  b|$5|some\n|:42|",
        "+a  b|+OK|-ERR a b |-ERR 'x y' 7  |$3|\r\nZ|$0||$10|0123456789|$4|a=1\n|$3|-12|_|_|#t|#f|"
        "(-123456789012345678901|!8|ERR a\r\nb|=9|txt:some\n|:42|",
    };
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, _i);
    write_scalars(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    const char *text = expected[_i - 2];
    const uint8_t *p = buf_data(&out);
    size_t at = 0;
    for (; *text != '\0'; text++) { /* '|' stands for CR LF, 'Z' for a zero */
        ck_assert_uint_lt(at, buf_len(&out));
        if (*text == '|') {
            ck_assert_mem_eq(p + at, "\r\n", 2);
            at += 2;
        } else {
            ck_assert_msg(p[at] == (*text == 'Z' ? '\0' : (uint8_t)*text), "at %zu: %s", at, text);
            at++;
        }
    }
    ck_assert_uint_eq(at, buf_len(&out));
    buf_free(&out);
}
END_TEST

START_TEST(writes_integers) {
    static const int64_t values[] = {
        0,     1,       9,          10,      -1,        -9,        -10,       99,        100,
        12345, 1000000, -987654321, 1 << 30, INT64_MAX, INT64_MIN, INT32_MIN, UINT32_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char expected[100];
        char digits[30];
        struct buf out = {0};
        struct resp_writer w;
        resp_writer_init(&w, &out, 2);
        resp_write_int(&w, values[i]);
        resp_write_bulk_int(&w, values[i]);
        ck_assert_int_eq(resp_writer_end(&w), RD_OK);
        int len = snprintf(digits, sizeof(digits), "%" PRId64, values[i]);
        snprintf(expected, sizeof(expected), ":%s\r\n$%d\r\n%s\r\n", digits, len, digits);
        expect_bytes(&out, expected);
        buf_free(&out);
    }
}
END_TEST

struct double_case {
    double value;
    const char *text;
};

static const struct double_case doubles[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-17, "-17"},
    {0.1, "0.1"},
    {3.14, "3.14"},
    {-2.5, "-2.5"},
    {1e15, "1000000000000000"},
    {1e18, "1000000000000000000"},
    {1e300, "1e+300"},
    {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {5e-324, "4.94065645841247e-324"},
    {0.30000000000000004, "0.30000000000000004"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {INFINITY, "inf"},
    {-INFINITY, "-inf"},
    {NAN, "nan"},
    {-NAN, "nan"},
};

START_TEST(writes_doubles) {
    const struct double_case *c = &doubles[_i];
    char expected[100];
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, 2);
    resp_write_double(&w, c->value);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    w.proto = 3;
    resp_write_double(&w, c->value);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n,%s\r\n", strlen(c->text), c->text,
             c->text);
    expect_bytes(&out, expected);
    buf_free(&out);
}
END_TEST

START_TEST(doubles_read_back_the_same) {
    struct prng prng;
    prng_seed(&prng, 5);
    for (int i = 0; i < 20000; i++) {
        struct buf out = {0};
        struct resp_writer w;
        uint64_t bits = prng_u64(&prng);
        double value = 0;
        memcpy(&value, &bits, sizeof(value));
        resp_writer_init(&w, &out, 3);
        resp_write_double(&w, value);
        ck_assert_int_eq(resp_writer_end(&w), RD_OK);
        double back = strtod((const char *)buf_data(&out) + 1, NULL);
        ck_assert(isnan(value) ? isnan(back) : memcmp(&back, &value, sizeof(value)) == 0);
        buf_free(&out);
    }
}
END_TEST

static void write_aggregates(struct resp_writer *w) {
    resp_write_array(w, 2);
    resp_write_map(w, 1);
    resp_write_text(w, "k");
    resp_write_set(w, 2);
    resp_write_int(w, 1);
    resp_write_array(w, 0);
    resp_write_null(w);
    resp_write_push(w, 2);
    resp_write_text(w, "p");
    resp_write_map(w, 0);
}

START_TEST(writes_aggregates) {
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, 3);
    write_aggregates(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    expect_bytes(&out, "*2\r\n%1\r\n$1\r\nk\r\n~2\r\n:1\r\n*0\r\n_\r\n>2\r\n$1\r\np\r\n%0\r\n");
    buf_reset(&out, 0);
    w.proto = 2;
    write_aggregates(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    expect_bytes(&out, "*2\r\n*2\r\n$1\r\nk\r\n*2\r\n:1\r\n*0\r\n$-1\r\n*2\r\n$1\r\np\r\n*0\r\n");
    buf_free(&out);
}
END_TEST

/* Attributes with all that may be in them: aggregates, attributes, deferred aggregates. */
static void write_attributes(struct resp_writer *w) {
    struct resp_deferred outer;
    struct resp_deferred inner;
    resp_write_attribute(w, 1);
    resp_write_text(w, "a");
    resp_write_array(w, 2);
    resp_write_int(w, 1);
    resp_write_attribute(w, 1);
    resp_write_int(w, 2);
    resp_write_int(w, 3);
    resp_write_int(w, 4);
    resp_write_array(w, 2);
    resp_write_attribute(w, 1);
    resp_write_text(w, "b");
    resp_write_open(w, &outer);
    resp_write_attribute(w, 0);
    resp_write_ok(w);
    resp_write_open(w, &inner);
    resp_write_close_set(w, &inner);
    resp_write_close_map(w, &outer);
    resp_write_int(w, 5);
    resp_write_attribute(w, 0);
    resp_write_int(w, 6);
}

START_TEST(leaves_attributes_out_in_protocol_2) {
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, 3);
    write_attributes(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    expect_bytes(&out, "|1\r\n$1\r\na\r\n*2\r\n:1\r\n|1\r\n:2\r\n:3\r\n:4\r\n"
                       "*2\r\n|1\r\n$1\r\nb\r\n%1\r\n|0\r\n+OK\r\n~0\r\n:5\r\n|0\r\n:6\r\n");
    buf_reset(&out, 0);
    w.proto = 2;
    write_attributes(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    expect_bytes(&out, "*2\r\n:5\r\n:6\r\n");
    buf_free(&out);
}
END_TEST

START_TEST(puts_heads_in_front_of_what_was_counted) {
    struct buf out = {0};
    struct resp_writer w;
    struct resp_deferred outer;
    struct resp_deferred inner;
    ck_assert_int_eq(buf_append(&out, "consumed", 8), RD_OK);
    buf_consume(&out, 7);
    for (int proto = 2; proto <= 3; proto++) {
        resp_writer_init(&w, &out, proto);
        resp_write_array(&w, 2);
        ck_assert_int_eq(resp_write_open(&w, &outer), RD_OK);
        for (int i = 0; i < 12; i++) {
            resp_write_textf(&w, "%02d", i);
            resp_write_open(&w, &inner);
            for (int j = 0; j < i % 2; j++) {
                resp_write_array(&w, 1);
                resp_write_int(&w, j);
            }
            resp_write_close_array(&w, &inner);
        }
        ck_assert_int_eq(resp_write_close_map(&w, &outer), RD_OK);
        resp_write_open(&w, &inner);
        resp_write_int(&w, 8);
        resp_write_close_set(&w, &inner);
        ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    }
    struct buf expected = {0};
    ck_assert_int_eq(buf_printf(&expected, "d"), RD_OK);
    for (int proto = 2; proto <= 3; proto++) {
        ck_assert_int_eq(buf_printf(&expected, "*2\r\n%s\r\n", proto == 2 ? "*24" : "%12"), RD_OK);
        for (int i = 0; i < 12; i++) {
            ck_assert_int_eq(buf_printf(&expected, "$2\r\n%02d\r\n%s", i,
                                        i % 2 == 0 ? "*0\r\n" : "*1\r\n*1\r\n:0\r\n"),
                             RD_OK);
        }
        ck_assert_int_eq(buf_printf(&expected, "%c1\r\n:8\r\n", proto == 2 ? '*' : '~'), RD_OK);
    }
    expect_bytes(&out, show_text(&expected));
    buf_free(&expected);
    buf_free(&out);
}
END_TEST

/* For each allocation that fails: nothing of the unit is left, what was there before is, and the
 * next unit is fine. */
START_TEST(a_unit_fails_as_a_whole) {
    for (unsigned n = 1;; n++) {
        struct buf out = {0};
        struct resp_writer w;
        struct resp_deferred deferred;
        uint8_t big[600] = {0};
        bool remembered = true;
        enum rd_err last = RD_OK;
        resp_writer_init(&w, &out, 3);
        ck_assert_int_eq(buf_append(&out, "before", 6), RD_OK);
        oom_fail_at(n);
        resp_write_open(&w, &deferred);
        for (int i = 0; i < 20; i++) {
            enum rd_err err = resp_write_bulk(&w, big, sizeof(big));
            remembered = remembered && (last == RD_OK || err == last);
            last = err;
        }
        resp_write_errorf(&w, "ERR %600d", 1);
        resp_write_map(&w, 1);
        write_attributes(&w);
        write_attributes(&w);
        resp_write_simple(&w, "x");
        resp_write_close_array(&w, &deferred);
        enum rd_err err = RD_OK;
        bool failed = w.failed != RD_OK;
        if (failed) {
            err = resp_writer_end(&w);
        } else {
            resp_writer_cancel(&w);
        }
        int made_to_fail = oom_stop();
        ck_assert_int_eq(failed, made_to_fail);
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        ck_assert(remembered);
        expect_bytes(&out, "before");
        write_aggregates(&w);
        ck_assert_int_eq(resp_writer_end(&w), RD_OK);
        ck_assert_uint_gt(buf_len(&out), 6);
        buf_free(&out);
        if (!failed) {
            ck_assert_uint_gt(n, 4);
            break;
        }
    }
}
END_TEST

/* Writes one value by function number `kind`; false: there is none of that number. */
static bool write_kind(struct resp_writer *w, int kind) {
    static const uint8_t full[256] = {0};
    struct resp_deferred deferred;
    switch (kind) {
    case 0:
        resp_write_ok(w);
        break;
    case 1:
        resp_write_simple(w, "x");
        break;
    case 2:
        resp_write_textf(w, "%d", 1);
        break;
    case 3:
        resp_write_int(w, 1);
        break;
    case 4:
        resp_write_bulk(w, "x", 1);
        break;
    case 5:
        resp_write_map(w, 0);
        break;
    case 6:
        resp_write_push(w, 0);
        break;
    case 7:
        resp_write_attribute(w, 0);
        resp_write_double(w, 0.5);
        break;
    case 8: /* the children fill the buffer, so that there is no room for the head */
        resp_write_open(w, &deferred);
        resp_write_raw(w, full, sizeof(full));
        resp_write_close_array(w, &deferred);
        break;
    default:
        return false;
    }
    return true;
}

START_TEST(each_kind_of_value_can_fail) {
    for (int kind = 0;; kind++) {
        for (unsigned n = 1;; n++) {
            struct buf out = {0};
            struct resp_writer w;
            resp_writer_init(&w, &out, 3);
            oom_fail_at(n);
            bool known = write_kind(&w, kind);
            enum rd_err err = resp_writer_end(&w);
            int failed = oom_stop();
            if (!known) {
                ck_assert_int_eq(kind, 9);
                return;
            }
            ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
            ck_assert_int_eq(buf_len(&out) == 0, failed);
            buf_free(&out);
            if (!failed) {
                ck_assert_uint_eq(n, kind == 8 ? 3 : 2);
                break;
            }
        }
    }
}
END_TEST

START_TEST(refuses_what_no_memory_can_hold) {
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, 3);
    resp_write_array(&w, 2);
    ck_assert_int_eq(resp_write_bulk(&w, "", SIZE_MAX), RD_ETOOBIG);
    ck_assert_int_eq(resp_write_bulk(&w, "", SIZE_MAX - 30), RD_ETOOBIG);
    ck_assert_int_eq(resp_write_ok(&w), RD_ETOOBIG);
    ck_assert_int_eq(resp_writer_end(&w), RD_ETOOBIG);
    ck_assert_uint_eq(buf_len(&out), 0);
    ck_assert_int_eq(resp_write_bulk_error(&w, "", SIZE_MAX / 2), RD_ETOOBIG);
    ck_assert_int_eq(resp_writer_end(&w), RD_ETOOBIG);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    buf_free(&out);
}
END_TEST

START_TEST(can_be_given_up) {
    struct buf out = {0};
    struct resp_writer w;
    resp_writer_init(&w, &out, 2);
    resp_writer_cancel(&w);
    resp_write_ok(&w);
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    resp_write_array(&w, 5);
    resp_write_int(&w, 1);
    resp_writer_cancel(&w);
    resp_write_error(&w, "ERR no");
    ck_assert_int_eq(resp_writer_end(&w), RD_OK);
    expect_bytes(&out, "+OK\r\n-ERR no\r\n");
    buf_free(&out);
}
END_TEST

/* What a programmer must not do ends the process (signal 6). */
START_TEST(asserts_complete_values) {
    struct buf out = {0};
    struct resp_writer w;
    struct resp_deferred deferred;
    resp_writer_init(&w, &out, _i % 2 + 2);
    switch (_i / 2) {
    case 0: /* too few */
        resp_write_array(&w, 2);
        resp_write_int(&w, 1);
        break;
    case 1: /* an attribute of nothing */
        resp_write_attribute(&w, 0);
        break;
    case 2: /* half an attribute */
        resp_write_attribute(&w, 1);
        resp_write_int(&w, 1);
        break;
    case 3: /* not closed */
        resp_write_open(&w, &deferred);
        break;
    case 4: /* a map with half a pair */
        resp_write_open(&w, &deferred);
        resp_write_int(&w, 1);
        resp_write_close_map(&w, &deferred);
        break;
    case 5: /* a push inside */
        resp_write_array(&w, 1);
        resp_write_push(&w, 1);
        break;
    case 6: /* incomplete within a deferred one */
        resp_write_open(&w, &deferred);
        resp_write_array(&w, 1);
        resp_write_close_array(&w, &deferred);
        break;
    default:
        resp_write_big_number(&w, _i % 2 == 0 ? "-" : "12x");
        break;
    }
    resp_writer_end(&w);
}
END_TEST

/* --- trees drawn at random
 * ------------------------------------------------------------------------------------ */

struct tree {
    struct prng prng;
    struct resp_writer w;
    struct buf shown; /* what the reader must show */
};

static void shown(struct tree *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void shown(struct tree *t, const char *format, ...) {
    char text[100];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ck_assert_int_eq(buf_append(&t->shown, text, (size_t)len), RD_OK);
}

static void shown_string(struct tree *t, const char *kind, const void *bytes, size_t len) {
    shown(t, "%s(", kind);
    show_bytes(&t->shown, bytes, len);
    shown(t, ")");
}

static void draw_scalar(struct tree *t) {
    bool three = t->w.proto == 3;
    uint8_t bytes[40];
    size_t len = prng_below(&t->prng, sizeof(bytes));
    int64_t number = (int64_t)prng_u64(&t->prng) >> prng_below(&t->prng, 64);
    prng_fill(&t->prng, bytes, len);
    switch (prng_below(&t->prng, 10)) {
    case 0:
        resp_write_simple(&t->w, "some\ntext");
        shown(t, "simple(some text)");
        break;
    case 1:
        resp_write_errorf(&t->w, "ERR %" PRId64 "\r\n", number);
        shown(t, "error(ERR %" PRId64 "  )", number);
        break;
    case 2:
        resp_write_int(&t->w, number);
        shown(t, "int %" PRId64, number);
        break;
    case 3:
        resp_write_bulk(&t->w, bytes, len);
        shown_string(t, "bulk", bytes, len);
        break;
    case 4:
        resp_write_null(&t->w);
        shown(t, three ? "null_" : "null$");
        break;
    case 5:
        resp_write_null_array(&t->w);
        shown(t, three ? "null_" : "null*");
        break;
    case 6:
        resp_write_bool(&t->w, number > 0);
        shown(t, three ? "bool %d" : "int %d", number > 0);
        break;
    case 7:
        resp_write_double(&t->w, (double)(number % 1000) / 8);
        shown(t, three ? "double %.17g" : "bulk(%.17g)", (double)(number % 1000) / 8);
        break;
    case 8:
        resp_write_verbatim(&t->w, "txt", bytes, len);
        shown(t, three ? "verbatim(txt:" : "bulk(");
        show_bytes(&t->shown, bytes, len);
        shown(t, ")");
        break;
    default:
        resp_write_big_number(&t->w, "12345678901234567890");
        shown(t, three ? "big(12345678901234567890)" : "bulk(12345678901234567890)");
        break;
    }
}

/* Writes a tree and shows it as the reader must. */
static void draw(struct tree *t, int depth) {
    bool three = t->w.proto == 3;
    struct resp_deferred deferred;
    uint64_t kind = prng_below(&t->prng, depth > 4 ? 4 : 8);
    if (kind < 4) {
        draw_scalar(t);
        return;
    }
    if (kind == 7) { /* an attribute, and behind it the value it annotates */
        size_t pairs = prng_below(&t->prng, 3);
        size_t before = buf_len(&t->shown);
        resp_write_attribute(&t->w, pairs);
        shown(t, "attribute{");
        for (size_t i = 0; i < 2 * pairs; i++) {
            draw(t, depth + 1);
            shown(t, i % 2 == 0 ? ": " : ", ");
        }
        if (!three) {
            buf_truncate(&t->shown, before);
        }
        draw(t, depth + 1);
        shown(t, three ? "}" : "");
        return;
    }
    bool later = prng_chance(&t->prng, 1, 3);
    bool map = kind == 6;
    size_t count = prng_below(&t->prng, 4) * (map ? 2 : 1);
    if (later) {
        resp_write_open(&t->w, &deferred);
    } else if (map) {
        resp_write_map(&t->w, count / 2);
    } else if (kind == 5) {
        resp_write_set(&t->w, count);
    } else {
        resp_write_array(&t->w, count);
    }
    shown(t, three && map ? "map{" : three && kind == 5 ? "set[" : "array[");
    for (size_t i = 0; i < count; i++) {
        shown(t, i == 0 ? "" : three && map && i % 2 == 1 ? ": " : ", ");
        draw(t, depth + 1);
    }
    shown(t, three && map ? "}" : "]");
    if (later && map) {
        resp_write_close_map(&t->w, &deferred);
    } else if (later && kind == 5) {
        resp_write_close_set(&t->w, &deferred);
    } else if (later) {
        resp_write_close_array(&t->w, &deferred);
    }
}

START_TEST(the_reader_gets_what_was_written) {
    struct resp_reader_limits limits;
    struct resp_reader reader;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    for (int round = 0; round < 100; round++) {
        struct tree t = {0};
        struct buf out = {0};
        struct buf read = {0};
        const struct resp_value *root = NULL;
        size_t consumed = 0;
        prng_seed(&t.prng, (uint64_t)_i * 1000 + (uint64_t)round);
        resp_writer_init(&t.w, &out, 2 + _i % 2);
        draw(&t, 0);
        ck_assert_int_eq(resp_writer_end(&t.w), RD_OK);
        size_t len = 0;
        enum rd_err err = RD_EINCOMPLETE;
        while (err == RD_EINCOMPLETE) {
            ck_assert_uint_lt(len, buf_len(&out));
            len += 1 + prng_below(&t.prng, buf_len(&out) - len);
            uint8_t *copy = exact_copy(buf_data(&out), len);
            err = resp_reader_read(&reader, copy, len, &consumed, &root);
            if (err == RD_OK) {
                show_value(&read, root);
            }
            free(copy);
        }
        ck_assert_int_eq(err, RD_OK);
        ck_assert_uint_eq(consumed, buf_len(&out));
        ck_assert_str_eq(show_text(&read), show_text(&t.shown));
        buf_free(&read);
        buf_free(&out);
        buf_free(&t.shown);
    }
    resp_reader_free(&reader);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resp_writer");
    TCase *tcase = tcase_create("resp_writer");
    tcase_add_loop_test(tcase, writes_scalars, 2, 4);
    tcase_add_test(tcase, writes_integers);
    tcase_add_loop_test(tcase, writes_doubles, 0, (int)(sizeof(doubles) / sizeof(doubles[0])));
    tcase_add_test(tcase, doubles_read_back_the_same);
    tcase_add_test(tcase, writes_aggregates);
    tcase_add_test(tcase, leaves_attributes_out_in_protocol_2);
    tcase_add_test(tcase, puts_heads_in_front_of_what_was_counted);
    tcase_add_test(tcase, a_unit_fails_as_a_whole);
    tcase_add_test(tcase, each_kind_of_value_can_fail);
    tcase_add_test(tcase, refuses_what_no_memory_can_hold);
    tcase_add_test(tcase, can_be_given_up);
    tcase_add_loop_test(tcase, the_reader_gets_what_was_written, 0, 20);
    suite_add_tcase(suite, tcase);
    /* Signals need a process of their own, which CK_FORK=no denies. */
    SRunner *probe = srunner_create(NULL);
    if (srunner_fork_status(probe) == CK_FORK) {
        TCase *aborts = tcase_create("aborts");
        tcase_add_loop_test_raise_signal(aborts, asserts_complete_values, 6, 0, 16);
        suite_add_tcase(suite, aborts);
    }
    srunner_free(probe);
    return test_run(suite);
}
