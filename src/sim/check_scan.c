/* Scans: every key that is there from the beginning of a scan to its end is returned at least once, and no key that is surely gone is. */
#include <string.h>

#include "sim/judge.h"
#include "sim/mem.h"

/* A scan that went through, page by page. */
struct scan {
    const struct op *last; /* its pages, by `seen` */
    uint64_t from_us, to_us;
    uint32_t r; /* that each of its pages stands for, at least */
};

static bool page_shows(const struct op *page, const struct blob *key) {
    struct resp_slice name;
    for (size_t at = 0; client_reply_next_key(&page->keys, &at, &name);) {
        if (name.len == key->len && memcmp(name.data, key->bytes, key->len) == 0) {
            return true;
        }
    }
    return false;
}

/* The page that shows the key; NULL: none does. */
static const struct op *find_page(const struct scan *scan, const struct blob *key) {
    const struct op *page = scan->last;
    while (page != NULL && !page_shows(page, key)) {
        page = page->seen;
    }
    return page;
}

/* True if `op` may leave nothing to be seen of `write` before `to_us`: a deletion, or a value that expires. */
static bool may_hide(const struct op *op, const struct judged_write *write, uint64_t to_us) {
    bool over = op->answered && op->err == RD_OK && op->answered_us < write->op->asked_us;
    return op != write->op && (op->value == NULL || op->expires_ms != 0) && !over &&
           op->asked_us < to_us;
}

/* True if the key is surely there from the write on until `to_us`, whatever has replaced it. */
static bool stays(const struct judge *judge, const struct judged_key *key,
                  const struct judged_write *write, uint64_t to_us) {
    for (size_t i = 0; i < key->write_count; i++) {
        if (key->writes[i].happened_maybe && may_hide(key->writes[i].op, write, to_us)) {
            return false;
        }
    }
    for (size_t i = 0; i < judge->flush_count; i++) {
        const struct op *flush = judge->flushes[i];
        bool over = flush->answered && flush->answered_us < write->op->asked_us;
        if (!over && flush->asked_us < to_us) {
            return false;
        }
    }
    return true;
}

static void check_missing(struct judge *judge, const struct judged_key *key,
                          const struct scan *scan) {
    for (size_t i = 0; i < key->write_count; i++) {
        const struct judged_write *write = &key->writes[i];
        if (write->op->value == NULL || write->op->expires_ms != 0 ||
            !stays(judge, key, write, scan->to_us)) {
            continue;
        }
        uint32_t w =
            judge_known(judge, write, write->there_us, scan->r, scan->from_us, scan->to_us);
        if (w > 0) {
            judge_violated(judge,
                           "overlooked: the scan that ends with request %llu does not show %.*s, "
                           "which request %llu wrote to %u replicas before it began",
                           (unsigned long long)scan->last->tag, (int)key->key->len,
                           (const char *)key->key->bytes, (unsigned long long)write->op->tag, w);
            return;
        }
    }
}

/* True if the value may still have been there when the page was made. */
static bool may_show(const struct judge *judge, const struct judged_write *write,
                     const struct op *page) {
    return write->op->value != NULL && write->happened_maybe &&
           write->op->asked_us <= page->answered_us &&
           judge_known(judge, write, write->gone_us, judge_r(judge, page), page->asked_us,
                       page->answered_us) == 0;
}

static void check_ghost(struct judge *judge, const struct judged_key *key, const struct op *page) {
    for (size_t i = 0; i < key->write_count; i++) {
        if (may_show(judge, &key->writes[i], page)) {
            return;
        }
    }
    judge_violated(
        judge, "ghost: request %llu shows %.*s, of which nothing can have been left then",
        (unsigned long long)page->tag, (int)key->key->len, (const char *)key->key->bytes);
}

static void check_scan(struct judge *judge, const struct scan *scan) {
    for (uint32_t k = 0; k < judge->key_count; k++) {
        const struct judged_key *key = &judge->keys[k];
        if (key->key == NULL) {
            continue;
        }
        const struct op *page = find_page(scan, key->key);
        if (page == NULL) {
            check_missing(judge, key, scan);
        } else {
            check_ghost(judge, key, page);
        }
    }
}

void check_scans(struct judge *judge, const struct history *history) {
    for (size_t i = 0; i < history->count; i++) {
        const struct op *op = history->ops[i];
        if (op->kind != CLIENT_SCAN || !op->answered || op->err != RD_OK || op->next_cursor != 0) {
            continue;
        }
        struct scan scan = {.last = op, .to_us = op->answered_us, .r = JUDGE_MAX_N};
        for (const struct op *page = op; page != NULL; page = page->seen) {
            uint32_t r = judge_r(judge, page);
            scan.from_us = page->asked_us;
            scan.r = r < scan.r ? r : scan.r;
        }
        check_scan(judge, &scan);
    }
}
