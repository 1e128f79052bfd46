/* The reaper's course: the walk over rows that are due, and fences. See reap.h.
 *
 * Invariants: (1) at most one page is under way, and none while a round runs; (2) the walk begins again from the start after each pass, so a
 * round that comes to nothing is only put off. */
#include "replication/reap_private.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/shrink.h"

#define PAGE_BYTES 1048576
#define ROW_COST 64
#define PAUSE_US 5000000          /* between two passes */
#define LONGEST_PAUSE_US 20000000 /* if the last ones came to nothing */
#define FENCE_US 1000000          /* between two fences, and more in a large cluster: */
#define FENCE_MEMBER_US 50000     /* so much for each member */

void reap_init(struct reap *reap, struct core *core) {
    *reap =
        (struct reap){.core = core, .start = core->actors.incarnation | 1, .pause_us = PAUSE_US};
}

static void begin_again(struct reap *reap) {
    blob_unref(reap->after);
    reap->after = NULL;
}

void reap_free(struct reap *reap) {
    reap_round_free(reap);
    reap_part_free_all(reap);
    begin_again(reap);
}

static uint64_t now_us(const struct reap *reap) {
    return reap->core->now.mono_us;
}

bool reap_say(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    bool sent = peers_say_in_background(reap->peers, reap->budget, member, msg) > 0;
    reap->core->stats.reap_messages += sent;
    return sent;
}

/* ---- fences ----------------------------------------------------------------------------------------- */

/* All that this node has sent so far goes before it. */
static void send_fence(struct reap *reap) {
    struct wire_msg msg = {.kind = WIRE_REAP_FENCE};
    struct blob *frame;
    msg.fence.start = reap->start;
    msg.fence.number = reap->mark + 1;
    if (wire_encode(&msg, &frame) != RD_OK)
        return;
    reap->mark++;
    peers_send_everywhere(reap->peers, frame);
    blob_unref(frame);
    reap->next_fence_us = now_us(reap) + FENCE_US + FENCE_MEMBER_US * reap->members->count;
}

/* ---- the walk --------------------------------------------------------------------------------------- */

static uint64_t due_before_ms(const struct reap *reap) {
    uint64_t wall_ms = reap->core->now.wall_us / 1000;
    uint64_t grace_ms = reap->core->conf.tombstone_grace_ms;
    return wall_ms > grace_ms ? wall_ms - grace_ms : 1;
}

static void spend_row(struct reap *reap, const struct scanned_row *row) {
    budget_spend(reap->budget, ROW_COST + (row->value == NULL ? 0 : row->value->len));
}

static void ask_page(struct reap *reap) {
    bool counting = reap->core->tombstones.counting;
    struct effect *effect = effects_push(reap->core->effects, EFF_STORE_SCAN);
    reap->scanning = true;
    effect->store_scan =
        (struct store_scan_order){.token = SCAN_TOKEN(SCAN_REAP, ++reap->token),
                                  .last_slot = SLOT_COUNT - 1,
                                  .due = true,
                                  .due_before_ms = counting ? INT64_MAX : due_before_ms(reap),
                                  .due_after_ms = reap->after_ms,
                                  .after_slot = reap->after_slot,
                                  .after_key = reap->after == NULL ? NULL : blob_ref(reap->after),
                                  .max_rows = SCAN_MAX_ROWS,
                                  .max_bytes = PAGE_BYTES};
}

/* The walk goes on behind `row`. */
static bool pass(struct reap *reap, const struct scanned_row *row) {
    struct blob *key;
    if (blob_new(row->key.data, row->key.len, &key) != RD_OK)
        return false;
    blob_unref(reap->after);
    reap->after = key;
    reap->after_ms = row->due_ms;
    reap->after_slot = row->slot;
    return true;
}

static void end_pass(struct reap *reap) {
    begin_again(reap);
    reap->next_us = now_us(reap) + reap->pause_us;
    if (reap->any && reap->pause_us < LONGEST_PAUSE_US)
        reap->pause_us *= 2; /* until something comes of it: reap_ended */
    reap->any = false;
}

void reap_ended(struct reap *reap, bool done) {
    if (done)
        reap->pause_us = PAUSE_US;
    if (done && reap->after == NULL)
        reap->next_us = now_us(reap);
}

static bool drives(const struct reap *reap, uint16_t partition) {
    uint16_t homes[PREFLIST_MAX_N];
    return placement_homes(reap->placement, partition, homes) > 0 && homes[0] == MEMBER_SELF;
}

#ifdef RD_PLANTED_BUGS
static bool forget_at_once(struct reap *reap, const struct scanned_row *row,
                           const struct object *object) {
    const struct asker nobody = {0};
    struct version none = {0};
    struct blob *key;
    if (blob_new(row->key.data, row->key.len, &key) == RD_OK) {
        replica_shrink(reap->replica, key, object_digest(object), &none, &nobody);
        blob_unref(key);
    }
    return true;
}
#else
#define forget_at_once(reap, row, object) true
#endif

