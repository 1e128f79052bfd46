/* Memory that is freed as a whole; see arena.h.
 *
 * 1. Every piece begins at a multiple of the strictest alignment, and chunks hold a multiple of it.
 * 2. A piece that is large for a chunk gets one of its own, put behind the newest, which goes on being cut.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 4000 /* with malloc's own header less than a page */
#define ALIGNMENT alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap;
    alignas(max_align_t) unsigned char bytes[];
};

static_assert(CHUNK_BYTES % ALIGNMENT == 0, "a chunk is full at a piece's end");

static struct arena_chunk *chunk_new(struct arena *arena, size_t cap) {
    struct arena_chunk *chunk = malloc(sizeof *chunk + cap);
    if (chunk != NULL) {
        chunk->cap = cap;
        arena->total_bytes += cap;
    }
    return chunk;
}

static void *alloc_alone(struct arena *arena, size_t len) {
    struct arena_chunk *chunk = chunk_new(arena, len);
    if (chunk == NULL) {
        return NULL;
    }
    if (arena->chunks == NULL) {
        chunk->next = NULL;
        arena->chunks = chunk;
        arena->used = len; /* full: the next small piece begins a chunk */
    } else {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    }
    return chunk->bytes;
}

void *arena_alloc(struct arena *arena, size_t len) {
    if (len > SIZE_MAX / 2) {
        return NULL;
    }
    /* Also an empty piece has an address of its own. */
    len = len == 0 ? ALIGNMENT : (len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->chunks == NULL || len > arena->chunks->cap - arena->used) {
        if (len > CHUNK_BYTES / 4) {
            return alloc_alone(arena, len);
        }
        struct arena_chunk *chunk = chunk_new(arena, CHUNK_BYTES);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    void *piece = arena->chunks->bytes + arena->used;
    arena->used += len;
    return piece;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *piece = arena_alloc(arena, count * size);
    return piece == NULL ? NULL : memset(piece, 0, count * size);
}

void *arena_copy(struct arena *arena, const void *bytes, size_t len) {
    if (len == SIZE_MAX) {
        return NULL;
    }
    unsigned char *piece = arena_alloc(arena, len + 1);
    if (piece == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(piece, bytes, len);
    }
    piece[len] = '\0';
    return piece;
}

void arena_reset(struct arena *arena) {
    struct arena_chunk *kept = NULL;
    struct arena_chunk *next;
    for (struct arena_chunk *chunk = arena->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (kept == NULL && chunk->cap == CHUNK_BYTES) {
            kept = chunk;
            kept->next = NULL;
        } else {
            free(chunk);
        }
    }
    *arena = (struct arena){.chunks = kept, .total_bytes = kept == NULL ? 0 : kept->cap};
}

void arena_free(struct arena *arena) {
    arena_reset(arena);
    free(arena->chunks);
    *arena = (struct arena){0};
}
