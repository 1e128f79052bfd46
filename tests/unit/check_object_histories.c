/* replication/object against a naive oracle: random histories of writes, deletions, reads and
 * merges among replicas. The oracle knows no vectors: each replica, context and message is a set
 * of writes known and a set of writes dropped. */
#include "replication/object.h"

#include "base/prng.h"
#include "replication/hlc.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#include <string.h>

#define REPLICAS 4
#define CLIENTS 3
#define PARCELS 6
#define STEPS 60
#define EVENTS 64 /* writes of a history; one bit each */

/* An object and what the oracle says of it. */
struct copy {
    struct object object;
    uint64_t known;   /* writes whose dots it covers */
    uint64_t dropped; /* of these, the overwritten and deleted ones */
};

struct view {
    struct context context;
    uint64_t covers; /* writes */
};

struct history {
    struct prng prng;
    struct copy replicas[REPLICAS];
    struct copy parcels[PARCELS]; /* copies under way: they may arrive late, twice, or never */
    struct view views[CLIENTS];   /* what each client last saw */
    struct actor actors[REPLICAS];
    struct hlc clocks[REPLICAS];
    struct dot dots[EVENTS];
    uint64_t stamps[EVENTS];
    uint32_t events;
    uint64_t incarnations;
};

static uint64_t bit(uint32_t event) {
    return UINT64_C(1) << event;
}

/* ---- the oracle speaks ----------------------------------------------------------------------- */

static void must_match(const struct history *history, const struct copy *copy) {
    object_check(&copy->object);
    uint64_t alive = copy->known & ~copy->dropped;
    MUST(copy->object.count == (uint32_t)__builtin_popcountll(alive));
    for (uint32_t i = 0; i < copy->object.count; i++) {
        const struct sibling *sibling = &copy->object.siblings[i];
        uint32_t event;
        MUST(sibling->value->len == sizeof event);
        memcpy(&event, sibling->value->bytes, sizeof event);
        MUST(event < history->events);
        MUST(alive & bit(event));
        MUST(dot_compare(&sibling->dot, &history->dots[event]) == 0);
        MUST(sibling->stamp == history->stamps[event]);
    }
    for (uint32_t e = 0; e < history->events; e++) {
        MUST(version_covers(&copy->object.version, &history->dots[e]) ==
             ((copy->known & bit(e)) != 0));
    }
}

static void merge(struct history *history, struct copy *into, const struct copy *from) {
    struct object before = {0};
    MUST(object_copy(&into->object, &before) == RD_OK);
    struct object_merge_result result;
    MUST(object_merge(&into->object, &from->object, &result) == RD_OK);
    into->known |= from->known;
    into->dropped |= from->dropped;
    must_match(history, into);
    MUST(result.changed == !object_equal(&before, &into->object));
    MUST(result.from_behind == !object_equal(&from->object, &into->object));
    MUST(!result.dot_clash);
    MUST((object_digest(&before) == object_digest(&into->object)) == !result.changed);
    object_free(&before);
}

static struct copy duplicate(const struct copy *from) {
    struct copy copy = {.known = from->known, .dropped = from->dropped};
    MUST(object_copy(&from->object, &copy.object) == RD_OK);
    return copy;
}

