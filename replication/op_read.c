/* Reads. See op_read.h for the states. */
#include "replication/op_read.h"

#include <assert.h>

#include "replication/coordinator.h"

#define CHECKED_SHARE 64 /* one read in so many asks all homes */
#define SHORTEST_HEDGE_US 1000

static void release(struct request *request) {
    object_free(&request->read.merged);
}

/* ---- whom to ask ---------------------------------------------------------------------------------- */

/* Lower is better: self, prompt ones by how fast they are, the others in reach, those that are being filled, those out of
 * reach. */
static uint32_t rank(const struct coordinator *co, uint16_t member) {
    if (member_is_filling(&co->members->items[member]) && coordinator_can_ask(co, member))
        return UINT32_MAX - 1;
    if (member == MEMBER_SELF)
        return 0;
    if (!peers_reachable(co->peers, member))
        return UINT32_MAX;
    uint32_t speed = peers_slowness(co->peers, member);
    return peers_healthy(co->peers, member) ? 1 + speed : UINT32_MAX / 2 + speed;
}

/* Lists the homes by rank; equals stay in order of preference. */
static void rank_homes(const struct coordinator *co, const struct request *request,
                       struct op_read *op) {
    uint16_t homes[PREFLIST_MAX_N];
    uint32_t ranks[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    for (size_t i = 0; i < count; i++) {
        uint32_t mine = rank(co, homes[i]);
        size_t at = i;
        op->homes[i] = (struct read_home){0};
        for (; at > 0 && ranks[at - 1] > mine; at--) {
            ranks[at] = ranks[at - 1];
            op->homes[at].member = op->homes[at - 1].member;
        }
        ranks[at] = mine;
        op->homes[at].member = homes[i];
    }
    op->home_count = op->count = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        op->homes[i].filling = member_is_filling(&co->members->items[op->homes[i].member]);
    while (op->healthy < count && !op->homes[op->healthy].filling &&
           coordinator_healthy(co, op->homes[op->healthy].member))
        op->healthy++;
}

static struct read_home *find_home(struct op_read *op, uint16_t member) {
    for (uint8_t i = 0; i < op->count; i++)
        if (op->homes[i].member == member && op->homes[i].asked)
            return &op->homes[i];
    return NULL;
}

static bool ask(struct coordinator *co, struct request *request, struct read_home *home) {
    if (home->member == MEMBER_SELF) {
        struct asker asker = request_asker(request, 0);
        if (replica_read(home->fallback ? co->hints : co->replica, request->key, &asker) != RD_OK)
            return false;
    } else {
        struct wire_msg msg = {.kind = WIRE_READ};
        msg.read.id = request_id(request);
        msg.read.digest = request->read.own_digest;
        msg.read.turn = request->rmw != NULL;
        msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
        if (!peers_say(co->peers, home->member, &msg))
            return false;
        home->asked_digest = msg.read.digest;
    }
    home->asked = true;
    home->asked_us = co->core->now.mono_us;
    home->number = home->fallback || home->filling ? quorum_expect_stand_in(&request->read.quorum)
                                                   : quorum_expect(&request->read.quorum);
    return true;
}

/* Asks one of the homes first..last-1 that was spared; says whether there was one. */
static bool ask_home(struct coordinator *co, struct request *request, uint8_t first, uint8_t last) {
    struct op_read *op = &request->read;
    for (uint8_t i = first; i < last; i++)
        if (!op->homes[i].asked && ask(co, request, &op->homes[i]))
            return true;
    return false;
}

/* How many homes are missing from R: so many fallbacks count, where fallbacks may. */
static uint32_t missing(const struct coordinator *co, const struct op_read *op) {
    uint32_t live = 0;
    if (!co->core->conf.sloppy_quorum)
        return 0;
    for (uint8_t i = 0; i < op->healthy; i++)
        live += op->homes[i].answered ? op->homes[i].good : !op->homes[i].silent;
    return live < op->quorum.needed ? op->quorum.needed - live : 0;
}

/* Asks the next fallback; says whether there was one. */
static bool ask_fallback(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    uint16_t list[PREFLIST_MAX_N];
    size_t count = coordinator_fallbacks(co, request->partition, list, PREFLIST_MAX_N);
    for (size_t i = 0; i < count && op->count < READ_MAX_NODES; i++) {
        uint8_t at = op->home_count;
        while (at < op->count && op->homes[at].member != list[i])
            at++;
        if (at < op->count)
            continue;
        op->homes[at] = (struct read_home){.member = list[i], .fallback = true};
        if (!ask(co, request, &op->homes[at]))
            continue;
        op->count++;
        return true;
    }
    return false;
}

/* Asks the next one: a healthy home, a fallback for one that is missing, a home that is not
 * healthy. `all`: any number of fallbacks. Says whether there was one. */
static bool ask_next(struct coordinator *co, struct request *request, bool all) {
    struct op_read *op = &request->read;
    uint32_t room = missing(co, op), open = 0;
    quorum_allow(&op->quorum, room);
    for (uint8_t i = op->home_count; i < op->count; i++)
        open += op->homes[i].answered ? op->homes[i].good : !op->homes[i].silent;
    return ask_home(co, request, 0, op->healthy) ||
           (room > 0 && (all || open < room) && ask_fallback(co, request)) ||
           ask_home(co, request, op->healthy, op->home_count);
}

/* Asks as many as are needed, or all. */
static void ask_enough(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    while ((op->ask_all || quorum_verdict(&op->quorum) == QUORUM_LOST) &&
           ask_next(co, request, false))
        ;
}

/* How long to wait before a spared home is asked too: what the best of them nearly always needs
 * less than. 0: nobody is spared. */
static uint64_t hedge_delay(const struct coordinator *co, const struct op_read *op) {
    uint64_t timeout = (uint64_t)co->core->conf.request_timeout_ms * 1000;
    uint64_t delay = 0;
    for (uint8_t i = op->quorum.needed < op->home_count ? (uint8_t)op->quorum.needed : 0;
         op->quorum.needed < op->home_count && i < op->home_count; i++) {
        uint16_t member = op->homes[i].member;
        if (!peers_healthy(co->peers, member))
            continue;
        uint64_t p99 = latency_p99_us(peers_latency(co->peers, member), timeout / 10);
        if (delay == 0 || p99 < delay)
            delay = p99 > SHORTEST_HEDGE_US ? p99 : SHORTEST_HEDGE_US;
    }
    return delay < timeout / 2 ? delay : timeout / 2;
}

static bool repair_all(struct coordinator *co, struct request *request);

/* Too few answered; those that can be are repaired all the same, or a damaged row would be in the
 * way of each such read for ever. */
static void fail(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    repair_all(co, request);
    co->core->stats.quorum_failures_read++;
    bool out = request->rmw != NULL && op_rmw_is_out(request);
    uint32_t counted = quorum_counted(&op->quorum);
    coordinator_fail(
        co, request, out ? RD_EUNKNOWN : RD_ENOQUORUM,
        "%u of %u replicas answered, %u are needed%s%s", counted, op->home_count, op->quorum.needed,
        counted < op->quorum.needed
            ? ""
            : ", one of them a home of the key: that others have nothing proves nothing",
        out                    ? "; the write may have happened"
        : request->rmw != NULL ? "; nothing was written"
                               : "");
}

void op_read_start(struct coordinator *co, struct request *request, uint32_t r, bool monotonic) {
    struct op_read *op = &request->read;
    request->release = release;
    op->monotonic = monotonic;
    rank_homes(co, request, op);
    if (r < 2 && !peers_view_is_fresh(co->peers))
        r = 2; /* this node stood still: its own copy alone may be of long ago */
    if (r > op->home_count)
        r = op->home_count;
    quorum_init(&op->quorum, r > 0 ? r : 1);
    uint32_t reachable = 0;
    for (uint8_t i = 0; i < op->home_count; i++)
        reachable += coordinator_can_ask(co, op->homes[i].member) &&
                     (!op->homes[i].filling || co->core->conf.sloppy_quorum);
    if (op->healthy < op->quorum.needed) {
        uint16_t fallbacks[PREFLIST_MAX_N];
        reachable += (uint32_t)coordinator_fallbacks(co, request->partition, fallbacks,
                                                     op->quorum.needed - op->healthy);
    }
    if (reachable < op->quorum.needed) {
        co->core->stats.quorum_failures_read++;
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "%u of %u replicas can be reached, %u are needed", reachable,
                         op->home_count, op->quorum.needed);
        return;
    }
    op->ask_all = request->rmw != NULL || (co->core->conf.read_repair && !monotonic &&
                                           prng_chance(&co->core->prng, 1, CHECKED_SHARE));
    op->own_first = op->homes[0].member == MEMBER_SELF && ask(co, request, &op->homes[0]);
    if (!op->own_first)
        ask_enough(co, request);
    if (op->quorum.homes.asked + op->quorum.stand_ins.asked == 0) {
        fail(co, request);
        return;
    }
    op->hedge_delay_us = request->rmw != NULL
                             ? (uint64_t)co->core->conf.request_timeout_ms * 1000 / 2
                             : hedge_delay(co, op);
    if (op->hedge_delay_us > 0 && request->hedge_us == 0)
        coordinator_hedge_at(co, request, co->core->now.mono_us + op->hedge_delay_us);
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* `last`: nobody needs the merged object any more. */
static void reply(struct coordinator *co, struct request *request, bool last) {
    struct op_read *op = &request->read;
    struct client_reply *out = coordinator_reply_new(co, RD_OK);
    co->core->stats.sibling_reads += op->merged.count > 1;
    if (out != NULL && last) {
        out->object = op->merged;
        op->merged = (struct object){0};
    } else if (out != NULL && object_copy(&op->merged, &out->object) != RD_OK) {
        client_reply_free(out);
        out = NULL;
    }
    if (out != NULL)
        out->stand_ins = quorum_stand_ins(&op->quorum);
    coordinator_reply(co, request, out);
}

/* What a fallback keeps the merged object for: all homes that have not answered well. */
static void owe_missing(const struct coordinator *co, const struct op_read *op,
                        struct hint_owed *owed) {
    owed->must = true;
    for (uint8_t i = 0; i < op->home_count; i++)
        if (!op->homes[i].good)
            hint_owe(owed, &co->members->items[op->homes[i].member].id);
}

/* Sends the merged object to a home that answered with less. With `id` an acknowledgement is
 * wanted. */
static bool repair(struct coordinator *co, struct request *request, struct read_home *home,
                   struct blob *encoded, uint64_t id) {
    struct hint_owed owed = {0};
    if (home->fallback)
        owe_missing(co, &request->read, &owed);
    co->core->stats.read_repairs++;
    watched_touch(&co->core->watched, request->key);
    if (home->member != MEMBER_SELF) {
        struct wire_msg msg = {.kind = WIRE_WRITE};
        msg.write.id = id;
        msg.write.key = (struct resp_slice){request->key->bytes, request->key->len};
        msg.write.object = (struct resp_slice){encoded->bytes, encoded->len};
        msg.write.targets = (struct resp_slice){(const uint8_t *)owed.targets,
                                                owed.count * sizeof(owed.targets[0])};
        msg.write.must = owed.must;
        return peers_say(co->peers, home->member, &msg);
    }
    struct object copy;
    if (object_copy(&request->read.merged, &copy) != RD_OK)
        return false;
    struct asker asker = id != 0 ? request_asker(request, 0) : (struct asker){0};
    if (home->fallback)
        return replica_keep(co->hints, request->key, &copy, &owed, &asker) == RD_OK;
    return replica_merge(co->replica, request->key, &copy, &asker) == RD_OK;
}

/* True if `home` answered with less than the merged object, or could not because its row is
 * damaged. */
static bool is_behind(const struct op_read *op, const struct read_home *home, uint64_t digest) {
    return home->good ? home->digest != digest : home->damaged && !object_is_empty(&op->merged);
}

/* True if all homes have answered well: then a fallback has nothing to keep for anybody, and would take what it is sent for a copy of its
 * own. */
static bool is_owed_to_nobody(const struct op_read *op) {
    for (uint8_t i = 0; i < op->home_count; i++)
        if (!op->homes[i].good)
            return false;
    return true;
}

/* Repairs those that are behind. With MONOTONIC those that were counted must acknowledge it;
 * says whether all of them can be expected to. */
static bool repair_all(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    uint64_t digest = object_digest(&op->merged);
    struct blob *encoded = NULL;
    bool can = true;
    for (uint8_t i = 0; can && i < op->count; i++) {
        struct read_home *home = &op->homes[i];
        bool wait = op->monotonic && home->good;
        if (home->fallback && (!wait || is_owed_to_nobody(op)))
            continue; /* it has what it was given */
        if (!is_behind(op, home, digest) || !(co->core->conf.read_repair || wait))
            continue;
        bool sent = (encoded != NULL || object_encode_blob(&op->merged, &encoded) == RD_OK) &&
                    repair(co, request, home, encoded, wait ? request_id(request) : 0);
        home->repairing = wait && sent;
        can = sent || !wait;
    }
    blob_unref(encoded);
    return can;
}

/* Under last-write-wins a reader sees one value, whatever the replicas have not settled yet. */
static void settle(const struct coordinator *co, struct op_read *op) {
    if (co->core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS)
        object_keep_newest(&op->merged);
}

static bool is_complete(const struct op_read *op) {
    for (uint8_t i = 0; i < op->count; i++)
        if (op->homes[i].asked && !op->homes[i].answered)
            return false;
    return true;
}

/* True if only one was asked, and answered: there is nobody to repair. */
static bool is_alone(const struct op_read *op) {
    return op->quorum.homes.asked + op->quorum.stand_ins.asked == 1 && is_complete(op);
}

/* Ends an answered read once nobody who was asked is missing. */
static void close_if_complete(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    if (!is_complete(op))
        return;
    settle(co, op);
    repair_all(co, request);
    coordinator_close(co, request);
}

static void reply_when_repaired(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    for (uint8_t i = 0; i < op->count; i++)
        if (op->homes[i].repairing)
            return;
    reply(co, request, true);
    coordinator_close(co, request);
}

#define NOT_REPAIRED "a replica that was behind could not be repaired"

/* R have answered. */
static void finish(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    settle(co, op);
    if (request->rmw != NULL) {
        struct object merged = op->merged;
        op->merged = (struct object){0};
        op_rmw_read(co, request, &merged);
        return;
    }
    if (op->monotonic) {
        op->repairing = true;
        if (repair_all(co, request))
            reply_when_repaired(co, request);
        else
            coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
        return;
    }
    if (!op->ask_all && is_alone(op)) {
        reply(co, request, true);
        coordinator_close(co, request);
        return;
    }
    reply(co, request, false);
    if (op->ask_all)
        ask_enough(co, request);
    close_if_complete(co, request);
}

void op_read_repaired(struct coordinator *co, struct request *request, uint16_t member, bool ok) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, member);
    if (!op->repairing || home == NULL || !home->repairing)
        return;
    home->repairing = false;
    if (ok)
        reply_when_repaired(co, request);
    else
        coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
}

