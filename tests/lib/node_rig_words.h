/* Words for stories about one key on the bench: what replicas answer, what was sent, what is
 * stored.
 *
 * Objects are written as in tests/unit/object_text.h and compared as rig_shape shows them.
 */
#ifndef RD_TESTS_NODE_RIG_WORDS_H
#define RD_TESTS_NODE_RIG_WORDS_H

#include "tests/lib/node_rig.h"

/* Peer i answers `write` with `err`; `text`: the object that it holds beside what was sent, all
 * of whose siblings it reports as uncovered; NULL: none. */
void rig_answer_write(struct rig *rig, unsigned peer, const struct wire_msg *write, enum rd_err err,
                      const char *text);

/* Peer i acknowledges `write` and has nothing else. */
void rig_ack(struct rig *rig, unsigned peer, const struct wire_msg *write);

/* Peer i answers `read` with an object, or with RD_ENOTFOUND for NULL. */
void rig_answer_read(struct rig *rig, unsigned peer, const struct wire_msg *read, const char *text);

/* Peer i answers `read` with an error. */
void rig_fail_read(struct rig *rig, unsigned peer, const struct wire_msg *read, enum rd_err err);

/* Lets `ms` pass while all linked peers but `silent` answer probes at once. Other frames stay. */
void rig_elapse_probed(struct rig *rig, uint64_t ms, unsigned silent);

/* Asserts the shape of an object, of the object in a WRITE frame of `round`, of a stored row. */
void rig_check_shape(const struct object *object, const char *shape);
void rig_check_sent(const struct wire_msg *write, uint64_t round, const char *shape);
void rig_check_stored(struct rig *rig, const char *key, const char *shape);

/* Takes the answer to `tag`, and asserts that it is `err` with this sentence. */
void rig_check_error(struct rig *rig, uint64_t tag, enum rd_err err, const char *text);

/* Puts an object into the rig's store. */
void rig_put_object(struct rig *rig, const char *key, const char *text);

/* EV_TURN_END, and the end of the oldest commit. */
void rig_commit(struct rig *rig, enum rd_err err);

/* Writes with a context (NULL: without a token at all; `value` NULL: deletes), and with the
 * context of a client that was shown the object `shown`. Returns the tag. */
uint64_t rig_write_with(struct rig *rig, const char *key, const char *value,
                        const struct context *context);
uint64_t rig_write_after(struct rig *rig, const char *key, const char *value, const char *shown);

/* Takes the reply of a read, which must be RD_OK, and asserts the shape of its object. */
void rig_expect_object(struct rig *rig, uint64_t tag, const char *shape);

#endif
