/* Writes. See op_write.h for the states. */
#include "replication/op_write.h"

#include <assert.h>

#include "replication/coordinator.h"

static void release(struct request *request) {
    object_free(&request->write.seen);
    context_free(&request->write.met);
    object_free(&request->write.over);
    buf_free(&request->write.context);
    blob_unref(request->write.encoded);
}

static bool is_blind(const struct request *request) {
    return !request->order.with_context;
}

static void load(struct coordinator *co, struct request *request, enum write_state state) {
    struct asker asker = request_asker(request, request->write.round);
    struct replica *own = request->write.standing_in ? co->hints : co->replica;
    request->write.state = state;
    if (replica_load(own, request->key, &asker) != RD_OK)
        coordinator_fail(
            co, request, request->write.sent ? RD_EUNKNOWN : RD_ENOMEM, "out of memory%s",
            request->write.sent ? "; the write may have happened" : "; nothing was written");
}

void op_write_start(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    request->release = release;
    uint32_t reachable = write_targets_start(co, request), w = request->order.w;
    if (w > op->to.home_count)
        w = op->to.home_count;
    request->order.w = w;
    if (reachable < w) {
        co->core->stats.quorum_failures_write++;
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "%u of %u replicas can be reached, %u are needed; nothing was written",
                         reachable, op->to.home_count, w);
        return;
    }
    load(co, request, WRITE_LOADING);
}

/* ---- catching up ----------------------------------------------------------------------------- */

static void ask_for_dot(struct coordinator *co, struct request *request,
                        struct write_target *target) {
    struct wire_msg msg = {.kind = WIRE_READ};
    msg.read.id = request_id(request);
    msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
    target->answered = false;
    target->asked = target->member != MEMBER_SELF && peers_say(co->peers, target->member, &msg);
    target->asked_us = co->core->now.mono_us;
    request->write.catching_up += target->asked;
}

static void ask_homes_for_dot(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    for (uint8_t i = 0; i < op->to.home_count; i++) {
        ask_for_dot(co, request, &op->to.all[i]);
        op->silent += !op->to.all[i].asked && op->to.all[i].member != MEMBER_SELF;
    }
}

/* The client's context names a dot that this copy has not seen: only with the object that carries it can the write
 * replace it and leave lower dots of the same actor alone. Asks the other homes; says whether anybody was asked. */
static bool catch_up(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    write_targets_plan(co, request); /* those that stand in for silent homes may know it, too */
    ask_homes_for_dot(co, request);
    for (uint8_t i = op->to.home_count; i < op->to.count; i++)
        ask_for_dot(co, request, &op->to.all[i]);
    op->state = WRITE_CATCHING_UP;
    return op->catching_up > 0;
}

/* No home knows the dot, but a fallback may still owe it to them, whether or not they are healthy now: asks the next
 * fallbacks, and behind the last ones the homes again, for what was handed over meanwhile. Says whether anybody was
 * asked. */
static bool catch_up_further(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    uint16_t list[RING_MAX_MEMBERS];
    if (op->asked_again || !co->core->conf.sloppy_quorum || !co->core->conf.hinted_handoff)
        return false;
    size_t listed = placement_list(co->placement, request->partition, list, RING_MAX_MEMBERS);
    if (op->listed == 0)
        op->listed = op->to.home_count;
    op->to.count = op->to.home_count;
    for (; op->listed < listed && op->to.count < WRITE_MAX_TARGETS; op->listed++) {
        struct write_target *target = &op->to.all[op->to.count++];
        *target = (struct write_target){.member = list[op->listed]};
        ask_for_dot(co, request, target);
        op->silent += !target->asked && target->member != MEMBER_SELF;
    }
    if (op->catching_up == 0 && op->listed >= listed) {
        op->asked_again = true;
        ask_homes_for_dot(co, request);
    }
    return op->catching_up > 0;
}

/* The dot is with none of those that answered. If all did that may have it, it was lost or never acknowledged, and the
 * write goes on without it; else a write beside what it should replace would be a lie. */
static void give_up_catching(struct coordinator *co, struct request *request) {
    bool homes_spoke = request->write.silent == 0 || request->write.listed > 0;
    if (homes_spoke && catch_up_further(co, request))
        return;
    if (request->write.silent == 0) {
        load(co, request, WRITE_RELOADING);
        return;
    }
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "the write that the context names is not known here, and %u of the nodes "
                     "that may know it did not answer; nothing was written",
                     request->write.silent);
}

