/* Scans of the SQLite engine: the rows of the table and of the memtables as one ordered sequence; see sqlite_engine.h.
 *
 * A memtable lists the rows of a slot in no order: they are collected and sorted when the scan comes to that slot. So a page costs
 * its rows, and the rows in memory of the slots that it touches.
 */
#include <stdlib.h>

#include "store/sqlite_engine.h"
#include "store/sqlite_row.h"

/* Rows in memory, sorted; `at` is the next. */
struct view {
    const struct mem_row **rows; /* owned */
    size_t count;
    size_t cap;
    size_t at;
};

static enum rd_err view_add(struct view *view, const struct mem_row *row) {
    if (view->count == view->cap) {
        size_t cap = view->cap == 0 ? 64 : view->cap * 2;
        const struct mem_row **rows = realloc(view->rows, cap * sizeof *rows);
        if (rows == NULL) {
            return RD_ENOMEM;
        }
        view->rows = rows;
        view->cap = cap;
    }
    view->rows[view->count++] = row;
    return RD_OK;
}

struct scan {
    struct store_sqlite *engine;
    const struct store_range *range;
    const struct store_key *behind; /* NULL: from the start */
    struct view view;
    unsigned next_slot; /* whose rows in memory come after the view */
    sqlite3_stmt *stmt;
    bool have_row; /* the statement stands on a row */
    struct store_key row;
    struct page *page;
    size_t max_rows, max_bytes;
};

/* ---- rows in memory -------------------------------------------------------------------------------- */

static enum rd_err view_slot(struct scan *scan, const struct memtable *mem,
                             const struct memtable *newer, uint16_t slot) {
    enum rd_err err = RD_OK;
    const struct mem_row *row = memtable_slot(mem, scan->range->space, slot);
    for (; row != NULL && err == RD_OK; row = row->slot_next) {
        struct store_key at = mem_row_key(row);
        if (scan->behind != NULL && row_compare(&at, scan->behind) <= 0) {
            continue;
        }
        if (newer == NULL || memtable_find(newer, &at, row_hash(&at)) == NULL) {
            err = view_add(&scan->view, row);
        }
    }
    return err;
}

/* The next row in memory, erased ones included; NULL at the end. */
static enum rd_err peek_memory(struct scan *scan, const struct mem_row **out) {
    struct view *view = &scan->view;
    enum rd_err err = RD_OK;
    while (err == RD_OK && view->at == view->count && scan->next_slot <= scan->range->last_slot) {
        uint16_t slot = (uint16_t)scan->next_slot++;
        const struct memtable *active = &engine_active(scan->engine)->mem;
        view->at = view->count = 0;
        err = view_slot(scan, active, NULL, slot);
        if (err == RD_OK && scan->engine->frozen) {
            err = view_slot(scan, &engine_other(scan->engine)->mem, active, slot);
        }
        if (view->count > 1) {
            qsort(view->rows, view->count, sizeof *view->rows, mem_row_order);
        }
    }
    *out = view->at < view->count ? view->rows[view->at] : NULL;
    return err;
}

static enum rd_err add_memory(struct page *page, const struct mem_row *mem) {
    struct store_key at = mem_row_key(mem);
    struct store_row row = {
        .slot = at.slot,
        .key = at.key,
        .key_len = at.key_len,
        .sub = at.sub,
        .sub_len = at.sub_len,
        .is_live = mem->live,
        .due_ms = mem->due_ms,
    };
    enum rd_err err = blob_new(mem->value->bytes, mem->value->len, &row.value);
    return err == RD_OK ? page_add(page, &row) : err;
}

/* ---- rows of the table ----------------------------------------------------------------------------- */

/* Steps to the next row unless the statement stands on one. */
static enum rd_err peek_table(struct scan *scan) {
    if (scan->have_row || scan->stmt == NULL) {
        return RD_OK;
    }
    int rc = sqlite3_step(scan->stmt);
    if (rc == SQLITE_ROW) {
        scan->have_row = true;
        sqlite_row_address(scan->stmt, scan->range->space, &scan->row);
        bool no_memory = (scan->row.key == NULL && scan->row.key_len > 0) ||
                         (scan->row.sub == NULL && scan->row.sub_len > 0);
        return no_memory ? RD_ENOMEM : RD_OK;
    }
    enum rd_err err = sqlite_file_error(scan->engine->reader.db, rc);
    sqlite3_reset(scan->stmt);
    scan->stmt = NULL;
    return err;
}

static enum rd_err add_table(struct scan *scan) {
    const struct store_key *at = &scan->row;
    struct row_value value = {0};
    enum rd_err err = sqlite_row_value(scan->stmt, at, &value);
    if (err != RD_OK && err != RD_ECORRUPT) {
        return err;
    }
    struct store_row row = {
        .slot = at->slot,
        .key = at->key,
        .key_len = at->key_len,
        .sub = at->sub,
        .sub_len = at->sub_len,
        .value = value.value,
        .err = err,
        .is_live = value.live,
        .due_ms = value.due_ms,
    };
    return page_add(scan->page, &row);
}

/* ---- both ------------------------------------------------------------------------------------------ */

static bool page_full(const struct scan *scan) {
    return scan->page->count > 0 &&
           (scan->page->count >= scan->max_rows || scan->page->bytes >= scan->max_bytes);
}

/* A page of the database that cannot be read ends the scan early: the rows before it are delivered, and the next scan, which begins
 * with it, fails. */
static enum rd_err scan_finish(struct scan *scan, enum rd_err err) {
    sqlite3_reset(scan->stmt);
    free(scan->view.rows);
    bool unreadable = err == RD_ECORRUPT || err == RD_EIO;
    return unreadable && scan->page->count > 0 ? RD_OK : err;
}

