/* The exchange's course: when, with whom, and from phase to phase; see exchange.h.
 *
 * Invariants: (1) at most one session is driven at a time; (2) a session that has heard nothing for a while is ended, and begun again
 * later from its start: nothing depends on its having come to its end; (3) a session goes on only while the budget is open. */
#include "replication/exchange_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_INTERVAL_US 1000000
#define FETCH_PAUSE_US                                                                             \
    10000000 /* all copies of a key may be damaged: no use to ask without a pause */
#define NEVER_US UINT64_MAX

void exchange_init(struct exchange *x, struct core *core) {
    *x = (struct exchange){.core = core};
    flow_init(&x->pages, EXCHANGE_LANES);
    flow_init(&x->mending, EXCHANGE_WINDOW);
}

static void session_free(struct exchange_session *s) {
    if (s == NULL)
        return;
    for (unsigned i = 0; i < EXCHANGE_LANES; i++)
        exchange_lane_clear(&s->lanes[i]);
    for (uint32_t i = 0; i < s->key_count; i++)
        exchange_key_free(&s->keys[i]);
    free(s->keys);
    free(s->frontier);
    free(s->found);
    free(s->kept);
    free(s);
}

void exchange_free(struct exchange *x) {
    session_free(x->session);
    while (x->damaged_count > 0)
        blob_unref(x->damaged[--x->damaged_count]);
    merkle_free(&x->tree);
    free(x->leaves);
    free(x->pairs);
    *x = (struct exchange){0};
}

bool exchange_say(struct exchange *x, uint16_t member, const struct wire_msg *msg) {
    uint32_t sent = peers_say_in_background(x->peers, x->budget, member, msg);
    x->core->stats.antientropy_bytes += sent;
    x->core->stats.antientropy_messages += sent > 0;
    return sent > 0;
}

void exchange_progress(struct exchange *x) {
    x->session->progress_us = x->core->now.mono_us;
}

uint64_t exchange_settle_us(const struct exchange *x) {
    uint64_t timeout_us = (uint64_t)x->core->conf.request_timeout_ms * 1000;
    return timeout_us < 250000 ? 500000 : 2 * timeout_us;
}

/* ---- when and with whom --------------------------------------------------------------------------- */

static uint64_t interval_us(const struct exchange *x) {
    return (uint64_t)x->core->conf.anti_entropy_interval_ms * 1000;
}

static uint64_t around(struct exchange *x, uint64_t us) {
    return us * 3 / 4 + prng_below(&x->core->prng, us / 2 + 1);
}

/* The pairs of all members known by now. New ones are due within one interval. */
static bool grow_pairs(struct exchange *x) {
    uint16_t count = x->members->count;
    if (count <= x->pair_count)
        return true;
    struct exchange_pair *grown = realloc(x->pairs, count * sizeof *grown);
    if (grown == NULL)
        return false;
    x->pairs = grown;
    for (; x->pair_count < count; x->pair_count++)
        x->pairs[x->pair_count] =
            (struct exchange_pair){.next_us = x->core->now.mono_us + around(x, interval_us(x)),
                                   .interval_us = interval_us(x)};
    return true;
}

static bool begins(const struct exchange *x, uint16_t member) {
    return node_id_compare(&x->core->self, &x->members->items[member].id) < 0;
}

static void hasten(struct exchange *x, uint16_t member, uint64_t us) {
    if (!grow_pairs(x) || member >= x->pair_count)
        return;
    uint64_t at = x->core->now.mono_us + around(x, us);
    if (at < x->pairs[member].next_us)
        x->pairs[member].next_us = at;
    x->pairs[member].interval_us = interval_us(x);
}

void exchange_met(struct exchange *x, uint16_t member) {
    if (x->core->conf.anti_entropy)
        hasten(x, member, 2 * LEAST_INTERVAL_US);
}

void exchange_mark(struct exchange *x, uint16_t member) {
    if (!grow_pairs(x) || member >= x->pair_count)
        return;
    hasten(x, member, LEAST_INTERVAL_US);
    x->pairs[member].wanted = true;
}

static bool shares_any(const struct exchange *x, uint32_t partition, uint16_t member) {
    uint32_t first = partition == UINT32_MAX ? 0 : partition;
    uint32_t end = partition == UINT32_MAX ? x->core->conf.partitions : partition + 1;
    for (uint32_t p = first; p < end; p++)
        if (exchange_shares(x, (uint16_t)p, member))
            return true;
    return false;
}

