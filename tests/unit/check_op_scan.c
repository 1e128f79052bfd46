/* replication/op_scan, op_flush and scan_jobs: pages of the keys of the whole cluster, seen from the node that is asked and from one that lists. */
#include "replication/op_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

static struct rig rig;

static void start(const struct node_conf *conf, unsigned peers) {
    rig_reset(&rig);
    rig_start_born(&rig, conf, peers, true);
    while (rig.scan_count > 0) /* what the node asks of its store when it starts */
        rig_scanned(&rig, RD_OK);
}

static void setup(void) {
    struct node_conf conf = rig_conf();
    start(&conf, 2);
}

static void teardown(void) {
    while (rig.scan_count > 0)
        rig_scanned(&rig, RD_OK);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.unanswered, 0);
    ck_assert_uint_eq(rig_stats(&rig).keys_in_flight, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    ck_assert_uint_eq(rig.node->scan_jobs.used, 0);
    rig_reset(&rig);
}

/* ---- what replicas hold ------------------------------------------------------------------------ */

/* One key as a replica holds it, the object as object_text.h writes it; sorted lists end with a NULL key. */
struct held {
    const char *key, *object;
};

static int compare_held(const void *a, const void *b) {
    const struct held *left = a, *right = b;
    uint16_t x = slot_of_key(rig.conf.partitioner, left->key, strlen(left->key));
    uint16_t y = slot_of_key(rig.conf.partitioner, right->key, strlen(right->key));
    return scan_order(x, rig_slice(left->key), y, rig_slice(right->key));
}

static void hold(const struct held *held) {
    for (; held->key != NULL; held++) {
        struct object object = object_of(held->object);
        rig_set_object(&rig, held->key, &object);
        object_free(&object);
    }
}

static void add_to_page(struct buf *page, const struct held *held) {
    struct object object = object_of(held->object);
    struct buf bytes = {0};
    ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
    ck_assert_int_eq(scan_page_add(page, rig_slice(held->key),
                                   (struct resp_slice){buf_data(&bytes), buf_len(&bytes)}),
                     RD_OK);
    buf_free(&bytes);
    object_free(&object);
}

/* Peer `peer` takes the order that waits for it and lists all of `held`. */
static struct wire_msg answer(unsigned peer, const struct held *held) {
    struct wire_msg order = rig_take(&rig, peer, WIRE_SCAN);
    struct wire_msg msg = {.kind = WIRE_SCAN_ANSWER};
    struct held sorted[64];
    size_t count = 0;
    struct buf page = {0};
    for (; held->key != NULL; held++)
        sorted[count++] = *held;
    if (count > 1)
        qsort(sorted, count, sizeof(sorted[0]), compare_held);
    for (size_t i = 0; i < count; i++) {
        uint16_t slot = slot_of_key(rig.conf.partitioner, sorted[i].key, strlen(sorted[i].key));
        if (slot >= order.scan.slot && slot <= order.scan.last_slot &&
            (order.scan.key.len == 0 || slot > order.scan.slot ||
             scan_order(slot, rig_slice(sorted[i].key), slot, order.scan.key) > 0))
            add_to_page(&page, &sorted[i]);
    }
    msg.scan_answer.id = order.scan.id;
    msg.scan_answer.round = order.scan.round;
    msg.scan_answer.slot = order.scan.last_slot + 1;
    msg.scan_answer.page = (struct resp_slice){buf_data(&page), buf_len(&page)};
    rig_say(&rig, peer, &msg);
    buf_free(&page);
    return order;
}

/* The peer that was asked to list; asserts that exactly one of them was. */
static unsigned asked_peer(void) {
    size_t first = rig.peers[1] == 0 ? 0 : rig_waiting(&rig, 1, WIRE_SCAN);
    size_t second = rig.peers[2] == 0 ? 0 : rig_waiting(&rig, 2, WIRE_SCAN);
    ck_assert_uint_eq(first + second, 1);
    return first > 0 ? 1 : 2;
}

static void own_pages(void) {
    while (rig.scan_count > 0)
        rig_scanned(&rig, RD_OK);
}

static const struct held nothing[] = {{NULL, NULL}};

/* ---- asking -------------------------------------------------------------------------------------- */

