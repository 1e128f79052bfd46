/* Reference-counted immutable bytes: what crosses floors without being copied.
 *
 * A blob is created once and never changes; whoever keeps it holds a reference. Counts are not
 * atomic: a blob belongs to one thread, or is handed over with all its references.
 */
#ifndef RD_BASE_BLOB_H
#define RD_BASE_BLOB_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"

struct blob {
    uint32_t refs;
    uint32_t len; /* bytes */
    uint8_t bytes[];
};

/* The longest blob. */
#define BLOB_MAX_BYTES ((size_t)UINT32_MAX - 64)

/* Copies `len` bytes into a new blob with one reference, to be released with blob_unref.
 * `bytes` may be NULL when len is 0. Errors: RD_ENOMEM, RD_ETOOBIG. */
enum rd_err blob_new(const void *bytes, size_t len, struct blob **out);

/* Like blob_new, with the bytes left for the caller to fill before anyone else sees the blob. */
enum rd_err blob_alloc(size_t len, struct blob **out);

/* Says that only the first `len` bytes are used, before anyone else sees the blob. */
static inline void blob_shorten(struct blob *blob, size_t len) {
    assert(blob->refs == 1 && len <= blob->len);
    blob->len = (uint32_t)len;
}

/* Takes one more reference and returns `blob`; NULL is passed through. */
static inline struct blob *blob_ref(struct blob *blob) {
    if (blob != NULL) {
        assert(blob->refs > 0 && blob->refs < UINT32_MAX);
        blob->refs++;
    }
    return blob;
}

/* Gives up one reference; the last one frees. NULL is ignored. */
static inline void blob_unref(struct blob *blob) {
    if (blob == NULL) {
        return;
    }
    assert(blob->refs > 0);
    if (--blob->refs == 0) {
        free(blob);
    }
}

#endif
