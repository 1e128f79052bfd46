/* Fuzzes resp/reader and resp/writer: any bytes, whole and in pieces, must give the same trees and
 * the same end; each tree written again in protocol 3 must be read as the same tree.
 *
 * The first two bytes of the input choose limits and pieces, the rest is the stream.
 */
#include "resp/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/prng.h"
#include "resp/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good) {
        abort();
    }
}

/* Text of a value, terminated; to be freed. NULL if it has a zero in it, which the writer's texts
 * cannot say. */
static char *text_of(const struct resp_value *value) {
    if (value->text.len > 0 && memchr(value->text.data, '\0', value->text.len) != NULL) {
        return NULL;
    }
    char *text = malloc(value->text.len + 1);
    must(text != NULL);
    memcpy(text, value->text.data, value->text.len);
    text[value->text.len] = '\0';
    return text;
}

static void write_line(struct resp_writer *w, const struct resp_value *value) {
    char *text = text_of(value);
    if (text == NULL) {
        resp_write_null(w);
    } else if (value->type == RESP_SIMPLE) {
        resp_write_simple(w, text);
    } else if (value->type == RESP_ERROR) {
        resp_write_error(w, text);
    } else {
        resp_write_big_number(w, text);
    }
    free(text);
}

/* Writes a whole tree; each value only once, so no recursion is needed. */
static void write_tree(struct resp_writer *w, const struct resp_value *root) {
    for (const struct resp_value *value = root; value < root + root->span; value++) {
        switch (value->type) {
        case RESP_SIMPLE:
        case RESP_ERROR:
        case RESP_BIG_NUMBER:
            write_line(w, value);
            break;
        case RESP_INT:
            resp_write_int(w, value->integer);
            break;
        case RESP_BULK:
            resp_write_bulk(w, value->text.data, value->text.len);
            break;
        case RESP_BULK_ERROR:
            resp_write_bulk_error(w, value->text.data, value->text.len);
            break;
        case RESP_VERBATIM:
            resp_write_verbatim(w, strlen(value->format) == 3 ? value->format : "txt",
                                value->text.data, value->text.len);
            break;
        case RESP_NULL:
            resp_write_null(w);
            break;
        case RESP_BOOL:
            resp_write_bool(w, value->integer != 0);
            break;
        case RESP_DOUBLE:
            resp_write_double(w, value->number);
            break;
        case RESP_ARRAY:
            resp_write_array(w, value->count);
            break;
        case RESP_SET:
            resp_write_set(w, value->count);
            break;
        case RESP_MAP:
            resp_write_map(w, value->count / 2);
            break;
        case RESP_ATTRIBUTE:
            resp_write_attribute(w, value->count / 2);
            break;
        case RESP_PUSH:
            resp_write_push(w, value->count);
            break;
        default:
            abort();
        }
    }
}

/* Appends the tree in protocol 3: what it says, in one spelling. */
static void note_tree(struct buf *notes, const struct resp_value *root) {
    struct resp_writer w;
    resp_writer_init(&w, notes, 3);
    write_tree(&w, root);
    must(resp_writer_end(&w) == RD_OK);
}

static bool read_up_to(struct buf *notes, struct resp_reader *reader, const uint8_t *input,
                       size_t end, size_t *at) {
    for (;;) {
        size_t len = end - *at;
        const struct resp_value *root = NULL;
        size_t consumed = 0;
        uint8_t *copy = malloc(len);
        must(copy != NULL || len == 0);
        if (len > 0) {
            memcpy(copy, input + *at, len);
        }
        enum rd_err err = resp_reader_read(reader, copy, len, &consumed, &root);
        if (err == RD_OK) {
            must(consumed > 0 && consumed <= len && root->span <= reader->limits->max_values);
            note_tree(notes, root);
            *at += consumed;
        }
        free(copy);
        must(reader->values_cap <= 8 + end); /* a value takes three bytes or more */
        if (err == RD_EINCOMPLETE) {
            return true;
        }
        if (err != RD_OK) {
            must(err == RD_EPROTO || err == RD_ETOOBIG);
            must(resp_reader_position(reader) < len);
            must(buf_printf(notes, "%s at %zu", resp_reader_error(reader),
                            *at + resp_reader_position(reader)) == RD_OK);
            return false;
        }
    }
}

/* Returns false if the stream ended with an error. */
static bool run(struct buf *notes, const struct resp_reader_limits *limits, const uint8_t *input,
                size_t len, struct prng *cuts) {
    struct resp_reader reader;
    size_t at = 0;
    size_t end = 0;
    bool good = true;
    resp_reader_init(&reader, limits);
    do {
        end += cuts == NULL ? len : 1 + prng_below(cuts, prng_chance(cuts, 1, 4) ? len + 1 : 4);
        end = end > len ? len : end;
        good = read_up_to(notes, &reader, input, end, &at);
    } while (good && end < len);
    resp_reader_free(&reader);
    return good;
}

static void must_equal(const struct buf *a, const struct buf *b) {
    must(buf_len(a) == buf_len(b));
    must(buf_len(a) == 0 || memcmp(buf_data(a), buf_data(b), buf_len(a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct resp_reader_limits limits;
    struct resp_reader_limits wide;
    struct buf whole = {0};
    struct buf pieces = {0};
    struct buf again = {0};
    struct prng cuts;
    if (size < 2) {
        return 0;
    }
    resp_reader_limits_default(&limits);
    resp_reader_limits_default(&wide);
    if ((data[0] & 1) != 0) {
        limits.max_bulk_bytes = 24;
        limits.max_line_bytes = 20;
        limits.max_values = 12;
        limits.max_depth = 3;
    }
    prng_seed(&cuts, data[1]);
    bool good = run(&whole, &limits, data + 2, size - 2, NULL);
    run(&pieces, &limits, data + 2, size - 2, &cuts);
    must_equal(&whole, &pieces);
    if (good && buf_len(&whole) > 0) {
        must(run(&again, &wide, buf_data(&whole), buf_len(&whole), NULL));
        must_equal(&whole, &again);
    }
    buf_free(&whole);
    buf_free(&pieces);
    buf_free(&again);
    return 0;
}
