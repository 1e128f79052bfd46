/* Keys in flight and the store: rows that are read, batches that are committed or fail. See
 * replica.h, and replica.c for the invariants. */
#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

#include "replication/replica_private.h"
#include "replication/shrink.h"

/* Serves all who waited for the load, in the order in which they came. */
static void serve_all(struct replica *replica, struct replica_entry *entry) {
    struct waiter *waiter = entry->first;
    entry->first = NULL;
    entry->tail = &entry->first;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        replica_admit(replica, entry, waiter);
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
            replica_append(entry, waiter);
        } else {
            replica_answer(replica, entry, waiter, err);
        }
        waiter = next;
    }
}

/* Where the key's hash stands if its row is known to be damaged. */
static uint64_t *lost_place(struct replica *replica, const struct replica_entry *entry) {
    return &replica->lost[entry->hash % REPLICA_LOST];
}

/* A damaged row counts as lost: what this node wrote under it may be forgotten, so nothing is
 * continued. Once is enough until the row is written anew: if each read of it began a fresh
 * incarnation, the vectors of all keys that are written meanwhile would grow without end. */
static void lost_row(struct replica *replica, const struct replica_entry *entry) {
    struct core *core = replica->core;
    uint64_t *place = lost_place(replica, entry);
    core->stats.corrupt_rows++;
    if (*place == entry->hash)
        return;
    *place = entry->hash;
    if (entry->hint != NULL) {
        replica_hint_lost(replica);
        return;
    }
    core->stats.fresh_incarnations++;
    actors_begin(&core->actors, &core->prng);
    effects_log(
        core->effects, LOG_WARNING,
        "A stored object of partition %u (slot %u) is damaged; it is not served and will be "
        "repaired from other replicas",
        slot_partition(entry->slot, core->conf.partitions), entry->slot);
}

void replica_got(struct replica *replica, uint64_t token, enum rd_err err, struct blob *value) {
    struct replica_entry *entry = replica->loading; /* stores answer in order: it is the first */
    while (entry != NULL && entry->token != token)
        entry = entry->next_loading;
    if (entry == NULL)
        return;
    DL_DELETE2(replica->loading, entry, prev_loading, next_loading);
    assert(object_is_empty(&entry->held));
    if (err == RD_OK) {
        err = entry->hint != NULL ? replica_hint_loaded(entry, value)
                                  : object_decode(value->bytes, value->len, &entry->held);
        if (err == RD_EPROTO || err == RD_ETOOBIG)
            err = RD_ECORRUPT;
    }
    if (err == RD_ECORRUPT)
        lost_row(replica, entry);
    entry->loaded = true;
    entry->load_err = err;
    if (err != RD_OK && err != RD_ENOTFOUND && err != RD_ECORRUPT) {
        replica->core->stats.store_errors++;
        replica_detach(replica, entry); /* what it holds is not known: nobody else may find it */
        fail_waiters(replica, entry, err, false);
        replica_free_if_idle(replica, entry);
        return;
    }
    hlc_seen(&replica->core->hlc, object_newest_stamp(&entry->held));
    entry->digest = entry->stored_digest = object_digest(&entry->held);
    entry->stored_live = entry->held.count > 0;
    entry->stored_due_ms = shrink_due_ms(&entry->held, replica->core->conf.n);
    serve_all(replica, entry);
    replica_free_if_idle(replica, entry);
}

bool replica_dirty(const struct replica *replica) {
    return replica->dirty != NULL;
}

/* The row; NULL: there is to be none. */
static enum rd_err object_row(struct replica_entry *entry, struct blob **out) {
    if (object_is_empty(&entry->held)) {
        *out = NULL;
        return RD_OK;
    }
    if (entry->row == NULL)
        return object_encode_blob(&entry->held, out);
    *out = entry->row;
    entry->row = NULL;
    return RD_OK;
}

/* Keeps the count of tombstones. While it is being made, what lies ahead will be met there. */
static void count_tombstone(struct tombstones *tombstones, uint64_t digest, bool live,
                            uint64_t due_ms, int change) {
    bool tombstone = digest != 0 && !live;
    if (tombstone && (!tombstones->counting || due_ms <= tombstones->counted_ms))
        tombstones->count += change;
}

/* What the store is to know of the row beside its bytes. */
static void describe_row(struct replica *replica, struct replica_entry *entry,
                         struct effect *effect) {
    struct tombstones *tombstones = &replica->core->tombstones;
    count_tombstone(tombstones, entry->stored_digest, entry->stored_live, entry->stored_due_ms, -1);
    effect->store_put.old_digest = entry->stored_digest;
    effect->store_put.new_digest = entry->digest;
    effect->store_put.due_ms = shrink_due_ms(&entry->held, replica->core->conf.n);
    effect->store_put.was_live = entry->stored_live;
    effect->store_put.is_live = entry->held.count > 0;
    entry->stored_due_ms = effect->store_put.due_ms;
    count_tombstone(tombstones, effect->store_put.new_digest, effect->store_put.is_live,
                    entry->stored_due_ms, 1);
}

/* Emits one entry's row. */
static enum rd_err flush_entry(struct replica *replica, struct replica_entry *entry,
                               uint64_t batch) {
    struct blob *value = NULL;
    enum rd_err err =
        entry->hint != NULL ? replica_hint_row(replica, entry, &value) : object_row(entry, &value);
    if (err != RD_OK)
        return err;
    struct effect *effect = effects_push(replica->core->effects, EFF_STORE_PUT);
    effect->store_put.at = (struct row_key){replica->space, entry->slot, blob_ref(entry->key)};
    effect->store_put.value = value;
    if (entry->hint == NULL)
        describe_row(replica, entry, effect);
    uint64_t *lost = lost_place(replica, entry);
    if (*lost == entry->hash)
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
    replica->core->tombstones.known = false;
    entry->dirty = false;
    entry->last_batch = 0;
    blob_unref(entry->row);
    entry->row = NULL;
    object_free(&entry->held);
    entry->digest = 0;
    if (entry->hint != NULL)
        replica_hint_failed(replica, entry);
    fail_waiters(replica, entry, err, true);
    replica_ask_store(replica, entry);
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
            replica_answer(replica, entry, waiter, err);
        } else {
            replica_append(entry, waiter);
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
        replica_free_if_idle(replica, entry);
    }
}
