/* replication/op_write: one write at a time, on a node whose replicas and disk the test plays. */
#include "tests/lib/node_rig_words.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/run.h"
#include "tests/unit/object_text.h"

static struct rig rig;

static void start(const struct node_conf *conf) {
    rig_start_born(&rig, conf, 2, true);
}

static void setup(void) {
    struct node_conf conf = rig_conf();
    start(&conf);
}

/* Begins anew with another configuration. */
static void restart(const struct node_conf *conf) {
    rig_reset(&rig);
    start(conf);
}

static void teardown(void) {
    ck_assert_uint_eq(rig.unanswered, 0);
    ck_assert_uint_eq(rig.reply_count, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    rig_settle(&rig);
    ck_assert_uint_eq(rig_stats(&rig).keys_in_flight, 0);
    rig_reset(&rig);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

/* Who answers, in order: l the local disk, 1 and 2 the peers, capitals (L A B) fail. `when`:
 * after how many the reply comes, with `err`. */
static const struct {
    uint32_t w;
    const char *order;
    size_t when;
    enum rd_err err;
} countings[] = {
    {1, "l12", 1, RD_OK},       {1, "12l", 3, RD_OK},       {1, "1L", 2, RD_EIO},
    {1, "ABl", 3, RD_OK},       {2, "l12", 2, RD_OK},       {2, "1l2", 2, RD_OK},
    {2, "12l", 3, RD_OK},       {2, "Al2", 3, RD_OK},       {2, "lA2", 3, RD_OK},
    {2, "lAB", 3, RD_EUNKNOWN}, {2, "ABl", 2, RD_EUNKNOWN}, {2, "12L", 3, RD_EIO},
    {2, "L12", 1, RD_EIO},      {3, "l12", 3, RD_OK},       {3, "12l", 3, RD_OK},
    {3, "l1B", 3, RD_EUNKNOWN}, {3, "A", 1, RD_EUNKNOWN},
};

START_TEST(counts_acknowledgements) {
    struct node_conf conf = rig_conf();
    conf.w = countings[_i].w;
    restart(&conf);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg writes[3] = {{0}, rig_take(&rig, 1, WIRE_WRITE), rig_take(&rig, 2, WIRE_WRITE)};
    rig_check_sent(&writes[1], 1, "Z.1:1 | Z.1:1=v");
    rig_check_sent(&writes[2], 1, "Z.1:1 | Z.1:1=v");
    rig_turn_end(&rig);
    for (size_t i = 0; countings[_i].order[i] != 0; i++) {
        char who = countings[_i].order[i];
        ck_assert_int_eq(rig_replied(&rig, tag), i >= countings[_i].when);
        if (who == 'l' || who == 'L')
            rig_committed(&rig, who == 'l' ? RD_OK : RD_EIO);
        else if (who == '1' || who == '2')
            rig_ack(&rig, (unsigned)(who - '0'), &writes[who - '0']);
        else
            rig_answer_write(&rig, (unsigned)(who - 'A' + 1), &writes[who - 'A' + 1], RD_EIO, NULL);
    }
    rig_expect(&rig, tag, countings[_i].err);
    if (strchr(countings[_i].order, 'l') != NULL)
        rig_check_stored(&rig, "k", "Z.1:1 | Z.1:1=v");
    else
        ck_assert_ptr_null(rig_row(&rig, 0, "k"));
    while (rig.commit_count > 0)
        rig_committed(&rig, RD_OK);
}
END_TEST

START_TEST(counts_nobody_twice) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_take(&rig, 2, WIRE_WRITE);
    rig_answer_write(&rig, 1, &one, RD_EIO, NULL);
    rig_ack(&rig, 1, &one); /* too late to change its mind */
    rig_ack(&rig, 1, &one);
    ck_assert(!rig_replied(&rig, tag));
    rig_commit(&rig, RD_OK);
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 2);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

START_TEST(ignores_answers_to_what_was_not_asked) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_turn_end(&rig);
    struct wire_msg wrong = one;
    wrong.write.round = 0;
    rig_ack(&rig, 1, &wrong);
    wrong.write.round = 2;
    rig_ack(&rig, 1, &wrong);
    wrong = one;
    wrong.write.id += 1;
    rig_ack(&rig, 1, &wrong); /* another slot */
    wrong.write.id = one.write.id + (UINT64_C(1) << 32);
    rig_ack(&rig, 1, &wrong); /* another generation */
    wrong.write.id = 0;
    rig_ack(&rig, 1, &wrong);
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 5);
    rig_committed(&rig, RD_OK);
    ck_assert(!rig_replied(&rig, tag));
    rig_ack(&rig, 1, &one);
    rig_expect(&rig, tag, RD_OK);
    rig_ack(&rig, 1, &one); /* to a request that has ended */
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 6);
}
END_TEST

