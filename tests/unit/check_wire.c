/* replication/wire: every kind there and back, and nothing else. The table of forms is written
 * down here once more. */
#include "replication/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/node_rig.h" /* rig_split */
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

/* n: a number, b: bytes. */
static const struct {
    const char *name, *fields;
} forms[WIRE_KINDS] = {
    [WIRE_HELLO] = {"HELLO", "nbbbbnnnnb"},
    [WIRE_CHALLENGE] = {"CHALLENGE", "nbbbbnnnnb"},
    [WIRE_PROOF] = {"PROOF", "b"},
    [WIRE_WELCOME] = {"WELCOME", "b"},
    [WIRE_REFUSE] = {"REFUSE", "nb"},
    [WIRE_PING] = {"PING", ""},
    [WIRE_PONG] = {"PONG", ""},
    [WIRE_PROBE] = {"PROBE", "nbb"},
    [WIRE_PROBE_ANSWER] = {"PROBE-ANSWER", "nbb"},
    [WIRE_GOSSIP] = {"GOSSIP", "n"},
    [WIRE_DIGEST] = {"DIGEST", "b"},
    [WIRE_ENTRIES] = {"ENTRIES", "bb"},
    [WIRE_BIRTH_ASK] = {"BIRTH-ASK", "bnn"},
    [WIRE_BIRTH_YES] = {"BIRTH-YES", "nn"},
    [WIRE_BIRTH_NO] = {"BIRTH-NO", "nn"},
    [WIRE_BIRTH_RELEASE] = {"BIRTH-RELEASE", "nn"},
    [WIRE_BORN] = {"BORN", "bbn"},
    [WIRE_READ] = {"READ", "nnnb"},
    [WIRE_READ_ANSWER] = {"READ-ANSWER", "nnnb"},
    [WIRE_WRITE] = {"WRITE", "nnbbbn"},
    [WIRE_WRITE_ANSWER] = {"WRITE-ANSWER", "nnnnbb"},
    [WIRE_FORWARD] = {"FORWARD", "nnnnnbbb"},
    [WIRE_FORWARD_ANSWER] = {"FORWARD-ANSWER", "nnnnbbnb"},
    [WIRE_COUNT] = {"COUNT", "n"},
    [WIRE_COUNT_ANSWER] = {"COUNT-ANSWER", "nn"},
    [WIRE_SCAN] = {"SCAN", "nnnnbnnn"},
    [WIRE_SCAN_ANSWER] = {"SCAN-ANSWER", "nnnnnbb"},
    [WIRE_ROOTS] = {"TREE-ROOTS", "nb"},
    [WIRE_NODES] = {"TREE-NODES", "nb"},
    [WIRE_NODES_ANSWER] = {"TREE-NODES-ANSWER", "nnb"},
    [WIRE_ROWS] = {"TREE-ROWS", "nnnnb"},
    [WIRE_ROWS_ANSWER] = {"TREE-ROWS-ANSWER", "nnnbb"},
    [WIRE_RECOUNT] = {"TREE-RECOUNT", "n"},
    [WIRE_REAP_WATCH] = {"REAP-WATCH", "nb"},
    [WIRE_REAP_CHECK] = {"REAP-CHECK", "nb"},
    [WIRE_REAP_REPLACE] = {"REAP-REPLACE", "nb"},
    [WIRE_REAP_ANSWER] = {"REAP-ANSWER", "nnnnnnbb"},
    [WIRE_REAP_FENCE] = {"REAP-FENCE", "nn"},
};

static const char *const numbers[] = {"0", "1", "10", "4294967296", "18446744073709551615"};
static const char *const no_numbers[] = {
    "", "-1", "01", "+1", " 1", "1 ", "x", "1x", "0x1", "18446744073709551616", "1.0", "1\0",
};

static struct resp_slice text(const char *from) {
    return (struct resp_slice){(const uint8_t *)from, strlen(from)};
}

/* A frame of the kind with random fields. Bytes are borrowed from `pool`. */
static size_t random_frame(struct prng *prng, size_t kind, const uint8_t pool[256],
                           struct resp_slice argv[RIG_MAX_ARGS]) {
    size_t argc = 1;
    argv[0] = text(forms[kind].name);
    for (const char *field = forms[kind].fields; *field != 0; field++) {
        if (*field == 'n')
            argv[argc++] = text(numbers[prng_below(prng, 5)]);
        else
            argv[argc++] = (struct resp_slice){pool + prng_below(prng, 128), prng_below(prng, 128)};
    }
    return argc;
}

static void check_same(const struct resp_slice *a, size_t a_count, const struct resp_slice *b,
                       size_t b_count) {
    ck_assert_uint_eq(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        ck_assert_uint_eq(a[i].len, b[i].len);
        ck_assert(memcmp(a[i].data, b[i].data, a[i].len) == 0);
    }
}

