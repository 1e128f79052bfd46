/* Commands on strings, through every node of a cluster: each node serves each key, and what one acknowledged all show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define NODES 3

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(NODES, "");
}

static void stop(void) {
    cluster_free(&cluster);
}

static void open_all(struct client clients[NODES]) {
    for (int i = 0; i < NODES; i++) {
        client_open(&clients[i], cluster->nodes[i].port);
    }
}

static void close_all(struct client clients[NODES]) {
    for (int i = 0; i < NODES; i++) {
        client_close(&clients[i]);
    }
}

START_TEST(every_command) {
    static const struct exchange table[] = {
        {"DEL s1 s2 s3 \"\"", ":*"},
        {"GET s1", "nil"},
        {"STRLEN s1", ":0"},
        {"TYPE s1", "+none"},
        {"EXISTS s1", ":0"},
        {"SET s1 one", "+OK"},
        {"GET s1", "\"one\""},
        {"SET s1 three", "+OK"},
        {"GET s1", "\"three\""},
        {"STRLEN s1", ":5"},
        {"TYPE s1", "+string"},
        {"EXISTS s1 s1 s2", ":2"},
        {"MSET s1 a s2 b s3 c", "+OK"},
        {"MGET s1 nosuch s3 s1", "[\"a\", nil, \"c\", \"a\"]"},
        {"MSET s1 first s1 last", "+OK"},
        {"GET s1", "\"last\""},
        {"DEL s1 s1 nosuch", ":1"},
        {"DEL s1", ":0"},
        {"UNLINK s2 s3 s3", ":2"},
        {"MGET s1 s2 s3", "[nil, nil, nil]"},
        {"SET s1 again", "+OK"},
        {"GET s1", "\"again\""},
        {"SET \"\" \"\"", "+OK"},
        {"GET \"\"", "\"\""},
        {"EXISTS \"\"", ":1"},
        {"STRLEN \"\"", ":0"},
        {"SET s1 v EX 1000", "+OK"},
        {"SET s1 v PX 1000000", "+OK"},
        {"SET s1 v px 1000000", "+OK"},
        {"GET s1", "\"v\""},
        {"SET s1 v EXAT 1", "+OK"},
        {"GET s1", "nil"},
        {"EXISTS s1", ":0"},
        {"TYPE s1", "+none"},
        {"DEL s1", ":0"},
        {"SET s1 v PXAT 99999999999999", "+OK"},
        {"GET s1", "\"v\""},
        {"SET s1 v EXAT 1", "+OK"},
        {"MGET s1", "[nil]"},
        {"SET s1 v", "+OK"},
        {"SET s1 w EX 0", "-ERR invalid expire time in 'set' command"},
        {"SET s1 w EX x", "-ERR value is not an integer or out of range"},
        {"SET s1 w EX 10 PX 10", "-ERR syntax error"},
        {"SET s1 w NOSUCH", "-ERR syntax error"},
        {"GET s1", "\"v\""},
        {"MSET s1 w s2", "-ERR wrong number of arguments for 'mset' command"},
        {"GET s1", "\"v\""},
        {"LPUSH s1 x", "-ERR unknown command 'LPUSH', with args beginning with: 's1' 'x' "},
        {"DEL s1 \"\"", ":2"},
    };
    struct client c;
    client_open(&c, cluster->nodes[_i].port);
    PLAY(&c, table);
    client_close(&c);
}
END_TEST

/* R+W > N: a read through any node after the acknowledgement of any other. */
START_TEST(what_one_node_took_all_show) {
    struct client clients[NODES];
    open_all(clients);
    for (int round = 0; round < 20; round++) {
        for (int writer = 0; writer < NODES; writer++) {
            expect(&clients[writer], "+OK", "SET shared%d %d.%d", round % 5, round, writer);
            for (int reader = 0; reader < NODES; reader++) {
                char value[32];
                snprintf(value, sizeof value, "\"%d.%d\"", round, writer);
                expect(&clients[reader], value, "GET shared%d", round % 5);
            }
        }
        int deleter = round % NODES;
        expect(&clients[deleter], ":1", "DEL shared%d", round % 5);
        for (int reader = 0; reader < NODES; reader++) {
            expect(&clients[reader], "nil", "GET shared%d", round % 5);
        }
    }
    /* Blind writes one after another leave one value. */
    expect(&clients[0], "+OK", "SET shared0 a");
    expect(&clients[1], "+OK", "SET shared0 b");
    expect(&clients[2], "[\"*\", [\"b\"]]", "DYNGET shared0");
    close_all(clients);
}
END_TEST

START_TEST(keys_expire_everywhere) {
    struct client clients[NODES];
    open_all(clients);
    expect(&clients[0], "+OK", "SET short v PX 150");
    expect(&clients[0], "+OK", "SET long v EX 1000");
    expect(&clients[1], "+OK", "SET at v PXAT %llu", (unsigned long long)proc_wall_ms() + 150);
    for (int i = 0; i < NODES; i++) {
        WAIT_FOR(strcmp(ask(&clients[i], "MGET short at long"), "[nil, nil, \"v\"]") == 0);
        expect(&clients[i], ":1", "EXISTS short at long");
    }
    expect(&clients[2], ":0", "DEL short");
    expect(&clients[2], "+OK", "SET short anew");
    expect(&clients[0], "\"anew\"", "GET short");
    /* A plain SET ends an expiry. */
    expect(&clients[0], "+OK", "SET long v2");
    expect(&clients[1], "[[*\"expires\", nil, *]]", "DYNSIBLINGS long");
    close_all(clients);
}
END_TEST

