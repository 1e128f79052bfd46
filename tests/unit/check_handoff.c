/* Sloppy quorums and hints (replication/op_write_targets, hints, replica_hint, op_read) in one node of five, N=3 and W=2, whose peers and disk
 * the test plays. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/node_rig_oom.h"
#include "tests/lib/node_rig_words.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define HINTS 1 /* the space of their rows */

static struct rig rig;
static char key[16];
static uint16_t
    list[5]; /* of the key: three homes, two fallbacks, as peers; 0 is the node itself */

static void find_list(void) {
    uint16_t partition =
        slot_partition(slot_of_key(rig.conf.partitioner, key, strlen(key)), rig.conf.partitions);
    size_t homes;
    ck_assert_uint_eq(node_preflist(rig.node, partition, list, 5, &homes), 5);
    ck_assert_uint_eq(homes, 3);
}

static char names[3 * HINTS_WINDOW][16]; /* keys of which the node is no home */

static void find_names(void) {
    for (unsigned i = 0, n = 0; n < sizeof(names) / sizeof(names[0]); i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        uint16_t slot = slot_of_key(rig.conf.partitioner, name, strlen(name));
        if (!placement_is_home(&rig.node->placement, slot_partition(slot, rig.conf.partitions)))
            memcpy(names[n++], name, sizeof(name));
    }
}

static struct node_conf sloppy_conf(void) {
    struct node_conf conf = rig_conf();
    conf.sloppy_quorum = conf.hinted_handoff = true;
    conf.max_hint_bytes = 1 << 20;
    return conf;
}

static void start(const struct node_conf *conf, bool home) {
    rig_reset(&rig);
    rig_start_born(&rig, conf, 4, true);
    rig_key(&rig, home, 0, key);
    find_list();
    find_names();
}

static void setup(void) {
    struct node_conf conf = sloppy_conf();
    start(&conf, true);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    rig_reset(&rig);
}

/* The n-th of the other homes, of the fallbacks. */
static unsigned home(unsigned n) {
    for (unsigned i = 0; i < 3; i++)
        if (list[i] != 0 && n-- == 0)
            return list[i];
    ck_abort_msg("there is no such home");
}

static unsigned fallback(unsigned n) {
    return list[3 + n];
}

/* Asserts that the write is a hint for `target`, and whether it must be kept. */
static void check_hint(const struct wire_msg *write, unsigned target, bool must) {
    struct node_id id = rig_id(target);
    ck_assert_uint_eq(write->write.targets.len, NODE_ID_BYTES);
    ck_assert_mem_eq(write->write.targets.data, id.bytes, NODE_ID_BYTES);
    ck_assert_uint_eq(write->write.must, must);
}

static uint64_t set(void) {
    uint64_t tag = rig_set(&rig, key, "v");
    rig_load_all(&rig);
    return tag;
}

static void expect_stand_ins(uint64_t tag, uint32_t count) {
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_uint_eq(reply->stand_ins, count);
    client_reply_free(reply);
}

/* ---- writes -------------------------------------------------------------------------------------- */

