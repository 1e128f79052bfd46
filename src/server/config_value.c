/* Values of directives: from words, to text. Each type of the table has one function for each way; none knows any
 * directive by name. What a word must look like, and the sentence that says so, are Redis's. */
#include "server/config_table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

typedef enum rd_err setter(struct config *config, const struct config_directive *d,
                           const struct resp_slice *words, size_t count,
                           char reason[CONFIG_REASON_BYTES]);

static void *place(const struct config *config, const struct config_directive *d) {
    return (char *)(uintptr_t)config + d->offset;
}

static const char *text_of(const struct resp_slice *word) {
    return (const char *)word->data;
}

static enum rd_err refuse(char reason[CONFIG_REASON_BYTES], const char *sentence) {
    snprintf(reason, CONFIG_REASON_BYTES, "%s", sentence);
    return RD_ECONF;
}

static bool word_is(const struct resp_slice *word, const char *text) {
    return word->len == strlen(text) && strncasecmp(text_of(word), text, word->len) == 0;
}

/* A terminated copy; words have no zero bytes inside (checked where they come from). NULL: out of memory. */
static char *word_copy(const struct resp_slice *word) {
    char *copy = malloc(word->len + 1);
    if (copy != NULL) {
        if (word->len > 0) {
            memcpy(copy, word->data, word->len);
        }
        copy[word->len] = '\0';
    }
    return copy;
}

/* ---- from words ----------------------------------------------------------------------------------- */

static enum rd_err set_bool(struct config *config, const struct config_directive *d,
                            const struct resp_slice *words, size_t count,
                            char reason[CONFIG_REASON_BYTES]) {
    int yes;
    (void)count;
    if (text_yes_no(text_of(words), words->len, &yes) != RD_OK) {
        return refuse(reason, "argument must be 'yes' or 'no'");
    }
    *(bool *)place(config, d) = yes != 0;
    return RD_OK;
}

static enum rd_err refuse_range(const struct config_directive *d,
                                char reason[CONFIG_REASON_BYTES]) {
    snprintf(reason, CONFIG_REASON_BYTES,
             "argument must be between %" PRId64 " and %" PRId64 " inclusive", d->min, d->max);
    return RD_ECONF;
}

static enum rd_err set_int(struct config *config, const struct config_directive *d,
                           const struct resp_slice *words, size_t count,
                           char reason[CONFIG_REASON_BYTES]) {
    int64_t value;
    (void)count;
    enum rd_err err = text_i64(text_of(words), words->len, &value);
    if (err == RD_EPROTO) {
        return refuse(reason, "argument couldn't be parsed into an integer");
    }
    if (err != RD_OK || value < d->min || value > d->max) {
        return refuse_range(d, reason);
    }
    *(int64_t *)place(config, d) = value;
    return RD_OK;
}

static enum rd_err set_bytes(struct config *config, const struct config_directive *d,
                             const struct resp_slice *words, size_t count,
                             char reason[CONFIG_REASON_BYTES]) {
    uint64_t value;
    (void)count;
    enum rd_err err = text_memory(text_of(words), words->len, &value);
    if (err == RD_EPROTO) {
        return refuse(reason, "argument must be a memory value");
    }
    if (err != RD_OK || value < (uint64_t)d->min || value > (uint64_t)d->max) {
        return refuse_range(d, reason);
    }
    *(uint64_t *)place(config, d) = value;
    return RD_OK;
}

static enum rd_err set_text(struct config *config, const struct config_directive *d,
                            const struct resp_slice *words, size_t count,
                            char reason[CONFIG_REASON_BYTES]) {
    (void)count;
    if (words->len > (uint64_t)d->max) {
        snprintf(reason, CONFIG_REASON_BYTES, "argument must have at most %" PRId64 " bytes",
                 d->max);
        return RD_ECONF;
    }
    if (words->len < (uint64_t)d->min) {
        return refuse(reason, "argument must not be empty");
    }
    char *copy = word_copy(words);
    if (copy == NULL) {
        return RD_ENOMEM;
    }
    char **value = place(config, d);
    free(*value);
    *value = copy;
    return RD_OK;
}

static enum rd_err set_choice(struct config *config, const struct config_directive *d,
                              const struct resp_slice *words, size_t count,
                              char reason[CONFIG_REASON_BYTES]) {
    (void)count;
    for (const struct config_choice *choice = d->choices; choice->name != NULL; choice++) {
        if (word_is(words, choice->name)) {
            *(int *)place(config, d) = choice->value;
            return RD_OK;
        }
    }
    int n = snprintf(reason, CONFIG_REASON_BYTES, "argument(s) must be one of the following: ");
    for (const struct config_choice *choice = d->choices;
         choice->name != NULL && n < CONFIG_REASON_BYTES; choice++) {
        n += snprintf(reason + n, (size_t)(CONFIG_REASON_BYTES - n), "%s%s",
                      choice == d->choices ? "" : ", ", choice->name);
    }
    return RD_ECONF;
}

