/* Keys in flight.
 *
 * Invariants: (1) an entry that is not loaded has a store read under way and is not dirty; (2)
 * `held` descends from what the store holds and from every object merged since; (3) a waiter for
 * STORED rests on `held` as it was at its batch or before; (4) an entry is freed only when
 * nobody waits, no answer names it, it is clean and no batch holds it. */
#include "replication/replica.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"

struct waiter {
    struct waiter *next;
    enum replica_step step;
    struct asker asker;
    uint64_t batch;     /* the batch it waits for; 0: for the load, or for the next flush */
    bool loaded;        /* its part has been done on the loaded object */
    uint32_t uncovered; /* MERGE */
    struct version met; /* MERGE with something uncovered: of the object right after it */
    bool has_sent;
    struct object sent; /* a merge that waits for the load */
};

struct replica_entry {
    UT_hash_handle hh;       /* by key */
    UT_hash_handle hh_token; /* by token, while a store read is under way */
    struct blob *key;        /* owned reference */
    uint16_t slot;
    bool loaded, dirty;
    bool detached; /* no longer in the hash: only answers name it */
    enum rd_err
        load_err; /* RD_OK, RD_ENOTFOUND, or RD_ECORRUPT: the row was damaged and counts as lost */
    uint64_t token;      /* of the store read under way */
    uint64_t last_batch; /* the newest batch that holds a row of this key, if still open; 0: none */
    uint32_t pins;       /* answers that name it */
    struct object held;
    uint64_t stored_digest; /* of the row, as of the last flush */
    bool stored_live;
    struct waiter *first, **tail;
    struct replica_entry *next_dirty;
    struct replica_entry *prev, *next; /* of the committing list, while last_batch is not 0 */
#ifdef RD_PLANTED_BUGS
    struct object durable; /* what `held` was when it was last all in the store */
#endif
};

void replica_init(struct replica *replica, struct core *core) {
    *replica = (struct replica){.core = core};
}

static void waiter_free(struct waiter *waiter) {
    version_free(&waiter->met);
    object_free(&waiter->sent);
    free(waiter);
}

/* Takes the entry out of the hash, so that the next one who wants the key begins anew. */
static void detach(struct replica *replica, struct replica_entry *entry) {
    if (entry->detached)
        return;
    HASH_DELETE(hh, replica->entries, entry);
    replica->entry_count--;
    entry->detached = true;
}

static void entry_free(struct replica *replica, struct replica_entry *entry) {
    detach(replica, entry);
    if (!entry->loaded)
        HASH_DELETE(hh_token, replica->loading, entry);
    while (entry->first != NULL) {
        struct waiter *waiter = entry->first;
        entry->first = waiter->next;
        waiter_free(waiter);
    }
    object_free(&entry->held);
#ifdef RD_PLANTED_BUGS
    object_free(&entry->durable);
#endif
    blob_unref(entry->key);
    free(entry);
}

static void free_if_idle(struct replica *replica, struct replica_entry *entry) {
    if (entry->first == NULL && entry->pins == 0 && !entry->dirty && entry->last_batch == 0 &&
        entry->loaded)
        entry_free(replica, entry);
}

void replica_free(struct replica *replica) {
    struct replica_entry *entry, *next;
    for (struct replica_answer answer; replica_next(replica, &answer);)
        ; /* entries that only answers name go with them */
    HASH_ITER(hh, replica->entries, entry, next) entry_free(replica, entry);
    free(replica->answers);
    *replica = (struct replica){0};
}

const struct object *replica_held(const struct replica_entry *entry) {
    assert(entry->loaded);
    return &entry->held;
}

#ifdef RD_PLANTED_BUGS
const struct object *replica_durable(const struct replica_entry *entry) {
    assert(entry->loaded);
    return entry->dirty || entry->last_batch != 0 ? &entry->durable : &entry->held;
}
#endif

/* ---- answers --------------------------------------------------------------------------------- */

