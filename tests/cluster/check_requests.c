/* Stories of single requests: the way of a SET and a GET, siblings, quorums, late answers. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/golden.h"
#include "tests/lib/run.h"

static const unsigned n123[] = {1, 2, 3};

START_TEST(put_and_get) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "first"); /* and so the cluster is born */
    cluster_record(c, false);
    cluster_set(c, 1, key, "v1");
    cluster_expect(c, 2, key, "v1");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "put_and_get.trace");
    cluster_expect_everywhere(c, key, "v1");
    cluster_stop(&c);
}
END_TEST

START_TEST(first_write) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_record(c, false);
    cluster_expect(c, 2, key, "");
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "first_write.trace");
    for (unsigned node = 1; node <= 3; node++) {
        struct node_stats stats;
        node_stats(world_node(cluster_world(c), node - 1), &stats);
        ck_assert(stats.born);
        cluster_expect_stored(c, node, key, "{v1}");
    }
    cluster_stop(&c);
}
END_TEST

START_TEST(any_node_serves_any_key) {
    struct cluster *c = cluster_start(5);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 4, "other", "x");
    cluster_elapse_ms(c, 100);
    cluster_record(c, false);
    cluster_set(c, 5, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_expect(c, 4, key, "v1");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "any_node_serves_any_key.trace");
    for (int i = 0; i < 100; i++) {
        char other[32], value[32];
        snprintf(other, sizeof other, "any%d", i);
        snprintf(value, sizeof value, "v%d", i);
        cluster_set(c, 1 + (unsigned)i % 5, other, value);
        cluster_expect(c, 1 + (unsigned)(i + 2) % 5, other, value);
    }
    cluster_expect_stored(c, 4, key, "nothing");
    cluster_expect_stored(c, 5, key, "nothing");
    cluster_stop(&c);
}
END_TEST

START_TEST(delete) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    struct op *op = cluster_del(c, 2, key);
    ck_assert(op->existed);
    cluster_elapse_ms(c, 10);
    op = cluster_del(c, 3, key);
    ck_assert(!op->existed);
    cluster_elapse_ms(c, 10);
    expect_trace(c, "delete.trace");
    cluster_expect_everywhere(c, key, "");
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, "{}");
    }
    cluster_stop(&c);
}
END_TEST

START_TEST(context_of_another_key_is_refused) {
    struct cluster *c = cluster_start(3);
    cluster_set(c, 1, "a", "1");
    cluster_set(c, 1, "b", "2");
    struct op *seen = cluster_get(c, 1, "a");
    cluster_expect_outcome(c, cluster_dynset_later(c, 1, "b", "3", seen), RD_EBADCONTEXT);
    cluster_expect_outcome(c, cluster_dynset_later(c, 2, "b", NULL, seen), RD_EBADCONTEXT);
    cluster_expect_everywhere(c, "b", "2");
    cluster_stop(&c);
}
END_TEST

/* n1 missed a SET, and its clock is an hour slow; still a SET through it wins, by its second
 * round. */
START_TEST(plain_set_second_round) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_skew_ms(c, 1, -3600000);
    cluster_lose(c, 2, 1, WIRE_WRITE, 1);
    cluster_set(c, 2, key, "v2");
    cluster_elapse_ms(c, 10);
    cluster_expect_stored(c, 1, key, "{v1}");
    cluster_record(c, false);
    cluster_set(c, 1, key, "v3");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "plain_set_second_round.trace");
    cluster_expect_everywhere(c, key, "v3");
    for (unsigned node = 1; node <= 3; node++) {
        cluster_expect_stored(c, node, key, "{v3}");
    }
    cluster_stop(&c);
}
END_TEST

/* Two plain commands at the same time: one of them is the later one, the same everywhere. */
START_TEST(plain_delete_beside_plain_set) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    struct op *deletion = cluster_del_later(c, 1, key);
    struct op *write = cluster_set_later(c, 2, key, "v2");
    cluster_expect_outcome(c, deletion, RD_OK);
    cluster_expect_outcome(c, write, RD_OK);
    cluster_elapse_ms(c, 10);
    expect_trace(c, "plain_delete_beside_plain_set.trace");
    struct op *read = cluster_get(c, 1, key);
    cluster_expect_everywhere(c, key, read->object.count > 0 ? "v2" : "");
    cluster_stop(&c);
}
END_TEST

