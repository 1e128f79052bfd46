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
#define AGAIN_US 50000 /* a peer without room for a scan is asked again */

/* In messages about rows the lane stands above the session's id, and above it the number of the question. */
#define LANE_SHIFT 32
#define QUESTION_SHIFT 40

static void list_clear(struct row_list *list) {
    for (size_t i = 0; i < list->count; i++)
        blob_unref(list->rows[i].key);
    free(list->rows);
    *list = (struct row_list){0};
}

void exchange_lane_clear(struct exchange_lane *lane) {
    list_clear(&lane->mine);
    list_clear(&lane->theirs);
    blob_unref(lane->after);
    *lane = (struct exchange_lane){0};
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
        answer_rows(x, member, msg->rows.id, known ? RD_EOVERLOADED : RD_EREFUSED, false,
                    (struct resp_slice){0}, &none);
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

static void note(struct exchange *x, const struct exchange_lane *lane, struct blob *key,
                 const struct listed_row *mine, const struct listed_row *theirs,
                 uint16_t *differing) {
    const struct store_view *view = &x->core->view;
    uint64_t own = mine == NULL ? 0 : mine->digest == 0 ? DIGEST_DAMAGED : mine->digest;
    uint64_t other = theirs == NULL ? 0 : theirs->digest == 0 ? DIGEST_DAMAGED : theirs->digest;
    struct resp_slice text = {key->bytes, key->len};
    if (own == other && own != DIGEST_DAMAGED)
        return;
    *differing |= (uint16_t)(1u << view->leaf_of(view->arg, lane->slot, text));
    exchange_add_key(x->session, key, own, other);
}

/* Leaves that differ without a key that does: somebody's leaf has drifted from its rows. Both count. */
static void doubt_leaves(struct exchange *x, const struct exchange_lane *lane, uint16_t differing) {
    struct exchange_session *s = x->session;
    struct wire_msg msg = {.kind = WIRE_RECOUNT};
    if ((lane->leaves & ~differing) == 0 || !lane->mine.end || !lane->theirs.end)
        return;
    scrub_want(x->scrub, lane->slot);
    msg.recount.slot = lane->slot;
    exchange_say(x, s->member, &msg);
}

/* Compares the two lists, as far as both reach. */
static void compare_slot(struct exchange *x, const struct exchange_lane *lane) {
    const struct row_list *own = &lane->mine, *other = &lane->theirs;
    size_t m = 0, t = 0;
    uint16_t differing = 0;
    while (m < own->count || t < other->count) {
        const struct listed_row *mine = m < own->count ? &own->rows[m] : NULL;
        const struct listed_row *theirs = t < other->count ? &other->rows[t] : NULL;
        if ((mine == NULL && !own->end) || (theirs == NULL && !other->end)) {
            x->session->more = true;
            break;
        }
        int order = mine == NULL ? 1 : theirs == NULL ? -1 : key_order(mine->key, theirs->key);
        note(x, lane, order <= 0 ? mine->key : theirs->key, order <= 0 ? mine : NULL,
             order >= 0 ? theirs : NULL, &differing);
        m += order <= 0;
        t += order >= 0;
    }
    doubt_leaves(x, lane, differing);
}

/* ---- asking --------------------------------------------------------------------------------------- */

/* Gives the lane the next slot of `kept`, with all its leaves. */
static void next_slot(struct exchange *x, struct exchange_lane *lane) {
    struct exchange_session *s = x->session;
    uint32_t slots = SLOT_COUNT / x->core->conf.partitions;
    uint32_t per_slot = x->core->view.leaves_per_slot;
    for (; s->kept_next < s->kept_count; s->kept_next++) {
        const struct tree_node *leaf = &s->kept[s->kept_next];
        uint16_t slot = (uint16_t)(leaf->partition * slots + leaf->index / per_slot);
        if (!lane->busy)
            lane->slot = slot;
        else if (slot != lane->slot)
            break;
        lane->busy = true;
        lane->leaves |= (uint16_t)(1u << leaf->index % per_slot);
    }
}

static void ask_own(struct exchange *x, struct exchange_lane *lane, struct blob *after) {
    lane->own_page = true;
    lane->own_token = SCAN_TOKEN(SCAN_EXCHANGE, OWN_PAGE | ++x->next_token);
    scan_slot(x, lane->own_token, lane->slot, after);
}

/* Asks for the peer's next page, or, if it is out of reach, sees to it that it is asked when it is back. */
static void ask_theirs(struct exchange *x, struct exchange_lane *lane) {
    struct exchange_session *s = x->session;
    struct wire_msg msg = {.kind = WIRE_ROWS};
    uint64_t question = ++s->questions & (UINT64_MAX >> QUESTION_SHIFT);
    lane->asked = s->id | (uint64_t)(lane - s->lanes) << LANE_SHIFT | question << QUESTION_SHIFT;
    msg.rows.id = lane->asked;
    msg.rows.slot = lane->slot;
    msg.rows.leaves = lane->leaves;
    msg.rows.resumed = lane->after != NULL;
    if (lane->after != NULL)
        msg.rows.after = (struct resp_slice){lane->after->bytes, lane->after->len};
    lane->since_us = x->core->now.mono_us;
    lane->awaiting = exchange_say(x, s->member, &msg);
    lane->again_us = lane->awaiting ? 0 : lane->since_us + AGAIN_US;
}

void exchange_list_lost(struct exchange *x) {
    for (unsigned i = 0; i < EXCHANGE_LANES; i++) {
        struct exchange_lane *lane = &x->session->lanes[i];
        if (lane->awaiting)
            lane->again_us = x->core->now.mono_us + AGAIN_US;
        lane->awaiting = false;
    }
}

/* Does for a lane what can be done without waiting. */
static void run_lane(struct exchange *x, struct exchange_lane *lane) {
    struct exchange_session *s = x->session;
    uint64_t now_us = x->core->now.mono_us;
    if (lane->busy && lane->again_us != 0) {
        if (lane->again_us <= now_us)
            ask_theirs(x, lane);
        return;
    }
    if (lane->busy && (lane->own_page || lane->awaiting))
        return;
    if (lane->busy)
        compare_slot(x, lane);
    exchange_lane_clear(lane);
    if (s->key_count == EXCHANGE_MAX_KEYS || !budget_open(x->budget, now_us))
        return;
    next_slot(x, lane);
    if (!lane->busy)
        return;
    ask_own(x, lane, NULL);
    ask_theirs(x, lane);
}

bool exchange_list(struct exchange *x) {
    struct exchange_session *s = x->session;
    bool busy = false;
    for (unsigned i = 0; i < EXCHANGE_LANES; i++) {
        if (s->lanes[i].busy || i < flow_width(&x->pages))
            run_lane(x, &s->lanes[i]);
        busy |= s->lanes[i].busy;
    }
    bool full = s->key_count == EXCHANGE_MAX_KEYS;
    s->more |= full && s->kept_next < s->kept_count;
    return !busy && (full || s->kept_next == s->kept_count);
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

/* Adds a page of the peer's rows. Errors: RD_EPROTO, RD_ENOMEM. */
static enum rd_err add_page(struct row_list *list, struct resp_slice at) {
    struct resp_slice key;
    uint64_t digest;
    while (at.len > 0) {
        if (!unpack_row(&at, &key, &digest))
            return RD_EPROTO;
        enum rd_err err = list_add(list, key, digest);
        if (err != RD_OK)
            return err;
        size_t count = list->count;
        if (count > 1 && key_order(list->rows[count - 2].key, list->rows[count - 1].key) >= 0)
            return RD_EPROTO;
    }
    return RD_OK;
}

enum rd_err exchange_take_rows(struct exchange *x, const struct wire_msg *msg) {
    struct exchange_session *s = x->session;
    uint64_t number = msg->rows_answer.id >> LANE_SHIFT & UINT8_MAX;
    struct exchange_lane *lane = number < EXCHANGE_LANES ? &s->lanes[number] : NULL;
    struct blob *after = NULL;
    if (lane == NULL || !lane->awaiting || lane->asked != msg->rows_answer.id)
        return RD_OK;
    exchange_progress(x);
    lane->awaiting = false;
    if (msg->rows_answer.err == RD_EOVERLOADED) {
        lane->again_us = x->core->now.mono_us + AGAIN_US;
        return RD_OK;
    }
    flow_took(&x->pages, x->core->now.mono_us - lane->since_us, x->core->now.mono_us);
    budget_spend(x->budget, msg->rows_answer.rows.len);
    enum rd_err err = msg->rows_answer.err == RD_OK ? add_page(&lane->theirs, msg->rows_answer.rows)
                                                    : RD_EREFUSED;
    if (err == RD_EPROTO)
        return err;
    lane->theirs.end = msg->rows_answer.end == 1;
    if (err == RD_OK && !lane->theirs.end && lane->theirs.count < MAX_LISTED) {
        err = blob_new(msg->rows_answer.last.data, msg->rows_answer.last.len, &after);
        if (err == RD_OK) {
            blob_unref(lane->after);
            lane->after = after;
            ask_theirs(x, lane);
        }
    }
    if (err != RD_OK)
        exchange_end(x, false);
    return RD_OK;
}

static void own_page(struct exchange *x, struct exchange_lane *lane, enum rd_err err,
                     const struct scanned_row *rows, size_t count, bool end) {
    struct blob *after = NULL;
    lane->own_page = false;
    exchange_progress(x);
    for (size_t i = 0; i < count && err == RD_OK; i++) {
        uint64_t digest;
        if (is_wanted(x, &rows[i], lane->slot, lane->leaves, &digest))
            err = list_add(&lane->mine, rows[i].key, digest);
    }
    lane->mine.end = end || count == 0;
    if (err == RD_OK && !lane->mine.end && lane->mine.count < MAX_LISTED) {
        err = blob_new(rows[count - 1].key.data, rows[count - 1].key.len, &after);
        if (err == RD_OK)
            ask_own(x, lane, after);
        blob_unref(after);
    }
    if (err != RD_OK)
        exchange_end(x, false);
    exchange_run(x);
}

void exchange_scanned(struct exchange *x, uint64_t token, enum rd_err err,
                      const struct scanned_row *rows, size_t count, bool end) {
    struct exchange_session *s = x->session;
    for (unsigned i = 0; i < EXCHANGE_SERVES; i++)
        if (x->serves[i].token == token) {
            serve_page(x, &x->serves[i], err, rows, count, end);
            return;
        }
    for (unsigned i = 0; s != NULL && i < EXCHANGE_LANES; i++)
        if (s->lanes[i].own_page && s->lanes[i].own_token == token) {
            own_page(x, &s->lanes[i], err, rows, count, end);
            return;
        }
}