/* W homes are healthy: the fallback keeps what the third one misses, and counts for nothing. */
START_TEST(with_w_homes_no_fallback_counts) {
    rig_cut(&rig, home(0));
    uint64_t tag = set();
    struct wire_msg write = rig_take(&rig, home(1), WIRE_WRITE);
    struct wire_msg hint = rig_take(&rig, fallback(0), WIRE_WRITE);
    ck_assert_uint_eq(write.write.targets.len, 0);
    check_hint(&hint, home(0), false);
    rig_ack(&rig, fallback(0), &hint);
    rig_commit(&rig, RD_OK);
    ck_assert(!rig_replied(&rig, tag));
    rig_ack(&rig, home(1), &write);
    expect_stand_ins(tag, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
}
END_TEST

START_TEST(with_fewer_homes_one_fallback_counts) {
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    uint64_t tag = set();
    struct wire_msg first = rig_take(&rig, fallback(0), WIRE_WRITE);
    struct wire_msg second = rig_take(&rig, fallback(1), WIRE_WRITE);
    check_hint(&first, home(0), true);
    check_hint(&second, home(1), true);
    rig_ack(&rig, fallback(0), &first);
    rig_ack(&rig, fallback(0), &first); /* once is enough */
    ck_assert(!rig_replied(&rig, tag));
    rig_commit(&rig, RD_OK);
    expect_stand_ins(tag, 1);
    rig_ack(&rig, fallback(1), &second);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    ck_assert_uint_eq(rig_stats(&rig).stand_ins, 1);
}
END_TEST

/* W=3 with one home: two fallbacks count, and both are needed. */
START_TEST(as_many_count_as_are_missing) {
    struct node_conf conf = sloppy_conf();
    conf.w = 3;
    start(&conf, true);
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    uint64_t tag = set();
    struct wire_msg first = rig_take(&rig, fallback(0), WIRE_WRITE);
    struct wire_msg second = rig_take(&rig, fallback(1), WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_ack(&rig, fallback(1), &second);
    ck_assert(!rig_replied(&rig, tag));
    rig_ack(&rig, fallback(0), &first);
    expect_stand_ins(tag, 2);
}
END_TEST

/* Homes are lost after they were asked: fallbacks take their places at once, and when there are
 * fewer than W left, one that was asked as such as would not count is asked again. */
START_TEST(homes_lost_on_the_way_are_replaced) {
    uint64_t tag = set();
    rig_take(&rig, home(0), WIRE_WRITE);
    rig_take(&rig, home(1), WIRE_WRITE);
    rig_cut(&rig, home(0));
    struct wire_msg first = rig_take(&rig, fallback(0), WIRE_WRITE);
    check_hint(&first, home(0), false);
    rig_cut(&rig, home(1));
    struct wire_msg second = rig_take(&rig, fallback(1), WIRE_WRITE);
    check_hint(&second, home(1), true);
    struct wire_msg again = rig_take(&rig, fallback(0), WIRE_WRITE);
    check_hint(&again, home(0), true);
    rig_commit(&rig, RD_OK);
    rig_ack(&rig, fallback(0), &first); /* it may drop that one */
    ck_assert(!rig_replied(&rig, tag));
    rig_ack(&rig, fallback(0), &again);
    expect_stand_ins(tag, 1);
    rig_ack(&rig, fallback(1), &second);
}
END_TEST

START_TEST(a_home_that_refuses_is_replaced) {
    uint64_t tag = set();
    struct wire_msg one = rig_take(&rig, home(0), WIRE_WRITE);
    struct wire_msg two = rig_take(&rig, home(1), WIRE_WRITE);
    rig_answer_write(&rig, home(0), &one, RD_EFULL, NULL);
    struct wire_msg hint = rig_take(&rig, fallback(0), WIRE_WRITE);
    check_hint(&hint, home(0), false);
    rig_answer_write(&rig, fallback(0), &hint, RD_EIO, NULL);
    hint = rig_take(&rig, fallback(1), WIRE_WRITE);
    check_hint(&hint, home(0), false);
    rig_answer_write(&rig, fallback(1), &hint, RD_EIO, NULL);
    rig_ack(&rig, home(1), &two);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
    rig_settle(&rig); /* nobody is left: the coordinator keeps it */
    ck_assert_ptr_nonnull(rig_row(&rig, HINTS, key));
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
}
END_TEST

/* What a fallback has dropped for want of room nobody else is asked to keep. */
START_TEST(what_was_dropped_is_counted) {
    rig_cut(&rig, home(0));
    uint64_t tag = set();
    struct wire_msg write = rig_take(&rig, home(1), WIRE_WRITE);
    struct wire_msg hint = rig_take(&rig, fallback(0), WIRE_WRITE);
    rig_ack(&rig, home(1), &write);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
    rig_answer_write(&rig, fallback(0), &hint, RD_EOVERLOADED, NULL);
    ck_assert_uint_eq(rig_waiting(&rig, fallback(1), WIRE_WRITE), 0);
    ck_assert_uint_eq(rig_stats(&rig).hints_dropped, 1);
    rig_settle(&rig);
}
END_TEST

/* One without room for what must be kept is replaced by the next. */
START_TEST(who_has_no_room_is_replaced) {
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    rig_cut(&rig, fallback(1));
    uint64_t tag = set();
    struct wire_msg hint = rig_take(&rig, fallback(0), WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, fallback(0), &hint, RD_EOVERLOADED, NULL);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    rig_settle(&rig);
}
END_TEST

START_TEST(switched_off_nobody_stands_in) {
    struct node_conf conf = sloppy_conf();
    conf.sloppy_quorum = false;
    start(&conf, true);
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    uint64_t tag = rig_set(&rig, key, "v");
    rig_expect(&rig, tag, RD_ENOQUORUM);
    node_set_handoff(rig.node, true, true, 1 << 20, 0);
    tag = set();
    rig_drop_frames(&rig);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    rig_settle(&rig);
}
END_TEST

/* No home is left: the node that was asked coordinates, with its hint for its copy, and goes on as
 * the same actor as long as it has that. */
START_TEST(without_homes_the_node_stands_in_itself) {
    struct node_conf conf = sloppy_conf();
    start(&conf, false);
    for (unsigned i = 0; i < 3; i++)
        rig_cut(&rig, list[i]);
    uint64_t tag = set();
    unsigned other = list[3] != 0 ? list[3] : list[4];
    struct wire_msg hint = rig_take(&rig, other, WIRE_WRITE);
    ck_assert_uint_eq(hint.write.must, 1);
    rig_commit(&rig, RD_OK);
    ck_assert(!rig_replied(&rig, tag));
    rig_ack(&rig, other, &hint);
    expect_stand_ins(tag, 2);
    ck_assert_ptr_null(rig_row(&rig, 0, key));
    struct blob *row = rig_row(&rig, HINTS, key);
    struct hint_owed owed;
    struct object object;
    ck_assert_int_eq(hint_decode(row->bytes, row->len, &owed, &object), RD_OK);
    rig_check_shape(&object, "Z.1:1 | Z.1:1=v");
    ck_assert(owed.must && owed.has_own && owed.count > 0);
    object_free(&object);
    tag = set();
    hint = rig_take(&rig, other, WIRE_WRITE);
    rig_check_sent(&hint, 1 + WRITE_ROUND_MUST, "Z.1:2 | Z.1:2=v");
    rig_ack(&rig, other, &hint);
    rig_commit(&rig, RD_OK);
    expect_stand_ins(tag, 2);
}
END_TEST

/* ---- as a fallback ------------------------------------------------------------------------------- */

/* Peer `from` asks the node to keep an object of the n-th of the names for `targets` (digits: peers). */
static void ask_to_keep(unsigned from, uint64_t id, unsigned name, const char *targets, bool must) {
    struct wire_msg msg = {.kind = WIRE_WRITE};
    struct hint_owed owed = {0};
    struct buf bytes = {0};
    struct object object = {0};
    struct context none = {0};
    struct dot dot = {{id, 1}, 1};
    struct blob *value;
    for (; *targets != 0; targets++) {
        struct node_id target = rig_id((unsigned)(*targets - '0'));
        ck_assert_int_eq(hint_owe(&owed, &target), RD_OK);
    }
    ck_assert_int_eq(blob_new("0123456789", 10, &value), RD_OK);
    ck_assert_int_eq(object_write(&object, &none, &dot, id, value, 0), RD_OK);
    ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
    msg.write.id = id;
    msg.write.key = rig_slice(names[name]);
    msg.write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
    msg.write.targets =
        (struct resp_slice){(const uint8_t *)owed.targets, owed.count * sizeof(owed.targets[0])};
    msg.write.must = must;
    rig_say(&rig, from, &msg);
    blob_unref(value);
    object_free(&object);
    buf_free(&bytes);
}

static enum rd_err kept(unsigned from) {
    rig_settle(&rig);
    return (enum rd_err)rig_take(&rig, from, WIRE_WRITE_ANSWER).write_answer.err;
}

/* Lets time pass for passes over the hints, whose pages come at once. */
static void pass(unsigned ms) {
    for (unsigned i = 0; i < ms / 50; i++) {
        rig_elapse_probed(&rig, 50, 0);
        while (rig.scan_count > 0)
            rig_scanned(&rig, RD_OK);
        rig_settle(&rig);
    }
}

START_TEST(a_hint_is_delivered_and_forgotten) {
    ask_to_keep(1, 7, 0, "23", true);
    ck_assert_int_eq(kept(1), RD_OK);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 2);
    rig_cut(&rig, 3);
    pass(400);
    struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
    ck_assert_uint_eq(write.write.targets.len, 0);
    rig_ack(&rig, 4, &write); /* somebody else */
    rig_ack(&rig, 2, &write);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).hints_delivered, 1);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
    ck_assert_ptr_nonnull(rig_row(&rig, HINTS, names[0]));
    rig_link(&rig, 3, true);
    rig_drop_frames(&rig);
    pass(1000);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_WRITE), 0);
    write = rig_take(&rig, 3, WIRE_WRITE);
    rig_ack(&rig, 3, &write);
    rig_settle(&rig);
    ck_assert_ptr_null(rig_row(&rig, HINTS, names[0]));
    pass(500);
    ck_assert_uint_eq(rig_waiting(&rig, 3, WIRE_WRITE), 0);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 0);
}
END_TEST

