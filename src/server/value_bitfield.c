/* BITFIELD and BITFIELD_RO: integers of any width at any bit. */
#include <assert.h>
#include <string.h>

#include "base/text.h"
#include "server/bits.h"
#include "server/values.h"

enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };
enum action { ACTION_GET, ACTION_SET, ACTION_INCRBY };

struct step {
    enum action action;
    enum overflow overflow;
    bool is_signed;
    unsigned width;
    uint64_t at;
    int64_t number; /* SET, INCRBY */
};

/* ---- arithmetic ------------------------------------------------------------------------------------ */

static uint64_t low_bits(uint64_t number, unsigned width) {
    return width == 64 ? number : number & ((UINT64_C(1) << width) - 1);
}

/* The number that `width` bits say. */
static int64_t interpret(uint64_t bits, unsigned width, bool is_signed) {
    bits = low_bits(bits, width);
    if (is_signed && width < 64 && (bits >> (width - 1)) != 0) {
        bits |= ~UINT64_C(0) << width;
    }
    return (int64_t)bits;
}

static uint64_t load(const uint8_t *bytes, size_t len, uint64_t at, unsigned width) {
    uint64_t number = 0;
    for (uint64_t bit = at; bit < at + width; bit++) {
        bool set = bit / 8 < len && (bytes[bit / 8] & (0x80u >> (bit % 8))) != 0;
        number = number << 1 | set;
    }
    return number;
}

static void store(uint8_t *bytes, uint64_t at, unsigned width, uint64_t number) {
    for (unsigned i = 0; i < width; i++) {
        uint64_t bit = at + i;
        uint8_t mask = (uint8_t)(0x80u >> (bit % 8));
        bool set = (number >> (width - 1 - i)) & 1;
        bytes[bit / 8] = (uint8_t)(set ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask);
    }
}

/* Adds exactly, and brings the sum into the width. Returns false if it does not fit and is to fail. */
static bool add(const struct step *step, int64_t base, int64_t more, int64_t *out) {
    __extension__ typedef __int128 wide;
    wide high = step->is_signed ? ((wide)1 << (step->width - 1)) - 1 : ((wide)1 << step->width) - 1;
    wide low = step->is_signed ? -((wide)1 << (step->width - 1)) : 0;
    wide sum = (wide)base + more;
    if (sum < low || sum > high) {
        if (step->overflow == OVERFLOW_FAIL) {
            return false;
        }
        if (step->overflow == OVERFLOW_SAT) {
            *out = (int64_t)(sum < low ? low : high);
            return true;
        }
    }
    *out = interpret((uint64_t)base + (uint64_t)more, step->width, step->is_signed);
    return true;
}

/* SET of an unsigned field takes its number for an unsigned one, so that a negative one is far too high. */
static bool fit(const struct step *step, int64_t number, int64_t *out) {
    if (!step->is_signed && number < 0) {
        if (step->overflow == OVERFLOW_FAIL) {
            return false;
        }
        *out = step->overflow == OVERFLOW_SAT ? (int64_t)low_bits(UINT64_MAX, step->width)
                                              : interpret((uint64_t)number, step->width, false);
        return true;
    }
    int64_t high = step->width < 64 ? (INT64_C(1) << (step->width - 1)) - 1 : INT64_MAX;
    if (step->is_signed && step->overflow == OVERFLOW_SAT && number < high - INT64_MAX) {
        *out = high; /* as in Redis, where the distance to it overflows */
        return true;
    }
    return add(step, number, 0, out);
}

/* ---- arguments ------------------------------------------------------------------------------------- */

static bool parse_type(struct value_op *op, size_t index, struct step *step) {
    const struct resp_slice *arg = &op->argv[index];
    const char *text = (const char *)arg->data;
    int64_t width = 0;
    bool good = arg->len > 1 && (text[0] == 'i' || text[0] == 'u') &&
                text_i64(text + 1, arg->len - 1, &width) == RD_OK && width >= 1 &&
                width <= (text[0] == 'i' ? 64 : 63);
    if (!good) {
        value_error(op,
                    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                    "supported but i64 is.");
        return false;
    }
    step->is_signed = text[0] == 'i';
    step->width = (unsigned)width;
    return true;
}

