/* The effects queue: a growing array of tagged structs that own what they point to. */
#include "replication/effects.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/varint.h"

static void reply_release(struct client_reply *reply) {
    object_free(&reply->object);
    buf_free(&reply->context);
    buf_free(&reply->keys);
    blob_unref(reply->after_key);
    buf_free(&reply->reply);
    for (size_t i = 0; i < reply->report_count; i++)
        buf_free(&reply->reports[i].clock);
    free(reply->reports);
}

void client_reply_free(struct client_reply *reply) {
    if (reply == NULL)
        return;
    reply_release(reply);
    free(reply);
}

bool client_reply_next_key(const struct buf *keys, size_t *at, struct resp_slice *out) {
    uint64_t len;
    if (*at >= buf_len(keys))
        return false;
    enum rd_err err = varint_get(buf_data(keys), buf_len(keys), at, &len);
    assert(err == RD_OK && len <= buf_len(keys) - *at);
    (void)err;
    *out = (struct resp_slice){buf_data(keys) + *at, (size_t)len};
    *at += (size_t)len;
    return true;
}

enum rd_err client_reply_add_key(struct buf *keys, struct resp_slice key) {
    size_t before = buf_len(keys);
    enum rd_err err = varint_put(keys, key.len);
    if (err == RD_OK)
        err = buf_append(keys, key.data, key.len);
    if (err != RD_OK)
        buf_truncate(keys, before);
    return err;
}

static void effect_release(struct effects *effects, struct effect *effect) {
    switch (effect->kind) {
    case EFF_SEND:
        blob_unref(effect->send.frame);
        break;
    case EFF_STORE_GET:
        blob_unref(effect->store_get.at.key);
        break;
    case EFF_STORE_PUT:
        blob_unref(effect->store_put.at.key);
        blob_unref(effect->store_put.value);
        break;
    case EFF_STORE_SCAN:
        blob_unref(effect->store_scan.after_key);
        break;
    case EFF_REPLY:
        if (effect->reply.reply != NULL)
            reply_release(effect->reply.reply);
        pool_give(&effects->spare_replies, effect->reply.reply);
        break;
    case EFF_LOG:
        free(effect->log.text);
        break;
    case EFF_DIAL:
        free(effect->dial.host);
        break;
    case EFF_CLOSE:
    case EFF_STORE_COMMIT:
        break;
    }
}

void effects_clear(struct effects *effects) {
    for (size_t i = 0; i < effects->count; i++)
        effect_release(effects, &effects->items[i]);
    effects->count = 0;
}

void effects_free(struct effects *effects) {
    effects_clear(effects);
    free(effects->items);
    pool_free(&effects->spare_replies);
    *effects = (struct effects){0};
}

struct effect *effects_push(struct effects *effects, enum effect_kind kind) {
    if (effects->count == effects->cap) {
        size_t cap = effects->cap == 0 ? 64 : effects->cap * 2;
        struct effect *items = realloc(effects->items, cap * sizeof(*items));
        if (items == NULL) {
            fputs("redynamo: out of memory for the effects of one step\n", stderr);
            abort();
        }
        effects->items = items;
        effects->cap = cap;
    }
    struct effect *effect = &effects->items[effects->count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    return effect;
}

void effects_send(struct effects *effects, uint64_t link, struct blob *frame) {
    assert(frame != NULL);
    struct effect *effect = effects_push(effects, EFF_SEND);
    effect->send.link = link;
    effect->send.frame = blob_ref(frame);
}

struct client_reply *effects_reply_new(struct effects *effects) {
    struct client_reply *reply = pool_take(&effects->spare_replies, sizeof(*reply));
    if (reply != NULL)
        memset(reply, 0, offsetof(struct client_reply, text) + 1);
    return reply;
}

void effects_reply(struct effects *effects, uint64_t tag, struct client_reply *reply) {
    assert(reply != NULL);
    struct effect *effect = effects_push(effects, EFF_REPLY);
    effect->reply.tag = tag;
    effect->reply.reply = reply;
}

void effects_log(struct effects *effects, enum log_level level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    struct effect *effect = effects_push(effects, EFF_LOG);
    effect->log.level = level;
    effect->log.text = text;
}
