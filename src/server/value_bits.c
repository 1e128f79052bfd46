/* Bits: SETBIT, GETBIT, BITCOUNT, BITPOS. Bit 0 is the highest of byte 0. */
#include <string.h>

#include "base/text.h"
#include "server/bits.h"
#include "server/values.h"

bool bits_parse_offset(struct value_op *op, size_t index, unsigned width, uint64_t *out) {
    const struct resp_slice *arg = &op->argv[index];
    const char *text = (const char *)arg->data;
    size_t len = arg->len;
    bool counted = width > 0 && len > 0 && text[0] == '#';
    int64_t number = 0;
    bool good = text_i64(text + counted, len - counted, &number) == RD_OK && number >= 0 &&
                !(counted && __builtin_mul_overflow(number, (int64_t)width, &number)) &&
                (uint64_t)number / 8 < op->max_bytes;
    if (!good) {
        value_error(op, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

void value_setbit(struct value_op *op) {
    static const char wrong[] = "ERR bit is not an integer or out of range";
    uint64_t at;
    int64_t bit;
    if (!bits_parse_offset(op, 2, 0, &at) || !value_arg_i64(op, 3, wrong, &bit)) {
        return;
    }
    if (bit != 0 && bit != 1) {
        value_error(op, wrong);
    }
    if (value_checked(op)) {
        return;
    }
    uint8_t mask = (uint8_t)(0x80u >> (at % 8));
    bool inside = at / 8 < value_len(op);
    bool old = inside && (op->value->bytes[at / 8] & mask) != 0;
    resp_write_int(&op->w, old);
    if (inside && old == (bit == 1)) {
        return;
    }
    struct blob *next = value_grown(op, at / 8 + 1);
    if (next != NULL) {
        next->bytes[at / 8] =
            (uint8_t)(bit == 1 ? next->bytes[at / 8] | mask : next->bytes[at / 8] & ~mask);
        value_set(op, next, op->expires_ms);
    }
}

void value_getbit(struct value_op *op) {
    uint64_t at;
    if (!bits_parse_offset(op, 2, 0, &at) || value_checked(op)) {
        return;
    }
    bool bit = at / 8 < value_len(op) && (op->value->bytes[at / 8] & (0x80u >> (at % 8))) != 0;
    resp_write_int(&op->w, bit);
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

/* A range as the arguments give it: of bytes or bits, from the front or (negative) from the back. */
struct range {
    int64_t start, end;
    bool has_end, bits;
};

/* Parses `start [end [BYTE|BIT]]` from argument `first` on; nothing there: the whole. */
static bool parse_range(struct value_op *op, size_t first, bool needs_end, struct range *out) {
    size_t given = op->argc - first;
    *out = (struct range){.start = 0, .end = -1};
    if (given == 0) {
        return true;
    }
    if (given > 3 || (needs_end && given == 1)) {
        value_error(op, "ERR syntax error");
        return false;
    }
    if (!value_arg_i64(op, first, NULL, &out->start)) {
        return false;
    }
    if (given == 3) {
        out->bits = value_arg_is(op, first + 2, "bit");
        if (!out->bits && !value_arg_is(op, first + 2, "byte")) {
            value_error(op, "ERR syntax error");
            return false;
        }
    }
    out->has_end = given >= 2;
    return given < 2 || value_arg_i64(op, first + 1, NULL, &out->end);
}

/* The range in bits, first..last of the value; returns false if it is empty. */
static bool place(const struct value_op *op, const struct range *range, uint64_t *first,
                  uint64_t *last) {
    int64_t total = (int64_t)value_len(op) * (range->bits ? 8 : 1);
    int64_t start = range->start, end = range->end;
    start = start >= 0 ? start : start < -total ? 0 : start + total;
    end = end >= 0 ? end : end < -total ? 0 : end + total;
    end = end < total ? end : total - 1;
    if (start > end) {
        return false;
    }
    *first = (uint64_t)start * (range->bits ? 1 : 8);
    *last = range->bits ? (uint64_t)end : (uint64_t)end * 8 + 7;
    return true;
}

/* The bits first..last of the byte that `at` is in, all others being cleared; bits beyond `last` and before `first` are. */
static uint8_t masked(const uint8_t *bytes, uint64_t byte, uint64_t first, uint64_t last) {
    uint8_t mask = 0xff;
    if (byte == first / 8) {
        mask = (uint8_t)(mask & (0xffu >> (first % 8)));
    }
    if (byte == last / 8) {
        mask = (uint8_t)(mask & (0xffu << (7 - last % 8)));
    }
    return bytes[byte] & mask;
}

void value_bitcount(struct value_op *op) {
    struct range range;
    uint64_t first, last, count = 0;
    if (!parse_range(op, 2, true, &range) || value_checked(op)) {
        return;
    }
    bool crossed = range.start < 0 && range.end < 0 && range.start > range.end;
    if (!crossed && place(op, &range, &first, &last)) {
        for (uint64_t byte = first / 8; byte <= last / 8; byte++) {
            count += (uint64_t)__builtin_popcount(masked(op->value->bytes, byte, first, last));
        }
    }
    resp_write_int(&op->w, (int64_t)count);
}

/* The first bit that is `bit` in first..last; -1: there is none. */
static int64_t find(const uint8_t *bytes, uint64_t first, uint64_t last, bool bit) {
    for (uint64_t at = first; at <= last; at++) {
        if (at % 8 == 0 && last - at >= 7 && bytes[at / 8] == (bit ? 0 : 0xff)) {
            at += 7;
        } else if (((bytes[at / 8] & (0x80u >> (at % 8))) != 0) == bit) {
            return (int64_t)at;
        }
    }
    return -1;
}

/* A value is followed by zeros without end, unless the range has an end. */
void value_bitpos(struct value_op *op) {
    struct range range;
    int64_t bit;
    uint64_t first, last;
    if (!value_arg_i64(op, 2, NULL, &bit)) {
        return;
    }
    if (bit != 0 && bit != 1) {
        value_error(op, "ERR The bit argument must be 1 or 0.");
        return;
    }
    if (!parse_range(op, 3, false, &range) || value_checked(op)) {
        return;
    }
    int64_t found = -1;
    if (op->value == NULL) {
        found = bit == 1 ? -1 : 0;
    } else if (place(op, &range, &first, &last)) {
        found = find(op->value->bytes, first, last, bit == 1);
        if (found < 0 && bit == 0 && !range.has_end) {
            found = (int64_t)last + 1;
        }
    }
    resp_write_int(&op->w, found);
}
