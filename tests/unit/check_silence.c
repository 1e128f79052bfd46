/* Nodes that say nothing while their links are there (op_forward, op_write_targets, op_read, peers_health): one node of five, N=3 and W=2, whose
 * peers the test plays. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/node_rig_words.h"
#include "tests/lib/run.h"

static struct rig rig;
static char key[16];
static uint16_t
    list[5]; /* of the key: three homes, two fallbacks, as peers; 0 is the node itself */

static void start(const struct node_conf *conf, bool home) {
    size_t homes;
    rig_reset(&rig);
    rig_start_born(&rig, conf, 4, true);
    rig_key(&rig, home, 0, key);
    uint16_t partition =
        slot_partition(slot_of_key(rig.conf.partitioner, key, strlen(key)), rig.conf.partitions);
    ck_assert_uint_eq(node_preflist(rig.node, partition, list, 5, &homes), 5);
}

static struct node_conf sloppy_conf(void) {
    struct node_conf conf = rig_conf();
    conf.sloppy_quorum = conf.hinted_handoff = true;
    conf.max_hint_bytes = 1 << 20;
    return conf;
}

static void start_sloppy(bool home) {
    struct node_conf conf = sloppy_conf();
    start(&conf, home);
}

static void setup(void) {
    start_sloppy(true);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    rig_reset(&rig);
}

/* The n-th home that is not the node itself, and the n-th fallback. */
static unsigned home(unsigned n) {
    for (unsigned i = 0; i < 3; i++)
        if (list[i] != 0 && n-- == 0)
            return list[i];
    ck_abort_msg("there is no such home");
}

static unsigned fallback(unsigned n) {
    return list[3 + n];
}

static uint64_t set(void) {
    uint64_t tag = rig_set(&rig, key, "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    return tag;
}

static void expect_stand_ins(uint64_t tag, uint32_t count) {
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_uint_eq(reply->stand_ins, count);
    client_reply_free(reply);
}

/* Frames of `kind` that wait for any peer. */
static size_t waiting(enum wire_kind kind) {
    size_t count = 0;
    for (unsigned peer = 1; peer <= 4; peer++)
        count += rig.peers[peer] != 0 ? rig_waiting(&rig, peer, kind) : 0;
    return count;
}

/* Lets time pass, all answering probes, until that many frames of `kind` wait. Returns the time. */
static unsigned elapse_until(enum wire_kind kind, size_t count) {
    unsigned ms = 0;
    for (; waiting(kind) < count; ms += 10) {
        ck_assert_uint_lt(ms, 600);
        rig_elapse_probed(&rig, 10, 0);
    }
    return ms;
}

/* ---- writes -------------------------------------------------------------------------------------- */

/* Nobody is suspect, for all answer probes; but the write has waited for half of its 500 ms. */
START_TEST(silent_homes_are_replaced_at_half_time) {
    uint64_t tag = set();
    struct wire_msg first = rig_take(&rig, home(0), WIRE_WRITE);
    rig_take(&rig, home(1), WIRE_WRITE);
    rig_elapse_probed(&rig, 240, 0);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0);
    ck_assert_uint_le(elapse_until(WIRE_WRITE, 2), 70);
    struct wire_msg hint = rig_take(&rig, fallback(0), WIRE_WRITE);
    ck_assert(hint.write.must);
    hint = rig_take(&rig, fallback(1), WIRE_WRITE);
    rig_elapse_probed(&rig, 100, 0);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0); /* once is enough, and there is no third */
    rig_ack(&rig, fallback(1), &hint);
    expect_stand_ins(tag, 1);
    rig_ack(&rig, home(0), &first);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
}
END_TEST

/* They count all the same if they answer before the fallbacks. */
START_TEST(a_late_home_is_a_home) {
    uint64_t tag = set();
    struct wire_msg write = rig_take(&rig, home(0), WIRE_WRITE);
    elapse_until(WIRE_WRITE, 3); /* that of home(1), and two hints */
    rig_ack(&rig, home(0), &write);
    expect_stand_ins(tag, 0);
    rig_elapse(&rig, 500);
}
END_TEST

START_TEST(an_answered_write_looks_for_nobody) {
    uint64_t tag = set();
    struct wire_msg write = rig_take(&rig, home(0), WIRE_WRITE);
    rig_take(&rig, home(1), WIRE_WRITE);
    rig_ack(&rig, home(0), &write);
    expect_stand_ins(tag, 0);
    rig_elapse_probed(&rig, 400, 0);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0);
    rig_elapse(&rig, 200);
    ck_assert_uint_eq(rig_stats(&rig).hints_kept, 1);
}
END_TEST