static void words_free(struct config_words *words) {
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    words->items = NULL;
    words->count = 0;
}

static enum rd_err set_words(struct config *config, const struct config_directive *d,
                             const struct resp_slice *words, size_t count,
                             char reason[CONFIG_REASON_BYTES]) {
    if (count > (size_t)d->max) {
        return refuse(reason, "too many arguments");
    }
    struct config_words fresh = {calloc(count + 1, sizeof *fresh.items), 0};
    if (fresh.items == NULL) {
        return RD_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        char *copy = word_copy(&words[i]);
        if (copy == NULL) {
            words_free(&fresh);
            return RD_ENOMEM;
        }
        fresh.items[fresh.count++] = copy;
    }
    struct config_words *value = place(config, d);
    words_free(value);
    *value = fresh;
    return RD_OK;
}

/* "host:port"; the host of an IPv6 address in brackets, or bare (the last ':' divides). */
static bool parse_seed(const struct resp_slice *word, struct node_address *out) {
    const char *text = text_of(word);
    const char *colon = memrchr(text, ':', word->len);
    if (colon == NULL) {
        return false;
    }
    size_t host_len = (size_t)(colon - text);
    uint64_t port;
    if (text_u64(colon + 1, word->len - host_len - 1, &port) != RD_OK || port == 0 ||
        port > 65535) {
        return false;
    }
    if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
        text++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= sizeof out->host) {
        return false;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->host, text, host_len);
    out->port = (uint16_t)port;
    return true;
}

/* Seeds add up. */
static enum rd_err set_seeds(struct config *config, const struct config_directive *d,
                             const struct resp_slice *words, size_t count,
                             char reason[CONFIG_REASON_BYTES]) {
    if (config->seed_count + count > (size_t)d->max) {
        return refuse(reason, "too many seeds");
    }
    struct node_address *grown =
        realloc(config->seeds, (config->seed_count + count + 1) * sizeof *grown);
    if (grown == NULL) {
        return RD_ENOMEM;
    }
    config->seeds = grown;
    for (size_t i = 0; i < count; i++) {
        if (!parse_seed(&words[i], &grown[config->seed_count + i])) {
            return refuse(reason, "argument must be HOST:CLUSTER-PORT");
        }
    }
    config->seed_count += count;
    return RD_OK;
}

static bool parse_limit(const struct resp_slice *word, uint64_t *out) {
    return text_memory(text_of(word), word->len, out) == RD_OK && *out <= INT64_MAX;
}

