/* Delivery of hints; see hints.h.
 *
 * Rows of a page may be older than the copies in flight: what is sent is merged, and a target is
 * struck off only if the hint is still what was sent.
 *
 * Invariants (hints_check): on_the_way and bytes_on_the_way are the sums over the window; at most
 * one page is under way. */
#include "replication/hints.h"

#include <assert.h>

#define SPACE_HINTS 1
#define PAGE_ROWS 128
#define LEAST_ROWS 16 /* most rows of a page may be owed to nobody who can be reached */
#define PAGE_BYTES (512u << 10)
#define PAUSE_US 200000  /* between two passes */
#define RETRY_US 1000000 /* after an error */

void hints_init(struct hints *hints, struct core *core, struct members *members,
                struct peers *peers, struct budget *budget) {
    *hints = (struct hints){.core = core, .members = members, .peers = peers, .budget = budget};
    flow_init(&hints->flow, HINTS_WINDOW);
    hint_ledger_init(&hints->ledger, core);
    replica_init_hints(&hints->copies, core, &hints->ledger);
}

static void forget(struct hints *hints, struct delivery *delivery) {
    hints->on_the_way--;
    hints->bytes_on_the_way -= delivery->bytes;
    blob_unref(delivery->key);
    *delivery = (struct delivery){0};
}

void hints_free(struct hints *hints) {
    for (size_t i = 0; i < HINTS_WINDOW; i++)
        blob_unref(hints->window[i].key);
    if (hints->copies.core != NULL)
        replica_free(&hints->copies);
    hint_ledger_free(&hints->ledger);
    *hints = (struct hints){0};
}

static uint64_t now_us(const struct hints *hints) {
    return hints->core->now.mono_us;
}

/* ---- the window ---------------------------------------------------------------------------------- */

static bool may_send(const struct hints *hints) {
    return hints->on_the_way < flow_width(&hints->flow) &&
           hints->bytes_on_the_way < HINTS_WINDOW_BYTES &&
           budget_open(hints->budget, now_us(hints));
}

static struct delivery *free_place(struct hints *hints) {
    for (size_t i = 0; i < HINTS_WINDOW; i++)
        if (hints->window[i].id == 0)
            return &hints->window[i];
    return NULL;
}

/* Sends one object to one target. A failure leaves it to a later pass. */
static void send(struct hints *hints, uint16_t member, const struct node_id *target,
                 struct resp_slice key, const struct object *object, struct resp_slice bytes) {
    struct delivery *place = free_place(hints);
    struct wire_msg msg = {.kind = WIRE_WRITE};
    uint64_t number = ++hints->next_id & UINT32_MAX;
    assert(place != NULL);
    if (blob_new(key.data, key.len, &place->key) != RD_OK)
        return;
    watched_touch(&hints->core->watched, place->key);
    place->id = number << 32 | HINTS_ID | (uint64_t)(place - hints->window);
    place->member = member;
    place->target = *target;
    place->digest = object_digest(object);
    place->bytes = bytes.len + key.len;
    place->since_us = now_us(hints);
    place->deadline_us = now_us(hints) + 2 * (uint64_t)hints->core->conf.request_timeout_ms * 1000;
    hints->on_the_way++;
    hints->bytes_on_the_way += place->bytes;
    msg.write.id = place->id;
    msg.write.key = key;
    msg.write.object = bytes;
    if (peers_say(hints->peers, member, &msg))
        budget_spend(hints->budget, place->bytes);
    else
        forget(hints, place);
}

static bool is_healthy(const struct hints *hints, uint16_t member) {
    return member != MEMBER_NONE && member != MEMBER_SELF && peers_healthy(hints->peers, member);
}

/* ---- a pass -------------------------------------------------------------------------------------- */

/* True if a node that can be reached may be owed something. */
static bool is_wanted(const struct hints *hints) {
    const struct hint_ledger *ledger = &hints->ledger;
    if (!ledger->counted || ledger->wrong)
        return true;
    for (size_t i = 0; i < ledger->target_count; i++)
        if (ledger->targets[i].owed &&
            is_healthy(hints, peers_holder(hints->peers, &ledger->targets[i].id)))
            return true;
    return false;
}

static void ask_page(struct hints *hints) {
    const struct hint_ledger *ledger = &hints->ledger;
    struct blob *after = ledger->passed_key;
    uint32_t room = flow_width(&hints->flow) + LEAST_ROWS; /* what is not sent is read again */
    struct effect *effect = effects_push(hints->core->effects, EFF_STORE_SCAN);
    effect->store_scan =
        (struct store_scan_order){.token = SCAN_TOKEN(SCAN_HINTS, ++hints->scan),
                                  .space = SPACE_HINTS,
                                  .last_slot = SLOT_COUNT - 1,
                                  .after_slot = after != NULL ? ledger->passed_slot : 0,
                                  .after_key = after != NULL ? blob_ref(after) : NULL,
                                  .max_rows = room < PAGE_ROWS ? room : PAGE_ROWS,
                                  .max_bytes = PAGE_BYTES};
    hints->scanning = true;
}

/* Sends the object of a row to all healthy nodes that it is owed to. Returns false if it has to wait
 * for room. */
