/* Between the ring's own order of members (by id) and the member map's (as met). */
#include "replication/placement.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void placement_free(struct placement *placement) {
    preflist_free(&placement->preflist);
    ring_free(&placement->ring);
    free(placement->to_member);
    free(placement->homes_of);
    *placement = (struct placement){0};
}

bool placement_is_known(const struct placement *placement) {
    return placement->preflist != NULL;
}

static enum rd_err build_ring(struct placement *made, const struct members *layout,
                              const struct successors *successors) {
    struct ring_member *members = calloc(layout->count + 1u, sizeof(*members));
    if (members == NULL)
        return RD_ENOMEM;
    for (uint16_t i = 0; i < layout->count; i++) {
        const struct member *from = &layout->items[i];
        members[i].id = successors_holder(successors, &from->id);
        members[i].placement = from->id;
        members[i].vnodes = from->vnodes;
        memcpy(members[i].zone, from->zone, sizeof(members[i].zone));
    }
    enum rd_err err = ring_new(members, layout->count, &made->ring);
    free(members);
    return err;
}

static enum rd_err name_members(struct placement *made, const struct members *known) {
    const struct ring_member *members = ring_members(made->ring, &made->count);
    made->to_member = calloc(made->count, sizeof(*made->to_member));
    made->homes_of = calloc(made->count, sizeof(*made->homes_of));
    if (made->to_member == NULL || made->homes_of == NULL)
        return RD_ENOMEM;
    for (size_t i = 0; i < made->count; i++) {
        made->to_member[i] = members_find(known, &members[i].id);
        if (made->to_member[i] == MEMBER_NONE)
            return RD_ENOTFOUND;
    }
    return RD_OK;
}

static void count_homes(struct placement *made, uint32_t partitions) {
    uint32_t n = preflist_n(made->preflist);
    for (uint32_t p = 0; p < partitions; p++) {
        const uint16_t *homes = preflist_homes(made->preflist, (uint16_t)p);
        for (uint32_t i = 0; i < n; i++) {
            made->homes_of[homes[i]]++;
            made->owned += made->to_member[homes[i]] == MEMBER_SELF;
        }
    }
}

enum rd_err placement_compute(struct placement *placement, const struct node_conf *conf,
                              const struct members *layout, const struct successors *successors,
                              const struct members *known) {
    struct placement made = {0};
    enum rd_err err = build_ring(&made, layout, successors);
    if (err == RD_OK)
        err = name_members(&made, known);
    if (err == RD_OK)
        err = preflist_new(made.ring, conf->partitions, conf->n, &made.preflist);
    if (err != RD_OK) {
        placement_free(&made);
        return err;
    }
    count_homes(&made, conf->partitions);
    placement_free(placement);
    *placement = made;
    return RD_OK;
}

size_t placement_homes(const struct placement *placement, uint16_t partition, uint16_t *out) {
    if (placement->preflist == NULL)
        return 0;
    uint32_t n = preflist_n(placement->preflist);
    const uint16_t *homes = preflist_homes(placement->preflist, partition);
    for (uint32_t i = 0; i < n; i++)
        out[i] = placement->to_member[homes[i]];
    return n;
}

bool placement_is_home(const struct placement *placement, uint16_t partition) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = placement_homes(placement, partition, homes);
    for (size_t i = 0; i < count; i++)
        if (homes[i] == MEMBER_SELF)
            return true;
    return false;
}

size_t placement_list(const struct placement *placement, uint16_t partition, uint16_t *out,
                      size_t max) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = placement_homes(placement, partition, homes);
    if (count > max)
        count = max;
    memcpy(out, homes, count * sizeof(*out));
    if (placement->preflist == NULL)
        return count;
    size_t more = preflist_fallbacks(placement->preflist, partition, out + count, max - count);
    for (size_t i = 0; i < more; i++)
        out[count + i] = placement->to_member[out[count + i]];
    return count + more;
}

uint32_t placement_homes_of(const struct placement *placement, uint16_t index) {
    for (size_t i = 0; i < placement->count; i++)
        if (placement->to_member[i] == index)
            return placement->homes_of[i];
    return 0;
}
