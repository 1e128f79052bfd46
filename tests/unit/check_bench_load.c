/* bench/load's command line, the requests it makes, and its reading of replies; no sockets. */
#include "bench/load_batch.h"
#include "bench/load_conf.h"
#include "bench/replies.h"

#include "tests/lib/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { WORDS = 16 };

/* Reads a command line given as words with single spaces. */
static enum load_args_verdict args(const char *line, struct load_conf *out) {
    char *copy = strdup(line);
    char *argv[WORDS] = {(char[]){"load"}};
    int argc = 1;
    char *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < WORDS - 1;) {
        argv[argc++] = word;
    }
    char reason[LOAD_REASON_BYTES] = "";
    enum load_args_verdict verdict = load_args(argc, argv, out, reason);
    ck_assert((verdict == LOAD_ARGS_BAD) == (reason[0] != '\0'));
    free(copy);
    return verdict;
}

START_TEST(options_are_read) {
    struct load_conf c;
    ck_assert_int_eq(
        args("--clients 7 --pipeline=16 --reads 0.25 --zipfian --fill 127.0.0.1:70 ::1:71", &c),
        LOAD_ARGS_OK);
    ck_assert_uint_eq(c.clients, 7);
    ck_assert_uint_eq(c.pipeline, 16);
    ck_assert_double_eq(c.reads, 0.25);
    ck_assert_double_eq(c.theta, KEYS_THETA);
    ck_assert_uint_eq(c.rounds, 1);
    ck_assert_uint_eq(c.node_count, 2);
    ck_assert_str_eq(c.nodes[1].host, "::1");
    ck_assert_uint_eq(c.nodes[1].port, 71);
    ck_assert_int_eq(
        args("--zipfian=0.5 --fill=3 --write dynset --requests 9 --wait 2 --wait-once h:1", &c),
        LOAD_ARGS_OK);
    ck_assert_double_eq(c.theta, 0.5);
    ck_assert_uint_eq(c.rounds, 3);
    ck_assert_int_eq(c.write, LOAD_DYNSET);
    ck_assert_uint_eq(c.requests, 9);
    ck_assert(c.wait == 2 && c.wait_once);
    ck_assert_int_eq(args("--help", &c), LOAD_ARGS_HELP);
}
END_TEST

static const char *const BAD[] = {
    "",
    "host",
    "host:0",
    "host:65536",
    ":7",
    "--clients 0 h:1",
    "--clients x h:1",
    "--clients -1 h:1",
    "--pipeline h:1",
    "--reads 1.5 h:1",
    "--reads nan h:1",
    "--write get h:1",
    "--keys 0 h:1",
    "--keys 1000000000000 h:1",
    "--prefix {a} h:1",
    "--prefix 01234567890123456789012345678901 h:1",
    "--zipfian=1 h:1",
    "--seconds 0 h:1",
    "--unknown h:1",
};

START_TEST(bad_options_are_refused) {
    struct load_conf c = {.keys = 77};
    ck_assert_int_eq(args(BAD[_i], &c), LOAD_ARGS_BAD);
    ck_assert_uint_eq(c.keys, 77);
}
END_TEST

START_TEST(help_names_every_option) {
    static const char *const names[] = {"clients", "homes",   "idle", "read-quorum", "pipeline",
                                        "reads",   "write",   "keys", "value-bytes", "wait-once",
                                        "prefix",  "zipfian", "fill", "warmup",      "requests",
                                        "seconds", "rate",    "seed", "buckets"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char option[32];
        snprintf(option, sizeof option, "--%s", names[i]);
        ck_assert_msg(strstr(load_help(), option) != NULL, "%s", option);
    }
}
END_TEST

/* Makes one batch from a command line; returns its bytes as text. */
static char *made(const char *line, const uint64_t *homes, size_t node, unsigned *replies,
                  uint8_t *expected) {
    struct load_conf conf;
    ck_assert_int_eq(args(line, &conf), LOAD_ARGS_OK);
    struct batch_maker maker;
    batch_maker_init(&maker, &conf, homes);
    char *bytes = malloc(batch_max_bytes(&maker) + 1);
    size_t len = 0;
    uint8_t *kinds = malloc(batch_max_replies(&maker));
    *replies = batch_make(&maker, node, (uint8_t *)bytes, &len, kinds);
    ck_assert_uint_le(len, batch_max_bytes(&maker));
    memcpy(expected, kinds, *replies);
    bytes[len] = '\0';
    free(kinds);
    batch_maker_free(&maker);
    return bytes;
}