/* All bytes, in keys and in values, at every length up to a few hundred. */
START_TEST(keys_and_values_are_bytes) {
    struct client clients[NODES];
    char bytes[1024];
    open_all(clients);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 167 + i / 256);
    }
    for (size_t len = 0; len < 600; len += len < 20 ? 1 : 37) {
        const char *argv[] = {"SET", bytes + 1, bytes + 2};
        size_t lengths[] = {3, len, len + 256};
        redisReply *reply = client_call(&clients[len % NODES], 3, argv, lengths);
        ck_assert(reply != NULL && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        argv[0] = "GET";
        reply = client_call(&clients[(len + 1) % NODES], 2, argv, lengths);
        ck_assert(reply != NULL && reply->type == REDIS_REPLY_STRING);
        ck_assert_uint_eq(reply->len, len + 256);
        ck_assert_mem_eq(reply->str, bytes + 2, reply->len);
        freeReplyObject(reply);
    }
    close_all(clients);
}
END_TEST

/* SET through one node, GET through the next, of bytes that depend on `seed`. */
static void round_trip(struct client clients[NODES], int writer, size_t key_len, size_t size) {
    char *bytes = malloc(key_len + size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < key_len + size; i++) {
        bytes[i] = (char)(i * 31 + (i >> 9) + (size_t)writer);
    }
    const char *argv[] = {"SET", bytes, bytes + key_len};
    size_t lengths[] = {3, key_len, size};
    redisReply *reply = client_call(&clients[writer], 3, argv, lengths);
    ck_assert(reply != NULL && reply->type == REDIS_REPLY_STATUS);
    freeReplyObject(reply);
    argv[0] = "GET";
    reply = client_call(&clients[(writer + 1) % NODES], 2, argv, lengths);
    ck_assert(reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == size);
    ck_assert(memcmp(reply->str, bytes + key_len, size) == 0);
    freeReplyObject(reply);
    argv[0] = "DEL";
    reply = client_call(&clients[(writer + 2) % NODES], 2, argv, lengths);
    ck_assert(reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer == 1);
    freeReplyObject(reply);
    free(bytes);
}

/* Values of 1 MB, long keys, and a value as long as proto-max-bulk-len allows. */
START_TEST(large_keys_and_values) {
    struct client clients[NODES];
    open_all(clients);
    for (int i = 0; i < NODES; i++) {
        round_trip(clients, i, 5, (size_t)1 << 20);
        round_trip(clients, i, 300000, 10);
        round_trip(clients, i, (size_t)1 << 20, (size_t)1 << 20);
    }
    round_trip(clients, 0, 3, (size_t)16 << 20);
    close_all(clients);
    struct raw raw;
    raw_open(&raw, cluster->nodes[0].port);
    raw_send(&raw, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$16777217\r\n", 32);
    raw_expect(&raw, "-ERR Protocol error: invalid bulk length");
    raw_expect(&raw, "closed");
    raw_close(&raw);
}
END_TEST

/* 10,000 commands sent before the first reply is read: all replies, in order, each seeing those before it. */
START_TEST(pipelining) {
    struct client c;
    redisReply *reply;
    client_open(&c, cluster->nodes[_i].port);
    for (int i = 0; i < 5000; i++) {
        redisAppendCommand(c.redis, "SET pipe%d %d", i % 100, i);
        redisAppendCommand(c.redis, "GET pipe%d", i % 100);
    }
    for (int i = 0; i < 5000; i++) {
        ck_assert_int_eq(redisGetReply(c.redis, (void **)&reply), REDIS_OK);
        ck_assert_msg(reply->type == REDIS_REPLY_STATUS, "SET %d: %s", i, reply->str);
        freeReplyObject(reply);
        ck_assert_int_eq(redisGetReply(c.redis, (void **)&reply), REDIS_OK);
        ck_assert_msg(reply->type == REDIS_REPLY_STRING && strtol(reply->str, NULL, 10) == i,
                      "GET %d: %s", i, reply->str != NULL ? reply->str : "nil");
        freeReplyObject(reply);
    }
    client_close(&c);
}
END_TEST

START_TEST(dbsize_counts_the_cluster) {
    struct cluster *fresh = cluster_start(NODES, "");
    struct client c;
    client_open(&c, fresh->nodes[1].port);
    expect(&c, ":0", "DBSIZE");
    for (int i = 0; i < 50; i++) {
        expect(&c, "+OK", "SET key%d v", i);
    }
    WAIT_FOR(strcmp(ask(&c, "DBSIZE"), ":50") == 0);
    expect(&c, ":1", "DEL key7");
    WAIT_FOR(strcmp(ask(&c, "DBSIZE"), ":49") == 0);
    client_close(&c);
    cluster_free(&fresh);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("strings");
    TCase *shared = run_group(suite, start, stop), *own = run_group(suite, NULL, NULL);
    tcase_add_loop_test(shared, every_command, 0, NODES);
    tcase_add_test(shared, what_one_node_took_all_show);
    tcase_add_test(shared, keys_expire_everywhere);
    tcase_add_test(shared, keys_and_values_are_bytes);
    tcase_add_test(shared, large_keys_and_values);
    tcase_add_loop_test(shared, pipelining, 0, NODES);
    tcase_add_test(own, dbsize_counts_the_cluster);
    return run_tests(suite);
}
