/* replication/birth, certificate: how one node, its disk and its peers found a cluster, or do
 * not. */
#include "replication/birth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"

static struct rig rig;

/* An unborn node that knows its id, with `peers` linked and introduced. */
static void start(unsigned peers);

static void setup(void) {
    start(2);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    rig_reset(&rig);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void make_entry(unsigned peer, struct buf *out) {
    struct member member = {.id = rig_id(peer), .generation = 1, .version = 1, .vnodes = 16};
    member.address.port = (uint16_t)(7000 + peer);
    member.cluster_port = (uint16_t)(17000 + peer);
    memset(member.masked_key, (int)peer, sizeof(member.masked_key));
    ck_assert_int_eq(members_encode_one(&member, out), RD_OK);
}

/* Tells the node who peer `who` is, over the link of `by`. */
static void introduce(unsigned by, unsigned who) {
    struct wire_msg msg = {.kind = WIRE_ENTRIES};
    struct buf entry = {0};
    make_entry(who, &entry);
    msg.entries.entries = (struct resp_slice){buf_data(&entry), buf_len(&entry)};
    rig_say(&rig, by, &msg);
    buf_free(&entry);
}

static void start(unsigned peers) {
    struct node_conf conf = rig_conf();
    rig_reset(&rig);
    rig.conf = conf;
    rig_store_identity(&rig);
    rig_start(&rig, &conf);
    rig_settle(&rig);
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    for (unsigned i = 1; i <= peers; i++) {
        rig_link(&rig, i, false);
        introduce(i, i);
    }
    rig_drop_frames(&rig);
}

static enum birth_state state(void) {
    return rig.node->birth.state;
}

/* The stored state. */
static enum birth_state stored_state(void) {
    const struct blob *row = rig_row(&rig, 2, "birth");
    return row == NULL ? BIRTH_UNBORN : (enum birth_state)row->bytes[0];
}

/* The packed view of the node and the peers whose bits are set in `peers` (bit 0: the node). */
static struct buf view_of(unsigned peers) {
    struct buf view = {0};
    for (unsigned i = 0; i < RIG_MAX_PEERS; i++) {
        struct node_id id = rig_id(i);
        if ((peers & 1u << i) != 0)
            ck_assert_int_eq(buf_append(&view, id.bytes, NODE_ID_BYTES), RD_OK);
    }
    return view;
}

static uint64_t hash_of(unsigned peers) {
    struct buf view = view_of(peers);
    uint64_t hash = hash_xxh64(buf_data(&view), buf_len(&view), 1);
    buf_free(&view);
    return hash;
}

/* Peer i asks for the view `peers` with question `number`. */
static void ask(unsigned peer, unsigned peers, uint64_t number, bool finish) {
    struct wire_msg msg = {.kind = WIRE_BIRTH_ASK};
    struct buf view = view_of(peers);
    msg.birth_ask.view = (struct resp_slice){buf_data(&view), buf_len(&view)};
    msg.birth_ask.number = number;
    msg.birth_ask.finish = finish;
    rig_say(&rig, peer, &msg);
    buf_free(&view);
}

static void say(unsigned peer, enum wire_kind kind, unsigned peers, uint64_t number) {
    struct wire_msg msg = {.kind = kind};
    msg.birth.view = hash_of(peers);
    msg.birth.number = number;
    rig_say(&rig, peer, &msg);
}

/* The node has answered peer i's question. */
static void expect_answer(unsigned peer, enum wire_kind kind, unsigned peers, uint64_t number) {
    struct wire_msg msg = rig_take(&rig, peer, kind);
    ck_assert_uint_eq(msg.birth.view, hash_of(peers));
    ck_assert_uint_eq(msg.birth.number, number);
}

/* The node asks peer i for the view `peers`; returns the number. */
static uint64_t expect_ask(unsigned peer, unsigned peers, bool finish) {
    struct wire_msg msg = rig_take(&rig, peer, WIRE_BIRTH_ASK);
    struct buf view = view_of(peers);
    ck_assert_uint_eq(msg.birth_ask.view.len, buf_len(&view));
    ck_assert_mem_eq(msg.birth_ask.view.data, buf_data(&view), buf_len(&view));
    ck_assert_int_eq(msg.birth_ask.finish != 0, finish);
    ck_assert_uint_ne(msg.birth_ask.number, 0);
    buf_free(&view);
    return msg.birth_ask.number;
}

/* A certificate of the members `peers` in the words of peer `by`. */
static struct buf certificate_of(unsigned peers) {
    struct members known = {0};
    struct certificate certificate;
    struct buf entries = {0}, view = view_of(peers), out = {0};
    for (unsigned i = 0; i < RIG_MAX_PEERS; i++)
        if ((peers & 1u << i) != 0)
            make_entry(i, &entries);
    ck_assert_int_eq(
        members_unpack((struct resp_slice){buf_data(&entries), buf_len(&entries)}, &known), RD_OK);
    ck_assert_int_eq(certificate_make(&known, (struct resp_slice){buf_data(&view), buf_len(&view)},
                                      rig.conf.secret, &certificate),
                     RD_OK);
    ck_assert_int_eq(certificate_encode(&certificate, rig.conf.secret, &out), RD_OK);
    certificate_free(&certificate);
    members_free(&known);
    buf_free(&entries);
    buf_free(&view);
    return out;
}

static void tell_born(unsigned peer, unsigned peers) {
    struct wire_msg msg = {.kind = WIRE_BORN};
    struct buf bytes = certificate_of(peers);
    msg.born.certificate = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
    rig_say(&rig, peer, &msg);
    buf_free(&bytes);
}

/* ---- proposing ------------------------------------------------------------------------------- */

START_TEST(alone_it_is_born_with_its_first_write) {
    start(0);
    uint64_t tag = rig_set(&rig, "k", "v");
    ck_assert_int_eq(state(), BIRTH_BOUND);
    rig_turn_end(&rig);
    ck_assert_int_eq(state(), BIRTH_BOUND); /* not before its own promise is on disk */
    rig_committed(&rig, RD_OK);
    ck_assert_int_eq(stored_state(), BIRTH_BOUND);
    ck_assert_int_eq(state(), BIRTH_BORN);
    rig_load_all(&rig);
    rig_turn_end(&rig);
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(rig.put_count, 2); /* the birth and the write, or none of them */
    rig_committed(&rig, RD_OK);
    ck_assert_int_eq(stored_state(), BIRTH_BORN);
    rig_expect(&rig, tag, RD_OK);
    ck_assert(rig_stats(&rig).born);
}
END_TEST

START_TEST(reads_need_no_birth) {
    uint64_t tag = rig_get(&rig, "k", 1);
    rig_load_all(&rig);
    rig_expect_object(&rig, tag, "|");
    ck_assert_int_eq(state(), BIRTH_UNBORN);
}
END_TEST

START_TEST(all_in_reach_must_say_yes) {
    uint64_t tag = rig_set(&rig, "k", "v");
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 7, false);
    ck_assert_uint_eq(expect_ask(2, 7, false), number);
    say(1, WIRE_BIRTH_YES, 7, number);
    say(1, WIRE_BIRTH_YES, 7, number);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(2, WIRE_BIRTH_YES, 3, number); /* to another view */
    say(2, WIRE_BIRTH_YES, 7, number + 2);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(2, WIRE_BIRTH_YES, 7, number);
    ck_assert_int_eq(state(), BIRTH_BORN);
    rig_take(&rig, 1, WIRE_BORN);
    rig_take(&rig, 2, WIRE_BORN);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
    ck_assert_uint_eq(rig.node->birth.certificate.members.count, 3);
    ck_assert_mem_eq(rig.node->birth.certificate.cluster.bytes, rig_id(0).bytes, NODE_ID_BYTES);
}
END_TEST

