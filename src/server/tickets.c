/* Tickets: a growing table of slots, the free ones in a list. */
#include "server/tickets.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_SLOTS 256u
#define MOST_SLOTS (UINT32_MAX / 2)

void tickets_free(struct tickets *tickets) {
    free(tickets->slots);
    *tickets = (struct tickets){0};
}

static enum rd_err grow(struct tickets *tickets) {
    if (tickets->slot_count >= MOST_SLOTS) {
        return RD_ENOMEM;
    }
    uint32_t count = tickets->slot_count == 0 ? FIRST_SLOTS : tickets->slot_count * 2;
    struct ticket *slots = realloc(tickets->slots, count * sizeof(*slots));
    if (slots == NULL) {
        return RD_ENOMEM;
    }
    for (uint32_t i = tickets->slot_count; i < count; i++) {
        slots[i] = (struct ticket){.generation = 1, .next_free = i + 1};
    }
    tickets->slots = slots;
    tickets->slot_count = count;
    return RD_OK;
}

enum rd_err tickets_open(struct tickets *tickets, void *owner, uint32_t part, uint64_t now_us,
                         uint64_t *out) {
    assert(owner != NULL);
    if (tickets->first_free == tickets->slot_count) {
        enum rd_err err = grow(tickets);
        if (err != RD_OK) {
            return err;
        }
    }
    uint32_t index = tickets->first_free;
    struct ticket *ticket = &tickets->slots[index];
    assert(ticket->owner == NULL);
    tickets->first_free = ticket->next_free;
    tickets->open++;
    ticket->owner = owner;
    ticket->part = part;
    ticket->opened_us = now_us;
    *out = (uint64_t)ticket->generation << 32 | index;
    return RD_OK;
}

void *tickets_close(struct tickets *tickets, uint64_t name, uint32_t *part, uint64_t *opened_us) {
    uint32_t index = (uint32_t)name;
    if (index >= tickets->slot_count) {
        return NULL;
    }
    struct ticket *ticket = &tickets->slots[index];
    if (ticket->owner == NULL || ticket->generation != (uint32_t)(name >> 32)) {
        return NULL;
    }
    void *owner = ticket->owner;
    *part = ticket->part;
    *opened_us = ticket->opened_us;
    ticket->owner = NULL;
    ticket->generation = ticket->generation == UINT32_MAX ? 1 : ticket->generation + 1;
    ticket->next_free = tickets->first_free;
    tickets->first_free = index;
    tickets->open--;
    return owner;
}
