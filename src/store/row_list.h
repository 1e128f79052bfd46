/* Sorted rows in memory: a skip list (Pugh 1990), what the memory engine keeps its rows in.
 *
 * Rows are ordered by row_compare, each address at most once. A row is counted by reference, so that whoever
 * remembers one may find it unlinked later, but never freed.
 */
#ifndef RD_STORE_ROW_LIST_H
#define RD_STORE_ROW_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/prng.h"
#include "store/row.h"

#define ROW_LIST_LEVELS                                                                            \
    12 /* a quarter of the rows of a level are in the next one: enough for 4^12 rows */

struct row {
    struct store_key at; /* points into the row itself */
    struct row_value now;
    bool damaged; /* by a fault of the simulator: must not be served */
    bool linked;
    uint32_t refs;
    uint32_t height;
    struct row *next[]; /* `height` of them, then the bytes of the key and sub */
};

struct row_list {
    struct prng prng; /* for heights only */
    size_t count;
    struct row *first[ROW_LIST_LEVELS];
};

/* Makes an empty list; the same seed and calls give the same list. */
void row_list_init(struct row_list *list, uint64_t seed);

/* Makes a row with a copy of the address and no value, one reference, not linked. Error: RD_ENOMEM. */
enum rd_err row_new(struct row_list *list, const struct store_key *at, struct row **out);

/* Gives up a reference; the last one frees the row and its reference to the value. NULL is ignored. */
void row_unref(struct row *row);

/* The row at `at`, or NULL. */
struct row *row_list_find(const struct row_list *list, const struct store_key *at);

/* The first row at or behind `at`, or only behind it; NULL if there is none. The following one is row->next[0]. */
struct row *row_list_from(const struct row_list *list, const struct store_key *at, bool or_equal);

/* Links a row whose address is not in the list; the list takes over the reference. */
void row_list_link(struct row_list *list, struct row *row);

/* Unlinks `row` and hands the list's reference to the caller; asserts that it is linked. */
void row_list_unlink(struct row_list *list, struct row *row);

/* Unlinks all rows and gives up their references. */
void row_list_clear(struct row_list *list);

/* Makes `out`, which is uninitialized, a copy of `list`: rows of its own, values shared. Error: RD_ENOMEM. */
enum rd_err row_list_copy(const struct row_list *list, struct row_list *out);

/* Asserts the order, the counts and the levels. */
void row_list_check(const struct row_list *list);

#endif
