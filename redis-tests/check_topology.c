/* What cluster-aware clients ask, and redis-cli -c. Other clients: check_libraries.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/show.h"

#define NODES 5
#define SLOTS 16384
#define REPLICAS 3

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(NODES, "");
}

static void stop(void) {
    cluster_free(&cluster);
}

static redisReply *get(struct client *client, const char *command) {
    redisReply *reply = redisCommand(client->redis, command);
    ck_assert_ptr_nonnull(reply);
    return reply;
}

static int node_on_port(int port) {
    for (int i = 0; i < NODES; i++) {
        if (cluster->nodes[i].port == port) {
            return i;
        }
    }
    ck_abort_msg("no node on port %d", port);
    return -1;
}

/* ---- the map --------------------------------------------------------------------------------------- */

/* For each slot the nodes that hold it, the master first. */
struct map {
    int nodes[SLOTS][REPLICAS];
};

static struct map *map_from_slots(struct client *client) {
    struct map *map = malloc(sizeof *map);
    redisReply *slots = get(client, "CLUSTER SLOTS");
    long long next = 0;
    for (size_t i = 0; i < slots->elements; i++) {
        const redisReply *range = slots->element[i];
        ck_assert_uint_eq(range->elements, 2 + REPLICAS);
        ck_assert_int_eq(range->element[0]->integer, next); /* in order, without a gap */
        next = range->element[1]->integer + 1;
        for (long long slot = range->element[0]->integer; slot < next; slot++) {
            for (int j = 0; j < REPLICAS; j++) {
                const redisReply *node = range->element[2 + j];
                ck_assert_str_eq(node->element[0]->str, "127.0.0.1");
                ck_assert_uint_eq(node->element[2]->len, 40);
                map->nodes[slot][j] = node_on_port((int)node->element[1]->integer);
            }
        }
    }
    ck_assert_int_eq(next, SLOTS);
    freeReplyObject(slots);
    return map;
}

START_TEST(slots_cover_the_ring) {
    struct client c;
    int masters[NODES] = {0}, held[NODES] = {0};
    client_open(&c, cluster->nodes[0].port);
    struct map *map = map_from_slots(&c);
    for (int slot = 0; slot < SLOTS; slot++) {
        const int *nodes = map->nodes[slot];
        ck_assert(nodes[0] != nodes[1] && nodes[1] != nodes[2] && nodes[0] != nodes[2]);
        masters[nodes[0]]++;
        for (int j = 0; j < REPLICAS; j++) {
            held[nodes[j]]++;
        }
    }
    for (int i = 0; i < NODES; i++) {
        ck_assert_int_gt(masters[i], 0);
        ck_assert_int_le(held[i], (int)(1.10 * SLOTS * REPLICAS / NODES));
        /* All nodes say the same. */
        struct client other;
        client_open(&other, cluster->nodes[i].port);
        struct map *theirs = map_from_slots(&other);
        ck_assert(memcmp(map, theirs, sizeof *map) == 0);
        free(theirs);
        client_close(&other);
    }
    free(map);
    client_close(&c);
}
END_TEST

START_TEST(shards_say_what_slots_say) {
    struct client c;
    bool seen[SLOTS] = {false};
    client_open(&c, cluster->nodes[1].port);
    struct map *map = map_from_slots(&c);
    redisReply *shards = get(&c, "CLUSTER SHARDS");
    for (size_t i = 0; i < shards->elements; i++) {
        const redisReply *slots = shards->element[i]->element[1];
        const redisReply *nodes = shards->element[i]->element[3];
        ck_assert_uint_eq(nodes->elements, REPLICAS);
        for (size_t r = 0; r < slots->elements; r += 2) {
            for (long long s = slots->element[r]->integer; s <= slots->element[r + 1]->integer;
                 s++) {
                ck_assert(!seen[s]);
                seen[s] = true;
                for (size_t n = 0; n < REPLICAS; n++) {
                    const redisReply *node = nodes->element[n];
                    ck_assert_str_eq(node->element[0]->str, "id");
                    ck_assert_str_eq(node->element[2]->str, "port");
                    ck_assert_int_eq(node_on_port((int)node->element[3]->integer),
                                     map->nodes[s][n]);
                    ck_assert_str_eq(node->element[8]->str, "role");
                    ck_assert_str_eq(node->element[9]->str, n == 0 ? "master" : "replica");
                    ck_assert_str_eq(node->element[12]->str, "health");
                    ck_assert_str_eq(node->element[13]->str, "online");
                }
            }
        }
    }
    for (int s = 0; s < SLOTS; s++) {
        ck_assert(seen[s]);
    }
    freeReplyObject(shards);
    free(map);
    client_close(&c);
}
END_TEST

