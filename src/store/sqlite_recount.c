/* Counting the rows of one slot anew; see sqlite_engine.h. */
#include <stdio.h>
#include <string.h>

#include "store/sqlite_engine.h"
#include "store/sqlite_row.h"

struct recount {
    struct store_sqlite *engine;
    uint32_t live;
    uint64_t leaves[STORE_LEAVES_PER_SLOT];
};

static void add(struct recount *recount, const struct store_key *at, bool live, uint64_t digest) {
    recount->live += live;
    recount->leaves[store_leaf_of(at)] ^= store_leaf_share(at, digest);
}

/* Rows of the table that memory does not know better; damaged ones count for nothing. */
static enum rd_err add_table(struct recount *recount, uint16_t slot) {
    const struct store_range range = {STORE_OBJECTS, slot, slot};
    enum rd_err err;
    sqlite3_stmt *stmt = table_scan(&recount->engine->reader, &range, NULL, &err);
    int rc = SQLITE_DONE;
    while (err == RD_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct store_key at;
        struct row_value value = {0};
        sqlite_row_address(stmt, STORE_OBJECTS, &at);
        if ((at.key == NULL && at.key_len > 0) || (at.sub == NULL && at.sub_len > 0)) {
            err = RD_ENOMEM;
        } else if (engine_find(recount->engine, &at, row_hash(&at)) == NULL) {
            err = sqlite_row_value(stmt, &at, &value);
            if (err == RD_OK) {
                add(recount, &at, value.live, value.digest);
            }
            err = err == RD_ECORRUPT ? RD_OK : err;
            blob_unref(value.value);
        }
    }
    sqlite3_reset(stmt);
    return err == RD_OK ? sqlite_file_error(recount->engine->reader.db, rc) : err;
}

static void add_memory(struct recount *recount, struct memtable *mem, const struct memtable *newer,
                       uint16_t slot) {
    const struct mem_row *row = memtable_first(mem, STORE_OBJECTS, slot);
    for (; row != NULL; row = memtable_next(mem, row)) {
        struct store_key at = mem_row_key(row);
        if (row->value != NULL && (newer == NULL || memtable_find(newer, &at, row->hash) == NULL)) {
            add(recount, &at, row->live, row->digest);
        }
    }
}

void engine_note_error(struct store_sqlite *engine, enum rd_err err) {
    if (err != RD_ECORRUPT || engine->marked) {
        return;
    }
    engine->marked = table_mark_damaged(engine->dir, true) == RD_OK;
    fprintf(stderr, "store: a page of the table in %s is damaged; the next start writes it anew\n",
            engine->dir);
}

void engine_note_damage(struct store_sqlite *engine, uint16_t slot) {
    struct recount recount = {.engine = engine};
    struct store *store = &engine->store;
    uint64_t *leaves = store->leaves + (size_t)slot * STORE_LEAVES_PER_SLOT;
    if ((engine->damaged[slot / 8] >> (slot % 8) & 1) != 0) {
        return;
    }
    enum rd_err err = add_table(&recount, slot);
    if (err != RD_OK) {
        engine_note_error(engine, err);
        return;
    }
    struct memtable *active = &engine_active(engine)->mem;
    add_memory(&recount, active, NULL, slot);
    if (engine->frozen) {
        add_memory(&recount, &engine_other(engine)->mem, active, slot);
    }
    engine->damaged[slot / 8] |= (uint8_t)(1u << slot % 8);
    store->stats.live_keys -= store->live[slot];
    store->live[slot] = 0;
    store_live_add(store, slot, recount.live);
    memcpy(leaves, recount.leaves, sizeof recount.leaves);
}

void engine_note_damaged_rows(struct store_sqlite *engine, const struct page *page) {
    for (size_t i = 0; i < page->count; i++) {
        if (page->rows[i].err == RD_ECORRUPT) {
            engine_note_damage(engine, page->rows[i].slot);
        }
    }
}