static uint64_t scan_from(uint64_t cursor, uint32_t count) {
    return rig_ask(&rig, (struct client_request){.op = CLIENT_SCAN,
                                                 .cursor = cursor,
                                                 .last_slot = SLOT_COUNT - 1,
                                                 .count = count});
}

/* Runs the request to its end: the node lists its own rows, and each peer that is asked `held`. */
static struct client_reply *run(uint64_t tag, const struct held *held) {
    while (!rig_replied(&rig, tag)) {
        ck_assert(rig.scan_count > 0 || rig_waiting(&rig, 1, WIRE_SCAN) > 0 ||
                  rig_waiting(&rig, 2, WIRE_SCAN) > 0);
        own_pages();
        for (unsigned peer = 1; peer <= 2; peer++)
            if (rig.peers[peer] != 0 && rig_waiting(&rig, peer, WIRE_SCAN) > 0)
                answer(peer, held);
    }
    return rig_reply(&rig, tag);
}

/* The keys of a page in alphabetical order, separated by spaces. */
static const char *keys_of(const struct client_reply *reply) {
    static char text[4096];
    const char *names[256];
    size_t count = 0, used = 0;
    struct resp_slice key;
    char copies[256][32];
    for (size_t at = 0; client_reply_next_key(&reply->keys, &at, &key); count++) {
        snprintf(copies[count], sizeof(copies[0]), "%.*s", (int)key.len, (const char *)key.data);
        size_t i = count;
        for (; i > 0 && strcmp(names[i - 1], copies[count]) > 0; i--)
            names[i] = names[i - 1];
        names[i] = copies[count];
    }
    ck_assert_uint_eq(count, reply->number);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ", names[i]);
    return text;
}

static void expect_page(uint64_t tag, const struct held *held, const char *keys) {
    struct client_reply *reply = run(tag, held);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_str_eq(keys_of(reply), keys);
    ck_assert_uint_eq(reply->cursor, 0);
    client_reply_free(reply);
}

/* ---- what is shown ------------------------------------------------------------------------------- */

START_TEST(an_empty_cluster_has_no_keys) {
    expect_page(scan_from(0, 10), nothing, "");
}
END_TEST

START_TEST(replicas_that_agree_are_asked_once) {
    static const struct held held[] = {
        {"a", "A1 | A1@9=v"}, {"b", "A2 | A2@9=w"}, {"c", "A3 | A3@9=x"}, {NULL, NULL}};
    hold(held);
    uint64_t tag = scan_from(0, 10);
    struct wire_msg order = {0};
    while (!rig_replied(&rig, tag)) {
        own_pages();
        order = answer(asked_peer(), held);
        ck_assert_uint_eq(order.scan.flags, 0);
    }
    expect_page(tag, held, "a b c");
    ck_assert_uint_eq(order.scan.last_slot, SLOT_COUNT - 1);
}
END_TEST

START_TEST(newer_copies_decide) {
    static const struct held mine[] = {{"a", "A1 | A1@9=v"}, {"b", "A1 | A1@9=v"}, {NULL, NULL}};
    static const struct held theirs[] = {
        {"a", "A1 B1 | B1@10=w"}, {"b", "A1 B1 | B1@10=w/5"}, {NULL, NULL}};
    hold(mine);
    expect_page(scan_from(0, 10), theirs, "a"); /* b has expired there, long ago */
}
END_TEST

START_TEST(a_key_that_one_replica_lacks_is_shown) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    expect_page(scan_from(0, 10), nothing, "a");
    rig_set_row(&rig, "a", NULL);
    expect_page(scan_from(0, 10), held, "a");
}
END_TEST

START_TEST(a_key_that_one_replica_knows_to_be_deleted_is_not) {
    static const struct held old[] = {{"a", "A1 | A1@9=v"}, {"b", "A1 | A1@9=v"}, {NULL, NULL}};
    static const struct held newer[] = {
        {"a", "A1 | | deleted 10"}, {"b", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(newer);
    uint64_t tag = scan_from(0, 10);
    bool tombstones = false;
    while (!rig_replied(&rig, tag)) {
        own_pages();
        struct wire_msg order = answer(asked_peer(), old);
        tombstones = tombstones || order.scan.flags == WIRE_SCAN_TOMBSTONES;
    }
    ck_assert(tombstones);
    expect_page(tag, old, "b");
}
END_TEST

START_TEST(damaged_rows_show_nothing) {
    struct blob *row;
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    ck_assert_int_eq(blob_new("nonsense", 8, &row), RD_OK);
    rig_set_row(&rig, "a", row);
    rig_set_row(&rig, "b", row);
    blob_unref(row);
    expect_page(scan_from(0, 10), held, "a");
}
END_TEST

START_TEST(one_replica_is_enough_where_it_is_wanted) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    uint64_t tag =
        rig_ask(&rig, (struct client_request){
                          .op = CLIENT_SCAN, .r = 1, .last_slot = SLOT_COUNT - 1, .count = 10});
    own_pages();
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS) + rig_waiting(&rig, 2, WIRE_KINDS), 0);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_str_eq(keys_of(reply), "a");
    client_reply_free(reply);
}
END_TEST