/* True if a read-modify-write has to hear more homes than R: any may have a turn of its own. */
static bool awaits_turn(const struct coordinator *co, const struct request *request) {
    for (uint8_t i = 0; request->rmw != NULL && i < request->read.home_count; i++) {
        const struct read_home *home = &request->read.homes[i];
        if (home->asked && !home->answered && !home->silent &&
            coordinator_healthy(co, home->member))
            return true;
    }
    return false;
}

/* ---- answers -------------------------------------------------------------------------------------- */

/* True if the good answers are enough to tell what is there: fallbacks alone cannot say that nothing
 * is. */
static bool can_tell(const struct coordinator *co, const struct op_read *op) {
    return op->quorum.homes.good > 0 || !object_is_empty(&op->merged) ||
           RD_PLANTED(co->core, EMPTY_FALLBACK_NIL);
}

static void count(struct coordinator *co, struct request *request, struct read_home *home,
                  bool good) {
    struct op_read *op = &request->read;
    home->answered = true;
    home->good = good;
    coordinator_note_silent(co, request, home->member, false);
    quorum_allow(&op->quorum, missing(co, op));
    enum quorum_verdict verdict = quorum_add(&op->quorum, home->number, good);
    if (home->member == MEMBER_SELF)
        op->own_first = false;
    if (request->replied) {
        close_if_complete(co, request);
        return;
    }
    if (verdict == QUORUM_MET && request->rmw != NULL && !op->own_first)
        ask_enough(co, request); /* R may be 1 */
    if (verdict == QUORUM_MET && can_tell(co, op) && !awaits_turn(co, request)) {
        finish(co, request);
        return;
    }
    if (verdict == QUORUM_MET) {
        if (!ask_next(co, request, true) && is_complete(op))
            fail(co, request);
        return;
    }
    if (!op->own_first || !good)
        ask_enough(co, request);
    if (!op->own_first && quorum_verdict(&op->quorum) == QUORUM_LOST)
        fail(co, request);
}

