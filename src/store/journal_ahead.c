/* Reading a journal by a thread of its own, ahead of whoever takes the rows; see journal.h.
 *
 * 1. Buffers go round: the reader fills number `filled`, the taker reads number `emptied`; both only count up, under `mutex`, and differ by
 *    BUFFERS at most. Who has a buffer touches it without the mutex.
 * 2. While the thread runs the journal is its alone.
 * 3. A row larger than a buffer should be waits until all before it are taken, and those behind it until it is: what is in flight is a few
 *    buffers or one such row, and one more.
 */
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "store/journal.h"
#include "store/thread.h"

#define BUFFERS 4
#define BUFFER_BYTES ((size_t)256 << 10)

struct ahead {
    struct journal *journal;
    uint64_t first, last;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct buf buffers[BUFFERS];
    uint64_t filled, emptied;
    bool ended;      /* the reader will fill no more, for reason `err` */
    bool stop;       /* the taker will take no more */
    enum rd_err err; /* of the reader */
};

struct head {
    uint64_t seq;
    size_t len;
};

/* Gives a buffer that holds something to the taker, and waits until at most `left` are with it. False: stop. */
static bool hand_over(struct ahead *ahead, uint64_t left) {
    pthread_mutex_lock(&ahead->mutex);
    if (buf_len(&ahead->buffers[ahead->filled % BUFFERS]) > 0) {
        ahead->filled++;
        pthread_cond_broadcast(&ahead->changed);
    }
    while (ahead->filled - ahead->emptied > left && !ahead->stop) {
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    }
    bool go_on = !ahead->stop;
    pthread_mutex_unlock(&ahead->mutex);
    return go_on;
}

/* One row: into the buffer at hand. */
static enum rd_err collect(void *arg, uint64_t seq, const void *bytes, size_t len) {
    struct ahead *ahead = arg;
    const struct head head = {.seq = seq, .len = len};
    bool large = len > BUFFER_BYTES;
    size_t held = buf_len(&ahead->buffers[ahead->filled % BUFFERS]);
    if ((large || held >= BUFFER_BYTES) && !hand_over(ahead, large ? 0 : BUFFERS - 1)) {
        return RD_EIO; /* which the taker does not ask for */
    }
    struct buf *buf = &ahead->buffers[ahead->filled % BUFFERS];
    enum rd_err err = buf_append(buf, &head, sizeof head);
    if (err == RD_OK) {
        err = buf_append(buf, bytes, len);
    }
    if (err == RD_OK && large && !hand_over(ahead, 0)) {
        err = RD_EIO;
    }
    return err;
}

static void *read_rows(void *arg) {
    struct ahead *ahead = arg;
    enum rd_err err = journal_each(ahead->journal, ahead->first, ahead->last, collect, ahead);
    if (err == RD_OK) {
        (void)hand_over(ahead, BUFFERS);
    }
    pthread_mutex_lock(&ahead->mutex);
    ahead->ended = true;
    ahead->err = err;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

/* The next buffer with rows; NULL: there are no more. */
static struct buf *next_buffer(struct ahead *ahead) {
    struct buf *buf = NULL;
    pthread_mutex_lock(&ahead->mutex);
    while (ahead->filled == ahead->emptied && !ahead->ended) {
        pthread_cond_wait(&ahead->changed, &ahead->mutex);
    }
    if (ahead->filled != ahead->emptied) {
        buf = &ahead->buffers[ahead->emptied % BUFFERS];
    }
    pthread_mutex_unlock(&ahead->mutex);
    return buf;
}

static void give_back(struct ahead *ahead, bool stop) {
    pthread_mutex_lock(&ahead->mutex);
    ahead->emptied++;
    ahead->stop = stop;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->mutex);
}

static enum rd_err
take_rows(struct buf *buf,
          enum rd_err (*each)(void *arg, uint64_t seq, const void *bytes, size_t len), void *arg) {
    enum rd_err err = RD_OK;
    while (buf_len(buf) > 0 && err == RD_OK) {
        struct head head;
        memcpy(&head, buf_data(buf), sizeof head);
        buf_consume(buf, sizeof head);
        err = each(arg, head.seq, buf_data(buf), head.len);
        buf_consume(buf, head.len);
    }
    buf_reset(buf, 2 * BUFFER_BYTES);
    return err;
}

enum rd_err journal_each_ahead(struct journal *journal, uint64_t first, uint64_t last,
                               enum rd_err (*each)(void *arg, uint64_t seq, const void *bytes,
                                                   size_t len),
                               void *arg) {
    struct ahead ahead = {.journal = journal, .first = first, .last = last};
    pthread_t thread;
    pthread_mutex_init(&ahead.mutex, NULL);
    pthread_cond_init(&ahead.changed, NULL);
    enum rd_err err = thread_start(&thread, read_rows, &ahead);
    if (err == RD_OK) {
        struct buf *buf;
        while (err == RD_OK && (buf = next_buffer(&ahead)) != NULL) {
            err = take_rows(buf, each, arg);
            give_back(&ahead, err != RD_OK);
        }
        pthread_join(thread, NULL);
        err = err == RD_OK ? ahead.err : err;
    }
    for (unsigned i = 0; i < BUFFERS; i++) {
        buf_free(&ahead.buffers[i]);
    }
    pthread_cond_destroy(&ahead.changed);
    pthread_mutex_destroy(&ahead.mutex);
    return err;
}
