/* Clients that try once more on another node. See scenario_clients.h. */
#include "sim/scenario_clients.h"

#include <stdio.h>
#include <stdlib.h>

#define MS UINT64_C(1000)

enum member_state cluster_state(struct cluster *c, unsigned node, unsigned other) {
    struct member_view view;
    struct node *at = world_node(cluster_world(c), node - 1);
    struct node_id id = node_self(world_node(cluster_world(c), other - 1));
    for (size_t i = 0; i < node_member_count(at); i++) {
        node_member(at, i, world_instant(cluster_world(c), node - 1), &view);
        if (node_id_compare(&view.id, &id) == 0) {
            return view.state;
        }
    }
    return MEMBER_DOWN;
}

unsigned cluster_seen(struct cluster *c, unsigned node, enum member_state state) {
    unsigned count = 0;
    for (unsigned other = 1; other <= world_nodes(cluster_world(c)); other++) {
        count += other != node && world_state(cluster_world(c), other - 1) == NODE_RUNNING &&
                 cluster_state(c, other, node) == state;
    }
    return count;
}

static unsigned next_node(struct cluster *c, const struct clients *load, unsigned node) {
    do {
        node = node % world_nodes(cluster_world(c)) + 1;
    } while (node == load->avoid);
    return node;
}

/* Another node, not always the next. */
static unsigned other_node(struct cluster *c, const struct clients *load, unsigned node) {
    unsigned other = node;
    for (unsigned i = 0; i <= load->asked % 3; i++) {
        other = next_node(c, load, other);
    }
    return other != node ? other : next_node(c, load, node);
}

static struct op *ask_in_turn(struct cluster *c, const struct clients *load, struct client *client,
                              const char *key, const char *value) {
    char sum[24];
    switch (load->asked % 4) {
    case 0:
        return cluster_set_later(c, client->node, key, value);
    case 1:
        if (client->seen != NULL) {
            snprintf(sum, sizeof sum, "%.*s", (int)client->seen->key->len,
                     (const char *)client->seen->key->bytes);
            return cluster_dynset_later(c, client->node, sum, value, client->seen);
        }
        return cluster_get_later(c, client->node, key);
    case 2:
        snprintf(sum, sizeof sum, "sum%u", load->asked % 20);
        return cluster_append_later(c, client->node, sum, "1");
    default:
        return cluster_get_later(c, client->node, key);
    }
}

static void ask(struct cluster *c, struct clients *load, struct client *client) {
    char key[16], value[16];
    snprintf(key, sizeof key, "key%u", load->asked * 7 % CLIENTS_KEYS);
    snprintf(value, sizeof value, "v%u", load->asked);
    if (load->mix == CLIENTS_ALL_KINDS)
        client->op = ask_in_turn(c, load, client, key, value);
    else
        client->op = load->mix == CLIENTS_READ_ONLY || load->asked % 2 == 0
                         ? cluster_get_later(c, client->node, key)
                         : cluster_set_later(c, client->node, key, value);
}

static void note_time(struct clients *load, uint64_t us) {
    if (load->count == load->cap) {
        load->cap = load->cap * 2 + 64;
        load->took_us = realloc(load->took_us, load->cap * sizeof *load->took_us);
    }
    if (load->took_us != NULL) {
        load->took_us[load->count++] = us;
    }
}

/* A request has failed twice. */
static void note_failure(struct cluster *c, struct clients *load, const struct client *client) {
    char text[300];
    if (load->excuse != NULL && load->excuse(c, client->op)) {
        load->excused++;
        return;
    }
    load->failed++;
    snprintf(text, sizeof text, "failed twice: %.*s, the second time at n%u: %s",
             (int)client->op->key->len, (const char *)client->op->key->bytes, client->node,
             client->op->text);
    cluster_note(c, text);
}

/* One client's turn: sees its answer, or asks. */
static void turn(struct cluster *c, struct clients *load, struct client *client) {
    uint64_t now = world_now_us(cluster_world(c));
    if (client->op == NULL && now >= client->next_us) {
        load->asked++;
        client->since_us = now;
        client->again = false;
        ask(c, load, client);
    }
    if (client->op == NULL || !client->op->answered) {
        return;
    }
    if (client->op->err != RD_OK && !client->again) {
        client->again = true;
        client->node = other_node(c, load, client->node);
        load->retried++;
        ask(c, load, client);
        return;
    }
    if (client->op->err != RD_OK) {
        note_failure(c, load, client);
    } else {
        note_time(load, client->op->answered_us - client->since_us);
        client->seen =
            client->op->kind == CLIENT_READ && client->op->token != NULL ? client->op : NULL;
    }
    client->op = NULL;
    client->next_us = now + load->pause_us;
}

void clients_begin(struct cluster *c, struct clients *load, unsigned avoid) {
    load->avoid = avoid;
    load->pause_us = 10 * MS;
    for (unsigned i = 0; i < CLIENTS_COUNT; i++) {
        load->all[i].node = next_node(c, load, i);
    }
}

void clients_run(struct cluster *c, struct clients *load, uint64_t ms) {
    uint64_t until_us = world_now_us(cluster_world(c)) + ms * MS;
    while (world_now_us(cluster_world(c)) < until_us) {
        for (unsigned i = 0; i < CLIENTS_COUNT; i++) {
            turn(c, load, &load->all[i]);
        }
        world_elapse(cluster_world(c), MS);
    }
}

void clients_end(struct cluster *c, struct clients *load) {
    for (unsigned i = 0; i < CLIENTS_COUNT; i++) {
        if (load->all[i].op != NULL) {
            cluster_await(c, load->all[i].op);
        }
    }
    free(load->took_us);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t clients_percentile(struct clients *load, size_t from, unsigned percent) {
    size_t count = load->count - from;
    if (count == 0) {
        return 0;
    }
    qsort(load->took_us + from, count, sizeof *load->took_us, compare);
    return load->took_us[from + (count * percent + 99) / 100 - 1];
}

struct cluster *clients_cluster(void) {
    struct world_conf conf;
    cluster_conf(&conf, 5);
    conf.node.trace = false;
    conf.check_every = 16;
    struct cluster *c = cluster_make(&conf);
    cluster_form(c);
    for (unsigned i = 0; i < CLIENTS_KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%u", i);
        cluster_set(c, 1 + i % 5, key, "v");
    }
    cluster_elapse_ms(c, 100);
    return c;
}
