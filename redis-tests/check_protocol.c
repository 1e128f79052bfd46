/* RESP3 through our own reader and through redis-cli -3; how bytes may arrive, and clients that do not behave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(literal) literal, sizeof(literal) - 1

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(3, "");
}

static void stop(void) {
    cluster_free(&cluster);
}

static int port(void) {
    return cluster->nodes[0].port;
}

/* ---- RESP3 ----------------------------------------------------------------------------------------- */

static const struct exchange resp3[] = {
    {"HELLO 3", "{\"server\": \"redis\", \"version\": \"7.2.0\", \"proto\": :3, \"id\": :*, "
                "\"mode\": \"cluster\", \"role\": \"master\", \"modules\": []}"},
    {"GET nosuch", "nil"},
    {"SET three v", "+OK"},
    {"MGET three nosuch", "[\"v\", nil]"},
    {"DYNGET nosuch", "{\"context\": \"*\", \"values\": []}"},
    {"DYNGET three", "{\"context\": \"*\", \"values\": [\"v\"]}"},
    {"DYNSET three w", "\"*\""},
    {"DYNGET three", "{\"context\": \"*\", \"values\": [\"w\", \"v\"]}"},
    {"DYNSIBLINGS three", "[{\"value\": \"w\", \"dot\": \"*\", \"clock\": \"*\", \"time\": :*, "
                          "\"expires\": nil, \"tombstone\": #f}, {\"value\": \"v\", *}]"},
    {"DEL three", ":1"},
    {"DYNSIBLINGS three", "[{\"value\": nil, \"dot\": nil, *, \"tombstone\": #t}]"},
    {"DYNREPLICAS three",
     "[{\"node\": \"*\", \"address\": \"*\", \"role\": \"home\", \"state\": \"*\", \"siblings\": "
     ":*, \"clock\": \"*\", \"digest\": \"*\"}, {*}, {*}]"},
    {"DYNPREFLIST three",
     "{\"slot\": :*, \"partition\": :*, \"nodes\": [{\"node\": \"*\", \"address\": \"*\", "
     "\"role\": \"home\", \"zone\": \"\", \"state\": \"up\"}, {*}, {*}]}"},
    {"DYNQUORUM MONOTONIC yes", "{\"n\": :3, \"r\": :2, \"w\": :2, \"monotonic\": #t}"},
    {"DYNCLUSTER NODES",
     "[{\"id\": \"*\", \"address\": \"*\", \"cluster-port\": :*, \"zone\": \"\", \"vnodes\": :*, "
     "\"state\": \"up\", \"status\": \"member\", \"partitions\": :*, \"hints-pending\": :0, "
     "\"last-heard-ms\": :*}, {*}, {*}]"},
    {"DYNCLUSTER HINTS", "[]"},
    {"DYNCLUSTER RING PARTITION 0",
     "[{\"partition\": :0, \"first-slot\": :0, \"last-slot\": :3, \"nodes\": [*]}]"},
    {"CONFIG GET timeout", "{\"timeout\": \"0\"}"},
    {"CONFIG GET nosuch", "{}"},
    {"INFO cluster", "=\"txt:# Cluster\\r\\ncluster_enabled:1\\r\\n\""},
    {"CLUSTER NODES", "=\"txt:*\""},
    {"CLUSTER SHARDS", "[{\"slots\": [:*], \"nodes\": [{\"id\": \"*\", \"port\": :*, *}*]}*]"},
    {"CLUSTER SLOTS", "[[:0, :*, [\"127.0.0.1\", :*, \"*\", {}], *]*]"},
    {"COMMAND DOCS get", "{\"get\": {\"summary\": \"*\", *}}"},
    {"COMMAND INFO get", "[[\"get\", :2, ~[*+readonly*], :1, :1, :1, ~[*+@*], *]]"},
    {"CLIENT LIST", "=\"txt:*resp=3*\""},
    {"CLIENT GETNAME", "nil"},
    {"NOSUCH", "-ERR unknown command *"},
    {"HELLO 2", "[\"server\", \"redis\", *\"proto\", :2, *]"},
    {"GET nosuch", "nil"},
    {"DYNQUORUM", "[*\"monotonic\", :1]"},
    {"HELLO 3", "{*}"},
    {"RESET", "+RESET"},
    {"DYNQUORUM", "[\"n\", :3, \"r\", :2, \"w\", :2, \"monotonic\", :0]"},
};