START_TEST(is_refused_without_enough_replicas) {
    struct node_conf conf = rig_conf();
    conf.w = 3;
    restart(&conf);
    rig_cut(&rig, 2);
    uint64_t tag = rig_set(&rig, "k", "v");
    ck_assert_uint_eq(rig.get_count, 0); /* nothing was even begun */
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    ck_assert_str_eq(reply->text,
                     "2 of 3 replicas can be reached, 3 are needed; nothing was written");
    client_reply_free(reply);
    ck_assert_uint_eq(rig_stats(&rig).quorum_failures_write, 1);
}
END_TEST

START_TEST(knows_when_the_quorum_is_lost) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    rig_cut(&rig, 1);
    ck_assert(!rig_replied(&rig, tag));
    rig_cut(&rig, 2);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_EUNKNOWN);
    ck_assert_str_eq(reply->text, "1 of 3 replicas acknowledged, 2 are needed: the write may have "
                                  "happened or may still spread");
    client_reply_free(reply);
}
END_TEST

START_TEST(links_lost_while_loading_are_not_waited_for) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_cut(&rig, 1);
    rig_cut(&rig, 2);
    rig_load_all(&rig);
    ck_assert(!rig_replied(&rig, tag));
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_EUNKNOWN); /* it is stored here, and will spread */
}
END_TEST

START_TEST(the_deadline_ends_it) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_elapse(&rig, 499);
    ck_assert(!rig_replied(&rig, tag));
    rig_elapse(&rig, 1);
    rig_expect(&rig, tag, RD_EUNKNOWN);
    rig_ack(&rig, 1, &one);
    ck_assert_uint_eq(rig_stats(&rig).late_answers, 1);
    ck_assert(!peers_healthy(&rig.node->peers, 1));
    ck_assert(!peers_healthy(&rig.node->peers, 2));
}
END_TEST

START_TEST(a_slow_disk_is_no_write) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_elapse(&rig, 500);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ENOQUORUM);
    ck_assert_str_eq(reply->text, "the replicas did not answer in time; nothing was written");
    client_reply_free(reply);
    rig_load_all(&rig); /* it comes, and nobody wants it */
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
    ck_assert(!node_has_dirty_rows(rig.node));
}
END_TEST

START_TEST(a_read_error_refuses) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_got(&rig, RD_EIO);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_EIO);
    ck_assert_str_eq(reply->text, "input/output error; nothing was written");
    client_reply_free(reply);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
}
END_TEST

START_TEST(a_failed_commit_burns_the_dot) {
    rig_put_object(&rig, "k", "A1 | A1@5=old");
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg first = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&first, 1, "A1 Z.1:1 | Z.1:1=v");
    rig_commit(&rig, RD_EFULL);
    rig_expect(&rig, tag, RD_EFULL);
    ck_assert_uint_ne(rig.node->core.actors.incarnation, RIG_OWN_INCARNATION);
    rig_load_all(&rig); /* the row is read again */
    rig_check_stored(&rig, "k", "A1 | A1=old");
    rig_settle(&rig); /* the disk has room again */
    rig_drop_frames(&rig);

    tag = rig_set(&rig, "k", "w");
    rig_load_all(&rig);
    struct wire_msg next = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&next, 1, "A1 ?.1:1 | ?.1:1=w");
    rig_ack(&rig, 1, &next);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* ---- the second round ------------------------------------------------------------------------ */

