/* sim/queue: order by time, then by arrival; against a sorted list. */
#include "sim/queue.h"

#include "base/prng.h"
#include "sim/mem.h"
#include "tests/lib/run.h"

START_TEST(is_empty_at_first) {
    struct queue queue = {0};
    struct sim_event event;
    ck_assert(!queue_pop(&queue, &event));
    ck_assert_uint_eq(queue_next_us(&queue), UINT64_MAX);
    queue_free(&queue);
}
END_TEST

START_TEST(keeps_the_order_of_one_moment) {
    struct queue queue = {0};
    struct sim_event event;
    for (uint64_t i = 0; i < 100; i++) {
        queue_push(&queue, &(struct sim_event){.at_us = 7, .a = i});
    }
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(queue_next_us(&queue), 7);
        ck_assert(queue_pop(&queue, &event));
        ck_assert_uint_eq(event.a, i);
    }
    queue_free(&queue);
}
END_TEST

/* Pushes and pops at random; what comes out must be the least by (time, sequence) of what is in. */
START_TEST(agrees_with_a_list) {
    enum { MOST = 200 };
    struct queue queue = {0};
    struct sim_event list[MOST];
    size_t count = 0;
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    uint64_t sequence = 0;
    for (int round = 0; round < 2000; round++) {
        if (count < MOST && prng_chance(&prng, 11, 20)) {
            struct sim_event event = {.at_us = prng_below(&prng, 50), .b = prng_u64(&prng)};
            queue_push(&queue, &event);
            event.sequence = sequence++;
            list[count++] = event;
        } else if (count > 0) {
            size_t least = 0;
            for (size_t i = 1; i < count; i++) {
                if (list[i].at_us < list[least].at_us ||
                    (list[i].at_us == list[least].at_us &&
                     list[i].sequence < list[least].sequence)) {
                    least = i;
                }
            }
            struct sim_event event;
            ck_assert_uint_eq(queue_next_us(&queue), list[least].at_us);
            ck_assert(queue_pop(&queue, &event));
            ck_assert_uint_eq(event.b, list[least].b);
            ck_assert_uint_eq(event.sequence, list[least].sequence);
            list[least] = list[--count];
        }
        ck_assert_uint_eq(queue.count, count);
    }
    queue_free(&queue);
}
END_TEST

START_TEST(owns_the_blobs_in_it) {
    struct queue queue = {0};
    struct blob *blob = mem_blob("x", 1);
    queue_push(&queue, &(struct sim_event){.at_us = 1, .blob = blob_ref(blob)});
    queue_push(&queue, &(struct sim_event){.at_us = 2, .blob = blob_ref(blob)});
    ck_assert_uint_eq(blob->refs, 3);
    struct sim_event event;
    ck_assert(queue_pop(&queue, &event));
    ck_assert_ptr_eq(event.blob, blob);
    blob_unref(event.blob);
    queue_free(&queue);
    ck_assert_uint_eq(blob->refs, 1);
    blob_unref(blob);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim/queue");
    TCase *tcase = tcase_create("queue");
    tcase_add_test(tcase, is_empty_at_first);
    tcase_add_test(tcase, keeps_the_order_of_one_moment);
    tcase_add_loop_test(tcase, agrees_with_a_list, 0, 20);
    tcase_add_test(tcase, owns_the_blobs_in_it);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
