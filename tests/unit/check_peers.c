/* replication/peers: dials, links and their ends, on one node whose peers the test plays. */
#include "replication/peers.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"

static struct rig rig;

static void setup(void) {
    struct node_conf conf = rig_conf();
    rig_start_born(&rig, &conf, 2, false);
}

static void teardown(void) {
    rig_reset(&rig);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Takes the dial to peer i's port; 0: there is none. */
static uint64_t take_dial(unsigned peer) {
    for (size_t i = 0; i < rig.dial_count; i++) {
        struct effect dial = rig.dials[i];
        if (dial.dial.port != 17000 + peer)
            continue;
        memmove(rig.dials + i, rig.dials + i + 1, (rig.dial_count - i - 1) * sizeof(dial));
        rig.dial_count--;
        return dial.dial.dial;
    }
    return 0;
}

static void fail_dial(uint64_t dial) {
    struct event event = {.kind = EV_DIAL_FAILED};
    event.dial_failed.dial = dial;
    rig_step(&rig, &event);
}

static void link_down(uint64_t link) {
    struct event event = {.kind = EV_LINK_DOWN};
    event.link_down.link = link;
    rig_step(&rig, &event);
}

static uint64_t connect_link(uint64_t dial) {
    struct event event = {.kind = EV_LINK_UP};
    event.link_up.link = ++rig.next_link;
    event.link_up.dial = dial;
    event.link_up.host = "127.0.0.1";
    rig_step(&rig, &event);
    return event.link_up.link;
}

/* Waits until peer i is dialled; returns the dial. At most `ms`. */
static uint64_t await_dial(unsigned peer, uint64_t ms) {
    for (uint64_t waited = 0; waited <= ms; waited += 10) {
        uint64_t dial = take_dial(peer);
        if (dial != 0)
            return dial;
        rig_elapse(&rig, 10);
    }
    ck_abort_msg("peer %u is not dialled", peer);
    return 0;
}

static bool reachable(uint16_t member) {
    return peers_reachable(&rig.node->peers, member);
}

/* Starts an unborn node with seeds at the ports 17001.. of `hosts` hosts. */
static void start_with_seeds(size_t seeds) {
    struct node_address addresses[4] = {{{0}, 0}};
    struct node_conf conf = rig_conf();
    for (size_t i = 0; i < seeds; i++) {
        snprintf(addresses[i].host, NODE_HOST_BYTES, "seed");
        addresses[i].port = (uint16_t)(17001 + i);
    }
    conf.seeds = addresses;
    conf.seed_count = seeds;
    conf.announce_host[0] = 0;
    rig_reset(&rig);
    rig.conf = conf;
    rig_store_identity(&rig);
    rig_start(&rig, &conf);
    ck_assert_uint_eq(rig.dial_count, 0);
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    ck_assert_uint_eq(rig.dial_count, 0); /* its id is not on disk yet */
    ck_assert_uint_eq(node_deadline_us(rig.node), UINT64_MAX);
    uint64_t early = connect_link(0);
    ck_assert(rig_closed(&rig, early));
    rig_settle(&rig);
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    ck_assert_uint_eq(rig.dial_count, seeds);
}

/* ---- dialling -------------------------------------------------------------------------------- */

START_TEST(members_are_dialled_and_answered) {
    uint64_t one = take_dial(1), two = take_dial(2);
    ck_assert(one != 0 && two != 0 && one != two);
    rig_accept(&rig, one, 1, true);
    ck_assert(reachable(1) && !reachable(2));
    ck_assert_uint_eq(peers_reachable_count(&rig.node->peers), 1);
    rig_take(&rig, 1, WIRE_BORN);
    rig_take(&rig, 1, WIRE_ENTRIES);
    rig_elapse(&rig, 2000);
    ck_assert_uint_eq(take_dial(1), 0);
    ck_assert_uint_eq(take_dial(2), 0); /* one dial at a time, however long it takes */
    rig_accept(&rig, two, 2, true);
    ck_assert(reachable(2));
}
END_TEST

START_TEST(failed_dials_are_repeated_with_a_bounded_pause) {
    uint64_t dial = take_dial(1), pause = 0, longest = 0;
    for (int i = 0; i < 12; i++) {
        fail_dial(dial);
        fail_dial(dial); /* said twice: nothing */
        uint64_t from = rig.now.mono_us;
        dial = await_dial(1, 2000);
        pause = rig.now.mono_us - from;
        longest = pause > longest ? pause : longest;
        ck_assert_uint_ge(pause, i == 0 ? 50000 : 100000);
    }
    ck_assert_uint_ge(pause, 1000000);
    ck_assert_uint_le(longest, 1000000 * 3 / 2 + PEERS_TICK_US + 20000);
    rig_accept(&rig, dial, 1, true);
    rig_cut(&rig, 1); /* after a success it begins anew */
    uint64_t from = rig.now.mono_us;
    await_dial(1, 200);
    ck_assert_uint_le(rig.now.mono_us - from, 75000 + PEERS_TICK_US + 20000);
}
END_TEST

START_TEST(broken_links_are_redialled_while_the_other_serves) {
    rig_link(&rig, 1, true);
    uint64_t outgoing = rig_accept(&rig, take_dial(1), 1, true);
    rig_drop_frames(&rig);
    uint64_t tag = rig_get(&rig, "k", 2); /* over the outgoing link */
    rig_load_all(&rig);
    rig_take_on(&rig, outgoing, WIRE_READ);
    link_down(outgoing);
    struct client_reply *reply = rig_reply(&rig, tag); /* peer 2 is not there */
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    client_reply_free(reply);
    ck_assert(reachable(1)); /* by the incoming one */
    await_dial(1, 200);
}
END_TEST

START_TEST(frames_of_closed_links_are_ignored) {
    uint64_t link = rig_link(&rig, 1, true);
    link_down(link);
    link_down(link);
    struct wire_msg ping = {.kind = WIRE_PING};
    rig_say_on(&rig, link, &ping);
    rig_drop_frames(&rig);
    rig_say_on(&rig, 4711, &ping);
    ck_assert_uint_eq(rig.frame_count, 0);
    fail_dial(0);
    fail_dial(4711);
    uint64_t unknown = connect_link(4711); /* a dial that nobody made */
    ck_assert(rig_closed(&rig, unknown));
}
END_TEST

/* ---- one link each way ----------------------------------------------------------------------- */

START_TEST(the_newest_incoming_link_counts) {
    uint64_t old = rig_link(&rig, 1, true);
    uint64_t next = rig_link(&rig, 1, true);
    ck_assert(rig_closed(&rig, old));
    ck_assert(!rig_closed(&rig, next));
    ck_assert(reachable(1));
    rig_drop_frames(&rig);
    struct wire_msg ping = {.kind = WIRE_PING};
    rig_say_on(&rig, next, &ping);
    rig_take_on(&rig, next, WIRE_PONG);
}
END_TEST

START_TEST(a_second_way_to_the_same_node_ends_before_it_is_used) {
    start_with_seeds(2); /* two names of one node */
    rig_accept(&rig, take_dial(1), 1, false);
    rig_drop_frames(&rig);
    struct core core = {.conf = rig.conf, .self = rig_id(1)};
    struct handshake_facts mine, theirs = {.born = false};
    struct wire_msg msg;
    uint8_t proof[HASH_HMAC_BYTES];
    uint64_t link = connect_link(take_dial(2));
    struct wire_msg hello = rig_take_on(&rig, link, WIRE_HELLO);
    prng_seed(&core.prng, 5);
    memcpy(theirs.node.bytes, hello.hello.node.data, NODE_ID_BYTES);
    memcpy(theirs.nonce, hello.hello.nonce.data, HANDSHAKE_NONCE_BYTES);
    handshake_own(&core, NULL, &mine);
    handshake_prove("s", false, &theirs, &mine, proof);
    handshake_hello(&core, &mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(&rig, link, &msg);
    ck_assert_uint_eq(rig.frame_count, 0); /* no PROOF: the peer keeps the first link */
    ck_assert(rig_closed(&rig, link));
    ck_assert(reachable(1));
    ck_assert(peers_met_enough(&rig.node->peers)); /* the second seed has been met all the same */
    rig_elapse(&rig, 3000);
    ck_assert_uint_eq(rig.dial_count, 0);
}
END_TEST

/* ---- seeds ----------------------------------------------------------------------------------- */

/* The node's hello reaches the node itself. */
static void meet_self(uint64_t dial) {
    uint64_t out = connect_link(dial);
    struct wire_msg hello = rig_take_on(&rig, out, WIRE_HELLO);
    uint64_t in = connect_link(0);
    rig_say_on(&rig, in, &hello);
    ck_assert(rig_closed(&rig, in));
    ck_assert(rig_closed(&rig, out));
    ck_assert_uint_eq(rig.frame_count, 0);
}

START_TEST(the_node_itself_may_be_a_seed) {
    start_with_seeds(1);
    ck_assert(!rig_stats(&rig).open);
    meet_self(take_dial(1));
    ck_assert(rig_stats(&rig).open);
    rig_elapse(&rig, 3000);
    ck_assert_uint_eq(rig.dial_count, 0);
    ck_assert_uint_eq(node_member_count(rig.node), 1);
}
END_TEST

START_TEST(all_seeds_must_be_met) {
    start_with_seeds(3);
    meet_self(take_dial(1));
    rig_accept(&rig, take_dial(2), 1, false);
    uint64_t third = take_dial(3);
    struct client_reply *reply = rig_reply(&rig, rig_get(&rig, "k", 1));
    ck_assert_int_eq(reply->err, RD_ECLUSTERDOWN);
    ck_assert_str_eq(reply->text, "this node has not met its seeds yet");
    client_reply_free(reply);
    ck_assert(!rig_stats(&rig).open);
    rig_accept(&rig, third, 2, false);
    ck_assert(rig_stats(&rig).open);
}
END_TEST

START_TEST(one_other_and_ten_seconds_are_enough) {
    start_with_seeds(2);
    uint64_t second = take_dial(2);
    rig_elapse(&rig, 11000);
    ck_assert(!rig_stats(&rig).open); /* nobody at all is not enough */
    rig_accept(&rig, second, 2, false);
    ck_assert(rig_stats(&rig).open);
}
END_TEST

START_TEST(oneself_and_ten_seconds_are_not_enough) {
    start_with_seeds(2);
    meet_self(take_dial(1));
    rig_elapse(&rig, 60000);
    ck_assert(!rig_stats(&rig).open);
}
END_TEST

START_TEST(seeds_are_redialled_when_their_node_is_out_of_reach) {
    start_with_seeds(1);
    rig_accept(&rig, take_dial(1), 1, false);
    rig_elapse(&rig, 1000);
    ck_assert_uint_eq(rig.dial_count, 0);
    rig_cut(&rig, 1);
    await_dial(1, 200);
    ck_assert(rig_stats(&rig).open); /* met is met */
}
END_TEST

START_TEST(a_node_learns_its_address_from_the_first_peer) {
    start_with_seeds(1);
    ck_assert_str_eq(rig.node->members.items[0].address.host, "");
    uint64_t version = rig.node->members.items[0].version;
    rig_accept(&rig, take_dial(1), 1, false);
    ck_assert_str_eq(rig.node->members.items[0].address.host, "127.0.0.1");
    ck_assert_uint_gt(rig.node->members.items[0].version, version);
}
END_TEST

/* ---- silence --------------------------------------------------------------------------------- */

/* First the end that has dialled pings. */
START_TEST(quiet_links_are_pinged_and_silent_ones_dropped) {
    bool outgoing = _i == 1;
    uint64_t link =
        outgoing ? rig_accept(&rig, await_dial(1, 100), 1, true) : rig_link(&rig, 1, true);
    rig_drop_frames(&rig);
    rig_elapse(&rig, outgoing ? 1200 : 1500);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_PING), 0);
    rig_elapse(&rig, 250);
    rig_take(&rig, 1, WIRE_PING);
    struct wire_msg pong = {.kind = WIRE_PONG};
    rig_say(&rig, 1, &pong);
    rig_elapse(&rig, 4900);
    ck_assert(reachable(1));
    ck_assert_uint_gt(rig_waiting(&rig, 1, WIRE_PING), 0);
    ck_assert_uint_lt(rig_waiting(&rig, 1, WIRE_PING), 10);
    rig_elapse(&rig, 300);
    ck_assert(rig_closed(&rig, link));
    ck_assert(!reachable(1));
    ck_assert(rig_logged(&rig, "The link to 127.0.0.1:17001 has been silent for 5"));
}
END_TEST

