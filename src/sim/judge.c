/* sim/judge: see judge.h. */
#include "sim/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/mem.h"
#include "sim/workload.h"

#define STAMP_US 1000 /* stamps of one millisecond are told apart by counting */

/* ---- what single requests say ---------------------------------------------------------------- */

static uint32_t quorum_of(uint32_t asked, uint32_t usual, uint32_t n) {
    uint32_t quorum = asked > 0 ? asked : usual;
    return quorum < n ? quorum : n;
}

/* Of a sloppy quorum only the homes that answered count: what fallbacks keep reaches the homes some
 * time later. */
static uint32_t homes_of(uint32_t quorum, const struct op *op) {
    return quorum > op->stand_ins ? quorum - op->stand_ins : 0;
}

uint32_t judge_r(const struct judge *judge, const struct op *read) {
    return homes_of(quorum_of(read->r, judge->plan->world.node.r, judge->n), read);
}

bool judge_maybe_happened(const struct op *op) {
    if (!op->answered) {
        return true;
    }
    switch (op->err) {
    case RD_EREFUSED:
    case RD_ENOQUORUM:
    case RD_EBADCONTEXT:
    case RD_ETOOMANYSIBLINGS:
    case RD_ETOOLARGE:
    case RD_EOVERLOADED:
    case RD_ECLUSTERDOWN:
    case RD_EREMOVED:
        return false;
    default:
        return true;
    }
}

static bool acknowledged(const struct op *op) {
    return op->answered && op->err == RD_OK;
}

static bool has_id(const struct object *object, uint64_t id) {
    for (uint32_t i = 0; i < object->count; i++) {
        if (workload_value_id(object->siblings[i].value) == id) {
            return true;
        }
    }
    return false;
}

bool judge_shows(const struct object *object, const struct judged_write *write) {
    return has_id(object, write->op->value_id);
}

/* The request by which the reader of the context that `write` carried had seen that value: the
 * read, or a write whose context it went on from; NULL if it had not. */
static const struct op *context_saw(const struct op *write, uint64_t id) {
    for (const struct op *seen = write->seen; seen != NULL; seen = seen->seen) {
        if (seen->kind == CLIENT_READ) {
            return has_id(&seen->object, id) ? seen : NULL;
        }
        if (seen->value_id == id && seen->value != NULL) {
            return seen;
        }
    }
    return NULL;
}

/* ---- pairs of writes ------------------------------------------------------------------------- */

/* True if some replica that acknowledged `earlier` has surely acknowledged `later` too, and still
 * knew of the one when it met the other. */
static bool overlap(const struct judge *judge, const struct judged_write *earlier,
                    const struct judged_write *later) {
    uint32_t lost = losses_count(judge->losses, workload_key_number(earlier->op->key),
                                 earlier->op->asked_us, later->op->answered_us);
    return later->homes + earlier->homes > judge->n + lost;
}

/* True if whoever was answered `seen` has seen all that there will ever be of `write`: a plain SET
 * that is not acknowledged yet may still write its value anew, and what it wrote anew may still be
 * on its way from a fallback. */
static bool is_final(const struct op *write, const struct op *seen) {
    return write->with_context ||
           (acknowledged(write) && write->stand_ins == 0 && write->answered_us < seen->asked_us);
}

bool judge_clocks_exact(const struct judge *judge) {
    return judge->plan->skew_us == 0 && judge->plan->fault_weights[FAULT_CLOCK_DRIFT] == 0;
}

/* Last-write-wins: false if the stamp of `loser` surely exceeds that of `winner`, or if `winner`
 * has none to win with. */
static bool may_beat(const struct judge *judge, const struct judged_write *winner,
                     const struct judged_write *loser) {
    const struct op *won = winner->op, *lost = loser->op;
    if (won->value == NULL) {
        return false; /* a deletion adds no dot */
    }
    bool over = acknowledged(won) && won->answered_us < lost->asked_us;
    if (over && judge_clocks_exact(judge) && lost->asked_us - won->answered_us > 2 * STAMP_US) {
        return false;
    }
    if (lost->with_context) {
        const struct op *seen = context_saw(lost, won->value_id);
        return seen == NULL || won->value_id == 0 || winner->same_id || !is_final(won, seen);
    }
    return !(over && acknowledged(lost) && overlap(judge, winner, loser));
}

