/* SCAN, KEYS and FLUSHALL over real clusters: while nodes die, where one was away, and with many keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define NODES 3
#define KEYS 3000

/* Sets prefix0..prefix<count - 1> through one node, pipelined. */
static void set_many(const struct node *node, const char *prefix, unsigned count) {
    struct client c;
    redisReply *reply;
    client_open(&c, node->port);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(redisAppendCommand(c.redis, "SET %s%u v", prefix, i), REDIS_OK);
    }
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(redisGetReply(c.redis, (void **)&reply), REDIS_OK);
        ck_assert_str_eq(reply->str, "OK");
        freeReplyObject(reply);
    }
    client_close(&c);
}

/* Counts the keys of a reply's array in `seen`. */
static void note_keys(const redisReply *keys, const char *prefix, unsigned *seen, unsigned count) {
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        ck_assert_int_eq(strncmp(key, prefix, strlen(prefix)), 0);
        unsigned long number = strtoul(key + strlen(prefix), NULL, 10);
        ck_assert_uint_lt(number, count);
        seen[number]++;
    }
}

static void check_all_seen(const unsigned *seen, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        ck_assert_msg(seen[i] > 0, "key %u was not returned", i);
    }
}

/* One page of a scan, from whichever node answers it; the cursor moves. */
static void page(const struct cluster *cluster, size_t turn, uint64_t *cursor, unsigned *seen) {
    for (unsigned tries = 0;; tries++) {
        struct client c;
        ck_assert_uint_lt(tries, 200);
        if (!client_try_open(&c, cluster->nodes[(turn + tries) % NODES].port)) {
            continue;
        }
        redisReply *reply =
            redisCommand(c.redis, "SCAN %llu COUNT 50", (unsigned long long)*cursor);
        bool done = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
        if (done) {
            *cursor = strtoull(reply->element[0]->str, NULL, 10);
            note_keys(reply->element[1], "k", seen, KEYS);
        } else {
            ck_assert_msg(reply == NULL || strncmp(reply->str, "NOQUORUM", 8) == 0, "%s",
                          reply->str);
            proc_sleep_ms(20);
        }
        if (reply != NULL) {
            freeReplyObject(reply);
        }
        client_close(&c);
        if (done) {
            return;
        }
    }
}

/* Each page is asked of another node, and nodes die and come back meanwhile. */
START_TEST(a_scan_survives_the_death_of_nodes) {
    struct cluster *cluster = cluster_start(NODES, "");
    unsigned *seen = calloc(KEYS, sizeof(*seen));
    uint64_t cursor = 0;
    set_many(&cluster->nodes[0], "k", KEYS);
    size_t turn = 0;
    do {
        if (turn == 10) {
            node_kill(&cluster->nodes[1]);
        }
        if (turn == 25) {
            node_start(&cluster->nodes[1]);
            cluster_wait(cluster);
            node_kill(&cluster->nodes[2]);
        }
        page(cluster, turn++, &cursor, seen);
    } while (cursor != 0);
    ck_assert_uint_gt(turn, 30);
    check_all_seen(seen, KEYS);
    node_kill(&cluster->nodes[1]);
    struct client c;
    client_open(&c, cluster->nodes[0].port);
    WAIT_FOR(strstr(ask(&c, "SCAN 0"), "-NOQUORUM") != NULL);
    expect(&c, "-NOQUORUM *", "KEYS *");
    expect(&c, "-NOQUORUM *quarters of the slots are done", "FLUSHALL");
    expect(&c, "*", "DYNQUORUM R 1"); /* one replica is enough for who says so */
    expect(&c, "[\"*", "SCAN 0");
    client_close(&c);
    free(seen);
    cluster_free(&cluster);
}
END_TEST

/* A node that was away while keys were deleted does not bring them back to those who scan. */
START_TEST(what_was_deleted_is_not_shown) {
    struct cluster *cluster = cluster_start(NODES, "");
    struct client c;
    set_many(&cluster->nodes[0], "k", 200);
    node_kill(&cluster->nodes[2]);
    client_open(&c, cluster->nodes[0].port);
    WAIT_FOR(node_info(&cluster->nodes[0], "members_up") == 2);
    for (unsigned i = 0; i < 100; i++) {
        expect(&c, ":1", "DEL k%u", i);
    }
    node_start(&cluster->nodes[2]);
    cluster_wait(cluster);
    client_close(&c);
    for (size_t i = 0; i < NODES; i++) {
        unsigned seen[200] = {0};
        client_open(&c, cluster->nodes[i].port);
        redisReply *reply = redisCommand(c.redis, "KEYS *");
        ck_assert_uint_eq(reply->elements, 100);
        note_keys(reply, "k", seen, 200);
        for (unsigned k = 0; k < 200; k++) {
            ck_assert_uint_eq(seen[k], k >= 100);
        }
        freeReplyObject(reply);
        client_close(&c);
    }
    cluster_free(&cluster);
}
END_TEST

