/* bench/replies: see the header. */
#include "bench/replies.h"

#include <stdbool.h>
#include <string.h>

/* An integer that ends at `end`; false if it is none. */
static bool number_read(const uint8_t *at, const uint8_t *end, int64_t *out) {
    bool negative = at < end && *at == '-';
    at += negative;
    if (at == end || end - at > 18) {
        return false;
    }
    int64_t number = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        number = number * 10 + (*at - '0');
    }
    *out = negative ? -number : number;
    return true;
}

static enum reply_kind bulk_read(size_t head, size_t len, const uint8_t *data, struct reply *out) {
    if (out->number == -1) {
        return REPLY_NULL;
    }
    if (out->number < 0) {
        return REPLY_BAD;
    }
    size_t bytes = (size_t)out->number;
    if (len - head < bytes + 2) {
        return REPLY_INCOMPLETE;
    }
    out->text = (const char *)data + head;
    out->text_len = bytes;
    out->bytes = head + bytes + 2;
    return data[head + bytes] == '\r' && data[head + bytes + 1] == '\n' ? REPLY_BULK : REPLY_BAD;
}

enum reply_kind reply_read(const uint8_t *data, size_t len, struct reply *out) {
    if (len < 3) {
        return REPLY_INCOMPLETE;
    }
    const uint8_t *lf = memchr(data + 1, '\n', len - 1);
    if (lf == NULL) {
        return len < 65536 ? REPLY_INCOMPLETE : REPLY_BAD;
    }
    const uint8_t *cr = lf - 1;
    if (*cr != '\r' || cr == data) {
        return REPLY_BAD;
    }
    struct reply reply = {.bytes = (size_t)(lf - data) + 1,
                          .text = (const char *)data + 1,
                          .text_len = (size_t)(cr - data) - 1};
    enum reply_kind kind = REPLY_BAD;
    switch (data[0]) {
    case '+':
        kind = REPLY_STATUS;
        break;
    case '-':
        kind = REPLY_ERROR;
        break;
    case ':':
        kind = number_read(data + 1, cr, &reply.number) ? REPLY_NUMBER : REPLY_BAD;
        break;
    case '$':
        if (number_read(data + 1, cr, &reply.number)) {
            kind = bulk_read(reply.bytes, len, data, &reply);
        }
        break;
    default:
        break;
    }
    if (kind > REPLY_BAD) {
        *out = reply;
    }
    return kind;
}