static bool may_remove(const struct judge *judge, const struct judged_write *remover,
                       const struct judged_write *removed) {
    const struct op *later = remover->op, *earlier = removed->op;
    if (remover == removed || !remover->happened_maybe) {
        return false;
    }
    if (judge->plan->world.node.conflict_resolution == CONFLICT_LAST_WRITE_WINS &&
        may_beat(judge, remover, removed)) {
        return true;
    }
    if (later->with_context) {
        return context_saw(later, earlier->value_id) != NULL;
    }
    bool over = acknowledged(later) && later->answered_us < earlier->asked_us;
    return !over;
}

static bool must_remove(const struct judge *judge, const struct judged_write *remover,
                        const struct judged_write *removed) {
    const struct op *later = remover->op, *earlier = removed->op;
    if (remover == removed || !acknowledged(later) || removed->same_id || earlier->value_id == 0) {
        return false;
    }
    if (later->with_context) {
        const struct op *seen = context_saw(later, earlier->value_id);
        bool alone = seen != NULL && seen->kind == CLIENT_WRITE; /* its dot alone is covered */
        bool met = acknowledged(earlier) && overlap(judge, removed, remover);
        return seen != NULL && is_final(earlier, seen) && (!alone || met);
    }
    return acknowledged(earlier) && earlier->answered_us < later->asked_us &&
           overlap(judge, removed, remover);
}

static void earliest(uint64_t *time, uint64_t other) {
    if (other < *time) {
        *time = other;
    }
}

/* Where the flush that `last`, its last page, belongs to began. */
static uint64_t flush_began_us(const struct op *last) {
    while (last->seen != NULL) {
        last = last->seen;
    }
    return last->asked_us;
}

/* What the pages of FLUSHALLs do to the write. They delete what they have read and nothing else. */
static void work_out_flushes(struct judge *judge, struct judged_write *write) {
    uint32_t r = quorum_of(0, judge->plan->world.node.r, judge->n);
    uint32_t w = quorum_of(0, judge->plan->world.node.w, judge->n);
    const struct op *op = write->op;
    for (size_t i = 0; i < judge->flush_count; i++) {
        const struct op *page = judge->flushes[i];
        if (!page->answered || op->asked_us < page->answered_us) {
            earliest(&write->removable_us, page->asked_us);
        }
        if (!acknowledged(page) || page->next_cursor != 0 || !acknowledged(op) || write->same_id ||
            op->value_id == 0 || op->answered_us >= flush_began_us(page)) {
            continue;
        }
        uint32_t lost = losses_count(judge->losses, workload_key_number(op->key), op->asked_us,
                                     page->answered_us);
        if (write->homes + r > judge->n + lost) {
            earliest(&write->gone_us[w], page->answered_us);
        }
    }
}

static void find_same(struct judged_key *key) {
    for (size_t i = 0; i < key->write_count; i++) {
        for (size_t k = 0; k < key->write_count; k++) {
            struct judged_write *write = &key->writes[i];
            write->same_id |= k != i && key->writes[k].op->value_id == write->op->value_id;
        }
    }
}

static void work_out(struct judge *judge, struct judged_key *key, struct judged_write *write) {
    for (uint32_t w = 0; w <= JUDGE_MAX_N; w++) {
        write->there_us[w] = write->gone_us[w] = JUDGE_NEVER;
    }
    write->removable_us = JUDGE_NEVER;
    if (acknowledged(write->op)) {
        write->there_us[write->homes] = write->op->answered_us;
    }
    for (size_t i = 0; i < key->write_count; i++) {
        const struct judged_write *other = &key->writes[i];
        if (may_remove(judge, other, write)) {
            earliest(&write->removable_us, other->op->asked_us);
        }
        if (must_remove(judge, other, write)) {
            earliest(&write->gone_us[other->homes], other->op->answered_us);
        }
    }
    work_out_flushes(judge, write);
    for (size_t i = 0; i < key->read_count;
         i++) { /* a monotonic read makes sure of what it shows */
        const struct op *read = key->reads[i];
        if (read->monotonic && write->op->value_id != 0 && !write->same_id &&
            judge_shows(&read->object, write)) {
            earliest(&write->there_us[judge_r(judge, read)], read->answered_us);
        }
    }
}