/* Makes room beforehand for as many answers as waiters exist, so that answering never fails. */
static enum rd_err reserve_answer(struct replica *replica) {
    size_t need = replica->answer_head + replica->answer_count + 1;
    if (need <= replica->answer_cap)
        return RD_OK;
    if (replica->answer_head > 0) {
        memmove(replica->answers, replica->answers + replica->answer_head,
                replica->answer_count * sizeof(*replica->answers));
        replica->answer_head = 0;
        if (replica->answer_count + 1 <= replica->answer_cap)
            return RD_OK;
    }
    size_t cap = replica->answer_cap == 0 ? 64 : replica->answer_cap * 2;
    struct replica_answer *grown = realloc(replica->answers, cap * sizeof(*grown));
    if (grown == NULL)
        return RD_ENOMEM;
    replica->answers = grown;
    replica->answer_cap = cap;
    return RD_OK;
}

/* Queues the answer to `waiter` and frees it. Nobody waits for the answer to a repair. If the
 * queue cannot grow the answer is lost like a frame, and the request ends by its deadline. */
static void answer(struct replica *replica, struct replica_entry *entry, struct waiter *waiter,
                   enum rd_err err) {
    if (waiter->asker.kind != ASKER_NONE && reserve_answer(replica) == RD_OK) {
        struct replica_answer *slot =
            &replica->answers[replica->answer_head + replica->answer_count++];
        *slot = (struct replica_answer){.asker = waiter->asker,
                                        .step = waiter->step,
                                        .err = err,
                                        .uncovered = waiter->uncovered,
                                        .met = waiter->met,
                                        .entry = entry};
        waiter->met = (struct version){0};
        entry->pins++;
    }
    waiter_free(waiter);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void ask_store(struct replica *replica, struct replica_entry *entry) {
    entry->loaded = false;
    entry->token = ++replica->next_token;
    HASH_ADD(hh_token, replica->loading, token, sizeof(entry->token), entry);
    struct effect *effect = effects_push(replica->core->effects, EFF_STORE_GET);
    effect->store_get.token = entry->token;
    effect->store_get.at = (struct row_key){0, entry->slot, blob_ref(entry->key)};
}

static struct replica_entry *find(struct replica *replica, const struct blob *key) {
    struct replica_entry *entry;
    HASH_FIND(hh, replica->entries, key->bytes, key->len, entry);
    return entry;
}

/* The entry of `key`, with a store read begun if it is new. */
static enum rd_err open_entry(struct replica *replica, struct blob *key,
                              struct replica_entry **out) {
    struct replica_entry *entry = find(replica, key);
    if (entry == NULL) {
        entry = calloc(1, sizeof(*entry));
        if (entry == NULL)
            return RD_ENOMEM;
        entry->key = blob_ref(key);
        entry->slot = slot_of_key(replica->core->conf.partitioner, key->bytes, key->len);
        entry->tail = &entry->first;
        HASH_ADD_KEYPTR(hh, replica->entries, entry->key->bytes, entry->key->len, entry);
        replica->entry_count++;
        ask_store(replica, entry);
    }
    *out = entry;
    return RD_OK;
}

static struct waiter *new_waiter(enum replica_step step, const struct asker *asker) {
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter != NULL) {
        waiter->step = step;
        waiter->asker = *asker;
    }
    return waiter;
}

static void append_waiter(struct replica_entry *entry, struct waiter *waiter) {
    waiter->next = NULL;
    *entry->tail = waiter;
    entry->tail = &waiter->next;
}

static void mark_dirty(struct replica *replica, struct replica_entry *entry) {
    if (entry->dirty)
        return;
    entry->dirty = true;
    entry->next_dirty = replica->dirty;
    replica->dirty = entry;
}

/* True if all of `held` is in the store. */
static bool is_durable(const struct replica_entry *entry) {
    return !entry->dirty && entry->last_batch == 0;
}

/* In last-write-wins mode replicas keep only the newest of concurrent siblings. */
static void settle(struct replica *replica, struct object *object) {
    if (replica->core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS ||
        RD_PLANTED(replica->core, LWW_BY_WALL_CLOCK))
        object_keep_newest(object);
    if (RD_PLANTED(replica->core, SIBLING_DROPPED_IN_MERGE) && object->count > 1)
        blob_unref(object->siblings[--object->count].value);
}

