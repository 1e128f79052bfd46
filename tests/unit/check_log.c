/* The log: format, levels, cutting, forged lines, files that move away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"

struct rig {
    char path[64];
    struct log *log;
    char text[8192];
};

static void start(struct rig *rig, enum log_level level) {
    memset(rig, 0, sizeof(*rig));
    snprintf(rig->path, sizeof(rig->path), "/tmp/check_log.XXXXXX");
    int fd = mkstemp(rig->path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(log_new(rig->path, level, &rig->log), RD_OK);
}

static const char *content(struct rig *rig) {
    FILE *file = fopen(rig->path, "r");
    ck_assert_ptr_nonnull(file);
    size_t n = fread(rig->text, 1, sizeof(rig->text) - 1, file);
    rig->text[n] = '\0';
    fclose(file);
    return rig->text;
}

static void stop(struct rig *rig) {
    log_free(&rig->log);
    ck_assert_ptr_null(rig->log);
    unlink(rig->path);
}

/* True if `line` is "pid:M dd Mon yyyy hh:mm:ss.mmm C message\n" of this process. */
static bool has_format(const char *line, char level, const char *message) {
    long pid;
    int day, year, hour, minute, second, ms, end = 0;
    char month[4], mark;
    int n = sscanf(line, "%ld:M %2d %3[A-Za-z] %4d %2d:%2d:%2d.%3d %c %n", &pid, &day, month, &year,
                   &hour, &minute, &second, &ms, &mark, &end);
    return n == 9 && pid == (long)getpid() && mark == level && strcmp(line + end, message) == 0;
}

START_TEST(format_of_levels) {
    static const char marks[] = ".-*#";
    struct rig rig;
    start(&rig, LOG_DEBUG);
    log_line(rig.log, (enum log_level)_i, "hello %d", 7);
    ck_assert_msg(has_format(content(&rig), marks[_i], "hello 7\n"), "%s", rig.text);
    stop(&rig);
}
END_TEST

START_TEST(lower_levels_are_dropped) {
    struct rig rig;
    start(&rig, (enum log_level)_i);
    for (int level = LOG_DEBUG; level <= LOG_WARNING; level++) {
        ck_assert_int_eq(log_wants(rig.log, (enum log_level)level), level >= _i);
        log_line(rig.log, (enum log_level)level, "x");
    }
    size_t lines = 0;
    for (const char *p = content(&rig); *p != '\0'; p++) {
        lines += *p == '\n';
    }
    ck_assert_uint_eq(lines, (size_t)(LOG_WARNING - _i + 1));
    log_set_level(rig.log, LOG_DEBUG);
    ck_assert(log_wants(rig.log, LOG_DEBUG));
    stop(&rig);
}
END_TEST

START_TEST(nobody_forges_a_line) {
    struct rig rig;
    start(&rig, LOG_NOTICE);
    log_line(rig.log, LOG_NOTICE, "from %s", "a\n1:M b\r\x1b[2J\x7f\tc");
    ck_assert_msg(has_format(content(&rig), '*', "from a?1:M b??[2J??c\n"), "%s", rig.text);
    stop(&rig);
}
END_TEST

START_TEST(long_lines_are_cut) {
    struct rig rig;
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    start(&rig, LOG_NOTICE);
    log_line(rig.log, LOG_NOTICE, "%s", text);
    log_line(rig.log, LOG_NOTICE, "next");
    const char *newline = strchr(content(&rig), '\n');
    ck_assert_ptr_nonnull(newline);
    ck_assert_int_eq(newline - rig.text, 1023);
    ck_assert(has_format(newline + 1, '*', "next\n"));
    stop(&rig);
}
END_TEST

START_TEST(a_moved_file_is_made_anew) {
    struct rig rig;
    start(&rig, LOG_NOTICE);
    log_line(rig.log, LOG_NOTICE, "one");
    unlink(rig.path);
    log_line(rig.log, LOG_NOTICE, "two");
    ck_assert_msg(has_format(content(&rig), '*', "two\n"), "%s", rig.text);
    stop(&rig);
}
END_TEST

START_TEST(standard_output) {
    struct rig rig;
    start(&rig, LOG_NOTICE);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct log *log = NULL;
        if (freopen(rig.path, "w", stdout) == NULL || log_new("", LOG_NOTICE, &log) != RD_OK) {
            _exit(1);
        }
        log_line(log, LOG_NOTICE, "out");
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_ptr_nonnull(strstr(content(&rig), " * out\n"));
    stop(&rig);
}
END_TEST

START_TEST(errors) {
    struct log *log = NULL;
    ck_assert_int_eq(log_new("/nonexistent/log", LOG_NOTICE, &log), RD_EIO);
    for (unsigned n = 1;; n++) {
        oom_fail_at(n);
        enum rd_err err = log_new("/dev/null", LOG_NOTICE, &log);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_ptr_null(log);
    }
    log_free(&log);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_add_loop_test(tc, format_of_levels, LOG_DEBUG, LOG_WARNING + 1);
    tcase_add_loop_test(tc, lower_levels_are_dropped, LOG_DEBUG, LOG_WARNING + 1);
    tcase_add_test(tc, nobody_forges_a_line);
    tcase_add_test(tc, long_lines_are_cut);
    tcase_add_test(tc, a_moved_file_is_made_anew);
    tcase_add_test(tc, standard_output);
    tcase_add_test(tc, errors);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