/* ---- pages and cursors --------------------------------------------------------------------------- */

/* Follows cursors to the end; all keys k0..k<count - 1> must come, each once if `once`. Returns how many pages there were. */
static unsigned follow(unsigned count, uint32_t page, const char *format, bool once) {
    unsigned *seen = calloc(count, sizeof(*seen)), pages = 0, total = 0;
    uint64_t cursor = 0;
    do {
        struct client_reply *reply = run(scan_from(cursor, page), nothing);
        struct resp_slice key;
        ck_assert_int_eq(reply->err, RD_OK);
        for (size_t at = 0; client_reply_next_key(&reply->keys, &at, &key); total++) {
            unsigned number;
            char name[32];
            snprintf(name, sizeof(name), "%.*s", (int)key.len, (const char *)key.data);
            ck_assert_int_eq(sscanf(name, format, &number), 1);
            ck_assert_uint_lt(number, count);
            seen[number]++;
        }
        cursor = reply->cursor;
        client_reply_free(reply);
        ck_assert_uint_lt(++pages, 10000);
    } while (cursor != 0);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_ge(seen[i], 1);
    ck_assert(!once || total == count);
    free(seen);
    return pages;
}

static void one_replica(void) {
    struct node_conf conf = rig_conf();
    conf.n = conf.r = conf.w = 1;
    start(&conf, 0);
}

static void hold_many(unsigned count, const char *format) {
    struct object object = object_of("A1 | A1@9=v");
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof(key), format, i);
        rig_set_object(&rig, key, &object);
    }
    object_free(&object);
}

START_TEST(pages_end_between_slots) {
    one_replica();
    hold_many(500, "k%u");
    unsigned pages = follow(500, 10, "k%u", true);
    ck_assert_uint_ge(pages, 35);
    ck_assert_uint_le(pages, 51);
}
END_TEST

START_TEST(a_long_slot_is_cut) {
    one_replica();
    hold_many(900, "{t}%u");
    ck_assert_uint_eq(follow(900, 10, "{t}%u", true), 4);
    ck_assert_uint_eq(follow(900, 400, "{t}%u", true), 3);
}
END_TEST

/* Another node, or this one after a restart, has not made the page before and looks for the place. */
START_TEST(any_node_goes_on_from_a_cursor) {
    one_replica();
    hold_many(900, "{t}%u");
    struct client_reply *first = run(scan_from(0, 10), nothing);
    ck_assert_ptr_nonnull(first->after_key);
    scan_memory_free(&rig.node->co.scan_memory);
    struct client_reply *second = run(scan_from(first->cursor, 10), nothing);
    struct resp_slice key, last = {first->after_key->bytes, first->after_key->len};
    size_t at = 0;
    ck_assert(client_reply_next_key(&second->keys, &at, &key));
    ck_assert_int_gt(scan_order(0, key, 0, last), 0);
    ck_assert_uint_eq(second->number, first->number);
    client_reply_free(first);
    client_reply_free(second);
}
END_TEST

START_TEST(a_place_that_is_gone_begins_the_slot_anew) {
    one_replica();
    hold_many(900, "{t}%u");
    struct client_reply *first = run(scan_from(0, 10), nothing);
    char gone[32];
    snprintf(gone, sizeof(gone), "%.*s", (int)first->after_key->len,
             (const char *)first->after_key->bytes);
    scan_memory_free(&rig.node->co.scan_memory);
    rig_set_row(&rig, gone, NULL);
    struct client_reply *again = run(scan_from(first->cursor, 10), nothing);
    struct resp_slice key;
    size_t at = 0;
    ck_assert(client_reply_next_key(&again->keys, &at, &key));
    ck_assert_mem_eq(key.data, "{t}0", 4);
    client_reply_free(first);
    client_reply_free(again);
}
END_TEST

