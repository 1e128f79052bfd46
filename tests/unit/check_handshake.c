/* replication/handshake, and how peers carries it out: who is let in, and what both sides say of
 * who is not. */
#include "replication/handshake.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/node_rig.h"
#include "tests/lib/run.h"

static struct rig rig;

static void setup(void) {
    struct node_conf conf = rig_conf();
    rig_start_born(&rig, &conf, 2, false);
}

static void teardown(void) {
    rig_reset(&rig);
}

/* ---- the other side -------------------------------------------------------------------------- */

/* A peer that does its handshake by hand. */
struct stranger {
    struct core core;
    struct certificate birth;
    struct handshake_facts mine, theirs;
    uint64_t link;
};

static struct stranger make_stranger(unsigned peer, bool born) {
    struct stranger stranger = {.core = {.conf = rig.conf, .self = rig_id(peer)}};
    stranger.birth.cluster = rig_id(0);
    prng_seed(&stranger.core.prng, peer + 100);
    handshake_own(&stranger.core, born ? &stranger.birth : NULL, &stranger.mine);
    return stranger;
}

static uint64_t connect_link(uint64_t dial) {
    struct event event = {.kind = EV_LINK_UP};
    event.link_up.link = ++rig.next_link;
    event.link_up.dial = dial;
    event.link_up.host = "10.0.0.9";
    rig_step(&rig, &event);
    return event.link_up.link;
}

static struct handshake_facts facts_of(const struct wire_hello *hello) {
    struct handshake_facts facts = {.born = hello->cluster.len > 0};
    memcpy(facts.node.bytes, hello->node.data, NODE_ID_BYTES);
    memcpy(facts.nonce, hello->nonce.data, HANDSHAKE_NONCE_BYTES);
    if (facts.born)
        memcpy(facts.cluster.bytes, hello->cluster.data, NODE_ID_BYTES);
    return facts;
}

static void say_hello(struct stranger *stranger) {
    struct wire_msg msg;
    stranger->link = connect_link(0);
    handshake_hello(&stranger->core, &stranger->mine, WIRE_HELLO, NULL, &msg);
    rig_say_on(&rig, stranger->link, &msg);
}

static void say_proof(struct stranger *stranger, const uint8_t proof[HASH_HMAC_BYTES], size_t len) {
    struct wire_msg msg = {.kind = WIRE_PROOF};
    msg.proof.proof = (struct resp_slice){proof, len};
    rig_say_on(&rig, stranger->link, &msg);
}

/* HELLO and CHALLENGE; returns the node's proof. */
static struct resp_slice meet(struct stranger *stranger) {
    say_hello(stranger);
    struct wire_msg challenge = rig_take_on(&rig, stranger->link, WIRE_CHALLENGE);
    stranger->theirs = facts_of(&challenge.hello);
    return challenge.hello.proof;
}

/* The node has refused the link, has told the stranger and its own log so, and is not linked to
 * anybody. */
static void expect_refusal(const struct stranger *stranger, const char *text, bool outcast) {
    char line[512];
    struct wire_msg refuse = rig_take_on(&rig, stranger->link, WIRE_REFUSE);
    ck_assert_uint_eq(refuse.refuse.text.len, strlen(text));
    ck_assert_msg(memcmp(refuse.refuse.text.data, text, strlen(text)) == 0, "%.*s",
                  (int)refuse.refuse.text.len, (const char *)refuse.refuse.text.data);
    ck_assert_int_eq(refuse.refuse.outcast != 0, outcast);
    snprintf(line, sizeof(line), ", telling it: %s\n",
             text); /* and before that, its port if known */
    ck_assert(rig_logged(&rig, line));
    ck_assert(rig_logged(&rig, "Refused the peer at 10.0.0.9"));
    ck_assert(rig_closed(&rig, stranger->link));
    ck_assert_uint_eq(peers_reachable_count(&rig.node->peers), 0);
    ck_assert_uint_eq(rig_stats(&rig).links_refused, 1);
}

/* ---- facts ----------------------------------------------------------------------------------- */

START_TEST(equals_are_welcome) {
    struct stranger peer = make_stranger(1, _i == 1);
    uint8_t proof[HASH_HMAC_BYTES];
    meet(&peer);
    handshake_prove("s", true, &peer.mine, &peer.theirs, proof);
    ck_assert_uint_eq(peers_reachable_count(&rig.node->peers), 0);
    say_proof(&peer, proof, sizeof(proof));
    struct wire_msg welcome = rig_take_on(&rig, peer.link, WIRE_WELCOME);
    ck_assert_uint_eq(welcome.welcome.seen_host.len, 8);
    ck_assert_mem_eq(welcome.welcome.seen_host.data, "10.0.0.9", 8);
    ck_assert(peers_reachable(&rig.node->peers, 1));
    rig_take_on(&rig, peer.link, WIRE_BORN); /* it is told what the node knows */
    rig_take_on(&rig, peer.link, WIRE_ENTRIES);
}
END_TEST

