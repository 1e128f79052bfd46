/* Writes. See op_write.h for the states. */
#include "replication/op_write.h"

#include <assert.h>

#include "replication/coordinator.h"

static void release(struct request *request) {
    object_free(&request->write.seen);
    context_free(&request->write.met);
    object_free(&request->write.over);
    buf_free(&request->write.context);
}

static bool is_blind(const struct request *request) {
    return !request->order.with_context;
}

static struct write_home *find_home(struct op_write *op, uint16_t member) {
    for (uint8_t i = 0; i < op->home_count; i++)
        if (op->homes[i].member == member)
            return &op->homes[i];
    return NULL;
}

static void load(struct coordinator *co, struct request *request, enum write_state state) {
    struct asker asker = request_asker(request, request->write.round);
    request->write.state = state;
    if (replica_load(co->replica, request->key, &asker) != RD_OK)
        coordinator_fail(
            co, request, request->write.sent ? RD_EUNKNOWN : RD_ENOMEM, "out of memory%s",
            request->write.sent ? "; the write may have happened" : "; nothing was written");
}

void op_write_start(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    uint16_t homes[PREFLIST_MAX_N];
    request->release = release;
    op->home_count = (uint8_t)coordinator_homes(co, request, homes);
    uint32_t reachable = 0, w = request->order.w;
    for (uint8_t i = 0; i < op->home_count; i++) {
        op->homes[i].member = homes[i];
        reachable += coordinator_can_ask(co, homes[i]);
    }
    if (w > op->home_count)
        w = op->home_count;
    request->order.w = w;
    if (reachable < w) {
        co->core->stats.quorum_failures_write++;
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "%u of %u replicas can be reached, %u are needed; nothing was written",
                         reachable, op->home_count, w);
        return;
    }
    load(co, request, WRITE_LOADING);
}

/* ---- catching up ----------------------------------------------------------------------------- */

/* The client's context names a dot that this copy has not seen: only with the object that carries it can the write
 * replace it and leave lower dots of the same actor alone. Asks the other homes; says whether anybody was asked. */
static bool catch_up(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    struct wire_msg msg = {.kind = WIRE_READ};
    msg.read.id = request_id(request);
    msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
    for (uint8_t i = 0; i < op->home_count; i++) {
        struct write_home *home = &op->homes[i];
        home->asked = home->member != MEMBER_SELF && peers_say(co->peers, home->member, &msg);
        op->catching_up += home->asked;
        op->silent += !home->asked && home->member != MEMBER_SELF;
    }
    if (op->catching_up > 0)
        op->state = WRITE_CATCHING_UP;
    return op->catching_up > 0;
}

/* The dot is on none of the homes that answered. If all did, it was lost or never acknowledged, and the write goes on
 * without it; else it may be where nobody answered, and a write beside what it should replace would be a lie. */
static void give_up_catching(struct coordinator *co, struct request *request) {
    if (request->write.silent == 0) {
        load(co, request, WRITE_RELOADING);
        return;
    }
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "the write that the context names is not known here, and %u of the replicas "
                     "that may know it did not answer; nothing was written",
                     request->write.silent);
}

void op_write_caught_up(struct coordinator *co, struct request *request, uint16_t member, bool good,
                        const struct object *object) {
    struct op_write *op = &request->write;
    struct write_home *home = find_home(op, member);
    if (op->state != WRITE_CATCHING_UP || home == NULL || !home->asked || home->answered)
        return;
    home->answered = true;
    op->silent += !good;
    if (object != NULL && object_merge(&op->seen, object, NULL) != RD_OK) {
        coordinator_fail(co, request, RD_ENOMEM, "out of memory; nothing was written");
        return;
    }
    op->catching_up--;
    if (version_covers(&op->seen.version, &request->order.context.dot))
        load(co, request, WRITE_RELOADING);
    else if (op->catching_up == 0)
        give_up_catching(co, request);
}

/* ---- making the new object ------------------------------------------------------------------- */

/* Own dots that come back from outside and are not held mean that this node has forgotten
 * something. */
