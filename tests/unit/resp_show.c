/* Bytes and values as text, for comparisons that a person can read when they fail. */
#include "tests/unit/resp_show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [RESP_SIMPLE] = "simple",
    [RESP_ERROR] = "error",
    [RESP_INT] = "int",
    [RESP_BULK] = "bulk",
    [RESP_ARRAY] = "array",
    [RESP_NULL] = "null",
    [RESP_DOUBLE] = "double",
    [RESP_BOOL] = "bool",
    [RESP_BIG_NUMBER] = "big",
    [RESP_MAP] = "map",
    [RESP_BULK_ERROR] = "bulk_error",
    [RESP_VERBATIM] = "verbatim",
    [RESP_SET] = "set",
    [RESP_ATTRIBUTE] = "attribute",
    [RESP_PUSH] = "push",
};

static void must(enum rd_err err) {
    if (err != RD_OK) {
        abort();
    }
}

void show_bytes(struct buf *out, const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        bool plain = p[i] >= ' ' && p[i] < 127 && strchr("\\[](){}", p[i]) == NULL;
        must(plain ? buf_append(out, p + i, 1) : buf_printf(out, "\\x%02x", p[i]));
    }
}

static void show_children(struct buf *out, const struct resp_value *value) {
    bool pairs = value->type == RESP_MAP || value->type == RESP_ATTRIBUTE;
    must(buf_printf(out, pairs ? "{" : "["));
    for (uint32_t i = 0; i < value->count; i++) {
        if (i > 0) {
            must(buf_printf(out, pairs && i % 2 == 1 ? ": " : ", "));
        }
        show_value(out, resp_value_child(value, i));
    }
    must(buf_printf(out, pairs ? "}" : "]"));
}

void show_value(struct buf *out, const struct resp_value *value) {
    must(buf_printf(out, "%s", names[value->type]));
    switch (value->type) {
    case RESP_INT:
    case RESP_BOOL:
        must(buf_printf(out, " %" PRId64, value->integer));
        break;
    case RESP_DOUBLE:
        must(buf_printf(out, " %.17g", value->number));
        break;
    case RESP_NULL:
        must(buf_printf(out, "%c", value->marker));
        break;
    case RESP_ARRAY:
    case RESP_MAP:
    case RESP_SET:
    case RESP_ATTRIBUTE:
    case RESP_PUSH:
        show_children(out, value);
        break;
    default:
        must(buf_printf(out, "("));
        if (value->type == RESP_VERBATIM) {
            show_bytes(out, value->format, strlen(value->format));
            must(buf_printf(out, ":"));
        }
        show_bytes(out, value->text.data, value->text.len);
        must(buf_printf(out, ")"));
        break;
    }
}

const char *show_text(struct buf *out) {
    uint8_t *end = NULL;
    must(buf_reserve(out, 1, &end));
    *end = '\0';
    return (const char *)buf_data(out);
}

uint8_t *exact_copy(const void *bytes, size_t len) {
    uint8_t *copy = malloc(len);
    if (copy == NULL && len > 0) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}
