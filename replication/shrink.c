/* Objects that become smaller. See shrink.h. */
#include "replication/shrink.h"

#include "replication/hlc.h"

bool shrink_is_gone(const struct object *object, uint64_t wall_ms) {
    return !object_is_empty(object) && object_winner(object, wall_ms) == NULL;
}

static bool has_living_dot(const struct object *object, const struct actor *actor) {
    for (uint32_t i = 0; i < object->count; i++)
        if (actor_compare(&object->siblings[i].dot.actor, actor) == 0)
            return true;
    return false;
}

uint32_t shrink_idle_entries(const struct object *object) {
    uint32_t idle = 0;
    if (object->version.count <= object->count)
        return 0; /* not worth a look */
    for (uint32_t i = 0; i < object->version.count; i++)
        idle += !has_living_dot(object, &object->version.entries[i].actor);
    return idle;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static uint64_t stamp_ms(uint64_t stamp) {
    uint64_t ms = hlc_wall_ms(stamp);
    return ms == 0 ? 1 : ms;
}

/* The last expiry; 0: a sibling never expires. */
static uint64_t last_expiry_ms(const struct object *object) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < object->count; i++) {
        if (object->siblings[i].expires_ms == 0)
            return 0;
        if (object->siblings[i].expires_ms > last)
            last = object->siblings[i].expires_ms;
    }
    return last;
}

uint64_t shrink_gone_ms(const struct object *object) {
    if (object_is_empty(object))
        return 0;
    return object->count == 0 ? stamp_ms(object->deleted_stamp) : last_expiry_ms(object);
}

uint64_t shrink_due_ms(const struct object *object, uint32_t n) {
    if (object->count == 0)
        return shrink_gone_ms(object);
    uint32_t idle = object->version.count <= n ? 0 : shrink_idle_entries(object);
    uint64_t crowd = 0;
    if (idle > n)
        crowd = idle > SHRINK_CROWD * n ? 1 : stamp_ms(object_newest_stamp(object));
    return earlier(last_expiry_ms(object), crowd);
}

static enum rd_err add(struct version *to, const struct version_entry *entry) {
    const struct dot dot = {entry->actor, entry->counter};
    return version_advance(to, &dot);
}

enum rd_err shrink_split(const struct object *object, struct version *living,
                         struct version *idle) {
    enum rd_err err = RD_OK;
    *living = *idle = (struct version){0};
    for (uint32_t i = 0; err == RD_OK && i < object->version.count; i++) {
        const struct version_entry *entry = &object->version.entries[i];
        err = add(has_living_dot(object, &entry->actor) ? living : idle, entry);
    }
    if (err != RD_OK) {
        version_free(living);
        version_free(idle);
    }
    return err;
}

enum rd_err shrink_keep(const struct version *living, const struct version *idle,
                        const uint64_t *incarnations, size_t count, struct version *out) {
    struct version kept = {0};
    enum rd_err err = version_copy(living, &kept);
    for (size_t i = 0; err == RD_OK && i < count; i++) {
        const struct version_entry *alive = version_newest_epoch(living, incarnations[i]);
        const struct version_entry *newest = version_newest_epoch(idle, incarnations[i]);
        if (newest != NULL && (alive == NULL || alive->actor.epoch < newest->actor.epoch))
            err = add(&kept, newest);
    }
    if (err == RD_OK)
        *out = kept;
    else
        version_free(&kept);
    return err;
}

/* True if each entry of `kept` is one of the vector, and all living dots are covered. */
static bool fits(const struct object *object, const struct version *kept) {
    for (uint32_t i = 0; i < kept->count; i++)
        if (version_get(&object->version, &kept->entries[i].actor) != kept->entries[i].counter)
            return false;
    for (uint32_t i = 0; i < object->count; i++)
        if (!version_covers(kept, &object->siblings[i].dot))
            return false;
    return true;
}

enum rd_err shrink_apply(struct object *object, const struct version *kept, uint64_t wall_ms) {
    struct version copy;
    if (kept->count == 0) {
        if (!shrink_is_gone(object, wall_ms))
            return RD_EREFUSED;
        object_free(object);
        return RD_OK;
    }
    if (!fits(object, kept))
        return RD_EREFUSED;
    enum rd_err err = version_copy(kept, &copy);
    if (err != RD_OK)
        return err;
    version_free(&object->version);
    object->version = copy;
    return RD_OK;
}
