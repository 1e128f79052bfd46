/* The member map and its packed forms. An entry on the wire: id, then varints generation,
 * version, vnodes, port, cluster port, synced (0 or 1), then host and zone with a length byte each, then the
 * masked key. */
#include "replication/member.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "replication/bytes.h"
#include "replication/varint.h"

void members_free(struct members *members) {
    free(members->items);
    free(members->marks);
    *members = (struct members){0};
}

/* Entries are large, and looking at each of a hundred would miss the cache a hundred times. */
static uint64_t mark_of(const struct node_id *id) {
    uint64_t mark;
    memcpy(&mark, id->bytes, sizeof(mark));
    return mark;
}

bool member_is_filling(const struct member *member) {
    return member->came && !member->synced;
}

uint16_t members_find(const struct members *members, const struct node_id *id) {
    uint64_t mark = mark_of(id);
    for (uint16_t i = 0; i < members->count; i++)
        if (members->marks[i] == mark && node_id_compare(&members->items[i].id, id) == 0)
            return i;
    return MEMBER_NONE;
}

static enum rd_err grow(struct members *members) {
    uint16_t cap = members->cap == 0 ? 8 : (uint16_t)(members->cap * 2);
    uint64_t *marks = realloc(members->marks, cap * sizeof(*marks));
    if (marks == NULL)
        return RD_ENOMEM;
    members->marks = marks;
    struct member *items = realloc(members->items, cap * sizeof(*items));
    if (items == NULL)
        return RD_ENOMEM;
    members->items = items;
    members->cap = cap;
    return RD_OK;
}

/* Adds a member that is not there yet. */
static enum rd_err append(struct members *members, const struct node_id *id, uint16_t *out) {
    if (members->count >= RING_MAX_MEMBERS)
        return RD_ETOOBIG;
    if (members->count == members->cap && grow(members) != RD_OK)
        return RD_ENOMEM;
    members->marks[members->count] = mark_of(id);
    members->items[members->count] = (struct member){.id = *id};
    *out = members->count++;
    return RD_OK;
}

enum rd_err members_add(struct members *members, const struct node_id *id, uint16_t *out) {
    uint16_t found = members_find(members, id);
    if (found == MEMBER_NONE)
        return append(members, id, out);
    *out = found;
    return RD_OK;
}

#define LINE_BYTES (NODE_ID_BYTES + 16)

static void make_line(const struct member *member, uint8_t line[LINE_BYTES]) {
    memcpy(line, member->id.bytes, NODE_ID_BYTES);
    bytes_put_u64(line + NODE_ID_BYTES, member->generation);
    bytes_put_u64(line + NODE_ID_BYTES + 8, member->version);
}

uint64_t members_hash(const struct members *members) {
    uint64_t hash = 0; /* combined order-free: indexes differ between nodes */
    for (uint16_t i = 0; i < members->count; i++) {
        uint8_t line[LINE_BYTES];
        make_line(&members->items[i], line);
        hash += hash_xxh64(line, sizeof(line), 0);
    }
    return hash;
}

enum rd_err members_digest(const struct members *members, struct buf *out) {
    for (uint16_t i = 0; i < members->count; i++) {
        uint8_t line[LINE_BYTES];
        make_line(&members->items[i], line);
        enum rd_err err = buf_append(out, line, sizeof(line));
        if (err != RD_OK)
            return err;
    }
    return RD_OK;
}

static enum rd_err put_text(struct buf *out, const char *text) {
    uint8_t len = (uint8_t)strlen(text);
    enum rd_err err = buf_append(out, &len, 1);
    return err != RD_OK ? err : buf_append(out, text, len);
}

