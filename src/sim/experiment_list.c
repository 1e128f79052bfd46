/* sim/experiment: the list of all of them, by name. */
#include <string.h>

#include "sim/experiment.h"

static const struct experiment experiments[] = {
    {"repair", "a hot key while frames are lost, read repair off and on", 20, experiment_repair},
    {"quorum", "reads a few ms behind a write, by R and W", 20, experiment_quorum},
    {"sync-interval", "hot keys while frames are lost, by how often replicas compare", 8,
     experiment_sync},
    {"latency", "read and write latency by message delay, R and W", 5, experiment_latency},
    {"throughput", "requests per second by message delay, R and W", 5, experiment_throughput},
    {"failures", "latency while 0, 1, 2 nodes have failed", 5, experiment_failures},
    {"drops", "puts, each followed by a get at each replica, while frames are lost", 20,
     experiment_drops},
    {"scale", "3 to 256 nodes: balance, movement, gossip, news of a death and a return", 6,
     experiment_scale},
    {"anti-entropy", "messages, bytes and rounds until replicas are equal again", 3,
     experiment_anti_entropy},
    {"staleness", "probabilistically bounded staleness, simulated and predicted", 12,
     experiment_staleness},
    {"availability", "requests served while a node dies and the cluster is cut in halves", 10,
     experiment_availability},
};

const struct experiment *experiment_list(size_t *count) {
    *count = sizeof experiments / sizeof experiments[0];
    return experiments;
}

const struct experiment *experiment_find(const char *name) {
    size_t count;
    const struct experiment *list = experiment_list(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}
