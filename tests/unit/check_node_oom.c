/* replication/node without memory: a scripted life of one node, again and again, each time with
 * another allocation failing inside its steps. Whatever fails, every request gets one reply,
 * nothing is acknowledged that is not stored, nothing crashes, and nothing stays behind (the
 * sanitizers look for leaks).
 *
 * Two things are spared, because without them the process ends by design: the effects queue (the
 * rig reserves its room beforehand) and the tables of uthash (spared by their size).
 */
#include <string.h>

#include "tests/lib/node_rig_oom.h"
#include "tests/lib/node_rig_words.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static struct rig rig;

/* ---- failing --------------------------------------------------------------------------------- */

static struct oom_steps oom;

/* ---- one life -------------------------------------------------------------------------------- */

/* What a peer would say to all frames that wait. */
static void answer_all(bool good) {
    while (rig.frame_count > 0) {
        struct rig_frame frame = rig.frames[0];
        unsigned peer = 0;
        for (unsigned i = 1; i < RIG_MAX_PEERS; i++)
            if (rig.peers[i] == frame.link)
                peer = i;
        struct wire_msg msg = rig_take_on(&rig, frame.link, frame.msg.kind);
        if (peer == 0)
            continue;
        if (msg.kind == WIRE_READ && good)
            rig_answer_read(&rig, peer, &msg, "A1 | A1@5=other");
        else if (msg.kind == WIRE_READ)
            rig_fail_read(&rig, peer, &msg, RD_EIO);
        else if (msg.kind == WIRE_WRITE && msg.write.id != 0)
            rig_answer_write(&rig, peer, &msg, good ? RD_OK : RD_EIO,
                             good && msg.write.round == 1 ? "A1 | A1@5=other" : NULL);
        else if (msg.kind == WIRE_COUNT) {
            struct wire_msg count = {.kind = WIRE_COUNT_ANSWER};
            count.count_answer.id = msg.count.id;
            rig_say(&rig, peer, &count);
        } else if (msg.kind == WIRE_BIRTH_ASK) {
            struct wire_msg yes = {.kind = WIRE_BIRTH_YES};
            yes.birth.view = rig.node->birth.view_hash;
            yes.birth.number = msg.birth_ask.number;
            rig_say(&rig, peer, &yes);
        }
    }
}

static void work(void) {
    for (int i = 0; i < 4; i++) {
        rig_settle(&rig);
        answer_all(true);
    }
}

/* Takes a reply; what was acknowledged must be stored. */
static void take_write(uint64_t tag, const char *key) {
    if (!rig_replied(&rig, tag))
        return;
    struct client_reply *reply = rig_reply(&rig, tag);
    if (reply != NULL && reply->err == RD_OK)
        ck_assert_ptr_nonnull(rig_row(&rig, 0, key));
    client_reply_free(reply);
}

static void take_any(void) {
    while (rig.reply_count > 0)
        client_reply_free(rig_reply(&rig, rig.replies[0].tag));
}

/* Clients of a born node. */
static void serve(void) {
    uint64_t a = rig_set(&rig, "a", "1"), b = rig_write_after(&rig, "b", "2", "A1 | A1@5=other");
    uint64_t c = rig_set(&rig, "a", "3");
    rig_get(&rig, "a", 2);
    work();
    take_write(a, "a");
    take_write(b, "b");
    take_write(c, "a");
    rig_ask(&rig, (struct client_request){
                      .op = CLIENT_READ, .key = "b", .key_len = 1, .r = 3, .monotonic = true});
    rig_ask(&rig, (struct client_request){.op = CLIENT_REPLICAS, .key = "a", .key_len = 1});
    rig_ask(&rig, (struct client_request){.op = CLIENT_COUNT});
    rig_set(&rig, "a", NULL);
    work();
    take_any();
}

/* Peers of a born node: a write, a read, a forward, gossip, a damaged frame. */
static void serve_peers(void) {
    struct buf bytes = {0};
    struct object object =
        rig_row(&rig, 0, "a") == NULL ? (struct object){0} : rig_object(&rig, "a");
    ck_assert_int_eq(object_encode(&object, &bytes), RD_OK);
    object_free(&object);
    struct wire_msg msgs[6] = {{.kind = WIRE_WRITE},  {.kind = WIRE_READ},   {.kind = WIRE_FORWARD},
                               {.kind = WIRE_GOSSIP}, {.kind = WIRE_DIGEST}, {.kind = WIRE_PING}};
    msgs[0].write.id = 1;
    msgs[0].write.key = rig_slice("c");
    msgs[0].write.object = (struct resp_slice){buf_data(&bytes), buf_len(&bytes)};
    msgs[1].read.id = 2;
    msgs[1].read.key = rig_slice("c");
    msgs[2].forward.id = 3;
    msgs[2].forward.key = rig_slice("d");
    msgs[2].forward.value = rig_slice("v");
    for (int i = 0; i < 6; i++)
        if (rig.peers[1] != 0)
            rig_say(&rig, 1, &msgs[i]);
    work();
    buf_free(&bytes);
}

