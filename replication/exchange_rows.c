/* The exchange's rows: lists of (key, digest) of the leaves that differ, from both sides, compared slot by slot; see exchange.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/bytes.h"
#include "replication/exchange_private.h"

#define PAGE_ROWS SCAN_MAX_ROWS
#define PAGE_BYTES 1048576
#define MAX_LISTED 65536             /* of one slot: what lies behind waits for the next exchange */
#define OWN_PAGE (UINT64_C(1) << 55) /* in tokens: a page for this node's own session */
#define ROW_COST 32

void exchange_list_clear(struct row_list *list) {
    for (size_t i = 0; i < list->count; i++)
        blob_unref(list->rows[i].key);
    free(list->rows);
    *list = (struct row_list){0};
}

static enum rd_err list_add(struct row_list *list, struct resp_slice key, uint64_t digest) {
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : list->cap * 2;
        struct listed_row *grown = realloc(list->rows, cap * sizeof *grown);
        if (grown == NULL)
            return RD_ENOMEM;
        list->rows = grown;
        list->cap = cap;
    }
    struct blob *copy;
    enum rd_err err = blob_new(key.data, key.len, &copy);
    if (err == RD_OK)
        list->rows[list->count++] = (struct listed_row){copy, digest};
    return err;
}

/* ---- answering ------------------------------------------------------------------------------------ */

static void answer_rows(struct exchange *x, uint16_t member, uint64_t id, enum rd_err err, bool end,
                        struct resp_slice last, const struct buf *rows) {
    struct wire_msg msg = {.kind = WIRE_ROWS_ANSWER};
    msg.rows_answer.id = id;
    msg.rows_answer.err = err;
    msg.rows_answer.end = end;
    if (err == RD_OK) {
        msg.rows_answer.last = last;
        msg.rows_answer.rows = (struct resp_slice){buf_data(rows), buf_len(rows)};
    }
    exchange_say(x, member, &msg);
}

static void scan_slot(struct exchange *x, uint64_t token, uint16_t slot, struct blob *after) {
    struct effect *effect = effects_push(x->core->effects, EFF_STORE_SCAN);
    effect->store_scan = (struct store_scan_order){.token = token,
                                                   .first_slot = slot,
                                                   .last_slot = slot,
                                                   .after_slot = slot,
                                                   .after_key = blob_ref(after),
                                                   .max_rows = PAGE_ROWS,
                                                   .max_bytes = PAGE_BYTES};
}

void exchange_serve_rows(struct exchange *x, uint16_t member, const struct wire_msg *msg) {
    const struct buf none = {0};
    struct exchange_serve *serve = NULL;
    struct blob *after = NULL;
    for (unsigned i = 0; i < EXCHANGE_SERVES && serve == NULL; i++)
        if (x->serves[i].token == 0)
            serve = &x->serves[i];
    bool known = msg->rows.slot < SLOT_COUNT && x->core->view.leaf_of != NULL &&
                 exchange_shares(
                     x, slot_partition((uint16_t)msg->rows.slot, x->core->conf.partitions), member);
    if (serve == NULL || !known || !budget_open(x->budget, x->core->now.mono_us) ||
        (msg->rows.resumed != 0 &&
         blob_new(msg->rows.after.data, msg->rows.after.len, &after) != RD_OK)) {
        answer_rows(x, member, msg->rows.id, RD_EOVERLOADED, false, (struct resp_slice){0}, &none);
        return;
    }
    *serve = (struct exchange_serve){.token = SCAN_TOKEN(SCAN_EXCHANGE, ++x->next_token),
                                     .member = member,
                                     .id = msg->rows.id,
                                     .slot = (uint16_t)msg->rows.slot,
                                     .leaves = (uint16_t)msg->rows.leaves};
    scan_slot(x, serve->token, serve->slot, after);
    blob_unref(after);
}

/* True if the row is one of the leaves wanted; then *digest is its, 0 if it is damaged. */
static bool is_wanted(struct exchange *x, const struct scanned_row *row, uint16_t slot,
                      uint16_t leaves, uint64_t *digest) {
    const struct store_view *view = &x->core->view;
    budget_spend(x->budget, ROW_COST + (row->value == NULL ? 0 : row->value->len));
    if ((leaves >> view->leaf_of(view->arg, slot, row->key) & 1) == 0)
        return false;
    if (!scrub_digest(row, digest))
        *digest = 0;
    return true;
}

