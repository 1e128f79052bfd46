/* Homes, fallbacks and hints of one write. See op_write_targets.h.
 *
 * Invariants: a member is a target once; each missed home has one fallback at a time, or the
 * coordinator, or, where hints are switched off, nobody. */
#include "replication/op_write_targets.h"

#include <assert.h>

#include "replication/coordinator.h"

static uint32_t bit(uint8_t home) {
    return UINT32_C(1) << home;
}

/* ---- who is there -------------------------------------------------------------------------------- */

static bool is_target(const struct write_targets *to, uint16_t member) {
    for (uint8_t i = 0; i < to->count; i++)
        if (to->all[i].member == member)
            return true;
    return false;
}

/* The next healthy fallback that is no target yet; MEMBER_NONE if there is none. A fallback that
 * coordinates is the first. */
static uint16_t next_fallback(const struct coordinator *co, const struct request *request) {
    const struct op_write *op = &request->write;
    uint16_t list[RING_MAX_MEMBERS];
    size_t count = op->to.count < WRITE_MAX_TARGETS
                       ? coordinator_fallbacks(co, request->partition, list, RING_MAX_MEMBERS)
                       : 0;
    if (count > 0 && op->standing_in && !is_target(&op->to, MEMBER_SELF))
        return MEMBER_SELF;
    for (size_t i = 0; i < count; i++)
        if (!is_target(&op->to, list[i]))
            return list[i];
    return MEMBER_NONE;
}

/* Those that count as homes. */
static uint32_t healthy_homes(const struct write_targets *to) {
    uint32_t healthy = 0;
    for (uint8_t i = 0; i < to->home_count; i++)
        healthy += !to->all[i].missed && !to->all[i].filling;
    return healthy;
}

static bool is_filling(const struct coordinator *co, uint16_t member) {
    return member_is_filling(&co->members->items[member]);
}

/* How many fallbacks may count. */
static uint32_t room(const struct request *request) {
    uint32_t healthy = healthy_homes(&request->write.to), needed = request->write.quorum.needed;
    return healthy < needed ? needed - healthy : 0;
}

uint32_t write_targets_start(struct coordinator *co, struct request *request) {
    struct write_targets *to = &request->write.to;
    uint16_t homes[PREFLIST_MAX_N];
    uint32_t reachable = 0, missed = 0, fallbacks = 0;
    to->home_count = to->count = (uint8_t)coordinator_homes(co, request, homes);
    request->write.standing_in = true;
    for (uint8_t i = 0; i < to->home_count; i++) {
        to->all[i] = (struct write_target){.member = homes[i]};
        request->write.standing_in &= homes[i] != MEMBER_SELF;
        reachable += coordinator_can_ask(co, homes[i]) &&
                     (!is_filling(co, homes[i]) || co->core->conf.sloppy_quorum);
        missed += !coordinator_healthy(co, homes[i]);
    }
    while (fallbacks < missed) {
        uint16_t member = next_fallback(co, request);
        if (member == MEMBER_NONE)
            break;
        to->all[to->count++] = (struct write_target){.member = member};
        fallbacks++;
    }
    to->count = to->home_count;
    return reachable + fallbacks;
}

/* ---- planning ------------------------------------------------------------------------------------ */

/* Finds somebody to keep the object for home `i`. */
static struct write_target *replace(struct coordinator *co, struct request *request, uint8_t i) {
    struct write_targets *to = &request->write.to;
    uint16_t member = next_fallback(co, request);
    if (member == MEMBER_NONE || member == MEMBER_SELF)
        to->kept |= bit(i);
    if (member == MEMBER_NONE)
        return NULL;
    struct write_target *target = &to->all[to->count++];
    *target = (struct write_target){.member = member, .home = i};
    return target;
}

void write_targets_plan(struct coordinator *co, struct request *request) {
    struct write_targets *to = &request->write.to;
    to->count = to->home_count;
    to->kept = 0;
    for (uint8_t i = 0; i < to->home_count; i++) {
        uint16_t home = to->all[i].member;
        bool missed = !coordinator_healthy(co, home) || coordinator_is_silent(co, request, home);
        to->all[i] = (struct write_target){
            .member = home, .filling = is_filling(co, home), .missed = missed};
    }
    for (uint8_t i = 0; i < to->home_count; i++)
        if (to->all[i].missed)
            replace(co, request, i);
    if (request->write.standing_in && !is_target(to, MEMBER_SELF)) {
        /* its copy rests on something: the first home that may not keep it */
        to->all[to->count++] = (struct write_target){.member = MEMBER_SELF, .home = 0};
        to->kept |= bit(0);
    }
}

static void owe(struct coordinator *co, const struct write_targets *to, uint32_t homes,
                struct hint_owed *out) {
    for (uint8_t i = 0; i < to->home_count; i++)
        if ((homes & bit(i)) != 0)
            hint_owe(out, &co->members->items[to->all[i].member].id);
}

void write_targets_own(struct coordinator *co, const struct request *request,
                       struct hint_owed *out) {
    *out = (struct hint_owed){.must = request->write.standing_in};
    owe(co, &request->write.to, request->write.to.kept, out);
}

