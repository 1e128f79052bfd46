/* The merger; see merger.h.
 *
 * 1. Nothing of a commit reaches the main table before its journal row is on disk (unless syncing that has failed: then the merge is
 *    what saves it). So after a power failure the table never holds a later commit without an earlier one.
 * 2. The last transaction of a merge brings the slots' counts and leaves, as absolute values as of the freeze, and the number of the
 *    newest commit merged. Before it, a crash merges the same rows again, which changes nothing; after it, they are
 *    skipped.
 * 3. A journal is emptied only after that transaction is on disk.
 * 4. `state`, `trouble`, `stats`, `stop` and `retry` are guarded by `mutex`; `state` may be read without. The table and, from
 *    RUNNING to IDLE, the side's journal are the thread's alone.
 */
#include "store/merger.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/thread.h"
#include "store/timing.h"

#define ROWS_PER_TRANSACTION 20000
#define BYTES_PER_TRANSACTION ((uint64_t)32 << 20)
#define CHECKPOINT_PAGES 4000
#define RETRY_MS 200

struct merger {
    struct table *table;
    uint64_t keep_bytes;
    size_t rows_per_transaction;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;    /* of the thread */
    pthread_cond_t changed; /* the state, or an attempt has failed */
    _Atomic enum merge_state state;
    struct merge_side *side;
    enum rd_err trouble;
    uint64_t attempts;
    struct merger_stats stats;
    bool stop;
    bool retry;
    bool cleared;  /* CLEARING: the memtable is, the journal not yet */
    bool distrust; /* an I/O error in the table's WAL: only a complete checkpoint proves anything */
    atomic_uint_fast64_t rows_done;
    atomic_uint_fast64_t rows_all;
    atomic_uint_fast64_t since_us;
};

/* ---- the merge ------------------------------------------------------------------------------------- */

/* Puts rows from `*next` on, until the transaction is large enough. */
static enum rd_err put_rows(struct merger *merger, const struct mem_row **rows, size_t count,
                            size_t *next) {
    enum rd_err err = RD_OK;
    uint64_t bytes = 0;
    size_t first = *next;
    size_t i = first;
    while (err == RD_OK && i < count && i - first < merger->rows_per_transaction &&
           bytes < BYTES_PER_TRANSACTION) {
        const struct mem_row *row = rows[i];
        bytes += row->key_len + row->sub_len + (row->value == NULL ? 0 : row->value->len);
        err = table_put(merger->table, row);
        i++;
    }
    *next = i;
    return err;
}

/* Invariant 2. A slot's rows follow each other; one that has both objects and corrections is put twice, no matter. */
static enum rd_err put_slots(struct merger *merger, const struct merge_side *side,
                             const struct mem_row **rows) {
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < side->mem.count && err == RD_OK; i++) {
        const struct mem_row *row = rows[i];
        bool seen = i > 0 && rows[i - 1]->slot == row->slot && rows[i - 1]->space == row->space;
        if (seen || (row->space != STORE_OBJECTS && row->space != STORE_LEAVES)) {
            continue;
        }
        struct table_slot data = {.live = side->live[row->slot]};
        const uint64_t *leaves = side->leaves + (size_t)row->slot * STORE_LEAVES_PER_SLOT;
        memcpy(data.leaves, leaves, sizeof data.leaves);
        err = table_put_slot(merger->table, row->slot, &data);
    }
    return err == RD_OK ? table_put_merged(merger->table, side->last_seq) : err;
}

static enum rd_err transaction(struct merger *merger, const struct merge_side *side,
                               const struct mem_row **rows, size_t *next) {
    enum rd_err err = table_begin(merger->table);
    if (err == RD_OK) {
        err = put_rows(merger, rows, side->mem.count, next);
    }
    if (err == RD_OK && *next == side->mem.count) {
        err = put_slots(merger, side, rows);
    }
    if (err == RD_OK) {
        err = table_commit(merger->table);
    }
    if (err != RD_OK) {
        table_rollback(merger->table);
    }
    return err;
}

