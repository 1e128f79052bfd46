/* replication/node: starts and restarts, what clients and peers may ask, forwarding, counting,
 * limits. Reads, writes and the birth have tests of their own. */
#include "replication/node.h"

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

/* ---- starting -------------------------------------------------------------------------------- */

static enum rd_err try_conf(const struct node_conf *conf, char reason[256]) {
    const uint64_t seed[4] = {4, 3, 2, 1};
    struct node *node = NULL;
    reason[0] = 0;
    enum rd_err err = node_new(conf, seed, &node, reason);
    ck_assert_int_eq(err == RD_OK, node != NULL);
    node_free(&node);
    node_free(&node); /* and once more: nothing */
    return err;
}

static const struct {
    const char *what; /* a letter for the field, then its value */
    const char *reason;
} bad_values[] = {
    {"n0", "replication-factor is out of range"},
    {"n17", "replication-factor is out of range"},
    {"r0", "read-quorum and write-quorum must be between 1 and replication-factor"},
    {"r4", "read-quorum and write-quorum must be between 1 and replication-factor"},
    {"w0", "read-quorum and write-quorum must be between 1 and replication-factor"},
    {"w4", "read-quorum and write-quorum must be between 1 and replication-factor"},
    {"q0", "partitions must be a power of two between 1 and 16384"},
    {"q3", "partitions must be a power of two between 1 and 16384"},
    {"q32768", "partitions must be a power of two between 1 and 16384"},
    {"v0", "vnodes is out of range"},
    {"v4097", "vnodes is out of range"},
    {"m0", "a limit or an interval is zero"},
    {"t0", "a limit or an interval is zero"},
    {"g0", "a limit or an interval is zero"},
    {"f0", "a limit or an interval is zero"},
    {"s0", "a limit or an interval is zero"},
    {"q1", NULL},
    {"q16384", NULL},
    {"v4096", NULL},
};

START_TEST(bad_configurations_are_refused) {
    struct node_conf conf = rig_conf();
    char reason[256];
    uint32_t value = (uint32_t)strtoul(bad_values[_i].what + 1, NULL, 10);
    uint32_t *fields[256] = {['n'] = &conf.n,
                             ['r'] = &conf.r,
                             ['w'] = &conf.w,
                             ['q'] = &conf.partitions,
                             ['v'] = &conf.vnodes,
                             ['m'] = &conf.max_requests,
                             ['t'] = &conf.request_timeout_ms,
                             ['g'] = &conf.gossip_interval_ms,
                             ['f'] = &conf.failure_timeout_ms,
                             ['s'] = &conf.max_siblings};
    *fields[(unsigned char)bad_values[_i].what[0]] = value;
    enum rd_err err = try_conf(&conf, reason);
    ck_assert_int_eq(err, bad_values[_i].reason == NULL ? RD_OK : RD_ECONF);
    if (bad_values[_i].reason != NULL)
        ck_assert_str_eq(reason, bad_values[_i].reason);
}
END_TEST

START_TEST(damaged_identities_are_refused) {
    struct node_conf conf = rig_conf();
    const struct blob *row = rig_row(&rig, 2, "identity");
    char reason[256];
    for (size_t len = 0; len <= row->len + 1; len++) {
        uint8_t bytes[128] = {0};
        memcpy(bytes, row->bytes, row->len);
        ck_assert_int_eq(blob_new(bytes, len, &conf.meta_identity), RD_OK);
        ck_assert_int_eq(try_conf(&conf, reason), len == row->len ? RD_OK : RD_ECORRUPT);
        if (len != row->len)
            ck_assert_str_eq(reason, "the stored node id is damaged");
        blob_unref(conf.meta_identity);
    }
    for (int way = 0; way < 2; way++) { /* a generation that no peer would believe */
        ck_assert_int_eq(blob_new(row->bytes, row->len, &conf.meta_identity), RD_OK);
        memset(conf.meta_identity->bytes + NODE_ID_BYTES, way == 0 ? 0 : 0xff, 8);
        ck_assert_int_eq(try_conf(&conf, reason), RD_ECORRUPT);
        blob_unref(conf.meta_identity);
    }
}
END_TEST

