/* Read-modify-writes. See op_rmw.h for the states.
 *
 * Invariants: (1) a key is in the table while it has a head or is on the list of those that are over; (2) the head's kind is REQUEST_READ or
 * REQUEST_WRITE, that of all others REQUEST_RMW; (3) a batch is answered in op_rmw_settle only, so that whoever walks through the
 * requests loses at most the one it looks at. */
#include "replication/op_rmw.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "replication/coordinator.h"

enum rd_err op_rmw_make(struct request *request) {
    request->rmw = calloc(1, sizeof(*request->rmw));
    return request->rmw == NULL ? RD_ENOMEM : RD_OK;
}

void op_rmw_release(struct request *request) {
    struct rmw *rmw = request->rmw;
    if (rmw == NULL)
        return;
    buf_free(&rmw->reply);
    object_free(&rmw->read);
    object_free(&rmw->basis);
    free(rmw);
    request->rmw = NULL;
}

static void key_free(struct coordinator *co, struct rmw_key *key) {
    HASH_DEL(co->rmw.keys, key);
    blob_unref(key->key);
    free(key);
}

void op_rmw_table_free(struct coordinator *co) {
    struct rmw_key *key, *next;
    HASH_ITER(hh, co->rmw.keys, key, next) {
        key_free(co, key);
    }
    co->rmw = (struct rmw_table){0};
}

/* ---- turns ----------------------------------------------------------------------------------------- */

static struct rmw_key *find_key(struct coordinator *co, const void *bytes, size_t len) {
    struct rmw_key *key;
    HASH_FIND(hh, co->rmw.keys, bytes, len, key);
    return key;
}

bool op_rmw_is_out(const struct request *request) {
    return request->rmw->rounds > 0;
}

/* Reads the homes: at the beginning of a turn, and after a round that met something unknown. */
static void read_homes(struct coordinator *co, struct request *head) {
    head->kind = REQUEST_READ;
    memset(&head->write, 0, sizeof(head->write));
    memset(&head->read, 0, sizeof(head->read));
    head->release = NULL;
    op_read_start(co, head, head->order.r != 0 ? head->order.r : co->core->conf.r, false);
}

static bool is_home(const struct coordinator *co, const struct request *request) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    for (size_t i = 0; i < count; i++)
        if (homes[i] == MEMBER_SELF)
            return true;
    return false;
}

/* Begins a turn with the first of those that wait, and with all behind it that want as many replicas. */
static void begin_turn(struct coordinator *co, struct rmw_key *key) {
    struct request *head = key->waiting, *at = head->rmw->next, **end = &key->batch;
    uint32_t count = 1;
    while (at != NULL && count < RMW_BATCH && at->order.r == head->order.r &&
           at->order.w == head->order.w) {
        *end = at;
        end = &at->rmw->next;
        at = at->rmw->next;
        count++;
    }
    *end = NULL;
    key->waiting = at;
    if (at == NULL)
        key->last_waiting = NULL;
    head->rmw->next = NULL;
    key->head = head;
    key->at_home = is_home(co, head);
    read_homes(co, head);
}

static struct rmw_key *new_key(struct coordinator *co, struct request *request) {
    struct rmw_key *key = calloc(1, sizeof(*key));
    if (key == NULL)
        return NULL;
    key->key = blob_ref(request->key);
    HASH_ADD_KEYPTR(hh, co->rmw.keys, key->key->bytes, key->key->len, key);
    return key;
}

void op_rmw_start(struct coordinator *co, struct request *request) {
    struct rmw_key *key = find_key(co, request->key->bytes, request->key->len);
    bool fresh = key == NULL;
    if (fresh)
        key = new_key(co, request);
    if (key == NULL) {
        coordinator_fail(co, request, RD_ENOMEM, "out of memory; nothing was written");
        return;
    }
    request->kind = REQUEST_RMW;
    request->rmw->key = key;
    if (key->waiting == NULL)
        key->waiting = request;
    else
        key->last_waiting->rmw->next = request;
    key->last_waiting = request;
    if (fresh)
        begin_turn(co, key);
}

