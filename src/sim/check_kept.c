/* sim/check_kept: see check_kept.h.
 *
 * A write is known by the number in its value, and its dots by the rows in which they first appear.
 * A store has a write if the vector of its row covers one of them: it has the value, or what
 * replaced it. A fallback that has delivered its hint forgets it; what it held until then counts for
 * it all the same. */
#include "sim/check_kept.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "replication/hint.h"
#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/workload.h"

#define MOST_DOTS 8 /* of one write: two rounds or more, and retries; the newest are remembered */

struct written {                /* the dots of one write */
    uint64_t name;              /* of key and value; 0: free */
    uint32_t count;             /* seen so far */
    struct dot dots[MOST_DOTS]; /* a ring */
    uint64_t newest_us;         /* when the last of them first appeared */
};

struct delivered { /* what a machine's hints of a key said before they were erased */
    uint32_t node;
    uint64_t key;           /* its hash */
    struct version version; /* owned */
};

struct kept {
    struct kept_input from;
    struct written *written; /* owned; a hash table of `size`, a power of two */
    size_t size, count;
    struct delivered *delivered; /* owned */
    size_t delivered_count, delivered_cap;
    struct node_id ids[NETWORK_MAX_NODES]; /* of the machines, as far as they were seen running */
};

struct kept *kept_new(const struct kept_input *input) {
    struct kept *kept = mem_zero(sizeof *kept);
    kept->from = *input;
    kept->size = 1024;
    kept->written = mem_zero(kept->size * sizeof *kept->written);
    return kept;
}

void kept_free(struct kept **handle) {
    struct kept *kept = *handle;
    if (kept == NULL) {
        return;
    }
    for (size_t i = 0; i < kept->delivered_count; i++) {
        version_free(&kept->delivered[i].version);
    }
    free(kept->delivered);
    free(kept->written);
    free(kept);
    *handle = NULL;
}

static uint64_t hash_of(const struct blob *key) {
    return hash_xxh64(key->bytes, key->len, 0);
}

/* ---- which dots a write has ------------------------------------------------------------------ */

static struct written *find(struct kept *kept, uint64_t key, uint64_t value_id) {
    uint64_t name = hash_xxh64(&value_id, sizeof value_id, key) | 1;
    size_t i = name & (kept->size - 1);
    while (kept->written[i].name != 0 && kept->written[i].name != name) {
        i = (i + 1) & (kept->size - 1);
    }
    if (kept->written[i].name == 0) {
        kept->written[i].name = name;
        kept->count++;
    }
    return &kept->written[i];
}

static void grow(struct kept *kept) {
    struct written *old = kept->written;
    size_t size = kept->size;
    kept->size *= 2;
    kept->written = mem_zero(kept->size * sizeof *old);
    for (size_t i = 0; i < size; i++) {
        size_t at = old[i].name & (kept->size - 1);
        while (old[i].name != 0 && kept->written[at].name != 0) {
            at = (at + 1) & (kept->size - 1);
        }
        if (old[i].name != 0) {
            kept->written[at] = old[i];
        }
    }
    free(old);
}

static uint32_t dots_of(const struct written *written) {
    return written->count < MOST_DOTS ? written->count : MOST_DOTS;
}

static void note_dots(struct kept *kept, uint64_t key, const struct object *object) {
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        uint64_t id = workload_value_id(sibling->value);
        if (id == 0) {
            continue;
        }
        if (2 * kept->count >= kept->size) {
            grow(kept);
        }
        struct written *written = find(kept, key, id);
        uint32_t k = 0, known = dots_of(written);
        while (k < known && dot_compare(&written->dots[k], &sibling->dot) != 0) {
            k++;
        }
        if (k == known) {
            written->dots[written->count++ % MOST_DOTS] = sibling->dot;
            written->newest_us = world_now_us(kept->from.world);
        }
    }
}

/* ---- what stores hold ------------------------------------------------------------------------ */

struct look {
    const struct blob *key;
    struct object object, hint;
    struct hint_owed owed;
    bool has_object, has_hint;
};

