/* replication/op_read: one read at a time, on a node whose replicas and disk the test plays. */
#include "replication/op_read.h"

#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static struct rig rig;

static void start(const struct node_conf *conf, unsigned peers) {
    rig_reset(&rig);
    rig_start_born(&rig, conf, peers, true);
}

static void setup(void) {
    oom_spare(sizeof(UT_hash_table), HASH_INITIAL_NUM_BUCKETS * sizeof(UT_hash_bucket));
    struct node_conf conf = rig_conf();
    start(&conf, 2);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    ck_assert_uint_eq(rig.reply_count, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).keys_in_flight, 0);
    rig_reset(&rig);
}

/* The peer that was asked; asserts that exactly one was. */
static unsigned asked_peer(struct wire_msg *read) {
    size_t one = rig_waiting(&rig, 1, WIRE_READ), two = rig_waiting(&rig, 2, WIRE_READ);
    ck_assert_uint_eq(one + two, 1);
    unsigned peer = one > 0 ? 1 : 2;
    *read = rig_take(&rig, peer, WIRE_READ);
    return peer;
}

/* Starts a read of r replicas of "k" and answers the store's part. */
static uint64_t begin(uint32_t r, bool monotonic) {
    uint64_t tag = rig_ask(
        &rig, (struct client_request){
                  .op = CLIENT_READ, .key = "k", .key_len = 1, .r = r, .monotonic = monotonic});
    rig_load_all(&rig);
    return tag;
}

/* ---- quorum ---------------------------------------------------------------------------------- */

START_TEST(one_replica_is_the_own_one) {
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(1, false);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_expect_object(&rig, tag, "A1 | A1=a");
}
END_TEST

START_TEST(r_replicas_are_asked_and_merged) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(2, false);
    ck_assert(!rig_replied(&rig, tag));
    unsigned peer = asked_peer(&read);
    ck_assert_uint_eq(read.read.key.len, 1);
    rig_answer_read(&rig, peer, &read, "B1 | B1@9=b");
    rig_expect_object(&rig, tag, "A1 B1 | B1=b A1=a");
    ck_assert_uint_eq(rig_stats(&rig).sibling_reads, 1);
    rig_answer_read(&rig, peer, &read, "C1 | C1@9=c"); /* too late */
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 1);
}
END_TEST

START_TEST(the_configured_r_is_the_default) {
    struct wire_msg read;
    ck_assert_int_eq(node_set_quorum(rig.node, 1, 2), RD_OK);
    uint64_t tag = begin(0, false);
    rig_expect_object(&rig, tag, "|");
    ck_assert_int_eq(node_set_quorum(rig.node, 2, 2), RD_OK);
    tag = begin(0, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, NULL);
    rig_expect_object(&rig, tag, "|");
    ck_assert_int_eq(node_set_quorum(rig.node, 0, 2), RD_ECONF);
    ck_assert_int_eq(node_set_quorum(rig.node, 2, 4), RD_ECONF);
}
END_TEST

START_TEST(more_than_n_means_all) {
    uint64_t tag = begin(9, false);
    for (unsigned peer = 1; peer <= 2; peer++) {
        struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
        ck_assert(!rig_replied(&rig, tag));
        rig_answer_read(&rig, peer, &read, NULL);
    }
    rig_expect_object(&rig, tag, "|");
}
END_TEST

START_TEST(nobody_counts_twice) {
    uint64_t tag = begin(3, false);
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 1, &one, NULL);
    rig_answer_read(&rig, 1, &one, "A1 | A1@5=a");
    ck_assert(!rig_replied(&rig, tag));
    rig_answer_read(&rig, 2, &two, NULL);
    rig_expect_object(&rig, tag, "|");
}
END_TEST

START_TEST(unreachable_replicas_are_said_at_once) {
    rig_cut(&rig, 1);
    uint64_t tag = begin(3, false);
    rig_check_error(&rig, tag, RD_ENOQUORUM, "2 of 3 replicas can be reached, 3 are needed");
    ck_assert_uint_eq(rig.frame_count, 0);
    ck_assert_uint_eq(rig_stats(&rig).quorum_failures_read, 1);
}
END_TEST

