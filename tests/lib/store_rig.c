/* A store under test, of either engine; see store_rig.h. */
#include "tests/lib/store_rig.h"

#include <check.h>
#include <dirent.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_mem.h"
#include "store/store_sqlite.h"

/* ---- SQLite's memory ------------------------------------------------------------------------------- */

static void *sq_malloc(int size) {
    return malloc((size_t)size);
}

static void sq_free(void *old) {
    free(old);
}

static void *sq_realloc(void *old, int size) {
    return realloc(old, (size_t)size);
}

static int sq_size(void *block) {
    return (int)malloc_usable_size(block);
}

static int sq_roundup(int size) {
    return (size + 7) & ~7;
}

static int sq_init(void *arg) {
    (void)arg;
    return SQLITE_OK;
}

static void sq_shutdown(void *arg) {
    (void)arg;
}

void rig_sqlite_malloc(void) {
    sqlite3_mem_methods methods = {sq_malloc,  sq_free, sq_realloc,  sq_size,
                                   sq_roundup, sq_init, sq_shutdown, NULL};
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) {
        abort();
    }
}

/* ---- opening and closing --------------------------------------------------------------------------- */

void rig_make_dir(struct rig *rig) {
    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL) { /* in memory a sync costs nothing; to processes that die it is the same */
        tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }
    snprintf(rig->dir, sizeof rig->dir, "%.40s/rd-store-XXXXXX", tmp);
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
}

enum rd_err rig_start(struct rig *rig, char reason[STORE_REASON_BYTES]) {
    /* Fixed, so that a store's large tables, mostly unused here, are fresh pages each time and not memory to be zeroed. */
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    struct store_sqlite_conf conf = {
        .dir = rig->dir,
        .fsync = rig->fsync,
        .cache_bytes = 1 << 20,
        .memtable_bytes = rig->memtable_bytes,
        .journal_bytes = rig->memtable_bytes == 0 && rig->engine < RIG_SMALL ? 256 << 10 : 32 << 10,
        .rows_per_transaction = 5, /* so that many merges take several */
        .vfs = rig->vfs,
    };
    if (rig->engine >= RIG_SMALL && rig->memtable_bytes == 0) {
        conf.memtable_bytes = 2000;
        conf.cache_bytes = 4000;
    }
    if (rig->engine == RIG_COLLIDING) {
        conf.ignored_hash_bits = ~(uint64_t)1;
    }
    return store_sqlite_open(&conf, &rig->store, reason);
}

void rig_open(struct rig *rig, enum rig_engine engine) {
    *rig = (struct rig){.engine = engine, .fsync = STORE_FSYNC_NO};
    if (engine == RIG_MEM) {
        ck_assert_int_eq(store_mem_new(&rig->store), RD_OK);
        return;
    }
    char reason[STORE_REASON_BYTES] = "";
    rig_make_dir(rig);
    enum rd_err err = rig_start(rig, reason);
    ck_assert_msg(err == RD_OK, "%s", reason);
}

void rig_reopen(struct rig *rig) {
    if (rig->engine == RIG_MEM) {
        store_mem_check(rig->store);
        store_mem_crash(rig->store, SIZE_MAX);
        return;
    }
    char reason[STORE_REASON_BYTES] = "";
    store_sqlite_verify(rig->store);
    store_close(&rig->store);
    enum rd_err err = rig_start(rig, reason);
    ck_assert_msg(err == RD_OK, "%s", reason);
}

static void remove_dir(const char *path) {
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[400];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        unlink(name);
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(path), 0);
}

void rig_close(struct rig *rig) {
    store_close(&rig->store);
    if (rig->dir[0] != 0) {
        remove_dir(rig->dir);
        rig->dir[0] = 0;
    }
}

/* ---- one call, one answer -------------------------------------------------------------------------- */

struct answer {
    unsigned count;
    enum rd_err err;
    struct blob *value;
    struct rig_rows rows;
};

static void on_get(void *arg, uint64_t token, enum rd_err err, struct blob *value) {
    struct answer *answer = arg;
    ck_assert_uint_eq(token, RIG_TOKEN);
    ck_assert((err == RD_OK) == (value != NULL));
    answer->count++;
    answer->err = err;
    answer->value = blob_ref(value);
}

static void on_commit(void *arg, uint64_t token, enum rd_err err) {
    struct answer *answer = arg;
    ck_assert_uint_eq(token, RIG_TOKEN);
    answer->count++;
    answer->err = err;
}

static void *copy(const void *bytes, size_t len) {
    char *twin = malloc(len + 1);
    ck_assert_ptr_nonnull(twin);
    if (len > 0) {
        memcpy(twin, bytes, len);
    }
    return twin;
}

