/* sim/queue: see queue.h. Invariant: no event of the heap comes before its parent, (i - 1) / 2. */
#include "sim/queue.h"

#include <stdlib.h>

#include "sim/mem.h"

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

void queue_free(struct queue *queue) {
    for (size_t i = 0; i < queue->count; i++) {
        blob_unref(queue->heap[i].blob);
    }
    free(queue->heap);
    *queue = (struct queue){0};
}

void queue_push(struct queue *queue, const struct sim_event *event) {
    queue->heap = mem_grow(queue->heap, &queue->cap, queue->count + 1, sizeof *queue->heap);
    struct sim_event added = *event;
    added.sequence = queue->next_sequence++;
    size_t at = queue->count++;
    while (at > 0 && before(&added, &queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = added;
}

bool queue_pop(struct queue *queue, struct sim_event *out) {
    if (queue->count == 0) {
        return false;
    }
    *out = queue->heap[0];
    struct sim_event last = queue->heap[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count) {
            break;
        }
        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child])) {
            child++;
        }
        if (!before(&queue->heap[child], &last)) {
            break;
        }
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    return true;
}

uint64_t queue_next_us(const struct queue *queue) {
    return queue->count == 0 ? UINT64_MAX : queue->heap[0].at_us;
}
