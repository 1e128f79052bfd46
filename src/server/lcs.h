/* LCS: the longest common subsequence of two strings. */
#ifndef RD_SERVER_LCS_H
#define RD_SERVER_LCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A run of equal bytes in both strings; ends are included. */
struct lcs_run {
    uint32_t a_start, a_end, b_start, b_end;
};

struct lcs {
    uint32_t len;
    uint8_t *bytes; /* owned: the subsequence */
    struct lcs_run
        *runs; /* owned; from the ends of the strings to their beginnings, as Redis lists them */
    size_t run_count;
};

/* The bytes of working memory that two strings of these lengths need. */
uint64_t lcs_memory(uint64_t a_len, uint64_t b_len);

/* Computes it. The caller has bounded lcs_memory. Free with lcs_free. Error: RD_ENOMEM. */
enum rd_err lcs_compute(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
                        struct lcs *out);

/* Frees and zeroes. */
void lcs_free(struct lcs *lcs);

#endif
