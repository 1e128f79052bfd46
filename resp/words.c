/* Words of a line. See resp/words.h for the rules.
 *
 * Words without quotes are borrowed from the line. The others are written to `unquoted`, which is
 * made as long as the line before the first of them, and so never moves while words point into it:
 * unquoting never makes a word longer.
 */
#include "resp/words.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ITEMS 16

/* What is left to read of the line, and where the next unquoted byte goes. */
struct cursor {
    const uint8_t *p;
    const uint8_t *end;
    uint8_t *out;
};

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Vertical tabs and form feeds separate words but do not end one, as in Redis. */
static bool ends_word(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The value of a hex digit, or -1. */
static int hex_value(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rd_err resp_words_push(struct resp_words *words, struct resp_slice word) {
    if (words->count == words->cap) {
        /* Cannot wrap: the items that are there take half as much memory already. */
        size_t cap = words->cap == 0 ? FIRST_ITEMS : words->cap * 2;
        struct resp_slice *items = realloc(words->items, cap * sizeof(*items));
        if (items == NULL) {
            return RD_ENOMEM;
        }
        words->items = items;
        words->cap = cap;
    }
    words->items[words->count++] = word;
    return RD_OK;
}

void resp_words_free(struct resp_words *words) {
    free(words->items);
    free(words->unquoted);
    *words = (struct resp_words){0};
}

static enum rd_err reserve_unquoted(struct resp_words *words, size_t bytes) {
    if (bytes <= words->unquoted_cap) {
        return RD_OK;
    }
    /* The old bytes belong to no word any more, so there is nothing to copy. */
    uint8_t *fresh = malloc(bytes);
    if (fresh == NULL) {
        return RD_ENOMEM;
    }
    free(words->unquoted);
    words->unquoted = fresh;
    words->unquoted_cap = bytes;
    return RD_OK;
}

/* Reads what follows a backslash within double quotes; c->p is behind the backslash, and not at the
 * end. */
static uint8_t read_escape(struct cursor *c) {
    uint8_t kind = *c->p++;
    switch (kind) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    case 'x':
        if (c->end - c->p >= 2 && hex_value(c->p[0]) >= 0 && hex_value(c->p[1]) >= 0) {
            uint8_t byte = (uint8_t)(hex_value(c->p[0]) << 4 | hex_value(c->p[1]));
            c->p += 2;
            return byte;
        }
        return kind;
    default:
        return kind;
    }
}

/* Unquotes up to and with the closing quote; c->p is at the opening one. */
static enum rd_err read_quoted(struct cursor *c) {
    uint8_t quote = *c->p++;
    while (c->p < c->end) {
        uint8_t byte = *c->p++;
        if (byte == quote) {
            return c->p == c->end || is_space(*c->p) ? RD_OK : RD_EPROTO;
        }
        if (byte == '\\' && c->p < c->end) {
            if (quote == '"') {
                byte = read_escape(c);
            } else if (*c->p == '\'') {
                byte = *c->p++;
            }
        }
        *c->out++ = byte;
    }
    return RD_EPROTO;
}

/* Reads one word, which may begin plainly and go on quoted; c->p is at its first byte. */
static enum rd_err read_word(struct resp_words *words, struct cursor *c, size_t line_len) {
    struct resp_slice word = {c->p, 0};
    while (c->p < c->end && !ends_word(*c->p) && *c->p != '"' && *c->p != '\'') {
        c->p++;
    }
    word.len = (size_t)(c->p - word.data);
    if (c->p == c->end || ends_word(*c->p)) {
        return resp_words_push(words, word);
    }
    if (c->out == NULL) {
        enum rd_err err = reserve_unquoted(words, line_len);
        if (err != RD_OK) {
            return err;
        }
        c->out = words->unquoted;
    }
    uint8_t *start = c->out;
    memcpy(start, word.data, word.len);
    c->out += word.len;
    enum rd_err err = read_quoted(c);
    if (err != RD_OK) {
        return err;
    }
    assert(c->out <= words->unquoted + line_len);
    return resp_words_push(words, (struct resp_slice){start, (size_t)(c->out - start)});
}

enum rd_err resp_words_split(struct resp_words *words, const uint8_t *line, size_t len,
                             size_t max_words) {
    struct cursor c = {line, line + len, NULL};
    enum rd_err err = RD_OK;
    words->count = 0;
    for (;;) {
        while (c.p < c.end && is_space(*c.p)) {
            c.p++;
        }
        if (c.p == c.end) {
            return RD_OK;
        }
        err = words->count < max_words ? read_word(words, &c, len) : RD_ETOOBIG;
        if (err != RD_OK) {
            words->count = 0;
            return err;
        }
    }
}
