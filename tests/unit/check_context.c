/* replication/context: what it covers, and tokens that open only as they were sealed. */
#include "replication/context.h"

#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"
#include "replication/hlc.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t cluster[CONTEXT_KEY_BYTES] = "0123456789abcdef";
static const uint8_t other_cluster[CONTEXT_KEY_BYTES] = "0123456789abcdeF";

static void advance(struct context *context, uint64_t incarnation, uint64_t counter) {
    struct dot dot = {{incarnation, 0}, counter};
    ck_assert_int_eq(version_advance(&context->version, &dot), RD_OK);
}

/* A context with entries, a lone dot and a stamp. */
static struct context example(void) {
    struct context context = {.has_dot = true, .dot = {{3, 1}, 9}, .stamp = 0x123456789abc};
    advance(&context, 3, 4);
    advance(&context, UINT64_MAX, 300);
    context_check(&context);
    return context;
}

static struct context random_context(struct prng *prng) {
    struct context context = {.stamp = prng_u64(prng) >> (1 + prng_below(prng, 63))};
    for (uint64_t n = prng_below(prng, 6); n > 0; n--) {
        advance(&context, prng_below(prng, 4), 1 + prng_below(prng, 1000));
    }
    if (prng_chance(prng, 1, 2)) {
        struct dot dot = {{prng_below(prng, 6), (uint32_t)prng_below(prng, 2)}, 0};
        dot.counter = version_get(&context.version, &dot.actor) + 2 + prng_below(prng, 500);
        context.has_dot = true;
        context.dot = dot;
    }
    context_check(&context);
    return context;
}

static bool same(const struct context *a, const struct context *b) {
    return version_equal(&a->version, &b->version) && a->stamp == b->stamp &&
           a->has_dot == b->has_dot && (!a->has_dot || dot_compare(&a->dot, &b->dot) == 0);
}

static enum rd_err open_token(const struct buf *token, const uint8_t *seal_key, const char *key,
                              struct context *out) {
    return context_open((const char *)buf_data(token), buf_len(token), seal_key, key, strlen(key),
                        out);
}

/* Opens with the right keys; the output must stay untouched on a refusal. */
static void must_refuse(const char *token, size_t len, const uint8_t *seal_key, const char *key) {
    struct context context = {.stamp = 77};
    enum rd_err err = context_open(token, len, seal_key, key, strlen(key), &context);
    if (err != RD_EBADCONTEXT || context.stamp != 77) {
        ck_abort_msg("%s of %zu bytes for %s", rd_err_name(err), len, key);
    }
}

/* ---- sets of dots ---------------------------------------------------------------------------- */

START_TEST(covers_its_vector_and_its_lone_dot) {
    struct context context = example();
    static const struct {
        struct dot dot;
        bool covered;
    } cases[] = {
        {{{3, 0}, 1}, true},  {{{3, 0}, 4}, true},  {{{3, 0}, 5}, false},
        {{{3, 1}, 9}, true},  {{{3, 1}, 8}, false}, {{{3, 1}, 10}, false},
        {{{3, 2}, 9}, false}, {{{4, 0}, 1}, false}, {{{UINT64_MAX, 0}, 300}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(context_covers(&context, &cases[i].dot), cases[i].covered);
    }
    struct context copy;
    ck_assert_int_eq(context_copy(&context, &copy), RD_OK);
    context_free(&context);
    ck_assert(!context_covers(&context, &cases[0].dot));
    ck_assert(context_covers(&copy, &cases[0].dot));
    ck_assert(context_covers(&copy, &cases[3].dot));
    context_free(&copy);
}
END_TEST

/* Adding dots one by one never covers one that was not added, and forgets lone dots only. */
START_TEST(adds_dots) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 200; round++) {
        struct context context = {0};
        bool added[3][12] = {{false}};
        for (int step = 0; step < 20; step++) {
            uint64_t actor = prng_below(&prng, 3);
            struct dot dot = {{actor, 0}, 1 + prng_below(&prng, 10)};
            struct context before;
            ck_assert_int_eq(context_copy(&context, &before), RD_OK);
            if (context_add(&context, &dot) != RD_OK) {
                ck_abort();
            }
            context_check(&context);
            added[actor][dot.counter] = true;
            int lost = 0;
            for (uint64_t a = 0; a < 3; a++) {
                for (uint64_t c = 1; c < 12; c++) {
                    struct dot each = {{a, 0}, c};
                    bool now = context_covers(&context, &each);
                    if (now && !added[a][c]) {
                        ck_abort_msg("covers too much");
                    }
                    lost += !now && context_covers(&before, &each);
                }
            }
            ck_assert(context_covers(&context, &dot));
            ck_assert_int_le(lost, before.has_dot);
            context_free(&before);
        }
        context_free(&context);
    }
}
END_TEST