/* Who becomes suspect is replaced at once. */
START_TEST(suspect_homes_are_replaced_before) {
    struct node_conf conf = sloppy_conf();
    conf.request_timeout_ms = 5000;
    conf.failure_timeout_ms = 1000;
    start(&conf, true);
    uint64_t tag = set();
    rig_take(&rig, home(1), WIRE_WRITE);
    rig_take(&rig, home(0), WIRE_WRITE);
    rig_elapse_probed(&rig, 600, home(0));
    unsigned asked = rig_waiting(&rig, fallback(0), WIRE_WRITE) > 0 ? 0 : 1;
    struct wire_msg hint = rig_take(&rig, fallback(asked), WIRE_WRITE);
    if (rig_waiting(&rig, fallback(asked), WIRE_PING) > 0)
        rig_take(&rig, fallback(asked), WIRE_PING);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0);
    struct node_id id = rig_id(home(0));
    ck_assert_mem_eq(hint.write.targets.data, id.bytes, NODE_ID_BYTES);
    ck_assert(!hint.write.must); /* there are two others */
    rig_elapse_probed(&rig, 5000, home(0));
    rig_drop_frames(&rig);
    rig_expect(&rig, tag,
               RD_EUNKNOWN); /* home(1) has not answered the write itself, and no fallback either */
}
END_TEST

/* A fallback is nobody in particular: after a quarter of the time the next one will do. */
START_TEST(silent_fallbacks_are_replaced) {
    struct node_conf conf = sloppy_conf();
    conf.w = 3;
    start(&conf, true);
    rig_cut(&rig, home(0));
    unsigned other = home(1);
    uint64_t tag = set();
    struct wire_msg write = rig_take(&rig, other, WIRE_WRITE);
    rig_ack(&rig, other, &write);
    rig_take(&rig, fallback(0), WIRE_WRITE);
    rig_elapse_probed(&rig, 120, 0);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0);
    rig_elapse_probed(&rig, 60, 0);
    struct wire_msg hint = rig_take(&rig, fallback(1), WIRE_WRITE);
    ck_assert(hint.write.must);
    rig_ack(&rig, fallback(1), &hint);
    expect_stand_ins(tag, 1);
}
END_TEST

START_TEST(where_nobody_stands_in_homes_are_waited_for) {
    struct node_conf conf = rig_conf();
    start(&conf, true);
    uint64_t tag = set();
    rig_elapse_probed(&rig, 490, 0);
    ck_assert(!rig_replied(&rig, tag));
    rig_elapse(&rig, 10);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    ck_assert_uint_eq(rig_stats(&rig).hints_kept, 0);
}
END_TEST

/* Two of three are all members: the node keeps no hint of a write that is not acknowledged. */
START_TEST(nothing_is_kept_of_what_is_not_acknowledged) {
    struct node_conf conf = sloppy_conf();
    rig_reset(&rig);
    rig_start_born(&rig, &conf, 2, true);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    rig_elapse_probed(&rig, 500, 0);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    ck_assert_uint_eq(rig_stats(&rig).hints_kept, 0);
}
END_TEST

/* ---- reads --------------------------------------------------------------------------------------- */

static uint64_t get(void) {
    uint64_t tag = rig_get(&rig, key, 2);
    rig_load_all(&rig);
    return tag;
}

START_TEST(a_read_asks_fallbacks_at_half_time) {
    uint64_t tag = get();
    rig_elapse_probed(&rig, 240, 0);
    ck_assert_uint_eq(rig_waiting(&rig, home(0), WIRE_READ), 1);
    ck_assert_uint_eq(rig_waiting(&rig, home(1), WIRE_READ), 1);
    ck_assert_uint_eq(waiting(WIRE_READ), 2);
    ck_assert_uint_le(elapse_until(WIRE_READ, 3), 70);
    struct wire_msg read = rig_take(&rig, fallback(0), WIRE_READ);
    rig_answer_read(&rig, fallback(0), &read, "A1 | A1@5=v");
    expect_stand_ins(tag, 1);
    rig_elapse(&rig, 500);
}
END_TEST

START_TEST(a_silent_fallback_is_not_all_there_is) {
    uint64_t tag = get();
    elapse_until(WIRE_READ, 4);
    rig_take(&rig, fallback(0), WIRE_READ);
    struct wire_msg read = rig_take(&rig, fallback(1), WIRE_READ);
    rig_answer_read(&rig, fallback(1), &read, NULL);
    expect_stand_ins(tag, 1); /* the own copy says that there is nothing */
    rig_elapse(&rig, 500);
}
END_TEST

