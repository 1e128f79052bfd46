/* Objects as sets: merge, write, delete, and what can be asked of them (see object.h; Dynamo 4.4).
 * Their bytes are in object_codec.c.
 *
 * Invariants (object_check):
 * 1. siblings are sorted newest first, by (stamp, dot), both descending;
 * 2. no dot appears twice, and the vector covers every sibling's dot;
 * 3. every value is there, no stamp exceeds HLC_MAX_STAMP;
 * 4. without a vector there is nothing: no siblings, no deletion;
 * 5. count <= cap, and siblings is NULL exactly while cap is 0.
 *
 * One dot means one write, so both sides of a merge carry it with one stamp, meet it at one place
 * of their order, and a merge is one pass over both. Should damage or a bug give a dot two stamps,
 * it is found among the siblings that both sides seem to have dropped, and the greater (stamp,
 * expiry) is kept on every replica alike.
 *
 * Whatever can fail is reserved before anything is changed.
 */
#include "replication/object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/hlc.h"

/* Merges of up to this many siblings work on the stack. */
#define SMALL_MERGE 16

/* Above this the check for double dots would cost more than it tells. */
#define CHECK_DOTS_MAX 1024

/* The order of siblings in an object: negative if `a` stands before `b`. */
static int sibling_compare(const struct sibling *a, const struct sibling *b) {
    if (a->stamp != b->stamp) {
        return a->stamp > b->stamp ? -1 : 1;
    }
    return -dot_compare(&a->dot, &b->dot);
}

void object_check(const struct object *object) {
    version_check(&object->version);
    assert(object->count <= object->cap);
    assert((object->siblings == NULL) == (object->cap == 0));
    assert(object->deleted_stamp <= HLC_MAX_STAMP);
    assert(object->version.count > 0 || (object->count == 0 && object->deleted_stamp == 0));
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        assert(sibling->value != NULL && sibling->value->refs > 0);
        assert(sibling->stamp <= HLC_MAX_STAMP);
        assert(sibling->dot.counter > 0);
        assert(version_covers(&object->version, &sibling->dot));
        assert(i == 0 || sibling_compare(sibling - 1, sibling) < 0);
        for (uint32_t j = 0; j < i && object->count <= CHECK_DOTS_MAX; j++) {
            assert(dot_compare(&object->siblings[j].dot, &sibling->dot) != 0);
        }
    }
}

static void unref_values(struct object *object) {
    for (uint32_t i = 0; i < object->count; i++) {
        blob_unref(object->siblings[i].value);
    }
}

void object_free_all(struct object *object) {
    unref_values(object);
    free(object->siblings);
    version_free(&object->version);
    *object = (struct object){0};
}

static enum rd_err reserve_siblings(struct object *object, size_t count) {
    if (count <= object->cap) {
        return RD_OK;
    }
    if (count > UINT32_MAX / sizeof *object->siblings) {
        return RD_ENOMEM;
    }
    struct sibling *siblings = realloc(object->siblings, count * sizeof *siblings);
    if (siblings == NULL) {
        return RD_ENOMEM;
    }
    object->siblings = siblings;
    object->cap = (uint32_t)count;
    return RD_OK;
}

enum rd_err object_copy(const struct object *from, struct object *to) {
    struct object copy = {.deleted_stamp = from->deleted_stamp};
    enum rd_err err = version_copy(&from->version, &copy.version);
    if (err == RD_OK) {
        err = reserve_siblings(&copy, from->count);
    }
    if (err != RD_OK) {
        object_free(&copy);
        return err;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        copy.siblings[i] = from->siblings[i];
        blob_ref(copy.siblings[i].value);
    }
    copy.count = from->count;
    *to = copy;
    return RD_OK;
}

bool object_is_empty(const struct object *object) {
    return object->version.count == 0 && object->count == 0;
}