START_TEST(fills_the_gap_below_its_lone_dot) {
    struct context context = {0};
    struct dot dots[] = {{{1, 0}, 1}, {{1, 0}, 3}, {{1, 0}, 2}};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(context_add(&context, &dots[i]), RD_OK);
        ck_assert_int_eq(context.has_dot, i == 1);
    }
    ck_assert_uint_eq(version_get(&context.version, &dots[0].actor), 3);
    context_free(&context);
}
END_TEST

/* ---- tokens ---------------------------------------------------------------------------------- */

START_TEST(opens_what_it_sealed) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 100; round++) {
        struct context context = random_context(&prng);
        uint8_t key[40];
        size_t key_len = prng_below(&prng, sizeof key);
        prng_fill(&prng, key, key_len);
        struct buf token = {0};
        ck_assert_int_eq(buf_append(&token, "+", 1), RD_OK); /* sealing appends */
        ck_assert_int_eq(context_seal(&context, cluster, key, key_len, &token), RD_OK);
        ck_assert_int_eq(buf_data(&token)[0], '+');
        buf_consume(&token, 1);
        size_t shell_safe =
            strspn((const char *)buf_data(&token),
                   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
        ck_assert_uint_ge(shell_safe, buf_len(&token));
        struct context back;
        ck_assert_int_eq(context_open((const char *)buf_data(&token), buf_len(&token), cluster, key,
                                      key_len, &back),
                         RD_OK);
        context_check(&back);
        ck_assert(same(&context, &back));
        context_free(&back);
        context_free(&context);
        buf_free(&token);
    }
}
END_TEST

START_TEST(is_bound_to_key_and_cluster) {
    struct context context = example();
    struct buf token = {0};
    ck_assert_int_eq(context_seal(&context, cluster, "key", 3, &token), RD_OK);
    const char *text = (const char *)buf_data(&token);
    size_t len = buf_len(&token);
    struct context back;
    ck_assert_int_eq(open_token(&token, cluster, "key", &back), RD_OK);
    context_free(&back);
    must_refuse(text, len, other_cluster, "key");
    static const char *const keys[] = {"", "k", "ke", "kez", "key ", "Key", "keykey"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        must_refuse(text, len, cluster, keys[i]);
    }
    buf_free(&token);
    context_free(&context);
}
END_TEST

START_TEST(refuses_every_damage) {
    struct context context = example();
    struct buf token = {0};
    ck_assert_int_eq(context_seal(&context, cluster, "key", 3, &token), RD_OK);
    size_t len = buf_len(&token);
    char *text = malloc(len + 2);
    ck_assert_ptr_nonnull(text);
    memcpy(text, buf_data(&token), len);
    for (size_t cut = 0; cut < len; cut++) {
        must_refuse(text, cut, cluster, "key");
    }
    for (size_t at = 0; at < len; at++) {
        char was = text[at];
        for (int c = 0; c < 256; c++) {
            if ((char)c != was) {
                text[at] = (char)c;
                must_refuse(text, len, cluster, "key");
            }
        }
        text[at] = was;
    }
    static const char tail[] = "A=-_. \n";
    for (size_t t = 0; t < sizeof tail; t++) {
        text[len] = tail[t];
        must_refuse(text, len + 1, cluster, "key");
        text[len + 1] = tail[t];
        must_refuse(text, len + 2, cluster, "key");
    }
    free(text);
    buf_free(&token);
    context_free(&context);
}
END_TEST

START_TEST(refuses_noise) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    for (int round = 0; round < 2000; round++) {
        uint8_t noise[90];
        char token[200];
        size_t len = prng_below(&prng, sizeof noise);
        prng_fill(&prng, noise, len);
        text_base64(noise, len, token);
        must_refuse(token, text_base64_len(len), cluster, "key");
    }
}
END_TEST