/* Takes what a replica said into the merged object. Returns whether the answer was a good one. */
static bool take(struct coordinator *co, struct op_read *op, struct read_home *home,
                 const struct read_answer *answer) {
    struct object_merge_result result = {0};
    home->damaged = answer->err == RD_ECORRUPT;
    if (answer->err != RD_OK && answer->err != RD_ENOTFOUND)
        return false;
    if (answer->same) {
        home->digest = home->asked_digest;
        return home->asked_digest != 0;
    }
    if (answer->object == NULL)
        return true;
    if (object_merge(&op->merged, answer->object, &result) != RD_OK)
        return false;
    home->digest = answer->digest != 0 ? answer->digest : object_digest(answer->object);
    if (home->member == MEMBER_SELF)
        op->own_digest = home->digest;
    co->core->stats.dot_clashes += result.dot_clash;
    hlc_seen(&co->core->hlc, object_newest_stamp(answer->object));
    return true;
}

void op_read_answer(struct coordinator *co, struct request *request,
                    const struct read_answer *answer) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, answer->member);
    if (home == NULL || home->answered || op->repairing) {
        co->core->stats.late_answers++;
        return;
    }
    if (home->member != MEMBER_SELF && request->rmw == NULL)
        peers_answered(co->peers, home->member, co->core->now.mono_us - home->asked_us);
    peers_served(co->peers, home->member);
    bool good = take(co, op, home, answer);
    if (home->again > 0)
        home->again--;
    else
        count(co, request, home, good);
}

