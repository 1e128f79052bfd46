/* The commands themselves: what each replies, in both protocols, and what it asks of the node. Against the fake node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/node_stats.h"
#include "server/clock.h"
#include "tests/lib/run.h"
#include "tests/unit/server_fake.h"

struct exchange {
    const char *command, *reply;
};

static void check_exchanges(const struct exchange *exchanges, size_t count) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    for (size_t i = 0; i < count; i++) {
        const char *reply = fake_ask(fake, fd, exchanges[i].command);
        ck_assert_msg(strcmp(reply, exchanges[i].reply) == 0, "%s: got %s, not %s",
                      exchanges[i].command, reply, exchanges[i].reply);
    }
    close(fd);
    fake_free(fake);
}

#define CHECK_EXCHANGES(table) check_exchanges(table, sizeof(table) / sizeof((table)[0]))

START_TEST(strings) {
    static const struct exchange table[] = {
        {"GET k", "$-1\r\n"},
        {"SET k hello", "+OK\r\n"},
        {"GET k", "$5\r\nhello\r\n"},
        {"STRLEN k", ":5\r\n"},
        {"TYPE k", "+string\r\n"},
        {"TYPE nokey", "+none\r\n"},
        {"STRLEN nokey", ":0\r\n"},
        {"SET k v EX 100", "+OK\r\n"},
        {"SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n"},
        {"SET k v PX abc", "-ERR value is not an integer or out of range\r\n"},
        {"SET k v EX 1 PX 1", "-ERR syntax error\r\n"},
        {"SET k v PXAT 1", "+OK\r\n"},
        {"GET k", "$-1\r\n"},
        {"EXISTS k", ":0\r\n"},
        {"SET k", "-ERR wrong number of arguments for 'set' command\r\n"},
    };
    CHECK_EXCHANGES(table);
}
END_TEST

START_TEST(many_keys) {
    static const struct exchange table[] = {
        {"MSET a 1 b 2 a 3", "+OK\r\n"},
        {"MGET a b c a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n"},
        {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"EXISTS a a b c", ":3\r\n"},
        {"DBSIZE", ":2\r\n"},
        {"DEL a a c", ":1\r\n"},
        {"UNLINK a b", ":1\r\n"},
        {"DBSIZE", ":0\r\n"},
    };
    CHECK_EXCHANGES(table);
}
END_TEST

/* More keys than the window: all are asked for, never more than the window at once. */
START_TEST(more_keys_than_the_window) {
    enum { KEYS = 1000, WINDOW = 256 };
    struct fake *fake = fake_new(1);
    fake->order = FAKE_ANY;
    int fd = fake_connect(fake);
    struct buf command = {0}, reply = {0};
    ck_assert_int_eq(buf_printf(&command, "MSET"), RD_OK);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(buf_printf(&command, " k%d v%d", i, i), RD_OK);
    }
    ck_assert_int_eq(buf_append(&command, "", 1), RD_OK);
    ck_assert_str_eq(fake_ask(fake, fd, (const char *)buf_data(&command)), "+OK\r\n");
    ck_assert_uint_eq(fake->submitted, KEYS);
    ck_assert_uint_eq(fake->most_requests, WINDOW);
    buf_free(&command);
    ck_assert_int_eq(buf_printf(&command, "MGET"), RD_OK);
    ck_assert_int_eq(buf_printf(&reply, "*%d\r\n", KEYS), RD_OK);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(buf_printf(&command, " k%d", i), RD_OK);
        ck_assert_int_eq(buf_printf(&reply, "$%d\r\nv%d\r\n",
                                    i < 10    ? 2
                                    : i < 100 ? 3
                                              : 4,
                                    i),
                         RD_OK);
    }
    ck_assert_int_eq(buf_append(&command, "", 1), RD_OK);
    ck_assert_int_eq(buf_append(&reply, "", 1), RD_OK);
    ck_assert_str_eq(fake_ask(fake, fd, (const char *)buf_data(&command)),
                     (const char *)buf_data(&reply));
    ck_assert_uint_eq(fake->most_requests, WINDOW);
    buf_free(&command);
    buf_free(&reply);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(errors_have_codes) {
    static const struct {
        enum rd_err err;
        const char *reply;
    } cases[] = {
        {RD_ENOQUORUM, "-NOQUORUM the fake says RD_ENOQUORUM\r\n"},
        {RD_EUNKNOWN, "-UNKNOWN the fake says RD_EUNKNOWN\r\n"},
        {RD_EBADCONTEXT, "-BADCONTEXT the fake says RD_EBADCONTEXT\r\n"},
        {RD_ETOOMANYSIBLINGS, "-TOOMANYSIBLINGS the fake says RD_ETOOMANYSIBLINGS\r\n"},
        {RD_ETOOLARGE, "-TOOLARGE the fake says RD_ETOOLARGE\r\n"},
        {RD_EFULL, "-DISKFULL the fake says RD_EFULL\r\n"},
        {RD_EOVERLOADED, "-OVERLOADED the fake says RD_EOVERLOADED\r\n"},
        {RD_ECLUSTERDOWN, "-CLUSTERDOWN the fake says RD_ECLUSTERDOWN\r\n"},
        {RD_EIO, "-ERR the fake says RD_EIO\r\n"},
    };
    static const char *const commands[] = {
        "GET a",      "SET a b",  "MGET a b",      "MSET a 1 b 2", "DEL a b",
        "EXISTS a",   "STRLEN a", "TYPE a",        "DBSIZE",       "DYNGET a",
        "DYNSET a b", "DYNDEL a", "DYNSIBLINGS a", "DYNREPLICAS a"};
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake->fail_with = cases[i].err;
        for (size_t j = 0; j < sizeof(commands) / sizeof(commands[0]); j++) {
            ck_assert_str_eq(fake_ask(fake, fd, commands[j]), cases[i].reply);
        }
    }
    ck_assert_uint_eq(fake->server.clients->error_count, 9);
    ck_assert_uint_eq(fake->server.clients->errors[0].count,
                      sizeof(commands) / sizeof(commands[0]));
    close(fd);
    fake_free(fake);
}
END_TEST