START_TEST(cursors_of_nobody) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    expect_page(scan_from(UINT64_MAX, 10), held, "");
    expect_page(scan_from((uint64_t)SLOT_COUNT << SCAN_PLACE_BITS, 10), held, "");
    expect_page(scan_from(12345, 10), held, "a"); /* a place in slot 0 that no key has */
}
END_TEST

/* ---- failures ------------------------------------------------------------------------------------ */

START_TEST(the_next_replica_takes_the_place_of_a_lost_one) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    uint64_t tag = scan_from(0, 10);
    unsigned first = asked_peer();
    own_pages();
    rig_cut(&rig, first);
    ck_assert_uint_eq(asked_peer(), 3 - first);
    expect_page(tag, held, "a");
}
END_TEST

START_TEST(with_too_few_replicas_there_is_no_page) {
    rig_cut(&rig, 1);
    rig_cut(&rig, 2);
    uint64_t tag = scan_from(0, 10);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    ck_assert_str_eq(reply->text, "1 replicas of partition 0 can be reached, 2 are needed");
    client_reply_free(reply);
    ck_assert_uint_eq(rig_stats(&rig).quorum_failures_read, 1);
}
END_TEST

START_TEST(a_silent_replica_is_passed_over) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    uint64_t tag = scan_from(0, 10);
    unsigned first = asked_peer();
    own_pages();
    rig_take(&rig, first, WIRE_SCAN);
    rig_elapse(&rig, 130);
    ck_assert_uint_eq(asked_peer(), 3 - first);
    expect_page(tag, held, "a");
}
END_TEST

START_TEST(the_deadline_ends_it) {
    uint64_t tag = scan_from(0, 10);
    rig_elapse(&rig, 600);
    rig_drop_frames(&rig);
    rig_expect(&rig, tag, RD_ENOQUORUM);
}
END_TEST

START_TEST(what_is_no_answer_counts_as_none) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(held);
    uint64_t tag = scan_from(0, 10);
    unsigned first = asked_peer();
    struct wire_msg order = rig_take(&rig, first, WIRE_SCAN);
    struct wire_msg msg = {.kind = WIRE_SCAN_ANSWER};
    msg.scan_answer.id = order.scan.id;
    msg.scan_answer.round = order.scan.round + 7;
    rig_say(&rig, first, &msg); /* of another round: late */
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 1);
    msg.scan_answer.round = order.scan.round;
    msg.scan_answer.slot = order.scan.last_slot + 1;
    msg.scan_answer.page = rig_slice("nonsense");
    rig_say(&rig, first, &msg);
    ck_assert_uint_eq(asked_peer(), 3 - first);
    expect_page(tag, held, "a");
}
END_TEST

START_TEST(a_store_that_cannot_be_read_leaves_it_to_others) {
    static const struct held held[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    uint64_t tag = scan_from(0, 10);
    rig_scanned(&rig, RD_EIO);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_SCAN) > 0, 1);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_SCAN) > 0, 1);
    while (!rig_replied(&rig, tag))
        for (unsigned peer = 1; peer <= 2; peer++)
            while (rig_waiting(&rig, peer, WIRE_SCAN) > 0)
                answer(peer, held);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_str_eq(keys_of(reply), "a");
    client_reply_free(reply);
}
END_TEST

/* ---- listing for peers --------------------------------------------------------------------------- */

static struct wire_msg order_of(uint64_t flags, const char *key, uint64_t rows) {
    struct wire_msg msg = {.kind = WIRE_SCAN};
    msg.scan.id = 77;
    msg.scan.round = 3;
    msg.scan.flags = flags;
    msg.scan.key = rig_slice(key);
    msg.scan.last_slot = SLOT_COUNT - 1;
    msg.scan.max_rows = rows;
    return msg;
}

static unsigned entries(struct resp_slice page) {
    struct scan_entry entry;
    unsigned count = 0;
    for (size_t at = 0; at < page.len; count++)
        ck_assert_int_eq(scan_page_next(page, &at, &entry), RD_OK);
    return count;
}

