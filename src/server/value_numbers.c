/* Numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/values.h"

#define LONGEST_FLOAT 5120 /* digits of a long double, and more than enough */

/* What is to be added: 1, or the argument; with the sign of the command. */
static bool parse_step(struct value_op *op, int64_t *step) {
    *step = 1;
    if (op->argc == 3 && !value_arg_i64(op, 2, NULL, step)) {
        return false;
    }
    if (op->name[0] != 'd') {
        return true;
    }
    if (*step == INT64_MIN) {
        value_error(op, "ERR decrement would overflow");
        return false;
    }
    *step = -*step;
    return true;
}

void value_incr(struct value_op *op) {
    int64_t step, number = 0, sum;
    if (!parse_step(op, &step) || value_checked(op)) {
        return;
    }
    if (op->value != NULL &&
        text_i64((const char *)op->value->bytes, op->value->len, &number) != RD_OK) {
        value_error(op, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(number, step, &sum)) {
        value_error(op, "ERR increment or decrement would overflow");
        return;
    }
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)sum);
    resp_write_int(&op->w, sum);
    value_set_bytes(op, text, (size_t)len);
}

/* Parses all of `bytes` as a floating-point number, as strtold does; refuses what that would skip or could not hold. */
static bool parse_float(const void *bytes, size_t len, long double *out) {
    char text[LONGEST_FLOAT];
    if (len == 0 || len >= sizeof text) {
        return false;
    }
    memcpy(text, bytes, len);
    text[len] = 0;
    char first = text[0], *end;
    if (first == ' ' || (first >= '\t' && first <= '\r')) {
        return false;
    }
    errno = 0;
    *out = strtold(text, &end);
    bool lost = errno == ERANGE && (isinf(*out) || *out == 0);
    return (size_t)(end - text) == len && !lost && errno != EINVAL && !isnan(*out);
}

/* Writes `number` without exponent and without zeros at its end; returns the length. */
static size_t print_float(long double number, char text[LONGEST_FLOAT]) {
    size_t len = (size_t)snprintf(text, LONGEST_FLOAT, "%.17Lf", number);
    while (text[len - 1] == '0') { /* there is a point before them */
        len--;
    }
    if (text[len - 1] == '.') {
        len--;
    }
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

void value_incrbyfloat(struct value_op *op) {
    long double number = 0, step = 0;
    bool good = parse_float(op->argv[2].data, op->argv[2].len, &step);
    if (!good) {
        value_error(op, "ERR value is not a valid float");
    }
    if (value_checked(op)) {
        return;
    }
    if (op->value != NULL && !parse_float(op->value->bytes, op->value->len, &number)) {
        value_error(op, "ERR value is not a valid float");
        return;
    }
    number += step;
    if (isnan(number) || isinf(number)) {
        value_error(op, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[LONGEST_FLOAT];
    size_t len = print_float(number, text);
    resp_write_bulk(&op->w, text, len);
    value_set_bytes(op, text, len);
}
