/* Reading and writing with context: DYNGET DYNSET DYNDEL, and the commands that look at one key. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define NODES 3
#define CONTEXT_BYTES 4096

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

/* Reads the key's context; returns it. */
static const char *context_of(struct client *client, const char *key, char out[CONTEXT_BYTES]) {
    redisReply *reply = redisCommand(client->redis, "DYNGET %s", key);
    ck_assert(reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
    ck_assert_int_eq(reply->element[0]->type, REDIS_REPLY_STRING);
    ck_assert_uint_lt(reply->element[0]->len, CONTEXT_BYTES);
    memcpy(out, reply->element[0]->str, reply->element[0]->len + 1);
    freeReplyObject(reply);
    return out;
}

/* Two clients read the same, write through different nodes; both values stay until one write has seen them. */
START_TEST(two_clients_race_and_one_merges) {
    struct client clients[NODES];
    char first[CONTEXT_BYTES], second[CONTEXT_BYTES], key[16];
    open_all(clients);
    snprintf(key, sizeof key, "race%d", _i);
    expect(&clients[0], "[\"*\", []]", "DYNGET %s", key);
    context_of(&clients[0], key, first);
    context_of(&clients[1], key, second);
    expect(&clients[_i], "\"*\"", "DYNSET %s apple CONTEXT %s", key, first);
    expect(&clients[(_i + 1) % NODES], "\"*\"", "DYNSET %s banana CONTEXT %s", key, second);
    for (int i = 0; i < NODES; i++) {
        expect(&clients[i], "[\"*\", [\"banana\", \"apple\"]]", "DYNGET %s", key);
        expect(&clients[i], "\"banana\"", "GET %s", key);
        expect(&clients[i], "[[\"value\", \"banana\", *], [\"value\", \"apple\", *]]",
               "DYNSIBLINGS %s", key);
    }
    context_of(&clients[2], key, first);
    expect(&clients[0], "\"*\"", "DYNSET %s \"apple banana\" CONTEXT %s", key, first);
    for (int i = 0; i < NODES; i++) {
        expect(&clients[i], "[\"*\", [\"apple banana\"]]", "DYNGET %s", key);
    }
    /* A late writer with the old context replaces nothing that it has not seen. */
    expect(&clients[1], "\"*\"", "DYNSET %s cherry CONTEXT %s", key, second);
    expect(&clients[1], "[\"*\", [\"cherry\", \"apple banana\"]]", "DYNGET %s", key);
    expect(&clients[1], "\"*\"", "DYNDEL %s CONTEXT %s", key, first);
    expect(&clients[1], "[\"*\", [\"cherry\", \"apple banana\"]]", "DYNGET %s", key);
    context_of(&clients[0], key, first);
    expect(&clients[1], "\"*\"", "DYNDEL %s CONTEXT %s", key, first);
    expect(&clients[0], "[\"*\", []]", "DYNGET %s", key);
    expect(&clients[0], "nil", "GET %s", key);
    expect(&clients[0], ":0", "EXISTS %s", key);
    close_all(clients);
}
END_TEST

START_TEST(without_context_nothing_is_replaced) {
    struct client c;
    char context[CONTEXT_BYTES];
    client_open(&c, cluster->nodes[0].port);
    expect(&c, "\"*\"", "DYNSET blind a");
    expect(&c, "\"*\"", "DYNSET blind b");
    expect(&c, "\"*\"", "DYNDEL blind");
    expect(&c, "[\"*\", [\"b\", \"a\"]]", "DYNGET blind");
    context_of(&c, "blind", context);
    expect(&c, "\"*\"", "DYNSET blind c");
    expect(&c, "\"*\"", "DYNDEL blind CONTEXT %s", context);
    expect(&c, "[\"*\", [\"c\"]]", "DYNGET blind");
    /* Equal bytes are shown once, and are two writes all the same. */
    expect(&c, "\"*\"", "DYNSET blind c");
    expect(&c, "[\"*\", [\"c\"]]", "DYNGET blind");
    expect(&c, "[[*], [*]]", "DYNSIBLINGS blind");
    /* A plain SET replaces whatever was there. */
    expect(&c, "+OK", "SET blind d");
    expect(&c, "[[\"value\", \"d\", *]]", "DYNSIBLINGS blind");
    client_close(&c);
}
END_TEST

/* The context that a write replies covers that write. */
START_TEST(a_writer_goes_on_with_its_own_context) {
    struct client c;
    char context[CONTEXT_BYTES];
    client_open(&c, cluster->nodes[1].port);
    context_of(&c, "mine", context);
    for (int i = 0; i < 20; i++) {
        redisReply *reply = redisCommand(c.redis, "DYNSET mine %d CONTEXT %s", i, context);
        ck_assert_int_eq(reply->type, REDIS_REPLY_STRING);
        snprintf(context, sizeof context, "%s", reply->str);
        freeReplyObject(reply);
    }
    expect(&c, "[\"*\", [\"19\"]]", "DYNGET mine");
    expect(&c, "[[*]]", "DYNSIBLINGS mine");
    client_close(&c);
}
END_TEST

/* ---- contexts that are none ------------------------------------------------------------------------ */

/* Each character changed, each cut: refused, and nothing changes. */
START_TEST(damaged_contexts_change_nothing) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=.";
    struct client c;
    char good[CONTEXT_BYTES], bad[CONTEXT_BYTES];
    client_open(&c, cluster->nodes[0].port);
    expect(&c, "+OK", "SET sealed v");
    size_t len = strlen(context_of(&c, "sealed", good));
    for (size_t i = 0; i < len; i++) {
        ck_assert_msg(good[i] > ' ' && good[i] < 0x7f &&
                          strchr("'\"\\$`!&|;<>()*?#~", good[i]) == NULL,
                      "'%c' is not safe in a shell", good[i]);
    }
    for (size_t i = 0; i < len; i++) {
        memcpy(bad, good, len + 1);
        bad[i] = alphabet[(i * 7) % (sizeof alphabet - 1)];
        bad[i] = bad[i] == good[i] ? (bad[i] == 'A' ? 'B' : 'A') : bad[i];
        expect(&c, "-BADCONTEXT *", "DYNSET sealed w CONTEXT %s", bad);
        expect(&c, "-BADCONTEXT *", "DYNDEL sealed CONTEXT %s", bad);
        expect(&c, "-BADCONTEXT *", "DYNSET sealed w CONTEXT \"%.*s\"", (int)i, good);
    }
    expect(&c, "-BADCONTEXT *", "DYNSET sealed w CONTEXT %sA", good);
    expect(&c, "-BADCONTEXT *", "DYNSET sealed w CONTEXT \"\\x00\\xff\"");
    memset(bad, 'A', sizeof bad - 1);
    bad[sizeof bad - 1] = '\0';
    expect(&c, "-BADCONTEXT *", "DYNSET sealed w CONTEXT %s", bad);
    expect(&c, "[[\"value\", \"v\", *]]", "DYNSIBLINGS sealed");
    expect(&c, "\"*\"", "DYNSET sealed w CONTEXT %s", good);
    expect(&c, "[\"*\", [\"w\"]]", "DYNGET sealed");
    client_close(&c);
}
END_TEST

