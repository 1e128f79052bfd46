/* replication/op_forward: writes that go to a home of their key, seen from both ends. */
#include "replication/op_forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"

static struct rig rig;

static void start(const struct node_conf *conf, unsigned peers) {
    rig_reset(&rig);
    rig_start_born(&rig, conf, peers, true);
}

static void setup(void) {
    struct node_conf conf = rig_conf();
    start(&conf, 2);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).keys_in_flight, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    rig_reset(&rig);
}

static char key[16]; /* of which the node is no home */

/* Five members, N=3: the node forwards `key`. Returns the tag. */
static uint64_t forward(const char *value) {
    struct node_conf conf = rig_conf();
    start(&conf, 4);
    return rig_set(&rig, rig_key(&rig, false, 0, key), value);
}

/* The peer that has the FORWARD; asserts that one has. */
static unsigned holder(struct wire_msg *msg) {
    unsigned peer = 0;
    for (unsigned i = 1; i <= 4; i++)
        if (rig.peers[i] != 0 && rig_waiting(&rig, i, WIRE_FORWARD) > 0) {
            ck_assert_uint_eq(peer, 0);
            peer = i;
        }
    ck_assert_uint_ne(peer, 0);
    *msg = rig_take(&rig, peer, WIRE_FORWARD);
    return peer;
}

static void answer_forward(unsigned peer, const struct wire_msg *msg, enum rd_err err, bool handled,
                           const char *text) {
    struct wire_msg answer = {.kind = WIRE_FORWARD_ANSWER};
    answer.forward_answer.id = msg->forward.id;
    answer.forward_answer.err = err;
    answer.forward_answer.handled = handled;
    answer.forward_answer.existed = 1;
    answer.forward_answer.text = rig_slice(text);
    answer.forward_answer.context = rig_slice("token");
    rig_say(&rig, peer, &answer);
}

START_TEST(a_home_is_asked_and_its_answer_passed_on) {
    struct wire_msg msg;
    uint64_t tag = forward("v");
    unsigned peer = holder(&msg);
    ck_assert_uint_eq(msg.forward.w, 2);
    ck_assert_uint_eq(msg.forward.flags, 0);
    ck_assert_uint_eq(msg.forward.value.len, 1);
    ck_assert_mem_eq(msg.forward.key.data, key, strlen(key));
    answer_forward(peer % 4 + 1, &msg, RD_OK, true, ""); /* somebody else */
    ck_assert(!rig_replied(&rig, tag));
    answer_forward(peer, &msg, RD_OK, true, "");
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert(reply->existed);
    ck_assert_uint_eq(buf_len(&reply->context), 5);
    client_reply_free(reply);
    answer_forward(peer, &msg, RD_EIO, true, "late");
    ck_assert_uint_eq(rig_stats(&rig).requests_forwarded, 1);
}
END_TEST

START_TEST(errors_are_passed_on_with_their_sentence) {
    struct wire_msg msg;
    char longest[500];
    uint64_t tag = forward(NULL);
    unsigned peer = holder(&msg);
    ck_assert_uint_eq(msg.forward.flags, WIRE_FORWARD_DELETE);
    answer_forward(peer, &msg, RD_ETOOLARGE, true, "too large; nothing was written");
    rig_check_error(&rig, tag, RD_ETOOLARGE, "too large; nothing was written");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    tag = rig_set(&rig, key, "v");
    peer = holder(&msg);
    answer_forward(peer, &msg, (enum rd_err)99, true, longest);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_EREFUSED);
    ck_assert_uint_eq(strlen(reply->text), sizeof(reply->text) - 1);
    client_reply_free(reply);
}
END_TEST

START_TEST(who_turned_it_away_is_followed_by_the_next) {
    struct wire_msg msg;
    uint64_t tag = forward("v");
    unsigned seen = 0;
    for (int i = 0; i < 3; i++) {
        unsigned peer = holder(&msg);
        ck_assert_uint_eq(seen & 1u << peer, 0);
        seen |= 1u << peer;
        ck_assert(!rig_replied(&rig, tag));
        answer_forward(peer, &msg, RD_EOVERLOADED, false, "too many requests in flight");
    }
    rig_check_error(&rig, tag, RD_EOVERLOADED, "too many requests in flight");
    ck_assert_uint_eq(rig_stats(&rig).requests_forwarded, 3);
}
END_TEST

START_TEST(who_may_have_acted_is_followed_by_nobody) {
    struct wire_msg msg;
    uint64_t tag = forward("v");
    unsigned peer = holder(&msg);
    rig_turn_end(&rig);
    rig_cut(&rig, peer);
    rig_check_error(&rig, tag, RD_EUNKNOWN,
                    "the replica that took the write was lost before it answered: "
                    "it may have been written");
    tag = rig_set(&rig, key, "v");
    unsigned second = holder(&msg);
    ck_assert_uint_ne(second, peer);
    rig_elapse_probed(&rig, 500, second);
    rig_check_error(&rig, tag, RD_EUNKNOWN,
                    "the replica that took the write is silent since: it may have been written");
    tag = rig_set(
        &rig, key,
        "v"); /* the silent one is not preferred now, and the other has to answer something first */
    rig_elapse_probed(&rig, 10, second);
    ck_assert_uint_ne(holder(&msg), second);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    for (unsigned i = 1; i <= 4; i++)
        if (rig.peers[i] != 0)
            rig_cut(&rig, i);
    tag = rig_set(&rig, key, "v");
    rig_check_error(&rig, tag, RD_ENOQUORUM,
                    "none of the key's replicas can take it now; nothing was written");
}
END_TEST