/* ---- sending ------------------------------------------------------------------------------------- */

static enum rd_err make_frame(const struct request *request, const struct hint_owed *owed,
                              struct blob **out) {
    const struct op_write *op = &request->write;
    struct wire_msg msg = {.kind = WIRE_WRITE};
    msg.write.id = request_id(request);
    msg.write.round = op->round + (owed->must ? WRITE_ROUND_MUST : 0);
    msg.write.must = owed->must;
    msg.write.key = (struct resp_slice){request->key->bytes, request->key->len};
    msg.write.object = (struct resp_slice){op->encoded->bytes, op->encoded->len};
    msg.write.targets =
        (struct resp_slice){(const uint8_t *)owed->targets, owed->count * sizeof(owed->targets[0])};
    return wire_encode(&msg, out);
}

/* Counts on a target from now on. */
static void expect(struct request *request, struct write_target *target, bool home) {
    struct quorum *quorum = &request->write.quorum;
    if (!target->has_number)
        target->number = home ? quorum_expect(quorum) : quorum_expect_stand_in(quorum);
    target->has_number = true;
}

/* Asks a fallback; says whether it could be. */
static bool ask_fallback(struct coordinator *co, struct request *request,
                         struct write_target *target) {
    struct hint_owed owed = {.must = !request->replied && room(request) > 0};
    struct blob *frame;
    owe(co, &request->write.to, bit(target->home), &owed);
    if (target->member == MEMBER_SELF) {
        target->asked = target->must = true;
        expect(request, target, false);
        return true;
    }
    if (make_frame(request, &owed, &frame) != RD_OK)
        return false;
    target->asked = peers_send(co->peers, target->member, frame);
    blob_unref(frame);
    if (!target->asked)
        return false;
    target->asked_us = co->core->now.mono_us;
    request->write.sent = true;
    target->answered = target->good = false;
    target->must = owed.must;
    if (owed.must)
        expect(request, target, false);
    return true;
}

/* Keeps a hint for the homes in `homes` here; no acknowledgement rests on it. */
static void keep(struct coordinator *co, struct request *request, uint32_t homes) {
    if (homes == 0)
        return;
    struct hint_owed owed = {0};
    struct object object;
    struct asker nobody = {0};
    owe(co, &request->write.to, homes, &owed);
    if (owed.count == 0 || !co->core->conf.hinted_handoff)
        return;
    const struct blob *encoded = request->write.encoded;
    enum rd_err err = object_decode(encoded->bytes, encoded->len, &object);
    if (err == RD_OK)
        err = replica_keep(co->hints, request->key, &object, &owed, &nobody);
    if (err == RD_OK)
        co->core->stats.hints_kept++;
    else
        hint_ledger_dropped(co->hints->ledger, &owed);
}

/* Home `i` cannot be counted on: somebody keeps the object for it. */
static void miss(struct coordinator *co, struct request *request, uint8_t i) {
    struct write_targets *to = &request->write.to;
    struct write_target *target;
    to->all[i].missed = true;
    do
        target = replace(co, request, i);
    while (target != NULL && !ask_fallback(co, request, target));
    if (target == NULL)
        keep(co, request, bit(i));
}

/* With fewer healthy homes than before more fallbacks may count: those that were asked as such as
 * would not are asked again. */
static void make_room(struct coordinator *co, struct request *request) {
    struct write_targets *to = &request->write.to;
    uint32_t now = room(request);
    quorum_allow(&request->write.quorum, now);
    for (uint8_t i = to->home_count; now > 0 && !request->replied && i < to->count; i++)
        if (to->all[i].asked && !to->all[i].must && !ask_fallback(co, request, &to->all[i]))
            to->all[i].answered = true;
}

void write_targets_send(struct coordinator *co, struct request *request) {
    struct write_targets *to = &request->write.to;
    static const struct hint_owed nothing;
    struct blob *frame = NULL;
    uint8_t planned = to->count;
    uint32_t kept = to->kept;
    bool made = true;
    for (uint8_t i = 0; i < to->home_count; i++) {
        struct write_target *home = &to->all[i];
        bool self = home->member == MEMBER_SELF;
        if (!self && made && frame == NULL)
            made = make_frame(request, &nothing, &frame) == RD_OK;
        home->asked = self || (made && peers_send(co->peers, home->member, frame));
        home->asked_us = co->core->now.mono_us;
        if (home->asked && (!home->filling || co->core->conf.sloppy_quorum))
            expect(request, home, !home->filling);
        request->write.sent |= home->asked && !self;
    }
    blob_unref(frame);
    for (uint8_t i = planned; i > to->home_count; i--)
        if (!ask_fallback(co, request, &to->all[i - 1]))
            miss(co, request, to->all[i - 1].home);
    for (uint8_t i = 0; i < to->home_count; i++)
        if (!to->all[i].asked && !to->all[i].missed)
            miss(co, request, i);
    if (!request->write.standing_in)
        keep(co, request, kept);
    make_room(co, request);
}

