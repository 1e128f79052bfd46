/* Packed: cluster id, key, entries. */
#include "replication/certificate.h"

#include <string.h>

#include "base/hash.h"

void certificate_free(struct certificate *certificate) {
    members_free(&certificate->members);
    successors_free(&certificate->successors);
    *certificate = (struct certificate){0};
}

bool certificate_has_holder(const struct certificate *certificate, const struct node_id *id) {
    for (uint16_t i = 0; i < certificate->members.count; i++) {
        struct node_id holder =
            successors_holder(&certificate->successors, &certificate->members.items[i].id);
        if (node_id_compare(&holder, id) == 0)
            return !successors_is_gone(&certificate->successors, id);
    }
    return false;
}

void certificate_mask(const char *secret, const struct node_id *owner,
                      uint8_t key[CONTEXT_KEY_BYTES]) {
    uint8_t text[16 + NODE_ID_BYTES] = "redynamo/seal/1";
    uint8_t mac[HASH_HMAC_BYTES];
    memcpy(text + 16, owner->bytes, NODE_ID_BYTES);
    hash_hmac(secret, strlen(secret), text, sizeof(text), mac);
    for (int i = 0; i < CONTEXT_KEY_BYTES; i++)
        key[i] ^= mac[i];
}

enum rd_err certificate_make(const struct members *known, struct resp_slice view,
                             const char *secret, struct certificate *out) {
    struct certificate made = {0};
    enum rd_err err = RD_OK;
    for (size_t at = 0; err == RD_OK && at < view.len; at += NODE_ID_BYTES) {
        struct node_id id;
        uint16_t to;
        memcpy(id.bytes, view.data + at, NODE_ID_BYTES);
        uint16_t from = members_find(known, &id);
        if (from == MEMBER_NONE || known->items[from].generation == 0)
            err = RD_ENOTFOUND;
        else
            err = members_add(&made.members, &id, &to);
        if (err == RD_OK)
            made.members.items[to] = known->items[from];
    }
    if (err == RD_OK && made.members.count == 0)
        err = RD_ENOTFOUND;
    if (err != RD_OK) {
        certificate_free(&made);
        return err;
    }
    const struct member *first = &made.members.items[0];
    made.cluster = first->id;
    memcpy(made.seal_key, first->masked_key, CONTEXT_KEY_BYTES);
    certificate_mask(secret, &first->id, made.seal_key);
    *out = made;
    return RD_OK;
}

enum rd_err certificate_encode(const struct certificate *certificate, const char *secret,
                               struct buf *out) {
    uint8_t key[CONTEXT_KEY_BYTES];
    memcpy(key, certificate->seal_key, sizeof(key));
    if (secret != NULL)
        certificate_mask(secret, &certificate->cluster, key);
    enum rd_err err = buf_append(out, certificate->cluster.bytes, NODE_ID_BYTES);
    if (err == RD_OK)
        err = buf_append(out, key, sizeof(key));
    return err != RD_OK ? err : members_encode_all(&certificate->members, out);
}

enum rd_err certificate_decode(struct resp_slice bytes, const char *secret,
                               struct certificate *out) {
    const size_t head = NODE_ID_BYTES + CONTEXT_KEY_BYTES;
    struct certificate read = {0};
    if (bytes.len <= head)
        return RD_EPROTO;
    memcpy(read.cluster.bytes, bytes.data, NODE_ID_BYTES);
    memcpy(read.seal_key, bytes.data + NODE_ID_BYTES, CONTEXT_KEY_BYTES);
    if (secret != NULL)
        certificate_mask(secret, &read.cluster, read.seal_key);
    enum rd_err err =
        members_unpack((struct resp_slice){bytes.data + head, bytes.len - head}, &read.members);
    if (err != RD_OK)
        return err == RD_ENOMEM ? err : RD_EPROTO;
    if (node_id_compare(&read.cluster, &read.members.items[0].id) != 0) {
        certificate_free(&read);
        return RD_EPROTO;
    }
    *out = read;
    return RD_OK;
}
