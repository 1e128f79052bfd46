/* Links over socket pairs: frames cut at random, long ones, limits for strangers, a peer that does not read, closing, and every allocation
 * failing once. */
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/prng.h"
#include "net/link.h"
#include "net/socket.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

/* One end is a link, the other is the test's. */
struct rig {
    struct event_base *base;
    struct link *link;
    int far;
    size_t frames;
    uint64_t digest; /* over all arguments, in order */
    size_t downs;
    enum rd_err err;
    char reason[256];
    size_t close_at; /* link_close when so many frames have come; 0: never */
};

/* No ck_assert in the callbacks: Check allocates, and some tests make that fail. */
static void on_frame(void *arg, struct link *link, const struct resp_slice *argv, size_t argc) {
    struct rig *rig = arg;
    assert(link == rig->link);
    assert(rig->downs == 0);
    rig->frames++;
    for (size_t i = 0; i < argc; i++) {
        rig->digest = hash_xxh64(argv[i].data, argv[i].len, rig->digest + argc);
    }
    if (rig->frames == rig->close_at) {
        link_close(link);
    }
}

static void on_down(void *arg, struct link *link, enum rd_err err, const char *reason) {
    struct rig *rig = arg;
    assert(link == rig->link);
    rig->downs++;
    rig->err = err;
    snprintf(rig->reason, sizeof(rig->reason), "%s", reason);
}

static void start(struct rig *rig) {
    int pair[2];
    memset(rig, 0, sizeof(*rig));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert(socket_prepare(pair[0]) && socket_prepare(pair[1]));
    rig->base = event_base_new();
    rig->far = pair[1];
    const struct link_handler handler = {on_frame, on_down, rig};
    ck_assert_int_eq(link_new(rig->base, pair[0], &handler, &rig->link), RD_OK);
}

static void stop(struct rig *rig) {
    link_free(&rig->link);
    ck_assert_ptr_null(rig->link);
    if (rig->far >= 0) {
        close(rig->far);
    }
    event_base_free(rig->base);
}

/* Runs what is ready. */
static void run(struct rig *rig) {
    ck_assert_int_ge(event_base_loop(rig->base, EVLOOP_NONBLOCK), 0);
}

static void frame_of(struct buf *out, const struct resp_slice *argv, size_t argc) {
    ck_assert_int_eq(buf_printf(out, "*%zu\r\n", argc), RD_OK);
    for (size_t i = 0; i < argc; i++) {
        ck_assert_int_eq(buf_printf(out, "$%zu\r\n", argv[i].len), RD_OK);
        ck_assert_int_eq(buf_append(out, argv[i].data, argv[i].len), RD_OK);
        ck_assert_int_eq(buf_append(out, "\r\n", 2), RD_OK);
    }
}

/* Writes all, letting the link read whenever the socket is full. */
static void write_far(struct rig *rig, const uint8_t *bytes, size_t len) {
    unsigned idle = 0;
    while (len > 0 && rig->downs == 0) {
        ssize_t n = send(rig->far, bytes, len, MSG_NOSIGNAL);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            idle = 0;
        } else {
            ck_assert_int_eq(errno, EAGAIN);
            ck_assert_uint_lt(idle++, 100);
        }
        run(rig);
    }
    run(rig);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

/* Random frames, sent in random pieces, arrive as they were. */
START_TEST(frames_cut_at_random) {
    struct rig rig;
    struct prng prng;
    struct buf stream = {0};
    uint64_t digest = 0;
    size_t frames = 0;
    start(&rig);
    prng_seed(&prng, (uint64_t)_i);
    for (; frames < 40; frames++) {
        struct buf content = {0};
        struct resp_slice argv[8];
        size_t argc = 1 + prng_below(&prng, 8);
        uint8_t *bytes;
        ck_assert_int_eq(buf_reserve(&content, 8 * 4096, &bytes), RD_OK);
        prng_fill(&prng, bytes, 8 * 4096);
        for (size_t i = 0; i < argc; i++) {
            argv[i] = (struct resp_slice){bytes + i * 4096, prng_below(&prng, 4097)};
            digest = hash_xxh64(argv[i].data, argv[i].len, digest + argc);
        }
        frame_of(&stream, argv, argc);
        buf_free(&content);
    }
    uint64_t bytes_in = buf_len(&stream);
    while (buf_len(&stream) > 0) {
        size_t piece = 1 + prng_below(&prng, _i % 2 == 0 ? 50 : 20000);
        piece = piece < buf_len(&stream) ? piece : buf_len(&stream);
        write_far(&rig, buf_data(&stream), piece);
        buf_consume(&stream, piece);
    }
    ck_assert_uint_eq(rig.frames, frames);
    ck_assert_uint_eq(rig.digest, digest);
    ck_assert_uint_eq(link_stats(rig.link)->frames_in, frames);
    ck_assert_uint_eq(link_stats(rig.link)->bytes_in, bytes_in);
    ck_assert_uint_eq(rig.downs, 0);
    buf_free(&stream);
    stop(&rig);
}
END_TEST