/* ---- answers ------------------------------------------------------------------------------------- */

struct write_target *write_targets_find(struct request *request, uint16_t member, uint64_t round) {
    struct write_targets *to = &request->write.to;
    for (uint8_t i = 0; i < to->count; i++) {
        struct write_target *target = &to->all[i];
        bool must = target->must && target->member != MEMBER_SELF;
        if (target->member == member && target->asked && !target->answered &&
            round == request->write.round + (must ? WRITE_ROUND_MUST : 0))
            return target;
    }
    return NULL;
}

void write_targets_answered(struct coordinator *co, struct request *request,
                            struct write_target *target, enum rd_err err) {
    struct write_targets *to = &request->write.to;
    uint8_t at = (uint8_t)(target - to->all);
    target->answered = true;
    target->good = err == RD_OK;
    coordinator_note_silent(co, request, target->member, false);
    if (target->has_number)
        quorum_add(&request->write.quorum, target->number, target->good);
    if (RD_PLANTED(co->core, FALLBACK_COUNTED_TWICE) && target->good && target->must &&
        request->write.quorum.needed > 1)
        request->write.quorum.needed--;
    if (target->good)
        return;
    if (at < to->home_count) {
        if (!target->missed)
            miss(co, request, at);
    } else if (err == RD_EOVERLOADED && !target->must) {
        struct hint_owed owed = {0}; /* it was dropped there: others would drop it as well */
        owe(co, to, bit(target->home), &owed);
        hint_ledger_dropped(co->hints->ledger, &owed);
    } else if (!target->missed) {
        miss(co, request, target->home);
    }
    make_room(co, request);
}

/* True if a target that has not answered is not worth waiting for alone. */
static bool holds_up(const struct coordinator *co, const struct request *request,
                     const struct write_target *target) {
    bool home = target < request->write.to.all + request->write.to.home_count;
    if (!target->asked || target->answered || target->missed || target->member == MEMBER_SELF)
        return false;
    return coordinator_holds_up(co, request, target->member, home, target->asked_us);
}

void write_targets_review(struct coordinator *co, struct request *request) {
    struct write_targets *to = &request->write.to;
    uint64_t silent = 0;
    uint8_t count = to->count; /* those who come to it now have just been asked */
    for (uint8_t i = 0; i < count; i++)
        if (holds_up(co, request, &to->all[i])) {
            to->all[i].missed = true;
            coordinator_note_silent(co, request, to->all[i].member, true);
            silent |= UINT64_C(1) << i;
        }
    for (uint8_t i = 0; i < count; i++)
        if ((silent >> i & 1) != 0 && next_fallback(co, request) != MEMBER_NONE)
            miss(co, request, i < to->home_count ? i : to->all[i].home);
    make_room(co, request);
}

void write_targets_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct write_targets *to = &request->write.to;
    for (uint8_t i = 0; i < to->count; i++)
        if (to->all[i].member == member && to->all[i].asked && !to->all[i].answered) {
            write_targets_answered(co, request, &to->all[i], RD_ECLOSED);
            return;
        }
}

bool write_targets_gone(struct coordinator *co, struct request *request, uint16_t member) {
    struct write_targets *to = &request->write.to;
    for (uint8_t i = 0; i < to->count; i++)
        if (to->all[i].member == member && to->all[i].good && to->all[i].has_number)
            return false;
    write_targets_lost(co, request, member);
    return true;
}

uint32_t write_targets_good_homes(const struct request *request) {
    const struct write_targets *to = &request->write.to;
    uint32_t homes = 0;
    for (uint8_t i = 0; i < to->home_count; i++)
        if (to->all[i].good && !to->all[i].filling)
            homes |= bit(i);
    return homes;
}

/* ---- the end ------------------------------------------------------------------------------------- */

/* True if home `i` has the object, or somebody keeps it for it. */
static bool is_served(const struct write_targets *to, uint8_t i) {
    if (to->all[i].good || (to->kept & bit(i)) != 0)
        return true;
    for (uint8_t k = to->home_count; k < to->count; k++)
        if (to->all[k].home == i && to->all[k].good)
            return true;
    return false;
}

bool write_targets_complete(const struct request *request) {
    const struct write_targets *to = &request->write.to;
    for (uint8_t i = 0; i < to->count; i++) {
        const struct write_target *target = &to->all[i];
        uint8_t home = i < to->home_count ? i : target->home;
        if (target->asked && !target->answered && !is_served(to, home))
            return false;
    }
    return true;
}

void write_targets_finish(struct coordinator *co, struct request *request, bool expired) {
    struct write_targets *to = &request->write.to;
    uint32_t left = 0;
    for (uint8_t i = 0; expired && i < to->count; i++)
        if (to->all[i].asked && !to->all[i].answered && to->all[i].member != MEMBER_SELF)
            peers_missed(co->peers, to->all[i].member, request->started_us);
    for (uint8_t i = 0; request->replied && i < to->home_count; i++)
        if (!is_served(to, i))
            left |= bit(i);
    if (left != 0)
        keep(co, request, left);
}
