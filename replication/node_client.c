/* How requests come in: from clients of this node, and forwarded by peers. */
#include <assert.h>
#include <stdio.h>

#include "replication/node_private.h"
#include "replication/slot.h"

bool node_is_open(const struct node *node) {
    if (node->birth.state == BIRTH_BORN)
        return !node->birth.gone;
    return node->identity.durable && !node->peers.outcast && peers_met_enough(&node->peers);
}

static const char *closed_reason(const struct node *node) {
    if (node->birth.gone)
        return "another node has taken the places of this one, which serves nothing any more";
    if (node->peers.outcast)
        return "the cluster was born without this node, and joining a born cluster is not "
               "supported yet";
    return "this node has not met its seeds yet";
}

/* Opens a sealed context. One that covers nothing may have been sealed before the cluster was
 * born, with the zero key: it has no power, so it is believed. */
static enum rd_err open_context(const struct node *node, const char *token, size_t len,
                                const void *key, size_t key_len, struct context *out) {
    static const uint8_t zero_key[CONTEXT_KEY_BYTES];
    enum rd_err err = RD_EBADCONTEXT;
    if (node->birth.state == BIRTH_BORN)
        err = context_open(token, len, node->birth.certificate.seal_key, key, key_len, out);
    if (err != RD_EBADCONTEXT)
        return err;
    struct context early;
    err = context_open(token, len, zero_key, key, key_len, &early);
    if (err != RD_OK)
        return err;
    if (early.version.count > 0 || early.has_dot || early.stamp != 0) {
        context_free(&early);
        return RD_EBADCONTEXT;
    }
    *out = early;
    return RD_OK;
}

void node_start_write(struct node *node, struct request *request) {
    bool home = placement_is_home(&node->placement, request->partition);
    if (home && node->core.store_err == RD_OK && request->order.rmw == NULL) {
        request->kind = REQUEST_WRITE;
        op_write_start(&node->co, request);
    } else {
        request->kind = REQUEST_FORWARD;
        op_forward_start(&node->co, request);
    }
}

/* Fills an order from what a client or a peer gave. */
static enum rd_err make_order(const struct node *node, const struct client_request *client,
                              struct write_order *order) {
    *order = (struct write_order){.with_context = client->with_context,
                                  .expires_ms = client->expires_ms,
                                  .w = client->w != 0 ? client->w : node->core.conf.w};
    if (client->with_context && client->context != NULL) {
        enum rd_err err = open_context(node, client->context, client->context_len, client->key,
                                       client->key_len, &order->context);
        if (err == RD_OK)
            err = blob_new(client->context, client->context_len, &order->token);
        if (err != RD_OK) {
            context_free(&order->context);
            return err;
        }
    }
    if (client->op == CLIENT_RMW) {
        order->rmw = blob_ref(client->value);
        order->r = client->r;
    } else {
        order->value = blob_ref(client->value);
    }
    return RD_OK;
}

/* Opens a write request with its order. On an error the requester has been answered. */
static struct request *open_write(struct node *node, const struct requester *from,
                                  const struct client_request *client) {
    struct request *request;
    struct write_order order;
    enum rd_err err = make_order(node, client, &order);
    if (err == RD_OK)
        err = coordinator_open(&node->co, REQUEST_PARKED, from, client->key, client->key_len,
                               &request);
    if (err == RD_OK) {
        request->order = order;
        if (order.rmw == NULL || op_rmw_make(request) == RD_OK)
            return request;
        coordinator_fail(&node->co, request, RD_ENOMEM, "out of memory; nothing was written");
        return NULL;
    }
    blob_unref(order.value);
    blob_unref(order.rmw);
    blob_unref(order.token);
    context_free(&order.context);
    coordinator_turn_away(&node->co, from, err, rd_err_text(err));
    return NULL;
}

static void on_write(struct node *node, const struct requester *from,
                     const struct client_request *client) {
    struct request *request = open_write(node, from, client);
    if (request == NULL)
        return;
    if (node->birth.state == BIRTH_BORN) {
        node_start_write(node, request);
        return;
    }
    node->parked++;
    birth_want(&node->birth);
}

