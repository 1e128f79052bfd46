/* Scans of the SQLite engine: the rows of the table and of the memtables as one ordered sequence; see sqlite_engine.h.
 *
 * All three are in order already, so a page costs what it shows, and what is hidden or erased between.
 */
#include <stdlib.h>

#include "store/sqlite_engine.h"
#include "store/sqlite_row.h"

/* The rows of one memtable, in order. */
struct walk {
    struct memtable *mem;
    const struct mem_row *row; /* the next one; NULL: none in this slot */
    unsigned slot;             /* where it is, or was sought */
};

struct scan {
    struct store_sqlite *engine;
    const struct store_range *range;
    struct walk walks[2]; /* the active memtable; the frozen one, if any */
    unsigned walk_count;
    sqlite3_stmt *stmt;
    bool have_row; /* the statement stands on a row */
    struct store_key row;
    struct page *page;
    size_t max_rows, max_bytes;
};

/* ---- rows in memory -------------------------------------------------------------------------------- */

static void walk_begin(struct scan *scan, struct memtable *mem, const struct store_key *behind) {
    struct walk *walk = &scan->walks[scan->walk_count++];
    walk->mem = mem;
    walk->slot = behind == NULL ? scan->range->first_slot : behind->slot;
    if (walk->slot <= scan->range->last_slot) { /* a cursor may be behind the range */
        walk->row = behind == NULL ? memtable_first(mem, scan->range->space, (uint16_t)walk->slot)
                                   : memtable_behind(mem, behind);
    }
}

/* Goes on to the next slots until one has a row. */
static const struct mem_row *walk_peek(const struct scan *scan, struct walk *walk) {
    while (walk->row == NULL && walk->slot < scan->range->last_slot) {
        walk->slot++;
        walk->row = memtable_first(walk->mem, scan->range->space, (uint16_t)walk->slot);
    }
    return walk->row;
}

static void walk_on(struct walk *walk) {
    walk->row = memtable_next(walk->mem, walk->row);
}

static int mem_compare(const struct mem_row *a, const struct mem_row *b) {
    struct store_key left = mem_row_key(a);
    struct store_key right = mem_row_key(b);
    return row_compare(&left, &right);
}

/* The next row in memory, erased ones included; NULL at the end. `*from`: whose it is. Of two versions the frozen one is passed. */
static const struct mem_row *peek_memory(struct scan *scan, struct walk **from) {
    struct walk *active = &scan->walks[0];
    const struct mem_row *row = walk_peek(scan, active);
    *from = active;
    if (scan->walk_count == 1) {
        return row;
    }
    struct walk *frozen = &scan->walks[1];
    const struct mem_row *old = walk_peek(scan, frozen);
    int order = row == NULL ? 1 : old == NULL ? -1 : mem_compare(row, old);
    if (order == 0) {
        walk_on(frozen);
    } else if (order > 0) {
        *from = frozen;
        row = old;
    }
    return row;
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
    bool unreadable = err == RD_ECORRUPT || err == RD_EIO;
    return unreadable && scan->page->count > 0 ? RD_OK : err;
}

/* Adds the first of what memory and table have next; sets page->end if neither has anything. False: no more. */
static bool scan_one(struct scan *scan, enum rd_err *err) {
    struct walk *from;
    const struct mem_row *mem = peek_memory(scan, &from);
    *err = peek_table(scan);
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
    walk_on(from);
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
        .stmt = table_scan(&engine->reader, range, behind, &err),
        .page = page,
        .max_rows = max_rows,
        .max_bytes = max_bytes,
    };
    walk_begin(&scan, &engine_active(engine)->mem, behind);
    if (engine->frozen) {
        walk_begin(&scan, &engine_other(engine)->mem, behind);
    }
    while (err == RD_OK && scan_one(&scan, &err)) {
    }
    err = scan_finish(&scan, err);
    if (range->space == STORE_OBJECTS) {
        engine_note_damaged_rows(engine, page);
    }
    return err;
}

