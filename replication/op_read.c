/* Reads. See op_read.h for the states. */
#include "replication/op_read.h"

#include <assert.h>

#include "replication/coordinator.h"

/* How long the first R are waited for before the others are asked too: a tenth of
 * request-timeout. */
#define HEDGE_SHARE 10

static void release(struct request *request) {
    object_free(&request->read.merged);
}

/* Lists the homes in the order in which they are asked: self, prompt ones, the others in reach,
 * those out of reach. */
static void rank_homes(const struct coordinator *co, const struct request *request,
                       struct op_read *op) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    for (int rank = 0; rank < 3; rank++)
        for (size_t i = 0; i < count; i++) {
            int own = homes[i] == MEMBER_SELF ? 0 : peers_prompt(co->peers, homes[i]) ? 1 : 2;
            if (own == rank)
                op->homes[op->home_count++].member = homes[i];
        }
}

static struct read_home *find_home(struct op_read *op, uint16_t member) {
    for (uint8_t i = 0; i < op->home_count; i++)
        if (op->homes[i].member == member && op->homes[i].asked)
            return &op->homes[i];
    return NULL;
}

static bool ask(struct coordinator *co, struct request *request, struct read_home *home) {
    if (home->member == MEMBER_SELF) {
        struct asker asker = request_asker(request, 0);
        if (replica_read(co->replica, request->key, &asker) != RD_OK)
            return false;
    } else {
        struct wire_msg msg = {.kind = WIRE_READ};
        msg.read.id = request_id(request);
        msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
        if (!peers_say(co->peers, home->member, &msg))
            return false;
    }
    home->asked = true;
    home->number = quorum_expect(&request->read.quorum);
    return true;
}

/* Asks the next home that was spared; says whether there was one. */
static bool ask_next(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    for (uint8_t i = 0; i < op->home_count; i++)
        if (!op->homes[i].asked && ask(co, request, &op->homes[i]))
            return true;
    return false;
}

static bool repair_all(struct coordinator *co, struct request *request);

/* Too few answered; those that can be are repaired all the same, or a damaged row would be in the
 * way of each such read for ever. */
static void fail(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    repair_all(co, request);
    co->core->stats.quorum_failures_read++;
    coordinator_fail(co, request, RD_ENOQUORUM, "%u of %u replicas answered, %u are needed",
                     op->quorum.good, op->home_count, op->quorum.needed);
}

void op_read_start(struct coordinator *co, struct request *request, uint32_t r, bool monotonic) {
    struct op_read *op = &request->read;
    request->release = release;
    op->monotonic = monotonic;
    rank_homes(co, request, op);
    if (r > op->home_count)
        r = op->home_count;
    uint32_t reachable = 0;
    for (uint8_t i = 0; i < op->home_count; i++)
        reachable += coordinator_can_ask(co, op->homes[i].member);
    quorum_init(&op->quorum, r > 0 ? r : 1);
    if (reachable < op->quorum.needed) {
        co->core->stats.quorum_failures_read++;
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "%u of %u replicas can be reached, %u are needed", reachable,
                         op->home_count, op->quorum.needed);
        return;
    }
    while (op->quorum.expected < op->quorum.needed && ask_next(co, request))
        ;
    if (op->quorum.expected < op->quorum.needed) {
        fail(co, request);
        return;
    }
    if (op->quorum.expected < reachable)
        coordinator_hedge_at(co, request,
                             co->core->now.mono_us +
                                 (uint64_t)co->core->conf.request_timeout_ms * 1000 / HEDGE_SHARE);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void reply(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    struct client_reply *out = coordinator_reply_new(RD_OK);
    if (out == NULL) {
        coordinator_finish(co, request, NULL);
        return;
    }
    co->core->stats.sibling_reads += op->merged.count > 1;
    out->object = op->merged;
    op->merged = (struct object){0};
    coordinator_finish(co, request, out);
}

/* Sends the merged object to a home that answered with less. With `id` an acknowledgement is
 * wanted. */
static bool repair(struct coordinator *co, struct request *request, struct read_home *home,
                   struct blob *encoded, uint64_t id) {
    co->core->stats.read_repairs++;
    if (home->member != MEMBER_SELF) {
        struct wire_msg msg = {.kind = WIRE_WRITE};
        msg.write.id = id;
        msg.write.key = (struct resp_slice){request->key->bytes, request->key->len};
        msg.write.object = (struct resp_slice){encoded->bytes, encoded->len};
        return peers_say(co->peers, home->member, &msg);
    }
    struct object copy;
    if (object_copy(&request->read.merged, &copy) != RD_OK)
        return false;
    struct asker asker = id != 0 ? request_asker(request, 0) : (struct asker){0};
    return replica_merge(co->replica, request->key, &copy, &asker) == RD_OK;
}

