/* Functions on values: tables of cases as Redis 7.2 answers them, memory that runs out, and payloads that lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "resp/words.h"
#include "server/command_rows.h"
#include "server/command_table.h"
#include "server/lcs.h"
#include "server/rdb_string.h"
#include "server/values.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW_MS 1000000u
#define MAX_BYTES (1u << 20)

/* A command on a value; `now`: what the key holds then, "-" if there is no such key, "=" if nothing is changed. */
struct value_case {
    const char *command;
    const char *old; /* NULL: no such key */
    uint64_t expires_ms;
    const char *reply;
    const char *now;
    uint64_t now_expires_ms;
};

/* Runs the command as at its home. Returns what value_compute does. */
static enum rd_err run(const char *command, const char *old, uint64_t expires_ms,
                       struct rmw_output *out) {
    struct resp_words words = {0};
    struct blob *order = NULL, *value = NULL;
    enum rd_err err = resp_words_split(&words, (const uint8_t *)command, strlen(command), 32);
    if (err == RD_OK) {
        err = value_pack(words.items, words.count, 2, &order);
    }
    if (err == RD_OK && old != NULL) {
        err = blob_new(old, strlen(old), &value);
    }
    *out = (struct rmw_output){0};
    if (err == RD_OK) {
        const struct rmw_input in = {
            .order = order, .now_ms = NOW_MS, .value = value, .expires_ms = expires_ms};
        err = value_compute(command_rows(), MAX_BYTES, &in, out);
    }
    blob_unref(order);
    blob_unref(value);
    resp_words_free(&words);
    return err;
}

static void release(struct rmw_output *out) {
    blob_unref(out->value);
    buf_free(&out->reply);
}

static void check(const struct value_case *at) {
    struct rmw_output out;
    ck_assert_msg(run(at->command, at->old, at->expires_ms, &out) == RD_OK, "%s", at->command);
    ck_assert_msg(buf_len(&out.reply) == strlen(at->reply) &&
                      memcmp(buf_data(&out.reply), at->reply, buf_len(&out.reply)) == 0,
                  "%s: %.*s", at->command, (int)buf_len(&out.reply),
                  (const char *)buf_data(&out.reply));
    if (strcmp(at->now, "=") == 0) {
        ck_assert_msg(out.change == RMW_KEEP, "%s changes something", at->command);
    } else if (strcmp(at->now, "-") == 0) {
        ck_assert_msg(out.change == RMW_DELETE, "%s does not delete", at->command);
    } else {
        ck_assert_msg(out.change == RMW_SET && out.value->len == strlen(at->now) &&
                          memcmp(out.value->bytes, at->now, out.value->len) == 0 &&
                          out.expires_ms == at->now_expires_ms,
                      "%s: something else is set", at->command);
    }
    release(&out);
}

