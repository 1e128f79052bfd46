/* DYNCLUSTER: the cluster as an operator looks at it. */
#include <stdlib.h>

#include "replication/node.h"
#include "replication/preflist.h"
#include "server/call.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/describe.h"
#include "server/driver.h"
#include "server/server.h"

static void write_member(struct resp_writer *w, const struct member_view *member) {
    resp_write_map(w, 10);
    resp_write_text(w, "id");
    describe_id(&member->id, w);
    resp_write_text(w, "address");
    describe_address(&member->address, w);
    resp_write_text(w, "cluster-port");
    resp_write_int(w, member->cluster_port);
    resp_write_text(w, "zone");
    resp_write_text(w, member->zone);
    resp_write_text(w, "vnodes");
    resp_write_int(w, member->vnodes);
    resp_write_text(w, "state");
    resp_write_text(w, describe_state(member->state));
    resp_write_text(w, "status");
    resp_write_text(w, describe_status(member->status));
    resp_write_text(w, "partitions");
    resp_write_int(w, member->partitions);
    resp_write_text(w, "hints-pending");
    resp_write_int(w, (int64_t)member->hints_pending);
    resp_write_text(w, "last-heard-ms");
    resp_write_int(w, (int64_t)member->heard_ms);
}

enum call_progress cmd_dyncluster_nodes(struct call *call) {
    const struct node *node = driver_node(call_server(call)->driver);
    struct instant now = clock_now();
    size_t count = node_member_count(node);
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        struct member_view member;
        node_member(node, i, now, &member);
        write_member(w, &member);
    }
    return CALL_DONE;
}

static void write_hints(struct resp_writer *w, const struct member_view *member, uint64_t now_ms) {
    uint64_t since = member->hint_oldest_ms;
    resp_write_map(w, 6);
    resp_write_text(w, "id");
    describe_id(&member->id, w);
    resp_write_text(w, "address");
    describe_address(&member->address, w);
    resp_write_text(w, "state");
    resp_write_text(w, describe_state(member->state));
    resp_write_text(w, "hints");
    resp_write_int(w, (int64_t)member->hints_pending);
    resp_write_text(w, "bytes");
    resp_write_int(w, (int64_t)member->hint_bytes);
    resp_write_text(w, "oldest-ms");
    resp_write_int(w, since > 0 && since < now_ms ? (int64_t)(now_ms - since) : 0);
}

enum call_progress cmd_dyncluster_hints(struct call *call) {
    const struct node *node = driver_node(call_server(call)->driver);
    struct instant now = clock_now();
    size_t count = node_member_count(node), owed = 0;
    struct member_view member;
    for (size_t i = 0; i < count; i++) {
        node_member(node, i, now, &member);
        owed += member.hints_pending > 0;
    }
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, owed);
    for (size_t i = 0; i < count; i++) {
        node_member(node, i, now, &member);
        if (member.hints_pending > 0) {
            write_hints(w, &member, now.wall_us / 1000);
        }
    }
    return CALL_DONE;
}

static void write_partition(struct resp_writer *w, const struct node *node, uint16_t partition,
                            const struct node_id *ids) {
    uint16_t list[PREFLIST_MAX_N];
    size_t homes = 0;
    uint32_t partitions = node_partitions(node);
    size_t count = node_preflist(node, partition, list, PREFLIST_MAX_N, &homes);
    count = homes < count ? homes : count;
    uint16_t first = slot_first(partition, partitions);
    resp_write_map(w, 4);
    resp_write_text(w, "partition");
    resp_write_int(w, partition);
    resp_write_text(w, "first-slot");
    resp_write_int(w, first);
    resp_write_text(w, "last-slot");
    resp_write_int(w, first + (int64_t)(SLOT_COUNT / partitions) - 1);
    resp_write_text(w, "nodes");
    resp_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        describe_id(&ids[list[i]], w);
    }
}

enum call_progress cmd_dyncluster_repair(struct call *call) {
    struct node *node = driver_node(call_server(call)->driver);
    int64_t partition = 0, partitions = node_partitions(node);
    bool all = call->argc == 2 || (call->argc == 3 && call_arg_is(call, 2, "all"));
    if (!all && (call->argc != 4 || !call_arg_is(call, 2, "partition"))) {
        return call_error(call, "ERR syntax error");
    }
    if (!all && !call_arg_i64(call, 3, &partition)) {
        return CALL_DONE;
    }
    if (partition < 0 || partition >= partitions) {
        return call_errorf(call, "ERR there are %lld partitions, 0 to %lld", (long long)partitions,
                           (long long)partitions - 1);
    }
    resp_write_int(call_reply(call), node_repair(node, all ? UINT32_MAX : (uint32_t)partition));
    return CALL_DONE;
}

enum call_progress cmd_dyncluster_ring(struct call *call) {
    const struct node *node = driver_node(call_server(call)->driver);
    int64_t first = 0, end = node_partitions(node);
    if (call->argc != 2) {
        if (call->argc != 4 || !call_arg_is(call, 2, "partition")) {
            return call_error(call, "ERR syntax error");
        }
        int64_t partition = 0;
        if (!call_arg_i64(call, 3, &partition)) {
            return CALL_DONE;
        }
        if (partition < 0 || partition >= end) {
            return call_errorf(call, "ERR there are %lld partitions, 0 to %lld", (long long)end,
                               (long long)end - 1);
        }
        first = partition;
        end = partition + 1;
    }
    size_t members = node_member_count(node);
    struct node_id *ids = malloc(members * sizeof(*ids));
    if (ids == NULL) {
        return call_fail(call, RD_ENOMEM, NULL);
    }
    for (size_t i = 0; i < members; i++) {
        struct member_view member;
        node_member(node, i, clock_now(), &member);
        ids[i] = member.id;
    }
    struct resp_writer *w = call_reply(call);
    resp_write_array(w, (size_t)(end - first));
    for (int64_t partition = first; partition < end; partition++) {
        write_partition(w, node, (uint16_t)partition, ids);
    }
    free(ids);
    return CALL_DONE;
}
