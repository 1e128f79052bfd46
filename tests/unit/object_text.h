/* Objects as short text, for tests that compare and read them. */
#ifndef RD_TESTS_OBJECT_TEXT_H
#define RD_TESTS_OBJECT_TEXT_H

#include "replication/object.h"

#define OBJECT_TEXT_BYTES 4096

/* Writes `object` as "A3 B.1:2 | A3@30=v1 B.1:2@20=v2/99 | deleted 10": vector, siblings (dot,
 * stamp, value, expiry), deletion. An actor is a letter (incarnation 1 is A) and its epoch, which
 * is left out if 0. Returns `text`. */
const char *object_text(const struct object *object, char text[OBJECT_TEXT_BYTES]);

/* Reads that text back; asserts that it is well-formed. Siblings may come in any order. Free with
 * object_free. */
struct object object_of(const char *text);

/* A dot from text such as "A3" or "B.1:2". */
struct dot dot_of(const char *text);

#endif
