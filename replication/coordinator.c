/* The request table.
 *
 * Invariants: (1) a slot's generation changes when its request ends, so no name is used twice;
 * (2) the deadline list is sorted; (3) in_flight + free_count = slot_count. */
#include "replication/coordinator.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define LATE_SHARE 10 /* who was asked late has so much of request-timeout all the same */

enum rd_err coordinator_init(struct coordinator *co, struct core *core) {
    uint32_t count = core->conf.max_requests;
    *co = (struct coordinator){.core = core, .slot_count = count, .free_count = count};
    co->slots = calloc(count, sizeof(*co->slots));
    co->generations = calloc(count, sizeof(*co->generations));
    co->free_slots = calloc(count, sizeof(*co->free_slots));
    if (co->slots == NULL || co->generations == NULL || co->free_slots == NULL) {
        coordinator_free(co);
        return RD_ENOMEM;
    }
    /* Peers may still answer what this process asked in its last life: names begin somewhere
     * else. */
    uint32_t first = (uint32_t)prng_u64(&core->prng) & INT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        co->free_slots[i] = count - 1 - i;
        co->generations[i] = first;
    }
    return RD_OK;
}

static void order_free(struct write_order *order) {
    blob_unref(order->value);
    blob_unref(order->token);
    blob_unref(order->rmw);
    context_free(&order->context);
    *order = (struct write_order){0};
}

static void request_free(struct coordinator *co, struct request *request) {
    if (request->release != NULL)
        request->release(request);
    op_rmw_release(request);
    order_free(&request->order);
    blob_unref(request->key);
    pool_give(&co->spare, request);
}

void coordinator_free(struct coordinator *co) {
    for (uint32_t i = 0; co->slots != NULL && i < co->slot_count; i++)
        if (co->slots[i] != NULL)
            request_free(co, co->slots[i]);
    op_rmw_table_free(co);
    free(co->slots);
    free(co->generations);
    free(co->free_slots);
    scan_memory_free(&co->scan_memory);
    pool_free(&co->spare);
    *co = (struct coordinator){0};
}

/* Sorts a request into the deadline list; nearly always it is the last. */
static void insert_deadline(struct coordinator *co, struct request *request) {
    struct request *at = co->deadlines == NULL ? NULL : co->deadlines->prev; /* the last */
    while (at != NULL && at->deadline_us > request->deadline_us)
        at = at == co->deadlines ? NULL : at->prev;
    if (at == NULL)
        DL_PREPEND(co->deadlines, request);
    else
        DL_APPEND_ELEM(co->deadlines, at, request);
}

/* Ends the oldest request that waits for late answers only: what they could repair is no reason to
 * turn a client away. */
static bool make_room(struct coordinator *co) {
    struct request *at = co->lingering > 0 ? co->deadlines : NULL;
    while (at != NULL && !at->replied)
        at = at->next;
    if (at != NULL && at->kind == REQUEST_WRITE)
        op_write_make_way(co, at);
    else if (at != NULL)
        coordinator_close(co, at);
    return at != NULL;
}

/* Reads and writes are many, and their lists of nodes, which stand last, are long and filled as they grow: they are not
 * zeroed. */
#define ZEROED_BYTES (offsetof(struct request, write) + offsetof(struct op_write, to.all))
static_assert(offsetof(struct op_write, to.all) >= offsetof(struct op_read, homes) &&
                  offsetof(struct op_write, to.all) >= sizeof(struct op_forward),
              "the rest of all three is zeroed");

static struct request *new_request(struct coordinator *co, enum request_kind kind) {
    struct request *request = pool_take(&co->spare, sizeof(*request));
    bool usual = kind == REQUEST_READ || kind == REQUEST_WRITE || kind == REQUEST_PARKED;
    if (request != NULL)
        memset(request, 0, usual ? ZEROED_BYTES : sizeof(*request));
    return request;
}

enum rd_err coordinator_open(struct coordinator *co, enum request_kind kind,
                             const struct requester *from, const void *key, size_t key_len,
                             struct request **out) {
    if (co->free_count == 0 && !make_room(co))
        return RD_EOVERLOADED;
    struct request *request = new_request(co, kind);
    if (request == NULL)
        return RD_ENOMEM;
    if (kind != REQUEST_COUNT && kind != REQUEST_SCAN) {
        enum rd_err err = blob_new(key, key_len, &request->key);
        if (err != RD_OK) {
            pool_give(&co->spare, request);
            return err;
        }
        request->partition = slot_partition(slot_of_key(co->core->conf.partitioner, key, key_len),
                                            co->core->conf.partitions);
    }
    request->kind = kind;
    request->from = *from;
    request->slot = co->free_slots[--co->free_count];
    request->generation = co->generations[request->slot];
    request->started_us = co->core->now.mono_us;
    request->deadline_us =
        co->core->now.mono_us + (uint64_t)co->core->conf.request_timeout_ms * 1000;
    co->slots[request->slot] = request;
    co->in_flight++;
    insert_deadline(co, request);
    *out = request;
    return RD_OK;
}

