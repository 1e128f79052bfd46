/* replication/object_codec: digest and encoding: one spelling, every damage refused. */
#include "replication/object.h"

#include "base/hash.h"
#include "base/prng.h"
#include "base/text.h"
#include "replication/hlc.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"
#include "tests/unit/object_text.h"

#include <stdlib.h>
#include <string.h>

#define CHECKSUM_BYTES 8

/* More siblings than are looked at pair by pair. */
static const char many[] =
    "A9 B9 C3 | A1@1 A2@2 A3@3 A4@4 A5@5 A6@6 A7@7 A8@8 A9@9 B1@11 B2@12 B3@13 B4@14 B5@15 B6@16 "
    "B7@17 B8@18 B9@19 C1@20 C2@21 C3@22 | deleted 22";

static const char *const examples[] = {
    "",
    "A1 |",
    "A1 | A1@5",
    "A1 | A1@5=x",
    "A3 B2 | | deleted 9",
    "A3 B.7:4 | A3@9=x/1700000000000 B.7:2@8=hello A1@8 | deleted 7",
    "A300 Z1 | A300@4611686018427387904=long A299@5 A1@5=y/1",
    many,
};

static struct buf encode(const struct object *object) {
    struct buf buf = {0};
    MUST(object_encode(object, &buf) == RD_OK);
    return buf;
}

START_TEST(comes_back_the_same) {
    struct object object = object_of(examples[_i]);
    struct buf buf = {0};
    MUST(buf_append(&buf, "before", 6) == RD_OK); /* encoding appends */
    MUST(object_encode(&object, &buf) == RD_OK);
    MUST(memcmp(buf_data(&buf), "before", 6) == 0);
    buf_consume(&buf, 6);

    struct object back;
    MUST(object_decode(buf_data(&buf), buf_len(&buf), &back) == RD_OK);
    object_check(&back);
    char one[OBJECT_TEXT_BYTES];
    char two[OBJECT_TEXT_BYTES];
    ck_assert_str_eq(object_text(&back, one), object_text(&object, two));
    MUST(object_equal(&back, &object));
    MUST(object_digest(&back) == object_digest(&object));
    struct buf again = encode(&back);
    MUST(buf_len(&again) == buf_len(&buf));
    MUST(memcmp(buf_data(&again), buf_data(&buf), buf_len(&buf)) == 0);
    buf_free(&again);
    buf_free(&buf);
    object_free(&back);
    object_free(&object);
}
END_TEST

START_TEST(carries_values_of_any_bytes_and_length) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    struct object object = object_of("A1 | A1@5");
    blob_unref(object.siblings[0].value);
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 1 << 20};
    size_t len = lengths[_i];
    MUST(blob_alloc(len, &object.siblings[0].value) == RD_OK);
    prng_fill(&prng, object.siblings[0].value->bytes, len);
    struct buf buf = encode(&object);
    struct object back;
    MUST(object_decode(buf_data(&buf), buf_len(&buf), &back) == RD_OK);
    MUST(back.siblings[0].value->len == len);
    MUST(memcmp(back.siblings[0].value->bytes, object.siblings[0].value->bytes, len) == 0);
    buf_free(&buf);
    object_free(&back);
    object_free(&object);
}
END_TEST

/* Stored rows and other nodes' frames hold these bytes: a change of format must be meant. */
START_TEST(keeps_its_format) {
    struct object object = object_of("A3 B.7:300 | A3@258=xy/1000 B.7:2@1 | deleted 9");
    struct buf buf = encode(&object);
    char hex[400];
    MUST(2 * buf_len(&buf) < sizeof hex);
    text_hex(buf_data(&buf), buf_len(&buf), hex);
    hex[2 * (buf_len(&buf) - CHECKSUM_BYTES)] = 0;
    ck_assert_str_eq(hex, "01" /* format */
                          "02" /* two entries */
                          "0000000000000001"
                          "00"
                          "03" /* A, epoch 0: 3 */
                          "0000000000000002"
                          "07"
                          "ac02" /* B, epoch 7: 300 */
                          "09"   /* deleted */
                          "02"   /* two siblings */
                          "00"
                          "03"
                          "0000000000000102" /* A3 at 258 */
                          "e807"
                          "02"
                          "7879" /* expires 1000, "xy" */
                          "01"
                          "02"
                          "0000000000000001" /* B.7:2 at 1 */
                          "00"
                          "00");
    MUST(object_digest(&object) == UINT64_C(12375573607731964873));
    buf_free(&buf);
    object_free(&object);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

static void must_refuse(const uint8_t *bytes, size_t len, enum rd_err wanted) {
    struct object object = {.deleted_stamp = 77};
    uint8_t *exact = malloc(len + 1); /* so that a sanitizer sees reads behind the end */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, len);
    enum rd_err err = object_decode(exact, len, &object);
    free(exact);
    MUST(err == wanted);
    MUST(object.deleted_stamp == 77);
}