START_TEST(a_failed_replica_is_replaced_by_the_next) {
    struct wire_msg read;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_fail_read(&rig, peer, &read, RD_EIO);
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &read, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
}
END_TEST

START_TEST(a_lost_replica_is_replaced_by_the_next) {
    struct wire_msg read;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_cut(&rig, peer);
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_cut(&rig, 3 - peer);
    rig_check_error(&rig, tag, RD_ENOQUORUM, "1 of 3 replicas answered, 2 are needed");
}
END_TEST

START_TEST(a_slow_own_copy_loses_no_quorum) {
    struct node_conf conf = rig_conf();
    char key[16];
    conf.n = 5;
    start(&conf, 4);
    rig_key(&rig, true, 0, key);
    uint64_t tag = rig_get(&rig, key, 3);
    rig_elapse(&rig, 50); /* the hedge comes before the disk */
    unsigned asked = 0;
    for (unsigned peer = 1; peer <= 4; peer++)
        while (rig_waiting(&rig, peer, WIRE_READ) > 0) {
            struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
            rig_answer_read(&rig, peer, &read, NULL);
            asked++;
        }
    ck_assert_uint_eq(asked, 1);
    ck_assert(!rig_replied(&rig, tag));
    rig_load_all(&rig);
    for (unsigned peer = 1; peer <= 4; peer++)
        while (rig_waiting(&rig, peer, WIRE_READ) > 0) {
            struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
            rig_answer_read(&rig, peer, &read, NULL);
        }
    rig_expect_object(&rig, tag, "|");
}
END_TEST

START_TEST(a_failing_disk_is_replaced_by_peers) {
    uint64_t tag = rig_get(&rig, "k", 2);
    rig_got(&rig, RD_EIO);
    for (unsigned peer = 1; peer <= 2; peer++) {
        struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
        rig_answer_read(&rig, peer, &read, "A1 | A1@5=a");
    }
    rig_expect_object(&rig, tag, "A1 | A1=a");
}
END_TEST

START_TEST(late_replicas_are_helped_by_the_rest) {
    struct wire_msg read, other;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_elapse(&rig, 49);
    ck_assert_uint_eq(rig_waiting(&rig, 3 - peer, WIRE_READ), 0);
    rig_elapse(&rig, 1);
    ck_assert_uint_eq(asked_peer(&other), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &other, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    ck_assert_uint_eq(rig_waiting(&rig, 3 - peer, WIRE_WRITE), 0);
    rig_answer_read(&rig, peer, &read, NULL);
    struct wire_msg repair = rig_take(&rig, peer, WIRE_WRITE); /* what came late is repaired */
    ck_assert_uint_eq(repair.write.id, 0);
    rig_answer_read(&rig, peer, &read, NULL);
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 1);
}
END_TEST

/* Plays a read of all three replicas, whose peers take that many ms to answer, the first one
 * less. */
static void timed_read(uint64_t ms_of_one, uint64_t ms_of_two) {
    uint64_t tag = begin(3, false);
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_elapse(&rig, ms_of_one);
    rig_answer_read(&rig, 1, &one, NULL);
    rig_elapse(&rig, ms_of_two - ms_of_one);
    rig_answer_read(&rig, 2, &two, NULL);
    rig_expect(&rig, tag, RD_OK);
}

START_TEST(a_spared_replica_is_asked_past_its_own_99th_percentile) {
    struct wire_msg read, other;
    for (int i = 0; i < 16; i++)
        timed_read(5, 5);
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_elapse(&rig, 4);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_elapse(&rig, 1);
    ck_assert_uint_eq(asked_peer(&other), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &other, NULL);
    rig_expect(&rig, tag, RD_OK);
    rig_answer_read(&rig, peer, &read, NULL);
}
END_TEST