/* The end of a life: with memory again, everybody is answered and nothing is in flight. */
static void finish(void) {
    work();
    rig_elapse(&rig, 600);
    work();
    take_any();
    ck_assert_uint_eq(rig.unanswered, 0);
    ck_assert_uint_eq(rig_stats(&rig).requests_in_flight, 0);
    ck_assert_uint_eq(rig_stats(&rig).keys_in_flight, 0);
    ck_assert_uint_eq(rig.node->parked, 0);
    rig_reset(&rig);
}

static void live_born(void) {
    struct node_conf conf = rig_conf();
    rig_start_born(&rig, &conf, 2, true);
    oom_steps_watch(&oom, &rig);
    serve();
    serve_peers();
    rig_cut(&rig, 1);
    uint64_t tag = rig_set(&rig, "e", "5");
    work();
    take_write(tag, "e");
    rig_elapse(&rig, 300);
    finish();
}

/* Puts a link to peer i up, as far as the handshake gets without memory. */
static void try_link(unsigned peer) {
    unsigned long kept = oom.left;
    oom.left = 0; /* rig_link insists on success */
    rig_link(&rig, peer, false);
    oom.left = kept;
    struct member member = {.id = rig_id(peer), .generation = 1, .vnodes = 16};
    struct wire_msg msg = {.kind = WIRE_ENTRIES};
    struct buf entry = {0};
    ck_assert_int_eq(members_encode_one(&member, &entry), RD_OK);
    msg.entries.entries = (struct resp_slice){buf_data(&entry), buf_len(&entry)};
    rig_say(&rig, peer, &msg);
    buf_free(&entry);
}

static void live_unborn(void) {
    struct node_conf conf = rig_conf();
    rig.conf = conf;
    rig_store_identity(&rig);
    rig_start(&rig, &conf);
    oom_steps_watch(&oom, &rig);
    rig_settle(&rig);
    for (unsigned i = 1; i <= 2; i++)
        if (rig.node->identity.durable)
            try_link(i);
    rig_drop_frames(&rig);
    uint64_t tag = rig_set(&rig, "a", "1");
    work();
    rig_elapse(&rig, 200); /* another proposal, if the first had to be given up */
    work();
    take_write(tag, "a");
    bool acknowledged = rig_row(&rig, 0, "a") != NULL;
    if (acknowledged) /* with what was written the birth was, too */
        ck_assert_int_eq(rig_row(&rig, 2, "birth")->bytes[0], BIRTH_BORN);
    finish();
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void run_all(void (*live)(void), bool last) {
    oom_spare(sizeof(UT_hash_table), HASH_INITIAL_NUM_BUCKETS * sizeof(UT_hash_bucket));
    unsigned long n = 1;
    for (;; n++) {
        oom = (struct oom_steps){.left = n, .lasting = last};
        live();
        if (!oom.fired)
            break;
    }
    ck_assert_uint_gt(n, 100);
}

START_TEST(a_born_node) {
    run_all(live_born, _i == 1);
}
END_TEST

START_TEST(an_unborn_node) {
    run_all(live_unborn, _i == 1);
}
END_TEST

/* node_new itself. */
START_TEST(a_start) {
    struct node_conf conf = rig_conf();
    const uint64_t seed[4] = {1, 2, 3, 4};
    struct node_address seeds[2] = {{"a", 1}, {"b", 2}};
    char reason[256];
    rig.conf = conf;
    rig_store_identity(&rig);
    rig_store_birth(&rig, 2);
    conf.meta_identity = rig_row(&rig, 2, "identity");
    conf.meta_birth = rig_row(&rig, 2, "birth");
    conf.seeds = seeds;
    conf.seed_count = 2;
    for (unsigned n = 1;; n++) {
        struct node *node = NULL;
        oom_fail_at(n);
        enum rd_err err = node_new(&conf, seed, &node, reason);
        bool failed = oom_stop();
        if (!failed) {
            ck_assert_int_eq(err, RD_OK);
            node_check(node);
            node_free(&node);
            ck_assert_uint_gt(n, 5);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_str_eq(reason, "out of memory");
        ck_assert_ptr_null(node);
    }
    rig_reset(&rig);
}
END_TEST

static Suite *make_suite(void) {
    Suite *suite = suite_create("node without memory");
    TCase *tcase = tcase_create("steps");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, a_born_node, 0, 2);
    tcase_add_loop_test(tcase, an_unborn_node, 0, 2);
    tcase_add_test(tcase, a_start);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void) {
    return test_run(make_suite());
}