static void on_scan(void *arg, uint64_t token, enum rd_err err, const struct store_row *rows,
                    size_t count, bool end) {
    struct answer *answer = arg;
    ck_assert_uint_eq(token, RIG_TOKEN);
    ck_assert(err == RD_OK || (count == 0 && !end));
    answer->count++;
    answer->rows.err = err;
    answer->rows.end = end;
    answer->rows.count = count;
    answer->rows.rows = calloc(count + 1, sizeof *rows);
    ck_assert_ptr_nonnull(answer->rows.rows);
    for (size_t i = 0; i < count; i++) {
        struct store_row *row = &answer->rows.rows[i];
        *row = rows[i];
        ck_assert_ptr_nonnull(row->key);
        ck_assert((row->err == RD_OK) == (row->value != NULL));
        row->key = copy(row->key, row->key_len);
        row->sub = copy(row->sub, row->sub_len);
        blob_ref(row->value);
    }
}

static struct answer wait_answer(struct rig *rig) {
    static const struct store_handler handler = {on_get, on_commit, on_scan};
    struct answer answer = {0};
    ck_assert_uint_eq(store_pending(rig->store), 1);
    ck_assert_uint_eq(store_poll(rig->store, &handler, &answer, 10), 1);
    ck_assert_uint_eq(answer.count, 1);
    ck_assert_uint_eq(store_poll(rig->store, &handler, &answer, 10), 0);
    return answer;
}

struct store_key rig_key(enum store_space space, uint16_t slot, const void *key, size_t key_len,
                         const void *sub, size_t sub_len) {
    return (struct store_key){space, slot, key, key_len, sub_len == 0 ? NULL : sub, sub_len};
}

enum rd_err rig_put_object(struct rig *rig, struct store_key at, const void *value, size_t len,
                           uint64_t due_ms, bool was_live, bool is_live) {
    struct store_put put = {
        .at = at,
        .due_ms = due_ms,
        .was_live = was_live,
        .is_live = is_live,
        .old_digest = rig->old_digest,
        .new_digest = value == NULL ? 0 : rig->new_digest,
    };
    if (value != NULL && blob_new(value, len, &put.value) != RD_OK) {
        return RD_ENOMEM;
    }
    enum rd_err err = store_put(rig->store, &put);
    blob_unref(put.value);
    return err;
}

enum rd_err rig_put(struct rig *rig, struct store_key at, const void *value, size_t len) {
    return rig_put_object(rig, at, value, len, 0, false, false);
}

enum rd_err rig_commit_answer(struct rig *rig) {
    return wait_answer(rig).err;
}

enum rd_err rig_commit(struct rig *rig) {
    store_commit(rig->store, RIG_TOKEN);
    return rig_commit_answer(rig);
}

enum rd_err rig_get(struct rig *rig, struct store_key at, struct blob **out) {
    store_get(rig->store, &at, RIG_TOKEN);
    return rig_get_answer(rig, out);
}

enum rd_err rig_get_answer(struct rig *rig, struct blob **out) {
    struct answer answer = wait_answer(rig);
    if (answer.err == RD_OK) {
        *out = answer.value;
    }
    return answer.err;
}

void rig_expect(struct rig *rig, struct store_key at, const void *value, size_t len) {
    struct blob *blob = NULL;
    ck_assert_int_eq(rig_get(rig, at, &blob), RD_OK);
    ck_assert_uint_eq(blob->len, len);
    ck_assert(len == 0 || memcmp(blob->bytes, value, len) == 0);
    blob_unref(blob);
}

void rig_expect_error(struct rig *rig, struct store_key at, enum rd_err err) {
    struct blob *blob = NULL;
    ck_assert_int_eq(rig_get(rig, at, &blob), err);
    ck_assert_ptr_null(blob);
}

struct rig_rows rig_scan(struct rig *rig, enum store_space space, uint16_t first, uint16_t last,
                         const struct store_cursor *cursor, size_t max_rows, size_t max_bytes) {
    struct store_range range = {space, first, last};
    store_scan(rig->store, &range, cursor, max_rows, max_bytes, RIG_TOKEN);
    return wait_answer(rig).rows;
}

struct rig_rows rig_scan_answer(struct rig *rig) {
    return wait_answer(rig).rows;
}

struct rig_rows rig_scan_due(struct rig *rig, uint64_t before_ms, size_t max_rows) {
    return rig_scan_due_behind(rig, NULL, before_ms, max_rows, SIZE_MAX);
}

struct rig_rows rig_scan_due_behind(struct rig *rig, const struct store_due_cursor *cursor,
                                    uint64_t before_ms, size_t max_rows, size_t max_bytes) {
    store_scan_due(rig->store, before_ms, cursor, max_rows, max_bytes, RIG_TOKEN);
    return wait_answer(rig).rows;
}

void rig_rows_free(struct rig_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        free((void *)rows->rows[i].key);
        free((void *)rows->rows[i].sub);
        blob_unref(rows->rows[i].value);
    }
    free(rows->rows);
    *rows = (struct rig_rows){0};
}

struct store_cursor rig_behind(const struct store_row *row) {
    return (struct store_cursor){row->slot, row->key, row->key_len, row->sub, row->sub_len};
}