unsigned exchange_repair(struct exchange *x, uint32_t partition) {
    unsigned count = 0;
    if (x->core->view.leaves == NULL || !placement_is_known(x->placement) || !grow_pairs(x))
        return 0;
    for (uint16_t i = 1; i < x->pair_count; i++) {
        if (!peers_reachable(x->peers, i) || !shares_any(x, partition, i))
            continue;
        x->pairs[i].wanted = true;
        x->pairs[i].next_us = 0;
        count++;
    }
    return count;
}

bool exchange_ask(struct exchange *x, uint16_t member) {
    if (x->core->view.leaves == NULL || !grow_pairs(x) || member >= x->pair_count ||
        !shares_any(x, UINT32_MAX, member))
        return false;
    struct exchange_pair *pair = &x->pairs[member];
    bool running = x->session != NULL && x->session->member == member;
    if (!running && !pair->wanted) {
        pair->wanted = true;
        pair->next_us = x->core->now.mono_us;
    }
    return true;
}

uint64_t exchange_passes(const struct exchange *x, uint16_t member) {
    return member < x->pair_count ? x->pairs[member].passes : 0;
}

/* ---- the session ------------------------------------------------------------------------------ */

static struct exchange_session *session_new(struct exchange *x, uint16_t member) {
    struct exchange_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->frontier = malloc(EXCHANGE_MAX_FRONTIER * sizeof *s->frontier);
    s->found = malloc(EXCHANGE_MAX_LEAVES * sizeof *s->found);
    s->kept = malloc(EXCHANGE_MAX_LEAVES * sizeof *s->kept);
    s->keys = malloc(EXCHANGE_MAX_KEYS *
                     sizeof *s->keys); /* megabytes, of which most sessions touch none */
    if (s->frontier == NULL || s->found == NULL || s->kept == NULL || s->keys == NULL) {
        session_free(s);
        return NULL;
    }
    s->member = member;
    s->id = ++x->next_id & INT32_MAX;
    s->progress_us = x->core->now.mono_us;
    return s;
}

void exchange_end(struct exchange *x, bool whole) {
    struct exchange_session *s = x->session;
    struct exchange_pair *pair = &x->pairs[s->member];
    uint64_t usual = interval_us(x);
    x->session = NULL;
    if (!whole || s->more || s->moved)
        pair->next_us =
            x->core->now.mono_us + (s->more && whole ? 0 : around(x, LEAST_INTERVAL_US));
    else if (s->mended > 0) /* where something was wrong more may be */
        pair->interval_us = usual / 8 > LEAST_INTERVAL_US ? usual / 8 : LEAST_INTERVAL_US;
    else if (pair->interval_us < usual)
        pair->interval_us = pair->interval_us * 2 < usual ? pair->interval_us * 2 : usual;
    else if (pair->interval_us < 4 * usual) /* and where nothing was for long, less often */
        pair->interval_us += usual / 4;
    if (whole && !s->more && !s->moved)
        pair->next_us = x->core->now.mono_us + around(x, pair->interval_us);
    if (whole && pair->wanted) /* asked for again meanwhile */
        pair->next_us = x->core->now.mono_us;
    pair->wanted = pair->wanted || !whole || s->more;
    pair->passes += whole && !s->more && !s->moved && !s->of_keys;
    x->core->stats.antientropy_exchanges += whole;
    core_trace(x->core, "exchange %llu ends: %s, %u leaves and %u keys differed, %llu mended",
               (unsigned long long)s->id, whole ? "whole" : "broken off", s->kept_count,
               s->key_count, (unsigned long long)s->mended);
    session_free(s);
}

bool exchange_add_key(struct exchange_session *s, struct blob *key, uint64_t mine,
                      uint64_t theirs) {
    if (s->key_count == EXCHANGE_MAX_KEYS) {
        s->more = true;
        return false;
    }
    s->keys[s->key_count++] =
        (struct exchange_key){.key = blob_ref(key), .mine = mine, .theirs = theirs};
    return true;
}

static void pause_until(struct exchange *x, enum exchange_phase phase) {
    x->session->phase = phase;
    x->session->due_us = x->core->now.mono_us + exchange_settle_us(x);
}

