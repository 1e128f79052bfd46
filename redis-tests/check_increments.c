/* Many clients count in one key, through all nodes, while a node is killed and comes back: nothing is lost, nothing counted twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"

#define NODES 3
#define CLIENTS 50
#define ROUNDS 200 /* each client's increments */

struct counts {
    long long done, unknown; /* acknowledged; perhaps done */
};

/* A connection to a node that runs, the preferred one if it does. */
static redisContext *connect_near(const struct cluster *cluster, size_t preferred) {
    for (size_t i = 0; i < NODES; i++) {
        const struct node *node = &cluster->nodes[(preferred + i) % NODES];
        redisContext *redis = node->pid != 0 ? redisConnect("127.0.0.1", node->port) : NULL;
        if (redis != NULL && redis->err == 0) {
            return redis;
        }
        if (redis != NULL) {
            redisFree(redis);
        }
    }
    ck_abort_msg("no node can be reached");
    return NULL;
}

/* What an answer says: an error that promises that nothing was written counts for nothing, any other for perhaps. */
static void count(const redisReply *reply, struct counts *counts) {
    if (reply == NULL) {
        counts->unknown++;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        counts->done++;
    } else {
        ck_assert_msg(reply->type == REDIS_REPLY_ERROR, "a reply of type %d", reply->type);
        bool nothing =
            strncmp(reply->str, "NOQUORUM", 8) == 0 || strncmp(reply->str, "CLUSTERDOWN", 11) == 0;
        counts->unknown += !nothing;
    }
}

/* All clients at once, one increment each. */
static void increment_all(const struct cluster *cluster, redisContext *clients[CLIENTS],
                          struct counts *counts) {
    for (size_t i = 0; i < CLIENTS; i++) {
        int done = 0;
        ck_assert_int_eq(redisAppendCommand(clients[i], "INCR counter"), REDIS_OK);
        while (done == 0 && redisBufferWrite(clients[i], &done) == REDIS_OK) {
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(clients[i], (void **)&reply) != REDIS_OK) {
            reply = NULL;
            redisFree(clients[i]);
            clients[i] = connect_near(cluster, i % NODES);
        }
        count(reply, counts);
        if (reply != NULL) {
            freeReplyObject(reply);
        }
    }
}

START_TEST(the_sum_is_right) {
    struct cluster *cluster = cluster_start(NODES, "");
    redisContext *clients[CLIENTS];
    struct counts counts = {0, 0};
    struct client witness;
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = connect_near(cluster, i % NODES);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        if (round == ROUNDS / 4) {
            node_kill(&cluster->nodes[1]);
        } else if (round == ROUNDS / 2) {
            node_start(&cluster->nodes[1]);
        }
        increment_all(cluster, clients, &counts);
    }
    cluster_wait(cluster);
    for (size_t i = 0; i < NODES; i++) {
        client_open(&witness, cluster->nodes[i].port);
        long long sum = -1;
        const char *text = ask(&witness, "GET counter");
        ck_assert_int_eq(sscanf(text, "\"%lld\"", &sum), 1);
        ck_assert_msg(sum >= counts.done && sum <= counts.done + counts.unknown,
                      "%lld acknowledged, %lld perhaps done, and the sum is %lld", counts.done,
                      counts.unknown, sum);
        client_close(&witness);
    }
    ck_assert_msg(counts.done > CLIENTS * ROUNDS / 2, "only %lld were acknowledged", counts.done);
    printf("%lld acknowledged, %lld perhaps done\n", counts.done, counts.unknown);
    for (size_t i = 0; i < CLIENTS; i++) {
        redisFree(clients[i]);
    }
    cluster_free(&cluster);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("increments");
    TCase *tcase = tcase_create("increments");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, the_sum_is_right);
    suite_add_tcase(suite, tcase);
    return run_tests(suite);
}
