/* What the engine and the merger owe each other: letting go of what is merged, and backpressure: when commits come faster than the merge, each is made to take as long as merging its bytes does; see
 * sqlite_engine.h.
 *
 * The measure is how far the active memtable has filled against how far the merge of the other one is. As long as the merge is ahead
 * nobody waits. Sleeps are gathered until they are worth one, and a single one is short: writers slow down, they do not stop.
 */
#include <time.h>

#include "store/sqlite_engine.h"

#define HEAD_START 0.15 /* of a memtable that may be filled before the merge shows its speed */
#define WORTH_US 300
#define LONGEST_US 10000
#define LONGEST_FULL_US 30000 /* when the active memtable is beyond its limit */

void engine_settle(struct store_sqlite *engine) {
    if (engine->frozen && merger_state(engine->merger) == MERGE_DONE) {
        engine->frozen = false;
        table_let_go(&engine->reader); /* it may be older than what the memtable hid */
        merger_let_go(engine->merger);
    }
}

static double filled(struct store_sqlite *engine) {
    const struct merge_side *active = engine_active(engine);
    double mem = (double)active->mem.used_bytes / (double)engine->memtable_limit;
    double wal = (double)active->journal.wal_bytes / (double)engine->journal_limit;
    return mem > wal ? mem : wal;
}

static void sleep_us(struct store_sqlite *engine, double us) {
    struct timespec span = {.tv_nsec = (long)(us * 1000)};
    nanosleep(&span, NULL);
    engine->delayed_us += (uint64_t)us;
}

void engine_pace(struct store_sqlite *engine, uint64_t bytes) {
    uint64_t now = timing_now_us();
    uint64_t spent = now - engine->last_commit_us;
    engine->last_commit_us = now;
    if (!engine->frozen) {
        engine->debt_us = 0;
        return;
    }
    uint64_t since_us;
    double done = merger_progress(engine->merger, &since_us);
    double ahead = filled(engine) - done;
    if (ahead <= HEAD_START || done >= 1) {
        engine->debt_us = 0;
        return;
    }
    /* What a byte of the memtable costs the merge, as far as it has come; at least as if it were at its beginning. */
    double share = done > 0.02 ? done : 0.02;
    double cost = (double)(now - since_us) / (share * (double)engine->memtable_limit);
    engine->debt_us += cost * (double)bytes - (double)spent;
    double longest = filled(engine) > 1 ? LONGEST_FULL_US : LONGEST_US;
    if (engine->debt_us > longest) {
        engine->debt_us = longest;
    }
    if (engine->debt_us < 0) {
        engine->debt_us = 0;
    }
    if (engine->debt_us >= WORTH_US) {
        sleep_us(engine, engine->debt_us);
        engine->debt_us = 0;
        engine->last_commit_us = timing_now_us();
    }
}
