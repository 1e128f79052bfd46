/* sim/sums: see sums.h. */
#include "sim/sums.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/judge.h"
#include "sim/mem.h"

enum rd_err sums_compute(void *arg, const struct rmw_input *in, struct rmw_output *out) {
    (void)arg;
    size_t old = in->value != NULL ? in->value->len : 0;
    enum rd_err err = blob_alloc(old + in->order->len, &out->value);
    if (err != RD_OK) {
        return err;
    }
    if (old > 0) {
        memcpy(out->value->bytes, in->value->bytes, old);
    }
    memcpy(out->value->bytes + old, in->order->bytes, in->order->len);
    out->change = RMW_SET;
    out->expires_ms = in->expires_ms;
    return buf_append(&out->reply, out->value->bytes, out->value->len);
}

struct blob *sums_key(uint32_t i) {
    char key[32];
    int len = snprintf(key, sizeof key, "sum%u", i);
    return mem_blob(key, (size_t)len);
}

bool sums_is_calm(const struct plan *plan) {
    const struct world_conf *world = &plan->world;
    bool calm = world->network.drop_ppm == 0 && world->network.tail_ppm == 0 &&
                world->network.duplicate_ppm == 0 && world->network.reorder_ppm == 0 &&
                world->disk.stall_ppm == 0 && plan->birth_us == 0 && !plan->beyond;
    for (int i = 0; i < FAULT_KINDS && plan->fault_mean_us > 0; i++) {
        bool harmless = i == FAULT_KILL || i == FAULT_KILL_INSIDE || i == FAULT_CRASH_LOOP ||
                        i == FAULT_CLOCK_JUMP || i == FAULT_CLOCK_DRIFT;
        calm = calm && (harmless || plan->fault_weights[i] == 0);
    }
    uint32_t n = world->node.n < world->nodes ? world->node.n : world->nodes;
    return calm && world->node.conflict_resolution == CONFLICT_SIBLINGS &&
           world->node.r + world->node.w > n && 2 * world->node.w > n;
}

/* Counts in counts[tag] how often each request's number is in the value; returns false if there is anything else in it. */
static bool count(const struct blob *value, uint32_t *counts, size_t ops) {
    uint64_t number = 0;
    for (uint32_t i = 0; i < value->len; i++) {
        if (value->bytes[i] == ',') {
            if (number == 0 || number > ops) {
                return false;
            }
            counts[number]++;
            number = 0;
        } else {
            number = number * 10 + (uint64_t)(value->bytes[i] - '0');
        }
    }
    return number == 0;
}

static bool is_about(const struct op *op, const struct blob *key) {
    return op->kind == CLIENT_RMW && op->key->len == key->len &&
           memcmp(op->key->bytes, key->bytes, key->len) == 0;
}

/* True if each that may have taken effect rests on homes alone. */
static bool homes_alone(const struct plan *plan, const struct history *history, size_t ops,
                        const struct blob *key) {
    for (size_t i = 0; i < ops && plan->world.node.sloppy_quorum; i++) {
        const struct op *op = history->ops[i];
        bool acknowledged = op->answered && op->err == RD_OK;
        if (is_about(op, key) && judge_maybe_happened(op) &&
            !(acknowledged && op->stand_ins == 0)) {
            return false;
        }
    }
    return true;
}

bool sums_check(const struct plan *plan, const struct history *history, size_t ops,
                const struct blob *key, const struct op *last, char text[160]) {
    uint32_t *counts = mem_zero((ops + 1) * sizeof *counts);
    const struct sibling *winner = object_winner(&last->object, UINT64_MAX / 2);
    bool calm = sums_is_calm(plan) && plan->request_weights[REQUEST_FLUSH] == 0 &&
                homes_alone(plan, history, ops, key);
    bool fine = winner == NULL || count(winner->value, counts, ops);
    snprintf(text, 160, "a sum holds what nobody added");
    for (size_t i = 0; i < ops && fine; i++) {
        const struct op *op = history->ops[i];
        bool mine = is_about(op, key);
        bool acknowledged = mine && op->answered && op->err == RD_OK;
        if (counts[op->tag] > (mine ? 1u : 0u)) {
            snprintf(text, 160, "added twice: request %llu is in %.*s %u times",
                     (unsigned long long)op->tag, (int)key->len, (const char *)key->bytes,
                     counts[op->tag]);
            fine = false;
        } else if (calm && acknowledged && counts[op->tag] == 0) {
            snprintf(text, 160,
                     "lost: request %llu, acknowledged at %llu us, is not in %.*s, and no two "
                     "nodes were parted",
                     (unsigned long long)op->tag, (unsigned long long)op->answered_us,
                     (int)key->len, (const char *)key->bytes);
            fine = false;
        }
    }
    free(counts);
    return fine;
}
