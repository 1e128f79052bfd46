/* A file system for SQLite that writes everything down, and fails on demand; see shim_vfs.h. */
#include "tests/lib/shim_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"

enum { FILES = 16, SECTOR = 512 };
enum step_kind { STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_DELETE, STEP_MARK, STEP_STRONG };

struct step {
    enum step_kind kind;
    unsigned file;
    uint64_t at; /* offset, size, or the mark's number */
    size_t len;
    uint8_t *bytes; /* owned */
};

static struct {
    pthread_mutex_t mutex;
    char names[FILES][40];
    unsigned files;
    struct step *steps;
    size_t count, cap;
    enum shim_op fail_op;
    unsigned fail_in; /* 0: nothing fails */
    bool for_good, full, failed;
} shim = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct shim_file {
    sqlite3_file base;
    unsigned id;
    bool traced;
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *real_vfs(void) {
    return sqlite3_vfs_find("unix");
}

/* ---- the trace ------------------------------------------------------------------------------------- */

static void die(const char *what) {
    fprintf(stderr, "shim_vfs: %s\n", what);
    abort();
}

static unsigned file_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    for (unsigned i = 0; i < shim.files; i++) {
        if (strcmp(shim.names[i], name) == 0) {
            return i;
        }
    }
    if (shim.files == FILES) {
        die("too many files");
    }
    snprintf(shim.names[shim.files], sizeof shim.names[0], "%s", name);
    return shim.files++;
}

static void trace(struct step step, const void *bytes) {
    if (shim.count == shim.cap) {
        shim.cap = shim.cap == 0 ? 1024 : shim.cap * 2;
        shim.steps = realloc(shim.steps, shim.cap * sizeof step);
    }
    if (bytes != NULL) {
        step.bytes = malloc(step.len + 1);
        if (step.bytes == NULL) {
            die("out of memory");
        }
        memcpy(step.bytes, bytes, step.len);
    }
    shim.steps[shim.count++] = step;
}

void shim_clear(void) {
    pthread_mutex_lock(&shim.mutex);
    for (size_t i = 0; i < shim.count; i++) {
        free(shim.steps[i].bytes);
    }
    free(shim.steps);
    shim.steps = NULL;
    shim.count = shim.cap = 0;
    shim.files = 0;
    pthread_mutex_unlock(&shim.mutex);
}

void shim_note_sync(const char *path) {
    pthread_mutex_lock(&shim.mutex);
    trace((struct step){.kind = STEP_SYNC, .file = file_of(path)}, NULL);
    pthread_mutex_unlock(&shim.mutex);
}

void shim_mark(uint64_t number, bool strong) {
    pthread_mutex_lock(&shim.mutex);
    trace((struct step){.kind = strong ? STEP_STRONG : STEP_MARK, .at = number}, NULL);
    pthread_mutex_unlock(&shim.mutex);
}

size_t shim_steps(void) {
    return shim.count;
}

/* ---- failing --------------------------------------------------------------------------------------- */

void shim_fail(enum shim_op op, unsigned n, bool for_good, bool full) {
    pthread_mutex_lock(&shim.mutex);
    shim.fail_op = op;
    shim.fail_in = n;
    shim.for_good = for_good;
    shim.full = full;
    shim.failed = false;
    pthread_mutex_unlock(&shim.mutex);
}

bool shim_stop(void) {
    pthread_mutex_lock(&shim.mutex);
    bool failed = shim.failed;
    shim.fail_in = 0;
    shim.failed = false;
    pthread_mutex_unlock(&shim.mutex);
    return failed;
}

/* Called with the mutex held. */
static bool fails(enum shim_op op) {
    if (shim.fail_in == 0 || op != shim.fail_op) {
        return false;
    }
    if (shim.fail_in > 1) {
        shim.fail_in--;
        return false;
    }
    shim.fail_in = shim.for_good ? 1 : 0;
    shim.failed = true;
    return true;
}

bool shim_must_fail(enum shim_op op) {
    pthread_mutex_lock(&shim.mutex);
    bool failing = fails(op);
    pthread_mutex_unlock(&shim.mutex);
    return failing;
}

