/* Deleting a page of keys. See op_flush.h. */
#include "replication/op_flush.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/coordinator.h"

/* How an acknowledgement names its item. */
#define ITEM_BITS 16

static uint64_t round_of(const struct request *request, uint32_t item) {
    return request->scan.round << ITEM_BITS | item;
}

void op_flush_free(struct op_flush *op) {
    for (uint32_t i = 0; i < op->count; i++) {
        blob_unref(op->items[i].key);
        object_free(&op->items[i].deleted);
    }
    free(op->items);
    *op = (struct op_flush){0};
}

static enum rd_err make_room(struct op_flush *op) {
    if (op->count < op->cap)
        return RD_OK;
    uint32_t cap = op->cap == 0 ? 64 : op->cap * 2;
    struct flush_item *grown = realloc(op->items, cap * sizeof(*grown));
    if (grown == NULL)
        return RD_ENOMEM;
    op->items = grown;
    op->cap = cap;
    return RD_OK;
}

enum rd_err op_flush_add(struct coordinator *co, struct request *request, struct blob *key,
                         struct object *held, bool live) {
    struct op_flush *op = &request->scan.deletion;
    struct core *core = co->core;
    struct context all;
    assert(op->count < 1u << ITEM_BITS);
    enum rd_err err = make_room(op);
    if (err == RD_OK)
        err = object_context(held, &all);
    if (err != RD_OK)
        return err;
    hlc_seen(&core->hlc, object_newest_stamp(held));
    err = object_remove(held, &all, hlc_next(&core->hlc, core->now.wall_us), NULL);
    context_free(&all);
    if (err != RD_OK)
        return err;
    struct flush_item *item = &op->items[op->count++];
    *item = (struct flush_item){.key = blob_ref(key), .deleted = *held};
    *held = (struct object){0};
    op->deleted += live;
    return RD_OK;
}

/* Lists the homes of the item's key; false if too few of them can be reached. */
static bool find_homes(struct coordinator *co, struct request *request, struct flush_item *item) {
    uint16_t slot = slot_of_key(co->core->conf.partitioner, item->key->bytes, item->key->len);
    uint32_t reachable = 0, w = request->order.w;
    item->home_count = (uint8_t)placement_homes(
        co->placement, slot_partition(slot, co->core->conf.partitions), item->homes);
    for (uint8_t i = 0; i < item->home_count; i++) {
        bool filling = member_is_filling(&co->members->items[item->homes[i]]);
        item->filling |= (uint16_t)(filling << i);
        reachable += !filling && coordinator_can_ask(co, item->homes[i]);
    }
    item->needed = (uint8_t)(w < item->home_count ? w : item->home_count);
    if (reachable >= item->needed)
        return true;
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM, "%u of %u replicas can be reached, %u are needed",
                     reachable, item->home_count, item->needed);
    return false;
}

static enum rd_err make_frame(const struct request *request, uint32_t i, struct blob **out) {
    const struct flush_item *item = &request->scan.deletion.items[i];
    struct buf bytes = {0};
    struct wire_msg msg = {.kind = WIRE_WRITE};
    enum rd_err err = object_encode(&item->deleted, &bytes);
    if (err == RD_OK) {
        msg.write.id = request_id(request);
        msg.write.round = round_of(request, i);
        msg.write.key = (struct resp_slice){item->key->bytes, item->key->len};
        msg.write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
        err = wire_encode(&msg, out);
    }
    buf_free(&bytes);
    return err;
}

/* Sends one item to all its homes in reach. */
static void send_item(struct coordinator *co, struct request *request, uint32_t i) {
    struct flush_item *item = &request->scan.deletion.items[i];
    struct blob *frame;
    watched_touch(&co->core->watched, item->key);
    if (make_frame(request, i, &frame) != RD_OK)
        return; /* too few will have been asked */
    for (uint8_t h = 0; h < item->home_count; h++)
        if (item->homes[h] != MEMBER_SELF && peers_send(co->peers, item->homes[h], frame))
            item->asked |= (uint16_t)(1u << h);
    blob_unref(frame);
    for (uint8_t h = 0; h < item->home_count; h++) {
        struct asker asker = request_asker(request, round_of(request, i));
        if (item->homes[h] == MEMBER_SELF &&
            replica_merge(co->replica, item->key, &item->deleted, &asker) == RD_OK)
            item->asked |= (uint16_t)(1u << h);
    }
    object_free(&item->deleted);
}

static void fail_unknown(struct coordinator *co, struct request *request) {
    const struct op_flush *op = &request->scan.deletion;
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_EUNKNOWN,
                     "%u of %u keys are surely deleted, the others may have been", op->done,
                     op->count);
}

/* True if the item may still get as many acknowledgements as it needs. */
static bool may_succeed(const struct flush_item *item) {
    unsigned open = (unsigned)__builtin_popcount(item->asked & ~item->answered & ~item->filling);
    return item->good + open >= item->needed;
}

void op_flush_begin(struct coordinator *co, struct request *request) {
    struct op_flush *op = &request->scan.deletion;
    request->scan.state = SCAN_DELETING;
    for (uint32_t i = 0; i < op->count; i++)
        if (!find_homes(co, request, &op->items[i]))
            return;
    for (uint32_t i = 0; i < op->count; i++)
        send_item(co, request, i);
    for (uint32_t i = 0; i < op->count; i++)
        if (!may_succeed(&op->items[i])) {
            fail_unknown(co, request);
            return;
        }
    if (op->count == 0)
        op_scan_finish(co, request);
}

/* Counts one home's answer to one item; false if the request has ended. */
static bool count(struct coordinator *co, struct request *request, struct flush_item *item,
                  uint16_t member, bool good) {
    struct op_flush *op = &request->scan.deletion;
    for (uint8_t h = 0; h < item->home_count; h++) {
        uint16_t bit = (uint16_t)(1u << h);
        if (item->homes[h] != member || (item->asked & bit) == 0 || (item->answered & bit) != 0)
            continue;
        item->answered |= bit;
        if ((item->filling & bit) != 0)
            continue;
        if (good && ++item->good == item->needed)
            op->done++;
        if (!good && item->good < item->needed && !may_succeed(item)) {
            fail_unknown(co, request);
            return false;
        }
    }
    if (op->done < op->count)
        return true;
    op_scan_finish(co, request);
    return false;
}

void op_flush_answer(struct coordinator *co, struct request *request, uint16_t member,
                     uint64_t round, bool good) {
    struct op_flush *op = &request->scan.deletion;
    uint32_t i = (uint32_t)(round & ((1u << ITEM_BITS) - 1));
    if (request->scan.state != SCAN_DELETING || i >= op->count || round != round_of(request, i)) {
        co->core->stats.late_answers++;
        return;
    }
    count(co, request, &op->items[i], member, good);
}

void op_flush_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_flush *op = &request->scan.deletion;
    for (uint32_t i = 0; i < op->count; i++)
        if (!count(co, request, &op->items[i], member, false))
            return;
}

void op_flush_expired(struct coordinator *co, struct request *request) {
    struct op_flush *op = &request->scan.deletion;
    for (uint32_t i = 0; i < op->count; i++) {
        const struct flush_item *item = &op->items[i];
        for (uint8_t h = 0; h < item->home_count; h++)
            if ((item->asked & ~item->answered & 1u << h) != 0 && item->homes[h] != MEMBER_SELF)
                peers_missed(co->peers, item->homes[h], request->started_us);
    }
    fail_unknown(co, request);
}