/* What has changed since it was sent stays owed; what was refused, or not answered, is sent again. */
START_TEST(only_what_is_known_to_be_there_is_forgotten) {
    ask_to_keep(1, 7, 0, "2", false);
    ck_assert_int_eq(kept(1), RD_OK);
    pass(400);
    struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
    ask_to_keep(1, 8, 0, "2", false); /* meanwhile there is more */
    ck_assert_int_eq(kept(1), RD_OK);
    rig_ack(&rig, 2, &write);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
    pass(1500);
    write = rig_take(&rig, 2, WIRE_WRITE);
    rig_answer_write(&rig, 2, &write, RD_EFULL, NULL);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
    pass(1500);
    rig_drop_frames(&rig); /* lost on the way */
    pass(1200);
    write = rig_take(&rig, 2, WIRE_WRITE);
    rig_ack(&rig, 2, &write);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 0);
}
END_TEST

/* A start counts what is there before it says that there is nothing. */
START_TEST(hints_survive_a_restart) {
    struct node_conf conf = sloppy_conf();
    ask_to_keep(1, 7, 0, "2", true);
    ck_assert_int_eq(kept(1), RD_OK);
    rig_stop(&rig);
    rig_start(&rig, &conf);
    ck_assert(!rig_stats(&rig).hints_counted);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 0);
    pass(400);
    ck_assert(rig_stats(&rig).hints_counted);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
    rig_link(&rig, 2, true);
    rig_drop_frames(&rig);
    pass(1000);
    struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
    rig_ack(&rig, 2, &write);
    rig_settle(&rig);
    ck_assert_ptr_null(rig_row(&rig, HINTS, names[0]));
}
END_TEST