/* ---- files ----------------------------------------------------------------------------------------- */

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct shim_file *)file)->real;
}

static int shim_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int shim_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at) {
    return shim_must_fail(SHIM_READ) ? SQLITE_IOERR_READ
                                     : real_of(file)->pMethods->xRead(real_of(file), to, len, at);
}

static int shim_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at) {
    struct shim_file *mine = (struct shim_file *)file;
    pthread_mutex_lock(&shim.mutex);
    int rc = fails(SHIM_WRITE) ? (shim.full ? SQLITE_FULL : SQLITE_IOERR_WRITE)
                               : mine->real->pMethods->xWrite(mine->real, from, len, at);
    if (rc == SQLITE_OK && mine->traced) {
        trace((struct step){STEP_WRITE, mine->id, (uint64_t)at, (size_t)len, NULL}, from);
    }
    pthread_mutex_unlock(&shim.mutex);
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct shim_file *mine = (struct shim_file *)file;
    pthread_mutex_lock(&shim.mutex);
    int rc = fails(SHIM_TRUNCATE) ? SQLITE_IOERR_TRUNCATE
                                  : mine->real->pMethods->xTruncate(mine->real, size);
    if (rc == SQLITE_OK && mine->traced) {
        trace((struct step){.kind = STEP_TRUNCATE, .file = mine->id, .at = (uint64_t)size}, NULL);
    }
    pthread_mutex_unlock(&shim.mutex);
    return rc;
}

static int shim_sync(sqlite3_file *file, int flags) {
    struct shim_file *mine = (struct shim_file *)file;
    pthread_mutex_lock(&shim.mutex);
    int rc = fails(SHIM_SYNC) ? SQLITE_IOERR_FSYNC : mine->real->pMethods->xSync(mine->real, flags);
    if (rc == SQLITE_OK && mine->traced) {
        trace((struct step){.kind = STEP_SYNC, .file = mine->id}, NULL);
    }
    pthread_mutex_unlock(&shim.mutex);
    return rc;
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *out) {
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int shim_lock(sqlite3_file *file, int lock) {
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int shim_unlock(sqlite3_file *file, int lock) {
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int shim_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int shim_control(sqlite3_file *file, int op, void *arg) {
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int shim_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int shim_device(sqlite3_file *file) {
    (void)file;
    return 0; /* promises nothing: no safe append, no powersafe overwrite */
}

static int shim_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *file, int at, int n, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), at, n, flags);
}

static void shim_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int shim_shm_unmap(sqlite3_file *file, int remove) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_device,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    struct shim_file *mine = (struct shim_file *)file;
    (void)vfs;
    mine->real = (sqlite3_file *)(mine + 1);
    int rc = real_vfs()->xOpen(real_vfs(), name, mine->real, flags, out);
    mine->base.pMethods = mine->real->pMethods == NULL ? NULL : &methods;
    mine->traced = name != NULL;
    if (rc == SQLITE_OK && name != NULL) {
        pthread_mutex_lock(&shim.mutex);
        mine->id = file_of(name);
        pthread_mutex_unlock(&shim.mutex);
    }
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
    (void)vfs;
    int rc = real_vfs()->xDelete(real_vfs(), name, sync_dir);
    if (rc == SQLITE_OK) {
        pthread_mutex_lock(&shim.mutex);
        trace((struct step){.kind = STEP_DELETE, .file = file_of(name)}, NULL);
        pthread_mutex_unlock(&shim.mutex);
    }
    return rc;
}

void shim_register(void) {
    static sqlite3_vfs vfs;
    sqlite3_initialize();
    vfs = *real_vfs();
    vfs.pNext = NULL;
    vfs.zName = SHIM_VFS;
    vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs()->szOsFile;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
        die("cannot register");
    }
}

/* ---- images ---------------------------------------------------------------------------------------- */

struct content {
    uint8_t *bytes; /* owned */
    size_t len;
    bool exists;
};

