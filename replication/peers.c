/* Links and dials. A link is owned by the hash; peers point at ready ones only.
 *
 * Invariants: (1) a ready link has a member, is that member's outgoing or incoming link, and
 * appears once; (2) the node itself has no link; (3) a dial number is in progress at no more
 * than one dialler; (4) `shaking` lists the outgoing links that are not ready. */
#include "replication/peers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/hash.h"
#include "base/text.h"
#include "replication/probe.h"

#define FIRST_PAUSE_US 50000
#define LONGEST_PAUSE_US 1000000
#define MEET_PATIENCE_US 10000000

enum rd_err peers_init(struct peers *peers, struct core *core, struct members *members,
                       const struct node_address *seeds, size_t seed_count) {
    *peers = (struct peers){.core = core, .members = members, .closed_turn = UINT64_MAX};
    failure_init(&peers->failure, core->conf.request_timeout_ms, core->conf.failure_timeout_ms,
                 PEERS_TICK_US);
    peers->seeds = calloc(seed_count + 1, sizeof(*peers->seeds));
    if (peers->seeds == NULL)
        return RD_ENOMEM;
    for (size_t i = 0; i < seed_count; i++) {
        peers->seeds[i].address = seeds[i];
        peers->seeds[i].member = MEMBER_NONE;
    }
    peers->seed_count = (uint32_t)seed_count;
    return RD_OK;
}

void peers_free(struct peers *peers) {
    struct link *link, *next;
    HASH_ITER(hh, peers->links, link, next) {
        HASH_DELETE(hh, peers->links, link);
        free(link);
    }
    free(peers->peers);
    free(peers->seeds);
    *peers = (struct peers){0};
}

/* Makes room for all members; without memory for it the newest are not dialled yet. */
static void grow(struct peers *peers) {
    uint16_t count = peers->members->count;
    if (count <= peers->peer_count)
        return;
    struct peer *grown = realloc(peers->peers, count * sizeof(*grown));
    if (grown == NULL)
        return;
    memset(grown + peers->peer_count, 0, (count - peers->peer_count) * sizeof(*grown));
    peers->peers = grown;
    for (uint16_t i = peers->peer_count; i < count; i++) {
        watch_init(&grown[i].watch, peers->core->now.mono_us);
        grown[i].said = WATCH_SUSPECT;
    }
    peers->peer_count = count;
}

static uint64_t now_us(const struct peers *peers) {
    return peers->core->now.mono_us;
}

/* ---- reaching members ----------------------------------------------------------------------------- */

static struct link *best_link(const struct peers *peers, uint16_t member) {
    if (member >= peers->peer_count)
        return NULL;
    const struct peer *peer = &peers->peers[member];
    return peer->outgoing != NULL ? peer->outgoing : peer->incoming;
}

bool peers_reachable(const struct peers *peers, uint16_t member) {
    return best_link(peers, member) != NULL;
}

bool peers_healthy(const struct peers *peers, uint16_t member) {
    return peers_reachable(peers, member) &&
           watch_is_healthy(&peers->failure, &peers->peers[member].watch);
}

uint64_t peers_link_to(const struct peers *peers, uint16_t member) {
    const struct link *link = best_link(peers, member);
    return link != NULL ? link->id : 0;
}

bool peers_never_left(const struct peers *peers, uint64_t link, uint64_t turn) {
    const struct link *found;
    HASH_FIND(hh, peers->links, &link, sizeof(link), found);
    return found == NULL && turn == peers->core->turns && peers->closed_turn != turn;
}

static void send_on(struct peers *peers, struct link *link, struct blob *frame) {
    effects_send(peers->core->effects, link->id, frame);
    link->sent_us = now_us(peers);
}

static bool say_on(struct peers *peers, struct link *link, const struct wire_msg *msg) {
    struct blob *frame;
    if (wire_encode(msg, &frame) != RD_OK)
        return false;
    send_on(peers, link, frame);
    blob_unref(frame);
    return true;
}

void peers_send_over(struct peers *peers, struct link *link, struct blob *frame) {
    send_on(peers, link, frame);
}

void peers_nobody_is_aware(struct peers *peers) {
    for (struct link *link = peers->links; link != NULL; link = link->hh.next)
        link->aware = false;
}

