/* bench/store: the store alone, beside a plain preallocated file that is written and synced. What is measured, and how:
 *
 *   blind   batches of puts (20-byte keys, 100-byte values) into a store of KEYS keys, against the same bytes written to a preallocated
 *           file with fdatasync (always), or without
 *   rmw     each key is read, its object decoded, written to with a version vector, encoded, digested and put
 *   overload  blind puts as fast as they are taken, for longer than merges can keep up with: the longest pauses, and beside them those of a
 *           thread that only sleeps, and of one that syncs a page of a plain file now and then, for what the machine itself does
 *   restart a process with KEYS records in its journal, and a million other keys in its table, is killed; how long until the store is
 *           open again, and how much memory it has once its cache is full
 *   keys    merging sorted rows into tables of three keys
 *
 * Rounds alternate between store and file; ratios are printed per round, and their median. Trust ratios, not absolutes.
 *
 * Bytes written are compared with the bytes of the records put, as the journal has them: key, value (an object with its vector, in rmw), and 40
 * for lengths, digests and due time; and with key and value alone.
 *
 * usage: store blind|rmw|overload|restart|keys DIR [KEYS [SECONDS [ROUNDS [MODE|all [BATCH|0 [uniform|zipfian|both]]]]]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <math.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/prng.h"
#include "replication/context.h"
#include "replication/object.h"
#include "replication/slot.h"
#include "store/store_sqlite.h"
#include "store/timing.h"

enum { VALUE = 100, KEY = 20, FILE_BYTES = 256 << 20, RECORD_ROW_BYTES = 40 };

struct bench {
    const char *dir;
    uint64_t keys;
    double seconds;
    int rounds;
    struct store *store;
    struct prng prng;
    bool zipf;
    enum rd_err err;         /* of the last answer */
    struct blob *value;      /* of the last get */
    uint64_t longest_us;     /* of a commit */
    int schedstat;           /* a file descriptor; below 0: not wanted */
    uint64_t longest_own_us; /* the same without waiting for a processor */
    struct timing commits;
    uint64_t put_bytes; /* keys and values */
    uint64_t put_count;
    bool loading;
    int only_mode;         /* below 0: all */
    unsigned only_batch;   /* 0: all */
    bool uniform, zipfian; /* which of them */
};

static void die(const char *what) {
    fprintf(stderr, "bench/store: %s\n", what);
    exit(1);
}

static void on_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    struct bench *bench = arg;
    (void)token;
    bench->err = err;
    bench->value = blob_ref(value);
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    struct bench *bench = arg;
    (void)token;
    bench->err = err;
}

static void on_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                    size_t count, bool end) {
    (void)arg;
    (void)token;
    (void)err;
    (void)rows;
    (void)count;
    (void)end;
}

static const struct store_handler handler = {on_get, on_commit, on_scan};

static uint64_t next_key(struct bench *bench) {
    if (!bench->zipf) {
        return prng_below(&bench->prng, bench->keys);
    }
    /* Exponent near 1: the logarithm of the rank is uniform. Ranks are scattered over the keys. */
    double u = (double)(prng_u64(&bench->prng) >> 11) / 9007199254740992.0;
    uint64_t rank = (uint64_t)exp(u * log((double)bench->keys));
    return rank * 0x9e3779b97f4a7c15u % bench->keys;
}

