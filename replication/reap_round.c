/* The round of reaping that a node drives. See reap.h.
 *
 *   filling --> WATCH --all have answered, a key is left--> rest --> CHECK --all agree, all fences are in--> REPLACE --all homes, or enough tries--> over
 *                                                            ^         |
 *                                                            +---------+ somebody is busy, or a fence is missing
 *
 * Invariants: (1) a key is replaced only if all members agreed to it in both steps, each as the same process in the same incarnation; (2) and if each
 * member has met, of each other one, a later fence than the last one that had been sent when that one agreed first. */
#include "replication/reap_private.h"

#include <assert.h>
#include <stdlib.h>

#include "replication/shrink.h"

#define SETTLE_US 3000000    /* everysec: by then the rows are synced */
#define AGAIN_US 1000000     /* before CHECK is tried again */
#define PATIENCE_US 30000000 /* for the answers to one step */
#define CHECK_TRIES 30
#define REPLACE_TRIES 5
#define KEY_COST 64

static uint64_t now_us(const struct reap *reap) {
    return reap->core->now.mono_us;
}

static void key_free(struct reap_key *key) {
    blob_unref(key->key);
    version_free(&key->living);
    version_free(&key->idle);
    version_free(&key->kept);
}

struct reap_round *reap_round_new(struct reap *reap) {
    struct reap_round *round = calloc(1, sizeof *round);
    if (round == NULL)
        return NULL;
    round->voice_count = reap->members->count;
    round->keys = calloc(REAP_MAX_KEYS, sizeof *round->keys);
    round->voices = calloc(round->voice_count, sizeof *round->voices);
    if (round->keys == NULL || round->voices == NULL) {
        free(round->keys);
        free(round->voices);
        free(round);
        return NULL;
    }
    round->id = ++reap->last_id & UINT32_MAX;
    round->filling = true;
    return round;
}

void reap_round_free(struct reap *reap) {
    struct reap_round *round = reap->round;
    if (round == NULL)
        return;
    for (uint32_t i = 0; i < round->count; i++)
        key_free(&round->keys[i]);
    for (uint16_t i = 0; i < round->voice_count; i++)
        buf_free(&round->voices[i].fences);
    free(round->keys);
    free(round->voices);
    free(round);
    reap->round = NULL;
}

bool reap_round_has_room(const struct reap_round *round, size_t key_len) {
    return round->count < REAP_MAX_KEYS &&
           (round->count == 0 || round->bytes + key_len <= REAP_MAX_BYTES);
}

enum rd_err reap_round_add(struct reap_round *round, struct resp_slice key, uint16_t partition,
                           const struct object *object, bool gone) {
    struct reap_key added = {.digest = object_digest(object), .partition = partition, .gone = gone};
    added.expired = gone && object->count > 0;
    added.agreed = true;
    enum rd_err err = blob_new(key.data, key.len, &added.key);
    if (err == RD_OK && !gone)
        err = shrink_split(object, &added.living, &added.idle);
    if (err != RD_OK) {
        key_free(&added);
        return err;
    }
    round->keys[round->count++] = added;
    round->bytes += key.len;
    return RD_OK;
}

/* ---- asking ----------------------------------------------------------------------------------------- */

bool reap_all_reachable(const struct reap *reap) {
    for (size_t i = 0; i < reap->placement->count; i++) {
        uint16_t member = reap->placement->to_member[i];
        if (member != MEMBER_SELF && !peers_reachable(reap->peers, member))
            return false;
    }
    return true;
}

/* Tells all that nothing more is wanted of them. */
static void let_go(struct reap *reap) {
    struct wire_msg msg = {.kind = WIRE_REAP_REPLACE};
    msg.reap.id = reap->round->id;
    for (uint16_t i = 0; i < reap->round->voice_count; i++) {
        if (!reap->round->voices[i].member)
            continue;
        if (i == MEMBER_SELF)
            reap_part_order(reap, i, &msg);
        else
            reap_say(reap, i, &msg);
    }
}

static void end(struct reap *reap, bool done) {
    let_go(reap);
    core_trace(reap->core, "round %llu of reaping ends: %u keys, %s",
               (unsigned long long)reap->round->id, reap->round->count,
               done ? "some forgotten" : "none forgotten");
    reap_round_free(reap);
    reap_ended(reap, done);
}

void reap_give_up(struct reap *reap) {
    if (reap->round != NULL && !reap->round->filling)
        end(reap, false);
    else
        reap_round_free(reap);
}

static void rest(struct reap_round *round, uint64_t until_us) {
    round->resting = true;
    round->due_us = until_us;
}