/* An error that says "nothing was written" is one key's, and no answer for all of them. */
START_TEST(some_keys_were_written) {
    static const struct {
        const char *command;
        enum rd_err err;
        size_t good;
        const char *reply;
    } cases[] = {
        {"MSET a 1 b 2 c 3", RD_ENOQUORUM, 0, "-NOQUORUM the fake says RD_ENOQUORUM\r\n"},
        {"MSET a 1 b 2 c 3", RD_ENOQUORUM, 2,
         "-UNKNOWN 2 of 3 keys were written, or may have been; of another one: the fake says "
         "RD_ENOQUORUM\r\n"},
        {"MSET a 1 b 2 c 3", RD_EUNKNOWN, 2, "-UNKNOWN the fake says RD_EUNKNOWN\r\n"},
        {"DEL a b c", RD_ECLUSTERDOWN, 1,
         "-UNKNOWN 1 of 3 keys were written, or may have been; of another one: the fake says "
         "RD_ECLUSTERDOWN\r\n"},
        {"MGET a b c", RD_ENOQUORUM, 2, "-NOQUORUM the fake says RD_ENOQUORUM\r\n"},
        {"MSETNX x 1 y 2", RD_ENOQUORUM, 2, "-NOQUORUM the fake says RD_ENOQUORUM\r\n"},
        {"MSETNX x 1 y 2", RD_ENOQUORUM, 3,
         "-UNKNOWN 1 of 2 keys were written, or may have been; of another one: the fake says "
         "RD_ENOQUORUM\r\n"},
        {"RENAME b d", RD_ENOQUORUM, 1, "-NOQUORUM the fake says RD_ENOQUORUM\r\n"},
        {"RENAME b d", RD_ENOQUORUM, 2,
         "-UNKNOWN the new key was written, the old one may still be there: the fake says "
         "RD_ENOQUORUM\r\n"},
    };
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fake->fail_with = cases[i].err;
        fake->fail_after = cases[i].good;
        ck_assert_str_eq(fake_ask(fake, fd, cases[i].command), cases[i].reply);
    }
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(a_read_shows_the_newest_that_lives) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    fake_add_sibling(fake, "k", "old", 0);
    fake_add_sibling(fake, "k", "new", 0);
    fake_add_sibling(fake, "k", "expired", 1);
    fake_add_sibling(fake, "k", "new", 0);
    ck_assert_str_eq(fake_ask(fake, fd, "GET k"), "$3\r\nnew\r\n");
    const char *reply = fake_ask(fake, fd, "DYNGET k");
    ck_assert_int_eq(strncmp(reply, "*2\r\n$", 5), 0);
    ck_assert_ptr_nonnull(strstr(reply, "\r\n*2\r\n$3\r\nnew\r\n$3\r\nold\r\n"));
    fake_ask(fake, fd, "HELLO 3");
    reply = fake_ask(fake, fd, "DYNGET k");
    ck_assert_int_eq(strncmp(reply, "%2\r\n$7\r\ncontext\r\n$", 18), 0);
    ck_assert_ptr_nonnull(strstr(reply, "\r\n$6\r\nvalues\r\n*2\r\n$3\r\nnew\r\n$3\r\nold\r\n"));
    ck_assert_uint_eq(fake->server.counters.keyspace_hits, 3);
    close(fd);
    fake_free(fake);
}
END_TEST

