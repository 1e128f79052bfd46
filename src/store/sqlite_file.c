/* What the SQLite engine's files have in common; see sqlite_file.h.
 *
 * 1. Whoever has the lock file locked (flock) is the only one to touch the folder. SQLite's own locks would do, but
 *    they are lost when this process closes any other descriptor of the database, and cannot say who holds them.
 * 2. The schema, the application id and the format are written in one transaction: a database has all of them or none.
 */
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "redynamo.lock"

/* Debian's SQLite zeroes what it frees (secure_delete), which costs writes. Who copies the WAL back, and when, is decided by
 * those who write: hence no automatic checkpoint. */
static const char settings[] = "PRAGMA secure_delete=OFF;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA wal_autocheckpoint=0;";

__attribute__((format(printf, 3, 4))) static enum rd_err say(enum rd_err err, char *reason,
                                                             const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reason, STORE_REASON_BYTES, format, args);
    va_end(args);
    return err;
}

static enum rd_err errno_error(int number) {
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* RLIMIT_FSIZE: as good as full */
        return RD_EFULL;
    case ENOMEM:
        return RD_ENOMEM;
    default:
        return RD_EIO;
    }
}

/* What the system said to the last call that failed. sqlite3_system_errno does not know it when a COMMIT failed, the files do:
 * first the WAL, which almost all is written to. */
static int last_errno(sqlite3 *db) {
    sqlite3_file *wal = NULL;
    int number = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK &&
        wal != NULL && wal->pMethods != NULL) {
        wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &number);
    }
    if (number == 0) {
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &number);
    }
    return number;
}

enum rd_err sqlite_file_error(sqlite3 *db, int rc) {
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return RD_OK;
    case SQLITE_NOMEM:
        return RD_ENOMEM;
    case SQLITE_FULL:
        return RD_EFULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return RD_ECORRUPT;
    case SQLITE_TOOBIG:
        return RD_ETOOBIG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return RD_EEXIST;
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM     ? RD_ENOMEM
               : rc == SQLITE_IOERR_SHMSIZE ? errno_error(sqlite3_system_errno(db))
                                            : errno_error(last_errno(db));
    default:
        return RD_EIO;
    }
}

enum rd_err sqlite_file_run(sqlite3 *db, const char *sql) {
    return sqlite_file_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

enum rd_err sqlite_file_prepare(sqlite3 *db, sqlite3_stmt **out, const char *format,
                                const char *word) {
    char *sql = sqlite3_mprintf(format, word);
    if (sql == NULL) {
        return RD_ENOMEM;
    }
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    sqlite3_free(sql);
    return sqlite_file_error(db, rc);
}

int sqlite_file_bind(sqlite3_stmt *stmt, int index, const void *bytes, size_t len) {
    return sqlite3_bind_blob64(stmt, index, len == 0 ? "" : bytes, len, SQLITE_STATIC);
}

int sqlite_file_step(sqlite3_stmt *stmt) {
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc;
}

/* The single number that `sql` returns. */
static enum rd_err number(sqlite3 *db, const char *sql, sqlite3_int64 *out) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK) {
        return sqlite_file_error(db, rc);
    }
    rc = sqlite3_step(stmt);
    enum rd_err err = rc == SQLITE_DONE ? RD_EIO : sqlite_file_error(db, rc);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return err;
}

/* ---- the lock -------------------------------------------------------------------------------------- */

static enum rd_err lock_held(int fd, const char *dir, char *reason) {
    char pid[24] = "";
    ssize_t len = pread(fd, pid, sizeof pid - 1, 0);
    pid[len > 0 ? len : 0] = 0;
    pid[strcspn(pid, "\n")] = 0;
    return say(RD_EEXIST, reason, "the store in %s is in use by another process (pid %s)", dir,
               pid[0] == 0 ? "unknown" : pid);
}

