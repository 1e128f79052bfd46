/* base/pool: what is given back comes again, within the limit, and all of it is freed. */
#include "base/pool.h"

#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#define SIZE 48

START_TEST(what_is_given_back_comes_again) {
    struct pool pool = {0};
    void *a = pool_take(&pool, SIZE), *b = pool_take(&pool, SIZE);
    ck_assert_ptr_ne(a, b);
    pool_give(&pool, a);
    pool_give(&pool, b);
    pool_give(&pool, NULL);
    unsigned long before = oom_count();
    void *c = pool_take(&pool, SIZE), *d = pool_take(&pool, SIZE);
    if (POOL_KEPT > 0) {
        ck_assert_uint_eq(oom_count(), before);
        ck_assert_ptr_eq(c, b);
        ck_assert_ptr_eq(d, a);
    }
    pool_give(&pool, c);
    pool_give(&pool, d);
    pool_free(&pool);
    ck_assert_ptr_null(pool.first);
    ck_assert_uint_eq(pool.count, 0);
}
END_TEST

START_TEST(keeps_so_many_and_no_more) {
    struct pool pool = {0};
    static void *all[POOL_KEPT + 10];
    for (size_t i = 0; i < POOL_KEPT + 10; i++)
        all[i] = pool_take(&pool, SIZE);
    for (size_t i = 0; i < POOL_KEPT + 10; i++)
        pool_give(&pool, all[i]);
    ck_assert_uint_eq(pool.count, POOL_KEPT);
    pool_free(&pool);
}
END_TEST

START_TEST(says_that_there_is_no_memory) {
    struct pool pool = {0};
    oom_fail_at(1);
    void *none = pool_take(&pool, SIZE);
    ck_assert(oom_stop());
    ck_assert_ptr_null(none);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("pool");
    tcase_add_test(tcase, what_is_given_back_comes_again);
    tcase_add_test(tcase, keeps_so_many_and_no_more);
    tcase_add_test(tcase, says_that_there_is_no_memory);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
