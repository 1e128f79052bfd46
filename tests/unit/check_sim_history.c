/* sim/history, sim/losses, sim/trace: what was asked and answered, what was destroyed, and how both are written down. */
#include "sim/history.h"

#include <string.h>

#include "sim/losses.h"
#include "sim/mem.h"
#include "sim/trace.h"
#include "tests/lib/run.h"

static struct history history;

static void teardown(void) {
    history_free(&history);
    ck_assert_uint_eq(history.count, 0);
}

static struct blob *text(const char *bytes) {
    return mem_blob(bytes, strlen(bytes));
}

/* `request` with a key, added. */
static struct op *ask(struct op request, const char *key, const char *value) {
    request.key = key == NULL ? NULL : text(key);
    request.value = value == NULL ? NULL : text(value);
    struct op *op = history_add(&history, &request, 100);
    blob_unref(request.key);
    blob_unref(request.value);
    return op;
}

static void expect_text(struct buf *out, const char *wanted) {
    mem_append(out, "", 1);
    ck_assert_str_eq((const char *)buf_data(out), wanted);
    buf_free(out);
}

/* ---- requests and answers -------------------------------------------------------------------- */

START_TEST(an_op_keeps_its_place) {
    struct op *first = ask((struct op){.kind = CLIENT_READ, .node = 3, .r = 2}, "k", NULL);
    for (uint64_t i = 2; i <= 1000; i++) {
        ck_assert_uint_eq(ask((struct op){.kind = CLIENT_COUNT}, NULL, NULL)->tag, i);
    }
    ck_assert_ptr_eq(history_op(&history, 1), first);
    ck_assert_uint_eq(first->node, 3);
    ck_assert_uint_eq(first->asked_us, 100);
    ck_assert_uint_eq(history.count, 1000);
    ck_assert_uint_eq(history.open, 1000);
    ck_assert_mem_eq(first->key->bytes, "k", 1); /* a reference of its own */
}
END_TEST

START_TEST(an_answer_is_taken_whole) {
    struct op *op = ask((struct op){.kind = CLIENT_SCAN, .count = 5}, NULL, NULL);
    struct client_reply reply = {.err = RD_OK, .cursor = 77, .stand_ins = 1, .number = 9};
    mem_append(&reply.keys, "keys", 4);
    mem_append(&reply.context, "token", 5);
    struct dot dot = {{1, 1}, 1};
    struct blob *value = text("v");
    mem_must(object_write(&reply.object, &(struct context){0}, &dot, 5, value, 0));
    blob_unref(value);
    history_answer(&history, op, &reply, 250);
    ck_assert(op->answered);
    ck_assert_uint_eq(op->answered_us, 250);
    ck_assert_uint_eq(op->next_cursor, 77);
    ck_assert_uint_eq(op->stand_ins, 1);
    ck_assert_uint_eq(op->number, 9);
    ck_assert_uint_eq(op->object.count, 1);
    ck_assert_uint_eq(buf_len(&op->keys), 4);
    ck_assert_mem_eq(op->token->bytes, "token", 5);
    ck_assert_uint_eq(history.open, 0);
    ck_assert(object_is_empty(&reply.object) && buf_len(&reply.keys) == 0); /* taken */
    buf_free(&reply.context);
}
END_TEST

START_TEST(a_broken_request_has_an_answer) {
    struct op *op = ask((struct op){.kind = CLIENT_WRITE}, "k", "v");
    history_break(&history, op, RD_ECLOSED, 300);
    ck_assert(op->answered);
    ck_assert_int_eq(op->err, RD_ECLOSED);
    ck_assert_uint_eq(op->answered_us, 300);
    ck_assert_uint_eq(history.open, 0);
}
END_TEST