START_TEST(a_late_home_answers_for_itself) {
    uint64_t tag = get();
    struct wire_msg read = rig_take(&rig, home(0), WIRE_READ);
    elapse_until(WIRE_READ, 2);
    rig_answer_read(&rig, home(0), &read, "A1 | A1@5=v");
    expect_stand_ins(tag, 0);
    rig_elapse(&rig, 500);
}
END_TEST

/* ---- forwards ------------------------------------------------------------------------------------ */

static void answer_probe(unsigned peer) {
    struct wire_msg probe = rig_take(&rig, peer, WIRE_PROBE);
    probe.kind = WIRE_PROBE_ANSWER;
    rig_say(&rig, peer, &probe);
}

/* Nobody has said anything for a while: a home has to, before it gets a write. */
START_TEST(a_sign_of_life_comes_before_a_forward) {
    start_sloppy(false);
    rig_elapse_probed(&rig, 300, 0);
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, key, "v"), other = rig_set(&rig, key, "w");
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(rig_waiting(&rig, list[i], WIRE_PROBE), 1);
    answer_probe(list[1]);
    ck_assert_uint_eq(rig_waiting(&rig, list[1], WIRE_FORWARD), 2);
    answer_probe(list[0]);
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 2);
    rig_set(&rig, key, "x"); /* from now on it is not asked for one */
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 3);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    rig_expect(&rig, other, RD_EUNKNOWN);
}
END_TEST

/* Not one of them answers: the node stands in, and nothing was forwarded. */
START_TEST(without_a_sign_of_life_nothing_is_forwarded) {
    start_sloppy(false);
    rig_elapse_probed(&rig, 300, 0);
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, key, "v");
    rig_elapse(&rig, 240);
    ck_assert_uint_eq(waiting(WIRE_WRITE), 0);
    rig_elapse(&rig, 60);
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 0);
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    unsigned other = list[3] != 0 ? list[3] : list[4];
    rig_elapse(&rig, 100);
    struct wire_msg hint = rig_take(&rig, other, WIRE_WRITE);
    rig_ack(&rig, other, &hint);
    expect_stand_ins(tag, 2);
    rig_elapse(&rig, 500);
}
END_TEST

/* Nobody may stand in: then it goes to a home that may not hear it. */
START_TEST(without_fallbacks_it_is_forwarded_all_the_same) {
    struct node_conf conf = rig_conf();
    start(&conf, false);
    rig_elapse_probed(&rig, 300, 0);
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, key, "v");
    rig_elapse(&rig, 240);
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 0);
    rig_elapse(&rig, 60);
    ck_assert_uint_eq(waiting(WIRE_FORWARD), 1);
    rig_elapse(&rig, 200);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

/* A home that is lost meanwhile is not waited for. */
START_TEST(homes_lost_while_they_are_asked_are_passed_over) {
    start_sloppy(false);
    rig_elapse_probed(&rig, 300, 0);
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, key, "v");
    for (unsigned i = 0; i < 3; i++)
        rig_cut(&rig, list[i]);
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    unsigned other = list[3] != 0 ? list[3] : list[4];
    struct wire_msg hint = rig_take(&rig, other, WIRE_WRITE);
    rig_ack(&rig, other, &hint);
    expect_stand_ins(tag, 2);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("silence");
    TCase *tcase = tcase_create("silence");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, silent_homes_are_replaced_at_half_time);
    tcase_add_test(tcase, a_late_home_is_a_home);
    tcase_add_test(tcase, an_answered_write_looks_for_nobody);
    tcase_add_test(tcase, suspect_homes_are_replaced_before);
    tcase_add_test(tcase, silent_fallbacks_are_replaced);
    tcase_add_test(tcase, where_nobody_stands_in_homes_are_waited_for);
    tcase_add_test(tcase, nothing_is_kept_of_what_is_not_acknowledged);
    tcase_add_test(tcase, a_read_asks_fallbacks_at_half_time);
    tcase_add_test(tcase, a_silent_fallback_is_not_all_there_is);
    tcase_add_test(tcase, a_late_home_answers_for_itself);
    tcase_add_test(tcase, a_sign_of_life_comes_before_a_forward);
    tcase_add_test(tcase, without_a_sign_of_life_nothing_is_forwarded);
    tcase_add_test(tcase, without_fallbacks_it_is_forwarded_all_the_same);
    tcase_add_test(tcase, homes_lost_while_they_are_asked_are_passed_over);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