START_TEST(refuses_giants_before_allocating) {
    static const char token[] = "AAAA";
    unsigned long before = oom_count();
    struct context context;
    enum rd_err err = context_open(token, CONTEXT_MAX_TOKEN_BYTES + 1, cluster, "key", 3, &context);
    unsigned long allocations = oom_count() - before;
    ck_assert_int_eq(err, RD_EBADCONTEXT);
    ck_assert_uint_eq(allocations, 0);
}
END_TEST

/* The format, written a second time: clients keep tokens across upgrades of the servers. */
static struct buf seal_by_hand(const char *payload_hex, const char *key) {
    uint8_t bytes[400];
    static const char label[] = "redynamo client context";
    size_t payload = strlen(payload_hex) / 2;
    size_t front = sizeof label + 8 + strlen(key);
    memcpy(bytes, label, sizeof label);
    memset(bytes + sizeof label, 0, 8);
    bytes[sizeof label + 7] = (uint8_t)strlen(key);
    memcpy(bytes + sizeof label + 8, key, strlen(key));
    ck_assert_int_eq(text_unhex(payload_hex, 2 * payload, bytes + front, payload), RD_OK);
    uint8_t mac[HASH_HMAC_BYTES];
    hash_hmac(cluster, sizeof cluster, bytes, front + payload, mac);
    memcpy(bytes + front + payload, mac, 16);
    struct buf token = {0};
    uint8_t *text;
    ck_assert_int_eq(buf_reserve(&token, text_base64_len(payload + 16) + 1, &text), RD_OK);
    text_base64(bytes + front, payload + 16, (char *)text);
    buf_commit(&token, text_base64_len(payload + 16));
    return token;
}

#define ACTOR3 "0000000000000003"

START_TEST(keeps_its_format) {
    struct context context = {.has_dot = true, .dot = {{3, 1}, 9}, .stamp = 300};
    advance(&context, 3, 4);
    struct buf token = {0};
    ck_assert_int_eq(context_seal(&context, cluster, "key", 3, &token), RD_OK);
    struct buf wanted = seal_by_hand("01"
                                     "ac02"
                                     "01" ACTOR3 "0109"
                                     "01" ACTOR3 "0004",
                                     "key");
    ck_assert_uint_eq(buf_len(&token), buf_len(&wanted));
    ck_assert_mem_eq(buf_data(&token), buf_data(&wanted), buf_len(&token));
    buf_free(&token);
    buf_free(&wanted);
    context_free(&context);
}
END_TEST

static const struct {
    const char *why, *payload;
    bool fine;
} authentic[] = {
    {"nothing seen",
     "01"
     "00"
     "00"
     "00",
     true},
    {"one entry",
     "01"
     "05"
     "00"
     "01" ACTOR3 "0004",
     true},
    {"another format",
     "02"
     "00"
     "00"
     "00",
     false},
    {"two lone dots",
     "01"
     "00"
     "02" ACTOR3 "0009" ACTOR3 "0109"
     "00",
     false},
    {"a lone dot that the vector covers",
     "01"
     "00"
     "01" ACTOR3 "0004"
     "01" ACTOR3 "0004",
     false},
    {"one that is next in line",
     "01"
     "00"
     "01" ACTOR3 "0005"
     "01" ACTOR3 "0004",
     false},
    {"one that is not",
     "01"
     "00"
     "01" ACTOR3 "0006"
     "01" ACTOR3 "0004",
     true},
    {"a first dot that is no entry",
     "01"
     "00"
     "01" ACTOR3 "0001"
     "00",
     false},
    {"a dot of 0",
     "01"
     "00"
     "01" ACTOR3 "0000"
     "00",
     false},
    {"a stamp of 64 bits",
     "01"
     "ffffffffffffffffff01"
     "00"
     "00",
     false},
    {"a long spelling",
     "01"
     "8000"
     "00"
     "00",
     false},
    {"bytes behind",
     "01"
     "00"
     "00"
     "00"
     "00",
     false},
    {"entries missing",
     "01"
     "00"
     "00"
     "01",
     false},
    {"too many entries",
     "01"
     "00"
     "00"
     "818004",
     false},
    {"a stamp without end",
     "01"
     "80"
     "80"
     "80",
     false},
};