START_TEST(covers_what_replicas_kept_beside_it) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE), two = rig_take(&rig, 2, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(rig_stats(&rig).second_rounds, 1);
    rig_load_all(&rig);
    struct wire_msg again = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&again, 2, "A1 Z.1:2 | Z.1:2=v");
    rig_ack(&rig, 2, &two); /* of the first round: late */
    ck_assert(!rig_replied(&rig, tag));
    again = rig_take(&rig, 2, WIRE_WRITE);
    rig_check_sent(&again, 2, "A1 Z.1:2 | Z.1:2=v");
    rig_answer_write(&rig, 2, &again, RD_OK,
                     "B1 Z.1:2 | B1@5=newer Z.1:2@9=v"); /* there is no third */
    ck_assert(!rig_replied(&rig, tag));
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
    ck_assert_uint_eq(rig_stats(&rig).second_rounds, 1);
    rig_check_stored(&rig, "k", "A1 Z.1:2 | Z.1:2=v");
}
END_TEST

START_TEST(merges_all_that_was_reported_in_time) {
    struct node_conf conf = rig_conf();
    conf.w = 3;
    restart(&conf);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE), two = rig_take(&rig, 2, WIRE_WRITE);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    rig_answer_write(&rig, 2, &two, RD_OK, "B3 Z.1:1 | B3@6=third Z.1:1@9=v");
    rig_commit(&rig, RD_OK);
    one = rig_take(&rig, 1, WIRE_WRITE);
    two = rig_take(&rig, 2, WIRE_WRITE);
    rig_check_sent(&one, 2, "A1 B3 Z.1:2 | Z.1:2=v");
    rig_ack(&rig, 1, &one);
    rig_ack(&rig, 2, &two);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(a_report_after_the_reply_starts_nothing) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE), two = rig_take(&rig, 2, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_ack(&rig, 1, &one);
    rig_expect(&rig, tag, RD_OK);
    rig_answer_write(&rig, 2, &two, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    ck_assert_uint_eq(rig_stats(&rig).second_rounds, 0);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
}
END_TEST

START_TEST(the_second_round_needs_w_again) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_take(&rig, 2, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    rig_load_all(&rig);
    rig_cut(&rig, 1);
    rig_cut(&rig, 2);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_EUNKNOWN);
}
END_TEST

/* A replica keeps `other` beside the first round, then a writer who saw that round replaces
 * both, and then the replica reports what it has. The second round must not take the newer value
 * away. */
START_TEST(what_has_replaced_the_write_stays) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE), two = rig_take(&rig, 2, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 B1 Z.1:1 | B1@99=newer");
    rig_expect(&rig, tag, RD_OK); /* nothing was said to be beside it */
    rig_ack(&rig, 2, &two);
}
END_TEST

/* The same, while another replica still shows what was beside the first round: that goes. */
START_TEST(what_was_beside_a_replaced_write_goes) {
    struct node_conf conf = rig_conf();
    conf.w = 3;
    restart(&conf);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE), two = rig_take(&rig, 2, WIRE_WRITE);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | Z.1:1@99=v A1@5=other");
    rig_answer_write(&rig, 2, &two, RD_OK, "B1 Z.1:1 | B1@99=newer");
    rig_commit(&rig, RD_OK);
    rig_load_all(&rig);
    struct object object;
    one = rig_take(&rig, 1, WIRE_WRITE);
    ck_assert_int_eq(object_decode(one.write.object.data, one.write.object.len, &object), RD_OK);
    struct dot newer = dot_of("B1"), other = dot_of("A1");
    bool kept = !version_covers(&object.version, &newer); /* not known here, so not touched */
    for (uint32_t i = 0; i < object.count; i++) {
        kept = kept || dot_compare(&object.siblings[i].dot, &newer) == 0;
        ck_assert(dot_compare(&object.siblings[i].dot, &other) != 0);
    }
    ck_assert(kept);
    object_free(&object);
    rig_ack(&rig, 1, &one);
    two = rig_take(&rig, 2, WIRE_WRITE);
    rig_ack(&rig, 2, &two);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(a_failed_disk_in_the_second_round_fails_it) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_EIO);
    rig_expect(&rig, tag, RD_EIO);
    rig_check_stored(&rig, "k", "Z.1:1 | Z.1:1=v");
}
END_TEST

