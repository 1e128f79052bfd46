/* A memtable; see memtable.h.
 *
 * 1. `count` places hold a row; each row is found from the place of its hash without passing a free one.
 * 2. A row is in exactly the list of its space and slot; each address at most once.
 * 3. A row with a due time is in the due list; one in it may have none any more.
 * 4. Rows and values lie in chunks; used_bytes <= chunk_bytes.
 */
#include "store/memtable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/row.h"

#define CHUNK_BYTES ((size_t)1 << 20)
#define FIRST_PLACES 1024
#define HEADS ((size_t)STORE_SPACES * SLOT_COUNT)

struct mem_chunk {
    struct mem_chunk *next;
    size_t used;
    size_t cap;
    uint64_t bytes[]; /* aligned */
};

static size_t rounded(size_t len) {
    return (len + 7) & ~(size_t)7;
}

size_t memtable_room(size_t key_len, size_t sub_len, size_t value_len) {
    return rounded(sizeof(struct mem_row) + key_len + sub_len) +
           rounded(sizeof(struct blob) + value_len);
}

enum rd_err memtable_init(struct memtable *mem) {
    struct memtable fresh = {.cap = FIRST_PLACES, .hash_mask = UINT64_MAX};
    fresh.places = calloc(fresh.cap, sizeof *fresh.places);
    fresh.heads = calloc(HEADS, sizeof(struct mem_row *));
    if (fresh.places == NULL || fresh.heads == NULL) {
        memtable_free(&fresh);
        return RD_ENOMEM;
    }
    *mem = fresh;
    return RD_OK;
}