bool peers_send(struct peers *peers, uint16_t member, struct blob *frame) {
    struct link *link = best_link(peers, member);
    if (link == NULL)
        return false;
    send_on(peers, link, frame);
    watch_asked(&peers->failure, &peers->peers[member].watch);
    return true;
}

/* True for what is answered in any case, and soon. */
static bool wants_answer(const struct wire_msg *msg) {
    switch (msg->kind) {
    case WIRE_PROBE:
        return msg->probe.target.len == 0; /* else another has to answer first */
    case WIRE_READ:
    case WIRE_FORWARD:
    case WIRE_COUNT:
        return true;
    case WIRE_WRITE:
        return msg->write.id != 0;
    default:
        return false;
    }
}

bool peers_say(struct peers *peers, uint16_t member, const struct wire_msg *msg) {
    struct link *link = best_link(peers, member);
    if (link == NULL || !say_on(peers, link, msg))
        return false;
    if (wants_answer(msg))
        watch_asked(&peers->failure, &peers->peers[member].watch);
    return true;
}

uint32_t peers_say_in_background(struct peers *peers, struct budget *budget, uint16_t member,
                                 const struct wire_msg *msg) {
    struct blob *frame;
    if (wire_encode(msg, &frame) != RD_OK)
        return 0;
    uint32_t sent = peers_send(peers, member, frame) ? frame->len : 0;
    budget_spend(budget, sent);
    blob_unref(frame);
    return sent;
}

void peers_send_everywhere(struct peers *peers, struct blob *frame) {
    for (struct link *link = peers->links; link != NULL; link = link->hh.next)
        if (link->state == LINK_READY)
            send_on(peers, link, frame);
}

bool peers_fence(const struct peers *peers, uint16_t member, uint64_t *start, uint64_t *number) {
    bool any = false;
    for (const struct link *link = peers->links; link != NULL; link = link->hh.next) {
        if (link->state == LINK_AWAIT_WELCOME)
            return false; /* its other end may be ready, and may have sent something already */
        if (link->state != LINK_READY || link->member != member)
            continue;
        if (link->fence_number == 0 || (any && link->fence_start != *start))
            return false;
        *number = any && *number < link->fence_number ? *number : link->fence_number;
        *start = link->fence_start;
        any = true;
    }
    return any;
}

/* ---- links that end ------------------------------------------------------------------------------- */

static void dialler_failed(struct peers *peers, struct dialler *dialler) {
    if (dialler->pause_us == 0)
        dialler->pause_us = FIRST_PAUSE_US;
    uint64_t jitter = prng_below(&peers->core->prng, dialler->pause_us / 2 + 1);
    dialler->dial = 0;
    dialler->next_us = now_us(peers) + dialler->pause_us + jitter;
    dialler->pause_us *= 2;
    if (dialler->pause_us > LONGEST_PAUSE_US)
        dialler->pause_us = LONGEST_PAUSE_US;
}

/* The dialler that an outgoing link came from. */
static struct dialler *dialler_of(struct peers *peers, const struct link *link) {
    if (link->seed != NO_SEED)
        return &peers->seeds[link->seed].dialler;
    return link->member < peers->peer_count ? &peers->peers[link->member].dialler : NULL;
}

/* Forgets a link; its member may lose its last one. */
static void forget(struct peers *peers, struct link *link) {
    uint16_t member = link->member;
    struct dialler *dialler = link->outgoing ? dialler_of(peers, link) : NULL;
    if (dialler != NULL && dialler->dial == 0)
        dialler_failed(peers, dialler);
    if (link->state == LINK_READY && member < peers->peer_count) {
        struct peer *peer = &peers->peers[member];
        if (peer->outgoing == link || peer->incoming == link)
            watch_lost(&peers->failure, &peer->watch);
        if (peer->outgoing == link)
            peer->outgoing = NULL;
        if (peer->incoming == link)
            peer->incoming = NULL;
        peers->lost_count += !peer->lost;
        peer->lost = true;
    }
    if (link->outgoing && link->state != LINK_READY)
        DL_DELETE(peers->shaking, link);
    HASH_DELETE(hh, peers->links, link);
    free(link);
}

static void close_link(struct peers *peers, struct link *link) {
    effects_push(peers->core->effects, EFF_CLOSE)->close.link = link->id;
    peers->closed_turn = peers->core->turns;
    forget(peers, link);
}

void peers_close(struct peers *peers, struct link *link) {
    close_link(peers, link);
}