START_TEST(replies_in_resp3) {
    struct raw raw;
    raw_open(&raw, port());
    for (size_t i = 0; i < COUNT(resp3); i++) {
        raw_command(&raw, resp3[i].command);
        const char *got = raw_reply(&raw);
        ck_assert_msg(show_matches(resp3[i].reply, got), "%s\n  expected %s\n  got      %.2000s",
                      resp3[i].command, resp3[i].reply, got);
    }
    raw_close(&raw);
}
END_TEST

START_TEST(redis_cli) {
    static const struct {
        const char *arguments, *said;
    } cases[] = {
        {"-3 SET cli v", "OK\n"},
        {"-3 DYNGET cli", "1# \"context\" => \"*\"\n2# \"values\" => 1) \"v\"\n"},
        {"DYNGET cli", "1) \"*\"\n2) 1) \"v\"\n"},
        {"-3 GET nosuch", "(nil)\n"},
        {"-3 DYNQUORUM", "1# \"n\" => (integer) 3\n2# \"r\" => (integer) 2\n3# \"w\" => (integer) "
                         "2\n4# \"monotonic\" => (false)\n"},
        {"-3 CONFIG GET timeout", "1# \"timeout\" => \"0\"\n"},
        {"INFO cluster", "# Cluster*"},
        {"-3 CLUSTER INFO", "cluster_state:ok*"},
        {"-2 ECHO 'a b'", "\"a b\"\n"},
        {"PING", "PONG\n"},
    };
    struct buf out = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        proc_run(&out, "redis-cli -p %d --no-raw %s", port(), cases[i].arguments);
        ck_assert_msg(show_matches(cases[i].said, show_text(&out)), "redis-cli %s: %s",
                      cases[i].arguments, show_text(&out));
    }
    buf_free(&out);
}
END_TEST

/* ---- how bytes arrive ------------------------------------------------------------------------------ */

static const char stream[] = "*3\r\n$3\r\nSET\r\n$4\r\nbyte\r\n$5\r\na\r\nbc\r\n"
                             "PING \"in line\"\r\n"
                             "*2\r\n$3\r\nGET\r\n$4\r\nbyte\r\n"
                             "*0\r\n\r\n"
                             "*1\r\n$4\r\nQUIT\r\n";

/* Byte by byte, and cut once at every place. */
START_TEST(bytes_arrive_as_they_like) {
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        struct raw raw;
        raw_open(&raw, port());
        if (cut == 0) {
            for (size_t i = 0; i < sizeof stream - 1; i++) {
                raw_send(&raw, stream + i, 1);
                proc_sleep_ms(1);
            }
        } else {
            raw_send(&raw, stream, cut);
            proc_sleep_ms(1);
            raw_send(&raw, stream + cut, sizeof stream - 1 - cut);
        }
        raw_expect(&raw, "+OK");
        raw_expect(&raw, "\"in line\"");
        raw_expect(&raw, "\"a\\r\\nbc\"");
        raw_expect(&raw, "+OK");
        raw_expect(&raw, "closed");
        raw_close(&raw);
    }
}
END_TEST

/* A client that has said all it wants and closes its side still gets every reply. */
START_TEST(half_closed) {
    struct raw raw;
    raw_open(&raw, port());
    for (int i = 0; i < 1000; i++) {
        raw_command(&raw, i % 2 == 0 ? "SET half value" : "GET half");
    }
    shutdown(raw.fd, SHUT_WR);
    for (int i = 0; i < 1000; i++) {
        raw_expect(&raw, i % 2 == 0 ? "+OK" : "\"value\"");
    }
    raw_expect(&raw, "closed");
    raw_close(&raw);
}
END_TEST

/* A client that goes away with commands in flight harms nobody, and they are carried out. */
START_TEST(gone_in_the_middle) {
    struct client c;
    client_open(&c, port());
    for (int i = 0; i < 200; i++) {
        struct raw raw;
        raw_open(&raw, cluster->nodes[i % 3].port);
        raw_command(&raw, "SET gone value");
        raw_command(&raw, "GET gone");
        raw_send(&raw, BYTES("*2\r\n$3\r\nGET\r\n$100\r\nabc"));
        raw_close(&raw);
    }
    WAIT_FOR(strcmp(ask(&c, "GET gone"), "\"value\"") == 0);
    for (int i = 0; i < 3; i++) {
        WAIT_FOR(node_info(&cluster->nodes[i], "connected_clients") <= 2);
        WAIT_FOR(node_info(&cluster->nodes[i], "node_requests_in_flight") <= 1);
    }
    client_close(&c);
}
END_TEST

/* ---- clients that cost too much -------------------------------------------------------------------- */