START_TEST(a_generator_that_repeats_itself_is_noticed) {
    struct node_conf conf = rig_conf();
    const uint64_t seed[4] = {1, 2, 3, rig.next_link + 4}; /* what rig_start would take now */
    char reason[256];
    struct node *node;
    ck_assert_int_eq(node_new(&conf, seed, &node, reason), RD_OK);
    struct effects effects = {0};
    node_step(node, rig.now, &(struct event){.kind = EV_TURN_END}, &effects);
    conf.meta_identity = blob_ref(effects.items[0].store_put.value);
    effects_free(&effects);
    node_free(&node);
    ck_assert_int_eq(node_new(&conf, seed, &node, reason), RD_ECONF);
    ck_assert_str_eq(reason, "the system's random generator repeats itself: two starts of this "
                             "node got the same numbers, which could lose data");
    blob_unref(conf.meta_identity);
}
END_TEST

START_TEST(each_start_is_a_new_generation_and_incarnation) {
    struct node_conf conf = rig_conf();
    struct node_id id = node_self(rig.node);
    uint64_t generation = rig.node->members.items[0].generation;
    rig_settle(&rig);
    rig_stop(&rig);
    rig.next_link++; /* another seed */
    rig_start(&rig, &conf);
    rig_settle(&rig);
    ck_assert_int_eq(node_id_compare(&rig.node->core.self, &id), 0);
    ck_assert_uint_eq(rig.node->members.items[0].generation, generation + 1);
}
END_TEST

START_TEST(a_first_start_makes_an_id) {
    struct node_conf conf = rig_conf();
    rig_reset(&rig);
    rig_start(&rig, &conf);
    struct node_id id = node_self(rig.node), none = {{0}};
    ck_assert_int_ne(node_id_compare(&id, &none), 0);
    ck_assert(!rig_stats(&rig).open);
    rig_turn_end(&rig);
    rig_committed(&rig, RD_EIO); /* not yet */
    ck_assert(!rig_stats(&rig).open);
    ck_assert(node_has_dirty_rows(rig.node));
    rig_turn_end(&rig);
    rig_committed(&rig, RD_OK);
    ck_assert(rig_stats(&rig).open);
    ck_assert_mem_eq(rig_row(&rig, 2, "identity")->bytes, id.bytes, NODE_ID_BYTES);
}
END_TEST

/* ---- limits ---------------------------------------------------------------------------------- */

START_TEST(requests_above_the_limit_are_turned_away) {
    struct node_conf conf = rig_conf();
    uint64_t tags[5];
    conf.max_requests = 4;
    start(&conf, 2);
    for (int i = 0; i < 5; i++)
        tags[i] = i % 2 == 0 ? rig_set(&rig, "k", "v") : rig_get(&rig, "k", 2);
    rig_check_error(&rig, tags[4], RD_EOVERLOADED, "too many requests in flight");
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 4);
    rig_elapse(&rig, 500);
    for (int i = 0; i < 4; i++)
        rig_expect(&rig, tags[i], RD_ENOQUORUM);
    rig_settle(&rig);
    rig_drop_frames(&rig);
    tags[0] = rig_get(&rig, "k", 1); /* and there is room again */
    rig_load_all(&rig);
    rig_expect(&rig, tags[0], RD_OK);
}
END_TEST

START_TEST(names_of_requests_are_not_used_twice) {
    uint64_t ids[100];
    for (int i = 0; i < 100; i++) {
        uint64_t tag = rig_get(&rig, "k", 3);
        rig_load_all(&rig);
        for (unsigned peer = 1; peer <= 2; peer++) {
            struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
            ids[i] = read.read.id;
            rig_answer_read(&rig, peer, &read, NULL);
        }
        rig_expect(&rig, tag, RD_OK);
        for (int j = 0; j < i; j++)
            ck_assert_uint_ne(ids[i], ids[j]);
    }
}
END_TEST