START_TEST(pings_are_answered) {
    rig_link(&rig, 1, true);
    rig_drop_frames(&rig);
    struct wire_msg ping = {.kind = WIRE_PING};
    for (int i = 0; i < 20; i++) {
        rig_elapse(&rig, 1000);
        rig_drop_frames(&rig);
        rig_say(&rig, 1, &ping);
        rig_take(&rig, 1, WIRE_PONG);
    }
    ck_assert(reachable(1));
}
END_TEST

START_TEST(handshakes_that_stop_are_dropped) {
    uint64_t incoming = connect_link(0), outgoing = connect_link(take_dial(1));
    rig_drop_frames(&rig);
    rig_elapse(&rig, 4900);
    ck_assert(!rig_closed(&rig, incoming) && !rig_closed(&rig, outgoing));
    rig_elapse(&rig, 300);
    ck_assert(rig_closed(&rig, incoming) && rig_closed(&rig, outgoing));
    await_dial(1, 300);
}
END_TEST

/* ---- what others see ------------------------------------------------------------------------- */

START_TEST(states_of_members) {
    struct member_view view;
    rig_link(&rig, 1, true);
    node_member(rig.node, 0, rig.now, &view);
    ck_assert(view.self && view.state == MEMBER_UP && view.heard_ms == 0);
    node_member(rig.node, 1, rig.now, &view);
    ck_assert_int_eq(view.state, MEMBER_UP);
    node_member(rig.node, 2, rig.now, &view);
    ck_assert_int_eq(view.state, MEMBER_SUSPECT); /* it may still come */
    ck_assert_uint_eq(rig_stats(&rig).members_up, 2);
    rig_cut(&rig, 1);
    node_member(rig.node, 1, rig.now, &view);
    ck_assert_int_eq(view.state, MEMBER_SUSPECT);
    ck_assert_uint_eq(rig_stats(&rig).members_up, 1);
    rig_elapse(&rig, 5050);
    for (uint16_t i = 1; i <= 2; i++) {
        node_member(rig.node, i, rig.now, &view);
        ck_assert_int_eq(view.state, MEMBER_DOWN);
    }
    ck_assert_uint_ge(view.heard_ms, 5050);
    rig_link(&rig, 1, true);
    node_member(rig.node, 1, rig.now, &view);
    ck_assert_int_eq(view.state, MEMBER_UP);
    ck_assert(rig_logged(&rig, "is down") && !rig_logged(&rig, "is up"));
    rig_elapse(&rig, 50);
    ck_assert(rig_logged(&rig, "is up"));
}
END_TEST