/* Copies the first bulk string behind `from` in a reply to `out`. */
static void bulk_of(const char *reply, char *out, size_t size) {
    const char *at = strchr(reply, '$');
    ck_assert_ptr_nonnull(at);
    long len = strtol(at + 1, NULL, 10);
    at = strchr(at, '\n') + 1;
    ck_assert_uint_lt((size_t)len, size);
    memcpy(out, at, (size_t)len);
    out[len] = '\0';
}

START_TEST(a_context_replaces_what_it_covers) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    char context[256], command[512];
    bulk_of(fake_ask(fake, fd, "DYNSET k one"), context, sizeof(context));
    fake_ask(fake, fd, "DYNSET k two");
    ck_assert_ptr_nonnull(
        strstr(fake_ask(fake, fd, "DYNGET k"), "*2\r\n$3\r\ntwo\r\n$3\r\none\r\n"));
    snprintf(command, sizeof(command), "DYNSET k three CONTEXT %s W 1 EX 100", context);
    fake_ask(fake, fd, command);
    ck_assert_uint_eq(fake->last_w, 1);
    const char *reply = fake_ask(fake, fd, "DYNGET k R 3");
    ck_assert_uint_eq(fake->last_r, 3);
    ck_assert_ptr_nonnull(strstr(reply, "*2\r\n$5\r\nthree\r\n$3\r\ntwo\r\n"));
    bulk_of(reply, context, sizeof(context));
    snprintf(command, sizeof(command), "DYNDEL k CONTEXT %s", context);
    ck_assert_int_eq(fake_ask(fake, fd, command)[0], '$');
    ck_assert_str_eq(fake_ask(fake, fd, "GET k"), "$-1\r\n");
    snprintf(command, sizeof(command), "DYNSET other v CONTEXT %s", context);
    ck_assert_int_eq(strncmp(fake_ask(fake, fd, command), "-BADCONTEXT ", 12), 0);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(options_are_checked) {
    static const struct exchange table[] = {
        {"DYNGET k R", "-ERR syntax error\r\n"},
        {"DYNGET k R 0", "-ERR R must be between 1 and the replication factor, 3\r\n"},
        {"DYNGET k R 4", "-ERR R must be between 1 and the replication factor, 3\r\n"},
        {"DYNGET k R x", "-ERR value is not an integer or out of range\r\n"},
        {"DYNGET k R 1 R 2", "-ERR syntax error\r\n"},
        {"DYNGET k W 1", "-ERR syntax error\r\n"},
        {"DYNSET k v CONTEXT", "-ERR syntax error\r\n"},
        {"DYNSET k v CONTEXT a CONTEXT b", "-ERR syntax error\r\n"},
        {"DYNSET k v W 9", "-ERR W must be between 1 and the replication factor, 3\r\n"},
        {"DYNSET k v EX 0", "-ERR invalid expire time in 'dynset' command\r\n"},
        {"DYNSET k v CONTEXT nonsense",
         "-BADCONTEXT the context is damaged or belongs to another key\r\n"},
        {"DYNDEL k EX 5", "-ERR syntax error\r\n"},
        {"DYNQUORUM R", "-ERR syntax error\r\n"},
        {"DYNQUORUM MONOTONIC perhaps", "-ERR MONOTONIC must be yes or no\r\n"},
        {"DYNQUORUM W 0", "-ERR W must be between 1 and the replication factor, 3\r\n"},
        {"DYNQUORUM R 1 W 4", "-ERR W must be between 1 and the replication factor, 3\r\n"},
        {"DYNQUORUM",
         "*8\r\n$1\r\nn\r\n:3\r\n$1\r\nr\r\n:2\r\n$1\r\nw\r\n:2\r\n$9\r\nmonotonic\r\n:0\r\n"},
        {"DYNCLUSTER RING PARTITION 16", "-ERR there are 16 partitions, 0 to 15\r\n"},
        {"DYNCLUSTER RING PARTITION", "-ERR syntax error\r\n"},
        {"CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot\r\n"},
        {"CLUSTER COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range\r\n"},
        {"SELECT 1", "-ERR SELECT is not allowed in cluster mode\r\n"},
    };
    CHECK_EXCHANGES(table);
}
END_TEST