static void serve_page(struct exchange *x, struct exchange_serve *serve, enum rd_err err,
                       const struct scanned_row *rows, size_t count, bool end) {
    struct buf out = {0};
    struct resp_slice last = {0};
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        uint64_t digest;
        uint8_t head[12];
        last = rows[i].key;
        if (!is_wanted(x, &rows[i], serve->slot, serve->leaves, &digest))
            continue;
        for (unsigned k = 0; k < 4; k++)
            head[k] = (uint8_t)(rows[i].key.len >> (24 - 8 * k));
        bytes_put_u64(head + 4, digest);
        err = buf_append(&out, head, sizeof head);
        if (err == RD_OK && rows[i].key.len > 0)
            err = buf_append(&out, rows[i].key.data, rows[i].key.len);
    }
    serve->token = 0;
    answer_rows(x, serve->member, serve->id, err, end || count == 0, last, &out);
    buf_free(&out);
}

/* ---- comparing ------------------------------------------------------------------------------------ */

static int key_order(const struct blob *a, const struct blob *b) {
    size_t least = a->len < b->len ? a->len : b->len;
    int order = least == 0 ? 0 : memcmp(a->bytes, b->bytes, least);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static void note(struct exchange *x, struct blob *key, const struct listed_row *mine,
                 const struct listed_row *theirs, uint16_t *differing) {
    const struct store_view *view = &x->core->view;
    uint64_t own = mine == NULL ? 0 : mine->digest == 0 ? DIGEST_DAMAGED : mine->digest;
    uint64_t other = theirs == NULL ? 0 : theirs->digest == 0 ? DIGEST_DAMAGED : theirs->digest;
    struct resp_slice text = {key->bytes, key->len};
    if (own == other && own != DIGEST_DAMAGED)
        return;
    *differing |= (uint16_t)(1u << view->leaf_of(view->arg, x->session->slot, text));
    exchange_add_key(x->session, key, own, other);
}

/* Leaves that differ without a key that does: somebody's leaf has drifted from its rows. Both count. */
static void doubt_leaves(struct exchange *x, uint16_t differing) {
    struct exchange_session *s = x->session;
    struct wire_msg msg = {.kind = WIRE_RECOUNT};
    if ((s->slot_leaves & ~differing) == 0 || !s->mine.end || !s->theirs.end)
        return;
    scrub_want(x->scrub, s->slot);
    msg.recount.slot = s->slot;
    exchange_say(x, s->member, &msg);
    s->more = false; /* another exchange at once would find the same */
}

/* Compares the two lists, as far as both reach. */
static void compare_slot(struct exchange *x) {
    struct exchange_session *s = x->session;
    size_t m = 0, t = 0;
    uint16_t differing = 0;
    while (m < s->mine.count || t < s->theirs.count) {
        const struct listed_row *mine = m < s->mine.count ? &s->mine.rows[m] : NULL;
        const struct listed_row *theirs = t < s->theirs.count ? &s->theirs.rows[t] : NULL;
        if ((mine == NULL && !s->mine.end) || (theirs == NULL && !s->theirs.end)) {
            s->more = true;
            break;
        }
        int order = mine == NULL ? 1 : theirs == NULL ? -1 : key_order(mine->key, theirs->key);
        note(x, order <= 0 ? mine->key : theirs->key, order <= 0 ? mine : NULL,
             order >= 0 ? theirs : NULL, &differing);
        m += order <= 0;
        t += order >= 0;
    }
    doubt_leaves(x, differing);
}

/* ---- asking --------------------------------------------------------------------------------------- */

/* Takes the next slot of `kept`, with all its leaves. */
static void next_slot(struct exchange *x) {
    struct exchange_session *s = x->session;
    uint32_t slots = SLOT_COUNT / x->core->conf.partitions;
    uint32_t per_slot = x->core->view.leaves_per_slot;
    exchange_list_clear(&s->mine);
    exchange_list_clear(&s->theirs);
    s->slot_leaves = 0;
    for (bool first = true; s->kept_next < s->kept_count; first = false, s->kept_next++) {
        const struct tree_node *leaf = &s->kept[s->kept_next];
        uint16_t slot = (uint16_t)(leaf->partition * slots + leaf->index / per_slot);
        if (first)
            s->slot = slot;
        else if (slot != s->slot)
            break;
        s->slot_leaves |= (uint16_t)(1u << leaf->index % per_slot);
    }
}

static bool ask_own(struct exchange *x, struct blob *after) {
    struct exchange_session *s = x->session;
    s->own_page = true;
    s->own_token = SCAN_TOKEN(SCAN_EXCHANGE, OWN_PAGE | ++x->next_token);
    scan_slot(x, s->own_token, s->slot, after);
    return true;
}

static bool ask_theirs(struct exchange *x, struct resp_slice after, bool resumed) {
    struct exchange_session *s = x->session;
    struct wire_msg msg = {.kind = WIRE_ROWS};
    msg.rows.id = s->id;
    msg.rows.slot = s->slot;
    msg.rows.leaves = s->slot_leaves;
    msg.rows.resumed = resumed;
    msg.rows.after = after;
    s->awaiting = exchange_say(x, s->member, &msg);
    return s->awaiting;
}

bool exchange_list(struct exchange *x) {
    struct exchange_session *s = x->session;
    if (s->slot_leaves != 0 && (s->awaiting || s->own_page))
        return false;
    if (s->slot_leaves != 0)
        compare_slot(x);
    next_slot(x);
    if (s->slot_leaves == 0 || s->key_count == EXCHANGE_MAX_KEYS)
        return true;
    ask_own(x, NULL);
    if (!ask_theirs(x, (struct resp_slice){0}, false))
        exchange_end(x, false);
    return false;
}

static bool unpack_row(struct resp_slice *at, struct resp_slice *key, uint64_t *digest) {
    if (at->len < 12)
        return false;
    size_t len = (size_t)at->data[0] << 24 | (size_t)at->data[1] << 16 | (size_t)at->data[2] << 8 |
                 at->data[3];
    *digest = bytes_get_u64(at->data + 4);
    if (len > at->len - 12)
        return false;
    *key = (struct resp_slice){at->data + 12, len};
    at->data += 12 + len;
    at->len -= 12 + len;
    return true;
}

enum rd_err exchange_take_rows(struct exchange *x, const struct wire_msg *msg) {
    struct exchange_session *s = x->session;
    struct resp_slice at = msg->rows_answer.rows, key;
    uint64_t digest;
    if (msg->rows_answer.err != RD_OK) {
        exchange_end(x, false);
        return RD_OK;
    }
    budget_spend(x->budget, at.len);
    while (at.len > 0) {
        if (!unpack_row(&at, &key, &digest))
            return RD_EPROTO;
        if (list_add(&s->theirs, key, digest) != RD_OK) {
            exchange_end(x, false);
            return RD_OK;
        }
        const struct listed_row *rows = s->theirs.rows;
        size_t count = s->theirs.count;
        if (count > 1 && key_order(rows[count - 2].key, rows[count - 1].key) >= 0)
            return RD_EPROTO;
    }
    s->theirs.end = msg->rows_answer.end == 1;
    if (!s->theirs.end && s->theirs.count < MAX_LISTED &&
        !ask_theirs(x, msg->rows_answer.last, true))
        exchange_end(x, false);
    return RD_OK;
}

static void own_page(struct exchange *x, enum rd_err err, const struct scanned_row *rows,
                     size_t count, bool end) {
    struct exchange_session *s = x->session;
    struct blob *after = NULL;
    s->own_page = false;
    exchange_progress(x);
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        uint64_t digest;
        if (is_wanted(x, &rows[i], s->slot, s->slot_leaves, &digest))
            err = list_add(&s->mine, rows[i].key, digest);
    }
    s->mine.end = end || count == 0;
    if (err == RD_OK && !s->mine.end && s->mine.count < MAX_LISTED) {
        err = blob_new(rows[count - 1].key.data, rows[count - 1].key.len, &after);
        if (err == RD_OK)
            ask_own(x, after);
        blob_unref(after);
    }
    if (err != RD_OK)
        exchange_end(x, false);
    exchange_run(x);
}

void exchange_scanned(struct exchange *x, uint64_t token, enum rd_err err,
                      const struct scanned_row *rows, size_t count, bool end) {
    for (unsigned i = 0; i < EXCHANGE_SERVES; i++)
        if (x->serves[i].token == token) {
            serve_page(x, &x->serves[i], err, rows, count, end);
            return;
        }
    if (x->session != NULL && x->session->own_page && x->session->own_token == token)
        own_page(x, err, rows, count, end);
}