static const struct {
    struct op op;
    const char *key, *value, *text;
} requests[] = {
    {{.kind = CLIENT_READ}, "k", NULL, "GET k"},
    {{.kind = CLIENT_READ, .monotonic = true, .r = 3}, "k", NULL, "GET k monotonic R=3"},
    {{.kind = CLIENT_WRITE}, "k", "v", "SET k v"},
    {{.kind = CLIENT_WRITE}, "k", "", "SET k \"\""},
    {{.kind = CLIENT_WRITE}, "k", NULL, "DEL k"},
    {{.kind = CLIENT_WRITE, .with_context = true, .w = 1}, "k", "v", "DYNSET k v W=1"},
    {{.kind = CLIENT_WRITE, .with_context = true}, "k", NULL, "DYNDEL k"},
    {{.kind = CLIENT_RMW}, "k", "v", "APPEND k v"},
    {{.kind = CLIENT_REPLICAS}, "k", NULL, "REPLICAS k"},
    {{.kind = CLIENT_COUNT}, NULL, NULL, "COUNT"},
    {{.kind = CLIENT_SCAN, .cursor = 12}, NULL, NULL, "SCAN from 12"},
    {{.kind = CLIENT_FLUSH}, NULL, NULL, "FLUSH from 0"},
};

START_TEST(requests_read_like_commands) {
    struct buf out = {0};
    history_text_request(ask(requests[_i].op, requests[_i].key, requests[_i].value), &out);
    expect_text(&out, requests[_i].text);
}
END_TEST

START_TEST(a_context_is_mentioned) {
    struct buf out = {0};
    struct op request = {.kind = CLIENT_WRITE, .with_context = true, .context = text("token")};
    history_text_request(ask(request, "k", "v"), &out);
    expect_text(&out, "DYNSET k v with context");
    blob_unref(request.context);
}
END_TEST

static const struct {
    enum client_op kind;
    const char *value;
    enum rd_err err;
    bool existed;
    const char *text;
} answers[] = {
    {CLIENT_READ, NULL, RD_OK, false, "nothing"}, {CLIENT_WRITE, "v", RD_OK, false, "ok"},
    {CLIENT_WRITE, NULL, RD_OK, false, "ok"},     {CLIENT_WRITE, NULL, RD_OK, true, "ok, existed"},
    {CLIENT_RMW, "v", RD_OK, false, "result"},    {CLIENT_COUNT, NULL, RD_OK, false, "42"},
    {CLIENT_FLUSH, NULL, RD_OK, false, "ok"},
};

START_TEST(answers_read_like_replies) {
    struct buf out = {0};
    struct op *op = ask((struct op){.kind = answers[_i].kind}, "k", answers[_i].value);
    struct client_reply reply = {
        .err = answers[_i].err, .existed = answers[_i].existed, .number = 42};
    history_text_answer(op, &out);
    expect_text(&out, "(no answer)");
    mem_append(&reply.reply, "result", 6);
    history_answer(&history, op, &reply, 200);
    history_text_answer(op, &out);
    expect_text(&out, answers[_i].text);
    buf_free(&reply.reply);
    struct op *failed = ask((struct op){.kind = answers[_i].kind}, "k", answers[_i].value);
    history_break(&history, failed, RD_ENOQUORUM, 200);
    history_text_answer(failed, &out);
    expect_text(&out, rd_err_text(RD_ENOQUORUM));
}
END_TEST

/* ---- losses ---------------------------------------------------------------------------------- */

START_TEST(machines_are_counted_not_rows) {
    struct losses losses = {0};
    ck_assert_uint_eq(losses_count(&losses, 1, 0, UINT64_MAX), 0);
    losses_add(&losses, 1, 0, 10);
    losses_add(&losses, 1, 0, 20);
    losses_add(&losses, 1, 63, 30);
    losses_add(&losses, 2, 5, 20);
    ck_assert_uint_eq(losses_count(&losses, 1, 0, UINT64_MAX), 2);
    ck_assert_uint_eq(losses_count(&losses, 1, 10, 20), 1); /* both ends are included */
    ck_assert_uint_eq(losses_count(&losses, 1, 11, 19), 0);
    ck_assert_uint_eq(losses_count(&losses, 2, 20, 20), 1);
    ck_assert_uint_eq(losses_count(&losses, 3, 0, UINT64_MAX), 0);
    losses_free(&losses);
    ck_assert_uint_eq(losses_count(&losses, 1, 0, UINT64_MAX), 0);
}
END_TEST

/* ---- traces ---------------------------------------------------------------------------------- */