START_TEST(a_connection_has_its_own_quorum) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake), other = fake_connect(fake);
    ck_assert_str_eq(
        fake_ask(fake, fd, "DYNQUORUM R 1 W 3 MONOTONIC yes"),
        "*8\r\n$1\r\nn\r\n:3\r\n$1\r\nr\r\n:1\r\n$1\r\nw\r\n:3\r\n$9\r\nmonotonic\r\n:1\r\n");
    fake_ask(fake, fd, "GET k");
    ck_assert_uint_eq(fake->last_r, 1);
    ck_assert(fake->last_monotonic);
    fake_ask(fake, fd, "MSET k v");
    ck_assert_uint_eq(fake->last_w, 3);
    fake_ask(fake, other, "GET k");
    ck_assert_uint_eq(fake->last_r, 0);
    ck_assert(!fake->last_monotonic);
    fake_ask(fake, fd, "DYNGET k R 2");
    ck_assert_uint_eq(fake->last_r, 2);
    fake_ask(fake, fd, "DYNQUORUM RESET W 2");
    fake_ask(fake, fd, "GET k");
    ck_assert_uint_eq(fake->last_r, 0);
    ck_assert_uint_eq(fake->last_w, 2);
    close(fd);
    close(other);
    fake_free(fake);
}
END_TEST