/* A window at a time, and no more than the rate allows. */
START_TEST(deliveries_are_bounded) {
    for (unsigned i = 0; i < 3 * HINTS_WINDOW; i++)
        ask_to_keep(1, 100 + i, i, "2", true);
    rig_settle(&rig);
    rig_drop_frames(&rig);
    pass(400);
    ck_assert_uint_gt(rig_waiting(&rig, 2, WIRE_WRITE), 0);
    ck_assert_uint_le(rig_waiting(&rig, 2, WIRE_WRITE), HINTS_WINDOW);
    unsigned delivered = 0;
    for (int i = 0; i < 100 && rig_stats(&rig).hints_pending > 0; i++) {
        while (rig_waiting(&rig, 2, WIRE_WRITE) > 0) {
            struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
            rig_ack(&rig, 2, &write);
            delivered++;
        }
        ck_assert_uint_le(rig_waiting(&rig, 2, WIRE_WRITE), HINTS_WINDOW);
        pass(100);
    }
    ck_assert_uint_eq(delivered, 3 * HINTS_WINDOW);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 0);
    node_set_handoff(rig.node, true, true, 1 << 20, 100); /* bytes a second */
    for (unsigned i = 0; i < 10; i++)
        ask_to_keep(1, 900 + i, i, "2", true);
    rig_settle(&rig);
    rig_drop_frames(&rig);
    pass(1000);
    ck_assert_uint_le(rig_waiting(&rig, 2, WIRE_WRITE), 4);
}
END_TEST