void node_on_client(struct node *node, const struct client_request *client) {
    const struct requester from = {.tag = client->tag};
    struct request *request;
    if (!node_is_open(node)) {
        coordinator_turn_away(&node->co, &from, node->birth.gone ? RD_EREMOVED : RD_ECLUSTERDOWN,
                              closed_reason(node));
        return;
    }
    if (client->op == CLIENT_RMW && node->core.rmw == NULL) {
        coordinator_turn_away(&node->co, &from, RD_EREFUSED, "this node computes nothing");
        return;
    }
    if (client->op == CLIENT_WRITE || client->op == CLIENT_RMW) {
        on_write(node, &from, client);
        return;
    }
    enum request_kind kind = client->op == CLIENT_READ       ? REQUEST_READ
                             : client->op == CLIENT_REPLICAS ? REQUEST_REPORT
                             : client->op == CLIENT_COUNT    ? REQUEST_COUNT
                                                             : REQUEST_SCAN;
    enum rd_err err =
        coordinator_open(&node->co, kind, &from, client->key, client->key_len, &request);
    if (err != RD_OK) {
        coordinator_turn_away(&node->co, &from, err, rd_err_text(err));
        return;
    }
    if (kind == REQUEST_READ)
        op_read_start(&node->co, request, client->r != 0 ? client->r : node->core.conf.r,
                      client->monotonic);
    else if (kind == REQUEST_REPORT)
        op_report_start(&node->co, request);
    else if (kind == REQUEST_COUNT)
        op_count_start(&node->co, request);
    else
        op_scan_start(&node->co, request, client);
}

void node_on_forward(struct node *node, uint16_t member, const struct wire_msg *msg) {
    const struct requester from = {.is_peer = true, .member = member, .id = msg->forward.id};
    if (!forwarded_first(&node->forwarded, member, msg->forward.id)) {
        node->core.stats.late_answers++; /* it came before, and is or was answered */
        return;
    }
    if (!peers_is_proven(&node->peers, member)) {
        coordinator_turn_away(&node->co, &from, RD_EREFUSED,
                              "the replica stood still and does not know how old the write is; "
                              "nothing was written");
        return;
    }
    if (node->birth.state != BIRTH_BORN) {
        coordinator_turn_away(&node->co, &from, RD_ECLUSTERDOWN,
                              "the replica does not know yet that the cluster is born");
        return;
    }
    uint16_t slot =
        slot_of_key(node->core.conf.partitioner, msg->forward.key.data, msg->forward.key.len);
    bool stands_in = (msg->forward.flags & WIRE_FORWARD_STAND_IN) != 0;
    if (!stands_in &&
        !placement_is_home(&node->placement, slot_partition(slot, node->core.conf.partitions))) {
        coordinator_turn_away(&node->co, &from, RD_EREFUSED,
                              "the node it was forwarded to is no replica of the key; nothing was "
                              "written");
        return;
    }
    if (node->core.store_err != RD_OK) {
        char text[128];
        snprintf(text, sizeof(text), "the disk takes no writes (%s); nothing was written",
                 rd_err_text(node->core.store_err));
        coordinator_turn_away(&node->co, &from, node->core.store_err, text);
        return;
    }
    bool is_rmw = (msg->forward.flags & WIRE_FORWARD_RMW) != 0;
    if (is_rmw && (node->core.rmw == NULL || (msg->forward.flags & WIRE_FORWARD_DELETE) != 0)) {
        coordinator_turn_away(&node->co, &from, RD_EREFUSED, "this node computes nothing like it");
        return;
    }
    struct client_request client = {
        .op = is_rmw ? CLIENT_RMW : CLIENT_WRITE,
        .r = (uint32_t)(msg->forward.r <= PREFLIST_MAX_N ? msg->forward.r : 0),
        .key = msg->forward.key.data,
        .key_len = msg->forward.key.len,
        .w = (uint32_t)(msg->forward.w <= PREFLIST_MAX_N ? msg->forward.w : 0),
        .with_context = (msg->forward.flags & WIRE_FORWARD_WITH_CONTEXT) != 0,
        .expires_ms = msg->forward.expires_ms,
    };
    if ((msg->forward.flags & WIRE_FORWARD_HAS_CONTEXT) != 0) {
        client.context = (const char *)msg->forward.context.data;
        client.context_len = msg->forward.context.len;
    }
    if ((msg->forward.flags & WIRE_FORWARD_DELETE) == 0 &&
        blob_new(msg->forward.value.data, msg->forward.value.len, &client.value) != RD_OK) {
        coordinator_turn_away(&node->co, &from, RD_ENOMEM, rd_err_text(RD_ENOMEM));
        return;
    }
    struct request *request = open_write(node, &from, &client);
    blob_unref(client.value);
    if (request != NULL && client.op == CLIENT_RMW && !stands_in)
        op_rmw_start(&node->co, request);
    else if (request != NULL)
        node_start_write(node, request);
}
