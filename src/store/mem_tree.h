/* Orders of the rows of a memtable: treaps (Seidel, Aragon 1996), so that the next row is found in O(log rows), whatever was put since the
 * one before was found.
 *
 * A row has links for each order it can be in. Rows are compared by the order's function; no two of a tree are equal.
 */
#ifndef RD_STORE_MEM_TREE_H
#define RD_STORE_MEM_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/types.h"

enum mem_order {
    MEM_BY_ADDRESS = 0, /* key, sub: of one space and slot */
    MEM_BY_DUE = 1,     /* due, address */
    MEM_ORDERS
};

struct mem_row;

struct mem_link {
    struct mem_row *left, *right;
};

/* Puts a row that is not there under `*root`. */
void mem_tree_insert(struct mem_row **root, enum mem_order order, struct mem_row *row);

/* Takes a row out that is there. */
void mem_tree_remove(struct mem_row **root, enum mem_order order, struct mem_row *row);

/* The first row; NULL: none. */
const struct mem_row *mem_tree_first(const struct mem_row *root, enum mem_order order);

/* The first row behind `row`, which is there; NULL: none. */
const struct mem_row *mem_tree_next(const struct mem_row *root, enum mem_order order,
                                    const struct mem_row *row);

/* In the order by address, the first row behind `at`; NULL: none. */
const struct mem_row *mem_tree_behind(const struct mem_row *root, const struct store_key *at);

/* The same in the order by due time. */
const struct mem_row *mem_tree_behind_due(const struct mem_row *root, uint64_t due_ms,
                                          const struct store_key *at);

#endif