/* ---- probes ---------------------------------------------------------------------------------- */

static struct wire_msg probe_answer(const struct wire_msg *probe) {
    struct wire_msg answer = *probe;
    answer.kind = WIRE_PROBE_ANSWER;
    return answer;
}

static struct resp_slice id_slice(unsigned peer) {
    static struct node_id ids[RIG_MAX_PEERS];
    ids[peer] = rig_id(peer);
    return (struct resp_slice){ids[peer].bytes, NODE_ID_BYTES};
}

static bool healthy(uint16_t member) {
    return peers_healthy(&rig.node->peers, member);
}

START_TEST(who_is_silent_is_probed_then_suspect_until_it_answers) {
    rig_link(&rig, 1, true);
    rig_link(&rig, 2, true);
    rig_drop_frames(&rig);
    watch_asked(&rig.node->peers.failure, &rig.node->peers.peers[1].watch);
    rig_elapse(&rig, 100);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_PROBE), 1);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_PROBE), 0); /* no relay yet */
    ck_assert(healthy(1));
    rig_elapse(&rig, 50);
    struct wire_msg relayed = rig_take(&rig, 2, WIRE_PROBE);
    ck_assert_mem_eq(relayed.probe.target.data, rig_id(1).bytes, NODE_ID_BYTES);
    rig_elapse(&rig, 150);
    ck_assert(!healthy(1) && reachable(1) && healthy(2));
    struct wire_msg last = {0};
    while (rig_waiting(&rig, 1, WIRE_PROBE) > 0)
        last = rig_take(&rig, 1, WIRE_PROBE);
    ck_assert_uint_eq(last.probe.asker.len, 0);
    struct wire_msg answer = probe_answer(&last);
    rig_say(&rig, 1, &answer);
    ck_assert(healthy(1));
}
END_TEST