START_TEST(deadlines_come_in_order) {
    uint64_t tags[5];
    for (int i = 0; i < 5; i++) {
        tags[i] = rig_get(&rig, "k", 3);
        rig_elapse(&rig, 10);
    }
    rig_elapse(&rig, 449);
    ck_assert_uint_eq(rig.reply_count, 0);
    for (int i = 0; i < 5; i++) {
        rig_elapse(&rig, i == 0 ? 1 : 10);
        ck_assert_uint_eq(rig.reply_count, 1);
        rig_expect(&rig, tags[i], RD_ENOQUORUM);
    }
}
END_TEST

START_TEST(the_empty_key_is_a_key) {
    uint64_t tag = rig_set(&rig, "", "v");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    ck_assert_uint_eq(one.write.key.len, 0);
    rig_ack(&rig, 1, &one);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
    rig_check_stored(&rig, "", "Z.1:1 | Z.1:1=v");
    tag = rig_ask(&rig, (struct client_request){.op = CLIENT_READ, .r = 1}); /* and no bytes */
    rig_load_all(&rig);
    rig_expect_object(&rig, tag, "Z.1:1 | Z.1:1=v");
    rig_drop_frames(&rig);
}
END_TEST

/* ---- a disk that takes no writes ------------------------------------------------------------- */

START_TEST(a_full_disk_coordinates_nothing) {
    struct wire_msg msg;
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_EFULL);
    rig_expect(&rig, tag, RD_EFULL);
    rig_load_all(&rig);
    rig_drop_frames(&rig);
    for (int i = 0; i < 5; i++) { /* each would leave an actor in the vectors of the peers */
        tag = rig_set(&rig, "k", "v");
        ck_assert_uint_eq(rig.get_count, 0);
        unsigned peer = rig_waiting(&rig, 1, WIRE_FORWARD) > 0 ? 1 : 2;
        msg = rig_take(&rig, peer, WIRE_FORWARD); /* another home can take it */
        ck_assert_uint_eq(rig.frame_count, 0);
        struct wire_msg answer = {.kind = WIRE_FORWARD_ANSWER};
        answer.forward_answer.id = msg.forward.id;
        answer.forward_answer.handled = 1;
        rig_say(&rig, peer, &answer);
        rig_expect(&rig, tag, RD_OK);
    }
    msg = (struct wire_msg){.kind = WIRE_FORWARD};
    msg.forward.id = 9;
    msg.forward.key = rig_slice("k");
    rig_say(&rig, 1, &msg);
    msg = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(msg.forward_answer.err, RD_EFULL);
    ck_assert_uint_eq(msg.forward_answer.handled, 0);
    rig_cut(&rig, 1);
    rig_cut(&rig, 2);
    tag = rig_set(&rig, "k", "v");
    rig_check_error(&rig, tag, RD_EFULL,
                    "the disk takes no writes (no space left); nothing was written");
    tag = rig_get(&rig, "k", 1); /* reads go on */
    rig_load_all(&rig);
    rig_expect_object(&rig, tag, "|");
    ck_assert(rig_logged(&rig, "The store takes no writes (no space left)"));
}
END_TEST

START_TEST(a_disk_that_takes_writes_again_is_noticed) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_EFULL);
    rig_expect(&rig, tag, RD_EFULL);
    rig_load_all(&rig);
    rig_drop_frames(&rig);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.commit_count, 1); /* an empty one, to see */
    ck_assert_uint_eq(rig.put_count, 0);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.commit_count, 1);
    rig_committed(&rig, RD_EFULL);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.commit_count, 0); /* not all the time */
    rig_elapse(&rig, 1000);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.commit_count, 1);
    rig_committed(&rig, RD_OK);
    ck_assert(rig_logged(&rig, "The store takes writes again"));
    tag = rig_set(&rig, "k", "w");
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_WRITE);
    rig_ack(&rig, 1, &one);
    rig_settle(&rig);
    rig_expect(&rig, tag, RD_OK);
    ck_assert_uint_eq(rig.commit_count, 0);
}
END_TEST

