/* Contexts and their sealed tokens (see context.h).
 *
 * Not here: what a write does with a context (object.c).
 *
 * Invariants (context_check):
 * 1. the vector's own;
 * 2. a lone dot is above the next counter of its actor, otherwise it belongs into the vector;
 * 3. stamp <= HLC_MAX_STAMP.
 *
 * So one set of covered dots has one form, and one token.
 *
 * Token: URL-safe base64 of payload and MAC. Payload: format byte, stamp (varint), number of lone
 * dots (0 or 1), the lone dot, the vector. MAC: the first 16 bytes of HMAC-SHA-256 under the
 * cluster's key over purpose label, length of the Redis key (8 bytes, big-endian), Redis key,
 * payload. The label keeps these MACs apart from any other use of the key; the length keeps a key's
 * tail from passing for a payload's head. Nothing is parsed before the MAC has been found right.
 */
#include "replication/context.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "replication/bytes.h"
#include "replication/hlc.h"
#include "replication/varint.h"

#define FORMAT 1
#define MAC_BYTES 16
#define MIN_PAYLOAD_BYTES 4 /* format, stamp, no lone dot, no entries */

static const char label[] = "redynamo client context";

#define PREFIX_BYTES (sizeof label + 8)

void context_check(const struct context *context) {
    version_check(&context->version);
    assert(context->stamp <= HLC_MAX_STAMP);
    if (context->has_dot) {
        assert(context->dot.counter > version_get(&context->version, &context->dot.actor) + 1);
    }
}

void context_free(struct context *context) {
    version_free(&context->version);
    *context = (struct context){0};
}

enum rd_err context_copy(const struct context *from, struct context *to) {
    struct context copy = *from;
    enum rd_err err = version_copy(&from->version, &copy.version);
    if (err == RD_OK) {
        *to = copy;
    }
    return err;
}

bool context_covers(const struct context *context, const struct dot *dot) {
    return version_covers(&context->version, dot) ||
           (context->has_dot && dot_compare(&context->dot, dot) == 0);
}

enum rd_err context_add(struct context *context, const struct dot *dot) {
    uint64_t covered = version_get(&context->version, &dot->actor);
    if (dot->counter <= covered) {
        return RD_OK;
    }
    if (dot->counter > covered + 1) {
        context->has_dot = true;
        context->dot = *dot;
        return RD_OK;
    }
    enum rd_err err = version_advance(&context->version, dot);
    if (err != RD_OK) {
        return err;
    }
    /* The lone dot may be the next in line now; the entry exists, so this allocates nothing. */
    if (context->has_dot && actor_compare(&context->dot.actor, &dot->actor) == 0 &&
        context->dot.counter <= dot->counter + 1) {
        context->has_dot = false;
        err = version_advance(&context->version, &context->dot);
        assert(err == RD_OK);
    }
    return RD_OK;
}

/* Writes what stands in front of the payload under the MAC. */
static void write_prefix(uint8_t *at, const void *key, size_t key_len) {
    memcpy(at, label, sizeof label);
    bytes_put_u64(at + sizeof label, key_len);
    if (key_len > 0) {
        memcpy(at + PREFIX_BYTES, key, key_len);
    }
}

static size_t write_payload(const struct context *context, uint8_t *at) {
    size_t n = 0;
    at[n++] = FORMAT;
    n += varint_write(at + n, context->stamp);
    at[n++] = context->has_dot;
    if (context->has_dot) {
        n += dot_write(&context->dot, at + n);
    }
    return n + version_write(&context->version, at + n);
}

enum rd_err context_seal(const struct context *context, const uint8_t seal_key[CONTEXT_KEY_BYTES],
                         const void *key, size_t key_len, struct buf *out) {
    context_check(context);
    size_t front = PREFIX_BYTES + key_len;
    size_t room = front + 1 + VARINT_MAX_BYTES + 1 + DOT_MAX_BYTES +
                  version_write_max(&context->version) + HASH_HMAC_BYTES;
    uint8_t *scratch = malloc(room);
    if (scratch == NULL) {
        return RD_ENOMEM;
    }
    write_prefix(scratch, key, key_len);
    size_t payload = write_payload(context, scratch + front);
    uint8_t mac[HASH_HMAC_BYTES];
    hash_hmac(seal_key, CONTEXT_KEY_BYTES, scratch, front + payload, mac);
    memcpy(scratch + front + payload, mac, MAC_BYTES);

    uint8_t *text;
    size_t text_len = text_base64_len(payload + MAC_BYTES);
    enum rd_err err = buf_reserve(out, text_len + 1, &text);
    if (err == RD_OK) {
        text_base64(scratch + front, payload + MAC_BYTES, (char *)text);
        buf_commit(out, text_len);
    }
    free(scratch);
    return err;
}

/* Reads an authentic payload. It is ours, but perhaps of a later program: anything odd is refused
 * all the same. */
static enum rd_err read_payload(const uint8_t *bytes, size_t len, struct context *out) {
    struct context context = {0};
    size_t at = 1;
    if (bytes[0] != FORMAT || varint_get(bytes, len, &at, &context.stamp) != RD_OK ||
        context.stamp > HLC_MAX_STAMP || at == len || bytes[at] > 1) {
        return RD_EBADCONTEXT;
    }
    context.has_dot = bytes[at++];
    if (context.has_dot && dot_read(bytes, len, &at, &context.dot) != RD_OK) {
        return RD_EBADCONTEXT;
    }
    size_t taken = 0;
    enum rd_err err = version_decode(bytes + at, len - at, &context.version, &taken);
    if (err != RD_OK) {
        return err == RD_ENOMEM ? RD_ENOMEM : RD_EBADCONTEXT;
    }
    if (at + taken != len ||
        (context.has_dot &&
         context.dot.counter <= version_get(&context.version, &context.dot.actor) + 1)) {
        context_free(&context);
        return RD_EBADCONTEXT;
    }
    *out = context;
    return RD_OK;
}

enum rd_err context_open(const char *token, size_t token_len,
                         const uint8_t seal_key[CONTEXT_KEY_BYTES], const void *key, size_t key_len,
                         struct context *out) {
    if (token_len < text_base64_len(MIN_PAYLOAD_BYTES + MAC_BYTES) ||
        token_len > CONTEXT_MAX_TOKEN_BYTES) {
        return RD_EBADCONTEXT;
    }
    size_t front = PREFIX_BYTES + key_len;
    uint8_t *scratch = malloc(front + token_len);
    if (scratch == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = RD_EBADCONTEXT;
    size_t sealed;
    if (text_unbase64(token, token_len, scratch + front, &sealed) != RD_OK) {
        goto out;
    }
    size_t payload = sealed - MAC_BYTES; /* the shortest token is longer than a MAC */
    write_prefix(scratch, key, key_len);
    uint8_t mac[HASH_HMAC_BYTES];
    hash_hmac(seal_key, CONTEXT_KEY_BYTES, scratch, front + payload, mac);
    if (hash_equal(mac, scratch + front + payload, MAC_BYTES)) {
        err = read_payload(scratch + front, payload, out);
    }
out:
    free(scratch);
    return err;
}
