/* Whom a scan asks. See op_scan_wave.h.
 *
 * Invariants: (1) a member is a source once for its own rows, and once for its hints; (2) for each partition of the wave R nodes at least are
 * sources, one of them a home. */
#include "replication/op_scan_wave.h"

#include <stdlib.h>

#include "replication/coordinator.h"

#define LEAST_ROWS 16    /* asked for beyond what is missing: for keys that have expired */
#define DISPUTED_ROWS 64 /* asked for with tombstones */

void scan_wave_forget(struct op_scan *op) {
    for (uint32_t i = 0; i < op->source_count; i++) {
        scan_position_free(&op->sources[i].to);
        buf_free(&op->sources[i].page);
    }
    op->source_count = op->awaited = 0;
}

uint64_t scan_wave_word(const struct op_scan *op, bool hints) {
    return op->round << 1 | hints;
}

/* ---- choosing ------------------------------------------------------------------------------------ */

/* Bits by member: sources of the wave that is being planned. */
struct chosen {
    uint8_t own[RING_MAX_MEMBERS / 8], hints[RING_MAX_MEMBERS / 8];
};

static bool has_bit(const uint8_t *bits, uint16_t member) {
    return (bits[member / 8] & 1u << member % 8) != 0;
}

static void set_bit(uint8_t *bits, uint16_t member) {
    bits[member / 8] |= (uint8_t)(1u << member % 8);
}

static bool can_ask(const struct coordinator *co, const struct op_scan *op, uint16_t member) {
    return coordinator_can_ask(co, member) && !has_bit(op->failed, member);
}

/* Healthy, and not found silent by this request. */
static bool is_prompt(const struct coordinator *co, const struct op_scan *op, uint16_t member) {
    return coordinator_healthy(co, member) && !has_bit(op->silent, member);
}

static enum rd_err add_source(struct op_scan *op, uint16_t member, bool hints,
                              struct chosen *chosen) {
    if (op->source_count == op->source_cap) {
        uint32_t cap = op->source_cap == 0 ? 4 : op->source_cap * 2;
        struct scan_source *grown = realloc(op->sources, cap * sizeof(*grown));
        if (grown == NULL)
            return RD_ENOMEM;
        op->sources = grown;
        op->source_cap = cap;
    }
    op->sources[op->source_count++] = (struct scan_source){.member = member, .hints = hints};
    set_bit(hints ? chosen->hints : chosen->own, member);
    return RD_OK;
}

/* 0: this node, 1: prompt members, 2: the others in reach, 3: those that are being filled. */
static unsigned rank(const struct coordinator *co, const struct op_scan *op, uint16_t member) {
    if (member_is_filling(&co->members->items[member]))
        return 3;
    if (member == MEMBER_SELF)
        return 0;
    return is_prompt(co, op, member) ? 1 : 2;
}

/* What can be had for one partition. */
struct supply {
    uint16_t homes[PREFLIST_MAX_N], fallbacks[PREFLIST_MAX_N];
    uint32_t home_count, fallback_count;
    uint32_t reachable; /* of the homes that have all that belongs to them */
    uint32_t filling;   /* of the others, where fallbacks count */
    uint32_t needed;
};

static void look_around(const struct coordinator *co, const struct op_scan *op, uint16_t partition,
                        struct supply *out) {
    uint32_t missed = 0;
    out->home_count = (uint32_t)placement_homes(co->placement, partition, out->homes);
    out->needed = op->r < out->home_count ? op->r : out->home_count;
    if (out->needed == 0)
        out->needed = 1;
    out->reachable = out->filling = out->fallback_count = 0;
    for (uint32_t i = 0; i < out->home_count; i++) {
        bool filling = member_is_filling(&co->members->items[out->homes[i]]);
        out->reachable += !filling && can_ask(co, op, out->homes[i]);
        out->filling += filling && co->core->conf.sloppy_quorum && can_ask(co, op, out->homes[i]);
        missed += !is_prompt(co, op, out->homes[i]);
    }
    uint16_t list[PREFLIST_MAX_N];
    size_t listed = missed > 0 ? coordinator_fallbacks(co, partition, list, PREFLIST_MAX_N) : 0;
    for (unsigned silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < listed && out->fallback_count < missed; i++)
            if (can_ask(co, op, list[i]) && is_prompt(co, op, list[i]) == (silent == 0))
                out->fallbacks[out->fallback_count++] = list[i];
}

/* True if enough can be asked. A flush deletes at homes, and so reads homes. */
static bool is_enough(const struct op_scan *op, const struct supply *supply) {
    if (supply->reachable >= supply->needed)
        return true;
    return !op->flush && supply->reachable > 0 &&
           supply->reachable + supply->filling + supply->fallback_count >= supply->needed;
}

