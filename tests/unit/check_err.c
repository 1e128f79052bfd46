/* base/err: every code has a name and a text of its own. */
#include "base/err.h"

#include "tests/lib/run.h"

#include <string.h>

START_TEST(names_and_texts_differ) {
    for (int i = 0; i < RD_ERR_COUNT; i++) {
        ck_assert_int_gt((int)strlen(rd_err_text((enum rd_err)i)), 0);
        ck_assert_int_eq(strncmp(rd_err_name((enum rd_err)i), "RD_", 3), 0);
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(rd_err_text((enum rd_err)i), rd_err_text((enum rd_err)k));
            ck_assert_str_ne(rd_err_name((enum rd_err)i), rd_err_name((enum rd_err)k));
        }
    }
    ck_assert_str_eq(rd_err_name(RD_ENOMEM), "RD_ENOMEM");
    ck_assert_str_eq(rd_err_text(RD_OK), "ok");
    ck_assert_int_eq(RD_OK, 0);
}
END_TEST

START_TEST(unknown_codes_have_a_text) {
    ck_assert_str_eq(rd_err_text((enum rd_err)RD_ERR_COUNT), "unknown error");
    ck_assert_str_eq(rd_err_name((enum rd_err) - 1), "RD_E?");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("err");
    TCase *tcase = tcase_create("err");
    tcase_add_test(tcase, names_and_texts_differ);
    tcase_add_test(tcase, unknown_codes_have_a_text);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