enum rd_err members_encode_one(const struct member *member, struct buf *out) {
    const uint64_t numbers[] = {member->generation,   member->version,      member->vnodes,
                                member->address.port, member->cluster_port, member->synced};
    enum rd_err err = buf_append(out, member->id.bytes, NODE_ID_BYTES);
    for (size_t i = 0; err == RD_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
        err = varint_put(out, numbers[i]);
    if (err == RD_OK)
        err = put_text(out, member->address.host);
    if (err == RD_OK)
        err = put_text(out, member->zone);
    if (err == RD_OK)
        err = buf_append(out, member->masked_key, MEMBER_MASKED_KEY_BYTES);
    return err;
}

enum rd_err members_encode_all(const struct members *members, struct buf *out) {
    enum rd_err err = RD_OK;
    for (uint16_t i = 0; err == RD_OK && i < members->count; i++)
        if (members->items[i].generation > 0)
            err = members_encode_one(&members->items[i], out);
    return err;
}

enum rd_err members_encode_wanted(const struct members *members, struct resp_slice wanted,
                                  struct buf *out) {
    if (wanted.len % NODE_ID_BYTES != 0 || wanted.len / NODE_ID_BYTES > RING_MAX_MEMBERS)
        return RD_EPROTO;
    for (size_t at = 0; at < wanted.len; at += NODE_ID_BYTES) {
        struct node_id id;
        memcpy(id.bytes, wanted.data + at, NODE_ID_BYTES);
        uint16_t index = members_find(members, &id);
        if (index == MEMBER_NONE || members->items[index].generation == 0)
            continue;
        enum rd_err err = members_encode_one(&members->items[index], out);
        if (err != RD_OK)
            return err;
    }
    return RD_OK;
}

/* Negative, 0 or positive: who has the newer entry. */
static int compare_age(uint64_t generation, uint64_t version, const struct member *member) {
    if (generation != member->generation)
        return generation < member->generation ? -1 : 1;
    return version < member->version ? -1 : version > member->version;
}

static const uint8_t *find_line(struct resp_slice lines, const struct node_id *id) {
    for (size_t at = 0; at < lines.len; at += LINE_BYTES)
        if (memcmp(lines.data + at, id->bytes, NODE_ID_BYTES) == 0)
            return lines.data + at;
    return NULL;
}

enum rd_err members_compare(const struct members *members, struct resp_slice lines,
                            struct buf *entries, struct buf *wanted) {
    if (lines.len % LINE_BYTES != 0 || lines.len / LINE_BYTES > RING_MAX_MEMBERS)
        return RD_EPROTO;
    for (uint16_t i = 0; i < members->count; i++) {
        const struct member *member = &members->items[i];
        const uint8_t *line = find_line(lines, &member->id);
        int age = -1;
        if (line != NULL)
            age = compare_age(bytes_get_u64(line + NODE_ID_BYTES),
                              bytes_get_u64(line + NODE_ID_BYTES + 8), member);
        enum rd_err err = RD_OK;
        if (age < 0 && member->generation > 0)
            err = members_encode_one(member, entries);
        else if (age > 0)
            err = buf_append(wanted, member->id.bytes, NODE_ID_BYTES);
        if (err != RD_OK)
            return err;
    }
    for (size_t at = 0; at < lines.len; at += LINE_BYTES) {
        struct node_id id;
        memcpy(id.bytes, lines.data + at, NODE_ID_BYTES);
        if (members_find(members, &id) != MEMBER_NONE)
            continue;
        enum rd_err err = buf_append(wanted, id.bytes, NODE_ID_BYTES);
        if (err != RD_OK)
            return err;
    }
    return RD_OK;
}

/* Reads a length byte and that much text into `to` of `size` bytes. No zero bytes are allowed
 * inside. */
static enum rd_err get_text(struct resp_slice from, size_t *at, char *to, size_t size) {
    if (*at >= from.len)
        return RD_EPROTO;
    size_t len = from.data[*at];
    if (len + 1 > size || from.len - *at - 1 < len || memchr(from.data + *at + 1, 0, len) != NULL)
        return RD_EPROTO;
    memcpy(to, from.data + *at + 1, len);
    to[len] = 0;
    *at += 1 + len;
    return RD_OK;
}

static enum rd_err decode_entry(struct resp_slice from, size_t *at, struct member *out) {
    struct member member = {0};
    uint64_t vnodes, port, cluster_port, synced;
    if (from.len - *at < NODE_ID_BYTES)
        return RD_EPROTO;
    memcpy(member.id.bytes, from.data + *at, NODE_ID_BYTES);
    *at += NODE_ID_BYTES;
    uint64_t *numbers[] = {&member.generation, &member.version, &vnodes, &port,
                           &cluster_port,      &synced};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (varint_get(from.data, from.len, at, numbers[i]) != RD_OK)
            return RD_EPROTO;
    if (member.generation == 0 || member.generation > INT64_MAX || vnodes == 0 ||
        vnodes > RING_MAX_VNODES || port > UINT16_MAX || cluster_port > UINT16_MAX || synced > 1)
        return RD_EPROTO;
    member.vnodes = (uint32_t)vnodes;
    member.address.port = (uint16_t)port;
    member.cluster_port = (uint16_t)cluster_port;
    member.synced = synced == 1;
    if (get_text(from, at, member.address.host, sizeof(member.address.host)) != RD_OK ||
        get_text(from, at, member.zone, sizeof(member.zone)) != RD_OK ||
        from.len - *at < MEMBER_MASKED_KEY_BYTES)
        return RD_EPROTO;
    memcpy(member.masked_key, from.data + *at, MEMBER_MASKED_KEY_BYTES);
    *at += MEMBER_MASKED_KEY_BYTES;
    *out = member;
    return RD_OK;
}

/* Takes one decoded entry in. */
static enum rd_err merge_entry(struct members *members, const struct member *entry,
                               bool (*accept)(void *arg, const struct node_id *id), void *arg,
                               uint32_t *changed) {
    uint16_t index = members_find(members, &entry->id);
    if (index == MEMBER_SELF) {
        struct member *self = &members->items[MEMBER_SELF];
        if (compare_age(entry->generation, entry->version, self) > 0) {
            /* the store forgot some starts of this node: outdo what the others remember */
            self->generation = entry->generation + (entry->generation < INT64_MAX);
            (*changed)++;
        }
        return RD_OK;
    }
    if (index == MEMBER_NONE) {
        if (!accept(arg, &entry->id))
            return RD_OK;
        enum rd_err err = members_add(members, &entry->id, &index);
        if (err != RD_OK)
            return err;
    }
    if (compare_age(entry->generation, entry->version, &members->items[index]) <= 0)
        return RD_OK;
    bool came = members->items[index].came;
    members->items[index] = *entry;
    members->items[index].came = came;
    (*changed)++;
    return RD_OK;
}

enum rd_err members_merge(struct members *members, struct resp_slice entries,
                          bool (*accept)(void *arg, const struct node_id *id), void *arg,
                          uint32_t *changed) {
    struct member entry;
    for (size_t at = 0; at < entries.len;) /* all is understood before anything is believed */
        if (decode_entry(entries, &at, &entry) != RD_OK)
            return RD_EPROTO;
    uint32_t count = 0;
    enum rd_err err = RD_OK;
    for (size_t at = 0; err == RD_OK && at < entries.len;) {
        decode_entry(entries, &at, &entry);
        err = merge_entry(members, &entry, accept, arg, &count);
    }
    *changed = count;
    return err;
}

enum rd_err members_unpack(struct resp_slice entries, struct members *out) {
    struct members members = {0};
    enum rd_err err = RD_OK;
    for (size_t at = 0; err == RD_OK && at < entries.len;) {
        struct member entry;
        uint16_t index;
        err = decode_entry(entries, &at, &entry);
        if (err == RD_OK && members.count > 0 &&
            node_id_compare(&members.items[members.count - 1].id, &entry.id) >= 0)
            err = RD_EPROTO;
        if (err == RD_OK)
            err = append(&members, &entry.id, &index);
        if (err == RD_OK)
            members.items[index] = entry;
    }
    if (err != RD_OK) {
        members_free(&members);
        return err;
    }
    *out = members;
    return RD_OK;
}