struct image_file {
    struct content synced;
    size_t *pending; /* owned: steps since */
    size_t count, cap;
};

struct shim_image {
    size_t next;
    struct image_file files[FILES];
    uint64_t mark, strong;
};

static void resize(struct content *content, size_t len) {
    content->exists = true;
    if (len > content->len) {
        content->bytes = realloc(content->bytes, len);
        if (content->bytes == NULL) {
            die("out of memory");
        }
        memset(content->bytes + content->len, 0, len - content->len);
    }
    content->len = len;
}

/* The first `len` bytes of a step take place. */
static void apply(struct content *content, const struct step *step, size_t len) {
    if (step->kind == STEP_WRITE) {
        if (content->len < step->at + len) {
            resize(content, step->at + len);
        }
        content->exists = true;
        memcpy(content->bytes + step->at, step->bytes, len);
    } else if (step->kind == STEP_TRUNCATE) {
        resize(content, step->at);
    }
}

struct shim_image *shim_image_new(void) {
    return calloc(1, sizeof(struct shim_image));
}

static void drop_pending(struct image_file *file) {
    file->count = 0;
}

void shim_image_step(struct shim_image *image) {
    const struct step *step = &shim.steps[image->next];
    struct image_file *file = &image->files[step->file];
    switch (step->kind) {
    case STEP_MARK:
        image->mark = step->at;
        break;
    case STEP_STRONG:
        image->strong = step->at;
        break;
    case STEP_SYNC:
        for (size_t i = 0; i < file->count; i++) {
            const struct step *write = &shim.steps[file->pending[i]];
            apply(&file->synced, write, write->len);
        }
        drop_pending(file);
        break;
    case STEP_DELETE:
        drop_pending(file);
        file->synced.len = 0;
        file->synced.exists = false;
        break;
    case STEP_WRITE:
    case STEP_TRUNCATE:
        if (file->count == file->cap) {
            file->cap = file->cap == 0 ? 64 : file->cap * 2;
            file->pending = realloc(file->pending, file->cap * sizeof *file->pending);
        }
        file->pending[file->count++] = image->next;
        break;
    }
    image->next++;
}

static void write_file(const char *dir, const char *name, const struct content *content) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd < 0 || write(fd, content->bytes, content->len) != (ssize_t)content->len) {
        die("cannot write an image");
    }
    close(fd);
}

static void lose_some(struct content *content, const struct step *step, struct prng *prng) {
    uint64_t dice = prng_below(prng, 8);
    if (dice < 4 || step->kind == STEP_TRUNCATE) {
        apply(content, step, dice < 4 ? step->len : 0);
    } else if (dice < 6 && step->len > SECTOR) {
        apply(content, step, SECTOR * (size_t)prng_below(prng, step->len / SECTOR));
    }
}

void shim_image_write(const struct shim_image *image, const char *dir, enum shim_loss loss,
                      uint64_t seed) {
    struct prng prng;
    prng_seed(&prng, seed);
    for (unsigned i = 0; i < shim.files; i++) {
        const struct image_file *file = &image->files[i];
        struct content content = {NULL, 0, file->synced.exists};
        resize(&content, file->synced.len);
        content.exists = file->synced.exists || file->count > 0;
        if (file->synced.len > 0) {
            memcpy(content.bytes, file->synced.bytes, file->synced.len);
        }
        for (size_t n = 0; n < file->count && loss != SHIM_LOSE_ALL; n++) {
            const struct step *step = &shim.steps[file->pending[n]];
            if (loss == SHIM_LOSE_NONE) {
                apply(&content, step, step->len);
            } else {
                lose_some(&content, step, &prng);
            }
        }
        if (content.exists) {
            write_file(dir, shim.names[i], &content);
        }
        free(content.bytes);
    }
}

uint64_t shim_image_mark(const struct shim_image *image, bool strong) {
    return strong ? image->strong : image->mark;
}

void shim_image_free(struct shim_image *image) {
    for (unsigned i = 0; i < FILES; i++) {
        free(image->files[i].synced.bytes);
        free(image->files[i].pending);
    }
    free(image);
}
