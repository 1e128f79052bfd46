/* Random commands: a template is drawn, its places are filled, and now and then the result is spoilt.
 *
 * Places: %k key, %v value, %i integer, %n small integer, %f float, %o offset of a byte, %p offset of a bit, %t a type of bit field,
 * %s seconds, %m milliseconds, %S and %M the same as points in time */
#include "redis-tests/lib/random_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST_WORDS 24
#define FAR_MS INT64_C(1900000000000) /* 2030 */

static const char *const templates[] = {
    "GET %k",
    "GET %k",
    "GET %k",
    "STRLEN %k",
    "EXISTS %k %k",
    "TYPE %k",
    "MGET %k %k %k",
    "SET %k %v",
    "SET %k %v",
    "SET %k %v NX",
    "SET %k %v XX",
    "SET %k %v GET",
    "SET %k %v NX GET",
    "SET %k %v XX GET",
    "SET %k %v KEEPTTL",
    "SET %k %v EX %s",
    "SET %k %v PX %m",
    "SET %k %v EXAT %S XX",
    "SET %k %v PXAT %M NX",
    "SET %k %v GET EX %s",
    "SET %k %v NX XX",
    "SET %k %v KEEPTTL EX %s",
    "SETEX %k %s %v",
    "PSETEX %k %m %v",
    "SETNX %k %v",
    "GETSET %k %v",
    "GETDEL %k",
    "GETEX %k",
    "GETEX %k EX %s",
    "GETEX %k PXAT %M",
    "GETEX %k PERSIST",
    "GETEX %k PERSIST EX %s",
    "MSET %k %v %k %v",
    "MSETNX %k %v %k %v",
    "APPEND %k %v",
    "GETRANGE %k %n %n",
    "SUBSTR %k %n %n",
    "SETRANGE %k %o %v",
    "INCR %k",
    "DECR %k",
    "INCRBY %k %i",
    "DECRBY %k %i",
    "SET %k %i",
    "SET %k %i",
    "INCRBYFLOAT %k %f",
    "SET %k %f",
    "LCS %k %k",
    "LCS %k %k LEN",
    "LCS %k %k IDX",
    "LCS %k %k IDX MINMATCHLEN %n WITHMATCHLEN",
    "LCS %k %k IDX LEN",
    "DEL %k %k",
    "UNLINK %k",
    "TOUCH %k %k",
    "COPY %k %k",
    "COPY %k %k REPLACE",
    "COPY %k %k DB %n",
    "RENAME %k %k",
    "RENAMENX %k %k",
    "EXPIRE %k %s",
    "EXPIRE %k %s NX",
    "EXPIRE %k %s XX",
    "EXPIRE %k %s GT",
    "EXPIRE %k %s LT",
    "PEXPIRE %k %m",
    "EXPIREAT %k %S GT",
    "PEXPIREAT %k %M LT",
    "EXPIRE %k %i",
    "PEXPIREAT %k %i",
    "EXPIRE %k %s NX GT",
    "EXPIRE %k %s GT LT",
    "PERSIST %k",
    "TTL %k",
    "PTTL %k",
    "EXPIRETIME %k",
    "PEXPIRETIME %k",
    "OBJECT REFCOUNT %k",
    "OBJECT ENCODING %k",
    "OBJECT IDLETIME %k",
    "MEMORY USAGE %k",
    "MEMORY USAGE %k SAMPLES %n",
    "DUMP %k",
    "WAIT 0 %n",
    "KEYS key:*",
    "SCAN 0 COUNT 1000",
    "SCAN 0 MATCH *[135] COUNT 1000 TYPE string",
    "DBSIZE",
    "FLUSHALL",
    "NOSUCH %k %v",
    "OBJECT FREQ %k",
    "OBJECT NOSUCH %k",
    "RESTORE %k 0 %v",
    "RESTORE %k %i %v REPLACE",
    "SETBIT %k %p %n",
    "SETBIT %k %p 1",
    "SETBIT %k %p 0",
    "GETBIT %k %p",
    "BITCOUNT %k",
    "BITCOUNT %k %n %n",
    "BITCOUNT %k %n %n BIT",
    "BITCOUNT %k %n %n BYTE",
    "BITPOS %k 0",
    "BITPOS %k 1",
    "BITPOS %k 0 %n",
    "BITPOS %k 1 %n %n",
    "BITPOS %k 0 %n %n BIT",
    "BITPOS %k 1 %n %n BYTE",
    "BITOP AND %k %k %k",
    "BITOP OR %k %k %k %k",
    "BITOP XOR %k %k %k",
    "BITOP NOT %k %k",
    "BITOP NOT %k %k %k",
    "BITFIELD %k GET %t %p",
    "BITFIELD %k SET %t %p %i",
    "BITFIELD %k INCRBY %t %p %i GET %t #%n",
    "BITFIELD %k OVERFLOW SAT INCRBY %t %p %i SET %t %p %i",
    "BITFIELD %k OVERFLOW FAIL SET %t %p %i INCRBY %t #%n %i OVERFLOW WRAP INCRBY %t %p %i",
    "BITFIELD_RO %k GET %t %p GET %t #%n",
    "BITFIELD_RO %k SET %t %p %i",
    "BITFIELD %k"};

static const char *const words[] = {"NX",
                                    "XX",
                                    "GT",
                                    "EX",
                                    "KEEPTTL",
                                    "GET",
                                    "PERSIST",
                                    "-1",
                                    "0",
                                    "x",
                                    "\"\"",
                                    "BIT",
                                    "9223372036854775808",
                                    "1.5",
                                    "IDX",
                                    "99999999999999999999",
                                    "\"\\xff\\x00\"",
                                    "REPLACE",
                                    "LIMIT"};