static enum rd_err put_all(struct merger *merger, const struct merge_side *side,
                           const struct mem_row **rows) {
    enum rd_err err = RD_OK;
    size_t next = 0;
    bool complete = false;
    bool last = false;
    while (err == RD_OK && !last) {
        last = side->mem.count - next <= merger->rows_per_transaction;
        err = table_set_full(merger->table, last);
        if (err == RD_OK) {
            err = transaction(merger, side, rows, &next);
        }
        last = last && next == side->mem.count;
        atomic_store(&merger->rows_done, next);
        if (err == RD_OK && !last && merger->table->wal_pages >= CHECKPOINT_PAGES) {
            err = table_checkpoint(merger->table, SQLITE_CHECKPOINT_PASSIVE, &complete);
        }
    }
    if (err != RD_OK) {
        return err;
    }
    err = table_checkpoint(merger->table,
                           merger->distrust ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
                           &complete);
    if (err == RD_OK && merger->distrust && !complete) {
        err = RD_EIO;
    }
    merger->distrust = merger->distrust && !complete;
    return err;
}

static enum rd_err merge(struct merger *merger, struct merge_side *side) {
    const struct mem_row **rows = NULL;
    (void)journal_sync(&side->journal); /* invariant 1; a failure is remembered until it is empty */
    table_rollback(merger->table);      /* if the last attempt could not even do that */
    enum rd_err err = memtable_sorted(&side->mem, &rows);
    if (err == RD_OK) {
        err = put_all(merger, side, rows);
    }
    free(rows);
    merger->distrust |= err == RD_EIO;
    return err;
}

static enum rd_err clear(struct merger *merger, struct merge_side *side) {
    if (!merger->cleared) {
        memtable_clear(&side->mem, merger->keep_bytes);
        merger->cleared = true;
    }
    return journal_reset(&side->journal);
}

/* ---- the thread ------------------------------------------------------------------------------------ */

/* Called with the mutex held; the work is done without. */
static void work(struct merger *merger) {
    enum merge_state state = atomic_load(&merger->state);
    struct merge_side *side = merger->side;
    pthread_mutex_unlock(&merger->mutex);
    uint64_t rows = side->mem.count;
    enum rd_err err = state == MERGE_RUNNING ? merge(merger, side) : clear(merger, side);
    pthread_mutex_lock(&merger->mutex);
    merger->trouble = err;
    merger->attempts++;
    if (err != RD_OK) {
        merger->stats.errors++;
    } else if (state == MERGE_RUNNING) {
        merger->stats.merges++;
        merger->stats.rows += rows;
        merger->stats.last_ms = (timing_now_us() - atomic_load(&merger->since_us)) / 1000;
        atomic_store(&merger->state, MERGE_DONE);
    } else {
        merger->cleared = false;
        merger->side = NULL;
        atomic_store(&merger->state, MERGE_IDLE);
    }
    pthread_cond_broadcast(&merger->changed);
}

static struct timespec in_us(uint64_t us) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + us % 1000000 * 1000;
    until.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return until;
}

static void *run(void *arg) {
    struct merger *merger = arg;
    pthread_mutex_lock(&merger->mutex);
    while (!merger->stop) {
        enum merge_state state = atomic_load(&merger->state);
        if (state != MERGE_RUNNING && state != MERGE_CLEARING) {
            pthread_cond_wait(&merger->wake, &merger->mutex);
            continue;
        }
        if (merger->trouble != RD_OK && !merger->retry) {
            struct timespec until = in_us(RETRY_MS * 1000);
            pthread_cond_timedwait(&merger->wake, &merger->mutex, &until);
        }
        merger->retry = false;
        if (!merger->stop) {
            work(merger);
        }
    }
    pthread_mutex_unlock(&merger->mutex);
    return NULL;
}

