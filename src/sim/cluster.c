/* sim/cluster: begin and end, asking, expecting; see cluster.h. */
#include "sim/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cluster_internal.h"
#include "sim/mem.h"

/* ---- begin and end --------------------------------------------------------------------------- */

void cluster_conf(struct world_conf *conf, unsigned nodes) {
    world_conf_default(conf, nodes, 1);
    conf->network = (struct network_conf){.delay_min_us = 1000, .dial_timeout_us = 1000000};
    conf->disk = (struct disk_conf){.get_min_us = 100, .commit_min_us = 1000};
    conf->turn_us = 0;
    conf->node.trace = true;
    conf->node.partitions = 512;
    conf->node.vnodes = 32;
}

struct cluster *cluster_make(const struct world_conf *conf) {
    struct cluster *c = mem_zero(sizeof *c);
    c->world = world_new(conf);
    c->answer_us = conf->answer_us;
    c->ids = mem_zero(conf->nodes * sizeof *c->ids);
    trace_attach(c);
    network_set_tap(world_network(c->world), cluster_tap, c);
    return c;
}

struct cluster *cluster_start(unsigned nodes) {
    struct world_conf conf;
    cluster_conf(&conf, nodes);
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    return c;
}

/* True if the node serves and sees `running` nodes up. */
static bool sees_all(struct cluster *c, uint32_t i, uint32_t running) {
    if (world_state(c->world, i) != NODE_RUNNING) {
        return true;
    }
    struct node_stats stats;
    node_stats(world_node(c->world, i), &stats);
    return stats.open && stats.members_up >= running;
}

static uint32_t count_running(struct cluster *c) {
    uint32_t running = 0;
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        running += world_state(c->world, i) == NODE_RUNNING;
    }
    return running;
}

void cluster_form(struct cluster *c) {
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        if (world_state(c->world, i) == NODE_OFF) {
            cluster_restart(c, i + 1);
        }
    }
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        cluster_await_up(c, i + 1);
    }
    world_elapse(c->world, 100000); /* what is still being said to newcomers */
}

void cluster_await_up(struct cluster *c, unsigned node) {
    uint64_t until_us = world_now_us(c->world) + 60000000;
    uint32_t running = count_running(c);
    while (!sees_all(c, node - 1, running)) {
        cluster_expect_true(c, world_step(c->world, until_us), "the cluster forms within a minute");
    }
}

void cluster_stop(struct cluster **handle) {
    struct cluster *c = *handle;
    if (c == NULL) {
        return;
    }
    uint64_t until_us = world_now_us(c->world) + c->answer_us;
    while (world_history(c->world)->open > 0 && world_step(c->world, until_us)) {
    }
    cluster_expect_true(c, world_history(c->world)->open == 0, "every request is answered");
    for (size_t i = 0; i < c->kept_count; i++) {
        blob_unref(c->kept[i].frame);
    }
    world_free(&c->world);
    free(c->rules);
    free(c->kept);
    free(c->ids);
    buf_free(&c->story);
    free(c);
    *handle = NULL;
}

