/* What a world is made of and whom it tells: the types that world.h shares with its parts. */
#ifndef RD_SIM_WORLD_CONF_H
#define RD_SIM_WORLD_CONF_H

#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/history.h"
#include "sim/network.h"

#define WORLD_CLUSTER_PORT 17000

/* Kinds of events from here on belong to the user of the world (workload, faults, stories); see
 * world_at. */
#define WORLD_USER_KIND 1000

struct world_conf {
    uint64_t seed;
    uint32_t nodes;
    uint32_t zones;        /* above 1: nodes are spread over so many */
    struct node_conf node; /* of each; seeds and meta rows are filled in: every node is a seed */
    struct network_conf network;
    struct disk_conf disk;
    uint64_t turn_us;     /* a turn lasts up to this long */
    uint32_t check_every; /* node_check after every so many steps of a node; 0: never */
    uint64_t answer_us;   /* a request without an answer for so long is a fault of the node */
};

enum world_crash {
    CRASH_PROCESS,    /* killed: the system keeps what it was given and says goodbye to the peers */
    CRASH_POWER,      /* some of what was not durable is lost; nobody is told */
    CRASH_POWER_WORST /* all of it */
};

enum world_node_state { NODE_OFF, NODE_RUNNING, NODE_PAUSED };

/* Who is called when something happens; any may be NULL. None may step the world. */
struct world_hooks {
    void *arg;
    void (*on_answer)(void *arg, struct op *op);
    void (*on_event)(void *arg, const struct sim_event *event); /* kinds from WORLD_USER_KIND */
    void (*on_log)(void *arg, uint32_t node, enum log_level level, const char *text);
    void (*on_row)(void *arg, uint32_t node,
                   const struct effect *put); /* each row a node wants stored */
};

#endif
