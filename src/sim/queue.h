/* What will happen: the simulator's one queue of events, in order of simulated time.
 *
 * Events of the same microsecond come out in the order in which they were pushed, so that a run is
 * a function of its seed. The queue knows nothing of what the events mean: `kind`, `a` and `b`
 * belong to whoever pops them. */
#ifndef RD_SIM_QUEUE_H
#define RD_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"

struct sim_event {
    uint64_t at_us;    /* simulated time */
    uint64_t sequence; /* set by queue_push */
    uint32_t kind;
    uint32_t node; /* whom it concerns */
    uint64_t life; /* which start of that node; the popper drops events of an earlier life */
    uint64_t a, b;
    struct blob *blob; /* a reference that goes with the event; may be NULL */
};

struct queue {
    struct sim_event *heap; /* owned; a binary heap by (at_us, sequence) */
    size_t count, cap;
    uint64_t next_sequence;
};

/* Frees the queue and the blobs of what is left in it; a zeroed struct is an empty queue. */
void queue_free(struct queue *queue);

/* Adds an event; takes its blob reference. */
void queue_push(struct queue *queue, const struct sim_event *event);

/* Takes the first event out; its blob reference goes to the caller. False: the queue is empty. */
bool queue_pop(struct queue *queue, struct sim_event *out);

/* The time of the first event; UINT64_MAX if the queue is empty. */
uint64_t queue_next_us(const struct queue *queue);

#endif