START_TEST(a_no_withdraws_and_it_is_tried_again) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 7, false);
    expect_ask(2, 7, false);
    say(1, WIRE_BIRTH_NO, 7, number + 2); /* to an earlier question: nothing */
    ck_assert_uint_eq(rig.frame_count, 0);
    say(1, WIRE_BIRTH_NO, 7, number);
    expect_answer(1, WIRE_BIRTH_RELEASE, 7, number);
    expect_answer(2, WIRE_BIRTH_RELEASE, 7, number);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    rig_settle(&rig);
    ck_assert_int_eq(stored_state(), BIRTH_UNBORN);
    rig_elapse(&rig, 99);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    rig_elapse(&rig, 150);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    rig_commit(&rig, RD_OK);
    uint64_t again = expect_ask(1, 7, false);
    expect_ask(2, 7, false);
    ck_assert_uint_ne(again, number);

    /* The answers to the first question arrive: what they promised has been released since. */
    say(1, WIRE_BIRTH_YES, 7, number);
    say(2, WIRE_BIRTH_YES, 7, number);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(1, WIRE_BIRTH_YES, 7, again);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(2, WIRE_BIRTH_NO, 7, again);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_ECLUSTERDOWN);
}
END_TEST

START_TEST(a_proposal_without_answers_is_given_up) {
    rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 7, false);
    say(2, WIRE_BIRTH_YES, 7, number); /* that of 1 is lost */
    rig_elapse(&rig, 999);
    uint64_t tag = rig_set(&rig, "k", "v");
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_BIRTH_RELEASE), 0);
    rig_elapse(&rig, 60);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_BIRTH_RELEASE), 1);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_ECLUSTERDOWN);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(a_lost_peer_is_left_out_of_the_majority) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    expect_ask(1, 7, false);
    expect_ask(2, 7, false);
    rig_cut(&rig, 2);
    rig_take(&rig, 1, WIRE_BIRTH_RELEASE);
    rig_settle(&rig);
    rig_elapse(&rig, 250);
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 7, false); /* the view is what it was */
    say(1, WIRE_BIRTH_YES, 7, number);
    ck_assert_int_eq(state(), BIRTH_BORN);
    ck_assert_uint_eq(rig.node->birth.certificate.members.count, 3);
    rig_take(&rig, 1, WIRE_BORN);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
    rig_drop_frames(&rig);
    rig_link(&rig, 2, false);
    rig_take(&rig, 2, WIRE_BORN); /* the first that it hears */
}
END_TEST

