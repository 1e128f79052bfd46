/* A memtable; see memtable.h.
 *
 * 1. Each address has at most one row. It is in the bucket of its hash, in the list of its space and slot and, if it has a due time,
 *    in the tree of those.
 * 2. Buckets are split one by one as rows come (linear hashing, Litwin 1980): no put pays for all the others. Without memory for
 *    more of them they get fuller, no more. Segment 0 has the first ones, each further segment as many as all before it.
 * 3. The tree of a space and slot has the rows of its list but for `pending` ones at the head, fewer than MOST_PENDING: most slots have few
 *    rows and are not scanned while they are here, and putting rows in order costs as much as all the rest.
 * 4. `used` names each list with rows once: what is done to all rows takes no time for slots that have none.
 * 5. Rows and values lie in chunks; used_bytes <= chunk_bytes.
 */
#include "store/memtable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/row.h"

#define CHUNK_BYTES ((size_t)1 << 20)
#define FIRST_BUCKETS ((size_t)1024)
#define MOST_PENDING 256
#define CACHE_LINE_BYTES 64
#define SPLIT_AHEAD 8
#define LISTS ((size_t)STORE_SPACES * SLOT_COUNT)

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
    struct memtable fresh = {.buckets = FIRST_BUCKETS,
                             .bucket_bytes = FIRST_BUCKETS * sizeof(struct mem_row *),
                             .hash_mask = UINT64_MAX};
    fresh.segments[0] = calloc(FIRST_BUCKETS, sizeof(struct mem_row *));
    fresh.lists = calloc(LISTS, sizeof *fresh.lists);
    fresh.used = calloc(LISTS, sizeof *fresh.used);
    if (fresh.segments[0] == NULL || fresh.lists == NULL || fresh.used == NULL) {
        memtable_free(&fresh);
        return RD_ENOMEM;
    }
    prng_seed(&fresh.prng, 1);
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
    for (unsigned i = 0; i < MEM_SEGMENTS; i++) {
        free(mem->segments[i]);
    }
    free(mem->lists);
    free(mem->used);
    *mem = (struct memtable){0};
}

static size_t list_of(enum store_space space, uint16_t slot) {
    return (size_t)space * SLOT_COUNT + slot;
}

static size_t segment_size(unsigned i) {
    return i == 0 ? FIRST_BUCKETS : FIRST_BUCKETS << (i - 1);
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
    if (mem->buckets > 4 * mem->count + FIRST_BUCKETS) {
        mem->buckets = FIRST_BUCKETS;
    }
    if (mem->count > 0) {
        for (unsigned i = 0; i < MEM_SEGMENTS && mem->segments[i] != NULL; i++) {
            memset(mem->segments[i], 0, segment_size(i) * sizeof(struct mem_row *));
        }
    }
    for (size_t n = 0; n < mem->used_count; n++) {
        mem->lists[mem->used[n]] = (struct mem_list){0};
    }
    mem->used_count = 0;
    mem->chunks = NULL;
    mem->due = NULL;
    mem->count = 0;
    mem->used_bytes = 0;
}

/* ---- room ------------------------------------------------------------------------------------------ */