static void remember(struct coordinator *co, const struct request *request,
                     const struct object *held) {
    struct core *core = co->core;
    const struct context *context = &request->order.context;
    bool lone = context->has_dot && context->dot.actor.incarnation == core->actors.incarnation &&
                version_get(&held->version, &context->dot.actor) < context->dot.counter;
    if (!lone && !actors_forgot(&core->actors, &held->version, &context->version) &&
        !actors_forgot(&core->actors, &held->version, &request->write.seen.version) &&
        !actors_forgot(&core->actors, &held->version, &request->write.over.version))
        return;
    actors_begin(&core->actors, &core->prng);
    core->stats.fresh_incarnations++;
    effects_log(core->effects, LOG_WARNING,
                "Writes of this node come back that its own copy has lost: a fresh incarnation "
                "begins");
}

/* Applies the order to `next`. `dot` is set to the dot issued, has_dot says whether one was. */
static enum rd_err apply(struct coordinator *co, struct request *request, struct object *next,
                         const struct context *context, struct dot *dot) {
    struct core *core = co->core;
    const struct write_order *order = &request->order;
    hlc_seen(&core->hlc, context->stamp);
    hlc_seen(&core->hlc, object_newest_stamp(next));
    if (RD_PLANTED(core, LWW_BY_WALL_CLOCK))
        core->hlc.last = 0;
    uint64_t stamp = hlc_next(&core->hlc, core->now.wall_us);
    if (order->value == NULL) {
        if (object_winner(next, core->now.wall_us / 1000) != NULL)
            request->write.existed = true;
        return object_remove(next, context, stamp, NULL);
    }
    uint32_t before = next->count;
    *dot = actors_next(&core->actors, &core->prng, &next->version);
    request->write.dot = *dot;
    enum rd_err err = object_write(next, context, dot, stamp, order->value, order->expires_ms);
    if (err == RD_OK && core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS)
        object_keep_newest(next);
    if (err != RD_OK || request->write.round > 1)
        return err;
    if (next->count > core->conf.max_siblings && next->count >= before && order->with_context)
        return RD_ETOOMANYSIBLINGS;
    return object_bytes(next) > core->conf.max_object_bytes ? RD_ETOOLARGE : RD_OK;
}

/* True if `object` knows the value that was written to be replaced: by a writer who saw it. */
static bool is_overtaken(const struct coordinator *co, const struct request *request,
                         const struct object *object) {
    const struct dot *dot = &request->write.dot;
    if (request->order.value == NULL || co->core->conf.conflict_resolution != CONFLICT_SIBLINGS)
        return false;
    for (uint32_t i = 0; i < object->count; i++)
        if (dot_compare(&object->siblings[i].dot, dot) == 0)
            return false;
    return version_covers(&object->version, dot);
}

/* The second round of a plain write whose value has been replaced meanwhile: it must not come back. What its first
 * round met beside it still goes; what came behind it, and so may be what replaced it, stays. */
static enum rd_err clear_beside(struct coordinator *co, struct request *request,
                                struct object *next) {
    struct core *core = co->core;
    hlc_seen(&core->hlc, object_newest_stamp(next));
    return object_remove(next, &request->write.met, hlc_next(&core->hlc, core->now.wall_us), NULL);
}

static enum rd_err make_next(struct coordinator *co, struct request *request,
                             const struct object *held, struct object *next) {
    struct op_write *op = &request->write;
    struct context all = {0}, after = {0};
    struct dot dot;
    remember(co, request, held);
    enum rd_err err = object_copy(held, next);
    if (err != RD_OK)
        return err;
    err = object_merge(next, &op->seen, NULL);
    if (err == RD_OK)
        err = object_merge(next, &op->over, NULL);
    bool blind = is_blind(request) || RD_PLANTED(co->core, CONTEXT_IGNORED);
    if (err == RD_OK && blind)
        err = object_context(next, &all);
    if (err == RD_OK && op->round > 1 && is_overtaken(co, request, next))
        err = clear_beside(co, request, next);
    else if (err == RD_OK)
        err = apply(co, request, next, blind ? &all : &request->order.context, &dot);
    if (err == RD_OK && !is_blind(request)) {
        err = object_context_after(next, &request->order.context,
                                   request->order.value == NULL ? NULL : &dot, &after);
        buf_reset(&op->context, 0);
        if (err == RD_OK)
            err = context_seal(&after, co->birth->certificate.seal_key, request->key->bytes,
                               request->key->len, &op->context);
    }
    context_free(&all);
    context_free(&after);
    if (err != RD_OK)
        object_free(next);
    return err;
}

