/* DYNREPLICAS. Replies when all have answered or the deadline has come, whichever is first. */
#include "replication/op_report.h"

#include <stdlib.h>

#include "replication/coordinator.h"

static void release(struct request *request) {
    client_reply_free(request->report.reply);
    object_free(&request->report.merged);
}

static void finish(struct coordinator *co, struct request *request) {
    struct client_reply *reply = request->report.reply;
    uint64_t digest = object_digest(&request->report.merged);
    size_t shown = 0;
    for (size_t i = 0; i < reply->report_count; i++) {
        struct replica_report report = reply->reports[i];
        bool answered = report.state == REPLICA_OK || report.state == REPLICA_NOT_FOUND;
        report.current = answered && report.digest == digest;
        if (report.home || report.state == REPLICA_OK)
            reply->reports[shown++] = report;
        else
            buf_free(&report.clock);
    }
    reply->report_count = shown;
    request->report.reply = NULL;
    coordinator_finish(co, request, reply);
}

static void done_one(struct coordinator *co, struct request *request) {
    if (--request->report.awaited == 0)
        finish(co, request);
}

/* Asks one of them; says whether an answer may come. */
static bool ask(struct coordinator *co, struct request *request, uint16_t member, bool home) {
    if (member == MEMBER_SELF) {
        struct asker asker = request_asker(request, 0);
        return replica_read(home ? co->replica : co->hints, request->key, &asker) == RD_OK;
    }
    struct wire_msg msg = {.kind = WIRE_READ};
    msg.read.id = request_id(request);
    msg.read.key = (struct resp_slice){request->key->bytes, request->key->len};
    return peers_say(co->peers, member, &msg);
}

/* Lists the homes, and the healthy ones of the others in order of preference. */
static void list_nodes(const struct coordinator *co, const struct request *request,
                       struct op_report *op) {
    uint16_t list[RING_MAX_MEMBERS];
    op->home_count = op->count = (uint8_t)coordinator_homes(co, request, op->members);
    size_t listed = placement_list(co->placement, request->partition, list, RING_MAX_MEMBERS);
    for (size_t i = op->home_count; i < listed && op->count < REPORT_MAX_NODES; i++)
        if (coordinator_healthy(co, list[i]))
            op->members[op->count++] = list[i];
}

void op_report_start(struct coordinator *co, struct request *request) {
    struct op_report *op = &request->report;
    request->release = release;
    list_nodes(co, request, op);
    op->reply = coordinator_reply_new(co, RD_OK);
    if (op->reply != NULL)
        op->reply->reports = calloc(op->count + 1u, sizeof(*op->reply->reports));
    if (op->reply == NULL || op->reply->reports == NULL) {
        coordinator_finish(co, request, NULL);
        return;
    }
    op->reply->report_count = op->count;
    op->awaited = 1; /* held until all are asked */
    for (uint8_t i = 0; i < op->count; i++) {
        struct replica_report *report = &op->reply->reports[i];
        const struct member *member = &co->members->items[op->members[i]];
        report->node = member->id;
        report->address = member->address;
        report->home = i < op->home_count;
        report->state = REPLICA_NO_ANSWER;
        op->awaited += ask(co, request, op->members[i], report->home);
    }
    done_one(co, request);
}

static void describe_clock(const struct version *version, struct buf *out) {
    for (uint32_t i = 0; i < version->count; i++) {
        const struct version_entry *entry = &version->entries[i];
        if (buf_printf(out, "%s%016llx.%u:%llu", i == 0 ? "" : " ",
                       (unsigned long long)entry->actor.incarnation, entry->actor.epoch,
                       (unsigned long long)entry->counter) != RD_OK)
            return; /* a shorter line is all there is memory for */
    }
}

void op_report_answer(struct coordinator *co, struct request *request,
                      const struct read_answer *answer) {
    struct op_report *op = &request->report;
    for (uint8_t i = 0; i < op->count; i++) {
        struct replica_report *report = &op->reply->reports[i];
        if (op->members[i] != answer->member || report->state != REPLICA_NO_ANSWER)
            continue;
        report->state = answer->err == RD_OK          ? REPLICA_OK
                        : answer->err == RD_ENOTFOUND ? REPLICA_NOT_FOUND
                                                      : REPLICA_FAILED;
        if (answer->object != NULL) {
            report->digest = object_digest(answer->object);
            if (object_merge(&op->merged, answer->object, NULL) != RD_OK)
                report->state = REPLICA_FAILED;
            report->siblings = answer->object->count;
            describe_clock(&answer->object->version, &report->clock);
        }
        done_one(co, request);
        return;
    }
}

void op_report_lost(struct coordinator *co, struct request *request, uint16_t member) {
    struct read_answer failed = {.member = member, .err = RD_ECLOSED};
    op_report_answer(co, request, &failed);
}

void op_report_expired(struct coordinator *co, struct request *request) {
    finish(co, request);
}
