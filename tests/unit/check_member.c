/* replication/member: the map of members against a naive one, the laws of its merge, its packed
 * forms. */
#include "replication/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

/* ---- a naive map ----------------------------------------------------------------------------- */

#define NAMES 12 /* ids that are spoken of; two more belong to nodes that are not */

struct entry {
    uint64_t generation, version; /* generation 0: not known */
};

struct naive {
    struct entry entries[NAMES + 2];
};

static struct node_id name(unsigned i) {
    struct node_id id = {{(uint8_t)(i * 37 + 5), (uint8_t)i}};
    return id;
}

/* What member `i` says of itself with (generation, version): everything follows from these. */
static struct member make_member(unsigned i, uint64_t generation, uint64_t version) {
    struct member member = {.id = name(i), .generation = generation, .version = version};
    member.vnodes = 1 + (uint32_t)(generation % RING_MAX_VNODES);
    member.address.port = (uint16_t)(version + i);
    member.cluster_port = (uint16_t)(generation + i);
    snprintf(member.address.host, sizeof(member.address.host), "host-%u-%llu", i,
             (unsigned long long)version);
    snprintf(member.zone, sizeof(member.zone), "%s", generation % 2 == 0 ? "" : "z");
    memset(member.masked_key, (int)(i + generation), sizeof(member.masked_key));
    return member;
}

static bool is_newer(struct entry a, struct entry b) {
    return a.generation != b.generation ? a.generation > b.generation : a.version > b.version;
}

static void check_map(const struct members *members, const struct naive *naive) {
    unsigned known = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        struct node_id id = name(i);
        uint16_t index = members_find(members, &id);
        struct entry expected = naive->entries[i];
        ck_assert_int_eq(index != MEMBER_NONE, expected.generation > 0);
        if (index == MEMBER_NONE)
            continue;
        known++;
        struct member member = make_member(i, expected.generation, expected.version);
        if (index == MEMBER_SELF) { /* raised above what the others remember, otherwise its own */
            ck_assert_uint_eq(members->items[0].generation, expected.generation);
            continue;
        }
        struct buf a = {0}, b = {0};
        ck_assert_int_eq(members_encode_one(&member, &a), RD_OK);
        ck_assert_int_eq(members_encode_one(&members->items[index], &b), RD_OK);
        ck_assert_uint_eq(buf_len(&a), buf_len(&b));
        ck_assert_mem_eq(buf_data(&a), buf_data(&b), buf_len(&a));
        buf_free(&a);
        buf_free(&b);
    }
    ck_assert_uint_eq(members->count, known);
}

static bool accept_all(void *arg, const struct node_id *id) {
    (void)arg;
    (void)id;
    return true;
}

static bool accept_none(void *arg, const struct node_id *id) {
    (void)arg;
    (void)id;
    return false;
}

static struct resp_slice slice(const struct buf *buf) {
    return (struct resp_slice){buf_data(buf), buf_len(buf)};
}

static uint32_t merge(struct members *members, const struct buf *entries) {
    uint32_t changed = 77;
    ck_assert_int_eq(members_merge(members, slice(entries), accept_all, NULL, &changed), RD_OK);
    return changed;
}

/* A map whose node is `self`, generation 1. */
static void begin(struct members *members, struct naive *naive, unsigned self) {
    uint16_t index;
    struct member member = make_member(self, 1, 1);
    *members = (struct members){0};
    ck_assert_int_eq(members_add(members, &member.id, &index), RD_OK);
    ck_assert_uint_eq(index, MEMBER_SELF);
    members->items[0] = member;
    *naive = (struct naive){0};
    naive->entries[self] = (struct entry){1, 1};
}

/* Random entries, packed, and merged into the naive map of node `self`. */
static struct buf random_entries(struct prng *prng, struct naive *naive, unsigned self) {
    struct buf out = {0};
    for (uint64_t n = prng_below(prng, 6); n > 0; n--) {
        unsigned i = (unsigned)prng_below(prng, NAMES);
        struct entry entry = {1 + prng_below(prng, 4), prng_below(prng, 4)};
        struct member member = make_member(i, entry.generation, entry.version);
        ck_assert_int_eq(members_encode_one(&member, &out), RD_OK);
        struct entry *own = &naive->entries[i];
        if (i != self && is_newer(entry, *own))
            *own = entry;
        if (i == self && is_newer(entry, *own))
            own->generation = entry.generation + 1;
    }
    return out;
}

/* ---- merging --------------------------------------------------------------------------------- */

START_TEST(merges_like_the_naive_map) {
    struct prng prng;
    struct members members;
    struct naive naive;
    prng_seed(&prng, (uint64_t)_i);
    begin(&members, &naive, 3);
    for (int round = 0; round < 60; round++) {
        struct buf entries = random_entries(&prng, &naive, 3);
        merge(&members, &entries);
        check_map(&members, &naive);
        ck_assert_uint_eq(merge(&members, &entries), 0); /* idempotent */
        buf_free(&entries);
    }
    members_free(&members);
}
END_TEST

