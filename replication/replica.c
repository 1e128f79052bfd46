/* Keys in flight.
 *
 * Invariants: (1) an entry that is not loaded has a store read under way and is not dirty; (2)
 * `held` descends from what the store holds and from every object merged since; (3) a waiter for
 * STORED rests on `held` as it was at its batch or before; (4) an entry is freed only when
 * nobody waits, no answer names it, it is clean and no batch holds it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"
#include "replication/hints.h"
#include "replication/replica_private.h"

void replica_init(struct replica *replica, struct core *core) {
    *replica = (struct replica){.core = core};
}

void replica_waiter_free(struct replica *replica, struct waiter *waiter) {
    if (waiter == NULL)
        return;
    version_free(&waiter->met);
    object_free(&waiter->sent);
    free(waiter->hint);
    if (waiter->shrink != NULL)
        version_free(&waiter->shrink->kept);
    free(waiter->shrink);
    pool_give(&replica->spare_waiters, waiter);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define FIRST_BUCKETS 64

static struct replica_entry **bucket_of(const struct replica *replica, uint64_t hash) {
    return &replica->buckets[hash & (replica->bucket_count - 1)];
}

static void table_add(struct replica *replica, struct replica_entry *entry) {
    struct replica_entry **bucket = bucket_of(replica, entry->hash);
    entry->next_in_bucket = *bucket;
    *bucket = entry;
}

/* Doubles the table; without memory it stays as it is, correct and slower. Only the first buckets
 * are needed. Error: RD_ENOMEM. */
static enum rd_err table_grow(struct replica *replica) {
    uint32_t before = replica->bucket_count;
    uint32_t count = before == 0 ? FIRST_BUCKETS : before * 2;
    struct replica_entry **buckets = calloc(count, sizeof(*buckets));
    struct replica_entry **old = replica->buckets;
    if (buckets == NULL)
        return before == 0 ? RD_ENOMEM : RD_OK;
    replica->buckets = buckets;
    replica->bucket_count = count;
    for (uint32_t i = 0; i < before; i++)
        for (struct replica_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next_in_bucket;
            table_add(replica, entry);
        }
    free(old);
    return RD_OK;
}

static struct replica_entry *table_find(const struct replica *replica, const struct blob *key,
                                        uint64_t hash) {
    struct replica_entry *entry = replica->bucket_count == 0 ? NULL : *bucket_of(replica, hash);
    while (entry != NULL && (entry->hash != hash || entry->key->len != key->len ||
                             memcmp(entry->key->bytes, key->bytes, key->len) != 0))
        entry = entry->next_in_bucket;
    return entry;
}

/* Takes the entry out of the table, so that the next one who wants the key begins anew. */
void replica_detach(struct replica *replica, struct replica_entry *entry) {
    if (entry->detached)
        return;
    struct replica_entry **at = bucket_of(replica, entry->hash);
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    *at = entry->next_in_bucket;
    replica->entry_count--;
    entry->detached = true;
}

static void entry_free(struct replica *replica, struct replica_entry *entry) {
    replica_detach(replica, entry);
    if (!entry->loaded)
        DL_DELETE2(replica->loading, entry, prev_loading, next_loading);
    while (entry->first != NULL) {
        struct waiter *waiter = entry->first;
        entry->first = waiter->next;
        replica_waiter_free(replica, waiter);
    }
    object_free(&entry->held);
#ifdef RD_PLANTED_BUGS
    object_free(&entry->durable);
#endif
    blob_unref(entry->key);
    blob_unref(entry->row);
    free(entry->hint);
    pool_give(&replica->spare_entries, entry);
}

void replica_free_if_idle(struct replica *replica, struct replica_entry *entry) {
    if (entry->first == NULL && entry->pins == 0 && !entry->dirty && entry->last_batch == 0 &&
        entry->loaded)
        entry_free(replica, entry);
}

void replica_free(struct replica *replica) {
    for (struct replica_answer answer; replica_next(replica, &answer);)
        ; /* entries that only answers name go with them */
    for (uint32_t i = 0; i < replica->bucket_count; i++)
        while (replica->buckets[i] != NULL)
            entry_free(replica, replica->buckets[i]);
    free(replica->buckets);
    free(replica->answers);
    pool_free(&replica->spare_entries);
    pool_free(&replica->spare_waiters);
    *replica = (struct replica){0};
}

const struct object *replica_held(const struct replica_entry *entry) {
    assert(entry->loaded);
    return &entry->held;
}

