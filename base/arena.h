/* Memory that is freed as a whole: what one request needs until it is answered.
 *
 * Pieces are cut from chunks and never freed one by one. A zeroed struct is an empty arena. Pointers
 * stay valid until arena_reset or arena_free.
 */
#ifndef RD_BASE_ARENA_H
#define RD_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* owned; the newest first, pieces are cut from it */
    size_t used;                /* bytes cut from the newest chunk */
    size_t total_bytes;         /* capacity of all chunks */
};

/* Returns `len` bytes, aligned for any type and not initialized, or NULL if memory is out (the arena is
 * unchanged then). len may be 0. */
void *arena_alloc(struct arena *arena, size_t len);

/* Returns `count` zeroed elements of `size` bytes, or NULL if memory is out or the product overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* Returns a copy of `len` bytes with a zero behind them, or NULL if memory is out. `bytes` may be NULL when
 * len is 0. */
void *arena_copy(struct arena *arena, const void *bytes, size_t len);

/* Makes the arena empty and keeps one chunk of the usual size, so that a connection's next request need
 * not allocate. */
void arena_reset(struct arena *arena);

/* Frees all; the arena is empty and usable again. */
void arena_free(struct arena *arena);

#endif