START_TEST(contexts_of_other_keys_and_clusters_are_refused) {
    struct cluster *other = cluster_start(1, "");
    struct client c, stranger;
    char context[CONTEXT_BYTES];
    client_open(&c, cluster->nodes[0].port);
    client_open(&stranger, other->nodes[0].port);
    expect(&c, "+OK", "SET lender v");
    expect(&c, "+OK", "SET borrower v");
    context_of(&c, "lender", context);
    expect(&c, "-BADCONTEXT *", "DYNSET borrower w CONTEXT %s", context);
    expect(&stranger, "+OK", "SET lender v");
    context_of(&stranger, "lender", context);
    expect(&c, "-BADCONTEXT *", "DYNSET lender w CONTEXT %s", context);
    expect(&c, "-BADCONTEXT *", "DYNDEL lender CONTEXT %s", context);
    expect(&c, "[\"*\", [\"v\"]]", "DYNGET lender");
    expect(&c, "[\"*\", [\"v\"]]", "DYNGET borrower");
    client_close(&c);
    client_close(&stranger);
    cluster_free(&other);
}
END_TEST

/* ---- shopping carts -------------------------------------------------------------------------------- */

#define ITEMS 150

struct shopper {
    int port, number;
    pthread_t thread;
    int failures;
};

/* Adds items to the cart: reads all versions, writes their union and its own item with their context. */
static void *shop(void *arg) {
    struct shopper *shopper = arg;
    redisContext *redis = redisConnect("127.0.0.1", shopper->port);
    for (int item = 0; item < ITEMS; item++) {
        bool held[2 * ITEMS] = {false};
        struct buf cart = {0};
        redisReply *reply = redisCommand(redis, "DYNGET cart");
        if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
            shopper->failures++;
            break;
        }
        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            char *at = reply->element[1]->element[i]->str;
            while (*at != '\0') {
                held[strtol(at, &at, 10)] = true;
                at += *at == ' ';
            }
        }
        held[shopper->number * ITEMS + item] = true;
        for (int i = 0; i < 2 * ITEMS; i++) {
            shopper->failures += held[i] && buf_printf(&cart, "%d ", i) != RD_OK;
        }
        redisReply *written = redisCommand(redis, "DYNSET cart %b CONTEXT %s", buf_data(&cart),
                                           buf_len(&cart), reply->element[0]->str);
        shopper->failures += written == NULL || written->type != REDIS_REPLY_STRING;
        freeReplyObject(reply);
        if (written != NULL) {
            freeReplyObject(written);
        }
        buf_free(&cart);
    }
    redisFree(redis);
    return NULL;
}