START_TEST(the_hash_tells_runs_apart) {
    struct trace one = {0}, other = {0};
    trace_mark(&one, 5, 1, 2, 3);
    trace_mark(&other, 5, 1, 2, 3);
    ck_assert_uint_eq(one.hash, other.hash);
    trace_bytes(&one, "ab", 2);
    trace_bytes(&other, "a", 1);
    trace_bytes(&other, "b", 1);
    ck_assert_uint_ne(one.hash, other.hash); /* where something ends counts, too */
    struct trace marks[5] = {{0}};
    trace_mark(&marks[0], 5, 1, 2, 3);
    trace_mark(&marks[1], 6, 1, 2, 3);
    trace_mark(&marks[2], 5, 2, 2, 3);
    trace_mark(&marks[3], 5, 1, 3, 3);
    trace_mark(&marks[4], 5, 1, 2, 4);
    for (int i = 1; i < 5; i++) {
        ck_assert_uint_ne(marks[0].hash, marks[i].hash);
        ck_assert_uint_eq(marks[i].items, 1);
    }
}
END_TEST

static void keep_line(void *arg, uint64_t at_us, const char *line) {
    mem_printf(arg, "%llu %s|", (unsigned long long)at_us, line);
}

START_TEST(lines_are_for_who_listens) {
    struct buf out = {0};
    struct trace trace = {0};
    trace_line(&trace, 1, "nobody hears %s", "this");
    uint64_t hash = trace.hash;
    trace.listener = keep_line;
    trace.arg = &out;
    trace_line(&trace, 2, "n%u starts", 3);
    trace_line(&trace, 4, "n%u stops", 3);
    ck_assert_uint_eq(trace.hash, hash); /* listening changes nothing */
    expect_text(&out, "2 n3 starts|4 n3 stops|");
}
END_TEST

START_TEST(bytes_can_be_read) {
    struct buf out = {0};
    trace_text_bytes(&out, "plain", 5);
    expect_text(&out, "plain");
    trace_text_bytes(&out, "", 0);
    expect_text(&out, "\"\"");
    trace_text_bytes(
        &out, "w1066.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 70);
    mem_append(&out, "", 1);
    const char *shortened = (const char *)buf_data(&out);
    ck_assert_uint_lt(strlen(shortened), 60);
    ck_assert_ptr_eq(strstr(shortened, "w1066."), shortened); /* what is looked for stays */
    ck_assert_ptr_nonnull(strstr(shortened, "..."));
    buf_free(&out);
}
END_TEST

START_TEST(objects_are_newest_first) {
    struct object object = {0};
    struct buf out = {0};
    trace_text_object(&out, &object);
    expect_text(&out, "nothing");
    for (uint64_t i = 1; i <= 2; i++) {
        struct dot dot = {{i, 1}, 1};
        struct blob *value = text(i == 1 ? "old" : "new");
        mem_must(object_write(&object, &(struct context){0}, &dot, i, value, 0));
        blob_unref(value);
    }
    trace_text_object(&out, &object);
    expect_text(&out, "{new old}");
    struct context all = {0};
    mem_must(object_context(&object, &all));
    mem_must(object_remove(&object, &all, 9, NULL));
    trace_text_object(&out, &object);
    expect_text(&out, "{}");
    context_free(&all);
    object_free(&object);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sim history");
    TCase *tcase = tcase_create("history");
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, an_op_keeps_its_place);
    tcase_add_test(tcase, an_answer_is_taken_whole);
    tcase_add_test(tcase, a_broken_request_has_an_answer);
    tcase_add_loop_test(tcase, requests_read_like_commands, 0,
                        (int)(sizeof requests / sizeof *requests));
    tcase_add_test(tcase, a_context_is_mentioned);
    tcase_add_loop_test(tcase, answers_read_like_replies, 0,
                        (int)(sizeof answers / sizeof *answers));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("losses and traces");
    tcase_add_test(tcase, machines_are_counted_not_rows);
    tcase_add_test(tcase, the_hash_tells_runs_apart);
    tcase_add_test(tcase, lines_are_for_who_listens);
    tcase_add_test(tcase, bytes_can_be_read);
    tcase_add_test(tcase, objects_are_newest_first);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
