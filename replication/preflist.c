/* Preference lists (see preflist.h; Dynamo 4.3, 6.2; bounded loads: Mirrokni, Thorup, Zadimoghaddam
 * 2016).
 *
 * Not here: who is alive, and layouts in transition.
 *
 * Shares. The places of all homes (partitions x n) are shared out in proportion to vnodes: first
 * among zones, each between what the zone rule forces on it and what it allows, then among a zone's
 * members, each at most once per partition. A member's cap is CAP_PERCENT of its share.
 *
 * Rounds. All partitions choose their first home, in order of position, then all their second, and
 * so on; each takes the first member of its walk that is below its cap and, while there are zones
 * it has not used, in a new zone. If nobody is, the zone rule wins over the cap. A member that was
 * passed over stays passed over (loads only grow), so each walk goes on where it stopped.
 *
 * Why so: of nine ways to fill the table (partition by partition or in rounds; in order,
 * bit-reversed or hashed; nearest pairs first; stable matchings), all moved about the same on a
 * join or a leave, within 1-3 percent on average, so the simplest cheap one was taken. The cap
 * decides: 1.05 gave, in 25 random clusters of each size from 3 to 64 nodes, worst movements of
 * 1.16-1.18 x the ideal (with 48 nodes and more), 1.07 gives 1.12 with a peak of 1.073, and 1.08
 * gains nothing more.
 *
 * Leaders. The first home coordinates most requests of cluster-aware clients, and which of the
 * homes stands first costs no data movement. In walk order the busiest of 64 nodes would lead 1.35
 * x its share, so each partition's list is led by its first home that does not lead enough already.
 *
 * Only integers are used: the same table on every machine.
 *
 * Invariants (preflist_check): homes are distinct members; they lie in as many zones as there are,
 * at most n.
 */
#include "replication/preflist.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "replication/slot.h"

#define PREFLIST_MAGIC 0x70726566
#define CAP_PERCENT 107
#define LEADER_CAP_PERCENT 105
#define SHARE_BITS 16 /* shares are counted in 1/65536 of a place */

struct preflist {
    uint32_t magic;
    uint32_t partitions;
    uint32_t n;
    const struct ring *ring; /* borrowed */
    uint16_t *homes;         /* n for each partition */
};

/* One party to the sharing out: a zone or a member. */
struct share {
    uint64_t weight;
    uint64_t low, high; /* bounds */
    uint64_t got;
    bool fixed;
};

/* A member while places are given away. */
struct candidate {
    uint32_t zone;              /* its number */
    uint32_t load, cap;         /* places it has, and may have */
    uint32_t leads, leader_cap; /* the same of first places */
};

/* The walk of one partition. */
struct walk {
    uint32_t start;  /* index of its first token */
    uint32_t passed; /* tokens behind it that need no second look */
};

/* What a table is computed with. */
struct build {
    struct preflist *list;
    const struct ring_member *members;
    const struct ring_token *tokens;
    size_t member_count, token_count, zone_count;
    struct candidate *candidates; /* one per member */
    struct share *zones;          /* one per zone; room for one per member */
    struct share *shares;         /* room for one per member */
    struct walk *walks;           /* one per partition */
};

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* ---- shares ---------------------------------------------------------------------------------- */

static uint64_t clamp(const struct share *share, uint64_t wanted) {
    return wanted < share->low ? share->low : min_u64(wanted, share->high);
}

/* Shares `total` out by weight within each one's bounds. Those whose bound bites are fixed there,
 * too small ones first or too large ones first according to which outweigh, until the rest fits: at
 * least one is fixed in each pass. */
static void share_out(struct share *shares, size_t count, uint64_t total) {
    for (;;) {
        uint64_t rest = total;
        uint64_t weight = 0;
        for (size_t i = 0; i < count; i++) {
            rest -= shares[i].fixed ? min_u64(rest, shares[i].got) : 0;
            weight += shares[i].fixed ? 0 : shares[i].weight;
        }
        uint64_t raised = 0;
        uint64_t lowered = 0;
        for (size_t i = 0; i < count; i++) {
            if (!shares[i].fixed) {
                uint64_t wanted = rest * shares[i].weight / weight;
                shares[i].got = clamp(&shares[i], wanted);
                raised += shares[i].got > wanted ? shares[i].got - wanted : 0;
                lowered += shares[i].got < wanted ? wanted - shares[i].got : 0;
            }
        }
        if (raised == 0 && lowered == 0) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            if (!shares[i].fixed) {
                uint64_t wanted = rest * shares[i].weight / weight;
                shares[i].fixed =
                    raised >= lowered ? shares[i].got > wanted : shares[i].got < wanted;
            }
        }
    }
}

/* Numbers the zones in order of their first member; an empty name is a zone of its own. */
static void number_zones(struct build *b) {
    for (size_t m = 0; m < b->member_count; m++) {
        size_t other = b->members[m].zone[0] == 0 ? m : 0;
        while (other < m && strcmp(b->members[other].zone, b->members[m].zone) != 0) {
            other++;
        }
        b->candidates[m].zone = other < m ? b->candidates[other].zone : (uint32_t)b->zone_count++;
    }
}

