/* Replies as text: one function per reader, and the pattern that texts are compared with. */
#include "redis-tests/lib/show.h"

#include <stdlib.h>
#include <string.h>

static void add(struct buf *out, const void *bytes, size_t len) {
    if (buf_append(out, bytes, len) != RD_OK) {
        abort();
    }
}

static void add_text(struct buf *out, const char *text) {
    add(out, text, strlen(text));
}

void show_bytes(struct buf *out, const void *bytes, size_t len) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"' || p[i] == '\\') {
            char escaped[2] = {'\\', (char)p[i]};
            add(out, escaped, 2);
        } else if (p[i] >= 0x20 && p[i] < 0x7f) {
            add(out, &p[i], 1);
        } else if (p[i] == '\r' || p[i] == '\n') {
            add_text(out, p[i] == '\r' ? "\\r" : "\\n");
        } else if (buf_printf(out, "\\x%02x", p[i]) != RD_OK) {
            abort();
        }
    }
}

static void add_quoted(struct buf *out, const void *bytes, size_t len) {
    add_text(out, "\"");
    show_bytes(out, bytes, len);
    add_text(out, "\"");
}

static void add_number(struct buf *out, long long number) {
    if (buf_printf(out, ":%lld", number) != RD_OK) {
        abort();
    }
}

void show_reply(struct buf *out, const redisReply *reply) {
    switch (reply->type) {
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        add_text(out, reply->type == REDIS_REPLY_STATUS ? "+" : "-");
        show_bytes(out, reply->str, reply->len);
        break;
    case REDIS_REPLY_INTEGER:
        add_number(out, reply->integer);
        break;
    case REDIS_REPLY_STRING:
        add_quoted(out, reply->str, reply->len);
        break;
    case REDIS_REPLY_NIL:
        add_text(out, "nil");
        break;
    case REDIS_REPLY_ARRAY:
        add_text(out, "[");
        for (size_t i = 0; i < reply->elements; i++) {
            add_text(out, i > 0 ? ", " : "");
            show_reply(out, reply->element[i]);
        }
        add_text(out, "]");
        break;
    default:
        abort();
    }
}

static void add_children(struct buf *out, const struct resp_value *value, const char *open,
                         const char *close) {
    const struct resp_value *child = value + 1;
    bool map = value->type == RESP_MAP;
    add_text(out, open);
    for (uint32_t i = 0; i < value->count; i++, child += child->span) {
        add_text(out, i == 0 ? "" : map && i % 2 == 1 ? ": " : ", ");
        show_value(out, child);
    }
    add_text(out, close);
}

static void add_prefixed(struct buf *out, const char *prefix, const struct resp_slice *text) {
    add_text(out, prefix);
    show_bytes(out, text->data, text->len);
}

static void show_verbatim(struct buf *out, const struct resp_value *value) {
    add_text(out, "=\"");
    add_text(out, value->format);
    add_prefixed(out, ":", &value->text);
    add_text(out, "\"");
}

void show_value(struct buf *out, const struct resp_value *value) {
    switch ((enum resp_type)value->type) {
    case RESP_SIMPLE:
        add_prefixed(out, "+", &value->text);
        break;
    case RESP_ERROR:
        add_prefixed(out, "-", &value->text);
        break;
    case RESP_BULK_ERROR:
        add_prefixed(out, "!", &value->text);
        break;
    case RESP_INT:
        add_number(out, value->integer);
        break;
    case RESP_BULK:
        add_quoted(out, value->text.data, value->text.len);
        break;
    case RESP_NULL:
        add_text(out, "nil");
        break;
    case RESP_DOUBLE:
        add_prefixed(out, ",", &value->text);
        break;
    case RESP_BOOL:
        add_text(out, value->integer != 0 ? "#t" : "#f");
        break;
    case RESP_BIG_NUMBER:
        add_prefixed(out, "(", &value->text);
        break;
    case RESP_VERBATIM:
        show_verbatim(out, value);
        break;
    case RESP_ARRAY:
        add_children(out, value, "[", "]");
        break;
    case RESP_SET:
        add_children(out, value, "~[", "]");
        break;
    case RESP_PUSH:
        add_children(out, value, ">[", "]");
        break;
    case RESP_MAP:
        add_children(out, value, "{", "}");
        break;
    case RESP_ATTRIBUTE:
        show_value(out, resp_value_plain(value));
        break;
    }
}

const char *show_text(struct buf *buf) {
    uint8_t *end;
    if (buf_reserve(buf, 1, &end) != RD_OK) {
        abort();
    }
    *end = '\0';
    return (const char *)buf_data(buf);
}

bool show_matches(const char *pattern, const char *text) {
    const char *star = NULL, *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}
