/* replication/op_scan_wave: whom a scan asks where homes are away, for their own rows and for hints; and looking for a place. */
#include "replication/op_scan_wave.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

#define PEERS 4 /* five nodes, three homes */

static struct rig rig;

/* What peers list: under one key, as object_text.h writes it; NULL: nothing. */
static const char *own_rows, *hint_rows;
static const char *listed_key;
static unsigned own_orders[PEERS + 1], hint_orders[PEERS + 1];

static void start(bool sloppy) {
    struct node_conf conf = rig_conf();
    conf.sloppy_quorum = sloppy;
    conf.hinted_handoff = true;
    conf.max_hint_bytes = 1 << 20;
    rig_reset(&rig);
    rig_start_born(&rig, &conf, PEERS, true);
    while (rig.scan_count > 0)
        rig_scanned(&rig, RD_OK);
    own_rows = hint_rows = NULL;
    memset(own_orders, 0, sizeof(own_orders));
    memset(hint_orders, 0, sizeof(hint_orders));
}

static void setup(void) {
    start(true);
}

static void teardown(void) {
    while (rig.scan_count > 0)
        rig_scanned(&rig, RD_OK);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.unanswered, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    ck_assert_uint_eq(rig.node->scan_jobs.used, 0);
    rig_reset(&rig);
}

/* ---- peers --------------------------------------------------------------------------------------- */

static uint16_t slot_of(const char *key) {
    return slot_of_key(rig.conf.partitioner, key, strlen(key));
}

static size_t homes_of(const char *key, uint16_t homes[PREFLIST_MAX_N]) {
    return placement_homes(&rig.node->placement, slot_partition(slot_of(key), rig.conf.partitions),
                           homes);
}

static void answer(unsigned peer, const struct wire_msg *order) {
    bool hints = (order->scan.flags & WIRE_SCAN_HINTS) != 0;
    const char *text = hints ? hint_rows : own_rows;
    struct wire_msg msg = {.kind = WIRE_SCAN_ANSWER};
    struct buf page = {0};
    (hints ? hint_orders : own_orders)[peer]++;
    if (text != NULL && slot_of(listed_key) >= order->scan.slot &&
        slot_of(listed_key) <= order->scan.last_slot && order->scan.key.len == 0) {
        struct object object = object_of(text);
        struct buf bytes = {0};
        ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
        ck_assert_int_eq(scan_page_add(&page, rig_slice(listed_key),
                                       (struct resp_slice){buf_data(&bytes), buf_len(&bytes)}),
                         RD_OK);
        buf_free(&bytes);
        object_free(&object);
    }
    msg.scan_answer.id = order->scan.id;
    msg.scan_answer.round = order->scan.round;
    msg.scan_answer.slot = order->scan.last_slot + 1;
    msg.scan_answer.page = (struct resp_slice){buf_data(&page), buf_len(&page)};
    rig_say(&rig, peer, &msg);
    buf_free(&page);
}

/* Takes the oldest order sent to the peer, and all that was said before it; false: there is none. */
static bool next_order(unsigned peer, struct wire_msg *out) {
    while (rig.peers[peer] != 0 && rig_waiting(&rig, peer, WIRE_SCAN) > 0) {
        size_t i = 0;
        while (rig.frames[i].link != rig.peers[peer] || rig.frames[i].msg.kind == WIRE_PROBE)
            i++;
        *out = rig_take(&rig, peer, rig.frames[i].msg.kind);
        if (out->kind == WIRE_SCAN)
            return true;
    }
    return false;
}

static void answer_all(void) {
    struct wire_msg order;
    for (unsigned peer = 1; peer <= PEERS; peer++)
        while (next_order(peer, &order))
            answer(peer, &order);
}

static void own_pages(void) {
    while (rig.scan_count > 0)
        rig_scanned(&rig, RD_OK);
}

static uint64_t scan_slots(uint64_t cursor, uint16_t last) {
    return rig_ask(
        &rig,
        (struct client_request){
            .op = CLIENT_SCAN, .cursor = cursor, .last_slot = last, .exact = true, .count = 10});
}

/* Runs a scan of the key's partition to its end; says whether the key was shown. */
static bool shows(const char *key) {
    uint32_t slots = SLOT_COUNT / rig.conf.partitions;
    uint64_t first = slot_of(key) / slots * slots;
    uint64_t tag = scan_slots(first << SCAN_PLACE_BITS, (uint16_t)(first + slots - 1));
    while (!rig_replied(&rig, tag)) {
        own_pages();
        answer_all();
    }
    struct client_reply *reply = rig_reply(&rig, tag);
    struct resp_slice shown;
    size_t at = 0;
    ck_assert_int_eq(reply->err, RD_OK);
    bool any = client_reply_next_key(&reply->keys, &at, &shown);
    ck_assert(!any || (shown.len == strlen(key) && memcmp(shown.data, key, shown.len) == 0));
    client_reply_free(reply);
    return any;
}