static const char *const integers[] = {"0",
                                       "1",
                                       "-1",
                                       "7",
                                       "100",
                                       "255",
                                       "256",
                                       "-129",
                                       "65535",
                                       "2147483647",
                                       "-2147483648",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "9223372036854775806",
                                       "1000000000000",
                                       "9223372036854775808",
                                       "01",
                                       "+1",
                                       " 1",
                                       "1.0",
                                       "abc",
                                       "-0",
                                       "\"\"",
                                       "1e3",
                                       "9223372036854775"};
static const char *const floats[] = {"0.1",
                                     "-0.1",
                                     "3",
                                     "1e3",
                                     "-5e-3",
                                     "3.14159",
                                     "1e308",
                                     "inf",
                                     "-inf",
                                     "nan",
                                     "0x10",
                                     "1.",
                                     ".5",
                                     "abc",
                                     " 1",
                                     "1e400",
                                     "5.0e17",
                                     "\"\"",
                                     "0.00000000000000001",
                                     "-3"};
static const char *const values[] = {"v",
                                     "hello",
                                     "\"hello world\"",
                                     "\"\"",
                                     "12",
                                     "-7",
                                     "0",
                                     "\"\\x00\\xff\\x0f\"",
                                     "\"\\xff\\xff\"",
                                     "foobar",
                                     "abcabcabc",
                                     "0123456789012345678901234567890123456789012345678901234567",
                                     "10",
                                     "3.5",
                                     "\"\\xf0\\x9f\\x98\\x80\\xc3\\x28\""};

static const char *pick(struct prng *prng, const char *const *from, size_t count) {
    return from[prng_below(prng, count)];
}

static void add(struct buf *out, const char *text) {
    if (buf_append(out, text, strlen(text)) != RD_OK) {
        abort();
    }
}

static void add_number(struct buf *out, int64_t number) {
    if (buf_printf(out, "%lld", (long long)number) != RD_OK) {
        abort();
    }
}

/* A time that is no other's neighbour, and so large that the test is over before anything expires. */
static int64_t span_s(struct prng *prng) {
    return 100000 + 500 * (int64_t)prng_below(prng, 100000);
}

static void fill(struct prng *prng, char place, struct buf *out) {
    switch (place) {
    case 'k':
        if (buf_printf(out, "key:%u", (unsigned)prng_below(prng, 8)) != RD_OK) {
            abort();
        }
        break;
    case 'v':
        add(out, pick(prng, values, COUNT(values)));
        break;
    case 'i':
        add(out, pick(prng, integers, COUNT(integers)));
        break;
    case 'n':
        add_number(out, (int64_t)prng_below(prng, 24) - 8);
        break;
    case 'f':
        add(out, pick(prng, floats, COUNT(floats)));
        break;
    case 'o':
        add_number(out, prng_chance(prng, 1, 12) ? 536870912 : (int64_t)prng_below(prng, 60) - 2);
        break;
    case 'p':
        add_number(out, prng_chance(prng, 1, 12) ? INT64_C(4294967296)
                                                 : (int64_t)prng_below(prng, 400) - 4);
        break;
    case 't':
        add(out, prng_chance(prng, 1, 2) ? "i" : "u");
        add_number(out, prng_chance(prng, 1, 4) ? 62 + (int64_t)prng_below(prng, 4)
                                                : 1 + (int64_t)prng_below(prng, 20));
        break;
    case 's':
        add_number(out, span_s(prng));
        break;
    case 'm':
        add_number(out, span_s(prng) * 1000);
        break;
    case 'S':
        add_number(out, FAR_MS / 1000 + span_s(prng));
        break;
    default:
        add_number(out, FAR_MS + span_s(prng) * 1000);
        break;
    }
}

/* Leaves out, doubles or replaces a word behind the first. */
static void spoil(struct prng *prng, struct buf *line) {
    const char *text = (const char *)buf_data(line);
    size_t starts[MOST_WORDS], count = 0, len = buf_len(line);
    struct buf out = {0};
    for (size_t i = 0; i < len && count < MOST_WORDS; i++) {
        if (text[i] == ' ' && memchr(text, '"', i) == NULL) {
            starts[count++] = i;
        }
    }
    if (count == 0) {
        add(line, " x");
        return;
    }
    size_t which = prng_below(prng, count);
    size_t from = starts[which], to = which + 1 < count ? starts[which + 1] : len;
    uint64_t how = prng_below(prng, 3);
    if (buf_append(&out, text, how == 1 ? to : from) != RD_OK) {
        abort();
    }
    if (how == 2) {
        add(&out, " ");
        add(&out, pick(prng, words, COUNT(words)));
    }
    size_t rest = how == 1 ? from : to;
    if (buf_append(&out, text + rest, len - rest) != RD_OK) {
        abort();
    }
    buf_free(line);
    *line = out;
}

void random_command(struct prng *prng, struct buf *out) {
    const char *at = pick(prng, templates, COUNT(templates));
    if (strcmp(at, "FLUSHALL") == 0 && !prng_chance(prng, 1, 4)) { /* values are to meet */
        at = "EXISTS %k";
    }
    buf_truncate(out, 0);
    for (; *at != '\0'; at++) {
        if (*at == '%') {
            fill(prng, *++at, out);
        } else if (buf_append(out, at, 1) != RD_OK) {
            abort();
        }
    }
    if (prng_chance(prng, 1, 12)) {
        spoil(prng, out);
    }
    if (buf_append(out, "", 1) != RD_OK) { /* the zero that ends a string */
        abort();
    }
}