bool object_equal(const struct object *a, const struct object *b) {
    if (a->count != b->count || a->deleted_stamp != b->deleted_stamp ||
        !version_equal(&a->version, &b->version)) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (sibling_compare(&a->siblings[i], &b->siblings[i]) != 0 ||
            a->siblings[i].expires_ms != b->siblings[i].expires_ms) {
            return false;
        }
    }
    return true;
}

/* ---- merge ----------------------------------------------------------------------------------- */

/* The siblings of two objects on their way into one. Every sibling met is put at the front of
 * `siblings` (kept) or at its back (dropped), so there is always room. No references are counted
 * here. */
struct sieve {
    struct sibling *siblings;
    uint32_t size; /* of `siblings`: as many as both objects have together */
    uint32_t kept;
    uint32_t dropped;
    uint32_t into_new;  /* kept, and `into` does not have it */
    uint32_t into_lost; /* `into` has it, and it was dropped or replaced */
    uint32_t from_new;  /* the same of `from` */
    uint32_t from_lost;
    bool clash;
};

static void sieve_keep(struct sieve *sieve, const struct sibling *sibling) {
    assert(sieve->kept + sieve->dropped < sieve->size);
    sieve->siblings[sieve->kept++] = *sibling;
}

/* A sibling that stands on one side only: it stays unless the other side knew it. */
static void sieve_one(struct sieve *sieve, const struct sibling *sibling,
                      const struct version *other, uint32_t *other_new, uint32_t *own_lost) {
    if (!version_covers(other, &sibling->dot)) {
        sieve_keep(sieve, sibling);
        ++*other_new;
        return;
    }
    assert(sieve->kept + sieve->dropped < sieve->size);
    sieve->siblings[sieve->size - ++sieve->dropped] = *sibling;
    ++*own_lost;
}

/* The same dot and stamp on both sides. */
static void sieve_both(struct sieve *sieve, const struct sibling *ours,
                       const struct sibling *theirs) {
    if (ours->expires_ms < theirs->expires_ms) {
        sieve_keep(sieve, theirs);
        sieve->into_lost++;
        sieve->clash = true;
        return;
    }
    sieve_keep(sieve, ours);
    if (ours->expires_ms > theirs->expires_ms) {
        sieve->from_lost++;
        sieve->clash = true;
    }
}

static void sieve_all(struct sieve *sieve, const struct object *into, const struct object *from) {
    uint32_t i = 0;
    uint32_t f = 0;
    while (i < into->count || f < from->count) {
        int order = 0;
        if (i == into->count) {
            order = 1;
        } else if (f == from->count) {
            order = -1;
        } else {
            order = sibling_compare(&into->siblings[i], &from->siblings[f]);
        }
        if (order == 0) {
            sieve_both(sieve, &into->siblings[i++], &from->siblings[f++]);
        } else if (order < 0) {
            sieve_one(sieve, &into->siblings[i++], &from->version, &sieve->from_new,
                      &sieve->into_lost);
        } else {
            sieve_one(sieve, &from->siblings[f++], &into->version, &sieve->into_new,
                      &sieve->from_lost);
        }
    }
}

static int by_order(const void *a, const void *b) {
    return sibling_compare(a, b);
}

/* By dot, and for one dot the greater (stamp, expiry) first. */
static int by_dot(const void *left, const void *right) {
    const struct sibling *a = left;
    const struct sibling *b = right;
    int order = dot_compare(&a->dot, &b->dot);
    if (order == 0) {
        order = (a->stamp < b->stamp) - (a->stamp > b->stamp);
    }
    return order != 0 ? order : (a->expires_ms < b->expires_ms) - (a->expires_ms > b->expires_ms);
}

/* True if `object` has exactly this sibling: the order makes it a binary search. */
static bool carries(const struct object *object, const struct sibling *sibling) {
    return object->count > 0 &&
           bsearch(sibling, object->siblings, object->count, sizeof *sibling, by_order) != NULL;
}

