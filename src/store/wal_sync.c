/* A thread that brings a file to disk about a second after it was written; see wal_sync.h.
 *
 * 1. All fields but fd are guarded by `mutex`; fdatasync runs without it, so that writers never wait for the disk.
 * 2. `dirty` is cleared before the fdatasync: what is written during it is synced by the next one.
 */
#include "store/wal_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "store/thread.h"
#include "store/timing.h"

struct wal_sync {
    int fd;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake; /* on the monotonic clock */
    bool everysec;
    bool dirty;
    bool failed;
    bool stop;
    struct timing timing;
};

/* Without the mutex; `*us`: how long it took. */
static bool sync_fails(const struct wal_sync *sync, uint64_t *us) {
    uint64_t began = timing_now_us();
    bool failed = fdatasync(sync->fd) != 0;
    *us = timing_now_us() - began;
    return failed;
}

/* Waits a second, or until the end. */
static void linger(struct wal_sync *sync) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    while (!sync->stop && pthread_cond_timedwait(&sync->wake, &sync->mutex, &until) != ETIMEDOUT) {
    }
}

static void *run(void *arg) {
    struct wal_sync *sync = arg;
    pthread_mutex_lock(&sync->mutex);
    while (!sync->stop) {
        if (!sync->everysec || !sync->dirty || sync->failed) {
            pthread_cond_wait(&sync->wake, &sync->mutex);
            continue;
        }
        linger(sync);
        if (sync->stop || !sync->everysec) {
            continue;
        }
        sync->dirty = false;
        pthread_mutex_unlock(&sync->mutex);
        uint64_t us;
        bool failed = sync_fails(sync, &us);
        pthread_mutex_lock(&sync->mutex);
        timing_add(&sync->timing, us);
        sync->failed |= failed;
    }
    pthread_mutex_unlock(&sync->mutex);
    return NULL;
}

enum rd_err wal_sync_new(const char *path, struct wal_sync **out) {
    struct wal_sync *sync = calloc(1, sizeof *sync);
    if (sync == NULL) {
        return RD_ENOMEM;
    }
    sync->fd = open(path, O_RDWR | O_CLOEXEC);
    if (sync->fd < 0) {
        free(sync);
        return RD_EIO;
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sync->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&sync->mutex, NULL);
    if (thread_start(&sync->thread, run, sync) != RD_OK) {
        pthread_cond_destroy(&sync->wake);
        pthread_mutex_destroy(&sync->mutex);
        close(sync->fd);
        free(sync);
        return RD_ENOMEM;
    }
    *out = sync;
    return RD_OK;
}

void wal_sync_enable(struct wal_sync *sync, bool everysec) {
    pthread_mutex_lock(&sync->mutex);
    sync->everysec = everysec;
    pthread_cond_signal(&sync->wake);
    pthread_mutex_unlock(&sync->mutex);
}

void wal_sync_written(struct wal_sync *sync) {
    pthread_mutex_lock(&sync->mutex);
    if (!sync->dirty) {
        sync->dirty = true;
        pthread_cond_signal(&sync->wake);
    }
    pthread_mutex_unlock(&sync->mutex);
}

enum rd_err wal_sync_now(struct wal_sync *sync) {
    pthread_mutex_lock(&sync->mutex);
    sync->dirty = false;
    pthread_mutex_unlock(&sync->mutex);
    /* Without a look at `dirty`: the thread may have cleared it and be at it still. */
    uint64_t us;
    bool failed = sync_fails(sync, &us);
    pthread_mutex_lock(&sync->mutex);
    timing_add(&sync->timing, us);
    sync->failed |= failed;
    failed = sync->failed;
    pthread_mutex_unlock(&sync->mutex);
    return failed ? RD_EIO : RD_OK;
}

bool wal_sync_failed(struct wal_sync *sync) {
    pthread_mutex_lock(&sync->mutex);
    bool failed = sync->failed;
    pthread_mutex_unlock(&sync->mutex);
    return failed;
}

void wal_sync_recovered(struct wal_sync *sync) {
    pthread_mutex_lock(&sync->mutex);
    sync->failed = false;
    pthread_cond_signal(&sync->wake);
    pthread_mutex_unlock(&sync->mutex);
}

uint64_t wal_sync_p99_us(struct wal_sync *sync) {
    pthread_mutex_lock(&sync->mutex);
    uint64_t us = timing_p99_us(&sync->timing);
    pthread_mutex_unlock(&sync->mutex);
    return us;
}

void wal_sync_free(struct wal_sync **sync) {
    struct wal_sync *old = *sync;
    if (old == NULL) {
        return;
    }
    pthread_mutex_lock(&old->mutex);
    old->stop = true;
    pthread_cond_signal(&old->wake);
    pthread_mutex_unlock(&old->mutex);
    pthread_join(old->thread, NULL);
    pthread_cond_destroy(&old->wake);
    pthread_mutex_destroy(&old->mutex);
    close(old->fd);
    free(old);
    *sync = NULL;
}
