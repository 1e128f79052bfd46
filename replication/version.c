/* Version vectors (see version.h): sorted arrays, binary search for one actor, linear merges for
 * whole vectors.
 *
 * Not here: what a sibling is, and who may issue a dot.
 *
 * Invariants (version_check):
 * 1. entries are sorted by actor, each actor at most once;
 * 2. no counter is 0 (an actor without dots has no entry);
 * 3. count <= cap, and entries is NULL exactly while cap is 0.
 *
 * Encoding: varint count, then each entry as a dot: incarnation (8 bytes, big-endian: random bits,
 * which a varint would only lengthen), epoch and counter as varints.
 */
#include "replication/version.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/bytes.h"
#include "replication/varint.h"

#define DOT_MIN_BYTES (8 + 1 + 1)
#define GROW_MIN 2

int actor_compare(const struct actor *a, const struct actor *b) {
    if (a->incarnation != b->incarnation) {
        return a->incarnation < b->incarnation ? -1 : 1;
    }
    return (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

int dot_compare(const struct dot *a, const struct dot *b) {
    int order = actor_compare(&a->actor, &b->actor);
    return order != 0 ? order : (a->counter > b->counter) - (a->counter < b->counter);
}

void version_check(const struct version *version) {
    assert(version->count <= version->cap);
    assert((version->entries == NULL) == (version->cap == 0));
    for (uint32_t i = 0; i < version->count; i++) {
        assert(version->entries[i].counter > 0);
        assert(i == 0 ||
               actor_compare(&version->entries[i - 1].actor, &version->entries[i].actor) < 0);
    }
}

enum rd_err version_copy(const struct version *from, struct version *to) {
    struct version copy = {0};
    enum rd_err err = version_reserve(&copy, from->count);
    if (err != RD_OK) {
        return err;
    }
    if (from->count > 0) {
        memcpy(copy.entries, from->entries, from->count * sizeof *copy.entries);
    }
    copy.count = from->count;
    *to = copy;
    return RD_OK;
}

/* The index of the first entry whose actor is not below `actor`. */
static uint32_t lower_bound(const struct version *version, const struct actor *actor) {
    uint32_t low = 0;
    uint32_t high = version->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (actor_compare(&version->entries[middle].actor, actor) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool version_find(const struct version *version, const struct actor *actor, uint32_t *index) {
    uint32_t at = lower_bound(version, actor);
    if (at == version->count || actor_compare(&version->entries[at].actor, actor) != 0) {
        return false;
    }
    *index = at;
    return true;
}

uint64_t version_get(const struct version *version, const struct actor *actor) {
    uint32_t at;
    return version_find(version, actor, &at) ? version->entries[at].counter : 0;
}

bool version_covers(const struct version *version, const struct dot *dot) {
    return dot->counter <= version_get(version, &dot->actor);
}

enum version_order version_compare(const struct version *left, const struct version *right) {
    unsigned order = VERSION_EQUAL;
    uint32_t l = 0;
    uint32_t r = 0;
    while (l < left->count && r < right->count && order != VERSION_CONCURRENT) {
        const struct version_entry *a = &left->entries[l];
        const struct version_entry *b = &right->entries[r];
        int actors = actor_compare(&a->actor, &b->actor);
        if (actors < 0 || (actors == 0 && a->counter > b->counter)) {
            order |= VERSION_LEFT_AHEAD;
        }
        if (actors > 0 || (actors == 0 && a->counter < b->counter)) {
            order |= VERSION_RIGHT_AHEAD;
        }
        l += actors <= 0;
        r += actors >= 0;
    }
    if (l < left->count) {
        order |= VERSION_LEFT_AHEAD;
    }
    if (r < right->count) {
        order |= VERSION_RIGHT_AHEAD;
    }
    return (enum version_order)order;
}

bool version_descends(const struct version *a, const struct version *b) {
    return (version_compare(a, b) & VERSION_RIGHT_AHEAD) == 0;
}

bool version_equal(const struct version *a, const struct version *b) {
    return a->count == b->count && version_compare(a, b) == VERSION_EQUAL;
}

enum rd_err version_reserve(struct version *version, size_t count) {
    if (count <= version->cap) {
        return RD_OK;
    }
    if (count > UINT32_MAX / sizeof *version->entries) {
        return RD_ENOMEM;
    }
    struct version_entry *entries = realloc(version->entries, count * sizeof *entries);
    if (entries == NULL) {
        return RD_ENOMEM;
    }
    version->entries = entries;
    version->cap = (uint32_t)count;
    return RD_OK;
}

enum rd_err version_advance(struct version *version, const struct dot *dot) {
    assert(dot->counter > 0);
    uint32_t at = lower_bound(version, &dot->actor);
    if (at < version->count && actor_compare(&version->entries[at].actor, &dot->actor) == 0) {
        if (version->entries[at].counter < dot->counter) {
            version->entries[at].counter = dot->counter;
        }
        return RD_OK;
    }
    if (version->count == version->cap) {
        size_t grown = version->cap + version->cap / 2;
        if (grown < (size_t)version->cap + GROW_MIN) {
            grown = (size_t)version->cap + GROW_MIN;
        }
        enum rd_err err = version_reserve(version, grown);
        if (err != RD_OK) {
            return err;
        }
    }
    memmove(version->entries + at + 1, version->entries + at,
            (version->count - at) * sizeof *version->entries);
    version->entries[at] = (struct version_entry){.actor = dot->actor, .counter = dot->counter};
    version->count++;
    return RD_OK;
}

/* How many actors of `from` have no entry in `into`. */
static uint32_t count_missing(const struct version *into, const struct version *from) {
    uint32_t missing = 0;
    uint32_t i = 0;
    for (uint32_t f = 0; f < from->count; f++) {
        while (i < into->count &&
               actor_compare(&into->entries[i].actor, &from->entries[f].actor) < 0) {
            i++;
        }
        if (i == into->count ||
            actor_compare(&into->entries[i].actor, &from->entries[f].actor) != 0) {
            missing++;
        }
    }
    return missing;
}

enum rd_err version_join(struct version *into, const struct version *from) {
    uint32_t missing = count_missing(into, from);
    enum rd_err err = version_reserve(into, (size_t)into->count + missing);
    if (err != RD_OK) {
        return err;
    }
    /* From the back, so that nothing unread is overwritten and no second array is needed. */
    uint32_t i = into->count;
    uint32_t f = from->count;
    uint32_t to = into->count + missing;
    into->count = to;
    while (f > 0) {
        const struct version_entry *b = &from->entries[f - 1];
        int order = i == 0 ? -1 : actor_compare(&into->entries[i - 1].actor, &b->actor);
        struct version_entry next = order >= 0 ? into->entries[i - 1] : *b;
        if (order == 0 && next.counter < b->counter) {
            next.counter = b->counter;
        }
        into->entries[--to] = next;
        i -= order >= 0;
        f -= order <= 0;
    }
    assert(to == i); /* what is left lies where it belongs */
    return RD_OK;
}

const struct version_entry *version_newest_epoch(const struct version *version,
                                                 uint64_t incarnation) {
    struct actor last = {.incarnation = incarnation, .epoch = UINT32_MAX};
    uint32_t at = lower_bound(version, &last);
    if (at < version->count && actor_compare(&version->entries[at].actor, &last) == 0) {
        return &version->entries[at];
    }
    if (at == 0 || version->entries[at - 1].actor.incarnation != incarnation) {
        return NULL;
    }
    return &version->entries[at - 1];
}

size_t dot_write(const struct dot *dot, uint8_t *at) {
    bytes_put_u64(at, dot->actor.incarnation);
    size_t n = 8;
    n += varint_write(at + n, dot->actor.epoch);
    n += varint_write(at + n, dot->counter);
    return n;
}

enum rd_err dot_read(const uint8_t *bytes, size_t len, size_t *at, struct dot *out) {
    assert(*at <= len);
    size_t next = *at;
    if (len - next < DOT_MIN_BYTES) {
        return RD_EPROTO;
    }
    uint64_t incarnation = bytes_get_u64(bytes + next);
    next += 8;
    uint64_t epoch;
    uint64_t counter;
    if (varint_get(bytes, len, &next, &epoch) != RD_OK || epoch > UINT32_MAX ||
        varint_get(bytes, len, &next, &counter) != RD_OK || counter == 0 ||
        counter > VERSION_MAX_COUNTER) {
        return RD_EPROTO;
    }
    *out = (struct dot){.actor = {.incarnation = incarnation, .epoch = (uint32_t)epoch},
                        .counter = counter};
    *at = next;
    return RD_OK;
}

size_t version_write_max(const struct version *version) {
    return VARINT_MAX_BYTES + (size_t)version->count * DOT_MAX_BYTES;
}

size_t version_write(const struct version *version, uint8_t *at) {
    size_t n = varint_write(at, version->count);
    for (uint32_t i = 0; i < version->count; i++) {
        struct dot dot = {.actor = version->entries[i].actor,
                          .counter = version->entries[i].counter};
        n += dot_write(&dot, at + n);
    }
    return n;
}

enum rd_err version_encode(const struct version *version, struct buf *out) {
    uint8_t *at;
    enum rd_err err = buf_reserve(out, version_write_max(version), &at);
    if (err != RD_OK) {
        return err;
    }
    buf_commit(out, version_write(version, at));
    return RD_OK;
}

/* Reads `count` entries into `version`, which has room for them. */
static enum rd_err read_entries(const uint8_t *bytes, size_t len, size_t *at, uint32_t count,
                                struct version *version) {
    for (uint32_t i = 0; i < count; i++) {
        struct dot dot;
        enum rd_err err = dot_read(bytes, len, at, &dot);
        if (err != RD_OK) {
            return err;
        }
        if (i > 0 && actor_compare(&version->entries[i - 1].actor, &dot.actor) >= 0) {
            return RD_EPROTO;
        }
        version->entries[i] = (struct version_entry){.actor = dot.actor, .counter = dot.counter};
        version->count = i + 1;
    }
    return RD_OK;
}

enum rd_err version_decode(const uint8_t *bytes, size_t len, struct version *out, size_t *taken) {
    size_t at = 0;
    uint64_t count;
    enum rd_err err = varint_get(bytes, len, &at, &count);
    if (err != RD_OK) {
        return err;
    }
    if (count > VERSION_MAX_ENTRIES) {
        return RD_ETOOBIG;
    }
    if (count > (len - at) / DOT_MIN_BYTES) {
        return RD_EPROTO; /* before anything of that size is allocated */
    }
    struct version version = {0};
    err = version_reserve(&version, count);
    if (err == RD_OK) {
        err = read_entries(bytes, len, &at, (uint32_t)count, &version);
    }
    if (err != RD_OK) {
        version_free(&version);
        return err;
    }
    *out = version;
    *taken = at;
    return RD_OK;
}
