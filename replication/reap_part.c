/* A node's part in a round of reaping: it watches the keys and says what it sees. See reap.h.
 *
 *   WAITING --reads its rows--> READING --nothing speaks against it--> AGREED --REPLACE names it, at a home--> SHRINKING --> DONE
 *                                  |                                     |                                        |
 *                                  +------> REFUSED <---touched----------+ <-------another object, a live value---+
 *
 * Invariants: (1) an item that is AGREED is in core->watched, and has been since before its rows were read; (2) CHECK and REPLACE agree
 * only to what has not been touched since. */
#include "replication/reap_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/shrink.h"

#define PATIENCE_US 60000000 /* a driver that says nothing for so long has given up */
#define READ_COST 128

/* Ids of reads and replacements: the round, the item, and whose row. */
#define ITEM_SHIFT 1
#define ID_SHIFT 12
#define HINT_BIT 1u

static uint64_t now_us(const struct reap *reap) {
    return reap->core->now.mono_us;
}

static void clear(struct reap *reap, struct reap_part *part) {
    for (uint32_t i = 0; i < part->count; i++) {
        watched_remove(&reap->core->watched, &part->items[i].watch);
        blob_unref(part->items[i].watch.key);
        version_free(&part->items[i].kept);
    }
    free(part->items);
    *part = (struct reap_part){.member = part->member};
}

void reap_part_free_all(struct reap *reap) {
    for (uint16_t i = 0; i < reap->part_count; i++)
        if (reap->parts[i] != NULL) {
            clear(reap, reap->parts[i]);
            free(reap->parts[i]);
        }
    free(reap->parts);
    reap->parts = NULL;
    reap->part_count = 0;
}

bool reap_part_is_watching(const struct reap *reap) {
    for (uint16_t i = 0; i < reap->part_count; i++)
        if (reap->parts[i] != NULL && reap->parts[i]->id != 0 &&
            reap->parts[i]->step != REAP_REPLACE)
            return true;
    return false;
}