/* At the cap: what must be kept is refused, all else dropped and counted; what is there stays. */
START_TEST(at_the_cap_nothing_is_acknowledged) {
    struct node_conf conf = sloppy_conf();
    conf.max_hint_bytes = 140;
    start(&conf, true);
    ask_to_keep(1, 7, 0, "2", true);
    ck_assert_int_eq(kept(1), RD_OK);
    ask_to_keep(1, 8, 1, "2", true);
    ck_assert_int_eq(kept(1), RD_EOVERLOADED);
    ask_to_keep(1, 9, 2, "3", false);
    ck_assert_int_eq(kept(1), RD_EOVERLOADED);
    ck_assert_uint_eq(rig_stats(&rig).hints_refused, 1);
    ck_assert_uint_eq(rig_stats(&rig).hints_dropped, 1);
    ck_assert_ptr_nonnull(rig_row(&rig, HINTS, names[0]));
    ck_assert_ptr_null(rig_row(&rig, HINTS, names[1]));
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 1);
}
END_TEST

START_TEST(a_hint_that_cannot_be_stored_is_no_hint) {
    ask_to_keep(1, 7, 0, "2", true);
    rig_load_all(&rig);
    rig_commit(&rig, RD_EFULL);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_WRITE_ANSWER);
    ck_assert_uint_eq(answer.write_answer.err, RD_EFULL);
    pass(400);
    ck_assert_uint_eq(rig_stats(&rig).hints_pending, 0);
}
END_TEST

/* ---- reads --------------------------------------------------------------------------------------- */

