/* Scenarios: clocks that are wrong, and reads in the midst of writes. */
#include "sim/scenario.h"

static const unsigned n123[] = {1, 2, 3};
#define HOUR_MS INT64_C(3600000)

/* n1 is an hour ahead. Who read what it wrote replaces it from any node; so does a plain SET. */
void scenario_lww_skew(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 2, "other", "x");
    cluster_elapse_ms(c, 10);
    cluster_skew_ms(c, 1, HOUR_MS);
    cluster_record(c, false);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    struct op *seen = cluster_get(c, 2, key);
    cluster_dynset(c, 2, key, "v2", seen);
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v2");
    cluster_set(c, 3, key, "v3");
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v3");
    cluster_del(c, 3, key);
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "");
}

void scenario_future_metadata(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 2, key, "v0");
    cluster_skew_ms(c, 1, 5 * 365 * 24 * HOUR_MS);
    cluster_set(c, 1, key, "from the future");
    cluster_elapse_ms(c, 10);
    cluster_skew_ms(c, 1, -60000);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v1");
    cluster_set(c, 3, key, "v2");
    cluster_elapse_ms(c, 10);
    cluster_expect_everywhere(c, key, "v2");
    cluster_crash(c, 1);
    cluster_elapse_ms(c, 100);
    cluster_restart(c, 1);
    cluster_await_up(c, 1);
    cluster_set(c, 1, key, "v3");
    cluster_expect_everywhere(c, key, "v3");
    cluster_set(c, 2, "another", "w"); /* keys the future has not touched go on as well */
    cluster_expect_everywhere(c, "another", "w");
}

static struct op *read_of(struct cluster *c, unsigned node, const char *key, bool monotonic) {
    struct op *sample = cluster_get_later(c, node, key); /* only for its key */
    cluster_await(c, sample);
    struct op request = {
        .kind = CLIENT_READ, .node = node - 1, .key = sample->key, .monotonic = monotonic};
    return cluster_await(c, cluster_ask(c, &request));
}

/* A write that reached n1 alone is unknown to its client. A monotonic read that saw it makes sure
 * that the next one does. */
void scenario_quorum_not_linearizable(struct cluster *c) {
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    for (unsigned node = 1; node <= 3; node++) {
        node_set_quorum(world_node(cluster_world(c), node - 1), 2, 2);
    }
    cluster_record(c, false);
    cluster_lose(c, 1, 2, WIRE_WRITE, 1);
    cluster_lose(c, 1, 3, WIRE_WRITE, 1);
    cluster_expect_outcome(c, cluster_set_later(c, 1, key, "v2"), RD_EUNKNOWN);
    cluster_expect_stored(c, 2, key, "{v1}");
    cluster_expect_stored(c, 3, key, "{v1}");
    struct op *first = read_of(c, 1, key, true);
    cluster_expect_true(c, first->err == RD_OK, "the monotonic read succeeds");
    bool saw_v2 = first->object.count == 1 && first->object.siblings[0].value->bytes[1] == '2';
    cluster_expect_true(c, saw_v2, "n1 reads its own copy");
    cluster_isolate(c, 1);
    cluster_expect(c, 2, key, "v2");
    cluster_expect(c, 3, key, "v2");
}
