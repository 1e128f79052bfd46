/* sim/check_left: see check_left.h. */
#include "sim/check_left.h"

#include "sim/judge.h"
#include "sim/mem.h"
#include "sim/stored.h"

struct left left_look(struct world *world, const struct blob *key, bool lww) {
    struct stored_copy copies[JUDGE_MAX_N];
    struct left left = {0};
    size_t count = stored_copies(world, key, copies, JUDGE_MAX_N);
    for (size_t i = 0; i < count; i++) {
        left.damaged += copies[i].state == STORED_DAMAGED;
        mem_must(object_merge(&left.merged, &copies[i].object, NULL));
        object_free(&copies[i].object);
    }
    if (lww) {
        object_keep_newest(&left.merged);
    }
    return left;
}

bool left_is_unreadable(const struct left *left) {
    return left->damaged > 0 && object_is_empty(&left->merged);
}

/* True if the read shows the same values and a smaller vector, or no tombstone where there was one: the reaper came in between. */
static bool has_shrunk(const struct object *before, const struct object *shown) {
    bool same = before->count == shown->count;
    for (uint32_t i = 0; same && i < shown->count; i++) {
        same = dot_compare(&before->siblings[i].dot, &shown->siblings[i].dot) == 0;
    }
    return same && version_descends(&before->version, &shown->version);
}

void check_left(const struct left *left, const struct op *read, struct buf *violation) {
    if (!read->answered || read->err != RD_OK || read->stand_ins > 0) {
        return; /* where a fallback answered for a damaged copy not all replicas were read */
    }
    if (left_is_unreadable(left)) {
        mem_printf(violation,
                   "lie: request %llu says that %.*s is absent, but its copies are "
                   "damaged",
                   (unsigned long long)read->tag, (int)read->key->len,
                   (const char *)read->key->bytes);
    } else if (!object_equal(&left->merged, &read->object) &&
               !has_shrunk(&left->merged, &read->object)) {
        mem_printf(violation,
                   "lie: request %llu read all replicas of %.*s and shows something else than "
                   "what their stores held: %u values instead of %u",
                   (unsigned long long)read->tag, (int)read->key->len,
                   (const char *)read->key->bytes, read->object.count, left->merged.count);
    }
}
