/* Forwarding. A home that cannot be sent to was provably not asked; one that was sent to and then lost may have acted. */
#include "replication/op_forward.h"

#include <assert.h>
#include <string.h>

#include "replication/coordinator.h"

static bool was_tried(const struct op_forward *op, uint16_t member) {
    for (uint8_t i = 0; i < op->tried_count; i++)
        if (op->tried[i] == member)
            return true;
    return false;
}

static struct resp_slice blob_slice(const struct blob *blob) {
    return blob == NULL ? (struct resp_slice){0} : (struct resp_slice){blob->bytes, blob->len};
}

static void make_message(const struct request *request, struct wire_msg *msg) {
    const struct write_order *order = &request->order;
    *msg = (struct wire_msg){.kind = WIRE_FORWARD};
    msg->forward.id = request_id(request);
    msg->forward.r = order->r;
    msg->forward.w = order->w;
    msg->forward.expires_ms = order->expires_ms;
    msg->forward.key = blob_slice(request->key);
    msg->forward.value = blob_slice(order->rmw != NULL ? order->rmw : order->value);
    msg->forward.context = blob_slice(order->token);
    bool deletes = order->value == NULL && order->rmw == NULL;
    msg->forward.flags = (deletes ? WIRE_FORWARD_DELETE : 0) |
                         (order->rmw != NULL ? WIRE_FORWARD_RMW : 0) |
                         (order->with_context ? WIRE_FORWARD_WITH_CONTEXT : 0) |
                         (order->token != NULL ? WIRE_FORWARD_HAS_CONTEXT : 0);
}

/* True if this node may coordinate the write itself, as a fallback. */
static bool may_stand_in(const struct coordinator *co, const uint16_t *homes, size_t count) {
    const struct node_conf *conf = &co->core->conf;
    for (size_t i = 0; i < count; i++)
        if (homes[i] == MEMBER_SELF)
            return false; /* a home whose own disk takes no writes */
    return conf->sloppy_quorum && conf->hinted_handoff && co->core->store_err == RD_OK;
}

/* No healthy home takes it: the node that was asked does, as a fallback. */
static void stand_in(struct coordinator *co, struct request *request) {
    if (request->order.rmw != NULL) {
        memset(&request->forward, 0, sizeof(request->forward));
        op_rmw_start(co, request);
        return;
    }
    request->kind = REQUEST_WRITE;
    memset(&request->write, 0, sizeof(request->write));
    op_write_start(co, request);
}

/* True if a read-modify-write can run here. */
static bool is_for_here(const struct coordinator *co, const struct request *request,
                        uint16_t home) {
    return home == MEMBER_SELF && request->order.rmw != NULL && co->core->store_err == RD_OK;
}

static void begin_here(struct coordinator *co, struct request *request) {
    memset(&request->forward, 0, sizeof(request->forward));
    op_rmw_start(co, request);
}

/* Sends it to `member` as `msg` says; says whether it could. */
static bool hand_to(struct coordinator *co, struct request *request, uint16_t member,
                    const struct wire_msg *msg) {
    struct op_forward *op = &request->forward;
    if (op->tried_count == FORWARD_MAX_TRIES || was_tried(op, member) ||
        !peers_say(co->peers, member, msg))
        return false;
    op->checking = false;
    op->member = member;
    op->sent_us = co->core->now.mono_us;
    op->link = peers_link_to(co->peers, member);
    op->turn = co->core->turns;
    op->tried[op->tried_count++] = member;
    co->core->stats.requests_forwarded++;
    return true;
}

/* Moves homes that answer slowly, or owe an answer already, behind those that do not: nobody can take a write
 * back from them. A read-modify-write keeps the order, so that all run at one place. */
static void quickest_first(const struct coordinator *co, const struct request *request,
                           uint16_t *homes, size_t count) {
    for (size_t i = 1; request->order.rmw == NULL && i < count; i++) {
        uint16_t home = homes[i];
        uint32_t slowness = peers_slowness(co->peers, home);
        size_t at = i;
        for (; at > 0 && peers_slowness(co->peers, homes[at - 1]) > slowness; at--)
            homes[at] = homes[at - 1];
        homes[at] = home;
    }
}

/* A home whose own disk takes no writes, and no other home takes it: a fallback does. */
static bool try_fallbacks(struct coordinator *co, struct request *request, struct wire_msg *msg) {
    uint16_t list[PREFLIST_MAX_N];
    size_t count = coordinator_fallbacks(co, request->partition, list, PREFLIST_MAX_N);
    msg->forward.flags |= WIRE_FORWARD_STAND_IN;
    for (size_t i = 0; !request->from.is_peer && i < count; i++)
        if (list[i] != MEMBER_SELF && hand_to(co, request, list[i], msg))
            return true;
    return false;
}

/* True if a home that could take it, and has not answered lately, is worth waiting for before the next one gets a read-modify-write. */
static bool keeps_order(const struct coordinator *co, const struct request *request) {
    return request->order.rmw != NULL && !coordinator_waited(co, request->forward.began_us, 4);
}

static bool may_take(const struct coordinator *co, const struct request *request, uint16_t home) {
    return peers_healthy(co->peers, home) && !was_tried(&request->forward, home) &&
           !member_is_filling(&co->members->items[home]);
}

/* Gives it to the first home that has just answered something, or begins it here; says whether it could. */
static bool give_to_home(struct coordinator *co, struct request *request, const uint16_t *homes,
                         size_t count, const struct wire_msg *msg) {
    for (size_t i = 0; i < count; i++) {
        if (is_for_here(co, request, homes[i]) &&
            !member_is_filling(&co->members->items[MEMBER_SELF])) {
            begin_here(co, request);
            return true;
        }
        if (!may_take(co, request, homes[i]))
            continue;
        if (peers_answers(co->peers, homes[i]) && hand_to(co, request, homes[i], msg))
            return true;
        if (keeps_order(co, request))
            return false;
    }
    return false;
}