enum rd_err merger_new(struct table *table, uint64_t keep_bytes, size_t rows_per_transaction,
                       struct merger **out) {
    struct merger *merger = calloc(1, sizeof *merger);
    if (merger == NULL) {
        return RD_ENOMEM;
    }
    merger->table = table;
    merger->keep_bytes = keep_bytes;
    merger->rows_per_transaction =
        rows_per_transaction == 0 ? ROWS_PER_TRANSACTION : rows_per_transaction;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&merger->wake, &attr);
    pthread_cond_init(&merger->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&merger->mutex, NULL);
    if (thread_start(&merger->thread, run, merger) != RD_OK) {
        pthread_cond_destroy(&merger->wake);
        pthread_cond_destroy(&merger->changed);
        pthread_mutex_destroy(&merger->mutex);
        free(merger);
        return RD_ENOMEM;
    }
    *out = merger;
    return RD_OK;
}

void merger_free(struct merger **merger) {
    struct merger *old = *merger;
    if (old == NULL) {
        return;
    }
    pthread_mutex_lock(&old->mutex);
    old->stop = true;
    pthread_cond_signal(&old->wake);
    pthread_mutex_unlock(&old->mutex);
    pthread_join(old->thread, NULL);
    pthread_cond_destroy(&old->wake);
    pthread_cond_destroy(&old->changed);
    pthread_mutex_destroy(&old->mutex);
    free(old);
    *merger = NULL;
}

/* ---- the engine's side ----------------------------------------------------------------------------- */

static void set_state(struct merger *merger, enum merge_state from, enum merge_state to) {
    assert(atomic_load(&merger->state) == from);
    atomic_store(&merger->state, to);
    merger->trouble = RD_OK;
    pthread_cond_signal(&merger->wake);
}

void merger_begin(struct merger *merger, struct merge_side *side) {
    pthread_mutex_lock(&merger->mutex);
    merger->side = side;
    atomic_store(&merger->rows_done, 0);
    atomic_store(&merger->rows_all, side->mem.count);
    atomic_store(&merger->since_us, timing_now_us());
    set_state(merger, MERGE_IDLE, MERGE_RUNNING);
    pthread_mutex_unlock(&merger->mutex);
}

enum merge_state merger_state(struct merger *merger) {
    return atomic_load(&merger->state);
}

void merger_let_go(struct merger *merger) {
    pthread_mutex_lock(&merger->mutex);
    set_state(merger, MERGE_DONE, MERGE_CLEARING);
    pthread_mutex_unlock(&merger->mutex);
}

enum rd_err merger_trouble(struct merger *merger) {
    pthread_mutex_lock(&merger->mutex);
    enum rd_err err = merger->trouble;
    pthread_mutex_unlock(&merger->mutex);
    return err;
}

void merger_wait(struct merger *merger, uint64_t timeout_us) {
    struct timespec until = in_us(timeout_us);
    pthread_mutex_lock(&merger->mutex);
    enum merge_state state = atomic_load(&merger->state);
    uint64_t attempts = merger->attempts;
    merger->retry = true;
    pthread_cond_signal(&merger->wake);
    while ((state == MERGE_RUNNING || state == MERGE_CLEARING) &&
           atomic_load(&merger->state) == state && merger->attempts == attempts &&
           pthread_cond_timedwait(&merger->changed, &merger->mutex, &until) == 0) {
    }
    pthread_mutex_unlock(&merger->mutex);
}

double merger_progress(struct merger *merger, uint64_t *since_us) {
    uint64_t all = atomic_load(&merger->rows_all);
    *since_us = atomic_load(&merger->since_us);
    if (atomic_load(&merger->state) != MERGE_RUNNING) {
        return 1;
    }
    return all == 0 ? 0 : (double)atomic_load(&merger->rows_done) / (double)all;
}

void merger_stats(struct merger *merger, struct merger_stats *out) {
    pthread_mutex_lock(&merger->mutex);
    *out = merger->stats;
    pthread_mutex_unlock(&merger->mutex);
}
