/* Numbers written as decimal digits on hot paths, where printf would cost more than all the rest. */
#ifndef RD_BASE_DIGITS_H
#define RD_BASE_DIGITS_H

#include <stdint.h>
#include <string.h>

/* Room for any number. */
#define DIGITS_MAX 20

/* Writes `value` in decimal to `at`, which has room for DIGITS_MAX bytes, and returns the place behind it. No terminating
 * zero. */
static inline uint8_t *digits_put(uint8_t *at, uint64_t value) {
    uint8_t digits[DIGITS_MAX];
    size_t first = sizeof(digits);
    if (value < 10) {
        *at = (uint8_t)('0' + value);
        return at + 1;
    }
    do {
        digits[--first] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + first, sizeof(digits) - first);
    return at + (sizeof(digits) - first);
}

#endif
