/* replication/ring against a naive one: all tokens computed anew and sorted by insertion. */
#include "replication/ring.h"

#include "base/hash.h"
#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/members_make.h"

#include <stdbool.h>
#include <stdlib.h>

#define MEMBERS 12
#define TOKENS 2000

/* ---- the oracle ------------------------------------------------------------------------------ */

struct token {
    uint64_t position;
    struct node_id id;
};

static bool stands_before(const struct token *a, const struct token *b) {
    return a->position != b->position ? a->position < b->position
                                      : node_id_compare(&a->id, &b->id) < 0;
}

static size_t slow_tokens(const struct ring_member *members, size_t count, struct token *tokens) {
    size_t n = 0;
    for (size_t m = 0; m < count; m++) {
        for (uint32_t i = 0; i < members[m].vnodes; i++) {
            uint8_t bytes[NODE_ID_BYTES + 4];
            memcpy(bytes, members[m].placement.bytes, NODE_ID_BYTES);
            bytes[20] = (uint8_t)(i >> 24);
            bytes[21] = (uint8_t)(i >> 16);
            bytes[22] = (uint8_t)(i >> 8);
            bytes[23] = (uint8_t)i;
            uint8_t digest[HASH_MD5_BYTES];
            hash_md5(bytes, sizeof bytes, digest);
            struct token token = {.id = members[m].id};
            for (int b = 0; b < 8; b++) {
                token.position = token.position * 256 + digest[b];
            }
            size_t at = n++;
            for (; at > 0 && stands_before(&token, &tokens[at - 1]); at--) {
                tokens[at] = tokens[at - 1];
            }
            tokens[at] = token;
        }
    }
    return n;
}

/* The first token not below `position`, by looking at each. */
static size_t slow_find(const struct token *tokens, size_t count, uint64_t position) {
    for (size_t t = 0; t < count; t++) {
        if (tokens[t].position >= position) {
            return t;
        }
    }
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(agrees_with_a_sorted_list) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct ring_member members[MEMBERS];
    size_t count = 1 + prng_below(&prng, MEMBERS);
    for (size_t m = 0; m < count; m++) {
        members[m] = member_make(&prng, 1 + (uint32_t)prng_below(&prng, 150), -1);
        if (m > 0 && prng_chance(&prng, 1, 4)) {
            members[m].placement = members[m - 1].placement; /* every token a tie */
        }
    }
    static struct token wanted[TOKENS];
    size_t wanted_count = slow_tokens(members, count, wanted);
    struct ring *ring;
    ck_assert_int_eq(ring_new(members, count, &ring), RD_OK);
    ring_check(ring);
    size_t member_count;
    size_t token_count;
    const struct ring_member *sorted = ring_members(ring, &member_count);
    const struct ring_token *tokens = ring_tokens(ring, &token_count);
    ck_assert_uint_eq(member_count, count);
    ck_assert_uint_eq(token_count, wanted_count);
    for (size_t t = 0; t < token_count; t++) {
        if (tokens[t].position != wanted[t].position ||
            node_id_compare(&sorted[tokens[t].member].id, &wanted[t].id) != 0) {
            ck_abort_msg("token %zu", t);
        }
    }
    for (int round = 0; round < 500; round++) {
        uint64_t position = prng_u64(&prng);
        if (prng_chance(&prng, 1, 3)) {
            position = wanted[prng_below(&prng, wanted_count)].position + prng_below(&prng, 3) - 1;
        }
        if (ring_find(ring, position) != slow_find(wanted, wanted_count, position)) {
            ck_abort_msg("position %llu", (unsigned long long)position);
        }
    }
    ring_free(&ring);
    ck_assert_ptr_null(ring);
}
END_TEST

START_TEST(finds_at_the_ends) {
    struct prng prng;
    prng_seed(&prng, 1);
    struct ring_member member = member_make(&prng, 3, -1);
    struct ring *ring;
    ck_assert_int_eq(ring_new(&member, 1, &ring), RD_OK);
    size_t count;
    const struct ring_token *tokens = ring_tokens(ring, &count);
    ck_assert_uint_eq(ring_find(ring, 0), 0);
    ck_assert_uint_eq(ring_find(ring, tokens[0].position), 0);
    ck_assert_uint_eq(ring_find(ring, tokens[0].position + 1), 1);
    ck_assert_uint_eq(ring_find(ring, tokens[2].position), 2);
    ck_assert_uint_eq(ring_find(ring, tokens[2].position + 1), 0);
    ck_assert_uint_eq(ring_find(ring, UINT64_MAX), 0);
    ring_free(&ring);
}
END_TEST

