/* Checks sums (sim/sums): each read-modify-write is in the list at most once, and where it must be, once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/sums.h"

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

bool check_sums(const struct plan *plan, const struct history *history, size_t ops,
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