START_TEST(refuses_every_truncation) {
    struct object object = object_of(examples[_i]);
    struct buf buf = encode(&object);
    for (size_t len = 0; len < buf_len(&buf); len++) {
        must_refuse(buf_data(&buf), len, RD_ECORRUPT);
    }
    MUST(buf_append(&buf, "", 1) == RD_OK);
    must_refuse(buf_data(&buf), buf_len(&buf), RD_ECORRUPT);
    buf_free(&buf);
    object_free(&object);
}
END_TEST

START_TEST(refuses_every_changed_byte) {
    struct object object = object_of(examples[_i]);
    struct buf buf = encode(&object);
    for (size_t at = 0; at < buf_len(&buf); at++) {
        uint8_t was = buf.base[at];
        for (unsigned value = 0; value < 256; value++) {
            if (value != was) {
                buf.base[at] = (uint8_t)value;
                must_refuse(buf_data(&buf), buf_len(&buf), RD_ECORRUPT);
            }
        }
        buf.base[at] = was;
    }
    buf_free(&buf);
    object_free(&object);
}
END_TEST

/* Puts the right checksum behind bytes that are wrong in other ways. */
static void seal(struct buf *buf) {
    uint64_t sum = hash_xxh64(buf_data(buf), buf_len(buf), 0);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(sum >> (56 - 8 * i));
        MUST(buf_append(buf, &byte, 1) == RD_OK);
    }
}

#define A "0000000000000001"
#define B "0000000000000002"
#define AT(stamp) "00000000000000" stamp