START_TEST(what_peers_send_is_tried_on_a_full_disk) {
    uint64_t tag = rig_set(&rig, "k", "v");
    rig_load_all(&rig);
    rig_commit(&rig, RD_EIO);
    rig_expect(&rig, tag, RD_EIO);
    rig_load_all(&rig);
    struct wire_msg write = rig_take(&rig, 1, WIRE_WRITE);
    rig_drop_frames(&rig);
    rig_say(&rig, 2, &write);
    rig_load_all(&rig);
    rig_commit(&rig, RD_OK);
    ck_assert_uint_eq(rig_take(&rig, 2, WIRE_WRITE_ANSWER).write_answer.err, RD_OK);
    ck_assert_int_eq(rig.node->core.store_err, RD_OK);
}
END_TEST

/* ---- a replica for its peers ----------------------------------------------------------------- */

static struct wire_msg write_of(const char *text, struct buf *bytes) {
    struct wire_msg msg = {.kind = WIRE_WRITE};
    rig_put_object(&rig, "scratch", text);
    struct blob *row = rig_row(&rig, 0, "scratch");
    buf_reset(bytes, 0);
    ck_assert_int_eq(buf_append(bytes, row->bytes, row->len), RD_OK);
    msg.write.key = rig_slice("k");
    msg.write.object = (struct resp_slice){buf_data(bytes), buf_len(bytes)};
    return msg;
}

START_TEST(it_stores_what_peers_send_before_it_says_so) {
    struct buf bytes = {0};
    struct wire_msg msg = write_of("A1 | A1@9=a", &bytes);
    rig_put_object(&rig, "k", "B1 | B1@5=b");
    msg.write.id = 77;
    msg.write.round = 3;
    rig_say(&rig, 1, &msg);
    rig_load_all(&rig);
    rig_turn_end(&rig);
    ck_assert_uint_eq(rig.frame_count, 0);
    rig_committed(&rig, RD_OK);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_WRITE_ANSWER);
    ck_assert_uint_eq(answer.write_answer.id, 77);
    ck_assert_uint_eq(answer.write_answer.round, 3);
    ck_assert_uint_eq(answer.write_answer.err, RD_OK);
    ck_assert_uint_eq(answer.write_answer.uncovered, 1);
    rig_check_stored(&rig, "k", "A1 B1 | A1=a B1=b");
    msg.write.id = 0; /* a repair is not answered */
    rig_say(&rig, 1, &msg);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.frame_count, 0);
    buf_free(&bytes);
}
END_TEST

START_TEST(it_says_when_it_could_not_store) {
    struct buf bytes = {0};
    struct wire_msg msg = write_of("A1 | A1@9=a", &bytes);
    msg.write.id = 77;
    rig_say(&rig, 1, &msg);
    rig_got(&rig, RD_EIO);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_WRITE_ANSWER);
    ck_assert_uint_eq(answer.write_answer.err, RD_EIO);
    rig_say(&rig, 1, &msg);
    rig_load_all(&rig);
    rig_commit(&rig, RD_EFULL);
    answer = rig_take(&rig, 1, WIRE_WRITE_ANSWER);
    ck_assert_uint_eq(answer.write_answer.err, RD_EFULL);
    ck_assert_uint_eq(answer.write_answer.object.len, 0);
    rig_load_all(&rig);
    buf_free(&bytes);
}
END_TEST