void op_write_caught_up(struct coordinator *co, struct request *request, uint16_t member, bool good,
                        const struct object *object) {
    struct op_write *op = &request->write;
    struct write_target *target = write_targets_find(request, member, op->round);
    if (op->state != WRITE_CATCHING_UP || target == NULL)
        return;
    target->answered = true;
    op->silent += !good && (op->listed > 0 || target < op->to.all + op->to.home_count);
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
    if (request->write.standing_in)
        return; /* it forgets what it has delivered: fallback_dot knows */
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

/* The next dot of a fallback: it goes on as the actor that its hint names, as long as nobody has
 * seen more of that one than the hint holds; else as a new one (TRAPS
 * fallback_forgets_and_returns, amnesia_noncoord). */
static struct dot fallback_dot(struct coordinator *co, const struct replica_entry *entry,
                               const struct object *next, const struct context *context) {
    struct actors *actors = &co->core->actors;
    const struct hint_owed *owed = replica_owed(entry);
    const struct actor *own = &owed->own;
    uint64_t counter = version_get(&replica_held(entry)->version, own);
    bool known = owed->has_own && own->incarnation == actors->incarnation && counter > 0 &&
                 counter < VERSION_MAX_COUNTER && version_get(&next->version, own) == counter &&
                 version_get(&context->version, own) <= counter &&
                 !(context->has_dot && actor_compare(&context->dot.actor, own) == 0 &&
                   context->dot.counter > counter);
    if (known)
        return (struct dot){*own, counter + 1};
    return actors_fresh(actors, &co->core->prng);
}

/* Applies the order to `next`, which is to follow the copy in `entry`. `dot` is set to the dot
 * issued, unless the order is a deletion. */
static enum rd_err apply(struct coordinator *co, struct request *request,
                         const struct replica_entry *entry, struct object *next,
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
    *dot = request->write.standing_in ? fallback_dot(co, entry, next, context)
                                      : actors_next(&core->actors, &core->prng, &next->version);
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

/* What a plain SET makes of a copy that it replaces wholly, as nearly always: the same as below, without the detours. */
static enum rd_err replace_all(struct coordinator *co, struct request *request,
                               const struct object *held, struct object *next) {
    struct core *core = co->core;
    const struct write_order *order = &request->order;
    hlc_seen(&core->hlc, object_newest_stamp(held));
    uint64_t stamp = hlc_next(&core->hlc, core->now.wall_us);
    request->write.dot = actors_next(&core->actors, &core->prng, &held->version);
    enum rd_err err =
        object_overwrite(held, &request->write.dot, stamp, order->value, order->expires_ms, next);
    if (err == RD_OK && object_bytes(next) > core->conf.max_object_bytes) {
        object_free(next);
        err = RD_ETOOLARGE;
    }
    return err;
}

static bool replaces_all(const struct coordinator *co, const struct request *request) {
    const struct op_write *op = &request->write;
    return is_blind(request) && request->order.value != NULL && op->round == 1 &&
           !op->standing_in && request->rmw == NULL && object_is_empty(&op->seen) &&
           object_is_empty(&op->over) && !RD_PLANTED(co->core, LWW_BY_WALL_CLOCK);
}

/* What the order makes of the copy in `entry`. */
static enum rd_err make_next(struct coordinator *co, struct request *request,
                             const struct replica_entry *entry, struct object *next) {
    struct op_write *op = &request->write;
    const struct object *held = replica_held(entry);
    struct context all = {0}, after = {0};
    struct dot dot;
#ifdef RD_PLANTED_BUGS
    if (RD_PLANTED(co->core, DOT_TWICE_IN_FLIGHT))
        held = replica_durable(entry);
#endif
    remember(co, request, held);
    if (replaces_all(co, request))
        return replace_all(co, request, held, next);
    enum rd_err err = object_copy(held, next);
    if (err != RD_OK)
        return err;
    err = object_merge(next, &op->seen, NULL);
    if (err == RD_OK)
        err = object_merge(next, &op->over, NULL);
    bool blind = is_blind(request) || RD_PLANTED(co->core, CONTEXT_IGNORED);
    if (err == RD_OK && blind)
        err = object_context(next, &all);
    if (err == RD_OK && op->round > 1 && request->rmw == NULL && is_overtaken(co, request, next))
        err = clear_beside(co, request, next);
    else if (err == RD_OK)
        err = apply(co, request, entry, next, blind ? &all : &request->order.context, &dot);
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
static enum rd_err encode_lone(const struct object *next, struct blob **out) {
    struct object lone = {0};
    struct context none = {0};
    const struct sibling *newest = &next->siblings[0];
    enum rd_err err =
        object_write(&lone, &none, &newest->dot, newest->stamp, newest->value, newest->expires_ms);
    if (err == RD_OK)
        err = object_encode_blob(&lone, out);
    object_free(&lone);
    return err;
}
#else
#define encode_lone object_encode_blob
#endif

static enum rd_err encode(const struct coordinator *co, struct request *request,
                          const struct object *next) {
    struct blob *encoded;
    bool lone = RD_PLANTED(co->core, LONE_SIBLING_SENT) && next->count > 0;
    enum rd_err err = lone ? encode_lone(next, &encoded) : object_encode_blob(next, &encoded);
    if (err != RD_OK)
        return err;
    blob_unref(request->write.encoded);
    request->write.encoded = encoded;
    return RD_OK;
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

/* Makes `next` the node's own copy: that of a home, or a hint. */
static enum rd_err store(struct coordinator *co, struct request *request,
                         struct replica_entry *entry, struct object *next) {
    struct op_write *op = &request->write;
    struct asker asker = request_asker(request, op->round);
    struct hint_owed owed;
    if (!op->standing_in)
        return replica_replace(co->replica, entry, next,
                               RD_PLANTED(co->core, LONE_SIBLING_SENT) ? NULL : op->encoded,
                               &asker);
    write_targets_own(co, request, &owed);
    if (request->order.value != NULL && version_get(&next->version, &op->dot.actor) > 0) {
        owed.has_own = true;
        owed.own = op->dot.actor;
    }
    return replica_replace_owing(co->hints, entry, next, &owed, &asker);
}

/* Begins the next round on the copy in `entry`. Error: nothing left this node in this round. */
static enum rd_err begin_round(struct coordinator *co, struct request *request,
                               struct replica_entry *entry) {
    struct op_write *op = &request->write;
    struct object next = {0};
    uint32_t fewer = RD_PLANTED(co->core, WRONG_QUORUM_COUNT) && request->order.w > 1;
    op->round++;
    op->state = WRITE_WRITING;
    op->stored = false;
    op->heard |= write_targets_good_homes(request);
    quorum_init(&op->quorum, request->order.w - fewer);
    enum rd_err err = make_next(co, request, entry, &next);
    if (err != RD_OK)
        return err;
    err = encode(co, request, &next);
    if (err != RD_OK) {
        object_free(&next);
        return err;
    }
    write_targets_plan(co, request);
    err = store(co, request, entry, &next);
    if (err == RD_OK)
        write_targets_send(co, request);
    object_free(&op->seen); /* these are in the object; from now on what is beside it */
    object_free(&op->over);
    context_free(&op->met);
    return err;
}

void op_write_loaded(struct coordinator *co, struct request *request, enum rd_err err,
                     struct replica_entry *entry) {
    struct op_write *op = &request->write;
    if (op->state != WRITE_LOADING && op->state != WRITE_RELOADING)
        return;
    if (err != RD_OK && err != RD_ENOTFOUND) {
        refuse(co, request, err);
        return;
    }
    const struct context *context = &request->order.context;
    if (op->state == WRITE_LOADING && context->has_dot &&
        !version_covers(&replica_held(entry)->version, &context->dot)) {
        if (!catch_up(co, request))
            give_up_catching(co, request);
        return;
    }
    if (request->rmw != NULL && !op_rmw_prepare(co, request, replica_held(entry)))
        return;
    err = begin_round(co, request, entry);
    if (err != RD_OK)
        refuse(co, request, err);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

/* Ends an answered write once nobody who was asked is missing. */
static void close_if_complete(struct coordinator *co, struct request *request) {
    if (co->core->conf.hinted_handoff && !write_targets_complete(request))
        return;
    write_targets_finish(co, request, false);
    coordinator_close(co, request);
}

static void reply(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    struct client_reply *out =
        request->rmw != NULL ? op_rmw_reply(co, request) : coordinator_reply_new(co, RD_OK);
    if (out != NULL) {
        out->existed = op->existed;
        out->stand_ins = quorum_stand_ins(&op->quorum);
        out->context = op->context;
        op->context = (struct buf){0};
    }
    co->core->stats.stand_ins += quorum_stand_ins(&op->quorum);
    coordinator_reply(co, request, out);
    close_if_complete(co, request);
}

static void fail_unknown(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_EUNKNOWN,
                     "%u of %u replicas acknowledged, %u are needed: the write may have happened "
                     "or may still spread",
                     quorum_counted(&op->quorum), op->to.home_count, request->order.w);
}

/* Looks whether the round is over. */
static void go_on(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    if (request->replied) {
        close_if_complete(co, request);
        return;
    }
    enum quorum_verdict verdict = quorum_verdict(&op->quorum);
    if (op->state != WRITE_WRITING || verdict == QUORUM_OPEN)
        return;
    if (verdict == QUORUM_LOST) {
        fail_unknown(co, request);
    } else if (op->stored) {
        bool covered = object_is_empty(&op->seen) && op->met.version.count == 0;
        if (request->rmw != NULL && !op_rmw_written(co, request, covered))
            return;
        if (request->rmw != NULL || !is_blind(request) || covered ||
            RD_PLANTED(co->core, NO_SECOND_ROUND)) {
            reply(co, request);
            return;
        }
        co->core->stats.second_rounds++;
        load(co, request, WRITE_RELOADING);
    }
}

/* True if what `target` keeps beside the write may have been acknowledged before the write began: W homes that were heard
 * know of all that was. Where the first round rests on a fallback, homes that are heard later may be the first to know. */
static bool may_be_older(const struct request *request, const struct write_target *target) {
    const struct op_write *op = &request->write;
    ptrdiff_t at = target - op->to.all;
    return op->round == 1 || request->rmw != NULL ||
           (at < op->to.home_count && (op->heard >> at & 1) == 0 &&
            (uint32_t)__builtin_popcount(op->heard) < request->order.w);
}

/* Takes in what a replica kept beside the round: the object as it is now, and what it knew of when it merged the write. */
static enum rd_err note_uncovered(const struct coordinator *co, struct request *request,
                                  const struct write_answer *answer) {
    struct op_write *op = &request->write;
    bool over = is_overtaken(co, request, answer->object);
    if (over && request->rmw != NULL)
        return RD_OK; /* it has taken effect */
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
    struct write_target *target =
        op->round > 0 && (op->state == WRITE_WRITING || op->state == WRITE_RELOADING)
            ? write_targets_find(request, answer->member, answer->round)
            : NULL;
    if (target == NULL) {
        co->core->stats.late_answers++;
        return;
    }
    peers_served(co->peers, answer->member);
    enum rd_err err = answer->err;
    if (answer->member == MEMBER_SELF && err != RD_OK) {
        /* a node that cannot keep its own dot must not vouch for the write */
        coordinator_fail(co, request, err,
                         "the coordinator could not store it (%s); other replicas may have it",
                         rd_err_text(err));
        return;
    }
    op->stored = op->stored || answer->member == MEMBER_SELF;
    if (err == RD_OK && is_blind(request) && may_be_older(request, target) && !request->replied &&
        answer->uncovered > 0 && answer->object != NULL)
        err = note_uncovered(co, request, answer);
    write_targets_answered(co, request, target, err);
    go_on(co, request);
}

void op_write_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_write *op = &request->write;
    if (op->state == WRITE_CATCHING_UP) {
        op_write_caught_up(co, request, member, false, NULL);
    } else if (op->state == WRITE_WRITING) {
        write_targets_lost(co, request, member);
        go_on(co, request);
    }
}

/* Waits no longer for those who were asked for the dot of the context and are silent. */
static void stop_catching(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    for (uint8_t i = 0; i < op->to.count; i++) {
        struct write_target *target = &op->to.all[i];
        if (!target->asked || target->answered || !coordinator_waited(co, target->asked_us, 4))
            continue;
        target->answered = true;
        op->silent += op->listed > 0 || i < op->to.home_count;
        op->catching_up--;
    }
    if (op->catching_up == 0)
        give_up_catching(co, request);
}

void op_write_review(struct coordinator *co, struct request *request) {
    enum write_state state = request->write.state;
    if (state == WRITE_CATCHING_UP && coordinator_waited(co, request->started_us, 2)) {
        stop_catching(co, request);
    } else if (state == WRITE_WRITING) {
        write_targets_review(co, request);
        go_on(co, request);
    }
}

void op_write_gone(struct coordinator *co, struct request *request, uint16_t member) {
    if (request->write.state != WRITE_WRITING) {
        op_write_lost(co, request, member);
    } else if (write_targets_gone(co, request, member) || request->replied) {
        go_on(co, request);
    } else {
        co->core->stats.quorum_failures_write++;
        coordinator_fail(
            co, request, RD_EUNKNOWN,
            "a replica that had acknowledged it has lost its disk since: the write may "
            "have happened or may still spread");
    }
}

void op_write_make_way(struct coordinator *co, struct request *request) {
    write_targets_finish(co, request, false);
    coordinator_close(co, request);
}

void op_write_expired(struct coordinator *co, struct request *request) {
    struct op_write *op = &request->write;
    write_targets_finish(co, request, true);
    if (request->replied) {
        coordinator_close(co, request);
        return;
    }
    if (op->round > 0) {
        fail_unknown(co, request);
        return;
    }
    co->core->stats.quorum_failures_write++;
    coordinator_fail(co, request, RD_ENOQUORUM,
                     "the replicas did not answer in time; nothing was written");
}