static void set_nothing(struct stranger *peer) {
    (void)peer;
}

static void set_name(struct stranger *peer) {
    snprintf(peer->core.conf.cluster_name, NODE_NAME_BYTES, "other\tname");
}

static void set_n(struct stranger *peer) {
    peer->core.conf.n = 5;
}

static void set_partitions(struct stranger *peer) {
    peer->core.conf.partitions = 32;
}

static void set_partitioner(struct stranger *peer) {
    peer->core.conf.partitioner = PARTITIONER_MD5;
}

static void set_future_partitioner(struct stranger *peer) {
    peer->core.conf.partitioner = (enum partitioner)7;
}

static void set_resolution(struct stranger *peer) {
    peer->core.conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
}

static void set_cluster(struct stranger *peer) {
    peer->mine.cluster = rig_id(7);
}

static void set_unknown(struct stranger *peer) {
    peer->core.self = peer->mine.node = rig_id(5);
}

static void set_copy(struct stranger *peer) {
    peer->core.self = peer->mine.node = rig_id(0);
}

static const struct {
    void (*change)(struct stranger *peer);
    const char *text; /* NULL: no refusal */
    bool outcast;
} mismatches[] = {
    {set_nothing, NULL, false},
    {set_name, "your cluster-name is 'other?name', mine is 'test'", false},
    {set_n, "your replication-factor is 5, mine is 3", false},
    {set_partitions, "your partitions is 32, mine is 16", false},
    {set_partitioner, "your partitioner is md5, mine is crc16", false},
    {set_future_partitioner, "your partitioner is unknown, mine is crc16", false},
    {set_resolution, "your conflict-resolution is last-write-wins, mine is siblings", false},
    {set_cluster,
     "you belong to cluster 88888888, I to cluster 11111111, and clusters that were born apart "
     "never merge",
     false},
    {set_unknown,
     "cluster 11111111 was born without node 66666666, and joining a born cluster is not "
     "supported yet",
     true},
    {set_copy, "you have my own id (is a copied data directory in use twice?)", false},
};

START_TEST(a_mismatch_is_refused_with_its_sentence) {
    struct stranger peer = make_stranger(1, true);
    mismatches[_i].change(&peer);
    say_hello(&peer);
    if (mismatches[_i].text == NULL)
        rig_take_on(&rig, peer.link, WIRE_CHALLENGE);
    else
        expect_refusal(&peer, mismatches[_i].text, mismatches[_i].outcast);
}
END_TEST