static void say_hello(struct rig *rig, size_t times) {
    static const char hello[] = "*2\r\n$5\r\nHELLO\r\n$1\r\nx\r\n";
    for (size_t i = 0; i < times; i++) {
        write_far(rig, (const uint8_t *)hello, sizeof(hello) - 1);
    }
}

static void say_long(struct rig *rig, size_t len) {
    struct buf frame = {0};
    uint8_t *bytes = calloc(1, len);
    const struct resp_slice argv[] = {{bytes, len}};
    ck_assert_ptr_nonnull(bytes);
    frame_of(&frame, argv, 1);
    write_far(rig, buf_data(&frame), buf_len(&frame));
    buf_free(&frame);
    free(bytes);
}

/* A stranger's long frame is refused when its length is read; a proven peer's is taken. */
START_TEST(long_frames_after_proof_only) {
    struct rig rig;
    start(&rig);
    say_hello(&rig, LINK_PROVING_FRAMES - 1);
    say_long(&rig, LINK_UNPROVEN_FRAME_BYTES);
    ck_assert_uint_eq(rig.frames, LINK_PROVING_FRAMES - 1);
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_str_eq(rig.reason, "Protocol error: too big request");
    stop(&rig);

    start(&rig);
    say_hello(&rig, LINK_PROVING_FRAMES);
    say_long(&rig, 20u << 20);
    ck_assert_uint_eq(rig.frames, LINK_PROVING_FRAMES + 1);
    ck_assert_uint_eq(rig.downs, 0);
    stop(&rig);
}
END_TEST

static const struct {
    const char *text, *reason;
} nonsense[] = {
    {"GET / HTTP/1.1\r\n\r\n", "Protocol error: expected '*', got 'G'"},
    {"*1\r\n:1\r\n", "Protocol error: expected '$', got ':'"},
    {"*x\r\n", "Protocol error: invalid multibulk length"},
    {"*257\r\n", "Protocol error: invalid multibulk length"},
    {"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"},
    {"*1\r\n$65537\r\n", "Protocol error: invalid bulk length"},
};

START_TEST(nonsense_ends_the_link) {
    struct rig rig;
    start(&rig);
    write_far(&rig, (const uint8_t *)nonsense[_i].text, strlen(nonsense[_i].text));
    ck_assert_uint_eq(rig.frames, 0);
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_str_eq(rig.reason, nonsense[_i].reason);
    ck_assert(rig.err == RD_EPROTO || rig.err == RD_ETOOBIG);
    run(&rig);
    ck_assert_uint_eq(rig.downs, 1);
    stop(&rig);
}
END_TEST

START_TEST(peer_hangs_up) {
    struct rig rig;
    start(&rig);
    say_hello(&rig, 1);
    write_far(&rig, (const uint8_t *)"*1\r\n$4\r\nha", 10);
    close(rig.far);
    rig.far = -1;
    run(&rig);
    ck_assert_uint_eq(rig.frames, 1);
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_str_eq(rig.reason, "the peer closed the connection");
    ck_assert_int_eq(rig.err, RD_ECLOSED);
    stop(&rig);
}
END_TEST

/* ---- writing ------------------------------------------------------------------------------------------ */

static struct blob *blob_of(size_t len, uint8_t fill) {
    struct blob *blob = NULL;
    ck_assert_int_eq(blob_alloc(len, &blob), RD_OK);
    memset(blob->bytes, fill, len);
    return blob;
}

/* Reads what is there, adds it to the digest, returns how many bytes. */
static size_t read_far(struct rig *rig, size_t most) {
    static uint8_t bytes[65536];
    ssize_t n = recv(rig->far, bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);
    if (n < 0) {
        ck_assert_int_eq(errno, EAGAIN);
        return 0;
    }
    for (ssize_t i = 0; i < n; i++) {
        rig->digest = rig->digest * 31 + bytes[i];
    }
    return (size_t)n;
}

