/* The ring (see ring.h; Dynamo 4.2): members sorted by placement id, their tokens sorted by position.
 *
 * Not here: which members hold a partition (preflist.c).
 *
 * Invariants (ring_check):
 * 1. members are sorted by placement id, then id, no id twice: so whoever holds a place, nothing else moves;
 * 2. tokens are sorted by (position, member), so ties go to the lower placement id;
 * 3. each member has as many tokens as vnodes.
 */
#include "replication/ring.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "replication/bytes.h"

#define RING_MAGIC 0x72696e67

struct ring {
    uint32_t magic;
    size_t member_count;
    size_t token_count;
    struct ring_member *members;
    struct ring_token *tokens;
};

static int member_compare(const void *left, const void *right) {
    const struct ring_member *a = left;
    const struct ring_member *b = right;
    int order = node_id_compare(&a->placement, &b->placement);
    return order != 0 ? order : node_id_compare(&a->id, &b->id);
}

static int token_compare(const void *left, const void *right) {
    const struct ring_token *a = left;
    const struct ring_token *b = right;
    if (a->position != b->position) {
        return a->position < b->position ? -1 : 1;
    }
    return (a->member > b->member) - (a->member < b->member);
}

/* The i-th token of a placement id: the first 64 bits of MD5(placement id, i as 4 bytes), all
 * big-endian. */
static uint64_t token_position(const struct node_id *placement, uint32_t i) {
    uint8_t bytes[NODE_ID_BYTES + 4];
    memcpy(bytes, placement->bytes, NODE_ID_BYTES);
    for (unsigned b = 0; b < 4; b++) {
        bytes[NODE_ID_BYTES + b] = (uint8_t)(i >> (24 - 8 * b));
    }
    uint8_t digest[HASH_MD5_BYTES];
    hash_md5(bytes, sizeof bytes, digest);
    return bytes_get_u64(digest);
}

void ring_check(const struct ring *ring) {
    assert(ring != NULL && ring->magic == RING_MAGIC);
    assert(ring->member_count >= 1 && ring->member_count <= RING_MAX_MEMBERS);
    size_t tokens = 0;
    for (size_t m = 0; m < ring->member_count; m++) {
        assert(m == 0 || member_compare(&ring->members[m - 1], &ring->members[m]) < 0);
        tokens += ring->members[m].vnodes;
    }
    assert(tokens == ring->token_count);
    for (size_t t = 0; t < ring->token_count; t++) {
        assert(ring->tokens[t].member < ring->member_count);
        assert(t == 0 || token_compare(&ring->tokens[t - 1], &ring->tokens[t]) <= 0);
    }
}

/* Says how many tokens the members have together. */
static enum rd_err count_tokens(const struct ring_member *members, size_t count, size_t *out) {
    if (count == 0 || count > RING_MAX_MEMBERS) {
        return RD_ECONF;
    }
    size_t tokens = 0;
    for (size_t m = 0; m < count; m++) {
        if (members[m].vnodes == 0 || members[m].vnodes > RING_MAX_VNODES ||
            memchr(members[m].zone, 0, RING_ZONE_BYTES) == NULL) {
            return RD_ECONF;
        }
        tokens += members[m].vnodes;
    }
    *out = tokens;
    return RD_OK;
}

static void fill_tokens(struct ring *ring) {
    size_t t = 0;
    for (size_t m = 0; m < ring->member_count; m++) {
        for (uint32_t i = 0; i < ring->members[m].vnodes; i++) {
            ring->tokens[t++] = (struct ring_token){
                .position = token_position(&ring->members[m].placement, i),
                .member = (uint16_t)m,
            };
        }
    }
    assert(t == ring->token_count);
    qsort(ring->tokens, ring->token_count, sizeof *ring->tokens, token_compare);
}

/* True if no id comes twice: with one placement id they stand side by side, else one of the two has inherited its own. */
static bool all_differ(const struct ring *ring) {
    for (size_t m = 0; m < ring->member_count; m++) {
        const struct ring_member *member = &ring->members[m];
        if (m > 0 && member_compare(member - 1, member) == 0) {
            return false;
        }
        bool inherits = node_id_compare(&member->id, &member->placement) != 0;
        for (size_t other = 0; inherits && other < ring->member_count; other++) {
            if (other != m && node_id_compare(&member->id, &ring->members[other].id) == 0) {
                return false;
            }
        }
    }
    return true;
}

enum rd_err ring_new(const struct ring_member *members, size_t count, struct ring **out) {
    size_t tokens = 0;
    enum rd_err err = count_tokens(members, count, &tokens);
    if (err != RD_OK) {
        return err;
    }
    struct ring *ring = calloc(1, sizeof *ring);
    if (ring == NULL) {
        return RD_ENOMEM;
    }
    ring->magic = RING_MAGIC;
    ring->member_count = count;
    ring->token_count = tokens;
    ring->members = malloc(count * sizeof *ring->members);
    ring->tokens = malloc(tokens * sizeof *ring->tokens);
    if (ring->members == NULL || ring->tokens == NULL) {
        ring_free(&ring);
        return RD_ENOMEM;
    }
    memcpy(ring->members, members, count * sizeof *members);
    qsort(ring->members, count, sizeof *ring->members, member_compare);
    if (!all_differ(ring)) {
        ring_free(&ring);
        return RD_ECONF;
    }
    fill_tokens(ring);
    *out = ring;
    return RD_OK;
}

void ring_free(struct ring **ring) {
    if (*ring != NULL) {
        assert((*ring)->magic == RING_MAGIC);
        free((*ring)->members);
        free((*ring)->tokens);
        free(*ring);
        *ring = NULL;
    }
}

const struct ring_member *ring_members(const struct ring *ring, size_t *count) {
    *count = ring->member_count;
    return ring->members;
}

const struct ring_token *ring_tokens(const struct ring *ring, size_t *count) {
    *count = ring->token_count;
    return ring->tokens;
}

size_t ring_find(const struct ring *ring, uint64_t position) {
    size_t low = 0;
    size_t high = ring->token_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->tokens[middle].position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ring->token_count ? low : 0;
}