/* Finds dots that both sides dropped although both carry them, with different stamps: they differ
 * in place, so each looked like a sibling the other side had dropped. Only possible if both lost
 * something, which is rare. */
static void sieve_clashes(struct sieve *sieve, const struct object *into,
                          const struct object *from) {
    struct sibling *dropped = sieve->siblings + (sieve->size - sieve->dropped);
    uint32_t count = sieve->dropped;
    qsort(dropped, count, sizeof *dropped, by_dot);
    uint32_t kept = sieve->kept;
    for (uint32_t i = 1; i < count; i++) {
        if (dot_compare(&dropped[i - 1].dot, &dropped[i].dot) != 0) {
            continue;
        }
        struct sibling winner = dropped[i - 1]; /* copied: the front may grow up to here */
        sieve->siblings[sieve->kept++] = winner;
        sieve->into_lost -= carries(into, &winner);
        sieve->from_lost -= carries(from, &winner);
        sieve->clash = true;
    }
    if (sieve->kept > kept) {
        qsort(sieve->siblings, sieve->kept, sizeof *sieve->siblings, by_order);
    }
}

/* Puts the kept siblings in the place of the object's own. `object` has room for them. */
static void adopt(struct object *object, const struct sieve *sieve) {
    assert(sieve->kept <= object->cap);
    for (uint32_t i = 0; i < sieve->kept; i++) {
        blob_ref(sieve->siblings[i].value);
    }
    unref_values(object);
    if (sieve->kept > 0) {
        memcpy(object->siblings, sieve->siblings, sieve->kept * sizeof *object->siblings);
    }
    object->count = sieve->kept;
}

enum rd_err object_merge(struct object *into, const struct object *from,
                         struct object_merge_result *result) {
    if (object_is_empty(from)) {
        if (result != NULL) {
            *result = (struct object_merge_result){.from_behind = !object_is_empty(into)};
        }
        return RD_OK;
    }
    struct sibling small[SMALL_MERGE];
    struct sieve sieve = {.siblings = small, .size = into->count + from->count};
    struct sibling *large = NULL;
    if (sieve.size > SMALL_MERGE) {
        large = malloc(sieve.size * sizeof *large);
        if (large == NULL) {
            return RD_ENOMEM;
        }
        sieve.siblings = large;
    }
    sieve_all(&sieve, into, from);
    if (sieve.into_lost > 0 && sieve.from_lost > 0) {
        sieve_clashes(&sieve, into, from);
    }
    enum version_order order = version_compare(&into->version, &from->version);
    struct object_merge_result found = {
        .changed = (order & VERSION_RIGHT_AHEAD) != 0 || sieve.into_new > 0 ||
                   sieve.into_lost > 0 || from->deleted_stamp > into->deleted_stamp,
        .from_behind = (order & VERSION_LEFT_AHEAD) != 0 || sieve.from_new > 0 ||
                       sieve.from_lost > 0 || into->deleted_stamp > from->deleted_stamp,
        .dot_clash = sieve.clash,
    };
    enum rd_err err = RD_OK;
    if (found.changed) {
        err = reserve_siblings(into, sieve.kept);
        if (err == RD_OK && (order & VERSION_RIGHT_AHEAD) != 0) {
            err = version_join(&into->version, &from->version);
        }
        if (err == RD_OK) {
            adopt(into, &sieve);
            if (into->deleted_stamp < from->deleted_stamp) {
                into->deleted_stamp = from->deleted_stamp;
            }
        }
    }
    free(large);
    if (err == RD_OK && result != NULL) {
        *result = found;
    }
    return err;
}

/* ---- write and delete ------------------------------------------------------------------------ */

uint32_t object_keep_newest(struct object *object) {
    uint32_t gone = 0;
    while (object->count > 1) {
        blob_unref(object->siblings[--object->count].value);
        gone++;
    }
    return gone;
}