/* A key of which this node is a home, or is not. */
static const char *key_at(bool home) {
    static char key[16];
    listed_key = rig_key(&rig, home, 0, key);
    return listed_key;
}

/* Cuts `count` homes of the key that are peers. */
static void cut_homes(const char *key, unsigned count) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t all = homes_of(key, homes);
    for (size_t i = 0; i < all && count > 0; i++)
        if (homes[i] != MEMBER_SELF) {
            rig_cut(&rig, homes[i]);
            count--;
        }
    ck_assert_uint_eq(count, 0);
}

static unsigned total(const unsigned orders[PEERS + 1]) {
    unsigned sum = 0;
    for (unsigned i = 1; i <= PEERS; i++)
        sum += orders[i];
    return sum;
}

/* ---- hints --------------------------------------------------------------------------------------- */

START_TEST(hints_are_not_asked_for_while_all_homes_are_well) {
    const char *key = key_at(true);
    own_rows = "A1 | A1@9=v";
    ck_assert(shows(key));
    ck_assert_uint_eq(total(hint_orders), 0);
}
END_TEST

/* One home is left, and what was written since lies with two fallbacks. */
START_TEST(fallbacks_show_what_they_keep) {
    const char *key = key_at(true);
    cut_homes(key, 2);
    hint_rows = "A1 | A1@9=v";
    ck_assert(shows(key));
    ck_assert_uint_ge(total(hint_orders), 2);
    hint_rows = NULL;
    ck_assert(!shows(key));
    ck_assert_uint_eq(total(own_orders), 0);
}
END_TEST

/* R homes can be asked; what the third missed, and others keep for it, is looked at all the same. */
START_TEST(one_missing_home_has_one_fallback) {
    const char *key = key_at(true);
    cut_homes(key, 1);
    hint_rows = "A1 | A1@9=v";
    ck_assert(shows(key));
    for (unsigned i = 1; i <= PEERS; i++)
        ck_assert_uint_le(hint_orders[i], 2); /* once more because the homes do not list it */
    unsigned asked = 0;
    for (unsigned i = 1; i <= PEERS; i++)
        asked += hint_orders[i] > 0;
    ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(a_deletion_among_hints_hides_the_key) {
    const char *key = key_at(true);
    struct object object = object_of("A1 | A1@9=v");
    rig_set_object(&rig, key, &object);
    object_free(&object);
    ck_assert(shows(key));
    cut_homes(key, 2);
    ck_assert(shows(key));
    hint_rows = "A1 | | deleted 10";
    ck_assert(!shows(key));
}
END_TEST

START_TEST(fallbacks_alone_cannot_say_that_there_is_nothing) {
    const char *key = key_at(false);
    uint64_t slots = SLOT_COUNT / rig.conf.partitions, first = slot_of(key) / slots * slots;
    cut_homes(key, 3);
    struct client_reply *reply =
        rig_reply(&rig, scan_slots(first << SCAN_PLACE_BITS, (uint16_t)(first + slots - 1)));
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    ck_assert_ptr_nonnull(strstr(reply->text, "0 replicas of partition"));
    client_reply_free(reply);
}
END_TEST

START_TEST(strict_quorums_have_no_fallbacks) {
    start(false);
    const char *key = key_at(true);
    uint64_t slots = SLOT_COUNT / rig.conf.partitions, first = slot_of(key) / slots * slots;
    cut_homes(key, 2);
    rig_expect(&rig, scan_slots(first << SCAN_PLACE_BITS, (uint16_t)(first + slots - 1)),
               RD_ENOQUORUM);
    for (unsigned peer = 1; peer <= PEERS; peer++)
        ck_assert_uint_eq(rig_waiting(&rig, peer, WIRE_SCAN), 0);
}
END_TEST

/* ---- listing hints for others -------------------------------------------------------------------- */

/* A peer has this node keep the object for another one. */
static void keep(const char *key, const char *text) {
    struct wire_msg msg = {.kind = WIRE_WRITE};
    struct object object = object_of(text);
    struct node_id target = rig_id(2);
    struct buf bytes = {0};
    ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
    msg.write.id = 5;
    msg.write.key = rig_slice(key);
    msg.write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
    msg.write.targets = (struct resp_slice){(const uint8_t *)&target, sizeof(target)};
    rig_say(&rig, 1, &msg);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_take(&rig, 1, WIRE_WRITE_ANSWER).write_answer.err, RD_OK);
    buf_free(&bytes);
    object_free(&object);
}