static void look_at_row(void *arg, enum store_space space, const struct store_row *row) {
    struct look *look = arg;
    if (row->err != RD_OK || row->key_len != look->key->len ||
        memcmp(row->key, look->key->bytes, row->key_len) != 0) {
        return;
    }
    if (space == STORE_OBJECTS) {
        look->has_object =
            object_decode(row->value->bytes, row->value->len, &look->object) == RD_OK;
    } else if (space == STORE_HINTS) {
        look->has_hint =
            hint_decode(row->value->bytes, row->value->len, &look->owed, &look->hint) == RD_OK;
    }
}

/* Free with look_free. */
static struct look look_into(struct world *world, uint32_t node, const struct blob *key) {
    struct look look = {.key = key};
    store_mem_each(world_disk(world, node)->store, look_at_row, &look);
    return look;
}

static void look_free(struct look *look) {
    if (look->has_object) {
        object_free(&look->object);
    }
    if (look->has_hint) {
        object_free(&look->hint);
    }
}

static struct version *delivered_by(struct kept *kept, uint32_t node, uint64_t key) {
    for (size_t i = 0; i < kept->delivered_count; i++) {
        if (kept->delivered[i].node == node && kept->delivered[i].key == key) {
            return &kept->delivered[i].version;
        }
    }
    return NULL;
}

static void note_delivered(struct kept *kept, uint32_t node, uint64_t key,
                           const struct version *version) {
    struct version *known = delivered_by(kept, node, key);
    if (known == NULL) {
        kept->delivered = mem_grow(kept->delivered, &kept->delivered_cap, kept->delivered_count + 1,
                                   sizeof *kept->delivered);
        kept->delivered[kept->delivered_count] = (struct delivered){.node = node, .key = key};
        known = &kept->delivered[kept->delivered_count++].version;
    }
    mem_must(version_join(known, version));
}

static bool has_own_disk(const struct kept *kept, uint32_t node) {
    return kept->from.faults == NULL || !faults_is_unmounted(kept->from.faults, node);
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* The machine of that id; UINT32_MAX: none that was seen. */
static uint32_t machine_of(struct kept *kept, const struct node_id *id) {
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < world_nodes(kept->from.world); i++) {
        const struct node *node = world_node(kept->from.world, i);
        if (node != NULL && has_own_disk(kept, i)) {
            kept->ids[i] = node_self(node);
        }
        if (node_id_compare(&kept->ids[i], id) == 0) {
            found = i;
        }
    }
    return found;
}

static bool ever_lost(const struct kept *kept, uint32_t node, const struct blob *key) {
    const struct losses *losses =
        kept->from.faults == NULL ? NULL : faults_losses(kept->from.faults);
    for (size_t i = 0; losses != NULL && i < losses->count; i++) {
        if (losses->items[i].node == node && losses->items[i].key == workload_key_number(key)) {
            return true;
        }
    }
    return false;
}

/* True if the store of `target` has all that the hint has, or has lost it since. */
static bool has_all(struct kept *kept, const struct node_id *target, const struct blob *key,
                    const struct object *hint) {
    uint32_t machine = machine_of(kept, target);
    if (machine == UINT32_MAX || !has_own_disk(kept, machine) || ever_lost(kept, machine, key)) {
        return true;
    }
    struct look look = look_into(kept->from.world, machine, key);
    bool has = version_descends(&look.object.version, &hint->version); /* no row: an empty one */
    look_free(&look);
    return has;
}

/* A row that a hint becomes; `after` owes nothing if the row is erased. */
static void see_change(struct kept *kept, uint32_t node, const struct blob *key,
                       const struct hint_owed *after, struct buf *violation) {
    struct look before = look_into(kept->from.world, node, key);
    for (uint8_t i = 0; before.has_hint && before.owed.must && i < before.owed.count; i++) {
        const struct node_id *target = &before.owed.targets[i];
        bool owed = hint_owes(after, target);
        if ((owed && after->must) || has_all(kept, target, key, &before.hint)) {
            continue;
        }
        mem_printf(violation,
                   "given up: at %llu us machine %u %s a hint for %.*s on which an acknowledgement "
                   "rests, and the node that it is for does not have it",
                   (unsigned long long)world_now_us(kept->from.world), node,
                   owed ? "no longer insists on" : "forgets", (int)key->len,
                   (const char *)key->bytes);
        break;
    }
    if (before.has_hint && after->count == 0) {
        note_delivered(kept, node, hash_of(key), &before.hint.version);
    }
    look_free(&before);
}

