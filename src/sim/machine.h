/* One machine of the world: a node, its clock, its disk, and how they are driven. For world.c and
 * machine*.c only. */
#ifndef RD_SIM_MACHINE_H
#define RD_SIM_MACHINE_H

#include "resp/command.h"
#include "sim/trace.h"
#include "sim/world_conf.h"

enum world_kind { WORLD_TURN = 300, WORLD_TIMER, WORLD_CLIENT };

struct outgoing {
    uint64_t link;
    struct blob *frame; /* NULL: close */
};

struct machine {
    enum world_node_state state;
    uint64_t life;     /* counts starts */
    struct node *node; /* NULL: off */
    struct node_conf conf;
    struct clock clock;
    struct disk disk;
    struct effects effects;
    struct outgoing *out; /* frames and closes of this turn */
    size_t out_count, out_cap;
    bool turn_open; /* a WORLD_TURN is under way */
    bool commit_asked;
    uint64_t commit_token;
    uint64_t timer_us;   /* true time of the WORLD_TIMER that counts; UINT64_MAX: none */
    uint64_t resumed_us; /* when it was started, or went on after a pause */
    uint64_t steps;
    uint64_t crash_after; /* effects; 0: not planned */
    enum world_crash crash_how;
    struct sim_event *backlog; /* what came while it was paused */
    size_t backlog_count, backlog_cap;
    char start_reason[256];
};

struct world {
    struct world_conf conf;
    struct node_address *seeds;
    struct queue queue;
    uint64_t now_us;
    struct prng prng; /* seeds and turns of nodes */
    struct network *network;
    struct machine *machines;
    struct history history;
    size_t first_open; /* all ops before it have been answered */
    struct trace trace;
    struct world_hooks hooks;
    struct resp_limits limits;
    uint64_t steps, died_unready;
    struct node_stats ended; /* counters of lives that have ended */
};

/* Starts the process; see world_start. */
enum rd_err machine_start(struct world *world, uint32_t i);

/* Ends it; see world_crash. */
void machine_crash(struct world *world, uint32_t i, enum world_crash how);

/* Nothing reaches it any more, until machine_resume. */
void machine_pause(struct world *world, uint32_t i);
void machine_resume(struct world *world, uint32_t i);

/* Keeps an event (taken) for when the paused machine goes on. */
void machine_postpone(struct world *world, uint32_t i, struct sim_event *event);

/* Adds the counters of a node. */
void machine_add_stats(struct node_stats *sum, const struct node *node);

/* Moves world->first_open on. */
void machine_skip_answered(struct world *world);

/* Steps a running node and carries out what it wants; a turn begins if none is open. */
void machine_step(struct world *world, uint32_t i, const struct event *event);

/* Ends the node's turn: EV_TURN_END, frames, commit, timer. */
void machine_end_turn(struct world *world, uint32_t i);

/* Sets a timer for the node's deadline, unless one comes before it anyway. */
void machine_set_timer(struct world *world, uint32_t i);

/* A timer that was set for `set_for_us` has come. */
void machine_timer(struct world *world, uint32_t i, uint64_t set_for_us);

/* A frame has arrived: parsed as the real driver would, then stepped. */
void machine_frame(struct world *world, uint32_t i, const struct network_arrival *arrival);

/* A disk operation has finished. */
void machine_completion(struct world *world, uint32_t i);

#endif