/* Two of five nodes are dead: what is written now has one home left in some partitions, and lies with fallbacks besides. */
START_TEST(what_fallbacks_keep_is_shown) {
    struct cluster *cluster = cluster_start(5, "");
    node_kill(&cluster->nodes[3]);
    node_kill(&cluster->nodes[4]);
    WAIT_FOR(node_info(&cluster->nodes[0], "members_up") == 3);
    set_many(&cluster->nodes[0], "k", 300);
    for (size_t i = 0; i < 3; i++) {
        struct client c;
        unsigned seen[300] = {0};
        WAIT_FOR(node_info(&cluster->nodes[i], "members_up") == 3);
        client_open(&c, cluster->nodes[i].port);
        redisReply *reply = redisCommand(c.redis, "KEYS *");
        ck_assert_msg(reply->type == REDIS_REPLY_ARRAY, "%s", reply->str);
        ck_assert_uint_eq(reply->elements, 300);
        note_keys(reply, "k", seen, 300);
        check_all_seen(seen, 300);
        freeReplyObject(reply);
        client_close(&c);
    }
    cluster_free(&cluster);
}
END_TEST

/* Very many keys of one slot: pages are cut behind keys, and each node finds where another one stopped. */
START_TEST(a_slot_of_many_keys) {
    struct cluster *cluster = cluster_start(NODES, "");
    unsigned *seen = calloc(KEYS, sizeof(*seen)), pages = 0;
    uint64_t cursor = 0;
    set_many(&cluster->nodes[0], "{tag}", KEYS);
    do {
        struct client c;
        client_open(&c, cluster->nodes[pages++ % NODES].port);
        redisReply *reply = redisCommand(c.redis, "SCAN %llu", (unsigned long long)cursor);
        ck_assert_int_eq(reply->type, REDIS_REPLY_ARRAY);
        cursor = strtoull(reply->element[0]->str, NULL, 10);
        ck_assert_uint_le(reply->element[1]->elements, 1024);
        note_keys(reply->element[1], "{tag}", seen, KEYS);
        freeReplyObject(reply);
        client_close(&c);
    } while (cursor != 0);
    ck_assert_uint_ge(pages, 5);
    check_all_seen(seen, KEYS);
    free(seen);
    cluster_free(&cluster);
}
END_TEST

START_TEST(a_flush_takes_all_and_nothing_later) {
    struct cluster *cluster = cluster_start(NODES, "");
    struct client clients[NODES];
    for (size_t i = 0; i < NODES; i++) {
        client_open(&clients[i], cluster->nodes[i].port);
    }
    for (unsigned round = 0; round < 3; round++) {
        struct client *c = &clients[round];
        set_many(&cluster->nodes[round], "k", KEYS);
        expect(c, "\"*", "DYNSET sibling a");
        expect(c, "\"*", "DYNSET sibling b");
        expect(c, "+OK", "SET soon v PX 1");
        expect(c, "+OK", "FLUSHALL");
        expect(c, "+OK", "SET later v");
        for (size_t i = 0; i < NODES; i++) {
            expect(&clients[i], "[\"later\"]", "KEYS *");
            expect(&clients[i], "[\"0\", [\"later\"]]", "SCAN 0 COUNT 1000");
            expect(&clients[i], "\"later\"", "RANDOMKEY");
            expect(&clients[i], ":1", "DBSIZE");
            expect(&clients[i], "nil", "GET k7");
        }
    }
    for (size_t i = 0; i < NODES; i++) {
        client_close(&clients[i]);
    }
    cluster_free(&cluster);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scan");
    TCase *own = run_group(suite, NULL, NULL);
    tcase_set_timeout(own, 120);
    tcase_add_test(own, a_scan_survives_the_death_of_nodes);
    tcase_add_test(own, what_was_deleted_is_not_shown);
    tcase_add_test(own, what_fallbacks_keep_is_shown);
    tcase_add_test(own, a_slot_of_many_keys);
    tcase_add_test(own, a_flush_takes_all_and_nothing_later);
    return run_tests(suite);
}
