/* The server's log, in Redis's format.
 *
 * A line is put together on the stack and written with one call, so that lines of several processes that share a
 * file do not mix. Nothing here allocates after log_new: a server that is out of memory can say so. */
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

struct log {
    enum log_level level;
    char *path; /* owned; NULL: standard output */
};

static int open_file(const char *path) {
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

enum rd_err log_new(const char *path, enum log_level level, struct log **out) {
    struct log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return RD_ENOMEM;
    }
    log->level = level;
    if (path != NULL && path[0] != '\0') {
        int fd = open_file(path);
        if (fd < 0) {
            int saved = errno;
            free(log);
            errno = saved;
            return RD_EIO;
        }
        close(fd);
        log->path = strdup(path);
        if (log->path == NULL) {
            free(log);
            return RD_ENOMEM;
        }
    }
    *out = log;
    return RD_OK;
}

void log_free(struct log **log) {
    if (*log != NULL) {
        free((*log)->path);
        free(*log);
        *log = NULL;
    }
}

void log_set_level(struct log *log, enum log_level level) {
    log->level = level;
}

int log_wants(const struct log *log, enum log_level level) {
    return level >= log->level;
}

/* "pid:M dd Mon yyyy hh:mm:ss.mmm * " in local time; returns its length. */
static size_t write_head(char *line, size_t size, enum log_level level) {
    struct timeval tv;
    struct tm tm;
    char date[32];
    gettimeofday(&tv, NULL);
    localtime_r(&tv.tv_sec, &tm);
    strftime(date, sizeof date, "%d %b %Y %H:%M:%S", &tm);
    int n = snprintf(line, size, "%ld:M %s.%03d %c ", (long)getpid(), date,
                     (int)(tv.tv_usec / 1000), ".-*#"[level]);
    return (size_t)n;
}

static void write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

void log_line(struct log *log, enum log_level level, const char *format, ...) {
    if (!log_wants(log, level)) {
        return;
    }
    char line[LINE_BYTES + 1];
    size_t len = write_head(line, LINE_BYTES, level);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + len, LINE_BYTES - len, format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    size_t end = len + (size_t)n;
    if (end > LINE_BYTES - 1) {
        end = LINE_BYTES - 1;
    }
    for (size_t i = len; i < end; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    int fd = log->path == NULL ? STDOUT_FILENO : open_file(log->path);
    if (fd < 0) {
        return;
    }
    write_all(fd, line, end);
    if (log->path != NULL) {
        close(fd);
    }
}