struct world *cluster_world(struct cluster *c) {
    return c->world;
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct op *cluster_ask(struct cluster *c, const struct op *request) {
    return world_ask(c->world, request);
}

/* Takes its own copies of the strings; `value` and `seen` may be NULL. */
static struct op *ask(struct cluster *c, unsigned node, enum client_op kind, const char *key,
                      const char *value, bool with_context, const struct op *seen) {
    struct op request = {.kind = kind,
                         .node = node - 1,
                         .key = mem_blob(key, strlen(key)),
                         .value = value != NULL ? mem_blob(value, strlen(value)) : NULL,
                         .with_context = with_context,
                         .wants_token = kind == CLIENT_READ,
                         .context = seen != NULL ? seen->token : NULL};
    struct op *op = world_ask(c->world, &request);
    blob_unref(request.key);
    blob_unref(request.value);
    return op;
}

struct op *cluster_set_later(struct cluster *c, unsigned node, const char *key, const char *value) {
    return ask(c, node, CLIENT_WRITE, key, value, false, NULL);
}

struct op *cluster_del_later(struct cluster *c, unsigned node, const char *key) {
    return ask(c, node, CLIENT_WRITE, key, NULL, false, NULL);
}

struct op *cluster_append_later(struct cluster *c, unsigned node, const char *key,
                                const char *text) {
    return ask(c, node, CLIENT_RMW, key, text, false, NULL);
}

struct op *cluster_get_later(struct cluster *c, unsigned node, const char *key) {
    return ask(c, node, CLIENT_READ, key, NULL, false, NULL);
}

struct op *cluster_get_r_later(struct cluster *c, unsigned node, const char *key, uint32_t r) {
    struct op request = {
        .kind = CLIENT_READ, .node = node - 1, .key = mem_blob(key, strlen(key)), .r = r};
    struct op *op = world_ask(c->world, &request);
    blob_unref(request.key);
    return op;
}

struct op *cluster_dynset_later(struct cluster *c, unsigned node, const char *key,
                                const char *value, const struct op *seen) {
    return ask(c, node, CLIENT_WRITE, key, value, true, seen);
}

struct op *cluster_await(struct cluster *c, struct op *op) {
    uint64_t until_us = op->asked_us + c->answer_us;
    while (!op->answered) {
        cluster_expect_true(c, world_step(c->world, until_us), "the request is answered in time");
    }
    return op;
}

static struct op *succeed(struct cluster *c, struct op *op) {
    cluster_expect_outcome(c, op, RD_OK);
    return op;
}

struct op *cluster_append(struct cluster *c, unsigned node, const char *key, const char *text) {
    return succeed(c, cluster_append_later(c, node, key, text));
}

struct op *cluster_set(struct cluster *c, unsigned node, const char *key, const char *value) {
    return succeed(c, cluster_set_later(c, node, key, value));
}

struct op *cluster_del(struct cluster *c, unsigned node, const char *key) {
    return succeed(c, cluster_del_later(c, node, key));
}

struct op *cluster_get(struct cluster *c, unsigned node, const char *key) {
    return succeed(c, cluster_get_later(c, node, key));
}

struct op *cluster_dynset(struct cluster *c, unsigned node, const char *key, const char *value,
                          const struct op *seen) {
    return succeed(c, cluster_dynset_later(c, node, key, value, seen));
}

/* ---- expecting ------------------------------------------------------------------------------- */

static void fail(struct cluster *c, const char *what, const char *expected, const char *got) {
    fprintf(stderr, "%s\nthe story so far:\n%s\n", what, cluster_story(c));
    if (expected != NULL) {
        fprintf(stderr, "expected: %s\ngot:      %s\n", expected, got);
    }
    abort();
}

void cluster_expect_true(struct cluster *c, bool condition, const char *what) {
    if (!condition) {
        fail(c, what, NULL, NULL);
    }
}

void cluster_expect_outcome(struct cluster *c, struct op *op, enum rd_err err) {
    cluster_await(c, op);
    if (op->err == err) {
        return;
    }
    struct buf what = {0};
    mem_printf(&what, "n%u: ", op->node + 1);
    history_text_request(op, &what);
    mem_printf(&what, ": %s", op->text);
    mem_append(&what, "", 1);
    fail(c, (const char *)buf_data(&what), rd_err_text(err), rd_err_text(op->err));
}

/* The values a reader sees at `wall_ms`, equal ones once, separated by spaces, as a string in
 * `out`. */
static void seen_values(const struct object *object, uint64_t wall_ms, struct buf *out) {
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        bool again = sibling_expired(sibling, wall_ms);
        for (uint32_t k = 0; k < i && !again; k++) {
            const struct blob *other = object->siblings[k].value;
            again = other->len == sibling->value->len &&
                    memcmp(other->bytes, sibling->value->bytes, other->len) == 0;
        }
        if (!again) {
            mem_printf(out, "%s%.*s", buf_len(out) > 0 ? " " : "", (int)sibling->value->len,
                       (const char *)sibling->value->bytes);
        }
    }
    mem_append(out, "", 1);
}

void cluster_expect(struct cluster *c, unsigned node, const char *key, const char *values) {
    struct op *op = cluster_get(c, node, key);
    struct buf got = {0};
    seen_values(&op->object, world_instant(c->world, node - 1).wall_us / 1000, &got);
    if (strcmp((const char *)buf_data(&got), values) != 0) {
        fail(c, key, values, (const char *)buf_data(&got));
    }
    buf_free(&got);
}

void cluster_expect_everywhere(struct cluster *c, const char *key, const char *values) {
    for (uint32_t i = 0; i < world_nodes(c->world); i++) {
        if (world_state(c->world, i) == NODE_RUNNING) {
            cluster_expect(c, i + 1, key, values);
        }
    }
}

struct look {
    const char *key;
    struct buf text;
};

static void look_at_row(void *arg, enum store_space space, const struct store_row *row) {
    struct look *look = arg;
    struct object object;
    if (space != STORE_OBJECTS || row->key_len != strlen(look->key) ||
        memcmp(row->key, look->key, row->key_len) != 0) {
        return;
    }
    if (row->value == NULL || object_decode(row->value->bytes, row->value->len, &object) != RD_OK) {
        mem_printf(&look->text, "damaged");
        return;
    }
    trace_text_object(&look->text, &object);
    object_free(&object);
}

void cluster_expect_stored(struct cluster *c, unsigned node, const char *key, const char *text) {
    struct look look = {.key = key};
    store_mem_each(world_disk(c->world, node - 1)->store, look_at_row, &look);
    if (buf_len(&look.text) == 0) {
        mem_printf(&look.text, "nothing");
    }
    mem_append(&look.text, "", 1);
    if (strcmp((const char *)buf_data(&look.text), text) != 0) {
        fail(c, key, text, (const char *)buf_data(&look.text));
    }
    buf_free(&look.text);
}
