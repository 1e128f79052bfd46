/* The exchange's keys: the second look at each, and its mending.
 *
 *   WAITING --replica_read--> OWN --READ with its digest--> THEIRS --differs, and one side has not moved--> STORING --> DONE
 *                              |                              |  same, or both have moved
 *                              +---- cannot be read ----------+--------------------------------------------------> DONE
 *
 * At most EXCHANGE_WINDOW keys are between WAITING and DONE, and of large ones so many that what is on its way fits into
 * EXCHANGE_WINDOW_BYTES. */
#include <assert.h>

#include "replication/exchange_private.h"

#define KEY_COST 128
#define FIRST_GUESS_BYTES (EXCHANGE_WINDOW_BYTES / 32) /* of a key, before any has come */

void exchange_key_free(struct exchange_key *key) {
    blob_unref(key->key);
    object_free(&key->own);
}

static uint64_t key_id(const struct exchange_session *s, const struct exchange_key *key) {
    return EXCHANGE_ID | s->id << 32 | (uint32_t)(key - s->keys);
}

/* The key of such an id, if it belongs to the session and is in that state. */
static struct exchange_key *find(struct exchange *x, uint64_t id, enum key_state state) {
    struct exchange_session *s = x->session;
    uint32_t index = (uint32_t)id;
    if (s == NULL || (id & ~EXCHANGE_ID) >> 32 != s->id || index >= s->key_count ||
        s->keys[index].state != state) {
        x->core->stats.late_answers++;
        return NULL;
    }
    exchange_progress(x);
    return &s->keys[index];
}

void exchange_touch_open(struct exchange *x) {
    struct exchange_session *s = x->session;
    for (uint32_t i = 0; s != NULL && i < s->key_next; i++)
        if (s->keys[i].state != KEY_DONE)
            watched_touch(&x->core->watched, s->keys[i].key);
}

static void done(struct exchange *x, struct exchange_key *key) {
    key->state = KEY_DONE;
    x->session->key_open--;
    object_free(&key->own);
}

static uint32_t window(const struct exchange *x) {
    const struct exchange_session *s = x->session;
    uint64_t mean = s->met_keys == 0 ? FIRST_GUESS_BYTES : s->met_bytes / s->met_keys + 1;
    uint64_t fit = EXCHANGE_WINDOW_BYTES / mean + 1;
    uint32_t width = flow_width(&x->mending);
    return fit < width ? (uint32_t)fit : width;
}

bool exchange_mend(struct exchange *x) {
    struct exchange_session *s = x->session;
    while (s->key_next < s->key_count && s->key_open < window(x) &&
           budget_open(x->budget, x->core->now.mono_us)) {
        struct exchange_key *key = &s->keys[s->key_next++];
        const struct asker asker = {.kind = ASKER_EXCHANGE, .id = key_id(s, key)};
        key->state = KEY_OWN;
        key->since_us = x->core->now.mono_us;
        s->key_open++;
        budget_spend(x->budget, KEY_COST);
        if (replica_read(x->replica, key->key, &asker) != RD_OK) {
            s->more = true;
            done(x, key);
        }
    }
    return s->key_next == s->key_count && s->key_open == 0;
}

/* ---- the own copy --------------------------------------------------------------------------------- */

static void own_read(struct exchange *x, struct exchange_key *key, enum rd_err err,
                     const struct object *held) {
    struct exchange_session *s = x->session;
    struct wire_msg msg = {.kind = WIRE_READ};
    key->own_damaged = err == RD_ECORRUPT;
    if (err == RD_OK)
        err = object_copy(held, &key->own);
    if (err != RD_OK && err != RD_ENOTFOUND && !key->own_damaged) {
        s->more = true;
        done(x, key);
        return;
    }
    budget_spend(x->budget, object_bytes(&key->own));
    msg.read.id = key_id(s, key);
    msg.read.digest = object_digest(&key->own);
    msg.read.key = (struct resp_slice){key->key->bytes, key->key->len};
    key->state = KEY_THEIRS;
    if (!exchange_say(x, s->member, &msg)) {
        s->more = true;
        done(x, key);
    }
}

static void stored(struct exchange *x, struct exchange_key *key) {
    if (--key->storing == 0)
        done(x, key);
}

void exchange_own_answer(struct exchange *x, const struct replica_answer *answer) {
    enum key_state state = answer->step == REPLICA_READ ? KEY_OWN : KEY_STORING;
    struct exchange_key *key = find(x, answer->asker.id, state);
    if (key == NULL)
        return;
    if (state == KEY_OWN) {
        bool usable = answer->err == RD_OK;
        own_read(x, key, answer->err, usable ? replica_held(answer->entry) : NULL);
    } else {
        x->session->more |= answer->err != RD_OK;
        stored(x, key);
    }
    exchange_run(x);
}