static const struct value_case cases[] = {
    {"append k xy", NULL, 0, ":2\r\n", "xy", 0},
    {"append k xy", "a", 5000000, ":3\r\n", "axy", 5000000},
    {"setrange k 2 xy", "a", 0, ":4\r\n", "a\0xy", 0},
    {"setrange k 0 b", "a", 0, ":1\r\n", "b", 0},
    {"setrange k 3 \"\"", "a", 0, ":1\r\n", "=", 0},
    {"setrange k -1 x", "a", 0, "-ERR offset is out of range\r\n", "=", 0},
    {"setrange k 536870912 x", "a", 0,
     "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n", "=", 0},
    {"incr k", NULL, 0, ":1\r\n", "1", 0},
    {"incrby k -3", "1", 7000000, ":-2\r\n", "-2", 7000000},
    {"decrby k -9223372036854775808", "1", 0, "-ERR decrement would overflow\r\n", "=", 0},
    {"incr k", "9223372036854775807", 0, "-ERR increment or decrement would overflow\r\n", "=", 0},
    {"incr k", "01", 0, "-ERR value is not an integer or out of range\r\n", "=", 0},
    {"incr k", "", 0, "-ERR value is not an integer or out of range\r\n", "=", 0},
    {"incrbyfloat k 0.1", "3", 0, "$3\r\n3.1\r\n", "3.1", 0},
    {"incrbyfloat k -3", "3.0", 0, "$1\r\n0\r\n", "0", 0},
    {"incrbyfloat k 1e3", NULL, 0, "$4\r\n1000\r\n", "1000", 0},
    {"incrbyfloat k inf", "1", 0, "-ERR increment would produce NaN or Infinity\r\n", "=", 0},
    {"incrbyfloat k x", "1", 0, "-ERR value is not a valid float\r\n", "=", 0},
    {"set k v nx", NULL, 0, "+OK\r\n", "v", 0},
    {"set k v nx", "o", 0, "$-1\r\n", "=", 0},
    {"set k v xx get", "o", 5000000, "$1\r\no\r\n", "v", 0},
    {"set k v keepttl", "o", 5000000, "+OK\r\n", "v", 5000000},
    {"set k v nx ex 10", NULL, 0, "+OK\r\n", "v", NOW_MS + 10000},
    {"set k v nx xx", "o", 0, "-ERR syntax error\r\n", "=", 0},
    {"set k v keepttl ex 1", "o", 0, "-ERR syntax error\r\n", "=", 0},
    {"set k v get px 0", "o", 0, "-ERR invalid expire time in 'set' command\r\n", "=", 0},
    {"getset k v", "o", 5000000, "$1\r\no\r\n", "v", 0},
    {"getdel k", "o", 0, "$1\r\no\r\n", "-", 0},
    {"getdel k", NULL, 0, "$-1\r\n", "=", 0},
    {"getex k", "o", 5000000, "$1\r\no\r\n", "=", 0},
    {"getex k persist", "o", 5000000, "$1\r\no\r\n", "o", 0},
    {"getex k ex 0", NULL, 0, "$-1\r\n", "=", 0},
    {"getex k ex 0", "o", 0, "-ERR invalid expire time in 'getex' command\r\n", "=", 0},
    {"expire k 5", "o", 0, ":1\r\n", "o", NOW_MS + 5000},
    {"expire k -5", "o", 0, ":1\r\n", "-", 0},
    {"expire k 5", NULL, 0, ":0\r\n", "=", 0},
    {"expire k 5 nx", "o", 5000000, ":0\r\n", "=", 0},
    {"expire k 5 xx", "o", 0, ":0\r\n", "=", 0},
    {"expire k 5 gt", "o", 0, ":0\r\n", "=", 0},
    {"expire k 5 lt", "o", 0, ":1\r\n", "o", NOW_MS + 5000},
    {"pexpireat k 6000000 gt", "o", 5000000, ":1\r\n", "o", 6000000},
    {"expire k 9223372036854775807", "o", 0, "-ERR invalid expire time in 'expire' command\r\n",
     "=", 0},
    {"expire k 1 nx gt", "o", 0,
     "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n", "=", 0},
    {"persist k", "o", 5000000, ":1\r\n", "o", 0},
    {"persist k", "o", 0, ":0\r\n", "=", 0},
    {"ttl k", "o", NOW_MS + 1500, ":2\r\n", "=", 0},
    {"pttl k", "o", NOW_MS + 1500, ":1500\r\n", "=", 0},
    {"ttl k", "o", 0, ":-1\r\n", "=", 0},
    {"ttl k", NULL, 0, ":-2\r\n", "=", 0},
    {"getrange k -3 -2", "hello", 0, "$2\r\nll\r\n", "=", 0},
    {"getrange k 3 1", "hello", 0, "$0\r\n\r\n", "=", 0},
    {"setbit k 1 1", "!", 0, ":0\r\n", "a", 0},
    {"setbit k 4294967296 1", "!", 0, "-ERR bit offset is not an integer or out of range\r\n", "=",
     0},
    {"setbit k 0 2", "!", 0, "-ERR bit is not an integer or out of range\r\n", "=", 0},
    {"bitcount k 1 5 bit", "!", 0, ":1\r\n", "=", 0},
    {"bitpos k 1 0", "!", 0, ":2\r\n", "=", 0},
    {"bitfield k set u8 0 98 get u4 0", "a", 0, "*2\r\n:97\r\n:6\r\n", "b", 0},
    {"bitfield k overflow fail incrby u4 4 15", "a", 0, "*1\r\n$-1\r\n", "a", 0},
    {"bitfield_ro k set u8 0 1", "a", 0, "-ERR BITFIELD_RO only supports the GET subcommand\r\n",
     "=", 0},
    {"restore k 0 abc", NULL, 0, "-ERR DUMP payload version or checksum are wrong\r\n", "=", 0},
    {"restore k 0 abc", "o", 0, "-BUSYKEY Target key name already exists.\r\n", "=", 0},
};

START_TEST(cases_are_as_in_redis) {
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (strcmp(cases[i].command, "setrange k 2 xy") != 0) { /* a zero inside: below */
            check(&cases[i]);
        }
    }
    struct rmw_output out;
    ck_assert_int_eq(run("setrange k 2 xy", "a", 0, &out), RD_OK);
    ck_assert_uint_eq(out.value->len, 4);
    ck_assert_mem_eq(out.value->bytes, "a\0xy", 4);
    release(&out);
}
END_TEST