enum rd_err memtable_reserve(struct memtable *mem, size_t bytes) {
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

/* ---- buckets --------------------------------------------------------------------------------------- */

static struct mem_row **bucket_at(const struct memtable *mem, size_t i) {
    if (i < FIRST_BUCKETS) {
        return &mem->segments[0][i];
    }
    unsigned segment = 1 + (63 - (unsigned)__builtin_clzll(i / FIRST_BUCKETS));
    return &mem->segments[segment][i - segment_size(segment)];
}

/* The greatest number of buckets that is a power of two; those above it were split off from the first ones. */
static size_t whole(size_t buckets) {
    return (size_t)1 << (63 - __builtin_clzll(buckets));
}

static struct mem_row **bucket_of(const struct memtable *mem, uint64_t hash) {
    size_t size = whole(mem->buckets);
    size_t i = (hash & mem->hash_mask) & (2 * size - 1);
    return bucket_at(mem, i < mem->buckets ? i : i - size);
}

/* Splits one bucket. */
static void grow(struct memtable *mem) {
    size_t size = whole(mem->buckets);
    if (mem->buckets == size) { /* all are split: the next ones need a segment */
        unsigned segment = 1 + (63 - (unsigned)__builtin_clzll(size / FIRST_BUCKETS));
        if (segment == MEM_SEGMENTS) {
            return;
        }
        if (mem->segments[segment] == NULL) {
            struct mem_row **more = calloc(size, sizeof(struct mem_row *));
            if (more == NULL) {
                return;
            }
            mem->segments[segment] = more;
            mem->bucket_bytes += size * sizeof(struct mem_row *);
        }
    }
    size_t old = mem->buckets - size;
    struct mem_row **from = bucket_at(mem, old);
    struct mem_row **to = bucket_at(mem, mem->buckets);
    mem->buckets++;
    if (old + SPLIT_AHEAD < size) { /* the rows of a bucket that is split soon */
        __builtin_prefetch(*bucket_at(mem, old + SPLIT_AHEAD), 1);
    }
    while (*from != NULL) {
        struct mem_row *row = *from;
        if ((row->hash & mem->hash_mask & size) != 0) {
            *from = row->bucket_next;
            row->bucket_next = *to;
            *to = row;
        } else {
            from = &row->bucket_next;
        }
    }
}

static struct mem_row *find(const struct memtable *mem, const struct store_key *at, uint64_t hash) {
    struct mem_row *row = *bucket_of(mem, hash);
    while (row != NULL && (((row->hash ^ hash) & mem->hash_mask) != 0 || !same(row, at))) {
        row = row->bucket_next;
    }
    return row;
}

const struct mem_row *memtable_find(const struct memtable *mem, const struct store_key *at,
                                    uint64_t hash) {
    return mem->count == 0 ? NULL : find(mem, at, hash);
}

void memtable_fetch_bucket(const struct memtable *mem, const struct store_key *at, uint64_t hash) {
    __builtin_prefetch(bucket_of(mem, hash), 1);
    __builtin_prefetch(&mem->lists[list_of(at->space, at->slot)], 1);
}

void memtable_fetch_row(const struct memtable *mem, uint64_t hash) {
    const struct mem_row *row = *bucket_of(mem, hash);
    if (row != NULL) { /* its head, its key, most of its value */
        for (size_t at = 0; at < 4 * CACHE_LINE_BYTES; at += CACHE_LINE_BYTES) {
            __builtin_prefetch((const uint8_t *)row + at, 1);
        }
    }
}

/* Puts the pending rows of list i into its tree and returns that. */
static const struct mem_row *tree_at(struct memtable *mem, size_t i) {
    struct mem_list *list = &mem->lists[i];
    struct mem_row *row = list->head;
    for (; list->pending > 0; list->pending--, row = row->slot_next) {
        mem_tree_insert(&list->tree, MEM_BY_ADDRESS, row);
    }
    return list->tree;
}

static struct mem_row *insert(struct memtable *mem, const struct store_key *at, uint64_t hash) {
    struct mem_row *row = take(mem, rounded(sizeof *row + at->key_len + at->sub_len));
    struct mem_row **bucket = bucket_of(mem, hash);
    size_t number = list_of(at->space, at->slot);
    struct mem_list *list = &mem->lists[number];
    *row = (struct mem_row){
        .bucket_next = *bucket,
        .slot_next = list->head,
        .hash = hash,
        .key_len = (uint32_t)at->key_len,
        .sub_len = (uint32_t)at->sub_len,
        .priority = (uint32_t)prng_u64(&mem->prng),
        .slot = at->slot,
        .space = (uint8_t)at->space,
    };
    if (at->key_len > 0) {
        memcpy(row->bytes, at->key, at->key_len);
    }
    if (at->sub_len > 0) {
        memcpy(row->bytes + at->key_len, at->sub, at->sub_len);
    }
    *bucket = row;
    if (list->head == NULL) {
        mem->used[mem->used_count++] = (uint32_t)number;
    }
    list->head = row;
    if (++list->pending == MOST_PENDING) {
        (void)tree_at(mem, number);
    }
    if (++mem->count > mem->buckets) {
        grow(mem);
    }
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

static void set_due(struct memtable *mem, struct mem_row *row, uint64_t due_ms) {
    if (row->due_ms == due_ms) {
        return;
    }
    if (row->due_ms != 0) {
        mem_tree_remove(&mem->due, MEM_BY_DUE, row);
    }
    row->due_ms = due_ms;
    if (due_ms != 0) {
        mem_tree_insert(&mem->due, MEM_BY_DUE, row);
    }
}

void memtable_put(struct memtable *mem, const struct mem_put *put) {
    struct mem_row *row = find(mem, &put->at, put->hash);
    if (row == NULL) {
        row = insert(mem, &put->at, put->hash);
    }
    set_value(mem, row, put);
    set_due(mem, row, put->due_ms);
    row->live = put->live;
    row->digest = put->digest;
}

/* ---- order ----------------------------------------------------------------------------------------- */

bool memtable_used(const struct memtable *mem, size_t i, enum store_space *space, uint16_t *slot) {
    if (i >= mem->used_count) {
        return false;
    }
    *space = (enum store_space)(mem->used[i] / SLOT_COUNT);
    *slot = (uint16_t)(mem->used[i] % SLOT_COUNT);
    return true;
}

const struct mem_row *memtable_first(struct memtable *mem, enum store_space space, uint16_t slot) {
    return mem_tree_first(tree_at(mem, list_of(space, slot)), MEM_BY_ADDRESS);
}

const struct mem_row *memtable_behind(struct memtable *mem, const struct store_key *at) {
    return mem_tree_behind(tree_at(mem, list_of(at->space, at->slot)), at);
}

const struct mem_row *memtable_next(struct memtable *mem, const struct mem_row *row) {
    size_t list = list_of((enum store_space)row->space, row->slot);
    return mem_tree_next(tree_at(mem, list), MEM_BY_ADDRESS, row);
}

const struct mem_row *memtable_next_due(const struct memtable *mem, const struct mem_row *row) {
    return row == NULL ? mem_tree_first(mem->due, MEM_BY_DUE)
                       : mem_tree_next(mem->due, MEM_BY_DUE, row);
}

const struct mem_row *memtable_behind_due(const struct memtable *mem, uint64_t due_ms,
                                          const struct store_key *at) {
    return mem_tree_behind_due(mem->due, due_ms, at);
}

static int row_order(const void *a, const void *b) {
    struct store_key left = mem_row_key(*(const struct mem_row *const *)a);
    struct store_key right = mem_row_key(*(const struct mem_row *const *)b);
    return row_compare(&left, &right);
}

static int number_order(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* The numbers of the lists are in the order of (space, slot): each list is sorted alone. The trees are another thread's. */
enum rd_err memtable_sorted(const struct memtable *mem, const struct mem_row ***out) {
    const struct mem_row **rows = malloc((mem->count + 1) * sizeof *rows);
    uint32_t *used = malloc((mem->used_count + 1) * sizeof *used);
    if (rows == NULL || used == NULL) {
        free(rows);
        free(used);
        return RD_ENOMEM;
    }
    for (size_t n = 0; n < mem->used_count; n++) {
        used[n] = mem->used[n];
    }
    qsort(used, mem->used_count, sizeof *used, number_order);
    size_t count = 0;
    for (size_t n = 0; n < mem->used_count; n++) {
        const struct mem_row *row = mem->lists[used[n]].head;
        size_t first = count;
        for (; row != NULL; row = row->slot_next) {
            rows[count++] = row;
        }
        if (count - first > 1) {
            qsort(rows + first, count - first, sizeof *rows, row_order);
        }
    }
    free(used);
    assert(count == mem->count);
    *out = rows;
    return RD_OK;
}

uint64_t memtable_memory(const struct memtable *mem) {
    return mem->chunk_bytes + mem->bucket_bytes + LISTS * (sizeof *mem->lists + sizeof *mem->used);
}

static size_t check_tree(const struct mem_row *root, enum mem_order order) {
    size_t count = 0;
    const struct mem_row *row = mem_tree_first(root, order);
    while (row != NULL) {
        const struct mem_row *next = mem_tree_next(root, order, row);
        struct store_key at = mem_row_key(row);
        struct store_key at_next = next == NULL ? at : mem_row_key(next);
        assert(next == NULL || (order == MEM_BY_DUE && row->due_ms < next->due_ms) ||
               row_compare(&at, &at_next) < 0);
        assert(order == MEM_BY_ADDRESS || row->due_ms != 0);
        row = next;
        count++;
    }
    return count;
}

void memtable_check(const struct memtable *mem) {
    size_t in_buckets = 0;
    size_t in_trees = 0;
    size_t listed = 0;
    size_t due = 0;
    for (size_t i = 0; i < mem->buckets; i++) {
        for (const struct mem_row *row = *bucket_at(mem, i); row != NULL; row = row->bucket_next) {
            struct store_key at = mem_row_key(row);
            assert(row_hash(&at) == row->hash && find(mem, &at, row->hash) == row);
            assert(row->space == STORE_OBJECTS || (!row->live && row->due_ms == 0));
            due += row->due_ms != 0;
            in_buckets++;
        }
    }
    for (size_t n = 0; n < mem->used_count; n++) {
        size_t i = mem->used[n];
        const struct mem_list *list = &mem->lists[i];
        const struct mem_row *row = list->head;
        assert(row != NULL && list->pending < MOST_PENDING);
        in_trees += list->pending + check_tree(list->tree, MEM_BY_ADDRESS);
        for (; row != NULL; row = row->slot_next) {
            assert(list_of((enum store_space)row->space, row->slot) == i);
            listed++;
        }
    }
    assert(in_buckets == mem->count && listed == mem->count && in_trees == mem->count);
    assert(check_tree(mem->due, MEM_BY_DUE) == due && mem->used_bytes <= mem->chunk_bytes);
}
