/* Allocation failures on demand; the linker's --wrap brings every call here. */
#include "tests/lib/oom.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* Atomic: threads of the program under test allocate too. */
static atomic_ulong made;    /* allocations so far */
static atomic_ulong fail_at; /* the value of `made` that fails; 0: none */
static atomic_int fail_on;   /* those behind it fail too */
static atomic_int fired;
static size_t spared[2];

static void arm(unsigned n, int on) {
    fail_at = n == 0 ? 0 : made + n;
    fail_on = on;
    fired = 0;
}

void oom_fail_at(unsigned n) {
    arm(n, 0);
}

void oom_fail_from(unsigned n) {
    arm(n, 1);
}

int oom_stop(void) {
    int was = fired;
    arm(0, 0);
    return was;
}

void oom_spare(size_t size, size_t other) {
    spared[0] = size;
    spared[1] = other;
}

unsigned long oom_count(void) {
    return made;
}

static int must_fail(size_t size) {
    if (size > 0 && (size == spared[0] || size == spared[1])) {
        return 0;
    }
    unsigned long number = ++made;
    unsigned long failing = fail_at;
    if (failing == 0 || number < failing || (number > failing && !fail_on)) {
        return 0;
    }
    fired = 1;
    return 1;
}

void *__wrap_malloc(size_t size) {
    return must_fail(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    /* a compiler may make one calloc of a malloc and a memset, so it is spared like malloc */
    return must_fail(count * size) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return must_fail(0) ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = must_fail(0) ? NULL : __real_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}