static bool parse_overflow(struct value_op *op, size_t index, enum overflow *out) {
    if (value_arg_is(op, index, "wrap")) {
        *out = OVERFLOW_WRAP;
    } else if (value_arg_is(op, index, "sat")) {
        *out = OVERFLOW_SAT;
    } else if (value_arg_is(op, index, "fail")) {
        *out = OVERFLOW_FAIL;
    } else {
        value_error(op, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* Takes the next step at `*i`, with the OVERFLOWs before it, and moves on. Returns false at the end and after an error. */
static bool next_step(struct value_op *op, size_t *i, struct step *step) {
    for (; *i < op->argc; *i += 2) {
        size_t left = op->argc - *i - 1;
        if (value_arg_is(op, *i, "get") && left >= 2) {
            step->action = ACTION_GET;
        } else if (value_arg_is(op, *i, "set") && left >= 3) {
            step->action = ACTION_SET;
        } else if (value_arg_is(op, *i, "incrby") && left >= 3) {
            step->action = ACTION_INCRBY;
        } else if (value_arg_is(op, *i, "overflow") && left >= 1) {
            if (!parse_overflow(op, *i + 1, &step->overflow)) {
                return false;
            }
            continue;
        } else {
            value_error(op, "ERR syntax error");
            return false;
        }
        bool writes = step->action != ACTION_GET;
        bool good = parse_type(op, *i + 1, step) &&
                    bits_parse_offset(op, *i + 2, step->width, &step->at) &&
                    (!writes || value_arg_i64(op, *i + 3, NULL, &step->number));
        *i += writes ? 4 : 3;
        return good;
    }
    return false;
}

/* ---- the command ----------------------------------------------------------------------------------- */

/* Replies one step's result, having carried it out in `next` (NULL: only reads come). */
static void run(struct value_op *op, const struct step *step, struct blob *next) {
    const uint8_t *bytes = next != NULL ? next->bytes : value_bytes(op);
    size_t len = next != NULL ? next->len : value_len(op);
    int64_t old = interpret(load(bytes, len, step->at, step->width), step->width, step->is_signed);
    int64_t now = old;
    bool good = step->action == ACTION_GET ||
                (step->action == ACTION_SET ? fit(step, step->number, &now)
                                            : add(step, old, step->number, &now));
    if (!good) {
        resp_write_null(&op->w);
        return;
    }
    resp_write_int(&op->w, step->action == ACTION_INCRBY ? now : old);
    if (step->action != ACTION_GET) {
        store(next->bytes, step->at, step->width, (uint64_t)now);
    }
}

void value_bitfield(struct value_op *op) {
    struct step step = {0};
    size_t steps = 0, i = 2;
    uint64_t high = 0; /* one past the highest bit written; 0: none is */
    while (next_step(op, &i, &step)) {
        steps++;
        uint64_t end = step.action != ACTION_GET ? step.at + step.width : 0;
        high = end > high ? end : high;
    }
    if (!op->replied && high > 0 && strcmp(op->name, "bitfield_ro") == 0) {
        value_error(op, "ERR BITFIELD_RO only supports the GET subcommand");
    }
    if (value_checked(op)) {
        return;
    }
    struct blob *next = NULL;
    if (high > 0 && (next = value_grown(op, (high - 1) / 8 + 1)) == NULL) {
        return;
    }
    resp_write_array(&op->w, steps);
    step = (struct step){0};
    i = 2;
    while (next_step(op, &i, &step)) {
        run(op, &step, next);
    }
    if (next != NULL) {
        value_set(op, next, op->expires_ms);
    }
}
