/* Lanes: a hash table of claims, each bucket a list in order of arrival; a lane is the claims with one hash within a bucket.
 *
 * Invariant: a claim is granted exactly if no earlier claim of its lane, of another owner, conflicts with it (one of the two is
 * exclusive). An owner's claims of one lane are neighbours, since they enter together. So behind the first claim that waits all
 * claims of other owners wait too, which is where a search may stop.
 */
#include "server/lanes.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_BUCKETS 256

enum rd_err lanes_init(struct lanes *lanes) {
    struct lane_bucket *buckets = calloc(FIRST_BUCKETS, sizeof(*buckets));
    if (buckets == NULL) {
        return RD_ENOMEM;
    }
    *lanes = (struct lanes){.buckets = buckets, .bucket_count = FIRST_BUCKETS};
    return RD_OK;
}

void lanes_free(struct lanes *lanes) {
    free(lanes->buckets);
    *lanes = (struct lanes){0};
}

static struct lane_bucket *bucket_of(const struct lanes *lanes, uint64_t hash) {
    return &lanes->buckets[hash & (lanes->bucket_count - 1)];
}

static void append(struct lane_bucket *bucket, struct lane_claim *claim) {
    claim->next = NULL;
    if (bucket->last == NULL) {
        bucket->first = claim;
    } else {
        bucket->last->next = claim;
    }
    bucket->last = claim;
}

/* Doubles the table; without memory it stays as it is, correct and slower. */
static void grow(struct lanes *lanes) {
    struct lanes bigger = {.bucket_count = lanes->bucket_count * 2,
                           .claim_count = lanes->claim_count};
    bigger.buckets = calloc(bigger.bucket_count, sizeof(*bigger.buckets));
    if (bigger.buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < lanes->bucket_count; i++) {
        struct lane_claim *next;
        for (struct lane_claim *claim = lanes->buckets[i].first; claim != NULL; claim = next) {
            next = claim->next;
            append(bucket_of(&bigger, claim->hash), claim);
        }
    }
    free(lanes->buckets);
    *lanes = bigger;
}

/* True if no claim before `claim` in its lane conflicts with it. */
static bool may_go(const struct lane_bucket *bucket, const struct lane_claim *claim) {
    for (const struct lane_claim *other = bucket->first; other != NULL && other != claim;
         other = other->next) {
        if (other->hash == claim->hash && other->owner != claim->owner &&
            (other->exclusive || claim->exclusive)) {
            return false;
        }
    }
    return true;
}

size_t lanes_enter(struct lanes *lanes, struct lane_claim *claims, size_t count) {
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++) {
        if (lanes->claim_count >= lanes->bucket_count * 2) {
            grow(lanes);
        }
        struct lane_bucket *bucket = bucket_of(lanes, claims[i].hash);
        append(bucket, &claims[i]);
        lanes->claim_count++;
        claims[i].granted = may_go(bucket, &claims[i]);
        waiting += !claims[i].granted;
    }
    return waiting;
}

static void unlink_claim(struct lane_bucket *bucket, struct lane_claim *claim) {
    struct lane_claim *before = NULL;
    struct lane_claim *at = bucket->first;
    while (at != claim) {
        assert(at != NULL);
        before = at;
        at = at->next;
    }
    if (before == NULL) {
        bucket->first = claim->next;
    } else {
        before->next = claim->next;
    }
    if (bucket->last == claim) {
        bucket->last = before;
    }
}

void lanes_leave(struct lanes *lanes, struct lane_claim *claims, size_t count,
                 void (*on_grant)(void *arg, void *owner), void *arg) {
    for (size_t i = 0; i < count; i++) {
        struct lane_bucket *bucket = bucket_of(lanes, claims[i].hash);
        unlink_claim(bucket, &claims[i]);
        lanes->claim_count--;
        const void *stuck = NULL; /* the first owner that must go on waiting */
        for (struct lane_claim *other = bucket->first; other != NULL; other = other->next) {
            if (other->hash != claims[i].hash || other->granted) {
                continue;
            }
            if (stuck != NULL && other->owner != stuck) {
                break;
            }
            if (!may_go(bucket, other)) {
                stuck = other->owner;
                continue;
            }
            other->granted = true;
            if (other->owner != claims[i].owner) {
                on_grant(arg, other->owner);
            }
        }
    }
}