/* Asks the homes that have not answered for a while for a sign of life; says whether there was one to ask. */
static bool check_on_homes(struct coordinator *co, struct request *request, const uint16_t *homes,
                           size_t count) {
    bool checking = false;
    for (size_t i = 0; i < count && !(checking && keeps_order(co, request)); i++)
        if (may_take(co, request, homes[i]) && peers_check_on(co->peers, homes[i]))
            checking = true;
    request->forward.checking = checking;
    co->checking |= checking;
    return checking;
}

/* Gives it to any home that can be reached, this node too: there is nobody else. */
static bool try_anyone(struct coordinator *co, struct request *request, const uint16_t *homes,
                       size_t count, const struct wire_msg *msg) {
    for (size_t i = 0; i < count; i++)
        if (homes[i] != MEMBER_SELF && hand_to(co, request, homes[i], msg))
            return true;
    for (size_t i = 0; i < count; i++)
        if (is_for_here(co, request, homes[i])) {
            begin_here(co, request);
            return true;
        }
    return false;
}

/* Goes on without an answer to pass on: to the best home not tried yet, or here, or to a fallback. Says whether it
 * could. */
static bool try_next(struct coordinator *co, struct request *request) {
    struct wire_msg msg;
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    make_message(request, &msg);
    bool fallback = may_stand_in(co, homes, count);
    quickest_first(co, request, homes, count);
    request->forward.checking = false;
    if (give_to_home(co, request, homes, count, &msg))
        return true;
    if (!coordinator_waited(co, request->forward.began_us, 2) &&
        check_on_homes(co, request, homes, count))
        return true;
    if (fallback)
        stand_in(co, request);
    return fallback || try_anyone(co, request, homes, count, &msg) ||
           (co->core->store_err != RD_OK && try_fallbacks(co, request, &msg));
}

/* Nobody takes it. */
static void fail(struct coordinator *co, struct request *request) {
    enum rd_err store_err = co->core->store_err;
    if (store_err != RD_OK && request->forward.tried_count == 0) {
        coordinator_fail(co, request, store_err,
                         "the disk takes no writes (%s); nothing was written",
                         rd_err_text(store_err));
        return;
    }
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "none of the key's replicas can take it now; nothing was written");
}

void op_forward_start(struct coordinator *co, struct request *request) {
    request->forward.began_us = co->core->now.mono_us;
    if (!try_next(co, request))
        fail(co, request);
}

void op_forward_answer(struct coordinator *co, struct request *request, uint16_t member,
                       const struct wire_msg *msg) {
    if (request->forward.checking || member != request->forward.member)
        return;
    peers_served(co->peers, member);
    if (!msg->forward_answer.handled && try_next(co, request))
        return;
    uint64_t err = msg->forward_answer.err;
    struct client_reply *reply =
        coordinator_reply_new(co, err < RD_ERR_COUNT ? (enum rd_err)err : RD_EREFUSED);
    if (reply == NULL) {
        coordinator_finish(co, request, NULL);
        return;
    }
    struct resp_slice text = msg->forward_answer.text, context = msg->forward_answer.context;
    size_t len = text.len < sizeof(reply->text) ? text.len : sizeof(reply->text) - 1;
    if (len > 0)
        memcpy(reply->text, text.data, len);
    reply->text[len] = '\0';
    reply->existed = msg->forward_answer.existed != 0;
    reply->stand_ins =
        (uint32_t)(msg->forward_answer.stand_ins <= PREFLIST_MAX_N ? msg->forward_answer.stand_ins
                                                                   : PREFLIST_MAX_N);
    if (buf_append(&reply->reply, msg->forward_answer.reply.data, msg->forward_answer.reply.len) !=
        RD_OK)
        reply->err = RD_EUNKNOWN; /* it was done, and how is lost */
    if (context.len <= CONTEXT_MAX_TOKEN_BYTES &&
        buf_append(&reply->context, context.data, context.len) != RD_OK)
        reply->err = RD_ENOMEM;
    coordinator_finish(co, request, reply);
}

void op_forward_lost(struct coordinator *co, struct request *request, uint16_t member) {
    const struct op_forward *op = &request->forward;
    if (op->checking) {
        op_forward_review(co, request);
        return;
    }
    if (member != op->member)
        return;
    if (op->turn == co->core->turns && peers_link(co->peers, op->link) != NULL)
        return; /* another link broke, and no answer can have been on it */
    if (!peers_never_left(co->peers, op->link, op->turn))
        coordinator_fail(co, request, RD_EUNKNOWN,
                         "the replica that took the write was lost before it answered: it may "
                         "have been written");
    else if (!try_next(co, request))
        fail(co, request);
}

void op_forward_review(struct coordinator *co, struct request *request) {
    const struct op_forward *op = &request->forward;
    if (op->checking) {
        if (!try_next(co, request))
            fail(co, request);
    } else if (!peers_healthy(co->peers, op->member) &&
               peers_silent(co->peers, op->member, op->sent_us)) {
        coordinator_fail(co, request, RD_EUNKNOWN,
                         "the replica that took the write is silent since: it may have been "
                         "written");
    }
}

void op_forward_expired(struct coordinator *co, struct request *request) {
    if (request->forward.checking) {
        fail(co, request);
        return;
    }
    peers_missed(co->peers, request->forward.member, request->started_us);
    coordinator_fail(co, request, RD_EUNKNOWN,
                     "the replica that took the write did not answer in time: it may have been "
                     "written");
}
