/* The rows that one scan found, on their way to store_on_scan. */
#ifndef RD_STORE_PAGE_H
#define RD_STORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/types.h"

/* A zeroed page is an empty one. */
struct page {
    struct store_row *rows; /* owned; key and sub point nowhere until page_seal */
    size_t count;
    size_t cap;
    struct buf keys;
    size_t bytes; /* of keys and values so far */
    bool end;     /* the range is exhausted */
};

/* Appends a row: copies key and sub, takes over the reference `row->value` (on error too). Error: RD_ENOMEM. */
enum rd_err page_add(struct page *page, const struct store_row *row);

/* Makes the rows' pointers good; nothing may be added afterwards. */
void page_seal(struct page *page);

/* Releases everything; the page is empty. */
void page_free(struct page *page);

#endif
