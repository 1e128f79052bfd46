/* Pages of keys, and where in the order of (slot, key) a scan stands: what SCAN-ANSWER carries. Pure values.
 *
 * A page lists keys in ascending order, each with its object stripped of value bytes: vector, dots, stamps and expiries are what it
 * takes to merge the copies of several replicas and to see whether the key is live.
 */
#ifndef RD_REPLICATION_SCAN_PAGE_H
#define RD_REPLICATION_SCAN_PAGE_H

#include "base/blob.h"
#include "base/buf.h"
#include "replication/client_op.h"
#include "replication/object.h"
#include "replication/slot.h"
#include "resp/slice.h"

/* Before all keys of a slot, or right behind one of them. Slot SLOT_COUNT: behind everything. */
struct scan_position {
    uint16_t slot;
    struct blob *key; /* a reference; NULL: before all keys of the slot */
};

/* Moves to the start of `slot`. */
void scan_position_slot(struct scan_position *at, uint16_t slot);

/* Moves right behind `key` of `slot` (copied). Error: RD_ENOMEM, nothing changed. */
enum rd_err scan_position_key(struct scan_position *at, uint16_t slot, struct resp_slice key);

/* Makes `*to` stand where `from` does (a reference is taken). */
void scan_position_copy(struct scan_position *to, const struct scan_position *from);

/* Gives the key up; the start of slot 0 afterwards. */
void scan_position_free(struct scan_position *at);

/* True if a key of `slot` lies at or before the position. */
bool scan_position_passed(const struct scan_position *at, uint16_t slot, struct resp_slice key);

/* -1, 0, 1: a stands before, at, behind b. */
int scan_position_compare(const struct scan_position *a, const struct scan_position *b);

/* The order of keys in a store: by slot, then by bytes. */
int scan_order(uint16_t slot_a, struct resp_slice a, uint16_t slot_b, struct resp_slice b);

/* ---- cursors ------------------------------------------------------------------------------------- */

/* A cursor is slot << SCAN_PLACE_BITS | place, 52 bits in all, so that clients may keep it in a double. Place 0 is the start of the slot;
 * else the scan goes on behind the first key of the slot that has this place. Cursor 0 is the beginning, and in a reply the end. */
#define SCAN_PLACE_BITS CLIENT_CURSOR_SLOT_SHIFT

/* The place of a key: a hash, never 0. */
uint64_t scan_place(struct resp_slice key);

/* ---- pages --------------------------------------------------------------------------------------- */

struct scan_entry {
    struct resp_slice key, object; /* borrowed from the page */
};

/* Appends `key` with the object stored as `value`, stripped. Errors: RD_ENOMEM, RD_ECORRUPT (it is no object); nothing was added. */
enum rd_err scan_page_add(struct buf *page, struct resp_slice key, struct resp_slice value);

/* Takes the entry at *at and moves *at behind it. Error: RD_EPROTO (the end of the page is *at = page.len, to be asked before). */
enum rd_err scan_page_next(struct resp_slice page, size_t *at, struct scan_entry *out);

/* RD_OK if the page is whole, ascending, and within what lies behind `from` and not behind `to`; else RD_EPROTO. */
enum rd_err scan_page_check(struct resp_slice page, enum partitioner partitioner,
                            const struct scan_position *from, const struct scan_position *to);

#endif
