/* Scans. See op_scan.h.
 *
 * Invariants: (1) every key wanted at or before `at`, and behind where the request began, has been looked at with the lists of R homes of its
 * partition at least; (2) `at` only moves forward; (3) a source's list is taken only from the round in which it was asked. */
#include "replication/op_scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/coordinator.h"
#include "replication/op_scan_wave.h"

#define REPLY_BYTES (1u << 20) /* of keys */
#define COUNT_MOST SCAN_ANSWER_ROWS

/* ---- where recent cursors stood ------------------------------------------------------------------ */

static uint64_t cursor_of(const struct scan_position *at) {
    uint64_t place =
        at->key == NULL ? 0 : scan_place((struct resp_slice){at->key->bytes, at->key->len});
    return (uint64_t)at->slot << SCAN_PLACE_BITS | place;
}

void scan_memory_free(struct scan_memory *memory) {
    for (uint32_t i = 0; i < SCAN_REMEMBERED; i++)
        blob_unref(memory->places[i].key);
    *memory = (struct scan_memory){0};
}

static void remember(struct scan_memory *memory, uint64_t cursor, struct blob *key) {
    if (key->len > SCAN_REMEMBERED_BYTES)
        return;
    uint32_t i = memory->next++ % SCAN_REMEMBERED;
    blob_unref(memory->places[i].key);
    memory->places[i].cursor = cursor;
    memory->places[i].key = blob_ref(key);
}