START_TEST(nothing_is_written_before_flush) {
    struct rig rig;
    struct blob *frame = blob_of(100, 'x');
    start(&rig);
    ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
    ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
    ck_assert_uint_eq(frame->refs, 3);
    ck_assert_uint_eq(link_queued_bytes(rig.link), 200);
    run(&rig);
    ck_assert_uint_eq(read_far(&rig, 1000), 0);
    ck_assert_int_eq(link_flush(rig.link), RD_OK);
    ck_assert_uint_eq(read_far(&rig, 1000), 200);
    ck_assert_uint_eq(frame->refs, 1);
    ck_assert_uint_eq(link_queued_bytes(rig.link), 0);
    ck_assert_uint_eq(link_stats(rig.link)->frames_out, 2);
    ck_assert_uint_eq(link_stats(rig.link)->bytes_out, 200);
    blob_unref(frame);
    stop(&rig);
}
END_TEST

/* Frames of all sizes to a peer that reads slowly come in order, whole and once. */
START_TEST(slow_reader_gets_everything) {
    struct rig rig;
    struct prng prng;
    uint64_t expected = 0;
    size_t sent = 0, got = 0;
    prng_seed(&prng, 100 + (uint64_t)_i);
    start(&rig);
    for (size_t i = 0; i < 300; i++) {
        struct blob *frame = blob_of(prng_below(&prng, 20000), (uint8_t)i);
        for (size_t j = 0; j < frame->len; j++) {
            expected = expected * 31 + frame->bytes[j];
        }
        sent += frame->len;
        ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
        blob_unref(frame);
        if (prng_chance(&prng, 1, 3)) {
            ck_assert_int_eq(link_flush(rig.link), RD_OK);
        }
        got += read_far(&rig, prng_below(&prng, 8000));
        run(&rig);
    }
    ck_assert_int_eq(link_flush(rig.link), RD_OK);
    for (unsigned idle = 0; got < sent && idle < 100;) {
        size_t n = read_far(&rig, 1 + prng_below(&prng, 50000));
        idle = n == 0 ? idle + 1 : 0;
        got += n;
        run(&rig);
    }
    ck_assert_uint_eq(got, sent);
    ck_assert_uint_eq(rig.digest, expected);
    ck_assert_uint_eq(link_queued_bytes(rig.link), 0);
    stop(&rig);
}
END_TEST

START_TEST(queue_is_bounded) {
    struct rig rig;
    struct blob *frame = blob_of(32u << 20, 'x');
    start(&rig);
    size_t taken = 0;
    enum rd_err err;
    while ((err = link_send(rig.link, frame)) == RD_OK) {
        taken++;
        ck_assert_int_eq(link_flush(rig.link), RD_OK);
    }
    ck_assert_int_eq(err, RD_ETOOBIG);
    ck_assert_uint_eq(taken, LINK_MAX_QUEUED_BYTES / frame->len);
    ck_assert_uint_eq(frame->refs, 1 + taken);
    ck_assert_uint_le(link_queued_bytes(rig.link), LINK_MAX_QUEUED_BYTES);
    stop(&rig);
    ck_assert_uint_eq(frame->refs, 1);
    blob_unref(frame);
}
END_TEST

/* A broken connection is found by flush, and told from the loop, once. */
START_TEST(broken_pipe) {
    struct rig rig;
    struct blob *frame = blob_of(10, 'x');
    start(&rig);
    ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
    close(rig.far);
    rig.far = -1;
    ck_assert_int_eq(link_flush(rig.link), RD_ECLOSED);
    ck_assert_uint_eq(rig.downs, 0);
    ck_assert_int_eq(link_send(rig.link, frame), RD_ECLOSED);
    run(&rig);
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_str_eq(rig.reason, "Broken pipe");
    ck_assert_int_eq(link_flush(rig.link), RD_ECLOSED);
    stop(&rig);
    blob_unref(frame);
}
END_TEST

/* ---- closing ------------------------------------------------------------------------------------------ */

/* What was queued is still written, nothing more is read, and the peer's hanging up ends it. */
START_TEST(close_delivers_last_words) {
    struct rig rig;
    struct blob *frame = blob_of(3000000, 'x');
    start(&rig);
    ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
    rig.close_at = 2;
    say_hello(&rig, 3);
    ck_assert_uint_eq(rig.frames, 2);
    ck_assert_int_eq(link_send(rig.link, frame), RD_ECLOSED);
    size_t got = 0;
    for (unsigned idle = 0; idle < 10;) {
        size_t n = read_far(&rig, 65536);
        idle = n == 0 ? idle + 1 : 0;
        got += n;
        run(&rig);
    }
    ck_assert_uint_eq(got, frame->len);
    uint8_t byte;
    ck_assert_int_eq(recv(rig.far, &byte, 1, 0), 0); /* our side has hung up */
    ck_assert_uint_eq(rig.downs, 0);
    say_hello(&rig, 1);
    close(rig.far);
    rig.far = -1;
    run(&rig);
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_uint_eq(rig.frames, 2);
    stop(&rig);
    blob_unref(frame);
}
END_TEST

