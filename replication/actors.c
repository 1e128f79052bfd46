/* Dots are issued here and nowhere else. */
#include "replication/actors.h"

void actors_begin(struct actors *actors, struct prng *prng) {
    actors->incarnation = prng_u64(prng);
    actors->last_epoch = 0;
}

struct dot actors_fresh(struct actors *actors, struct prng *prng) {
    if (actors->last_epoch == UINT32_MAX)
        actors_begin(actors, prng);
    return (struct dot){{actors->incarnation, ++actors->last_epoch}, 1};
}

struct dot actors_next(struct actors *actors, struct prng *prng, const struct version *held) {
    const struct version_entry *entry = version_newest_epoch(held, actors->incarnation);
    if (entry != NULL && entry->counter < VERSION_MAX_COUNTER)
        return (struct dot){entry->actor, entry->counter + 1};
    return actors_fresh(actors, prng);
}

bool actors_forgot(const struct actors *actors, const struct version *held,
                   const struct version *seen) {
    for (uint32_t i = 0; i < seen->count; i++) {
        const struct version_entry *entry = &seen->entries[i];
        if (entry->actor.incarnation == actors->incarnation &&
            version_get(held, &entry->actor) < entry->counter)
            return true;
    }
    return false;
}
