/* bench/load_batch: see the header. Everything but the digits of the key is prepared. */
#include "bench/load_batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { FILL_PIPELINE = 32 };

static char *text_of(const char *format, const char *name, size_t key_bytes, const char *prefix,
                     size_t *len) {
    char *text = NULL;
    int n = asprintf(&text, format, name, key_bytes, prefix);
    if (n < 0) {
        abort();
    }
    *len = (size_t)n;
    return text;
}

/* What stands behind the key of a write: nothing but the line's end, or the value. Printable, and not all the same byte. */
static void make_tail(struct batch_maker *maker) {
    const struct load_conf *conf = maker->conf;
    size_t bytes = conf->write == LOAD_DEL ? 0 : conf->value_bytes;
    maker->write_tail = malloc(bytes + 64);
    if (maker->write_tail == NULL) {
        abort();
    }
    if (conf->write == LOAD_DEL) {
        memcpy(maker->write_tail, "\r\n", 2);
        maker->write_tail_len = 2;
        return;
    }
    size_t head = (size_t)snprintf(maker->write_tail, 64, "\r\n$%zu\r\n", bytes);
    struct prng prng;
    prng_seed(&prng, conf->seed);
    for (size_t i = 0; i < bytes; i++) {
        maker->write_tail[head + i] = (char)('a' + prng_below(&prng, 26));
    }
    memcpy(maker->write_tail + head + bytes, "\r\n", 2);
    maker->write_tail_len = head + bytes + 2;
}

void batch_maker_init(struct batch_maker *maker, const struct load_conf *conf,
                      const uint64_t *homes) {
    *maker = (struct batch_maker){.conf = conf, .homes = homes};
    static const char *const write_formats[] = {"*3\r\n$3\r\n%s\r\n$%zu\r\n%s",
                                                "*2\r\n$3\r\n%s\r\n$%zu\r\n%s",
                                                "*3\r\n$6\r\n%s\r\n$%zu\r\n%s"};
    static const char *const write_names[] = {"SET", "DEL", "DYNSET"};
    size_t key_bytes = strlen(conf->prefix) + LOAD_KEY_DIGITS;
    keys_init(&maker->keys, conf->keys, conf->theta > 0, conf->theta > 0 ? conf->theta : 0.5);
    prng_seed(&maker->prng, conf->seed);
    maker->read_head =
        text_of(write_formats[LOAD_DEL], "GET", key_bytes, conf->prefix, &maker->read_head_len);
    maker->write_head = text_of(write_formats[conf->write], write_names[conf->write], key_bytes,
                                conf->prefix, &maker->write_head_len);
    make_tail(maker);
    char number[16];
    int digits = snprintf(number, sizeof number, "%u", conf->wait);
    maker->wait = text_of("*3\r\n$4\r\nWAIT\r\n$%s%zu\r\n%s\r\n$4\r\n5000\r\n", "", (size_t)digits,
                          number, &maker->wait_len);
    maker->reads_below = (uint64_t)(conf->reads * 0x1p53);
    maker->fill_left = conf->keys * conf->rounds;
    maker->filling = conf->rounds > 0;
}

void batch_maker_free(struct batch_maker *maker) {
    free(maker->read_head);
    free(maker->write_head);
    free(maker->write_tail);
    free(maker->wait);
}

/* Filling takes no notice of small pipelines. */
static unsigned pipeline_of(const struct batch_maker *maker) {
    unsigned pipeline = maker->conf->pipeline;
    return maker->filling && pipeline < FILL_PIPELINE ? FILL_PIPELINE : pipeline;
}

size_t batch_max_replies(const struct batch_maker *maker) {
    unsigned pipeline = maker->conf->pipeline;
    return 2 * (size_t)(pipeline < FILL_PIPELINE ? FILL_PIPELINE : pipeline);
}

size_t batch_max_bytes(const struct batch_maker *maker) {
    size_t read = maker->read_head_len + LOAD_KEY_DIGITS + 2;
    size_t write =
        maker->write_head_len + LOAD_KEY_DIGITS + maker->write_tail_len + maker->wait_len;
    return batch_max_replies(maker) / 2 * (read > write ? read : write);
}

static void put_digits(uint8_t *out, uint64_t number) {
    for (int i = LOAD_KEY_DIGITS - 1; i >= 0; i--) {
        out[i] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
}

static uint8_t *put(uint8_t *at, const char *text, size_t len) {
    memcpy(at, text, len);
    return at + len;
}

/* Writes head and key at `at`; draws again while `node` is not named for the key's slot. */
static uint8_t *put_key(struct batch_maker *maker, size_t node, uint8_t *at, const char *head,
                        size_t head_len) {
    size_t prefix = strlen(maker->conf->prefix);
    at = put(at, head, head_len);
    for (int tries = 0;; tries++) {
        put_digits(at, keys_draw(&maker->keys, &maker->prng));
        if (maker->homes == NULL || tries == 10000) {
            break;
        }
        uint16_t slot = hash_crc16(at - prefix, prefix + LOAD_KEY_DIGITS) % 16384;
        if ((maker->homes[slot] >> node & 1) != 0) {
            break;
        }
    }
    return at + LOAD_KEY_DIGITS;
}

static unsigned make_fill(struct batch_maker *maker, uint8_t *out, size_t *len, uint8_t *expected) {
    unsigned n = 0;
    uint8_t *at = out;
    for (; n < pipeline_of(maker) && maker->fill_left > 0; n++) {
        maker->fill_left--;
        at = put(at, maker->write_head, maker->write_head_len);
        put_digits(at, maker->fill_left % maker->conf->keys);
        at = put(at + LOAD_KEY_DIGITS, maker->write_tail, maker->write_tail_len);
        expected[n] = EXPECT_WRITE;
    }
    *len = (size_t)(at - out);
    return n;
}

unsigned batch_make(struct batch_maker *maker, size_t node, uint8_t *out, size_t *len,
                    uint8_t *expected) {
    if (maker->filling) {
        return make_fill(maker, out, len, expected);
    }
    const struct load_conf *conf = maker->conf;
    bool held = false;
    unsigned n = 0;
    uint8_t *at = out;
    for (unsigned i = 0; i < conf->pipeline; i++) {
        if (maker->reads_below > 0 && prng_u64(&maker->prng) >> 11 < maker->reads_below) {
            at = put_key(maker, node, at, maker->read_head, maker->read_head_len);
            at = put(at, "\r\n", 2);
            expected[n++] = EXPECT_VALUE;
            continue;
        }
        at = put_key(maker, node, at, maker->write_head, maker->write_head_len);
        at = put(at, maker->write_tail, maker->write_tail_len);
        held = conf->wait > 0;
        expected[n++] = held ? EXPECT_HELD : EXPECT_WRITE;
        if (held && !conf->wait_once) {
            at = put(at, maker->wait, maker->wait_len);
            expected[n++] = EXPECT_WAITED;
        }
    }
    if (held && conf->wait_once) {
        at = put(at, maker->wait, maker->wait_len);
        expected[n++] = EXPECT_WAITED;
    }
    *len = (size_t)(at - out);
    return n;
}
