/* The SQLite engine's folder; see sqlite_file.h.
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

#define DB_NAME "data.db"
#define LOCK_NAME "redynamo.lock"

/* Rows are ordered by (slot, key, sub), so a partition is one contiguous range. The small columns come before the value:
 * reading them needs no overflow page. Few rows have a due time, so its index covers only those. */
static const char schema[] =
    "CREATE TABLE objects(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"
    " live INTEGER NOT NULL, due INTEGER NOT NULL, digest INTEGER NOT NULL,"
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;"
    "CREATE INDEX objects_due ON objects(due) WHERE due > 0;"
    "CREATE TABLE hints(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;"
    "CREATE TABLE meta(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;"
    "CREATE TABLE leaves(slot INTEGER NOT NULL, key BLOB NOT NULL, sub BLOB NOT NULL,"
    " checksum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(slot, key, sub)) WITHOUT ROWID;";

/* Debian's SQLite zeroes what it frees (secure_delete), which costs writes. The WAL is copied back every 8 MB: a larger one
 * is faster, but each copy stops the loop, for 50-80 ms at this size and 110-170 ms at twice it, measured on two busy
 * cores with a million rows. It is overwritten in place, and cut only when one huge commit has blown it up. */
static const char settings[] = "PRAGMA secure_delete=OFF;"
                               "PRAGMA cell_size_check=ON;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA wal_autocheckpoint=2000;"
                               "PRAGMA journal_size_limit=67108864;";

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
        return rc == SQLITE_IOERR_NOMEM ? RD_ENOMEM : errno_error(last_errno(db));
    default:
        return RD_EIO;
    }
}

const char *sqlite_file_table(enum store_space space) {
    static const char *const names[STORE_SPACES] = {"objects", "hints", "meta", "leaves"};
    return names[space];
}