START_TEST(a_peer_is_given_what_it_asks_for) {
    struct wire_msg got, order = order_of(0, "", 1024);
    hold_many(300, "k%u");
    struct object object = object_of("A1 | | deleted 9");
    rig_set_object(&rig, "k7", &object);
    object_free(&object);
    rig_say(&rig, 1, &order);
    own_pages();
    got = rig_take(&rig, 1, WIRE_SCAN_ANSWER);
    ck_assert_uint_eq(got.scan_answer.id, 77);
    ck_assert_uint_eq(got.scan_answer.round, 3);
    ck_assert_uint_eq(got.scan_answer.slot, SLOT_COUNT);
    ck_assert_uint_eq(entries(got.scan_answer.page), 299);
    order.scan.flags = WIRE_SCAN_TOMBSTONES;
    rig_say(&rig, 1, &order);
    own_pages();
    got = rig_take(&rig, 1, WIRE_SCAN_ANSWER);
    ck_assert_uint_eq(entries(got.scan_answer.page), 300);
}
END_TEST

START_TEST(a_list_is_bounded_and_goes_on) {
    struct wire_msg order = order_of(0, "", 40);
    unsigned total = 0, lists = 0;
    hold_many(300, "k%u");
    for (;; lists++) {
        rig_say(&rig, 1, &order);
        own_pages();
        struct wire_msg got = rig_take(&rig, 1, WIRE_SCAN_ANSWER);
        ck_assert_uint_le(entries(got.scan_answer.page), 40);
        total += entries(got.scan_answer.page);
        if (got.scan_answer.slot == SLOT_COUNT)
            break;
        ck_assert_uint_eq(got.scan_answer.behind_key, 1);
        order.scan.flags = WIRE_SCAN_BEHIND_KEY;
        order.scan.slot = got.scan_answer.slot;
        order.scan.key = got.scan_answer.key;
    }
    ck_assert_uint_eq(total, 300);
    ck_assert_uint_eq(lists, 7);
}
END_TEST

START_TEST(orders_that_cannot_be_end_the_link) {
    struct wire_msg order = order_of(0, "", 10);
    uint64_t link = rig.peers[1];
    order.scan.last_slot = SLOT_COUNT;
    rig_say(&rig, 1, &order);
    ck_assert(rig_closed(&rig, link));
}
END_TEST

START_TEST(too_many_orders_are_turned_away) {
    struct wire_msg order = order_of(0, "", 10);
    for (unsigned i = 0; i < SCAN_JOBS; i++)
        rig_say(&rig, 1, &order);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_SCAN_ANSWER), 0);
    rig_say(&rig, 1, &order);
    struct wire_msg got = rig_take(&rig, 1, WIRE_SCAN_ANSWER);
    ck_assert_uint_eq(got.scan_answer.err, RD_EOVERLOADED);
    own_pages();
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_SCAN_ANSWER), SCAN_JOBS);
}
END_TEST

/* ---- FLUSHALL ------------------------------------------------------------------------------------ */

static uint64_t flush(uint32_t w) {
    return rig_ask(&rig,
                   (struct client_request){
                       .op = CLIENT_FLUSH, .w = w, .last_slot = SLOT_COUNT - 1, .count = 100});
}

/* Lists until deletions are sent. */
static void list_for_flush(const struct held *theirs) {
    while (rig_waiting(&rig, 1, WIRE_WRITE) == 0) {
        own_pages();
        for (unsigned peer = 1; peer <= 2; peer++)
            if (rig.peers[peer] != 0 && rig_waiting(&rig, peer, WIRE_SCAN) > 0)
                answer(peer, theirs);
    }
}

static void acknowledge(unsigned peer, enum rd_err err) {
    struct wire_msg order = rig_take(&rig, peer, WIRE_WRITE);
    struct wire_msg msg = {.kind = WIRE_WRITE_ANSWER};
    msg.write_answer.id = order.write.id;
    msg.write_answer.round = order.write.round;
    msg.write_answer.err = err;
    rig_say(&rig, peer, &msg);
}

