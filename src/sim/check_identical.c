/* Promise 3: when faults have ended and all replicas were read, they are identical. Looks into the
 * stores. */
#include "sim/judge.h"
#include "sim/stored.h"

static bool differ(const struct stored_copy *a, const struct stored_copy *b) {
    return a->state == STORED_DAMAGED || b->state == STORED_DAMAGED || a->state != b->state ||
           !object_equal(&a->object, &b->object);
}

void check_identical(struct judge *judge, struct world *world, const struct judged_key *key) {
    struct stored_copy copies[JUDGE_MAX_N];
    size_t count = stored_copies(world, key->key, copies, JUDGE_MAX_N);
    for (size_t i = 0; i < count; i++) {
        if (copies[i].machine == UINT32_MAX) {
            judge_violated(judge, "stranger: a home of %.*s is none of the machines",
                           (int)key->key->len, (const char *)key->key->bytes);
        } else if (differ(&copies[0], &copies[i])) {
            judge_violated(judge, "different: the homes of %.*s do not hold the same object (n%u)",
                           (int)key->key->len, (const char *)key->key->bytes,
                           copies[i].machine + 1);
        }
    }
    for (size_t i = 0; i < count; i++) {
        object_free(&copies[i].object);
    }
}
