/* Sorted rows in memory; see row_list.h.
 *
 * 1. Level 0 holds all rows in strictly ascending order; each level above a subset of the one below.
 * 2. A row is linked in exactly the levels below its height.
 */
#include "store/row_list.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void row_list_init(struct row_list *list, uint64_t seed) {
    *list = (struct row_list){0};
    prng_seed(&list->prng, seed);
}

static uint32_t height_draw(struct row_list *list) {
    uint64_t bits = prng_u64(&list->prng);
    uint32_t height = 1;
    while (height < ROW_LIST_LEVELS && (bits & 3) == 0) {
        height++;
        bits >>= 2;
    }
    return height;
}

enum rd_err row_new(struct row_list *list, const struct store_key *at, struct row **out) {
    uint32_t height = height_draw(list);
    size_t links = height * sizeof(struct row *);
    struct row *row = malloc(sizeof *row + links + at->key_len + at->sub_len);
    if (row == NULL) {
        return RD_ENOMEM;
    }
    uint8_t *bytes = (uint8_t *)row + sizeof *row + links;
    *row = (struct row){.at = *at, .refs = 1, .height = height};
    row->at.key = bytes;
    row->at.sub = at->sub_len == 0 ? NULL : bytes + at->key_len;
    if (at->key_len > 0) {
        memcpy(bytes, at->key, at->key_len);
    }
    if (at->sub_len > 0) {
        memcpy(bytes + at->key_len, at->sub, at->sub_len);
    }
    *out = row;
    return RD_OK;
}

void row_unref(struct row *row) {
    if (row == NULL) {
        return;
    }
    assert(row->refs > 0);
    if (--row->refs == 0) {
        assert(!row->linked);
        blob_unref(row->now.value);
        free(row);
    }
}

/* Fills `links` with, for each level, where the list points over `at`: the link to the first row that is
 * not before it. */
static void seek(struct row_list *list, const struct store_key *at,
                 struct row **links[ROW_LIST_LEVELS]) {
    struct row **level = list->first;
    for (int i = ROW_LIST_LEVELS - 1; i >= 0; i--) {
        while (level[i] != NULL && row_compare(&level[i]->at, at) < 0) {
            level = level[i]->next;
        }
        links[i] = &level[i];
    }
}

struct row *row_list_from(const struct row_list *list, const struct store_key *at, bool or_equal) {
    int limit = or_equal ? 0 : 1; /* skip rows whose comparison is below */
    struct row *const *level = list->first;
    for (int i = ROW_LIST_LEVELS - 1; i >= 0; i--) {
        while (level[i] != NULL && row_compare(&level[i]->at, at) < limit) {
            level = level[i]->next;
        }
    }
    return level[0];
}

struct row *row_list_find(const struct row_list *list, const struct store_key *at) {
    struct row *row = row_list_from(list, at, true);
    return row != NULL && row_compare(&row->at, at) == 0 ? row : NULL;
}

void row_list_link(struct row_list *list, struct row *row) {
    struct row **links[ROW_LIST_LEVELS];
    assert(!row->linked);
    seek(list, &row->at, links);
    assert(*links[0] == NULL || row_compare(&(*links[0])->at, &row->at) > 0);
    for (uint32_t i = 0; i < row->height; i++) {
        row->next[i] = *links[i];
        *links[i] = row;
    }
    row->linked = true;
    list->count++;
}

void row_list_unlink(struct row_list *list, struct row *row) {
    struct row **links[ROW_LIST_LEVELS];
    assert(row->linked);
    seek(list, &row->at, links);
    for (uint32_t i = 0; i < row->height; i++) {
        assert(*links[i] == row);
        *links[i] = row->next[i];
    }
    row->linked = false;
    list->count--;
}

void row_list_clear(struct row_list *list) {
    struct row *row = list->first[0];
    while (row != NULL) {
        struct row *next = row->next[0];
        row->linked = false;
        row_unref(row);
        row = next;
    }
    memset(list->first, 0, sizeof list->first);
    list->count = 0;
}

enum rd_err row_list_copy(const struct row_list *list, struct row_list *out) {
    struct row_list copy;
    struct row **tails[ROW_LIST_LEVELS];
    row_list_init(&copy, 0);
    copy.prng = list->prng;
    for (int i = 0; i < ROW_LIST_LEVELS; i++) {
        tails[i] = &copy.first[i];
    }
    for (const struct row *row = list->first[0]; row != NULL; row = row->next[0]) {
        struct row *twin;
        if (row_new(&copy, &row->at, &twin) != RD_OK) {
            row_list_clear(&copy);
            return RD_ENOMEM;
        }
        twin->now = row->now;
        blob_ref(twin->now.value);
        twin->damaged = row->damaged;
        twin->linked = true;
        for (uint32_t i = 0; i < twin->height; i++) {
            twin->next[i] = NULL;
            *tails[i] = twin;
            tails[i] = &twin->next[i];
        }
        copy.count++;
    }
    *out = copy;
    return RD_OK;
}

void row_list_check(const struct row_list *list) {
    size_t expected = list->count;
    for (uint32_t i = 0; i < ROW_LIST_LEVELS; i++) {
        size_t count = 0;
        size_t taller = 0;
        for (const struct row *row = list->first[i]; row != NULL; row = row->next[i]) {
            assert(row->linked && row->refs > 0 && row->height > i);
            assert(row->now.value != NULL);
            assert(row->next[i] == NULL || row_compare(&row->at, &row->next[i]->at) < 0);
            taller += row->height > i + 1;
            count++;
        }
        assert(count == expected);
        expected = taller;
    }
}
