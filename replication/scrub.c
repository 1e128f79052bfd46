/* The scrub: see scrub.h. A slot is read page by page; its leaves are compared with the recount only where they are what they were
 * when the reading began. */
#include "replication/scrub.h"

#include <assert.h>

#include "replication/bytes.h"
#include "replication/object.h"

#define PAGE_ROWS 128
#define PAGE_BYTES 262144
#define MAX_TRIES 8
#define WALK_PAUSE_US                                                                              \
    1000000 /* between two slots of the walk: a round takes hours, and costs nothing that shows */
#define ROW_COST 64

void scrub_init(struct scrub *scrub, struct core *core) {
    *scrub = (struct scrub){.core = core};
}

static void begin_again(struct scrub *scrub) {
    blob_unref(scrub->after);
    scrub->after = NULL;
}

void scrub_free(struct scrub *scrub) {
    begin_again(scrub);
    while (scrub->found_count > 0)
        blob_unref(scrub->found[--scrub->found_count]);
}

bool scrub_digest(const struct scanned_row *row, uint64_t *digest) {
    struct object object;
    if (row->value == NULL || object_decode(row->value->bytes, row->value->len, &object) != RD_OK)
        return false;
    *digest = object_digest(&object);
    object_free(&object);
    return true;
}

void scrub_want(struct scrub *scrub, uint16_t slot) {
    for (uint32_t i = 0; i < scrub->wanted_count; i++)
        if (scrub->wanted[i] == slot)
            return;
    if (scrub->wanted_count < SCRUB_WANTED)
        scrub->wanted[scrub->wanted_count++] = slot;
}

struct blob *scrub_take_damaged(struct scrub *scrub) {
    return scrub->found_count == 0 ? NULL : scrub->found[--scrub->found_count];
}

static void note_damaged(struct scrub *scrub, struct resp_slice key) {
    struct blob *copy;
    if (scrub->found_count < sizeof scrub->found / sizeof *scrub->found &&
        blob_new(key.data, key.len, &copy) == RD_OK)
        scrub->found[scrub->found_count++] = copy;
}

static void read_leaves(const struct scrub *scrub, uint64_t out[SCRUB_LEAVES]) {
    const struct store_view *view = &scrub->core->view;
    assert(view->leaves_per_slot <= SCRUB_LEAVES);
    view->leaves(view->arg, scrub->slot, scrub->slot, out);
}

static void ask_page(struct scrub *scrub) {
    struct effect *effect = effects_push(scrub->core->effects, EFF_STORE_SCAN);
    scrub->busy = true;
    effect->store_scan = (struct store_scan_order){.token = SCAN_TOKEN(SCAN_SCRUB, ++scrub->token),
                                                   .first_slot = scrub->slot,
                                                   .last_slot = scrub->slot,
                                                   .after_slot = scrub->slot,
                                                   .after_key = blob_ref(scrub->after),
                                                   .max_rows = PAGE_ROWS,
                                                   .max_bytes = PAGE_BYTES};
}

static bool is_own(const struct scrub *scrub, uint16_t slot) {
    uint16_t homes[PREFLIST_MAX_N];
    uint16_t partition = slot_partition(slot, scrub->core->conf.partitions);
    size_t count = placement_homes(scrub->placement, partition, homes);
    for (size_t i = 0; i < count; i++)
        if (homes[i] == MEMBER_SELF)
            return true;
    return false;
}

/* Chooses the slot to be read next: one that is in doubt, else the next of the walk that is this node's. */
static bool choose(struct scrub *scrub) {
    scrub->is_wanted = scrub->wanted_count > 0;
    if (scrub->is_wanted) {
        scrub->slot = scrub->wanted[0];
        for (uint32_t i = 1; i < scrub->wanted_count; i++)
            scrub->wanted[i - 1] = scrub->wanted[i];
        scrub->wanted_count--;
        return true;
    }
    for (unsigned tries = 0; tries < 256; tries++) {
        uint64_t leaves[SCRUB_LEAVES] = {0}, any = 0;
        scrub->slot = scrub->walk;
        scrub->walk = (uint16_t)((scrub->walk + 1) % SLOT_COUNT);
        read_leaves(scrub, leaves);
        for (unsigned i = 0; i < SCRUB_LEAVES; i++)
            any |= leaves[i];
        if (any != 0 && is_own(scrub, scrub->slot))
            return true;
    }
    return false;
}

static void begin_slot(struct scrub *scrub) {
    begin_again(scrub);
    read_leaves(scrub, scrub->before);
    for (unsigned i = 0; i < SCRUB_LEAVES; i++) {
        scrub->counted[i] = 0;
        scrub->damaged[i] = false;
    }
    ask_page(scrub);
}