static const struct {
    const char *why;
    enum rd_err err;
    const char *hex;
} forged[] = {
    {"another format", RD_EPROTO,
     "0200"
     "00"
     "00"},
    {"bytes behind", RD_EPROTO,
     "0100"
     "00"
     "0000"},
    {"nothing but the format, padded", RD_EPROTO, "01808080"},
    {"no siblings where one is announced", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"},
    {"a deletion of nothing", RD_EPROTO,
     "0100"
     "05"
     "00"},
    {"a deletion stamp of 64 bits", RD_EPROTO,
     "0101" A "0001"
     "ffffffffffffffffff01"
     "00"},
    {"65537 siblings", RD_ETOOBIG,
     "0101" A "0001"
     "00"
     "818004"},
    {"65536 siblings in no bytes", RD_EPROTO,
     "0101" A "0001"
     "00"
     "808004"},
    {"an actor outside the vector", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0101" AT("05") "0000"},
    {"a dot above the vector", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0002" AT("05") "0000"},
    {"a dot of 0", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0000" AT("05") "0000"},
    {"a stamp of 64 bits", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0001"
     "8000000000000000"
     "0000"},
    {"a value that is cut off", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0001" AT("05") "000278"},
    {"a value of nearly 2^64", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0001" AT("05") "00"
                     "ffffffffffffffffff01"
                     "78"},
    {"a length in a long spelling", RD_EPROTO,
     "0101" A "0001"
     "00"
     "01"
     "0001" AT("05") "008000"},
    {"the older one first", RD_EPROTO,
     "0101" A "0002"
     "00"
     "02"
     "0001" AT("05") "0000"
                     "0002" AT("06") "0000"},
    {"a tie in the wrong order", RD_EPROTO,
     "0101" A "0002"
     "00"
     "02"
     "0001" AT("05") "0000"
                     "0002" AT("05") "0000"},
    {"the same one twice", RD_EPROTO,
     "0101" A "0002"
     "00"
     "02"
     "0001" AT("05") "0000"
                     "0001" AT("05") "0000"},
    {"one dot with two stamps", RD_EPROTO,
     "0101" A "0002"
     "00"
     "02"
     "0001" AT("06") "0000"
                     "0001" AT("05") "0000"},
    {"a vector out of order", RD_EPROTO,
     "0102" B "0001" A "0001"
     "00"
     "00"},
};

START_TEST(refuses_forged_bytes) {
    uint8_t bytes[100];
    size_t len = strlen(forged[_i].hex) / 2;
    MUST(text_unhex(forged[_i].hex, 2 * len, bytes, len) == RD_OK);
    struct buf buf = {0};
    MUST(buf_append(&buf, bytes, len) == RD_OK);
    seal(&buf);
    struct object object;
    enum rd_err err = object_decode(buf_data(&buf), buf_len(&buf), &object);
    ck_assert_msg(err == forged[_i].err, "%s: %s", forged[_i].why, rd_err_name(err));
    buf_free(&buf);
}
END_TEST

/* As above with more siblings than are compared pair by pair. */
START_TEST(refuses_one_double_dot_among_many) {
    struct object object = object_of(many);
    object.siblings[20].dot = object.siblings[0].dot;
    struct buf buf = {0};
    MUST(object_encode(&object, &buf) == RD_OK);
    must_refuse(buf_data(&buf), buf_len(&buf), RD_EPROTO);
    buf_free(&buf);
    object_free(&object);
}
END_TEST

START_TEST(accepts_only_what_it_would_write) {
    struct prng prng;
    prng_seed(&prng, (uint64_t)_i);
    int accepted = 0;
    for (int round = 0; round < 3000; round++) {
        struct object object =
            object_of(examples[prng_below(&prng, sizeof examples / sizeof *examples)]);
        struct buf buf = encode(&object);
        size_t body = buf_len(&buf) - CHECKSUM_BYTES;
        struct buf changed = {0};
        MUST(buf_append(&changed, buf_data(&buf), body) == RD_OK);
        for (uint64_t flips = 1 + prng_below(&prng, 2); flips > 0; flips--) {
            changed.base[prng_below(&prng, body)] ^= (uint8_t)(1U << prng_below(&prng, 8));
        }
        seal(&changed);
        struct object back;
        if (object_decode(buf_data(&changed), buf_len(&changed), &back) == RD_OK) {
            accepted++;
            object_check(&back);
            struct buf again = encode(&back);
            MUST(buf_len(&again) == buf_len(&changed));
            MUST(memcmp(buf_data(&again), buf_data(&changed), buf_len(&again)) == 0);
            buf_free(&again);
            object_free(&back);
        }
        buf_free(&buf);
        buf_free(&changed);
        object_free(&object);
    }
    MUST(accepted > 0);
}
END_TEST

/* ---- digest ---------------------------------------------------------------------------------- */

START_TEST(digests_all_but_the_values) {
    static const char *const different[] = {
        "",
        "A1 |",
        "A2 |",
        "B1 |",
        "A.1:1 |",
        "A1 | | deleted 1",
        "A1 | A1@1",
        "A1 | A1@2",
        "A1 | A1@1/1",
        "A1 B1 | A1@1",
        "A1 B1 | B1@1",
        "A1 B1 | B1@1 A1@1",
        "A1 B1 | B1@1 A1@1 | deleted 1",
    };
    size_t count = sizeof different / sizeof *different;
    uint64_t digests[20];
    for (size_t i = 0; i < count; i++) {
        struct object object = object_of(different[i]);
        digests[i] = object_digest(&object);
        MUST((digests[i] == 0) == object_is_empty(&object));
        for (size_t j = 0; j < i; j++) {
            MUST(digests[i] != digests[j]);
        }
        object_free(&object);
    }
    struct object one = object_of("A1 | A1@1=value");
    MUST(object_digest(&one) == digests[6]);
    object_free(&one);
}
END_TEST

/* Long objects are hashed in runs: a change in any of them must show. */
START_TEST(digests_long_objects_to_the_end) {
    struct object object = object_of(many);
    uint64_t before = object_digest(&object);
    for (uint32_t i = 0; i < object.count; i++) {
        object.siblings[i].expires_ms ^= 1;
        MUST(object_digest(&object) != before);
        object.siblings[i].expires_ms ^= 1;
    }
    MUST(object_digest(&object) == before);
    object_free(&object);
}
END_TEST

/* ---- failing allocations --------------------------------------------------------------------- */

START_TEST(decodes_nothing_when_memory_runs_out) {
    struct object object = object_of(examples[_i]);
    struct buf buf = encode(&object);
    for (unsigned nth = 1;; nth++) {
        struct object back = {.deleted_stamp = 77};
        oom_fail_at(nth);
        enum rd_err err = object_decode(buf_data(&buf), buf_len(&buf), &back);
        if (!oom_stop()) {
            MUST(err == RD_OK);
            MUST(object_equal(&back, &object));
            object_free(&back);
            break;
        }
        MUST(err == RD_ENOMEM);
        MUST(back.deleted_stamp == 77);
    }
    buf_free(&buf);
    object_free(&object);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void) {
    Suite *suite = suite_create("object_codec");
    TCase *tcase = tcase_create("object_codec");
    tcase_add_loop_test(tcase, comes_back_the_same, 0, COUNT(examples));
    tcase_add_loop_test(tcase, carries_values_of_any_bytes_and_length, 0, 7);
    tcase_add_test(tcase, keeps_its_format);
    tcase_add_loop_test(tcase, refuses_every_truncation, 0, COUNT(examples));
    tcase_add_loop_test(tcase, refuses_every_changed_byte, 0, COUNT(examples));
    tcase_add_loop_test(tcase, refuses_forged_bytes, 0, COUNT(forged));
    tcase_add_test(tcase, refuses_one_double_dot_among_many);
    tcase_add_loop_test(tcase, accepts_only_what_it_would_write, 0, 5);
    tcase_add_test(tcase, digests_all_but_the_values);
    tcase_add_test(tcase, digests_long_objects_to_the_end);
    tcase_add_loop_test(tcase, decodes_nothing_when_memory_runs_out, 0, COUNT(examples));
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