/* ---- due rows -------------------------------------------------------------------------------------- */

/* The next due row of a memtable that the newer one, if any, does not hide; NULL: none. */
static const struct mem_row *due_peek(const struct scan *scan, struct walk *walk,
                                      uint64_t before_ms) {
    const struct memtable *newer = walk == &scan->walks[0] ? NULL : scan->walks[0].mem;
    while (walk->row != NULL && newer != NULL) {
        struct store_key at = mem_row_key(walk->row);
        if (memtable_find(newer, &at, walk->row->hash) == NULL) {
            break;
        }
        walk->row = memtable_next_due(walk->mem, walk->row);
    }
    return walk->row != NULL && walk->row->due_ms <= before_ms ? walk->row : NULL;
}

static int due_compare(const struct mem_row *a, const struct mem_row *b) {
    if (a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms ? -1 : 1;
    }
    return mem_compare(a, b);
}

static const struct mem_row *due_memory(struct scan *scan, uint64_t before_ms, struct walk **from) {
    const struct mem_row *first = NULL;
    for (unsigned i = 0; i < scan->walk_count; i++) {
        const struct mem_row *row = due_peek(scan, &scan->walks[i], before_ms);
        if (row != NULL && (first == NULL || due_compare(row, first) < 0)) {
            first = row;
            *from = &scan->walks[i];
        }
    }
    return first;
}

/* Steps to the next row of the table that memory does not know better. */
static enum rd_err due_table(struct scan *scan) {
    enum rd_err err = peek_table(scan);
    while (err == RD_OK && scan->have_row &&
           engine_find(scan->engine, &scan->row, row_hash(&scan->row)) != NULL) {
        scan->have_row = false;
        err = peek_table(scan);
    }
    return err;
}

/* Does the table's row come before the next one in memory? */
static bool table_first(const struct scan *scan, const struct mem_row *mem) {
    if (mem == NULL || !scan->have_row) {
        return scan->have_row;
    }
    uint64_t due = (uint64_t)sqlite3_column_int64(scan->stmt, ROW_DUE);
    struct store_key at = mem_row_key(mem);
    return due != mem->due_ms ? due < mem->due_ms : row_compare(&scan->row, &at) < 0;
}

static bool due_one(struct scan *scan, uint64_t before_ms, enum rd_err *err) {
    struct walk *from = NULL;
    *err = due_table(scan);
    const struct mem_row *mem = due_memory(scan, before_ms, &from);
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
        from->row = memtable_next_due(from->mem, mem);
    }
    return *err == RD_OK;
}

enum rd_err engine_scan_due(struct store *store, uint64_t before_ms, const struct store_due *behind,
                            size_t max_rows, size_t max_bytes, struct page *page) {
    static const struct store_range objects = {STORE_OBJECTS, 0, SLOT_COUNT - 1};
    struct store_sqlite *engine = (struct store_sqlite *)store;
    enum rd_err err;
    engine_settle(engine);
    struct scan scan = {
        .engine = engine,
        .range = &objects,
        .stmt = table_scan_due(&engine->reader, before_ms, behind, &err),
        .page = page,
        .max_rows = max_rows,
        .max_bytes = max_bytes,
    };
    for (unsigned i = 0; i < (engine->frozen ? 2u : 1u); i++) {
        struct merge_side *side = i == 0 ? engine_active(engine) : engine_other(engine);
        scan.walks[scan.walk_count++] = (struct walk){
            .mem = &side->mem,
            .row = behind == NULL ? memtable_next_due(&side->mem, NULL)
                                  : memtable_behind_due(&side->mem, behind->due_ms, &behind->at)};
    }
    while (err == RD_OK && due_one(&scan, before_ms, &err)) {
    }
    err = scan_finish(&scan, err);
    engine_note_damaged_rows(engine, page);
    return err;
}
