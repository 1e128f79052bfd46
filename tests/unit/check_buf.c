/* base/buf against a plain array; failing allocations change nothing. */
#include "base/buf.h"

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_BYTES 100000

/* The oracle: all bytes ever appended lie in one array, first and last mark what is unread. */
struct model {
    uint8_t bytes[MODEL_BYTES];
    size_t first, last;
};

static void check_equal(const struct buf *buf, const struct model *model) {
    ck_assert_uint_eq(buf_len(buf), model->last - model->first);
    if (buf_len(buf) > 0) {
        ck_assert_mem_eq(buf_data(buf), model->bytes + model->first, buf_len(buf));
    }
}

static void append_some(struct buf *buf, struct model *model, struct prng *prng) {
    size_t len = (size_t)prng_below(prng, 1000);
    if (len > MODEL_BYTES - model->last) {
        len = MODEL_BYTES - model->last;
    }
    prng_fill(prng, model->bytes + model->last, len);
    if (prng_chance(prng, 1, 2)) {
        ck_assert_int_eq(buf_append(buf, model->bytes + model->last, len), RD_OK);
    } else {
        uint8_t *to;
        ck_assert_int_eq(buf_reserve(buf, len + 10, &to), RD_OK);
        memset(to, 0xee, len + 10); /* more than is committed */
        memcpy(to, model->bytes + model->last, len);
        buf_commit(buf, len);
    }
    model->last += len;
}

START_TEST(is_a_queue) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct buf buf = {0};
    struct model *model = calloc(1, sizeof *model);
    while (model->last < MODEL_BYTES) {
        if (prng_chance(&prng, 1, 2)) {
            append_some(&buf, model, &prng);
        } else if (prng_chance(&prng, 1, 50)) {
            buf_reset(&buf, (size_t)prng_below(&prng, 2000));
            model->first = model->last;
        } else {
            size_t len = (size_t)prng_below(&prng, model->last - model->first + 1);
            len = prng_chance(&prng, 1, 10) ? model->last - model->first : len;
            buf_consume(&buf, len);
            model->first += len;
        }
        check_equal(&buf, model);
    }
    buf_free(&buf);
    free(model);
}
END_TEST

START_TEST(may_be_empty) {
    struct buf buf = {0};
    ck_assert_ptr_null(buf_data(&buf));
    ck_assert_uint_eq(buf_len(&buf), 0);
    ck_assert_int_eq(buf_append(&buf, NULL, 0), RD_OK);
    buf_consume(&buf, 0);
    buf_reset(&buf, 0);
    uint8_t *to = NULL;
    ck_assert_int_eq(buf_reserve(&buf, 0, &to), RD_OK);
    ck_assert_ptr_nonnull(to);
    buf_free(&buf);
    buf_free(&buf);
}
END_TEST

START_TEST(formats) {
    struct buf buf = {0};
    ck_assert_int_eq(buf_printf(&buf, "%s=%d;", "a", 7), RD_OK);
    ck_assert_int_eq(buf_printf(&buf, "%s", ""), RD_OK);
    ck_assert_int_eq(buf_printf(&buf, "%0600d", 1), RD_OK);
    ck_assert_uint_eq(buf_len(&buf), 604);
    ck_assert_mem_eq(buf_data(&buf), "a=7;0000", 8);
    ck_assert_mem_eq(buf_data(&buf) + 600, "0001", 4);
    buf_free(&buf);
}
END_TEST

START_TEST(absurd_sizes_are_refused) {
    struct buf buf = {0};
    ck_assert_int_eq(buf_append(&buf, "abc", 3), RD_OK);
    uint8_t *to = NULL;
    ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX, &to), RD_ETOOBIG);
    ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX / 2 - 2, &to), RD_ETOOBIG);
    ck_assert_int_eq(buf_append(&buf, "abc", SIZE_MAX), RD_ETOOBIG);
    ck_assert_ptr_null(to);
    ck_assert_uint_eq(buf_len(&buf), 3);
    ck_assert_mem_eq(buf_data(&buf), "abc", 3);
    buf_free(&buf);
}
END_TEST

/* A queue that is fed and drained forever stays small and, once warm, allocates nothing. */
START_TEST(steady_use_allocates_nothing) {
    struct buf buf = {0};
    char bytes[100] = {0};
    unsigned long warm = 0;
    unsigned failed = 0; /* asserting within would allocate */
    for (int i = 0; i < 10000; i++) {
        failed += buf_append(&buf, bytes, sizeof bytes) != RD_OK;
        if (i >= 5) {
            buf_consume(&buf, sizeof bytes);
        }
        if (i == 100) {
            warm = oom_count();
        }
    }
    unsigned long end = oom_count();
    ck_assert_uint_eq(end, warm);
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_le(buf.cap, 2048);
    buf_free(&buf);
}
END_TEST

START_TEST(reset_gives_memory_back) {
    struct buf buf = {0};
    uint8_t *to;
    ck_assert_int_eq(buf_reserve(&buf, 100000, &to), RD_OK);
    buf_commit(&buf, 100000);
    buf_reset(&buf, 1 << 20);
    ck_assert_uint_ge(buf.cap, 100000);
    ck_assert_uint_eq(buf_len(&buf), 0);
    buf_reset(&buf, 4096);
    ck_assert_uint_eq(buf.cap, 0);
    ck_assert_ptr_null(buf.base);
}
END_TEST

/* First append, growth in place, growth that has to move what is left, formatting. */
static enum rd_err grow_in_all_ways(struct buf *buf, size_t *len) {
    static const char zeros[5000];
    enum rd_err err = buf_append(buf, "abcdefgh", 8);
    *len += err == RD_OK ? 8 : 0;
    if (err == RD_OK) {
        err = buf_append(buf, zeros, 5000);
        *len += err == RD_OK ? 5000 : 0;
    }
    if (err == RD_OK) {
        buf_consume(buf, 3);
        *len -= 3;
        err = buf_append(buf, zeros, 5000);
        *len += err == RD_OK ? 5000 : 0;
    }
    if (err == RD_OK) {
        err = buf_printf(buf, "%010000d", 5);
        *len += err == RD_OK ? 10000 : 0;
    }
    return err;
}

START_TEST(failing_allocations_change_nothing) {
    for (unsigned n = 1;; n++) {
        struct buf buf = {0};
        size_t len = 0;
        oom_fail_at(n);
        enum rd_err err = grow_in_all_ways(&buf, &len);
        int fired = oom_stop();
        ck_assert_int_eq(err, fired ? RD_ENOMEM : RD_OK);
        ck_assert_uint_eq(buf_len(&buf), len);
        if (len >= 8) {
            const char *start = len > 5008 || len == 5005 ? "defgh" : "abcdefgh";
            ck_assert_mem_eq(buf_data(&buf), start, strlen(start));
        }
        buf_free(&buf);
        if (!fired) {
            ck_assert_uint_gt(n, 4);
            break;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("buf");
    tcase_add_loop_test(tcase, is_a_queue, 0, 8);
    tcase_add_test(tcase, may_be_empty);
    tcase_add_test(tcase, formats);
    tcase_add_test(tcase, absurd_sizes_are_refused);
    tcase_add_test(tcase, steady_use_allocates_nothing);
    tcase_add_test(tcase, reset_gives_memory_back);
    tcase_add_test(tcase, failing_allocations_change_nothing);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
