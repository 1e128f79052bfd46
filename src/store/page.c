/* The rows that one scan found; see page.h. */
#include "store/page.h"

#include <stdlib.h>
#include <string.h>

static enum rd_err make_room(struct page *page) {
    if (page->count < page->cap) {
        return RD_OK;
    }
    size_t cap = page->cap == 0 ? 16 : page->cap * 2;
    struct store_row *rows = realloc(page->rows, cap * sizeof *rows);
    if (rows == NULL) {
        return RD_ENOMEM;
    }
    page->rows = rows;
    page->cap = cap;
    return RD_OK;
}

enum rd_err page_add(struct page *page, const struct store_row *row) {
    size_t len = row->key_len + row->sub_len;
    uint8_t *to;
    /* One byte more than needed, so that the key of an empty key is a pointer too. */
    if (make_room(page) != RD_OK || buf_reserve(&page->keys, len + 1, &to) != RD_OK) {
        blob_unref(row->value);
        return RD_ENOMEM;
    }
    if (row->key_len > 0) {
        memcpy(to, row->key, row->key_len);
    }
    if (row->sub_len > 0) {
        memcpy(to + row->key_len, row->sub, row->sub_len);
    }
    buf_commit(&page->keys, len);
    page->rows[page->count++] = *row;
    page->bytes += row->key_len + row->sub_len + (row->value == NULL ? 0 : row->value->len);
    return RD_OK;
}

void page_seal(struct page *page) {
    const uint8_t *at = buf_data(&page->keys);
    for (size_t i = 0; i < page->count; i++) {
        struct store_row *row = &page->rows[i];
        row->key = at;
        at += row->key_len;
        row->sub = row->sub_len == 0 ? NULL : at;
        at += row->sub_len;
    }
}

void page_free(struct page *page) {
    for (size_t i = 0; i < page->count; i++) {
        blob_unref(page->rows[i].value);
    }
    free(page->rows);
    buf_free(&page->keys);
    *page = (struct page){0};
}
