/* tests/lib/golden: see golden.h. */
#include "tests/lib/golden.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing: make check UPDATE_TRACES=1 writes it", path);
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, 0, file) < 0) {
        text = strdup("");
    }
    fclose(file);
    return text;
}

void expect_trace(struct cluster *c, const char *name) {
    const char *top = getenv("TOP_SRCDIR");
    const char *update = getenv("UPDATE_TRACES");
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/cluster/traces/%s", top != NULL ? top : ".", name);
    const char *got = cluster_story(c);
    if (update != NULL && update[0] != 0) {
        write_file(path, got);
        return;
    }
    char *expected = read_file(path);
    int line = 1;
    for (size_t i = 0, begin = 0;; i++) {
        if (expected[i] != got[i]) {
            ck_abort_msg("%s:%d: expected \"%.*s\", got \"%.*s\"; the whole story:\n%s", path, line,
                         (int)strcspn(expected + begin, "\n"), expected + begin,
                         (int)strcspn(got + begin, "\n"), got + begin, got);
        }
        if (got[i] == 0) {
            break;
        }
        if (got[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    free(expected);
}