/* Takes a request out of a list it is in; says whether it was. */
static bool unlink_from(struct request **first, const struct request *request) {
    for (struct request **at = first; *at != NULL; at = &(*at)->rmw->next)
        if (*at == request) {
            *at = request->rmw->next;
            return true;
        }
    return false;
}

void op_rmw_ended(struct coordinator *co, struct request *request,
                  const struct client_reply *reply) {
    struct rmw_key *key = request->rmw->key;
    request->rmw->key = NULL;
    if (key == NULL)
        return;
    if (key->head != request) {
        if (!unlink_from(&key->batch, request) && unlink_from(&key->waiting, request) &&
            key->last_waiting == request) {
            key->last_waiting = key->waiting;
            while (key->last_waiting != NULL && key->last_waiting->rmw->next != NULL)
                key->last_waiting = key->last_waiting->rmw->next;
        }
        return;
    }
    key->head = NULL;
    key->err = request->rmw->well ? RD_OK : reply == NULL ? RD_EUNKNOWN : reply->err;
    key->text[0] = 0;
    if (reply != NULL)
        memcpy(key->text, reply->text, sizeof(key->text));
    key->next_over = co->rmw.over;
    co->rmw.over = key;
}

struct client_reply *op_rmw_reply(struct coordinator *co, struct request *request) {
    struct rmw *rmw = request->rmw;
    rmw->well = true;
    struct client_reply *out = coordinator_reply_new(co, rmw->err);
    if (out != NULL && rmw->err == RD_OK) {
        out->reply = rmw->reply;
        rmw->reply = (struct buf){0};
    } else if (out != NULL) {
        snprintf(out->text, sizeof(out->text), "%s; nothing was written", rd_err_text(rmw->err));
    }
    return out;
}

/* Ends a request whose turn went well. */
static void reply(struct coordinator *co, struct request *request) {
    coordinator_finish(co, request, op_rmw_reply(co, request));
}

static void end_batch(struct coordinator *co, struct rmw_key *key) {
    while (key->batch != NULL) {
        struct request *request = key->batch;
        if (key->err == RD_OK)
            reply(co, request);
        else
            coordinator_fail(co, request, key->err, "%s", key->text);
    }
}

static void end_turn(struct coordinator *co, struct rmw_key *key) {
    end_batch(co, key);
    for (uint32_t i = 0; i < key->deferred_count; i++)
        (void)replica_read(key->at_home ? co->replica : co->hints, key->key,
                           &key->deferred[i]); /* unheard, it asks no more */
    key->deferred_count = 0;
    if (key->waiting != NULL)
        begin_turn(co, key);
    else
        key_free(co, key);
}

bool op_rmw_settle(struct coordinator *co) {
    struct rmw_key *key = co->rmw.over;
    bool any = key != NULL;
    co->rmw.over = NULL;
    while (key != NULL) {
        struct rmw_key *next = key->next_over;
        key->next_over = NULL;
        end_turn(co, key);
        key = next;
    }
    return any;
}

void op_rmw_expired(struct coordinator *co, struct request *request) {
    const struct rmw_key *key = request->rmw->key;
    bool out = false;
    for (const struct request *at = key->batch; at != NULL; at = at->rmw->next)
        out |= at == request && key->head != NULL && op_rmw_is_out(key->head);
    co->core->stats.quorum_failures_write++;
    if (out)
        coordinator_fail(co, request, RD_EUNKNOWN,
                         "the replicas did not answer in time: the write may have happened");
    else
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "it was not this request's turn in time; nothing was written");
}

/* ---- peers that take turns too --------------------------------------------------------------------- */

/* True if `member` stands before this node among the homes of the request's key. */
static bool stands_before(const struct coordinator *co, const struct request *request,
                          uint16_t member) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = coordinator_homes(co, request, homes);
    for (size_t i = 0; i < count; i++)
        if (homes[i] == member || homes[i] == MEMBER_SELF)
            return homes[i] == member;
    return false;
}