/* The link breaks in the turn in which the frame was given to it. */
START_TEST(what_never_left_is_forwarded_again) {
    struct wire_msg msg;
    uint64_t tag = forward("v");
    unsigned first = holder(&msg);
    rig_cut(&rig, first == 1 ? 2 : 1); /* another one's */
    ck_assert(!rig_replied(&rig, tag));
    rig_cut(&rig, first);
    ck_assert(!rig_replied(&rig, tag));
    unsigned second = holder(&msg);
    ck_assert_uint_ne(second, first);
    answer_forward(second, &msg, RD_OK, true, "");
    rig_expect(&rig, tag, RD_OK);
    for (unsigned i = 1; i <= 4; i++)
        if (rig.peers[i] != 0)
            rig_cut(&rig, i);
}
END_TEST

/* A node that stood still does not coordinate what a peer may have asked before. */
START_TEST(writes_of_before_a_pause_are_turned_away) {
    struct wire_msg msg = {.kind = WIRE_FORWARD};
    msg.forward.id = 99;
    msg.forward.w = 1;
    msg.forward.key = rig_slice("k");
    msg.forward.value = rig_slice("v");
    rig.now.mono_us += 10000000;
    rig_say(&rig, 1, &msg);
    struct wire_msg probe = rig_take(&rig, 1, WIRE_PROBE);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert(answer.forward_answer.err == RD_EREFUSED && !answer.forward_answer.handled);
    probe.kind = WIRE_PROBE_ANSWER;
    rig_say(&rig, 1, &probe);
    msg.forward.id = 100;
    rig_say(&rig, 1, &msg);
    rig_load_all(&rig);
    rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert(answer.forward_answer.err == RD_OK && answer.forward_answer.handled);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(a_home_coordinates_for_its_peers) {
    struct wire_msg msg = {.kind = WIRE_FORWARD};
    msg.forward.id = 99;
    msg.forward.w = 1;
    msg.forward.key = rig_slice("k");
    msg.forward.value = rig_slice("v");
    rig_say(&rig, 1, &msg);
    rig_load_all(&rig);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_FORWARD_ANSWER), 0);
    rig_take(&rig, 1, WIRE_WRITE);
    rig_take(&rig, 2, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.id, 99);
    ck_assert_uint_eq(answer.forward_answer.err, RD_OK);
    ck_assert_uint_eq(answer.forward_answer.handled, 1);
    rig_say(&rig, 1, &msg); /* the same once more is not coordinated once more */
    ck_assert_uint_eq(rig.get_count, 0);
    ck_assert_uint_eq(rig.frame_count, 0);
    msg.forward.id++;
    msg.forward.flags = WIRE_FORWARD_DELETE;
    rig_say(&rig, 1, &msg);
    rig_load_all(&rig);
    rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.existed, 1);
    msg.forward.id++;
    rig_say(&rig, 1, &msg);
    rig_cut(&rig, 1); /* the write goes on without it */
    rig_load_all(&rig);
    rig_settle(&rig);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(who_is_no_home_turns_it_away) {
    struct node_conf conf = rig_conf();
    start(&conf, 4);
    struct wire_msg msg = {.kind = WIRE_FORWARD};
    msg.forward.id = 99;
    msg.forward.key = rig_slice(rig_key(&rig, false, 0, key));
    rig_say(&rig, 1, &msg);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.err, RD_EREFUSED);
    ck_assert_uint_eq(answer.forward_answer.handled, 0);
}
END_TEST

/* Only who is asked as a fallback takes what it is no home of; and it looks for a home first. */
START_TEST(a_fallback_takes_what_no_home_takes) {
    struct node_conf conf = rig_conf();
    conf.sloppy_quorum = conf.hinted_handoff = true;
    conf.max_hint_bytes = 1000;
    start(&conf, 4);
    struct wire_msg msg = {.kind = WIRE_FORWARD}, forwarded;
    msg.forward.id = 99;
    msg.forward.w = 1;
    msg.forward.flags = WIRE_FORWARD_STAND_IN;
    msg.forward.key = rig_slice(rig_key(&rig, false, 0, key));
    msg.forward.value = rig_slice("v");
    rig_say(&rig, 1, &msg);
    for (int i = 0; i < 3; i++) {
        unsigned home = holder(&forwarded);
        ck_assert_uint_eq(forwarded.forward.flags, 0);
        ck_assert_uint_eq(rig.get_count, 0);
        answer_forward(home, &forwarded, RD_EFULL, false, "");
    }
    rig_settle(&rig); /* all of them are full: now it does it itself */
    for (unsigned i = 1; i <= 4; i++)
        if (rig_waiting(&rig, i, WIRE_WRITE) > 0) {
            struct wire_msg write = rig_take(&rig, i, WIRE_WRITE);
            rig_ack(&rig, i, &write);
        }
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.err, RD_OK);
    ck_assert_uint_eq(answer.forward_answer.handled, 1);
    rig_settle(&rig);
}
END_TEST

