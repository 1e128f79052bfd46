/* Promise 1: an acknowledged write is lost only when a later write causally replaces it. */
#include "sim/judge.h"
#include "sim/workload.h"

void check_acknowledged(struct judge *judge, const struct judged_key *key, const struct op *last) {
    for (size_t i = 0; i < key->write_count; i++) {
        const struct judged_write *write = &key->writes[i];
        const struct op *op = write->op;
        bool counts = op->answered && op->err == RD_OK && op->value != NULL &&
                      op->expires_ms == 0 &&
                      losses_count(judge->losses, workload_key_number(op->key), op->asked_us,
                                   JUDGE_NEVER) < write->w;
        if (counts && write->removable_us == JUDGE_NEVER && !judge_shows(&last->object, write)) {
            judge_violated(
                judge,
                "lost: %.*s of request %llu, acknowledged by %u replicas at %llu us, is in no "
                "replica at the end, and nothing can have replaced it",
                (int)op->key->len, (const char *)op->key->bytes, (unsigned long long)op->tag,
                write->w, (unsigned long long)op->answered_us);
        }
    }
}