static struct blob *recall(const struct scan_memory *memory, uint64_t cursor) {
    for (uint32_t i = 0; i < SCAN_REMEMBERED; i++)
        if (memory->places[i].key != NULL && memory->places[i].cursor == cursor)
            return memory->places[i].key;
    return NULL;
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void release(struct request *request) {
    struct op_scan *op = &request->scan;
    scan_wave_forget(op);
    free(op->sources);
    scan_position_free(&op->at);
    buf_free(&op->keys);
    op_flush_free(&op->deletion);
}

static bool is_at_end(const struct op_scan *op) {
    return op->at.slot > op->last_slot;
}

void op_scan_finish(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    struct client_reply *reply = coordinator_reply_new(co, RD_OK);
    if (reply != NULL) {
        reply->cursor = is_at_end(op) ? 0 : cursor_of(&op->at);
        assert(reply->cursor != 0 || is_at_end(op));
        reply->after_key = blob_ref(is_at_end(op) ? NULL : op->at.key);
        reply->keys = op->keys;
        op->keys = (struct buf){0};
        reply->stand_ins = op->stand_ins;
        reply->number = op->flush ? op->deletion.deleted : op->key_count;
        if (reply->after_key != NULL && !op->exact)
            remember(&co->scan_memory, reply->cursor, reply->after_key);
    }
    coordinator_finish(co, request, reply);
}

/* The page is merged. */
static void conclude(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    scan_wave_forget(op);
    if (op->flush)
        op_flush_begin(co, request);
    else
        op_scan_finish(co, request);
}

static void fail_memory(struct coordinator *co, struct request *request) {
    coordinator_fail(co, request, RD_ENOMEM, "out of memory");
}

/* True if a page that ends here is not where it began, nor where cursors mean the end. */
static bool has_moved(const struct op_scan *op) {
    uint64_t cursor = cursor_of(&op->at);
    return is_at_end(op) || (cursor != op->began_cursor && cursor != 0);
}

/* ---- waves --------------------------------------------------------------------------------------- */

static void set_bit(uint8_t *bits, uint16_t member) {
    bits[member / 8] |= (uint8_t)(1u << member % 8);
}

/* Asks for what comes next. May end the request. */
static void next_wave(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    do {
        op->round++;
        if (!scan_wave_plan(co, request))
            return;
    } while (!scan_wave_ask(co, request));
    op->asked_us = co->core->now.mono_us;
}

/* How many partitions are likely to have as many keys as are wanted, by what this node holds itself. */
static uint32_t first_guess(const struct coordinator *co, uint32_t count) {
    const struct store_view *view = &co->core->view;
    uint32_t partitions = co->core->conf.partitions;
    if (view->live_count == NULL || co->placement->owned == 0)
        return 1;
    uint64_t live = view->live_count(view->arg, 0, SLOT_COUNT - 1);
    if (live == 0)
        return partitions;
    uint64_t guess = (uint64_t)count * co->placement->owned / live + 1;
    return guess < partitions ? (uint32_t)guess : partitions;
}

static uint64_t timeout_us(const struct coordinator *co) {
    return (uint64_t)co->core->conf.request_timeout_ms * 1000;
}

/* How long to wait before something else is tried. */
static uint64_t patience(const struct coordinator *co) {
    return timeout_us(co) / 4;
}

/* Looks for the place first; the page has its full time behind that. */
static void locate(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    op->state = SCAN_LOCATING;
    op->locate_until_us = co->core->now.mono_us + SCAN_LOCATE_TIMEOUTS * timeout_us(co);
    coordinator_deadline_at(co, request, op->locate_until_us + timeout_us(co));
}

/* Goes on from `at`: the place was found, or no key has it any more. */
static void located(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    op->place = 0;
    op->state = SCAN_WAVE;
    coordinator_deadline_at(co, request, co->core->now.mono_us + timeout_us(co));
    next_wave(co, request);
}

void op_scan_start(struct coordinator *co, struct request *request,
                   const struct client_request *client) {
    struct op_scan *op = &request->scan;
    uint64_t slot = client->cursor >> SCAN_PLACE_BITS;
    request->release = release;
    request->order.w = client->w != 0 ? client->w : co->core->conf.w;
    op->flush = client->op == CLIENT_FLUSH;
    op->exact = op->flush || client->exact;
    op->r = client->r != 0 ? client->r : co->core->conf.r;
    op->count = client->count < 1 ? 1 : client->count < COUNT_MOST ? client->count : COUNT_MOST;
    op->last_slot = client->last_slot < SLOT_COUNT ? client->last_slot : SLOT_COUNT - 1;
    op->state = SCAN_WAVE;
    op->began_cursor = client->cursor;
    if (slot > op->last_slot) { /* no cursor of ours: there is nothing behind it */
        scan_position_slot(&op->at, SLOT_COUNT);
        op_scan_finish(co, request);
        return;
    }
    scan_position_slot(&op->at, (uint16_t)slot);
    op->place = client->cursor & ((UINT64_C(1) << SCAN_PLACE_BITS) - 1);
    op->wave_partitions = first_guess(co, op->count);
    struct blob *known = op->place == 0 ? NULL : recall(&co->scan_memory, client->cursor);
    if (client->key != NULL) {
        const struct resp_slice key = {client->key, client->key_len};
        if (scan_position_key(&op->at, (uint16_t)slot, key) != RD_OK) {
            fail_memory(co, request);
            return;
        }
        op->place = 0;
    } else if (known != NULL) {
        op->at.key = blob_ref(known);
        op->place = 0;
    }
    if (op->place != 0)
        locate(co, request);
    op->asked_us = co->core->now.mono_us;
    coordinator_hedge_at(co, request, op->asked_us + patience(co));
    next_wave(co, request);
}

/* ---- merging ------------------------------------------------------------------------------------- */

/* Moves a source to its next entry. The page has been checked. */
static void advance(const struct coordinator *co, struct scan_source *source) {
    struct resp_slice page = {buf_data(&source->page), buf_len(&source->page)};
    source->have = source->at < page.len;
    if (!source->have)
        return;
    enum rd_err err = scan_page_next(page, &source->at, &source->entry);
    assert(err == RD_OK);
    (void)err;
    source->slot =
        slot_of_key(co->core->conf.partitioner, source->entry.key.data, source->entry.key.len);
}

/* How far all lists reach. */
static const struct scan_position *shortest(const struct op_scan *op) {
    const struct scan_position *to = &op->sources[0].to;
    for (uint32_t i = 1; i < op->source_count; i++)
        if (scan_position_compare(&op->sources[i].to, to) < 0)
            to = &op->sources[i].to;
    return to;
}

/* The source whose entry comes first, up to `to`; NULL: none. */
static struct scan_source *first_source(struct op_scan *op, const struct scan_position *to) {
    struct scan_source *first = NULL;
    for (uint32_t i = 0; i < op->source_count; i++) {
        struct scan_source *source = &op->sources[i];
        if (source->have && (first == NULL || scan_order(source->slot, source->entry.key,
                                                         first->slot, first->entry.key) < 0))
            first = source;
    }
    return first != NULL && scan_position_passed(to, first->slot, first->entry.key) ? first : NULL;
}

static bool lists(const struct scan_source *source, uint16_t slot, struct resp_slice key) {
    return source->have && scan_order(source->slot, source->entry.key, slot, key) == 0;
}

/* True if a home of the key that was asked does not list it. */
static bool is_disputed(const struct coordinator *co, const struct op_scan *op, uint16_t slot,
                        struct resp_slice key) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count =
        placement_homes(co->placement, slot_partition(slot, co->core->conf.partitions), homes);
    for (uint32_t i = 0; i < op->source_count; i++) {
        if (op->sources[i].hints || lists(&op->sources[i], slot, key))
            continue;
        for (size_t h = 0; h < count; h++)
            if (homes[h] == op->sources[i].member)
                return true;
    }
    return false;
}