#ifdef RD_PLANTED_BUGS
/* Encodes the newest sibling with a vector that covers its own dot only. */
static enum rd_err encode_lone(const struct object *next, struct buf *out) {
    struct object lone = {0};
    struct context none = {0};
    const struct sibling *newest = &next->siblings[0];
    enum rd_err err =
        object_write(&lone, &none, &newest->dot, newest->stamp, newest->value, newest->expires_ms);
    if (err == RD_OK)
        err = object_encode(&lone, out);
    object_free(&lone);
    return err;
}
#else
#define encode_lone object_encode
#endif

static enum rd_err make_frame(const struct coordinator *co, const struct request *request,
                              const struct object *next, struct blob **out) {
    struct buf bytes = {0};
    struct wire_msg msg = {.kind = WIRE_WRITE};
    bool lone = RD_PLANTED(co->core, LONE_SIBLING_SENT) && next->count > 0;
    enum rd_err err = lone ? encode_lone(next, &bytes) : object_encode(next, &bytes);
    if (err == RD_OK) {
        msg.write.id = request_id(request);
        msg.write.round = request->write.round;
        msg.write.key = (struct resp_slice){request->key->bytes, request->key->len};
        msg.write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
        err = wire_encode(&msg, out);
    }
    buf_free(&bytes);
    return err;
}

/* Sends the round's frame to all other homes in reach, and counts on them and on this node. */
static void fan_out(struct coordinator *co, struct request *request, struct blob *frame) {
    struct op_write *op = &request->write;
    for (uint8_t i = 0; i < op->home_count; i++) {
        struct write_home *home = &op->homes[i];
        home->answered = false;
        home->asked = home->member == MEMBER_SELF || peers_send(co->peers, home->member, frame);
        if (home->asked)
            home->number = quorum_expect(&op->quorum);
        if (home->asked && home->member != MEMBER_SELF)
            op->sent = true;
    }
}

static void refuse(struct coordinator *co, struct request *request, enum rd_err err) {
    if (request->write.sent) {
        coordinator_fail(co, request, RD_EUNKNOWN,
                         "%s at the coordinator; the write may have happened", rd_err_text(err));
        return;
    }
    if (err == RD_ETOOMANYSIBLINGS)
        coordinator_fail(co, request, err,
                         "the key has %u siblings already: read it and write with its context; "
                         "nothing was written",
                         co->core->conf.max_siblings);
    else
        coordinator_fail(co, request, err, "%s; nothing was written", rd_err_text(err));
}

void op_write_loaded(struct coordinator *co, struct request *request, enum rd_err err,
                     struct replica_entry *entry) {
    struct op_write *op = &request->write;
    struct object next = {0};
    struct blob *frame;
    if (op->state != WRITE_LOADING && op->state != WRITE_RELOADING)
        return;
    if (err != RD_OK && err != RD_ENOTFOUND) {
        refuse(co, request, err);
        return;
    }
    const struct object *held = replica_held(entry);
#ifdef RD_PLANTED_BUGS
    if (RD_PLANTED(co->core, DOT_TWICE_IN_FLIGHT))
        held = replica_durable(entry);
#endif
    const struct context *context = &request->order.context;
    if (op->state == WRITE_LOADING && context->has_dot &&
        !version_covers(&held->version, &context->dot)) {
        if (!catch_up(co, request))
            give_up_catching(co, request);
        return;
    }
    op->round++;
    op->state = WRITE_WRITING;
    err = make_next(co, request, held, &next);
    if (err == RD_OK) {
        err = make_frame(co, request, &next, &frame);
        if (err != RD_OK)
            object_free(&next);
    }
    if (err != RD_OK) {
        refuse(co, request, err);
        return;
    }
    struct asker asker = request_asker(request, op->round);
    err = replica_replace(co->replica, entry, &next, &asker);
    if (err == RD_OK) {
        uint32_t fewer = RD_PLANTED(co->core, WRONG_QUORUM_COUNT) && request->order.w > 1;
        quorum_init(&op->quorum, request->order.w - fewer);
        op->stored = false;
        fan_out(co, request, frame);
    } else {
        refuse(co, request, err);
    }
    blob_unref(frame);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static void reply(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    struct client_reply *out = coordinator_reply_new(RD_OK);
    if (out != NULL) {
        out->existed = op->existed;
        out->context = op->context;
        op->context = (struct buf){0};
    }
    coordinator_finish(co, request, out);
}

static void fail_unknown(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_EUNKNOWN,
                     "%u of %u replicas acknowledged, %u are needed: the write may have happened "
                     "or may still spread",
                     op->quorum.good, op->home_count, request->order.w);
}