START_TEST(unknown_outcome_late_answer) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 2, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    cluster_keep(c, 2, 1, WIRE_WRITE_ANSWER, 1);
    cluster_keep(c, 3, 1, WIRE_WRITE_ANSWER, 1);
    cluster_expect_outcome(c, cluster_set_later(c, 1, key, "v2"), RD_EUNKNOWN);
    ck_assert_uint_eq(cluster_release(c), 2);
    cluster_elapse_ms(c, 10);
    expect_trace(c, "unknown_outcome_late_answer.trace");
    struct node_stats stats;
    node_stats(world_node(cluster_world(c), 0), &stats);
    ck_assert_uint_ge(stats.late_answers, 2);
    cluster_expect_everywhere(c, key, "v2"); /* it happened after all */
    cluster_stop(&c);
}
END_TEST

START_TEST(node_down_quorum) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v1");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    cluster_crash(c, 3);
    cluster_elapse_ms(c, 10);
    cluster_set(c, 1, key, "v2");
    cluster_expect(c, 2, key, "v2");
    cluster_crash(c, 2);
    cluster_elapse_ms(c, 10);
    cluster_expect_outcome(c, cluster_set_later(c, 1, key, "v3"), RD_ENOQUORUM);
    cluster_expect_outcome(c, cluster_get_later(c, 1, key), RD_ENOQUORUM);
    cluster_expect_outcome(c, cluster_get_r_later(c, 1, key, 1), RD_OK);
    cluster_restart(c, 3);
    cluster_await_up(c, 1);
    cluster_expect_everywhere(c, key, "v2");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "node_down_quorum.trace");
    cluster_stop(&c);
}
END_TEST

/* The commit of n1 fails under two writes: both are told, their dots are never used again. */
START_TEST(failed_commit_burns_the_dots) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v0");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    store_mem_fail(world_disk(cluster_world(c), 0)->store, STORE_MEM_COMMIT, RD_EFULL, 1);
    struct op *first = cluster_dynset_later(c, 1, key, "v1", NULL);
    struct op *second = cluster_dynset_later(c, 1, key, "v2", NULL);
    cluster_await(c, first);
    cluster_await(c, second);
    ck_assert_int_ne(first->err, RD_OK);
    ck_assert_int_ne(second->err, RD_OK);
    cluster_elapse_ms(c, 10);
    cluster_dynset(c, 1, key, "v3", NULL);
    cluster_elapse_ms(c, 10);
    expect_trace(c, "failed_commit_burns_the_dots.trace");
    struct op *seen = cluster_get_r_later(c, 2, key, 3);
    cluster_await(c, seen);
    ck_assert_int_eq(seen->err, RD_OK);
    bool found = false;
    for (uint32_t i = 0; i < seen->object.count; i++) {
        found |= seen->object.siblings[i].value->len == 2 &&
                 seen->object.siblings[i].value->bytes[1] == '3';
    }
    ck_assert(found);
    cluster_stop(&c);
}
END_TEST

/* n2's disk is slow; its answer to what n1 asked before it died comes to n1's next life, whose
 * request must not take it for its own. */
START_TEST(answer_for_an_earlier_life) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, "a", "va");
    cluster_set(c, 1, key, "vb");
    cluster_elapse_ms(c, 10);
    world_disk_conf(cluster_world(c))->get_min_us = 300000;
    struct op *broken = cluster_get_later(c, 1, "a");
    cluster_elapse_ms(c, 50);
    cluster_crash(c, 1);
    ck_assert_int_eq(broken->err, RD_ECLOSED);
    cluster_restart(c, 1);
    cluster_await_up(c, 1);
    cluster_expect(c, 1, key, "vb");
    cluster_stop(&c);
}
END_TEST

/* A client replaces the value of a SET that is still under way. The SET's second round, which has
 * an old sibling to clear away, must not bring the value back. */
