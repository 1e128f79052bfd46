/* DBSIZE. Approximate while replicas differ or members are out of reach, as documented. */
#include "replication/op_count.h"

#include "replication/coordinator.h"

static void finish(struct coordinator *co, struct request *request) {
    struct client_reply *reply = coordinator_reply_new(co, RD_OK);
    if (reply != NULL)
        reply->number = request->count.sum;
    coordinator_finish(co, request, reply);
}

uint64_t op_count_own(const struct coordinator *co) {
    const struct store_view *view = &co->core->view;
    uint32_t partitions = co->core->conf.partitions;
    uint64_t sum = 0;
    for (uint32_t p = 0; view->live_count != NULL && p < partitions; p++) {
        uint16_t homes[PREFLIST_MAX_N];
        size_t count = placement_homes(co->placement, (uint16_t)p, homes);
        size_t first = 0;
        while (first < count && (!coordinator_healthy(co, homes[first]) ||
                                 member_is_filling(&co->members->items[homes[first]])))
            first++;
        if (first == count || homes[first] != MEMBER_SELF)
            continue;
        uint16_t slot = slot_first((uint16_t)p, partitions);
        uint16_t last = (uint16_t)(slot + SLOT_COUNT / partitions - 1);
        sum += view->live_count(view->arg, slot, last);
    }
    return sum;
}

void op_count_start(struct coordinator *co, struct request *request) {
    struct op_count *op = &request->count;
    struct wire_msg msg = {.kind = WIRE_COUNT};
    msg.count.id = request_id(request);
    op->sum = op_count_own(co);
    for (uint16_t i = 1; i < co->members->count; i++) {
        if (!coordinator_healthy(co, i) || !peers_say(co->peers, i, &msg))
            continue; /* others count for it */
        op->awaited[i / 8] |= (uint8_t)(1u << i % 8);
        op->awaited_count++;
    }
    if (op->awaited_count == 0)
        finish(co, request);
}

void op_count_answer(struct coordinator *co, struct request *request, uint16_t member,
                     uint64_t number) {
    struct op_count *op = &request->count;
    uint8_t bit = (uint8_t)(1u << member % 8);
    if ((op->awaited[member / 8] & bit) == 0)
        return;
    op->awaited[member / 8] &= (uint8_t)~bit;
    op->sum += number;
    if (--op->awaited_count == 0)
        finish(co, request);
}

void op_count_lost(struct coordinator *co, struct request *request, uint16_t member) {
    op_count_answer(co, request, member, 0);
}

void op_count_expired(struct coordinator *co, struct request *request) {
    finish(co, request);
}