START_TEST(the_replica_that_answers_faster_is_asked) {
    for (int i = 0; i < 40; i++)
        timed_read(1, 45);
    for (int i = 0; i < 5; i++) {
        struct wire_msg read;
        uint64_t tag = begin(2, false);
        ck_assert_uint_eq(asked_peer(&read), 1);
        rig_answer_read(&rig, 1, &read, NULL);
        rig_expect(&rig, tag, RD_OK);
    }
}
END_TEST

START_TEST(an_equal_replica_says_the_same) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    struct object own = rig_object(&rig, "k");
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    ck_assert_uint_eq(read.read.digest, object_digest(&own));
    object_free(&own);
    struct wire_msg same = {.kind = WIRE_READ_ANSWER};
    same.read_answer.id = read.read.id;
    same.read_answer.same = 1;
    rig_say(&rig, peer, &same);
    rig_expect_object(&rig, tag, "A1 | A1=a");
    ck_assert_uint_eq(rig.frame_count, 0);
}
END_TEST

START_TEST(the_same_as_nothing_is_no_answer) {
    struct wire_msg read;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    ck_assert_uint_eq(read.read.digest, 0);
    struct wire_msg same = {.kind = WIRE_READ_ANSWER};
    same.read_answer.id = read.read.id;
    same.read_answer.same = 1;
    rig_say(&rig, peer, &same);
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &read, NULL);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(a_peer_that_holds_the_same_is_not_sent_it) {
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    struct object own = rig_object(&rig, "k");
    for (int equal = 0; equal <= 1; equal++) {
        struct wire_msg read = {.kind = WIRE_READ};
        read.read.id = 7;
        read.read.digest = object_digest(&own) + !equal;
        read.read.key = (struct resp_slice){(const uint8_t *)"k", 1};
        rig_say(&rig, 1, &read);
        rig_load_all(&rig);
        struct wire_msg answer = rig_take(&rig, 1, WIRE_READ_ANSWER);
        ck_assert_uint_eq(answer.read_answer.err, RD_OK);
        ck_assert_uint_eq(answer.read_answer.same, equal);
        ck_assert((answer.read_answer.object.len == 0) == equal);
    }
    object_free(&own);
}
END_TEST

START_TEST(a_share_of_the_reads_checks_all_replicas) {
    unsigned checked = 0;
    for (int i = 0; i < 640; i++) {
        uint64_t tag = begin(1, false);
        rig_expect(&rig, tag, RD_OK);
        for (unsigned peer = 1; peer <= 2 && rig_waiting(&rig, peer, WIRE_READ) > 0; peer++) {
            struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
            rig_answer_read(&rig, peer, &read, NULL);
            checked++;
        }
    }
    ck_assert_uint_ge(checked, 4);
    ck_assert_uint_le(checked, 60);
    ck_assert_uint_eq(checked % 2, 0);
}
END_TEST

START_TEST(the_deadline_ends_it_and_the_silent_are_asked_last) {
    struct wire_msg read;
    rig.node->core.conf.read_repair = false; /* or one read in 64 asks all */
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_cut(&rig, 3 - peer);
    rig_elapse(&rig, 500);
    rig_check_error(&rig, tag, RD_ENOQUORUM, "1 of 3 replicas answered, 2 are needed");
    rig_link(&rig, 3 - peer, true);
    rig_drop_frames(&rig);
    tag = begin(2, false);
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &read, NULL);
    rig_expect_object(&rig, tag, "|");
}
END_TEST