START_TEST(it_reads_for_peers) {
    struct wire_msg msg = {.kind = WIRE_READ};
    msg.read.id = 5;
    msg.read.key = rig_slice("k");
    rig_say(&rig, 2, &msg);
    rig_load_all(&rig);
    struct wire_msg answer = rig_take(&rig, 2, WIRE_READ_ANSWER);
    ck_assert_uint_eq(answer.read_answer.err, RD_ENOTFOUND);
    ck_assert_uint_eq(answer.read_answer.object.len, 0);
    rig_put_object(&rig, "k", "A1 | A1@5=a");
    rig_say(&rig, 2, &msg);
    rig_load_all(&rig);
    answer = rig_take(&rig, 2, WIRE_READ_ANSWER);
    ck_assert_uint_eq(answer.read_answer.err, RD_OK);
    struct object object;
    ck_assert_int_eq(
        object_decode(answer.read_answer.object.data, answer.read_answer.object.len, &object),
        RD_OK);
    rig_check_shape(&object, "A1 | A1=a");
    object_free(&object);
    rig_say(&rig, 2, &msg);
    rig_cut(&rig, 2); /* it is gone when the answer is there */
    rig_load_all(&rig);
    ck_assert_uint_eq(rig.frame_count, 0);
}
END_TEST

START_TEST(damaged_objects_drop_the_link) {
    struct buf bytes = {0};
    for (int way = 0; way < 4; way++) {
        struct wire_msg msg = write_of("A1 | A1@9=a", &bytes);
        msg.write.id = 1;
        if (way == 0)
            msg.write.object.len--;
        if (way == 1)
            msg.write.object.len = 0;
        if (way >= 2) { /* in an answer */
            struct resp_slice object = msg.write.object;
            object.len--;
            msg = (struct wire_msg){.kind = way == 2 ? WIRE_READ_ANSWER : WIRE_WRITE_ANSWER};
            if (way == 2)
                msg.read_answer.object = object;
            else
                msg.write_answer.object = object;
        }
        uint64_t link = rig.peers[1];
        rig_say(&rig, 1, &msg);
        ck_assert(rig_closed(&rig, link));
        ck_assert_uint_eq(rig_stats(&rig).frames_refused, (uint64_t)way + 1);
        rig_link(&rig, 1, true);
        rig_drop_frames(&rig);
    }
    ck_assert(rig_logged(&rig,
                         "Dropped the link to the peer at 127.0.0.1:17001: it sent a frame that "
                         "cannot be decoded"));
    ck_assert(!node_has_dirty_rows(rig.node));
    buf_free(&bytes);
}
END_TEST

START_TEST(an_unborn_replica_takes_no_writes) {
    struct buf bytes = {0};
    struct node_conf conf = rig_conf();
    rig_reset(&rig);
    rig.conf = conf;
    rig_store_identity(&rig);
    rig_start(&rig, &conf);
    rig_settle(&rig);
    rig_link(&rig, 1, false);
    rig_drop_frames(&rig);
    struct wire_msg msg = write_of("A1 | A1@9=a", &bytes);
    msg.write.id = 4;
    rig_say(&rig, 1, &msg);
    ck_assert_uint_eq(rig_take(&rig, 1, WIRE_WRITE_ANSWER).write_answer.err, RD_ECLUSTERDOWN);
    msg = (struct wire_msg){.kind = WIRE_FORWARD};
    msg.forward.key = rig_slice("k");
    rig_say(&rig, 1, &msg);
    struct wire_msg answer = rig_take(&rig, 1, WIRE_FORWARD_ANSWER);
    ck_assert_uint_eq(answer.forward_answer.err, RD_ECLUSTERDOWN);
    ck_assert_uint_eq(answer.forward_answer.handled, 0);
    ck_assert_uint_eq(rig.get_count, 0);
    buf_free(&bytes);
}
END_TEST

/* ---- reports and counts ---------------------------------------------------------------------- */