enum rd_err sqlite_file_run(sqlite3 *db, const char *sql) {
    return sqlite_file_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
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

static enum rd_err lock_take(const char *dir, int *out, char *reason) {
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

/* ---- the database ---------------------------------------------------------------------------------- */

/* Makes the new file's name durable: SQLite syncs the folder for its journals only. */
static enum rd_err sync_dir(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno_error(errno);
    }
    enum rd_err err = fsync(fd) == 0 ? RD_OK : errno_error(errno);
    close(fd);
    return err;
}

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

static enum rd_err create(sqlite3 *db, const char *dir) {
    char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d;"
                                "PRAGMA user_version=%d; COMMIT;",
                                schema, SQLITE_FILE_APPLICATION_ID, SQLITE_FILE_FORMAT);
    if (sql == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = sqlite_file_run(db, "PRAGMA page_size=4096; PRAGMA synchronous=FULL;");
    if (err == RD_OK) {
        err = use_wal(db);
    }
    if (err == RD_OK) {
        err = sqlite_file_run(db, sql);
    }
    sqlite3_free(sql);
    return err == RD_OK ? sync_dir(dir) : err;
}

/* Is this our database, in a format that we know? */
static enum rd_err identify(const struct sqlite_file *file, bool *fresh, char *reason) {
    sqlite3_int64 id = 0;
    sqlite3_int64 format = 0;
    sqlite3_int64 tables = 0;
    enum rd_err err = number(file->db, "PRAGMA application_id", &id);
    if (err == RD_OK) {
        err = number(file->db, "PRAGMA user_version", &format);
    }
    if (err == RD_OK) {
        err = number(file->db, "SELECT count(*) FROM sqlite_master", &tables);
    }
    if (err == RD_EEXIST) {
        return say(err, reason, "%s is open in another program", file->db_path);
    }
    if (err != RD_OK) {
        return say(err, reason, "cannot read %s: %s", file->db_path, sqlite3_errmsg(file->db));
    }
    *fresh = id == 0 && format == 0 && tables == 0;
    if (*fresh) {
        return RD_OK;
    }
    if (id != SQLITE_FILE_APPLICATION_ID) {
        return say(RD_ECONF, reason, "%s is the database of another program", file->db_path);
    }
    if (format != SQLITE_FILE_FORMAT) {
        return say(RD_ECONF, reason, "%s has format %lld, this version knows only format %d",
                   file->db_path, format, SQLITE_FILE_FORMAT);
    }
    return RD_OK;
}

static enum rd_err prepare_to_serve(const struct sqlite_file *file, const char *dir, bool fresh,
                                    char *reason) {
    enum rd_err err = fresh ? create(file->db, dir) : RD_OK;
    if (err == RD_OK) {
        err = use_wal(file->db);
    }
    if (err == RD_OK) {
        err = sqlite_file_run(file->db, settings);
    }
    if (err != RD_OK) {
        return say(err, reason, "cannot prepare %s: %s", file->db_path, sqlite3_errmsg(file->db));
    }
    return RD_OK;
}

static enum rd_err open_db(const char *dir, enum sqlite_file_use use, struct sqlite_file *file,
                           char *reason) {
    file->db_path = sqlite3_mprintf("%s/" DB_NAME, dir);
    file->wal_path = sqlite3_mprintf("%s/" DB_NAME "-wal", dir);
    if (file->db_path == NULL || file->wal_path == NULL) {
        return say(RD_ENOMEM, reason, "out of memory");
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    flags |= use == SQLITE_FILE_SERVE ? SQLITE_OPEN_CREATE : 0;
    int rc = sqlite3_open_v2(file->db_path, &file->db, flags, NULL);
    if (rc != SQLITE_OK) {
        return say(sqlite_file_error(file->db, rc), reason, "cannot open %s: %s", file->db_path,
                   file->db == NULL ? "out of memory" : sqlite3_errmsg(file->db));
    }
    sqlite3_extended_result_codes(file->db, 1);
    bool fresh = false;
    /* Before the first read: then SQLite keeps the index of the WAL in memory, and there is no -shm file. */
    enum rd_err err = sqlite_file_run(file->db, "PRAGMA locking_mode=EXCLUSIVE;");
    if (err != RD_OK) {
        return say(err, reason, "cannot prepare %s: %s", file->db_path, sqlite3_errmsg(file->db));
    }
    err = identify(file, &fresh, reason);
    if (err != RD_OK) {
        return err;
    }
    if (use == SQLITE_FILE_SERVE) {
        return prepare_to_serve(file, dir, fresh, reason);
    }
    if (fresh) {
        return say(RD_ECONF, reason, "%s is empty", file->db_path);
    }
    rc = sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return rc == SQLITE_OK ? RD_OK : say(RD_EIO, reason, "cannot prepare %s", file->db_path);
}

enum rd_err sqlite_file_open(const char *dir, enum sqlite_file_use use, struct sqlite_file *out,
                             char reason[STORE_REASON_BYTES]) {
    struct sqlite_file file = {.lock_fd = -1};
    struct stat st;
    if (stat(dir, &st) != 0) {
        return say(RD_ECONF, reason, "cannot use the folder %s: %s", dir, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return say(RD_ECONF, reason, "cannot use %s: it is no folder", dir);
    }
    /* SQLite's statistics of its memory cost a lock per allocation. Only the first caller of the process is heard. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    enum rd_err err = lock_take(dir, &file.lock_fd, reason);
    if (err == RD_OK) {
        err = open_db(dir, use, &file, reason);
    }
    if (err != RD_OK) {
        sqlite_file_close(&file);
        return err;
    }
    *out = file;
    return RD_OK;
}

void sqlite_file_close(struct sqlite_file *file) {
    int rc = sqlite3_close(file->db);
    /* SQLITE_BUSY would mean a statement that was not finalized: a leak of the whole connection. */
    if (rc != SQLITE_OK) {
        fprintf(stderr, "store: cannot close the database: %s\n", sqlite3_errstr(rc));
    }
    sqlite3_free(file->db_path);
    sqlite3_free(file->wal_path);
    if (file->lock_fd >= 0) {
        close(file->lock_fd);
    }
    *file = (struct sqlite_file){.lock_fd = -1};
}
