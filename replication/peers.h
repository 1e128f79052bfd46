/* Peers: dialling, links and their handshakes, and who can be reached right now.
 *
 * Each node dials one outgoing link to every other member; frames for a member go over that link, or over one that the
 * member dialled if ours is not up. A broken link is noticed at once, a silent one is pinged and
 * dropped after failure-timeout; both are redialled for ever with a bounded, jittered pause. Seeds are dialled until they have been
 * met, and again whenever the member met there is out of reach. Each member is watched (failure.h): who is healthy is asked first.
 */
#ifndef RD_REPLICATION_PEERS_H
#define RD_REPLICATION_PEERS_H

#include "replication/budget.h"
#include "replication/failure.h"
#include "replication/handshake.h"
#include "replication/latency.h"
#include "replication/member.h"

#include <uthash.h>

enum link_state {
    LINK_AWAIT_HELLO,     /* incoming, nothing heard yet */
    LINK_AWAIT_CHALLENGE, /* outgoing, HELLO sent */
    LINK_AWAIT_PROOF,     /* incoming, CHALLENGE sent */
    LINK_AWAIT_WELCOME,   /* outgoing, PROOF sent */
    LINK_READY
};

struct link {
    uint64_t id; /* the driver's */
    enum link_state state;
    bool outgoing;
    uint16_t member;                       /* MEMBER_NONE until the peer has proven who it is */
    uint32_t seed;                         /* outgoing: the seed it was dialled for, or NO_SEED */
    struct link *prev, *next;              /* in peers.shaking */
    uint64_t heard_us, sent_us, pinged_us; /* up to here in one line of the cache */
    uint64_t since_us;                     /* when it came up */
    uint64_t fence_start, fence_number;    /* the last fence that came over it; 0: none */
    bool
        aware; /* what comes over it was sent by a node that knew all records of places taken that are known here */
    struct handshake_facts theirs, mine;
    char host[NODE_HOST_BYTES]; /* the peer's numeric address */
    UT_hash_handle hh;
};

#define NO_SEED UINT32_MAX

/* A dial in progress or to be made, of a member or a seed. */
struct dialler {
    uint64_t dial;     /* 0: none in progress */
    uint64_t since_us; /* when it was begun */
    uint64_t next_us;  /* not before */
    uint64_t pause_us; /* doubled with each failure */
};

struct peer {                         /* by member index */
    struct link *outgoing, *incoming; /* ready ones; NULL: none */
    struct dialler dialler;
    bool lost;              /* a ready link went, and peers_take_lost has not said so yet */
    struct latency latency; /* of its answers to reads */
    bool vacant;            /* its address answers as another, empty node */
    struct watch watch;
    enum watch_state said; /* the state that the log has heard of */
    uint64_t checked_us;   /* when peers_check_on probed it last */
};

struct seed {
    struct node_address address;
    struct dialler dialler;
    bool met; /* some node has proven itself there, or it is this node */
    bool is_self;
    uint16_t member; /* whom; MEMBER_NONE */
};

#define PEERS_SAID 64

struct peers {
    struct core *core;               /* borrowed */
    struct members *members;         /* borrowed */
    const struct certificate *birth; /* borrowed; NULL while unborn: set by node */
    struct link *links;              /* hash by id, owned */
    struct link *shaking; /* those that this node has dialled, in their handshake: a list */
    struct peer *peers;   /* owned, by member index, grown with the members */
    uint32_t lost_count;  /* of them: lost */
    uint16_t peer_count;
    struct failure failure;
    bool turned;        /* somebody has become suspect, and peers_take_turned has not said so yet */
    bool revived;       /* the same of somebody who answers again after a while */
    struct seed *seeds; /* owned */
    uint32_t seed_count;
    uint64_t next_dial;
    uint64_t started_us;
    uint64_t tended_us;   /* when links were last looked at */
    uint64_t closed_turn; /* the last in which this node itself closed a link */
    bool outcast;         /* a born cluster has said that it was born without this node */
    bool retired;         /* another has this node's places: nobody is dialled, nobody let in */
    uint64_t said[PEERS_SAID]; /* hashes of refusals logged: once each, not at each redial */
    size_t said_count;
};

/* What a step changed for those above. */
enum peers_change {
    PEERS_SAME,
    PEERS_READY,    /* a link of `member` has become ready */
    PEERS_STRANGER, /* at the address of `member` a node was met, over `link`, that knows the secret and is no member: to be let in as
                     * its successor or refused */
    PEERS_GONE /* the node behind `link`, which would be ready, holds no place any more: to be told and refused */
};

struct peers_news {
    enum peers_change change;
    uint16_t member;
    uint64_t link;
};

/* Starts with the configuration's seeds (copied). Borrows core and members for its life. Error: RD_ENOMEM. */
enum rd_err peers_init(struct peers *peers, struct core *core, struct members *members,
                       const struct node_address *seeds, size_t seed_count);

/* Frees all. */
void peers_free(struct peers *peers);

/* Dials, pings, drops silent links; to be called about each PEERS_TICK_US. */
void peers_tick(struct peers *peers);
#define PEERS_TICK_US 50000

/* Driver events. */
void peers_link_up(struct peers *peers, uint64_t link, uint64_t dial, const char *host);
void peers_link_down(struct peers *peers, uint64_t link);
void peers_dial_failed(struct peers *peers, uint64_t dial);

/* Closes all links of `member`: it holds no place any more. */
void peers_end(struct peers *peers, uint16_t member);

/* Closes a link without a word. `link` is gone afterwards. */
void peers_close(struct peers *peers, struct link *link);

/* The link `id`, or NULL if it has been closed from this side in the meantime. */
struct link *peers_link(struct peers *peers, uint64_t id);

