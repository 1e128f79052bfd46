/* Objects as text, there and back. Built by hand, not by the functions under test. */
#include "tests/unit/object_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- to text --------------------------------------------------------------------------------- */

struct writer {
    char *text;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
                                                      ...) {
    va_list args;
    va_start(args, format);
    size_t room = OBJECT_TEXT_BYTES - writer->len;
    int len = vsnprintf(writer->text + writer->len, room, format, args);
    va_end(args);
    assert(len >= 0 && (size_t)len < room);
    writer->len += (size_t)len;
}

static void put_dot(struct writer *writer, const struct actor *actor, uint64_t counter) {
    put(writer, "%c", (char)('A' + actor->incarnation - 1));
    if (actor->epoch != 0) {
        put(writer, ".%u:", actor->epoch);
    }
    put(writer, "%llu", (unsigned long long)counter);
}

const char *object_text(const struct object *object, char text[OBJECT_TEXT_BYTES]) {
    struct writer writer = {.text = text};
    text[0] = 0;
    for (uint32_t i = 0; i < object->version.count; i++) {
        const struct version_entry *entry = &object->version.entries[i];
        put(&writer, i > 0 ? " " : "");
        put_dot(&writer, &entry->actor, entry->counter);
    }
    put(&writer, " |");
    for (uint32_t i = 0; i < object->count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        put(&writer, " ");
        put_dot(&writer, &sibling->dot.actor, sibling->dot.counter);
        put(&writer, "@%llu=%.*s", (unsigned long long)sibling->stamp, (int)sibling->value->len,
            (const char *)sibling->value->bytes);
        if (sibling->expires_ms != 0) {
            put(&writer, "/%llu", (unsigned long long)sibling->expires_ms);
        }
    }
    if (object->deleted_stamp != 0) {
        put(&writer, " | deleted %llu", (unsigned long long)object->deleted_stamp);
    }
    return text;
}

/* ---- from text ------------------------------------------------------------------------------- */

static uint64_t take_number(const char **at) {
    char *end;
    unsigned long long number = strtoull(*at, &end, 10);
    assert(end != *at);
    *at = end;
    return number;
}

static struct dot take_dot(const char **at) {
    assert(**at >= 'A' && **at <= 'Z');
    struct dot dot = {.actor.incarnation = (uint64_t)(*(*at)++ - 'A' + 1)};
    if (**at == '.') {
        ++*at;
        dot.actor.epoch = (uint32_t)take_number(at);
        assert(**at == ':');
        ++*at;
    }
    dot.counter = take_number(at);
    return dot;
}

static void skip_spaces(const char **at) {
    while (**at == ' ') {
        ++*at;
    }
}

static struct sibling take_sibling(const char **at) {
    struct sibling sibling = {.dot = take_dot(at)};
    assert(**at == '@');
    ++*at;
    sibling.stamp = take_number(at);
    size_t len = 0;
    if (**at == '=') {
        ++*at;
        len = strcspn(*at, " /");
    }
    enum rd_err err = blob_new(*at, len, &sibling.value);
    assert(err == RD_OK);
    *at += len;
    if (**at == '/') {
        ++*at;
        sibling.expires_ms = take_number(at);
    }
    return sibling;
}

static int newest_first(const void *left, const void *right) {
    const struct sibling *a = left;
    const struct sibling *b = right;
    if (a->stamp != b->stamp) {
        return a->stamp > b->stamp ? -1 : 1;
    }
    return dot_compare(&b->dot, &a->dot);
}

struct object object_of(const char *text) {
    struct object object = {0};
    const char *at = text;
    for (skip_spaces(&at); *at != '|' && *at != 0; skip_spaces(&at)) {
        struct dot dot = take_dot(&at);
        enum rd_err err = version_advance(&object.version, &dot);
        assert(err == RD_OK);
    }
    at += *at == '|';
    for (skip_spaces(&at); *at != '|' && *at != 0; skip_spaces(&at)) {
        object.siblings = realloc(object.siblings, (object.count + 1) * sizeof *object.siblings);
        assert(object.siblings != NULL);
        object.siblings[object.count++] = take_sibling(&at);
        object.cap = object.count;
    }
    if (object.count > 1) {
        qsort(object.siblings, object.count, sizeof *object.siblings, newest_first);
    }
    if (*at == '|') {
        static const char word[] = "| deleted ";
        assert(strncmp(at, word, sizeof word - 1) == 0);
        at += sizeof word - 1;
        object.deleted_stamp = take_number(&at);
    }
    object_check(&object);
    return object;
}

struct dot dot_of(const char *text) {
    const char *at = text;
    struct dot dot = take_dot(&at);
    assert(*at == 0);
    return dot;
}
