/* sim/judge and the checkers of histories: each finds a violation in a made-up history, and passes
 * the same history where it is excused.
 *
 * Times are small numbers. Every request is asked at `from` and answered at `to`; all are about
 * one key unless a test says otherwise. */
#include "sim/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/mem.h"
#include "sim/workload.h"
#include "tests/lib/run.h"

static struct history history;
static struct plan plan;
static struct losses losses;

static void setup(void) {
    plan = (struct plan){.keys = 2, .skew_us = 1};
    plan.world.node.n = 3;
    plan.world.node.r = 2;
    plan.world.node.w = 2;
    plan.world.node.max_siblings = 100;
}

static void teardown(void) {
    history_free(&history);
    losses_free(&losses);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Adds a request, answered with `err` unless `to` is 0. */
static struct op *add(struct op request, uint64_t from, uint64_t to, enum rd_err err) {
    struct client_reply reply = {.err = err};
    bool own_key = request.key == NULL;
    if (own_key) {
        request.key = workload_key(0);
    }
    struct op *op = history_add(&history, &request, from);
    if (own_key) {
        blob_unref(request.key);
    }
    if (to > 0) {
        history_answer(&history, op, &reply, to);
    }
    return op;
}

static struct op *add_value(struct op request, uint64_t from, uint64_t to, enum rd_err err) {
    char text[32];
    request.kind = CLIENT_WRITE;
    request.value_id = history.count + 1;
    int len = snprintf(text, sizeof text, "w%llu.x", (unsigned long long)request.value_id);
    request.value = mem_blob(text, (size_t)len);
    struct op *op = add(request, from, to, err);
    blob_unref(request.value);
    return op;
}

static struct op *set(uint64_t from, uint64_t to) {
    return add_value((struct op){0}, from, to, RD_OK);
}

static struct op *del(uint64_t from, uint64_t to) {
    return add((struct op){.kind = CLIENT_WRITE}, from, to, RD_OK);
}

/* A write with the context of `seen`; NULL: with none, so beside what is there. */
static struct op *put(uint64_t from, uint64_t to, const struct op *seen) {
    return add_value((struct op){.with_context = true, .seen = seen}, from, to, RD_OK);
}

static struct op *remove_seen(uint64_t from, uint64_t to, const struct op *seen) {
    return add((struct op){.kind = CLIENT_WRITE, .with_context = true, .seen = seen}, from, to,
               RD_OK);
}

static void show(struct op *read, const struct op *write) {
    struct context nothing = {0};
    struct dot dot = {{write->tag, 1}, 1};
    mem_must(object_write(&read->object, &nothing, &dot, write->tag, write->value, 0));
}

/* A read that shows up to two writes (NULL: none). */
static struct op *get(uint64_t from, uint64_t to, const struct op *a, const struct op *b) {
    struct op *read = add((struct op){.kind = CLIENT_READ}, from, to, RD_OK);
    if (a != NULL) {
        show(read, a);
    }
    if (b != NULL) {
        show(read, b);
    }
    return read;
}

enum checker { ACKNOWLEDGED, QUORUM, SIBLINGS, ACCEPTED };

/* What the checker says of the history; `last`: the read of all replicas at the end, which is not
 * part of it. Static storage. */
static const char *verdict(enum checker checker, struct op *last) {
    static char text[400];
    struct judge judge;
    struct history judged = history;
    judged.count -= last != NULL;
    judge_init(&judge, &(struct judge_input){&plan, 3, &judged, &losses});
    if (checker == ACKNOWLEDGED) {
        check_acknowledged(&judge, &judge.keys[0], last);
    } else if (checker == QUORUM) {
        check_quorum(&judge, &judge.keys[0]);
    } else if (checker == ACCEPTED) {
        check_accepted(&judge, &judged);
    } else {
        check_siblings(&judge, &judge.keys[0], last);
    }
    snprintf(text, sizeof text, "%.*s", (int)buf_len(&judge.violation),
             buf_len(&judge.violation) > 0 ? (const char *)buf_data(&judge.violation) : "");
    judge_free(&judge);
    return text;
}

/* The last read shows `a` and `b`; the history is then forgotten. */
static const char *in_the_end(enum checker checker, const struct op *a, const struct op *b) {
    struct op *last = get(1000000, 1000001, a, b);
    last->r = 3;
    const char *text = verdict(checker, last);
    teardown();
    return text;
}

static const char *by_then(enum checker checker) {
    const char *text = verdict(checker, NULL);
    teardown();
    return text;
}

#define FINE(text) ck_assert_str_eq(text, "")
#define SAYS(text, word) ck_assert_msg(strncmp(text, word ": ", strlen(word) + 2) == 0, "%s", text)

/* ---- promise 1 ------------------------------------------------------------------------------- */

START_TEST(what_is_acknowledged_must_be_there) {
    struct op *one = set(10, 20);
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
    set(10, 20);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    put(10, 20, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    one = put(10, 20, NULL);
    put(12, 18, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, one, NULL), "lost");
}
END_TEST

START_TEST(what_is_not_acknowledged_need_not) {
    add_value((struct op){0}, 10, 20, RD_EUNKNOWN);
    add_value((struct op){0}, 10, 20, RD_ENOQUORUM);
    set(30, 0);
    del(40, 50);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
}
END_TEST

START_TEST(a_plain_write_excuses_what_was_before_it) {
    set(10, 20);
    struct op *two = set(30, 40);
    FINE(in_the_end(ACKNOWLEDGED, two, NULL));
    set(10, 20);
    del(30, 40);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    set(10, 20); /* under way when the other began: either may replace the other */
    two = set(15, 40);
    FINE(in_the_end(ACKNOWLEDGED, two, NULL));
    struct op *one = set(10, 20); /* but not what came after it */
    set(30, 40);
    SAYS(in_the_end(ACKNOWLEDGED, one, NULL), "lost");
    del(10, 20);
    put(30, 40, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
}
END_TEST

START_TEST(an_outcome_may_be_known_or_not) {
    set(10, 20);
    add((struct op){.kind = CLIENT_WRITE}, 30, 40, RD_EUNKNOWN);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    set(10, 20);
    add((struct op){.kind = CLIENT_WRITE}, 30, 40, RD_ENOQUORUM); /* nothing was written */
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    add((struct op){.kind = CLIENT_WRITE}, 5, 8, RD_EUNKNOWN); /* it may still come */
    set(10, 20);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    set(10, 20);
    add((struct op){.kind = CLIENT_WRITE}, 30, 0, RD_OK);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
}
END_TEST

START_TEST(a_context_excuses_what_its_reader_saw) {
    struct op *one = put(10, 20, NULL);
    struct op *read = get(30, 40, one, NULL);
    struct op *two = put(50, 60, read);
    FINE(in_the_end(ACKNOWLEDGED, two, NULL));
    one = put(10, 20, NULL);
    remove_seen(50, 60, get(30, 40, one, NULL));
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    put(10, 20, NULL);
    read = get(30, 40, NULL, NULL); /* it had not seen it */
    two = put(50, 60, read);
    SAYS(in_the_end(ACKNOWLEDGED, two, NULL), "lost");
    put(10, 20, NULL);
    two = put(50, 60, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, two, NULL), "lost");
}
END_TEST

START_TEST(contexts_come_from_writes_too) {
    struct op *one = put(10, 20, NULL);
    struct op *two = put(30, 40, one);
    struct op *three = put(50, 60, two);
    FINE(in_the_end(ACKNOWLEDGED, three, NULL));
    one = put(10, 20, NULL);
    struct op *read = get(22, 25, one, NULL);
    two = put(30, 40, read);
    struct op *gone = remove_seen(50, 60, two);
    three = put(70, 80, gone);
    FINE(in_the_end(ACKNOWLEDGED, three, NULL));
    one = put(10, 20, NULL);
    put(12, 20, NULL); /* beside the one that is gone on from */
    three = put(30, 40, one);
    SAYS(in_the_end(ACKNOWLEDGED, three, NULL), "lost");
}
END_TEST

START_TEST(fewer_than_w_robbed_machines_excuse_nothing) {
    set(10, 20);
    losses_add(&losses, 0, 1, 30);
    losses_add(&losses, 0, 1, 50); /* once more: it is one machine */
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    set(10, 20);
    losses_add(&losses, 0, 1, 30);
    losses_add(&losses, 0, 2, 50);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    set(10, 20);
    losses_add(&losses, 0, 1, 5); /* before it was asked */
    losses_add(&losses, 0, 2, 50);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    set(10, 20);
    losses_add(&losses, 1, 1, 30); /* of another key */
    losses_add(&losses, 1, 2, 30);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    add_value((struct op){.w = 3}, 10, 20, RD_OK);
    losses_add(&losses, 0, 1, 30);
    losses_add(&losses, 0, 2, 50);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    add_value((struct op){.w = 1}, 10, 20, RD_OK);
    losses_add(&losses, 0, 1, 30);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
}
END_TEST

START_TEST(what_expires_may_go) {
    add_value((struct op){.expires_ms = 1}, 10, 20, RD_OK);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
}
END_TEST

START_TEST(keys_are_told_apart) {
    struct blob *other = workload_key(1);
    add_value((struct op){.key = other}, 10, 20, RD_OK);
    blob_unref(other);
    get(25, 30, NULL, NULL);
    struct judge judge;
    judge_init(&judge, &(struct judge_input){&plan, 3, &history, &losses});
    ck_assert_uint_eq(judge.keys[0].write_count, 0);
    ck_assert_uint_eq(judge.keys[0].read_count, 1);
    ck_assert_uint_eq(judge.keys[1].write_count, 1);
    ck_assert_uint_eq(judge.keys[1].read_count, 0);
    judge_free(&judge);
}
END_TEST

/* ---- last-write-wins ------------------------------------------------------------------------- */

static void last_write_wins(bool exact) {
    plan.world.node.conflict_resolution = CONFLICT_LAST_WRITE_WINS;
    plan.skew_us = exact ? 0 : 60000000;
}

START_TEST(clocks_may_prefer_either_of_two) {
    last_write_wins(false);
    struct op *one = put(10, 20, NULL);
    put(30, 40, NULL);
    FINE(in_the_end(ACKNOWLEDGED, one, NULL)); /* the later one's clock was behind */
    put(10, 20, NULL);
    struct op *two = put(30, 40, NULL);
    FINE(in_the_end(ACKNOWLEDGED, two, NULL));
    put(10, 20, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
}
END_TEST

START_TEST(exact_clocks_prefer_the_later) {
    last_write_wins(true);
    struct op *one = put(10, 20, NULL);
    put(100000, 100010, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, one, NULL), "lost");
    one = put(10, 20, NULL);
    put(30, 40, NULL); /* within one millisecond stamps are counted, not timed */
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
    one = put(10, 20, NULL);
    put(100000, 100010, NULL);
    plan.fault_weights[FAULT_CLOCK_DRIFT] = 1;
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
}
END_TEST

START_TEST(a_deletion_beats_nothing_that_it_did_not_know) {
    last_write_wins(false);
    del(10, 20);
    put(30, 40, NULL);
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
    put(10, 20, NULL);
    del(30, 40);
    FINE(in_the_end(ACKNOWLEDGED, NULL, NULL));
    put(10, 20, NULL);
    remove_seen(30, 40, get(22, 25, NULL, NULL));
    SAYS(in_the_end(ACKNOWLEDGED, NULL, NULL), "lost");
}
END_TEST

START_TEST(whoever_read_a_value_has_the_newer_stamp) {
    last_write_wins(false);
    struct op *one = put(10, 20, NULL);
    put(50, 60, get(30, 40, one, NULL));
    SAYS(in_the_end(ACKNOWLEDGED, one, NULL), "lost");
    one = set(10, 20);
    put(50, 60, get(15, 40, one, NULL)); /* its second round may have taken a newer stamp */
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
    one = set(10, 20);
    set(30, 40); /* W+W>N: it heard of the first */
    SAYS(in_the_end(ACKNOWLEDGED, one, NULL), "lost");
    one = add_value((struct op){.w = 1}, 10, 20, RD_OK);
    set(30, 40);
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
    one = set(10, 20);
    losses_add(&losses, 0, 0, 25);
    set(30, 40); /* the one who could have told has forgotten */
    FINE(in_the_end(ACKNOWLEDGED, one, NULL));
}
END_TEST

/* ---- promise 2 ------------------------------------------------------------------------------- */

START_TEST(a_quorum_read_shows_what_was_acknowledged) {
    struct op *one = put(10, 20, NULL);
    get(30, 40, one, NULL);
    FINE(by_then(QUORUM));
    put(10, 20, NULL);
    get(30, 40, NULL, NULL);
    SAYS(by_then(QUORUM), "stale");
    put(10, 20, NULL);
    get(19, 40, NULL, NULL); /* it began before */
    FINE(by_then(QUORUM));
    one = set(10, 20);
    set(35, 50); /* may have replaced it in the meantime */
    get(30, 40, NULL, NULL);
    FINE(by_then(QUORUM));
    set(10, 20);
    set(45, 50); /* too late for that */
    get(30, 40, NULL, NULL);
    SAYS(by_then(QUORUM), "stale");
}
END_TEST

START_TEST(only_quorums_that_overlap_count) {
    add_value((struct op){.w = 1, .with_context = true}, 10, 20, RD_OK);
    get(30, 40, NULL, NULL);
    FINE(by_then(QUORUM));
    put(10, 20, NULL);
    add((struct op){.kind = CLIENT_READ, .r = 1}, 30, 40, RD_OK);
    FINE(by_then(QUORUM));
    add_value((struct op){.w = 3, .with_context = true}, 10, 20, RD_OK);
    add((struct op){.kind = CLIENT_READ, .r = 1}, 30, 40, RD_OK);
    SAYS(by_then(QUORUM), "stale");
    add_value((struct op){.w = 1, .with_context = true}, 10, 20, RD_OK);
    add((struct op){.kind = CLIENT_READ, .r = 3}, 30, 40, RD_OK);
    SAYS(by_then(QUORUM), "stale");
}
END_TEST

START_TEST(robbed_machines_shrink_the_quorum) {
    put(10, 20, NULL);
    losses_add(&losses, 0, 1, 25);
    get(30, 40, NULL, NULL);
    FINE(by_then(QUORUM));
    put(10, 20, NULL);
    losses_add(&losses, 0, 1, 45); /* after the read */
    get(30, 40, NULL, NULL);
    SAYS(by_then(QUORUM), "stale");
    put(10, 20, NULL);
    losses_add(&losses, 0, 1, 25);
    add((struct op){.kind = CLIENT_READ, .r = 3}, 30, 40, RD_OK); /* one is left, and was read */
    SAYS(by_then(QUORUM), "stale");
}
END_TEST

START_TEST(a_monotonic_read_makes_sure_of_what_it_shows) {
    struct op *one = add_value((struct op){.with_context = true}, 10, 20, RD_EUNKNOWN);
    get(30, 40, one, NULL);
    get(50, 60, NULL, NULL); /* a plain read need not be followed by another that shows it */
    FINE(by_then(QUORUM));
    one = add_value((struct op){.with_context = true}, 10, 20, RD_EUNKNOWN);
    get(30, 40, one, NULL)->monotonic = true;
    get(50, 60, NULL, NULL);
    SAYS(by_then(QUORUM), "stale");
    one = add_value((struct op){.with_context = true}, 10, 20, RD_EUNKNOWN);
    get(30, 40, one, NULL)->monotonic = true;
    get(35, 60, NULL, NULL);
    FINE(by_then(QUORUM));
}
END_TEST

START_TEST(fallbacks_alone_cannot_say_that_nothing_is_there) {
    get(30, 40, NULL, NULL)->stand_ins = 1;
    FINE(by_then(QUORUM));
    get(30, 40, NULL, NULL)->stand_ins = 2;
    SAYS(by_then(QUORUM), "stale");
    struct op *one = put(10, 20, NULL);
    get(30, 40, one, NULL)->stand_ins = 2; /* but what they show is there */
    FINE(by_then(QUORUM));
}
END_TEST

START_TEST(what_expires_is_there_until_then) {
    plan.skew_us = 0;
    uint64_t at_ms = CLOCK_EPOCH_US / 1000 + 100;
    add_value((struct op){.expires_ms = at_ms}, 10, 20, RD_OK);
    get(30, 99999, NULL, NULL);
    SAYS(by_then(QUORUM), "stale");
    add_value((struct op){.expires_ms = at_ms}, 10, 20, RD_OK);
    get(30, 100000, NULL, NULL);
    FINE(by_then(QUORUM));
    plan.skew_us = 5;
    add_value((struct op){.expires_ms = at_ms}, 10, 20, RD_OK);
    get(30, 40, NULL, NULL);
    FINE(by_then(QUORUM));
}
END_TEST

/* ---- promises 4 and 5 ------------------------------------------------------------------------ */

START_TEST(nobody_reads_what_nobody_wrote) {
    struct op *one = put(10, 20, NULL);
    get(15, 40, one, NULL);
    FINE(by_then(SIBLINGS));
    struct op *read = get(5, 8, NULL, NULL); /* before it was written */
    one = put(10, 20, NULL);
    show(read, one);
    SAYS(by_then(SIBLINGS), "invented");
    one = add_value((struct op){.with_context = true}, 10, 20, RD_ENOQUORUM);
    get(30, 40, one, NULL); /* its writer was told that it was not written */
    SAYS(by_then(SIBLINGS), "invented");
    struct blob *other = workload_key(1);
    one = add_value((struct op){.key = other}, 10, 20, RD_OK);
    blob_unref(other);
    put(10, 20, NULL);
    get(30, 40, one, NULL); /* it was written elsewhere */
    SAYS(by_then(SIBLINGS), "invented");
}
END_TEST

START_TEST(beyond_the_promise_it_holds_all_the_same) {
    plan.beyond = true;
    struct op *one = add_value((struct op){.with_context = true}, 10, 20, RD_ENOQUORUM);
    get(30, 40, one, NULL);
    SAYS(by_then(SIBLINGS), "invented");
    one = set(10, 20);
    set(30, 40);
    get(50, 60, one, NULL); /* but what was replaced may return from an old disk */
    FINE(by_then(SIBLINGS));
}
END_TEST

START_TEST(what_was_replaced_does_not_return) {
    struct op *one = set(10, 20);
    struct op *two = set(30, 40);
    get(50, 60, two, NULL);
    FINE(by_then(SIBLINGS));
    one = set(10, 20);
    set(30, 40);
    get(50, 60, one, NULL);
    SAYS(by_then(SIBLINGS), "returned");
    one = set(10, 20);
    del(30, 40);
    get(50, 60, one, NULL);
    SAYS(by_then(SIBLINGS), "returned");
    one = set(10, 20);
    del(30, 40);
    get(39, 60, one, NULL); /* under way */
    FINE(by_then(SIBLINGS));
    one = set(10, 20);
    two = set(15, 40); /* they did not know of each other */
    get(50, 60, one, two);
    FINE(by_then(SIBLINGS));
    one = set(10, 20);
    set(30, 40);
    FINE(in_the_end(SIBLINGS, NULL, NULL));
    one = set(10, 20);
    set(30, 40);
    SAYS(in_the_end(SIBLINGS, one, NULL), "returned");
}
END_TEST

START_TEST(what_a_context_covered_does_not_return) {
    struct op *one = put(10, 20, NULL);
    struct op *two = put(50, 60, get(30, 40, one, NULL));
    get(70, 80, one, two);
    SAYS(by_then(SIBLINGS), "returned");
    one = put(10, 20, NULL);
    remove_seen(50, 60, get(30, 40, one, NULL));
    get(70, 80, one, NULL);
    SAYS(by_then(SIBLINGS), "returned");
    one = put(10, 20, NULL);
    two = put(50, 60, get(30, 40, NULL, NULL)); /* not covered */
    get(70, 80, one, two);
    FINE(by_then(SIBLINGS));
    one = set(10, 20); /* seen before it was acknowledged: its second round writes it anew */
    put(50, 60, get(15, 18, one, NULL));
    get(70, 80, one, NULL);
    FINE(by_then(SIBLINGS));
    one = set(10, 20);
    put(50, 60, get(25, 28, one, NULL));
    get(70, 80, one, NULL);
    SAYS(by_then(SIBLINGS), "returned");
}
END_TEST

START_TEST(who_goes_on_from_a_write_replaces_it) {
    struct op *one = put(10, 20, NULL);
    put(30, 40, one);
    get(50, 60, one, NULL);
    SAYS(by_then(SIBLINGS), "returned");
    one = add_value((struct op){.with_context = true, .w = 1}, 10, 20, RD_OK);
    put(30, 40, one); /* its lone dot need not be known where the other is written */
    get(50, 60, one, NULL);
    FINE(by_then(SIBLINGS));
}
END_TEST

START_TEST(robbed_machines_may_bring_it_back) {
    struct op *one = set(10, 20);
    set(30, 40);
    losses_add(&losses, 0, 2, 45); /* one of two that knew: R=2 may miss the other */
    get(50, 60, one, NULL);
    FINE(by_then(SIBLINGS));
    one = set(10, 20);
    set(30, 40);
    losses_add(&losses, 0, 2, 45);
    get(50, 60, one, NULL)->r = 3;
    SAYS(by_then(SIBLINGS), "returned");
    one = set(10, 20);
    losses_add(&losses, 0, 2, 25); /* then the second SET need not have met the first */
    set(30, 40);
    get(50, 60, one, NULL)->r = 3;
    FINE(by_then(SIBLINGS));
}
END_TEST

START_TEST(small_quorums_promise_less) {
    struct op *one = add_value((struct op){.w = 1}, 10, 20, RD_OK);
    add_value((struct op){.w = 1}, 30, 40, RD_OK);
    get(50, 60, one, NULL)->r = 3;
    FINE(by_then(SIBLINGS));
    one = add_value((struct op){.w = 3}, 10, 20, RD_OK);
    add_value((struct op){.w = 1}, 30, 40, RD_OK);
    get(50, 60, one, NULL)->r = 2; /* the one that knows may be the third */
    FINE(by_then(SIBLINGS));
    one = add_value((struct op){.w = 3}, 10, 20, RD_OK);
    add_value((struct op){.w = 1}, 30, 40, RD_OK);
    get(50, 60, one, NULL)->r = 3;
    SAYS(by_then(SIBLINGS), "returned");
}
END_TEST

START_TEST(a_retry_has_no_bytes_of_its_own) {
    struct op *one = add_value((struct op){0}, 10, 20, RD_EUNKNOWN);
    struct op again = {.kind = CLIENT_WRITE, .value = one->value, .value_id = one->value_id};
    add(again, 30, 40, RD_OK);
    del(50, 60);
    get(70, 80, one, NULL); /* the first may have come late, beside the deletion */
    FINE(by_then(SIBLINGS));
    add((struct op){.kind = CLIENT_READ}, 70, 80, RD_OK);
    FINE(by_then(QUORUM));
}
END_TEST

START_TEST(vectors_are_bounded_by_writes) {
    struct op *one = put(10, 20, NULL);
    struct op *read = get(30, 40, one, NULL);
    FINE(verdict(SIBLINGS, NULL));
    struct dot dots[] = {{{1000, 1}, 1}, {{1001, 1}, 1}};
    for (int i = 0; i < 2; i++) {
        struct context all = {0};
        mem_must(object_context(&read->object, &all));
        mem_must(object_write(&read->object, &all, &dots[i], 50, one->value, 0));
        context_free(&all);
    }
    SAYS(by_then(SIBLINGS), "grown");
}
END_TEST

/* ---- losses ---------------------------------------------------------------------------------- */

/* Three nodes that stop at one sibling make three at most; a node that has lost its copy begins again. */
START_TEST(siblings_are_bounded_by_their_limit) {
    plan.world.node.max_siblings = 1;
    for (int i = 0; i < 2; i++) {
        struct op *a = put(1, 2, NULL), *b = put(1, 2, NULL), *c = put(1, 2, NULL),
                  *d = put(1, 2, NULL);
        struct op *read = get(3, 4, a, b);
        show(read, c);
        ck_assert_str_eq(verdict(SIBLINGS, NULL), "");
        show(read, d);
        if (i == 1) {
            losses_add(&losses, 0, 1, 1);
        }
        ck_assert_int_eq(strncmp(verdict(SIBLINGS, NULL), "grown: ", 7) == 0, i == 0);
        teardown();
    }
}
END_TEST

START_TEST(a_write_of_one_finds_its_quorum) {
    struct node_conf *node = &plan.world.node;
    node->sloppy_quorum = node->hinted_handoff = true;
    node->max_hint_bytes = JUDGE_PLENTY;
    plan.fault_mean_us = 1;
    plan.fault_weights[FAULT_KILL] = plan.fault_weights[FAULT_CLOCK_BACK] = 1;
    add_value((struct op){.w = 2}, 1, 2, RD_ENOQUORUM);
    add_value((struct op){.w = 1}, 1, 2, RD_EUNKNOWN);
    add((struct op){.kind = CLIENT_READ, .w = 1}, 1, 2, RD_ENOQUORUM);
    ck_assert_str_eq(verdict(ACCEPTED, NULL), "");
    add_value((struct op){.w = 1}, 1, 2, RD_ENOQUORUM);
    ck_assert_int_eq(strncmp(verdict(ACCEPTED, NULL), "refused: request 4", 18), 0);
    node->w = 1; /* then the first may not fail either */
    history.ops[0]->w = 0;
    ck_assert_int_eq(strncmp(verdict(ACCEPTED, NULL), "refused: request 1", 18), 0);
    plan.fault_weights[FAULT_DISK_FULL] = 1; /* promises nothing */
    ck_assert_str_eq(verdict(ACCEPTED, NULL), "");
    plan.fault_weights[FAULT_DISK_FULL] = 0;
    node->max_hint_bytes = 1000;
    ck_assert_str_eq(verdict(ACCEPTED, NULL), "");
    node->max_hint_bytes = JUDGE_PLENTY;
    node->sloppy_quorum = false;
    ck_assert_str_eq(verdict(ACCEPTED, NULL), "");
}
END_TEST

/* What readers hide may be left somewhere. Until then it may not come back. */
START_TEST(what_has_expired_may_be_left) {
    for (int late = 0; late < 2; late++) {
        uint64_t from_us = late ? 3000000 : 100;
        struct op *first =
            add_value((struct op){.expires_ms = CLOCK_EPOCH_US / 1000 + 2000}, 1, 2, RD_OK);
        set(3, 4);
        get(from_us, from_us + 1, first, NULL);
        ck_assert_int_eq(strncmp(verdict(SIBLINGS, NULL), "returned: ", 10) == 0, !late);
        teardown();
    }
}
END_TEST

START_TEST(losses_count_machines) {
    ck_assert_uint_eq(losses_count(&losses, 0, 0, UINT64_MAX), 0);
    for (uint32_t node = 0; node < 64; node++) {
        losses_add(&losses, 0, node, 100 + node);
        losses_add(&losses, 0, node, 300 + node);
        losses_add(&losses, 1, node, 500);
    }
    ck_assert_uint_eq(losses_count(&losses, 0, 0, UINT64_MAX), 64);
    ck_assert_uint_eq(losses_count(&losses, 0, 100, 100), 1);
    ck_assert_uint_eq(losses_count(&losses, 0, 110, 119), 10);
    ck_assert_uint_eq(losses_count(&losses, 0, 160, 301), 6);
    ck_assert_uint_eq(losses_count(&losses, 0, 400, UINT64_MAX), 0);
    ck_assert_uint_eq(losses_count(&losses, 2, 0, UINT64_MAX), 0);
    losses_free(&losses);
    ck_assert_uint_eq(losses_count(&losses, 0, 0, UINT64_MAX), 0);
}
END_TEST

/* ---- all ------------------------------------------------------------------------------------- */

static TCase *group(Suite *suite, const char *name) {
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void) {
    Suite *suite = suite_create("sim judge");
    TCase *tcase = group(suite, "acknowledged");
    tcase_add_test(tcase, what_is_acknowledged_must_be_there);
    tcase_add_test(tcase, what_is_not_acknowledged_need_not);
    tcase_add_test(tcase, a_plain_write_excuses_what_was_before_it);
    tcase_add_test(tcase, an_outcome_may_be_known_or_not);
    tcase_add_test(tcase, a_context_excuses_what_its_reader_saw);
    tcase_add_test(tcase, contexts_come_from_writes_too);
    tcase_add_test(tcase, fewer_than_w_robbed_machines_excuse_nothing);
    tcase_add_test(tcase, what_expires_may_go);
    tcase_add_test(tcase, keys_are_told_apart);
    tcase = group(suite, "last write wins");
    tcase_add_test(tcase, clocks_may_prefer_either_of_two);
    tcase_add_test(tcase, exact_clocks_prefer_the_later);
    tcase_add_test(tcase, a_deletion_beats_nothing_that_it_did_not_know);
    tcase_add_test(tcase, whoever_read_a_value_has_the_newer_stamp);
    tcase = group(suite, "quorum");
    tcase_add_test(tcase, a_quorum_read_shows_what_was_acknowledged);
    tcase_add_test(tcase, only_quorums_that_overlap_count);
    tcase_add_test(tcase, robbed_machines_shrink_the_quorum);
    tcase_add_test(tcase, a_monotonic_read_makes_sure_of_what_it_shows);
    tcase_add_test(tcase, fallbacks_alone_cannot_say_that_nothing_is_there);
    tcase_add_test(tcase, what_expires_is_there_until_then);
    tcase = group(suite, "siblings");
    tcase_add_test(tcase, nobody_reads_what_nobody_wrote);
    tcase_add_test(tcase, beyond_the_promise_it_holds_all_the_same);
    tcase_add_test(tcase, what_was_replaced_does_not_return);
    tcase_add_test(tcase, what_a_context_covered_does_not_return);
    tcase_add_test(tcase, who_goes_on_from_a_write_replaces_it);
    tcase_add_test(tcase, robbed_machines_may_bring_it_back);
    tcase_add_test(tcase, small_quorums_promise_less);
    tcase_add_test(tcase, a_retry_has_no_bytes_of_its_own);
    tcase_add_test(tcase, vectors_are_bounded_by_writes);
    tcase_add_test(tcase, siblings_are_bounded_by_their_limit);
    tcase_add_test(tcase, what_has_expired_may_be_left);
    tcase_add_test(tcase, a_write_of_one_finds_its_quorum);
    tcase = group(suite, "losses");
    tcase_add_test(tcase, losses_count_machines);
    return test_run(suite);
}
