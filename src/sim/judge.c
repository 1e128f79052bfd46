/* sim/judge: see judge.h. */
#include "sim/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/mem.h"
#include "sim/workload.h"

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

/* Errors that say that nothing was written. */
static bool maybe_happened(const struct op *op) {
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

static bool may_remove(const struct judge *judge, const struct judged_write *remover,
                       const struct judged_write *removed) {
    const struct op *later = remover->op, *earlier = removed->op;
    if (remover == removed || !remover->happened_maybe) {
        return false;
    }
    if (judge->plan->world.node.conflict_resolution == CONFLICT_LAST_WRITE_WINS) {
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
        bool final = earlier->with_context || (acknowledged(earlier) && seen != NULL &&
                                               earlier->answered_us < seen->asked_us);
        bool alone = seen != NULL && seen->kind == CLIENT_WRITE; /* its dot alone is covered */
        bool met = acknowledged(earlier) && remover->homes + removed->homes > judge->n;
        return seen != NULL && final && (!alone || met);
    }
    return judge->plan->world.node.conflict_resolution == CONFLICT_SIBLINGS &&
           acknowledged(earlier) && earlier->answered_us < later->asked_us &&
           remover->homes + removed->homes > judge->n;
}

static void earliest(uint64_t *time, uint64_t other) {
    if (other < *time) {
        *time = other;
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
        write->same_id |= other != write && other->op->value_id == write->op->value_id;
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
    if (op->key == NULL) {
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
            .op = op, .w = w, .homes = homes_of(w, op), .happened_maybe = maybe_happened(op)};
    }
}

void judge_init(struct judge *judge, struct world *world, const struct plan *plan,
                const struct faults *faults, size_t ops) {
    *judge = (struct judge){.plan = plan, .n = plan->world.node.n, .key_count = plan->keys};
    if (judge->n > world_nodes(world)) {
        judge->n = world_nodes(world);
    }
    judge->keys = mem_zero(plan->keys * sizeof *judge->keys);
    for (size_t i = 0; i < ops; i++) {
        add(judge, world_history(world)->ops[i]);
    }
    for (uint32_t k = 0; k < judge->key_count; k++) {
        struct judged_key *key = &judge->keys[k];
        key->rows_lost = key->key != NULL ? faults_rows_lost(faults, key->key) : 0;
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
    buf_free(&judge->violation);
    *judge = (struct judge){0};
}

const struct judged_write *judge_writer(const struct judged_key *key, uint64_t value_id) {
    for (size_t i = 0; i < key->write_count; i++) {
        if (key->writes[i].op->value_id == value_id && key->writes[i].op->value != NULL) {
            return &key->writes[i];
        }
    }
    return NULL;
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