START_TEST(a_report_has_a_line_per_home) {
    struct client_request request = {.op = CLIENT_REPLICAS, .key = "k", .key_len = 1};
    rig_put_object(&rig, "k", "A1 B.2:3 | B.2:3@7=b A1@5=a");
    uint64_t tag = rig_ask(&rig, request);
    rig_load_all(&rig);
    struct wire_msg one = rig_take(&rig, 1, WIRE_READ), two = rig_take(&rig, 2, WIRE_READ);
    rig_answer_read(&rig, 1, &one, NULL);
    rig_answer_read(&rig, 1, &one, "C1 | C1@5=c"); /* once is enough */
    ck_assert(!rig_replied(&rig, tag));
    rig_fail_read(&rig, 2, &two, RD_EIO);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_uint_eq(reply->report_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct replica_report *line = &reply->reports[i];
        ck_assert(line->home);
        ck_assert_uint_eq(line->address.port, 7000u + line->node.bytes[0] / 0x11 - 1);
        switch (line->node.bytes[0]) {
        case 0x11:
            ck_assert_int_eq(line->state, REPLICA_OK);
            ck_assert_uint_eq(line->siblings, 2);
            ck_assert_uint_ne(line->digest, 0);
            ck_assert_mem_eq(buf_data(&line->clock), "0000000000000001.0:1 0000000000000002.2:3",
                             41);
            break;
        case 0x22:
            ck_assert_int_eq(line->state, REPLICA_NOT_FOUND);
            break;
        default:
            ck_assert_int_eq(line->state, REPLICA_FAILED);
        }
    }
    client_reply_free(reply);
}
END_TEST

START_TEST(a_report_shows_who_does_not_answer) {
    struct client_request request = {.op = CLIENT_REPLICAS, .key = "k", .key_len = 1};
    rig_cut(&rig, 2);
    uint64_t tag = rig_ask(&rig, request);
    rig_got(&rig, RD_ECORRUPT);
    ck_assert(!rig_replied(&rig, tag));
    rig_elapse(&rig, 500);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(reply->reports[i].state, reply->reports[i].node.bytes[0] == 0x11
                                                      ? REPLICA_FAILED
                                                      : REPLICA_NO_ANSWER);
    client_reply_free(reply);
    tag = rig_ask(&rig, request);
    rig_load_all(&rig);
    rig_cut(&rig, 1); /* at once, if nobody is left */
    client_reply_free(rig_reply(&rig, tag));
}
END_TEST

/* Five members, N=3: two are no homes. One of them keeps a hint. */
START_TEST(a_report_names_fallbacks_that_keep_something) {
    struct node_conf conf = rig_conf();
    char key[16];
    rig_reset(&rig);
    rig_start_born(&rig, &conf, 4, true);
    rig_key(&rig, true, 0, key);
    struct client_request request = {.op = CLIENT_REPLICAS, .key = key, .key_len = strlen(key)};
    uint64_t tag = rig_ask(&rig, request);
    rig_load_all(&rig);
    for (unsigned peer = 1; peer <= 4; peer++) {
        struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
        rig_answer_read(&rig, peer, &read, "A1 | A1@5=a");
    }
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_uint_eq(reply->report_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(reply->reports[i].home, i < 3);
        ck_assert_int_eq(reply->reports[i].current, reply->reports[i].node.bytes[0] != 0x11);
    }
    client_reply_free(reply);
    tag = rig_ask(&rig, request);
    rig_load_all(&rig);
    for (unsigned peer = 1; peer <= 4; peer++) {
        struct wire_msg read = rig_take(&rig, peer, WIRE_READ);
        rig_answer_read(&rig, peer, &read, NULL);
    }
    reply = rig_reply(&rig, tag);
    ck_assert_uint_eq(reply->report_count, 3);
    client_reply_free(reply);
}
END_TEST

static uint64_t count_slots(void *arg, uint16_t first, uint16_t last) {
    ck_assert_uint_lt(first, last);
    *(uint64_t *)arg += last - first + 1u;
    return 1;
}