/* Takes a row into the round. False: it has to wait for the next one. */
static bool take_row(struct reap *reap, const struct scanned_row *row) {
    const struct node_conf *conf = &reap->core->conf;
    uint16_t partition = slot_partition(row->slot, conf->partitions);
    uint64_t before_ms = due_before_ms(reap);
    struct object object;
    bool taken = true;
    spend_row(reap, row);
    bool early = RD_PLANTED(reap->core, EARLY_REAP);
    if (!(drives(reap, partition) || early) || row->value == NULL ||
        object_decode(row->value->bytes, row->value->len, &object) != RD_OK)
        return true; /* not ours, or damaged: others see to that */
    uint64_t gone_ms = shrink_gone_ms(&object), due_ms = shrink_due_ms(&object, conf->n);
    bool gone = gone_ms != 0 && gone_ms <= before_ms;
    bool crowded = object.count > 0 && shrink_idle_entries(&object) > conf->n;
    if (gone || (due_ms != 0 && due_ms <= before_ms && crowded)) {
        reap->any = true;
        if (early && gone) {
            taken = forget_at_once(reap, row, &object);
            object_free(&object);
            return taken;
        }
        if (reap->round == NULL)
            reap->round = reap_round_new(reap);
        /* The vector first: it needs nobody's clock, and by those of other homes the value may live for years yet. */
        taken =
            reap->round != NULL && reap_round_has_room(reap->round, row->key.len) &&
            reap_round_add(reap->round, row->key, partition, &object, gone && !crowded) == RD_OK;
    }
    object_free(&object);
    return taken;
}

static void gather(struct reap *reap, const struct scanned_row *rows, size_t count, bool end) {
    size_t i = 0;
    while (i < count && take_row(reap, &rows[i]) && pass(reap, &rows[i]))
        i++;
    bool full = i < count;
    if (!full && (end || count == 0))
        end_pass(reap);
    else if (full && reap->round == NULL)
        reap->next_us = now_us(reap) + PAUSE_US; /* no memory */
    if (reap->round != NULL && (full || reap->after == NULL))
        reap_round_begin(reap);
}

/* The first pass after a start meets all rows that are tombstones, or will expire. */
static void count_tombstones(struct reap *reap, const struct scanned_row *rows, size_t count,
                             bool end) {
    struct tombstones *tombstones = &reap->core->tombstones;
    size_t i = 0;
    for (; i < count && pass(reap, &rows[i]); i++) {
        spend_row(reap, &rows[i]);
        tombstones->count += !rows[i].is_live;
        tombstones->counted_ms = rows[i].due_ms;
    }
    if (i < count || !(end || count == 0))
        return;
    tombstones->counting = false;
    tombstones->known = true;
    begin_again(reap);
}

void reap_scanned(struct reap *reap, uint64_t token, enum rd_err err,
                  const struct scanned_row *rows, size_t count, bool end) {
    if (!reap->scanning || token != SCAN_TOKEN(SCAN_REAP, reap->token))
        return;
    reap->scanning = false;
    if (err != RD_OK) {
        reap->next_us = now_us(reap) + PAUSE_US;
        reap_round_free(reap);
        begin_again(reap);
        reap->core->tombstones.counting = false;
        return;
    }
    if (reap->core->tombstones.counting)
        count_tombstones(reap, rows, count, end);
    else
        gather(reap, rows, count, end);
}

/* ---- time ------------------------------------------------------------------------------------------- */

static void walk(struct reap *reap) {
    struct tombstones *tombstones = &reap->core->tombstones;
    bool filling = reap->round != NULL;
    if (!tombstones->known && !tombstones->counting && !filling) {
        *tombstones = (struct tombstones){.counting = true};
        begin_again(reap);
    }
    if (!tombstones->counting && !filling && reap->after == NULL && !reap_all_reachable(reap) &&
        !RD_PLANTED(reap->core, EARLY_REAP)) {
        reap->next_us = now_us(reap) + PAUSE_US / 5; /* nobody could agree to anything */
        return;
    }
    ask_page(reap);
}

void reap_tick(struct reap *reap) {
    struct core *core = reap->core;
    if (reap->next_us == 0)
        reap->next_us = now_us(reap) + PAUSE_US; /* clients come first after a start */
    reap_part_tick(reap);
    if (reap->next_fence_us <= now_us(reap) && reap_part_is_watching(reap))
        send_fence(reap);
    if (reap->round != NULL && !reap->round->filling) {
        reap_round_tick(reap);
        return;
    }
    if (reap->scanning || reap->next_us > now_us(reap) || core->view.leaves == NULL ||
        core->store_err != RD_OK || !placement_is_known(reap->placement) ||
        !budget_open(reap->budget, now_us(reap)))
        return;
    walk(reap);
}

enum rd_err reap_message(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    budget_spend(reap->budget,
                 msg->kind == WIRE_REAP_ANSWER ? msg->reap_answer.states.len : msg->reap.items.len);
    return msg->kind == WIRE_REAP_ANSWER ? reap_round_answer(reap, member, msg)
                                         : reap_part_order(reap, member, msg);
}

bool reap_idle(const struct reap *reap) {
    return reap->round == NULL;
}

void reap_check(const struct reap *reap) {
    uint64_t watched = 0;
    watched_check(&reap->core->watched);
    for (uint16_t i = 0; i < reap->part_count; i++) {
        const struct reap_part *part = reap->parts[i];
        uint32_t open = 0;
        for (uint32_t k = 0; part != NULL && k < part->count; k++) {
            const struct reap_item *item = &part->items[k];
            assert(item->state != ITEM_AGREED || item->watch.in_use);
            watched += item->watch.in_use;
            open += item->reading > 0;
        }
        assert(part == NULL || part->open == open);
    }
    assert(watched == reap->core->watched.count);
    assert(reap->round == NULL || reap->round->filling || reap->round->count > 0);
}
