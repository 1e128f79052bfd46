/* What the SQLite engine does with the journals that it finds; see sqlite_engine.h.
 *
 * 1. Commits are numbered without a gap. The journals hold one run each, the older one's before the newer one's; what is not above
 *    `merged` is in the table already.
 * 2. A commit that failed may have left its row, with the number that the next one got. If that is in the other journal, the
 *    other one's counts.
 * 3. A power failure may have taken the end of the older journal while the newer one's beginning reached the disk. Then all
 *    behind the gap is dropped: what is left is a prefix of what was committed. Commits that were acknowledged as synced
 *    cannot be behind such a gap: finding one there is damage.
 */
#include "store/record.h"
#include "store/sqlite_engine.h"

#define WORTH_A_THREAD 24 /* commits: a few, so that tests come here, too */

struct replay {
    struct memtable *mem; /* NULL: only look */
    struct store *store;
    uint64_t next;
    uint64_t wal_bytes;
    uint8_t flags; /* of the last record */
};

static enum rd_err apply_row(struct replay *replay, const struct record_row *row) {
    const struct store_key *at = &row->put.at;
    enum rd_err err =
        memtable_reserve(replay->mem, memtable_room(at->key_len, at->sub_len, row->put.value_len));
    if (err != RD_OK) {
        return err;
    }
    memtable_put(replay->mem, &row->put);
    if (!store_leaf_mend(replay->store, at) && at->space == STORE_OBJECTS) {
        store_counts_change(replay->store, at, row->put.hash, row->was_live, row->put.live,
                            row->old_digest, row->put.digest);
    }
    return RD_OK;
}

/* In groups: what takes longest is waiting for the memory of rows, see memtable_fetch_row. */
static enum rd_err apply(struct replay *replay, struct record_reader reader) {
    struct record_row rows[MEMTABLE_FETCH_AHEAD];
    enum rd_err err = RD_OK;
    for (size_t count = 1; count > 0 && err == RD_OK;) {
        for (count = 0; count < MEMTABLE_FETCH_AHEAD && record_next(&reader, &rows[count]);
             count++) {
            memtable_fetch_bucket(replay->mem, &rows[count].put.at, rows[count].put.hash);
        }
        for (size_t i = 0; i < count; i++) {
            memtable_fetch_row(replay->mem, rows[i].put.hash);
        }
        for (size_t i = 0; i < count && err == RD_OK; i++) {
            err = apply_row(replay, &rows[i]);
        }
    }
    return err;
}

static enum rd_err replay_one(void *arg, uint64_t seq, const void *bytes, size_t len) {
    struct replay *replay = arg;
    struct record_reader reader;
    if (seq != replay->next || record_open(bytes, len, &reader) != RD_OK) {
        return RD_ECORRUPT;
    }
    replay->next++;
    replay->wal_bytes += journal_row_bytes(len);
    replay->flags = reader.flags;
    return replay->mem == NULL ? RD_OK : apply(replay, reader);
}

static bool has_rows(const struct recovery *plan, unsigned i) {
    return plan->first[i] <= plan->last[i];
}

/* Invariant 3: gives up the rows of journal i, which do not follow `before`. */
static enum rd_err drop(struct recovery *plan, struct journal *journal, unsigned i) {
    struct replay replay = {.next = plan->first[i]};
    enum rd_err err = journal_each(journal, plan->first[i], plan->first[i], replay_one, &replay);
    if (err == RD_OK && (replay.flags & RECORD_SYNCED) != 0) {
        err = RD_ECORRUPT;
    }
    plan->dropped += plan->last[i] - plan->first[i] + 1;
    plan->first[i] = 1;
    plan->last[i] = 0;
    plan->reset[i] = true;
    return err;
}

enum rd_err recovery_plan(struct journal *journals[2], uint64_t merged, struct recovery *out) {
    struct recovery plan = {.merged = merged};
    for (unsigned i = 0; i < 2; i++) {
        enum rd_err err = journal_bounds(journals[i], &plan.first[i], &plan.last[i]);
        if (err != RD_OK) {
            return err;
        }
        plan.reset[i] = plan.last[i] != 0 && plan.last[i] <= merged;
        if (plan.last[i] <= merged) {
            plan.first[i] = 1;
            plan.last[i] = 0;
        } else if (plan.first[i] <= merged) {
            plan.first[i] = merged + 1;
        }
    }
    plan.older = has_rows(&plan, 1) && (!has_rows(&plan, 0) || plan.first[1] < plan.first[0]);
    unsigned newer = 1 - plan.older;
    if (has_rows(&plan, newer) && plan.last[plan.older] >= plan.first[newer]) {
        plan.last[plan.older] = plan.first[newer] - 1; /* invariant 2 */
        plan.reset[plan.older] = !has_rows(&plan, plan.older);
    }
    uint64_t next = merged + 1;
    enum rd_err err = RD_OK;
    for (unsigned n = 0; n < 2 && err == RD_OK; n++) {
        unsigned i = n == 0 ? plan.older : newer;
        if (has_rows(&plan, i) && plan.first[i] != next) {
            err = drop(&plan, journals[i], i);
        } else if (has_rows(&plan, i)) {
            next = plan.last[i] + 1;
        }
    }
    *out = plan;
    return err;
}

enum rd_err recovery_replay(const struct recovery *plan, unsigned index, struct journal *journal,
                            struct memtable *mem, struct store *store) {
    if (!has_rows(plan, index)) {
        return RD_OK;
    }
    struct replay replay = {.mem = mem, .store = store, .next = plan->first[index]};
    uint64_t first = plan->first[index];
    uint64_t last = plan->last[index];
    enum rd_err err = last - first < WORTH_A_THREAD
                          ? journal_each(journal, first, last, replay_one, &replay)
                          : journal_each_ahead(journal, first, last, replay_one, &replay);
    journal->wal_bytes = replay.wal_bytes;
    return err == RD_OK && replay.next != plan->last[index] + 1 ? RD_ECORRUPT : err;
}

static void load_slot(void *arg, uint16_t slot, const struct table_slot *data) {
    struct store *store = arg;
    store_live_add(store, slot, data->live);
    for (unsigned i = 0; i < STORE_LEAVES_PER_SLOT; i++) {
        store->leaves[(size_t)slot * STORE_LEAVES_PER_SLOT + i] = data->leaves[i];
    }
}

enum rd_err recovery_counts(struct table *table, struct store *store) {
    return table_slots(table, load_slot, store);
}