START_TEST(overtaken_by_a_reader) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_lose(c, 2, 1, WIRE_WRITE, 1);
    cluster_set(c, 2, key, "old");
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    cluster_keep(c, 2, 1, WIRE_WRITE_ANSWER, 1);
    cluster_keep(c, 3, 1, WIRE_WRITE_ANSWER, 1);
    struct op *set = cluster_set_later(c, 1, key, "set");
    cluster_elapse_ms(c, 10);
    struct op *seen = cluster_get(c, 3, key);
    ck_assert_uint_eq(seen->object.count, 2);
    cluster_dynset(c, 3, key, "next", seen);
    cluster_release(c);
    cluster_expect_outcome(c, set, RD_OK);
    cluster_elapse_ms(c, 10);
    expect_trace(c, "overtaken_by_a_reader.trace");
    cluster_expect_everywhere(c, key, "next");
    cluster_stop(&c);
}
END_TEST

/* n3 alone knows that v was deleted, n2 never heard of v. A SET through n2 that n3 acknowledges
 * replaces v on n1 too. */
START_TEST(set_hears_of_a_deletion) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_lose(c, 1, 2, WIRE_WRITE, 1);
    cluster_set(c, 1, key, "v");
    cluster_elapse_ms(c, 10);
    struct op *seen = cluster_get(c, 3, key);
    cluster_elapse_ms(c, 10);
    cluster_record(c, false);
    cluster_lose(c, 3, 1, WIRE_WRITE, 1);
    cluster_lose(c, 3, 2, WIRE_WRITE, 1);
    cluster_expect_outcome(c, cluster_dynset_later(c, 3, key, NULL, seen), RD_EUNKNOWN);
    cluster_keep(c, 1, 2, WIRE_WRITE_ANSWER, 1); /* so that n2 need not hear of v from n1 */
    cluster_set(c, 2, key, "w");
    cluster_elapse_ms(c, 10);
    expect_trace(c, "set_hears_of_a_deletion.trace");
    cluster_expect_stored(c, 1, key, "{w}");
    cluster_expect_everywhere(c, key, "w");
    cluster_stop(&c);
}
END_TEST

/* A read of all replicas fails while one row is damaged, and mends it. */
START_TEST(damaged_row_is_mended) {
    struct cluster *c = cluster_start(3);
    char key[32];
    cluster_key_at(c, n123, 3, key);
    cluster_set(c, 1, key, "v");
    cluster_elapse_ms(c, 10);
    struct store_key at = {.space = STORE_OBJECTS,
                           .slot = node_slot(world_node(cluster_world(c), 1), key, strlen(key)),
                           .key = key,
                           .key_len = strlen(key)};
    ck_assert(store_mem_corrupt_row(world_disk(cluster_world(c), 1)->store, &at));
    cluster_expect(c, 1, key, "v");
    cluster_elapse_ms(c, 10);
    cluster_await(c, cluster_get_r_later(c, 1, key, 3));
    cluster_elapse_ms(c, 10);
    cluster_expect_outcome(c, cluster_get_r_later(c, 2, key, 3), RD_OK);
    cluster_expect_stored(c, 2, key, "{v}");
    cluster_stop(&c);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("requests");
    TCase *tcase = tcase_create("requests");
    tcase_add_test(tcase, put_and_get);
    tcase_add_test(tcase, first_write);
    tcase_add_test(tcase, any_node_serves_any_key);
    tcase_add_test(tcase, delete);
    tcase_add_test(tcase, context_of_another_key_is_refused);
    tcase_add_test(tcase, plain_set_second_round);
    tcase_add_test(tcase, plain_delete_beside_plain_set);
    tcase_add_test(tcase, unknown_outcome_late_answer);
    tcase_add_test(tcase, node_down_quorum);
    tcase_add_test(tcase, failed_commit_burns_the_dots);
    tcase_add_test(tcase, answer_for_an_earlier_life);
    tcase_add_test(tcase, overtaken_by_a_reader);
    tcase_add_test(tcase, set_hears_of_a_deletion);
    tcase_add_test(tcase, damaged_row_is_mended);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
