/* Orders of the rows of a memtable; see mem_tree.h.
 *
 * 1. What is left of a row comes before it, what is right of it behind it.
 * 2. No row has a higher priority than the one above it. Priorities are random, so paths are short.
 */
#include "store/mem_tree.h"

#include <assert.h>
#include <stddef.h>

#include "store/memtable.h"
#include "store/row.h"

static int compare(enum mem_order order, const struct mem_row *a, const struct mem_row *b) {
    if (order == MEM_BY_DUE && a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms ? -1 : 1;
    }
    struct store_key left = mem_row_key(a);
    struct store_key right = mem_row_key(b);
    return row_compare(&left, &right);
}

/* From the first row of lower priority on the tree is split into what comes before the new row and what comes behind it. */
void mem_tree_insert(struct mem_row **root, enum mem_order order, struct mem_row *row) {
    struct mem_row **at = root;
    while (*at != NULL && (*at)->priority >= row->priority) {
        struct mem_link *link = &(*at)->links[order];
        int side = compare(order, row, *at);
        assert(side != 0);
        at = side < 0 ? &link->left : &link->right;
    }
    struct mem_row *rest = *at;
    struct mem_row **before = &row->links[order].left;
    struct mem_row **behind = &row->links[order].right;
    *at = row;
    while (rest != NULL) {
        struct mem_link *link = &rest->links[order];
        if (compare(order, rest, row) < 0) {
            *before = rest;
            before = &link->right;
            rest = link->right;
        } else {
            *behind = rest;
            behind = &link->left;
            rest = link->left;
        }
    }
    *before = *behind = NULL;
}

void mem_tree_remove(struct mem_row **root, enum mem_order order, struct mem_row *row) {
    struct mem_row **at = root;
    while (*at != row) {
        assert(*at != NULL);
        struct mem_link *link = &(*at)->links[order];
        at = compare(order, row, *at) < 0 ? &link->left : &link->right;
    }
    struct mem_row *left = row->links[order].left;
    struct mem_row *right = row->links[order].right;
    while (left != NULL && right != NULL) { /* the two below it become one */
        if (left->priority >= right->priority) {
            *at = left;
            at = &left->links[order].right;
            left = *at;
        } else {
            *at = right;
            at = &right->links[order].left;
            right = *at;
        }
    }
    *at = left != NULL ? left : right;
}

const struct mem_row *mem_tree_first(const struct mem_row *root, enum mem_order order) {
    while (root != NULL && root->links[order].left != NULL) {
        root = root->links[order].left;
    }
    return root;
}

const struct mem_row *mem_tree_next(const struct mem_row *root, enum mem_order order,
                                    const struct mem_row *row) {
    if (row->links[order].right != NULL) {
        return mem_tree_first(row->links[order].right, order);
    }
    const struct mem_row *found = NULL;
    while (root != row) {
        bool behind = compare(order, root, row) > 0;
        found = behind ? root : found;
        root = behind ? root->links[order].left : root->links[order].right;
    }
    return found;
}

const struct mem_row *mem_tree_behind(const struct mem_row *root, const struct store_key *at) {
    const struct mem_row *found = NULL;
    while (root != NULL) {
        struct store_key own = mem_row_key(root);
        bool behind = row_compare(&own, at) > 0;
        found = behind ? root : found;
        root = behind ? root->links[MEM_BY_ADDRESS].left : root->links[MEM_BY_ADDRESS].right;
    }
    return found;
}

const struct mem_row *mem_tree_behind_due(const struct mem_row *root, uint64_t due_ms,
                                          const struct store_key *at) {
    const struct mem_row *found = NULL;
    while (root != NULL) {
        struct store_key own = mem_row_key(root);
        bool behind = root->due_ms != due_ms ? root->due_ms > due_ms : row_compare(&own, at) > 0;
        found = behind ? root : found;
        root = behind ? root->links[MEM_BY_DUE].left : root->links[MEM_BY_DUE].right;
    }
    return found;
}