void peers_end(struct peers *peers, uint16_t member) {
    struct link *link, *next;
    HASH_ITER(hh, peers->links, link, next)
    if (link->member == member && link->state == LINK_READY)
        close_link(peers, link);
}

/* Where the peer of a link listens, as far as it is known: a link that it dialled shows its address only. */
static void peer_text(const struct peers *peers, const struct link *link,
                      char out[NODE_HOST_BYTES + 8]) {
    unsigned port = link->member != MEMBER_NONE && link->member < peers->members->count
                        ? peers->members->items[link->member].cluster_port
                    : link->seed != NO_SEED ? peers->seeds[link->seed].address.port
                                            : 0;
    if (port != 0)
        snprintf(out, NODE_HOST_BYTES + 8, "%s:%u", link->host, port);
    else
        snprintf(out, NODE_HOST_BYTES + 8, "%s", link->host);
}

/* Logs a refusal once; what was said lately is kept as a ring of hashes. */
static void log_refusal(struct peers *peers, const char *what, const struct link *link,
                        const char *how, const char *reason) {
    char peer[NODE_HOST_BYTES + 8], line[HANDSHAKE_REASON_BYTES + NODE_HOST_BYTES + 8];
    peer_text(peers, link, peer);
    int len = snprintf(line, sizeof(line), "%s %s", peer, reason);
    uint64_t hash =
        hash_xxh64(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1, 1);
    enum log_level level = LOG_WARNING;
    for (size_t i = 0; i < PEERS_SAID; i++)
        if (peers->said[i] == hash)
            level = LOG_DEBUG;
    if (level == LOG_WARNING)
        peers->said[peers->said_count++ % PEERS_SAID] = hash;
    effects_log(peers->core->effects, level, "%s the peer at %s%s: %s", what, peer, how, reason);
}

void peers_refuse(struct peers *peers, struct link *link, const char *reason, bool outcast) {
    struct wire_msg msg = {.kind = WIRE_REFUSE};
    msg.refuse.outcast = outcast;
    msg.refuse.text = (struct resp_slice){(const uint8_t *)reason, strlen(reason)};
    say_on(peers, link, &msg);
    log_refusal(peers, "Refused", link, ", telling it", reason);
    peers->core->stats.links_refused++;
    close_link(peers, link);
}

void peers_drop(struct peers *peers, struct link *link, const char *reason) {
    log_refusal(peers, "Dropped the link to", link, "", reason);
    peers->core->stats.frames_refused++;
    close_link(peers, link);
}

struct link *peers_link(struct peers *peers, uint64_t id) {
    struct link *link;
    HASH_FIND(hh, peers->links, &id, sizeof(id), link);
    return link;
}

uint16_t peers_take_lost(struct peers *peers) {
    for (uint16_t i = 0; i < peers->peer_count && peers->lost_count > 0; i++)
        if (peers->peers[i].lost) {
            peers->peers[i].lost = false;
            peers->lost_count--;
            return i;
        }
    return MEMBER_NONE;
}

void peers_link_down(struct peers *peers, uint64_t id) {
    struct link *link = peers_link(peers, id);
    if (link != NULL)
        forget(peers, link);
}

/* ---- dialling ------------------------------------------------------------------------------------- */

static void dial(struct peers *peers, struct dialler *dialler, const char *host, uint16_t port) {
    char *copy = strdup(host);
    dialler->since_us = now_us(peers);
    if (copy == NULL)
        return; /* as if it had failed at once */
    struct effect *effect = effects_push(peers->core->effects, EFF_DIAL);
    dialler->dial = ++peers->next_dial;
    effect->dial.dial = dialler->dial;
    effect->dial.port = port;
    effect->dial.host = copy;
}

/* True if an outgoing link that came from `dialler`'s place is in its handshake. */
static bool shaking(const struct peers *peers, uint16_t member, uint32_t seed) {
    const struct link *link;
    DL_FOREACH(peers->shaking, link)
    if (link->seed == seed && (seed != NO_SEED || link->member == member))
        return true;
    return false;
}

static bool may_dial(const struct peers *peers, const struct dialler *dialler) {
    return dialler->dial == 0 && dialler->next_us <= now_us(peers);
}

static bool is_gone(const struct peers *peers, const struct node_id *id) {
    return peers->birth != NULL && successors_is_gone(&peers->birth->successors, id);
}