void scrub_tick(struct scrub *scrub) {
    struct core *core = scrub->core;
    if (scrub->busy || scrub->mends != 0 || scrub->mending || core->view.leaves == NULL ||
        core->store_err != RD_OK || !budget_open(scrub->budget, core->now.mono_us))
        return;
    if (scrub->after != NULL) { /* in the middle of a slot, held back by the budget */
        ask_page(scrub);
        return;
    }
    if (scrub->wanted_count == 0 &&
        (!core->conf.anti_entropy || core->now.mono_us < scrub->next_us))
        return;
    scrub->next_us = core->now.mono_us + WALK_PAUSE_US;
    if (choose(scrub)) {
        scrub->tries = 0;
        begin_slot(scrub);
    }
}

bool scrub_dirty(const struct scrub *scrub) {
    return scrub->mends != 0 && !scrub->mending;
}

size_t scrub_flush(struct scrub *scrub) {
    size_t count = 0;
    if (!scrub_dirty(scrub))
        return 0;
    for (unsigned leaf = 0; leaf < SCRUB_LEAVES; leaf++) {
        uint8_t bytes[9];
        struct blob *key;
        if ((scrub->mends >> leaf & 1) == 0)
            continue;
        bytes[0] = (uint8_t)leaf;
        bytes_put_u64(bytes + 1, scrub->changes[leaf]);
        if (blob_new(bytes, sizeof bytes, &key) != RD_OK)
            continue; /* the next round finds it again */
        struct effect *effect = effects_push(scrub->core->effects, EFF_STORE_PUT);
        effect->store_put.at = (struct row_key){3, scrub->mend_slot, key};
        scrub->mended++;
        count++;
    }
    if (count > 0)
        effects_log(scrub->core->effects, LOG_NOTICE,
                    "%zu leaves of slot %u were no longer what their rows give: set right", count,
                    scrub->mend_slot);
    scrub->mends = 0;
    scrub->mending = count > 0;
    return count;
}

void scrub_stored(struct scrub *scrub) {
    scrub->mending = false;
}

/* The correction of one leaf waits for the batch of this turn. */
static void mend(struct scrub *scrub, unsigned leaf, uint64_t change) {
    scrub->mend_slot = scrub->slot;
    scrub->mends |= 1u << leaf;
    scrub->changes[leaf] = change;
}

/* All rows of the slot were counted. Leaves that have moved meanwhile may have been counted half: if one of those is in doubt the slot is
 * read again. */
static void end_slot(struct scrub *scrub) {
    uint64_t now[SCRUB_LEAVES];
    bool again = false;
    read_leaves(scrub, now);
    for (unsigned i = 0; i < scrub->core->view.leaves_per_slot; i++) {
        if (scrub->damaged[i] || now[i] == scrub->counted[i])
            continue;
        if (now[i] == scrub->before[i])
            mend(scrub, i, now[i] ^ scrub->counted[i]);
        else
            again = true;
    }
    begin_again(scrub);
    if (again && scrub->mends == 0 && scrub->is_wanted && ++scrub->tries < MAX_TRIES)
        begin_slot(scrub);
}

void scrub_scanned(struct scrub *scrub, uint64_t token, enum rd_err err,
                   const struct scanned_row *rows, size_t count, bool end) {
    const struct store_view *view = &scrub->core->view;
    if (!scrub->busy || token != SCAN_TOKEN(SCAN_SCRUB, scrub->token))
        return;
    scrub->busy = false;
    if (err != RD_OK) {
        begin_again(scrub);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned leaf = view->leaf_of(view->arg, scrub->slot, rows[i].key);
        uint64_t digest;
        budget_spend(scrub->budget, ROW_COST + (rows[i].value == NULL ? 0 : rows[i].value->len));
        if (scrub_digest(&rows[i], &digest)) {
            scrub->counted[leaf] ^= view->leaf_share(view->arg, scrub->slot, rows[i].key, digest);
        } else {
            scrub->damaged[leaf] = true;
            note_damaged(scrub, rows[i].key);
        }
    }
    blob_unref(scrub->after);
    scrub->after = NULL;
    if (end || count == 0) {
        end_slot(scrub);
    } else if (blob_new(rows[count - 1].key.data, rows[count - 1].key.len, &scrub->after) ==
                   RD_OK &&
               budget_open(scrub->budget, scrub->core->now.mono_us)) {
        ask_page(scrub);
    }
}