START_TEST(a_minority_founds_nothing) {
    rig_cut(&rig, 1);
    rig_cut(&rig, 2);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_settle(&rig);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    for (int i = 0; i < 10; i++) {
        rig_elapse(&rig, 50);
        rig_settle(&rig);
        ck_assert_int_ne(state(), BIRTH_BORN);
    }
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ECLUSTERDOWN);
    client_reply_free(reply);
    ck_assert_uint_eq(rig.node->parked, 0);
}
END_TEST

START_TEST(a_proposal_that_cannot_be_stored_is_not_made) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_EIO);
    ck_assert_uint_eq(rig.frame_count, 0);
    ck_assert(node_has_dirty_rows(rig.node));
    rig_commit(&rig, RD_OK);
    expect_ask(1, 7, false);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_ECLUSTERDOWN);
}
END_TEST

START_TEST(a_member_known_by_name_only_cannot_be_born_yet) {
    rig_link(&rig, 3, false); /* it has not introduced itself */
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    for (unsigned i = 1; i <= 3; i++)
        say(i, WIRE_BIRTH_YES, 15, expect_ask(i, 15, false));
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    introduce(3, 3);
    rig_settle(&rig);
    rig_drop_frames(&rig);
    rig_elapse(&rig, 250);
    rig_commit(&rig, RD_OK);
    for (unsigned i = 1; i <= 3; i++)
        say(i, WIRE_BIRTH_YES, 15, expect_ask(i, 15, false));
    ck_assert_int_eq(state(), BIRTH_BORN);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    client_reply_free(rig_reply(&rig, tag)); /* by whichever home it went */
}
END_TEST