static void dial_members(struct peers *peers) {
    for (uint16_t i = 0; i < peers->peer_count; i++) {
        struct peer *peer = &peers->peers[i];
        const struct member *member = &peers->members->items[i];
        if (i == MEMBER_SELF || peer->outgoing != NULL || !may_dial(peers, &peer->dialler) ||
            member->address.host[0] == 0 || is_gone(peers, &member->id) ||
            shaking(peers, i, NO_SEED))
            continue;
        dial(peers, &peer->dialler, member->address.host, member->cluster_port);
    }
}

static void dial_seeds(struct peers *peers) {
    for (uint32_t i = 0; i < peers->seed_count; i++) {
        struct seed *seed = &peers->seeds[i];
        bool content = seed->is_self || (seed->met && peers_reachable(peers, seed->member));
        if (content || !may_dial(peers, &seed->dialler) || shaking(peers, MEMBER_NONE, i))
            continue;
        dial(peers, &seed->dialler, seed->address.host, seed->address.port);
    }
}

/* Finds whose dial it is. */
static struct dialler *find_dial(struct peers *peers, uint64_t dial, uint16_t *member,
                                 uint32_t *seed) {
    for (uint16_t i = 0; i < peers->peer_count; i++)
        if (peers->peers[i].dialler.dial == dial) {
            *member = i;
            *seed = NO_SEED;
            return &peers->peers[i].dialler;
        }
    for (uint32_t i = 0; i < peers->seed_count; i++)
        if (peers->seeds[i].dialler.dial == dial) {
            *member = MEMBER_NONE;
            *seed = i;
            return &peers->seeds[i].dialler;
        }
    return NULL;
}

void peers_dial_failed(struct peers *peers, uint64_t dial) {
    uint16_t member;
    uint32_t seed;
    struct dialler *dialler = dial == 0 ? NULL : find_dial(peers, dial, &member, &seed);
    if (dialler == NULL)
        return;
    dialler_failed(peers, dialler);
    if (seed == NO_SEED && !peers_reachable(peers, member))
        watch_lost(&peers->failure, &peers->peers[member].watch);
}

/* ---- the handshake -------------------------------------------------------------------------------- */

void peers_link_up(struct peers *peers, uint64_t id, uint64_t dial, const char *host) {
    uint16_t member = MEMBER_NONE;
    uint32_t seed = NO_SEED;
    struct dialler *dialler = dial == 0 ? NULL : find_dial(peers, dial, &member, &seed);
    bool unwanted = peers->retired || (dial != 0 && dialler == NULL);
    struct link *link = unwanted ? NULL : calloc(1, sizeof(*link));
    if (dialler != NULL)
        dialler->dial = 0;
    if (link == NULL || peers_link(peers, id) != NULL) {
        free(link);
        effects_push(peers->core->effects, EFF_CLOSE)->close.link = id;
        return;
    }
    link->id = id;
    link->outgoing = dial != 0;
    link->member = member;
    link->seed = seed;
    link->since_us = link->heard_us = link->sent_us = now_us(peers);
    link->state = link->outgoing ? LINK_AWAIT_CHALLENGE : LINK_AWAIT_HELLO;
    snprintf(link->host, sizeof(link->host), "%s", host);
    HASH_ADD(hh, peers->links, id, sizeof(link->id), link);
    if (!link->outgoing)
        return;
    DL_APPEND(peers->shaking, link);
    struct wire_msg msg;
    handshake_own(peers->core, peers->birth, &link->mine);
    handshake_hello(peers->core, &link->mine, WIRE_HELLO, NULL, &msg);
    say_on(peers, link, &msg);
}

/* The link has met this very process: the seed it came from is the node itself. */
static void met_self(struct peers *peers, struct link *link) {
    struct link *other, *next;
    DL_FOREACH_SAFE(peers->shaking, other, next) {
        if (memcmp(other->mine.nonce, link->theirs.nonce, HANDSHAKE_NONCE_BYTES) != 0)
            continue;
        if (other->seed != NO_SEED)
            peers->seeds[other->seed].is_self = peers->seeds[other->seed].met = true;
        close_link(peers, other);
        close_link(peers, link);
        return;
    }
    peers_refuse(peers, link, "you have my own id (is a copied data directory in use twice?)",
                 false);
}