START_TEST(counts_are_summed) {
    struct client_request request = {.op = CLIENT_COUNT};
    uint64_t slots = 0;
    const struct store_view view = {.arg = &slots, .live_count = count_slots}, none = {0};
    node_set_store_view(rig.node, &view);
    uint64_t tag = rig_ask(&rig, request);
    struct wire_msg one = rig_take(&rig, 1, WIRE_COUNT), two = rig_take(&rig, 2, WIRE_COUNT);
    ck_assert(slots > 0 && slots < 16384); /* where it is the first home in reach */
    struct wire_msg answer = {.kind = WIRE_COUNT_ANSWER};
    answer.count_answer.id = one.count.id;
    answer.count_answer.number = 100;
    rig_say(&rig, 1, &answer);
    rig_say(&rig, 1, &answer);
    ck_assert(!rig_replied(&rig, tag));
    ck_assert_uint_eq(two.count.id, one.count.id);
    rig_cut(&rig, 2);
    struct client_reply *reply = rig_reply(&rig, tag);
    ck_assert_uint_eq(reply->number, 100 + slots / 1024);
    client_reply_free(reply);

    struct wire_msg count = {.kind = WIRE_COUNT}; /* and for a peer */
    count.count.id = 8;
    slots = 0;
    rig_say(&rig, 1, &count);
    answer = rig_take(&rig, 1, WIRE_COUNT_ANSWER);
    ck_assert_uint_eq(answer.count_answer.id, 8);
    ck_assert_uint_eq(answer.count_answer.number, slots / 1024);

    slots = 0;
    tag = rig_ask(&rig, request); /* peer 1 says nothing */
    rig_elapse(&rig, 500);
    reply = rig_reply(&rig, tag);
    ck_assert_int_eq(reply->err, RD_OK);
    ck_assert_uint_eq(reply->number, slots / 1024);
    client_reply_free(reply);
    rig_cut(&rig, 1);
    slots = 0;
    tag = rig_ask(&rig, request);
    reply = rig_reply(&rig, tag);
    ck_assert_uint_eq(reply->number, 16); /* alone it answers for all */
    client_reply_free(reply);
    node_set_store_view(rig.node, &none);
    rig_drop_frames(&rig);
}
END_TEST

/* ---- gossip ---------------------------------------------------------------------------------- */

START_TEST(gossip_goes_on_only_while_maps_differ) {
    struct node_conf conf = rig_conf();
    conf.gossip_interval_ms = 1000;
    start(&conf, 2);
    rig_elapse(&rig, 1500);
    size_t said = rig_waiting(&rig, 1, WIRE_GOSSIP) + rig_waiting(&rig, 2, WIRE_GOSSIP);
    ck_assert_uint_ge(said, 1);
    rig_drop_frames(&rig);
    struct wire_msg msg = {.kind = WIRE_GOSSIP};
    msg.gossip.hash = members_hash(&rig.node->members);
    rig_say(&rig, 1, &msg);
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_DIGEST), 0);
    msg.gossip.hash++;
    rig_say(&rig, 1, &msg);
    struct wire_msg digest = rig_take(&rig, 1, WIRE_DIGEST);
    rig_say(&rig, 1, &digest); /* the same map: nothing to send, nothing to wish for */
    ck_assert_uint_eq(rig_waiting(&rig, 1, WIRE_ENTRIES), 0);
    digest.digest.lines.len = 0; /* an empty one gets everything */
    rig_say(&rig, 1, &digest);
    struct wire_msg entries = rig_take(&rig, 1, WIRE_ENTRIES);
    struct members members;
    ck_assert_int_eq(members_unpack(entries.entries.entries, &members), RD_OK);
    ck_assert_uint_eq(members.count, 3);
    members_free(&members);
    rig_drop_frames(&rig);
}
END_TEST

START_TEST(a_born_cluster_learns_no_strangers) {
    struct member stranger = {.id = rig_id(6), .generation = 1, .vnodes = 1};
    struct buf entry = {0};
    struct wire_msg msg = {.kind = WIRE_ENTRIES};
    ck_assert_int_eq(members_encode_one(&stranger, &entry), RD_OK);
    msg.entries.entries = (struct resp_slice){buf_data(&entry), buf_len(&entry)};
    rig_say(&rig, 1, &msg);
    ck_assert_uint_eq(node_member_count(rig.node), 3);
    msg.entries.entries.len--;
    uint64_t link = rig.peers[1];
    rig_say(&rig, 1, &msg);
    ck_assert(rig_closed(&rig, link));
    buf_free(&entry);
}
END_TEST