START_TEST(the_order_of_merges_does_not_matter) {
    struct prng prng;
    struct members forth, back;
    struct naive naive, same;
    struct buf entries[10];
    prng_seed(&prng, (uint64_t)_i);
    begin(&forth, &naive, NAMES); /* a node that the others do not speak of */
    begin(&back, &same, NAMES);
    for (int i = 0; i < 10; i++)
        entries[i] = random_entries(&prng, &naive, NAMES);
    for (int i = 0; i < 10; i++) {
        merge(&forth, &entries[i]);
        merge(&back, &entries[9 - i]);
    }
    ck_assert_uint_eq(members_hash(&forth), members_hash(&back));
    for (int i = 0; i < 10; i++)
        buf_free(&entries[i]);
    members_free(&forth);
    members_free(&back);
}
END_TEST

START_TEST(strangers_are_added_only_if_they_may) {
    struct members members;
    struct naive naive;
    uint32_t changed;
    struct buf entries = {0};
    struct member stranger = make_member(1, 5, 5);
    begin(&members, &naive, 0);
    ck_assert_int_eq(members_encode_one(&stranger, &entries), RD_OK);
    ck_assert_int_eq(members_merge(&members, slice(&entries), accept_none, NULL, &changed), RD_OK);
    ck_assert_uint_eq(changed, 0);
    ck_assert_uint_eq(members.count, 1);
    ck_assert_uint_eq(merge(&members, &entries), 1);
    ck_assert_uint_eq(members.count, 2);
    buf_free(&entries);
    members_free(&members);
}
END_TEST

