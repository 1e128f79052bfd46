/* Processes, ports and folders of a test. */
#include "redis-tests/lib/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT 10240
#define PORT_COUNT 20000 /* up to where Linux begins to give ports to connections */

static uint64_t clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t proc_now_ms(void) {
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t proc_wall_ms(void) {
    return clock_ms(CLOCK_REALTIME);
}

void proc_sleep_ms(unsigned ms) {
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* A path below the folder that the variable names. */
static const char *under(const char *variable, const char *name, char path[PROC_PATH]) {
    const char *top = getenv(variable);
    ck_assert_msg(top != NULL, "%s is not set: run it by make check", variable);
    ck_assert_int_lt(snprintf(path, PROC_PATH, "%s/%s", top, name), PROC_PATH);
    return path;
}

const char *proc_built(const char *name) {
    static char path[PROC_PATH];
    return under("TOP_BUILDDIR", name, path);
}

const char *proc_source(const char *name) {
    static char path[PROC_PATH];
    return under("TOP_SRCDIR", name, path);
}

/* ---- processes ------------------------------------------------------------------------------------ */

/* In the child: becomes the program. */
static void become(char *const argv[], const char *dir, int output, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || (dir != NULL && chdir(dir) != 0) || dup2(output, 1) < 0 ||
        dup2(output, 2) < 0) {
        _exit(126);
    }
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], argv);
    _exit(127);
}

pid_t proc_start(char *const argv[], const char *dir, const char *output) {
    pid_t parent = getpid();
    int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    ck_assert_msg(fd >= 0, "cannot write to %s", output);
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        become(argv, dir, fd, parent);
    }
    close(fd);
    return pid;
}

static int decode(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int proc_wait(pid_t pid) {
    int status = 0;
    pid_t ended = 0;
    WAIT_FOR((ended = waitpid(pid, &status, WNOHANG)) != 0);
    ck_assert_int_eq(ended, pid);
    return decode(status);
}

int proc_run(struct buf *output, const char *format, ...) {
    char line[4096], file[PROC_PATH], dir[PROC_PATH];
    va_list args;
    va_start(args, format);
    ck_assert_int_lt(vsnprintf(line, sizeof line, format, args), (int)sizeof line);
    va_end(args);
    proc_temp_dir(dir);
    ck_assert_int_lt(snprintf(file, sizeof file, "%.400s/output", dir), PROC_PATH);
    char *const argv[] = {"sh", "-c", line, NULL};
    int status = proc_wait(proc_start(argv, NULL, file));
    if (output != NULL) {
        ck_assert(proc_read_file(file, output));
    }
    return status;
}

/* ---- ports ---------------------------------------------------------------------------------------- */

/* A name in the system's own name space says that the port is taken; it goes away with the program. */
static bool claim(int port) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "redynamo-test-port-%d", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    if (bind(fd, (struct sockaddr *)&name, size) != 0) {
        close(fd);
        return false;
    }
    return true;
}

static bool is_free(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool yes = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return yes;
}

int proc_port(void) {
    static int next;
    if (next == 0) {
        next = (int)(((uint64_t)getpid() * 97 + proc_now_ms() * 13) % PORT_COUNT);
    }
    for (int tries = 0; tries < PORT_COUNT; tries++) {
        int port = FIRST_PORT + next;
        next = (next + 1) % PORT_COUNT;
        if (is_free(port) && claim(port)) {
            return port;
        }
    }
    ck_abort_msg("no free port");
    return 0;
}

bool proc_outer_address(char out[64]) {
    struct buf text = {0};
    proc_run(&text, "ip -4 -o addr show scope global | sed 's|.* inet \\([0-9.]*\\).*|\\1|'");
    const char *first = (const char *)buf_data(&text);
    snprintf(out, 64, "%.*s", (int)strcspn(first, "\n"), first);
    buf_free(&text);
    return out[0] != '\0';
}

/* ---- files ---------------------------------------------------------------------------------------- */

void proc_temp_dir(char path[PROC_PATH]) {
    const char *top = getenv(PROC_TEMP_VARIABLE);
    ck_assert_msg(top != NULL, "run_tests has not been called");
    snprintf(path, PROC_PATH, "%.400s/XXXXXX", top);
    ck_assert_msg(mkdtemp(path) != NULL, "cannot make a folder like %s", path);
}

void proc_write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s",
                  path);
}

bool proc_read_file(const char *path, struct buf *out) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    uint8_t *to;
    size_t got;
    buf_truncate(out, 0);
    do {
        ck_assert_int_eq(buf_reserve(out, 65536, &to), RD_OK);
        got = fread(to, 1, 65535, file);
        to[got] = '\0';
        buf_commit(out, got);
    } while (got > 0);
    fclose(file);
    return true;
}

size_t proc_count_lines(const char *path, const char *text) {
    struct buf bytes = {0};
    size_t count = 0;
    if (proc_read_file(path, &bytes) && buf_len(&bytes) > 0) {
        char *rest = (char *)bytes.base + bytes.head;
        for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
            count += strstr(line, text) != NULL;
        }
    }
    buf_free(&bytes);
    return count;
}