/* Merges all copies of the key into `merged`. */
static enum rd_err merge_copies(struct op_scan *op, uint16_t slot, struct resp_slice key,
                                struct object *merged) {
    enum rd_err err = RD_OK;
    for (uint32_t i = 0; i < op->source_count && err == RD_OK; i++) {
        struct object copy;
        if (!lists(&op->sources[i], slot, key))
            continue;
        struct resp_slice bytes = op->sources[i].entry.object;
        err = object_decode(bytes.data, bytes.len, &copy);
        if (err != RD_OK)
            return err == RD_ENOMEM ? err : RD_OK; /* checked by its sender: nothing to go by */
        err = object_merge(merged, &copy, NULL);
        object_free(&copy);
    }
    return err;
}

/* Shows the key of `source`'s entry, or notes it for deletion, and moves `at` behind it. */
static enum rd_err take_key(struct coordinator *co, struct request *request, uint16_t slot,
                            struct resp_slice key) {
    struct op_scan *op = &request->scan;
    struct object merged = {0};
    uint16_t before = op->at.slot;
    enum rd_err err = merge_copies(op, slot, key, &merged);
    if (err == RD_OK)
        err = scan_position_key(&op->at, slot, key);
    if (err == RD_OK) {
        bool live = object_winner(&merged, co->core->now.wall_us / 1000) != NULL;
        op->in_slot = slot == before ? op->in_slot + 1 : 1;
        if (op->flush && merged.count > 0) {
            err = op_flush_add(co, request, op->at.key, &merged, live);
            op->key_count += err == RD_OK;
        } else if (live && !op->flush) {
            err = client_reply_add_key(&op->keys, key);
            op->key_count += err == RD_OK;
        }
    }
    object_free(&merged);
    return err;
}

static bool is_full(const struct op_scan *op) {
    return op->key_count >= op->count || buf_len(&op->keys) >= REPLY_BYTES;
}

/* True if the page may end where it stands. A cursor that names the same place as the one before would be no progress. */
static bool may_end(const struct op_scan *op, bool slot_is_done) {
    if (op->exact || slot_is_done || op->at.key == NULL)
        return true;
    return op->in_slot >= SCAN_CUT_ROWS && cursor_of(&op->at) != op->began_cursor;
}

enum merged { MERGED_ALL, MERGED_ENOUGH, MERGED_TO_DISPUTE, MERGED_NO_MEMORY };

/* Merges the lists as far as they all reach, or until the page is full. */
static enum merged merge(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    const struct scan_position *to = shortest(op);
    struct scan_source *first;
    while ((first = first_source(op, to)) != NULL) {
        uint16_t slot = first->slot;
        struct resp_slice key = first->entry.key;
        if (is_full(op) && may_end(op, slot != op->at.slot)) {
            if (slot != op->at.slot && op->at.key != NULL && !op->exact)
                scan_position_slot(&op->at, (uint16_t)(op->at.slot + 1));
            return MERGED_ENOUGH;
        }
        if (!op->flush && !op->tombstones && is_disputed(co, op, slot, key))
            return MERGED_TO_DISPUTE;
        if (take_key(co, request, slot, key) != RD_OK)
            return MERGED_NO_MEMORY;
        for (uint32_t i = 0; i < op->source_count; i++)
            if (&op->sources[i] != first && lists(&op->sources[i], slot, key))
                advance(co, &op->sources[i]);
        advance(co, first);
    }
    if (scan_position_compare(to, &op->at) > 0)
        scan_position_copy(&op->at, to);
    return MERGED_ALL;
}

/* True if there is no time for another wave. */
static bool is_late(const struct coordinator *co, const struct request *request) {
    uint64_t half = (uint64_t)co->core->conf.request_timeout_ms * 500;
    return co->core->now.mono_us + half >= request->deadline_us;
}

/* All lists of a wave are there. */
static void on_wave(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    for (uint32_t i = 0; i < op->source_count; i++)
        advance(co, &op->sources[i]);
    enum merged merged = merge(co, request);
    if (merged == MERGED_NO_MEMORY) {
        fail_memory(co, request);
        return;
    }
    op->tombstones = merged == MERGED_TO_DISPUTE;
    bool enough = merged == MERGED_ENOUGH || is_at_end(op) ||
                  (is_late(co, request) && has_moved(op)) || (is_full(op) && may_end(op, false));
    if (enough) {
        conclude(co, request);
        return;
    }
    if (merged == MERGED_ALL && op->wave_partitions < co->core->conf.partitions)
        op->wave_partitions *= 2;
    next_wave(co, request);
}

/* All have looked for the place. The first key that anybody found is where the scan goes on; if nobody did, the slot begins anew. */
static void on_located(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    const struct scan_source *best = NULL;
    for (uint32_t i = 0; i < op->source_count; i++) {
        const struct scan_source *source = &op->sources[i];
        bool found = source->to.key != NULL && source->to.slot == op->at.slot;
        if (found && (best == NULL || scan_position_compare(&source->to, &best->to) < 0))
            best = source;
    }
    if (best != NULL)
        scan_position_copy(&op->at, &best->to);
    located(co, request);
}

