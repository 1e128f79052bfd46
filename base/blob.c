/* Reference-counted immutable bytes; see blob.h.
 *
 * 1. refs >= 1 as long as anyone can reach the blob. 2. bytes[0..len) never change once shared.
 */
#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

enum rd_err blob_alloc(size_t len, struct blob **out) {
    if (len > BLOB_MAX_BYTES) {
        return RD_ETOOBIG;
    }
    struct blob *blob = malloc(sizeof *blob + len);
    if (blob == NULL) {
        return RD_ENOMEM;
    }
    blob->refs = 1;
    blob->len = (uint32_t)len;
    *out = blob;
    return RD_OK;
}

enum rd_err blob_new(const void *bytes, size_t len, struct blob **out) {
    struct blob *blob;
    enum rd_err err = blob_alloc(len, &blob);
    if (err != RD_OK) {
        return err;
    }
    if (len > 0) {
        memcpy(blob->bytes, bytes, len);
    }
    *out = blob;
    return RD_OK;
}
