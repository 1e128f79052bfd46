/* What of an object may be forgotten: all of it, if nothing is left to be read, or entries of its vector that will never be needed
 * again (DESIGN section 2). Values only; whether it is safe, and when, is reap.h's business.
 *
 * An entry (actor, counter) of a vector is of use as long as an object may turn up somewhere that carries one of its dots, or one
 * may still be issued. If no such object is left, it stays for two reasons only: one of its dots is alive here, or a home may go on as that
 * actor: the newest epoch of its present incarnation. All others may go, on all homes alike.
 */
#ifndef RD_REPLICATION_SHRINK_H
#define RD_REPLICATION_SHRINK_H

#include "replication/object.h"

/* So many entries without a living dot a vector may have for each home; with more than SHRINK_CROWD times that it does not wait for
 * the grace. */
#define SHRINK_CROWD 8

/* True if no value of the object can be read any more at `wall_ms`, and there is something to forget. */
bool shrink_is_gone(const struct object *object, uint64_t wall_ms);

/* Since when that is so, in wall ms, at least 1: the deletion, or the last expiry of all siblings. 0: it is not, and never will be by
 * itself. */
uint64_t shrink_gone_ms(const struct object *object);

/* How many entries of the vector have no living dot. */
uint32_t shrink_idle_entries(const struct object *object);

/* From when on the object may be of interest to a reaper, the grace not counted, in wall ms: shrink_gone_ms, or, if its vector has more than
 * `n` idle entries, its newest stamp. 0: never. */
uint64_t shrink_due_ms(const struct object *object, uint32_t n);

/* Splits the vector of `object`: entries with a living dot, and the others. Both are overwritten. Error: RD_ENOMEM, nothing is
 * owned. */
enum rd_err shrink_split(const struct object *object, struct version *living, struct version *idle);

/* What stays of a vector split so, if the homes are at the present incarnations given: `*out` is overwritten. Error: RD_ENOMEM. */
enum rd_err shrink_keep(const struct version *living, const struct version *idle,
                        const uint64_t *incarnations, size_t count, struct version *out);

/* Makes `kept` the vector of `object`, or, if it is empty, empties the object. Errors: RD_EREFUSED (`kept` is no part of the vector, does
 * not cover a living dot, or is empty while a value can be read at `wall_ms`), RD_ENOMEM: nothing changed. */
enum rd_err shrink_apply(struct object *object, const struct version *kept, uint64_t wall_ms);

#endif