START_TEST(opens_only_canonical_payloads) {
    struct buf token = seal_by_hand(authentic[_i].payload, "key");
    struct context context;
    enum rd_err err = open_token(&token, cluster, "key", &context);
    ck_assert_msg(err == (authentic[_i].fine ? RD_OK : RD_EBADCONTEXT), "%s: %s", authentic[_i].why,
                  rd_err_name(err));
    if (err == RD_OK) {
        struct buf again = {0};
        context_check(&context);
        ck_assert_int_eq(context_seal(&context, cluster, "key", 3, &again), RD_OK);
        ck_assert_uint_eq(buf_len(&again), buf_len(&token));
        ck_assert_mem_eq(buf_data(&again), buf_data(&token), buf_len(&token));
        buf_free(&again);
        context_free(&context);
    }
    buf_free(&token);
}
END_TEST

START_TEST(opens_a_very_long_one) {
    struct context context = {0};
    ck_assert_int_eq(version_reserve(&context.version, VERSION_MAX_ENTRIES), RD_OK);
    for (uint32_t i = 0; i < VERSION_MAX_ENTRIES; i++) {
        context.version.entries[i] =
            (struct version_entry){.actor = {i, UINT32_MAX}, .counter = VERSION_MAX_COUNTER};
    }
    context.version.count = VERSION_MAX_ENTRIES;
    struct buf token = {0};
    ck_assert_int_eq(context_seal(&context, cluster, "key", 3, &token), RD_OK);
    ck_assert_uint_le(buf_len(&token), CONTEXT_MAX_TOKEN_BYTES);
    struct context back;
    ck_assert_int_eq(open_token(&token, cluster, "key", &back), RD_OK);
    ck_assert(same(&back, &context));
    context_free(&back);
    context_free(&context);
    buf_free(&token);
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------- */

START_TEST(survives_failing_allocations) {
    for (unsigned n = 1;; n++) {
        struct context context = example();
        struct context copy = {.stamp = 77};
        struct context back = {.stamp = 77};
        struct dot dot = {{4, 0}, 1};
        struct buf token = {0};
        oom_fail_at(n);
        enum rd_err copied = context_copy(&context, &copy);
        enum rd_err added = context_add(&context, &dot);
        enum rd_err sealed = context_seal(&context, cluster, "key", 3, &token);
        enum rd_err opened =
            sealed == RD_OK ? open_token(&token, cluster, "key", &back) : RD_ENOMEM;
        int failed = oom_stop();
        ck_assert_uint_eq(copy.stamp, copied == RD_OK ? context.stamp : 77);
        ck_assert_uint_eq(back.stamp, opened == RD_OK ? context.stamp : 77);
        ck_assert_int_eq(context_covers(&context, &dot), added == RD_OK);
        ck_assert_int_eq(buf_len(&token) > 0, sealed == RD_OK);
        ck_assert_int_eq(failed,
                         copied != RD_OK || added != RD_OK || sealed != RD_OK || opened != RD_OK);
        ck_assert(!failed || copied == RD_ENOMEM || added == RD_ENOMEM || sealed == RD_ENOMEM ||
                  opened == RD_ENOMEM);
        context_check(&context);
        context_free(&context);
        context_free(&copy);
        context_free(&back);
        buf_free(&token);
        if (!failed) {
            ck_assert_uint_gt(n, 4);
            break;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("context");
    TCase *tcase = tcase_create("context");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, covers_its_vector_and_its_lone_dot);
    tcase_add_loop_test(tcase, adds_dots, 0, 5);
    tcase_add_test(tcase, fills_the_gap_below_its_lone_dot);
    tcase_add_loop_test(tcase, opens_what_it_sealed, 0, 10);
    tcase_add_test(tcase, is_bound_to_key_and_cluster);
    tcase_add_test(tcase, refuses_every_damage);
    tcase_add_loop_test(tcase, refuses_noise, 0, 3);
    tcase_add_test(tcase, refuses_giants_before_allocating);
    tcase_add_test(tcase, keeps_its_format);
    tcase_add_loop_test(tcase, opens_only_canonical_payloads, 0,
                        (int)(sizeof authentic / sizeof *authentic));
    tcase_add_test(tcase, opens_a_very_long_one);
    tcase_add_test(tcase, survives_failing_allocations);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
