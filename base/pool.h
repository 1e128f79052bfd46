/* Freed structs of one size, kept for the next ones: what comes and goes with every request need not pass through the
 * allocator, whose own short lists are overrun by a few hundred requests in flight.
 *
 * A zeroed struct is an empty pool. What it gives out is not initialised. With AddressSanitizer nothing is kept, so that a use
 * after the end is still found.
 */
#ifndef RD_BASE_POOL_H
#define RD_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct pool_item {
    struct pool_item *next;
};

struct pool {
    struct pool_item *first;
    uint32_t count;
};

#if defined(__SANITIZE_ADDRESS__)
#define POOL_KEPT 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_KEPT 0
#endif
#endif
#ifndef POOL_KEPT
#define POOL_KEPT 1024 /* at most so many wait for the next one */
#endif

/* Memory of `size` bytes, the same for each call on this pool; NULL without memory. To be given back with pool_give. */
static inline void *pool_take(struct pool *pool, size_t size) {
    struct pool_item *item = pool->first;
    if (item == NULL) {
        return malloc(size);
    }
    pool->first = item->next;
    pool->count--;
    return item;
}

/* Keeps what pool_take gave, or frees it. NULL is ignored. */
static inline void pool_give(struct pool *pool, void *memory) {
    if (memory == NULL || pool->count >= POOL_KEPT) {
        free(memory);
        return;
    }
    struct pool_item *item = memory;
    item->next = pool->first;
    pool->first = item;
    pool->count++;
}

/* Frees what is kept. */
static inline void pool_free(struct pool *pool) {
    while (pool->first != NULL) {
        struct pool_item *item = pool->first;
        pool->first = item->next;
        free(item);
    }
    pool->count = 0;
}

#endif