START_TEST(the_dialler_refuses_as_well) {
    ck_assert_uint_eq(rig.dial_count, 2); /* the members of its cluster */
    struct stranger peer = make_stranger(1, true);
    mismatches[_i].change(&peer);
    peer.link = connect_link(rig.dials[0].dial.dial);
    struct wire_msg hello = rig_take_on(&rig, peer.link, WIRE_HELLO), msg;
    uint8_t proof[HASH_HMAC_BYTES];
    peer.theirs = facts_of(&hello.hello);
    handshake_prove("s", false, &peer.theirs, &peer.mine, proof);
    handshake_hello(&peer.core, &peer.mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(&rig, peer.link, &msg);
    if (mismatches[_i].text == NULL)
        rig_take_on(&rig, peer.link, WIRE_PROOF);
    else if (mismatches[_i].change == set_unknown) /* it is where a member was */
        expect_refusal(&peer,
                       "you are not node 22222222, and cannot take its places yet: without node "
                       "22222222 partition 0 has 1 synced replicas in reach, 2 are needed",
                       true);
    else if (mismatches[_i].change == set_copy)
        expect_refusal(&peer, "you do not know the cluster-secret", false); /* it answered itself */
    else
        expect_refusal(&peer, mismatches[_i].text, mismatches[_i].outcast);
}
END_TEST

/* At the address of member 1 the node meets an empty node `i`, which answers as such. */
static struct stranger meet_empty(unsigned i, uint64_t dial) {
    struct stranger peer = make_stranger(i, false);
    struct wire_msg msg;
    uint8_t proof[HASH_HMAC_BYTES];
    peer.link = connect_link(dial);
    struct wire_msg hello = rig_take_on(&rig, peer.link, WIRE_HELLO);
    peer.theirs = facts_of(&hello.hello);
    handshake_prove("s", false, &peer.theirs, &peer.mine, proof);
    handshake_hello(&peer.core, &peer.mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(&rig, peer.link, &msg);
    return peer;
}

static uint64_t dial_of(uint16_t port) {
    for (size_t i = rig.dial_count; i > 0; i--)
        if (rig.dials[i - 1].dial.port == port)
            return rig.dials[i - 1].dial.dial;
    return 0;
}

START_TEST(an_empty_node_at_a_members_address_takes_its_places) {
    uint64_t dial = dial_of(17001);
    rig_link(&rig, 2, true);
    rig_drop_frames(&rig);
    struct node_id one = rig_id(1), five = rig_id(5);
    struct stranger peer = meet_empty(5, dial);
    ck_assert(rig_closed(&rig, peer.link)); /* to be dialled again, as a member */
    struct wire_msg born = rig_take(&rig, 2, WIRE_BORN);
    ck_assert_uint_eq(born.born.successors.len, 2 * NODE_ID_BYTES);
    ck_assert_mem_eq(born.born.successors.data, one.bytes, NODE_ID_BYTES);
    ck_assert_mem_eq(born.born.successors.data + NODE_ID_BYTES, five.bytes, NODE_ID_BYTES);
    ck_assert(rig_logged(&rig, "came back with an empty dir: as node 66666666"));
    uint16_t list[3], index = members_find(&rig.node->members, &five);
    ck_assert_uint_ne(index, MEMBER_NONE);
    ck_assert(member_is_filling(&rig.node->members.items[index]));
    size_t homes, count = node_preflist(rig.node, 0, list, 3, &homes);
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found |= list[i] == index;
    ck_assert(found && count == 3 && rig_stats(&rig).members == 3);
    rig_elapse(&rig, 100);
    struct stranger again = meet_empty(5, dial_of(17001));
    rig_take_on(&rig, again.link, WIRE_PROOF);
}
END_TEST

START_TEST(one_at_a_time_takes_places) {
    uint64_t dial = dial_of(17002);
    rig_link(&rig, 1, true);
    rig_drop_frames(&rig);
    struct stranger first = meet_empty(5, dial);
    ck_assert(rig_closed(&rig, first.link));
    rig_cut(&rig, 1);
    rig_drop_frames(&rig);
    rig_elapse(&rig, 2000);
    struct stranger second = meet_empty(4, dial_of(17001));
    expect_refusal(&second,
                   "you are not node 22222222, and cannot take its places yet: one at a time, and "
                   "node 66666666 is still being filled",
                   true);
}
END_TEST

START_TEST(who_does_not_know_the_secret_takes_nothing) {
    struct stranger peer = make_stranger(5, false);
    struct wire_msg msg;
    uint8_t proof[HASH_HMAC_BYTES] = {0};
    uint64_t dial = dial_of(17001);
    rig_link(&rig, 2, true);
    rig_drop_frames(&rig);
    peer.link = connect_link(dial);
    rig_take_on(&rig, peer.link, WIRE_HELLO);
    handshake_hello(&peer.core, &peer.mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(&rig, peer.link, &msg);
    rig_take_on(&rig, peer.link, WIRE_REFUSE);
    ck_assert_uint_eq(rig_waiting(&rig, 2, WIRE_BORN), 0);
}
END_TEST

START_TEST(another_protocol_version_is_refused) {
    struct stranger peer = make_stranger(1, true);
    struct wire_msg msg;
    peer.link = connect_link(0);
    handshake_hello(&peer.core, &peer.mine, WIRE_HELLO, NULL, &msg);
    char text[64];
    msg.hello.protocol = NODE_PROTOCOL_VERSION - 1;
    rig_say_on(&rig, peer.link, &msg);
    snprintf(text, sizeof(text), "your protocol version is %d, mine is %d",
             NODE_PROTOCOL_VERSION - 1, NODE_PROTOCOL_VERSION);
    expect_refusal(&peer, text, false);
}
END_TEST

START_TEST(malformed_hellos_are_refused) {
    struct stranger peer = make_stranger(1, true);
    struct wire_msg msg;
    handshake_hello(&peer.core, &peer.mine, WIRE_HELLO, NULL, &msg);
    struct resp_slice *field = _i == 0   ? &msg.hello.node
                               : _i == 1 ? &msg.hello.nonce
                                         : &msg.hello.cluster;
    field->len--;
    peer.link = connect_link(0);
    rig_say_on(&rig, peer.link, &msg);
    expect_refusal(&peer, "your hello is malformed", false);
}
END_TEST

/* ---- proofs ---------------------------------------------------------------------------------- */

START_TEST(a_wrong_secret_is_refused) {
    struct stranger peer = make_stranger(1, true);
    uint8_t proof[HASH_HMAC_BYTES];
    meet(&peer);
    handshake_prove("t", true, &peer.mine, &peer.theirs, proof);
    say_proof(&peer, proof, sizeof(proof));
    expect_refusal(&peer, "you do not know the cluster-secret", false);
}
END_TEST

START_TEST(a_short_proof_is_refused) {
    struct stranger peer = make_stranger(1, true);
    uint8_t proof[HASH_HMAC_BYTES];
    meet(&peer);
    handshake_prove("s", true, &peer.mine, &peer.theirs, proof);
    say_proof(&peer, proof, _i == 0 ? 0 : sizeof(proof) - 1);
    expect_refusal(&peer, "you do not know the cluster-secret", false);
}
END_TEST

START_TEST(a_reflected_proof_is_refused) {
    struct stranger peer = make_stranger(1, true);
    struct resp_slice theirs = meet(&peer);
    say_proof(&peer, theirs.data, theirs.len);
    expect_refusal(&peer, "you do not know the cluster-secret", false);
}
END_TEST

START_TEST(a_replayed_proof_is_refused) {
    struct stranger peer = make_stranger(1, true), again = peer;
    uint8_t proof[HASH_HMAC_BYTES];
    meet(&peer);
    handshake_prove("s", true, &peer.mine, &peer.theirs, proof);
    say_proof(&peer, proof, sizeof(proof));
    rig_take_on(&rig, peer.link, WIRE_WELCOME);
    struct event down = {.kind = EV_LINK_DOWN};
    down.link_down.link = peer.link;
    rig_step(&rig, &down);
    meet(&again); /* the same hello, and the proof that was overheard */
    ck_assert_mem_ne(again.theirs.nonce, peer.theirs.nonce, HANDSHAKE_NONCE_BYTES);
    say_proof(&again, proof, sizeof(proof));
    expect_refusal(&again, "you do not know the cluster-secret", false);
}
END_TEST

START_TEST(a_proof_for_other_facts_is_refused) {
    struct stranger peer = make_stranger(1, true);
    uint8_t proof[HASH_HMAC_BYTES];
    meet(&peer);
    struct handshake_facts other = peer.mine;
    if (_i == 0)
        other.node = rig_id(2);
    else if (_i == 1)
        other.born = false;
    else
        other.cluster = rig_id(3);
    handshake_prove("s", true, &other, &peer.theirs, proof);
    say_proof(&peer, proof, sizeof(proof));
    expect_refusal(&peer, "you do not know the cluster-secret", false);
}
END_TEST

START_TEST(the_acceptor_must_prove_itself_too) {
    struct stranger peer = make_stranger(1, true);
    peer.link = connect_link(rig.dials[0].dial.dial);
    struct wire_msg hello = rig_take_on(&rig, peer.link, WIRE_HELLO), msg;
    uint8_t proof[HASH_HMAC_BYTES];
    peer.theirs = facts_of(&hello.hello);
    handshake_prove("t", false, &peer.theirs, &peer.mine, proof);
    handshake_hello(&peer.core, &peer.mine, WIRE_CHALLENGE, proof, &msg);
    rig_say_on(&rig, peer.link, &msg);
    expect_refusal(&peer, "you do not know the cluster-secret", false);
}
END_TEST

/* ---- order ----------------------------------------------------------------------------------- */

START_TEST(nothing_else_is_heard_before) {
    for (int kind = 0; kind < WIRE_KINDS; kind++) {
        if (kind == WIRE_HELLO || kind == WIRE_REFUSE)
            continue;
        struct wire_msg msg = {.kind = (enum wire_kind)kind};
        uint64_t link = connect_link(0);
        rig_say_on(&rig, link, &msg);
        ck_assert(rig_closed(&rig, link));
        ck_assert_uint_eq(rig.frame_count, 0);
        if (kind == WIRE_PROOF || kind == WIRE_CHALLENGE)
            continue;
        struct stranger peer = make_stranger(1, true); /* nor between HELLO and PROOF */
        meet(&peer);
        rig_say_on(&rig, peer.link, &msg);
        ck_assert(rig_closed(&rig, peer.link));
    }
    ck_assert(rig_logged(&rig, "Dropped the link to the peer at 10.0.0.9: its handshake is out of "
                               "order"));
}
END_TEST

START_TEST(nothing_of_it_is_heard_again) {
    const enum wire_kind kinds[] = {WIRE_HELLO, WIRE_CHALLENGE, WIRE_PROOF, WIRE_WELCOME};
    for (int i = 0; i < 4; i++) {
        struct wire_msg msg = {.kind = kinds[i]};
        uint64_t link = rig_link(&rig, 1, true);
        rig_say_on(&rig, link, &msg);
        ck_assert(rig_closed(&rig, link));
        ck_assert(!peers_reachable(&rig.node->peers, 1));
        rig_drop_frames(&rig);
    }
}
END_TEST

START_TEST(being_refused_is_logged_and_shown_as_text) {
    struct wire_msg msg = {.kind = WIRE_REFUSE};
    uint64_t link = connect_link(0);
    msg.refuse.text = rig_slice("you are\r\nnobody");
    rig_say_on(&rig, link, &msg);
    ck_assert(rig_closed(&rig, link));
    ck_assert(
        rig_logged(&rig, "Was refused by the peer at 10.0.0.9, which said: you are??nobody\n"));
    struct resp_slice argv[3] = {rig_slice("REFUSE"), rig_slice("0"), {NULL, 0}};
    link = connect_link(0);
    rig_frame(&rig, link, argv, 3); /* no text at all */
    ck_assert(rig_closed(&rig, link));
    char longest[1000];
    memset(longest, 'x', sizeof(longest));
    argv[2] = (struct resp_slice){(const uint8_t *)longest, sizeof(longest)};
    link = connect_link(0);
    rig_frame(&rig, link, argv, 3);
    ck_assert(rig_closed(&rig, link));
    ck_assert_uint_eq(rig_stats(&rig).links_refused, 3);
}
END_TEST

START_TEST(only_who_was_looked_for_makes_an_outcast) {
    struct node_conf conf = rig_conf();
    struct node_address seed = {"10.0.0.9", 1};
    struct wire_msg msg = {.kind = WIRE_REFUSE};
    conf.seeds = &seed;
    conf.seed_count = 1;
    msg.refuse.outcast = 1;
    rig_reset(&rig);
    rig_start(&rig, &conf);
    rig_settle(&rig);
    rig_step(&rig, &(struct event){.kind = EV_TIMER});
    rig_say_on(&rig, connect_link(0), &msg);
    ck_assert(!rig.node->peers.outcast);
    ck_assert_uint_eq(rig.dial_count, 1);
    rig_say_on(&rig, connect_link(rig.dials[0].dial.dial), &msg);
    ck_assert(rig.node->peers.outcast);
}
END_TEST

START_TEST(a_refusal_is_said_once) {
    for (int i = 0; i < 3; i++) {
        struct stranger peer = make_stranger(1, true);
        set_n(&peer);
        say_hello(&peer);
    }
    const char *line = "your replication-factor is 5";
    const uint8_t *at = memmem(buf_data(&rig.log), buf_len(&rig.log), line, strlen(line));
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq(rig_stats(&rig).links_refused, 3);
}
END_TEST

static Suite *make_suite(void) {
    const int count = sizeof(mismatches) / sizeof(mismatches[0]);
    Suite *suite = suite_create("handshake");
    TCase *tcase = tcase_create("facts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, equals_are_welcome, 0, 2);
    tcase_add_loop_test(tcase, a_mismatch_is_refused_with_its_sentence, 0, count);
    tcase_add_loop_test(tcase, the_dialler_refuses_as_well, 0, count);
    tcase_add_test(tcase, an_empty_node_at_a_members_address_takes_its_places);
    tcase_add_test(tcase, one_at_a_time_takes_places);
    tcase_add_test(tcase, who_does_not_know_the_secret_takes_nothing);
    tcase_add_test(tcase, another_protocol_version_is_refused);
    tcase_add_loop_test(tcase, malformed_hellos_are_refused, 0, 3);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("proofs");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_wrong_secret_is_refused);
    tcase_add_loop_test(tcase, a_short_proof_is_refused, 0, 2);
    tcase_add_test(tcase, a_reflected_proof_is_refused);
    tcase_add_test(tcase, a_replayed_proof_is_refused);
    tcase_add_loop_test(tcase, a_proof_for_other_facts_is_refused, 0, 3);
    tcase_add_test(tcase, the_acceptor_must_prove_itself_too);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("order");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nothing_else_is_heard_before);
    tcase_add_test(tcase, nothing_of_it_is_heard_again);
    tcase_add_test(tcase, being_refused_is_logged_and_shown_as_text);
    tcase_add_test(tcase, only_who_was_looked_for_makes_an_outcast);
    tcase_add_test(tcase, a_refusal_is_said_once);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