START_TEST(a_node_that_is_no_home_asks_the_homes) {
    struct node_conf conf = rig_conf();
    char key[16];
    start(&conf, 4);
    rig_key(&rig, false, 0, key);
    uint64_t tag = rig_get(&rig, key, 2);
    ck_assert_uint_eq(rig.get_count, 0);
    unsigned asked = 0;
    for (unsigned peer = 1; peer <= 4; peer++)
        while (rig_waiting(&rig, peer, WIRE_READ) > 0) {
            struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
            ck_assert(!rig_replied(&rig, tag));
            rig_answer_read(&rig, peer, &read, asked++ == 0 ? "A1 | A1@5=a" : NULL);
        }
    ck_assert_uint_eq(asked, 2);
    rig_expect_object(&rig, tag, "A1 | A1=a");
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(what_is_not_durable_is_not_shown) {
    uint64_t write = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    uint64_t read = rig_get(&rig, "k", 1);
    ck_assert(!rig_replied(&rig, read));
    rig_turn_end(&rig);
    ck_assert(!rig_replied(&rig, read));
    rig_committed(&rig, RD_OK);
    rig_expect_object(&rig, read, "Z.1:1 | Z.1:1=v");
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_expect(&rig, write, RD_OK);
}
END_TEST

START_TEST(answers_of_those_not_asked_do_not_count) {
    struct wire_msg read;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, 3 - peer, &read, "B1 | B1@5=b");
    ck_assert(!rig_replied(&rig, tag));
    struct wire_msg empty = {.kind = WIRE_READ_ANSWER}; /* RD_OK, and no object */
    empty.read_answer.id = read.read.id;
    uint64_t link = rig.peers[peer];
    rig_say(&rig, peer, &empty);
    ck_assert(rig_closed(&rig, link));
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &read, NULL);
    rig_expect_object(&rig, tag, "|");
}
END_TEST

/* ---- repair ---------------------------------------------------------------------------------- */

START_TEST(replicas_that_were_behind_are_repaired) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(3, false);
    read = rig_take(&rig, 1, WIRE_READ);
    rig_answer_read(&rig, 1, &read, "A1 B1 | B1@9=b");
    read = rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 2, &read, NULL);
    rig_expect_object(&rig, tag, "A1 B1 | B1=b"); /* before anything is repaired */
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
    ck_assert_uint_eq(write.write.id, 0);
    rig_check_sent(&write, 0, "A1 B1 | B1=b");
    rig_settle(&rig);
    rig_check_stored(&rig, "k", "A1 B1 | B1=b");
    ck_assert_uint_eq(rig_stats(&rig).read_repairs, 2);
}
END_TEST

START_TEST(equal_replicas_are_left_alone) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    ck_assert_uint_eq(rig.frame_count, 0);
    ck_assert_uint_eq(rig_stats(&rig).read_repairs, 0);
}
END_TEST

START_TEST(a_deletion_is_repaired_too) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, "A1 | | deleted 9");
    rig_expect_object(&rig, tag, "A1 |");
    rig_settle(&rig);
    rig_check_stored(&rig, "k", "A1 |");
}
END_TEST

START_TEST(repair_can_be_switched_off) {
    struct node_conf conf = rig_conf();
    conf.read_repair = false;
    start(&conf, 2);
    struct wire_msg read;
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    ck_assert(!node_has_dirty_rows(rig.node));
    tag = begin(2, true); /* but MONOTONIC does not work without it */
    peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, "A1 | A1@5=a");
    ck_assert(!rig_replied(&rig, tag));
    rig_settle(&rig);
    rig_expect_object(&rig, tag, "A1 | A1=a");
}
END_TEST