START_TEST(strangers_get_little) {
    static const struct {
        const char *bytes;
        size_t len;
        const char *reply;
    } cases[] = {
        {BYTES("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length"},
        {BYTES("*1\r\n$16385\r\n"), "-ERR Protocol error: unauthenticated bulk length"},
        {BYTES("*10\r\n$4\r\nPING\r\n*x\r\n"), "-ERR Protocol error: expected '$', got '*'"},
    };
    struct cluster *locked = cluster_start(1, "");
    struct client c;
    struct raw raw;
    client_open(&c, locked->nodes[0].port);
    expect(&c, "+OK", "CONFIG SET requirepass secret");
    for (size_t i = 0; i < COUNT(cases); i++) {
        raw_open(&raw, locked->nodes[0].port);
        raw_send(&raw, cases[i].bytes, cases[i].len);
        raw_expect(&raw, cases[i].reply);
        raw_expect(&raw, "closed");
        raw_close(&raw);
    }
    raw_open(&raw, locked->nodes[0].port);
    raw_command(&raw, "AUTH secret");
    raw_expect(&raw, "+OK");
    raw_command(&raw, "MGET 1 2 3 4 5 6 7 8 9 10 11 12");
    raw_expect(&raw, "[nil, nil, *]");
    raw_close(&raw);
    client_close(&c);
    cluster_free(&locked);
}
END_TEST

/* Behind its limits a client is let go: of what it sends, of what it does not read, of how long it says nothing. */
START_TEST(limits_of_a_client) {
    struct cluster *own = cluster_start(1, "");
    struct client c;
    struct raw raw;
    size_t size = (size_t)1 << 20;
    char *big = malloc(size);
    memset(big, 'x', size);
    client_open(&c, own->nodes[0].port);
    /* queries */
    expect(&c, "+OK", "CONFIG SET client-query-buffer-limit 1mb");
    raw_open(&raw, own->nodes[0].port);
    raw_send(&raw, BYTES("*3\r\n$3\r\nSET\r\n$800000\r\n"));
    raw_send(&raw, big, 800000);
    raw_send(&raw, BYTES("\r\n$800000\r\n"));
    raw_send(&raw, big, 800000);
    const char *said = raw_reply(&raw);
    if (strcmp(said, "closed") != 0) {
        ck_assert_msg(show_matches("-ERR *", said), "%s", said);
        raw_expect(&raw, "closed");
    }
    raw_close(&raw);
    expect(&c, "+OK", "CONFIG SET client-query-buffer-limit 1gb");
    /* replies that are not read */
    expect(&c, "+OK", "SET big %0900000d", 1);
    expect(&c, "+OK", "CONFIG SET client-output-buffer-limit \"normal 5mb 0 0\"");
    raw_open(&raw, own->nodes[0].port);
    for (int i = 0; i < 100; i++) {
        raw_command(&raw, "GET big");
    }
    WAIT_FOR(client_info(&c, "client_output_buffer_limit_disconnections") == 1);
    raw_close(&raw);
    expect(&c, "+PONG", "PING");
    expect(&c, "+OK", "CONFIG SET client-output-buffer-limit \"normal 0 0 0\"");
    /* silence */
    raw_open(&raw, own->nodes[0].port);
    expect(&c, "+OK", "CONFIG SET timeout 1");
    raw_expect(&raw, "closed");
    raw_close(&raw);
    client_close(&c);
    free(big);
    cluster_free(&own);
}
END_TEST

/* Without a limit, replies wait for a slow reader; nobody else does. */
START_TEST(a_slow_reader) {
    struct client c;
    struct raw raw;
    client_open(&c, port());
    expect(&c, "+OK", "SET slow %0500000d", 7);
    raw_open(&raw, port());
    for (int i = 0; i < 60; i++) {
        raw_command(&raw, "GET slow");
    }
    for (int i = 0; i < 100; i++) {
        expect(&c, "+OK", "SET other %d", i);
    }
    for (int i = 0; i < 60; i++) {
        raw_expect(&raw, "\"00*07\"");
    }
    raw_close(&raw);
    client_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("protocol");
    TCase *shared = run_group(suite, start, stop), *own = run_group(suite, NULL, NULL);
    tcase_add_test(shared, replies_in_resp3);
    tcase_add_test(shared, redis_cli);
    tcase_add_test(shared, bytes_arrive_as_they_like);
    tcase_add_test(shared, half_closed);
    tcase_add_test(shared, gone_in_the_middle);
    tcase_add_test(shared, a_slow_reader);
    tcase_add_test(own, strangers_get_little);
    tcase_add_test(own, limits_of_a_client);
    return run_tests(suite);
}
