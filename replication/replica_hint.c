/* Keys in flight that are hints: what is owed with them, and the room they may take. See replica.h.
 *
 * A hint is made, merged and flushed as every other copy; when the last target is struck off its
 * row is erased in the same way. Own dots that come back from outside mean nothing here: a row
 * that was delivered is forgotten, and its actor with it (op_write goes on only as the actor that
 * the row names). */
#include <assert.h>
#include <stdlib.h>

#include "replication/replica_private.h"

#define SPACE_HINTS 1

void replica_init_hints(struct replica *replica, struct core *core, struct hint_ledger *ledger) {
    *replica = (struct replica){
        .core = core, .ledger = ledger, .space = SPACE_HINTS, .next_token = REPLICA_HINT_TOKEN};
}

const struct hint_owed *replica_owed(const struct replica_entry *entry) {
    assert(entry->loaded && entry->hint != NULL);
    return &entry->hint->owed;
}

enum rd_err replica_keep(struct replica *replica, struct blob *key, struct object *sent,
                         const struct hint_owed *owed, const struct asker *asker) {
    struct waiter *waiter = replica_waiter(replica, REPLICA_STORED, asker);
    if (waiter == NULL || (waiter->hint = calloc(1, sizeof(*waiter->hint))) == NULL) {
        replica_waiter_free(replica, waiter);
        object_free(sent);
        return RD_ENOMEM;
    }
    waiter->hint->owed = *owed;
    waiter->sent = *sent;
    waiter->has_sent = true;
    *sent = (struct object){0};
    return replica_ask(replica, key, waiter);
}

enum rd_err replica_strike(struct replica *replica, struct blob *key, const struct node_id *target,
                           uint64_t digest) {
    struct asker nobody = {0};
    struct waiter *waiter = replica_waiter(replica, REPLICA_STORED, &nobody);
    if (waiter == NULL || (waiter->hint = calloc(1, sizeof(*waiter->hint))) == NULL) {
        replica_waiter_free(replica, waiter);
        return RD_ENOMEM;
    }
    waiter->hint->strike = true;
    waiter->hint->struck = *target;
    waiter->hint->digest = digest;
    return replica_ask(replica, key, waiter);
}

/* ---- merging ------------------------------------------------------------------------------------- */

/* The bytes that the row takes with `sent` merged in. */
static enum rd_err bytes_with(const struct replica_entry *entry, const struct hint_owed *owed,
                              const struct object *sent, uint64_t *out) {
    struct object merged;
    struct buf bytes = {0};
    enum rd_err err = object_copy(&entry->held, &merged);
    if (err != RD_OK)
        return err;
    err = object_merge(&merged, sent, NULL);
    if (err == RD_OK)
        err = hint_encode(owed, &merged, &bytes);
    if (err == RD_OK)
        *out = buf_len(&bytes);
    buf_free(&bytes);
    object_free(&merged);
    return err;
}

/* True if there is room for the hint as it will be. It is measured only near the limit. */
static enum rd_err find_room(const struct replica *replica, const struct replica_entry *entry,
                             const struct waiter *waiter, const struct hint_owed *joined,
                             bool *out) {
    bool must = waiter->hint->owed.must;
    uint64_t bytes = object_bytes(&waiter->sent) + sizeof(*joined),
             had = entry->hint->counted_bytes;
    *out = hint_ledger_has_room(replica->ledger, must, bytes);
    if (*out)
        return RD_OK;
    enum rd_err err = bytes_with(entry, joined, &waiter->sent, &bytes);
    *out =
        err == RD_OK && (bytes <= had || hint_ledger_has_room(replica->ledger, must, bytes - had));
    return err;
}

enum rd_err replica_hint_admit(struct replica *replica, struct replica_entry *entry,
                               const struct waiter *waiter) {
    const struct hint_owed *owed = &waiter->hint->owed;
    struct hint_owed joined = entry->hint->owed;
    bool room = false;
    enum rd_err err = hint_join(&joined, owed);
    if (err == RD_OK)
        err = hint_ledger_reserve(replica->ledger, &joined);
    if (err == RD_OK)
        err = find_room(replica, entry, waiter, &joined, &room);
    if (err != RD_OK || room)
        return err;
    if (!owed->must)
        hint_ledger_dropped(replica->ledger, owed);
    else
        replica->core->stats.hints_refused++;
    return RD_EOVERLOADED;
}

bool replica_hint_join(struct replica *replica, struct replica_entry *entry,
                       const struct waiter *waiter) {
    struct hint_owed before = entry->hint->owed;
    struct hint_owed *owed = &entry->hint->owed;
    enum rd_err err = hint_join(owed, &waiter->hint->owed);
    assert(err == RD_OK); /* admitted before */
    (void)err;
    if (waiter->hint->owed.has_own) {
        owed->has_own = true;
        owed->own = waiter->hint->owed.own;
    }
    if (owed->born_ms == 0)
        owed->born_ms = replica->core->now.wall_us / 1000;
    return !hint_same(&before, owed);
}

void replica_hint_strike(struct replica *replica, struct replica_entry *entry,
                         const struct waiter *waiter) {
    const struct waiter_hint *wanted = waiter->hint;
    struct hint_owed *owed = &entry->hint->owed;
    if (entry->load_err == RD_ECORRUPT && owed->count == 0) {
        replica_mark_dirty(replica, entry);
        return;
    }
    if (entry->digest != wanted->digest || !hint_strike(owed, &wanted->struck))
        return;
    replica->core->stats.hints_delivered++;
    if (owed->count == 0)
        *owed = (struct hint_owed){0};
    replica_mark_dirty(replica, entry);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

enum rd_err replica_hint_loaded(struct replica_entry *entry, const struct blob *row) {
    struct entry_hint *hint = entry->hint;
    enum rd_err err = hint_decode(row->bytes, row->len, &hint->owed, &entry->held);
    if (err == RD_OK) {
        hint->counted = hint->owed;
        hint->counted_bytes = row->len;
    }
    return err;
}

void replica_hint_lost(struct replica *replica) {
    hint_ledger_lost_row(replica->ledger);
    effects_log(replica->core->effects, LOG_WARNING,
                "A stored hint is damaged; it cannot be delivered");
}

enum rd_err replica_hint_row(struct replica *replica, struct replica_entry *entry,
                             struct blob **out) {
    struct entry_hint *hint = entry->hint;
    struct buf bytes = {0};
    struct blob *row = NULL;
    if (hint->owed.count > 0) {
        enum rd_err err = hint_encode(&hint->owed, &entry->held, &bytes);
        if (err == RD_OK)
            err = blob_new(buf_data(&bytes), buf_len(&bytes), &row);
        buf_free(&bytes);
        if (err != RD_OK)
            return err;
    }
    uint64_t len = row == NULL ? 0 : row->len;
    hint_ledger_change(replica->ledger, entry->slot, entry->key, &hint->counted,
                       hint->counted_bytes, &hint->owed, len);
    hint->counted = hint->owed;
    hint->counted_bytes = len;
    entry->load_err = RD_OK;
    *out = row;
    return RD_OK;
}

void replica_hint_failed(struct replica *replica, struct replica_entry *entry) {
    *entry->hint = (struct entry_hint){0};
    replica->ledger->wrong = true;
}