START_TEST(a_probe_is_passed_on_and_its_answer_brought_back) {
    rig_link(&rig, 1, true);
    rig_link(&rig, 2, true);
    rig_drop_frames(&rig);
    struct wire_msg ask = {.kind = WIRE_PROBE, .probe = {.sent_us = 77, .target = id_slice(2)}};
    rig_say(&rig, 1, &ask);
    struct wire_msg passed = rig_take(&rig, 2, WIRE_PROBE);
    ck_assert_uint_eq(passed.probe.sent_us, 77);
    ck_assert_uint_eq(passed.probe.target.len, 0);
    ck_assert_mem_eq(passed.probe.asker.data, rig_id(1).bytes, NODE_ID_BYTES);
    struct wire_msg answer = probe_answer(&passed);
    rig_say(&rig, 2, &answer);
    struct wire_msg back = rig_take(&rig, 1, WIRE_PROBE_ANSWER);
    ck_assert_uint_eq(back.probe.sent_us, 77);
    ck_assert_uint_eq(back.probe.asker.len, 0);
    ck_assert_mem_eq(back.probe.target.data, rig_id(2).bytes, NODE_ID_BYTES);
    rig_elapse(&rig, 50); /* who was doubted elsewhere is probed from here too */
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_PROBE), 1);
}
END_TEST