/* The lone dot can be said with a vector: nothing below it would be covered that is not covered
 * anyway. */
bool object_reaches(const struct object *object, const struct context *context) {
    if (!context->has_dot) {
        return true;
    }
    uint64_t ours = version_get(&object->version, &context->dot.actor);
    uint64_t shown = version_get(&context->version, &context->dot.actor);
    return (ours > shown ? ours : shown) + 1 >= context->dot.counter;
}

/* Makes room for all that absorb, and a new entry for `dot` (may be NULL), add to the vector. */
static enum rd_err reserve_entries(struct object *object, const struct context *context,
                                   const struct dot *dot) {
    const struct version *version = &object->version;
    size_t entries = version->count;
    uint32_t index;
    if (!version_descends(version, &context->version)) {
        entries += context->version.count;
    }
    if (context->has_dot && !version_find(version, &context->dot.actor, &index)) {
        entries++;
    }
    if (dot != NULL && !version_find(version, &dot->actor, &index)) {
        entries++;
    }
    return version_reserve(&object->version, entries);
}

static uint32_t count_covered(const struct object *object, const struct context *context) {
    uint32_t covered = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        covered += context_covers(context, &object->siblings[i].dot);
    }
    return covered;
}

/* Drops what the context covers and joins it into the vector. Room was reserved, so this cannot
 * fail. */
static void absorb(struct object *object, const struct context *context) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        struct sibling *sibling = &object->siblings[i];
        if (context_covers(context, &sibling->dot)) {
            blob_unref(sibling->value);
        } else {
            object->siblings[kept++] = *sibling;
        }
    }
    object->count = kept;
    enum rd_err err = version_join(&object->version, &context->version);
    assert(err == RD_OK);
    if (context->has_dot && object_reaches(object, context)) {
        err = version_advance(&object->version, &context->dot);
        assert(err == RD_OK);
    }
}

enum rd_err object_write(struct object *object, const struct context *context,
                         const struct dot *dot, uint64_t stamp, struct blob *value,
                         uint64_t expires_ms) {
    assert(value != NULL && stamp <= HLC_MAX_STAMP);
    assert(!version_covers(&object->version, dot) && !context_covers(context, dot));
    enum rd_err err =
        reserve_siblings(object, (size_t)object->count - count_covered(object, context) + 1);
    if (err == RD_OK) {
        err = reserve_entries(object, context, dot);
    }
    if (err != RD_OK) {
        return err;
    }
    absorb(object, context);
    err = version_advance(&object->version, dot);
    assert(err == RD_OK);

    struct sibling sibling = {
        .dot = *dot, .stamp = stamp, .expires_ms = expires_ms, .value = blob_ref(value)};
    uint32_t at = 0;
    while (at < object->count && sibling_compare(&object->siblings[at], &sibling) < 0) {
        at++; /* nearly always 0: a new stamp exceeds those it meets */
    }
    memmove(object->siblings + at + 1, object->siblings + at,
            (object->count - at) * sizeof *object->siblings);
    object->siblings[at] = sibling;
    object->count++;
    return RD_OK;
}

enum rd_err object_overwrite(const struct object *object, const struct dot *dot, uint64_t stamp,
                             struct blob *value, uint64_t expires_ms, struct object *out) {
    assert(value != NULL && stamp <= HLC_MAX_STAMP && !version_covers(&object->version, dot));
    struct object next = {.deleted_stamp = object->deleted_stamp};
    enum rd_err err = version_reserve(&next.version, (size_t)object->version.count + 1);
    if (err == RD_OK) {
        err = reserve_siblings(&next, 1);
    }
    if (err != RD_OK) {
        object_free(&next);
        return err;
    }
    next.version.count = object->version.count;
    if (next.version.count > 0) {
        memcpy(next.version.entries, object->version.entries,
               next.version.count * sizeof *next.version.entries);
    }
    err = version_advance(&next.version, dot);
    assert(err == RD_OK); /* there is room */
    next.siblings[0] = (struct sibling){
        .dot = *dot, .stamp = stamp, .expires_ms = expires_ms, .value = blob_ref(value)};
    next.count = 1;
    *out = next;
    return RD_OK;
}

