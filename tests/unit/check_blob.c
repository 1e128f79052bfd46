/* base/blob: content, counts, limits, failing allocations. */
#include "base/blob.h"

#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#include <string.h>

START_TEST(keeps_what_it_was_given) {
    char bytes[] = "a\0b";
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_new(bytes, sizeof bytes, &blob), RD_OK);
    bytes[0] = 'x';
    ck_assert_uint_eq(blob->len, 4);
    ck_assert_uint_eq(blob->refs, 1);
    ck_assert_mem_eq(blob->bytes, "a\0b", 4);
    blob_unref(blob);
}
END_TEST

START_TEST(may_be_empty) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_new(NULL, 0, &blob), RD_OK);
    ck_assert_uint_eq(blob->len, 0);
    blob_unref(blob);
}
END_TEST

START_TEST(lives_until_the_last_reference) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_alloc(3, &blob), RD_OK);
    memcpy(blob->bytes, "xyz", 3);
    ck_assert_ptr_eq(blob_ref(blob), blob);
    ck_assert_ptr_eq(blob_ref(blob), blob);
    ck_assert_uint_eq(blob->refs, 3);
    blob_unref(blob);
    blob_unref(blob);
    ck_assert_uint_eq(blob->refs, 1);
    ck_assert_mem_eq(blob->bytes, "xyz", 3);
    blob_unref(blob);
}
END_TEST

START_TEST(passes_null_through) {
    ck_assert_ptr_null(blob_ref(NULL));
    blob_unref(NULL);
}
END_TEST

START_TEST(has_a_longest) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_alloc(BLOB_MAX_BYTES + 1, &blob), RD_ETOOBIG);
    ck_assert_int_eq(blob_alloc(SIZE_MAX, &blob), RD_ETOOBIG);
    ck_assert_int_eq(blob_new("", SIZE_MAX, &blob), RD_ETOOBIG);
    ck_assert_ptr_null(blob);
}
END_TEST

START_TEST(survives_a_failing_allocation) {
    struct blob *blob = NULL;
    oom_fail_at(1);
    enum rd_err err = blob_new("abc", 3, &blob);
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_ptr_null(blob);

    oom_fail_at(2);
    err = blob_new("abc", 3, &blob);
    ck_assert_int_eq(oom_stop(), 0);
    ck_assert_int_eq(err, RD_OK);
    blob_unref(blob);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("blob");
    TCase *tcase = tcase_create("blob");
    tcase_add_test(tcase, keeps_what_it_was_given);
    tcase_add_test(tcase, may_be_empty);
    tcase_add_test(tcase, lives_until_the_last_reference);
    tcase_add_test(tcase, passes_null_through);
    tcase_add_test(tcase, has_a_longest);
    tcase_add_test(tcase, survives_a_failing_allocation);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
