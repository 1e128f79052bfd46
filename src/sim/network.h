/* The simulated network: machines with names, connections between them, and all that can go wrong
 * on the way.
 *
 * A connection carries frames, as bytes. Normally they arrive in order, after a heavy-tailed
 * delay. Faults make it worse than TCP ever is: frames may be lost, doubled and overtake each
 * other on a connection that stays up. Between two machines each direction can be closed in
 * several ways (enum network_path). A process that dies takes its connections with it: the other
 * ends are told (the system says goodbye for it), or learn of it only when they next send (the
 * machine has lost its power). What ends a connection travels as frames do, behind those sent before: a closed connection can
 * be open at its other end for long, and what its sender has forgotten can still arrive there, while a newer connection
 * between the same two is in use.
 *
 * The network pushes events of the kinds below into the queue; the popper hands them to
 * network_arrive, which says what the node at the receiving end is to be told. */
#ifndef RD_SIM_NETWORK_H
#define RD_SIM_NETWORK_H

#include "base/prng.h"
#include "sim/queue.h"

#define NETWORK_MAX_NODES 256
#define NETWORK_HOST_BYTES 64
#define NETWORK_LATE_US (UINT64_C(60) * 1000000)

/* One direction between two machines. */
enum network_path {
    PATH_OPEN,
    PATH_SILENT, /* what is sent vanishes; connections stay up */
    PATH_HELD    /* what is sent waits until the path opens again, then arrives in order */
};

/* The queue's kinds that belong to the network, and what network_arrive makes of them. */
enum network_kind {
    NETWORK_DIAL = 100, /* a connection attempt reaches the other machine */
    NETWORK_UP,         /* a connection stands */
    NETWORK_DIAL_FAILED,
    NETWORK_FRAME,
    NETWORK_DOWN
};

struct network_conf {
    uint64_t delay_min_us;  /* each frame takes at least this */
    uint64_t delay_mean_us; /* and this much more on average, exponentially distributed */
    uint32_t tail_ppm;      /* so many frames in a million take ... */
    uint64_t tail_us;       /* up to this much longer */
    uint32_t drop_ppm;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm; /* so many do not wait for those before them */
    uint64_t dial_timeout_us;
};

/* Draws what one frame takes on the way, between machines that are not slowed. */
uint64_t network_draw_delay(const struct network_conf *conf, struct prng *prng);

/* What the node at the receiving end is to be told; nothing if `kind` is 0. */
struct network_arrival {
    enum network_kind kind;
    uint64_t link;
    uint64_t dial;
    const char *host;   /* UP: the peer's numeric address; borrowed from the network */
    struct blob *frame; /* FRAME: borrowed from the event */
    uint32_t peer;
};

/* Looks at each frame that `from` sends on its end `link`. Returns false to swallow it. */
typedef bool network_tap(void *arg, uint32_t from, uint32_t to, uint64_t link, struct blob *frame);

struct network; /* opaque */

/* A network of `nodes` machines, all of them off, that pushes into `queue` (borrowed, as is
 * `conf`, which may be changed at any time). Machine i (from 0) is called "n<i+1>" and
 * "10.0.0.<i+1>" until network_rename. Free with network_free. */
struct network *network_new(struct queue *queue, const struct network_conf *conf, uint32_t nodes,
                            uint64_t seed);

/* Frees and nulls; NULL in it is ignored. */
void network_free(struct network **network);

/* Gives machine `node` another name and address; what was dialled before stays. */
void network_rename(struct network *network, uint32_t node, const char *name, const char *address);

/* The name of machine `node`; borrowed. */
const char *network_name(const struct network *network, uint32_t node);

/* A process listens on `port` of machine `node`, as its life number `life`. */
void network_listen(struct network *network, uint32_t node, uint16_t port, uint64_t life);

/* The process on machine `node` is gone. `goodbye`: its peers see their connections end; else only
 * when they send after the machine is back. */
void network_crash(struct network *network, uint32_t node, uint64_t now_us, bool goodbye);

/* Node `from` dials; sooner or later it is told of NETWORK_UP or NETWORK_DIAL_FAILED with `dial`.
 */
void network_dial(struct network *network, uint32_t from, uint64_t dial, const char *host,
                  uint16_t port, uint64_t now_us);

/* Node `from` sends a frame (a reference is taken) on its end `link`; nothing happens if that has
 * ended. */
void network_send(struct network *network, uint32_t from, uint64_t link, struct blob *frame,
                  uint64_t now_us);

/* Node `from` closes its end; it hears no more of it, the peer does after what was sent before. */
void network_close(struct network *network, uint32_t from, uint64_t link, uint64_t now_us);

/* Who is at the other end of `link` of node `from`. */
uint32_t network_peer(const struct network *network, uint32_t from, uint64_t link);

/* Sets one direction. What was held is sent on when the path opens. */
void network_set_path(struct network *network, uint32_t from, uint32_t to, enum network_path path,
                      uint64_t now_us);

/* How the direction is now. */
enum network_path network_path(const struct network *network, uint32_t from, uint32_t to);

/* The connections that there are between two machines stand still for so long, in both directions, as when every packet is tried again
 * after twice the time: what is sent over them arrives after that, in order. New ones are not concerned. `broken`: machine
 * `from` sees them end now; the other end hears what was under way, late, and only its own patience ends it. */
void network_stall(struct network *network, uint32_t from, uint32_t to, uint64_t now_us,
                   uint64_t for_us, bool broken);

/* When the last frame that is under way over an open connection may arrive. */
uint64_t network_last_us(const struct network *network);

/* Ends all connections between two machines; both ends are told after a delay, what is under way
 * is lost. */
void network_break(struct network *network, uint32_t a, uint32_t b, uint64_t now_us);

/* Sets a tap, called with `arg`. */
void network_set_tap(struct network *network, network_tap *tap, void *arg);

/* Slows all that machine `node` sends and receives by `extra_us`. */
void network_set_slow(struct network *network, uint32_t node, uint64_t extra_us);

/* Handles an event of an enum network_kind at its time; the event's blob stays the caller's. A NETWORK_DIAL that is accepted gives an
 * arrival of NETWORK_UP for the accepting end; who cannot step its node now may come back later with an event NETWORK_UP, `a` being the link. */
struct network_arrival network_arrive(struct network *network, const struct sim_event *event);

struct network_stats {
    uint64_t dials, dials_failed, connections, frames, bytes;
    uint64_t dropped, duplicated, overtaken, held;
    uint64_t
        orphans; /* frames that arrived when their sender had closed, or lost, the connection */
    uint64_t of_the_dead;  /* frames of a process that arrived when its machine ran another */
    uint64_t minutes_late; /* frames that arrived NETWORK_LATE_US or more after they were sent */
};

/* Counters since the start. */
void network_stats(const struct network *network, struct network_stats *out);

#endif
