/* Objects: what is stored under a key (dotted version vector sets, Preguica, Almeida et al.
 * 2012-2014).
 *
 * An object is a set of siblings and a version vector that covers their dots. A dot that the vector
 * covers and no sibling carries was overwritten or deleted. An object with a vector and no siblings
 * is a tombstone. Merging is a join: commutative, associative, idempotent. Always whole objects
 * travel; a lone sibling without the object's vector would make a replica that missed its
 * forerunner discard it.
 *
 * Siblings are kept newest first: by HLC stamp, ties by dot, both descending. `deleted_stamp`, the
 * stamp of the newest deletion, only grows, so that it joins like the rest.
 */
#ifndef RD_REPLICATION_OBJECT_H
#define RD_REPLICATION_OBJECT_H

#include "base/blob.h"
#include "replication/context.h"
#include "replication/version.h"

struct sibling {
    struct dot dot;
    uint64_t stamp;      /* HLC */
    uint64_t expires_ms; /* absolute wall time in ms; 0: never */
    struct blob *value;  /* one reference held; never NULL, may be empty */
};

/* A zeroed struct is the object of a key never written. */
struct object {
    struct version version;
    struct sibling *siblings; /* owned, newest first */
    uint32_t count;
    uint32_t cap;
    uint64_t deleted_stamp; /* HLC; 0: never deleted */
};

/* What a decoder accepts at most; far above max-siblings, since limits bind clients and never
 * repair. */
#define OBJECT_MAX_SIBLINGS 65536

/* What object_merge found. */
struct object_merge_result {
    bool changed;     /* `into` is now another object than before */
    bool from_behind; /* the result is not what `from` is: its sender has something to learn */
    bool dot_clash;   /* one dot had two stamps or expiries (damage); the greater was kept */
};

/* Frees all there is. For object_free. */
void object_free_all(struct object *object);

/* Frees all; the object is empty and usable again. */
static inline void object_free(struct object *object) {
    if (object->cap > 0 || object->version.cap > 0) {
        object_free_all(object);
    } else {
        *object = (struct object){0};
    }
}

/* Makes `*to` (overwritten) a copy that shares the values. Error: RD_ENOMEM. */
enum rd_err object_copy(const struct object *from, struct object *to);

/* True if nothing was ever written: no vector, no siblings. */
bool object_is_empty(const struct object *object);

/* True if both have the same vector, dots, stamps and expiries (values follow from dots). */
bool object_equal(const struct object *a, const struct object *b);

/* Joins `from` into `into`: a sibling stays if both have it, or if the other side's vector does not
 * cover its dot. `result` may be NULL. Error: RD_ENOMEM, nothing changed. */
enum rd_err object_merge(struct object *into, const struct object *from,
                         struct object_merge_result *result);

/* Drops all siblings but the newest, and returns how many went: what last-write-wins does after
 * each merge or write. */
uint32_t object_keep_newest(struct object *object);

/* True if a write with `context` onto `object` replaces all that the context covers. False only if
 * its lone dot lies behind dots of the same actor that neither of them has: a vector cannot say so,
 * and a replica that still carries the lone dot would bring it back beside the new sibling. Then
 * merge the object of a replica that has it first. */
bool object_reaches(const struct object *object, const struct context *context);

/* A coordinator's write: drops the siblings that `context` covers, joins its vector into the
 * object's (and its lone dot, if that is the next of its actor), adds `dot` and a sibling with it.
 * Asserts that the joined vector does not cover `dot` yet. Takes a reference of its own to `value`.
 * Error: RD_ENOMEM, nothing changed. */
enum rd_err object_write(struct object *object, const struct context *context,
                         const struct dot *dot, uint64_t stamp, struct blob *value,
                         uint64_t expires_ms);

/* The same for a write that replaces all there is: makes `*out` (overwritten) what a copy of `object` becomes by object_write
 * with the whole object's context. Error: RD_ENOMEM. */
enum rd_err object_overwrite(const struct object *object, const struct dot *dot, uint64_t stamp,
                             struct blob *value, uint64_t expires_ms, struct object *out);

/* A coordinator's deletion: drops and joins as object_write does, adds no dot, raises
 * `deleted_stamp` to `stamp` if a sibling was dropped. `removed` (may be NULL): how many siblings
 * were dropped. Error: RD_ENOMEM, nothing changed. */
enum rd_err object_remove(struct object *object, const struct context *context, uint64_t stamp,
                          uint32_t *removed);

/* True if `sibling` has expired at `wall_ms`. */
bool sibling_expired(const struct sibling *sibling, uint64_t wall_ms);

/* The newest sibling that has not expired at `wall_ms`, the same on every node; NULL if there is
 * none. Borrowed. */
const struct sibling *object_winner(const struct object *object, uint64_t wall_ms);

/* What a replica reports of a plain SET or DEL: how many siblings `merged`, its object after the
 * merge, has beside those that `sent` carries, and which the write so did not account for. The
 * newest sibling of `sent` is taken for the SET's own (its stamp exceeds all that the coordinator
 * held). If `merged` does not carry that one, a writer that saw it has replaced it, and the result
 * is 0: what stands there now is causally later. A DEL sends no siblings, so every sibling
 * counts. */
uint32_t object_uncovered(const struct object *merged, const struct object *sent);

/* The highest stamp in the object (siblings and deletion); 0 if there is none. */
uint64_t object_newest_stamp(const struct object *object);

/* The earliest expiry of a sibling in ms; 0 if none expires. */
uint64_t object_next_expiry_ms(const struct object *object);

/* Bytes of all values together, and an estimate of the rest: what max-object-size bounds. */
uint64_t object_bytes(const struct object *object);

/* The context of a client that has just been shown the whole object. `*out` is overwritten. Error:
 * RD_ENOMEM. */
enum rd_err object_context(const struct object *object, struct context *out);

/* The context after a client's write: all of the object if the write left no other sibling (`dot`
 * may be NULL after a deletion: if none at all is left), else what `before` covered plus `dot`.
 * `*out` is overwritten. Error: RD_ENOMEM. */
enum rd_err object_context_after(const struct object *object, const struct context *before,
                                 const struct dot *dot, struct context *out);

/* A 64-bit digest over vector, dots, stamps, expiries and deletion stamp, never over value bytes.
 * The empty object's is 0. */
uint64_t object_digest(const struct object *object);

/* Appends the canonical encoding: equal objects give equal bytes. It begins with a format byte and
 * ends with a checksum of all before it. Error: RD_ENOMEM. */
enum rd_err object_encode(const struct object *object, struct buf *out);

/* The same, into a new blob. Errors: RD_ENOMEM, RD_ETOOBIG. */
enum rd_err object_encode_blob(const struct object *object, struct blob **out);

/* Decodes all of `bytes` into `*out` (overwritten); values are copied. Errors: RD_ECORRUPT
 * (checksum), RD_EPROTO (not canonical, trailing bytes, a sibling outside the vector), RD_ETOOBIG,
 * RD_ENOMEM. */
enum rd_err object_decode(const void *bytes, size_t len, struct object *out);

/* Asserts the invariants above. */
void object_check(const struct object *object);

#endif