/* Adds homes beyond those that are chosen already, then the fallbacks. */
static enum rd_err choose(struct coordinator *co, struct op_scan *op, const struct supply *supply,
                          struct chosen *chosen) {
    uint32_t have = 0, wanted = supply->reachable;
    if (!op->flush && supply->needed < wanted)
        wanted = supply->needed;
    for (uint32_t i = 0; i < supply->home_count; i++)
        have += has_bit(chosen->own, supply->homes[i]);
    if (!op->flush && wanted < supply->needed) /* those that are being filled come last */
        wanted = supply->reachable + supply->filling < supply->needed
                     ? supply->reachable + supply->filling
                     : supply->needed;
    for (unsigned wave = 0; wave < 4; wave++)
        for (uint32_t i = 0; i < supply->home_count && have < wanted; i++) {
            uint16_t member = supply->homes[i];
            if (has_bit(chosen->own, member) || !can_ask(co, op, member) ||
                rank(co, op, member) != wave)
                continue;
            if (add_source(op, member, false, chosen) != RD_OK)
                return RD_ENOMEM;
            have++;
        }
    for (uint32_t i = 0; i < supply->fallback_count; i++)
        if (!has_bit(chosen->hints, supply->fallbacks[i]) &&
            add_source(op, supply->fallbacks[i], true, chosen) != RD_OK)
            return RD_ENOMEM;
    return RD_OK;
}

static void fail_quorum(struct coordinator *co, struct request *request, uint32_t partition,
                        const struct supply *supply) {
    co->core->stats.quorum_failures_read++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "%u replicas of partition %u can be reached, %u are needed", supply->reachable,
                     partition, supply->needed);
}

bool scan_wave_plan(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    struct chosen chosen = {{0}, {0}};
    struct supply supply;
    uint32_t partitions = co->core->conf.partitions;
    uint32_t first = slot_partition(op->at.slot, partitions);
    uint32_t last = slot_partition(op->last_slot, partitions);
    if (op->place != 0 || op->tombstones)
        last = first;
    else if (last - first >= op->wave_partitions)
        last = first + op->wave_partitions - 1;
    scan_wave_forget(op);
    for (uint32_t p = first; p <= last; p++) {
        look_around(co, op, (uint16_t)p, &supply);
        bool enough = is_enough(op, &supply);
        if (!enough && p == first) {
            fail_quorum(co, request, p, &supply);
            return false;
        }
        if (!enough) {
            last = p - 1;
            break;
        }
        if (choose(co, op, &supply, &chosen) != RD_OK) {
            coordinator_fail(co, request, RD_ENOMEM, "out of memory");
            return false;
        }
        uint32_t lacking = supply.reachable < supply.needed ? supply.needed - supply.reachable : 0;
        op->stand_ins = lacking > op->stand_ins ? lacking : op->stand_ins;
    }
    uint32_t end = (last + 1) * (SLOT_COUNT / partitions) - 1;
    op->wave_last = end < op->last_slot ? (uint16_t)end : op->last_slot;
    if (op->place != 0)
        op->wave_last = op->at.slot;
    op->awaited = op->source_count;
    return true;
}

/* ---- asking -------------------------------------------------------------------------------------- */

/* How many rows each source is to list. */
static uint32_t rows_wanted(const struct op_scan *op) {
    if (op->tombstones)
        return DISPUTED_ROWS;
    uint32_t missing = op->count > op->key_count ? op->count - op->key_count : 0;
    if (op->at.key != NULL && !op->exact && missing < SCAN_CUT_ROWS)
        missing = SCAN_CUT_ROWS; /* a page does not end in the middle of a slot before that */
    return missing + LEAST_ROWS < SCAN_ANSWER_ROWS ? missing + LEAST_ROWS : SCAN_ANSWER_ROWS;
}

static bool ask_self(struct coordinator *co, const struct request *request, bool hints) {
    const struct op_scan *op = &request->scan;
    const struct scan_order_for order = {.member = MEMBER_SELF,
                                         .id = request_id(request),
                                         .round = scan_wave_word(op, hints),
                                         .from = op->at,
                                         .last_slot = op->wave_last,
                                         .max_rows = rows_wanted(op),
                                         .tombstones = op->tombstones,
                                         .hints = hints,
                                         .place = op->place};
    return scan_jobs_start(co->scan_jobs, &order) == RD_OK;
}

static bool ask(struct coordinator *co, const struct request *request,
                const struct scan_source *source) {
    const struct op_scan *op = &request->scan;
    if (source->member == MEMBER_SELF)
        return ask_self(co, request, source->hints);
    struct wire_msg msg = {.kind = WIRE_SCAN};
    msg.scan.id = request_id(request);
    msg.scan.round = scan_wave_word(op, source->hints);
    msg.scan.flags = (op->at.key != NULL ? WIRE_SCAN_BEHIND_KEY : 0) |
                     (op->tombstones ? WIRE_SCAN_TOMBSTONES : 0) |
                     (source->hints ? WIRE_SCAN_HINTS : 0);
    msg.scan.slot = op->at.slot;
    if (op->at.key != NULL)
        msg.scan.key = (struct resp_slice){op->at.key->bytes, op->at.key->len};
    msg.scan.last_slot = op->wave_last;
    msg.scan.max_rows = rows_wanted(op);
    msg.scan.place = op->place;
    return peers_say(co->peers, source->member, &msg);
}

bool scan_wave_ask(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    bool all = true;
    for (uint32_t i = 0; i < op->source_count; i++) {
        if (op->sources[i].answered || ask(co, request, &op->sources[i]))
            continue;
        set_bit(op->failed, op->sources[i].member);
        all = false;
    }
    return all;
}
