/* Promises 4 and 5: no false siblings, and what was deleted does not come back. */
#include "sim/judge.h"
#include "sim/workload.h"

/* True if readers hide the value. It may be left at a home that was away when the others forgot it, beside whatever came since. */
static bool has_expired(const struct op *write, const struct op *read) {
    return write->expires_ms != 0 && write->expires_ms * 1000 <= CLOCK_EPOCH_US + read->answered_us;
}

static void check_value(struct judge *judge, const struct judged_key *key, const struct op *read,
                        uint64_t id, uint32_t r) {
    const struct judged_write *write = judge_writer(key, id);
    if (write == NULL || !write->happened_maybe || write->op->asked_us > read->answered_us) {
        judge_violated(judge, "invented: request %llu read value %llu of %.*s, which %s",
                       (unsigned long long)read->tag, (unsigned long long)id, (int)key->key->len,
                       (const char *)key->key->bytes,
                       write == NULL           ? "nobody wrote there"
                       : write->happened_maybe ? "was written later"
                                               : "its writer was told is not written");
        return;
    }
    if (judge->plan->beyond || has_expired(write->op, read)) {
        return;
    }
    uint32_t w = judge_known(judge, write, write->gone_us, r, read->asked_us, read->answered_us);
    if (w > 0) {
        judge_violated(judge,
                       "returned: request %llu read %u replicas of %.*s from %llu us on and saw "
                       "the value of request %llu, which %u replicas knew to be replaced by %llu "
                       "us",
                       (unsigned long long)read->tag, r, (int)key->key->len,
                       (const char *)key->key->bytes, (unsigned long long)read->asked_us,
                       (unsigned long long)write->op->tag, w,
                       (unsigned long long)write->gone_us[w]);
    }
}

static void check_read(struct judge *judge, const struct judged_key *key, const struct op *read) {
    uint32_t r = judge_r(judge, read);
    for (uint32_t i = 0; i < read->object.count; i++) {
        uint64_t id = workload_value_id(read->object.siblings[i].value);
        if (id != 0) {
            check_value(judge, key, read, id, r);
        }
    }
    /* Each coordinator stops at the limit that it sees; one that has lost its copy begins again. */
    uint32_t most = judge->plan->world.node.max_siblings * judge->nodes;
    if (judge->losses->count == 0 && read->object.count > most) {
        judge_violated(judge, "grown: %.*s has %u siblings, and each of %u nodes stops at %u",
                       (int)key->key->len, (const char *)key->key->bytes, read->object.count,
                       judge->nodes, judge->plan->world.node.max_siblings);
    }
    if (read->object.version.count > key->write_count) {
        judge_violated(judge, "grown: %.*s has %u clock entries after %zu writes",
                       (int)key->key->len, (const char *)key->key->bytes,
                       read->object.version.count, key->write_count);
    }
}

void check_siblings(struct judge *judge, const struct judged_key *key, const struct op *last) {
    for (size_t i = 0; i < key->read_count; i++) {
        check_read(judge, key, key->reads[i]);
    }
    if (last != NULL) {
        check_read(judge, key, last);
    }
}
