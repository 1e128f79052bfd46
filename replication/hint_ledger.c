/* Counts of hints; see hint_ledger.h. A change behind the place where a pass stands goes into its
 * counts as well; one before it will be met there. */
#include "replication/hint_ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void hint_ledger_init(struct hint_ledger *ledger, struct core *core) {
    *ledger = (struct hint_ledger){.core = core};
}

void hint_ledger_free(struct hint_ledger *ledger) {
    free(ledger->targets);
    blob_unref(ledger->passed_key);
    *ledger = (struct hint_ledger){0};
}

struct hint_target *hint_ledger_find(const struct hint_ledger *ledger, const struct node_id *id) {
    for (size_t i = 0; i < ledger->target_count; i++)
        if (node_id_compare(&ledger->targets[i].id, id) == 0)
            return &ledger->targets[i];
    return NULL;
}

enum rd_err hint_ledger_reserve(struct hint_ledger *ledger, const struct hint_owed *owed) {
    for (uint8_t i = 0; i < owed->count; i++) {
        if (hint_ledger_find(ledger, &owed->targets[i]) != NULL)
            continue;
        if (ledger->target_count == ledger->target_cap) {
            size_t cap = ledger->target_cap == 0 ? 8 : ledger->target_cap * 2;
            struct hint_target *grown = realloc(ledger->targets, cap * sizeof(*grown));
            if (grown == NULL)
                return RD_ENOMEM;
            ledger->targets = grown;
            ledger->target_cap = cap;
        }
        ledger->targets[ledger->target_count++] = (struct hint_target){.id = owed->targets[i]};
    }
    return RD_OK;
}

bool hint_ledger_has_room(const struct hint_ledger *ledger, bool must, uint64_t bytes) {
    uint64_t limit = ledger->core->conf.max_hint_bytes;
    if (!must)
        limit -= limit / 8;
    return ledger->bytes <= limit && bytes <= limit - ledger->bytes;
}

static void add(struct hint_sum *sum, const struct hint_owed *owed, uint64_t bytes) {
    sum->count++;
    sum->bytes += bytes;
    if (sum->oldest_ms == 0 || owed->born_ms < sum->oldest_ms)
        sum->oldest_ms = owed->born_ms;
}

static uint64_t less(uint64_t from, uint64_t by) {
    return from > by ? from - by : 0;
}

static void take(struct hint_sum *sum, uint64_t bytes) {
    sum->count = less(sum->count, 1);
    sum->bytes = less(sum->bytes, bytes);
    if (sum->count == 0)
        *sum = (struct hint_sum){0};
}

/* True if the pass under way has been at this row already. */
static bool is_passed(const struct hint_ledger *ledger, uint16_t slot, const struct blob *key) {
    const struct blob *at = ledger->passed_key;
    if (!ledger->passing || at == NULL)
        return false;
    if (slot != ledger->passed_slot)
        return slot < ledger->passed_slot;
    size_t len = key->len < at->len ? key->len : at->len;
    int order = len == 0 ? 0 : memcmp(key->bytes, at->bytes, len);
    return order < 0 || (order == 0 && key->len <= at->len);
}

void hint_ledger_change(struct hint_ledger *ledger, uint16_t slot, const struct blob *key,
                        const struct hint_owed *before, uint64_t bytes_before,
                        const struct hint_owed *after, uint64_t bytes_after) {
    bool passed = is_passed(ledger, slot, key);
    for (uint8_t i = 0; bytes_before > 0 && i < before->count; i++) {
        struct hint_target *target = hint_ledger_find(ledger, &before->targets[i]);
        if (target == NULL)
            continue; /* of a row that no pass has met yet */
        take(&target->sum, bytes_before);
        if (passed)
            take(&target->pass, bytes_before);
    }
    for (uint8_t i = 0; bytes_after > 0 && i < after->count; i++) {
        struct hint_target *target = hint_ledger_find(ledger, &after->targets[i]);
        assert(target != NULL);
        add(&target->sum, after, bytes_after);
        if (passed)
            add(&target->pass, after, bytes_after);
        target->owed = target->met = true;
    }
    ledger->rows = less(ledger->rows + (bytes_after > 0), bytes_before > 0);
    ledger->bytes = less(ledger->bytes + bytes_after, bytes_before);
    if (passed) {
        ledger->pass_rows = less(ledger->pass_rows + (bytes_after > 0), bytes_before > 0);
        ledger->pass_bytes = less(ledger->pass_bytes + bytes_after, bytes_before);
    }
}

void hint_ledger_dropped(struct hint_ledger *ledger, const struct hint_owed *owed) {
    ledger->core->stats.hints_dropped++;
    if (hint_ledger_reserve(ledger, owed) != RD_OK) {
        hint_ledger_lost_row(ledger);
        return;
    }
    for (uint8_t i = 0; i < owed->count; i++) {
        struct hint_target *target = hint_ledger_find(ledger, &owed->targets[i]);
        if (!target->behind)
            effects_log(ledger->core->effects, LOG_WARNING,
                        "Hints for a node that is away are dropped (max-hints): it will have to be "
                        "compared with the others when it is back");
        target->behind = true;
    }
}

void hint_ledger_lost_row(struct hint_ledger *ledger) {
    for (size_t i = 0; i < ledger->target_count; i++)
        ledger->targets[i].behind = true;
}

void hint_ledger_begin(struct hint_ledger *ledger) {
    blob_unref(ledger->passed_key);
    ledger->passed_key = NULL;
    ledger->passing = true;
    ledger->wrong = false;
    ledger->pass_rows = ledger->pass_bytes = 0;
    for (size_t i = 0; i < ledger->target_count; i++) {
        ledger->targets[i].pass = (struct hint_sum){0};
        ledger->targets[i].met = false;
    }
}

enum rd_err hint_ledger_meet(struct hint_ledger *ledger, uint16_t slot, struct resp_slice key,
                             const struct hint_owed *owed, uint64_t bytes) {
    struct blob *passed;
    enum rd_err err = blob_new(key.data, key.len, &passed);
    if (err != RD_OK)
        return err;
    err = hint_ledger_reserve(ledger, owed);
    if (err != RD_OK) {
        blob_unref(passed);
        return err;
    }
    blob_unref(ledger->passed_key);
    ledger->passed_key = passed;
    ledger->passed_slot = slot;
    ledger->pass_rows += bytes > 0;
    ledger->pass_bytes += bytes;
    for (uint8_t i = 0; i < owed->count; i++) {
        struct hint_target *target = hint_ledger_find(ledger, &owed->targets[i]);
        add(&target->pass, owed, bytes);
        target->owed = target->met = true;
    }
    return RD_OK;
}

void hint_ledger_give_up(struct hint_ledger *ledger) {
    ledger->passing = false;
    ledger->wrong = true;
}

void hint_ledger_end(struct hint_ledger *ledger) {
    assert(ledger->passing);
    for (size_t i = 0; i < ledger->target_count; i++) {
        struct hint_target *target = &ledger->targets[i];
        target->sum = target->pass;
        target->owed = target->met;
    }
    ledger->rows = ledger->pass_rows;
    ledger->bytes = ledger->pass_bytes;
    ledger->passing = false;
    ledger->counted = true;
    blob_unref(ledger->passed_key);
    ledger->passed_key = NULL;
}
