/* Scenarios: what concurrent writers leave behind. */
#include <stdio.h>
#include <string.h>

#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};

/* Makes the cluster born with a write that does not matter, and picks the key. */
static void begin(struct cluster *c, char key[32]) {
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, "other", "x");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
}

void scenario_one_coordinator_two_clients(struct cluster *c) {
    char key[32];
    begin(c, key);
    struct op *c1 = cluster_get(c, 1, key);
    struct op *c2 = cluster_get(c, 1, key);
    c1 = cluster_dynset(c, 1, key, "v1", c1);
    cluster_dynset(c, 1, key, "v2", c2);
    cluster_elapse_ms(c, 10);
    cluster_dynset(c, 1, key, "v3", c1);
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v3 v2");
    struct op *seen = cluster_get(c, 2, key);
    cluster_dynset(c, 3, key, "v4", seen);
    cluster_expect_everywhere(c, key, "v4");
}

void scenario_write_beside_delete(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    struct op *seen = cluster_get(c, 3, key);
    struct op *deletion = cluster_dynset_later(c, 1, key, NULL, seen);
    struct op *write = cluster_dynset_later(c, 2, key, "v2", seen);
    cluster_expect_outcome(c, deletion, RD_OK);
    cluster_expect_outcome(c, write, RD_OK);
    cluster_elapse_ms(c, 10);
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, "{v2}");
    }
}

void scenario_dup_sibling_values(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_lose(c, 2, 1, WIRE_WRITE_ANSWER, 1);
    cluster_lose(c, 3, 1, WIRE_WRITE_ANSWER, 1);
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, key, "v", NULL), RD_EUNKNOWN);
    cluster_dynset(c, 2, key, "v", NULL); /* the client tries once more */
    cluster_elapse_ms(c, 10);
    cluster_expect_stored(c, 3, key, "{v v}");
    cluster_expect_everywhere(c, key, "v");
}

void scenario_blind_set_flood(struct cluster *c) {
    char key[32], last[32] = "", stored[16];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "first");
    world_network_conf(cluster_world(c))->drop_ppm = 50000;
    for (unsigned i = 0; i < 1000; i++) {
        char value[32];
        snprintf(value, sizeof value, "v%u", i);
        struct op *op = cluster_await(c, cluster_set_later(c, 1 + i % 3, key, value));
        if (op->err == RD_OK) {
            snprintf(last, sizeof last, "%s", value);
        }
    }
    world_network_conf(cluster_world(c))->drop_ppm = 0;
    cluster_elapse_ms(c, 20000);
    cluster_await_up(c, 1);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 1, key, 3));
    snprintf(stored, sizeof stored, "%u", read->object.count);
    cluster_note(c, stored);
    cluster_expect_true(c, read->err == RD_OK, "the key can be read");
    cluster_expect_true(c, read->object.count <= 3, "at most three siblings are left");
    cluster_expect_true(c, last[0] != 0, "some SET is acknowledged");
    cluster_set(c, 2, key, "end");
    cluster_expect_everywhere(c, key, "end");
}

void scenario_in_flight_same_key(struct cluster *c) {
    char key[32];
    begin(c, key);
    struct op *first =
        cluster_dynset_later(c, 1, key, "v1", NULL); /* in one turn, over one store read */
    struct op *second = cluster_dynset_later(c, 1, key, "v2", NULL);
    cluster_expect_outcome(c, first, RD_OK);
    cluster_expect_outcome(c, second, RD_OK);
    cluster_elapse_ms(c, 10);
    cluster_expect_stored(c, 3, key, "{v2 v1}");
    first = cluster_set_later(c, 1, key, "v3");
    cluster_elapse_ms(c, 1);
    second = cluster_set_later(c, 1, key, "v4"); /* while the first one's commit is under way */
    cluster_expect_outcome(c, first, RD_OK);
    cluster_expect_outcome(c, second, RD_OK);
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v4");

    store_mem_fail(world_disk(cluster_world(c), 0)->store, STORE_MEM_COMMIT, RD_EFULL, 1);
    first = cluster_await(c, cluster_dynset_later(c, 1, key, "v5", NULL));
    cluster_expect_true(c, first->err != RD_OK, "a write whose commit failed is not acknowledged");
    cluster_elapse_ms(c, 10);
    cluster_dynset(c, 1, key, "v6", NULL); /* with another dot than v5, which other nodes hold */
    cluster_elapse_ms(c, 10);
    struct op *read = cluster_await(c, cluster_get_r_later(c, 2, key, 3));
    bool found = false;
    for (uint32_t i = 0; i < read->object.count; i++) {
        found |= read->object.siblings[i].value->len == 2 &&
                 memcmp(read->object.siblings[i].value->bytes, "v6", 2) == 0;
    }
    cluster_expect_true(c, found, "what was acknowledged after the failure is there");
}

/* n4 is no home. It forwards a write to n1, whose answer is lost; meanwhile another client
 * replaces what was written. */
void scenario_double_coordination(struct cluster *c) {
    char key[32];
    begin(c, key);
    cluster_lose(c, 1, 4, WIRE_FORWARD_ANSWER, 1);
    struct op *forwarded = cluster_set_later(c, 4, key, "v1");
    cluster_elapse_ms(c, 50);
    cluster_expect(c, 2, key, "v1");
    struct op *seen = cluster_get(c, 2, key);
    cluster_dynset(c, 2, key, "v2", seen);
    cluster_expect_outcome(c, forwarded, RD_EUNKNOWN);
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v2");
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, "{v2}");
    }
}
