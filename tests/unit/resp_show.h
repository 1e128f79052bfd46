/* What the tests of resp/ share: bytes and values as readable text. */
#ifndef RD_TESTS_RESP_SHOW_H
#define RD_TESTS_RESP_SHOW_H

#include "base/buf.h"
#include "resp/reader.h"

/* Appends the bytes with all that is not plain ASCII, and brackets, as \xHH; aborts without memory.
 */
void show_bytes(struct buf *out, const void *bytes, size_t len);

/* Appends a value, such as "array[int 1, bulk(abc), map{simple(k): null$}]"; aborts without memory.
 */
void show_value(struct buf *out, const struct resp_value *value);

/* Terminates the text and returns it (borrowed from `out`). */
const char *show_text(struct buf *out);

/* A copy of `len` bytes in memory of exactly that size, so that a sanitizer sees each byte read too
 * many; to be freed. Aborts without memory. */
uint8_t *exact_copy(const void *bytes, size_t len);

#endif
