/* sim/faults: disks and clocks.
 *
 * Each row that is destroyed is noted in `losses`: the row that vanishes or is damaged, all rows of
 * a disk that is emptied, and those that are others in an old copy than they were. A disk that is
 * unmounted destroys nothing: it comes back. Meanwhile the machine listens elsewhere, or its empty node would take its own places. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sim/faults_internal.h"
#include "sim/mem.h"
#include "sim/workload.h"

static struct store *store_of(struct faults *faults, uint32_t node) {
    return world_disk(faults->world, node)->store;
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct rows {           /* what a disk holds of each key */
    uint64_t *contents; /* owned; by key number: a hash; 0: no row, or a damaged one */
};

static void note_row(void *arg, enum store_space space, const struct store_row *row) {
    struct rows *rows = arg;
    if ((space == STORE_OBJECTS || space == STORE_HINTS) && row->err == RD_OK) {
        uint64_t *content = &rows->contents[workload_number(row->key, row->key_len)];
        *content = hash_xxh64(row->value->bytes, row->value->len, *content) | 1;
    }
}

static struct rows rows_of(struct faults *faults, uint32_t node) {
    struct rows rows = {mem_zero(faults->plan->keys * sizeof *rows.contents)};
    store_mem_each(store_of(faults, node), note_row, &rows);
    return rows;
}

/* Notes what was there before and is not now. Frees `before`. */
static void note_losses(struct faults *faults, uint32_t node, struct rows *before) {
    struct rows now = rows_of(faults, node);
    for (uint32_t key = 0; key < faults->plan->keys; key++) {
        if (before->contents[key] != 0 && before->contents[key] != now.contents[key]) {
            losses_add(&faults->losses, key, node, world_now_us(faults->world));
        }
    }
    free(now.contents);
    free(before->contents);
}

/* The place of a key's row on every disk. */
static struct store_key place(const struct node *node, const struct blob *key) {
    return (struct store_key){.space = STORE_OBJECTS,
                              .slot = node_slot(node, key->bytes, key->len),
                              .key = key->bytes,
                              .key_len = key->len};
}

static void hurt_row(struct faults *faults, uint32_t node, uint32_t number, bool erases) {
    if (world_state(faults->world, node) != NODE_RUNNING || faults->unmounted[node] != NULL) {
        return;
    }
    struct blob *key = workload_key(number);
    struct store_key at = place(world_node(faults->world, node), key);
    struct store *store = store_of(faults, node);
    bool had = erases ? store_mem_erase_row(store, &at) : store_mem_corrupt_row(store, &at);
    if (had) {
        losses_add(&faults->losses, number, node, world_now_us(faults->world));
    }
    blob_unref(key);
}

/* ---- whole disks ----------------------------------------------------------------------------- */

struct names {          /* places of rows */
    struct blob **keys; /* owned */
    struct store_key *at;
    size_t count, cap, at_cap;
};

static void note_place(void *arg, enum store_space space, const struct store_row *row) {
    struct names *names = arg;
    if (space != STORE_OBJECTS && space != STORE_HINTS) {
        return;
    }
    names->keys = mem_grow(names->keys, &names->cap, names->count + 1, sizeof *names->keys);
    names->at = mem_grow(names->at, &names->at_cap, names->count + 1, sizeof *names->at);
    struct blob *key = mem_blob(row->key, row->key_len);
    names->keys[names->count] = key;
    names->at[names->count++] = (struct store_key){
        .space = space, .slot = row->slot, .key = key->bytes, .key_len = key->len};
}

/* Empties the disk of all but what the node is called and whom it belongs to. */
static void empty(struct faults *faults, uint32_t node) {
    struct names names = {0};
    struct rows before = rows_of(faults, node);
    store_mem_each(store_of(faults, node), note_place, &names);
    for (size_t i = 0; i < names.count; i++) {
        store_mem_erase_row(store_of(faults, node), &names.at[i]);
        blob_unref(names.keys[i]);
    }
    free(names.keys);
    free(names.at);
    note_losses(faults, node, &before);
}

/* Ends the process; the machine is started again later. */
static void turn_off(struct faults *faults, uint32_t node) {
    world_crash(faults->world, node, CRASH_PROCESS);
}

static void start_later(struct faults *faults, uint32_t node) {
    faults_last(faults, &(struct lasting){.kind = FAULT_KILL, .node = node},
                faults->length_us / 10);
}

static void wipe(struct faults *faults, uint32_t node) {
    if (faults->unmounted[node] == NULL) {
        turn_off(faults, node);
        empty(faults, node);
        start_later(faults, node);
    }
}

