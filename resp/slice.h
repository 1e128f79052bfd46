/* Borrowed bytes: a place in memory that belongs to someone else.
 *
 * A slice owns nothing and is copied freely. How long its bytes live is said by the function that
 * returns it.
 */
#ifndef RD_RESP_SLICE_H
#define RD_RESP_SLICE_H

#include <stddef.h>
#include <stdint.h>

struct resp_slice {
    const uint8_t *data; /* not terminated; may be NULL only when len is 0 */
    size_t len;          /* bytes */
};

#endif
