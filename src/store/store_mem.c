/* The memory engine; see store_mem.h.
 *
 * The rows are as the last commit left them. What is needed to take a commit back is kept until it is durable.
 *
 * 1. undo[0..undo_count) are the commits that are not durable, the oldest first; durable + undo_count = stats.commits
 *    since the last new start.
 * 2. A row in a step of an undo record holds a reference; faults may have unlinked it since, then undoing leaves it alone.
 * 3. A linked row has a value. Its damage is a mark; writing it again takes the mark away.
 */
#include "store/store_mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/row_list.h"
#include "store/store_engine.h"

enum step_kind { STEP_NONE, STEP_INSERTED, STEP_CHANGED, STEP_ERASED };

/* How to take one row of a commit back. */
struct undo_step {
    enum step_kind kind;
    struct row *row;         /* a reference */
    struct row_value before; /* CHANGED: a reference to the value */
    bool was_damaged;        /* CHANGED */
};

struct undo {
    size_t count;
    struct undo_step steps[];
};

struct fault {
    enum rd_err err;
    uint64_t count;
};

struct store_mem {
    struct store store; /* first */
    struct row_list rows;
    enum store_fsync fsync;
    struct undo **undo; /* owned */
    size_t undo_count;
    size_t undo_cap;
    uint64_t durable; /* number of the last durable commit, as completion.commit counts */
    uint64_t due_min; /* no object is due before; a lower bound, UINT64_MAX: none at all */
    struct fault faults[STORE_MEM_OPS];
    struct batch unsure; /* owned; what the last commit wrote that has failed in its sync */
    uint64_t found_unsure;
};

struct store_mem_image {
    struct row_list rows;
};

static const struct store_ops mem_ops;

static struct store_mem *mem_of(struct store *store) {
    assert(store->ops == &mem_ops);
    return (struct store_mem *)store;
}

static const struct store_mem *mem_of_const(const struct store *store) {
    assert(store->ops == &mem_ops);
    return (const struct store_mem *)store;
}