/* Last-write-wins: true if the newest sibling of `sent` is the one that was kept. */
static bool has_won(const struct object *held, const struct object *sent) {
    return held->count > 0 && sent->count > 0 &&
           dot_compare(&held->siblings[0].dot, &sent->siblings[0].dot) == 0;
}

/* True if what was written is there, but the copy also knows of dots that its writer does not: of
 * gone ones, else they were siblings. Copies that this one never meets may still show them. */
static bool knows_more(const struct object *held, const struct object *sent) {
    bool there = sent->count == 0;
    for (uint32_t i = 0; i < held->count && !there; i++)
        there = dot_compare(&held->siblings[i].dot, &sent->siblings[0].dot) == 0;
    return there && !version_descends(&sent->version, &held->version);
}

/* Merges what a waiter brought into the loaded object. What it does not cover is counted before
 * last-write-wins drops the older siblings: a plain SET that an older SET's faster clock beats
 * must hear of it. */
static enum rd_err merge_sent(struct replica *replica, struct replica_entry *entry,
                              struct waiter *waiter) {
    struct core *core = replica->core;
    struct object_merge_result result;
    if (actors_forgot(&core->actors, &entry->held.version, &waiter->sent.version)) {
        effects_log(core->effects, LOG_WARNING,
                    "A peer knows writes of this node that its own copy has lost: a fresh "
                    "incarnation begins");
        actors_begin(&core->actors, &core->prng);
        core->stats.fresh_incarnations++;
    }
    uint64_t before = object_digest(&entry->held);
    enum rd_err err = object_merge(&entry->held, &waiter->sent, &result);
    if (err != RD_OK)
        return err;
    waiter->uncovered = object_uncovered(&entry->held, &waiter->sent);
    if (waiter->uncovered == 0 && knows_more(&entry->held, &waiter->sent))
        waiter->uncovered = 1;
    settle(replica, &entry->held);
    if (core->conf.conflict_resolution == CONFLICT_LAST_WRITE_WINS &&
        has_won(&entry->held, &waiter->sent))
        waiter->uncovered = 0;
    if (result.dot_clash) {
        core->stats.dot_clashes++;
        effects_log(core->effects, LOG_WARNING, "One dot came with two values: please report this");
    }
    hlc_seen(&core->hlc, object_newest_stamp(&waiter->sent));
    bool lost = entry->load_err == RD_ECORRUPT && !object_is_empty(&entry->held);
    if (object_digest(&entry->held) != before || lost) {
        entry->load_err = RD_OK;
        mark_dirty(replica, entry);
    }
    return waiter->uncovered > 0 ? version_copy(&entry->held.version, &waiter->met) : RD_OK;
}

/* Does a waiter's part on the loaded object. Returns true if it can be answered now with *err. */
static bool serve(struct replica *replica, struct replica_entry *entry, struct waiter *waiter,
                  enum rd_err *err) {
    *err = RD_OK;
    bool absent = object_is_empty(&entry->held);
    if (waiter->step == REPLICA_LOADED) {
        *err = absent ? RD_ENOTFOUND : RD_OK;
        return true;
    }
    if (waiter->step == REPLICA_STORED && waiter->has_sent && !waiter->loaded) {
        *err = merge_sent(replica, entry, waiter);
        object_free(&waiter->sent);
        if (*err != RD_OK)
            return true;
    }
    waiter->loaded = true;
    if (RD_PLANTED(replica->core, ACK_BEFORE_DURABLE) && waiter->step == REPLICA_STORED)
        return true;
    if (waiter->step == REPLICA_READ) {
        *err = entry->load_err == RD_ECORRUPT ? RD_ECORRUPT : absent ? RD_ENOTFOUND : RD_OK;
        return is_durable(entry);
    }
    return is_durable(entry);
}

/* Takes a new waiter in: serves it now if the entry is loaded, else lets it wait. */
static void admit(struct replica *replica, struct replica_entry *entry, struct waiter *waiter) {
    enum rd_err err;
    if (entry->loaded && serve(replica, entry, waiter, &err)) {
        answer(replica, entry, waiter, err);
        return;
    }
    if (entry->loaded && !entry->dirty)
        waiter->batch = entry->last_batch; /* it rests on what is being committed already */
    append_waiter(entry, waiter);
}

