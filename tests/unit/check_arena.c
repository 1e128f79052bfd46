/* base/arena: pieces do not overlap, are aligned, and survive failing allocations. */
#include "base/arena.h"

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 400

/* Fills many pieces of many sizes each with its own byte, then looks whether any was overwritten. */
START_TEST(pieces_keep_apart) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct arena arena = {0};
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    size_t overwritten = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            sizes[i] = (size_t)prng_below(&prng, prng_chance(&prng, 1, 20) ? 20000 : 200);
            pieces[i] = arena_alloc(&arena, sizes[i]);
            ck_assert_ptr_nonnull(pieces[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
            memset(pieces[i], (int)(i % 251), sizes[i]);
        }
        for (size_t i = 0; i < PIECES; i++) {
            for (size_t k = 0; k < sizes[i]; k++) {
                overwritten += pieces[i][k] != i % 251;
            }
        }
        ck_assert_uint_eq(overwritten, 0);
        arena_reset(&arena);
    }
    arena_free(&arena);
    ck_assert_uint_eq(arena.total_bytes, 0);
}
END_TEST

START_TEST(copies_end_with_a_zero) {
    struct arena arena = {0};
    char *copy = arena_copy(&arena, "ab\0c", 4);
    ck_assert_mem_eq(copy, "ab\0c", 5);
    char *empty = arena_copy(&arena, NULL, 0);
    ck_assert_str_eq(empty, "");
    ck_assert_ptr_ne(arena_alloc(&arena, 0), arena_alloc(&arena, 0));
    arena_free(&arena);
}
END_TEST

START_TEST(calloc_zeroes_memory_used_before) {
    struct arena arena = {0};
    memset(arena_alloc(&arena, 64), 0xff, 64);
    arena_reset(&arena);
    unsigned char *zeroed = arena_calloc(&arena, 8, 8);
    for (int i = 0; i < 64; i++) {
        ck_assert_uint_eq(zeroed[i], 0);
    }
    ck_assert_ptr_nonnull(arena_calloc(&arena, 3, 0));
    arena_free(&arena);
}
END_TEST

START_TEST(absurd_sizes_are_refused) {
    struct arena arena = {0};
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
    ck_assert_ptr_null(arena_copy(&arena, "", SIZE_MAX));
    ck_assert_ptr_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
    ck_assert_uint_eq(arena.total_bytes, 0);
}
END_TEST

START_TEST(reset_keeps_one_chunk) {
    struct arena arena = {0};
    for (int i = 0; i < 1000; i++) {
        arena_alloc(&arena, 100);
    }
    arena_alloc(&arena, 1000000);
    ck_assert_uint_ge(arena.total_bytes, 1100000);
    arena_reset(&arena);
    ck_assert_uint_le(arena.total_bytes, 4096);
    unsigned long before = oom_count();
    void *piece = arena_alloc(&arena, 2000);
    unsigned long after = oom_count();
    ck_assert_ptr_nonnull(piece);
    ck_assert_uint_eq(after, before);
    arena_free(&arena);

    /* Nothing but a large piece: nothing is worth keeping. */
    arena_alloc(&arena, 1000000);
    arena_reset(&arena);
    ck_assert_uint_eq(arena.total_bytes, 0);
}
END_TEST

/* Three pieces: a chunk, one alone, another chunk. Whichever fails, the arena goes on. */
START_TEST(survives_failing_allocations) {
    const size_t sizes[] = {16, 100000, 3000, 3000};
    for (unsigned n = 1;; n++) {
        struct arena arena = {0};
        int failed = 0;
        oom_fail_at(n);
        for (size_t i = 0; i < 4; i++) {
            failed += arena_alloc(&arena, sizes[i]) == NULL;
        }
        void *after = arena_alloc(&arena, 16);
        int fired = oom_stop();
        ck_assert_int_eq(failed, fired);
        ck_assert_ptr_nonnull(after);
        arena_free(&arena);
        if (!fired) {
            ck_assert_uint_gt(n, 3);
            break;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("arena");
    TCase *tcase = tcase_create("arena");
    tcase_add_loop_test(tcase, pieces_keep_apart, 0, 5);
    tcase_add_test(tcase, copies_end_with_a_zero);
    tcase_add_test(tcase, calloc_zeroes_memory_used_before);
    tcase_add_test(tcase, absurd_sizes_are_refused);
    tcase_add_test(tcase, reset_keeps_one_chunk);
    tcase_add_test(tcase, survives_failing_allocations);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