START_TEST(close_does_not_wait_for_ever) {
    struct rig rig;
    start(&rig);
    link_close(rig.link);
    link_close(rig.link);
    ck_assert_int_eq(event_base_loop(rig.base, EVLOOP_ONCE), 0); /* LINK_LINGER_MS, then */
    ck_assert_uint_eq(rig.downs, 1);
    ck_assert_str_eq(rig.reason, "closed by this node");
    stop(&rig);
}
END_TEST

/* ---- out of memory ------------------------------------------------------------------------------------ */

START_TEST(new_without_memory) {
    struct event_base *base = event_base_new();
    struct rig rig = {.base = base};
    const struct link_handler handler = {on_frame, on_down, &rig};
    for (unsigned n = 1;; n++) {
        int pair[2];
        struct link *link = NULL;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        oom_fail_at(n);
        enum rd_err err = link_new(base, pair[0], &handler, &link);
        int failed = oom_stop();
        link_free(&link);
        ck_assert_int_eq(close(pair[0]), -1); /* taken, also on error */
        close(pair[1]);
        if (!failed) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
    }
    event_base_free(base);
}
END_TEST

START_TEST(send_without_memory) {
    struct rig rig;
    struct blob *frame = blob_of(1, 'x');
    start(&rig);
    size_t queued = 0;
    for (unsigned i = 0; i < 1000; i++) {
        oom_fail_at(1);
        enum rd_err err = link_send(rig.link, frame);
        int failed = oom_stop();
        ck_assert_int_eq(err, failed ? RD_ENOMEM : RD_OK);
        queued += err == RD_OK;
        if (failed) {
            ck_assert_int_eq(link_send(rig.link, frame), RD_OK);
            queued++;
        }
        ck_assert_uint_eq(link_queued_bytes(rig.link), queued);
        ck_assert_uint_eq(frame->refs, 1 + queued);
    }
    stop(&rig);
    ck_assert_uint_eq(frame->refs, 1);
    blob_unref(frame);
}
END_TEST

/* Memory for what comes in runs out: the link ends, or nothing is lost. */
START_TEST(reading_without_memory) {
    static const char hello[] = "*2\r\n$5\r\nHELLO\r\n$1\r\nx\r\n";
    for (unsigned n = 1;; n++) {
        struct rig rig;
        start(&rig);
        ck_assert_int_eq(send(rig.far, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
        oom_fail_at(n);
        (void)event_base_loop(rig.base, EVLOOP_NONBLOCK);
        int failed = oom_stop();
        ck_assert_uint_eq(rig.frames + rig.downs, 1);
        if (rig.downs == 1) {
            ck_assert_str_eq(rig.reason, "out of memory");
            ck_assert_int_eq(rig.err, RD_ENOMEM);
        }
        stop(&rig);
        if (!failed) {
            break;
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("net link");
    TCase *tc = tcase_create("reading");
    tcase_add_loop_test(tc, frames_cut_at_random, 0, 12);
    tcase_add_test(tc, long_frames_after_proof_only);
    tcase_add_loop_test(tc, nonsense_ends_the_link, 0,
                        (int)(sizeof(nonsense) / sizeof(nonsense[0])));
    tcase_add_test(tc, peer_hangs_up);
    suite_add_tcase(suite, tc);
    tc = tcase_create("writing");
    tcase_add_test(tc, nothing_is_written_before_flush);
    tcase_add_loop_test(tc, slow_reader_gets_everything, 0, 8);
    tcase_add_test(tc, queue_is_bounded);
    tcase_add_test(tc, broken_pipe);
    suite_add_tcase(suite, tc);
    tc = tcase_create("closing");
    tcase_add_test(tc, close_delivers_last_words);
    tcase_add_test(tc, close_does_not_wait_for_ever);
    suite_add_tcase(suite, tc);
    tc = tcase_create("out of memory");
    tcase_add_test(tc, new_without_memory);
    tcase_add_test(tc, send_without_memory);
    tcase_add_test(tc, reading_without_memory);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
