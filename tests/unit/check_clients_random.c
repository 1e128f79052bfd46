/* The client side under random commands: whatever comes, each command gets exactly one well-formed reply, in order, and the
 * server stays itself. Words come from the command table, so that options and subcommands are hit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resp/reader.h"
#include "server/client.h"
#include "server/command_rows.h"
#include "tests/lib/run.h"
#include "tests/unit/server_fake.h"

static const char *const words[] = {
    "a",
    "b",
    "{t}x",
    "",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "100",
    "99999999999999999999",
    "1.5",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "GET",
    "CONTEXT",
    "R",
    "W",
    "RESET",
    "MONOTONIC",
    "yes",
    "no",
    "TYPE",
    "ID",
    "normal",
    "FILTERBY",
    "MODULE",
    "ACLCAT",
    "PATTERN",
    "*",
    "read",
    "PARTITION",
    "AUTH",
    "SETNAME",
    "default",
    "lib-name",
    "lib-ver",
    "maxclients",
    "timeout",
    "get",
    "set",
    "mset",
    "client|list",
    "all",
    "everything",
    "dynamo",
};
#define WORDS (sizeof(words) / sizeof(words[0]))

/* Commands that answer otherwise than by one reply. */
static bool is_special(const struct command *row) {
    static const char *const special[] = {"client|reply", "quit", "shutdown", "config|set"};
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (strcmp(row->name, special[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void append_arg(struct buf *out, const void *bytes, size_t len) {
    ck_assert_int_eq(buf_printf(out, "$%zu\r\n", len), RD_OK);
    ck_assert_int_eq(buf_append(out, bytes, len), RD_OK);
    ck_assert_int_eq(buf_append(out, "\r\n", 2), RD_OK);
}

/* Appends one random command; returns false if it was left out. */
static bool append_command(struct prng *prng, struct buf *out) {
    const struct command *row =
        command_by_ordinal(command_rows(), (size_t)prng_below(prng, command_total(command_rows())));
    if (is_special(row)) {
        return false;
    }
    const char *bar = strchr(row->name, '|');
    size_t names = bar == NULL ? 1 : 2;
    size_t least = row->arity < 0 ? (size_t)-row->arity : (size_t)row->arity;
    size_t argc = least + (row->arity < 0 ? (size_t)prng_below(prng, 6) : 0);
    if (prng_chance(prng, 1, 10)) {
        argc = names + (size_t)prng_below(prng, 4);
    }
    argc = argc < names ? names : argc;
    ck_assert_int_eq(buf_printf(out, "*%zu\r\n", argc), RD_OK);
    if (bar == NULL) {
        append_arg(out, row->name, strlen(row->name));
    } else {
        append_arg(out, row->name, (size_t)(bar - row->name));
        append_arg(out, bar + 1, strlen(bar + 1));
    }
    for (size_t i = names; i < argc; i++) {
        if (prng_chance(prng, 1, 8)) {
            uint8_t noise[12];
            size_t len = (size_t)prng_below(prng, sizeof(noise));
            prng_fill(prng, noise, len);
            append_arg(out, noise, len);
        } else {
            const char *word = words[prng_below(prng, WORDS)];
            append_arg(out, word, strlen(word));
        }
    }
    return true;
}

/* Reads as many replies as there are; nothing else may be there. */
static size_t count_replies(const struct buf *received) {
    struct resp_reader_limits limits;
    struct resp_reader reader;
    resp_reader_limits_default(&limits);
    resp_reader_init(&reader, &limits);
    size_t at = 0, count = 0;
    while (at < buf_len(received)) {
        const struct resp_value *root = NULL;
        size_t consumed = 0;
        enum rd_err err = resp_reader_read(&reader, buf_data(received) + at, buf_len(received) - at,
                                           &consumed, &root);
        ck_assert_msg(err == RD_OK, "reply %zu is malformed: %.60s", count,
                      (const char *)buf_data(received) + at);
        at += consumed;
        count++;
    }
    resp_reader_free(&reader);
    return count;
}

START_TEST(each_command_has_one_reply) {
    struct fake *fake = fake_new((uint64_t)_i);
    fake->order = FAKE_ANY;
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i + 77);
    int fd = fake_connect(fake);
    for (int round = 0; round < 40; round++) {
        struct buf sent = {0}, received = {0};
        size_t wanted = 0;
        for (uint64_t i = prng_below(&prng, 40); i > 0; i--) {
            wanted += append_command(&prng, &sent);
        }
        fake_send(fd, buf_data(&sent), buf_len(&sent));
        fake_collect(fake, fd, &received);
        ck_assert_uint_eq(count_replies(&received), wanted);
        buf_free(&sent);
        buf_free(&received);
    }
    ck_assert_uint_eq(fake->server.clients->tickets.open, 0);
    ck_assert_uint_eq(fake->server.clients->lanes.claim_count, 0);
    ck_assert_uint_eq(fake->server.clients->first->in_flight, 0);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(noise_harms_nobody_else) {
    struct fake *fake = fake_new((uint64_t)_i);
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    int other = fake_connect(fake);
    for (int round = 0; round < 100; round++) {
        int fd = fake_connect(fake);
        struct buf sent = {0}, received = {0};
        while (buf_len(&sent) < 200) {
            append_command(&prng, &sent);
        }
        uint8_t *bytes = (uint8_t *)buf_data(&sent);
        for (uint64_t i = prng_below(&prng, 4); i > 0; i--) {
            bytes[prng_below(&prng, buf_len(&sent))] = (uint8_t)prng_u64(&prng);
        }
        fake_send(fd, bytes, (size_t)prng_below(&prng, buf_len(&sent) + 1));
        fake_collect(fake, fd, &received);
        count_replies(&received);
        buf_free(&sent);
        buf_free(&received);
        close(fd);
        fake_settle(fake);
        ck_assert_uint_eq(fake->server.clients->count, 1);
        ck_assert_str_eq(fake_ask(fake, other, "PING"), "+PONG\r\n");
    }
    close(other);
    fake_free(fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("clients_random");
    TCase *tcase = tcase_create("clients_random");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, each_command_has_one_reply, 0, 20);
    tcase_add_loop_test(tcase, noise_harms_nobody_else, 0, 10);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
