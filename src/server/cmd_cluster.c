/* CLUSTER: what cluster-aware clients ask, so that they send each command straight to a replica of its key.
 *
 * Every node is master of the slots whose first healthy home it is, and replica of those it holds besides. SLOTS and SHARDS may be
 * long (a range for each partition), so their encoded replies are kept until something changes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "replication/node.h"
#include "server/call.h"
#include "server/client_list.h"
#include "server/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/describe.h"
#include "server/driver.h"
#include "server/server.h"
#include "server/topology.h"
#include "store/store.h"

/* Brings the topology up to date; on failure writes the error and returns NULL. */
static struct topology *look(struct call *call) {
    struct server *server = call_server(call);
    if (server->config->partitioner != PARTITIONER_CRC16) {
        call_error(call, "ERR This instance has cluster support disabled");
        return NULL;
    }
    enum rd_err err =
        topology_update(call->clients->topology, driver_node(server->driver), clock_now());
    if (err != RD_OK) {
        call_fail(call, err, NULL);
        return NULL;
    }
    return call->clients->topology;
}

/* Replies what is kept, after encoding it with `encode` if nothing is. */
static enum call_progress reply_kept(struct call *call, enum topology_reply which,
                                     enum rd_err (*encode)(const struct topology *,
                                                           struct resp_writer *)) {
    struct topology *topology = look(call);
    if (topology == NULL) {
        return CALL_DONE;
    }
    struct buf *kept = topology_kept(topology, which, call->proto);
    if (buf_len(kept) == 0) {
        struct resp_writer w;
        resp_writer_init(&w, kept, call->proto);
        enum rd_err err = encode(topology, &w);
        if (err != RD_OK) {
            resp_writer_cancel(&w);
            return call_fail(call, err, NULL);
        }
        err = resp_writer_end(&w);
        if (err != RD_OK) {
            return call_fail(call, err, NULL);
        }
    }
    resp_write_raw(call_reply(call), buf_data(kept), buf_len(kept));
    return CALL_DONE;
}

/* ---- SLOTS ------------------------------------------------------------------------------------------ */

static enum rd_err encode_slots(const struct topology *topology, struct resp_writer *w) {
    size_t count = 0, member_count = 0;
    const struct topology_range *ranges = topology_ranges(topology, &count);
    const struct member_view *members = topology_members(topology, &member_count);
    resp_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        const struct topology_range *range = &ranges[i];
        resp_write_array(w, 2 + (size_t)range->node_count);
        resp_write_int(w, range->first_slot);
        resp_write_int(w, range->last_slot);
        for (size_t j = 0; j < range->node_count; j++) {
            const struct member_view *member = &members[range->nodes[j]];
            resp_write_array(w, 4);
            resp_write_text(w, member->address.host);
            resp_write_int(w, member->address.port);
            describe_id(&member->id, w);
            resp_write_map(w, 0);
        }
    }
    return RD_OK;
}

enum call_progress cmd_cluster_slots(struct call *call) {
    return reply_kept(call, TOPOLOGY_SLOTS, encode_slots);
}

/* ---- SHARDS ----------------------------------------------------------------------------------------- */

static void encode_shard_node(const struct member_view *member, bool first, struct resp_writer *w) {
    resp_write_map(w, 7);
    resp_write_text(w, "id");
    describe_id(&member->id, w);
    resp_write_text(w, "port");
    resp_write_int(w, member->address.port);
    resp_write_text(w, "ip");
    resp_write_text(w, member->address.host);
    resp_write_text(w, "endpoint");
    resp_write_text(w, member->address.host);
    resp_write_text(w, "role");
    resp_write_text(w, first ? "master" : "replica");
    resp_write_text(w, "replication-offset");
    resp_write_int(w, 0);
    resp_write_text(w, "health");
    resp_write_text(w, member->state == MEMBER_UP ? "online" : "fail");
}

static int by_shard(const void *a, const void *b) {
    const struct topology_range *const *left = a, *const *right = b;
    if ((*left)->shard != (*right)->shard) {
        return (*left)->shard < (*right)->shard ? -1 : 1;
    }
    return (int)(*left)->first_slot - (int)(*right)->first_slot;
}

/* Writes the shard whose ranges are sorted[0..count). */
static void encode_shard(const struct topology *topology,
                         const struct topology_range *const *sorted, size_t count,
                         struct resp_writer *w) {
    size_t member_count = 0;
    const struct member_view *members = topology_members(topology, &member_count);
    resp_write_map(w, 2);
    resp_write_text(w, "slots");
    resp_write_array(w, 2 * count);
    for (size_t i = 0; i < count; i++) {
        resp_write_int(w, sorted[i]->first_slot);
        resp_write_int(w, sorted[i]->last_slot);
    }
    resp_write_text(w, "nodes");
    resp_write_array(w, sorted[0]->node_count);
    for (size_t i = 0; i < sorted[0]->node_count; i++) {
        encode_shard_node(&members[sorted[0]->nodes[i]], i == 0, w);
    }
}

static enum rd_err encode_shards(const struct topology *topology, struct resp_writer *w) {
    size_t count = 0;
    const struct topology_range *ranges = topology_ranges(topology, &count);
    const struct topology_range **sorted = malloc(count * sizeof(*sorted));
    if (sorted == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &ranges[i];
    }
    qsort(sorted, count, sizeof(*sorted), by_shard);
    resp_write_array(w, topology_shards(topology));
    size_t next = 0;
    for (size_t first = 0; first < count; first = next) {
        for (next = first + 1; next < count && sorted[next]->shard == sorted[first]->shard;) {
            next++;
        }
        encode_shard(topology, sorted + first, next - first, w);
    }
    free(sorted);
    return RD_OK;
}