START_TEST(siblings_are_described) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, fd, "DYNSIBLINGS k"), "*0\r\n");
    fake_add_sibling(fake, "k", "v", 99);
    ck_assert_str_eq(fake_ask(fake, fd, "DYNSIBLINGS k"),
                     "*1\r\n*12\r\n$5\r\nvalue\r\n$1\r\nv\r\n$3\r\ndot\r\n$20\r\n0000000000000abc."
                     "1:1\r\n$5\r\nclock\r\n$20\r\n"
                     "0000000000000abc.1:1\r\n$4\r\ntime\r\n:1\r\n$7\r\nexpires\r\n:99\r\n$"
                     "9\r\ntombstone\r\n:0\r\n");
    fake_ask(fake, fd, "DEL k");
    fake_ask(fake, fd, "HELLO 3");
    ck_assert_str_eq(fake_ask(fake, fd, "DYNSIBLINGS k"),
                     "*1\r\n%6\r\n$5\r\nvalue\r\n_\r\n$3\r\ndot\r\n_\r\n$5\r\nclock\r\n$"
                     "20\r\n0000000000000abc.1:1\r\n$4\r\ntime\r\n:2\r\n"
                     "$7\r\nexpires\r\n_\r\n$9\r\ntombstone\r\n#t\r\n");
    ck_assert_str_eq(
        fake_ask(fake, fd, "DYNREPLICAS k"),
        "*2\r\n%7\r\n$4\r\nnode\r\n$40\r\n0101010101010101010101010101010101010101\r\n$"
        "7\r\naddress\r\n$13\r\n10.0.0.1:6379\r\n"
        "$4\r\nrole\r\n$4\r\nhome\r\n$5\r\nstate\r\n$2\r\nok\r\n$8\r\nsiblings\r\n:1\r\n$"
        "5\r\nclock\r\n$20\r\n"
        "00000000000000aa.1:7\r\n$6\r\ndigest\r\n$16\r\n000000000000feed\r\n"
        "%7\r\n$4\r\nnode\r\n$40\r\n0202020202020202020202020202020202020202\r\n$7\r\naddress\r\n$"
        "13\r\n10.0.0.2:6379\r\n"
        "$4\r\nrole\r\n$8\r\nfallback\r\n$5\r\nstate\r\n$9\r\nno-answer\r\n$8\r\nsiblings\r\n:"
        "0\r\n$5\r\nclock\r\n$0\r\n\r\n"
        "$6\r\ndigest\r\n$16\r\n0000000000000000\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(configuration) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    ck_assert_str_eq(fake_ask(fake, fd, "CONFIG GET timeout"),
                     "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "CONFIG SET timeout 5"), "+OK\r\n");
    ck_assert_int_eq(fake->server.config->timeout_s, 5);
    ck_assert_str_eq(fake_ask(fake, fd, "CONFIG SET timeout 6 nosuch 1"),
                     "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n");
    ck_assert_int_eq(fake->server.config->timeout_s, 5);
    ck_assert_str_eq(fake_ask(fake, fd, "CONFIG SET partitions 8"),
                     "-ERR CONFIG SET failed (possibly related to argument 'partitions') - can't "
                     "set immutable config\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "CONFIG RESETSTAT"), "+OK\r\n");
    ck_assert_uint_eq(fake->server.counters.errors_replied, 0);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(info_has_sections) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    fake_ask(fake, fd, "GET k");
    fake_ask(fake, fd, "NOSUCH");
    const char *text = fake_ask(fake, fd, "INFO");
    static const char *const defaults[] = {"# Server\r\n",
                                           "# Clients\r\n",
                                           "# Memory\r\n",
                                           "# Persistence\r\n",
                                           "# Stats\r\n",
                                           "# Replication\r\n",
                                           "# CPU\r\n",
                                           "# Errorstats\r\nerrorstat_ERR:count=1\r\n",
                                           "# Cluster\r\ncluster_enabled:1\r\n",
                                           "# Keyspace\r\ndb0:keys=5,",
                                           "# Dynamo\r\nnode_id:0101"};
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        ck_assert_msg(strstr(text, defaults[i]) != NULL, "no %s", defaults[i]);
    }
    ck_assert_ptr_null(strstr(text, "# Commandstats"));
    ck_assert_ptr_nonnull(strstr(fake_ask(fake, fd, "INFO all"), "cmdstat_get:calls=1,"));
    text = fake_ask(fake, fd, "INFO cluster KEYSPACE");
    ck_assert_str_eq(text, "$76\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n# "
                           "Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "INFO nosuch"), "$0\r\n\r\n");
    fake_ask(fake, fd, "HELLO 3");
    ck_assert_int_eq(strncmp(fake_ask(fake, fd, "INFO cluster"), "=34\r\ntxt:# Cluster", 18), 0);
    fake->server.config->partitioner = PARTITIONER_MD5;
    ck_assert_ptr_nonnull(strstr(fake_ask(fake, fd, "INFO cluster"), "cluster_enabled:0"));
    close(fd);
    fake_free(fake);
}
END_TEST

/* ---- all keys ------------------------------------------------------------------------------------- */

/* Sets k0..k<count - 1>. */
static void set_many(struct fake *fake, int fd, int count) {
    char command[64];
    for (int i = 0; i < count; i++) {
        snprintf(command, sizeof(command), "SET k%d v", i);
        ck_assert_str_eq(fake_ask(fake, fd, command), "+OK\r\n");
    }
}

START_TEST(scans_are_parsed_as_redis_does) {
    static const struct exchange table[] = {
        {"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN x", "-ERR invalid cursor\r\n"},
        {"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"},
        {"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
        {"SCAN 0 COUNT -2147483648", "-ERR syntax error\r\n"},
        {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"},
        {"SCAN 0 MATCH", "-ERR syntax error\r\n"},
        {"SCAN", "-ERR wrong number of arguments for 'scan' command\r\n"},
        {"SET only v", "+OK\r\n"},
        {"SCAN 0 MATCH on* COUNT 9223372036854775807 TYPE STRING",
         "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nonly\r\n"},
        {"SCAN 0 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"SCAN 0 MATCH x*", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"KEYS *", "*1\r\n$4\r\nonly\r\n"},
        {"KEYS [", "*0\r\n"},
        {"RANDOMKEY", "$4\r\nonly\r\n"},
        {"FLUSHALL now", "-ERR syntax error\r\n"},
        {"FLUSHALL SYNC ASYNC", "-ERR syntax error\r\n"},
        {"FLUSHDB async", "+OK\r\n"},
        {"RANDOMKEY", "$-1\r\n"},
        {"KEYS *", "*0\r\n"},
    };
    CHECK_EXCHANGES(table);
}
END_TEST

START_TEST(pages_are_gathered) {
    enum { KEYS = 1300 };
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    struct buf reply = {0};
    set_many(fake, fd, KEYS);
    fake_send_words(fd, "KEYS k*");
    fake_collect(fake, fd, &reply);
    ck_assert_int_eq(buf_append(&reply, "", 1), RD_OK);
    ck_assert_int_eq(strncmp((const char *)buf_data(&reply), "*1300\r\n", 7), 0);
    buf_reset(&reply, 0);
    fake_send_words(fd, "SCAN 0 COUNT 1200");
    fake_collect(fake, fd, &reply);
    ck_assert_int_eq(buf_append(&reply, "", 1), RD_OK);
    ck_assert_ptr_nonnull(strstr((const char *)buf_data(&reply), "\r\n*1200\r\n"));
    ck_assert_str_eq(fake_ask(fake, fd, "FLUSHALL"), "+OK\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "DBSIZE"), ":0\r\n");
    buf_free(&reply);
    close(fd);
    fake_free(fake);
}
END_TEST

/* What is sent behind FLUSHALL waits for it, what was sent before is waited for. */
START_TEST(a_flush_is_alone_on_its_connection) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    fake->hold = true;
    fake_send_words(fd, "SET before v");
    fake_send_words(fd, "FLUSHALL");
    fake_send_words(fd, "SET behind v");
    fake_settle(fake);
    ck_assert_uint_eq(fake->request_count, 1);
    fake_answer(fake, 0);
    fake_settle(fake);
    ck_assert_uint_eq(fake->request_count, 4); /* the quarters */
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(fake->requests[0].request.op, CLIENT_FLUSH);
        fake_answer(fake, 0);
    }
    fake_settle(fake);
    ck_assert_uint_eq(fake->request_count, 1);
    ck_assert_int_eq(fake->requests[0].request.op, CLIENT_WRITE);
    fake->hold = false;
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n+OK\r\n+OK\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "KEYS *"), "*1\r\n$6\r\nbehind\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(a_page_that_fails_is_tried_again) {
    struct fake *fake = fake_new(1);
    int fd = fake_connect(fake);
    set_many(fake, fd, 10);
    fake->hold = true;
    fake_send_words(fd, "FLUSHALL");
    fake_settle(fake);
    fake->fail_with = RD_EUNKNOWN;
    fake_answer(fake, 0);
    fake->fail_with = RD_OK;
    ck_assert_uint_eq(fake->request_count, 4);
    fake->hold = false;
    fake_settle(fake);
    ck_assert_str_eq(fake_received(fd, NULL), "+OK\r\n");
    fake->fail_with = RD_ENOQUORUM;
    ck_assert_str_eq(
        fake_ask(fake, fd, "FLUSHALL"),
        "-NOQUORUM the fake says RD_ENOQUORUM; 0 keys were deleted, 0 of 4 quarters of "
        "the slots are done\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "KEYS *"), "-NOQUORUM the fake says RD_ENOQUORUM\r\n");
    fake->fail_with = RD_OK;
    ck_assert_str_eq(fake_ask(fake, fd, "KEYS *"), "*0\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("commands");
    TCase *tcase = tcase_create("commands");
    tcase_set_timeout(tcase, 20);
    tcase_add_test(tcase, strings);
    tcase_add_test(tcase, many_keys);
    tcase_add_test(tcase, more_keys_than_the_window);
    tcase_add_test(tcase, errors_have_codes);
    tcase_add_test(tcase, some_keys_were_written);
    tcase_add_test(tcase, a_read_shows_the_newest_that_lives);
    tcase_add_test(tcase, a_context_replaces_what_it_covers);
    tcase_add_test(tcase, options_are_checked);
    tcase_add_test(tcase, a_connection_has_its_own_quorum);
    tcase_add_test(tcase, siblings_are_described);
    tcase_add_test(tcase, configuration);
    tcase_add_test(tcase, info_has_sections);
    tcase_add_test(tcase, scans_are_parsed_as_redis_does);
    tcase_add_test(tcase, pages_are_gathered);
    tcase_add_test(tcase, a_flush_is_alone_on_its_connection);
    tcase_add_test(tcase, a_page_that_fails_is_tried_again);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