START_TEST(probes_are_answered_with_what_they_brought) {
    rig_link(&rig, 1, true);
    rig_drop_frames(&rig);
    struct wire_msg ask = {.kind = WIRE_PROBE, .probe = {.sent_us = 5, .asker = id_slice(2)}};
    rig_say(&rig, 1, &ask);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_PROBE_ANSWER);
    ck_assert_uint_eq(answer.probe.sent_us, 5);
    ck_assert_mem_eq(answer.probe.asker.data, rig_id(2).bytes, NODE_ID_BYTES);
}
END_TEST

/* What cannot be understood ends the link; whom nobody knows is passed over. */
START_TEST(strange_probes) {
    static const struct wire_msg strange[] = {
        {.kind = WIRE_PROBE, .probe = {.target = {(const uint8_t *)"short", 5}}},
        {.kind = WIRE_PROBE_ANSWER, .probe = {.asker = {(const uint8_t *)"short", 5}}},
        {.kind = WIRE_PROBE,
         .probe = {.asker = {(const uint8_t *)"12345678901234567890", 20},
                   .target = {(const uint8_t *)"12345678901234567890", 20}}},
    };
    rig_link(&rig, 2, true);
    for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
        uint64_t link = rig_link(&rig, 1, true);
        rig_say_on(&rig, link, &strange[i]);
        ck_assert(rig_closed(&rig, link));
    }
    uint64_t link = rig_link(&rig, 1, true);
    rig_drop_frames(&rig);
    for (unsigned who = 0; who <= 5; who += 5)
        for (int answer = 0; answer <= 1; answer++)
            for (int asker = 0; asker <= 1; asker++) {
                struct wire_msg msg = {.kind = answer ? WIRE_PROBE_ANSWER : WIRE_PROBE};
                msg.probe.sent_us = UINT64_MAX;
                *(asker ? &msg.probe.asker : &msg.probe.target) = id_slice(who);
                rig_say_on(&rig, link, &msg);
            }
    ck_assert(!rig_closed(&rig, link));
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_PROBE), 0);
    ck_assert(healthy(1) && healthy(2));
}
END_TEST

/* The process stands still for ten seconds: nobody is accused, links get their time anew, and a
 * read of the own copy alone waits for a word from outside. */