bool op_rmw_defers(struct coordinator *co, struct resp_slice bytes, const struct asker *asker) {
    struct rmw_key *key = find_key(co, bytes.data, bytes.len);
    if (key == NULL || key->head == NULL)
        return false;
    if (key->head->kind == REQUEST_READ && stands_before(co, key->head, asker->member)) {
        op_read_again(co, key->head, asker->member);
        return false;
    }
    if (key->deferred_count == RMW_DEFERRED)
        return false;
    key->deferred[key->deferred_count++] = *asker;
    return true;
}

/* ---- computing ------------------------------------------------------------------------------------- */

struct state {
    struct blob *value; /* owned reference; NULL: there is none */
    uint64_t expires_ms;
    bool changed;
};

/* Runs one request's computation on what the one before it has left. */
static void compute_one(struct coordinator *co, struct request *request, struct state *state) {
    struct core *core = co->core;
    struct rmw *rmw = request->rmw;
    struct rmw_output out = {0};
    const struct rmw_input in = {.order = request->order.rmw,
                                 .now_ms = core->now.wall_us / 1000,
                                 .value = state->value,
                                 .expires_ms = state->expires_ms};
    rmw->err = core->rmw(core->rmw_arg, &in, &out);
    if (rmw->err == RD_OK && out.change == RMW_SET && out.value->len > core->conf.max_object_bytes)
        rmw->err = RD_ETOOLARGE;
    buf_free(&rmw->reply);
    rmw->reply = out.reply;
    if (rmw->err != RD_OK || out.change == RMW_KEEP) {
        blob_unref(out.value);
        return;
    }
    assert((out.change == RMW_SET) == (out.value != NULL));
    state->changed = true;
    blob_unref(state->value);
    state->value = out.value;
    state->expires_ms = out.expires_ms;
    if (state->expires_ms != 0 && state->expires_ms <= in.now_ms) {
        blob_unref(state->value); /* born expired: as good as deleted */
        state->value = NULL;
    }
}

/* Computes the whole turn from `basis` into the head's order. Returns whether anything is to be changed. */
static bool compute(struct coordinator *co, struct request *head, const struct object *view) {
    const struct sibling *winner = object_winner(&head->rmw->basis, co->core->now.wall_us / 1000);
    struct state state = {0};
    if (winner != NULL) {
        state.value = blob_ref(winner->value);
        state.expires_ms = winner->expires_ms;
    }
    compute_one(co, head, &state);
    for (struct request *at = head->rmw->key->batch; at != NULL; at = at->rmw->next)
        compute_one(co, at, &state);
    blob_unref(head->order.value);
    head->order.value = state.value;
    head->order.expires_ms = state.value != NULL ? state.expires_ms : 0;
    if (op_rmw_is_out(head))
        return true; /* what the first round wrote must go, also if there is nothing to do after all */
    return state.changed && (state.value != NULL || view->count > 0);
}

static bool is_own(const struct rmw *rmw, const struct dot *dot) {
    for (uint32_t i = 0; i < rmw->rounds; i++)
        if (dot_compare(&rmw->own[i], dot) == 0)
            return true;
    return false;
}

/* True if what the last round wrote has been replaced by a writer who saw it: it has taken effect. */
static bool has_taken_effect(const struct coordinator *co, const struct rmw *rmw,
                             const struct object *view) {
    if (rmw->rounds == 0 || co->core->conf.conflict_resolution != CONFLICT_SIBLINGS)
        return false;
    const struct dot *last = &rmw->own[rmw->rounds - 1];
    if (last->counter == 0 || !version_covers(&view->version, last))
        return false;
    for (uint32_t i = 0; i < view->count; i++)
        if (dot_compare(&view->siblings[i].dot, last) == 0)
            return false;
    return true;
}

/* What there is to compute from: all that is there in the first round; then also what has come to light since, beside this turn's own
 * writes. */