enum rd_err object_remove(struct object *object, const struct context *context, uint64_t stamp,
                          uint32_t *removed) {
    assert(stamp <= HLC_MAX_STAMP);
    enum rd_err err = reserve_entries(object, context, NULL);
    if (err != RD_OK) {
        return err;
    }
    uint32_t before = object->count;
    absorb(object, context);
    uint32_t gone = before - object->count;
    if (gone > 0 && object->deleted_stamp < stamp) {
        object->deleted_stamp = stamp;
    }
    if (removed != NULL) {
        *removed = gone;
    }
    return RD_OK;
}

/* ---- questions ------------------------------------------------------------------------------- */

bool sibling_expired(const struct sibling *sibling, uint64_t wall_ms) {
    return sibling->expires_ms != 0 && sibling->expires_ms <= wall_ms;
}

const struct sibling *object_winner(const struct object *object, uint64_t wall_ms) {
    for (uint32_t i = 0; i < object->count; i++) {
        if (!sibling_expired(&object->siblings[i], wall_ms)) {
            return &object->siblings[i];
        }
    }
    return NULL;
}

uint32_t object_uncovered(const struct object *merged, const struct object *sent) {
    if (sent->count > 0 && !carries(merged, &sent->siblings[0])) {
        return 0;
    }
    uint32_t uncovered = 0;
    uint32_t s = 0;
    for (uint32_t m = 0; m < merged->count; m++) {
        while (s < sent->count && sibling_compare(&sent->siblings[s], &merged->siblings[m]) < 0) {
            s++;
        }
        if (s == sent->count || sibling_compare(&sent->siblings[s], &merged->siblings[m]) != 0) {
            uncovered++;
        }
    }
    return uncovered;
}

uint64_t object_newest_stamp(const struct object *object) {
    uint64_t newest = object->count > 0 ? object->siblings[0].stamp : 0;
    return newest > object->deleted_stamp ? newest : object->deleted_stamp;
}

uint64_t object_next_expiry_ms(const struct object *object) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        uint64_t expires_ms = object->siblings[i].expires_ms;
        if (expires_ms != 0 && (next == 0 || expires_ms < next)) {
            next = expires_ms;
        }
    }
    return next;
}

uint64_t object_bytes(const struct object *object) {
    uint64_t bytes =
        sizeof *object + (uint64_t)object->version.count * sizeof *object->version.entries;
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        bytes += sizeof *sibling + sizeof *sibling->value + sibling->value->len;
    }
    return bytes;
}

enum rd_err object_context(const struct object *object, struct context *out) {
    struct context context = {.stamp = object_newest_stamp(object)};
    enum rd_err err = version_copy(&object->version, &context.version);
    if (err == RD_OK) {
        *out = context;
    }
    return err;
}

enum rd_err object_context_after(const struct object *object, const struct context *before,
                                 const struct dot *dot, struct context *out) {
    bool alone = dot == NULL
                     ? object->count == 0
                     : object->count == 1 && dot_compare(&object->siblings[0].dot, dot) == 0;
    struct context after;
    enum rd_err err = alone ? object_context(object, &after) : context_copy(before, &after);
    if (err == RD_OK && !alone && dot != NULL) {
        err = context_add(&after, dot);
        if (err != RD_OK) {
            context_free(&after);
        }
    }
    if (err != RD_OK) {
        return err;
    }
    if (after.stamp < before->stamp) {
        after.stamp = before->stamp;
    }
    if (after.stamp < object_newest_stamp(object)) {
        after.stamp = object_newest_stamp(object); /* a higher stamp never harms */
    }
    *out = after;
    return RD_OK;
}
