/* Promise 2: with R+W>N a read that starts after a write was acknowledged sees it or something
 * newer. */
#include "sim/judge.h"

/* Values that expire may be gone from then on, which clocks that are wrong date anyhow. */
static bool may_have_expired(const struct judge *judge, const struct op *write, uint64_t by_us) {
    return write->expires_ms != 0 &&
           (!judge_clocks_exact(judge) || write->expires_ms * 1000 <= CLOCK_EPOCH_US + by_us);
}

static void check_read(struct judge *judge, const struct judged_key *key, const struct op *read) {
    uint32_t r = judge_r(judge, read); /* fallbacks that have nothing do not make a nil */
    if (r == 0 && object_is_empty(&read->object)) {
        judge_violated(judge, "stale: request %llu was told by fallbacks alone that %.*s is absent",
                       (unsigned long long)read->tag, (int)key->key->len,
                       (const char *)key->key->bytes);
        return;
    }
    for (size_t i = 0; i < key->write_count; i++) {
        const struct judged_write *write = &key->writes[i];
        if (write->op->value == NULL || may_have_expired(judge, write->op, read->answered_us) ||
            write->removable_us <= read->answered_us || judge_shows(&read->object, write)) {
            continue;
        }
        uint32_t w =
            judge_known(judge, write, write->there_us, r, read->asked_us, read->answered_us);
        if (w > 0) {
            judge_violated(
                judge,
                "stale: request %llu read %u replicas of %.*s from %llu us on and did not see "
                "request %llu, which %u replicas had by %llu us",
                (unsigned long long)read->tag, r, (int)key->key->len, (const char *)key->key->bytes,
                (unsigned long long)read->asked_us, (unsigned long long)write->op->tag, w,
                (unsigned long long)write->there_us[w]);
            return;
        }
    }
}

void check_quorum(struct judge *judge, const struct judged_key *key) {
    for (size_t i = 0; i < key->read_count; i++) {
        check_read(judge, key, key->reads[i]);
    }
}