/* ---- views ----------------------------------------------------------------------------------- */

START_TEST(preference_lists_name_members) {
    struct node_conf conf = rig_conf();
    start(&conf, 4);
    struct member_view view;
    uint32_t homes_of[5] = {0};
    for (uint16_t p = 0; p < node_partitions(rig.node); p++) {
        uint16_t list[8];
        size_t homes, count = node_preflist(rig.node, p, list, 8, &homes);
        unsigned seen = 0;
        ck_assert_uint_eq(count, 5);
        ck_assert_uint_eq(homes, 3);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_eq(seen & 1u << list[i], 0);
            seen |= 1u << list[i];
            homes_of[list[i]] += i < homes;
        }
        ck_assert_uint_eq(node_preflist(rig.node, p, list, 2, &homes), 2);
        ck_assert_uint_eq(homes, 2);
    }
    for (uint16_t i = 0; i < 5; i++) {
        node_member(rig.node, i, rig.now, &view);
        ck_assert_uint_eq(view.partitions, homes_of[i]);
        ck_assert_int_eq(view.self, i == 0);
    }
    ck_assert_uint_eq(rig_stats(&rig).partitions_owned, homes_of[0]);
}
END_TEST

START_TEST(the_trace_tells_what_happens) {
    struct node_conf conf = rig_conf();
    conf.trace = true;
    start(&conf, 2);
    uint64_t tag = rig_get(&rig, "k", 1);
    rig_load_all(&rig);
    rig_expect(&rig, tag, RD_OK);
    ck_assert(rig_logged(&rig, "ends: RD_OK"));
    ck_assert(rig_logged(&rig, "frame HELLO from 127.0.0.1"));
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("node");
    TCase *tcase = tcase_create("starting");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, bad_configurations_are_refused, 0,
                        sizeof(bad_values) / sizeof(bad_values[0]));
    tcase_add_test(tcase, damaged_identities_are_refused);
    tcase_add_test(tcase, a_generator_that_repeats_itself_is_noticed);
    tcase_add_test(tcase, each_start_is_a_new_generation_and_incarnation);
    tcase_add_test(tcase, a_first_start_makes_an_id);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("limits");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, requests_above_the_limit_are_turned_away);
    tcase_add_test(tcase, names_of_requests_are_not_used_twice);
    tcase_add_test(tcase, deadlines_come_in_order);
    tcase_add_test(tcase, the_empty_key_is_a_key);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("a disk that takes no writes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_full_disk_coordinates_nothing);
    tcase_add_test(tcase, a_disk_that_takes_writes_again_is_noticed);
    tcase_add_test(tcase, what_peers_send_is_tried_on_a_full_disk);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("replica");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_stores_what_peers_send_before_it_says_so);
    tcase_add_test(tcase, it_says_when_it_could_not_store);
    tcase_add_test(tcase, it_reads_for_peers);
    tcase_add_test(tcase, damaged_objects_drop_the_link);
    tcase_add_test(tcase, an_unborn_replica_takes_no_writes);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("reports, counts, gossip, views");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_report_has_a_line_per_home);
    tcase_add_test(tcase, a_report_shows_who_does_not_answer);
    tcase_add_test(tcase, a_report_names_fallbacks_that_keep_something);
    tcase_add_test(tcase, counts_are_summed);
    tcase_add_test(tcase, gossip_goes_on_only_while_maps_differ);
    tcase_add_test(tcase, a_born_cluster_learns_no_strangers);
    tcase_add_test(tcase, preference_lists_name_members);
    tcase_add_test(tcase, the_trace_tells_what_happens);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