/* A handshake message, PING or PONG. Returns false if `msg` is none of those; then, and only on a ready link, it is for others. */
bool peers_message(struct peers *peers, struct link *link, const struct wire_msg *msg,
                   struct peers_news *news);

/* A member that has lost a ready link since it was last named here, so that what was asked of it over that link may never be answered;
 * MEMBER_NONE: no more. To be asked after each call that can end links. */
uint16_t peers_take_lost(struct peers *peers);

/* Says REFUSE with `reason` over `link`, logs it, and closes. `link` is gone afterwards. `outcast`: the peer is told that this cluster was born
 * without it. */
void peers_refuse(struct peers *peers, struct link *link, const char *reason, bool outcast);

/* Drops a link whose peer sent what cannot be understood; logs it. `link` is gone afterwards. */
void peers_drop(struct peers *peers, struct link *link, const char *reason);

/* True if a frame can be sent to `member` right now (never for the node itself). */
bool peers_reachable(const struct peers *peers, uint16_t member);

/* The predicate for routing: `member` is reachable, and nothing speaks against its answering at
 * once (never true of the node itself). Who is not healthy is asked last, or replaced. */
bool peers_healthy(const struct peers *peers, uint16_t member);

/* To be called first in each step: notices that this node is late, or stood still for a while. Then
 * links that were silent meanwhile get their time anew, and all peers are probed. */
void peers_step(struct peers *peers);

/* False for a while after this node stood still: what it holds may be older than it can know. */
bool peers_view_is_fresh(const struct peers *peers);

/* False if this node stood still and `member` has not answered a probe since: what it says may be of before. */
bool peers_is_proven(const struct peers *peers, uint16_t member);

/* The link over which a frame for `member` goes now; 0: none. */
uint64_t peers_link_to(const struct peers *peers, uint16_t member);

/* True if what was given to `link` in turn `turn` has provably not left this node: the link broke before that turn was over. */
bool peers_never_left(const struct peers *peers, uint64_t link, uint64_t turn);

/* True if `member` has answered something just now (watch_answers): what it is sent is not lost on somebody who is long gone. */
bool peers_answers(const struct peers *peers, uint16_t member);

/* True if `member` has said nothing since `since_us`. */
bool peers_silent(const struct peers *peers, uint16_t member, uint64_t since_us);

/* Finds out whether `member` answers: probes it, unless that was done in this very millisecond. False: it cannot be sent to. */
bool peers_check_on(struct peers *peers, uint16_t member);

/* True, once, after a member whose link is there has become suspect. */
bool peers_take_turned(struct peers *peers);

/* True, once, after a member has answered that had not for a while. */
bool peers_take_revived(struct peers *peers);

/* Notes that `member` answered a request in time. */
void peers_served(struct peers *peers, uint16_t member);

/* Notes that `member` left a request that it was asked at `asked_us` without an answer. */
void peers_missed(struct peers *peers, uint16_t member, uint64_t asked_us);

/* Notes that `member` took `us` to answer a read. */
void peers_answered(struct peers *peers, uint16_t member, uint64_t us);

/* How fast `member` has answered lately. Borrowed; NULL if it was never met. */
const struct latency *peers_latency(const struct peers *peers, uint16_t member);

/* How slow `member` is, for choosing among equals: latency_rank of its answers, or of the time for which it has owed one now, if that
 * says more. */
uint32_t peers_slowness(const struct peers *peers, uint16_t member);

/* Sends `frame` to `member` if it is reachable; says whether it was. */
bool peers_send(struct peers *peers, uint16_t member, struct blob *frame);

/* Encodes and sends. False also if memory is out: the frame is lost as any frame may be. */
bool peers_say(struct peers *peers, uint16_t member, const struct wire_msg *msg);

/* Sends `frame` over that very link. */
void peers_send_over(struct peers *peers, struct link *link, struct blob *frame);

/* A record was added: what comes over any link may have been sent without knowing it. */
void peers_nobody_is_aware(struct peers *peers);

/* True if this node has met an empty node, no member, at the address of `member`, and not `member` itself since. */
bool peers_is_vacant(const struct peers *peers, uint16_t member);

/* The same for work of the background: nobody waits for an answer in time, and the frame counts against the
 * budget. Returns its bytes; 0: not sent. */
uint32_t peers_say_in_background(struct peers *peers, struct budget *budget, uint16_t member,
                                 const struct wire_msg *msg);

/* Sends `frame` over every ready link: two of a member's, if there are two. */
void peers_send_everywhere(struct peers *peers, struct blob *frame);

/* The fence up to which all that `member` sent has come, or never will: the earliest that is the last of one of its links. What it sent
 * before over links that are gone is lost. False: there is none, or a link may be its own that has not proven it. */
bool peers_fence(const struct peers *peers, uint16_t member, uint64_t *start, uint64_t *number);

/* True once every seed has been met, or one other node has and 10 s have passed; at once without seeds. */
bool peers_met_enough(const struct peers *peers);

/* How many members are reachable, and how many of these are up as far as this node knows. */
uint16_t peers_reachable_count(const struct peers *peers);
uint16_t peers_up_count(const struct peers *peers);

/* Who holds the place of node `id` now, `id` itself or who came for it: a member's index; MEMBER_NONE: it is not known. */
uint16_t peers_holder(const struct peers *peers, const struct node_id *id);

/* True if `member` holds the place of node `id` now. */
bool peers_holds(const struct peers *peers, uint16_t member, const struct node_id *id);

/* A reachable member at random; MEMBER_NONE if there is none. */
uint16_t peers_random(struct peers *peers);

/* Asserts the invariants. */
void peers_check(const struct peers *peers);

#endif