/* Sends `msg` to all voices that have not answered, itself last: its answer may come at once, and end the round. */
static void ask(struct reap *reap, const struct wire_msg *msg) {
    struct reap_round *round = reap->round;
    round->resting = false;
    round->due_us = now_us(reap) + PATIENCE_US;
    for (uint16_t i = 1; i < round->voice_count; i++)
        if (round->voices[i].member && !round->voices[i].answered && !reap_say(reap, i, msg)) {
            end(reap, false);
            return;
        }
    if (round->voices[MEMBER_SELF].member && !round->voices[MEMBER_SELF].answered)
        reap_part_order(reap, MEMBER_SELF, msg);
}

static bool is_home_of_any(const struct reap *reap, uint16_t member) {
    const struct reap_round *round = reap->round;
    uint16_t homes[PREFLIST_MAX_N];
    for (uint32_t i = 0; i < round->count; i++) {
        size_t count = placement_homes(reap->placement, round->keys[i].partition, homes);
        for (size_t h = 0; round->keys[i].agreed && h < count; h++)
            if (homes[h] == member)
                return true;
    }
    return false;
}

static void expect_all(struct reap_round *round) {
    for (uint16_t i = 0; i < round->voice_count; i++)
        round->voices[i].answered = false;
}

void reap_round_begin(struct reap *reap) {
    struct reap_round *round = reap->round;
    struct wire_msg msg = {.kind = WIRE_REAP_WATCH};
    struct buf wishes = {0};
    enum rd_err err = RD_OK;
    assert(round->filling && round->count > 0);
    round->filling = false;
    round->step = REAP_WATCH;
    for (size_t i = 0; i < reap->placement->count; i++) {
        uint16_t member = reap->placement->to_member[i];
        if (member >= round->voice_count)
            err = RD_EREFUSED; /* it has just come */
        else
            round->voices[member].member = true;
    }
    for (uint32_t i = 0; err == RD_OK && i < round->count; i++) {
        const struct reap_key *key = &round->keys[i];
        const struct reap_wish wish = {{key->key->bytes, key->key->len}, key->digest, key->gone};
        err = reap_pack_wish(&wishes, &wish);
    }
    msg.reap.id = round->id;
    msg.reap.items = (struct resp_slice){buf_data(&wishes), buf_len(&wishes)};
    if (err == RD_OK)
        ask(reap, &msg);
    else
        end(reap, false);
    buf_free(&wishes);
}

static void ask_check(struct reap *reap) {
    struct wire_msg msg = {.kind = WIRE_REAP_CHECK};
    reap->round->step = REAP_CHECK;
    expect_all(reap->round);
    msg.reap.id = reap->round->id;
    ask(reap, &msg);
}

/* Only the homes of keys that are left are asked to replace. */
static void choose_homes(struct reap *reap) {
    struct reap_round *round = reap->round;
    for (uint16_t i = 0; i < round->voice_count; i++)
        round->voices[i].answered = !is_home_of_any(reap, i);
}

static void ask_replace(struct reap *reap) {
    struct reap_round *round = reap->round;
    struct wire_msg msg = {.kind = WIRE_REAP_REPLACE};
    struct buf vectors = {0};
    enum rd_err err = RD_OK;
    for (uint32_t i = 0; err == RD_OK && i < round->count; i++)
        if (round->keys[i].agreed)
            err = reap_pack_vector(&vectors, i, &round->keys[i].kept);
    msg.reap.id = round->id;
    msg.reap.items = (struct resp_slice){buf_data(&vectors), buf_len(&vectors)};
    round->step = REAP_REPLACE;
    if (err == RD_OK) {
        ask(reap, &msg);
        if (reap->round == round && round->step == REAP_REPLACE)
            round->due_us = now_us(reap) + AGAIN_US; /* sooner than patience: it is asked again */
    } else {
        end(reap, false);
    }
    buf_free(&vectors);
}

/* ---- taking stock ----------------------------------------------------------------------------------- */

/* What stays of the vectors; keys of which nothing can go are left out. */
static enum rd_err work_out(struct reap *reap) {
    struct reap_round *round = reap->round;
    for (uint32_t i = 0; i < round->count; i++) {
        struct reap_key *key = &round->keys[i];
        uint64_t incarnations[PREFLIST_MAX_N];
        uint16_t homes[PREFLIST_MAX_N];
        if (key->gone || !key->agreed)
            continue;
        size_t count = placement_homes(reap->placement, key->partition, homes);
        for (size_t h = 0; h < count; h++)
            incarnations[h] =
                homes[h] < round->voice_count ? round->voices[homes[h]].incarnation : 0;
        enum rd_err err = shrink_keep(&key->living, &key->idle, incarnations, count, &key->kept);
        if (err != RD_OK)
            return err;
        key->agreed = key->kept.count < key->living.count + key->idle.count;
    }
    return RD_OK;
}

static uint32_t agreed(const struct reap_round *round) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < round->count; i++)
        count += round->keys[i].agreed;
    return count;
}

