/* resp/command: every stream whole, cut at each byte, byte by byte, at addresses that change with
 * each call. */
#include "resp/command.h"

#include "base/buf.h"
#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/resp_show.h"

#include <stdlib.h>
#include <string.h>

/* Reads commands from the first `end` bytes of the input, as far as they go, and appends what came
 * out. `*at` is how many bytes were consumed. Returns false when the stream has ended with an
 * error. */
static bool read_up_to(struct buf *trace, struct resp_command_reader *reader, const uint8_t *input,
                       size_t end, size_t *at) {
    for (;;) {
        uint8_t *copy = exact_copy(input + *at, end - *at);
        const struct resp_slice *argv = NULL;
        size_t consumed = 0;
        size_t argc = 0;
        enum rd_err err = resp_command_read(reader, copy, end - *at, &consumed, &argv, &argc);
        for (size_t i = 0; i < argc; i++) {
            ck_assert_int_eq(buf_printf(trace, "["), RD_OK);
            show_bytes(trace, argv[i].data, argv[i].len);
            ck_assert_int_eq(buf_printf(trace, "]"), RD_OK);
        }
        free(copy);
        if (err == RD_EINCOMPLETE) {
            ck_assert_uint_gt(resp_command_wanted(reader), 0);
            return true;
        }
        if (err != RD_OK) {
            ck_assert(err == RD_EPROTO || err == RD_ETOOBIG);
            ck_assert_int_eq(
                buf_printf(trace, "!%s: %s", rd_err_name(err), resp_command_error(reader)), RD_OK);
            ck_assert_int_eq(resp_command_read(reader, input, 1, &consumed, &argv, &argc), err);
            return false;
        }
        ck_assert_uint_gt(consumed, 0);
        ck_assert(argc > 0 || argv == NULL);
        ck_assert_str_eq(resp_command_error(reader), "");
        *at += consumed;
        ck_assert_uint_le(*at, end);
        ck_assert_int_eq(buf_printf(trace, "@%zu ", *at), RD_OK);
    }
}

/* The stream as it comes out when it arrives in pieces of `first`, then `step` bytes each. */
static void run(struct buf *trace, const struct resp_limits *limits, bool authenticated,
                const uint8_t *input, size_t len, size_t first, size_t step) {
    struct resp_command_reader reader;
    size_t at = 0;
    size_t end = first < len ? first : len;
    resp_command_init(&reader, limits);
    resp_command_set_authenticated(&reader, authenticated);
    while (read_up_to(trace, &reader, input, end, &at) && end < len) {
        end = len - end > step ? end + step : len;
    }
    resp_command_free(&reader);
}

/* Runs the stream whole, cut in two at each place, and in pieces of 1, 2 and 3 bytes: always the
 * same trace. */
static void expect_with(const struct resp_limits *limits, bool authenticated, const void *input,
                        size_t len, const char *expected) {
    struct buf trace = {0};
    run(&trace, limits, authenticated, input, len, len, len);
    ck_assert_str_eq(show_text(&trace), expected);
    buf_free(&trace);
    for (size_t cut = 0; cut <= len; cut++) {
        run(&trace, limits, authenticated, input, len, cut, len);
        ck_assert_msg(strcmp(show_text(&trace), expected) == 0, "cut at %zu: %s", cut,
                      show_text(&trace));
        buf_free(&trace);
    }
    for (size_t step = 1; step <= 3; step++) {
        run(&trace, limits, authenticated, input, len, step, step);
        ck_assert_msg(strcmp(show_text(&trace), expected) == 0, "by %zu: %s", step,
                      show_text(&trace));
        buf_free(&trace);
    }
}

static void expect(const char *input, const char *expected) {
    struct resp_limits limits;
    resp_limits_default(&limits);
    expect_with(&limits, true, input, strlen(input), expected);
}

struct stream_case {
    const char *input;
    const char *expected; /* "[arg][arg]@consumed ..." and "!ERROR: sentence" */
};

