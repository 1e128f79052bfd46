/* A growable byte queue; see buf.h.
 *
 * 1. head <= tail <= cap. 2. base is NULL exactly when cap is 0. 3. An empty buffer has head = tail = 0, so
 * that a buffer which is always drained never moves bytes.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_BYTES 256

static void check(const struct buf *buf) {
    assert(buf->head <= buf->tail && buf->tail <= buf->cap);
    assert((buf->base == NULL) == (buf->cap == 0));
}

void buf_free(struct buf *buf) {
    free(buf->base);
    *buf = (struct buf){0};
}

/* Moves the content to the front. Only worth it when less is moved than becomes free, else a queue that
 * is nearly full would copy itself for each few bytes consumed. */
static int compact(struct buf *buf, size_t more) {
    size_t len = buf_len(buf);
    if (buf->head < len || buf->cap - len < more) {
        return 0;
    }
    memmove(buf->base, buf->base + buf->head, len);
    buf->head = 0;
    buf->tail = len;
    return 1;
}

static enum rd_err grow(struct buf *buf, size_t more) {
    size_t len = buf_len(buf);
    if (more > SIZE_MAX / 2 - len) {
        return RD_ETOOBIG;
    }
    size_t cap = buf->cap < SMALLEST_BYTES ? SMALLEST_BYTES : buf->cap;
    while (cap < len + more) {
        cap *= 2; /* cannot wrap: len + more <= SIZE_MAX / 2 */
    }
    uint8_t *base;
    if (buf->head == 0) {
        base = realloc(buf->base, cap); /* may grow in place */
    } else {
        base = malloc(cap);
        if (base != NULL) {
            memcpy(base, buf->base + buf->head, len);
            free(buf->base);
        }
    }
    if (base == NULL) {
        return RD_ENOMEM;
    }
    *buf = (struct buf){.base = base, .head = 0, .tail = len, .cap = cap};
    return RD_OK;
}

enum rd_err buf_reserve(struct buf *buf, size_t more, uint8_t **out) {
    check(buf);
    if (buf->base == NULL || (more > buf->cap - buf->tail && !compact(buf, more))) {
        enum rd_err err = grow(buf, more);
        if (err != RD_OK) {
            return err;
        }
    }
    *out = buf->base + buf->tail;
    return RD_OK;
}

void buf_commit(struct buf *buf, size_t len) {
    assert(len <= buf->cap - buf->tail);
    buf->tail += len;
}

enum rd_err buf_append(struct buf *buf, const void *bytes, size_t len) {
    if (len == 0) {
        return RD_OK;
    }
    uint8_t *to;
    enum rd_err err = buf_reserve(buf, len, &to);
    if (err != RD_OK) {
        return err;
    }
    memcpy(to, bytes, len);
    buf_commit(buf, len);
    return RD_OK;
}

enum rd_err buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0); /* only a bad format or a text beyond INT_MAX fails */

    uint8_t *to;
    enum rd_err err = buf_reserve(buf, (size_t)len + 1, &to);
    if (err != RD_OK) {
        return err;
    }
    va_start(args, format);
    vsnprintf((char *)to, (size_t)len + 1, format, args);
    va_end(args);
    buf_commit(buf, (size_t)len);
    return RD_OK;
}

void buf_consume(struct buf *buf, size_t len) {
    assert(len <= buf_len(buf));
    buf->head += len;
    if (buf->head == buf->tail) {
        buf->head = 0;
        buf->tail = 0;
    }
}

void buf_truncate(struct buf *buf, size_t len) {
    assert(len <= buf_len(buf));
    buf->tail = buf->head + len;
    if (len == 0) {
        buf->head = 0;
        buf->tail = 0;
    }
}

void buf_reset(struct buf *buf, size_t keep) {
    if (buf->cap > keep) {
        buf_free(buf);
    } else {
        buf->head = 0;
        buf->tail = 0;
    }
}