/* The paper's example: two clients add to one cart through two nodes at the same time, and nothing is lost. */
START_TEST(nothing_falls_out_of_the_cart) {
    struct shopper shoppers[2];
    for (int i = 0; i < 2; i++) {
        shoppers[i] = (struct shopper){.port = cluster->nodes[i].port, .number = i};
        ck_assert_int_eq(pthread_create(&shoppers[i].thread, NULL, shop, &shoppers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(shoppers[i].thread, NULL);
        ck_assert_int_eq(shoppers[i].failures, 0);
    }
    struct client c;
    client_open(&c, cluster->nodes[2].port);
    redisReply *reply = redisCommand(c.redis, "DYNGET cart");
    bool held[2 * ITEMS] = {false};
    ck_assert_uint_ge(reply->element[1]->elements, 1);
    ck_assert_uint_le(reply->element[1]->elements, 2); /* as many as wrote at the same time */
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        for (char *at = reply->element[1]->element[i]->str; *at != '\0'; at += *at == ' ') {
            held[strtol(at, &at, 10)] = true;
        }
    }
    for (int i = 0; i < 2 * ITEMS; i++) {
        ck_assert_msg(held[i], "item %d is lost", i);
    }
    freeReplyObject(reply);
    client_close(&c);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------------- */

START_TEST(limits_bind_writers) {
    struct cluster *small = cluster_start(NODES, "max-siblings 3\nmax-object-size 2kb\n");
    struct client c;
    char context[CONTEXT_BYTES];
    client_open(&c, small->nodes[0].port);
    for (int i = 0; i < 3; i++) {
        expect(&c, "\"*\"", "DYNSET crowd %d", i);
    }
    expect(&c, "-TOOMANYSIBLINGS *nothing was written*", "DYNSET crowd 3");
    expect(&c, "[\"*\", [\"2\", \"1\", \"0\"]]", "DYNGET crowd");
    context_of(&c, "crowd", context);
    expect(&c, "\"*\"", "DYNSET crowd merged CONTEXT %s", context);
    expect(&c, "[\"*\", [\"merged\"]]", "DYNGET crowd");
    expect(&c, "+OK", "SET wide %01000d", 1);
    expect(&c, "-TOOLARGE *nothing was written*", "SET wide %02100d", 1);
    expect(&c, "\"*\"", "DYNSET wide %0500d", 1);
    expect(&c, "-TOOLARGE *nothing was written*", "DYNSET wide %0900d", 1);
    expect(&c, ":500", "STRLEN wide");
    client_close(&c);
    cluster_free(&small);
}
END_TEST

/* conflict-resolution last-write-wins: of concurrent writes the newest is kept, and a write with context still wins by causality. */
START_TEST(last_write_wins) {
    struct cluster *lww = cluster_start(NODES, "conflict-resolution last-write-wins\n");
    struct client clients[NODES];
    char context[CONTEXT_BYTES];
    for (int i = 0; i < NODES; i++) {
        client_open(&clients[i], lww->nodes[i].port);
    }
    context_of(&clients[0], "key", context);
    expect(&clients[0], "\"*\"", "DYNSET key a CONTEXT %s", context);
    expect(&clients[1], "\"*\"", "DYNSET key b CONTEXT %s", context);
    expect(&clients[2], "\"*\"", "DYNSET key c");
    for (int i = 0; i < NODES; i++) {
        expect(&clients[i], "[\"*\", [\"c\"]]", "DYNGET key");
        expect(&clients[i], "[[\"value\", \"c\", *]]", "DYNSIBLINGS key");
    }
    for (int i = 0; i < NODES; i++) {
        expect(&clients[i], "+OK", "SET key set%d", i);
        expect(&clients[(i + 1) % NODES], "[[*]]", "DYNSIBLINGS key");
    }
    context_of(&clients[0], "key", context);
    expect(&clients[1], "\"*\"", "DYNDEL key CONTEXT %s", context);
    expect(&clients[2], "nil", "GET key");
    for (int i = 0; i < NODES; i++) {
        client_close(&clients[i]);
    }
    cluster_free(&lww);
}
END_TEST

/* ---- looking at a key ------------------------------------------------------------------------------ */

START_TEST(arguments) {
    static const struct exchange table[] = {
        {"DYNSET a", "-ERR wrong number of arguments for 'dynset' command"},
        {"DYNSET a b c", "-ERR syntax error"},
        {"DYNSET a b CONTEXT", "-ERR syntax error"},
        {"DYNSET a b W", "-ERR syntax error"},
        {"DYNSET a b W 0", "-ERR W must be between 1 and *3*"},
        {"DYNSET a b W 4", "-ERR W must be between 1 and *3*"},
        {"DYNSET a b W x", "-ERR value is not an integer or out of range"},
        {"DYNSET a b EX 0", "-ERR invalid expire time in 'dynset' command"},
        {"DYNSET a b EX 1 PX 1", "-ERR syntax error"},
        {"DYNGET a R 4", "-ERR R must be between 1 and *3*"},
        {"DYNGET a W 1", "-ERR syntax error"},
        {"DYNGET a", "[\"*\", []]"},
        {"DYNGET a R 3", "[\"*\", []]"},
        {"DYNDEL a EX 1", "-ERR syntax error"},
        {"DYNSIBLINGS a", "[]"},
        {"DYNSET a b W 3 PX 1000000", "\"*\""},
        {"DYNSIBLINGS a", "[[\"value\", \"b\", \"dot\", \"*\", \"clock\", \"*\", \"time\", :*, "
                          "\"expires\", :*, \"tombstone\", :0]]"},
        {"DYNSET a c W 3 EXAT 1", "\"*\""},
        {"DYNGET a R 1", "[\"*\", [\"b\"]]"},
        {"DEL a", ":1"},
        {"DYNSIBLINGS a", "[[\"value\", nil, \"dot\", nil, \"clock\", \"*\", \"time\", :*, "
                          "\"expires\", nil, \"tombstone\", :1]]"},
        {"DYNQUORUM", "[\"n\", :3, \"r\", :2, \"w\", :2, \"monotonic\", :0]"},
        {"DYNQUORUM R 1 W 3", "[\"n\", :3, \"r\", :1, \"w\", :3, \"monotonic\", :0]"},
        {"DYNQUORUM MONOTONIC yes", "[\"n\", :3, \"r\", :1, \"w\", :3, \"monotonic\", :1]"},
        {"SET a b", "+OK"},
        {"GET a", "\"b\""},
        {"DYNQUORUM W 4", "-ERR W must be between 1 and *3*"},
        {"DYNQUORUM R", "-ERR syntax error"},
        {"DYNQUORUM MONOTONIC maybe", "-ERR *"},
        {"DYNQUORUM R 2 NOSUCH", "-ERR syntax error"},
        {"DYNQUORUM", "[\"n\", :3, \"r\", :1, \"w\", :3, \"monotonic\", :1]"},
        {"DYNQUORUM RESET", "[\"n\", :3, \"r\", :2, \"w\", :2, \"monotonic\", :0]"},
        {"DYNPREFLIST", "-ERR wrong number of arguments for 'dynpreflist' command"},
        {"DYNREPLICAS", "-ERR wrong number of arguments for 'dynreplicas' command"},
        {"DYNPREFLIST a", "[\"slot\", :15495, \"partition\", :3873, \"nodes\", [[*], [*], [*]]]"},
    };
    struct client c;
    client_open(&c, cluster->nodes[2].port);
    PLAY(&c, table);
    client_close(&c);
}
END_TEST

/* Three homes, all up; once all have the write they say the same of it. */
START_TEST(replicas_agree) {
    struct client c;
    const char *homes =
        "[[\"node\", \"*\", \"address\", \"127.0.0.1:*\", \"role\", \"home\", \"state\", \"ok\", "
        "\"siblings\", :1, \"clock\", \"*\", \"digest\", \"*\"], [*\"ok\"*], [*\"ok\"*]]";
    client_open(&c, cluster->nodes[0].port);
    expect(&c, "\"*\"", "DYNSET agreed v W 3");
    expect(&c, homes, "DYNREPLICAS agreed");
    redisReply *reply = redisCommand(c.redis, "DYNREPLICAS agreed");
    redisReply *list = redisCommand(c.redis, "DYNPREFLIST agreed");
    ck_assert_uint_eq(reply->elements, NODES);
    for (size_t i = 0; i < NODES; i++) {
        ck_assert_str_eq(reply->element[i]->element[13]->str, reply->element[0]->element[13]->str);
        ck_assert_str_eq(reply->element[i]->element[11]->str, reply->element[0]->element[11]->str);
        /* in the order of the preference list */
        ck_assert_str_eq(reply->element[i]->element[1]->str,
                         list->element[5]->element[i]->element[1]->str);
    }
    freeReplyObject(reply);
    freeReplyObject(list);
    client_close(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dyn");
    TCase *shared = run_group(suite, start, stop), *own = run_group(suite, NULL, NULL);
    tcase_add_loop_test(shared, two_clients_race_and_one_merges, 0, NODES);
    tcase_add_test(shared, without_context_nothing_is_replaced);
    tcase_add_test(shared, a_writer_goes_on_with_its_own_context);
    tcase_add_test(shared, damaged_contexts_change_nothing);
    tcase_add_test(shared, contexts_of_other_keys_and_clusters_are_refused);
    tcase_add_test(shared, nothing_falls_out_of_the_cart);
    tcase_add_test(shared, arguments);
    tcase_add_test(shared, replicas_agree);
    tcase_add_test(own, limits_bind_writers);
    tcase_add_test(own, last_write_wins);
    return run_tests(suite);
}