static void back_up(struct faults *faults, uint32_t node) {
    bool empty = (faults->emptied >> node & 1) != 0; /* and may have no name yet */
    if (faults->unmounted[node] == NULL && faults->backups[node] == NULL && !empty) {
        mem_must(store_mem_snapshot(store_of(faults, node), &faults->backups[node]));
    }
}

static void restore(struct faults *faults, uint32_t node) {
    if (faults->backups[node] != NULL && faults->unmounted[node] == NULL) {
        turn_off(faults, node);
        struct rows before = rows_of(faults, node);
        mem_must(store_mem_restore(store_of(faults, node), faults->backups[node]));
        note_losses(faults, node, &before);
        start_later(faults, node);
    }
    store_mem_image_free(&faults->backups[node]);
}

static bool any_unmounted(const struct faults *faults) {
    for (uint32_t i = 0; i < world_nodes(faults->world); i++) {
        if (faults->unmounted[i] != NULL) {
            return true;
        }
    }
    return false;
}

bool faults_is_unmounted(const struct faults *faults, uint32_t node) {
    return faults->unmounted[node] != NULL;
}

bool faults_is_filled(const struct node *node, struct instant now) {
    struct node_stats stats;
    node_stats(node, &stats);
    for (size_t i = 0; i < node_member_count(node); i++) {
        struct member_view view;
        node_member(node, i, now, &view);
        if (view.status == MEMBER_JOINING) {
            return false;
        }
    }
    return stats.born;
}

/* Sees who has its places again. */
static void note_filled(struct faults *faults) {
    for (uint32_t i = 0; i < world_nodes(faults->world); i++) {
        const struct node *node = world_node(faults->world, i);
        if (node != NULL && faults_is_filled(node, world_instant(faults->world, i))) {
            faults->emptied &= ~(UINT32_C(1) << i);
        }
    }
}

/* The machine starts with an empty disk, so under another name. Within the promise only one does
 * at a time, and not the only one there is: two might found a cluster of their own. */
static bool unmount(struct faults *faults, uint32_t node) {
    note_filled(faults);
    bool lonely = world_nodes(faults->world) == 1 || any_unmounted(faults) || faults->emptied != 0;
    if (faults->unmounted[node] != NULL || (lonely && !faults->plan->beyond)) {
        return false;
    }
    turn_off(faults, node);
    mem_must(store_mem_snapshot(store_of(faults, node), &faults->unmounted[node]));
    store_mem_wipe(store_of(faults, node));
    world_node_conf(faults->world, node)->cluster_port++;
    faults_start_if_off(faults, node);
    return true;
}

static void mount(struct faults *faults, uint32_t node) {
    if (faults->unmounted[node] != NULL) {
        turn_off(faults, node);
        mem_must(store_mem_restore(store_of(faults, node), faults->unmounted[node]));
        store_mem_image_free(&faults->unmounted[node]);
        world_node_conf(faults->world, node)->cluster_port--;
    }
}

/* Empties the disk of everything. Within the promise one at a time, and only where enough other replicas stay: the cluster lets it
 * in on no other terms. */
static void empty_wholly(struct faults *faults, uint32_t node) {
    const struct node_conf *conf = &faults->plan->world.node;
    uint32_t nodes = world_nodes(faults->world);
    note_filled(faults);
    if (faults->emptied != 0 || any_unmounted(faults) ||
        conf->w >= (conf->n < nodes ? conf->n : nodes)) {
        return;
    }
    turn_off(faults, node);
    struct rows before = rows_of(faults, node);
    store_mem_wipe(store_of(faults, node));
    note_losses(faults, node, &before);
    store_mem_image_free(&faults->backups[node]);
    faults->emptied |= UINT32_C(1) << node;
    start_later(faults, node);
}

static void for_all(struct faults *faults, void (*what)(struct faults *faults, uint32_t node)) {
    for (uint32_t i = 0; i < world_nodes(faults->world); i++) {
        what(faults, i);
    }
}