START_TEST(a_damaged_row_is_repaired_from_the_others) {
    uint64_t tag = rig_get(&rig, "k", 2);
    rig_got(&rig, RD_ECORRUPT);
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_fail_read(&rig, 1, &one, RD_ECORRUPT);
    rig_answer_read(&rig, 2, &two, "A1 | A1@5=a");
    rig_check_error(&rig, tag, RD_ENOQUORUM, "0 of 3 replicas answered, 2 are needed");

    tag = rig_get(&rig, "k", 1);
    rig_got(&rig, RD_ECORRUPT);
    unsigned peer = asked_peer(&one);
    rig_answer_read(&rig, peer, &one, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    rig_got(&rig, RD_ECORRUPT); /* read once more, to be merged with what is left: nothing */
    rig_settle(&rig);
    rig_check_stored(&rig, "k", "A1 | A1=a");
}
END_TEST

START_TEST(a_damaged_row_elsewhere_is_repaired) {
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_fail_read(&rig, peer, &read, RD_ECORRUPT);
    ck_assert_uint_eq(asked_peer(&read), 3 - peer);
    rig_answer_read(&rig, 3 - peer, &read, "A1 | A1@5=a");
    rig_expect_object(&rig, tag, "A1 | A1=a");
    read = rig_take(&rig, peer, WIRE_WRITE);
    ck_assert_uint_eq(read.write.id, 0);
    rig_check_sent(&read, 0, "A1 | A1=a");
    ck_assert_uint_eq(rig.frame_count, 0);
}
END_TEST

START_TEST(last_write_wins_shows_one) {
    struct node_conf conf = rig_conf();
    conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    start(&conf, 2);
    struct wire_msg read;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(2, false);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, "B1 | B1@9=b");
    rig_expect_object(&rig, tag, "A1 B1 | B1=b");
    struct wire_msg write = rig_take(&rig, peer, WIRE_WRITE);
    rig_check_sent(&write, 0, "A1 B1 | B1=b");
    rig_settle(&rig);
    rig_check_stored(&rig, "k", "A1 B1 | B1=b");
}
END_TEST

/* ---- monotonic reads ------------------------------------------------------------------------- */

/* A monotonic read of all three: this node has A1, peer 1 has A2, peer 2 has nothing. */
static uint64_t begin_monotonic(struct wire_msg *write) {
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = begin(3, true);
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 2, &two, NULL);
    rig_answer_read(&rig, 1, &one, "A2 | A2@9=b");
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    *write = rig_take(&rig, 2, WIRE_WRITE);
    ck_assert_uint_eq(write->write.id, one.read.id);
    rig_check_sent(write, 0, "A2 | A2=b");
    return tag;
}

START_TEST(monotonic_reads_wait_for_their_repairs) {
    struct wire_msg write;
    uint64_t tag = begin_monotonic(&write);
    rig_ack(&rig, 2, &write);
    rig_ack(&rig, 2, &write);
    rig_ack(&rig, 1, &write); /* it was not asked to repair anything */
    ck_assert(!rig_replied(&rig, tag));
    rig_load_all(&rig);
    rig_turn_end(&rig);
    ck_assert(!rig_replied(&rig, tag));
    rig_committed(&rig, RD_OK);
    rig_expect_object(&rig, tag, "A2 | A2=b");
}
END_TEST

START_TEST(monotonic_reads_fail_with_their_repairs) {
    struct wire_msg write;
    for (int way = 0; way < 4; way++) {
        uint64_t tag = begin_monotonic(&write);
        if (way == 0) {
            rig_answer_write(&rig, 2, &write, RD_EIO, NULL);
        } else if (way == 1) {
            rig_cut(&rig, 2);
        } else if (way == 2) {
            rig_elapse(&rig, 500);
        } else {
            rig_load_all(&rig);
            rig_commit(&rig, RD_EIO);
        }
        rig_check_error(&rig, tag, RD_ENOQUORUM, "a replica that was behind could not be repaired");
        rig_settle(&rig);
        if (way == 1)
            rig_link(&rig, 2, true);
        rig_elapse(&rig, 1000); /* so that nobody is thought to be slow */
        rig_drop_frames(&rig);
    }
}
END_TEST

