/* Records of places taken; see successors.h. Packed: the two ids of each record, in order.
 *
 * Invariants: sorted by (gone, by), each once; no id is `by` of a record in which it is `gone` too. */
#include "replication/successors.h"

#include <stdlib.h>
#include <string.h>

#define PACKED_BYTES (2 * NODE_ID_BYTES)

void successors_free(struct successors *all) {
    free(all->items);
    *all = (struct successors){0};
}

static int compare(const struct succession *a, const struct succession *b) {
    int order = node_id_compare(&a->gone, &b->gone);
    return order != 0 ? order : node_id_compare(&a->by, &b->by);
}

/* The first record that names `id` as one that came; NULL: there is none. */
static const struct succession *coming_of(const struct successors *all, const struct node_id *id) {
    for (size_t i = 0; i < all->count; i++)
        if (node_id_compare(&all->items[i].by, id) == 0)
            return &all->items[i];
    return NULL;
}

/* The first record of `id` that counts: it names the lowest that claimed its place; NULL: it is not gone. */
static const struct succession *first_of(const struct successors *all, const struct node_id *id) {
    for (size_t i = 0; i < all->count; i++) {
        const struct succession *at = &all->items[i];
        if (node_id_compare(&at->gone, id) == 0 && coming_of(all, &at->by) == at)
            return at;
    }
    return NULL;
}

bool successors_is_gone(const struct successors *all, const struct node_id *id) {
    return first_of(all, id) != NULL;
}

bool successors_has_come(const struct successors *all, const struct node_id *id) {
    return coming_of(all, id) != NULL;
}

struct node_id successors_holder(const struct successors *all, const struct node_id *id) {
    struct node_id holder = *id;
    const struct succession *next;
    for (size_t steps = 0; steps < all->count && (next = first_of(all, &holder)) != NULL; steps++)
        holder = next->by; /* so many steps at the most: records of a faulty peer might go round */
    return holder;
}

enum rd_err successors_add(struct successors *all, const struct node_id *gone,
                           const struct node_id *by, bool *changed) {
    const struct succession added = {*gone, *by};
    size_t at = 0;
    while (at < all->count && compare(&all->items[at], &added) < 0)
        at++;
    if (at < all->count && compare(&all->items[at], &added) == 0) {
        *changed = false;
        return RD_OK;
    }
    if (node_id_compare(gone, by) == 0)
        return RD_EREFUSED;
    if (all->count == SUCCESSORS_MAX)
        return RD_ETOOBIG;
    if (all->count == all->cap) {
        size_t cap = all->cap == 0 ? 4 : all->cap * 2;
        struct succession *grown = realloc(all->items, cap * sizeof(*grown));
        if (grown == NULL)
            return RD_ENOMEM;
        all->items = grown;
        all->cap = cap;
    }
    memmove(all->items + at + 1, all->items + at, (all->count - at) * sizeof(added));
    all->items[at] = added;
    all->count++;
    *changed = true;
    return RD_OK;
}

enum rd_err successors_pack(const struct successors *all, struct buf *out) {
    enum rd_err err = RD_OK;
    for (size_t i = 0; err == RD_OK && i < all->count; i++) {
        err = buf_append(out, all->items[i].gone.bytes, NODE_ID_BYTES);
        if (err == RD_OK)
            err = buf_append(out, all->items[i].by.bytes, NODE_ID_BYTES);
    }
    return err;
}

static struct succession record_at(struct resp_slice packed, size_t at) {
    struct succession record;
    memcpy(record.gone.bytes, packed.data + at, NODE_ID_BYTES);
    memcpy(record.by.bytes, packed.data + at + NODE_ID_BYTES, NODE_ID_BYTES);
    return record;
}

/* True if the records are in order, each once, and none names one node twice. */
static bool is_sound(struct resp_slice packed) {
    if (packed.len % PACKED_BYTES != 0 || packed.len / PACKED_BYTES > SUCCESSORS_MAX)
        return false;
    for (size_t at = 0; at < packed.len; at += PACKED_BYTES) {
        struct succession record = record_at(packed, at);
        if (node_id_compare(&record.gone, &record.by) == 0 ||
            (at > 0 &&
             memcmp(packed.data + at - PACKED_BYTES, packed.data + at, PACKED_BYTES) >= 0))
            return false;
    }
    return true;
}

enum rd_err successors_merge(struct successors *all, struct resp_slice packed, bool *changed,
                             bool *whole) {
    bool any = false;
    if (!is_sound(packed))
        return RD_EPROTO;
    for (size_t at = 0; at < packed.len; at += PACKED_BYTES) {
        struct succession record = record_at(packed, at);
        bool added;
        enum rd_err err = successors_add(all, &record.gone, &record.by, &added);
        if (err != RD_OK) {
            *changed = any;
            *whole = false;
            return err;
        }
        any |= added;
    }
    *changed = any;
    *whole = packed.len == all->count * PACKED_BYTES;
    return RD_OK;
}