static bool deliver(struct hints *hints, struct resp_slice key, const struct hint_owed *owed,
                    const struct object *object) {
    struct buf bytes = {0};
    for (uint8_t i = 0; i < owed->count; i++) {
        uint16_t member = peers_holder(hints->peers, &owed->targets[i]);
        if (!is_healthy(hints, member))
            continue;
        bool can =
            may_send(hints) && (buf_len(&bytes) > 0 || object_encode(object, &bytes) == RD_OK);
        if (!can) {
            buf_free(&bytes);
            return false;
        }
        send(hints, member, &owed->targets[i], key, object,
             (struct resp_slice){buf_data(&bytes), buf_len(&bytes)});
    }
    buf_free(&bytes);
    return true;
}

/* A row that cannot be read is looked at by the replica, which says so and erases it. */
static enum rd_err erase_damaged(struct hints *hints, struct resp_slice key_bytes) {
    const struct node_id nobody = {{0}};
    struct blob *key;
    enum rd_err err = blob_new(key_bytes.data, key_bytes.len, &key);
    if (err == RD_OK) {
        err = replica_strike(&hints->copies, key, &nobody, 0);
        blob_unref(key);
    }
    return err;
}

/* Deals with one row. Returns false if it has to be met again. */
static bool take_row(struct hints *hints, const struct scanned_row *row) {
    struct hint_owed owed = {0};
    struct object object = {0};
    uint64_t bytes = row->value == NULL ? 0 : row->value->len;
    enum rd_err err = RD_ECORRUPT;
    if (row->value != NULL)
        err = hint_decode(row->value->bytes, row->value->len, &owed, &object);
    if (err == RD_ENOMEM)
        return false;
    bool done = true;
    if (err != RD_OK) {
        bytes = 0;
        done = erase_damaged(hints, row->key) == RD_OK;
    } else {
        done = deliver(hints, row->key, &owed, &object);
    }
    object_free(&object);
    return done && hint_ledger_meet(&hints->ledger, row->slot, row->key, &owed, bytes) == RD_OK;
}

/* Goes on with the pass where it can. */
static void pump(struct hints *hints) {
    bool room = hints->on_the_way <= flow_width(&hints->flow) / 2 && may_send(hints);
    if (!hints->passing || hints->scanning)
        return;
    if (!hints->at_end && room) {
        ask_page(hints);
    } else if (hints->at_end && hints->on_the_way == 0) {
        hint_ledger_end(&hints->ledger);
        hints->passing = false;
        if (hints->next_pass_us < now_us(hints) + PAUSE_US)
            hints->next_pass_us = now_us(hints) + PAUSE_US;
    }
}

void hints_scanned(struct hints *hints, uint64_t number, enum rd_err err,
                   const struct scanned_row *rows, size_t count, bool end) {
    if (!hints->scanning || number != hints->scan)
        return;
    hints->scanning = false;
    if (err != RD_OK) {
        hint_ledger_give_up(&hints->ledger);
        hints->passing = false;
        hints->next_pass_us = now_us(hints) + RETRY_US;
        return;
    }
    size_t i = 0;
    while (i < count && take_row(hints, &rows[i]))
        i++;
    hints->at_end = end && i == count;
    pump(hints);
}

/* ---- answers ------------------------------------------------------------------------------------- */

void hints_answered(struct hints *hints, uint64_t id, uint16_t member, enum rd_err err) {
    struct delivery *delivery = &hints->window[(uint32_t)id % HINTS_WINDOW];
    if (delivery->id != id || delivery->member != member) {
        hints->core->stats.late_answers++;
        return;
    }
    flow_took(&hints->flow, now_us(hints) - delivery->since_us, now_us(hints));
    if (err == RD_OK)
        replica_strike(&hints->copies, delivery->key, &delivery->target, delivery->digest);
    else
        hints->next_pass_us = now_us(hints) + RETRY_US;
    forget(hints, delivery);
    pump(hints);
}

void hints_lost(struct hints *hints, uint16_t member) {
    for (size_t i = 0; i < HINTS_WINDOW; i++)
        if (hints->window[i].id != 0 && hints->window[i].member == member)
            forget(hints, &hints->window[i]);
}

void hints_tick(struct hints *hints) {
    for (size_t i = 0; i < HINTS_WINDOW; i++)
        if (hints->window[i].id != 0 && hints->window[i].deadline_us <= now_us(hints))
            forget(hints, &hints->window[i]);
    if (!hints->passing && hints->next_pass_us <= now_us(hints) && is_wanted(hints)) {
        hint_ledger_begin(&hints->ledger);
        hints->passing = true;
        hints->at_end = false;
    }
    pump(hints);
}

/* ---- what is seen of it -------------------------------------------------------------------------- */

struct hint_sum hints_owed(const struct hints *hints, uint16_t index) {
    struct hint_sum sum = {0};
    for (size_t i = 0; i < hints->ledger.target_count; i++) {
        const struct hint_target *target = &hints->ledger.targets[i];
        if (!peers_holds(hints->peers, index, &target->id))
            continue;
        sum.count += target->sum.count;
        sum.bytes += target->sum.bytes;
        if (target->sum.oldest_ms != 0 &&
            (sum.oldest_ms == 0 || target->sum.oldest_ms < sum.oldest_ms))
            sum.oldest_ms = target->sum.oldest_ms;
    }
    return sum;
}

void hints_check(const struct hints *hints) {
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < HINTS_WINDOW; i++) {
        count += hints->window[i].id != 0;
        bytes += hints->window[i].bytes;
    }
    assert(count == hints->on_the_way && bytes == hints->bytes_on_the_way);
    assert(!hints->scanning || hints->passing);
    assert(hints->passing == hints->ledger.passing);
    replica_check(&hints->copies);
}
