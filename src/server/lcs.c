/* LCS by the textbook table: cell (i, j) is the length for the first i and j bytes. Where several subsequences are longest the walk back
 * prefers, as Redis does, to shorten the second string. */
#include "server/lcs.h"

#include <stdlib.h>

uint64_t lcs_memory(uint64_t a_len, uint64_t b_len) {
    uint64_t cells;
    if (__builtin_mul_overflow(a_len + 1, b_len + 1, &cells) || cells > UINT64_MAX / 4) {
        return UINT64_MAX;
    }
    return cells * sizeof(uint32_t);
}

void lcs_free(struct lcs *lcs) {
    free(lcs->bytes);
    free(lcs->runs);
    *lcs = (struct lcs){0};
}

static void fill(uint32_t *table, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    size_t width = b_len + 1;
    for (size_t i = 1; i <= a_len; i++) {
        for (size_t j = 1; j <= b_len; j++) {
            uint32_t up = table[(i - 1) * width + j], left = table[i * width + j - 1];
            table[i * width + j] = a[i - 1] == b[j - 1] ? table[(i - 1) * width + j - 1] + 1
                                   : up > left          ? up
                                                        : left;
        }
    }
}

/* Walks from the ends back and notes bytes and runs. */
static void walk(const uint32_t *table, const uint8_t *a, size_t a_len, const uint8_t *b,
                 size_t b_len, struct lcs *out) {
    size_t width = b_len + 1, i = a_len, j = b_len, left = out->len;
    struct lcs_run *run = NULL; /* that may be made longer */
    while (i > 0 && j > 0) {
        if (a[i - 1] == b[j - 1]) {
            i--;
            j--;
            out->bytes[--left] = a[i];
            if (run == NULL) {
                run = &out->runs[out->run_count++];
                run->a_end = (uint32_t)i;
                run->b_end = (uint32_t)j;
            }
            run->a_start = (uint32_t)i;
            run->b_start = (uint32_t)j;
        } else {
            run = NULL;
            if (table[(i - 1) * width + j] > table[i * width + j - 1]) {
                i--;
            } else {
                j--;
            }
        }
    }
}

enum rd_err lcs_compute(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
                        struct lcs *out) {
    uint32_t *table = calloc((a_len + 1) * (b_len + 1), sizeof *table);
    if (table == NULL) {
        return RD_ENOMEM;
    }
    fill(table, a, a_len, b, b_len);
    struct lcs lcs = {.len = table[a_len * (b_len + 1) + b_len]};
    lcs.bytes = malloc(lcs.len + 1u);
    lcs.runs = calloc(lcs.len + 1u, sizeof *lcs.runs);
    if (lcs.bytes == NULL || lcs.runs == NULL) {
        lcs_free(&lcs);
        free(table);
        return RD_ENOMEM;
    }
    walk(table, a, a_len, b, b_len, &lcs);
    free(table);
    *out = lcs;
    return RD_OK;
}