START_TEST(requests_are_what_they_should_be) {
    unsigned replies = 0;
    uint8_t expected[64];
    char *bytes = made("--keys 1 --value-bytes 0 h:1", NULL, 0, &replies, expected);
    ck_assert_str_eq(bytes, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$0\r\n\r\n");
    ck_assert(replies == 1 && expected[0] == EXPECT_WRITE);
    free(bytes);
    bytes = made("--keys 1 --reads 1 --prefix k h:1", NULL, 0, &replies, expected);
    ck_assert_str_eq(bytes, "*2\r\n$3\r\nGET\r\n$13\r\nk000000000000\r\n");
    ck_assert(replies == 1 && expected[0] == EXPECT_VALUE);
    free(bytes);
    bytes = made("--keys 1 --write del --wait 2 --pipeline 2 h:1", NULL, 0, &replies, expected);
    ck_assert_str_eq(bytes, "*2\r\n$3\r\nDEL\r\n$16\r\nkey:000000000000\r\n"
                            "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$4\r\n5000\r\n"
                            "*2\r\n$3\r\nDEL\r\n$16\r\nkey:000000000000\r\n"
                            "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$4\r\n5000\r\n");
    ck_assert(replies == 4 && expected[0] == EXPECT_HELD && expected[3] == EXPECT_WAITED);
    free(bytes);
    bytes = made("--write dynset --value-bytes 2 --wait 1 --wait-once --pipeline 3 h:1", NULL, 0,
                 &replies, expected);
    ck_assert(replies == 4 && expected[2] == EXPECT_HELD && expected[3] == EXPECT_WAITED);
    ck_assert_ptr_nonnull(strstr(bytes, "*3\r\n$6\r\nDYNSET\r\n"));
    free(bytes);
}
END_TEST

START_TEST(filling_writes_every_key) {
    struct load_conf conf;
    args("--keys 100 --fill=2 --reads 1 h:1", &conf);
    struct batch_maker maker;
    batch_maker_init(&maker, &conf, NULL);
    unsigned seen[100] = {0};
    uint8_t *bytes = malloc(batch_max_bytes(&maker));
    uint8_t expected[128];
    size_t len = 0;
    for (unsigned n; (n = batch_make(&maker, 0, bytes, &len, expected)) > 0;) {
        for (unsigned i = 0; i < n; i++) {
            uint8_t *key = bytes + len / n * i + maker.write_head_len;
            seen[(key[10] - '0') * 10 + key[11] - '0']++;
        }
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(seen[i], 2);
    }
    free(bytes);
    batch_maker_free(&maker);
}
END_TEST

START_TEST(keys_go_home) {
    static uint64_t homes[16384];
    for (int slot = 0; slot < 16384; slot++) {
        homes[slot] = slot % 4 == 0 ? 2 : 1;
    }
    unsigned replies = 0;
    uint8_t expected[64];
    char *bytes = made("--reads 1 --pipeline 50 h:1", homes, 1, &replies, expected);
    const char *at = bytes;
    for (unsigned i = 0; i < replies; i++, at += 16) {
        at = strstr(at, "key:");
        ck_assert_uint_eq(hash_crc16(at, 16) % 4, 0);
    }
    ck_assert_uint_eq(replies, 50);
    free(bytes);
}
END_TEST

static const struct {
    const char *bytes;
    enum reply_kind kind;
    int64_t number;
    const char *text;
} REPLIES[] = {
    {"+OK\r\n", REPLY_STATUS, 0, "OK"},
    {"-ERR no\r\n", REPLY_ERROR, 0, "ERR no"},
    {":12\r\n", REPLY_NUMBER, 12, NULL},
    {":-3\r\n", REPLY_NUMBER, -3, NULL},
    {"$-1\r\n", REPLY_NULL, -1, NULL},
    {"$0\r\n\r\n", REPLY_BULK, 0, ""},
    {"$5\r\na\r\nbc\r\n", REPLY_BULK, 5, "a\r\nbc"},
    {"$5\r\nabcdeXX", REPLY_BAD, 0, NULL},
    {"$-2\r\n", REPLY_BAD, 0, NULL},
    {":1x\r\n", REPLY_BAD, 0, NULL},
    {":\r\n", REPLY_BAD, 0, NULL},
    {"*1\r\n", REPLY_BAD, 0, NULL},
    {"+OK\n", REPLY_BAD, 0, NULL},
};

/* Cut anywhere it is incomplete (or already known to be bad); whole, and with more behind it, it is itself. */
START_TEST(replies_are_read) {
    char bytes[64];
    size_t len = strlen(REPLIES[_i].bytes);
    memcpy(bytes, REPLIES[_i].bytes, len);
    memcpy(bytes + len, "+more\r\n", 7);
    struct reply reply = {0};
    for (size_t cut = 0; cut < len; cut++) {
        enum reply_kind kind = reply_read((uint8_t *)bytes, cut, &reply);
        ck_assert(kind == REPLY_INCOMPLETE || REPLIES[_i].kind == REPLY_BAD);
    }
    ck_assert_int_eq(reply_read((uint8_t *)bytes, len + 7, &reply), REPLIES[_i].kind);
    if (REPLIES[_i].kind != REPLY_BAD) {
        ck_assert_uint_eq(reply.bytes, len);
        if (REPLIES[_i].text != NULL) {
            ck_assert_uint_eq(reply.text_len, strlen(REPLIES[_i].text));
            ck_assert_mem_eq(reply.text, REPLIES[_i].text, reply.text_len);
        } else {
            ck_assert_int_eq(reply.number, REPLIES[_i].number);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("load");
    TCase *group = tcase_create("all");
    tcase_add_test(group, options_are_read);
    tcase_add_loop_test(group, bad_options_are_refused, 0, sizeof BAD / sizeof *BAD);
    tcase_add_test(group, help_names_every_option);
    tcase_add_test(group, requests_are_what_they_should_be);
    tcase_add_test(group, filling_writes_every_key);
    tcase_add_test(group, keys_go_home);
    tcase_add_loop_test(group, replies_are_read, 0, sizeof REPLIES / sizeof *REPLIES);
    suite_add_tcase(suite, group);
    return test_run(suite);
}
