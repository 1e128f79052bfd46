/* Strict parsers and encodings; see text.h. Nothing here depends on the locale. */
#include "base/text.h"

#include <string.h>
#include <strings.h>

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* --- numbers --- */

enum rd_err text_u64(const char *text, size_t len, uint64_t *out) {
    if (len == 0 || (text[0] == '0' && len > 1)) {
        return RD_EPROTO;
    }
    uint64_t value = 0;
    int fits = 1;
    size_t i = 0;
    for (; i < len && i < 19; i++) { /* so many digits fit in any case */
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) {
            return RD_EPROTO;
        }
        value = value * 10 + digit;
    }
    for (; i < len; i++) {
        if (!is_digit(text[i])) {
            return RD_EPROTO;
        }
        unsigned digit = (unsigned)(text[i] - '0');
        /* Reads on behind an overflow: "99999999999999999999x" is no number. */
        fits = fits && value <= (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    if (!fits) {
        return RD_ETOOBIG;
    }
    *out = value;
    return RD_OK;
}

enum rd_err text_i64(const char *text, size_t len, int64_t *out) {
    int negative = len > 0 && text[0] == '-';
    uint64_t value;
    enum rd_err err = text_u64(text + negative, len - (size_t)negative, &value);
    if (err != RD_OK) {
        return err;
    }
    if (negative && value == 0) {
        return RD_EPROTO; /* "-0" is a second spelling of 0 */
    }
    if (value > (uint64_t)INT64_MAX + (uint64_t)negative) {
        return RD_ETOOBIG;
    }
    *out = negative ? -(int64_t)(value - 1) - 1 : (int64_t)value;
    return RD_OK;
}

/* "k" is 1000 and "kb" 1024; 0 if the unit is unknown. */
static uint64_t unit_factor(const char *unit, size_t len) {
    uint64_t base = 1000;
    if (len == 0) {
        return 1;
    }
    if (len == 2 && lower(unit[1]) == 'b') {
        base = 1024;
        len = 1;
    }
    if (len != 1) {
        return 0;
    }
    switch (lower(unit[0])) {
    case 'b':
        return base == 1000 ? 1 : 0; /* "1b" is a byte, "1bb" is nothing */
    case 'k':
        return base;
    case 'm':
        return base * base;
    case 'g':
        return base * base * base;
    default:
        return 0;
    }
}

enum rd_err text_memory(const char *text, size_t len, uint64_t *out_bytes) {
    size_t digits = 0;
    while (digits < len && is_digit(text[digits])) {
        digits++;
    }
    uint64_t factor = unit_factor(text + digits, len - digits);
    if (factor == 0) {
        return RD_EPROTO;
    }
    uint64_t value;
    enum rd_err err = text_u64(text, digits, &value);
    if (err != RD_OK) {
        return err;
    }
    if (value > UINT64_MAX / factor) {
        return RD_ETOOBIG;
    }
    *out_bytes = value * factor;
    return RD_OK;
}

enum rd_err text_yes_no(const char *text, size_t len, int *out) {
    if (len == 3 && strncasecmp(text, "yes", 3) == 0) {
        *out = 1;
        return RD_OK;
    }
    if (len == 2 && strncasecmp(text, "no", 2) == 0) {
        *out = 0;
        return RD_OK;
    }
    return RD_EPROTO;
}

/* --- hex --- */

void text_hex(const void *bytes, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c) {
    c = lower(c);
    if (is_digit(c)) {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rd_err text_unhex(const char *hex, size_t hex_len, void *out, size_t len) {
    if (hex_len % 2 != 0 || hex_len / 2 != len) {
        return RD_EPROTO;
    }
    for (size_t i = 0; i < hex_len; i++) {
        if (hex_value(hex[i]) < 0) {
            return RD_EPROTO;
        }
    }
    uint8_t *to = out;
    for (size_t i = 0; i < len; i++) {
        to[i] = (uint8_t)(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]));
    }
    return RD_OK;
}

/* --- base64 --- */

size_t text_base64_len(size_t len) {
    return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

void text_base64(const void *bytes, size_t len, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = bytes;
    for (; len >= 3; p += 3, len -= 3) {
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *out++ = digits[p[2] & 63];
    }
    if (len > 0) {
        uint8_t second = len == 2 ? p[1] : 0;
        *out++ = digits[p[0] >> 2];
        *out++ = digits[(p[0] & 3) << 4 | second >> 4];
        if (len == 2) {
            *out++ = digits[(second & 15) << 2];
        }
    }
    *out = '\0';
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (is_digit(c)) {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

enum rd_err text_unbase64(const char *text, size_t text_len, void *out, size_t *out_len) {
    if (text_len % 4 == 1) {
        return RD_EPROTO;
    }
    for (size_t i = 0; i < text_len; i++) {
        if (base64_value(text[i]) < 0) {
            return RD_EPROTO;
        }
    }
    /* The last character of a partial group has 4 (of 2) or 2 (of 3) bits to spare. */
    unsigned spare = text_len % 4 == 2 ? 15 : text_len % 4 == 3 ? 3 : 0;
    if (spare != 0 && ((unsigned)base64_value(text[text_len - 1]) & spare) != 0) {
        return RD_EPROTO;
    }
    uint8_t *to = out;
    uint32_t bits = 0;
    unsigned held = 0; /* how many of `bits` are not written yet */
    for (size_t i = 0; i < text_len; i++) {
        bits = (bits << 6 | (uint32_t)base64_value(text[i])) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (uint8_t)(bits >> held);
        }
    }
    *out_len = (size_t)(to - (uint8_t *)out);
    return RD_OK;
}

/* --- glob --- */

struct glob {
    const char *pattern;
    size_t len;
    int nocase;
};

static char fold(const struct glob *glob, char c) {
    return glob->nocase ? lower(c) : c;
}

/* Matches `c` against the set that begins behind '[' at *at, and moves *at behind its ']'. A set that is
 * not closed ends with the pattern. Redis's corners: an escape begins no range, a range may run backwards,
 * and its end may be any character, also ']' or a backslash. */
static int match_set(const struct glob *glob, size_t *at, char c) {
    const char *p = glob->pattern;
    size_t i = *at;
    int negated = i < glob->len && p[i] == '^';
    int found = 0;
    unsigned char wanted = (unsigned char)fold(glob, c);
    i += (size_t)negated;
    while (i < glob->len && p[i] != ']') {
        size_t left = glob->len - i;
        unsigned char first;
        unsigned char last;
        if (p[i] == '\\' && left >= 2) {
            first = last = (unsigned char)fold(glob, p[i + 1]);
            i += 2;
        } else if (left >= 3 && p[i + 1] == '-') {
            first = (unsigned char)fold(glob, p[i]);
            last = (unsigned char)fold(glob, p[i + 2]);
            i += 3;
        } else {
            first = last = (unsigned char)fold(glob, p[i]);
            i += 1;
        }
        found |=
            first <= last ? first <= wanted && wanted <= last : last <= wanted && wanted <= first;
    }
    *at = i < glob->len ? i + 1 : i;
    return found != negated;
}

/* Matches one character against the pattern element at *at (not '*') and moves *at behind it. */
static int match_one(const struct glob *glob, size_t *at, char c) {
    char p = glob->pattern[(*at)++];
    switch (p) {
    case '?':
        return 1;
    case '[':
        return match_set(glob, at, c);
    case '\\':
        if (*at < glob->len) {
            p = glob->pattern[(*at)++];
        }
        break;
    default:
        break;
    }
    return fold(glob, p) == fold(glob, c);
}

/* Only the last '*' can need to take more: whatever an earlier one takes more, the last could take
 * instead. So there is one place to go back to, and the work is at most pattern x text. */
int text_glob(const char *pattern, size_t pattern_len, const char *text, size_t text_len,
              int nocase) {
    const struct glob glob = {.pattern = pattern, .len = pattern_len, .nocase = nocase};
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* behind the last '*' seen */
    size_t star_text = 0;   /* where the text behind it is being tried */
    while (t < text_len) {
        if (p < pattern_len && pattern[p] == '*') {
            star = ++p;
            star_text = t;
        } else if (p < pattern_len && match_one(&glob, &p, text[t])) {
            t++;
        } else if (star != SIZE_MAX) {
            p = star;
            t = ++star_text;
        } else {
            return 0;
        }
    }
    while (p < pattern_len && pattern[p] == '*') {
        p++;
    }
    return p == pattern_len;
}
