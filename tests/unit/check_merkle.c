/* Trees against hashes worked out naively from all leaves; lazy hashing counted; failing allocations. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/prng.h"
#include "replication/merkle.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

static const uint32_t sizes[] = {1, 2, 15, 16, 17, 64, 255, 256, 257, 4096, 5000};
#define SIZES (sizeof sizes / sizeof *sizes)

/* The hash of leaves first..first + count at `level`, from scratch. */
static uint64_t naive(const uint64_t *leaves, uint32_t width, unsigned level, uint32_t index) {
    if (level == 0)
        return leaves[index];
    uint64_t below[MERKLE_FANOUT], any = 0;
    uint32_t count = 0, below_width = width;
    for (unsigned i = 1; i < level; i++)
        below_width = (below_width + MERKLE_FANOUT - 1) / MERKLE_FANOUT;
    for (uint32_t i = index * MERKLE_FANOUT; count < MERKLE_FANOUT && i < below_width; i++) {
        below[count] = naive(leaves, width, level - 1, i);
        any |= below[count++];
    }
    return any == 0 ? 0 : hash_xxh64(below, count * sizeof *below, level);
}

START_TEST(test_every_node_is_what_a_recount_gives) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    uint32_t width = sizes[(size_t)_i % SIZES];
    uint64_t *leaves = calloc(width, sizeof *leaves);
    struct merkle tree;
    ck_assert_int_eq(merkle_init(&tree, width), RD_OK);
    ck_assert_uint_eq(merkle_root(&tree), 0);
    for (unsigned round = 0; round < 20; round++) {
        for (uint64_t change = prng_below(&prng, 4); change > 0; change--)
            leaves[prng_below(&prng, width)] = prng_chance(&prng, 1, 3) ? 0 : prng_u64(&prng);
        merkle_load(&tree, leaves);
        for (uint8_t level = 0; level < tree.levels; level++) {
            uint32_t index = (uint32_t)prng_below(&prng, tree.width[level]);
            ck_assert_uint_eq(merkle_hash(&tree, level, index), naive(leaves, width, level, index));
        }
        ck_assert_uint_eq(merkle_root(&tree), naive(leaves, width, tree.levels - 1u, 0));
    }
    ck_assert_uint_eq(tree.width[tree.levels - 1], 1);
    merkle_free(&tree);
    free(leaves);
}
END_TEST

START_TEST(test_a_change_costs_one_path) {
    enum { LEAVES = 4096 };
    static uint64_t leaves[LEAVES];
    struct merkle tree;
    ck_assert_int_eq(merkle_init(&tree, LEAVES), RD_OK);
    for (unsigned i = 0; i < LEAVES; i++)
        leaves[i] = i + 1;
    merkle_load(&tree, leaves);
    uint64_t before = merkle_root(&tree);
    ck_assert_uint_eq(tree.hashed, 256 + 16 + 1);
    leaves[77] = 0;
    merkle_load(&tree, leaves);
    ck_assert_uint_eq(tree.hashed, 256 + 16 + 1); /* nothing is worked out before it is asked for */
    ck_assert_uint_ne(merkle_root(&tree), before);
    ck_assert_uint_eq(tree.hashed, 256 + 16 + 1 + 3);
    leaves[77] = 78;
    merkle_load(&tree, leaves);
    ck_assert_uint_eq(merkle_root(&tree), before);
    merkle_free(&tree);
}
END_TEST

START_TEST(test_children_cover_each_level_once) {
    struct merkle tree;
    ck_assert_int_eq(merkle_init(&tree, sizes[_i]), RD_OK);
    for (uint8_t level = 1; level < tree.levels; level++) {
        uint32_t next = 0;
        for (uint32_t i = 0; i < tree.width[level]; i++) {
            uint32_t first, count = merkle_children(&tree, level, i, &first);
            ck_assert_uint_eq(first, next);
            ck_assert_uint_gt(count, 0);
            next += count;
        }
        ck_assert_uint_eq(next, tree.width[level - 1]);
    }
    merkle_free(&tree);
}
END_TEST

START_TEST(test_without_memory_there_is_no_tree) {
    struct merkle tree = {0};
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = merkle_init(&tree, 300);
        bool failed = oom_stop();
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        ck_assert(failed == (tree.nodes == NULL));
        merkle_free(&tree);
        if (!failed)
            break;
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("merkle");
    TCase *tcase = tcase_create("merkle");
    tcase_add_loop_test(tcase, test_every_node_is_what_a_recount_gives, 0, 3 * (int)SIZES);
    tcase_add_test(tcase, test_a_change_costs_one_path);
    tcase_add_loop_test(tcase, test_children_cover_each_level_once, 0, (int)SIZES);
    tcase_add_test(tcase, test_without_memory_there_is_no_tree);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