/* HELLO arrives at the acceptor. */
static void on_hello(struct peers *peers, struct link *link, const struct wire_hello *hello) {
    char reason[HANDSHAKE_REASON_BYTES];
    bool outcast;
    if (!handshake_check(peers->core, peers->birth, hello, &link->theirs, reason, &outcast)) {
        peers_refuse(peers, link, reason, outcast);
        return;
    }
    if (node_id_compare(&link->theirs.node, &peers->core->self) == 0) {
        met_self(peers, link);
        return;
    }
    uint8_t proof[HASH_HMAC_BYTES];
    struct wire_msg msg;
    handshake_own(peers->core, peers->birth, &link->mine);
    handshake_prove(peers->core->conf.secret, false, &link->theirs, &link->mine, proof);
    handshake_hello(peers->core, &link->mine, WIRE_CHALLENGE, proof, &msg);
    link->state = LINK_AWAIT_PROOF;
    say_on(peers, link, &msg);
}

static bool proof_holds(const struct peers *peers, const struct link *link, bool by_dialler,
                        struct resp_slice proof) {
    uint8_t expected[HASH_HMAC_BYTES];
    const struct handshake_facts *dialler = link->outgoing ? &link->mine : &link->theirs;
    const struct handshake_facts *acceptor = link->outgoing ? &link->theirs : &link->mine;
    handshake_prove(peers->core->conf.secret, by_dialler, dialler, acceptor, expected);
    return proof.len == HASH_HMAC_BYTES && hash_equal(expected, proof.data, HASH_HMAC_BYTES);
}

#define WRONG_SECRET "you do not know the cluster-secret"

/* The outgoing link on which this node has already shown who it is to the node at the other end
 * of `link`; NULL if none. */
static const struct link *twin_of(const struct peers *peers, const struct link *link) {
    uint16_t member = members_find(peers->members, &link->theirs.node);
    if (member < peers->peer_count && peers->peers[member].outgoing != NULL)
        return peers->peers[member].outgoing;
    const struct link *other;
    DL_FOREACH(peers->shaking, other)
    if (other != link && other->state == LINK_AWAIT_WELCOME &&
        node_id_compare(&other->theirs.node, &link->theirs.node) == 0)
        return other;
    return NULL;
}

/* CHALLENGE arrives at the dialler. A node met twice, as a seed and as a member, gets one link:
 * the second ends before the peer would use it, since what the peer sent over it would be lost. */
static void on_challenge(struct peers *peers, struct link *link, const struct wire_hello *hello,
                         struct peers_news *news) {
    char reason[HANDSHAKE_REASON_BYTES];
    bool outcast;
    bool known = handshake_check(peers->core, peers->birth, hello, &link->theirs, reason, &outcast);
    if (outcast && link->member != MEMBER_NONE && proof_holds(peers, link, false, hello->proof)) {
        peers->peers[link->member].vacant = !link->theirs.born;
        *news = (struct peers_news){PEERS_STRANGER, link->member, link->id};
        return;
    }
    if (!known) {
        peers_refuse(peers, link, reason, outcast);
        return;
    }
    if (node_id_compare(&link->theirs.node, &peers->core->self) == 0 ||
        !proof_holds(peers, link, false, hello->proof)) {
        peers_refuse(peers, link, WRONG_SECRET, false);
        return;
    }
    const struct link *twin = twin_of(peers, link);
    if (twin != NULL) {
        if (twin->state == LINK_READY && link->seed != NO_SEED) {
            peers->seeds[link->seed].met = true;
            peers->seeds[link->seed].member = twin->member;
        }
        close_link(peers, link);
        return;
    }
    uint8_t proof[HASH_HMAC_BYTES];
    struct wire_msg msg = {.kind = WIRE_PROOF};
    handshake_prove(peers->core->conf.secret, true, &link->mine, &link->theirs, proof);
    msg.proof.proof = (struct resp_slice){proof, sizeof(proof)};
    link->state = LINK_AWAIT_WELCOME;
    say_on(peers, link, &msg);
}

/* Binds a proven link to its member. The newest incoming link wins (an older one may be dead
 * without our knowing); of two outgoing ones the older, which works. */