START_TEST(two_writes_in_one_turn_get_two_dots) {
    uint64_t first = rig_set(&rig, "k", "v"), second = rig_set(&rig, "k", "w");
    ck_assert_uint_eq(rig.get_count, 1); /* one read serves both */
    rig_load_all(&rig);
    uint64_t third = rig_set(&rig, "k", "x");
    ck_assert_uint_eq(rig_turn_end(&rig), 1); /* and one row */
    const char *shapes[] = {"Z.1:1 | Z.1:1=v", "Z.1:2 | Z.1:2=w", "Z.1:3 | Z.1:3=x"};
    for (int i = 0; i < 3; i++) {
        struct wire_msg write = rig_take(&rig, 1, WIRE_WRITE);
        rig_check_sent(&write, 1, shapes[i]);
        rig_ack(&rig, 1, &write);
    }
    ck_assert_uint_eq(rig.reply_count, 0);
    rig_committed(&rig, RD_OK);
    rig_expect(&rig, first, RD_OK);
    rig_expect(&rig, second, RD_OK);
    rig_expect(&rig, third, RD_OK);
    rig_check_stored(&rig, "k", "Z.1:3 | Z.1:3=x");
}
END_TEST

START_TEST(a_failed_commit_fails_all_that_is_stacked) {
    uint64_t tags[4];
    tags[0] = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_turn_end(&rig);
    tags[1] = rig_set(&rig, "k", "w"); /* in the next batch */
    rig_turn_end(&rig);
    tags[2] = rig_set(&rig, "k", "x"); /* in none yet */
    tags[3] = rig_set(&rig, "other", "y");
    rig_committed(&rig, RD_EIO);
    for (int i = 0; i < 3; i++)
        rig_expect(&rig, tags[i], RD_EIO);
    ck_assert(!rig_replied(&rig, tags[3]));
    rig_committed(&rig, RD_OK);
    rig_settle(&rig);
    rig_elapse(&rig, 500);
    rig_expect(&rig, tags[3], RD_EUNKNOWN);
}
END_TEST

/* ---- with a context -------------------------------------------------------------------------- */

START_TEST(a_context_replaces_what_it_covers) {
    rig_put_object(&rig, "k", "A2 B1 | B1@9=b A2@5=a");
    uint64_t tag = rig_write_after(&rig, "k", "v", "A2 | A2@5=a");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&one, 1, "A2 B1 Z.1:1 | Z.1:1=v B1=b");
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    struct context context;
    ck_assert_int_eq(context_open((const char *)buf_data(&reply->context), buf_len(&reply->context),
                                  rig.node->birth.certificate.seal_key, "k", 1, &context),
                     RD_OK);
    struct dot own = dot_of("Z.1:1"), a = dot_of("A2"), b = dot_of("B1");
    ck_assert(context_covers(&context, &own) && context_covers(&context, &a));
    ck_assert(!context_covers(&context, &b));
    context_free(&context);
    client_reply_free(reply);
}
END_TEST

START_TEST(a_context_write_has_no_second_round) {
    uint64_t tag = rig_write_after(&rig, "k", "v", NULL);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@5=other Z.1:1@9=v");
    rig_expect(&rig, tag, RD_OK);
    ck_assert_uint_eq(rig_stats(&rig).second_rounds, 0);
}
END_TEST

/* A client that wrote Y.1:5 beside siblings it never saw comes back; this copy knows up to
 * Y.1:2. */
static uint64_t write_with_lone_dot(const char *key) {
    struct context context = {.has_dot = true, .dot = dot_of("Y.1:5"), .stamp = 7};
    rig_put_object(&rig, key, "Y.1:2 | Y.1:2@4=early");
    uint64_t tag = rig_write_with(&rig, key, "v", &context);
    rig_load_all(&rig);
    return tag;
}