/* Adds the first of what memory and table have next; sets page->end if neither has anything. False: no more. */
static bool scan_one(struct scan *scan, enum rd_err *err) {
    const struct mem_row *mem = NULL;
    *err = peek_memory(scan, &mem);
    if (*err == RD_OK) {
        *err = peek_table(scan);
    }
    if (*err != RD_OK) {
        return false;
    }
    if (mem == NULL && !scan->have_row) {
        scan->page->end = true;
        return false;
    }
    int order = mem == NULL ? 1 : -1;
    if (mem != NULL && scan->have_row) {
        struct store_key at = mem_row_key(mem);
        order = row_compare(&at, &scan->row);
    }
    if (order > 0) {
        if (page_full(scan)) {
            return false;
        }
        *err = add_table(scan);
        scan->have_row = false;
        return *err == RD_OK;
    }
    if (mem->value != NULL && page_full(scan)) {
        return false;
    }
    if (order == 0) {
        scan->have_row = false;
    }
    scan->view.at++;
    *err = mem->value == NULL ? RD_OK : add_memory(scan->page, mem);
    return *err == RD_OK;
}

enum rd_err engine_scan(struct store *store, const struct store_range *range,
                        const struct store_key *behind, size_t max_rows, size_t max_bytes,
                        struct page *page) {
    struct store_sqlite *engine = (struct store_sqlite *)store;
    enum rd_err err;
    engine_settle(engine);
    struct scan scan = {
        .engine = engine,
        .range = range,
        .behind = behind,
        .next_slot = behind == NULL ? range->first_slot : behind->slot,
        .stmt = table_scan(&engine->reader, range, behind, &err),
        .page = page,
        .max_rows = max_rows,
        .max_bytes = max_bytes,
    };
    while (err == RD_OK && scan_one(&scan, &err)) {
    }
    return scan_finish(&scan, err);
}

/* ---- due rows -------------------------------------------------------------------------------------- */

static enum rd_err view_due(struct view *view, const struct memtable *mem,
                            const struct memtable *newer, uint64_t before_ms) {
    enum rd_err err = RD_OK;
    for (const struct mem_row *row = mem->due; row != NULL && err == RD_OK; row = row->due_next) {
        struct store_key at = mem_row_key(row);
        if (row->value != NULL && row->due_ms != 0 && row->due_ms <= before_ms &&
            (newer == NULL || memtable_find(newer, &at, row_hash(&at)) == NULL)) {
            err = view_add(view, row);
        }
    }
    return err;
}

static int due_order(const void *a, const void *b) {
    const struct mem_row *left = *(const struct mem_row *const *)a;
    const struct mem_row *right = *(const struct mem_row *const *)b;
    if (left->due_ms != right->due_ms) {
        return left->due_ms < right->due_ms ? -1 : 1;
    }
    return mem_row_order(a, b);
}

/* Does the table's row, which no memtable has, come before the next one in memory? */
static bool table_first(const struct scan *scan, const struct mem_row *mem) {
    if (mem == NULL || !scan->have_row) {
        return scan->have_row;
    }
    uint64_t due = (uint64_t)sqlite3_column_int64(scan->stmt, ROW_DUE);
    struct store_key at = mem_row_key(mem);
    return due != mem->due_ms ? due < mem->due_ms : row_compare(&scan->row, &at) < 0;
}

static bool known_in_memory(const struct scan *scan) {
    return engine_find(scan->engine, &scan->row, row_hash(&scan->row)) != NULL;
}

static bool due_one(struct scan *scan, enum rd_err *err) {
    do { /* rows that memory knows better */
        if (scan->have_row && known_in_memory(scan)) {
            scan->have_row = false;
        }
        *err = peek_table(scan);
    } while (*err == RD_OK && scan->have_row && known_in_memory(scan));
    struct view *view = &scan->view;
    const struct mem_row *mem = view->at < view->count ? view->rows[view->at] : NULL;
    if (*err != RD_OK) {
        return false;
    }
    if (mem == NULL && !scan->have_row) {
        scan->page->end = true;
        return false;
    }
    if (page_full(scan)) {
        return false;
    }
    if (table_first(scan, mem)) {
        *err = add_table(scan);
        scan->have_row = false;
    } else {
        *err = add_memory(scan->page, mem);
        view->at++;
    }
    return *err == RD_OK;
}

enum rd_err engine_scan_due(struct store *store, uint64_t before_ms, size_t max_rows,
                            struct page *page) {
    static const struct store_range objects = {STORE_OBJECTS, 0, SLOT_COUNT - 1};
    struct store_sqlite *engine = (struct store_sqlite *)store;
    enum rd_err err;
    engine_settle(engine);
    struct scan scan = {
        .engine = engine,
        .range = &objects,
        .stmt = table_scan_due(&engine->reader, before_ms, &err),
        .page = page,
        .max_rows = max_rows,
        .max_bytes = SIZE_MAX,
    };
    const struct memtable *active = &engine_active(engine)->mem;
    if (err == RD_OK) {
        err = view_due(&scan.view, active, NULL, before_ms);
    }
    if (err == RD_OK && engine->frozen) {
        err = view_due(&scan.view, &engine_other(engine)->mem, active, before_ms);
    }
    if (scan.view.count > 1) {
        qsort(scan.view.rows, scan.view.count, sizeof *scan.view.rows, due_order);
    }
    while (err == RD_OK && due_one(&scan, &err)) {
    }
    return scan_finish(&scan, err);
}