START_TEST(monotonic_reads_need_no_repair_if_all_agree) {
    struct wire_msg read;
    uint64_t tag = begin(2, true);
    unsigned peer = asked_peer(&read);
    rig_answer_read(&rig, peer, &read, NULL);
    rig_expect_object(&rig, tag, "|");
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static unsigned fail_nth;
static bool has_failed;

static void begin_failing(void *arg) {
    (void)arg;
    oom_fail_at(fail_nth);
}

static void stop_failing(void *arg) {
    (void)arg;
    has_failed = oom_stop();
}

/* The last step of a monotonic read, with each of its allocations failing: a reply that is good
 * rests on repairs that were made. */
START_TEST(a_monotonic_read_without_memory_is_no_success) {
    for (unsigned n = 1;; n++) {
        rig_put_object(&rig, "k", "A1 | A1@5=a");
        uint64_t tag = begin(3, true);
        struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
        rig_answer_read(&rig, 2, &two, "A1 | A1@5=a");
        fail_nth = n;
        rig.before_step = begin_failing;
        rig.after_step = stop_failing;
        rig_answer_read(&rig, 1, &one, "A2 | A2@9=b");
        rig.before_step = rig.after_step = NULL;
        bool failed = has_failed;
        rig_settle(&rig);
        bool asked = rig_waiting(&rig, 2, WIRE_WRITE) > 0;
        if (asked) {
            struct wire_msg write = rig_take(&rig, 2, WIRE_WRITE);
            rig_ack(&rig, 2, &write);
        }
        rig_elapse(&rig, 500);
        struct client_reply *reply = rig_reply(&rig, tag);
        if (reply != NULL && reply->err == RD_OK) {
            ck_assert(asked);
            rig_check_stored(&rig, "k", "A2 | A2=b");
        }
        client_reply_free(reply);
        rig_elapse(&rig, 1000);
        rig_drop_frames(&rig);
        if (!failed)
            break;
    }
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("op_read");
    TCase *tcase = tcase_create("quorum");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_replica_is_the_own_one);
    tcase_add_test(tcase, r_replicas_are_asked_and_merged);
    tcase_add_test(tcase, the_configured_r_is_the_default);
    tcase_add_test(tcase, more_than_n_means_all);
    tcase_add_test(tcase, nobody_counts_twice);
    tcase_add_test(tcase, unreachable_replicas_are_said_at_once);
    tcase_add_test(tcase, a_failed_replica_is_replaced_by_the_next);
    tcase_add_test(tcase, a_lost_replica_is_replaced_by_the_next);
    tcase_add_test(tcase, a_slow_own_copy_loses_no_quorum);
    tcase_add_test(tcase, a_failing_disk_is_replaced_by_peers);
    tcase_add_test(tcase, late_replicas_are_helped_by_the_rest);
    tcase_add_test(tcase, a_spared_replica_is_asked_past_its_own_99th_percentile);
    tcase_add_test(tcase, the_replica_that_answers_faster_is_asked);
    tcase_add_test(tcase, an_equal_replica_says_the_same);
    tcase_add_test(tcase, the_same_as_nothing_is_no_answer);
    tcase_add_test(tcase, a_peer_that_holds_the_same_is_not_sent_it);
    tcase_add_test(tcase, a_share_of_the_reads_checks_all_replicas);
    tcase_add_test(tcase, the_deadline_ends_it_and_the_silent_are_asked_last);
    tcase_add_test(tcase, a_node_that_is_no_home_asks_the_homes);
    tcase_add_test(tcase, what_is_not_durable_is_not_shown);
    tcase_add_test(tcase, answers_of_those_not_asked_do_not_count);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("repair");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, replicas_that_were_behind_are_repaired);
    tcase_add_test(tcase, equal_replicas_are_left_alone);
    tcase_add_test(tcase, a_deletion_is_repaired_too);
    tcase_add_test(tcase, repair_can_be_switched_off);
    tcase_add_test(tcase, a_damaged_row_is_repaired_from_the_others);
    tcase_add_test(tcase, a_damaged_row_elsewhere_is_repaired);
    tcase_add_test(tcase, last_write_wins_shows_one);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("monotonic");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, monotonic_reads_wait_for_their_repairs);
    tcase_add_test(tcase, monotonic_reads_fail_with_their_repairs);
    tcase_add_test(tcase, monotonic_reads_need_no_repair_if_all_agree);
    tcase_add_test(tcase, a_monotonic_read_without_memory_is_no_success);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