uint64_t request_id(const struct request *request) {
    assert(request->generation <= INT32_MAX); /* the highest bit is an exchange's */
    return (uint64_t)request->generation << 32 | (request->slot + 1);
}

struct request *coordinator_find(struct coordinator *co, uint64_t id) {
    uint32_t slot = (uint32_t)id - 1;
    struct request *request = slot < co->slot_count ? co->slots[slot] : NULL;
    if (request != NULL && request->generation == id >> 32)
        return request;
    co->core->stats.late_answers++;
    return NULL;
}

void coordinator_hedge_at(struct coordinator *co, struct request *request, uint64_t at_us) {
    assert(request->hedge_us == 0 && at_us > 0);
    request->hedge_us = at_us;
    struct request *at = co->hedges == NULL ? NULL : co->hedges->hedge_prev; /* the last */
    while (at != NULL && at->hedge_us > at_us)
        at = at == co->hedges ? NULL : at->hedge_prev;
    if (at == NULL)
        DL_PREPEND2(co->hedges, request, hedge_prev, hedge_next);
    else
        DL_APPEND_ELEM2(co->hedges, at, request, hedge_prev, hedge_next);
}

void coordinator_deadline_at(struct coordinator *co, struct request *request, uint64_t at_us) {
    DL_DELETE(co->deadlines, request);
    request->deadline_us = at_us;
    insert_deadline(co, request);
}

/* The bit of `member`; 0: it is no home. */
static uint32_t place_bit(const struct coordinator *co, const struct request *request,
                          uint16_t member) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    for (size_t i = 0; i < count; i++)
        if (homes[i] == member)
            return UINT32_C(1) << i;
    return 0;
}

bool coordinator_is_silent(const struct coordinator *co, const struct request *request,
                           uint16_t member) {
    return request->silent != 0 && (request->silent & place_bit(co, request, member)) != 0;
}

void coordinator_note_silent(const struct coordinator *co, struct request *request, uint16_t member,
                             bool silent) {
    if (silent)
        request->silent |= place_bit(co, request, member);
    else if (request->silent != 0)
        request->silent &= ~place_bit(co, request, member);
}

bool coordinator_waited(const struct coordinator *co, uint64_t since_us, uint32_t share) {
    uint64_t timeout_us = (uint64_t)co->core->conf.request_timeout_ms * 1000;
    return co->core->now.mono_us - since_us >= timeout_us / share;
}

bool coordinator_holds_up(const struct coordinator *co, const struct request *request,
                          uint16_t member, bool home, uint64_t asked_us) {
    if (!coordinator_healthy(co, member))
        return true;
    bool late = coordinator_waited(co, request->started_us, 2);
    return coordinator_waited(co, asked_us, late ? LATE_SHARE : 4) && (late || !home);
}

/* Takes the request out of the table; the caller still owns it. */
static void close_request(struct coordinator *co, struct request *request) {
    assert(co->slots[request->slot] == request);
    if (request->hedge_us != 0)
        DL_DELETE2(co->hedges, request, hedge_prev, hedge_next);
    DL_DELETE(co->deadlines, request);
    co->slots[request->slot] = NULL;
    co->generations[request->slot] = (request->generation + 1) & INT32_MAX;
    co->free_slots[co->free_count++] = request->slot;
    co->in_flight--;
    co->lingering -= request->replied;
}

struct client_reply *coordinator_reply_new(struct coordinator *co, enum rd_err err) {
    struct client_reply *reply = effects_reply_new(co->core->effects);
    if (reply != NULL)
        reply->err = err;
    return reply;
}

/* Tells a peer how its forwarded write ended. */
static void answer_peer(struct coordinator *co, const struct requester *from,
                        const struct client_reply *reply, bool handled) {
    struct wire_msg msg = {.kind = WIRE_FORWARD_ANSWER};
    msg.forward_answer.id = from->id;
    msg.forward_answer.err = reply == NULL ? RD_ENOMEM : reply->err;
    msg.forward_answer.handled = handled;
    if (reply != NULL) {
        msg.forward_answer.existed = reply->existed;
        msg.forward_answer.stand_ins = reply->stand_ins;
        msg.forward_answer.reply =
            (struct resp_slice){buf_data(&reply->reply), buf_len(&reply->reply)};
        msg.forward_answer.text =
            (struct resp_slice){(const uint8_t *)reply->text, strlen(reply->text)};
        msg.forward_answer.context =
            (struct resp_slice){buf_data(&reply->context), buf_len(&reply->context)};
    }
    peers_say(co->peers, from->member, &msg);
}