/* ---- promising ------------------------------------------------------------------------------- */

START_TEST(a_promise_is_said_when_it_is_on_disk) {
    ask(1, 7, 11, false);
    ck_assert_uint_eq(rig.frame_count, 0);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_committed(&rig, RD_EIO);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_commit(&rig, RD_OK);
    expect_answer(1, WIRE_BIRTH_YES, 7, 11);
    ck_assert_int_eq(stored_state(), BIRTH_BOUND);
    ask(1, 7, 13, false); /* asked again: it is on disk already */
    expect_answer(1, WIRE_BIRTH_YES, 7, 13);
}
END_TEST

START_TEST(one_view_at_a_time) {
    ask(1, 7, 11, false);
    rig_settle(&rig);
    expect_answer(1, WIRE_BIRTH_YES, 7, 11);
    ask(2, 5, 12, true);
    expect_answer(2, WIRE_BIRTH_NO, 5, 12);
    ask(2, 7, 14, false); /* the same view may have two proposers */
    rig_settle(&rig);
    expect_answer(2, WIRE_BIRTH_YES, 7, 14);
    say(1, WIRE_BIRTH_RELEASE, 7, 11);
    ck_assert_int_eq(state(), BIRTH_BOUND);
    ask(1, 3, 15, true);
    expect_answer(1, WIRE_BIRTH_NO, 3, 15);
    say(2, WIRE_BIRTH_RELEASE, 5, 14); /* not what was promised */
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(2, WIRE_BIRTH_RELEASE, 7, 14);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    ask(1, 3, 17, true);
    rig_settle(&rig);
    expect_answer(1, WIRE_BIRTH_YES, 3, 17);
}
END_TEST

/* Views asked for by peer 1 of a node that knows peers 1 and 2: bit 3 is a stranger. */
static const struct {
    unsigned peers;
    bool finish, yes;
} views[] = {
    {7, false, true},  {7, true, true},   {3, false, false}, {3, true, true},
    {5, true, false},  {6, false, false}, {6, true, false},  {15, false, false},
    {15, true, false}, {11, true, false}, {1, true, false},  {0, true, false},
};

START_TEST(only_sound_views_are_promised) {
    ask(1, views[_i].peers, 9, views[_i].finish);
    rig_settle(&rig);
    expect_answer(1, views[_i].yes ? WIRE_BIRTH_YES : WIRE_BIRTH_NO, views[_i].peers, 9);
    ck_assert_int_eq(state(), views[_i].yes ? BIRTH_BOUND : BIRTH_UNBORN);
}
END_TEST

START_TEST(malformed_views_are_refused) {
    struct buf view = view_of(7);
    uint8_t bytes[3 * NODE_ID_BYTES + 1];
    memcpy(bytes, buf_data(&view), buf_len(&view));
    buf_free(&view);
    struct wire_msg msg = {.kind = WIRE_BIRTH_ASK};
    msg.birth_ask.finish = 1;
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        if (len % NODE_ID_BYTES == 0 && len > NODE_ID_BYTES)
            continue;
        msg.birth_ask.view = (struct resp_slice){bytes, len};
        rig_say(&rig, 1, &msg);
        rig_take(&rig, 1, WIRE_BIRTH_NO);
    }
    memcpy(bytes + NODE_ID_BYTES, bytes, NODE_ID_BYTES); /* an id twice */
    msg.birth_ask.view = (struct resp_slice){bytes, 3 * NODE_ID_BYTES};
    rig_say(&rig, 1, &msg);
    rig_take(&rig, 1, WIRE_BIRTH_NO);
}
END_TEST