START_TEST(all_that_any_replica_holds_is_deleted) {
    static const struct held mine[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    static const struct held theirs[] = {
        {"a", "A1 B2 | B2@10=w"}, {"b", "A1 | A1@9=v"}, {NULL, NULL}};
    char shape[RIG_SHAPE_BYTES];
    hold(mine);
    uint64_t tag = flush(0);
    list_for_flush(theirs);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 2);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_WRITE), 2);
    acknowledge(1, RD_OK);
    acknowledge(1, RD_OK);
    ck_assert(!rig_replied(&rig, tag));
    rig_settle(&rig);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_uint_eq(reply->number, 2);
    ck_assert_uint_eq(reply->cursor, 0);
    client_reply_free(reply);
    struct object object = rig_object(&rig, "a");
    ck_assert_str_eq(rig_shape(&object, shape), "A1 B2 |");
    object_free(&object);
}
END_TEST

START_TEST(what_is_written_meanwhile_stays) {
    static const struct held mine[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    static const struct held later[] = {{"a", "A1 C1 | C1@20=new"}, {NULL, NULL}};
    char shape[RIG_SHAPE_BYTES];
    struct node_conf conf = rig_conf();
    conf.partitions = 1;
    start(&conf, 2);
    hold(mine);
    uint64_t tag = flush(0);
    own_pages();
    hold(later); /* behind the page's back */
    list_for_flush(nothing);
    acknowledge(1, RD_OK);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
    struct object object = rig_object(&rig, "a");
    ck_assert_str_eq(rig_shape(&object, shape), "A1 C1 | C1=new");
    object_free(&object);
}
END_TEST

START_TEST(a_flush_needs_w_homes) {
    static const struct held mine[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(mine);
    uint64_t tag = flush(2);
    list_for_flush(nothing);
    acknowledge(1, RD_EFULL);
    ck_assert(!rig_replied(&rig, tag));
    rig_cut(&rig, 2);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_EUNKNOWN);
    ck_assert_str_eq(reply->text, "0 of 1 keys are surely deleted, the others may have been");
    client_reply_free(reply);
    rig_settle(&rig);
    rig_cut(&rig, 1);
    rig_expect(&rig, flush(2), RD_ENOQUORUM);
}
END_TEST

START_TEST(a_flush_that_is_not_acknowledged_is_unknown) {
    static const struct held mine[] = {{"a", "A1 | A1@9=v"}, {NULL, NULL}};
    hold(mine);
    uint64_t tag = flush(3);
    list_for_flush(nothing);
    rig_settle(&rig);
    acknowledge(1, RD_OK);
    rig_elapse(&rig, 600);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("op_scan");
    TCase *tcase = tcase_create("scans");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_empty_cluster_has_no_keys);
    tcase_add_test(tcase, replicas_that_agree_are_asked_once);
    tcase_add_test(tcase, newer_copies_decide);
    tcase_add_test(tcase, a_key_that_one_replica_lacks_is_shown);
    tcase_add_test(tcase, a_key_that_one_replica_knows_to_be_deleted_is_not);
    tcase_add_test(tcase, damaged_rows_show_nothing);
    tcase_add_test(tcase, one_replica_is_enough_where_it_is_wanted);
    tcase_add_test(tcase, pages_end_between_slots);
    tcase_add_test(tcase, a_long_slot_is_cut);
    tcase_add_test(tcase, any_node_goes_on_from_a_cursor);
    tcase_add_test(tcase, a_place_that_is_gone_begins_the_slot_anew);
    tcase_add_test(tcase, cursors_of_nobody);
    tcase_add_test(tcase, the_next_replica_takes_the_place_of_a_lost_one);
    tcase_add_test(tcase, with_too_few_replicas_there_is_no_page);
    tcase_add_test(tcase, a_silent_replica_is_passed_over);
    tcase_add_test(tcase, the_deadline_ends_it);
    tcase_add_test(tcase, what_is_no_answer_counts_as_none);
    tcase_add_test(tcase, a_store_that_cannot_be_read_leaves_it_to_others);
    tcase_add_test(tcase, a_peer_is_given_what_it_asks_for);
    tcase_add_test(tcase, a_list_is_bounded_and_goes_on);
    tcase_add_test(tcase, orders_that_cannot_be_end_the_link);
    tcase_add_test(tcase, too_many_orders_are_turned_away);
    tcase_add_test(tcase, all_that_any_replica_holds_is_deleted);
    tcase_add_test(tcase, what_is_written_meanwhile_stays);
    tcase_add_test(tcase, a_flush_needs_w_homes);
    tcase_add_test(tcase, a_flush_that_is_not_acknowledged_is_unknown);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