/* Which writes a context covers, asked one by one. */
static uint64_t covered(const struct history *history, const struct context *context) {
    uint64_t writes = 0;
    for (uint32_t e = 0; e < history->events; e++) {
        writes |= context_covers(context, &history->dots[e]) ? bit(e) : 0;
    }
    return writes;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static struct copy *any_replica(struct history *history) {
    return &history->replicas[prng_below(&history->prng, REPLICAS)];
}

static struct view *any_view(struct history *history) {
    return &history->views[prng_below(&history->prng, CLIENTS)];
}

/* A client reads some replicas and keeps the context of what they hold together. */
static void step_read(struct history *history) {
    struct copy seen = {0};
    for (uint64_t r = 1 + prng_below(&history->prng, 2); r > 0; r--) {
        merge(history, &seen, any_replica(history));
    }
    struct view *view = any_view(history);
    context_free(&view->context);
    MUST(object_context(&seen.object, &view->context) == RD_OK);
    view->covers = seen.known;
    MUST(covered(history, &view->context) == view->covers);
    object_free(&seen.object);
}

/* What a coordinator must do when a lone dot lies behind a gap: get what is missing first. */
static void reach(struct history *history, struct copy *replica, const struct context *context) {
    bool reaches = object_reaches(&replica->object, context);
    bool wanted = true;
    if (context->has_dot) {
        struct dot dot = context->dot;
        for (dot.counter--; dot.counter > 0; dot.counter--) {
            wanted = wanted && (version_covers(&replica->object.version, &dot) ||
                                context_covers(context, &dot));
        }
    }
    MUST(reaches == wanted);
    for (int r = 0; r < REPLICAS && !object_reaches(&replica->object, context); r++) {
        merge(history, replica, &history->replicas[r]);
    }
    MUST(object_reaches(&replica->object, context));
}

/* The next dot of a replica: its actor goes on only if the object has its entry, as DESIGN.md
 * asks. */
static struct dot next_dot(struct history *history, size_t at) {
    const struct version *version = &history->replicas[at].object.version;
    struct actor *actor = &history->actors[at];
    if (version_get(version, actor) == 0) {
        actor->epoch++;
    }
    return (struct dot){*actor, version_get(version, actor) + 1};
}

static void write_at(struct history *history, size_t at, struct view *view) {
    struct copy *replica = &history->replicas[at];
    reach(history, replica, &view->context);
    uint32_t event = history->events;
    struct dot dot = next_dot(history, at);
    struct hlc *clock = &history->clocks[at];
    hlc_seen(clock, object_newest_stamp(&replica->object));
    hlc_seen(clock, view->context.stamp);
    uint64_t stamp = hlc_next(clock, prng_below(&history->prng, 50) * 1000);
    struct blob *value;
    MUST(blob_new(&event, sizeof event, &value) == RD_OK);
    MUST(object_write(&replica->object, &view->context, &dot, stamp, value, 0) == RD_OK);
    blob_unref(value);
    history->dots[event] = dot;
    history->stamps[event] = stamp;
    history->events++;
    replica->known |= view->covers | bit(event);
    replica->dropped |= view->covers;
    must_match(history, replica);

    /* The client goes on with the context it is given: it covers what it did before and the new
     * write, never a write the client neither saw nor replaced that is alive. */
    struct context after;
    MUST(object_context_after(&replica->object, &view->context, &dot, &after) == RD_OK);
    context_check(&after);
    uint64_t covers = covered(history, &after);
    uint64_t alive = replica->known & ~replica->dropped;
    MUST(covers & bit(event));
    MUST((covers & alive) == bit(event));
    MUST(((covers | bit(event)) & ~replica->known) == 0);
    MUST(after.stamp >= stamp);
    uint64_t lost = view->covers & ~covers; /* at most an older lone dot, replaced by this write */
    MUST(__builtin_popcountll(lost) <= (view->context.has_dot && after.has_dot));
    context_free(&view->context);
    view->context = after;
    view->covers = covers;
}

static void step_write(struct history *history) {
    if (history->events < EVENTS) {
        write_at(history, prng_below(&history->prng, REPLICAS), any_view(history));
    }
}

/* Without context: replaces nothing. */
static void step_blind_write(struct history *history) {
    struct view nothing = {0};
    if (history->events < EVENTS) {
        write_at(history, prng_below(&history->prng, REPLICAS), &nothing);
    }
    context_free(&nothing.context);
}

/* A plain SET's first round: the coordinator's copy is the context. */
static void step_plain_set(struct history *history) {
    size_t at = prng_below(&history->prng, REPLICAS);
    struct view all = {.covers = history->replicas[at].known};
    MUST(object_context(&history->replicas[at].object, &all.context) == RD_OK);
    if (history->events < EVENTS) {
        write_at(history, at, &all);
        MUST(history->replicas[at].object.count == 1);
    }
    context_free(&all.context);
}

static void step_remove(struct history *history) {
    struct copy *replica = any_replica(history);
    struct view *view = any_view(history);
    reach(history, replica, &view->context);
    uint64_t alive = replica->known & ~replica->dropped;
    uint32_t removed;
    MUST(object_remove(&replica->object, &view->context, 7, &removed) == RD_OK);
    MUST(removed == (uint32_t)__builtin_popcountll(alive & view->covers));
    replica->known |= view->covers;
    replica->dropped |= view->covers;
    must_match(history, replica);
    struct context after;
    MUST(object_context_after(&replica->object, &view->context, NULL, &after) == RD_OK);
    context_check(&after);
    MUST((view->covers & ~covered(history, &after)) == 0);
    MUST((covered(history, &after) & replica->known & ~replica->dropped) == 0);
    context_free(&after);
}

static void step_send(struct history *history) {
    struct copy *parcel = &history->parcels[prng_below(&history->prng, PARCELS)];
    object_free(&parcel->object);
    *parcel = duplicate(any_replica(history));
}

static void step_receive(struct history *history) {
    merge(history, any_replica(history), &history->parcels[prng_below(&history->prng, PARCELS)]);
}

/* A process restarts: its next write is another actor's. */
static void step_restart(struct history *history) {
    size_t at = prng_below(&history->prng, REPLICAS);
    history->actors[at] = (struct actor){.incarnation = ++history->incarnations};
    history->clocks[at] = (struct hlc){0};
}

/* ---- whole histories ------------------------------------------------------------------------- */

static void start(struct history *history, uint64_t seed) {
    *history = (struct history){0};
    prng_seed(&history->prng, seed);
    for (size_t r = 0; r < REPLICAS; r++) {
        history->actors[r].incarnation = ++history->incarnations;
    }
}

static void run(struct history *history) {
    /* Each seed has its own mixture, so that some are nearly all writes and others nearly all
     * merges. */
    static void (*const steps[])(struct history *) = {
        step_write, step_blind_write, step_plain_set, step_remove,
        step_read,  step_send,        step_receive,   step_restart,
    };
    enum { KINDS = sizeof steps / sizeof *steps };
    uint64_t weights[KINDS];
    uint64_t sum = 0;
    for (int k = 0; k < KINDS; k++) {
        weights[k] = 1 + prng_below(&history->prng, k == KINDS - 1 ? 3 : 12);
        sum += weights[k];
    }
    for (int s = 0; s < STEPS; s++) {
        uint64_t pick = prng_below(&history->prng, sum);
        int k = 0;
        while (pick >= weights[k]) {
            pick -= weights[k++];
        }
        steps[k](history);
    }
}

static void end(struct history *history) {
    for (size_t r = 0; r < REPLICAS; r++) {
        object_free(&history->replicas[r].object);
    }
    for (size_t p = 0; p < PARCELS; p++) {
        object_free(&history->parcels[p].object);
    }
    for (size_t c = 0; c < CLIENTS; c++) {
        context_free(&history->views[c].context);
    }
}

static void must_encode_the_same(const struct object *a, const struct object *b) {
    struct buf one = {0};
    struct buf two = {0};
    MUST(object_encode(a, &one) == RD_OK);
    MUST(object_encode(b, &two) == RD_OK);
    MUST(buf_len(&one) == buf_len(&two));
    MUST(memcmp(buf_data(&one), buf_data(&two), buf_len(&one)) == 0);
    struct object back;
    MUST(object_decode(buf_data(&one), buf_len(&one), &back) == RD_OK);
    MUST(object_equal(&back, a));
    object_free(&back);
    buf_free(&one);
    buf_free(&two);
}

/* When everybody has heard of everything, in whatever order, all hold the same bytes. */
static void must_converge(struct history *history) {
    for (int round = 0; round < 2; round++) {
        size_t first = prng_below(&history->prng, REPLICAS);
        for (size_t r = 0; r < REPLICAS; r++) {
            for (size_t other = 0; other < REPLICAS; other++) {
                merge(history, &history->replicas[(first + r) % REPLICAS],
                      &history->replicas[(first + other * 3) % REPLICAS]);
            }
        }
    }
    for (size_t r = 1; r < REPLICAS; r++) {
        must_encode_the_same(&history->replicas[0].object, &history->replicas[r].object);
        MUST(object_digest(&history->replicas[0].object) ==
             object_digest(&history->replicas[r].object));
    }
}

#define SEEDS_PER_TEST ((uint64_t)test_share(400))

START_TEST(agrees_with_sets_of_writes) {
    for (uint64_t s = 0; s < SEEDS_PER_TEST; s++) {
        struct history history;
        start(&history, (uint64_t)_i * SEEDS_PER_TEST + s);
        run(&history);
        must_converge(&history);
        end(&history);
    }
}
END_TEST

/* Merge is commutative, associative and idempotent on whatever a history has produced. */
START_TEST(obeys_the_laws_of_a_join) {
    for (uint64_t s = 0; s < SEEDS_PER_TEST; s++) {
        struct history history;
        start(&history, (uint64_t)_i * SEEDS_PER_TEST + s);
        run(&history);
        const struct copy *a = &history.replicas[0];
        const struct copy *b = &history.replicas[1];
        const struct copy *c = &history.parcels[0];
        struct copy ab = duplicate(a);
        struct copy ba = duplicate(b);
        merge(&history, &ab, b);
        merge(&history, &ba, a);
        must_encode_the_same(&ab.object, &ba.object);

        struct copy ab_c = duplicate(&ab);
        struct copy bc = duplicate(b);
        struct copy a_bc = duplicate(a);
        merge(&history, &ab_c, c);
        merge(&history, &bc, c);
        merge(&history, &a_bc, &bc);
        must_encode_the_same(&ab_c.object, &a_bc.object);
        merge(&history, &ab_c, b);
        must_encode_the_same(&ab_c.object, &a_bc.object);

        struct copy *made[] = {&ab, &ba, &ab_c, &bc, &a_bc};
        for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
            object_free(&made[i]->object);
        }
        end(&history);
    }
}
END_TEST