static void make_ready(struct peers *peers, struct link *link, struct peers_news *news) {
    uint16_t member;
    if (peers->birth != NULL && !certificate_has_holder(peers->birth, &link->theirs.node)) {
        *news = (struct peers_news){PEERS_GONE, MEMBER_NONE, link->id};
        return;
    }
    if (members_add(peers->members, &link->theirs.node, &member) != RD_OK) {
        peers_drop(peers, link, "no room for another member");
        return;
    }
    grow(peers);
    if (member >= peers->peer_count) {
        peers_drop(peers, link, "out of memory");
        return;
    }
    struct peer *peer = &peers->peers[member];
    struct dialler *dialler = link->outgoing ? dialler_of(peers, link) : NULL;
    if (dialler != NULL)
        dialler->pause_us = 0;
    if (link->seed != NO_SEED) {
        peers->seeds[link->seed].met = true;
        peers->seeds[link->seed].member = member;
    }
    link->seed = NO_SEED;
    link->member = member;
    if (link->outgoing && peer->outgoing != NULL) {
        close_link(peers, link);
        return;
    }
    struct link *older = link->outgoing ? NULL : peer->incoming;
    link->state = LINK_READY;
    if (link->outgoing) {
        DL_DELETE(peers->shaking, link);
        peer->outgoing = link;
    } else {
        peer->incoming = link;
    }
    if (older != NULL)
        close_link(peers, older);
    peer->vacant = false;
    watch_linked(&peers->failure, &peer->watch);
    *news = (struct peers_news){PEERS_READY, member, link->id};
}

/* PROOF arrives at the acceptor. */
static void on_proof(struct peers *peers, struct link *link, struct resp_slice proof,
                     struct peers_news *news) {
    if (!proof_holds(peers, link, true, proof)) {
        peers_refuse(peers, link, WRONG_SECRET, false);
        return;
    }
    struct wire_msg msg = {.kind = WIRE_WELCOME};
    msg.welcome.seen_host = (struct resp_slice){(const uint8_t *)link->host, strlen(link->host)};
    say_on(peers, link, &msg);
    make_ready(peers, link, news);
}

/* WELCOME arrives at the dialler. A node that was told no address of its own takes the one its
 * peer sees. */
static void on_welcome(struct peers *peers, struct link *link, struct resp_slice seen,
                       struct peers_news *news) {
    struct member *self = &peers->members->items[MEMBER_SELF];
    if (self->address.host[0] == 0 && seen.len > 0 && seen.len < sizeof(self->address.host) &&
        memchr(seen.data, 0, seen.len) == NULL) {
        memcpy(self->address.host, seen.data, seen.len);
        self->address.host[seen.len] = 0;
        self->version++;
    }
    make_ready(peers, link, news);
}

static void on_refuse(struct peers *peers, struct link *link, struct resp_slice text,
                      bool outcast) {
    char reason[HANDSHAKE_REASON_BYTES];
    size_t len = text.len < sizeof(reason) - 1 ? text.len : sizeof(reason) - 1;
    if (len > 0)
        memcpy(reason, text.data, len);
    reason[len] = 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)reason[i] < ' ')
            reason[i] = '?';
    log_refusal(peers, "Was refused by", link, ", which said", reason);
    if (outcast && link->outgoing && peers->birth == NULL)
        peers->outcast = true; /* said by whom this node looks for, not by whoever comes along */
    peers->core->stats.links_refused++;
    close_link(peers, link);
}

/* Messages that may come before a link is ready, each in its state only. */
static void handshake_message(struct peers *peers, struct link *link, const struct wire_msg *msg,
                              struct peers_news *news) {
    if (msg->kind == WIRE_HELLO && link->state == LINK_AWAIT_HELLO)
        on_hello(peers, link, &msg->hello);
    else if (msg->kind == WIRE_CHALLENGE && link->state == LINK_AWAIT_CHALLENGE)
        on_challenge(peers, link, &msg->hello, news);
    else if (msg->kind == WIRE_PROOF && link->state == LINK_AWAIT_PROOF)
        on_proof(peers, link, msg->proof.proof, news);
    else if (msg->kind == WIRE_WELCOME && link->state == LINK_AWAIT_WELCOME)
        on_welcome(peers, link, msg->welcome.seen_host, news);
    else if (msg->kind == WIRE_REFUSE)
        on_refuse(peers, link, msg->refuse.text, msg->refuse.outcast == 1);
    else
        peers_drop(peers, link, "its handshake is out of order");
}