/* One step of the course. False: something is awaited, or the session has ended. */
static bool advance(struct exchange *x) {
    struct exchange_session *s = x->session;
    bool sent = true;
    if (s->awaiting || s->due_us > x->core->now.mono_us)
        return false;
    if (!budget_open(x->budget, x->core->now.mono_us)) {
        exchange_progress(x); /* held back is not dead */
        return false;
    }
    switch (s->phase) {
    case EXCHANGE_ROOTS:
        s->phase = EXCHANGE_DESCEND;
        break;
    case EXCHANGE_DESCEND:
        if (s->frontier_count > 0)
            sent = exchange_send_frontier(x);
        else if (s->found_count >= EXCHANGE_MANY_LEAVES)
            exchange_keep_found(x);
        else if (s->found_count > 0)
            pause_until(x, EXCHANGE_SETTLE);
        else
            s->phase = EXCHANGE_KEYS;
        break;
    case EXCHANGE_SETTLE:
        s->phase = EXCHANGE_LOOK;
        break;
    case EXCHANGE_LOOK:
        if (s->looked < s->found_count)
            sent = exchange_send_found(x);
        else
            s->phase = EXCHANGE_LIST;
        break;
    case EXCHANGE_LIST:
        if (!exchange_list(x))
            return false;
        pause_until(x, s->key_count > 0 ? EXCHANGE_PAUSE : EXCHANGE_KEYS);
        if (s->key_count == 0)
            s->due_us = 0;
        break;
    case EXCHANGE_PAUSE:
        s->phase = EXCHANGE_KEYS;
        break;
    case EXCHANGE_KEYS:
        if (!exchange_mend(x))
            return false;
        exchange_end(x, true);
        return false;
    }
    if (!sent)
        exchange_end(x, false);
    return sent;
}

void exchange_run(struct exchange *x) {
    while (x->session != NULL && advance(x))
        ;
}

/* ---- damaged rows ----------------------------------------------------------------------------- */

void exchange_damaged(struct exchange *x, struct blob *key) {
    for (uint32_t i = 0; i < x->damaged_count; i++)
        if (x->damaged[i]->len == key->len &&
            memcmp(x->damaged[i]->bytes, key->bytes, key->len) == 0)
            return;
    if (x->damaged_count < sizeof x->damaged / sizeof *x->damaged)
        x->damaged[x->damaged_count++] = blob_ref(key);
}

/* Another home of the key that can be reached; MEMBER_NONE: there is none. */
static uint16_t other_home(struct exchange *x, const struct blob *key) {
    uint16_t homes[PREFLIST_MAX_N];
    uint16_t slot = slot_of_key(x->core->conf.partitioner, key->bytes, key->len);
    size_t count =
        placement_homes(x->placement, slot_partition(slot, x->core->conf.partitions), homes);
    size_t from = count == 0 ? 0 : prng_below(&x->core->prng, count);
    for (size_t i = 0; i < count; i++)
        if (peers_reachable(x->peers, homes[(from + i) % count]))
            return homes[(from + i) % count];
    return MEMBER_NONE;
}

/* A session of keys alone: what is damaged here is fetched there. The trees cannot show it, for the leaf still counts the row that was. */
static void fetch_damaged(struct exchange *x) {
    uint16_t member = other_home(x, x->damaged[0]);
    uint32_t left = 0;
    x->session = member == MEMBER_NONE || member >= x->pair_count ? NULL : session_new(x, member);
    if (x->session == NULL)
        return;
    x->session->phase = EXCHANGE_KEYS;
    x->session->of_keys = true;
    x->fetch_us = x->core->now.mono_us + FETCH_PAUSE_US;
    for (uint32_t i = 0; i < x->damaged_count; i++) {
        struct blob *key = x->damaged[i];
        uint16_t slot = slot_of_key(x->core->conf.partitioner, key->bytes, key->len);
        if (exchange_shares(x, slot_partition(slot, x->core->conf.partitions), member)) {
            exchange_add_key(x->session, key, DIGEST_DAMAGED, 0);
            blob_unref(key);
        } else {
            x->damaged[left++] = key;
        }
    }
    x->damaged_count = left;
    exchange_run(x);
}

/* ---- events ----------------------------------------------------------------------------------- */

static void begin(struct exchange *x, uint16_t member) {
    x->pairs[member].wanted = false;
    x->pairs[member].next_us = NEVER_US; /* until it ends */
    x->session = session_new(x, member);
    if (x->session == NULL || !exchange_send_roots(x)) {
        session_free(x->session);
        x->session = NULL;
        x->pairs[member].next_us = x->core->now.mono_us + around(x, interval_us(x));
    }
}

static bool timed_out(const struct exchange *x) {
    uint64_t patience = 4 * exchange_settle_us(x);
    return x->session->progress_us + patience < x->core->now.mono_us &&
           x->session->due_us + patience < x->core->now.mono_us;
}