void kept_see(struct kept *kept, uint32_t node, const struct effect *put, struct buf *violation) {
    assert(put->kind == EFF_STORE_PUT);
    struct object object = {0};
    struct hint_owed owed = {0};
    const struct blob *row = put->store_put.value, *key = put->store_put.at.key;
    uint8_t space = put->store_put.at.space;
    enum rd_err err = RD_OK;
    if (space == STORE_OBJECTS && row != NULL) {
        err = object_decode(row->bytes, row->len, &object);
    } else if (space == STORE_HINTS && row != NULL) {
        err = hint_decode(row->bytes, row->len, &owed, &object);
    }
    if (err != RD_OK) {
        return; /* check_dots has words for it */
    }
    note_dots(kept, hash_of(key), &object);
    object_free(&object);
    if (space == STORE_HINTS && buf_len(violation) == 0 && !kept->from.plan->beyond) {
        see_change(kept, node, key, &owed, violation);
    }
}

struct sum {
    size_t hints;
};

static void count_row(void *arg, enum store_space space, const struct store_row *row) {
    (void)row;
    ((struct sum *)arg)->hints += space == STORE_HINTS;
}

size_t kept_hints(const struct world *world) {
    struct sum sum = {0};
    for (uint32_t i = 0; i < world_nodes(world); i++) {
        store_mem_each(world_disk((struct world *)world, i)->store, count_row, &sum);
    }
    return sum.hints;
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static bool covers_any(const struct version *version, const struct written *written) {
    for (uint32_t i = 0; version != NULL && i < dots_of(written); i++) {
        if (version_covers(version, &written->dots[i])) {
            return true;
        }
    }
    return false;
}

static bool holds(struct kept *kept, uint32_t node, const struct op *op,
                  const struct written *written) {
    struct look look = look_into(kept->from.world, node, op->key);
    bool has = (look.has_object && covers_any(&look.object.version, written)) ||
               (look.has_hint && covers_any(&look.hint.version, written)) ||
               covers_any(delivered_by(kept, node, hash_of(op->key)), written);
    look_free(&look);
    return has;
}

void kept_answer(struct kept *kept, const struct op *op, struct buf *violation) {
    const struct node_conf *conf = &kept->from.plan->world.node;
    if (op->kind != CLIENT_WRITE || op->err != RD_OK || op->value_id == 0 || op->value == NULL ||
        kept->from.plan->beyond || buf_len(violation) > 0) {
        return;
    }
    const struct written *written = find(kept, hash_of(op->key), op->value_id);
    uint32_t nodes = world_nodes(kept->from.world), w = op->w > 0 ? op->w : conf->w, holding = 0;
    uint32_t n = conf->n < nodes ? conf->n : nodes;
    if (written->count == 0 || written->newest_us < op->asked_us) {
        return; /* replaced in the turn in which it came: its dot was in no row, and those of earlier tries say nothing */
    }
    for (uint32_t i = 0; i < nodes; i++) {
        holding += !has_own_disk(kept, i) || holds(kept, i, op, written);
    }
    uint64_t now_us = world_now_us(kept->from.world);
    uint32_t lost = kept->from.faults == NULL
                        ? 0
                        : losses_count(faults_losses(kept->from.faults),
                                       workload_key_number(op->key), op->asked_us, now_us);
    if (holding + lost < (w < n ? w : n)) {
        mem_printf(violation,
                   "hollow: request %llu wrote %.*s and was told so when %u stores had it, with "
                   "W=%u and %u fallbacks counted in",
                   (unsigned long long)op->tag, (int)op->key->len, (const char *)op->key->bytes,
                   holding, w < n ? w : n, op->stand_ins);
    }
}