bool peers_message(struct peers *peers, struct link *link, const struct wire_msg *msg,
                   struct peers_news *news) {
    link->heard_us = now_us(peers);
    bool ready = link->state == LINK_READY;
    if (ready) {
        watch_heard(&peers->failure, &peers->peers[link->member].watch);
        if (msg->kind == WIRE_PROBE || msg->kind == WIRE_PROBE_ANSWER) {
            if (probe_message(peers, link->member, msg) == RD_EPROTO)
                peers_drop(peers, link, "it sent a probe that cannot be understood");
            return true;
        }
        if (msg->kind == WIRE_PING) {
            struct wire_msg pong = {.kind = WIRE_PONG};
            say_on(peers, link, &pong);
            return true;
        }
        if (msg->kind == WIRE_PONG)
            return true;
        if (msg->kind > WIRE_REFUSE)
            return false;
    }
    handshake_message(peers, link, msg, news);
    return true;
}

/* ---- time ----------------------------------------------------------------------------------------- */

static uint64_t patience_us(const struct peers *peers) {
    return (uint64_t)peers->core->conf.failure_timeout_ms * 1000;
}

/* Who has dialled pings an idle link; its answer tells both ends, so that the other end pings only if it waits in vain. */
static void tend_link(struct peers *peers, struct link *link) {
    uint64_t patience = patience_us(peers);
    uint64_t idle_too_long = patience / 4 + (link->outgoing ? 0 : patience / 16);
    uint64_t silent = now_us(peers) - link->heard_us;
    if (silent >= patience) {
        char peer[NODE_HOST_BYTES + 8];
        peer_text(peers, link, peer);
        effects_log(peers->core->effects, LOG_NOTICE, "The link to %s has been silent for %llu ms",
                    peer, (unsigned long long)(silent / 1000));
        peers->core->stats.links_silent++;
        close_link(peers, link);
        return;
    }
    uint64_t idle =
        now_us(peers) - (link->sent_us > link->heard_us ? link->heard_us : link->sent_us);
    if (link->state == LINK_READY && idle >= idle_too_long &&
        now_us(peers) - link->pinged_us >= patience / 8) {
        struct wire_msg ping = {.kind = WIRE_PING};
        link->pinged_us = now_us(peers);
        say_on(peers, link, &ping);
        watch_asked(&peers->failure, &peers->peers[link->member].watch);
    }
}

/* Looks after all links, as often as their patience wants it: there may be hundreds. */
static void tend_links(struct peers *peers) {
    struct link *link, *next;
    if (now_us(peers) - peers->tended_us < patience_us(peers) / 32)
        return;
    peers->tended_us = now_us(peers);
    HASH_ITER(hh, peers->links, link, next) tend_link(peers, link);
}

void peers_step(struct peers *peers) {
    if (failure_step(&peers->failure, now_us(peers)) != GAP_WOKE)
        return;
    for (struct link *link = peers->links; link != NULL; link = link->hh.next)
        link->heard_us = now_us(peers);
    for (uint16_t i = 0; i < peers->peer_count; i++)
        watch_woke(&peers->failure, &peers->peers[i].watch);
    probe_tick(peers);
}

void peers_tick(struct peers *peers) {
    if (peers->retired)
        return;
    if (peers->started_us == 0)
        peers->started_us = now_us(peers) + 1;
    grow(peers);
    tend_links(peers);
    probe_tick(peers);
    dial_members(peers);
    dial_seeds(peers);
}

bool peers_met_enough(const struct peers *peers) {
    uint32_t met = 0, others = 0;
    for (uint32_t i = 0; i < peers->seed_count; i++) {
        met += peers->seeds[i].met;
        others += peers->seeds[i].met && !peers->seeds[i].is_self;
    }
    bool waited = peers->started_us > 0 && now_us(peers) >= peers->started_us + MEET_PATIENCE_US;
    return met == peers->seed_count || (others > 0 && waited);
}

void peers_check(const struct peers *peers) {
    for (const struct link *link = peers->links; link != NULL; link = link->hh.next) {
        if (link->state != LINK_READY)
            continue;
        assert(link->member != MEMBER_SELF && link->member < peers->peer_count);
        const struct peer *peer = &peers->peers[link->member];
        assert((link->outgoing ? peer->outgoing : peer->incoming) == link);
    }
    for (uint16_t i = 0; i < peers->peer_count; i++) {
        const struct peer *peer = &peers->peers[i];
        assert(peer->outgoing == NULL || peer->outgoing->state == LINK_READY);
        assert(peer->incoming == NULL || peer->incoming->state == LINK_READY);
    }
}