static unsigned list(uint64_t flags, uint64_t place) {
    struct wire_msg msg = {.kind = WIRE_SCAN};
    struct scan_entry entry;
    unsigned count = 0;
    msg.scan.id = 77;
    msg.scan.round = 3;
    msg.scan.flags = flags;
    msg.scan.last_slot = SLOT_COUNT - 1;
    msg.scan.max_rows = 100;
    msg.scan.place = place;
    rig_say(&rig, 1, &msg);
    own_pages();
    struct resp_slice page = rig_take(&rig, 1, WIRE_SCAN_ANSWER).scan_answer.page;
    for (size_t at = 0; at < page.len; count++)
        ck_assert_int_eq(scan_page_next(page, &at, &entry), RD_OK);
    return count;
}

START_TEST(a_peer_is_given_hints_when_it_asks_for_them) {
    char key[16], other[16];
    rig_cut(&rig, 2); /* it would be given them */
    keep(rig_key(&rig, false, 0, key), "A1 | A1@9=v");
    keep(rig_key(&rig, false, 1, other), "A1 | | deleted 10");
    ck_assert_uint_eq(list(0, 0), 0);
    ck_assert_uint_eq(list(WIRE_SCAN_HINTS, 0),
                      2); /* deletions too: others may still have the key */
    ck_assert_uint_eq(list(WIRE_SCAN_HINTS | WIRE_SCAN_TOMBSTONES, 0), 2);
    ck_assert_uint_eq(list(WIRE_SCAN_HINTS, scan_place(rig_slice(key))), 0); /* a place, no page */
}
END_TEST

/* ---- places -------------------------------------------------------------------------------------- */

/* A cursor in slot 0 that names a place. */
#define SOME_PLACE 12345

/* How many of the peers have been asked; `first`: one of them. Their orders are dropped. */
static unsigned asked(unsigned *first, uint64_t *word) {
    struct wire_msg order;
    unsigned count = 0;
    for (unsigned peer = PEERS; peer >= 1; peer--)
        while (next_order(peer, &order)) {
            ck_assert_uint_eq(order.scan.place, SOME_PLACE);
            *word = order.scan.round;
            *first = peer;
            count++;
        }
    return count;
}

START_TEST(a_place_is_asked_for_again_and_given_up_in_the_end) {
    uint64_t tag = scan_slots(SOME_PLACE, SLOT_COUNT - 1), word = 0, again = 0;
    unsigned first = 0, second = 0;
    unsigned sources = asked(&first, &word);
    size_t own = rig.scan_count;
    ck_assert_uint_ge(sources + own, 2);
    rig_elapse_probed(&rig, 130, 0);
    ck_assert_uint_eq(asked(&second, &again), sources); /* the same ones, in the same words */
    ck_assert_uint_eq(second, first);
    ck_assert_uint_eq(again, word);
    ck_assert_uint_eq(rig.scan_count, own); /* this node is at it already */
    rig_elapse_probed(&rig, 3000, 0);
    ck_assert(!rig_replied(&rig, tag));
    rig_elapse_probed(&rig, 1500, 0);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    ck_assert_str_eq(reply->text, "the place of the cursor in slot 0 was not found in time");
    client_reply_free(reply);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(a_suspect_is_not_waited_for) {
    uint64_t tag = scan_slots(SOME_PLACE, SLOT_COUNT - 1), word = 0, again = 0;
    unsigned first = 0, second = 0;
    ck_assert_uint_ge(asked(&first, &word), 1);
    rig_cut(&rig, first);
    ck_assert_uint_ge(asked(&second, &again), 1);
    ck_assert_uint_gt(again, word);
    rig_elapse_probed(&rig, 5000, 0);
    rig_expect(&rig, tag, RD_ENOQUORUM);
    rig_drop_frames(&rig);
}
END_TEST

/* Found late, behind what a request may take otherwise: the page is made all the same. */
START_TEST(a_place_found_late_is_followed_by_a_page) {
    uint64_t tag = scan_slots(SOME_PLACE, SLOT_COUNT - 1);
    rig_elapse_probed(&rig, 2000, 0);
    ck_assert(!rig_replied(&rig, tag));
    for (unsigned rounds = 0; !rig_replied(&rig, tag); rounds++) {
        ck_assert_uint_lt(rounds, 100);
        own_pages();
        answer_all();
    }
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("op_scan_wave");
    TCase *tcase = tcase_create("waves");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, hints_are_not_asked_for_while_all_homes_are_well);
    tcase_add_test(tcase, fallbacks_show_what_they_keep);
    tcase_add_test(tcase, one_missing_home_has_one_fallback);
    tcase_add_test(tcase, a_deletion_among_hints_hides_the_key);
    tcase_add_test(tcase, fallbacks_alone_cannot_say_that_there_is_nothing);
    tcase_add_test(tcase, strict_quorums_have_no_fallbacks);
    tcase_add_test(tcase, a_peer_is_given_hints_when_it_asks_for_them);
    tcase_add_test(tcase, a_place_is_asked_for_again_and_given_up_in_the_end);
    tcase_add_test(tcase, a_suspect_is_not_waited_for);
    tcase_add_test(tcase, a_place_found_late_is_followed_by_a_page);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
