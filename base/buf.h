/* A growable byte queue: append at the tail, consume from the head.
 *
 * Bytes in the queue are contiguous, so a parser can borrow them between calls of any function here
 * that is not const. A zeroed struct is an empty buffer. An append that fails changes nothing.
 */
#ifndef RD_BASE_BUF_H
#define RD_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
    uint8_t *base; /* owned; NULL until the first append */
    size_t head;   /* index of the first unread byte */
    size_t tail;   /* index behind the last byte */
    size_t cap;    /* allocated bytes */
};

/* Frees the bytes; the buffer is empty and usable again. */
void buf_free(struct buf *buf);

/* The unread bytes (borrowed until the next change) and their count. */
static inline const uint8_t *buf_data(const struct buf *buf) {
    return buf->base == NULL ? NULL : buf->base + buf->head;
}
static inline size_t buf_len(const struct buf *buf) {
    return buf->tail - buf->head;
}

/* Makes room for `more` bytes at the tail and returns where they go; buf_commit then counts how many
 * were written. Errors: RD_ENOMEM, RD_ETOOBIG (more than half the address space). */
enum rd_err buf_reserve(struct buf *buf, size_t more, uint8_t **out);

/* Counts `len` bytes, written behind the tail after buf_reserve, as content. */
void buf_commit(struct buf *buf, size_t len);

/* Copies `len` bytes to the tail. Errors as buf_reserve. */
enum rd_err buf_append(struct buf *buf, const void *bytes, size_t len);

/* Appends the formatted text, without its terminating zero. Errors as buf_reserve. */
enum rd_err buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops `len` bytes from the head; asserts that there are as many. */
void buf_consume(struct buf *buf, size_t len);

/* Drops bytes from the tail so that `len` are left; asserts that there are as many. */
void buf_truncate(struct buf *buf, size_t len);

/* Drops everything and gives memory above `keep` bytes of capacity back. */
void buf_reset(struct buf *buf, size_t keep);

#endif