/* The error that a fault put in the way of this operation, if any. */
static enum rd_err fault_take(struct store_mem *mem, enum store_mem_op op) {
    struct fault *fault = &mem->faults[op];
    if (fault->count == 0) {
        return RD_OK;
    }
    if (fault->count != UINT64_MAX) {
        fault->count--;
    }
    return fault->err;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static enum rd_err mem_get(struct store *store, const struct store_key *at, struct blob **out) {
    struct store_mem *mem = mem_of(store);
    enum rd_err err = fault_take(mem, STORE_MEM_GET);
    if (err != RD_OK) {
        return err;
    }
    const struct row *row = row_list_find(&mem->rows, at);
    if (row == NULL) {
        return RD_ENOTFOUND;
    }
    if (row->damaged) {
        return RD_ECORRUPT;
    }
    *out = blob_ref(row->now.value);
    return RD_OK;
}

static struct store_row row_view(const struct row *row) {
    return (struct store_row){
        .slot = row->at.slot,
        .key = row->at.key,
        .key_len = row->at.key_len,
        .sub = row->at.sub,
        .sub_len = row->at.sub_len,
        .value = row->damaged ? NULL : row->now.value,
        .err = row->damaged ? RD_ECORRUPT : RD_OK,
        .is_live = row->now.live,
        .due_ms = row->now.due_ms,
    };
}

static enum rd_err add_to_page(struct page *page, const struct row *row) {
    struct store_row view = row_view(row);
    blob_ref(view.value);
    return page_add(page, &view);
}

static enum rd_err mem_scan(struct store *store, const struct store_range *range,
                            const struct store_key *behind, size_t max_rows, size_t max_bytes,
                            struct page *page) {
    struct store_mem *mem = mem_of(store);
    enum rd_err err = fault_take(mem, STORE_MEM_SCAN);
    struct store_key start = {.space = range->space, .slot = range->first_slot};
    struct row *row = behind == NULL ? row_list_from(&mem->rows, &start, true)
                                     : row_list_from(&mem->rows, behind, false);
    for (; err == RD_OK; row = row->next[0]) {
        if (row == NULL || row->at.space != range->space || row->at.slot > range->last_slot) {
            page->end = true;
            break;
        }
        if (page->count > 0 && (page->count >= max_rows || page->bytes >= max_bytes)) {
            break;
        }
        err = add_to_page(page, row);
    }
    return err;
}

static int due_order(const void *a, const void *b) {
    const struct row *left = *(struct row *const *)a;
    const struct row *right = *(struct row *const *)b;
    if (left->now.due_ms != right->now.due_ms) {
        return left->now.due_ms < right->now.due_ms ? -1 : 1;
    }
    return row_compare(&left->at, &right->at);
}

static bool is_behind(const struct row *row, const struct store_due *place) {
    if (place == NULL || row->now.due_ms != place->due_ms) {
        return place == NULL || row->now.due_ms > place->due_ms;
    }
    return row_compare(&row->at, &place->at) > 0;
}

/* Points `*out` (to be freed) to the rows that are due, unsorted, and sets due_min to the exact minimum of all. */
static enum rd_err collect_due(struct store_mem *mem, uint64_t before_ms,
                               const struct store_due *behind, struct row ***out, size_t *count) {
    struct row **found = malloc((mem->rows.count + 1) * sizeof *found);
    if (found == NULL) {
        return RD_ENOMEM;
    }
    size_t n = 0;
    mem->due_min = UINT64_MAX;
    for (struct row *row = mem->rows.first[0]; row != NULL && row->at.space == STORE_OBJECTS;
         row = row->next[0]) {
        if (row->now.due_ms == 0) {
            continue;
        }
        if (row->now.due_ms < mem->due_min) {
            mem->due_min = row->now.due_ms;
        }
        if (row->now.due_ms <= before_ms && is_behind(row, behind)) {
            found[n++] = row;
        }
    }
    *out = found;
    *count = n;
    return RD_OK;
}

static enum rd_err mem_scan_due(struct store *store, uint64_t before_ms,
                                const struct store_due *behind, size_t max_rows, size_t max_bytes,
                                struct page *page) {
    struct store_mem *mem = mem_of(store);
    enum rd_err err = fault_take(mem, STORE_MEM_SCAN);
    if (err != RD_OK) {
        return err;
    }
    if (before_ms < mem->due_min) {
        page->end = true;
        return RD_OK;
    }
    struct row **found;
    size_t count;
    err = collect_due(mem, before_ms, behind, &found, &count);
    if (err != RD_OK) {
        return err;
    }
    qsort(found, count, sizeof *found, due_order);
    size_t i = 0;
    for (; i < count && err == RD_OK; i++) {
        if (page->count > 0 && (page->count >= max_rows || page->bytes >= max_bytes)) {
            break;
        }
        err = add_to_page(page, found[i]);
    }
    page->end = i == count;
    free(found);
    return err;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void undo_free(struct undo *undo) {
    for (size_t i = 0; i < undo->count; i++) {
        row_unref(undo->steps[i].row);
        blob_unref(undo->steps[i].before.value);
    }
    free(undo);
}

static void note_due(struct store_mem *mem, const struct row *row) {
    if (row->now.due_ms != 0 && row->now.due_ms < mem->due_min) {
        mem->due_min = row->now.due_ms;
    }
}

/* Reserves all memory that applying `batch` takes: the record, a new row for each that is inserted, room
 * in the list of records. */
static enum rd_err undo_prepare(struct store_mem *mem, const struct batch *batch,
                                struct undo **out) {
    if (mem->undo_count == mem->undo_cap) {
        size_t cap = mem->undo_cap == 0 ? 16 : mem->undo_cap * 2;
        struct undo **more = realloc(mem->undo, cap * sizeof(struct undo *));
        if (more == NULL) {
            return RD_ENOMEM;
        }
        mem->undo = more;
        mem->undo_cap = cap;
    }
    struct undo *undo = calloc(1, sizeof *undo + batch->count * sizeof undo->steps[0]);
    if (undo == NULL) {
        return RD_ENOMEM;
    }
    undo->count = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_row *put = &batch->rows[i];
        struct undo_step *step = &undo->steps[i];
        struct row *row = row_list_find(&mem->rows, &put->at);
        if (row != NULL) {
            row->refs++;
            step->row = row;
            step->kind = put->now.value == NULL ? STEP_ERASED : STEP_CHANGED;
        } else if (put->now.value != NULL) {
            if (row_new(&mem->rows, &put->at, &step->row) != RD_OK) {
                undo_free(undo);
                return RD_ENOMEM;
            }
            step->kind = STEP_INSERTED;
        }
    }
    *out = undo;
    return RD_OK;
}

static void apply(struct store_mem *mem, const struct batch_row *put, struct undo_step *step) {
    struct row *row = step->row;
    switch (step->kind) {
    case STEP_NONE:
        break;
    case STEP_INSERTED:
        row->now = put->now;
        blob_ref(row->now.value);
        row->refs++; /* one for the list, one for the step */
        row_list_link(&mem->rows, row);
        note_due(mem, row);
        break;
    case STEP_CHANGED:
        step->before = row->now;
        step->was_damaged = row->damaged;
        row->now = put->now;
        blob_ref(row->now.value);
        row->damaged = false;
        note_due(mem, row);
        break;
    case STEP_ERASED:
        row_list_unlink(&mem->rows, row);
        row_unref(row);
        break;
    }
}

static void take_back(struct store_mem *mem, struct undo_step *step) {
    struct row *row = step->row;
    switch (step->kind) {
    case STEP_NONE:
        break;
    case STEP_INSERTED:
        if (row->linked) {
            row_list_unlink(&mem->rows, row);
            row_unref(row);
        }
        break;
    case STEP_CHANGED:
        if (row->linked) {
            blob_unref(row->now.value);
            row->now = step->before;
            row->damaged = step->was_damaged;
            step->before.value = NULL;
        }
        break;
    case STEP_ERASED:
        if (row_list_find(&mem->rows, &row->at) == NULL) {
            row->refs++;
            row_list_link(&mem->rows, row);
        }
        break;
    }
}

static enum rd_err apply_all(struct store_mem *mem, const struct batch *batch) {
    struct undo *undo;
    enum rd_err err = undo_prepare(mem, batch, &undo);
    if (err != RD_OK) {
        return err;
    }
    for (size_t i = 0; i < batch->count; i++) {
        apply(mem, &batch->rows[i], &undo->steps[i]);
    }
    mem->undo[mem->undo_count++] = undo;
    return RD_OK;
}

/* Without memory for it the batch is as lost as it may be. An empty one changes nothing. */
static void keep_unsure(struct store_mem *mem, const struct batch *batch) {
    if (batch->count > 0) {
        batch_clear(&mem->unsure);
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_row *row = &batch->rows[i];
        const struct store_put put = {.at = row->at,
                                      .value = row->now.value,
                                      .old_digest = row->old_digest,
                                      .new_digest = row->now.digest,
                                      .due_ms = row->now.due_ms,
                                      .was_live = row->was_live,
                                      .is_live = row->now.live};
        if (batch_put(&mem->unsure, &put) != RD_OK) {
            batch_clear(&mem->unsure);
            return;
        }
    }
}

static enum rd_err mem_commit(struct store *store, const struct batch *batch, bool probe) {
    struct store_mem *mem = mem_of(store);
    (void)probe; /* the faults strike empty batches too */
    enum rd_err err = fault_take(mem, STORE_MEM_COMMIT);
    if (err == RD_OK && (err = fault_take(mem, STORE_MEM_SYNC)) != RD_OK) {
        keep_unsure(mem, batch);
    }
    if (err == RD_OK) {
        err = apply_all(mem, batch);
    }
    if (err != RD_OK) {
        return err;
    }
    batch_clear(&mem->unsure);
    if (mem->fsync == STORE_FSYNC_ALWAYS && !store->hold) {
        store_mem_sync(store, SIZE_MAX);
    }
    return RD_OK;
}

/* ---- durability ------------------------------------------------------------------------------------ */

void store_mem_set_fsync(struct store *store, enum store_fsync mode) {
    mem_of(store)->fsync = mode;
}

size_t store_mem_held(const struct store *store) {
    return mem_of_const(store)->store.held;
}

void store_mem_release(struct store *store, size_t count) {
    struct store_mem *mem = mem_of(store);
    if (count > store->held) {
        count = store->held;
    }
    for (size_t i = 0; i < count; i++) {
        const struct completion *done = store_waiting(store, store->ring_count - store->held);
        if (done->kind == COMPLETION_COMMIT && mem->fsync == STORE_FSYNC_ALWAYS &&
            done->commit > mem->durable) {
            store_mem_sync(store, done->commit - mem->durable);
        }
        store->held--;
    }
}

void store_mem_hold(struct store *store, bool hold) {
    struct store_mem *mem = mem_of(store);
    store->hold = hold;
    if (!hold) {
        store_mem_release(store, SIZE_MAX);
        assert(mem->store.held == 0);
    }
}

size_t store_mem_unsynced(const struct store *store) {
    return mem_of_const(store)->undo_count;
}

void store_mem_sync(struct store *store, size_t count) {
    struct store_mem *mem = mem_of(store);
    if (count > mem->undo_count) {
        count = mem->undo_count;
    }
    for (size_t i = 0; i < count; i++) {
        undo_free(mem->undo[i]);
    }
    mem->undo_count -= count;
    if (count > 0) { /* else there may be no array yet */
        memmove(mem->undo, mem->undo + count, mem->undo_count * sizeof(struct undo *));
    }
    mem->durable += count;
}

/* A new start on the rows as they are: they are counted as an engine does that opens its files. */
static void start_over(struct store_mem *mem) {
    struct store *store = &mem->store;
    store_forget(store);
    batch_clear(&mem->unsure);
    store_mem_sync(store, SIZE_MAX);
    store->stats.commits = mem->durable;
    store->stats.writable = true;
    store_counts_reset(store);
    mem->due_min = UINT64_MAX;
    for (struct row *row = mem->rows.first[0]; row != NULL; row = row->next[0]) {
        note_due(mem, row);
        if (row->at.space == STORE_OBJECTS) {
            store_counts_change(store, &row->at, row_hash(&row->at), false, row->now.live, 0,
                                row->now.digest);
        }
    }
}

void store_mem_crash(struct store *store, size_t keep_commits) {
    struct store_mem *mem = mem_of(store);
    size_t lost = mem->undo_count > keep_commits ? mem->undo_count - keep_commits : 0;
    while (mem->undo_count > keep_commits) {
        struct undo *undo = mem->undo[--mem->undo_count];
        for (size_t i = undo->count; i > 0; i--) {
            take_back(mem, &undo->steps[i - 1]);
        }
        undo_free(undo);
    }
    if (lost == 0 && mem->unsure.count > 0 && apply_all(mem, &mem->unsure) == RD_OK) {
        mem->found_unsure += mem->unsure.count;
    }
    start_over(mem);
}

/* ---- faults ---------------------------------------------------------------------------------------- */

void store_mem_fail(struct store *store, enum store_mem_op op, enum rd_err err, uint64_t count) {
    assert((unsigned)op < STORE_MEM_OPS && (err != RD_OK || count == 0));
    mem_of(store)->faults[op] = (struct fault){.err = err, .count = count};
}

uint64_t store_mem_found_unsure(const struct store *store) {
    return mem_of_const(store)->found_unsure;
}

bool store_mem_erase_row(struct store *store, const struct store_key *at) {
    struct store_mem *mem = mem_of(store);
    struct row *row = row_list_find(&mem->rows, at);
    if (row == NULL) {
        return false;
    }
    if (at->space == STORE_OBJECTS) {
        store_counts_change(store, at, row_hash(at), row->now.live, false, row->now.digest, 0);
    }
    row_list_unlink(&mem->rows, row);
    row_unref(row);
    return true;
}

bool store_mem_corrupt_row(struct store *store, const struct store_key *at) {
    struct row *row = row_list_find(&mem_of(store)->rows, at);
    if (row == NULL) {
        return false;
    }
    row->damaged = true;
    return true;
}

enum rd_err store_mem_snapshot(const struct store *store, struct store_mem_image **out) {
    struct store_mem_image *image = malloc(sizeof *image);
    if (image == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = row_list_copy(&mem_of_const(store)->rows, &image->rows);
    if (err != RD_OK) {
        free(image);
        return err;
    }
    *out = image;
    return RD_OK;
}

enum rd_err store_mem_restore(struct store *store, const struct store_mem_image *image) {
    struct store_mem *mem = mem_of(store);
    struct row_list copy;
    enum rd_err err = row_list_copy(&image->rows, &copy);
    if (err != RD_OK) {
        return err;
    }
    row_list_clear(&mem->rows);
    mem->rows = copy;
    start_over(mem);
    return RD_OK;
}

void store_mem_image_free(struct store_mem_image **image) {
    if (*image != NULL) {
        row_list_clear(&(*image)->rows);
        free(*image);
        *image = NULL;
    }
}

void store_mem_wipe(struct store *store) {
    struct store_mem *mem = mem_of(store);
    row_list_clear(&mem->rows);
    start_over(mem);
}

/* ---- the rest -------------------------------------------------------------------------------------- */

void store_mem_each(const struct store *store,
                    void (*each)(void *arg, enum store_space space, const struct store_row *row),
                    void *arg) {
    const struct store_mem *mem = mem_of_const(store);
    for (const struct row *row = mem->rows.first[0]; row != NULL; row = row->next[0]) {
        struct store_row view = row_view(row);
        each(arg, row->at.space, &view);
    }
}

void store_mem_check(const struct store *store) {
    const struct store_mem *mem = mem_of_const(store);
    row_list_check(&mem->rows);
    assert(mem->durable + mem->undo_count == store->stats.commits);
    assert(store->held <= store->ring_count && (store->hold || store->held == 0));
    for (const struct row *row = mem->rows.first[0]; row != NULL; row = row->next[0]) {
        assert(row->now.due_ms == 0 || row->now.due_ms >= mem->due_min);
        assert(row->at.space == STORE_OBJECTS || (!row->now.live && row->now.due_ms == 0));
    }
}

/* What the rows would take, without any overhead. */
static void mem_stats(const struct store *store, struct store_stats *out) {
    const struct store_mem *mem = mem_of_const(store);
    uint64_t bytes = 0;
    for (const struct row *row = mem->rows.first[0]; row != NULL; row = row->next[0]) {
        bytes += row->at.key_len + row->at.sub_len + row->now.value->len;
    }
    out->bytes_on_disk = bytes;
}

static void mem_close(struct store *store) {
    struct store_mem *mem = mem_of(store);
    store_mem_sync(store, SIZE_MAX);
    free(mem->undo);
    row_list_clear(&mem->rows);
    batch_free(&mem->unsure);
    store_fini(store);
    free(mem);
}

static const struct store_ops mem_ops = {
    .get = mem_get,
    .commit = mem_commit,
    .scan = mem_scan,
    .scan_due = mem_scan_due,
    .stats = mem_stats,
    .close = mem_close,
};

enum rd_err store_mem_new(struct store **out) {
    struct store_mem *mem = calloc(1, sizeof *mem);
    if (mem == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = store_init(&mem->store, &mem_ops);
    if (err != RD_OK) {
        free(mem);
        return err;
    }
    row_list_init(&mem->rows, 1);
    mem->due_min = UINT64_MAX;
    *out = &mem->store;
    return RD_OK;
}
