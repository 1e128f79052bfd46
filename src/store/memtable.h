/* A memtable: the newest rows, in memory, until a merge has brought them to the main table.
 *
 * Rows are found by a hash table, listed in order by space and slot, and by due time, so that a point read is O(1), and the next row of a
 * scan O(log rows). Bytes lie in an arena that is forgotten as a whole. An erased row stays as a row without a
 * value: it hides what older tables hold.
 */
#ifndef RD_STORE_MEMTABLE_H
#define RD_STORE_MEMTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/err.h"
#include "base/prng.h"
#include "replication/slot.h"
#include "store/mem_tree.h"
#include "store/types.h"

/* What finding a row looks at comes first and lies together: most of the time of a put is spent waiting for memory. */
struct mem_row {
    struct mem_row *bucket_next;
    uint64_t hash; /* row_hash */
    uint32_t key_len;
    uint32_t sub_len;
    uint16_t slot;
    uint8_t space;
    bool live;
    uint32_t value_room; /* bytes of a value that fit in place of `value` */
    struct blob *value;  /* inside the arena, never to be referenced; NULL: erased */
    uint64_t digest;
    uint64_t due_ms;
    struct mem_row *slot_next;         /* of the same space and slot, the newest first */
    struct mem_link links[MEM_ORDERS]; /* the order by due time has the rows that are due once */
    uint32_t priority;                 /* in the orders */
    uint8_t bytes[];                   /* key, then sub */
};

/* The rows of a space and slot. */
struct mem_list {
    struct mem_row *head;
    struct mem_row *tree;
    uint32_t pending; /* so many rows at the head are not in the tree */
};

/* What memtable_put takes: a row of a batch, or of the journal. */
struct mem_put {
    struct store_key at;
    uint64_t hash;     /* row_hash of it */
    const void *value; /* borrowed */
    size_t value_len;
    bool erase;
    bool live;
    uint64_t digest;
    uint64_t due_ms;
};

struct mem_chunk;

#define MEM_SEGMENTS 24

struct memtable {
    struct mem_row **segments[MEM_SEGMENTS]; /* owned; the buckets, see memtable.c */
    size_t buckets;                          /* in use */
    size_t count;
    struct mem_list *lists; /* owned; by space and slot */
    uint32_t *used;         /* owned; which of the lists have rows, in no order */
    size_t used_count;
    struct mem_row *due;      /* the tree by due time */
    struct mem_chunk *chunks; /* owned, the one being filled first */
    struct mem_chunk *spare;  /* owned, kept for the next life */
    uint64_t used_bytes;      /* of the arena, by rows */
    uint64_t chunk_bytes;     /* of all chunks */
    uint64_t bucket_bytes;    /* of all segments */
    uint64_t hash_mask;       /* all ones; tests narrow it so that rows collide */
    struct prng prng;         /* for priorities */
};

/* Prepares an empty memtable. Error: RD_ENOMEM. */
enum rd_err memtable_init(struct memtable *mem);

/* Frees everything. A zeroed struct is fine. */
void memtable_free(struct memtable *mem);

/* Forgets all rows; keeps up to `keep_bytes` of the arena for the next ones. */
void memtable_clear(struct memtable *mem, uint64_t keep_bytes);

/* The bytes that memtable_put may take of the arena for such a row. */
size_t memtable_room(size_t key_len, size_t sub_len, size_t value_len);

/* Makes sure that puts that take so many bytes by memtable_room cannot fail. Error: RD_ENOMEM, nothing changed. */
enum rd_err memtable_reserve(struct memtable *mem, size_t bytes);

/* Puts a row; room must have been reserved. */
void memtable_put(struct memtable *mem, const struct mem_put *put);

/* For those who put many rows one after another: begins to fetch what finding a row of that hash reads first, and, some puts later, the
 * row itself, so that the processor need not wait for each. Changes nothing. */
void memtable_fetch_bucket(const struct memtable *mem, const struct store_key *at, uint64_t hash);
void memtable_fetch_row(const struct memtable *mem, uint64_t hash);

/* So many rows before a row is put its bucket should be fetched, and in half of them the row. */
#define MEMTABLE_FETCH_AHEAD 16

/* The row at `at`, whose row_hash is `hash`, or NULL. */
const struct mem_row *memtable_find(const struct memtable *mem, const struct store_key *at,
                                    uint64_t hash);

/* The i-th space and slot that have rows, in no order; false if there are not so many. */
bool memtable_used(const struct memtable *mem, size_t i, enum store_space *space, uint16_t *slot);

/* The first row of a space and slot, NULL if there is none. O(log rows of it), as the next ones, but for some bounded work that was put
 * off. While a memtable is frozen one thread may call these, and another one memtable_sorted, memtable_find and memtable_used. */
const struct mem_row *memtable_first(struct memtable *mem, enum store_space space, uint16_t slot);

/* The first row behind `at` in its space and slot, NULL if there is none. O(log rows of it). */
const struct mem_row *memtable_behind(struct memtable *mem, const struct store_key *at);

/* The next row of the same space and slot; NULL if there is none. O(log rows of it). */
const struct mem_row *memtable_next(struct memtable *mem, const struct mem_row *row);

/* Rows with a due time in its order; `row` NULL: the first. NULL: no more. O(log rows). */
const struct mem_row *memtable_next_due(const struct memtable *mem, const struct mem_row *row);

/* The first of them behind that time and address; NULL: none. O(log rows). */
const struct mem_row *memtable_behind_due(const struct memtable *mem, uint64_t due_ms,
                                          const struct store_key *at);

/* All rows in the order of row_compare; `*out` (count of them) is to be freed. Error: RD_ENOMEM. */
enum rd_err memtable_sorted(const struct memtable *mem, const struct mem_row ***out);

/* The address of a row; borrows from it. */
struct store_key mem_row_key(const struct mem_row *row);

/* All memory that it holds. */
uint64_t memtable_memory(const struct memtable *mem);

/* Asserts the invariants. O(rows). */
void memtable_check(const struct memtable *mem);

#endif