enum call_progress cmd_cluster_shards(struct call *call) {
    return reply_kept(call, TOPOLOGY_SHARDS, encode_shards);
}

/* ---- NODES ------------------------------------------------------------------------------------------ */

static const char *node_flags(const struct member_view *member) {
    if (member->self) {
        return "myself,master";
    }
    return member->state == MEMBER_UP        ? "master"
           : member->state == MEMBER_SUSPECT ? "master,fail?"
                                             : "master,fail";
}

static enum rd_err add_slots(const struct topology *topology, size_t member, struct buf *out) {
    size_t count = 0;
    const struct topology_range *ranges = topology_ranges(topology, &count);
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < count && err == RD_OK;) {
        uint16_t first = ranges[i].first_slot;
        bool mine = ranges[i].node_count > 0 && ranges[i].nodes[0] == member;
        uint16_t last = ranges[i].last_slot;
        for (i++; mine && i < count && ranges[i].node_count > 0 && ranges[i].nodes[0] == member;
             i++) {
            last = ranges[i].last_slot;
        }
        if (mine) {
            err = first == last ? buf_printf(out, " %u", first)
                                : buf_printf(out, " %u-%u", first, last);
        }
    }
    return err;
}

static enum rd_err add_node_line(const struct topology *topology, const struct member_view *member,
                                 size_t index, uint64_t wall_ms, struct buf *out) {
    char id[NODE_ID_HEX + 1];
    text_hex(member->id.bytes, sizeof(member->id.bytes), id);
    enum rd_err err =
        buf_printf(out, "%s %s:%u@%u %s - 0 %" PRIu64 " %zu %s", id, member->address.host,
                   (unsigned)member->address.port, (unsigned)member->cluster_port,
                   node_flags(member), member->self ? 0 : wall_ms - member->heard_ms, index + 1,
                   member->state == MEMBER_DOWN ? "disconnected" : "connected");
    err = err != RD_OK ? err : add_slots(topology, index, out);
    return err != RD_OK ? err : buf_append(out, "\n", 1);
}

enum call_progress cmd_cluster_nodes(struct call *call) {
    const struct topology *topology = look(call);
    if (topology == NULL) {
        return CALL_DONE;
    }
    size_t count = 0;
    const struct member_view *members = topology_members(topology, &count);
    uint64_t wall_ms = clock_now().wall_us / 1000;
    struct buf lines = {0};
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        if (members[i].status != MEMBER_REMOVED) {
            err = add_node_line(topology, &members[i], i, wall_ms, &lines);
        }
    }
    if (err == RD_OK) {
        resp_write_verbatim(call_reply(call), "txt", buf_data(&lines), buf_len(&lines));
    } else {
        call_fail(call, err, NULL);
    }
    buf_free(&lines);
    return CALL_DONE;
}

/* ---- the short ones --------------------------------------------------------------------------------- */

enum call_progress cmd_cluster_info(struct call *call) {
    const struct topology *topology = look(call);
    if (topology == NULL) {
        return CALL_DONE;
    }
    struct node_stats stats = {0};
    node_stats(driver_node(call_server(call)->driver), &stats);
    size_t member_count = 0, range_count = 0, self = 0, lost = 0;
    const struct member_view *members = topology_members(topology, &member_count);
    const struct topology_range *ranges = topology_ranges(topology, &range_count);
    for (size_t i = 0; i < member_count; i++) {
        self = members[i].self ? i : self;
    }
    for (size_t i = 0; i < range_count; i++) {
        bool healthy = ranges[i].node_count > 0 && members[ranges[i].nodes[0]].state == MEMBER_UP;
        lost += healthy ? 0 : (size_t)(ranges[i].last_slot - ranges[i].first_slot + 1);
    }
    char text[512];
    int len = snprintf(text, sizeof(text),
                       "cluster_state:%s\r\ncluster_slots_assigned:%d\r\ncluster_slots_ok:%"
                       "zu\r\ncluster_slots_pfail:0\r\n"
                       "cluster_slots_fail:%zu\r\ncluster_known_nodes:%zu\r\ncluster_size:%"
                       "zu\r\ncluster_current_epoch:%zu\r\n"
                       "cluster_my_epoch:%zu\r\n",
                       stats.open ? "ok" : "fail", SLOT_COUNT, SLOT_COUNT - lost, lost,
                       member_count, member_count, member_count, self + 1);
    resp_write_verbatim(call_reply(call), "txt", text, (size_t)len);
    return CALL_DONE;
}

enum call_progress cmd_cluster_myid(struct call *call) {
    struct node_id self = node_self(driver_node(call_server(call)->driver));
    describe_id(&self, call_reply(call));
    return CALL_DONE;
}

enum call_progress cmd_cluster_keyslot(struct call *call) {
    const struct resp_slice *key = &call->argv[2];
    resp_write_int(call_reply(call),
                   node_slot(driver_node(call_server(call)->driver), key->data, key->len));
    return CALL_DONE;
}

enum call_progress cmd_cluster_countkeysinslot(struct call *call) {
    int64_t slot = 0;
    if (!call_arg_i64(call, 2, &slot)) {
        return CALL_DONE;
    }
    if (slot < 0 || slot >= SLOT_COUNT) {
        return call_error(call, "ERR Invalid slot");
    }
    uint64_t keys =
        store_live_count(driver_store(call_server(call)->driver), (uint16_t)slot, (uint16_t)slot);
    resp_write_int(call_reply(call), (int64_t)keys);
    return CALL_DONE;
}