/* TRAPS.md blind_set_flood: plain SETs through all replicas, frames lost, the second round where
 * something was uncovered. */
START_TEST(blind_set_flood) {
    struct history history;
    start(&history, (uint64_t)_i);
    uint64_t acknowledged = 0; /* stamp of the newest SET that W = 2 have */
    for (uint32_t s = 0; s < 1000; s++) {
        size_t at = s % 3;
        struct object *own = &history.replicas[at].object;
        for (int round = 0; round < 2; round++) {
            struct context all;
            struct blob *value;
            MUST(object_context(own, &all) == RD_OK);
            MUST(blob_new(&s, sizeof s, &value) == RD_OK);
            struct dot dot = next_dot(&history, at);
            hlc_seen(&history.clocks[at], object_newest_stamp(own));
            uint64_t stamp = hlc_next(&history.clocks[at], 0);
            MUST(object_write(own, &all, &dot, stamp, value, 0) == RD_OK);
            blob_unref(value);
            context_free(&all);

            struct copy sent = duplicate(&history.replicas[at]);
            uint32_t uncovered = 0;
            uint32_t acks = 1;
            for (size_t r = 0; r < 3; r++) {
                struct object *other = &history.replicas[r].object;
                if (r != at && !prng_chance(&history.prng, 5, 100)) {
                    MUST(object_merge(other, &sent.object, NULL) == RD_OK);
                    uncovered += object_uncovered(other, &sent.object);
                    acks++;
                    MUST(object_merge(own, other, NULL) == RD_OK); /* with its report */
                }
            }
            object_free(&sent.object);
            acknowledged = acks >= 2 ? stamp : acknowledged;
            if (uncovered == 0) {
                break;
            }
            MUST(round == 0); /* a second round covers all, as nobody else writes */
        }
        for (size_t r = 0; r < 3; r++) {
            object_check(&history.replicas[r].object);
            MUST(history.replicas[r].object.count <= 3);
            MUST(history.replicas[r].object.version.count <= 3);
        }
    }
    for (size_t r = 1; r < 3; r++) {
        MUST(object_merge(&history.replicas[0].object, &history.replicas[r].object, NULL) == RD_OK);
    }
    MUST(object_winner(&history.replicas[0].object, 0)->stamp >= acknowledged);
    end(&history);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("object_histories");
    TCase *tcase = tcase_create("object_histories");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, agrees_with_sets_of_writes, 0, 15);
    tcase_add_loop_test(tcase, obeys_the_laws_of_a_join, 0, 5);
    tcase_add_loop_test(tcase, blind_set_flood, 0, 20);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