START_TEST(an_overtaken_release_undoes_nothing) {
    ask(1, 7, 11, false);
    rig_settle(&rig);
    expect_answer(1, WIRE_BIRTH_YES, 7, 11);
    ask(1, 7, 13, false);
    rig_settle(&rig);
    expect_answer(1, WIRE_BIRTH_YES, 7, 13);
    say(1, WIRE_BIRTH_RELEASE, 7, 11); /* of the first question, by another link */
    ck_assert_int_eq(state(), BIRTH_BOUND);
    say(1, WIRE_BIRTH_RELEASE, 7, 13);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
}
END_TEST

START_TEST(a_promise_released_and_given_again_waits_for_the_disk_again) {
    ask(1, 7, 11, false);
    say(1, WIRE_BIRTH_RELEASE, 7, 11);
    rig_turn_end(&rig); /* the row says: free */
    ask(1, 7, 13, false);
    rig_committed(&rig, RD_OK);
    ck_assert_int_eq(stored_state(), BIRTH_UNBORN);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_commit(&rig, RD_OK);
    ck_assert_int_eq(stored_state(), BIRTH_BOUND);
    expect_answer(1, WIRE_BIRTH_YES, 7, 13);
    ck_assert_uint_eq(rig.frame_count, 0);
}
END_TEST

START_TEST(a_promise_to_a_lost_proposer_is_finished) {
    ask(1, 3, 11, true); /* the view was made before peer 2 was met */
    rig_settle(&rig);
    expect_answer(1, WIRE_BIRTH_YES, 3, 11);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 3, true);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_BIRTH_ASK), 0);
    say(1, WIRE_BIRTH_YES, 3, number);
    ck_assert_int_eq(state(), BIRTH_BORN);
    ck_assert_uint_eq(rig.node->birth.certificate.members.count, 2);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

/* ---- being told ------------------------------------------------------------------------------ */

START_TEST(a_certificate_is_adopted_and_passed_on) {
    tell_born(1, 7);
    ck_assert_int_eq(state(), BIRTH_BORN);
    struct wire_msg told = rig_take(&rig, 2, WIRE_BORN); /* whom peer 1 may not reach */
    struct buf expected = certificate_of(7);
    ck_assert_uint_eq(told.born.certificate.len, buf_len(&expected));
    ck_assert_mem_eq(told.born.certificate.data, buf_data(&expected), buf_len(&expected));
    buf_free(&expected);
    rig_settle(&rig);
    ck_assert_int_eq(stored_state(), BIRTH_BORN);
    rig_drop_frames(&rig);
    tell_born(2, 7); /* nothing new */
    ck_assert_uint_eq(rig.frame_count, 0);
    ck_assert(!node_has_dirty_rows(rig.node));
    ask(2, 7, 11, false);
    rig_take(&rig, 2, WIRE_BORN);
}
END_TEST

START_TEST(a_certificate_ends_a_promise_and_a_proposal) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    uint64_t number = expect_ask(1, 7, false);
    expect_ask(2, 7, false);
    tell_born(1, 7);
    ck_assert_int_eq(state(), BIRTH_BORN);
    say(1, WIRE_BIRTH_YES, 7, number);
    say(2, WIRE_BIRTH_NO, 7, number);
    ck_assert_int_eq(state(), BIRTH_BORN);
    rig_load_all(&rig);
    rig_take(&rig, 2, WIRE_BORN);
    struct wire_msg two = rig_take(&rig, 2, WIRE_WRITE);
    rig_ack(&rig, 2, &two);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(born_without_it_is_an_outcast) {
    uint64_t link = rig.peers[1];
    tell_born(1, 6);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    struct wire_msg refuse = rig_take_on(&rig, link, WIRE_REFUSE);
    ck_assert_uint_eq(refuse.refuse.outcast, 0);
    ck_assert(rig_closed(&rig, link));
    ck_assert(rig_logged(&rig, "was born without this node, and joining a born cluster is not "
                               "supported yet"));
    struct client_reply *reply = rig_reply(&rig, rig_set(&rig, "k", "v"));
    ck_assert_int_eq(reply->err, RD_ECLUSTERDOWN);
    ck_assert_str_eq(reply->text, "the cluster was born without this node, and joining a born "
                                  "cluster is not supported yet");
    client_reply_free(reply);
    ck_assert(!rig_stats(&rig).open);
}
END_TEST