/* Fewer than R homes: a fallback's hint counts; that it has nothing does not say that nothing is. */
START_TEST(a_fallback_answers_for_a_home) {
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    uint64_t tag = rig_get(&rig, key, 2);
    rig_load_all(&rig);
    struct wire_msg read = rig_take(&rig, fallback(0), WIRE_READ);
    rig_answer_read(&rig, fallback(0), &read, "A1 | A1@5=a");
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_uint_eq(reply->stand_ins, 1);
    rig_check_shape(&reply->object, "A1 | A1=a");
    client_reply_free(reply);
    rig_settle(&rig); /* the own copy was behind, and is repaired */
    rig_check_stored(&rig, key, "A1 | A1=a");
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(empty_fallbacks_make_no_nil) {
    struct node_conf conf = sloppy_conf();
    start(&conf, false);
    for (unsigned i = 0; i < 3; i++)
        rig_cut(&rig, list[i]);
    unsigned other = list[3] != 0 ? list[3] : list[4];
    uint64_t tag = rig_get(&rig, key, 2);
    rig_load_all(&rig);
    struct wire_msg read = rig_take(&rig, other, WIRE_READ);
    rig_answer_read(&rig, other, &read, NULL);
    rig_expect(&rig, tag, RD_ENOQUORUM);
    tag = rig_get(&rig, key, 2);
    rig_load_all(&rig);
    read = rig_take(&rig, other, WIRE_READ);
    rig_answer_read(&rig, other, &read, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    rig_settle(&rig);
}
END_TEST

/* With R homes in reach nobody else is asked. */
START_TEST(fallbacks_are_spared_while_there_are_homes) {
    rig_cut(&rig, home(0));
    uint64_t tag = rig_get(&rig, key, 2);
    rig_load_all(&rig);
    ck_assert_uint_eq(rig_waiting(&rig, fallback(0), WIRE_READ), 0);
    struct wire_msg read = rig_take(&rig, home(1), WIRE_READ);
    rig_answer_read(&rig, home(1), &read, NULL);
    expect_stand_ins(tag, 0);
}
END_TEST

/* ---- without memory ------------------------------------------------------------------------------ */

static struct oom_steps oom;

/* Answers all frames that wait, as well as can be. */
static void answer_all(void) {
    while (rig.frame_count > 0) {
        unsigned peer = 1;
        while (peer <= 4 && rig.peers[peer] != rig.frames[0].link)
            peer++;
        struct wire_msg msg = rig_take_on(&rig, rig.frames[0].link, rig.frames[0].msg.kind);
        if (peer <= 4 && msg.kind == WIRE_WRITE && msg.write.id != 0)
            rig_ack(&rig, peer, &msg);
        else if (peer <= 4 && msg.kind == WIRE_READ)
            rig_answer_read(&rig, peer, &msg, "A1 | A1@5=a");
    }
}

/* Keeps a hint, is stood in for, reads from a fallback, delivers; one allocation fails. What is
 * acknowledged is there, and in the end all is delivered. */
static void live(unsigned long failing) {
    setup();
    oom = (struct oom_steps){.left = failing};
    oom_steps_watch(&oom, &rig);
    ask_to_keep(1, 7, 0, "2", true);
    rig_settle(&rig);
    bool kept = rig_waiting(&rig, 1, WIRE_WRITE_ANSWER) > 0 &&
                rig_take(&rig, 1, WIRE_WRITE_ANSWER).write_answer.err == RD_OK;
    if (kept && rig_row(&rig, HINTS, names[0]) == NULL)
        ck_abort_msg("acknowledged and not kept, without allocation %lu", failing);
    rig_cut(&rig, home(0));
    rig_cut(&rig, home(1));
    uint64_t tag = rig_set(&rig, key, "v");
    rig_settle(&rig);
    answer_all();
    rig_settle(&rig);
    uint64_t read = rig_get(&rig, key, 2);
    rig_settle(&rig);
    answer_all();
    rig_elapse(&rig, 500);
    client_reply_free(rig_reply(&rig, tag));
    client_reply_free(rig_reply(&rig, read));
    unsigned long rest = oom.left;
    oom.left = 0; /* not while they shake hands */
    for (unsigned peer = 1; peer <= 4; peer++)
        if (rig.peers[peer] == 0)
            rig_link(&rig, peer, true);
    oom.left = rest;
    for (int i = 0; i < 60 && (i < 10 || rig_stats(&rig).hints_pending > 0); i++) {
        pass(100);
        answer_all();
    }
    rig_settle(&rig);
    if (rig_stats(&rig).hints_pending > 0 || rig_row(&rig, HINTS, names[0]) != NULL)
        ck_abort_msg("not delivered, without allocation %lu", failing);
    teardown();
}

START_TEST(whatever_fails_hints_are_kept_and_delivered) {
    oom_spare(sizeof(UT_hash_table), HASH_INITIAL_NUM_BUCKETS * sizeof(UT_hash_bucket));
    for (unsigned long n = 1; n == 1 || oom.fired; n++)
        live(n);
    oom_spare(0, 0);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("handoff");
    TCase *writes = tcase_create("writes");
    tcase_add_checked_fixture(writes, setup, teardown);
    tcase_add_test(writes, with_w_homes_no_fallback_counts);
    tcase_add_test(writes, with_fewer_homes_one_fallback_counts);
    tcase_add_test(writes, as_many_count_as_are_missing);
    tcase_add_test(writes, homes_lost_on_the_way_are_replaced);
    tcase_add_test(writes, a_home_that_refuses_is_replaced);
    tcase_add_test(writes, what_was_dropped_is_counted);
    tcase_add_test(writes, who_has_no_room_is_replaced);
    tcase_add_test(writes, switched_off_nobody_stands_in);
    tcase_add_test(writes, without_homes_the_node_stands_in_itself);
    suite_add_tcase(suite, writes);
    TCase *hints = tcase_create("hints");
    tcase_add_checked_fixture(hints, setup, teardown);
    tcase_add_test(hints, a_hint_is_delivered_and_forgotten);
    tcase_add_test(hints, only_what_is_known_to_be_there_is_forgotten);
    tcase_add_test(hints, hints_survive_a_restart);
    tcase_add_test(hints, deliveries_are_bounded);
    tcase_add_test(hints, at_the_cap_nothing_is_acknowledged);
    tcase_add_test(hints, a_hint_that_cannot_be_stored_is_no_hint);
    suite_add_tcase(suite, hints);
    TCase *reads = tcase_create("reads");
    tcase_add_checked_fixture(reads, setup, teardown);
    tcase_add_test(reads, a_fallback_answers_for_a_home);
    tcase_add_test(reads, empty_fallbacks_make_no_nil);
    tcase_add_test(reads, fallbacks_are_spared_while_there_are_homes);
    suite_add_tcase(suite, reads);
    TCase *memory = tcase_create("without memory");
    tcase_add_test(memory, whatever_fails_hints_are_kept_and_delivered);
    suite_add_tcase(suite, memory);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