static void unpin(struct replica *replica, struct replica_entry *entry) {
    entry->pins--;
    free_if_idle(replica, entry);
}

/* A read's answer was queued, and before it was taken somebody changed the object: it waits for
 * the next commit after all. */
static bool must_wait_again(struct replica *replica, const struct replica_answer *taken) {
    struct replica_entry *entry = taken->entry;
    if (taken->step != REPLICA_READ || entry->detached || (entry->loaded && is_durable(entry)))
        return false;
    struct waiter *waiter = new_waiter(REPLICA_READ, &taken->asker);
    if (waiter != NULL)
        admit(replica, entry, waiter);
    unpin(replica, entry);
    return true;
}

bool replica_next(struct replica *replica, struct replica_answer *out) {
    version_free(&replica->taken_met);
    if (replica->taken != NULL) {
        struct replica_entry *entry = replica->taken;
        replica->taken = NULL;
        unpin(replica, entry);
    }
    while (replica->answer_count > 0) {
        struct replica_answer taken = replica->answers[replica->answer_head++];
        replica->answer_count--;
        if (must_wait_again(replica, &taken))
            continue;
        *out = taken;
        replica->taken = taken.entry;
        replica->taken_met = taken.met;
        return true;
    }
    replica->answer_head = 0;
    return false;
}

static enum rd_err ask(struct replica *replica, struct blob *key, enum replica_step step,
                       struct object *sent, const struct asker *asker) {
    struct replica_entry *entry;
    struct waiter *waiter = new_waiter(step, asker);
    enum rd_err err = waiter == NULL ? RD_ENOMEM : open_entry(replica, key, &entry);
    if (err != RD_OK) {
        free(waiter);
        if (sent != NULL)
            object_free(sent);
        return err;
    }
    if (sent != NULL) {
        waiter->sent = *sent;
        waiter->has_sent = true;
        *sent = (struct object){0};
    }
    admit(replica, entry, waiter);
    free_if_idle(replica, entry);
    return RD_OK;
}

enum rd_err replica_load(struct replica *replica, struct blob *key, const struct asker *asker) {
    return ask(replica, key, REPLICA_LOADED, NULL, asker);
}

enum rd_err replica_read(struct replica *replica, struct blob *key, const struct asker *asker) {
    return ask(replica, key, REPLICA_READ, NULL, asker);
}

enum rd_err replica_merge(struct replica *replica, struct blob *key, struct object *sent,
                          const struct asker *asker) {
    return ask(replica, key, REPLICA_STORED, sent, asker);
}

enum rd_err replica_replace(struct replica *replica, struct replica_entry *entry,
                            struct object *next, const struct asker *asker) {
    assert(entry->loaded);
    assert(version_descends(&next->version, &entry->held.version) ||
           RD_PLANTED(replica->core, DOT_TWICE_IN_FLIGHT));
    struct waiter *waiter = new_waiter(REPLICA_STORED, asker);
    if (waiter == NULL) {
        object_free(next);
        return RD_ENOMEM;
    }
    settle(replica, next);
    bool lost = entry->load_err == RD_ECORRUPT && !object_is_empty(next);
    bool same = object_equal(next, &entry->held) && !lost;
#ifdef RD_PLANTED_BUGS
    if (is_durable(entry)) {
        object_free(&entry->durable);
        entry->durable = entry->held;
        entry->held = (struct object){0};
    }
#endif
    object_free(&entry->held);
    entry->held = *next;
    *next = (struct object){0};
    waiter->loaded = true;
    if (!same) {
        entry->load_err = RD_OK;
        mark_dirty(replica, entry);
    }
    admit(replica, entry, waiter);
    return RD_OK;
}

/* ---- the store ------------------------------------------------------------------------------- */

/* Serves all who waited for the load, in the order in which they came. */
static void serve_all(struct replica *replica, struct replica_entry *entry) {
    struct waiter *waiter = entry->first;
    entry->first = NULL;
    entry->tail = &entry->first;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        admit(replica, entry, waiter);
        waiter = next;
    }
}