static void begin_next(struct exchange *x) {
    bool automatic = x->core->conf.anti_entropy;
    for (uint16_t i = 1; i < x->pair_count && x->session == NULL; i++) {
        const struct exchange_pair *pair = &x->pairs[i];
        bool due = pair->next_us <= x->core->now.mono_us;
        if (due && (pair->wanted || (automatic && begins(x, i))) && peers_reachable(x->peers, i))
            begin(x, i);
    }
}

void exchange_tick(struct exchange *x) {
    struct core *core = x->core;
    struct blob *key;
    while ((key = scrub_take_damaged(x->scrub)) != NULL) {
        exchange_damaged(x, key);
        blob_unref(key);
    }
    if (core->view.leaves == NULL || core->store_err != RD_OK ||
        !placement_is_known(x->placement) || !grow_pairs(x))
        return;
    if (x->session != NULL && timed_out(x))
        exchange_end(x, false);
    if (x->session == NULL && x->damaged_count > 0 && x->fetch_us <= core->now.mono_us)
        fetch_damaged(x);
    if (x->session == NULL && budget_open(x->budget, core->now.mono_us))
        begin_next(x);
    exchange_run(x);
}

/* A link that breaks again and again must not send the exchange back to its start each time (TRAPS cursor_restart): what it has found
 * out stays true enough, for it looks at each key once more. It ends if the member stays away. */
void exchange_lost(struct exchange *x, uint16_t member) {
    struct exchange_session *s = x->session;
    if (s != NULL && s->member == member && s->awaiting) {
        exchange_end(x, false);
    } else if (s != NULL && s->member == member) {
        exchange_list_lost(x);
        exchange_mend_lost(x);
        exchange_run(x);
    }
    for (unsigned i = 0; i < EXCHANGE_SERVES; i++)
        if (x->serves[i].member == member)
            x->serves[i].token = 0;
}

void exchange_gone(struct exchange *x, uint16_t member) {
    if (x->session != NULL && x->session->member == member)
        exchange_end(x, false);
    if (member < x->pair_count)
        x->pairs[member].wanted = false;
}

enum rd_err exchange_message(struct exchange *x, uint16_t member, const struct wire_msg *msg) {
    struct exchange_session *s = x->session;
    enum rd_err err = RD_OK;
    switch (msg->kind) {
    case WIRE_ROOTS:
    case WIRE_NODES:
        return exchange_serve_nodes(x, member, msg);
    case WIRE_ROWS:
        exchange_serve_rows(x, member, msg);
        return RD_OK;
    case WIRE_RECOUNT:
        if (msg->recount.slot < SLOT_COUNT)
            scrub_want(x->scrub, (uint16_t)msg->recount.slot);
        return msg->recount.slot < SLOT_COUNT ? RD_OK : RD_EPROTO;
    case WIRE_NODES_ANSWER:
        if (s == NULL || s->member != member || s->id != msg->nodes_answer.id || !s->awaiting)
            return RD_OK;
        exchange_progress(x);
        s->awaiting = false;
        if (msg->nodes_answer.err != RD_OK) {
            exchange_end(x, false);
            return RD_OK;
        }
        err = exchange_take_nodes(x, msg->nodes_answer.nodes);
        break;
    case WIRE_ROWS_ANSWER:
        if (s == NULL || s->member != member || s->phase != EXCHANGE_LIST)
            return RD_OK;
        err = exchange_take_rows(x, msg);
        break;
    default:
        return RD_EPROTO;
    }
    exchange_run(x);
    return err;
}

bool exchange_idle(const struct exchange *x) {
    for (uint16_t i = 1; i < x->pair_count; i++)
        if (x->pairs[i].wanted)
            return false;
    return x->session == NULL;
}

void exchange_check(const struct exchange *x) {
    const struct exchange_session *s = x->session;
    if (s == NULL)
        return;
    assert(s->member < x->pair_count && s->member != MEMBER_SELF);
    assert(s->frontier_count <= EXCHANGE_MAX_FRONTIER && s->found_count <= EXCHANGE_MAX_LEAVES);
    assert(s->kept_count <= EXCHANGE_MAX_LEAVES && s->key_count <= EXCHANGE_MAX_KEYS);
    uint32_t open = 0;
    for (uint32_t i = 0; i < s->key_count; i++) {
        open += s->keys[i].state != KEY_WAITING && s->keys[i].state != KEY_DONE;
        assert((s->keys[i].state == KEY_WAITING) == (i >= s->key_next));
    }
    assert(open == s->key_open && open <= EXCHANGE_WINDOW);
}