START_TEST(orders_that_are_none_are_refused) {
    struct prng prng;
    prng_seed(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[40];
        size_t len = prng_below(&prng, sizeof bytes);
        prng_fill(&prng, bytes, len);
        for (size_t k = 1; k < len; k++) {
            bytes[k] = prng_chance(&prng, 1, 2) ? (uint8_t)(bytes[k] & 3) : bytes[k];
        }
        struct blob *order;
        struct rmw_output out = {0};
        ck_assert_int_eq(blob_new(bytes, len, &order), RD_OK);
        const struct rmw_input in = {.order = order, .now_ms = NOW_MS};
        enum rd_err err = value_compute(command_rows(), MAX_BYTES, &in, &out);
        if (err != RD_EREFUSED) {
            ck_abort_msg("random bytes are taken for an order");
        }
        blob_unref(order);
    }
}
END_TEST

START_TEST(memory_runs_out_cleanly) {
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (unsigned n = 1;; n++) {
            struct rmw_output out;
            oom_fail_at(n);
            enum rd_err err = run(cases[i].command, cases[i].old, cases[i].expires_ms, &out);
            bool failed = oom_stop() != 0;
            bool kept = out.change == RMW_KEEP && out.value == NULL;
            release(&out);
            if (!failed) {
                ck_assert_int_eq(err, RD_OK);
                break;
            }
            ck_assert_msg(err == RD_ENOMEM && kept, "%s, allocation %u: %d", cases[i].command, n,
                          (int)err);
        }
    }
}
END_TEST

/* ---- payloads --------------------------------------------------------------------------------------- */

START_TEST(payloads_come_back) {
    static const char *const texts[] = {"",           "0",      "-1",    "127",
                                        "128",        "-32769", "65536", "2147483647",
                                        "2147483648", "0123",   "a",     "hello"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buf payload = {0};
        struct blob *back = NULL;
        ck_assert_int_eq(rdb_dump(texts[i], strlen(texts[i]), &payload), RD_OK);
        ck_assert_int_eq(rdb_restore(buf_data(&payload), buf_len(&payload), 100, &back), RD_OK);
        ck_assert_uint_eq(back->len, strlen(texts[i]));
        ck_assert_int_eq(memcmp(back->bytes, texts[i], back->len), 0);
        blob_unref(back);
        for (size_t k = 0; k < buf_len(&payload); k++) { /* no damage goes unnoticed */
            uint8_t bytes[64];
            memcpy(bytes, buf_data(&payload), buf_len(&payload));
            bytes[k] ^= 4;
            ck_assert_int_eq(rdb_restore(bytes, buf_len(&payload), 100, &back), RD_ECORRUPT);
        }
        buf_free(&payload);
    }
    ck_assert_uint_eq(rdb_crc64(0, "123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
}
END_TEST

/* With the right checksum a payload may say anything. */
START_TEST(payloads_that_lie_are_refused) {
    struct prng prng;
    prng_seed(&prng, 2);
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[48];
        size_t len = 1 + prng_below(&prng, 30);
        prng_fill(&prng, bytes, len);
        bytes[0] = 0;
        bytes[1] = prng_chance(&prng, 1, 2) ? 0xC3 : bytes[1];
        bytes[len] = RDB_VERSION_WRITTEN;
        bytes[len + 1] = 0;
        uint64_t crc = rdb_crc64(0, bytes, len + 2);
        for (int k = 0; k < 8; k++) {
            bytes[len + 2 + (size_t)k] = (uint8_t)(crc >> (8 * k));
        }
        struct blob *value = NULL;
        enum rd_err err = rdb_restore(bytes, len + 10, 4096, &value);
        if ((err != RD_OK && err != RD_EPROTO) || (value != NULL && value->len > 4096)) {
            ck_abort_msg("error %d", (int)err);
        }
        blob_unref(value);
    }
}
END_TEST

START_TEST(subsequences_are_longest) {
    struct lcs lcs;
    ck_assert_int_eq(
        lcs_compute((const uint8_t *)"ohmytext", 8, (const uint8_t *)"mynewtext", 9, &lcs), RD_OK);
    ck_assert_uint_eq(lcs.len, 6);
    ck_assert_mem_eq(lcs.bytes, "mytext", 6);
    ck_assert_uint_eq(lcs.run_count, 2);
    ck_assert_uint_eq(lcs.runs[0].a_start, 4);
    ck_assert_uint_eq(lcs.runs[0].b_end, 8);
    ck_assert_uint_eq(lcs.runs[1].a_end, 3);
    lcs_free(&lcs);
    ck_assert_uint_eq(lcs_memory(UINT64_MAX - 1, 7), UINT64_MAX);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("values");
    TCase *tcase = tcase_create("values");
    tcase_add_test(tcase, cases_are_as_in_redis);
    tcase_add_test(tcase, orders_that_are_none_are_refused);
    tcase_add_test(tcase, memory_runs_out_cleanly);
    tcase_add_test(tcase, payloads_come_back);
    tcase_add_test(tcase, payloads_that_lie_are_refused);
    tcase_add_test(tcase, subsequences_are_longest);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
