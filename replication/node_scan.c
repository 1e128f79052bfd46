/* Scans between nodes: what peers ask this node's replica to list, and what theirs have listed. */
#include "replication/node_private.h"

/* Says how a peer's order ended. */
static void say_answer(struct node *node, const struct scan_answer *answer) {
    struct wire_msg msg = {.kind = WIRE_SCAN_ANSWER};
    msg.scan_answer.id = answer->id;
    msg.scan_answer.round = answer->round;
    msg.scan_answer.err = answer->err;
    msg.scan_answer.slot = answer->to.slot;
    msg.scan_answer.behind_key = answer->to.key != NULL;
    if (answer->to.key != NULL)
        msg.scan_answer.key = (struct resp_slice){answer->to.key->bytes, answer->to.key->len};
    msg.scan_answer.page = (struct resp_slice){buf_data(&answer->page), buf_len(&answer->page)};
    peers_say(&node->peers, answer->member, &msg);
}

enum rd_err node_on_scan(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct scan_order_for order = {.member = member,
                                   .id = msg->scan.id,
                                   .round = msg->scan.round,
                                   .tombstones = (msg->scan.flags & WIRE_SCAN_TOMBSTONES) != 0,
                                   .hints = (msg->scan.flags & WIRE_SCAN_HINTS) != 0,
                                   .place = msg->scan.place};
    if (msg->scan.slot >= SLOT_COUNT || msg->scan.last_slot >= SLOT_COUNT)
        return RD_EPROTO;
    order.last_slot = (uint16_t)msg->scan.last_slot;
    order.max_rows =
        msg->scan.max_rows < SCAN_ANSWER_ROWS ? (uint32_t)msg->scan.max_rows : SCAN_ANSWER_ROWS;
    scan_position_slot(&order.from, (uint16_t)msg->scan.slot);
    enum rd_err err = RD_OK;
    if ((msg->scan.flags & WIRE_SCAN_BEHIND_KEY) != 0)
        err = scan_position_key(&order.from, (uint16_t)msg->scan.slot, msg->scan.key);
    if (err == RD_OK)
        err = scan_jobs_start(&node->scan_jobs, &order);
    scan_position_free(&order.from);
    if (err != RD_OK)
        say_answer(node, &(struct scan_answer){
                             .member = member, .id = order.id, .round = order.round, .err = err});
    return RD_OK;
}

/* Hands an answer to the request that waits for it. */
static void route(struct node *node, struct scan_answer *answer) {
    struct request *request = coordinator_find(&node->co, answer->id);
    if (request != NULL && request->kind == REQUEST_SCAN)
        op_scan_answer(&node->co, request, answer);
}

enum rd_err node_on_scan_answer(struct node *node, uint16_t member, const struct wire_msg *msg) {
    struct scan_answer answer = {.member = member,
                                 .id = msg->scan_answer.id,
                                 .round = msg->scan_answer.round,
                                 .err = msg->scan_answer.err < RD_ERR_COUNT
                                            ? (enum rd_err)msg->scan_answer.err
                                            : RD_EREFUSED};
    if (msg->scan_answer.slot > SLOT_COUNT)
        return RD_EPROTO;
    uint16_t slot = (uint16_t)msg->scan_answer.slot;
    enum rd_err err =
        buf_append(&answer.page, msg->scan_answer.page.data, msg->scan_answer.page.len);
    scan_position_slot(&answer.to, slot);
    if (err == RD_OK && msg->scan_answer.behind_key == 1)
        err = scan_position_key(&answer.to, slot, msg->scan_answer.key);
    if (err != RD_OK)
        answer.err = err;
    route(node, &answer);
    scan_answer_free(&answer);
    return RD_OK;
}

bool node_give_scans(struct node *node) {
    struct scan_answer answer;
    bool any = false;
    while (scan_jobs_next(&node->scan_jobs, &answer)) {
        any = true;
        if (answer.member == MEMBER_SELF)
            route(node, &answer);
        else
            say_answer(node, &answer);
        scan_answer_free(&answer);
    }
    return any;
}
