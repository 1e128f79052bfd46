/* The file system of one journal; see wal_vfs.h.
 *
 * 1. bytes[0 .. end - start) are what the file has, or is to have, from `start` on; what is before `written` it has.
 * 2. Behind `end` nothing in the file is valid: SQLite begins each round of a WAL at the file's start, with a header, and appends. So
 *    zeros may be written there.
 * 3. What ends a commit, or changes what was written before, is in the file when SQLite has its answer: what fails fails in SQLite's
 *    hands, and what is gathered belongs to no commit yet.
 * 4. All other files are the lower file system's own, and so are all calls but those of the WAL.
 */
#include "store/wal_vfs.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((uint64_t)4096) /* what O_DIRECT wants, on most disks less */
#define BUFFER_BYTES                                                                               \
    (31 * BLOCK_BYTES) /* SQLite's own file system takes less than 128 KB at once */
#define WAL_HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24

struct wal_vfs {
    sqlite3_vfs vfs; /* first */
    sqlite3_vfs *below;
    char name[40];
    bool may_direct; /* the lower one is the system's */
    bool direct;
};

struct wal_file {
    sqlite3_file file; /* first */
    struct wal_vfs *vfs;
    sqlite3_file *below; /* behind this struct */
    uint8_t *allocated;  /* owned */
    uint8_t *bytes;      /* aligned, in it */
    uint64_t start;      /* a multiple of BLOCK_BYTES */
    uint64_t written;
    uint64_t end;
    int direct_fd;  /* below 0: none */
    bool in_commit; /* the last header said that its frame ends a commit */
    bool known;     /* invariants 1 and 2 hold: not when a file was opened, nor after an error */
};

static struct wal_file *wal_of(sqlite3_file *file) {
    return (struct wal_file *)file;
}

static uint64_t block_of(uint64_t at) {
    return at / BLOCK_BYTES * BLOCK_BYTES;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool write_direct(struct wal_file *wal) {
    uint64_t from = block_of(wal->written);
    uint64_t to = block_of(wal->end + BLOCK_BYTES - 1);
    if (wal->direct_fd < 0 || !wal->vfs->direct) {
        return false;
    }
    memset(wal->bytes + (wal->end - wal->start), 0, to - wal->end);
    ssize_t len = pwrite(wal->direct_fd, wal->bytes + (from - wal->start), to - from, (off_t)from);
    return len >= 0 && (uint64_t)len == to - from;
}

/* Writes what is gathered. */
static int flush(struct wal_file *wal) {
    if (!wal->known || wal->written == wal->end) {
        return SQLITE_OK;
    }
    if (!write_direct(wal)) {
        int rc = wal->below->pMethods->xWrite(wal->below, wal->bytes + (wal->written - wal->start),
                                              (int)(wal->end - wal->written),
                                              (sqlite3_int64)wal->written);
        if (rc != SQLITE_OK) {
            wal->known = false;
            return rc;
        }
    }
    uint64_t tail = block_of(wal->end);
    memmove(wal->bytes, wal->bytes + (tail - wal->start), wal->end - tail);
    wal->written = wal->end;
    wal->start = tail;
    return SQLITE_OK;
}

/* Copies into what is gathered, or behind it. */
static int gather(struct wal_file *wal, const uint8_t *from, uint64_t len, uint64_t at) {
    wal->written = at < wal->written ? at : wal->written;
    while (len > 0) {
        if (at - wal->start == BUFFER_BYTES) {
            int rc = flush(wal);
            if (rc != SQLITE_OK) {
                return rc;
            }
        }
        uint64_t room = BUFFER_BYTES - (at - wal->start);
        uint64_t take = len < room ? len : room;
        memcpy(wal->bytes + (at - wal->start), from, take);
        from += take;
        at += take;
        len -= take;
        wal->end = at > wal->end ? at : wal->end;
    }
    return SQLITE_OK;
}

/* What was written past the gathering ends here: from now on it is known again what the file has. */
static int begin_at(struct wal_file *wal, uint64_t end) {
    uint64_t start = block_of(end);
    int rc = end == start ? SQLITE_OK
                          : wal->below->pMethods->xRead(wal->below, wal->bytes, (int)(end - start),
                                                        (sqlite3_int64)start);
    if (rc == SQLITE_OK) {
        wal->start = start;
        wal->written = wal->end = end;
    }
    wal->known = rc == SQLITE_OK;
    return SQLITE_OK;
}

/* SQLite goes back to a place that has left the buffer: a transaction larger than that was taken back, or has changed a page again. */
static int write_elsewhere(struct wal_file *wal, const void *bytes, int len, uint64_t at) {
    uint64_t end = at + (uint64_t)len;
    int rc = flush(wal);
    if (rc == SQLITE_OK) {
        rc = wal->below->pMethods->xWrite(wal->below, bytes, len, (sqlite3_int64)at);
    }
    if (rc != SQLITE_OK || (wal->known && end < block_of(wal->end))) {
        return rc;
    }
    return begin_at(wal, wal->known && wal->end > end ? wal->end : end);
}

/* Must it be in the file when SQLite has its answer? Headers of frames, and pages of frames that end no commit, may wait for what comes behind
 * them. Of the frame that ends a commit there may be several, and cut in pieces, if the disk gives no promises. */
static bool is_urgent(struct wal_file *wal, const uint8_t *bytes, int len, uint64_t at) {
    static const uint8_t none[4];
    if (len == FRAME_HEADER_BYTES) { /* bytes 4 to 7: the size of the database after the commit */
        wal->in_commit = memcmp(bytes + 4, none, sizeof none) != 0;
        return at < wal->end;
    }
    return wal->in_commit || len < FRAME_HEADER_BYTES || at < wal->end;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset) {
    struct wal_file *wal = wal_of(file);
    uint64_t at = (uint64_t)offset;
    if (at == 0 && len == WAL_HEADER_BYTES) { /* a new round: invariant 2 */
        wal->start = wal->written = wal->end = 0;
        wal->known = true;
        wal->in_commit = false;
    }
    bool urgent = is_urgent(wal, bytes, len, at);
    if (!wal->known || at < wal->start || at > wal->end) {
        return write_elsewhere(wal, bytes, len, at);
    }
    int rc = gather(wal, bytes, (uint64_t)len, at);
    return rc == SQLITE_OK && urgent ? flush(wal) : rc;
}

static int wal_sync(sqlite3_file *file, int flags) {
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->below->pMethods->xSync(wal->below, flags) : rc;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    wal->known = false;
    return rc == SQLITE_OK ? wal->below->pMethods->xTruncate(wal->below, size) : rc;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int wal_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset) {
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->below->pMethods->xRead(wal->below, bytes, len, offset) : rc;
}

static int wal_file_size(sqlite3_file *file, sqlite3_int64 *size) {
    struct wal_file *wal = wal_of(file);
    int rc = flush(wal);
    return rc == SQLITE_OK ? wal->below->pMethods->xFileSize(wal->below, size) : rc;
}

/* ---- what is handed on ----------------------------------------------------------------------------- */

static int wal_lock(sqlite3_file *file, int level) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xLock(wal->below, level);
}