/* NODES: one line each; every slot belongs to the node that SLOTS names first. */
START_TEST(nodes_say_what_slots_say) {
    struct client c;
    int slots = 0, myself = 0, lines = 0;
    client_open(&c, cluster->nodes[2].port);
    struct map *map = map_from_slots(&c);
    redisReply *nodes = get(&c, "CLUSTER NODES");
    char *rest = nodes->str, *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        char id[64], address[64], flags[64], master[64];
        int ping, epoch, port, bus, used = 0;
        long long pong;
        ck_assert_int_eq(sscanf(line, "%40s %63s %63s %63s %d %lld %d connected%n", id, address,
                                flags, master, &ping, &pong, &epoch, &used),
                         7);
        ck_assert_int_eq(sscanf(address, "127.0.0.1:%d@%d", &port, &bus), 2);
        int node = node_on_port(port);
        ck_assert_int_eq(bus, cluster->nodes[node].bus_port);
        ck_assert_str_eq(flags, node == 2 ? "myself,master" : "master");
        ck_assert_str_eq(master, "-");
        myself += node == 2;
        lines++;
        for (char *at = line + used; *at == ' ';) {
            long first = strtol(at + 1, &at, 10);
            long last = *at == '-' ? strtol(at + 1, &at, 10) : first;
            for (long s = first; s <= last; s++, slots++) {
                ck_assert_int_eq(map->nodes[s][0], node);
            }
        }
    }
    ck_assert_int_eq(lines, NODES);
    ck_assert_int_eq(myself, 1);
    ck_assert_int_eq(slots, SLOTS);
    freeReplyObject(nodes);
    free(map);
    client_close(&c);
}
END_TEST

START_TEST(ring_and_members) {
    struct client c;
    client_open(&c, cluster->nodes[3].port);
    struct map *map = map_from_slots(&c);
    redisReply *ring = get(&c, "DYNCLUSTER RING");
    redisReply *nodes = get(&c, "DYNCLUSTER NODES");
    ck_assert_uint_eq(ring->elements, 4096);
    ck_assert_uint_eq(nodes->elements, NODES);
    long long partitions = 0;
    for (size_t i = 0; i < NODES; i++) {
        const redisReply *node = nodes->element[i];
        ck_assert_str_eq(node->element[14]->str, "partitions");
        partitions += node->element[15]->integer;
    }
    ck_assert_int_eq(partitions, 4096 * REPLICAS);
    for (size_t p = 0; p < ring->elements; p++) {
        const redisReply *partition = ring->element[p];
        ck_assert_int_eq(partition->element[1]->integer, (long long)p);
        ck_assert_int_eq(partition->element[3]->integer, (long long)p * 4);
        ck_assert_int_eq(partition->element[5]->integer, (long long)p * 4 + 3);
        ck_assert_uint_eq(partition->element[7]->elements, REPLICAS);
    }
    freeReplyObject(ring);
    freeReplyObject(nodes);
    free(map);
    static const struct exchange table[] = {
        {"DYNCLUSTER RING PARTITION 4095",
         "[[\"partition\", :4095, \"first-slot\", :16380, \"last-slot\", :16383, \"nodes\", "
         "[\"*\", \"*\", \"*\"]]]"},
        {"DYNCLUSTER RING PARTITION 4096", "-ERR *"},
        {"DYNCLUSTER RING PARTITION -1", "-ERR *"},
        {"DYNCLUSTER RING PARTITION x", "-ERR value is not an integer or out of range"},
        {"DYNCLUSTER RING NOSUCH 1", "-ERR syntax error"},
        {"DYNCLUSTER", "-ERR wrong number of arguments for 'dyncluster' command"},
        {"DYNCLUSTER NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try DYNCLUSTER HELP."},
        {"DYNCLUSTER NODES",
         "[[\"id\", \"*\", \"address\", \"127.0.0.1:*\", \"cluster-port\", :*, \"zone\", \"\", "
         "\"vnodes\", :256, \"state\", \"up\", \"status\", \"member\", *]]"},
        {"CLUSTER INFO", "\"cluster_state:ok\\r\\ncluster_slots_assigned:16384\\r\\ncluster_slots_"
                         "ok:16384\\r\\n*cluster_known_nodes:5\\r\\n*\""},
    };
    PLAY(&c, table);
    client_close(&c);
}
END_TEST

/* A client that follows CLUSTER SLOTS reaches a replica with its first hop: nothing is forwarded. */
START_TEST(zero_hop) {
    struct client clients[NODES];
    long long forwarded = 0;
    for (int i = 0; i < NODES; i++) {
        client_open(&clients[i], cluster->nodes[i].port);
        forwarded -= client_info(&clients[i], "requests_forwarded");
    }
    struct map *map = map_from_slots(&clients[0]);
    for (int key = 0; key < 200; key++) {
        long slot = strtol(ask(&clients[0], "CLUSTER KEYSLOT key%d", key) + 1, NULL, 10);
        struct client *home = &clients[map->nodes[slot][key % REPLICAS]];
        expect(home, "+OK", "SET key%d v", key);
        expect(home, "\"v\"", "GET key%d", key);
        expect(home, "[*]", "DYNGET key%d", key);
        expect(home, ":1", "DEL key%d", key);
    }
    for (int i = 0; i < NODES; i++) {
        forwarded += client_info(&clients[i], "requests_forwarded");
    }
    ck_assert_int_eq(forwarded, 0);
    /* A write to any other node takes one hop more. */
    long slot = strtol(ask(&clients[0], "CLUSTER KEYSLOT key") + 1, NULL, 10);
    int stranger = 0;
    for (int i = 0; i < REPLICAS; i++) {
        stranger += map->nodes[slot][0] == stranger || map->nodes[slot][1] == stranger ||
                    map->nodes[slot][2] == stranger;
    }
    forwarded = client_info(&clients[stranger], "requests_forwarded");
    expect(&clients[stranger], "+OK", "SET key v");
    ck_assert_int_eq(client_info(&clients[stranger], "requests_forwarded"), forwarded + 1);
    for (int i = 0; i < NODES; i++) {
        client_close(&clients[i]);
    }
    free(map);
}
END_TEST