enum rd_err sqlite_dir_lock(const char *dir, int *out, char reason[STORE_REASON_BYTES]) {
    struct stat st;
    if (stat(dir, &st) != 0) {
        return say(RD_ECONF, reason, "cannot use the folder %s: %s", dir, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return say(RD_ECONF, reason, "cannot use %s: it is no folder", dir);
    }
    char *path = sqlite3_mprintf("%s/" LOCK_NAME, dir);
    if (path == NULL) {
        return say(RD_ENOMEM, reason, "out of memory");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    sqlite3_free(path);
    if (fd < 0) {
        return say(errno_error(errno), reason, "cannot open %s/" LOCK_NAME ": %s", dir,
                   strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum rd_err err =
            errno == EWOULDBLOCK
                ? lock_held(fd, dir, reason)
                : say(RD_EIO, reason, "cannot lock %s/" LOCK_NAME ": %s", dir, strerror(errno));
        close(fd);
        return err;
    }
    /* The pid is for the message above only: on a full disk it is missing, no more. */
    char pid[24];
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len) {
        errno = 0;
    }
    *out = fd;
    return RD_OK;
}

/* SQLite syncs the folder for its journals only. */
enum rd_err sqlite_dir_sync(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno_error(errno);
    }
    enum rd_err err = fsync(fd) == 0 ? RD_OK : errno_error(errno);
    close(fd);
    return err;
}

/* ---- a file ---------------------------------------------------------------------------------------- */

/* SQLite answers with the mode it is in, and no error, if it cannot change it. */
static enum rd_err use_wal(sqlite3 *db) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
    if (rc != SQLITE_OK) {
        return sqlite_file_error(db, rc);
    }
    rc = sqlite3_step(stmt);
    enum rd_err err = sqlite_file_error(db, rc);
    if (rc == SQLITE_ROW) {
        const unsigned char *mode = sqlite3_column_text(stmt, 0);
        err = mode == NULL ? RD_ENOMEM : strcmp((const char *)mode, "wal") == 0 ? RD_OK : RD_EIO;
    }
    sqlite3_finalize(stmt);
    return err;
}

enum rd_err sqlite_file_fill(sqlite3 *db, const char *schema) {
    char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d;"
                                "PRAGMA user_version=%d; COMMIT;",
                                schema, SQLITE_FILE_APPLICATION_ID, SQLITE_FILE_FORMAT);
    if (sql == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = sqlite_file_run(db, sql);
    sqlite3_free(sql);
    if (err != RD_OK && !sqlite3_get_autocommit(db)) {
        (void)sqlite_file_run(db, "ROLLBACK");
    }
    return err;
}

/* SQLite calls a full disk a full database, or an I/O error. */
static const char *why(sqlite3 *db, enum rd_err err) {
    return err == RD_EFULL ? "the disk is full" : sqlite3_errmsg(db);
}

/* Is this our database, in a format that we know? */
static enum rd_err identify(sqlite3 *db, const char *path, bool *fresh, char *reason) {
    sqlite3_int64 id = 0;
    sqlite3_int64 format = 0;
    sqlite3_int64 tables = 0;
    enum rd_err err = number(db, "PRAGMA application_id", &id);
    if (err == RD_OK) {
        err = number(db, "PRAGMA user_version", &format);
    }
    if (err == RD_OK) {
        err = number(db, "SELECT count(*) FROM sqlite_master", &tables);
    }
    if (err == RD_EEXIST) {
        return say(err, reason, "%s is open in another program", path);
    }
    if (err != RD_OK) {
        return say(err, reason, "cannot read %s: %s", path, why(db, err));
    }
    *fresh = id == 0 && format == 0 && tables == 0;
    if (*fresh) {
        return RD_OK;
    }
    if (id != SQLITE_FILE_APPLICATION_ID) {
        return say(RD_ECONF, reason, "%s is the database of another program", path);
    }
    if (format != SQLITE_FILE_FORMAT) {
        return say(RD_ECONF, reason, "%s has format %lld, this version knows only format %d", path,
                   format, SQLITE_FILE_FORMAT);
    }
    return RD_OK;
}