START_TEST(a_forgotten_start_is_outdone) {
    struct members members;
    struct naive naive;
    begin(&members, &naive, 0);
    struct {
        uint64_t generation, version, expected;
    } cases[] = {{1, 1, 1},
                 {1, 0, 1},
                 {1, 2, 2},
                 {2, 0, 2},
                 {7, 0, 8},
                 {8, 1, 8},
                 {INT64_MAX, 0, INT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct member other = make_member(0, cases[i].generation, cases[i].version);
        struct buf entries = {0};
        ck_assert_int_eq(members_encode_one(&other, &entries), RD_OK);
        merge(&members, &entries);
        ck_assert_uint_eq(members.items[0].generation, cases[i].expected);
        ck_assert_str_eq(members.items[0].address.host, "host-0-1"); /* it speaks for itself */
        buf_free(&entries);
    }
    members_free(&members);
}
END_TEST

/* ---- gossip ---------------------------------------------------------------------------------- */

/* One exchange from a to b: digest, entries and wishes, entries. */
static void gossip(struct members *a, struct members *b) {
    struct buf lines = {0}, entries = {0}, wanted = {0}, answer = {0};
    ck_assert_int_eq(members_digest(a, &lines), RD_OK);
    ck_assert_int_eq(members_compare(b, slice(&lines), &entries, &wanted), RD_OK);
    merge(a, &entries);
    ck_assert_int_eq(members_encode_wanted(a, slice(&wanted), &answer), RD_OK);
    merge(b, &answer);
    buf_free(&lines);
    buf_free(&entries);
    buf_free(&wanted);
    buf_free(&answer);
}

START_TEST(one_exchange_makes_two_maps_equal) {
    struct prng prng;
    struct members a, b;
    struct naive left, right;
    prng_seed(&prng, (uint64_t)_i);
    begin(&a, &left, NAMES);
    begin(&b, &right, NAMES + 1);
    for (int i = 0; i < 4; i++) {
        struct buf entries = random_entries(&prng, &left, NAMES);
        merge(&a, &entries);
        buf_free(&entries);
        entries = random_entries(&prng, &right, NAMES + 1);
        merge(&b, &entries);
        buf_free(&entries);
    }
    gossip(&a, &b);
    ck_assert_uint_eq(members_hash(&a), members_hash(&b));
    struct buf lines = {0}, none = {0};
    ck_assert_int_eq(members_digest(&a, &lines), RD_OK);
    ck_assert_int_eq(members_compare(&b, slice(&lines), &none, &none), RD_OK);
    ck_assert_uint_eq(buf_len(&none), 0); /* nothing is left to say */
    buf_free(&lines);
    members_free(&a);
    members_free(&b);
}
END_TEST

START_TEST(ids_without_entries_are_wanted_not_sent) {
    struct members a, b;
    struct naive naive;
    struct node_id id = name(1);
    uint16_t index;
    begin(&a, &naive, 0);
    begin(&b, &naive, 0);
    ck_assert_int_eq(members_add(&a, &id, &index), RD_OK);
    ck_assert_uint_eq(index, 1);
    ck_assert_int_eq(members_add(&a, &id, &index), RD_OK); /* again: the same */
    ck_assert_uint_eq(index, 1);
    struct buf lines = {0}, entries = {0}, wanted = {0}, answer = {0};
    ck_assert_int_eq(members_digest(&a, &lines), RD_OK);
    ck_assert_int_eq(members_compare(&b, slice(&lines), &entries, &wanted), RD_OK);
    ck_assert_uint_eq(buf_len(&wanted), NODE_ID_BYTES);
    ck_assert_int_eq(members_encode_wanted(&a, slice(&wanted), &answer), RD_OK);
    ck_assert_uint_eq(buf_len(&answer), 0);
    ck_assert_int_eq(members_encode_all(&a, &entries), RD_OK);
    struct members unpacked;
    ck_assert_int_eq(members_unpack(slice(&entries), &unpacked), RD_OK);
    ck_assert_uint_eq(unpacked.count, 1);
    members_free(&unpacked);
    buf_free(&lines);
    buf_free(&entries);
    buf_free(&wanted);
    members_free(&a);
    members_free(&b);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

/* True if `bytes` are taken as entries; if not, nothing has changed. */
static bool is_accepted(struct members *members, const uint8_t *bytes, size_t len) {
    uint32_t changed;
    uint64_t before = members_hash(members);
    uint8_t *copy = malloc(len + 1); /* of exactly that size for the sanitizer, but never 0 */
    memcpy(copy, bytes, len);
    enum rd_err err =
        members_merge(members, (struct resp_slice){copy, len}, accept_all, NULL, &changed);
    ck_assert(err == RD_OK || err == RD_EPROTO);
    if (err != RD_OK)
        ck_assert_uint_eq(members_hash(members), before);
    free(copy);
    return err == RD_OK;
}

START_TEST(damaged_entries_change_nothing) {
    struct members members;
    struct naive naive;
    struct buf entries = {0};
    begin(&members, &naive, 0);
    size_t first = 0;
    for (unsigned i = 1; i <= 2; i++) {
        struct member member = make_member(i, 300, 2);
        ck_assert_int_eq(members_encode_one(&member, &entries), RD_OK);
        first = i == 1 ? buf_len(&entries) : first;
    }
    for (size_t len = 1; len < buf_len(&entries); len++)
        ck_assert_int_eq(is_accepted(&members, buf_data(&entries), len), len == first);
    for (size_t at = 0; at < buf_len(&entries); at++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t bytes[512];
            memcpy(bytes, buf_data(&entries), buf_len(&entries));
            bytes[at] ^= (uint8_t)(1 << bit);
            is_accepted(&members, bytes, buf_len(&entries)); /* some are other entries */
        }
    buf_free(&entries);
    members_free(&members);
}
END_TEST

START_TEST(values_out_of_range_are_refused) {
    struct members members;
    struct naive naive;
    begin(&members, &naive, 0);
    for (int what = 0; what < 6; what++) {
        struct member member = make_member(1, 2, 2);
        struct buf entry = {0};
        switch (what) {
        case 1:
            member.generation = 0;
            break;
        case 2:
            member.generation = (uint64_t)INT64_MAX + 1;
            break;
        case 3:
            member.vnodes = 0;
            break;
        case 4:
            member.vnodes = RING_MAX_VNODES + 1;
            break;
        case 5:
            member.zone[0] = 0;
            break;
        default:
            break;
        }
        ck_assert_int_eq(members_encode_one(&member, &entry), RD_OK);
        ck_assert_int_eq(is_accepted(&members, buf_data(&entry), buf_len(&entry)),
                         what == 0 || what == 5);
        buf_free(&entry);
    }
    members_free(&members);
}
END_TEST

START_TEST(digests_and_wishes_of_odd_length_are_refused) {
    struct members members;
    struct naive naive;
    struct buf entries = {0}, wanted = {0};
    uint8_t bytes[100] = {0};
    begin(&members, &naive, 0);
    for (size_t len = 0; len < sizeof(bytes); len++) {
        struct resp_slice odd = {bytes, len};
        ck_assert_int_eq(members_compare(&members, odd, &entries, &wanted),
                         len % (NODE_ID_BYTES + 16) == 0 ? RD_OK : RD_EPROTO);
        ck_assert_int_eq(members_encode_wanted(&members, odd, &entries),
                         len % NODE_ID_BYTES == 0 ? RD_OK : RD_EPROTO);
    }
    static uint8_t many[(RING_MAX_MEMBERS + 1) * NODE_ID_BYTES];
    ck_assert_int_eq(
        members_encode_wanted(&members, (struct resp_slice){many, sizeof(many)}, &entries),
        RD_EPROTO);
    buf_free(&entries);
    buf_free(&wanted);
    members_free(&members);
}
END_TEST

START_TEST(unpacking_wants_them_in_order) {
    struct members members;
    struct buf good = {0}, bad = {0}, twice = {0};
    struct member a = make_member(1, 1, 1), b = make_member(2, 1, 1);
    ck_assert_int_lt(node_id_compare(&a.id, &b.id), 0);
    ck_assert_int_eq(members_encode_one(&a, &good), RD_OK);
    ck_assert_int_eq(members_encode_one(&b, &good), RD_OK);
    ck_assert_int_eq(members_encode_one(&b, &bad), RD_OK);
    ck_assert_int_eq(members_encode_one(&a, &bad), RD_OK);
    ck_assert_int_eq(members_encode_one(&a, &twice), RD_OK);
    ck_assert_int_eq(members_encode_one(&a, &twice), RD_OK);
    ck_assert_int_eq(members_unpack(slice(&bad), &members), RD_EPROTO);
    ck_assert_int_eq(members_unpack(slice(&twice), &members), RD_EPROTO);
    ck_assert_int_eq(members_unpack(slice(&good), &members), RD_OK);
    ck_assert_uint_eq(members.count, 2);
    members_free(&members);
    buf_free(&good);
    buf_free(&bad);
    buf_free(&twice);
}
END_TEST

START_TEST(there_is_an_end_to_them) {
    struct members members = {0};
    uint16_t index;
    for (unsigned i = 0; i < RING_MAX_MEMBERS; i++) {
        struct node_id id = {{(uint8_t)(i >> 8), (uint8_t)i}};
        ck_assert_int_eq(members_add(&members, &id, &index), RD_OK);
        ck_assert_uint_eq(index, i);
    }
    struct node_id one_more = {{9, 9, 9}};
    ck_assert_int_eq(members_add(&members, &one_more, &index), RD_ETOOBIG);
    struct buf entries = {0};
    uint32_t changed;
    struct member member = make_member(1, 1, 1);
    member.id = one_more;
    ck_assert_int_eq(members_encode_one(&member, &entries), RD_OK);
    ck_assert_int_eq(members_merge(&members, slice(&entries), accept_all, NULL, &changed),
                     RD_ETOOBIG);
    ck_assert_uint_eq(members.count, RING_MAX_MEMBERS);
    buf_free(&entries);
    members_free(&members);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static enum rd_err everything(const struct buf *entries) {
    struct members members = {0};
    struct buf lines = {0}, packed = {0}, wanted = {0};
    struct node_id self = name(0);
    uint16_t index;
    uint32_t changed;
    enum rd_err err = members_add(&members, &self, &index);
    if (err == RD_OK)
        members.items[0] = make_member(0, 1, 1);
    if (err == RD_OK)
        err = members_merge(&members, slice(entries), accept_all, NULL, &changed);
    if (err == RD_OK)
        err = members_digest(&members, &lines);
    if (err == RD_OK)
        err = members_compare(&members, (struct resp_slice){NULL, 0}, &packed, &wanted);
    if (err == RD_OK)
        err = members_encode_all(&members, &packed);
    members_free(&members);
    buf_free(&lines);
    buf_free(&packed);
    buf_free(&wanted);
    return err;
}

START_TEST(memory_runs_out_cleanly) {
    struct buf entries = {0};
    for (unsigned i = 1; i < NAMES; i++) {
        struct member member = make_member(i, 1, 1);
        ck_assert_int_eq(members_encode_one(&member, &entries), RD_OK);
    }
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = everything(&entries);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            ck_assert_uint_gt(n, 4);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
    }
    buf_free(&entries);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("member");
    TCase *tcase = tcase_create("merging");
    tcase_add_loop_test(tcase, merges_like_the_naive_map, 0, 20);
    tcase_add_loop_test(tcase, the_order_of_merges_does_not_matter, 0, 20);
    tcase_add_test(tcase, strangers_are_added_only_if_they_may);
    tcase_add_test(tcase, a_forgotten_start_is_outdone);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("gossip");
    tcase_add_loop_test(tcase, one_exchange_makes_two_maps_equal, 0, 20);
    tcase_add_test(tcase, ids_without_entries_are_wanted_not_sent);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("damage and limits");
    tcase_add_test(tcase, damaged_entries_change_nothing);
    tcase_add_test(tcase, values_out_of_range_are_refused);
    tcase_add_test(tcase, digests_and_wishes_of_odd_length_are_refused);
    tcase_add_test(tcase, unpacking_wants_them_in_order);
    tcase_add_test(tcase, there_is_an_end_to_them);
    tcase_add_test(tcase, memory_runs_out_cleanly);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
