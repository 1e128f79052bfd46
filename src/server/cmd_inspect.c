/* Looking at one key from outside: DYNSIBLINGS (what a read finds), DYNREPLICAS (what each replica holds), DYNPREFLIST (who
 * should hold it). */
#include <inttypes.h>
#include <stdlib.h>

#include "replication/hlc.h"
#include "replication/node.h"
#include "replication/object.h"
#include "server/call.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/describe.h"
#include "server/driver.h"
#include "server/server.h"

/* ---- DYNSIBLINGS ------------------------------------------------------------------------------------ */

/* One entry; `sibling` NULL: the tombstone. */
static void write_sibling(struct resp_writer *w, const struct object *object,
                          const struct sibling *sibling, const struct buf *clock) {
    resp_write_map(w, 6);
    resp_write_text(w, "value");
    if (sibling != NULL) {
        resp_write_bulk(w, sibling->value->bytes, sibling->value->len);
    } else {
        resp_write_null(w);
    }
    resp_write_text(w, "dot");
    if (sibling != NULL) {
        describe_dot(&sibling->dot, w);
    } else {
        resp_write_null(w);
    }
    resp_write_text(w, "clock");
    resp_write_bulk(w, buf_data(clock), buf_len(clock));
    resp_write_text(w, "time");
    resp_write_int(w,
                   (int64_t)hlc_wall_ms(sibling != NULL ? sibling->stamp : object->deleted_stamp));
    resp_write_text(w, "expires");
    if (sibling != NULL && sibling->expires_ms != 0) {
        resp_write_int(w, (int64_t)sibling->expires_ms);
    } else {
        resp_write_null(w);
    }
    resp_write_text(w, "tombstone");
    resp_write_bool(w, sibling == NULL);
}

static enum call_progress siblings_reply(struct call *call, uint32_t part,
                                         struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    const struct object *object = &reply->object;
    struct buf clock = {0};
    enum rd_err err = describe_version(&object->version, &clock);
    if (err != RD_OK) {
        buf_free(&clock);
        return call_fail(call, err, NULL);
    }
    struct resp_writer *w = call_reply(call);
    bool tombstone = object->count == 0 && !object_is_empty(object);
    resp_write_array(w, tombstone ? 1 : object->count);
    if (tombstone) {
        write_sibling(w, object, NULL, &clock);
    }
    for (uint32_t i = 0; i < object->count; i++) {
        write_sibling(w, object, &object->siblings[i], &clock);
    }
    buf_free(&clock);
    return CALL_DONE;
}

static enum call_progress ask(struct call *call, enum client_op op,
                              enum call_progress (*on_reply)(struct call *, uint32_t,
                                                             struct client_reply *)) {
    const struct resp_slice *key = &call->argv[1];
    struct client_request request = {.op = op, .key = key->data, .key_len = key->len};
    call->on_reply = on_reply;
    enum rd_err err = call_submit(call, 0, &request);
    return err != RD_OK ? call_fail(call, err, NULL) : CALL_WAITS;
}

enum call_progress cmd_dynsiblings(struct call *call) {
    return ask(call, CLIENT_READ, siblings_reply);
}

/* ---- DYNREPLICAS ------------------------------------------------------------------------------------ */

static const char *replica_state_text(enum replica_state state) {
    switch (state) {
    case REPLICA_OK:
        return "ok";
    case REPLICA_NOT_FOUND:
        return "not-found";
    case REPLICA_FAILED:
        return "failed";
    default:
        return "no-answer";
    }
}

static enum call_progress replicas_reply(struct call *call, uint32_t part,
                                         struct client_reply *reply) {
    (void)part;
    if (reply->err != RD_OK) {
        return call_fail(call, reply->err, reply->text);
    }
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, reply->report_count);
    for (size_t i = 0; i < reply->report_count; i++) {
        const struct replica_report *report = &reply->reports[i];
        resp_write_map(w, 7);
        resp_write_text(w, "node");
        describe_id(&report->node, w);
        resp_write_text(w, "address");
        describe_address(&report->address, w);
        resp_write_text(w, "role");
        resp_write_text(w, report->home ? "home" : "fallback");
        resp_write_text(w, "state");
        resp_write_text(w, replica_state_text(report->state));
        resp_write_text(w, "siblings");
        resp_write_int(w, report->siblings);
        resp_write_text(w, "clock");
        resp_write_bulk(w, buf_data(&report->clock), buf_len(&report->clock));
        resp_write_text(w, "digest");
        resp_write_textf(w, "%016" PRIx64, report->digest);
    }
    return CALL_DONE;
}

enum call_progress cmd_dynreplicas(struct call *call) {
    return ask(call, CLIENT_REPLICAS, replicas_reply);
}

/* ---- DYNPREFLIST ------------------------------------------------------------------------------------ */

enum call_progress cmd_dynpreflist(struct call *call) {
    const struct node *node = driver_node(call_server(call)->driver);
    size_t members = node_member_count(node);
    uint16_t *list = malloc(members * sizeof(*list));
    if (list == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    uint16_t slot = node_slot(node, call->argv[1].data, call->argv[1].len);
    uint16_t partition = slot_partition(slot, node_partitions(node));
    size_t homes = 0;
    size_t count = node_preflist(node, partition, list, members, &homes);
    struct resp_writer *w = call_reply(call);
    resp_write_map(w, 3);
    resp_write_text(w, "slot");
    resp_write_int(w, slot);
    resp_write_text(w, "partition");
    resp_write_int(w, partition);
    resp_write_text(w, "nodes");
    resp_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        struct member_view member;
        node_member(node, list[i], clock_now(), &member);
        resp_write_map(w, 5);
        resp_write_text(w, "node");
        describe_id(&member.id, w);
        resp_write_text(w, "address");
        describe_address(&member.address, w);
        resp_write_text(w, "role");
        resp_write_text(w, i < homes ? "home" : "fallback");
        resp_write_text(w, "zone");
        resp_write_text(w, member.zone);
        resp_write_text(w, "state");
        resp_write_text(w, describe_state(member.state));
    }
    free(list);
    return CALL_DONE;
}