static struct reap_part *part_of(struct reap *reap, uint16_t member) {
    if (member >= reap->part_count) {
        struct reap_part **grown = realloc(reap->parts, (member + 1u) * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        while (reap->part_count <= member)
            grown[reap->part_count++] = NULL;
        reap->parts = grown;
    }
    if (reap->parts[member] == NULL && (reap->parts[member] = calloc(1, sizeof(**reap->parts))))
        reap->parts[member]->member = member;
    return reap->parts[member];
}

/* ---- answers --------------------------------------------------------------------------------------- */

static void say(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    if (member == MEMBER_SELF)
        reap_round_answer(reap, member, msg);
    else
        reap_say(reap, member, msg);
}

static void say_error(struct reap *reap, uint16_t member, uint64_t id, enum reap_step step,
                      enum rd_err err) {
    struct wire_msg msg = {.kind = WIRE_REAP_ANSWER};
    msg.reap_answer.id = id;
    msg.reap_answer.step = step;
    msg.reap_answer.err = err;
    say(reap, member, &msg);
}

static enum rd_err pack_fences(const struct reap *reap, struct buf *out) {
    enum rd_err err = RD_OK;
    for (uint16_t i = 1; err == RD_OK && i < reap->members->count; i++) {
        struct reap_fence fence = {.member = reap->members->items[i].id};
        if (peers_fence(reap->peers, i, &fence.start, &fence.number))
            err = reap_pack_fence(out, &fence);
    }
    return err;
}

static void say_states(struct reap *reap, struct reap_part *part) {
    struct buf states = {0}, fences = {0};
    struct wire_msg msg = {.kind = WIRE_REAP_ANSWER};
    enum item_state good = part->step == REAP_REPLACE ? ITEM_DONE : ITEM_AGREED;
    enum rd_err err = RD_OK;
    for (uint32_t i = 0; err == RD_OK && i < part->count; i++) {
        uint8_t state = part->items[i].state == good;
        err = buf_append(&states, &state, 1);
    }
    if (err == RD_OK && part->step == REAP_CHECK)
        err = pack_fences(reap, &fences);
    part->answered = true;
    msg.reap_answer.id = part->id;
    msg.reap_answer.step = part->step;
    msg.reap_answer.err = err;
    msg.reap_answer.start = reap->start;
    msg.reap_answer.incarnation = reap->core->actors.incarnation;
    msg.reap_answer.mark = reap->mark;
    msg.reap_answer.states = (struct resp_slice){buf_data(&states), buf_len(&states)};
    msg.reap_answer.fences = (struct resp_slice){buf_data(&fences), buf_len(&fences)};
    say(reap, part->member, &msg); /* a round of this node's own may end by it, the part stays */
    buf_free(&states);
    buf_free(&fences);
}

/* ---- what speaks against it ------------------------------------------------------------------------ */

/* Requests that hold an object of a key may send it yet. So may a repair. */
static void touch_busy(struct reap *reap) {
    for (const struct request *at = reap->co->deadlines; at != NULL; at = at->next)
        if (at->kind == REQUEST_READ || at->kind == REQUEST_WRITE || at->kind == REQUEST_RMW)
            watched_touch(&reap->core->watched, at->key);
    exchange_touch_open(reap->exchange);
}

static void refuse_touched(struct reap *reap, struct reap_part *part) {
    touch_busy(reap);
    for (uint32_t i = 0; i < part->count; i++) {
        struct reap_item *item = &part->items[i];
        if (item->state == ITEM_AGREED && item->watch.touched)
            item->state = ITEM_REFUSED;
        if (item->state == ITEM_REFUSED)
            watched_remove(&reap->core->watched, &item->watch);
    }
}

/* True if there is surely no hint at all, and none in the making. */
static bool has_no_hints(const struct reap *reap) {
    const struct hint_ledger *ledger = &reap->hints->ledger;
    return ledger->counted && !ledger->wrong && ledger->rows == 0 &&
           reap->hints->copies.entry_count == 0;
}

/* ---- WATCH ------------------------------------------------------------------------------------------ */

static struct asker asker_of(const struct reap_part *part, uint32_t index, bool hint) {
    return (struct asker){.kind = ASKER_REAP,
                          .member = part->member,
                          .id = part->id << ID_SHIFT | index << ITEM_SHIFT | hint};
}

static void read_item(struct reap *reap, struct reap_part *part, uint32_t index) {
    struct reap_item *item = &part->items[index];
    struct asker own = asker_of(part, index, false), hint = asker_of(part, index, true);
    budget_spend(reap->budget, READ_COST);
    if (replica_read(reap->replica, item->watch.key, &own) == RD_OK)
        item->reading++;
    else
        item->state = ITEM_REFUSED;
    if (item->state == ITEM_WAITING && !has_no_hints(reap)) {
        if (replica_read(&reap->hints->copies, item->watch.key, &hint) == RD_OK)
            item->reading++;
        else
            item->state = ITEM_REFUSED;
    }
    part->open += item->reading > 0;
    if (item->state == ITEM_WAITING)
        item->state = ITEM_READING;
}

static void replace_item(struct reap *reap, struct reap_part *part, uint32_t index) {
    struct reap_item *item = &part->items[index];
    struct asker asker = asker_of(part, index, false);
    if (!item->wanted || !item->home || item->state != ITEM_AGREED)
        return;
    budget_spend(reap->budget, READ_COST);
    if (replica_shrink(reap->replica, item->watch.key, item->digest, &item->kept, &asker) !=
        RD_OK) {
        item->state = ITEM_REFUSED;
        return;
    }
    item->state = ITEM_SHRINKING;
    item->reading = 1;
    part->open++;
}

/* Goes on with the step as far as it can without waiting. */
static void pump(struct reap *reap, struct reap_part *part) {
    while (part->next < part->count && part->open < REAP_WINDOW &&
           budget_open(reap->budget, now_us(reap))) {
        uint32_t index = part->next++;
        if (part->step == REAP_REPLACE)
            replace_item(reap, part, index);
        else if (part->items[index].state == ITEM_WAITING)
            read_item(reap, part, index);
    }
    if (part->next < part->count || part->open > 0 || part->answered)
        return;
    if (part->step == REAP_WATCH)
        refuse_touched(reap, part);
    say_states(reap, part);
}

static enum rd_err take_items(struct reap *reap, struct reap_part *part, struct resp_slice items,
                              uint32_t count) {
    part->items = calloc(count, sizeof(*part->items));
    if (part->items == NULL)
        return RD_ENOMEM;
    for (; part->count < count; part->count++) {
        struct reap_item *item = &part->items[part->count];
        struct reap_wish wish;
        enum rd_err err = reap_unpack_wish(&items, &wish);
        assert(err == RD_OK); /* they were counted before */
        err = blob_new(wish.key.data, wish.key.len, &item->watch.key);
        if (err != RD_OK)
            return err;
        const struct node_conf *conf = &reap->core->conf;
        uint16_t slot = slot_of_key(conf->partitioner, wish.key.data, wish.key.len);
        item->digest = wish.digest;
        item->gone = wish.gone;
        item->home = placement_is_home(reap->placement, slot_partition(slot, conf->partitions));
        if (!watched_add(&reap->core->watched, &item->watch))
            item->state = ITEM_REFUSED; /* another round has it */
    }
    return RD_OK;
}

static enum rd_err on_watch(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    uint32_t count;
    if (msg->reap.items.len > REAP_MAX_BYTES + 16 * REAP_MAX_KEYS ||
        reap_count_wishes(msg->reap.items, REAP_MAX_KEYS, &count) != RD_OK)
        return RD_EPROTO;
    struct reap_part *part = part_of(reap, member);
    if (part == NULL || !placement_is_known(reap->placement) || msg->reap.id >> 32 != 0) {
        say_error(reap, member, msg->reap.id, REAP_WATCH, RD_ENOMEM);
        return RD_OK;
    }
    clear(reap, part);
    if (take_items(reap, part, msg->reap.items, count) != RD_OK) {
        clear(reap, part);
        say_error(reap, member, msg->reap.id, REAP_WATCH, RD_ENOMEM);
        return RD_OK;
    }
    part->id = msg->reap.id;
    part->step = REAP_WATCH;
    part->until_us = now_us(reap) + PATIENCE_US;
    pump(reap, part);
    return RD_OK;
}

/* ---- CHECK ------------------------------------------------------------------------------------------ */

static void on_check(struct reap *reap, struct reap_part *part) {
    if (reap->hints
            ->scanning) { /* the page may hold a hint that was gone before the keys were watched */
        say_error(reap, part->member, part->id, REAP_CHECK, RD_EOVERLOADED);
        return;
    }
    part->step = REAP_CHECK;
    refuse_touched(reap, part);
    say_states(reap, part);
}

/* ---- REPLACE ---------------------------------------------------------------------------------------- */

static enum rd_err take_vectors(struct reap_part *part, struct resp_slice items) {
    while (items.len > 0) {
        uint32_t index;
        struct version kept;
        enum rd_err err = reap_unpack_vector(&items, &index, &kept);
        if (err != RD_OK)
            return err == RD_ENOMEM ? err : RD_EPROTO;
        if (index >= part->count || part->items[index].wanted) {
            version_free(&kept);
            return RD_EPROTO;
        }
        part->items[index].kept = kept;
        part->items[index].wanted = true;
    }
    return RD_OK;
}

static enum rd_err on_replace(struct reap *reap, struct reap_part *part,
                              const struct wire_msg *msg) {
    if (part->step == REAP_REPLACE) { /* asked again: the answer was lost, or is still to come */
        if (part->answered)
            say_states(reap, part);
        return RD_OK;
    }
    enum rd_err err = take_vectors(part, msg->reap.items);
    if (err != RD_OK) {
        say_error(reap, part->member, part->id, REAP_REPLACE, RD_ENOMEM);
        clear(reap, part);
        return err == RD_EPROTO ? err : RD_OK;
    }
    refuse_touched(reap, part);
    part->step = REAP_REPLACE;
    part->answered = false;
    part->next = 0;
    pump(reap, part);
    return RD_OK;
}

enum rd_err reap_part_order(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    struct reap_part *part;
    if (msg->kind == WIRE_REAP_WATCH)
        return on_watch(reap, member, msg);
    enum reap_step step = msg->kind == WIRE_REAP_CHECK ? REAP_CHECK : REAP_REPLACE;
    part = member < reap->part_count ? reap->parts[member] : NULL;
    if (step == REAP_REPLACE && msg->reap.items.len == 0) { /* the round is over */
        if (part != NULL && part->id == msg->reap.id)
            clear(reap, part);
        return RD_OK;
    }
    if (part == NULL || part->id == 0 || part->id != msg->reap.id ||
        (part->step != REAP_REPLACE && !part->answered) ||
        (step == REAP_CHECK && part->step == REAP_REPLACE) ||
        (step == REAP_REPLACE && part->step == REAP_WATCH &&
         !RD_PLANTED(reap->core, REAP_UNCHECKED))) {
        say_error(reap, member, msg->reap.id, step, RD_EREFUSED);
        return RD_OK;
    }
    part->until_us = now_us(reap) + PATIENCE_US;
    if (step == REAP_REPLACE)
        return on_replace(reap, part, msg);
    on_check(reap, part);
    return RD_OK;
}

/* ---- what the replicas answer ----------------------------------------------------------------------- */

/* Does the node's own row agree? Only homes have one, all the same. */
static bool own_agrees(const struct reap *reap, const struct reap_item *item,
                       const struct replica_answer *answer) {
    if (!item->home)
        return answer->err == RD_ENOTFOUND;
    if (answer->err != RD_OK)
        return false;
    const struct object *held = replica_held(answer->entry);
    return object_digest(held) == item->digest &&
           (!item->gone || shrink_is_gone(held, reap->core->now.wall_us / 1000));
}

void reap_own_answer(struct reap *reap, const struct replica_answer *answer) {
    uint16_t member = answer->asker.member;
    struct reap_part *part = member < reap->part_count ? reap->parts[member] : NULL;
    uint32_t index = (uint32_t)(answer->asker.id & ((1u << ID_SHIFT) - 1)) >> ITEM_SHIFT;
    if (part == NULL || part->id == 0 || part->id != answer->asker.id >> ID_SHIFT ||
        index >= part->count || part->items[index].reading == 0) {
        reap->core->stats.late_answers++;
        return;
    }
    struct reap_item *item = &part->items[index];
    bool good;
    if (answer->step == REPLICA_STORED)
        good = answer->err == RD_OK;
    else if ((answer->asker.id & HINT_BIT) != 0)
        good = answer->err == RD_ENOTFOUND;
    else
        good = own_agrees(reap, item, answer);
    if (!good) {
        item->state = ITEM_REFUSED;
        core_trace(reap->core, "the %s of %.*s speaks against round %llu of reaping",
                   (answer->asker.id & HINT_BIT) != 0 ? "hint"
                   : item->home                       ? "object"
                                                      : "stray object",
                   (int)item->watch.key->len, (const char *)item->watch.key->bytes,
                   (unsigned long long)part->id);
    }
    if (--item->reading > 0)
        return;
    part->open--;
    if (item->state == ITEM_READING)
        item->state = ITEM_AGREED;
    else if (item->state == ITEM_SHRINKING)
        item->state = ITEM_DONE;
    pump(reap, part);
}

void reap_part_tick(struct reap *reap) {
    for (uint16_t i = 0; i < reap->part_count; i++) {
        struct reap_part *part = reap->parts[i];
        if (part == NULL || part->id == 0)
            continue;
        if (part->until_us <= now_us(reap))
            clear(reap, part);
        else
            pump(reap, part);
    }
}