/* When a node dies the map shows its slots at the next home, and names it as failed. */
START_TEST(the_map_follows_the_living) {
    struct cluster *saved = cluster;
    cluster = cluster_start(NODES, "");
    struct client c;
    client_open(&c, cluster->nodes[0].port);
    struct map *before = map_from_slots(&c);
    node_kill(&cluster->nodes[4]);
    cluster_wait(cluster);
    struct map *after = map_from_slots(&c);
    for (int slot = 0; slot < SLOTS; slot++) {
        ck_assert_int_ne(after->nodes[slot][0], 4);
        if (before->nodes[slot][0] != 4) {
            ck_assert_int_eq(after->nodes[slot][0], before->nodes[slot][0]);
        }
    }
    expect(&c, "[*\"health\", \"fail\"*]", "CLUSTER SHARDS");
    expect(&c, "\"cluster_state:ok\\r\\n*cluster_slots_ok:16384*\"", "CLUSTER INFO");
    node_start(&cluster->nodes[4]);
    cluster_wait(cluster);
    struct map *again = map_from_slots(&c);
    ck_assert(memcmp(before, again, sizeof *before) == 0);
    free(before);
    free(after);
    free(again);
    client_close(&c);
    cluster_free(&cluster);
    cluster = saved;
}
END_TEST

/* The paper's partitioner: no slots for clients, everything else as ever. */
START_TEST(md5_partitioner) {
    static const struct exchange table[] = {
        {"SET a b", "+OK"},
        {"GET a", "\"b\""},
        {"INFO cluster", "\"*cluster_enabled:0\\r\\n\""},
        {"CLUSTER SLOTS", "-ERR This instance has cluster support disabled"},
        {"CLUSTER NODES", "-ERR This instance has cluster support disabled"},
        {"SELECT 1", "-ERR DB index is out of range"},
        {"DYNPREFLIST a", "[\"slot\", *]"},
    };
    struct cluster *c = cluster_start(3, "partitioner md5\n");
    struct client client;
    client_open(&client, c->nodes[0].port);
    PLAY(&client, table);
    char slot[64];
    snprintf(slot, sizeof slot, "%.30s", ask(&client, "DYNPREFLIST {tag}one"));
    *strchr(slot, ',') = '\0';
    ck_assert_ptr_nonnull(strstr(ask(&client, "DYNPREFLIST {tag}two"), slot));
    client_close(&client);
    cluster_free(&c);
}
END_TEST

/* ---- the clients of others ------------------------------------------------------------------------- */

START_TEST(redis_cli_in_cluster_mode) {
    struct buf out = {0};
    int status = proc_run(&out,
                          "for i in $(seq 60); do echo SET cli$i $i; echo GET cli$i; done | "
                          "redis-cli -c -p %d | grep -c -e OK -e '^[0-9]*$'",
                          cluster->nodes[0].port);
    ck_assert_msg(status == 0 && strtol(show_text(&out), NULL, 10) == 120, "%d: %s", status,
                  show_text(&out));
    status = proc_run(&out, "redis-cli --cluster call 127.0.0.1:%d PING", cluster->nodes[0].port);
    ck_assert_msg(status == 0 && strstr(show_text(&out), "PONG") != NULL, "%s", show_text(&out));
    status = proc_run(&out, "redis-cli --cluster check 127.0.0.1:%d", cluster->nodes[0].port);
    ck_assert_msg(strstr(show_text(&out), "All 16384 slots covered.") != NULL, "%s",
                  show_text(&out));
    buf_free(&out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("topology");
    TCase *shared = run_group(suite, start, stop);
    tcase_add_test(shared, slots_cover_the_ring);
    tcase_add_test(shared, shards_say_what_slots_say);
    tcase_add_test(shared, nodes_say_what_slots_say);
    tcase_add_test(shared, ring_and_members);
    tcase_add_test(shared, zero_hop);
    tcase_add_test(shared, the_map_follows_the_living);
    tcase_add_test(shared, md5_partitioner);
    tcase_add_test(shared, redis_cli_in_cluster_mode);
    return run_tests(suite);
}