/* ---- answers ------------------------------------------------------------------------------------- */

/* The source of that member whose answer, named by `word`, is awaited. */
static struct scan_source *find_source(struct op_scan *op, uint16_t member, uint64_t word) {
    for (uint32_t i = 0; i < op->source_count; i++)
        if (op->sources[i].member == member && !op->sources[i].answered &&
            scan_wave_word(op, op->sources[i].hints) == word)
            return &op->sources[i];
    return NULL;
}

/* True if the answer keeps to what was asked. */
static bool is_sound(const struct coordinator *co, const struct op_scan *op,
                     const struct scan_answer *answer) {
    struct resp_slice page = {buf_data(&answer->page), buf_len(&answer->page)};
    if (answer->to.slot > op->wave_last + 1 ||
        (answer->to.slot == op->wave_last + 1 && answer->to.key != NULL))
        return false;
    return op->state == SCAN_LOCATING ||
           scan_page_check(page, co->core->conf.partitioner, &op->at, &answer->to) == RD_OK;
}

void op_scan_answer(struct coordinator *co, struct request *request, struct scan_answer *answer) {
    struct op_scan *op = &request->scan;
    struct scan_source *source = find_source(op, answer->member, answer->round);
    if (op->state == SCAN_DELETING || source == NULL) {
        co->core->stats.late_answers++;
        return;
    }
    if (answer->err != RD_OK || !is_sound(co, op, answer)) {
        set_bit(op->failed, answer->member);
        next_wave(co, request);
        return;
    }
    if (source->member != MEMBER_SELF)
        peers_served(co->peers, source->member);
    source->answered = true;
    source->to = answer->to;
    source->page = answer->page;
    answer->to = (struct scan_position){0};
    answer->page = (struct buf){0};
    if (--op->awaited > 0)
        return;
    if (op->state == SCAN_LOCATING)
        on_located(co, request);
    else
        on_wave(co, request);
}

void op_scan_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct op_scan *op = &request->scan;
    if (op->state == SCAN_DELETING)
        op_flush_lost(co, request, member);
    else if (find_source(op, member, scan_wave_word(op, false)) != NULL ||
             find_source(op, member, scan_wave_word(op, true)) != NULL)
        next_wave(co, request);
}

/* Notes who is silent, in this request and, if it has expired, for others too; says whether anybody but this node is. */
static bool blame(struct coordinator *co, struct op_scan *op, bool expired) {
    bool any = false;
    for (uint32_t i = 0; i < op->source_count; i++) {
        uint16_t member = op->sources[i].member;
        if (op->sources[i].answered || member == MEMBER_SELF)
            continue;
        if (expired)
            peers_missed(co->peers, member, op->asked_us);
        set_bit(op->silent, member);
        any = true;
    }
    return any;
}

/* The place is still being looked for: others are asked instead of those that have become suspects, and the same ones again if all is well, since
 * frames get lost; who is still at it takes no notice. */
static void locate_on(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    uint64_t now = co->core->now.mono_us;
    bool lost = false;
    if (now >= op->locate_until_us) { /* beginning the slot anew would never end */
        co->core->stats.quorum_failures_read++;
        coordinator_fail(co, request, RD_ENOQUORUM,
                         "the place of the cursor in slot %u was not found in time", op->at.slot);
        return;
    }
    for (uint32_t i = 0; i < op->source_count; i++)
        lost =
            lost || (!op->sources[i].answered && !coordinator_healthy(co, op->sources[i].member));
    if (!lost && scan_wave_ask(co, request))
        op->asked_us = now;
    else
        next_wave(co, request);
}

void op_scan_hedge(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    if (op->state == SCAN_DELETING || op->awaited == 0)
        return;
    uint64_t due = op->asked_us + patience(co), now = co->core->now.mono_us;
    coordinator_hedge_at(co, request, due > now ? due : now + patience(co));
    if (due > now)
        return;
    if (op->state == SCAN_LOCATING)
        locate_on(co, request);
    else if (blame(co, op,
                   false)) /* others are asked if there are enough, else the same ones again */
        next_wave(co, request);
}

void op_scan_expired(struct coordinator *co, struct request *request) {
    struct op_scan *op = &request->scan;
    if (op->state == SCAN_DELETING) {
        op_flush_expired(co, request);
        return;
    }
    blame(co, op, true);
    if (!op->flush && has_moved(op)) {
        op_scan_finish(co, request);
        return;
    }
    co->core->stats.quorum_failures_read++;
    coordinator_fail(co, request, RD_ENOQUORUM, "the replicas did not answer in time");
}