/* The last fence of `member` in what `voice` has met. */
static bool has_met(const struct reap_voice *voice, const struct node_id *member, uint64_t start,
                    uint64_t mark) {
    struct resp_slice at = {buf_data(&voice->fences), buf_len(&voice->fences)};
    struct reap_fence fence;
    while (at.len > 0 && reap_unpack_fence(&at, &fence) == RD_OK)
        if (node_id_compare(&fence.member, member) == 0)
            return fence.start == start && fence.number > mark;
    return false;
}

/* True if each member has met a fence of each other that was sent after that one had agreed to WATCH. */
static bool fences_are_in(const struct reap *reap) {
    const struct reap_round *round = reap->round;
    for (uint16_t x = 0; x < round->voice_count; x++) {
        const struct reap_voice *sender = &round->voices[x];
        for (uint16_t y = 0; sender->member && y < round->voice_count; y++)
            if (round->voices[y].member && y != x &&
                !has_met(&round->voices[y], &reap->members->items[x].id, sender->start,
                         sender->mark))
                return false;
    }
    return true;
}

static void finish(struct reap *reap) {
    struct reap_round *round = reap->round;
    uint32_t count = 0;
    for (uint32_t i = 0; i < round->count; i++)
        if (round->keys[i].agreed) {
            count++;
            reap->core->stats.tombstones_reaped += round->keys[i].gone;
            reap->core->stats.expired_reaped += round->keys[i].expired;
            reap->core->stats.vectors_pruned += !round->keys[i].gone;
        }
    end(reap, count > 0);
}

/* All have answered this step. */
static void go_on(struct reap *reap) {
    struct reap_round *round = reap->round;
    if (round->step == REAP_REPLACE) {
        finish(reap);
        return;
    }
    bool unchecked = RD_PLANTED(reap->core, REAP_UNCHECKED);
    if ((round->step == REAP_WATCH && work_out(reap) != RD_OK) || agreed(round) == 0) {
        end(reap, false);
    } else if (round->step == REAP_WATCH && !unchecked) {
        rest(round, now_us(reap) + SETTLE_US);
    } else if (unchecked || fences_are_in(reap)) {
        round->tries = 0;
        choose_homes(reap);
        ask_replace(reap);
    } else {
        rest(round, now_us(reap) + AGAIN_US);
    }
}

/* Takes in what a voice says of itself; false if it is no longer who it was. */
static bool take_voice(struct reap_round *round, struct reap_voice *voice,
                       const struct wire_msg *msg) {
    if (round->step == REAP_WATCH) {
        voice->start = msg->reap_answer.start;
        voice->incarnation = msg->reap_answer.incarnation;
        voice->mark = msg->reap_answer.mark;
    }
    if (voice->start != msg->reap_answer.start)
        return false;
    buf_reset(&voice->fences, 0);
    return voice->incarnation == msg->reap_answer.incarnation &&
           buf_append(&voice->fences, msg->reap_answer.fences.data, msg->reap_answer.fences.len) ==
               RD_OK;
}

enum rd_err reap_round_answer(struct reap *reap, uint16_t member, const struct wire_msg *msg) {
    struct reap_round *round = reap->round;
    if (round == NULL || round->filling || round->resting || round->id != msg->reap_answer.id ||
        round->step != msg->reap_answer.step || member >= round->voice_count ||
        !round->voices[member].member || round->voices[member].answered) {
        reap->core->stats.late_answers++;
        return RD_OK;
    }
    if (msg->reap_answer.err != RD_OK) {
        if (msg->reap_answer.err == RD_EOVERLOADED && round->step == REAP_CHECK)
            rest(round, now_us(reap) + AGAIN_US);
        else
            end(reap, false);
        return RD_OK;
    }
    if (msg->reap_answer.states.len != round->count)
        return RD_EPROTO;
    if (!take_voice(round, &round->voices[member], msg)) {
        end(reap, false);
        return RD_OK;
    }
    if (round->step != REAP_REPLACE)
        for (uint32_t i = 0; i < round->count; i++)
            round->keys[i].agreed &= msg->reap_answer.states.data[i] == 1;
    round->voices[member].answered = true;
    for (uint16_t i = 0; i < round->voice_count; i++)
        if (round->voices[i].member && !round->voices[i].answered)
            return RD_OK;
    go_on(reap);
    return RD_OK;
}

void reap_round_tick(struct reap *reap) {
    struct reap_round *round = reap->round;
    if (round->due_us > now_us(reap))
        return;
    if (round->resting && round->tries++ < CHECK_TRIES)
        ask_check(reap);
    else if (!round->resting && round->step == REAP_REPLACE && round->tries++ < REPLACE_TRIES)
        ask_replace(reap);
    else
        end(reap, round->step == REAP_REPLACE);
}