START_TEST(does_not_depend_on_the_order_of_members) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct ring_member members[MEMBERS];
    for (size_t m = 0; m < MEMBERS; m++) {
        members[m] = member_make(&prng, 20, (int)(m % 3));
    }
    struct ring *one;
    struct ring *two;
    ck_assert_int_eq(ring_new(members, MEMBERS, &one), RD_OK);
    for (size_t m = MEMBERS; m > 1; m--) {
        size_t other = prng_below(&prng, m);
        struct ring_member swap = members[m - 1];
        members[m - 1] = members[other];
        members[other] = swap;
    }
    ck_assert_int_eq(ring_new(members, MEMBERS, &two), RD_OK);
    size_t count;
    ck_assert_mem_eq(ring_members(one, &count), ring_members(two, &count), sizeof members);
    const struct ring_token *a = ring_tokens(one, &count);
    const struct ring_token *b = ring_tokens(two, &count);
    for (size_t t = 0; t < count; t++) {
        if (a[t].position != b[t].position || a[t].member != b[t].member) {
            ck_abort_msg("token %zu", t);
        }
    }
    ring_free(&one);
    ring_free(&two);
}
END_TEST

/* A replacement stands exactly where the replaced one stood. */
START_TEST(a_replacement_inherits_the_tokens) {
    struct prng prng;
    prng_seed(&prng, 9);
    struct ring_member old = member_make(&prng, 50, -1);
    struct ring_member new = member_make(&prng, 50, -1);
    new.placement = old.placement;
    struct ring *before;
    struct ring *after;
    ck_assert_int_eq(ring_new(&old, 1, &before), RD_OK);
    ck_assert_int_eq(ring_new(&new, 1, &after), RD_OK);
    size_t count;
    const struct ring_token *a = ring_tokens(before, &count);
    const struct ring_token *b = ring_tokens(after, &count);
    for (size_t t = 0; t < count; t++) {
        ck_assert_uint_eq(a[t].position, b[t].position);
    }
    ring_free(&before);
    ring_free(&after);
}
END_TEST

START_TEST(refuses_impossible_members) {
    struct prng prng;
    prng_seed(&prng, 3);
    struct ring_member members[3];
    for (size_t m = 0; m < 3; m++) {
        members[m] = member_make(&prng, 8, -1);
    }
    struct ring *ring = NULL;
    ck_assert_int_eq(ring_new(members, 0, &ring), RD_ECONF);
    members[1].vnodes = 0;
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_ECONF);
    members[1].vnodes = RING_MAX_VNODES + 1;
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_ECONF);
    members[1].vnodes = RING_MAX_VNODES;
    members[2].id = members[0].id;
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_ECONF);
    members[2].id.bytes[19] ^= 1;
    memset(members[0].zone, 'z', sizeof members[0].zone);
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_ECONF);
    members[0].zone[RING_ZONE_BYTES - 1] = 0;
    ck_assert_ptr_null(ring);
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_OK);
    ring_check(ring);
    ring_free(&ring);
    ring_free(&ring);

    struct ring_member *crowd = calloc(RING_MAX_MEMBERS + 1, sizeof *crowd);
    ck_assert_ptr_nonnull(crowd);
    for (size_t m = 0; m <= RING_MAX_MEMBERS; m++) {
        crowd[m] = member_make(&prng, 1, -1);
    }
    ck_assert_int_eq(ring_new(crowd, RING_MAX_MEMBERS + 1, &ring), RD_ECONF);
    ck_assert_int_eq(ring_new(crowd, RING_MAX_MEMBERS, &ring), RD_OK);
    ring_check(ring);
    ring_free(&ring);
    free(crowd);
}
END_TEST

START_TEST(survives_failing_allocations) {
    struct prng prng;
    prng_seed(&prng, 4);
    struct ring_member member = member_make(&prng, 8, -1);
    for (unsigned n = 1;; n++) {
        struct ring *ring = NULL;
        oom_fail_at(n);
        enum rd_err err = ring_new(&member, 1, &ring);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            ring_free(&ring);
            ck_assert_uint_gt(n, 1);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_ptr_null(ring);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ring");
    TCase *tcase = tcase_create("ring");
    tcase_add_loop_test(tcase, agrees_with_a_sorted_list, 0, 30);
    tcase_add_test(tcase, finds_at_the_ends);
    tcase_add_loop_test(tcase, does_not_depend_on_the_order_of_members, 0, 5);
    tcase_add_test(tcase, a_replacement_inherits_the_tokens);
    tcase_add_test(tcase, refuses_impossible_members);
    tcase_add_test(tcase, survives_failing_allocations);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