/* Answers whoever asked; takes `reply` over. Without memory for a reply the effect itself says
 * so. */
static void answer(struct coordinator *co, const struct requester *from, struct client_reply *reply,
                   bool handled) {
    if (from->is_peer) {
        answer_peer(co, from, reply, handled);
        client_reply_free(reply);
        return;
    }
    if (reply == NULL) {
        effects_push(co->core->effects, EFF_REPLY)->reply.tag = from->tag;
        return;
    }
    effects_reply(co->core->effects, from->tag, reply);
}

void coordinator_reply(struct coordinator *co, struct request *request,
                       struct client_reply *reply) {
    assert(!request->replied);
    core_trace(co->core, "request %llu ends: %s", (unsigned long long)request_id(request),
               rd_err_name(reply == NULL ? RD_ENOMEM : reply->err));
    if (request->rmw != NULL)
        op_rmw_ended(co, request, reply);
    request->replied = true;
    co->lingering++;
    answer(co, &request->from, reply, true);
}

void coordinator_close(struct coordinator *co, struct request *request) {
    assert(request->replied);
    close_request(co, request);
    request_free(co, request);
}

void coordinator_finish(struct coordinator *co, struct request *request,
                        struct client_reply *reply) {
    coordinator_reply(co, request, reply);
    coordinator_close(co, request);
}

void coordinator_fail(struct coordinator *co, struct request *request, enum rd_err err,
                      const char *format, ...) {
    struct client_reply *reply = coordinator_reply_new(co, err);
    if (reply != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(reply->text, sizeof(reply->text), format, args);
        va_end(args);
    }
    coordinator_finish(co, request, reply);
}

void coordinator_turn_away(struct coordinator *co, const struct requester *from, enum rd_err err,
                           const char *text) {
    struct client_reply *reply = coordinator_reply_new(co, err);
    if (reply != NULL)
        snprintf(reply->text, sizeof(reply->text), "%s", text);
    answer(co, from, reply, false);
}

size_t coordinator_homes(const struct coordinator *co, const struct request *request,
                         uint16_t *out) {
    return placement_homes(co->placement, request->partition, out);
}

bool coordinator_can_ask(const struct coordinator *co, uint16_t member) {
    return member == MEMBER_SELF || peers_reachable(co->peers, member);
}

bool coordinator_healthy(const struct coordinator *co, uint16_t member) {
    return member == MEMBER_SELF || peers_healthy(co->peers, member);
}

size_t coordinator_fallbacks(const struct coordinator *co, uint16_t partition, uint16_t *out,
                             size_t max) {
    uint16_t list[RING_MAX_MEMBERS];
    size_t count = 0, listed = 0, homes = 0;
    if (co->core->conf.sloppy_quorum && co->core->conf.hinted_handoff) {
        homes = placement_homes(co->placement, partition, list);
        listed = placement_list(co->placement, partition, list, RING_MAX_MEMBERS);
    }
    for (size_t i = homes; i < listed && count < max; i++)
        if (coordinator_healthy(co, list[i]))
            out[count++] = list[i];
    return count;
}

struct asker request_asker(const struct request *request, uint64_t round) {
    return (struct asker){
        .kind = ASKER_REQUEST, .member = MEMBER_SELF, .id = request_id(request), .round = round};
}

void coordinator_check(const struct coordinator *co) {
    assert(co->in_flight + co->free_count == co->slot_count);
    uint32_t listed = 0, lingering = 0;
    uint64_t last = 0;
    for (const struct request *at = co->deadlines; at != NULL; at = at->next) {
        assert(co->slots[at->slot] == at && co->generations[at->slot] == at->generation);
        assert(at->deadline_us >= last);
        if (at->kind == REQUEST_READ && at->read.quorum.needed > 0)
            quorum_check(&at->read.quorum);
        if (at->kind == REQUEST_WRITE && at->write.quorum.needed > 0)
            quorum_check(&at->write.quorum);
        last = at->deadline_us;
        lingering += at->replied;
        listed++;
    }
    assert(listed == co->in_flight && lingering == co->lingering);
}