START_TEST(who_stood_still_believes_nobody_and_accuses_nobody) {
    rig_link(&rig, 1, true);
    rig_link(&rig, 2, true);
    rig_elapse(&rig, 200);
    rig_drop_frames(&rig);
    rig.now.mono_us += 10000000;
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    ck_assert(reachable(1) && reachable(2) && !healthy(1) && !healthy(2));
    ck_assert(!peers_view_is_fresh(&rig.node->peers));
    ck_assert_uint_eq(rig_stats(&rig).members_up, 3);
    struct wire_msg probe = rig_take(&rig, 1, WIRE_PROBE);
    uint64_t read = rig_get(&rig, "k", 1);
    rig_load_all(&rig);
    ck_assert(!rig_replied(&rig, read));
    struct wire_msg old = probe_answer(&probe);
    old.probe.sent_us -= 1; /* to a probe of before */
    rig_say(&rig, 1, &old);
    ck_assert(!healthy(1) && !peers_view_is_fresh(&rig.node->peers));
    struct wire_msg answer = probe_answer(&probe);
    rig_say(&rig, 1, &answer);
    ck_assert(healthy(1) && !healthy(2) && peers_view_is_fresh(&rig.node->peers));
    uint64_t second = rig_get(&rig, "k", 1);
    rig_load_all(&rig);
    rig_expect(&rig, second, RD_OK);
    rig_elapse(&rig, 600);
    rig_expect(&rig, read, RD_ENOQUORUM);
}
END_TEST

START_TEST(garbage_fills_no_log) {
    rig_link(&rig, 2, true);
    for (int i = 0; i < 20; i++) {
        uint64_t link = rig_link(&rig, 1, true);
        struct wire_msg garbage = {.kind = WIRE_DIGEST};
        garbage.digest.lines = (struct resp_slice){(const uint8_t *)"x", 1};
        rig_say_on(&rig, link, &garbage);
        ck_assert(rig_closed(&rig, link));
        ck_assert(
            rig_logged(&rig, "Dropped the link to the peer at 127.0.0.1:17001: it sent a frame"));
        ck_assert_uint_eq(rig.node->peers.said_count, 1); /* the others are lines of LOG_DEBUG */
    }
    ck_assert_uint_eq(rig_stats(&rig).frames_refused, 20);
}
END_TEST

START_TEST(a_random_peer_is_one_in_reach) {
    ck_assert_uint_eq(peers_random(&rig.node->peers), MEMBER_NONE);
    rig_link(&rig, 2, true);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(peers_random(&rig.node->peers), 2);
    rig_link(&rig, 1, true);
    unsigned seen = 0;
    for (int i = 0; i < 50; i++)
        seen |= 1u << peers_random(&rig.node->peers);
    ck_assert_uint_eq(seen, 6);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("peers");
    TCase *tcase = tcase_create("dialling");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, members_are_dialled_and_answered);
    tcase_add_test(tcase, failed_dials_are_repeated_with_a_bounded_pause);
    tcase_add_test(tcase, broken_links_are_redialled_while_the_other_serves);
    tcase_add_test(tcase, frames_of_closed_links_are_ignored);
    tcase_add_test(tcase, the_newest_incoming_link_counts);
    tcase_add_test(tcase, a_second_way_to_the_same_node_ends_before_it_is_used);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("seeds");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_node_itself_may_be_a_seed);
    tcase_add_test(tcase, all_seeds_must_be_met);
    tcase_add_test(tcase, one_other_and_ten_seconds_are_enough);
    tcase_add_test(tcase, oneself_and_ten_seconds_are_not_enough);
    tcase_add_test(tcase, seeds_are_redialled_when_their_node_is_out_of_reach);
    tcase_add_test(tcase, a_node_learns_its_address_from_the_first_peer);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("silence");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, quiet_links_are_pinged_and_silent_ones_dropped, 0, 2);
    tcase_add_test(tcase, pings_are_answered);
    tcase_add_test(tcase, handshakes_that_stop_are_dropped);
    tcase_add_test(tcase, states_of_members);
    tcase_add_test(tcase, a_random_peer_is_one_in_reach);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("probes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, who_is_silent_is_probed_then_suspect_until_it_answers);
    tcase_add_test(tcase, a_probe_is_passed_on_and_its_answer_brought_back);
    tcase_add_test(tcase, probes_are_answered_with_what_they_brought);
    tcase_add_test(tcase, strange_probes);
    tcase_add_test(tcase, who_stood_still_believes_nobody_and_accuses_nobody);
    tcase_add_test(tcase, garbage_fills_no_log);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
