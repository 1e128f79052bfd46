/* What faults have destroyed: which machine lost its row of which key, and when.
 *
 * A lost row weakens what can be demanded of the writes that were asked for before, and of no
 * others. Machines are counted, not rows: a replica can be destroyed once only, however often its
 * row vanishes. */
#ifndef RD_SIM_LOSSES_H
#define RD_SIM_LOSSES_H

#include <stddef.h>
#include <stdint.h>

struct loss {
    uint32_t key, node;
    uint64_t at_us; /* true time */
};

struct losses {         /* a zeroed struct: nothing is lost */
    struct loss *items; /* owned */
    size_t count, cap;
};

/* Frees all; the struct is empty and usable again. */
void losses_free(struct losses *losses);

/* Notes that machine `node`, below 64, has lost its row of key number `key`. */
void losses_add(struct losses *losses, uint32_t key, uint32_t node, uint64_t at_us);

/* How many machines lost their row of the key from `since_us` to `until_us`, both included. */
uint32_t losses_count(const struct losses *losses, uint32_t key, uint64_t since_us,
                      uint64_t until_us);

#endif