START_TEST(every_kind_goes_there_and_back) {
    struct prng prng;
    uint8_t pool[256];
    prng_seed(&prng, (uint64_t)_i);
    prng_fill(&prng, pool, sizeof(pool));
    ck_assert_str_eq(wire_name((enum wire_kind)_i), forms[_i].name);
    for (int round = 0; round < 50; round++) {
        struct resp_slice argv[RIG_MAX_ARGS], again[RIG_MAX_ARGS];
        struct wire_msg msg;
        struct blob *frame;
        size_t argc = random_frame(&prng, (size_t)_i, pool, argv);
        ck_assert_int_eq(wire_decode(argv, argc, &msg), RD_OK);
        ck_assert_int_eq(msg.kind, (enum wire_kind)_i);
        ck_assert_int_eq(wire_encode(&msg, &frame), RD_OK);
        check_same(argv, argc, again, rig_split(frame, again));
        blob_unref(frame);
    }
}
END_TEST

START_TEST(a_field_too_few_or_too_many_is_refused) {
    struct prng prng;
    uint8_t pool[256] = {0};
    struct resp_slice argv[RIG_MAX_ARGS + 1];
    struct wire_msg msg = {.kind = WIRE_KINDS};
    prng_seed(&prng, 1);
    size_t argc = random_frame(&prng, (size_t)_i, pool, argv);
    for (size_t count = 0; count <= RIG_MAX_ARGS; count++) {
        for (size_t i = argc; i < count; i++)
            argv[i] = text("1");
        if (count != argc)
            ck_assert_int_eq(wire_decode(argv, count, &msg), RD_EPROTO);
    }
    ck_assert_int_eq(msg.kind, WIRE_KINDS); /* untouched */
}
END_TEST

START_TEST(what_is_no_number_is_refused) {
    struct prng prng;
    uint8_t pool[256] = {0};
    struct resp_slice argv[RIG_MAX_ARGS];
    struct wire_msg msg;
    prng_seed(&prng, 1);
    size_t argc = random_frame(&prng, (size_t)_i, pool, argv);
    for (size_t at = 1; at < argc; at++) {
        struct resp_slice kept = argv[at];
        for (size_t i = 0; i < sizeof(no_numbers) / sizeof(no_numbers[0]); i++) {
            bool zero = i + 1 == sizeof(no_numbers) / sizeof(no_numbers[0]);
            argv[at] = (struct resp_slice){(const uint8_t *)no_numbers[i],
                                           zero ? 2 : strlen(no_numbers[i])};
            ck_assert_int_eq(wire_decode(argv, argc, &msg),
                             forms[_i].fields[at - 1] == 'n' ? RD_EPROTO : RD_OK);
        }
        argv[at] = (struct resp_slice){NULL, 0};
        ck_assert_int_eq(wire_decode(argv, argc, &msg),
                         forms[_i].fields[at - 1] == 'n' ? RD_EPROTO : RD_OK);
        argv[at] = kept;
    }
}
END_TEST

START_TEST(other_names_are_refused) {
    const char *names[] = {"", "hello", "HELL", "HELLOO", "PING ", "GET", "BIRTH", "BIRTH-"};
    struct wire_msg msg;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (size_t argc = 1; argc < 4; argc++) {
            struct resp_slice argv[3] = {text(names[i]), text("1"), text("1")};
            ck_assert_int_eq(wire_decode(argv, argc, &msg), RD_EPROTO);
        }
    struct resp_slice none = {NULL, 0};
    ck_assert_int_eq(wire_decode(&none, 1, &msg), RD_EPROTO);
    ck_assert_int_eq(wire_decode(NULL, 0, &msg), RD_EPROTO);
}
END_TEST

START_TEST(frames_can_be_read) {
    struct wire_msg msg = {.kind = WIRE_READ};
    struct blob *frame;
    msg.read.id = 77;
    msg.read.digest = 5;
    msg.read.key = text("the key");
    ck_assert_int_eq(wire_encode(&msg, &frame), RD_OK);
    const char *expected =
        "*5\r\n$4\r\nREAD\r\n$2\r\n77\r\n$1\r\n5\r\n$1\r\n0\r\n$7\r\nthe key\r\n";
    ck_assert_uint_eq(frame->len, strlen(expected));
    ck_assert_mem_eq(frame->bytes, expected, frame->len);
    blob_unref(frame);
}
END_TEST

START_TEST(memory_runs_out_cleanly) {
    struct wire_msg msg = {.kind = WIRE_PING};
    struct blob *frame = NULL;
    oom_fail_at(1);
    enum rd_err err = wire_encode(&msg, &frame);
    ck_assert(oom_stop());
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_ptr_null(frame);
    msg = (struct wire_msg){.kind = WIRE_BORN};
    msg.born.certificate = (struct resp_slice){(const uint8_t *)"", BLOB_MAX_BYTES};
    ck_assert_int_eq(wire_encode(&msg, &frame), RD_ETOOBIG);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");
    tcase_add_loop_test(tcase, every_kind_goes_there_and_back, 0, WIRE_KINDS);
    tcase_add_loop_test(tcase, a_field_too_few_or_too_many_is_refused, 0, WIRE_KINDS);
    tcase_add_loop_test(tcase, what_is_no_number_is_refused, 0, WIRE_KINDS);
    tcase_add_test(tcase, other_names_are_refused);
    tcase_add_test(tcase, frames_can_be_read);
    tcase_add_test(tcase, memory_runs_out_cleanly);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
