/* Who may take whose places, and when such a node has been filled. See replace.h. */
#include "replication/replace.h"

#include <stdio.h>

#include "base/text.h"

#define LOOK_US 250000

void replace_init(struct replace *replace, struct core *core) {
    *replace = (struct replace){.core = core};
}

/* ---- may it? --------------------------------------------------------------------------------------- */

static bool is_filling(const struct replace *replace, uint16_t member) {
    return member_is_filling(&replace->members->items[member]);
}

static bool is_here(const struct replace *replace, uint16_t member) {
    return member == MEMBER_SELF || peers_reachable(replace->peers, member);
}

static bool is_among(const uint16_t *homes, size_t count, uint16_t member) {
    for (size_t i = 0; i < count; i++)
        if (homes[i] == member)
            return true;
    return false;
}

/* A member other than `gone` that holds places and is being filled; MEMBER_NONE: there is none. */
static uint16_t being_filled(const struct replace *replace, uint16_t gone) {
    for (size_t i = 0; i < replace->placement->count; i++) {
        uint16_t member = replace->placement->to_member[i];
        if (member != gone && is_filling(replace, member))
            return member;
    }
    return MEMBER_NONE;
}

/* Looks for a partition of `gone` that would keep fewer than W synced homes in reach. */
static bool find_short(const struct replace *replace, uint16_t gone, uint32_t *partition,
                       uint32_t *kept, uint32_t *needed) {
    const struct node_conf *conf = &replace->core->conf;
    for (uint32_t p = 0; p < conf->partitions; p++) {
        uint16_t homes[PREFLIST_MAX_N];
        size_t count = placement_homes(replace->placement, (uint16_t)p, homes);
        uint32_t here = 0;
        if (!is_among(homes, count, gone))
            continue;
        for (size_t i = 0; i < count; i++)
            here +=
                homes[i] != gone && !is_filling(replace, homes[i]) && is_here(replace, homes[i]);
        *needed = conf->w < count ? conf->w : (uint32_t)count;
        *kept = here;
        *partition = p;
        if (here < *needed)
            return true;
    }
    return false;
}

bool replace_may(const struct replace *replace, uint16_t gone, char reason[REPLACE_REASON_BYTES]) {
    const struct member *member = &replace->members->items[gone];
    uint32_t partition, kept, needed;
    char hex[NODE_ID_HEX + 1];
    text_hex(member->id.bytes, NODE_ID_BYTES, hex);
    reason[0] = 0;
    if (replace->birth->state != BIRTH_BORN || !placement_is_known(replace->placement) ||
        !certificate_has_holder(&replace->birth->certificate, &member->id)) {
        snprintf(reason, REPLACE_REASON_BYTES, "node %.8s holds no places", hex);
        return false;
    }
    if (peers_reachable(replace->peers, gone)) {
        snprintf(reason, REPLACE_REASON_BYTES, "node %.8s itself is still connected", hex);
        return false;
    }
    uint16_t other = being_filled(replace, gone);
    if (other != MEMBER_NONE) {
        text_hex(replace->members->items[other].id.bytes, NODE_ID_BYTES, hex);
        snprintf(reason, REPLACE_REASON_BYTES, "one at a time, and node %.8s is still being filled",
                 hex);
        return false;
    }
    if (find_short(replace, gone, &partition, &kept, &needed)) {
        snprintf(reason, REPLACE_REASON_BYTES,
                 "without node %.8s partition %u has %u synced replicas in reach, %u are needed",
                 hex, partition, kept, needed);
        return false;
    }
    return true;
}

/* ---- being filled ---------------------------------------------------------------------------------- */

/* True if what `member` has counts: it has all that belongs to its places. */
static bool is_source(const struct replace *replace, uint16_t member) {
    return member != MEMBER_SELF && !is_filling(replace, member) &&
           !peers_is_vacant(replace->peers, member);
}

/* Counts the sources of a partition, and those of them that have been asked to the end. */
static void count_sources(const struct replace *replace, const uint16_t *homes, size_t count,
                          uint32_t *sources, uint32_t *done) {
    *sources = *done = 0;
    for (size_t i = 0; i < count; i++) {
        bool source = is_source(replace, homes[i]);
        *sources += source;
        *done += source && exchange_passes(replace->exchange, homes[i]) > 0;
    }
}

/* True if enough homes of each own partition have given all they have. */
static bool has_enough(const struct replace *replace) {
    const struct node_conf *conf = &replace->core->conf;
    for (uint32_t p = 0; p < conf->partitions; p++) {
        uint16_t homes[PREFLIST_MAX_N];
        size_t count = placement_homes(replace->placement, (uint16_t)p, homes);
        uint32_t sources, done, w = conf->w < count ? conf->w : (uint32_t)count;
        if (!is_among(homes, count, MEMBER_SELF))
            continue;
        count_sources(replace, homes, count, &sources, &done);
        uint32_t needed = (uint32_t)count - w + 1;
        if (done < needed && done < sources)
            return false;
    }
    return true;
}

bool replace_tick(struct replace *replace) {
    uint64_t now_us = replace->core->now.mono_us;
    bool waits = false;
    if (!is_filling(replace, MEMBER_SELF) || replace->next_us > now_us ||
        !placement_is_known(replace->placement))
        return false;
    replace->next_us = now_us + LOOK_US;
    for (size_t i = 0; i < replace->placement->count; i++) {
        uint16_t member = replace->placement->to_member[i];
        if (!is_source(replace, member) || exchange_passes(replace->exchange, member) > 0 ||
            !is_here(replace, member))
            continue;
        waits |= exchange_ask(replace->exchange, member);
    }
    if (waits || !has_enough(replace))
        return false;
    birth_filled(replace->birth);
    return true;
}