START_TEST(a_lone_dot_is_fetched_first) {
    uint64_t tag = write_with_lone_dot("k");
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
    rig_answer_read(&rig, 1, &one, "Y.1:2 | Y.1:2@4=early"); /* it has no more */
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
    rig_answer_read(&rig, 2, &two, "Y.1:5 | Y.1:5@7=own Y.1:4@6=beside");
    rig_load_all(&rig);
    struct wire_msg write = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&write, 1, "Y.1:5 Z.1:1 | Z.1:1=v Y.1:4=beside");
    rig_ack(&rig, 1, &write);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
    ck_assert_uint_eq(rig_stats(&rig).second_rounds, 0); /* what was fetched is not uncovered */
    rig_check_stored(&rig, "k", "Y.1:5 Z.1:1 | Z.1:1=v Y.1:4=beside");
    ck_assert(!node_has_dirty_rows(rig.node));
}
END_TEST

START_TEST(a_lone_dot_that_nobody_has_is_let_be) {
    uint64_t tag = write_with_lone_dot("k");
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 1, &one, NULL);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
    rig_answer_read(&rig, 2, &two, "Y.1:2 | Y.1:2@4=early");
    rig_load_all(&rig);
    struct wire_msg write = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&write, 1, "Y.1:2 Z.1:1 | Z.1:1=v Y.1:2=early");
    rig_ack(&rig, 1, &write);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* Whoever does not answer may be the one that has it (redynamo-sim fuzz, seed 1175). */
START_TEST(a_lone_dot_that_somebody_may_have_is_waited_for) {
    uint64_t tag = write_with_lone_dot("k");
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ);
    rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 1, &one, NULL);
    rig_cut(&rig, 2);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_WRITE), 0);
    rig_expect(&rig, tag, RD_ENOQUORUM);
    ck_assert(!node_has_dirty_rows(rig.node));
}
END_TEST

START_TEST(an_answer_to_no_round_is_harmless) {
    uint64_t tag = write_with_lone_dot("k");
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    struct wire_msg bogus = {.kind = WIRE_WRITE};
    bogus.write.id = one.read.id;
    rig_ack(&rig, 1, &bogus); /* round 0, while nothing is written */
    rig_answer_read(&rig, 2, &two, "Y.1:5 | Y.1:5@7=own");
    ck_assert_uint_eq(rig.get_count, 1);
    rig_ack(&rig, 1, &bogus); /* and while the copy is read again */
    rig_load_all(&rig);
    ck_assert(!rig_replied(&rig, tag));
    struct wire_msg write = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &write);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(a_bad_context_changes_nothing) {
    const char *tokens[] = {"", "garbage", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < 3; i++) {
        struct client_request request = {.op = CLIENT_WRITE,
                                         .key = "k",
                                         .key_len = 1,
                                         .with_context = true,
                                         .context = tokens[i],
                                         .context_len = strlen(tokens[i])};
        rig_expect(&rig, rig_ask(&rig, request), RD_EBADCONTEXT);
    }
    ck_assert_uint_eq(rig.get_count, 0);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(too_many_siblings_are_refused) {
    struct node_conf conf = rig_conf();
    conf.max_siblings = 2;
    restart(&conf);
    rig_put_object(&rig, "k", "A1 B1 | B1@9=b A1@5=a");
    uint64_t tag = rig_write_after(&rig, "k", "v", NULL);
    rig_load_all(&rig);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_ETOOMANYSIBLINGS);
    ck_assert_str_eq(reply->text, "the key has 2 siblings already: read it and write with its "
                                  "context; nothing was written");
    client_reply_free(reply);
    ck_assert(!node_has_dirty_rows(rig.node));
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    rig_check_stored(&rig, "k", "A1 B1 | B1=b A1=a");

    tag = rig_write_after(&rig, "k", "v", "A1 | A1@5=a"); /* one goes, one comes */
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(more_siblings_than_the_limit_may_become_fewer) {
    struct node_conf conf = rig_conf();
    conf.max_siblings = 2;
    restart(&conf);
    rig_put_object(&rig, "k",
                   "A1 B1 C1 D1 | D1@9=d C1@8=c B1@7=b A1@5=a"); /* repair knows no limit */
    uint64_t tag = rig_write_after(&rig, "k", "v", "A1 B1 | B1@7=b A1@5=a");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&one, 1, "A1 B1 C1 D1 Z.1:1 | Z.1:1=v D1=d C1=c");
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(too_large_objects_are_refused) {
    struct node_conf conf = rig_conf();
    conf.max_object_bytes = 1000;
    restart(&conf);
    char value[1001];
    memset(value, 'x', 1000);
    value[1000] = 0;
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = rig_set(&rig, "k", value);
    rig_load_all(&rig);
    rig_expect(&rig, tag, RD_ETOOLARGE);
    ck_assert(!node_has_dirty_rows(rig.node));
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_KINDS), 0);
    value[100] = 0;
    tag = rig_set(&rig, "k", value);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* ---- deletes --------------------------------------------------------------------------------- */