static void go_on(struct coordinator *co, struct request *request, enum quorum_verdict verdict) {
    struct op_write *op = &request->write;
    if (verdict == QUORUM_LOST) {
        fail_unknown(co, request);
    } else if (verdict == QUORUM_MET && op->stored) {
        bool covered = object_is_empty(&op->seen) && op->met.version.count == 0;
        if (op->round > 1 || !is_blind(request) || covered ||
            RD_PLANTED(co->core, NO_SECOND_ROUND)) {
            reply(co, request);
            return;
        }
        co->core->stats.second_rounds++;
        load(co, request, WRITE_RELOADING);
    }
}

/* Takes in what a replica kept beside the first round: the object as it is now, and what it knew of when it merged the write. */
static enum rd_err note_uncovered(const struct coordinator *co, struct request *request,
                                  const struct write_answer *answer) {
    struct op_write *op = &request->write;
    bool over = is_overtaken(co, request, answer->object);
    enum rd_err err = object_merge(over ? &op->over : &op->seen, answer->object, NULL);
    if (err == RD_OK && answer->met != NULL)
        err = version_join(&op->met.version, answer->met);
    else if (err == RD_OK && !over)
        err = version_join(&op->met.version, &answer->object->version);
    return err;
}

void op_write_answer(struct coordinator *co, struct request *request,
                     const struct write_answer *answer) {
    struct op_write *op = &request->write;
    struct write_home *home = find_home(op, answer->member);
    bool current = op->round > 0 && answer->round == op->round && home != NULL && home->asked &&
                   !home->answered && (op->state == WRITE_WRITING || op->state == WRITE_RELOADING);
    if (!current) {
        co->core->stats.late_answers++;
        return;
    }
    home->answered = true;
    peers_served(co->peers, answer->member);
    bool good = answer->err == RD_OK;
    if (answer->member == MEMBER_SELF && !good) {
        /* a node that cannot keep its own dot must not vouch for the write */
        coordinator_fail(co, request, answer->err,
                         "the coordinator could not store it (%s); other replicas may have it",
                         rd_err_text(answer->err));
        return;
    }
    op->stored = op->stored || answer->member == MEMBER_SELF;
    if (good && is_blind(request) && op->round == 1 && answer->uncovered > 0 &&
        answer->object != NULL)
        good = note_uncovered(co, request, answer) == RD_OK;
    enum quorum_verdict verdict = quorum_add(&op->quorum, home->number, good);
    if (op->state == WRITE_WRITING)
        go_on(co, request, verdict);
}

void op_write_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_write *op = &request->write;
    struct write_home *home = find_home(op, member);
    if (home == NULL || !home->asked || home->answered)
        return;
    if (op->state == WRITE_CATCHING_UP) {
        op_write_caught_up(co, request, member, false, NULL);
    } else if (op->state == WRITE_WRITING) {
        home->answered = true;
        go_on(co, request, quorum_add(&op->quorum, home->number, false));
    }
}

void op_write_expired(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    for (uint8_t i = 0; i < op->home_count; i++)
        if (op->homes[i].asked && !op->homes[i].answered && op->homes[i].member != MEMBER_SELF)
            peers_missed(co->peers, op->homes[i].member, request->started_us);
    if (op->round > 0) {
        fail_unknown(co, request);
        return;
    }
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "the replicas did not answer in time; nothing was written");
}