void op_read_again(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, member);
    if (home == NULL)
        return; /* the own copy comes first; then it is asked anyway */
    struct wire_msg msg = {.kind = WIRE_READ};
    msg.read.id = request_id(request);
    msg.read.turn = 1;
    msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
    if (!peers_say(co->peers, member, &msg))
        return;
    home->again += !home->answered;
    home->answered = false;
}

void op_read_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, member);
    if (home == NULL)
        return;
    if (op->repairing)
        op_read_repaired(co, request, member, false);
    else if (!home->answered)
        count(co, request, home, false);
}

/* True if one that has not answered is not worth waiting for alone. */
static bool holds_up(const struct coordinator *co, const struct request *request,
                     const struct read_home *home) {
    if (!home->asked || home->answered || home->silent || home->member == MEMBER_SELF)
        return false;
    return coordinator_holds_up(co, request, home->member, !home->fallback, home->asked_us);
}

void op_read_review(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    unsigned silent = 0;
    uint8_t count = op->count; /* those who come to it now have just been asked */
    if (op->repairing)
        return;
    for (uint8_t i = 0; i < count; i++)
        if (holds_up(co, request, &op->homes[i])) {
            op->homes[i].silent = true;
            coordinator_note_silent(co, request, op->homes[i].member, true);
            silent++;
        }
    quorum_allow(&op->quorum, missing(co, op));
    while (silent > 0 && ask_next(co, request, false))
        silent--;
    if (quorum_verdict(&op->quorum) == QUORUM_MET && can_tell(co, op) && !op->own_first &&
        !awaits_turn(co, request))
        finish(co, request);
}