/* Deletes `key` with peer 1 acknowledging (reporting `uncovered`), and returns `existed`. */
static bool del(const char *key, const char *uncovered) {
    uint64_t tag = rig_set(&rig, key, NULL);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_answer_write(&rig, 1, &one, RD_OK, uncovered);
    rig_settle(&rig);
    if (uncovered != NULL) {
        rig_take(&rig, 2, WIRE_WRITE);
        one = rig_take(&rig, 1, WIRE_WRITE);
        ck_assert_uint_eq(one.write.round, 2);
        rig_ack(&rig, 1, &one);
        rig_settle(&rig);
    }
    rig_take(&rig, 2, WIRE_WRITE);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    bool existed = reply->existed;
    client_reply_free(reply);
    return existed;
}

START_TEST(a_delete_says_whether_there_was_something) {
    uint64_t gone = rig.now.wall_us / 1000 - 1, later = gone + 100000;
    char expired[64], alive[64];
    snprintf(expired, sizeof(expired), "A1 | A1@5=a/%llu", (unsigned long long)gone);
    snprintf(alive, sizeof(alive), "A1 | A1@5=a/%llu", (unsigned long long)later);
    rig_put_object(&rig, "here", "A1 | A1@5=a");
    rig_put_object(&rig, "deleted", "A1 | | deleted 9");
    rig_put_object(&rig, "expired", expired);
    rig_put_object(&rig, "alive", alive);
    ck_assert(del("here", NULL));
    rig_check_stored(&rig, "here", "A1 |");
    ck_assert(!del("here", NULL));
    ck_assert(!del("deleted", NULL));
    ck_assert(!del("expired", NULL));
    ck_assert(del("alive", NULL));
    ck_assert(!del("never", NULL));
    ck_assert_ptr_null(rig_row(&rig, 0, "never"));
    ck_assert(del("elsewhere", "B1 | B1@5=b"));
    rig_check_stored(&rig, "elsewhere", "B1 |");
}
END_TEST

START_TEST(a_delete_with_context_leaves_the_rest) {
    rig_put_object(&rig, "k", "A1 B1 | B1@9=b A1@5=a");
    uint64_t tag = rig_write_after(&rig, "k", NULL, "A1 | A1@5=a");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&one, 1, "A1 B1 | B1=b");
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* ---- what was forgotten ---------------------------------------------------------------------- */

START_TEST(own_dots_in_a_context_that_are_not_held_end_the_incarnation) {
    rig_put_object(&rig, "k", "Z.1:1 | Z.1:1@5=a");
    uint64_t tag = rig_write_after(&rig, "k", "v", "Z.1:3 | Z.1:3@9=c");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    ck_assert_uint_ne(rig.node->core.actors.incarnation, RIG_OWN_INCARNATION);
    struct object object;
    ck_assert_int_eq(object_decode(one.write.object.data, one.write.object.len, &object), RD_OK);
    ck_assert_uint_eq(object.count, 1);
    ck_assert_uint_ne(object.siblings[0].dot.actor.incarnation, RIG_OWN_INCARNATION);
    object_free(&object);
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

START_TEST(own_dots_that_a_replica_reports_end_the_incarnation) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "Z.1:1 Z.2:4 | Z.2:4@8=lost Z.1:1@9=v");
    rig_load_all(&rig);
    ck_assert_uint_ne(rig.node->core.actors.incarnation, RIG_OWN_INCARNATION);
    one = rig_take(&rig, 1, WIRE_WRITE);
    struct object object;
    ck_assert_int_eq(object_decode(one.write.object.data, one.write.object.len, &object), RD_OK);
    ck_assert_uint_eq(object.count, 1);
    ck_assert_uint_ne(object.siblings[0].dot.actor.incarnation, RIG_OWN_INCARNATION);
    object_free(&object);
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* ---- last write wins ------------------------------------------------------------------------- */