/* A home whose disk takes no writes asks the other homes, then fallbacks, and says so when there is nobody. */
START_TEST(a_full_home_finds_somebody) {
    struct node_conf conf = rig_conf();
    struct wire_msg msg;
    conf.sloppy_quorum = conf.hinted_handoff = true;
    conf.max_hint_bytes = 1000;
    start(&conf, 4);
    rig_key(&rig, true, 0, key);
    uint64_t tag = rig_set(&rig, key, "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_EFULL);
    rig_expect(&rig, tag, RD_EFULL);
    rig_drop_frames(&rig);
    tag = rig_set(&rig, key, "v");
    unsigned seen = 0;
    for (int i = 0; i < 4; i++) {
        unsigned peer = holder(&msg);
        ck_assert_uint_eq(seen & 1u << peer, 0);
        seen |= 1u << peer;
        ck_assert_uint_eq(msg.forward.flags, i < 2 ? 0 : WIRE_FORWARD_STAND_IN);
        if (i < 3)
            answer_forward(peer, &msg, RD_EFULL, false, "full");
        else
            answer_forward(peer, &msg, RD_OK, true, "");
    }
    rig_expect(&rig, tag, RD_OK);
    for (unsigned i = 1; i <= 4; i++)
        rig_cut(&rig, i);
    tag = rig_set(&rig, key, "v");
    rig_check_error(&rig, tag, RD_EFULL,
                    "the disk takes no writes (no space left); nothing was written");
}
END_TEST

/* Nobody can take a forwarded write back: a home that owes an answer already is not the one to ask. */
START_TEST(a_home_that_owes_an_answer_is_passed_over) {
    struct wire_msg msg, other;
    uint64_t tag = forward("v");
    unsigned first = holder(&msg);
    uint64_t again = rig_set(&rig, key, "w");
    ck_assert_uint_eq(holder(&other), first); /* it owes it for no time at all */
    rig_elapse(&rig, 10);
    uint64_t third = rig_set(&rig, key, "x");
    unsigned second = holder(&other);
    ck_assert_uint_ne(second, first);
    answer_forward(second, &other, RD_OK, true, "");
    rig_expect(&rig, third, RD_OK);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    rig_expect(&rig, again, RD_EUNKNOWN);
}
END_TEST

START_TEST(a_forwarded_context_is_checked_by_the_home) {
    struct wire_msg msg = {.kind = WIRE_FORWARD};
    msg.forward.id = 99;
    msg.forward.key = rig_slice("k");
    msg.forward.flags = WIRE_FORWARD_WITH_CONTEXT | WIRE_FORWARD_HAS_CONTEXT;
    msg.forward.context = rig_slice("rubbish");
    rig_say(&rig, 1, &msg);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.err, RD_EBADCONTEXT);
    ck_assert_uint_eq(answer.forward_answer.handled, 0);
    msg.forward.id++;
    struct buf token = {0};
    struct object none = {0};
    ck_assert_int_eq(node_seal(rig.node, "k", 1, &none, &token), RD_OK);
    msg.forward.context = (struct resp_slice){buf_data(&token), buf_len(&token)};
    msg.forward.value = rig_slice("v");
    msg.forward.w = 1;
    rig_say(&rig, 1, &msg);
    rig_settle(&rig);
    rig_take(&rig, 1, WIRE_WRITE);
    answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.err, RD_OK);
    ck_assert_uint_gt(answer.forward_answer.context.len, 0);
    buf_free(&token);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("op_forward");
    TCase *tcase = tcase_create("forwarding");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_home_is_asked_and_its_answer_passed_on);
    tcase_add_test(tcase, errors_are_passed_on_with_their_sentence);
    tcase_add_test(tcase, who_turned_it_away_is_followed_by_the_next);
    tcase_add_test(tcase, who_may_have_acted_is_followed_by_nobody);
    tcase_add_test(tcase, what_never_left_is_forwarded_again);
    tcase_add_test(tcase, writes_of_before_a_pause_are_turned_away);
    tcase_add_test(tcase, a_home_coordinates_for_its_peers);
    tcase_add_test(tcase, who_is_no_home_turns_it_away);
    tcase_add_test(tcase, a_fallback_takes_what_no_home_takes);
    tcase_add_test(tcase, a_full_home_finds_somebody);
    tcase_add_test(tcase, a_home_that_owes_an_answer_is_passed_over);
    tcase_add_test(tcase, a_forwarded_context_is_checked_by_the_home);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
