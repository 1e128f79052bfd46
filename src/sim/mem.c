/* sim/mem: see mem.h. */
#include "sim/mem.h"

#include <stdio.h>
#include <stdlib.h>

void mem_must(enum rd_err err) {
    if (err != RD_OK) {
        fprintf(stderr, "simulator: %s\n", rd_err_text(err));
        abort();
    }
}

void *mem_zero(size_t bytes) {
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    mem_must(memory == NULL ? RD_ENOMEM : RD_OK);
    return memory;
}

void *mem_grow(void *items, size_t *cap, size_t need, size_t item_bytes) {
    if (need <= *cap) {
        return items;
    }
    size_t grown = *cap < 16 ? 16 : *cap * 2;
    while (grown < need) {
        grown *= 2;
    }
    void *moved = realloc(items, grown * item_bytes);
    mem_must(moved == NULL ? RD_ENOMEM : RD_OK);
    *cap = grown;
    return moved;
}

struct blob *mem_blob(const void *bytes, size_t len) {
    struct blob *blob = NULL;
    mem_must(blob_new(bytes, len, &blob));
    return blob;
}

void mem_append(struct buf *buf, const void *bytes, size_t len) {
    mem_must(buf_append(buf, bytes, len));
}

void mem_printf(struct buf *buf, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < (int)sizeof text) {
        mem_append(buf, text, (size_t)len);
        return;
    }
    char *longer = mem_zero((size_t)len + 1);
    va_start(args, format);
    vsnprintf(longer, (size_t)len + 1, format, args);
    va_end(args);
    mem_append(buf, longer, (size_t)len);
    free(longer);
}
