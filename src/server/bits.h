/* Offsets of bits, as SETBIT and BITFIELD take them. */
#ifndef RD_SERVER_BITS_H
#define RD_SERVER_BITS_H

#include "server/value.h"

/* Parses argument `index` as the number of a bit that a string may have; with `width` > 0 also "#N", the bit N * width. On failure writes Redis's
 * error and returns false. */
bool bits_parse_offset(struct value_op *op, size_t index, unsigned width, uint64_t *out);

#endif
