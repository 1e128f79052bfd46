/* Context tokens: noise must be refused; the input sealed as a payload must be refused or come back
 * as the same token. The first byte says how long the Redis key is. */
#include "replication/context.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

#define MAC_BYTES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t seal_key[CONTEXT_KEY_BYTES] = "a key for tests";

/* Seals any payload, as context_seal would (its format is told in context.c). */
static char *seal(const uint8_t *payload, size_t len, const uint8_t *key, size_t key_len) {
    static const char label[] = "redynamo client context";
    size_t front = sizeof label + 8 + key_len;
    uint8_t *bytes = calloc(1, front + len + HASH_HMAC_BYTES);
    char *token = malloc(text_base64_len(len + MAC_BYTES) + 1);
    assert(bytes != NULL && token != NULL);
    memcpy(bytes, label, sizeof label);
    bytes[sizeof label + 7] = (uint8_t)key_len;
    if (key_len > 0) {
        memcpy(bytes + sizeof label + 8, key, key_len);
    }
    if (len > 0) {
        memcpy(bytes + front, payload, len);
    }
    uint8_t mac[HASH_HMAC_BYTES];
    hash_hmac(seal_key, sizeof seal_key, bytes, front + len, mac);
    memcpy(bytes + front + len, mac, MAC_BYTES);
    text_base64(bytes + front, len + MAC_BYTES, token);
    free(bytes);
    return token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct context context;
    if (size == 0) {
        return 0;
    }
    size_t key_len = data[0] % 16;
    if (size < 1 + key_len) {
        return 0;
    }
    const uint8_t *key = data + 1;
    const uint8_t *rest = key + key_len;
    size_t len = size - 1 - key_len;
    enum rd_err err = context_open((const char *)rest, len, seal_key, key, key_len, &context);
    assert(err == RD_EBADCONTEXT); /* 16 bytes of MAC are not guessed */

    char *token = seal(rest, len, key, key_len);
    size_t token_len = strlen(token);
    err = context_open(token, token_len, seal_key, key, key_len, &context);
    assert(err == RD_OK || err == RD_EBADCONTEXT);
    if (err == RD_OK) {
        context_check(&context);
        struct buf again = {0};
        err = context_seal(&context, seal_key, key, key_len, &again);
        assert(err == RD_OK);
        assert(buf_len(&again) == token_len && memcmp(buf_data(&again), token, token_len) == 0);
        buf_free(&again);
        context_free(&context);
    }
    free(token);
    return 0;
}