static int wal_unlock(sqlite3_file *file, int level) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xUnlock(wal->below, level);
}

static int wal_check_lock(sqlite3_file *file, int *out) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xCheckReservedLock(wal->below, out);
}

static int wal_control(sqlite3_file *file, int op, void *arg) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xFileControl(wal->below, op, arg);
}

static int wal_sector_size(sqlite3_file *file) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xSectorSize(wal->below);
}

static int wal_characteristics(sqlite3_file *file) {
    struct wal_file *wal = wal_of(file);
    return wal->below->pMethods->xDeviceCharacteristics(wal->below);
}

/* ---- opening and closing --------------------------------------------------------------------------- */

/* What is gathered belongs to no commit: invariant 3. */
static int wal_close(sqlite3_file *file) {
    struct wal_file *wal = wal_of(file);
    if (wal->direct_fd >= 0) {
        close(wal->direct_fd);
    }
    free(wal->allocated);
    return wal->below->pMethods->xClose(wal->below);
}

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_file_size,
    .xLock = wal_lock,
    .xUnlock = wal_unlock,
    .xCheckReservedLock = wal_check_lock,
    .xFileControl = wal_control,
    .xSectorSize = wal_sector_size,
    .xDeviceCharacteristics = wal_characteristics,
};

static int vfs_open(sqlite3_vfs *of, const char *name, sqlite3_file *file, int flags, int *out) {
    struct wal_vfs *vfs = (struct wal_vfs *)of;
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return vfs->below->xOpen(vfs->below, name, file, flags, out);
    }
    struct wal_file *wal = wal_of(file);
    *wal = (struct wal_file){.vfs = vfs, .below = (sqlite3_file *)(wal + 1), .direct_fd = -1};
    wal->allocated = malloc(BUFFER_BYTES + BLOCK_BYTES);
    if (wal->allocated == NULL) {
        return SQLITE_NOMEM;
    }
    wal->bytes = wal->allocated + (BLOCK_BYTES - (uintptr_t)wal->allocated % BLOCK_BYTES);
    int rc = vfs->below->xOpen(vfs->below, name, wal->below, flags, out);
    if (rc != SQLITE_OK) {
        free(wal->allocated);
        return rc;
    }
    if (vfs->may_direct) {
        wal->direct_fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
    }
    wal->file.pMethods = &wal_methods;
    return SQLITE_OK;
}

enum rd_err wal_vfs_new(const char *below, struct wal_vfs **out) {
    struct wal_vfs *vfs = calloc(1, sizeof *vfs);
    if (vfs == NULL) {
        return RD_ENOMEM;
    }
    vfs->below = sqlite3_vfs_find(below);
    if (vfs->below == NULL) {
        free(vfs);
        return RD_ECONF;
    }
    static_assert(sizeof(struct wal_file) % 8 == 0, "what lies behind it is aligned");
    snprintf(vfs->name, sizeof vfs->name, "redynamo-%p", (void *)vfs);
    vfs->vfs = *vfs->below; /* its calls but one do not ask whose they are */
    vfs->vfs.pNext = NULL;
    vfs->vfs.zName = vfs->name;
    vfs->vfs.szOsFile += (int)sizeof(struct wal_file);
    vfs->vfs.xOpen = vfs_open;
    vfs->may_direct = below == NULL;
    if (sqlite3_vfs_register(&vfs->vfs, 0) != SQLITE_OK) {
        free(vfs);
        return RD_ENOMEM;
    }
    *out = vfs;
    return RD_OK;
}

const char *wal_vfs_name(const struct wal_vfs *vfs) {
    return vfs->name;
}

void wal_vfs_set_direct(struct wal_vfs *vfs, bool direct) {
    vfs->direct = direct;
}

void wal_vfs_free(struct wal_vfs **vfs) {
    if (*vfs == NULL) {
        return;
    }
    sqlite3_vfs_unregister(&(*vfs)->vfs);
    free(*vfs);
    *vfs = NULL;
}
