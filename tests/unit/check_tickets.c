/* server/tickets: names find their owner once, and never again. */
#include "server/tickets.h"

#include "tests/lib/oom.h"
#include "tests/lib/run.h"

START_TEST(a_name_is_good_for_once) {
    struct tickets tickets = {0};
    int owner = 0;
    uint64_t name = 0;
    uint32_t part = 0;
    uint64_t when = 0;
    ck_assert_int_eq(tickets_open(&tickets, &owner, 9, 5, &name), RD_OK);
    ck_assert_uint_eq(tickets.open, 1);
    ck_assert_ptr_eq(tickets_close(&tickets, name, &part, &when), &owner);
    ck_assert_uint_eq(part, 9);
    ck_assert_uint_eq(when, 5);
    ck_assert_uint_eq(tickets.open, 0);
    ck_assert_ptr_null(tickets_close(&tickets, name, &part, &when));
    tickets_free(&tickets);
}
END_TEST

START_TEST(a_late_name_does_not_find_the_slots_next_owner) {
    struct tickets tickets = {0};
    int first = 0, second = 0;
    uint64_t old_name = 0, new_name = 0;
    uint32_t part = 0;
    uint64_t when = 0;
    ck_assert_int_eq(tickets_open(&tickets, &first, 0, 5, &old_name), RD_OK);
    ck_assert_ptr_eq(tickets_close(&tickets, old_name, &part, &when), &first);
    ck_assert_int_eq(tickets_open(&tickets, &second, 0, 5, &new_name), RD_OK);
    ck_assert_uint_eq((uint32_t)old_name, (uint32_t)new_name);
    ck_assert_ptr_null(tickets_close(&tickets, old_name, &part, &when));
    ck_assert_ptr_eq(tickets_close(&tickets, new_name, &part, &when), &second);
    tickets_free(&tickets);
}
END_TEST

START_TEST(invented_names_find_nothing) {
    struct tickets tickets = {0};
    uint32_t part = 0;
    uint64_t when = 0;
    ck_assert_ptr_null(tickets_close(&tickets, 0, &part, &when));
    uint64_t name = 0;
    ck_assert_int_eq(tickets_open(&tickets, &tickets, 0, 5, &name), RD_OK);
    ck_assert_ptr_null(tickets_close(&tickets, UINT64_MAX, &part, &when));
    ck_assert_ptr_null(tickets_close(&tickets, name + 1, &part, &when));
    ck_assert_ptr_null(tickets_close(&tickets, name + ((uint64_t)1 << 32), &part, &when));
    tickets_free(&tickets);
}
END_TEST

START_TEST(grows_without_losing_any) {
    enum { MANY = 3000 };
    static uint64_t names[MANY];
    static int owners[MANY];
    struct tickets tickets = {0};
    for (uint32_t i = 0; i < MANY; i++) {
        ck_assert_int_eq(tickets_open(&tickets, &owners[i], i, 5, &names[i]), RD_OK);
    }
    for (uint32_t i = MANY; i-- > 0;) {
        uint32_t part = 0;
        uint64_t when = 0;
        ck_assert_ptr_eq(tickets_close(&tickets, names[i], &part, &when), &owners[i]);
        ck_assert_uint_eq(part, i);
    }
    tickets_free(&tickets);
}
END_TEST

START_TEST(survives_a_failing_allocation) {
    struct tickets tickets = {0};
    uint64_t name = 77;
    oom_fail_at(1);
    enum rd_err err = tickets_open(&tickets, &tickets, 0, 5, &name);
    ck_assert_int_eq(oom_stop(), 1);
    ck_assert_int_eq(err, RD_ENOMEM);
    ck_assert_uint_eq(name, 77);
    ck_assert_int_eq(tickets_open(&tickets, &tickets, 0, 5, &name), RD_OK);
    tickets_free(&tickets);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tickets");
    TCase *tcase = tcase_create("tickets");
    tcase_add_test(tcase, a_name_is_good_for_once);
    tcase_add_test(tcase, a_late_name_does_not_find_the_slots_next_owner);
    tcase_add_test(tcase, invented_names_find_nothing);
    tcase_add_test(tcase, grows_without_losing_any);
    tcase_add_test(tcase, survives_a_failing_allocation);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