static void chunks_free(struct mem_chunk *chunk) {
    while (chunk != NULL) {
        struct mem_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void memtable_free(struct memtable *mem) {
    chunks_free(mem->chunks);
    chunks_free(mem->spare);
    free(mem->places);
    free(mem->heads);
    *mem = (struct memtable){0};
}

void memtable_clear(struct memtable *mem, uint64_t keep_bytes) {
    struct mem_chunk *chunk = mem->chunks;
    uint64_t kept = 0;
    for (const struct mem_chunk *spare = mem->spare; spare != NULL; spare = spare->next) {
        kept += spare->cap;
    }
    while (chunk != NULL) {
        struct mem_chunk *next = chunk->next;
        if (chunk->cap == CHUNK_BYTES && kept + chunk->cap <= keep_bytes) {
            kept += chunk->cap;
            chunk->used = 0;
            chunk->next = mem->spare;
            mem->spare = chunk;
        } else {
            mem->chunk_bytes -= chunk->cap;
            free(chunk);
        }
        chunk = next;
    }
    if (mem->count > 0) {
        memset(mem->places, 0, mem->cap * sizeof *mem->places);
        memset(mem->heads, 0, HEADS * sizeof(struct mem_row *));
    }
    mem->chunks = NULL;
    mem->due = NULL;
    mem->count = 0;
    mem->used_bytes = 0;
}

/* ---- room ------------------------------------------------------------------------------------------ */

static struct mem_place *place_of(struct mem_place *places, size_t cap, uint64_t hash) {
    size_t i = hash & (cap - 1);
    while (places[i].row != NULL) {
        i = (i + 1) & (cap - 1);
    }
    return &places[i];
}

static enum rd_err reserve_places(struct memtable *mem, size_t rows) {
    size_t cap = mem->cap;
    while ((mem->count + rows) * 3 > cap * 2) {
        cap *= 2;
    }
    if (cap == mem->cap) {
        return RD_OK;
    }
    struct mem_place *places = calloc(cap, sizeof *places);
    if (places == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < mem->cap; i++) {
        if (mem->places[i].row != NULL) {
            *place_of(places, cap, mem->places[i].hash) = mem->places[i];
        }
    }
    free(mem->places);
    mem->places = places;
    mem->cap = cap;
    return RD_OK;
}

static enum rd_err reserve_bytes(struct memtable *mem, size_t bytes) {
    struct mem_chunk *chunk = mem->chunks;
    if (chunk != NULL && chunk->cap - chunk->used >= bytes) {
        return RD_OK;
    }
    if (mem->spare != NULL && bytes <= mem->spare->cap) {
        chunk = mem->spare;
        mem->spare = chunk->next;
    } else {
        size_t cap = bytes < CHUNK_BYTES ? CHUNK_BYTES : rounded(bytes);
        chunk = malloc(sizeof *chunk + cap);
        if (chunk == NULL) {
            return RD_ENOMEM;
        }
        chunk->cap = cap;
        chunk->used = 0;
        mem->chunk_bytes += cap;
    }
    chunk->next = mem->chunks;
    mem->chunks = chunk;
    return RD_OK;
}

enum rd_err memtable_reserve(struct memtable *mem, size_t rows, size_t bytes) {
    enum rd_err err = reserve_places(mem, rows);
    return err == RD_OK ? reserve_bytes(mem, bytes) : err;
}

static void *take(struct memtable *mem, size_t bytes) {
    struct mem_chunk *chunk = mem->chunks;
    assert(chunk != NULL && chunk->cap - chunk->used >= bytes);
    void *at = (uint8_t *)chunk->bytes + chunk->used;
    chunk->used += bytes;
    mem->used_bytes += bytes;
    return at;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

struct store_key mem_row_key(const struct mem_row *row) {
    return (struct store_key){
        .space = (enum store_space)row->space,
        .slot = row->slot,
        .key = row->bytes,
        .key_len = row->key_len,
        .sub = row->sub_len == 0 ? NULL : row->bytes + row->key_len,
        .sub_len = row->sub_len,
    };
}

static bool same(const struct mem_row *row, const struct store_key *at) {
    struct store_key own = mem_row_key(row);
    return row_same(&own, at);
}

static struct mem_row *find(const struct memtable *mem, const struct store_key *at, uint64_t hash) {
    for (size_t i = hash & (mem->cap - 1); mem->places[i].row != NULL;
         i = (i + 1) & (mem->cap - 1)) {
        if (mem->places[i].hash == hash && same(mem->places[i].row, at)) {
            return mem->places[i].row;
        }
    }
    return NULL;
}

const struct mem_row *memtable_find(const struct memtable *mem, const struct store_key *at,
                                    uint64_t hash) {
    return mem->count == 0 ? NULL : find(mem, at, hash & mem->hash_mask);
}

static struct mem_row **head_of(const struct memtable *mem, enum store_space space, uint16_t slot) {
    return &mem->heads[(size_t)space * SLOT_COUNT + slot];
}

static struct mem_row *insert(struct memtable *mem, const struct store_key *at, uint64_t hash) {
    struct mem_row *row = take(mem, rounded(sizeof *row + at->key_len + at->sub_len));
    struct mem_row **head = head_of(mem, at->space, at->slot);
    *row = (struct mem_row){
        .slot_next = *head,
        .key_len = (uint32_t)at->key_len,
        .sub_len = (uint32_t)at->sub_len,
        .slot = at->slot,
        .space = (uint8_t)at->space,
    };
    if (at->key_len > 0) {
        memcpy(row->bytes, at->key, at->key_len);
    }
    if (at->sub_len > 0) {
        memcpy(row->bytes + at->key_len, at->sub, at->sub_len);
    }
    *head = row;
    *place_of(mem->places, mem->cap, hash) = (struct mem_place){hash, row};
    mem->count++;
    return row;
}

static void set_value(struct memtable *mem, struct mem_row *row, const struct mem_put *put) {
    if (put->erase) {
        row->value = NULL;
        row->value_room = 0;
        return;
    }
    if (row->value == NULL || row->value_room < put->value_len) {
        size_t bytes = rounded(sizeof(struct blob) + put->value_len);
        row->value = take(mem, bytes);
        row->value_room = (uint32_t)(bytes - sizeof(struct blob));
        row->value->refs = 1;
    }
    row->value->len = (uint32_t)put->value_len;
    if (put->value_len > 0) {
        memcpy(row->value->bytes, put->value, put->value_len);
    }
}

void memtable_put(struct memtable *mem, const struct mem_put *put) {
    uint64_t hash = put->hash & mem->hash_mask;
    struct mem_row *row = find(mem, &put->at, hash);
    if (row == NULL) {
        row = insert(mem, &put->at, hash);
    }
    set_value(mem, row, put);
    row->live = put->live;
    row->digest = put->digest;
    row->due_ms = put->due_ms;
    if (row->due_ms != 0 && !row->in_due) {
        row->in_due = true;
        row->due_next = mem->due;
        mem->due = row;
    }
}

const struct mem_row *memtable_slot(const struct memtable *mem, enum store_space space,
                                    uint16_t slot) {
    return *head_of(mem, space, slot);
}

/* ---- order ----------------------------------------------------------------------------------------- */

int mem_row_order(const void *a, const void *b) {
    struct store_key left = mem_row_key(*(const struct mem_row *const *)a);
    struct store_key right = mem_row_key(*(const struct mem_row *const *)b);
    return row_compare(&left, &right);
}

/* The lists are in the order of (space, slot) already: each is sorted alone. */
enum rd_err memtable_sorted(const struct memtable *mem, const struct mem_row ***out) {
    const struct mem_row **rows = malloc((mem->count + 1) * sizeof *rows);
    if (rows == NULL) {
        return RD_ENOMEM;
    }
    size_t count = 0;
    for (size_t i = 0; i < HEADS; i++) {
        size_t first = count;
        for (const struct mem_row *row = mem->heads[i]; row != NULL; row = row->slot_next) {
            rows[count++] = row;
        }
        if (count - first > 1) {
            qsort(rows + first, count - first, sizeof *rows, mem_row_order);
        }
    }
    assert(count == mem->count);
    *out = rows;
    return RD_OK;
}

uint64_t memtable_memory(const struct memtable *mem) {
    return mem->chunk_bytes + mem->cap * sizeof *mem->places + HEADS * sizeof(struct mem_row *);
}

void memtable_check(const struct memtable *mem) {
    size_t places = 0;
    size_t listed = 0;
    for (size_t i = 0; i < mem->cap; i++) {
        const struct mem_row *row = mem->places[i].row;
        if (row != NULL) {
            struct store_key at = mem_row_key(row);
            assert((row_hash(&at) & mem->hash_mask) == mem->places[i].hash);
            assert(find(mem, &at, mem->places[i].hash) == row);
            places++;
        }
    }
    for (size_t i = 0; i < HEADS; i++) {
        for (const struct mem_row *row = mem->heads[i]; row != NULL; row = row->slot_next) {
            assert((size_t)row->space * SLOT_COUNT + row->slot == i);
            assert(row->due_ms == 0 || row->in_due);
            assert(row->space == STORE_OBJECTS || (!row->live && row->due_ms == 0));
            listed++;
        }
    }
    assert(places == mem->count && listed == mem->count);
    assert(mem->count * 3 <= mem->cap * 2 && mem->used_bytes <= mem->chunk_bytes);
}
