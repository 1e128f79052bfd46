/* server/lanes: granted as a naive list would grant, whatever comes and goes. */
#include "server/lanes.h"

#include <string.h>

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define OWNERS 40
#define CLAIMS 4

/* One owner with some claims; `waiting` is what on_grant counts down. */
struct owner {
    struct lane_claim claims[CLAIMS];
    size_t count;
    size_t waiting;
    uint64_t entered; /* order of entry; 0: not in */
};

static void on_grant(void *arg, void *owner_at) {
    size_t *grants = arg;
    struct owner *owner = owner_at;
    ck_assert_uint_gt(owner->waiting, 0);
    owner->waiting--;
    ++*grants;
}

static void enter(struct lanes *lanes, struct owner *owner, const uint64_t *hashes,
                  const bool *exclusive, size_t count) {
    for (size_t i = 0; i < count; i++) {
        owner->claims[i] =
            (struct lane_claim){.hash = hashes[i], .owner = owner, .exclusive = exclusive[i]};
    }
    owner->count = count;
    owner->waiting = lanes_enter(lanes, owner->claims, count);
}

static size_t leave(struct lanes *lanes, struct owner *owner) {
    size_t grants = 0;
    lanes_leave(lanes, owner->claims, owner->count, on_grant, &grants);
    return grants;
}

START_TEST(writers_take_turns) {
    struct lanes lanes;
    ck_assert_int_eq(lanes_init(&lanes), RD_OK);
    struct owner owners[3] = {0};
    uint64_t hash = 7;
    bool exclusive = true;
    for (size_t i = 0; i < 3; i++) {
        enter(&lanes, &owners[i], &hash, &exclusive, 1);
        ck_assert_uint_eq(owners[i].waiting, i > 0);
    }
    ck_assert_uint_eq(leave(&lanes, &owners[0]), 1);
    ck_assert_uint_eq(owners[1].waiting, 0);
    ck_assert_uint_eq(owners[2].waiting, 1);
    ck_assert_uint_eq(leave(&lanes, &owners[1]), 1);
    ck_assert_uint_eq(leave(&lanes, &owners[2]), 0);
    ck_assert_uint_eq(lanes.claim_count, 0);
    lanes_free(&lanes);
}
END_TEST

START_TEST(readers_go_together_but_not_past_a_writer) {
    struct lanes lanes;
    ck_assert_int_eq(lanes_init(&lanes), RD_OK);
    struct owner owners[5] = {0};
    const bool exclusive[5] = {false, false, true, false, false};
    const size_t waiting[5] = {0, 0, 1, 1, 1};
    uint64_t hash = 7;
    for (size_t i = 0; i < 5; i++) {
        enter(&lanes, &owners[i], &hash, &exclusive[i], 1);
        ck_assert_uint_eq(owners[i].waiting, waiting[i]);
    }
    ck_assert_uint_eq(leave(&lanes, &owners[1]), 0);
    ck_assert_uint_eq(leave(&lanes, &owners[0]), 1);
    ck_assert_uint_eq(leave(&lanes, &owners[2]), 2);
    leave(&lanes, &owners[3]);
    leave(&lanes, &owners[4]);
    lanes_free(&lanes);
}
END_TEST

START_TEST(an_owner_does_not_wait_for_itself) {
    struct lanes lanes;
    ck_assert_int_eq(lanes_init(&lanes), RD_OK);
    struct owner first = {0}, second = {0};
    const uint64_t hashes[3] = {7, 7, 8};
    const bool exclusive[3] = {true, true, true};
    enter(&lanes, &first, hashes, exclusive, 3);
    ck_assert_uint_eq(first.waiting, 0);
    enter(&lanes, &second, hashes, exclusive, 2);
    ck_assert_uint_eq(second.waiting, 2);
    ck_assert_uint_eq(leave(&lanes, &first), 2);
    ck_assert_uint_eq(second.waiting, 0);
    leave(&lanes, &second);
    lanes_free(&lanes);
}
END_TEST

/* The oracle: a claim waits if an owner that entered before has a conflicting claim. */
static size_t should_wait(const struct owner *owners, const struct owner *of) {
    size_t waiting = 0;
    for (size_t c = 0; c < of->count; c++) {
        bool blocked = false;
        for (size_t i = 0; i < OWNERS; i++) {
            for (size_t d = 0;
                 owners[i].entered != 0 && owners[i].entered < of->entered && d < owners[i].count;
                 d++) {
                const struct lane_claim *other = &owners[i].claims[d];
                blocked |= other->hash == of->claims[c].hash &&
                           (other->exclusive || of->claims[c].exclusive);
            }
        }
        waiting += blocked;
    }
    return waiting;
}

START_TEST(agrees_with_a_naive_list) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct lanes lanes;
    ck_assert_int_eq(lanes_init(&lanes), RD_OK);
    struct owner owners[OWNERS] = {0};
    uint64_t clock = 0;
    for (int step = 0; step < 2000; step++) {
        struct owner *owner = &owners[prng_below(&prng, OWNERS)];
        if (owner->entered == 0) {
            uint64_t hashes[CLAIMS];
            bool exclusive[CLAIMS];
            size_t count = 1 + (size_t)prng_below(&prng, CLAIMS);
            for (size_t i = 0; i < count; i++) {
                hashes[i] = prng_below(&prng, 4) * 256; /* one bucket, four lanes */
                exclusive[i] = prng_chance(&prng, 1, 2);
            }
            owner->entered = ++clock;
            enter(&lanes, owner, hashes, exclusive, count);
        } else if (owner->waiting == 0) {
            leave(&lanes, owner);
            owner->entered = 0;
        }
        for (size_t i = 0; i < OWNERS; i++) {
            if (owners[i].entered != 0) {
                ck_assert_uint_eq(owners[i].waiting, should_wait(owners, &owners[i]));
            }
        }
    }
    lanes_free(&lanes);
}
END_TEST

START_TEST(grows_and_survives_a_failure_to_grow) {
    static struct owner owners[5000];
    struct lanes lanes;
    oom_fail_at(1);
    enum rd_err err = lanes_init(&lanes);
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_int_eq(lanes_init(&lanes), RD_OK);
    bool exclusive = true;
    memset(owners, 0, sizeof(owners));
    oom_fail_at(2);
    for (uint64_t i = 0; i < 5000; i++) {
        enter(&lanes, &owners[i], &i, &exclusive, 1);
    }
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_uint_gt(lanes.bucket_count, 256);
    for (size_t i = 0; i < 5000; i++) {
        ck_assert_uint_eq(owners[i].waiting, 0);
        leave(&lanes, &owners[i]);
    }
    ck_assert_uint_eq(lanes.claim_count, 0);
    lanes_free(&lanes);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("lanes");
    TCase *tcase = tcase_create("lanes");
    tcase_add_test(tcase, writers_take_turns);
    tcase_add_test(tcase, readers_go_together_but_not_past_a_writer);
    tcase_add_test(tcase, an_owner_does_not_wait_for_itself);
    tcase_add_loop_test(tcase, agrees_with_a_naive_list, 0, 20);
    tcase_add_test(tcase, grows_and_survives_a_failure_to_grow);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