/* Every copy of some keys. */
static void damage_everywhere(struct faults *faults) {
    uint32_t one_of = 1 + (uint32_t)prng_below(&faults->prng, 4);
    for (uint32_t key = 0; key < faults->plan->keys; key++) {
        if (prng_chance(&faults->prng, 1, one_of)) {
            for (uint32_t i = 0; i < world_nodes(faults->world); i++) {
                hurt_row(faults, i, key, false);
            }
        }
    }
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void begin_whole(struct faults *faults, struct lasting *lasting) {
    switch (lasting->kind) {
    case FAULT_WIPE:
        wipe(faults, lasting->node);
        return;
    case FAULT_WIPE_BESIDE_CUT:
        if (lasting->other != lasting->node) {
            faults_isolate(faults, lasting->other, false);
            wipe(faults, lasting->node);
        }
        break;
    case FAULT_UNMOUNT:
        if (!unmount(faults, lasting->node)) {
            return;
        }
        break;
    case FAULT_RESTORE:
        back_up(faults, lasting->node);
        break;
    case FAULT_EMPTIED:
        empty_wholly(faults, lasting->node);
        return;
    case FAULT_WIPE_ALL:
        for_all(faults, wipe);
        return;
    case FAULT_RESTORE_ALL:
        for_all(faults, back_up);
        break;
    default:
        damage_everywhere(faults);
        return;
    }
    faults_last(faults, lasting, faults->length_us);
}

/* A few reads or commits fail. A sync that fails may have written all the same, which is seen if the process ends soon after. */
static void begin_errors(struct faults *faults, uint32_t node) {
    static const enum store_mem_op fails[] = {STORE_MEM_GET,    STORE_MEM_GET,  STORE_MEM_SCAN,
                                              STORE_MEM_COMMIT, STORE_MEM_SYNC, STORE_MEM_SYNC};
    enum store_mem_op op = fails[prng_below(&faults->prng, sizeof fails / sizeof *fails)];
    uint64_t times = 1 + prng_below(&faults->prng, 5);
    if (op == STORE_MEM_SYNC && prng_chance(&faults->prng, 1, 2)) {
        times = UINT64_MAX;
        world_crash_after(faults->world, node, 1 + prng_below(&faults->prng, 100), CRASH_PROCESS);
    }
    store_mem_fail(store_of(faults, node), op, RD_EIO, times);
}

static void begin_failing(struct faults *faults, const struct lasting *lasting) {
    if (lasting->kind == FAULT_DISK_FULL) {
        store_mem_fail(store_of(faults, lasting->node), STORE_MEM_COMMIT, RD_EFULL, UINT64_MAX);
    } else if (world_state(faults->world, lasting->node) == NODE_RUNNING) { /* not during a start */
        begin_errors(faults, lasting->node);
    }
    faults_last(faults, lasting, faults->length_us);
}

void faults_begin_disk(struct faults *faults, enum plan_fault kind) {
    struct lasting lasting = {
        .kind = kind, .node = faults_draw_node(faults), .other = faults_draw_node(faults)};
    struct clock *clock = world_clock(faults->world, lasting.node);
    uint64_t skew_us = (uint64_t)faults->plan->skew_us;
    switch (kind) {
    case FAULT_DISK_FULL:
    case FAULT_DISK_ERROR:
        begin_failing(faults, &lasting);
        return;
    case FAULT_ROW_LOST:
    case FAULT_ROW_DAMAGED:
        hurt_row(faults, lasting.node, (uint32_t)prng_below(&faults->prng, faults->plan->keys),
                 kind == FAULT_ROW_LOST);
        return;
    case FAULT_CLOCK_JUMP:
        clock_jump(clock, (int64_t)prng_below(&faults->prng, skew_us + 1));
        return;
    case FAULT_CLOCK_BACK:
        clock_jump(clock, -(int64_t)prng_below(&faults->prng, skew_us + 1));
        return;
    case FAULT_CLOCK_DRIFT:
        clock_set_drift(clock, world_now_us(faults->world),
                        (int32_t)prng_below(&faults->prng, 100001) - 50000);
        faults_last(faults, &lasting, faults->length_us);
        return;
    default:
        begin_whole(faults, &lasting);
        return;
    }
}

static void mend_store(struct faults *faults, uint32_t node) {
    for (int op = 0; op < STORE_MEM_OPS; op++) {
        store_mem_fail(store_of(faults, node), (enum store_mem_op)op, RD_EIO, 0);
    }
}

void faults_end_disk(struct faults *faults, const struct lasting *lasting) {
    switch (lasting->kind) {
    case FAULT_DISK_FULL:
    case FAULT_DISK_ERROR:
        mend_store(faults, lasting->node);
        faults_start_if_off(faults, lasting->node);
        break;
    case FAULT_CLOCK_DRIFT:
        clock_set_drift(world_clock(faults->world, lasting->node), world_now_us(faults->world), 0);
        break;
    case FAULT_WIPE_BESIDE_CUT:
        faults_isolate(faults, lasting->other, true);
        break;
    case FAULT_UNMOUNT:
        mount(faults, lasting->node);
        faults_start_if_off(faults, lasting->node);
        break;
    case FAULT_RESTORE:
        restore(faults, lasting->node);
        break;
    case FAULT_RESTORE_ALL:
        for_all(faults, restore);
        break;
    default:
        break;
    }
}

void faults_mend(struct faults *faults, uint32_t node) {
    mend_store(faults, node);
    clock_set_drift(world_clock(faults->world, node), world_now_us(faults->world), 0);
    mount(faults, node);
    store_mem_image_free(&faults->backups[node]);
}
