/* Members and slot ranges, recomputed when a fingerprint over all that they depend on has changed.
 *
 * The fingerprint covers each member's identity, addresses, state, status and number of partitions, and so every change of a
 * preference list too, since lists are a function of ids, zones and vnodes.
 */
#include "server/topology.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct topology {
    bool known; /* computed at least once */
    uint64_t fingerprint;
    struct member_view *members; /* owned */
    size_t member_count;
    struct topology_range *ranges; /* owned */
    size_t range_count;
    uint32_t shard_count;
    struct buf kept[TOPOLOGY_REPLIES][2];
};

enum rd_err topology_new(struct topology **out) {
    struct topology *topology = calloc(1, sizeof(*topology));
    if (topology == NULL) {
        return RD_ENOMEM;
    }
    *out = topology;
    return RD_OK;
}

void topology_free(struct topology **topology_at) {
    struct topology *topology = *topology_at;
    *topology_at = NULL;
    if (topology == NULL) {
        return;
    }
    for (size_t i = 0; i < TOPOLOGY_REPLIES; i++) {
        buf_free(&topology->kept[i][0]);
        buf_free(&topology->kept[i][1]);
    }
    free(topology->members);
    free(topology->ranges);
    free(topology);
}

static uint64_t mix(uint64_t sum, const void *bytes, size_t len) {
    return hash_xxh64(bytes, len, sum);
}

static uint64_t fingerprint_of(const struct member_view *members, size_t count,
                               uint32_t partitions) {
    uint64_t sum = mix(count, &partitions, sizeof(partitions));
    for (size_t i = 0; i < count; i++) {
        const struct member_view *member = &members[i];
        uint64_t numbers[] = {member->address.port, member->cluster_port, member->vnodes,
                              member->state,        member->status,       member->partitions};
        sum = mix(sum, &member->id, sizeof(member->id));
        sum = mix(sum, member->address.host, strlen(member->address.host));
        sum = mix(sum, member->zone, strlen(member->zone));
        sum = mix(sum, numbers, sizeof(numbers));
    }
    return sum;
}

static bool leads(const struct member_view *member) {
    return member->state == MEMBER_UP && member->status != MEMBER_JOINING;
}

/* The homes of `partition`, the first healthy one moved to the front. */
static void range_nodes(const struct node *node, const struct member_view *members,
                        uint16_t partition, struct topology_range *out) {
    size_t homes = 0;
    size_t got = node_preflist(node, partition, out->nodes, PREFLIST_MAX_N, &homes);
    size_t count = homes < got ? homes : got;
    size_t first = 0;
    while (first < count && !leads(&members[out->nodes[first]])) {
        first++;
    }
    if (first > 0 && first < count) {
        uint16_t healthy = out->nodes[first];
        memmove(out->nodes + 1, out->nodes, first * sizeof(out->nodes[0]));
        out->nodes[0] = healthy;
    }
    out->node_count = (uint16_t)count;
}

static int compare_nodes(const struct topology_range *a, const struct topology_range *b) {
    if (a->node_count != b->node_count) {
        return a->node_count < b->node_count ? -1 : 1;
    }
    return memcmp(a->nodes, b->nodes, a->node_count * sizeof(a->nodes[0]));
}

static int compare_at(const void *a, const void *b) {
    const struct topology_range *const *left = a, *const *right = b;
    int order = compare_nodes(*left, *right);
    return order != 0 ? order : (int)(*left)->first_slot - (int)(*right)->first_slot;
}

/* Gives ranges of the same nodes the same number. Error: RD_ENOMEM. */
static enum rd_err number_shards(struct topology_range *ranges, size_t count, uint32_t *shards) {
    struct topology_range **sorted = malloc(count * sizeof(*sorted));
    if (sorted == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &ranges[i];
    }
    qsort(sorted, count, sizeof(*sorted), compare_at);
    uint32_t number = 0;
    for (size_t i = 0; i < count; i++) {
        number += i > 0 && compare_nodes(sorted[i - 1], sorted[i]) != 0;
        sorted[i]->shard = number;
    }
    *shards = number + 1;
    free(sorted);
    return RD_OK;
}

/* One range for each partition, neighbours with the same nodes merged. Error: RD_ENOMEM. */
static enum rd_err compute_ranges(const struct node *node, const struct member_view *members,
                                  struct topology_range **out, size_t *out_count,
                                  uint32_t *shards) {
    uint32_t partitions = node_partitions(node);
    struct topology_range *ranges = calloc(partitions, sizeof(*ranges));
    if (ranges == NULL) {
        return RD_ENOMEM;
    }
    size_t count = 0;
    for (uint32_t partition = 0; partition < partitions; partition++) {
        struct topology_range *range = &ranges[count];
        range_nodes(node, members, (uint16_t)partition, range);
        range->first_slot = slot_first((uint16_t)partition, partitions);
        range->last_slot = (uint16_t)(range->first_slot + SLOT_COUNT / partitions - 1);
        if (count > 0 && compare_nodes(range, range - 1) == 0) {
            range[-1].last_slot = range->last_slot;
        } else {
            count++;
        }
    }
    enum rd_err err = number_shards(ranges, count, shards);
    if (err != RD_OK) {
        free(ranges);
        return err;
    }
    *out = ranges;
    *out_count = count;
    return RD_OK;
}

enum rd_err topology_update(struct topology *topology, const struct node *node,
                            struct instant now) {
    size_t count = node_member_count(node);
    struct member_view *members = calloc(count, sizeof(*members));
    if (members == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        node_member(node, i, now, &members[i]);
    }
    uint64_t fingerprint = fingerprint_of(members, count, node_partitions(node));
    if (!topology->known || fingerprint != topology->fingerprint) {
        struct topology_range *ranges = NULL;
        size_t range_count = 0;
        uint32_t shards = 0;
        enum rd_err err = compute_ranges(node, members, &ranges, &range_count, &shards);
        if (err != RD_OK) {
            free(members);
            return err;
        }
        free(topology->ranges);
        topology->ranges = ranges;
        topology->range_count = range_count;
        topology->shard_count = shards;
        topology->fingerprint = fingerprint;
        topology->known = true;
        for (size_t i = 0; i < TOPOLOGY_REPLIES; i++) {
            buf_free(&topology->kept[i][0]);
            buf_free(&topology->kept[i][1]);
        }
    }
    free(topology->members);
    topology->members = members;
    topology->member_count = count;
    return RD_OK;
}

const struct member_view *topology_members(const struct topology *topology, size_t *count) {
    *count = topology->member_count;
    return topology->members;
}

const struct topology_range *topology_ranges(const struct topology *topology, size_t *count) {
    *count = topology->range_count;
    return topology->ranges;
}

uint32_t topology_shards(const struct topology *topology) {
    return topology->shard_count;
}

struct buf *topology_kept(struct topology *topology, enum topology_reply which, int proto) {
    return &topology->kept[which][proto == 3];
}