static enum rd_err widen_basis(struct rmw *rmw, const struct object *view) {
    struct object *basis = &rmw->basis;
    if (rmw->rounds == 0) {
        object_free(basis);
        return object_copy(view, basis);
    }
    const struct context none = {0};
    enum rd_err err = RD_OK;
    for (uint32_t i = 0; i < view->count && err == RD_OK; i++) {
        const struct sibling *at = &view->siblings[i];
        if (!is_own(rmw, &at->dot) && !version_covers(&basis->version, &at->dot))
            err = object_write(basis, &none, &at->dot, at->stamp, at->value, at->expires_ms);
    }
    return err;
}

static void fail_memory(struct coordinator *co, struct request *head) {
    if (op_rmw_is_out(head))
        coordinator_fail(co, head, RD_EUNKNOWN, "out of memory; the write may have happened");
    else
        coordinator_fail(co, head, RD_ENOMEM, "out of memory; nothing was written");
}

/* ---- the rounds ------------------------------------------------------------------------------------ */

void op_rmw_read(struct coordinator *co, struct request *head, struct object *merged) {
    struct rmw *rmw = head->rmw;
    enum rd_err err = object_merge(&rmw->read, merged, NULL);
    object_free(merged);
    if (err != RD_OK) {
        fail_memory(co, head);
        return;
    }
    head->kind = REQUEST_WRITE;
    memset(&head->read, 0, sizeof(head->read));
    memset(&head->write, 0, sizeof(head->write));
    head->write.round = rmw->round;
    head->write.sent = op_rmw_is_out(head);
    head->write.seen = rmw->read;
    rmw->read = (struct object){0};
    op_write_start(co, head);
}

/* What was written twice still stands beside something else. */
static void look_again(struct coordinator *co, struct request *head) {
    struct op_write *op = &head->write;
    if (++head->rmw->looks > RMW_LOOKS) {
        coordinator_fail(co, head, RD_EUNKNOWN,
                         "other writes came in between, again and again: what was written stands "
                         "beside theirs, and may count or not");
        return;
    }
    head->rmw->read = op->seen;
    op->seen = (struct object){0};
    head->release(head);
    read_homes(co, head);
}

bool op_rmw_prepare(struct coordinator *co, struct request *head, const struct object *held) {
    struct rmw *rmw = head->rmw;
    struct object view = {0};
    enum rd_err err = object_copy(held, &view);
    if (err == RD_OK)
        err = object_merge(&view, &head->write.seen, NULL);
    if (err == RD_OK && has_taken_effect(co, rmw, &view)) {
        object_free(&view);
        reply(co, head);
        return false;
    }
    if (err == RD_OK && rmw->rounds == RMW_ROUNDS) {
        object_free(&view);
        look_again(co, head);
        return false;
    }
    if (err == RD_OK)
        err = widen_basis(rmw, &view);
    if (err != RD_OK) {
        object_free(&view);
        fail_memory(co, head);
        return false;
    }
    bool changes = compute(co, head, &view);
    bool read = object_equal(&view, &head->write.seen); /* by the replicas, durably */
    object_free(&view);
    if (changes)
        return true;
    if (read) {
        reply(co, head);
        return false;
    }
    /* The answer would show a write that is not on disk yet. */
    head->release(head);
    read_homes(co, head);
    return false;
}

bool op_rmw_written(struct coordinator *co, struct request *head, bool covered) {
    struct rmw *rmw = head->rmw;
    struct op_write *op = &head->write;
    assert(rmw->rounds < RMW_ROUNDS);
    rmw->own[rmw->rounds++] = head->order.value != NULL ? op->dot : (struct dot){0};
    rmw->round = op->round;
    if (covered)
        return true;
    co->core->stats.second_rounds++;
    object_free(&rmw->read);
    rmw->read = op->seen;
    op->seen = (struct object){0};
    head->release(head);
    read_homes(co, head);
    return false;
}