/* ---- the other copy, and mending ------------------------------------------------------------------ */

static bool merge_own(struct exchange *x, struct exchange_key *key, const struct object *merged) {
    const struct asker asker = {
        .kind = ASKER_EXCHANGE, .id = key_id(x->session, key), .repair = true};
    struct object copy;
    return object_copy(merged, &copy) == RD_OK &&
           replica_merge(x->replica, key->key, &copy, &asker) == RD_OK;
}

static bool send_merged(struct exchange *x, struct exchange_key *key, const struct object *merged) {
    struct wire_msg msg = {.kind = WIRE_WRITE};
    struct buf bytes = {0};
    bool sent = false;
    watched_touch(&x->core->watched, key->key);
    if (object_encode(merged, &bytes) == RD_OK) {
        msg.write.id = key_id(x->session, key);
        msg.write.key = (struct resp_slice){key->key->bytes, key->key->len};
        msg.write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
        sent = exchange_say(x, x->session->member, &msg);
    }
    buf_free(&bytes);
    return sent;
}

/* Both copies are known: whoever has less gets what both have together. */
static void mend(struct exchange *x, struct exchange_key *key, uint64_t theirs,
                 const struct object *object) {
    struct exchange_session *s = x->session;
    struct object merged;
    if (object_copy(&key->own, &merged) != RD_OK) {
        s->more = true;
        return;
    }
    if (object != NULL && object_merge(&merged, object, NULL) != RD_OK) {
        s->more = true;
        object_free(&merged);
        return;
    }
    if (x->core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS)
        object_keep_newest(&merged);
    uint64_t digest = object_digest(&merged);
    bool here = digest != object_digest(&key->own) || (key->own_damaged && digest != 0);
    bool there = digest != theirs && digest != 0;
    key->storing = 1; /* so that an answer which comes at once does not end it too early */
    key->state = KEY_STORING;
    if (key->own_damaged && here) /* its leaf still counts the row as it was */
        scrub_want(x->scrub,
                   slot_of_key(x->core->conf.partitioner, key->key->bytes, key->key->len));
    if (here)
        key->storing += merge_own(x, key, &merged);
    key->sent = there && send_merged(x, key, &merged);
    key->storing += key->sent;
    s->more |= there && !key->sent;
    s->mended += here || there;
    object_free(&merged);
}

void exchange_read_answer(struct exchange *x, uint64_t id, const struct read_answer *answer) {
    struct exchange_key *key = find(x, id, KEY_THEIRS);
    if (key == NULL || answer->member != x->session->member)
        return;
    uint64_t own = key->own_damaged ? DIGEST_DAMAGED : object_digest(&key->own);
    uint64_t theirs = answer->same                 ? object_digest(&key->own)
                      : answer->err == RD_ECORRUPT ? DIGEST_DAMAGED
                      : answer->object != NULL     ? object_digest(answer->object)
                                                   : 0;
    bool read = answer->err == RD_OK || answer->err == RD_ENOTFOUND || answer->err == RD_ECORRUPT;
    flow_took(&x->mending, x->core->now.mono_us - key->since_us, x->core->now.mono_us);
    x->session->met_keys++;
    x->session->met_bytes += object_bytes(&key->own);
    if (answer->object != NULL) {
        x->session->met_bytes += object_bytes(answer->object);
        budget_spend(x->budget, object_bytes(answer->object));
    }
    if (!read) {
        x->session->more = true;
    } else if (own != theirs || own == DIGEST_DAMAGED) {
        bool filling = member_is_filling(&x->members->items[MEMBER_SELF]);
        if (own == key->mine || theirs == key->theirs || filling)
            mend(x, key, theirs, answer->object);
        else
            x->session->moved =
                true; /* it is being written; if something is wrong it will still be */
    }
    if (key->state == KEY_STORING)
        stored(x, key);
    else
        done(x, key);
    exchange_run(x);
}

void exchange_write_answer(struct exchange *x, uint64_t id, uint16_t member, enum rd_err err) {
    struct exchange_key *key = find(x, id, KEY_STORING);
    if (key == NULL || member != x->session->member || !key->sent)
        return;
    x->session->more |= err != RD_OK;
    key->sent = false;
    stored(x, key);
    exchange_run(x);
}

void exchange_mend_lost(struct exchange *x) {
    struct exchange_session *s = x->session;
    for (uint32_t i = 0; i < s->key_next; i++) {
        struct exchange_key *key = &s->keys[i];
        if (key->state == KEY_THEIRS) {
            s->more = true;
            done(x, key);
        } else if (key->state == KEY_STORING && key->sent) {
            s->more = true;
            key->sent = false;
            stored(x, key);
        }
    }
}