uint64_t replica_digest(const struct replica_entry *entry) {
    assert(entry->loaded);
    return entry->digest;
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
void replica_answer(struct replica *replica, struct replica_entry *entry, struct waiter *waiter,
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
    replica_waiter_free(replica, waiter);
}

/* ---- entries --------------------------------------------------------------------------------- */

void replica_ask_store(struct replica *replica, struct replica_entry *entry) {
    entry->loaded = false;
    entry->token = ++replica->next_token;
    DL_APPEND2(replica->loading, entry, prev_loading, next_loading);
    struct effect *effect = effects_push(replica->core->effects, EFF_STORE_GET);
    effect->store_get.token = entry->token;
    effect->store_get.at = (struct row_key){replica->space, entry->slot, blob_ref(entry->key)};
}

/* The entry of `key`, with a store read begun if it is new. */
static enum rd_err open_entry(struct replica *replica, struct blob *key,
                              struct replica_entry **out) {
    uint64_t hash = hash_xxh64(key->bytes, key->len, 4);
    struct replica_entry *entry = table_find(replica, key, hash);
    if (entry == NULL) {
        if (replica->entry_count >= replica->bucket_count && table_grow(replica) != RD_OK)
            return RD_ENOMEM;
        entry = pool_take(&replica->spare_entries, sizeof(*entry));
        if (entry == NULL)
            return RD_ENOMEM;
        memset(entry, 0, sizeof(*entry));
        if (replica->ledger != NULL && (entry->hint = calloc(1, sizeof(*entry->hint))) == NULL) {
            pool_give(&replica->spare_entries, entry);
            return RD_ENOMEM;
        }
        entry->key = blob_ref(key);
        entry->hash = hash;
        entry->slot = slot_of_key(replica->core->conf.partitioner, key->bytes, key->len);
        entry->tail = &entry->first;
        table_add(replica, entry);
        replica->entry_count++;
        replica_ask_store(replica, entry);
    }
    *out = entry;
    return RD_OK;
}

struct waiter *replica_waiter(struct replica *replica, enum replica_step step,
                              const struct asker *asker) {
    struct waiter *waiter = pool_take(&replica->spare_waiters, sizeof(*waiter));
    if (waiter != NULL)
        *waiter = (struct waiter){.step = step, .asker = *asker};
    return waiter;
}

void replica_append(struct replica_entry *entry, struct waiter *waiter) {
    waiter->next = NULL;
    *entry->tail = waiter;
    entry->tail = &waiter->next;
}

static void mark_dirty(struct replica *replica, struct replica_entry *entry, uint64_t digest) {
    entry->digest = digest;
    blob_unref(entry->row);
    entry->row = NULL;
    if (entry->dirty)
        return;
    entry->dirty = true;
    entry->next_dirty = replica->dirty;
    replica->dirty = entry;
}

void replica_mark_dirty(struct replica *replica, struct replica_entry *entry) {
    mark_dirty(replica, entry, object_digest(&entry->held));
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
    enum rd_err err = entry->hint == NULL ? RD_OK : replica_hint_admit(replica, entry, waiter);
    if (err != RD_OK)
        return err;
    if (entry->hint == NULL &&
        actors_forgot(&core->actors, &entry->held.version, &waiter->sent.version)) {
        effects_log(core->effects, LOG_WARNING,
                    "A peer knows writes of this node that its own copy has lost: a fresh "
                    "incarnation begins");
        actors_begin(&core->actors, &core->prng);
        core->stats.fresh_incarnations++;
    }
    uint64_t before = entry->digest;
    if (RD_PLANTED(core, HINT_BLIND_PUT) && (waiter->asker.id & HINTS_ID) != 0)
        object_free(&entry->held);
    err = object_merge(&entry->held, &waiter->sent, &result);
    if (err != RD_OK)
        return err;
    bool owed = entry->hint != NULL && replica_hint_join(replica, entry, waiter);
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
    uint64_t digest = object_digest(&entry->held);
    if (digest != before || lost || owed) {
        core->stats.antientropy_keys_repaired += waiter->asker.repair;
        entry->load_err = RD_OK;
        mark_dirty(replica, entry, digest);
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
        if (*err == RD_EOVERLOADED && RD_PLANTED(replica->core, HINT_DROPPED_AT_CAP)) {
            *err = RD_OK;
            return true;
        }
        if (*err != RD_OK)
            return true;
    }
    if (waiter->hint != NULL && waiter->hint->strike && !waiter->loaded)
        replica_hint_strike(replica, entry, waiter);
    if (waiter->shrink != NULL && !waiter->loaded) {
        *err = replica_apply_shrink(replica, entry, waiter);
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
void replica_admit(struct replica *replica, struct replica_entry *entry, struct waiter *waiter) {
    enum rd_err err;
    if (entry->loaded && serve(replica, entry, waiter, &err)) {
        replica_answer(replica, entry, waiter, err);
        return;
    }
    if (entry->loaded && !entry->dirty)
        waiter->batch = entry->last_batch; /* it rests on what is being committed already */
    replica_append(entry, waiter);
}

static void unpin(struct replica *replica, struct replica_entry *entry) {
    entry->pins--;
    replica_free_if_idle(replica, entry);
}

/* A read's answer was queued, and before it was taken somebody changed the object: it waits for
 * the next commit after all. */
static bool must_wait_again(struct replica *replica, const struct replica_answer *taken) {
    struct replica_entry *entry = taken->entry;
    if (taken->step != REPLICA_READ || entry->detached || (entry->loaded && is_durable(entry)))
        return false;
    struct waiter *waiter = replica_waiter(replica, REPLICA_READ, &taken->asker);
    if (waiter != NULL)
        replica_admit(replica, entry, waiter);
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

enum rd_err replica_ask(struct replica *replica, struct blob *key, struct waiter *waiter) {
    struct replica_entry *entry;
    if (waiter->step != REPLICA_READ && waiter->shrink == NULL)
        watched_touch(&replica->core->watched, key);
    enum rd_err err = open_entry(replica, key, &entry);
    if (err != RD_OK) {
        replica_waiter_free(replica, waiter);
        return err;
    }
    replica_admit(replica, entry, waiter);
    replica_free_if_idle(replica, entry);
    return RD_OK;
}

static enum rd_err ask(struct replica *replica, struct blob *key, enum replica_step step,
                       const struct asker *asker) {
    struct waiter *waiter = replica_waiter(replica, step, asker);
    return waiter == NULL ? RD_ENOMEM : replica_ask(replica, key, waiter);
}

enum rd_err replica_load(struct replica *replica, struct blob *key, const struct asker *asker) {
    return ask(replica, key, REPLICA_LOADED, asker);
}

enum rd_err replica_read(struct replica *replica, struct blob *key, const struct asker *asker) {
    return ask(replica, key, REPLICA_READ, asker);
}

enum rd_err replica_merge(struct replica *replica, struct blob *key, struct object *sent,
                          const struct asker *asker) {
    struct waiter *waiter = replica_waiter(replica, REPLICA_STORED, asker);
    if (waiter == NULL) {
        object_free(sent);
        return RD_ENOMEM;
    }
    waiter->sent = *sent;
    waiter->has_sent = true;
    *sent = (struct object){0};
    return replica_ask(replica, key, waiter);
}

/* Makes `next` the newest object; `owed`: what is owed with it has changed too. */
static enum rd_err replace(struct replica *replica, struct replica_entry *entry,
                           struct object *next, struct blob *row, bool owed,
                           const struct asker *asker) {
    assert(version_descends(&next->version, &entry->held.version) ||
           RD_PLANTED(replica->core, DOT_TWICE_IN_FLIGHT));
    struct waiter *waiter = replica_waiter(replica, REPLICA_STORED, asker);
    if (waiter == NULL) {
        object_free(next);
        return RD_ENOMEM;
    }
    uint32_t siblings = next->count;
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
    if (!same || owed) {
        entry->load_err = RD_OK;
        replica_mark_dirty(replica, entry);
        if (row != NULL && entry->held.count == siblings)
            entry->row = blob_ref(row);
    }
    replica_admit(replica, entry, waiter);
    return RD_OK;
}

enum rd_err replica_replace(struct replica *replica, struct replica_entry *entry,
                            struct object *next, struct blob *row, const struct asker *asker) {
    assert(entry->loaded && entry->hint == NULL);
    return replace(replica, entry, next, row, false, asker);
}

enum rd_err replica_replace_owing(struct replica *replica, struct replica_entry *entry,
                                  struct object *next, const struct hint_owed *owed,
                                  const struct asker *asker) {
    struct waiter_hint hint = {.owed = *owed};
    struct waiter brought = {.sent = *next, .hint = &hint};
    assert(entry->loaded && entry->hint != NULL);
    enum rd_err err = replica_hint_admit(replica, entry, &brought);
    if (err != RD_OK) {
        object_free(next);
        return err;
    }
    struct hint_owed before = entry->hint->owed;
    bool changed = replica_hint_join(replica, entry, &brought);
    err = replace(replica, entry, next, NULL, changed, asker);
    if (err != RD_OK)
        entry->hint->owed = before;
    return err;
}

static void check_entry(const struct replica *replica, const struct replica_entry *entry) {
    assert(entry->loaded || (!entry->dirty && object_is_empty(&entry->held)));
    object_check(&entry->held);
    assert(!entry->loaded || entry->digest == object_digest(&entry->held));
    assert(entry->row == NULL || entry->dirty);
    assert((entry->hint != NULL) == (replica->ledger != NULL));
    if (entry->hint != NULL)
        hint_check(&entry->hint->owed);
    if (entry->loaded && is_durable(entry))
        assert(entry->first == NULL);
    assert(entry->first != NULL || entry->pins > 0 || entry->dirty || entry->last_batch != 0 ||
           !entry->loaded);
}

void replica_check(const struct replica *replica) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < replica->bucket_count; i++)
        for (const struct replica_entry *entry = replica->buckets[i]; entry != NULL;
             entry = entry->next_in_bucket) {
            assert((entry->hash & (replica->bucket_count - 1)) == i);
            check_entry(replica, entry);
            count++;
        }
    assert(count == replica->entry_count);
}