/* Fails all who wait. Readers are not wronged by a failed write: those that may are asked again
 * by the caller. */
static void fail_waiters(struct replica *replica, struct replica_entry *entry, enum rd_err err,
                         bool keep_readers) {
    struct waiter *waiter = entry->first;
    entry->first = NULL;
    entry->tail = &entry->first;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        if (keep_readers && waiter->step != REPLICA_STORED) {
            waiter->batch = 0;
            waiter->loaded = false;
            append_waiter(entry, waiter);
        } else {
            answer(replica, entry, waiter, err);
        }
        waiter = next;
    }
}

/* Where the key's hash stands if its row is known to be damaged. */
static uint64_t *lost_place(struct replica *replica, const struct replica_entry *entry,
                            uint64_t *hash) {
    *hash = hash_xxh64(entry->key->bytes, entry->key->len, 2);
    return &replica->lost[*hash % REPLICA_LOST];
}

/* A damaged row counts as lost: what this node wrote under it may be forgotten, so nothing is
 * continued. Once is enough until the row is written anew: if each read of it began a fresh
 * incarnation, the vectors of all keys that are written meanwhile would grow without end. */
static void lost_row(struct replica *replica, const struct replica_entry *entry) {
    struct core *core = replica->core;
    uint64_t hash, *place = lost_place(replica, entry, &hash);
    core->stats.corrupt_rows++;
    if (*place == hash)
        return;
    *place = hash;
    core->stats.fresh_incarnations++;
    actors_begin(&core->actors, &core->prng);
    effects_log(core->effects, LOG_WARNING,
                "A stored object is damaged; it is not served and will be repaired from other "
                "replicas");
}

void replica_got(struct replica *replica, uint64_t token, enum rd_err err, struct blob *value) {
    struct replica_entry *entry;
    HASH_FIND(hh_token, replica->loading, &token, sizeof(token), entry);
    if (entry == NULL)
        return;
    HASH_DELETE(hh_token, replica->loading, entry);
    assert(object_is_empty(&entry->held));
    if (err == RD_OK) {
        err = object_decode(value->bytes, value->len, &entry->held);
        if (err == RD_EPROTO || err == RD_ETOOBIG)
            err = RD_ECORRUPT;
    }
    if (err == RD_ECORRUPT)
        lost_row(replica, entry);
    entry->loaded = true;
    entry->load_err = err;
    if (err != RD_OK && err != RD_ENOTFOUND && err != RD_ECORRUPT) {
        replica->core->stats.store_errors++;
        detach(replica, entry); /* what it holds is not known: nobody else may find it */
        fail_waiters(replica, entry, err, false);
        free_if_idle(replica, entry);
        return;
    }
    hlc_seen(&replica->core->hlc, object_newest_stamp(&entry->held));
    entry->stored_digest = object_digest(&entry->held);
    entry->stored_live = entry->held.count > 0;
    serve_all(replica, entry);
    free_if_idle(replica, entry);
}

bool replica_dirty(const struct replica *replica) {
    return replica->dirty != NULL;
}

/* Emits one entry's row. */
static enum rd_err flush_entry(struct replica *replica, struct replica_entry *entry,
                               uint64_t batch) {
    struct buf bytes = {0};
    struct blob *value = NULL;
    enum rd_err err = object_encode(&entry->held, &bytes);
    if (err == RD_OK)
        err = blob_new(buf_data(&bytes), buf_len(&bytes), &value);
    buf_free(&bytes);
    if (err != RD_OK)
        return err;
    struct effect *effect = effects_push(replica->core->effects, EFF_STORE_PUT);
    effect->store_put.at = (struct row_key){0, entry->slot, blob_ref(entry->key)};
    effect->store_put.value = value;
    effect->store_put.old_digest = entry->stored_digest;
    effect->store_put.new_digest = object_digest(&entry->held);
    effect->store_put.due_ms = object_next_expiry_ms(&entry->held);
    effect->store_put.was_live = entry->stored_live;
    effect->store_put.is_live = entry->held.count > 0;
    uint64_t hash, *lost = lost_place(replica, entry, &hash);
    if (*lost == hash)
        *lost = 0;
    entry->stored_digest = effect->store_put.new_digest;
    entry->stored_live = effect->store_put.is_live;
    if (entry->last_batch == 0)
        DL_APPEND(replica->committing, entry);
    entry->last_batch = batch;
    for (struct waiter *waiter = entry->first; waiter != NULL; waiter = waiter->next)
        if (waiter->batch == 0)
            waiter->batch = batch;
    return RD_OK;
}