void op_read_hedge(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    uint64_t now = co->core->now.mono_us;
    if (request->kind != REQUEST_READ || op->repairing || request->replied)
        return;
    if (request->rmw != NULL) {
        for (uint8_t i = 0; i < op->home_count; i++)
            if (op->homes[i].asked && !op->homes[i].answered && op->homes[i].member != MEMBER_SELF)
                peers_missed(co->peers, op->homes[i].member, op->homes[i].asked_us);
        if (quorum_verdict(&op->quorum) == QUORUM_MET && can_tell(co, op))
            finish(co, request);
        return;
    }
    for (uint8_t i = 0; i < op->count; i++) {
        const struct read_home *home = &op->homes[i];
        if (home->asked && !home->answered && home->member != MEMBER_SELF)
            peers_answered(co->peers, home->member, 2 * (now - home->asked_us)); /* at the least */
    }
    if (ask_next(co, request, false))
        coordinator_hedge_at(co, request, now + op->hedge_delay_us);
}

void op_read_expired(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    for (uint8_t i = 0; i < op->count; i++) {
        struct read_home *home = &op->homes[i];
        if (home->member != MEMBER_SELF && home->asked && (!home->answered || home->repairing))
            peers_missed(co->peers, home->member, home->asked_us);
        home->answered = true;
    }
    if (request->replied)
        close_if_complete(co, request);
    else if (op->repairing)
        coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
    else
        fail(co, request);
}