/* ---- the whole history ----------------------------------------------------------------------- */

static void add(struct judge *judge, const struct op *op) {
    if (op->kind == CLIENT_FLUSH && judge_maybe_happened(op)) {
        judge->flushes = mem_grow(judge->flushes, &judge->flush_cap, judge->flush_count + 1,
                                  sizeof *judge->flushes);
        judge->flushes[judge->flush_count++] = op;
    }
    if (op->key == NULL || op->kind == CLIENT_RMW) {
        return;
    }
    struct judged_key *key = &judge->keys[workload_key_number(op->key)];
    key->key = op->key;
    if (op->kind == CLIENT_READ && acknowledged(op)) {
        key->reads = mem_grow(key->reads, &key->read_cap, key->read_count + 1, sizeof *key->reads);
        key->reads[key->read_count++] = op;
    } else if (op->kind == CLIENT_WRITE) {
        key->writes =
            mem_grow(key->writes, &key->write_cap, key->write_count + 1, sizeof *key->writes);
        uint32_t w = quorum_of(op->w, judge->plan->world.node.w, judge->n);
        key->writes[key->write_count++] = (struct judged_write){
            .op = op, .w = w, .homes = homes_of(w, op), .happened_maybe = judge_maybe_happened(op)};
    }
}

void judge_init(struct judge *judge, const struct judge_input *input) {
    const struct plan *plan = input->plan;
    *judge =
        (struct judge){.plan = plan,
                       .losses = input->losses,
                       .nodes = input->nodes,
                       .n = plan->world.node.n < input->nodes ? plan->world.node.n : input->nodes,
                       .key_count = plan->keys};
    judge->keys = mem_zero(plan->keys * sizeof *judge->keys);
    for (size_t i = 0; i < input->history->count; i++) {
        add(judge, input->history->ops[i]);
    }
    for (uint32_t k = 0; k < judge->key_count; k++) {
        struct judged_key *key = &judge->keys[k];
        find_same(key);
        for (size_t i = 0; i < key->write_count; i++) {
            work_out(judge, key, &key->writes[i]);
        }
    }
}

void judge_free(struct judge *judge) {
    for (uint32_t k = 0; k < judge->key_count; k++) {
        free(judge->keys[k].writes);
        free(judge->keys[k].reads);
    }
    free(judge->keys);
    free(judge->flushes);
    buf_free(&judge->violation);
    *judge = (struct judge){0};
}

uint32_t judge_known(const struct judge *judge, const struct judged_write *write,
                     const uint64_t *times, uint32_t r, uint64_t before_us, uint64_t until_us) {
    uint32_t lost = losses_count(judge->losses, workload_key_number(write->op->key),
                                 write->op->asked_us, until_us);
    for (uint32_t w = judge->n - r + 1 + lost; w <= judge->n; w++) {
        if (times[w] < before_us) {
            return w;
        }
    }
    return 0;
}

const struct judged_write *judge_writer(const struct judged_key *key, uint64_t value_id) {
    const struct judged_write *writer = NULL;
    for (size_t i = 0; i < key->write_count; i++) {
        const struct judged_write *write = &key->writes[i];
        if (write->op->value_id == value_id && write->op->value != NULL &&
            (writer == NULL || !writer->happened_maybe)) {
            writer = write;
        }
    }
    return writer;
}

void judge_violated(struct judge *judge, const char *format, ...) {
    if (buf_len(&judge->violation) > 0) {
        return;
    }
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    mem_printf(&judge->violation, "%s", text);
}