/* The row is not what this node believed. Dots that it gave out under the key may be known
 * elsewhere and not here: they are burnt, and all of the incarnation with them. A key under which
 * it gave out none says nothing, so that a disk that stays full costs one incarnation, not one for
 * each row. */
static void burn_dots(struct core *core, const struct version *held) {
    if (version_newest_epoch(held, core->actors.incarnation) == NULL)
        return;
    actors_begin(&core->actors, &core->prng);
    core->stats.fresh_incarnations++;
}

/* What was to be written cannot be: everybody stacked on the key is told, its dots are burnt,
 * and the row is read again before the key is used. */
static void fail_entry(struct replica *replica, struct replica_entry *entry, enum rd_err err) {
    if (entry->last_batch != 0)
        DL_DELETE(replica->committing, entry);
    burn_dots(replica->core, &entry->held.version);
    entry->dirty = false;
    entry->last_batch = 0;
    object_free(&entry->held);
    fail_waiters(replica, entry, err, true);
    ask_store(replica, entry);
}

size_t replica_flush(struct replica *replica, uint64_t batch) {
    size_t count = 0;
    while (replica->dirty != NULL) {
        struct replica_entry *entry = replica->dirty;
        replica->dirty = entry->next_dirty;
        entry->next_dirty = NULL;
        entry->dirty = false;
        enum rd_err err = flush_entry(replica, entry, batch);
        if (err != RD_OK)
            fail_entry(replica, entry, err);
        else
            count++;
    }
    return count;
}

/* Takes a failed entry off the dirty list. */
static void unlink_dirty(struct replica *replica, struct replica_entry *entry) {
    struct replica_entry **at = &replica->dirty;
    while (*at != NULL && *at != entry)
        at = &(*at)->next_dirty;
    if (*at != NULL)
        *at = entry->next_dirty;
    entry->next_dirty = NULL;
}

/* Answers those whose batch is durable. */
static void settle_waiters(struct replica *replica, struct replica_entry *entry, uint64_t batch) {
    struct waiter *waiter = entry->first;
    entry->first = NULL;
    entry->tail = &entry->first;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        if (waiter->batch != 0 && waiter->batch <= batch) {
            enum rd_err err = RD_OK;
            if (waiter->step == REPLICA_READ && object_is_empty(&entry->held))
                err = RD_ENOTFOUND;
            answer(replica, entry, waiter, err);
        } else {
            append_waiter(entry, waiter);
        }
        waiter = next;
    }
}

void replica_stored(struct replica *replica, uint64_t batch, enum rd_err err) {
    struct replica_entry *entry, *next;
    if (err != RD_OK)
        replica->core->stats.store_errors++;
    DL_FOREACH_SAFE(replica->committing, entry, next) {
        if (err != RD_OK && entry->last_batch >= batch) {
            if (entry->dirty)
                unlink_dirty(replica, entry);
            fail_entry(replica, entry, err);
            continue;
        }
        if (entry->last_batch == batch) {
            DL_DELETE(replica->committing, entry);
            entry->last_batch = 0;
        }
        if (err == RD_OK)
            settle_waiters(replica, entry, batch);
        free_if_idle(replica, entry);
    }
}

void replica_check(const struct replica *replica) {
    uint64_t count = 0;
    for (const struct replica_entry *entry = replica->entries; entry != NULL;
         entry = entry->hh.next) {
        count++;
        assert(entry->loaded || (!entry->dirty && object_is_empty(&entry->held)));
        object_check(&entry->held);
        if (entry->loaded && is_durable(entry))
            assert(entry->first == NULL);
        assert(entry->first != NULL || entry->pins > 0 || entry->dirty || entry->last_batch != 0 ||
               !entry->loaded);
    }
    assert(count == replica->entry_count);
}