START_TEST(last_write_wins_keeps_one) {
    struct node_conf conf = rig_conf();
    conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    restart(&conf);
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    uint64_t tag = rig_write_after(&rig, "k", "v", NULL);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&one, 1, "A1 Z.1:1 | Z.1:1=v");
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

/* A replica holds a value from a clock that is far ahead: the first round loses there, the
 * second wins. */
START_TEST(last_write_wins_after_what_was_acknowledged_before) {
    struct node_conf conf = rig_conf();
    conf.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    restart(&conf);
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_commit(&rig, RD_OK);
    rig_answer_write(&rig, 1, &one, RD_OK, "A1 Z.1:1 | A1@999999999999999999=ahead");
    rig_load_all(&rig);
    one = rig_take(&rig, 1, WIRE_WRITE);
    rig_check_sent(&one, 2, "A1 Z.1:2 | Z.1:2=v");
    struct object object;
    ck_assert_int_eq(object_decode(one.write.object.data, one.write.object.len, &object), RD_OK);
    ck_assert_uint_gt(object.siblings[0].stamp, 999999999999999999);
    object_free(&object);
    rig_ack(&rig, 1, &one);
    rig_commit(&rig, RD_OK);
    rig_expect(&rig, tag, RD_OK);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("op_write");
    TCase *tcase = tcase_create("acknowledgements");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, counts_acknowledgements, 0,
                        sizeof(countings) / sizeof(countings[0]));
    tcase_add_test(tcase, counts_nobody_twice);
    tcase_add_test(tcase, ignores_answers_to_what_was_not_asked);
    tcase_add_test(tcase, is_refused_without_enough_replicas);
    tcase_add_test(tcase, knows_when_the_quorum_is_lost);
    tcase_add_test(tcase, links_lost_while_loading_are_not_waited_for);
    tcase_add_test(tcase, the_deadline_ends_it);
    tcase_add_test(tcase, a_slow_disk_is_no_write);
    tcase_add_test(tcase, a_read_error_refuses);
    tcase_add_test(tcase, a_failed_commit_burns_the_dot);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("the second round");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, covers_what_replicas_kept_beside_it);
    tcase_add_test(tcase, merges_all_that_was_reported_in_time);
    tcase_add_test(tcase, a_report_after_the_reply_starts_nothing);
    tcase_add_test(tcase, the_second_round_needs_w_again);
    tcase_add_test(tcase, what_has_replaced_the_write_stays);
    tcase_add_test(tcase, what_was_beside_a_replaced_write_goes);
    tcase_add_test(tcase, a_failed_disk_in_the_second_round_fails_it);
    tcase_add_test(tcase, two_writes_in_one_turn_get_two_dots);
    tcase_add_test(tcase, a_failed_commit_fails_all_that_is_stacked);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("contexts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_context_replaces_what_it_covers);
    tcase_add_test(tcase, a_context_write_has_no_second_round);
    tcase_add_test(tcase, a_lone_dot_is_fetched_first);
    tcase_add_test(tcase, a_lone_dot_that_nobody_has_is_let_be);
    tcase_add_test(tcase, a_lone_dot_that_somebody_may_have_is_waited_for);
    tcase_add_test(tcase, an_answer_to_no_round_is_harmless);
    tcase_add_test(tcase, a_bad_context_changes_nothing);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("limits, deletes, memory");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, too_many_siblings_are_refused);
    tcase_add_test(tcase, more_siblings_than_the_limit_may_become_fewer);
    tcase_add_test(tcase, too_large_objects_are_refused);
    tcase_add_test(tcase, a_delete_says_whether_there_was_something);
    tcase_add_test(tcase, a_delete_with_context_leaves_the_rest);
    tcase_add_test(tcase, own_dots_in_a_context_that_are_not_held_end_the_incarnation);
    tcase_add_test(tcase, own_dots_that_a_replica_reports_end_the_incarnation);
    tcase_add_test(tcase, last_write_wins_keeps_one);
    tcase_add_test(tcase, last_write_wins_after_what_was_acknowledged_before);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