/* Page size and mode are fixed before the first table; what is new is on disk before anyone relies on it. */
static enum rd_err create(const struct sqlite_file_spec *spec, sqlite3 *db) {
    char size[64];
    sqlite3_snprintf(sizeof size, size, "PRAGMA page_size=%d; PRAGMA synchronous=FULL;",
                     spec->page_bytes);
    enum rd_err err = sqlite_file_run(db, size);
    if (err == RD_OK) {
        err = use_wal(db);
    }
    if (err == RD_OK) {
        err = sqlite_file_fill(db, spec->schema);
    }
    return err == RD_OK ? sqlite_dir_sync(spec->dir) : err;
}

static enum rd_err prepare_to_serve(const struct sqlite_file_spec *spec, sqlite3 *db, bool fresh) {
    enum rd_err err = sqlite_file_run(db, settings);
    if (err == RD_OK && fresh) {
        err = create(spec, db);
    }
    if (err == RD_OK) {
        err = use_wal(db);
    }
    /* Somebody else may be writing: better to hear of it now. */
    return err == RD_OK ? sqlite_file_run(db, "BEGIN IMMEDIATE; COMMIT;") : err;
}

static enum rd_err set_up(const struct sqlite_file_spec *spec, enum sqlite_file_use use,
                          sqlite3 *db, const char *path, char *reason) {
    bool fresh = false;
    enum rd_err err = RD_OK;
    sqlite3_extended_result_codes(db, 1);
    if (spec->exclusive || use == SQLITE_FILE_INSPECT) {
        /* Before the first read: then SQLite keeps the index of the WAL in memory, and there is no -shm file. */
        err = sqlite_file_run(db, "PRAGMA locking_mode=EXCLUSIVE;");
    }
    if (err != RD_OK) {
        return say(err, reason, "cannot prepare %s: %s", path, sqlite3_errmsg(db));
    }
    err = identify(db, path, &fresh, reason);
    if (err != RD_OK) {
        return err;
    }
    if (use == SQLITE_FILE_INSPECT) {
        int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        err = rc == SQLITE_OK ? RD_OK : RD_EIO;
    } else if (use == SQLITE_FILE_SHARE) {
        err = sqlite_file_run(db, settings);
    } else {
        err = prepare_to_serve(spec, db, fresh);
    }
    if (err == RD_EEXIST) {
        return say(err, reason, "%s is open in another program", path);
    }
    return err == RD_OK ? RD_OK : say(err, reason, "cannot prepare %s: %s", path, why(db, err));
}

enum rd_err sqlite_file_open(const struct sqlite_file_spec *spec, enum sqlite_file_use use,
                             sqlite3 **out, char reason[STORE_REASON_BYTES]) {
    sqlite3 *db = NULL;
    char *path = sqlite3_mprintf("%s/%s", spec->dir, spec->name);
    if (path == NULL) {
        return say(RD_ENOMEM, reason, "out of memory");
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    flags |= use == SQLITE_FILE_SERVE ? SQLITE_OPEN_CREATE : 0;
    int rc = sqlite3_open_v2(path, &db, flags, spec->vfs);
    enum rd_err err = sqlite_file_error(db, rc);
    if (rc == SQLITE_OK) {
        err = set_up(spec, use, db, path, reason);
    } else {
        err = say(err, reason, "cannot open %s: %s", path,
                  db == NULL ? "out of memory" : sqlite3_errmsg(db));
    }
    sqlite3_free(path);
    if (err != RD_OK) {
        sqlite_file_close(&db);
        return err;
    }
    *out = db;
    return RD_OK;
}

void sqlite_file_close(sqlite3 **db) {
    int rc = sqlite3_close(*db);
    /* SQLITE_BUSY would mean a statement that was not finalized: a leak of the whole connection. */
    if (rc != SQLITE_OK) {
        fprintf(stderr, "store: cannot close a database: %s\n", sqlite3_errstr(rc));
    }
    *db = NULL;
}