/* Shares the homes out among zones. With no more zones than homes every partition uses every zone,
 * so a zone holds at least one place in each; and no zone can hold more than are left when the
 * others have one. */
static void share_among_zones(struct build *b) {
    uint32_t n = b->list->n;
    uint64_t all = (uint64_t)b->list->partitions << SHARE_BITS; /* one place in each partition */
    uint64_t most = b->zone_count < n ? n - b->zone_count + 1 : 1;
    for (size_t m = 0; m < b->member_count; m++) {
        struct share *zone = &b->zones[b->candidates[m].zone];
        zone->weight += b->members[m].vnodes;
        zone->high = min_u64(zone->high + all, most * all);
        zone->low = b->zone_count <= n ? all : 0;
    }
    share_out(b->zones, b->zone_count, n * all);
}

/* `percent` of a share, rounded up to whole places, at most `limit`. */
static uint32_t places(uint64_t share, uint64_t percent, uint64_t limit) {
    uint64_t unit = UINT64_C(100) << SHARE_BITS;
    return (uint32_t)min_u64((share * percent + unit - 1) / unit, limit);
}

/* Shares each zone's places out among its members and sets their caps. */
static void share_among_members(struct build *b) {
    uint32_t partitions = b->list->partitions;
    for (size_t z = 0; z < b->zone_count; z++) {
        size_t count = 0;
        for (size_t m = 0; m < b->member_count; m++) {
            if (b->candidates[m].zone == z) {
                b->shares[count++] = (struct share){.weight = b->members[m].vnodes,
                                                    .high = (uint64_t)partitions << SHARE_BITS};
            }
        }
        share_out(b->shares, count, b->zones[z].got);
        const struct share *next = b->shares;
        for (size_t m = 0; m < b->member_count; m++) {
            struct candidate *candidate = &b->candidates[m];
            if (candidate->zone == z) {
                candidate->cap = places(next->got, CAP_PERCENT, partitions);
                candidate->leader_cap =
                    places(next->got / b->list->n, LEADER_CAP_PERCENT, partitions);
                next++;
            }
        }
    }
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Where the walk of `partition` begins. */
static size_t first_token(const struct preflist *list, uint32_t partition) {
    return ring_find(list->ring, (UINT64_MAX / list->partitions + 1) * partition);
}

static bool contains(const uint16_t *homes, uint32_t count, uint16_t member) {
    for (uint32_t h = 0; h < count; h++) {
        if (homes[h] == member) {
            return true;
        }
    }
    return false;
}

static bool zone_used(const struct build *b, const uint16_t *homes, uint32_t count,
                      uint16_t member) {
    for (uint32_t h = 0; h < count; h++) {
        if (b->candidates[homes[h]].zone == b->candidates[member].zone) {
            return true;
        }
    }
    return false;
}

/* Walks on to the next member that may be home number `have` of the partition, or to the end of the
 * ring (false). */
static bool walk_on(const struct build *b, struct walk *walk, const uint16_t *homes, uint32_t have,
                    bool capped, uint16_t *out) {
    bool new_zone = have < b->zone_count;
    while (walk->passed < b->token_count) {
        size_t at = (walk->start + (size_t)walk->passed++) % b->token_count;
        uint16_t member = b->tokens[at].member;
        const struct candidate *candidate = &b->candidates[member];
        if (!(capped && candidate->load >= candidate->cap) && !contains(homes, have, member) &&
            !(new_zone && zone_used(b, homes, have, member))) {
            *out = member;
            return true;
        }
    }
    return false;
}

/* Gives every partition its home number `have`. */
static void fill_round(struct build *b, uint32_t have) {
    for (uint32_t p = 0; p < b->list->partitions; p++) {
        uint16_t *homes = b->list->homes + (size_t)p * b->list->n;
        struct walk *walk = &b->walks[p];
        if (have == b->zone_count) {
            walk->passed = 0; /* those passed over for their zone may be taken now */
        }
        if (!walk_on(b, walk, homes, have, true, &homes[have])) {
            walk->passed = 0;
            bool found = walk_on(b, walk, homes, have, false, &homes[have]);
            assert(found); /* a zone, or else a member, is left: n is at most their number */
        }
        b->candidates[homes[have]].load++;
    }
}

/* Puts the home to the front that has the most room to lead: the first below its cap, else the
 * least loaded. */
static void choose_leaders(struct build *b) {
    for (uint32_t p = 0; p < b->list->partitions; p++) {
        uint16_t *homes = b->list->homes + (size_t)p * b->list->n;
        uint32_t best = 0;
        for (uint32_t h = 0; h < b->list->n; h++) {
            const struct candidate *candidate = &b->candidates[homes[h]];
            const struct candidate *leader = &b->candidates[homes[best]];
            if (candidate->leads < candidate->leader_cap) {
                best = h;
                break;
            }
            if ((uint64_t)candidate->leads * leader->leader_cap <
                (uint64_t)leader->leads * candidate->leader_cap) {
                best = h;
            }
        }
        uint16_t leader = homes[best];
        memmove(homes + 1, homes, best * sizeof *homes);
        homes[0] = leader;
        b->candidates[leader].leads++;
    }
}

static void compute(struct build *b) {
    number_zones(b);
    share_among_zones(b);
    share_among_members(b);
    for (uint32_t p = 0; p < b->list->partitions; p++) {
        b->walks[p].start = (uint32_t)first_token(b->list, p);
    }
    for (uint32_t have = 0; have < b->list->n; have++) {
        fill_round(b, have);
    }
    choose_leaders(b);
}

/* ---- the table ------------------------------------------------------------------------------- */

enum rd_err preflist_new(const struct ring *ring, uint32_t partitions, uint32_t n,
                         struct preflist **out) {
    if (partitions < 1 || partitions > SLOT_COUNT || (partitions & (partitions - 1)) != 0 ||
        n < 1 || n > PREFLIST_MAX_N) {
        return RD_ECONF;
    }
    struct build b = {.list = calloc(1, sizeof *b.list)};
    if (b.list == NULL) {
        return RD_ENOMEM;
    }
    b.members = ring_members(ring, &b.member_count);
    b.tokens = ring_tokens(ring, &b.token_count);
    uint32_t homes = (uint32_t)min_u64(n, b.member_count);
    *b.list = (struct preflist){
        .magic = PREFLIST_MAGIC, .partitions = partitions, .n = homes, .ring = ring};
    b.list->homes = calloc((size_t)partitions * homes, sizeof *b.list->homes);
    b.candidates = calloc(b.member_count, sizeof *b.candidates);
    b.zones = calloc(b.member_count, sizeof *b.zones);
    b.shares = calloc(b.member_count, sizeof *b.shares);
    b.walks = calloc(partitions, sizeof *b.walks);
    enum rd_err err = RD_ENOMEM;
    if (b.list->homes != NULL && b.candidates != NULL && b.zones != NULL && b.shares != NULL &&
        b.walks != NULL) {
        compute(&b);
        *out = b.list;
        b.list = NULL;
        err = RD_OK;
    }
    preflist_free(&b.list);
    free(b.candidates);
    free(b.zones);
    free(b.shares);
    free(b.walks);
    return err;
}

void preflist_free(struct preflist **preflist) {
    if (*preflist != NULL) {
        assert((*preflist)->magic == PREFLIST_MAGIC);
        free((*preflist)->homes);
        free(*preflist);
        *preflist = NULL;
    }
}

uint32_t preflist_n(const struct preflist *preflist) {
    return preflist->n;
}

const uint16_t *preflist_homes(const struct preflist *preflist, uint16_t partition) {
    assert(partition < preflist->partitions);
    return preflist->homes + (size_t)partition * preflist->n;
}

size_t preflist_fallbacks(const struct preflist *preflist, uint16_t partition, uint16_t *out,
                          size_t max) {
    const uint16_t *homes = preflist_homes(preflist, partition);
    size_t members;
    size_t token_count;
    (void)ring_members(preflist->ring, &members);
    const struct ring_token *tokens = ring_tokens(preflist->ring, &token_count);
    size_t want = min_u64(max, members - preflist->n);
    bool seen[RING_MAX_MEMBERS] = {false};
    size_t start = first_token(preflist, partition);
    uint32_t homes_met = 0;
    size_t found = 0;
    /* The second time round finds those that were passed before the last home. */
    for (size_t i = 0; i < 2 * token_count && found < want; i++) {
        uint16_t member = tokens[(start + i) % token_count].member;
        if (seen[member]) {
            continue;
        }
        bool home = contains(homes, preflist->n, member);
        if (home || homes_met == preflist->n) {
            seen[member] = true;
            homes_met += home;
            found += !home;
            if (!home) {
                out[found - 1] = member;
            }
        }
    }
    assert(found == want);
    return found;
}

static bool same_zone(const struct ring_member *members, size_t a, size_t b) {
    return a == b || (members[a].zone[0] != 0 && strcmp(members[a].zone, members[b].zone) == 0);
}

void preflist_check(const struct preflist *preflist) {
    assert(preflist != NULL && preflist->magic == PREFLIST_MAGIC);
    size_t count;
    const struct ring_member *members = ring_members(preflist->ring, &count);
    assert(preflist->n >= 1 && preflist->n <= count);
    size_t zones = 0;
    for (size_t m = 0; m < count; m++) {
        size_t first = 0;
        while (!same_zone(members, first, m)) {
            first++;
        }
        zones += first == m;
    }
    for (uint32_t p = 0; p < preflist->partitions; p++) {
        const uint16_t *homes = preflist_homes(preflist, (uint16_t)p);
        size_t zones_used = 0;
        for (uint32_t h = 0; h < preflist->n; h++) {
            assert(homes[h] < count && !contains(homes, h, homes[h]));
            uint32_t first = 0;
            while (!same_zone(members, homes[first], homes[h])) {
                first++;
            }
            zones_used += first == h;
        }
        assert(zones_used == min_u64(zones, preflist->n));
    }
}