/* Groups of four words; classes that are not named keep what they have. */
static enum rd_err set_output_limits(struct config *config, const struct config_directive *d,
                                     const struct resp_slice *words, size_t count,
                                     char reason[CONFIG_REASON_BYTES]) {
    struct config_output_limit fresh[CLIENT_CLASSES];
    memcpy(fresh, place(config, d), sizeof fresh);
    if (count % 4 != 0) {
        return refuse(reason, "Wrong number of arguments in buffer limit configuration.");
    }
    for (size_t i = 0; i < count; i += 4) {
        enum config_client_class class;
        if (word_is(&words[i], "normal")) {
            class = CLIENT_CLASS_NORMAL;
        } else if (word_is(&words[i], "replica") || word_is(&words[i], "slave")) {
            class = CLIENT_CLASS_REPLICA;
        } else if (word_is(&words[i], "pubsub")) {
            class = CLIENT_CLASS_PUBSUB;
        } else {
            return refuse(reason, "Invalid client class specified in buffer limit configuration.");
        }
        if (!parse_limit(&words[i + 1], &fresh[class].hard_bytes) ||
            !parse_limit(&words[i + 2], &fresh[class].soft_bytes) ||
            text_i64(text_of(&words[i + 3]), words[i + 3].len, &fresh[class].soft_seconds) !=
                RD_OK ||
            fresh[class].soft_seconds < 0) {
            return refuse(
                reason,
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
        }
    }
    memcpy(place(config, d), fresh, sizeof fresh);
    return RD_OK;
}

static bool takes_many(enum config_type type) {
    return type == CONFIG_WORDS || type == CONFIG_SEEDS || type == CONFIG_OUTPUT_LIMITS;
}

/* "a b c" in one word (quoted in a file, or from CONFIG SET) is three words for a list. Fills `out`, returns how many; at most `max`. */
static size_t split_word(const struct resp_slice *word, struct resp_slice *out, size_t max) {
    size_t count = 0;
    size_t i = 0;
    while (count < max) {
        while (i < word->len && word->data[i] == ' ') {
            i++;
        }
        if (i == word->len) {
            break;
        }
        size_t start = i;
        while (i < word->len && word->data[i] != ' ') {
            i++;
        }
        out[count++] = (struct resp_slice){word->data + start, i - start};
    }
    return count;
}

enum rd_err config_value_set(struct config *config, const struct config_directive *d,
                             const struct resp_slice *words, size_t count,
                             char reason[CONFIG_REASON_BYTES]) {
    static setter *const setters[] = {
        [CONFIG_BOOL] = set_bool,     [CONFIG_INT] = set_int,
        [CONFIG_BYTES] = set_bytes,   [CONFIG_TEXT] = set_text,
        [CONFIG_CHOICE] = set_choice, [CONFIG_WORDS] = set_words,
        [CONFIG_SEEDS] = set_seeds,   [CONFIG_OUTPUT_LIMITS] = set_output_limits,
    };
    struct resp_slice split[128];
    if (takes_many(d->type) ? count == 0 : count != 1) {
        return refuse(reason, "wrong number of arguments");
    }
    for (size_t i = 0; i < count; i++) {
        if (words[i].len > 0 && memchr(words[i].data, '\0', words[i].len) != NULL) {
            return refuse(reason, "argument must not contain a zero byte");
        }
    }
    if (takes_many(d->type) && count == 1) {
        count = split_word(words, split, sizeof split / sizeof split[0]);
        words = split;
    }
    return setters[d->type](config, d, words, count, reason);
}

/* ---- to text -------------------------------------------------------------------------------------- */

static enum rd_err show_choice(const struct config_directive *d, int value, struct buf *out) {
    const struct config_choice *choice = d->choices;
    while (choice->name != NULL && choice->value != value) {
        choice++;
    }
    assert(choice->name != NULL);
    return buf_printf(out, "%s", choice->name);
}

static enum rd_err show_words(const struct config_words *words, struct buf *out) {
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < words->count && err == RD_OK; i++) {
        err = buf_printf(out, "%s%s", i == 0 ? "" : " ", words->items[i]);
    }
    return err;
}

static enum rd_err show_seeds(const struct config *config, struct buf *out) {
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < config->seed_count && err == RD_OK; i++) {
        const struct node_address *seed = &config->seeds[i];
        bool v6 = strchr(seed->host, ':') != NULL;
        err = buf_printf(out, "%s%s%s%s:%u", i == 0 ? "" : " ", v6 ? "[" : "", seed->host,
                         v6 ? "]" : "", (unsigned)seed->port);
    }
    return err;
}

static enum rd_err show_output_limits(const struct config_output_limit *limits, struct buf *out) {
    static const char *const names[CLIENT_CLASSES] = {"normal", "slave",
                                                      "pubsub"}; /* as Redis shows them */
    enum rd_err err = RD_OK;
    for (size_t i = 0; i < CLIENT_CLASSES && err == RD_OK; i++) {
        err = buf_printf(out, "%s%s %" PRIu64 " %" PRIu64 " %" PRId64, i == 0 ? "" : " ", names[i],
                         limits[i].hard_bytes, limits[i].soft_bytes, limits[i].soft_seconds);
    }
    return err;
}

enum rd_err config_value_show(const struct config *config, const struct config_directive *d,
                              struct buf *out) {
    const void *value = place(config, d);
    switch (d->type) {
    case CONFIG_BOOL:
        return buf_printf(out, "%s", *(const bool *)value ? "yes" : "no");
    case CONFIG_INT:
        return buf_printf(out, "%" PRId64, *(const int64_t *)value);
    case CONFIG_BYTES:
        return buf_printf(out, "%" PRIu64, *(const uint64_t *)value);
    case CONFIG_TEXT:
        return buf_printf(out, "%s", *(char *const *)value);
    case CONFIG_CHOICE:
        return show_choice(d, *(const int *)value, out);
    case CONFIG_WORDS:
        return show_words(value, out);
    case CONFIG_SEEDS:
        return show_seeds(config, out);
    case CONFIG_OUTPUT_LIMITS:
        return show_output_limits(value, out);
    }
    assert(!"a type without a text");
    return RD_ECONF;
}

void config_value_free(struct config *config, const struct config_directive *d) {
    if (d->type == CONFIG_TEXT) {
        char **value = place(config, d);
        free(*value);
        *value = NULL;
    } else if (d->type == CONFIG_WORDS) {
        words_free(place(config, d));
    } else if (d->type == CONFIG_SEEDS) {
        free(config->seeds);
        config->seeds = NULL;
        config->seed_count = 0;
    }
}