static enum rd_err encode_merged(const struct op_read *op, struct blob **out) {
    struct buf bytes = {0};
    enum rd_err err = object_encode(&op->merged, &bytes);
    if (err == RD_OK)
        err = blob_new(buf_data(&bytes), buf_len(&bytes), out);
    buf_free(&bytes);
    return err;
}

/* True if `home` answered with less than the merged object, or could not because its row is
 * damaged. */
static bool is_behind(const struct op_read *op, const struct read_home *home, uint64_t digest) {
    return home->good ? home->digest != digest : home->damaged && !object_is_empty(&op->merged);
}

/* Repairs those that are behind. With MONOTONIC those that were counted must acknowledge it; says
 * whether all of them can be expected to. */
static bool repair_all(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    uint64_t digest = object_digest(&op->merged);
    struct blob *encoded = NULL;
    bool can = true;
    for (uint8_t i = 0; can && i < op->home_count; i++) {
        struct read_home *home = &op->homes[i];
        bool wait = op->monotonic && home->good;
        if (!is_behind(op, home, digest) || !(co->core->conf.read_repair || wait))
            continue;
        bool sent = (encoded != NULL || encode_merged(op, &encoded) == RD_OK) &&
                    repair(co, request, home, encoded, wait ? request_id(request) : 0);
        home->repairing = wait && sent;
        op->repairing = op->repairing || home->repairing;
        can = sent || !wait;
    }
    blob_unref(encoded);
    return can;
}

#define NOT_REPAIRED "a replica that was behind could not be repaired"

/* R have answered: replies at once, or after the repairs if the client wants monotonic reads. */
static void finish(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    if (co->core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS)
        object_keep_newest(&op->merged);
    if (!repair_all(co, request))
        coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
    else if (!op->repairing)
        reply(co, request);
}

void op_read_repaired(struct coordinator *co, struct request *request, uint16_t member, bool ok) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, member);
    if (!op->repairing || home == NULL || !home->repairing)
        return;
    if (!ok) {
        coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
        return;
    }
    home->repairing = false;
    for (uint8_t i = 0; i < op->home_count; i++)
        if (op->homes[i].repairing)
            return;
    reply(co, request);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void count(struct coordinator *co, struct request *request, struct read_home *home,
                  bool good) {
    struct op_read *op = &request->read;
    home->answered = true;
    home->good = good;
    enum quorum_verdict verdict = quorum_add(&op->quorum, home->number, good);
    if (verdict == QUORUM_MET) {
        finish(co, request);
        return;
    }
    if (!good && ask_next(co, request))
        return;
    if (quorum_verdict(&op->quorum) == QUORUM_LOST)
        fail(co, request);
}

void op_read_answer(struct coordinator *co, struct request *request,
                    const struct read_answer *answer) {
    struct op_read *op = &request->read;
    struct read_home *home = find_home(op, answer->member);
    if (home == NULL || home->answered || op->repairing) {
        co->core->stats.late_answers++;
        return;
    }
    bool good = answer->err == RD_OK || answer->err == RD_ENOTFOUND;
    home->damaged = answer->err == RD_ECORRUPT;
    if (answer->object != NULL) {
        struct object_merge_result result;
        good = good && object_merge(&op->merged, answer->object, &result) == RD_OK;
        home->digest = object_digest(answer->object);
        if (good && result.dot_clash)
            co->core->stats.dot_clashes++;
        hlc_seen(&co->core->hlc, object_newest_stamp(answer->object));
    }
    count(co, request, home, good);
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

void op_read_hedge(struct coordinator *co, struct request *request) {
    if (request->read.repairing)
        return;
    while (ask_next(co, request))
        ;
}

void op_read_expired(struct coordinator *co, struct request *request) {
    struct op_read *op = &request->read;
    for (uint8_t i = 0; i < op->home_count; i++) {
        const struct read_home *home = &op->homes[i];
        if (home->member != MEMBER_SELF && home->asked && (!home->answered || home->repairing))
            peers_slow(co->peers, home->member);
    }
    if (op->repairing)
        coordinator_fail(co, request, RD_ENOQUORUM, NOT_REPAIRED);
    else
        fail(co, request);
}