static const struct stream_case good[] = {
    {"", ""},
    {"*1\r\n$4\r\nPING\r\n", "[PING]@14 "},
    {"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n", "[SET][a][]@26 "},
    {"*2\r\n$2\r\na\r\r\n$3\r\n\r\n*\r\n", "[a\\x0d][\\x0d\\x0a*]@21 "},
    {"*1\r\n$12\r\nhello, world\r\n*1\r\n$1\r\nx\r\n", "[hello, world]@23 [x]@34 "},
    {"*0\r\n*-1\r\n*-7\r\n\r\n\n*1\r\n$1\r\nx\r\n", "@4 @9 @14 @16 @17 [x]@28 "},
    {"PING\r\n", "[PING]@6 "},
    {"PING\n", "[PING]@5 "},
    {"  \t \r\nPING", "@6 "},
    {"SET k \"a b\\x41\" 'c d'\r\n*1\r\n$1\r\nx\r\nGET k\r\n",
     "[SET][k][a bA][c d]@23 [x]@34 [GET][k]@41 "},
    {"$5\r\nhello\r\n", "[$5]@4 [hello]@11 "},
    {"\r\r\n", "@3 "},
    {"a\rb\r\n", "[a][b]@5 "},
    {"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI", "[PING]@14 "},
    {"*1\r", ""},
    {"*1\r\n$1\r\nx\r", ""},
};

START_TEST(reads) {
    expect(good[_i].input, good[_i].expected);
}
END_TEST