START_TEST(two_born_clusters_never_merge) {
    tell_born(1, 7);
    rig_settle(&rig);
    rig_drop_frames(&rig);
    uint64_t link = rig.peers[2];
    tell_born(2, 6);
    rig_take_on(&rig, link, WIRE_REFUSE);
    ck_assert(rig_closed(&rig, link));
    ck_assert(rig_logged(&rig, "you were born into another cluster, and clusters that were born "
                               "apart never merge"));
    ck_assert_uint_eq(rig.node->birth.certificate.members.count, 3);
}
END_TEST

START_TEST(damaged_certificates_drop_the_link) {
    struct buf whole = certificate_of(7);
    for (size_t len = 0; len < buf_len(&whole); len += 7) {
        start(2);
        struct wire_msg msg = {.kind = WIRE_BORN};
        msg.born.certificate = (struct resp_slice){buf_data(&whole), len};
        uint64_t link = rig.peers[1];
        rig_say(&rig, 1, &msg);
        ck_assert(rig_closed(&rig, link));
        ck_assert_int_eq(state(), BIRTH_UNBORN);
    }
    buf_free(&whole);
}
END_TEST

START_TEST(two_texts_of_one_birth_become_the_lower) {
    uint64_t tag = rig_set(&rig, "k", "v"); /* this node's text has its own port in it */
    rig_commit(&rig, RD_OK);
    for (unsigned i = 1; i <= 2; i++)
        say(i, WIRE_BIRTH_YES, 7, expect_ask(i, 7, false));
    struct wire_msg told = rig_take(&rig, 1, WIRE_BORN);
    struct buf other = certificate_of(7);
    bool lower = memcmp(buf_data(&other), told.born.certificate.data, buf_len(&other)) < 0;
    rig_settle(&rig);
    tell_born(1, 7);
    ck_assert_int_eq(node_has_dirty_rows(rig.node),
                     lower && buf_len(&other) == told.born.certificate.len);
    buf_free(&other);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

/* ---- restarts -------------------------------------------------------------------------------- */

static void restart(void) {
    struct node_conf conf = rig_conf();
    rig_stop(&rig);
    rig_start(&rig, &conf);
    rig_settle(&rig);
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    rig_drop_frames(&rig);
}

START_TEST(a_promise_survives_a_restart) {
    ask(1, 7, 11, false);
    rig_settle(&rig);
    restart();
    ck_assert_int_eq(state(), BIRTH_BOUND);
    ck_assert_uint_eq(node_member_count(rig.node), 3);
    for (unsigned i = 1; i <= 2; i++) {
        rig_link(&rig, i, false);
        introduce(i, i);
    }
    rig_drop_frames(&rig);
    ask(2, 5, 12, true);
    expect_answer(2, WIRE_BIRTH_NO, 5, 12);
    ask(1, 7, 13, false);
    expect_answer(1, WIRE_BIRTH_YES, 7, 13); /* it is on disk since the life before */
    say(1, WIRE_BIRTH_RELEASE, 7, 13);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
}
END_TEST

START_TEST(a_restored_promise_can_be_released_by_any_number) {
    ask(1, 7, 11, false);
    rig_settle(&rig);
    restart();
    rig_link(&rig, 1, false);
    say(1, WIRE_BIRTH_RELEASE, 7, 11);
    ck_assert_int_eq(state(), BIRTH_UNBORN);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(an_own_proposal_survives_a_restart) {
    rig_set(&rig, "k", "v");
    rig_commit(&rig, RD_OK);
    restart(); /* its client is told by the driver */
    ck_assert_int_eq(state(), BIRTH_BOUND);
    for (unsigned i = 1; i <= 2; i++) {
        rig_link(&rig, i, false);
        introduce(i, i);
    }
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, "k", "v");
    for (unsigned i = 1; i <= 2; i++)
        say(i, WIRE_BIRTH_YES, 7, expect_ask(i, 7, false));
    ck_assert_int_eq(state(), BIRTH_BORN);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

START_TEST(a_birth_survives_a_restart) {
    tell_born(1, 7);
    uint8_t key[CONTEXT_KEY_BYTES];
    memcpy(key, rig.node->birth.certificate.seal_key, sizeof(key));
    rig_settle(&rig);
    restart();
    ck_assert_int_eq(state(), BIRTH_BORN);
    ck_assert_mem_eq(rig.node->birth.certificate.seal_key, key, sizeof(key));
    ck_assert_uint_eq(node_member_count(rig.node), 3);
    ck_assert_uint_gt(rig_stats(&rig).partitions_owned, 0);
    ck_assert(rig_stats(&rig).open);
    rig_link(&rig, 1, true);
    rig_take(&rig, 1, WIRE_BORN);
    rig_drop_frames(&rig);
}
END_TEST

/* ---- damaged rows ---------------------------------------------------------------------------- */

/* node_new with the row "birth" cut to `len` bytes, or whole and with one byte changed. */
static enum rd_err try_row(const struct blob *row, size_t len, size_t at, uint8_t change) {
    struct node_conf conf = rig_conf();
    const uint64_t seed[4] = {9, 9, 9, 9};
    struct node *node = NULL;
    char reason[256] = "";
    struct blob *damaged;
    ck_assert_int_eq(blob_new(row->bytes, len, &damaged), RD_OK);
    if (len > at)
        damaged->bytes[at] ^= change;
    conf.meta_identity = rig_row(&rig, 2, "identity");
    conf.meta_birth = damaged;
    enum rd_err err = node_new(&conf, seed, &node, reason);
    if (err == RD_OK)
        node_free(&node);
    else if (err != RD_ECONF)
        ck_assert_str_eq(reason, "the stored birth certificate is damaged or is another node's");
    blob_unref(damaged);
    return err;
}

START_TEST(damaged_rows_are_refused) {
    for (int born = 0; born <= 1; born++) {
        start(2);
        if (born)
            tell_born(1, 7);
        else
            ask(1, 7, 11, false);
        rig_settle(&rig);
        struct blob *row = rig_row(&rig, 2, "birth");
        ck_assert_int_eq(try_row(row, row->len, 0, 0), RD_OK);
        size_t settings = born ? BIRTH_SETTINGS_BYTES : 0;
        size_t head = born ? 3 + settings + NODE_ID_BYTES + CONTEXT_KEY_BYTES : 2 + NODE_ID_BYTES;
        size_t item = (row->len - head) / 3; /* cut behind one of them it is a smaller whole */
        for (size_t len = 0; len < row->len; len++)
            if (len <= head || (len - head) % item != 0)
                ck_assert_msg(try_row(row, len, len, 0) == RD_ECORRUPT, "%zu bytes", len);
        ck_assert_int_eq(try_row(row, row->len, 0, 0x40), RD_ECORRUPT);
        /* synced; count */
        ck_assert_int_eq(try_row(row, row->len, 1 + settings, 0x40), RD_ECORRUPT);
        ck_assert_int_eq(try_row(row, row->len, head, 1), RD_ECORRUPT); /* of another node */
        for (size_t at = 0; at < row->len; at++)
            for (uint8_t bit = 1; bit != 0; bit <<= 1) { /* the store's checksum guards the rest */
                enum rd_err err = try_row(row, row->len, at, bit);
                bool fixed = at >= 1 && at < 1 + settings;
                ck_assert(fixed ? err == RD_ECONF : err == RD_OK || err == RD_ECORRUPT);
            }
    }
}
END_TEST

/* TRAPS n_val_change: what the birth has fixed stays, also where no peer is there to object. */
START_TEST(settings_are_fixed_at_birth) {
    static const char *const names[] = {"replication-factor", "partitioner", "conflict-resolution",
                                        "partitions", "partitions"};
    const uint64_t seed[4] = {9, 9, 9, 9};
    start(2);
    tell_born(1, 7);
    rig_settle(&rig);
    for (size_t i = 0; i <= sizeof(names) / sizeof(names[0]); i++) {
        struct node_conf conf = rig_conf();
        struct node *node = NULL;
        char reason[256] = "", expected[256];
        conf.meta_identity = rig_row(&rig, 2, "identity");
        conf.meta_birth = rig_row(&rig, 2, "birth");
        conf.n += i == 0;
        conf.partitioner ^= i == 1;
        conf.conflict_resolution ^= i == 2;
        conf.partitions = i == 3 ? conf.partitions * 2 : i == 4 ? 4096 : conf.partitions;
        enum rd_err err = node_new(&conf, seed, &node, reason);
        if (i == sizeof(names) / sizeof(names[0])) {
            ck_assert_int_eq(err, RD_OK);
            node_free(&node);
            break;
        }
        snprintf(expected, sizeof(expected),
                 "'%s' is not what it was when the cluster was born, and cannot change", names[i]);
        ck_assert_int_eq(err, RD_ECONF);
        ck_assert_str_eq(reason, expected);
    }
}
END_TEST

START_TEST(a_stored_unborn_is_unborn) {
    struct node_conf conf = rig_conf();
    const uint64_t seed[4] = {9, 9, 9, 9};
    struct node *node = NULL;
    char reason[256] = "";
    ck_assert_int_eq(blob_new("\0", 1, &conf.meta_birth), RD_OK);
    ck_assert_int_eq(node_new(&conf, seed, &node, reason), RD_OK);
    ck_assert_int_eq(node->birth.state, BIRTH_UNBORN);
    node_free(&node);
    blob_unref(conf.meta_birth);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("birth");
    TCase *tcase = tcase_create("proposing");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, alone_it_is_born_with_its_first_write);
    tcase_add_test(tcase, reads_need_no_birth);
    tcase_add_test(tcase, all_in_reach_must_say_yes);
    tcase_add_test(tcase, a_no_withdraws_and_it_is_tried_again);
    tcase_add_test(tcase, a_proposal_without_answers_is_given_up);
    tcase_add_test(tcase, a_lost_peer_is_left_out_of_the_majority);
    tcase_add_test(tcase, a_minority_founds_nothing);
    tcase_add_test(tcase, a_proposal_that_cannot_be_stored_is_not_made);
    tcase_add_test(tcase, a_member_known_by_name_only_cannot_be_born_yet);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("promising");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_promise_is_said_when_it_is_on_disk);
    tcase_add_test(tcase, one_view_at_a_time);
    tcase_add_loop_test(tcase, only_sound_views_are_promised, 0, sizeof(views) / sizeof(views[0]));
    tcase_add_test(tcase, malformed_views_are_refused);
    tcase_add_test(tcase, an_overtaken_release_undoes_nothing);
    tcase_add_test(tcase, a_promise_released_and_given_again_waits_for_the_disk_again);
    tcase_add_test(tcase, a_promise_to_a_lost_proposer_is_finished);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("being told");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_certificate_is_adopted_and_passed_on);
    tcase_add_test(tcase, a_certificate_ends_a_promise_and_a_proposal);
    tcase_add_test(tcase, born_without_it_is_an_outcast);
    tcase_add_test(tcase, two_born_clusters_never_merge);
    tcase_add_test(tcase, damaged_certificates_drop_the_link);
    tcase_add_test(tcase, two_texts_of_one_birth_become_the_lower);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("restarts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_promise_survives_a_restart);
    tcase_add_test(tcase, a_restored_promise_can_be_released_by_any_number);
    tcase_add_test(tcase, an_own_proposal_survives_a_restart);
    tcase_add_test(tcase, a_birth_survives_a_restart);
    tcase_add_test(tcase, damaged_rows_are_refused);
    tcase_add_test(tcase, settings_are_fixed_at_birth);
    tcase_add_test(tcase, a_stored_unborn_is_unborn);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