static struct store_key key_of(uint64_t number, char text[KEY + 1]) {
    memcpy(text, "key:", 5);
    for (int i = 0; i < 16; i++) {
        text[4 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    }
    text[KEY] = 0;
    return (struct store_key){.space = STORE_OBJECTS,
                              .slot = slot_of_key(PARTITIONER_CRC16, text, KEY),
                              .key = text,
                              .key_len = KEY};
}

static void open_store(struct bench *bench, enum store_fsync fsync) {
    char reason[STORE_REASON_BYTES];
    struct store_sqlite_conf conf = {.dir = bench->dir,
                                     .fsync = fsync,
                                     .cache_bytes = 256 << 20,
                                     .journal_bytes = (uint64_t)192 << 20};
    if (store_sqlite_open(&conf, &bench->store, reason) != RD_OK) {
        die(reason);
    }
}

/* How long this thread has waited for a processor, so far. */
static uint64_t waited_us(const struct bench *bench) {
    char text[100] = "";
    unsigned long long waited = 0;
    if (bench->schedstat >= 0 && pread(bench->schedstat, text, sizeof text - 1, 0) > 0) {
        (void)sscanf(text, "%*u %llu", &waited);
    }
    return waited / 1000;
}

static void commit(struct bench *bench) {
    uint64_t waited = waited_us(bench);
    uint64_t began = timing_now_us();
    store_commit(bench->store, 1);
    store_poll(bench->store, &handler, bench, 10);
    uint64_t us = timing_now_us() - began;
    timing_add(&bench->commits, us);
    bench->longest_us = us > bench->longest_us ? us : bench->longest_us;
    waited = waited_us(bench) - waited;
    us = us > waited ? us - waited : 0;
    bench->longest_own_us = us > bench->longest_own_us ? us : bench->longest_own_us;
    if (bench->err != RD_OK) {
        die(rd_err_text(bench->err));
    }
}

static void put_blind(struct bench *bench, uint64_t number) {
    char text[KEY + 1];
    uint8_t value[VALUE];
    memset(value, (int)number, sizeof value);
    struct store_put put = {
        .at = key_of(number, text), .is_live = true, .was_live = !bench->loading};
    if (blob_new(value, sizeof value, &put.value) != RD_OK) {
        die("out of memory");
    }
    (void)store_put(bench->store, &put);
    bench->put_bytes += put.at.key_len + put.value->len;
    bench->put_count++;
    blob_unref(put.value);
}

/* What an earlier run has left is good enough: a folder can be filled first, and measured when the machine is quiet. */
static bool is_loaded(const struct bench *bench) {
    return store_live_count(bench->store, 0, SLOT_COUNT - 1) == bench->keys;
}

static void load_blind(struct bench *bench) {
    if (is_loaded(bench)) {
        return;
    }
    bench->loading = true;
    for (uint64_t i = 0; i < bench->keys; i++) {
        put_blind(bench, i);
        if (i % 1000 == 999 || i + 1 == bench->keys) {
            commit(bench);
        }
    }
    bench->loading = false;
}

static uint64_t written_bytes(void) {
    FILE *file = fopen("/proc/self/io", "r");
    char line[80];
    unsigned long long bytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "write_bytes: %llu", &bytes) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

struct result {
    double per_second;
    double p99_us, longest_us;
    double amplification; /* bytes written per byte of records put */
    double bare;          /* per byte of their keys and values */
    double own_us;        /* processor time of the calling thread, per row */
    double all_us;        /* of the whole process: merges and syncs too */
};

static double cpu_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Runs batches for a while; counts rows per second. */
static struct result run_store(struct bench *bench, unsigned batch,
                               void (*put)(struct bench *bench, uint64_t number)) {
    uint64_t began = timing_now_us();
    uint64_t bytes = written_bytes();
    uint64_t rows = 0;
    uint64_t until = began + (uint64_t)(bench->seconds * 1e6);
    bench->longest_us = bench->longest_own_us = bench->put_bytes = bench->put_count = 0;
    bench->commits = (struct timing){0};
    double own_us = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    double all_us = cpu_us(CLOCK_PROCESS_CPUTIME_ID);
    while (timing_now_us() < until) {
        for (unsigned i = 0; i < batch; i++) {
            put(bench, next_key(bench));
        }
        commit(bench);
        rows += batch;
    }
    double spent = (double)(timing_now_us() - began) / 1e6;
    return (struct result){
        .per_second = (double)rows / spent,
        .p99_us = (double)timing_p99_us(&bench->commits),
        .longest_us = (double)bench->longest_us,
        .amplification = (double)(written_bytes() - bytes) /
                         (double)(bench->put_bytes + RECORD_ROW_BYTES * bench->put_count),
        .bare = (double)(written_bytes() - bytes) / (double)bench->put_bytes,
        .own_us = (cpu_us(CLOCK_THREAD_CPUTIME_ID) - own_us) / (double)rows,
        .all_us = (cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all_us) / (double)rows,
    };
}

/* The same bytes, and the same generating of keys, into a preallocated file. */
static double run_file(struct bench *bench, int fd, unsigned batch, bool sync) {
    static uint8_t bytes[500 * (KEY + VALUE + 16)];
    uint64_t began = timing_now_us();
    uint64_t until = began + (uint64_t)(bench->seconds * 1e6);
    uint64_t rows = 0;
    off_t at = 0;
    size_t len = batch * (size_t)(KEY + VALUE + 16);
    while (timing_now_us() < until) {
        for (unsigned i = 0; i < batch; i++) {
            char text[KEY + 1];
            uint8_t *to = bytes + i * (KEY + VALUE + 16);
            struct store_key at_key = key_of(next_key(bench), text);
            memcpy(to, &at_key.slot, sizeof at_key.slot);
            memcpy(to + 16, text, KEY);
            memset(to + 16 + KEY, (int)i, VALUE);
        }
        if (at + (off_t)len > FILE_BYTES) {
            at = 0;
        }
        if (pwrite(fd, bytes, len, at) != (ssize_t)len || (sync && fdatasync(fd) != 0)) {
            die("cannot write the file");
        }
        at += (off_t)len;
        rows += batch;
    }
    return (double)rows * 1e6 / (double)(timing_now_us() - began);
}

static int plain_file(struct bench *bench) {
    static const uint8_t zeros[1 << 20];
    char path[500];
    snprintf(path, sizeof path, "%s/plain", bench->dir);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    for (int i = 0; i < FILE_BYTES >> 20; i++) {
        if (fd < 0 || write(fd, zeros, sizeof zeros) != (ssize_t)sizeof zeros) {
            die("cannot write the file");
        }
    }
    fsync(fd);
    unlink(path);
    return fd;
}

static int by_value(const void *a, const void *b) {
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static const char *const mode_names[] = {"always", "everysec", "no"};

static bool wants(const struct bench *bench, int mode, unsigned batch, bool zipf) {
    return (bench->only_mode < 0 || bench->only_mode == mode) &&
           (bench->only_batch == 0 || bench->only_batch == batch) &&
           (zipf ? bench->zipfian : bench->uniform);
}

static void blind_rounds(struct bench *bench, int fd, int mode, unsigned batch) {
    double ratios[20];
    printf("%-8s batch %3u %-7s:", mode_names[mode], batch, bench->zipf ? "zipfian" : "uniform");
    if (store_sqlite_set_fsync(bench->store, (enum store_fsync)mode) != RD_OK) {
        die("cannot change the mode");
    }
    for (int round = 0; round < bench->rounds; round++) {
        struct result store = run_store(bench, batch, put_blind);
        double file = run_file(bench, fd, batch, mode == 0);
        ratios[round] = store.per_second / file;
        printf("  %.0fk/%.0fk p99 %.1f max %.0f ms x%.1f cpu %.2f+%.2f us", store.per_second / 1e3,
               file / 1e3, store.p99_us / 1e3, store.longest_us / 1e3, store.amplification,
               store.own_us, store.all_us - store.own_us);
        fflush(stdout);
    }
    printf("  ratio %.2f\n", median(ratios, bench->rounds));
}

static void bench_blind(struct bench *bench) {
    static const unsigned batches[] = {1, 50, 500};
    int fd = plain_file(bench);
    open_store(bench, STORE_FSYNC_NO);
    load_blind(bench);
    (void)store_sqlite_merge(bench->store);
    for (int mode = 0; mode < 3; mode++) {
        for (int i = 0; i < 6; i++) {
            bench->zipf = i % 2 == 1;
            if (wants(bench, mode, batches[i / 2], bench->zipf)) {
                blind_rounds(bench, fd, mode, batches[i / 2]);
            }
        }
    }
    close(fd);
    store_close(&bench->store);
}

/* Reads, decodes, writes with the object's own context, encodes, digests, puts: what a replica does for a SET. */
static void put_merged(struct bench *bench, uint64_t number) {
    char text[KEY + 1];
    uint8_t bytes[VALUE];
    struct object object = {0};
    struct context context = {0};
    struct buf encoded = {0};
    struct blob *value;
    struct store_put put = {.at = key_of(number, text), .is_live = true};
    memset(bytes, (int)number, sizeof bytes);
    store_get(bench->store, &put.at, 1);
    store_poll(bench->store, &handler, bench, 10);
    if (bench->err == RD_OK) {
        if (object_decode(bench->value->bytes, bench->value->len, &object) != RD_OK) {
            die("cannot decode");
        }
        put.old_digest = object_digest(&object);
        put.was_live = true;
    }
    blob_unref(bench->value);
    bench->value = NULL;
    uint64_t stamp = object_newest_stamp(&object) + 1;
    struct dot dot = {.actor = {.incarnation = 7, .epoch = 1}, .counter = stamp};
    if (object_context(&object, &context) != RD_OK || blob_new(bytes, VALUE, &value) != RD_OK ||
        object_write(&object, &context, &dot, stamp, value, 0) != RD_OK ||
        object_encode(&object, &encoded) != RD_OK) {
        die("cannot write an object");
    }
    put.new_digest = object_digest(&object);
    blob_unref(value);
    if (blob_new(buf_data(&encoded), buf_len(&encoded), &put.value) != RD_OK) {
        die("out of memory");
    }
    (void)store_put(bench->store, &put);
    bench->put_bytes += put.at.key_len + put.value->len;
    bench->put_count++;
    blob_unref(put.value);
    buf_free(&encoded);
    context_free(&context);
    object_free(&object);
}

static void rmw_round(struct bench *bench, int mode) {
    struct store_stats before;
    struct store_stats stats;
    store_stats(bench->store, &before);
    struct result result = run_store(bench, 50, put_merged);
    store_stats(bench->store, &stats);
    printf(
        "rmw %-8s %-7s batch 50: %.0fk/s p99 %.1f max %.0f ms, written x%.1f of the records "
        "(x%.1f of keys and objects), cpu %.2f+%.2f us, misses %.2f, %llu merges, last %llu ms, "
        "delayed %.1f s\n",
        mode_names[mode], bench->zipf ? "zipfian" : "uniform", result.per_second / 1e3,
        result.p99_us / 1e3, result.longest_us / 1e3, result.amplification, result.bare,
        result.own_us, result.all_us - result.own_us,
        (double)(stats.cache_misses - before.cache_misses) / (result.per_second * bench->seconds),
        (unsigned long long)(stats.merges - before.merges), (unsigned long long)stats.merge_last_ms,
        (double)(stats.delayed_us - before.delayed_us) / 1e6);
    fflush(stdout);
}

static void bench_rmw(struct bench *bench) {
    open_store(bench, STORE_FSYNC_NO);
    for (uint64_t i = 0; !is_loaded(bench) && i < bench->keys; i++) {
        put_merged(bench, i);
        if (i % 1000 == 999 || i + 1 == bench->keys) {
            commit(bench);
        }
    }
    for (uint64_t i = 0; i < bench->keys;
         i++) { /* what a node that is up for a while has in its cache */
        char text[KEY + 1];
        struct store_key at = key_of(i, text);
        store_get(bench->store, &at, 1);
        store_poll(bench->store, &handler, bench, 10);
        blob_unref(bench->value);
    }
    for (int i = 0; i < 6; i++) {
        bench->zipf = i % 2 == 1;
        if (!wants(bench, i / 2, 50, bench->zipf)) {
            continue;
        }
        (void)store_sqlite_set_fsync(bench->store, (enum store_fsync)(i / 2));
        for (int round = 0; round < bench->rounds; round++) {
            rmw_round(bench, i / 2);
        }
    }
    store_close(&bench->store);
}

/* What a thread that sleeps a millisecond at a time sees: the longest time beyond it. And what one sees that writes a page of a plain
 * preallocated file and syncs it, hundred times a second: the longest time of these two calls. */
struct sleeper {
    pthread_t thread, writer;
    int fd;
    atomic_bool stop;
    uint64_t longest_us, longest_write_us;
};

static void *write_on(void *arg) {
    static const uint8_t page[4096];
    struct sleeper *sleeper = arg;
    for (off_t at = 0; !atomic_load(&sleeper->stop); at = (at + 4096) % FILE_BYTES) {
        struct timespec span = {.tv_nsec = 10000000};
        nanosleep(&span, NULL);
        uint64_t began = timing_now_us();
        if (pwrite(sleeper->fd, page, sizeof page, at) != sizeof page ||
            fdatasync(sleeper->fd) != 0) {
            die("cannot write the file");
        }
        uint64_t us = timing_now_us() - began;
        sleeper->longest_write_us = us > sleeper->longest_write_us ? us : sleeper->longest_write_us;
    }
    return NULL;
}

static void *sleep_on(void *arg) {
    struct sleeper *sleeper = arg;
    while (!atomic_load(&sleeper->stop)) {
        struct timespec span = {.tv_nsec = 1000000};
        uint64_t began = timing_now_us();
        nanosleep(&span, NULL);
        uint64_t us = timing_now_us() - began - 1000;
        sleeper->longest_us = us > sleeper->longest_us ? us : sleeper->longest_us;
    }
    return NULL;
}

static void bench_overload(struct bench *bench) {
    int fd = plain_file(bench);
    open_store(bench, STORE_FSYNC_NO);
    load_blind(bench);
    bench->schedstat = open("/proc/thread-self/schedstat", O_RDONLY);
    for (int mode = 0; mode < 3; mode++) {
        if (bench->only_mode >= 0 && bench->only_mode != mode) {
            continue;
        }
        (void)store_sqlite_set_fsync(bench->store, (enum store_fsync)mode);
        for (int round = 0; round < bench->rounds; round++) {
            struct sleeper sleeper = {.fd = fd};
            struct store_stats before;
            struct store_stats after;
            store_stats(bench->store, &before);
            pthread_create(&sleeper.thread, NULL, sleep_on, &sleeper);
            pthread_create(&sleeper.writer, NULL, write_on, &sleeper);
            struct result result = run_store(bench, 500, put_blind);
            atomic_store(&sleeper.stop, true);
            pthread_join(sleeper.thread, NULL);
            pthread_join(sleeper.writer, NULL);
            store_stats(bench->store, &after);
            printf("overload %-8s batch 500: %.0fk/s, %llu merges, delayed %.1f s, commits: p99 "
                   "%.1f max %.0f ms, without waiting for a processor %.0f ms; a sleeper: max %.0f "
                   "ms; a plain file: max %.0f ms\n",
                   mode_names[mode], result.per_second / 1e3,
                   (unsigned long long)(after.merges - before.merges),
                   (double)(after.delayed_us - before.delayed_us) / 1e6, result.p99_us / 1e3,
                   result.longest_us / 1e3, (double)bench->longest_own_us / 1e3,
                   (double)sleeper.longest_us / 1e3, (double)sleeper.longest_write_us / 1e3);
            fflush(stdout);
        }
    }
    store_close(&bench->store);
    close(fd);
}

static long resident_kb(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[200];
    long kb = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kb) == 1) {
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kb;
}

#define OTHER_KEYS ((uint64_t)1000000)
#define CACHE_BYTES ((uint64_t)64 << 20)

/* What the table has besides: reads of them fill the cache. */
static uint64_t other_key(uint64_t i) {
    return ((uint64_t)1 << 40) + i;
}

/* Each key five times, so that a memtable of 128 MB has two million records. */
static void fill_and_die(struct bench *bench, const struct store_sqlite_conf *conf) {
    char reason[STORE_REASON_BYTES];
    if (store_sqlite_open(conf, &bench->store, reason) != RD_OK) {
        die(reason);
    }
    for (uint64_t i = 0; i < OTHER_KEYS; i++) {
        put_blind(bench, other_key(i));
        if (i % 1000 == 999) {
            commit(bench);
        }
    }
    if (store_sqlite_merge(bench->store) != RD_OK) {
        die("cannot merge");
    }
    uint64_t records = bench->keys;
    bench->keys = (records + 4) / 5;
    for (uint64_t i = 0; i < records; i++) {
        put_blind(bench, i < bench->keys ? i : next_key(bench));
        if (i % 50 == 49 || i + 1 == records) {
            commit(bench);
        }
    }
    kill(getpid(), SIGKILL);
}

/* Killed before it can merge, so that the next one finds the same. */
static void start_and_die(struct bench *bench, const struct store_sqlite_conf *conf) {
    char reason[STORE_REASON_BYTES];
    struct store_stats stats;
    double cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    uint64_t began = timing_now_us();
    if (store_sqlite_open(conf, &bench->store, reason) != RD_OK) {
        die(reason);
    }
    double seconds = (double)(timing_now_us() - began) / 1e6;
    cpu = (cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e6;
    long resident = resident_kb() / 1024;
    for (uint64_t i = 0; i < 2 * OTHER_KEYS; i++) {
        char text[KEY + 1];
        struct store_key at = key_of(other_key(prng_below(&bench->prng, OTHER_KEYS)), text);
        store_get(bench->store, &at, 1);
        store_poll(bench->store, &handler, bench, 10);
        blob_unref(bench->value);
        bench->value = NULL;
    }
    store_stats(bench->store, &stats);
    uint64_t allowed = (CACHE_BYTES + stats.memtable_bytes) / 5 * 6;
    printf("restart with %llu records in the journals: %.2f s (processor %.2f s), %llu rows, "
           "journals %llu MB, memtables %llu MB, %ld MB resident; with %llu MB in the cache %ld "
           "MB, allowed %llu\n",
           (unsigned long long)bench->keys, seconds, cpu, (unsigned long long)stats.memtable_rows,
           (unsigned long long)stats.journal_bytes >> 20,
           (unsigned long long)stats.memtable_bytes >> 20, resident,
           (unsigned long long)stats.cache_bytes >> 20, resident_kb() / 1024,
           (unsigned long long)allowed >> 20);
    fflush(stdout);
    kill(getpid(), SIGKILL);
}

static void bench_restart(struct bench *bench) {
    const struct store_sqlite_conf conf = {.dir = bench->dir,
                                           .fsync = STORE_FSYNC_NO,
                                           .cache_bytes = CACHE_BYTES,
                                           .memtable_bytes = (uint64_t)128 << 20};
    for (int round = -1; round < bench->rounds; round++) {
        pid_t child = fork();
        if (child == 0) {
            (round < 0 ? fill_and_die : start_and_die)(bench, &conf);
        }
        waitpid(child, NULL, 0);
    }
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *create, *put;
} tables[] = {
    {"(slot, key, sub)",
     "CREATE TABLE t(a INTEGER, k BLOB, s BLOB, v BLOB, PRIMARY KEY(a, k, s)) WITHOUT ROWID",
     "INSERT OR REPLACE INTO t(a, k, s, v) VALUES(?1 >> 50, ?2, x'', ?3)"},
    {"(id, key, sub)",
     "CREATE TABLE t(a INTEGER, k BLOB, s BLOB, v BLOB, PRIMARY KEY(a, k, s)) WITHOUT ROWID",
     "INSERT OR REPLACE INTO t(a, k, s, v) VALUES(?1, ?2, x'', ?3)"},
    {"id alone", "CREATE TABLE t(a INTEGER PRIMARY KEY, k BLOB, s BLOB, v BLOB)",
     "INSERT OR REPLACE INTO t(a, k, s, v) VALUES(?1, ?2, x'', ?3)"},
};

struct id {
    uint64_t id; /* slot in the top 14 bits, then the key's hash */
    char key[KEY + 1];
};

static int id_order(const void *a, const void *b) {
    const struct id *left = a;
    const struct id *right = b;
    return left->id != right->id ? (left->id < right->id ? -1 : 1) : 0;
}

static int slot_order(const void *a, const void *b) {
    const struct id *left = a;
    const struct id *right = b;
    uint64_t x = left->id >> 50;
    uint64_t y = right->id >> 50;
    return x != y ? (x < y ? -1 : 1) : memcmp(left->key, right->key, KEY);
}

/* Merges sorted rows in transactions of 20000; returns microseconds per row. */
static double merge_rows(sqlite3 *db, sqlite3_stmt *put, const struct id *rows, size_t count) {
    static const uint8_t value[VALUE];
    uint64_t began = timing_now_us();
    for (size_t i = 0; i < count; i++) {
        if (i % 20000 == 0) {
            sqlite3_exec(db, i == 0 ? "BEGIN" : "COMMIT; BEGIN", NULL, NULL, NULL);
        }
        sqlite3_bind_int64(put, 1, (sqlite3_int64)(rows[i].id >> 1));
        sqlite3_bind_blob(put, 2, rows[i].key, KEY, SQLITE_STATIC);
        sqlite3_bind_blob(put, 3, value, VALUE, SQLITE_STATIC);
        sqlite3_step(put);
        sqlite3_reset(put);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    return (double)(timing_now_us() - began) / (double)count;
}

static void bench_keys(struct bench *bench) {
    size_t count = bench->keys < 400000 ? (size_t)bench->keys : 400000;
    size_t all = (size_t)bench->keys;
    struct id *rows = malloc((all > count ? all : count) * sizeof *rows);
    for (int round = 0; round < bench->rounds; round++) {
        for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
            char path[500];
            sqlite3 *db;
            sqlite3_stmt *put;
            snprintf(path, sizeof path, "%s/keys%zu-%d.db", bench->dir, t, round);
            sqlite3_open(path, &db);
            sqlite3_exec(
                db,
                "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=4000;"
                "PRAGMA cache_size=-16000;",
                NULL, NULL, NULL);
            sqlite3_exec(db, tables[t].create, NULL, NULL, NULL);
            if (rows == NULL ||
                sqlite3_prepare_v2(db, tables[t].put, -1, &put, NULL) != SQLITE_OK) {
                die("cannot make a table");
            }
            double us[2];
            for (int part = 0; part < 2; part++) {
                size_t n = part == 0 ? all : count;
                for (size_t i = 0; i < n; i++) {
                    struct store_key at = key_of(part == 0 ? i : next_key(bench), rows[i].key);
                    rows[i].id = (uint64_t)at.slot << 50 | hash_xxh64(rows[i].key, KEY, 0) >> 14;
                }
                qsort(rows, n, sizeof *rows, t == 0 ? slot_order : id_order);
                us[part] = merge_rows(db, put, rows, n);
            }
            printf("%-18s load %.2f us/row, merge of %zuk rows %.2f us/row\n", tables[t].name,
                   us[0], count / 1000, us[1]);
            sqlite3_finalize(put);
            sqlite3_close(db);
            unlink(path);
        }
    }
    free(rows);
}

static int mode_of(const char *name) {
    for (int mode = 0; mode < 3; mode++) {
        if (strcmp(name, mode_names[mode]) == 0) {
            return mode;
        }
    }
    return -1;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: store blind|rmw|overload|restart|keys DIR [KEYS [SECONDS [ROUNDS "
                        "[MODE|all [BATCH|0 [uniform|zipfian|both]]]]]]\n");
        return 2;
    }
    struct bench bench = {
        .dir = argv[2],
        .keys = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000,
        .seconds = argc > 4 ? strtod(argv[4], NULL) : 3,
        .rounds = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 3,
        .schedstat = -1,
        .only_mode = argc > 6 ? mode_of(argv[6]) : -1,
        .only_batch = argc > 7 ? (unsigned)strtoul(argv[7], NULL, 10) : 0,
        .uniform = argc <= 8 || strcmp(argv[8], "zipfian") != 0,
        .zipfian = argc <= 8 || strcmp(argv[8], "uniform") != 0,
    };
    if (bench.keys == 0 || bench.rounds < 1 || bench.rounds > 20) {
        die("KEYS or ROUNDS out of range");
    }
    prng_seed(&bench.prng, 1);
    if (strcmp(argv[1], "blind") == 0) {
        bench_blind(&bench);
    } else if (strcmp(argv[1], "rmw") == 0) {
        bench_rmw(&bench);
    } else if (strcmp(argv[1], "overload") == 0) {
        bench_overload(&bench);
    } else if (strcmp(argv[1], "restart") == 0) {
        bench_restart(&bench);
    } else {
        bench_keys(&bench);
    }
    return 0;
}