static const struct stream_case bad[] = {
    {"*x\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"* 1\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*+1\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*01\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*00\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*1x\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*3\n$1\na\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*1\rx", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*1048577\r\n", "!RD_ETOOBIG: Protocol error: invalid multibulk length"},
    {"*2147483648\r\n", "!RD_ETOOBIG: Protocol error: invalid multibulk length"},
    {"*9223372036854775807\r\n", "!RD_ETOOBIG: Protocol error: invalid multibulk length"},
    {"*9223372036854775808\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*20000000000000000000000\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    {"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "!RD_EPROTO: Protocol error: expected '$', got 'f'"},
    {"*1\r\n*1\r\n", "!RD_EPROTO: Protocol error: expected '$', got '*'"},
    {"*1\r\n\r\n", "!RD_EPROTO: Protocol error: expected '$', got ' '"},
    {"*1\r\n$\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$-1\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$-10\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$blabla\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$01\r\nx\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$1\rx", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$16777217\r\n", "!RD_ETOOBIG: Protocol error: invalid bulk length"},
    {"*1\r\n$2000000000\r\n", "!RD_ETOOBIG: Protocol error: invalid bulk length"},
    {"*1\r\n$9223372036854775807\r\n", "!RD_ETOOBIG: Protocol error: invalid bulk length"},
    {"*1\r\n$9223372036854775808\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    {"*1\r\n$4\r\nPINGxx", "!RD_EPROTO: Protocol error: expected CRLF after bulk string"},
    {"*1\r\n$4\r\nPING\n\n", "!RD_EPROTO: Protocol error: expected CRLF after bulk string"},
    {"*1\r\n$4\r\nPING\r\r", "!RD_EPROTO: Protocol error: expected CRLF after bulk string"},
    {"PING\r\nset \"\"\"test\r\n",
     "[PING]@6 !RD_EPROTO: Protocol error: unbalanced quotes in request"},
    {"set 'x\r\n", "!RD_EPROTO: Protocol error: unbalanced quotes in request"},
    {"set 'x'y\r\n", "!RD_EPROTO: Protocol error: unbalanced quotes in request"},
};

START_TEST(refuses) {
    expect(bad[_i].input, bad[_i].expected);
}
END_TEST

START_TEST(is_binary_safe) {
    struct resp_limits limits;
    resp_limits_default(&limits);
    static const char bulk[] = "*2\r\n$3\r\n\0\r\n\r\n$1\r\n\xff\r\n";
    expect_with(&limits, true, bulk, sizeof(bulk) - 1, "[\\x00\\x0d\\x0a][\\xff]@20 ");
    static const char inlined[] = "a\0b \"\0\"\r\n";
    expect_with(&limits, true, inlined, sizeof(inlined) - 1, "[a\\x00b][\\x00]@9 ");
    static const char marker[] = "*1\r\n\0";
    expect_with(&limits, true, marker, sizeof(marker) - 1,
                "!RD_EPROTO: Protocol error: expected '$', got ' '");
    static const char high[] = "*1\r\n\x80";
    expect_with(&limits, true, high, sizeof(high) - 1,
                "!RD_EPROTO: Protocol error: expected '$', got '\x80'");
}
END_TEST

START_TEST(limits_lines) {
    struct resp_limits limits;
    resp_limits_default(&limits);
    limits.max_inline_bytes = 8;
    static const struct stream_case cases[] = {
        {"12345678\n", "[12345678]@9 "},
        {"1234567\r\n", "[1234567]@9 "},
        {"123456789", "!RD_ETOOBIG: Protocol error: too big inline request"},
        {"12345678\r\n", "!RD_ETOOBIG: Protocol error: too big inline request"},
        {"*1234567890\r\n", "!RD_ETOOBIG: Protocol error: too big mbulk count string"},
        {"*xxxxxxxx", "!RD_ETOOBIG: Protocol error: too big mbulk count string"},
        {"*1\r\n$xxxxxxxx", "!RD_ETOOBIG: Protocol error: too big bulk count string"},
        {"*1\r\n$xxxxxxx\r\n", "!RD_EPROTO: Protocol error: invalid bulk length"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, true, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
}
END_TEST

START_TEST(limits_sizes) {
    struct resp_limits limits;
    resp_limits_default(&limits);
    limits.max_bulk_bytes = 3;
    limits.max_args = 2;
    limits.max_command_bytes = 22; /* "*2 $3 abc $3 def" */
    static const struct stream_case cases[] = {
        {"*2\r\n$3\r\nabc\r\n$3\r\ndef\r\n", "[abc][def]@22 "},
        {"*1\r\n$4\r\nabcd\r\n", "!RD_ETOOBIG: Protocol error: invalid bulk length"},
        {"*3\r\n", "!RD_ETOOBIG: Protocol error: invalid multibulk length"},
        {"a b\r\na b c\r\n", "[a][b]@5 !RD_ETOOBIG: Protocol error: too big inline request"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, true, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
    limits.max_command_bytes = 21;
    expect_with(&limits, true, cases[0].input, strlen(cases[0].input),
                "!RD_ETOOBIG: Protocol error: too big request");
    limits.max_command_bytes = 0;
    expect_with(&limits, true, cases[0].input, strlen(cases[0].input),
                "!RD_ETOOBIG: Protocol error: too big request");
}
END_TEST

START_TEST(works_without_limits) {
    struct resp_limits limits = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, true};
    static const struct stream_case cases[] = {
        {"*1\r\n$1\r\nx\r\nGET 'x'\r\n", "[x]@11 [GET][x]@20 "},
        {"*1\r\n$9223372036854775807\r\nabc", "!RD_ETOOBIG: Protocol error: too big request"},
        {"*9223372036854775807\r\n$1\r\nx\r\n", ""},
        {"*9223372036854775808\r\n", "!RD_EPROTO: Protocol error: invalid multibulk length"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        limits.max_command_bytes = i == 1 ? (size_t)INT64_MAX : SIZE_MAX;
        expect_with(&limits, true, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
}
END_TEST

START_TEST(limits_those_who_have_not_proven_who_they_are) {
    static const struct stream_case cases[] = {
        {"*10\r\n$1\r\na\r\n", ""},
        {"*11\r\n", "!RD_ETOOBIG: Protocol error: unauthenticated multibulk length"},
        {"*1048577\r\n", "!RD_ETOOBIG: Protocol error: invalid multibulk length"},
        {"*1\r\n$16384\r\n", ""},
        {"*1\r\n$16385\r\n", "!RD_ETOOBIG: Protocol error: unauthenticated bulk length"},
        {"1 2 3 4 5 6 7 8 9 10 11\n", "[1][2][3][4][5][6][7][8][9][10][11]@24 "},
    };
    struct resp_limits limits;
    resp_limits_default(&limits);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, false, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
}
END_TEST

/* AUTH and the big command behind it arrive together; the reader must not have judged the second
 * yet. */
START_TEST(looks_at_one_command_only) {
    static const char input[] = "AUTH x\r\n*11\r\n";
    const struct resp_slice *argv = NULL;
    size_t consumed = 0;
    size_t argc = 0;
    struct resp_limits limits;
    struct resp_command_reader reader;
    const uint8_t *data = (const uint8_t *)input;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    resp_command_set_authenticated(&reader, false);
    ck_assert_int_eq(resp_command_read(&reader, data, 13, &consumed, &argv, &argc), RD_OK);
    ck_assert_uint_eq(consumed, 8);
    resp_command_set_authenticated(&reader, true);
    ck_assert_int_eq(resp_command_read(&reader, data + 8, 5, &consumed, &argv, &argc),
                     RD_EINCOMPLETE);
    resp_command_free(&reader);
}
END_TEST

START_TEST(reads_frames_of_peers) {
    struct resp_limits limits;
    resp_limits_default(&limits);
    limits.allow_inline = false;
    static const struct stream_case cases[] = {
        {"*1\r\n$1\r\nx\r\n*0\r\n", "[x]@11 @15 "},
        {"PING\r\n", "!RD_EPROTO: Protocol error: expected '*', got 'P'"},
        {"\r\n", "!RD_EPROTO: Protocol error: expected '*', got ' '"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_with(&limits, true, cases[i].input, strlen(cases[i].input), cases[i].expected);
    }
}
END_TEST

/* Between calls everything that the reader has understood is overwritten: whoever looks again sees
 * rubbish. */
START_TEST(never_looks_twice) {
    struct buf input = {0};
    const struct resp_slice *argv = NULL;
    size_t consumed = 0;
    size_t argc = 0;
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    ck_assert_int_eq(buf_printf(&input, "*500\r\n"), RD_OK);
    for (int i = 0; i < 500; i++) {
        ck_assert_int_eq(buf_printf(&input, "$%d\r\n%0*d\r\n", i % 40 + 4, i % 40 + 4, i), RD_OK);
    }
    size_t total = buf_len(&input);
    for (size_t len = 1; len <= total; len += 1 + len % 7) {
        uint8_t *copy = exact_copy(buf_data(&input), len);
        memset(copy, '#', reader.pos);
        ck_assert_int_eq(resp_command_read(&reader, copy, len, &consumed, &argv, &argc),
                         len < total ? RD_EINCOMPLETE : RD_OK);
        ck_assert_uint_ge(reader.scanned + reader.pos + reader.bulk_bytes + 2, len);
        free(copy);
    }
    uint8_t *copy = exact_copy(buf_data(&input), total);
    memset(copy, '#', reader.pos);
    if (reader.args_left > 0) {
        ck_assert_int_eq(resp_command_read(&reader, copy, total, &consumed, &argv, &argc), RD_OK);
        ck_assert_uint_eq(argc, 500);
        for (size_t i = 0; i < argc; i++) {
            ck_assert_uint_eq(argv[i].len, i % 40 + 4);
        }
    }
    ck_assert_uint_eq(consumed, total);
    free(copy);
    buf_free(&input);
    resp_command_free(&reader);
}
END_TEST

START_TEST(allocates_nothing_for_claims) {
    static const char input[] = "*1048576\r\n$16777216\r\nx";
    const struct resp_slice *argv = NULL;
    size_t consumed = 0;
    size_t argc = 0;
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    unsigned long before = oom_count();
    enum rd_err err = resp_command_read(&reader, (const uint8_t *)input, sizeof(input) - 1,
                                        &consumed, &argv, &argc);
    unsigned long after = oom_count();
    ck_assert_int_eq(err, RD_EINCOMPLETE);
    ck_assert_uint_eq(after, before);
    ck_assert_uint_eq(resp_command_wanted(&reader), 16777216 + 2 - 1);
    resp_command_free(&reader);
}
END_TEST

START_TEST(says_how_much_is_wanted) {
    static const char input[] = "*2\r\n$10\r\n0123456789\r\n$3\r\nabc\r\n";
    const struct resp_slice *argv = NULL;
    size_t consumed = 0;
    size_t argc = 0;
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    for (size_t len = 0; len < sizeof(input) - 1; len++) {
        ck_assert_int_eq(
            resp_command_read(&reader, (const uint8_t *)input, len, &consumed, &argv, &argc),
            RD_EINCOMPLETE);
        size_t expected = len >= 9 && len < 21 ? 21 - len : len >= 25 ? 30 - len : 1;
        ck_assert_uint_eq(resp_command_wanted(&reader), expected);
    }
    resp_command_free(&reader);
}
END_TEST

/* Reads, `rounds` times, a multibulk, an inline and a quoted line; returns the arguments in all.
 * (No assertions here: Check allocates.) */
static size_t read_mixed(struct resp_command_reader *reader, int rounds) {
    static const char input[] =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\nGET k\r\nSET 'k' \"\\x00\"\r\n";
    size_t total = 0;
    for (int i = 0; i < rounds; i++) {
        const uint8_t *data = (const uint8_t *)input;
        size_t left = sizeof(input) - 1;
        const struct resp_slice *argv = NULL;
        size_t consumed = 0;
        size_t argc = 0;
        while (resp_command_read(reader, data, left, &consumed, &argv, &argc) == RD_OK) {
            total += argc;
            data += consumed;
            left -= consumed;
        }
    }
    return total;
}

START_TEST(allocates_nothing_in_the_steady_state) {
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    ck_assert_uint_eq(read_mixed(&reader, 1), 8);
    unsigned long before = oom_count();
    size_t args = read_mixed(&reader, 1000);
    unsigned long after = oom_count();
    ck_assert_uint_eq(args, 8000);
    ck_assert_uint_eq(after, before);
    resp_command_trim(&reader);
    ck_assert_ptr_null(reader.args.items);
    ck_assert_ptr_null(reader.args.unquoted);
    ck_assert_uint_eq(read_mixed(&reader, 1), 8);
    resp_command_free(&reader);
}
END_TEST

START_TEST(gives_the_memory_of_a_huge_command_back) {
    struct buf input = {0};
    const struct resp_slice *argv = NULL;
    size_t consumed = 0;
    size_t argc = 0;
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    ck_assert_int_eq(buf_printf(&input, "*1048576\r\n"), RD_OK);
    for (int i = 0; i < 1048576; i++) {
        ck_assert_int_eq(buf_append(&input, "$0\r\n\r\n", 6), RD_OK);
        if (i % 1000 == 0) {
            ck_assert_int_eq(resp_command_read(&reader, buf_data(&input), buf_len(&input),
                                               &consumed, &argv, &argc),
                             RD_EINCOMPLETE);
            ck_assert_uint_le(reader.args.cap, 16 + 2 * (size_t)(i + 1));
            resp_command_trim(&reader); /* must not disturb */
        }
    }
    ck_assert_int_eq(
        resp_command_read(&reader, buf_data(&input), buf_len(&input), &consumed, &argv, &argc),
        RD_OK);
    ck_assert_uint_eq(argc, 1048576);
    ck_assert_uint_eq(consumed, buf_len(&input));
    ck_assert_uint_eq(read_mixed(&reader, 1), 8);
    ck_assert_uint_le(reader.args.cap, 1024);
    buf_free(&input);
    resp_command_free(&reader);
}
END_TEST

/* Commands drawn at random, some inline, in pieces drawn at random. */
START_TEST(reads_any_command_in_any_pieces) {
    struct prng prng;
    struct buf input = {0};
    struct buf expected = {0};
    struct buf trace = {0};
    struct resp_limits limits;
    struct resp_command_reader reader;
    resp_limits_default(&limits);
    resp_command_init(&reader, &limits);
    prng_seed(&prng, (uint64_t)_i);
    for (int i = 0; i < 40; i++) {
        size_t argc = 1 + prng_below(&prng, prng_chance(&prng, 1, 8) ? 60 : 5);
        bool multibulk = prng_chance(&prng, 3, 4);
        ck_assert_int_eq(multibulk ? buf_printf(&input, "*%zu\r\n", argc) : RD_OK, RD_OK);
        for (size_t j = 0; j < argc; j++) {
            uint8_t bytes[300];
            size_t len = prng_below(&prng, prng_chance(&prng, 1, 10) ? sizeof(bytes) : 12);
            prng_fill(&prng, bytes, len);
            ck_assert_int_eq(
                multibulk ? buf_printf(&input, "$%zu\r\n", len) : buf_printf(&input, "\""), RD_OK);
            for (size_t k = 0; !multibulk && k < len; k++) {
                ck_assert_int_eq(buf_printf(&input, "\\x%02x", bytes[k]), RD_OK);
            }
            ck_assert_int_eq(multibulk ? buf_append(&input, bytes, len) : buf_printf(&input, "\" "),
                             RD_OK);
            ck_assert_int_eq(multibulk ? buf_printf(&input, "\r\n") : RD_OK, RD_OK);
            ck_assert_int_eq(buf_printf(&expected, "["), RD_OK);
            show_bytes(&expected, bytes, len);
            ck_assert_int_eq(buf_printf(&expected, "]"), RD_OK);
        }
        ck_assert_int_eq(multibulk ? RD_OK : buf_printf(&input, "\n"), RD_OK);
        ck_assert_int_eq(buf_printf(&expected, "@%zu ", buf_len(&input)), RD_OK);
    }
    size_t at = 0;
    size_t end = 0;
    while (end < buf_len(&input)) {
        size_t left = buf_len(&input) - end;
        end += 1 + prng_below(&prng, left < 700 ? left : 700);
        ck_assert(read_up_to(&trace, &reader, buf_data(&input), end, &at));
    }
    ck_assert_str_eq(show_text(&trace), show_text(&expected));
    buf_free(&input);
    buf_free(&expected);
    buf_free(&trace);
    resp_command_free(&reader);
}
END_TEST

/* After any failed allocation the same call gives the command. */
START_TEST(survives_failing_allocations) {
    struct buf input = {0};
    struct resp_limits limits;
    resp_limits_default(&limits);
    ck_assert_int_eq(buf_printf(&input, _i == 0 ? "*40\r\n" : ""), RD_OK);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(buf_printf(&input, _i == 0 ? "$2\r\n%02d\r\n" : "'%02d' ", i), RD_OK);
    }
    ck_assert_int_eq(buf_printf(&input, _i == 0 ? "" : "\n"), RD_OK);
    for (unsigned n = 1;; n++) {
        const struct resp_slice *argv = NULL;
        size_t consumed = 0;
        size_t argc = 0;
        struct resp_command_reader reader;
        resp_command_init(&reader, &limits);
        oom_fail_at(n);
        enum rd_err err =
            resp_command_read(&reader, buf_data(&input), buf_len(&input), &consumed, &argv, &argc);
        int failed = oom_stop();
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        if (failed) {
            ck_assert_ptr_null(argv);
            ck_assert_uint_eq(consumed, 0);
            ck_assert_int_eq(resp_command_read(&reader, buf_data(&input), buf_len(&input),
                                               &consumed, &argv, &argc),
                             RD_OK);
        }
        ck_assert_uint_eq(consumed, buf_len(&input));
        ck_assert_uint_eq(argc, 40);
        for (size_t i = 0; i < argc; i++) {
            char digits[] = {(char)('0' + i / 10), (char)('0' + i % 10)};
            ck_assert_uint_eq(argv[i].len, 2);
            ck_assert_mem_eq(argv[i].data, digits, 2);
        }
        resp_command_free(&reader);
        if (!failed) {
            ck_assert_uint_gt(n, 3);
            break;
        }
    }
    buf_free(&input);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resp_command");
    TCase *tcase = tcase_create("resp_command");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, reads, 0, (int)(sizeof(good) / sizeof(good[0])));
    tcase_add_loop_test(tcase, refuses, 0, (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, is_binary_safe);
    tcase_add_test(tcase, limits_lines);
    tcase_add_test(tcase, limits_sizes);
    tcase_add_test(tcase, works_without_limits);
    tcase_add_test(tcase, limits_those_who_have_not_proven_who_they_are);
    tcase_add_test(tcase, looks_at_one_command_only);
    tcase_add_test(tcase, reads_frames_of_peers);
    tcase_add_test(tcase, never_looks_twice);
    tcase_add_test(tcase, allocates_nothing_for_claims);
    tcase_add_test(tcase, says_how_much_is_wanted);
    tcase_add_test(tcase, allocates_nothing_in_the_steady_state);
    tcase_add_test(tcase, gives_the_memory_of_a_huge_command_back);
    tcase_add_loop_test(tcase, reads_any_command_in_any_pieces, 0, 30);
    tcase_add_loop_test(tcase, survives_failing_allocations, 0, 2);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
